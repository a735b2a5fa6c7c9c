//! Tests of query planning, over a small hand-made catalog.

use sqlparser::ast::{Query, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{
    ColumnType, Datum, ObjectId, Oid, RelationDesc, Row, ScalarType, SqlError, SqlState,
};

use super::{PlannedQuery, QueryContext, Relation, Relations, plan_top_query, plan_view_query};

struct Shop;

impl Relations for Shop {
    fn has_schema(&self, name: &str) -> bool {
        matches!(name, "public" | "pg_catalog")
    }

    fn relation(&self, parts: &[String]) -> Result<Relation, SqlError> {
        let integer = || ColumnType::new(ScalarType::Int4);
        let name = parts.last().cloned().unwrap_or_default();
        let (number, columns) = match name.as_str() {
            "t" => (
                1,
                vec![
                    ("a", integer().nullable(false)),
                    ("b", ColumnType::new(ScalarType::Text)),
                    ("c", ColumnType::new(ScalarType::Numeric)),
                ],
            ),
            "u" => (2, vec![("a", ColumnType::new(ScalarType::Int8)), ("d", integer())]),
            _ => {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_TABLE,
                    format!("relation \"{}\" does not exist", parts.join(".")),
                ));
            }
        };
        Ok(Relation {
            id: ObjectId::User(number),
            oid: Oid(20_000 + u32::try_from(number).unwrap()),
            schema: "public".to_owned(),
            name,
            desc: RelationDesc::new(columns),
            primary_key: Vec::new(),
            of_all_databases: false,
        })
    }
}

fn parse(sql: &str) -> Query {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
    match statements.pop() {
        Some(Statement::Query(query)) => *query,
        other => panic!("no query: {other:?}"),
    }
}

fn plan(sql: &str) -> Result<PlannedQuery, SqlError> {
    let context = QueryContext::new(&Shop, sql);
    plan_top_query(&context, &parse(sql))
}

