"""500 idle and 50 busy connections: all are served, the idle ones are cheap, and one too many is told so."""
import os
import socket
import struct
import threading
import time
from urllib.parse import urlparse

import psycopg

url = urlparse(os.environ["TIDEMILL_DSN"])
admin_port = int(os.environ["TIDEMILL_INTERNAL_PORT"])
pid = int(os.environ["TIDEMILL_PID"])
IDLE, BUSY, SECONDS = 500, 50, 5


def memory():
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def connect():
    """A session without a client library: only its file descriptor."""
    stream = socket.create_connection((url.hostname, url.port))
    body = b"user\0materialize\0database\0materialize\0application_name\0idle\0\0"
    stream.sendall(struct.pack("!II", len(body) + 8, 196608) + body)
    received = b""
    while not received.endswith(b"Z\0\0\0\x05I"):
        part = stream.recv(4096)
        assert part, received
        received += part
    return stream


first = [connect() for _ in range(20)]  # what is allocated once
before = memory()
idle = [connect() for _ in range(IDLE)]
time.sleep(1)
each = (memory() - before) / IDLE
served, failures = [], []
until = time.time() + SECONDS


def work(number):
    try:
        with psycopg.connect(os.environ["TIDEMILL_DSN"], autocommit=True) as connection:
            count = 0
            while time.time() < until:
                assert connection.execute("SELECT %s::int + 1", [number]).fetchone() == (number + 1,)
                count += 1
            served.append(count)
    except Exception as error:  # noqa: BLE001
        failures.append(error)


threads = [threading.Thread(target=work, args=(n,)) for n in range(BUSY)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures[:3]
assert len(served) == BUSY and min(served) > 0, served
with psycopg.connect(os.environ["TIDEMILL_DSN"], autocommit=True) as connection:
    states = dict(connection.execute("SELECT application_name, count(*) FROM pg_stat_activity WHERE application_name = 'idle' GROUP BY 1").fetchall())
    assert states == {"idle": IDLE + len(first)}, states
for stream in idle:
    stream.sendall(b"Q\0\0\0\x0dSELECT 1\0")
for stream in idle:
    received = b""
    while not received.endswith(b"Z\0\0\0\x05I"):
        received += stream.recv(4096)
    assert b"SELECT 1\0" in received
print(f"{each:.0f} kB for each idle connection, {sum(served) / SECONDS:.0f} statements a second from {BUSY} busy ones")
assert each < 100, each

# The limit.
with psycopg.connect(host=url.hostname, port=admin_port, user="mz_system", dbname="materialize", autocommit=True) as admin:
    admin.execute(f"ALTER SYSTEM SET max_connections = {IDLE}")
    try:
        psycopg.connect(os.environ["TIDEMILL_DSN"])
        raise AssertionError("one too many was let in")
    except psycopg.OperationalError as error:
        assert "sorry, too many clients already" in str(error), error
    finally:
        admin.execute("ALTER SYSTEM RESET max_connections")
with psycopg.connect(os.environ["TIDEMILL_DSN"]):
    pass
print("ok")
