//! Texts that are read and written, texts that are refused, and texts made at random.

use proptest::prelude::{ProptestConfig, any, prop, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};

use super::*;
use crate::ast::{Explainee, FetchCount, SetValue, Show};

fn one(text: &str) -> Statement {
    let mut statements = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(statements.len(), 1, "{text}");
    statements.remove(0).statement
}

/// Reads, writes, reads again: the same.
fn round_trip(text: &str) -> String {
    let first = one(text);
    let shown = first.to_string();
    assert_eq!(one(&shown), first, "{text}\n{shown}");
    shown
}

#[test]
fn our_statements_are_read_back_as_the_same() {
    let texts = [
        "SELECT a, \"B\" FROM s.t WHERE x = 'it''s' AS OF 5",
        "SELECT 1 AS of",
        "SELECT a AS of FROM t AS OF AT LEAST now()",
        "TABLE t",
        "VALUES (1, 2), (3, 4)",
        "CREATE DATABASE IF NOT EXISTS d",
        "CREATE SCHEMA d.s",
        "CREATE SECRET pgpass AS 'pw'",
        "CREATE SECRET IF NOT EXISTS s.pgpass AS decode('cHc=', 'base64')",
        "CREATE CONNECTION c TO POSTGRES (HOST 'h', PORT 5432, USER postgres, \
         PASSWORD SECRET s.pgpass, SSL MODE 'require', SSL CERTIFICATE AUTHORITY SECRET ca, \
         DATABASE \"My Db\") WITH (VALIDATE = false)",
        "CREATE CONNECTION c FOR POSTGRES HOST 'h', PORT 5432, USER 'u', \
         PASSWORD SECRET p, SSL MODE 'require', DATABASE 'd'",
        "CREATE CONNECTION c TO SSH TUNNEL (HOST 'h', PORT 22, USER 'u')",
        "CREATE CONNECTION c TO AWS PRIVATELINK (SERVICE NAME 'x', \
         AVAILABILITY ZONES ('use1-az1', 'use1-az4'))",
        "CREATE CONNECTION c TO KAFKA (BROKER 'b')",
        "CREATE CONNECTION c TO POSTGRES (FOO BAR 'x', HOST 'h')",
        "CREATE SOURCE s IN CLUSTER c FROM POSTGRES CONNECTION p (PUBLICATION 'pub', \
         TEXT COLUMNS (a.b.c, d), EXCLUDE COLUMNS (e.f)) FOR ALL TABLES",
        "CREATE SOURCE IF NOT EXISTS s FROM POSTGRES CONNECTION p (PUBLICATION 'pub') \
         FOR TABLES (s1.t AS t1, t2) EXPOSE PROGRESS AS pr WITH (SIZE '3xsmall')",
        "CREATE SOURCE s FROM POSTGRES CONNECTION p (PUBLICATION = 'pub') FOR SCHEMAS (a, \"B\")",
        "CREATE SOURCE s FROM POSTGRES CONNECTION p PUBLICATION 'pub'",
        "CREATE TABLE t (a int NOT NULL, b text DEFAULT 'x', UNIQUE (a))",
        "CREATE TEMP TABLE IF NOT EXISTS t (a varchar(3))",
        "CREATE TABLE t FROM SOURCE s (REFERENCE public.t) WITH (TEXT COLUMNS (a), \
         EXCLUDE COLUMNS = (b))",
        "CREATE VIEW v AS SELECT 1",
        "CREATE OR REPLACE VIEW v (a, b) AS SELECT 1, 2",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS v IN CLUSTER c AS SELECT 1",
        "CREATE INDEX i ON t (a, lower(b))",
        "CREATE INDEX ON t (a)",
        "CREATE INDEX i IN CLUSTER c ON s.t USING arrangement (a)",
        "CREATE DEFAULT INDEX ON v",
        "CREATE DEFAULT INDEX i IN CLUSTER c ON v",
        "DROP TABLE a, s.b CASCADE",
        "DROP MATERIALIZED VIEW IF EXISTS v RESTRICT",
        "DROP SOURCE s",
        "DROP SECRET s",
        "DROP CONNECTION s",
        "DROP INDEX i",
        "DROP SCHEMA s CASCADE",
        "DROP DATABASE d",
        "ALTER TABLE t RENAME TO u",
        "ALTER SECRET s AS 'new'",
        "ALTER SOURCE s ADD SUBSOURCE a.t AS u, v WITH (TEXT COLUMNS (a.t.x))",
        "VALIDATE CONNECTION c",
        "SUBSCRIBE t",
        "SUBSCRIBE TO s.t WITH (SNAPSHOT = false, PROGRESS) AS OF 10 UP TO 20",
        "SUBSCRIBE (SELECT * FROM t) AS OF AT LEAST 10",
        "SUBSCRIBE t ENVELOPE UPSERT (KEY (a, \"B\")) AS OF 10",
        "SUBSCRIBE t AS OF 10 UP TO 20 WITH (PROGRESS) ENVELOPE DEBEZIUM (KEY (a))",
        "SUBSCRIBE t WITHIN TIMESTAMP ORDER BY mz_diff, a DESC NULLS LAST WITH (PROGRESS)",
        "COPY (SUBSCRIBE t WITH (PROGRESS)) TO STDOUT WITH (FORMAT binary)",
        "COPY (SELECT 1 AS OF 7) TO STDOUT",
        "COPY t (a, b) TO STDOUT (FORMAT csv)",
        "COPY t FROM STDIN",
        "COPY t TO STDOUT CSV HEADER",
        "DECLARE c CURSOR FOR SUBSCRIBE t",
        "DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT 1 AS OF 4",
        "FETCH ALL c",
        "FETCH 10 FROM c WITH (timeout = '1s')",
        "FETCH FORWARD 10 FROM c",
        "FETCH c",
        "CLOSE c",
        "CLOSE ALL",
        "PREPARE p (int, text) AS SELECT $1, $2",
        "EXECUTE p (1, 'a')",
        "EXECUTE p",
        "DEALLOCATE PREPARE p",
        "DEALLOCATE ALL",
        "EXPLAIN SELECT 1",
        "EXPLAIN (FORMAT text, VERBOSE) SELECT 1",
        "EXPLAIN (SELECT 1)",
        "EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN OPTIMIZED PLAN FOR SELECT 1",
        "EXPLAIN PHYSICAL PLAN AS TEXT FOR MATERIALIZED VIEW v",
        "EXPLAIN RAW PLAN FOR INDEX i",
        "EXPLAIN OPTIMIZED PLAN WITH (types, KEYS) AS JSON FOR SELECT 1",
        "EXPLAIN PLAN FOR CREATE INDEX i ON t (a)",
        "SHOW SOURCES",
        "SHOW SUBSOURCES ON s",
        "SHOW TABLES FROM d.s LIKE 'a%'",
        "SHOW MATERIALIZED VIEWS IN CLUSTER c",
        "SHOW INDEXES ON t WHERE name = 'x'",
        "SHOW COLUMNS FROM t",
        "SHOW CREATE MATERIALIZED VIEW v",
        "SHOW search_path",
        "SHOW TIME ZONE",
        "SHOW ALL",
        "SET x = 1",
        "SET LOCAL search_path TO a, \"B\", 'c'",
        "SET TIME ZONE 'UTC'",
        "SET NAMES 'UTF8'",
        "SET x TO DEFAULT",
        "SET a.b = -1.5",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "RESET x",
        "RESET ALL",
        "INSERT INTO t (a) VALUES (1), (DEFAULT)",
        "UPDATE t SET a = 1 WHERE b",
        "DELETE FROM t WHERE a = 1",
        "BEGIN READ ONLY",
        "COMMIT",
        "DISCARD ALL",
    ];
    for text in texts {
        round_trip(text);
    }
}