fn columns(sql: &str) -> Vec<String> {
    let planned = plan(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let columns = planned.desc.columns.iter();
    columns.map(|column| format!("{} {}", column.name, column.typ.sql_name())).collect()
}

fn refused(sql: &str) -> (&'static str, String, Option<u32>) {
    match plan(sql) {
        Ok(planned) => panic!("{sql} was planned: {planned:?}"),
        Err(error) => (error.code.0, error.message, error.position),
    }
}

#[test]
fn mistakes_have_the_codes_of_postgresql() {
    for (sql, code) in [
        ("SELECT coalesce()", "42601"),
        ("SELECT [1]", "42601"),
        ("SELECT nosuchschema.f(1)", "3F000"),
        ("SELECT public.f(1)", "42883"),
    ] {
        assert_eq!(refused(sql).0, code, "{sql}");
    }
}

#[test]
fn output_names_and_types_are_those_of_postgresql() {
    for (sql, wanted) in [
        (
            "SELECT 1, 'x', 1.5, 3000000000, NULL",
            vec![
                "?column? integer",
                "?column? text",
                "?column? numeric",
                "?column? bigint",
                "?column? text",
            ],
        ),
        ("SELECT * FROM t", vec!["a integer", "b text", "c numeric"]),
        ("SELECT t.*, u.d FROM t, u", vec!["a integer", "b text", "c numeric", "d integer"]),
        ("SELECT * FROM t JOIN u USING (a)", vec!["a bigint", "b text", "c numeric", "d integer"]),
        (
            "SELECT * FROM t NATURAL FULL JOIN u",
            vec!["a bigint", "b text", "c numeric", "d integer"],
        ),
        ("SELECT t.a, u.a FROM t LEFT JOIN u USING (a)", vec!["a integer", "a bigint"]),
        (
            "SELECT lower(b), a::text, '1'::int, CASE WHEN true THEN 1 END FROM t",
            vec!["lower text", "a text", "int4 integer", "case integer"],
        ),
        (
            "SELECT coalesce(a, 1), count(*), sum(a), avg(a), max(c) FROM t GROUP BY a",
            vec!["coalesce integer", "count bigint", "sum bigint", "avg numeric", "max numeric"],
        ),
        (
            "SELECT (SELECT d FROM u LIMIT 1), EXISTS (SELECT 1), ARRAY[1, 2]",
            vec!["d integer", "exists boolean", "array integer[]"],
        ),
        ("SELECT x, y FROM (VALUES (1, 'a'), (2.5, NULL)) AS v(x, y)", vec!["x numeric", "y text"]),
        ("SELECT NULL AS n UNION SELECT 1 UNION ALL SELECT a FROM u", vec!["n bigint"]),
        (
            "SELECT now(), current_user, current_date",
            vec!["now timestamp with time zone", "current_user name", "current_date date"],
        ),
        ("SELECT * FROM generate_series(1, 3) AS g", vec!["g integer"]),
        (
            "WITH w(x) AS (SELECT a FROM t) SELECT w1.x, w2.x AS y FROM w w1 JOIN w w2 ON w1.x = w2.x",
            vec!["x integer", "y integer"],
        ),
        (
            "SELECT date '2020-01-01', interval '1 day', b::varchar(3) FROM t",
            vec!["date date", "interval interval", "b character varying(3)"],
        ),
        (
            "SELECT extract(year FROM now()), substring(b FROM 1 FOR 2), trim(b) FROM t",
            vec!["extract numeric", "substring text", "btrim text"],
        ),
    ] {
        assert_eq!(columns(sql), wanted, "{sql}");
    }
}

#[test]
fn mistakes_are_told_as_postgresql_does() {
    for (sql, code, message, position) in [
        ("SELECT * FROM nope", "42P01", "relation \"nope\" does not exist", 15),
        ("SELECT nope FROM t", "42703", "column \"nope\" does not exist", 8),
        ("SELECT t.nope FROM t", "42703", "column t.nope does not exist", 8),
        ("SELECT x.a FROM t", "42P01", "missing FROM-clause entry for table \"x\"", 8),
        ("SELECT a FROM t, u", "42702", "column reference \"a\" is ambiguous", 8),
        // Told without a place.
        ("SELECT 1 FROM t, t", "42712", "table name \"t\" specified more than once", 0),
        (
            "SELECT b FROM t GROUP BY a",
            "42803",
            "column \"t.b\" must appear in the GROUP BY clause or be used in an aggregate function",
            8,
        ),
        (
            "SELECT a, count(*) FROM t",
            "42803",
            "column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function",
            8,
        ),
        (
            "SELECT 1 FROM t WHERE count(*) > 1",
            "42803",
            "aggregate functions are not allowed in WHERE",
            23,
        ),
        ("SELECT sum(count(*)) FROM t", "42803", "aggregate function calls cannot be nested", 12),
        (
            "SELECT 1 FROM t WHERE a",
            "42804",
            "argument of WHERE must be type boolean, not type integer",
            23,
        ),
        (
            "SELECT 1 UNION SELECT 1, 2",
            "42601",
            "each UNION query must have the same number of columns",
            23,
        ),
        ("SELECT a FROM t ORDER BY 2", "42P10", "ORDER BY position 2 is not in select list", 26),
        ("SELECT 'x'::int", "22P02", "invalid input syntax for type integer: \"x\"", 8),
        ("SELECT nope(1)", "42883", "function nope(integer) does not exist", 8),
        ("SELECT b + a FROM t", "42883", "operator does not exist: text + integer", 10),
        (
            "SELECT DISTINCT a FROM t ORDER BY b",
            "42P10",
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            35,
        ),
        ("SELECT a IN (SELECT a, d FROM u) FROM t", "42601", "subquery has too many columns", 10),
    ] {
        let (found_code, found, at) = refused(sql);
        assert_eq!((found_code, found.as_str(), at), (code, message, Some(position)), "{sql}");
    }
}

#[test]
fn what_is_not_supported_is_refused() {
    assert_eq!(refused("SELECT * FROM t TABLESAMPLE BERNOULLI (10)").0, "0A000");
}

#[test]
fn the_outermost_order_is_left_to_the_session() {
    let planned = plan("SELECT b FROM t ORDER BY a DESC, b LIMIT 3 OFFSET 2").unwrap();
    assert_eq!(planned.finishing.limit, Some(3));
    assert_eq!(planned.finishing.offset, 2);
    assert_eq!(planned.finishing.project, vec![0]);
    let keys: Vec<(usize, bool, bool)> = planned
        .finishing
        .order_by
        .iter()
        .map(|key| (key.column, key.direction.descending, key.direction.nulls_first))
        .collect();
    assert_eq!(keys, vec![(1, true, true), (0, false, false)]);
    let planned = plan("SELECT * FROM (SELECT a FROM t ORDER BY b LIMIT 1) s").unwrap();
    assert!(format!("{:?}", planned.query).contains("TopK"));
    let planned = plan("SELECT * FROM (SELECT a FROM t ORDER BY b) s").unwrap();
    assert!(!format!("{:?}", planned.query).contains("TopK"));
}

#[test]
fn a_lateral_item_sees_the_row_on_its_left_and_others_do_not() {
    let lateral = "SELECT * FROM t, LATERAL (SELECT d FROM u WHERE u.a = t.a) s";
    assert!(format!("{:?}", plan(lateral).unwrap().query).contains("lateral: true"));
    let plain = "SELECT * FROM t, LATERAL (SELECT d FROM u) s";
    assert!(format!("{:?}", plan(plain).unwrap().query).contains("lateral: false"));
    let (code, message, _) = refused("SELECT * FROM t, (SELECT d FROM u WHERE u.a = t.a) s");
    assert_eq!(code, "42P01");
    assert_eq!(message, "invalid reference to FROM-clause entry for table \"t\"");
}

#[test]
fn in_as_a_condition_is_one_exists() {
    let planned = plan("SELECT a FROM t WHERE a IN (SELECT d FROM u)").unwrap();
    assert_eq!(format!("{:?}", planned.query).matches("Exists").count(), 1);
    let planned = plan("SELECT a FROM t WHERE a NOT IN (SELECT d FROM u)").unwrap();
    assert_eq!(format!("{:?}", planned.query).matches("Exists").count(), 2);
}

#[test]
fn grouped_expressions_are_found_in_any_form() {
    plan("SELECT a + 1, (a + 1) * 2 FROM t GROUP BY t.a + 1").unwrap();
    plan("SELECT a AS x FROM t GROUP BY x ORDER BY x").unwrap();
    plan("SELECT b, (SELECT max(d) FROM u WHERE u.a = t.a) FROM t GROUP BY 1, t.a").unwrap();
    plan("SELECT count(*) FROM t HAVING max(a) > 1").unwrap();
    plan("SELECT a FROM t GROUP BY a HAVING EXISTS (SELECT 1 FROM u WHERE u.a = t.a)").unwrap();
}

#[test]
fn parameters_take_the_type_of_their_place() {
    let sql = "SELECT a + $1, $2 FROM t WHERE b = $3 AND a = $4::int8 LIMIT $5";
    let context = QueryContext::new(&Shop, sql);
    let mut planned = plan_top_query(&context, &parse(sql)).unwrap();
    assert_eq!(
        context.parameter_types().unwrap(),
        vec![
            ScalarType::Int4,
            ScalarType::Text,
            ScalarType::Text,
            ScalarType::Int8,
            ScalarType::Int8,
        ]
    );
    let values: Vec<Row> =
        [Datum::Int(1), Datum::Text("x"), Datum::Text("y"), Datum::Int(2), Datum::Int(3)]
            .into_iter()
            .map(|datum| Row::pack([datum]))
            .collect();
    super::bind_parameters(&mut planned.query, &values);
    assert!(!format!("{:?}", planned.query).contains("Parameter"));
    let sql = "SELECT 1 FROM t WHERE $1 IS NULL OR $2 = $2";
    let context = QueryContext::new(&Shop, sql);
    plan_top_query(&context, &parse(sql)).unwrap();
}

#[test]
fn constants_of_values_are_constant_rows() {
    let planned = plan("VALUES (1, 'a'), (2, NULL)").unwrap();
    let QueryExpr::Constant { rows, .. } = &planned.query else { panic!("{planned:?}") };
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].0, Row::pack([Datum::Int(1), Datum::Text("a")]));
}

