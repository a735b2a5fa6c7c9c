"""psqlODBC through pyodbc: parameters, catalog functions, transactions."""
import os
from urllib.parse import urlparse

import pyodbc

url = urlparse(os.environ["TIDEMILL_DSN"])
connection = pyodbc.connect(
    "Driver=%s;Server=%s;Port=%s;Database=%s;Uid=%s" % (os.environ["PSQLODBC"], url.hostname, url.port, url.path[1:], url.username)
)
cursor = connection.cursor()
cursor.execute("DROP TABLE IF EXISTS odbc CASCADE")
cursor.execute("CREATE TABLE odbc (id int, t text)")
connection.commit()
cursor.executemany("INSERT INTO odbc VALUES (?, ?)", [(i, "t%d" % i) for i in range(20)])
connection.commit()
assert cursor.execute("SELECT t FROM odbc WHERE id = ?", 3).fetchone()[0] == "t3"
assert len(cursor.execute("SELECT * FROM odbc").fetchall()) == 20
assert [r.table_name for r in cursor.tables(table="odbc")] == ["odbc"]
assert [r.column_name for r in cursor.columns(table="odbc")] == ["id", "t"]
cursor.execute("DELETE FROM odbc")
connection.rollback()
assert cursor.execute("SELECT count(*) FROM odbc").fetchone()[0] == 20
print("ok")