#[test]
fn statements_keep_their_own_text() {
    let statements =
        parse("select 1 ; -- one; comment\n ;; select 'a;b', $$;$$ ;\n insert into é values (1)")
            .unwrap();
    let texts: Vec<&str> = statements.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(texts, ["select 1", "select 'a;b', $$;$$", "insert into é values (1)"]);
    assert!(parse("").unwrap().is_empty());
    assert!(parse(" ;; /* nothing */ ").unwrap().is_empty());
}

#[test]
fn names_are_folded_unless_quoted() {
    assert_eq!(round_trip("select AbC, \"AbC\" from FoO"), "SELECT abc, \"AbC\" FROM foo");
    let Statement::Show(Show::Variable(name)) = one("SHOW TimeZone") else { panic!() };
    assert_eq!(name.value, "timezone");
    let Statement::Set(set) = one("SET A = Off") else { panic!() };
    assert_eq!(set.values, Some(vec![SetValue::Word("off".to_owned())]));
}

#[test]
fn details_of_statements() {
    let Statement::Fetch(fetch) = one("FETCH FORWARD ALL IN c") else { panic!() };
    assert_eq!(fetch.count, FetchCount::All);
    let Statement::Explain(explain) = one("EXPLAIN (SELECT 1) UNION SELECT 2") else { panic!() };
    assert!(matches!(explain.explainee, Explainee::Statement(_)) && explain.options.is_empty());
    let Statement::Query(query) = one("SELECT x AS of FROM t AS OF 9") else { panic!() };
    assert!(query.as_of.is_some());
    let debug = format!("{:?}", one("CREATE SECRET s AS 'hush'"));
    assert!(!debug.contains("hush"), "{debug}");
    let debug = format!("{:?}", one("ALTER SECRET s AS 'hush'"));
    assert!(!debug.contains("hush"), "{debug}");
}

