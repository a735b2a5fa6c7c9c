"""psycopg2: simple protocol, named cursors, COPY, savepoints."""
import io
import os

import psycopg2
import psycopg2.extras

connection = psycopg2.connect(os.environ["TIDEMILL_DSN"])
cursor = connection.cursor()
cursor.execute("DROP TABLE IF EXISTS p2 CASCADE")
cursor.execute("CREATE TABLE p2 (id int, t text, a text[])")
connection.commit()
psycopg2.extras.execute_values(cursor, "INSERT INTO p2 VALUES %s", [(i, "x'%d" % i, ["a", None]) for i in range(100)])
cursor.execute("SAVEPOINT a")
cursor.execute("DELETE FROM p2")
cursor.execute("ROLLBACK TO a")
connection.commit()
cursor.copy_expert("COPY p2 (id, t) FROM STDIN WITH (FORMAT CSV)", io.StringIO("100,y\n101,z\n"))
connection.commit()
cursor.execute("SELECT count(*), max(a) FROM p2 WHERE t <> %s", ("q",))
assert cursor.fetchone() == (102, ["a", None])
named = connection.cursor("named")
named.itersize = 10
named.execute("SELECT id FROM p2 ORDER BY id")
assert [row[0] for row in named] == list(range(102))
named.close()
try:
    cursor.execute("SELECT nope FROM p2")
    raise AssertionError("no error")
except psycopg2.errors.UndefinedColumn:
    connection.rollback()
connection.autocommit = True
cursor.execute("SHOW server_version")
assert cursor.fetchone()
out = io.StringIO()
cursor.copy_expert("COPY (SELECT id FROM p2 WHERE id < 2 ORDER BY id) TO STDOUT", out)
assert out.getvalue() == "0\n1\n"
print("ok")
