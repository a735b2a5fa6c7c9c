"""psycopg 3: server-side binding, prepared statements, both formats, COPY, pipelines, SUBSCRIBE."""
import datetime
import decimal
import os
import uuid

import psycopg
from psycopg.rows import dict_row

DSN = os.environ["TIDEMILL_DSN"]

with psycopg.connect(DSN, autocommit=True) as connection:
    connection.execute("DROP TABLE IF EXISTS p3 CASCADE")
    connection.execute(
        "CREATE TABLE p3 (id int PRIMARY KEY, t text, n numeric(10,2), d date, ts timestamptz,"
        " j jsonb, a int[], u uuid, b bytea, f float8, k boolean)"
    )
    row = (
        1, "a'b\n", decimal.Decimal("12.50"), datetime.date(2024, 2, 29),
        datetime.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=datetime.timezone.utc),
        psycopg.types.json.Jsonb({"x": [1, None]}), [1, 2, None], uuid.UUID(int=7), b"\x00\xff", 1.5, True,
    )
    connection.execute("INSERT INTO p3 VALUES (" + ", ".join(["%s"] * len(row)) + ")", row)
    for binary in (False, True):
        got = connection.cursor(binary=binary).execute("SELECT * FROM p3").fetchone()
        expected = list(row)
        expected[5] = {"x": [1, None]}
        assert list(got) == expected, got
    for _ in range(8):  # prepared from the fifth on
        assert connection.execute("SELECT t FROM p3 WHERE id = %s", (1,)).fetchone() == ("a'b\n",)
    with connection.cursor(row_factory=dict_row) as cursor:
        assert cursor.execute("SELECT 1 AS one").fetchone() == {"one": 1}
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO p3 (id, t) VALUES (%s, %s)", [(i, str(i)) for i in range(2, 50)])
        with cursor.copy("COPY p3 (id, t) FROM STDIN") as copy:
            for i in range(50, 100):
                copy.write_row((i, "c"))
        with cursor.copy("COPY (SELECT id FROM p3 ORDER BY id) TO STDOUT (FORMAT BINARY)") as copy:
            copy.set_types(["int4"])
            assert [r[0] for r in copy.rows()] == list(range(1, 100))
    with connection.pipeline():
        first = connection.execute("SELECT count(*) FROM p3")
        second = connection.execute("SELECT %s::text", ("x",))
    assert first.fetchone() == (99,) and second.fetchone() == ("x",)
    try:
        connection.execute("SELECT 1/0")
        raise AssertionError("no error")
    except psycopg.errors.DivisionByZero as error:
        assert error.sqlstate == "22012"
    with connection.cursor() as cursor:
        seen = []
        for update in cursor.stream("SUBSCRIBE (SELECT id FROM p3 WHERE id < 4)"):
            seen.append(update[2])
            if len(seen) == 3:
                break
        assert sorted(seen) == [1, 2, 3]

with psycopg.connect(DSN) as connection:
    with connection.transaction():
        connection.execute("INSERT INTO p3 (id) VALUES (1000)")
        try:
            with connection.transaction():
                connection.execute("INSERT INTO p3 (id) VALUES (1001)")
                raise psycopg.Rollback
        except psycopg.Rollback:
            pass
    assert connection.execute("SELECT count(*) FROM p3 WHERE id >= 1000").fetchone() == (1,)
    connection.rollback()
    with connection.cursor(name="named") as cursor:
        cursor.execute("SELECT id FROM p3 ORDER BY id")
        assert [r[0] for r in cursor.fetchmany(3)] == [1, 2, 3]
        assert len(cursor.fetchall()) == 97
    assert connection.info.parameter_status("server_version")
    connection.cancel()
print("ok")