#[test]
fn words_of_other_dialects_are_names() {
    for word in [
        "sort",
        "top",
        "minus",
        "cluster",
        "global",
        "semi",
        "anti",
        "output",
        "settings",
        "format",
        "sample",
        "view",
        "source",
        "connection",
        "secret",
        "subscribe",
        "progress",
        "snapshot",
        "reference",
        "exclude",
        "regexp",
        "div",
        "map",
        "convert",
        "match",
        "open",
        "start",
        "struct",
        "prior",
        "glob",
        "qualify",
        "explain",
        "date",
        "time",
        "timestamp",
        "text",
        "name",
        "type",
        "value",
        "key",
        "index",
        "status",
        "level",
        "zone",
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "count",
        "role",
        "user_id",
        "data",
        "schema",
        "database",
        "materialized",
        "comment",
        "language",
        "plan",
        "version",
        "of",
        "up",
        "at",
        "method",
        "position_",
        "interval_",
        "first",
        "last",
        "next",
        "rows",
    ] {
        for text in [
            format!("SELECT {word} FROM t"),
            format!("SELECT t.{word} FROM t"),
            format!("SELECT 1 AS {word}"),
            format!("SELECT * FROM {word}"),
            format!("SELECT * FROM t AS {word} WHERE {word}.x = 1"),
            format!("CREATE TABLE {word} ({word} int)"),
            format!("INSERT INTO {word} ({word}) VALUES (1)"),
            format!("UPDATE t SET {word} = 1 WHERE {word} > 2 AND {word} IS NOT NULL"),
            format!("CREATE VIEW {word} AS SELECT max({word}) FROM t GROUP BY {word}"),
        ] {
            round_trip(&text);
        }
    }
}

