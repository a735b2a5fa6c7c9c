//! Plans of statements over a small catalog, and what is refused.

use tidemill_catalog::{CatalogChange, Definition, Item, QualifiedName, Secret, builtin};
use tidemill_repr::{Datum, ObjectId, Row, Tick};

use super::*;
use crate::parse::parse;
use crate::plan::{CopyFormat, NewItem, TablesWanted};

fn qualified(item: &str) -> QualifiedName {
    QualifiedName {
        database: Some("materialize".to_owned()),
        schema: "public".to_owned(),
        item: item.to_owned(),
    }
}

/// A catalog, and the statements that fill it.
struct World {
    catalog: Catalog,
    search_path: Vec<String>,
}

impl World {
    fn new() -> World {
        let mut changes = builtin::changes();
        let owner = || "materialize".to_owned();
        changes.push(CatalogChange::CreateDatabase {
            id: 1,
            oid: Catalog::oid_for(1),
            name: "materialize".to_owned(),
            owner: owner(),
        });
        for (id, name) in [(2, "public"), (3, "other")] {
            changes.push(CatalogChange::CreateSchema {
                id,
                oid: Catalog::oid_for(id),
                database: "materialize".to_owned(),
                name: name.to_owned(),
                owner: owner(),
            });
        }
        let catalog = Catalog::empty().apply(&changes).unwrap();
        World { catalog, search_path: vec!["public".to_owned()] }
    }

    fn try_plan(&self, text: &str) -> Result<Planned, SqlError> {
        let session = SessionView {
            settings: &(),
            database: "materialize",
            search_path: &self.search_path,
            user: "materialize",
            session_user: "materialize",
            time_zone: "UTC",
            now: 0,
            cluster: "quickstart",
            backend_pid: 1,
        };
        let statements = parse(text)?;
        plan(&self.catalog, &session, &statements[0], &[])
    }

