"""asyncpg: binary format for everything, introspection of types, cursors, COPY, pools."""
import asyncio
import datetime
import decimal
import os
import uuid

import asyncpg


async def main():
    connection = await asyncpg.connect(os.environ["TIDEMILL_DSN"])
    await connection.execute("DROP TABLE IF EXISTS apg CASCADE")
    await connection.execute(
        "CREATE TABLE apg (id int, t text, n numeric, ts timestamp, j jsonb, a text[], u uuid, i interval)"
    )
    row = (
        1, "é", decimal.Decimal("-1.25"), datetime.datetime(2020, 1, 2, 3, 4, 5), '{"a": 1}',
        ["x", None], uuid.UUID(int=5), datetime.timedelta(days=1, seconds=2),
    )
    await connection.execute("INSERT INTO apg VALUES ($1,$2,$3,$4,$5,$6,$7,$8)", *row)
    got = await connection.fetchrow("SELECT * FROM apg WHERE id = $1", 1)
    assert tuple(got)[:2] == row[:2] and got["n"] == row[2] and got["a"] == row[5] and got["i"] == row[7], got
    await connection.executemany("INSERT INTO apg (id, t) VALUES ($1, $2)", [(i, "m") for i in range(2, 100)])
    await connection.copy_records_to_table("apg", records=[(i, "c") for i in range(100, 200)], columns=["id", "t"])
    async with connection.transaction():
        ids = [r["id"] async for r in connection.cursor("SELECT id FROM apg ORDER BY id", prefetch=10)]
        assert ids == list(range(1, 200))
        try:
            async with connection.transaction():
                await connection.execute("DELETE FROM apg")
                await connection.execute("SELECT 1/0")
        except asyncpg.DivisionByZeroError:
            pass
    assert await connection.fetchval("SELECT count(*) FROM apg") == 199
    statement = await connection.prepare("SELECT $1::int + 1 AS next, ARRAY[ROW(1,'a')] IS NULL AS r")
    assert [a.name for a in statement.get_attributes()] == ["next", "r"]
    assert (await statement.fetchrow(4))["next"] == 5
    try:
        await asyncio.wait_for(connection.execute("SUBSCRIBE (SELECT id FROM apg WHERE id < 0)"), 0.5)
    except asyncio.TimeoutError:
        pass
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
    async with asyncpg.create_pool(os.environ["TIDEMILL_DSN"], min_size=2, max_size=4) as pool:
        values = await asyncio.gather(*(pool.fetchval("SELECT $1::int", i) for i in range(20)))
        assert values == list(range(20))
    print("ok")


asyncio.run(main())
