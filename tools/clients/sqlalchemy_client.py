"""SQLAlchemy over psycopg: reflection, ORM, nested transactions; pandas reads through it."""
import os

import pandas
from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_engine(os.environ["TIDEMILL_DSN"].replace("postgresql://", "postgresql+psycopg://"))


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "sa_authors"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]


class Book(Base):
    __tablename__ = "sa_books"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    author: Mapped[int]
    title: Mapped[str | None]


with engine.begin() as connection:
    for table in Base.metadata.tables:
        connection.execute(text(f"DROP TABLE IF EXISTS {table} CASCADE"))
Base.metadata.create_all(engine)
Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all([Author(id=1, name="ann"), Author(id=2, name="bob")])
    session.add_all([Book(id=i, author=1 + i % 2, title="t%d" % i) for i in range(10)])
    session.commit()
    with session.begin_nested() as nested:
        session.add(Book(id=100, author=1))
        session.flush()
        nested.rollback()
    session.get(Book, 3).title = "changed"
    session.commit()
    statement = select(Author.name, Book.title).join(Book, Book.author == Author.id).where(Book.id < 4).order_by(Book.id)
    assert session.execute(statement).all() == [
        ("ann", "t0"), ("bob", "t1"), ("ann", "t2"), ("bob", "changed"),
    ]
with engine.begin() as connection:
    connection.execute(text("CREATE VIEW IF NOT EXISTS sa_view AS SELECT name FROM sa_authors"))
    connection.execute(text("CREATE MATERIALIZED VIEW IF NOT EXISTS sa_mv AS SELECT author, count(*) AS n FROM sa_books GROUP BY author"))
inspector = inspect(engine)
assert {"sa_authors", "sa_books"} <= set(inspector.get_table_names()), inspector.get_table_names()
assert "sa_view" in inspector.get_view_names()
columns = inspector.get_columns("sa_books")
assert [(c["name"], str(c["type"]), c["nullable"]) for c in columns] == [
    ("id", "INTEGER", False), ("author", "INTEGER", False), ("title", "VARCHAR", True),
], columns
assert inspector.get_pk_constraint("sa_books")["constrained_columns"] == ["id"]
inspector.get_foreign_keys("sa_books")
inspector.get_indexes("sa_books")
inspector.get_unique_constraints("sa_books")
inspector.get_check_constraints("sa_books")
inspector.get_table_comment("sa_books")
inspector.get_view_definition("sa_view")
inspector.get_schema_names()
inspector.get_enums()
inspector.get_sequence_names()
assert "sa_mv" in inspector.get_materialized_view_names()
frame = pandas.read_sql("SELECT author, n FROM sa_mv ORDER BY author", engine)
assert frame.n.tolist() == [5, 5]
frame = pandas.read_sql_table("sa_authors", engine)
assert frame.name.tolist() == ["ann", "bob"]
pandas.DataFrame({"a": [1, 2], "b": ["x", None]}).to_sql("sa_frame", engine, if_exists="replace", index=False)
print("ok")