    fn plan(&self, text: &str) -> Planned {
        self.try_plan(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    fn error(&self, text: &str) -> (&'static str, String) {
        let error = self.try_plan(text).map(|planned| planned.plan).expect_err(text);
        (error.code.0, error.message)
    }

    fn put(&mut self, item: NewItem) -> ObjectId {
        let number = self.catalog.next_number();
        let id = ObjectId::User(number);
        let change = CatalogChange::PutItem(Box::new(Item {
            id,
            oid: Catalog::oid_for(number),
            name: item.name,
            owner: "materialize".to_owned(),
            create_sql: item.create_sql,
            depends_on: item.depends_on,
            definition: item.definition,
        }));
        self.catalog = self.catalog.apply(&[change]).unwrap();
        id
    }

    /// Runs a CREATE; its create_sql makes the same again.
    fn create(&mut self, text: &str) -> ObjectId {
        let item = created(self.plan(text).plan);
        let again = created(self.plan(&item.create_sql).plan);
        assert_eq!(again.create_sql, item.create_sql, "{text}");
        assert_eq!(again.name, item.name, "{text}");
        self.put(item)
    }

    fn rebuild(&self, item: &Item) -> crate::rebuild::Rebuilt {
        let session = SessionView {
            settings: &(),
            database: "materialize",
            search_path: &[],
            user: "materialize",
            session_user: "materialize",
            time_zone: "UTC",
            now: 0,
            cluster: "quickstart",
            backend_pid: 1,
        };
        crate::rebuild::rebuild(&self.catalog, &session, item)
            .unwrap_or_else(|error| panic!("{}: {error:?}", item.name))
    }

    fn filled() -> World {
        let mut world = World::new();
        world.put(NewItem {
            name: qualified("pw"),
            create_sql: "CREATE SECRET materialize.public.pw AS '********'".to_owned(),
            depends_on: Vec::new(),
            definition: Definition::Secret(Secret { ciphertext: Vec::new() }),
            replaces: None,
        });
        world.create(
            "CREATE CONNECTION pg TO POSTGRES (HOST 'h', PORT '5433', USER me, \
             PASSWORD SECRET pw, SSL MODE 'require', DATABASE \"My Db\")",
        );
        world.create(
            "CREATE TABLE t (a int NOT NULL, b varchar(5) DEFAULT 'x' || 'y', \"C\" numeric(10,2))",
        );
        world.create("CREATE VIEW v (x, y) AS SELECT a, b FROM t");
        world.create("CREATE MATERIALIZED VIEW m AS SELECT a, count(*) AS n FROM t GROUP BY a");
        world
    }
}

fn created(plan: Plan) -> NewItem {
    match plan {
        Plan::CreateTable(plan) => plan.table,
        Plan::CreateView(item)
        | Plan::CreateMaterializedView(item)
        | Plan::CreateIndex(item)
        | Plan::CreateConnection { item, .. } => item,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_created_can_be_created_again() {
    let mut world = World::filled();
    let sql = |world: &World, name: &str| {
        world.catalog.item_by_name(&qualified(name)).unwrap().create_sql.clone()
    };
    assert_eq!(
        sql(&world, "t"),
        "CREATE TABLE materialize.public.t (a integer NOT NULL, \
         b character varying(5) DEFAULT 'x' || 'y', \"C\" numeric(10,2))"
    );
    assert_eq!(
        sql(&world, "v"),
        "CREATE VIEW materialize.public.v (x, y) AS SELECT a, b FROM materialize.public.t"
    );
    world.create("CREATE INDEX ON v (x, lower(y))");
    assert_eq!(
        sql(&world, "v_x_lower_idx"),
        "CREATE INDEX v_x_lower_idx IN CLUSTER quickstart ON materialize.public.v (x, lower(y))"
    );
    world.create("CREATE DEFAULT INDEX ON m");
    world.create(
        "CREATE VIEW w AS WITH t AS (SELECT * FROM t), u AS (SELECT * FROM t) \
                  SELECT u.a FROM u JOIN public.t AS z ON u.a = z.a",
    );
    assert_eq!(
        sql(&world, "w"),
        "CREATE VIEW materialize.public.w AS WITH t AS (SELECT * FROM materialize.public.t), \
         u AS (SELECT * FROM t) SELECT u.a FROM u JOIN materialize.public.t AS z ON u.a = z.a"
    );
    let view = world.catalog.item_by_name(&qualified("w")).unwrap();
    let table = world.catalog.item_by_name(&qualified("t")).unwrap();
    assert_eq!(view.depends_on, [table.id]);
}

#[test]
fn creating_is_checked() {
    let world = World::filled();
    let cases = [
        ("CREATE TABLE t (a int)", "42P07", "relation \"t\" already exists"),
        ("CREATE TABLE nosuch.t (a int)", "3F000", "schema \"nosuch\" does not exist"),
        ("CREATE TABLE x (a int, a int)", "42701", "column \"a\" specified more than once"),
        ("CREATE TABLE x (a nonsense)", "42704", "type \"nonsense\" does not exist"),
        (
            "CREATE TABLE x (a int REFERENCES t)",
            "0A000",
            "a FOREIGN KEY constraint is not supported",
        ),
        (
            "CREATE CONNECTION c TO POSTGRES (HOST 'h', USER 'u', COLOUR 'red')",
            "22023",
            "unrecognized option COLOUR of CREATE CONNECTION",
        ),
        (
            "CREATE CONNECTION c TO POSTGRES (HOST 'h', HOST 'i', USER 'u')",
            "42601",
            "CREATE CONNECTION specifies option HOST more than once",
        ),
        (
            "CREATE CONNECTION c TO POSTGRES (USER 'u')",
            "22023",
            "CREATE CONNECTION requires option HOST",
        ),
        (
            "CREATE CONNECTION c TO POSTGRES (HOST 'h', USER 'u', PORT 70000)",
            "22023",
            "option PORT of CREATE CONNECTION requires a number from 1 to 65535",
        ),
        (
            "CREATE CONNECTION c TO POSTGRES (HOST 'h', USER 'u', PASSWORD 'open')",
            "22023",
            "option PASSWORD of CREATE CONNECTION requires a secret",
        ),
        (
            "CREATE CONNECTION c TO POSTGRES (HOST 'h', USER 'u', PASSWORD SECRET nosuch)",
            "42P01",
            "secret \"nosuch\" does not exist",
        ),
        (
            "CREATE CONNECTION c TO SSH TUNNEL (HOST 'h')",
            "22023",
            "CREATE CONNECTION requires option USER",
        ),
        (
            "CREATE SOURCE s FROM POSTGRES CONNECTION t (PUBLICATION 'p')",
            "42809",
            "\"t\" is not a connection",
        ),
        (
            "CREATE SOURCE s FROM POSTGRES CONNECTION pg",
            "22023",
            "CREATE SOURCE requires option PUBLICATION",
        ),
        ("CREATE VIEW x AS SELECT $1::int", "42P02", "there is no parameter $1"),
        (
            "CREATE VIEW x AS SELECT 1 AS a, 2 AS a",
            "42701",
            "column \"a\" specified more than once",
        ),
        ("CREATE OR REPLACE VIEW t AS SELECT 1", "42809", "\"t\" is not a view"),
        ("CREATE INDEX ON pg (a)", "42809", "\"pg\" is not a table"),
        ("CREATE SCHEMA public", "42P06", "schema \"public\" already exists"),
        ("CREATE SCHEMA pg_x", "42939", "unacceptable schema name \"pg_x\""),
        ("CREATE DATABASE materialize", "42P04", "database \"materialize\" already exists"),
        ("GRANT SELECT ON t TO x", "42704", "role \"x\" does not exist"),
    ];
    for (text, code, message) in cases {
        assert_eq!(world.error(text), (code, message.to_owned()), "{text}");
    }
    let planned = world.plan("CREATE TABLE IF NOT EXISTS t (a int)");
    assert!(matches!(planned.plan, Plan::Nothing { tag: "CREATE TABLE" }));
    assert_eq!(planned.notices[0].message, "relation \"t\" already exists, skipping");
}

#[test]
fn secrets_do_not_show() {
    let world = World::new();
    let Plan::CreateSecret(plan) = world.plan("CREATE SECRET s AS 'hush'").plan else { panic!() };
    assert_eq!(plan.value.0, b"hush");
    assert!(!format!("{plan:?}").contains("hush"));
    assert_eq!(plan.create_sql, "CREATE SECRET materialize.public.s AS '********'");
    let (code, message) = world.error("CREATE SECRET s AS NULL");
    assert_eq!(code, "22023");
    assert!(!message.contains("hush"));
}

#[test]
fn sources_say_what_is_wanted() {
    let world = World::filled();
    let text = "CREATE SOURCE s FROM POSTGRES CONNECTION pg (PUBLICATION 'p', \
                TEXT COLUMNS (x.a)) FOR TABLES (public.x AS y, z) WITH (SIZE '3xsmall')";
    let planned = world.plan(text);
    assert_eq!(planned.notices.len(), 1);
    let Plan::CreateSource(plan) = planned.plan else { panic!() };
    assert_eq!(plan.publication, "p");
    assert_eq!(
        plan.tables,
        TablesWanted::Tables(vec![
            (vec!["public".to_owned(), "x".to_owned()], Some(qualified("y"))),
            (vec!["z".to_owned()], None),
        ])
    );
    assert_eq!(
        plan.create_sql,
        "CREATE SOURCE materialize.public.s IN CLUSTER quickstart FROM POSTGRES CONNECTION \
         materialize.public.pg (PUBLICATION = 'p', TEXT COLUMNS (x.a)) FOR TABLES \
         (public.x AS materialize.public.y, z)"
    );
    let Plan::CreateSource(again) = world.plan(&plan.create_sql).plan else { panic!() };
    assert_eq!(again.create_sql, plan.create_sql);
}

#[test]
fn drops_take_what_depends() {
    let mut world = World::filled();
    let index = world.create("CREATE INDEX i ON v (x)");
    let id = |name: &str| world.catalog.item_by_name(&qualified(name)).unwrap().id;
    let (code, message) = world.error("DROP TABLE t");
    assert_eq!(code, "2BP01");
    assert_eq!(message, "cannot drop table t because other objects depend on it");
    let planned = world.plan("DROP TABLE t CASCADE");
    assert_eq!(planned.notices[0].message, "drop cascades to 2 other objects");
    let detail = "drop cascades to view v\ndrop cascades to materialized view m";
    assert_eq!(planned.notices[0].detail.as_deref(), Some(detail));
    let Plan::Drop(plan) = planned.plan else { panic!() };
    assert_eq!(plan.items.len(), 4);
    assert_eq!(plan.items.last(), Some(&id("t")));
    let place = |id| plan.items.iter().position(|item| *item == id);
    assert!(place(index) < place(id("v")));
    // An index goes with its relation.
    let Plan::Drop(plan) = world.plan("DROP VIEW v").plan else { panic!() };
    assert_eq!(plan.items, [index, id("v")]);
    let planned = world.plan("DROP TABLE IF EXISTS nosuch");
    assert_eq!(planned.notices[0].message, "table \"nosuch\" does not exist, skipping");
    assert_eq!(world.error("DROP TABLE nosuch").1, "table \"nosuch\" does not exist");
    assert_eq!(world.error("DROP VIEW t").0, "42809");
    assert_eq!(world.error("DROP TABLE mz_tables").0, "42501");
    assert_eq!(world.error("DROP SCHEMA public").0, "2BP01");
    assert_eq!(world.error("DROP SCHEMA mz_catalog").0, "42501");
    let Plan::Drop(plan) = world.plan("DROP SCHEMA public CASCADE").plan else { panic!() };
    assert_eq!(plan.schemas, [("materialize".to_owned(), "public".to_owned())]);
    assert_eq!(plan.items.len(), 6);
    let Plan::Rename(plan) = world.plan("ALTER MATERIALIZED VIEW m RENAME TO n").plan else {
        panic!()
    };
    assert!(plan.create_sql.starts_with("CREATE MATERIALIZED VIEW materialize.public.n IN"));
    let Plan::Rename(plan) = world.plan("ALTER TABLE t RENAME TO u").plan else { panic!() };
    assert_eq!(plan.dependants.len(), 2);
    assert!(plan.dependants.iter().all(|item| item.create_sql.contains("public.u AS t")));
}

#[test]
fn writes_are_queries() {
    let world = World::filled();
    let Plan::Insert(insert) = world.plan("INSERT INTO t (b, a) VALUES ('q', 1)").plan else {
        panic!()
    };
    assert_eq!(insert.check.desc.arity(), 3);
    for text in [
        "INSERT INTO t VALUES (1, DEFAULT, 2), (2, 'b', 3.5)",
        "INSERT INTO t SELECT a, b FROM t",
        "INSERT INTO t (a) SELECT 1",
        "INSERT INTO t DEFAULT VALUES",
        "INSERT INTO other.t2 VALUES (1)",
    ] {
        if !text.contains("other") {
            assert!(matches!(world.plan(text).plan, Plan::Insert(_)), "{text}");
        }
    }
    let planned = world.plan("INSERT INTO t (a, \"C\") VALUES ($1, $2)");
    assert_eq!(planned.parameters, [ScalarType::Int4, ScalarType::Numeric]);
    let planned = world.plan("UPDATE t SET b = DEFAULT, a = a + $1 WHERE a > 3");
    assert_eq!(planned.parameters, [ScalarType::Int4]);
    assert!(matches!(world.plan("DELETE FROM t AS z WHERE z.a = 1").plan, Plan::Delete(_)));
    let error = insert
        .check
        .check(Row::pack([Datum::Null, Datum::Text("x"), Datum::Null]).as_ref())
        .unwrap_err();
    assert_eq!(
        error.message,
        "null value in column \"a\" of relation \"t\" violates not-null constraint"
    );
    assert_eq!(error.code.0, "23502");
    assert!(error.detail.unwrap().starts_with("Failing row contains (null, "));
    let cases = [
        ("INSERT INTO v VALUES (1)", "42809", "cannot insert into view \"v\""),
        ("INSERT INTO mz_tables VALUES (1)", "42501", "cannot insert into table \"mz_tables\""),
        (
            "INSERT INTO t (nosuch) VALUES (1)",
            "42703",
            "column \"nosuch\" of relation \"t\" does not exist",
        ),
        ("INSERT INTO t (a, a) VALUES (1, 2)", "42701", "column \"a\" specified more than once"),
        ("INSERT INTO t VALUES (1) RETURNING nosuch", "42703", "column \"nosuch\" does not exist"),
        (
            "INSERT INTO t VALUES (1) ON CONFLICT (a) DO NOTHING",
            "42P10",
            "there is no unique or exclusion constraint matching the ON CONFLICT specification",
        ),
        ("UPDATE t SET a = 1, a = 2", "42601", "multiple assignments to same column \"a\""),
        ("UPDATE t SET nosuch = 2", "42703", "column \"nosuch\" of relation \"t\" does not exist"),
        ("DELETE FROM t USING nosuch", "42P01", "relation \"nosuch\" does not exist"),
        ("UPDATE nosuch SET a = 1", "42P01", "relation \"nosuch\" does not exist"),
    ];
    for (text, code, message) in cases {
        assert_eq!(world.error(text), (code, message.to_owned()), "{text}");
    }
}

#[test]
fn reads() {
    let world = World::filled();
    let Plan::Select(select) = world.plan("SELECT a FROM t ORDER BY a LIMIT 3 AS OF 77").plan
    else {
        panic!()
    };
    assert_eq!(select.as_of.map(|as_of| as_of.tick), Some(Tick(77)));
    assert_eq!(select.finishing.limit, Some(3));
    let planned =
        world.plan("SUBSCRIBE t WITH (PROGRESS, SNAPSHOT false) AS OF AT LEAST 5 UP TO 9");
    let names: Vec<String> =
        planned.desc.unwrap().columns.into_iter().map(|column| column.name).collect();
    assert_eq!(names, ["mz_timestamp", "mz_progressed", "mz_diff", "a", "b", "C"]);
    let Plan::Subscribe(subscribe) = planned.plan else { panic!() };
    assert!(subscribe.progress && !subscribe.snapshot && subscribe.up_to == Some(Tick(9)));
    assert_eq!(
        world.error("SUBSCRIBE t WITH (COLOUR)"),
        ("22023", "unrecognized option COLOUR of SUBSCRIBE".to_owned())
    );
    let Plan::Copy(copy) = world.plan("COPY (SUBSCRIBE v) TO STDOUT WITH (FORMAT binary)").plan
    else {
        panic!()
    };
    assert_eq!(copy.options.format, CopyFormat::Binary);
    assert!(matches!(world.plan("COPY t (a) TO STDOUT").plan, Plan::Copy(_)));
    assert!(matches!(world.plan("COPY t FROM STDIN").plan, Plan::CopyFrom(_)));
    assert_eq!(world.error("COPY t FROM '/etc/passwd'").0, "42501");
    assert!(matches!(world.plan("DECLARE c CURSOR FOR SUBSCRIBE t").plan, Plan::Declare(_)));
    let Plan::Fetch(fetch) = world.plan("FETCH ALL c WITH (timeout = '1.5s')").plan else {
        panic!()
    };
    assert_eq!(fetch.timeout_micros, Some(1_500_000));
    for text in [
        "EXPLAIN SELECT * FROM t",
        "EXPLAIN RAW PLAN FOR SELECT * FROM t",
        "EXPLAIN MATERIALIZED VIEW m",
        "EXPLAIN INSERT INTO t VALUES (1)",
    ] {
        assert!(matches!(world.plan(text).plan, Plan::Explain(_)), "{text}");
    }
    assert_eq!(
        world.error("EXPLAIN ANALYZE SELECT 1"),
        ("0A000", "EXPLAIN with ANALYZE is not supported".to_owned())
    );
    let error = world.try_plan("SELECT 1;\nSELECT 2").map(|_| ());
    assert!(error.is_ok());
    let error = world.try_plan("SELECT 1,\n  nosuch FROM t").map(|_| ()).unwrap_err();
    assert_eq!((error.code.0, error.position), ("42703", Some(13)));
}

#[test]
fn shows_are_queries() {
    let world = World::filled();
    for text in [
        "SHOW SOURCES",
        "SHOW SUBSOURCES",
        "SHOW TABLES",
        "SHOW VIEWS FROM public LIKE 'a%'",
        "SHOW MATERIALIZED VIEWS IN CLUSTER quickstart",
        "SHOW INDEXES",
        "SHOW INDEXES ON t",
        "SHOW CONNECTIONS WHERE type = 'postgres'",
        "SHOW SECRETS",
        "SHOW DATABASES",
        "SHOW SCHEMAS FROM materialize",
        "SHOW OBJECTS",
        "SHOW CLUSTERS",
        "SHOW COLUMNS FROM t",
        "SHOW CREATE TABLE t",
        "SHOW CREATE MATERIALIZED VIEW m",
        "SHOW CREATE CONNECTION pg",
    ] {
        assert!(matches!(world.plan(text).plan, Plan::Select(_)), "{text}");
    }
    assert_eq!(world.error("SHOW TABLES FROM nosuch").0, "3F000");
    assert_eq!(world.error("SHOW CREATE SECRET pw").0, "0A000");
    assert!(matches!(world.plan("SHOW search_path").plan, Plan::ShowVariable(_)));
}

#[test]
fn transactions_and_settings() {
    let world = World::new();
    let Plan::Begin(modes) = world.plan("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY").plan else {
        panic!()
    };
    assert_eq!((modes.read_only, modes.isolation), (Some(true), Some("serializable")));
    assert!(matches!(world.plan("START TRANSACTION").plan, Plan::Begin(_)));
    assert!(matches!(world.plan("END").plan, Plan::Commit { chain: false }));
    assert!(matches!(world.plan("ABORT").plan, Plan::Rollback { chain: false }));
    assert!(matches!(world.plan("SAVEPOINT a").plan, Plan::Savepoint(name) if name == "a"));
    assert!(matches!(world.plan("SET a = 1").plan, Plan::SetVariable(_)));
    assert!(matches!(world.plan("DISCARD ALL").plan, Plan::Discard(_)));
    assert!(matches!(world.plan("PREPARE p AS SELECT $1::int").plan, Plan::Prepare(_)));
    assert!(matches!(world.plan("EXECUTE p (1 + 1)").plan, Plan::Execute(_)));
}

#[test]
fn plans_are_made_again_from_texts() {
    use crate::rebuild::Rebuilt;

    let mut world = World::filled();
    world.create("CREATE INDEX i ON v (x)");
    for item in world.catalog.items() {
        let again = world.rebuild(item);
        match &item.definition {
            Definition::Index(index) => {
                assert!(matches!(again, Rebuilt::Key(key) if key == index.key));
            }
            _ => match item.view().and_then(|view| view.query.as_deref()) {
                Some(query) => {
                    assert!(matches!(again, Rebuilt::Query(made, ..) if made == *query));
                }
                None => assert!(item.is_system() || matches!(again, Rebuilt::Nothing)),
            },
        }
    }
}
