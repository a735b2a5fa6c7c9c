"""/api/sql: results, errors, transactions, parameters, limits."""
import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request

BASE = os.environ["TIDEMILL_HTTP"]


def post(body, path="/api/sql", headers=None, raw=None):
    data = raw if raw is not None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text.startswith(b"{") else text


def sql(query):
    status, answer = post({"query": query})
    assert status == 200, answer
    return answer["results"]


def get(path):
    with urllib.request.urlopen(BASE + path) as answer:
        return answer.read().decode()


results = sql("DROP TABLE IF EXISTS web CASCADE; CREATE TABLE web (id int, t text)")
assert results[1] == {"ok": "CREATE TABLE", "notices": [], "parameters": []}, results
assert sql("INSERT INTO web VALUES (1, 'a'), (2, NULL)")[0]["ok"] == "INSERT 0 2"
one = sql("SELECT id, t, id = 1 AS k, ARRAY[id] AS l FROM web ORDER BY id")[0]
assert one["rows"] == [["1", "a", True, ["1"]], ["2", None, False, ["2"]]], one
assert one["tag"] == "SELECT 2" and one["notices"] == []
assert one["desc"]["columns"][0] == {"name": "id", "type_oid": 23, "type_len": 4, "type_mod": -1}
two = sql("INSERT INTO web VALUES (3, 'c'); SELECT 1/0; SELECT 2")
assert two[0]["ok"] and two[1]["error"]["code"] == "22012" and len(two) == 2, two
assert sql("SELECT count(*) FROM web")[0]["rows"] == [["2"]], "a failed request left something"
wrong = sql("SELEC")[0]["error"]
assert wrong["code"] == "42601" and wrong["position"] == 1, wrong
status, answer = post({"queries": [
    {"query": "INSERT INTO web VALUES ($1::int, $2)", "params": ["9", None]},
    {"query": "SELECT t FROM web WHERE id = $1", "params": ["9"]},
]})
assert answer["results"][1]["rows"] == [[None]], answer
status, answer = post({"queries": [
    {"query": "INSERT INTO web VALUES (10, 'x')"}, {"query": "SELECT $1::int", "params": ["no"]},
]})
assert answer["results"][1]["error"]["code"] == "22P02"
assert sql("SELECT count(*) FROM web WHERE id = 10")[0]["rows"] == [["0"]]
assert post({"queries": [{"query": "SELECT 1; SELECT 2"}]})[1]["results"][0]["error"]["code"] == "42601"
assert sql("SUBSCRIBE web")[0]["error"]["code"] == "0A000"
assert sql("COPY web TO STDOUT")[0]["error"]["code"] == "0A000"
assert post(None, raw=b"{")[0] == 400
assert post({"query": 1})[0] == 400
assert post(None, raw=b'{"query": "' + b"x" * (17 << 20) + b'"}')[0] == 413
options = urllib.parse.quote(json.dumps({"application_name": "py", "statement_timeout": "100"}))
assert post({"query": "SHOW application_name"}, "/api/sql?options=" + options)[1]["results"][0]["rows"] == [["py"]]
auth = {"Authorization": "Basic " + base64.b64encode(b"materialize:").decode()}
assert post({"query": "SELECT current_user"}, headers=auth)[1]["results"][0]["rows"] == [["materialize"]]
assert post({"query": "SELECT 1"}, headers={"Authorization": "Bearer x"})[0] == 401
assert sql("BEGIN; INSERT INTO web VALUES (20, 'b'); COMMIT; SELECT count(*) FROM web WHERE id = 20")[3]["rows"] == [["1"]]
assert sql("BEGIN; INSERT INTO web VALUES (21, 'b')")[1]["ok"]
assert sql("SELECT count(*) FROM web WHERE id = 21")[0]["rows"] == [["0"]]
assert sql("")  == []
assert get("/api/readyz") and get("/api/livez")
metrics = get("/metrics")
for name in ("tidemill_connections", "tidemill_queries_total", "tidemill_query_seconds_bucket", "tidemill_tick",
             "tidemill_ledger_bytes", "process_resident_memory_bytes", "tidemill_errors_total"):
    assert name in metrics, name
print("ok")
