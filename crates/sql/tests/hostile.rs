//! Statements that were broken on purpose: the parser and the planner answer each with a plan or an
//! error. No panic, no overflow of a stack as small as a session's, no endless work.
//!
//! The texts of `sql-tests/` are taken apart, and words are lost, doubled, exchanged and nested.
//! `TIDEMILL_HOSTILE=n` tries n statements, `TIDEMILL_HOSTILE_SEED=n` others.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tidemill_catalog::{Catalog, CatalogChange, builtin};
use tidemill_sql::{SessionView, parse, plan};

/// What a thread of the server has.
const STACK: usize = 2 * 1024 * 1024;

/// Statements that a run tries unless told otherwise.
const STATEMENTS: u64 = 3_000;

/// A statement of a few kilobytes that takes longer than this is endless work, debug build or not.
const PATIENCE: Duration = Duration::from_secs(20);

/// Queries that need no tables of a user, so that they are planned to the end.
const QUERIES: &[&str] = &[
    "SELECT c.relname, count(*) FILTER (WHERE a.attnum > 0) FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind IN ('r', 'v') GROUP BY c.relname HAVING count(*) > 1 ORDER BY 2 DESC NULLS LAST, 1 LIMIT 10 OFFSET 2",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i, sum(i) OVER (ORDER BY i ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) FROM n WINDOW w AS (PARTITION BY i % 2)",
    "SELECT (SELECT max(x.a) FROM (VALUES (1, 'a'), (2, NULL)) x (a, b) WHERE x.a < y.a), y.* FROM (VALUES (3, '2020-01-01'::date)) AS y (a, d), LATERAL (SELECT y.a + 1 AS z) l WHERE EXISTS (SELECT FROM generate_series(1, y.a) g (g) WHERE g = ANY (ARRAY[1, 2]))",
    "SELECT DISTINCT ON (a) a, b::numeric(10, 2), CASE WHEN a > 1 THEN b ELSE NULL END, coalesce(b, 0.5), a BETWEEN 1 AND 2, b IS DISTINCT FROM 1, NOT (a = 1 AND b < 2 OR b > 3) FROM (VALUES (1, 1.5)) t (a, b) ORDER BY a, b DESC",
    "SELECT a, b, grouping(a, b), array_agg(a ORDER BY b DESC), string_agg(b::text, ',' ORDER BY a) FROM (VALUES (1, 2)) t (a, b) GROUP BY GROUPING SETS ((a, b), ROLLUP (a), CUBE (b), ())",
    "(SELECT 1 AS a UNION ALL SELECT 2) INTERSECT SELECT 2 EXCEPT (VALUES (3)) ORDER BY a FETCH FIRST 2 ROWS WITH TIES",
    "SELECT t, (t).a, row(1, 'x') < row(2, 'y'), ARRAY[[1, 2], [3, 4]][1:2], '{\"a\": [1]}'::jsonb #> '{a, 0}', E'\\n' || $$x$$, INTERVAL '1 day 02:03' * 2, TIMESTAMP '2020-01-01' AT TIME ZONE 'Europe/Paris' FROM (VALUES (1)) t (a)",
    "WITH MUTUALLY RECURSIVE (RECURSION LIMIT 5) even (n int) AS (SELECT 0 UNION SELECT n + 1 FROM odd), odd (n int) AS (SELECT n + 1 FROM even) SELECT * FROM even",
    "EXPLAIN OPTIMIZED PLAN AS JSON FOR SELECT relname FROM pg_class WHERE oid = 1",
    "SUBSCRIBE (SELECT relname FROM pg_class) WITH (SNAPSHOT = false, PROGRESS) AS OF 10 UP TO 20",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS m (a, b) AS SELECT relname, oid FROM pg_class",
    "CREATE TABLE t (a int PRIMARY KEY, b text NOT NULL DEFAULT 'x', c numeric CHECK (c > 0), d bigint GENERATED ALWAYS AS IDENTITY, UNIQUE (b, c))",
    "CREATE SOURCE s FROM POSTGRES CONNECTION c (PUBLICATION 'p', TEXT COLUMNS (t.a), EXCLUDE COLUMNS (t.b)) FOR TABLES (public.t AS u) EXPOSE PROGRESS AS p WITH (SIZE = '1')",
    "CREATE CONNECTION c TO POSTGRES (HOST 'h', PORT 5432, USER u, PASSWORD SECRET s, SSL MODE 'verify-full', DATABASE d) WITH (VALIDATE = false)",
    "COPY (SELECT 1) TO STDOUT WITH (FORMAT csv, HEADER, DELIMITER ';', FORCE_QUOTE *)",
    "DECLARE c NO SCROLL CURSOR FOR SELECT 1; FETCH FORWARD 10 c WITH (timeout = '1s'); CLOSE c",
];