#[test]
fn syntax_errors_say_where() {
    let cases = [
        ("selct 1", "syntax error at or near \"selct\"", 1),
        ("select 1 from", "syntax error at end of input", 14),
        ("select 1 from; select 2", "syntax error at or near \";\"", 14),
        ("select 1;\nselect é, 'ü' fro m x", "syntax error at or near \"m\"", 29),
        ("select (1", "syntax error at end of input", 10),
        ("select 1)", "syntax error at or near \")\"", 9),
        ("create tabel t (a int)", "syntax error at or near \"tabel\"", 8),
        ("drop thing x", "syntax error at or near \"thing\"", 6),
        ("create source s form x", "syntax error at or near \"form\"", 17),
        ("subscribe", "syntax error at end of input", 10),
        ("insert into t values (1", "syntax error at end of input", 24),
        ("from t", "syntax error at or near \"from\"", 1),
        ("select 1 as of 2 as of 3", "syntax error at or near \"as\"", 18),
        ("fetch 1.5 from c", "syntax error at or near \"1.5\"", 7),
        ("select 'abc", "unterminated quoted string at or near \"'abc\"", 8),
        ("select \"abc", "unterminated quoted identifier at or near \"\"abc\"", 8),
        ("select 1 /* abc", "unterminated /* comment at or near \"/* abc\"", 10),
        ("select $a$ abc", "unterminated dollar-quoted string at or near \"$a$ abc\"", 8),
    ];
    for (text, message, position) in cases {
        let error = parse(text).expect_err(text);
        assert_eq!(error.code, SqlState::SYNTAX_ERROR, "{text}");
        assert_eq!((error.message.as_str(), error.position), (message, Some(position)), "{text}");
    }
}

#[test]
fn known_constructs_are_refused_by_name() {
    let cases = [
        ("CREATE SOURCE s FROM KAFKA CONNECTION c (TOPIC 't')", "CREATE SOURCE .. FROM KAFKA"),
        ("CREATE TABLE t (a int) PARTITION BY RANGE (a)", "PARTITION of CREATE TABLE"),
        ("DECLARE c SCROLL CURSOR FOR SELECT 1", "a SCROLL cursor"),
        ("FETCH BACKWARD 1 FROM c", "FETCH BACKWARD"),
    ];
    for (text, what) in cases {
        let error = parse(text).expect_err(text);
        assert_eq!(error.code, SqlState::FEATURE_NOT_SUPPORTED, "{text}");
        assert_eq!(error.message, format!("{what} is not supported"), "{text}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let nest = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("SELECT {}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    assert!(parse(&nest("(", "1", ")", 30)).is_ok());
    for depth in [1_000, 50_000] {
        for text in [
            nest("(", "1", ")", depth),
            nest("(SELECT ", "1", ")", depth),
            nest("NOT ", "true", "", depth),
            nest("- ", "1", "", depth),
            nest("CASE WHEN true THEN ", "1", " END", depth),
            nest("ARRAY[", "1", "]", depth),
            nest("f(", "1", ")", depth),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(
                error.code == SqlState::STATEMENT_TOO_COMPLEX
                    || error.code == SqlState::SYNTAX_ERROR,
                "{error:?}"
            );
        }
    }
    for chain in [" + 1", " OR true", " || 'a'", " UNION ALL SELECT 1", "::text"] {
        let text = format!("SELECT 1{}", chain.repeat(50_000));
        assert_eq!(parse(&text).unwrap_err().code, SqlState::STATEMENT_TOO_COMPLEX, "{chain}");
        let text = format!("SELECT 1{}", chain.repeat(900));
        assert!(parse(&text).is_ok(), "{chain}");
    }
    let many = vec!["(1, 'a', -2)"; 20_000].join(", ");
    assert!(parse(&format!("INSERT INTO t VALUES {many}")).is_ok());
}

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(
            "select from where create table source connection secret view materialized index on \
             in cluster for all tables with ( ) , ; = . 'x' 1 $1 \"q\" as of at least up to \
             subscribe copy stdout declare cursor fetch explain show set drop alter if not \
             exists default postgres publication insert into values update delete and or * - ::"
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        ),
        any::<String>(),
        Just("\n".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn no_words_panic(words in prop::collection::vec(fragment(), 0..30)) {
        let text = words.join(" ");
        if let Err(error) = parse(&text) {
            let end = u32::try_from(text.chars().count() + 1).unwrap();
            assert!(error.position.is_none_or(|at| (1..=end).contains(&at)), "{error:?} {text}");
        }
    }
}