#[test]
fn a_maintained_query_knows_no_session() {
    for sql in ["SELECT now()", "SELECT current_user", "SELECT version()"] {
        let mut context = QueryContext::new(&Shop, sql);
        context.maintained = true;
        let error = plan_view_query(&context, &parse(sql)).unwrap_err();
        assert_eq!(error.code, SqlState::FEATURE_NOT_SUPPORTED, "{sql}");
    }
}

#[test]
fn names_of_relations_become_oids() {
    let planned = plan("SELECT 't'::regclass, 'int4'::regtype").unwrap();
    let QueryExpr::Project { input, .. } = &planned.query else { panic!("{planned:?}") };
    let QueryExpr::Map { scalars, .. } = &**input else { panic!("{planned:?}") };
    let QueryScalar::Literal(Ok(row), _) = &scalars[0] else { panic!("{scalars:?}") };
    assert_eq!(*row, Row::pack([Datum::Int(20_001)]));
}

#[test]
fn everyday_queries_are_planned() {
    for sql in [
        "SELECT DISTINCT ON (b) b, a FROM t ORDER BY b, a DESC",
        "SELECT a FROM t INTERSECT ALL SELECT d FROM u EXCEPT SELECT 3 ORDER BY a",
        "SELECT * FROM t LEFT JOIN (u JOIN t AS x ON u.a = x.a) ON t.a = x.a",
        "SELECT * FROM (t JOIN u ON t.a = u.a) AS j (k, l)",
        "SELECT (a, b) = (1, 'x'), (a, b) < (1, 'x'), a BETWEEN 1 AND 2 FROM t",
        "SELECT a FROM t WHERE (a, b) IN (SELECT d, 'x' FROM u)",
        "SELECT a = ANY (ARRAY[1, 2]), a = ANY ('{1,2}'), a <> ALL (SELECT d FROM u) FROM t",
        "SELECT b LIKE 'x%', b NOT ILIKE '%y' ESCAPE '!', b ~ 'x' FROM t",
        "SELECT a IS DISTINCT FROM NULL, b IS NOT NULL, (a = 1) IS NOT TRUE FROM t",
        "SELECT string_agg(b, ',' ORDER BY a), array_agg(DISTINCT a), count(DISTINCT b), \
         sum(a) FILTER (WHERE a > 1) FROM t",
        "SELECT ARRAY(SELECT a FROM t ORDER BY b), (ARRAY[1, 2])[1], (ARRAY[1, 2])[1:2]",
        "SELECT greatest(a, 2), least(c, 1), nullif(a, 1) FROM t",
        "SELECT now() AT TIME ZONE 'UTC', timestamp '2020-01-01' + interval '1' day",
        "SELECT '{\"a\": 1}'::jsonb -> 'a' ->> 'b', E'a\\nb', U&'d\\0061t', 'a' || 'b' || 1",
        "SELECT * FROM t CROSS JOIN LATERAL generate_series(1, t.a) AS g(n)",
        "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a AND u.d IN \
         (SELECT x.a FROM t x WHERE x.b = t.b))",
        "WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b",
        "SELECT (WITH w AS (SELECT t.a AS z) SELECT z FROM w) FROM t",
        "(SELECT a FROM t ORDER BY a) LIMIT 1",
        "SELECT count(*) FROM t LIMIT ALL OFFSET $1",
        "SELECT pg_catalog.lower('X') COLLATE \"C\", -1, - 1.5, +2, 9223372036854775808",
        "SELECT a FROM t ORDER BY a + 1 NULLS FIRST FETCH FIRST 2 ROWS ONLY",
        "SELECT sum(a) / count(*) FROM t GROUP BY b ORDER BY count(*) DESC, b",
        "SELECT '2020-01-01'::date + 1, b::char(3), c::numeric(10, 2), 'abc'::varchar(2) FROM t",
        "SELECT position('a' IN b), overlay(b PLACING 'x' FROM 1), ceil(c), floor(1.5) FROM t",
    ] {
        if let Err(error) = plan(sql) {
            panic!("{sql}: {error:?}");
        }
    }
}
