"""SQLAlchemy's inspector and Django's inspectdb find the same in the schema `shop` here and at PostgreSQL."""
import difflib
import io
import os
import pprint
import sys

import django
from django.conf import settings
from django.core.management import call_command
from sqlalchemy import MetaData, create_engine, inspect
from sqlalchemy.schema import CreateIndex, CreateTable

SERVERS = {"tidemill": os.environ["TIDEMILL_DSN"], "postgres": os.environ["REFERENCE_DSN"]}


def reflected(dsn, driver):
    engine = create_engine(dsn.replace("postgresql://", f"postgresql+{driver}://"))
    inspector = inspect(engine)
    found = {
        "tables": sorted(inspector.get_table_names("shop")), "views": sorted(inspector.get_view_names("shop")),
        "materialized views": sorted(inspector.get_materialized_view_names("shop")), "sequences": sorted(inspector.get_sequence_names("shop")),
        "enums": inspector.get_enums("shop"), "domains": inspector.get_domains("shop"),
    }
    for relation in found["tables"] + found["views"] + found["materialized views"]:
        found[relation] = {
            "columns": [{**c, "type": repr(c["type"])} for c in inspector.get_columns(relation, "shop")],
            "key": inspector.get_pk_constraint(relation, "shop"), "foreign": inspector.get_foreign_keys(relation, "shop"),
            "indexes": inspector.get_indexes(relation, "shop"), "unique": sorted(inspector.get_unique_constraints(relation, "shop"), key=str),
            "checks": inspector.get_check_constraints(relation, "shop"), "comment": inspector.get_table_comment(relation, "shop"),
            "options": inspector.get_table_options(relation, "shop"),
        }
    metadata = MetaData(schema="shop")
    # A composite type is none that SQLAlchemy knows.
    metadata.reflect(engine, views=True, only=lambda name, _: name != "customers")
    made = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(engine)))
        made += sorted(str(CreateIndex(index).compile(engine)) for index in table.indexes)
    multi = {name: str(sorted(getattr(inspector, name)(schema="shop").items(), key=str))
             for name in ("get_multi_pk_constraint", "get_multi_unique_constraints", "get_multi_table_comment")}
    return pprint.pformat(found, width=160) + "\n" + "\n".join(made) + pprint.pformat(multi, width=200)


def inspected(alias):
    out = io.StringIO()
    call_command("inspectdb", "--include-views", "--include-partitions", database=alias, stdout=out)
    return out.getvalue()


def same(what, ours, theirs):
    lines = list(difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "postgres", "tidemill", lineterm="", n=1))
    if lines:
        print(what, *lines, sep="\n")
    return not lines


def database(dsn):
    from urllib.parse import urlparse
    url = urlparse(dsn)
    return {"ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "USER": url.username, "HOST": url.hostname, "PORT": url.port,
            "OPTIONS": {"options": "-c search_path=shop"}}


settings.configure(DATABASES={"default": database(SERVERS["tidemill"]), "postgres": database(SERVERS["postgres"])})
django.setup()
good = [same(f"SQLAlchemy over {driver}", reflected(SERVERS["tidemill"], driver), reflected(SERVERS["postgres"], driver)) for driver in ("psycopg", "psycopg2")]
good.append(same("inspectdb", inspected("default"), inspected("postgres")))
if not all(good):
    sys.exit(1)
print("ok")