/// What is put where it does not belong.
const ODD: &[&str] = &[
    "\u{0}",
    "'",
    "\"",
    "$$",
    "$1",
    "/*",
    "--",
    "é",
    "\u{feff}",
    "::",
    " 9e999 ",
    " -9223372036854775808 ",
    "E'\\u",
    ";",
    " NULL ",
    "*",
    "..",
];

struct Fuzzer {
    catalog: Catalog,
    search_path: Vec<String>,
    statements: Vec<String>,
    words: Vec<String>,
}

#[test]
fn broken_statements_are_answered() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let count = number("TIDEMILL_HOSTILE", STATEMENTS);
    let seed = number("TIDEMILL_HOSTILE_SEED", 1);
    on_small_stack(move || {
        let fuzzer = Fuzzer::new();
        let mut rng = SmallRng::seed_from_u64(seed);
        for _ in 0..count {
            let statement = fuzzer.broken(&mut rng);
            fuzzer.answer(&statement);
        }
    });
}

#[test]
fn whole_statements_are_answered() {
    on_small_stack(|| {
        let fuzzer = Fuzzer::new();
        assert!(fuzzer.statements.len() > 1_000, "the files of sql-tests were not found");
        let planned = QUERIES.iter().filter(|statement| fuzzer.answer(statement)).count();
        assert!(planned >= 10, "only {planned} of the queries were planned");
    });
}

#[test]
fn deep_statements_are_answered() {
    on_small_stack(|| {
        let fuzzer = Fuzzer::new();
        for depth in [10, 100, 1_000, 20_000] {
            for statement in deep(depth) {
                fuzzer.answer(&statement);
            }
        }
    });
}

/// Statements that nest, or go on, so many times.
fn deep(depth: usize) -> Vec<String> {
    let around = |before: &str, inside: &str, after: &str| {
        format!("{}{inside}{}", before.repeat(depth), after.repeat(depth))
    };
    vec![
        format!("SELECT {}", around("(", "1", ")")),
        format!("SELECT {}", around("NOT ", "true", "")),
        format!("SELECT {}", around("- ", "1", "")),
        format!("SELECT {}", around("1 + ", "1", "")),
        format!("SELECT {}", around("abs(", "1", ")")),
        format!("SELECT {}", around("CASE WHEN true THEN ", "1", " END")),
        format!("SELECT {}", around("", "1", "::int")),
        format!("SELECT {}", around("ARRAY[", "1", "]")),
        format!("SELECT {}", around("(SELECT ", "1", ")")),
        format!("SELECT * FROM {}", around("(SELECT * FROM ", "pg_class", ") x")),
        around("(", "SELECT 1", ")"),
        around("SELECT 1 UNION ", "SELECT 1", ""),
        format!("SELECT 1 WHERE {}", around("true AND ", "true", "")),
        format!("SELECT 1 WHERE {}", around("true OR ", "true", "")),
        format!("SELECT 1 WHERE 1 IN ({}1)", "1, ".repeat(depth)),
        format!("SELECT {}1", "1, ".repeat(depth)),
        around("EXPLAIN ", "SELECT 1", ""),
        around("WITH x AS (", "SELECT 1", ") SELECT 1"),
        around("/*", "", "*/"),
    ]
}

/// Runs on a thread like the server's; a panic there is one here.
fn on_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

