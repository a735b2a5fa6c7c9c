"""pgcli: what it asks for its completions, and a statement."""
import os
from urllib.parse import urlparse

from pgcli.pgexecute import PGExecute

url = urlparse(os.environ["TIDEMILL_DSN"])
execute = PGExecute(database=url.path[1:], user=url.username, host=url.hostname, port=url.port)
for title, rows, headers, status, sql, success, is_special in execute.run(
    "DROP TABLE IF EXISTS pgcli_t CASCADE; CREATE TABLE pgcli_t (a int PRIMARY KEY, b text)"
):
    assert success, status
asked = ["schemata", "tables", "views", "table_columns", "view_columns", "databases", "foreignkeys", "functions", "datatypes", "casing"]
found = {name: list(getattr(execute, name)()) for name in asked}
assert ("public", "pgcli_t") in found["tables"], found["tables"]
assert any(column[1:4] == ("pgcli_t", "a", "integer") for column in found["table_columns"]), found["table_columns"][:5]
assert "materialize" in found["databases"]
assert any(function.func_name == "lower" for function in found["functions"])
assert "public" in execute.search_path()
[(_, rows, headers, *_)] = list(execute.run("SELECT 1 AS one"))
assert headers == ["one"] and list(rows) == [(1,)]
print("ok")
