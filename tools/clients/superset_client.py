"""Apache Superset through its own API: a database, its tables, a dataset, charts and SQL Lab; metadata in SQLite."""
import os
import subprocess
import sys
import tempfile

import psycopg2

DSN = os.environ["TIDEMILL_DSN"]
home = tempfile.mkdtemp()
with open(os.path.join(home, "superset_config.py"), "w") as config:
    config.write(f"""
SECRET_KEY = "only for this test, which nobody reaches"
SQLALCHEMY_DATABASE_URI = "sqlite:///{home}/superset.db"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
FEATURE_FLAGS = {{"SQLLAB_BACKEND_PERSISTENCE": False}}
""")
os.environ.update(SUPERSET_HOME=home, SUPERSET_CONFIG_PATH=os.path.join(home, "superset_config.py"), FLASK_APP="superset.app:create_app()")
program = os.path.join(os.path.dirname(sys.executable), "superset")
for command in (["db", "upgrade"], ["init"],
                ["fab", "create-admin", "--username", "admin", "--firstname", "a", "--lastname", "b", "--email", "a@b.example", "--password", "admin"]):
    done = subprocess.run([program, *command], capture_output=True, text=True)
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])

with psycopg2.connect(DSN) as connection:
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in (
            "DROP SCHEMA IF EXISTS superset_shop CASCADE",
            "CREATE SCHEMA superset_shop",
            "CREATE TABLE superset_shop.orders (id int PRIMARY KEY, customer text NOT NULL, amount numeric(10,2), at timestamp, big bigint, ok bool, tags text[], doc jsonb)",
            "COMMENT ON TABLE superset_shop.orders IS 'What was ordered'",
            "INSERT INTO superset_shop.orders SELECT i, 'c' || i % 3, i * 1.5, '2024-01-01'::timestamp + i * interval '6 hours', i, i % 2 = 0, ARRAY['a'], '{\"a\": 1}' FROM generate_series(1, 100) AS i",
            "CREATE VIEW superset_shop.recent AS SELECT id, customer, at FROM superset_shop.orders WHERE id > 50",
            "CREATE MATERIALIZED VIEW superset_shop.totals AS SELECT customer, count(*) AS n, sum(amount) AS total FROM superset_shop.orders GROUP BY customer",
            "CREATE INDEX orders_customer ON superset_shop.orders (customer)",
        ):
            cursor.execute(statement)

from superset.app import create_app  # noqa: E402

app = create_app()
client = app.test_client()
token = client.post("/api/v1/security/login", json={"username": "admin", "password": "admin", "provider": "db", "refresh": True}).json["access_token"]


def call(method, path, **arguments):
    answer = getattr(client, method)(path, headers={"Authorization": f"Bearer {token}"}, **arguments)
    assert answer.status_code in (200, 201, 202), (method, path, answer.status_code, answer.get_data(as_text=True)[:3000])
    return answer.json


uri = DSN.replace("postgresql://", "postgresql+psycopg2://")
call("post", "/api/v1/database/test_connection/", json={"database_name": "tidemill", "sqlalchemy_uri": uri})
database = call("post", "/api/v1/database/", json={"database_name": "tidemill", "sqlalchemy_uri": uri, "expose_in_sqllab": True, "allow_dml": True,
                                                   "allow_ctas": True, "allow_cvas": True})["id"]
schemas = call("get", f"/api/v1/database/{database}/schemas/")["result"]
assert {"public", "superset_shop"} <= set(schemas), schemas
call("get", f"/api/v1/database/{database}/catalogs/")
tables = {(t["value"], t["type"]) for t in call("get", f"/api/v1/database/{database}/tables/?q=(schema_name:superset_shop)")["result"]}
assert tables == {("orders", "table"), ("recent", "view"), ("totals", "materialized_view")} or tables == {("orders", "table"), ("recent", "view"), ("totals", "view")}, tables
about = call("get", f"/api/v1/database/{database}/table_metadata/?name=orders&schema=superset_shop")
assert [c["name"] for c in about["columns"]] == ["id", "customer", "amount", "at", "big", "ok", "tags", "doc"], about["columns"]
assert about["primaryKey"].get("constrained_columns", about["primaryKey"].get("column_names")) == ["id"] and about["comment"] == "What was ordered", about
assert any(i["name"] == "orders_customer" and i["column_names"] == ["customer"] for i in about["indexes"]), about["indexes"]
call("get", f"/api/v1/database/{database}/table_metadata/extra/?name=orders&schema=superset_shop")
call("get", f"/api/v1/database/{database}/select_star/orders/superset_shop/")
call("get", f"/api/v1/database/{database}/function_names/")

datasets = {}
for table in ("orders", "recent", "totals"):
    datasets[table] = call("post", "/api/v1/dataset/", json={"database": database, "schema": "superset_shop", "table_name": table})["id"]