impl Fuzzer {
    fn new() -> Fuzzer {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql-tests");
        let mut statements: Vec<String> = QUERIES.iter().map(|&text| text.to_owned()).collect();
        statements.extend(files(&root).iter().flat_map(|path| statements_of(path)));
        let mut words: Vec<String> = statements.iter().flat_map(|text| words_of(text)).collect();
        words.sort();
        words.dedup();
        let search_path = vec!["public".to_owned()];
        Fuzzer { catalog: catalog(), search_path, statements, words }
    }

    /// Parses and plans; says whether all was planned.
    fn answer(&self, text: &str) -> bool {
        let shown: String = text.chars().take(1_000).collect();
        let start = Instant::now();
        let answered =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.planned(text)));
        let took = start.elapsed();
        assert!(answered.is_ok(), "a panic for {shown:?}");
        assert!(took < PATIENCE, "{took:?} for {shown:?}");
        answered.unwrap_or(false)
    }

    fn planned(&self, text: &str) -> bool {
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
        let Ok(statements) = parse(text) else { return false };
        statements.iter().all(|statement| plan(&self.catalog, &session, statement, &[]).is_ok())
    }

    fn broken(&self, rng: &mut SmallRng) -> String {
        let own = rng.random_bool(0.5);
        let seeds = if own { &self.statements[..QUERIES.len()] } else { &self.statements };
        let Some(statement) = seeds.choose(rng) else { return String::new() };
        let mut words = words_of(statement);
        for _ in 0..rng.random_range(1..=6) {
            self.break_once(&mut words, rng);
        }
        words.truncate(2_000);
        let mut text = words.concat();
        if rng.random_ratio(1, 8) {
            let cut = rng.random_range(0..=text.len());
            text = text.chars().take(cut).collect();
        }
        text
    }

    fn break_once(&self, words: &mut Vec<String>, rng: &mut SmallRng) {
        if words.is_empty() {
            return;
        }
        let at = rng.random_range(0..words.len());
        let other = rng.random_range(0..words.len());
        let (from, to) = (at.min(other), at.max(other));
        let any = |rng: &mut SmallRng| self.words.choose(rng).cloned().unwrap_or_default();
        match rng.random_range(0..8) {
            0 => {
                words.remove(at);
            }
            1 => words.swap(at, other),
            2 | 3 => words[at] = any(rng),
            4 => words.insert(at, any(rng)),
            5 => {
                let copy = words[from..to].to_vec();
                words.splice(at..at, copy);
            }
            6 => {
                words.insert(to, ") ".to_owned());
                words.insert(from, "(".to_owned());
            }
            _ => words.insert(at, ODD.choose(rng).copied().unwrap_or("'").to_owned()),
        }
    }
}

fn catalog() -> Catalog {
    let mut changes = builtin::changes();
    let owner = || "materialize".to_owned();
    changes.push(CatalogChange::CreateDatabase {
        id: 1,
        oid: Catalog::oid_for(1),
        name: "materialize".to_owned(),
        owner: owner(),
    });
    changes.push(CatalogChange::CreateSchema {
        id: 2,
        oid: Catalog::oid_for(2),
        database: "materialize".to_owned(),
        name: "public".to_owned(),
        owner: owner(),
    });
    Catalog::empty().apply(&changes).unwrap()
}

/// The test files.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What stands after a line that begins a record.
fn statements_of(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut statements = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("statement") || line.starts_with("query") {
            let statement: Vec<&str> =
                lines.by_ref().take_while(|line| !line.is_empty() && *line != "----").collect();
            statements.push(statement.join("\n"));
        }
    }
    statements
}

/// Runs of letters and digits, and each other character, each with the blanks after it.
fn words_of(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut in_word = false;
    for character in text.chars() {
        let of_word = character.is_alphanumeric() || character == '_';
        match words.last_mut() {
            Some(last) if character.is_whitespace() => {
                last.push(character);
                in_word = false;
            }
            Some(last) if of_word && in_word => last.push(character),
            _ => {
                words.push(character.to_string());
                in_word = of_word;
            }
        }
    }
    words
}