columns = {c["column_name"]: (c["type"], c["is_dttm"]) for c in call("get", f"/api/v1/dataset/{datasets['orders']}")["result"]["columns"]}
assert columns["at"] == ("TIMESTAMP WITHOUT TIME ZONE", True) or columns["at"][1], columns
assert columns["amount"][0].startswith("NUMERIC"), columns
virtual = call("post", "/api/v1/dataset/", json={"database": database, "schema": "superset_shop", "table_name": "virtual",
                                                "sql": "SELECT customer, at, amount FROM superset_shop.orders WHERE amount > 3;"})["id"]


def chart(dataset, **query):
    body = {"datasource": {"id": dataset, "type": "table"}, "force": True, "queries": [query], "result_format": "json", "result_type": "full"}
    result = call("post", "/api/v1/chart/data", json=body)["result"][0]
    assert not result.get("error"), result
    return result["data"]


total = {"expressionType": "SIMPLE", "column": {"column_name": "amount"}, "aggregate": "SUM", "label": "total"}
data = chart(datasets["orders"], columns=["customer"], metrics=[total, "count"], orderby=[[total, False]], row_limit=10)
assert [(r["customer"], float(r["total"]), r["count"]) for r in data] == [("c1", 2575.5, 34), ("c0", 2524.5, 33), ("c2", 2475.0, 33)], data
day = {"timeGrain": "P1D", "columnType": "BASE_AXIS", "sqlExpression": "at", "label": "at", "expressionType": "SQL"}
data = chart(datasets["orders"], columns=[day], metrics=["count"], filters=[{"col": "customer", "op": "IN", "val": ["c0", "c1"]}],
             time_range="2024-01-05 : 2024-01-10", granularity="at", orderby=[])
assert 5 <= len(data) <= 6 and sum(r["count"] for r in data) == 13, data
for grain in ("PT1S", "PT1M", "PT5M", "PT15M", "PT30M", "PT1H", "P1D", "P1W", "P1M", "P3M", "P1Y"):
    data = chart(datasets["orders"], columns=[{**day, "timeGrain": grain}], metrics=["count"])
    assert sum(r["count"] for r in data) == 100, (grain, data)
data = chart(datasets["orders"], columns=["customer", "id"], metrics=[], orderby=[["id", True]], row_limit=5, row_offset=5)
assert [r["id"] for r in data] == [6, 7, 8, 9, 10], data
data = chart(virtual, columns=["customer"], metrics=["count"], series_limit=2, series_columns=["customer"], filters=[{"col": "customer", "op": "ILIKE", "val": "C%"}])
assert sum(r["count"] for r in data) == 98, data
assert len(chart(datasets["totals"], columns=["customer", "n", "total"], metrics=[])) == 3
body = {"datasource": {"id": datasets["orders"], "type": "table"}, "queries": [{"columns": ["customer"], "metrics": ["count"]}], "result_type": "samples"}
call("post", "/api/v1/chart/data", json=body)
values = call("get", f"/api/v1/datasource/table/{datasets['orders']}/column/customer/values/")["result"]
assert sorted(values) == ["c0", "c1", "c2"], values


def lab(sql, **more):
    return call("post", "/api/v1/sqllab/execute/", json={"database_id": database, "schema": "superset_shop", "sql": sql, "runAsync": False, "client_id": os.urandom(5).hex(), **more})


data = lab("SELECT customer, n FROM totals ORDER BY n DESC, customer LIMIT 2")["data"]
assert data == [{"customer": "c1", "n": 34}, {"customer": "c0", "n": 33}], data
assert lab("SELECT 1 AS one; SELECT 2 AS two")["data"] == [{"two": 2}]
assert lab("SHOW search_path")["data"] is not None
assert lab("EXPLAIN SELECT * FROM orders")["data"]
lab("CREATE TABLE lab (a int); INSERT INTO lab VALUES (1), (2)")
assert lab("SELECT sum(a) AS s FROM lab")["data"] == [{"s": 3}]
lab("SELECT customer FROM orders", select_as_cta=True, ctas_method="TABLE", tmp_table_name="lab_made")
assert lab("SELECT count(*) AS n FROM lab_made")["data"] == [{"n": 100}]
lab("SELECT customer FROM orders", select_as_cta=True, ctas_method="VIEW", tmp_table_name="lab_view")
answer = client.post("/api/v1/sqllab/execute/", headers={"Authorization": f"Bearer {token}"},
                     json={"database_id": database, "schema": "superset_shop", "sql": "SELECT nope FROM orders", "client_id": "x1"})
assert "nope" in answer.get_data(as_text=True) and answer.status_code >= 400, answer.get_data(as_text=True)
print("ok")
