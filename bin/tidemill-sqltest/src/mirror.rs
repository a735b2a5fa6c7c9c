//! Which statements of a test also run on PostgreSQL, and how they are said there.
//!
//! PostgreSQL's materialized views stand still until they are refreshed, so that a maintained view
//! is a plain view there: asked again each time, which is just what it must be equal to.

/// Settings that both servers know.
const SETTINGS: &[&str] = &[
    "timezone",
    "time",
    "bytea_output",
    "datestyle",
    "intervalstyle",
    "search_path",
    "application_name",
    "extra_float_digits",
    "client_min_messages",
    "statement_timeout",
    "client_encoding",
    "standard_conforming_strings",
    "server_version_num_major",
    "integer_datetimes",
];

/// The statement for PostgreSQL; none if it has no business there.
pub fn statement(sql: &str) -> Option<String> {
    let upper = sql.split_whitespace().take(8).collect::<Vec<_>>().join(" ").to_uppercase();
    let words: Vec<&str> = upper
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|w| !w.is_empty())
        .collect();
    let same = Some(sql.to_owned());
    match words.as_slice() {
        ["INSERT" | "UPDATE" | "DELETE" | "SELECT" | "WITH" | "VALUES" | "TABLE", ..]
        | ["BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "END" | "ABORT" | "CLOSE", ..]
        | ["SAVEPOINT" | "RELEASE" | "TRUNCATE" | "MERGE", ..]
        | ["CREATE" | "ALTER" | "DROP", "SEQUENCE", ..]
        | ["CREATE" | "ALTER" | "DROP", "TYPE" | "DOMAIN", ..]
        | ["ALTER", "TABLE" | "VIEW" | "SCHEMA", ..]
        | ["ALTER", "FUNCTION", ..]
        | ["COMMENT", "ON", "TABLE" | "COLUMN" | "VIEW" | "SCHEMA" | "FUNCTION", ..]
        | ["CREATE" | "DROP", "SCHEMA", ..]
        | ["CREATE", "VIEW" | "TEMP" | "TEMPORARY", ..]
        | ["CREATE", "OR", "REPLACE", "VIEW" | "FUNCTION", ..]
        | ["CREATE", "FUNCTION", ..]
        | ["CREATE", "UNIQUE", "INDEX", ..]
        | ["DROP", "TABLE" | "VIEW" | "FUNCTION", ..] => same,
        ["COPY", ..] => (!sql.to_uppercase().contains("SUBSCRIBE")).then_some(same)?,
        ["CREATE", "TABLE", ..] => (!sql.to_uppercase().contains("FROM SOURCE")).then_some(same)?,
        ["CREATE", "MATERIALIZED", "VIEW", "IF", ..] => None,
        ["CREATE", "MATERIALIZED", "VIEW", ..]
        | ["CREATE", "OR", "REPLACE", "MATERIALIZED", "VIEW", ..]
        | ["DROP", "MATERIALIZED", "VIEW", ..] => Some(without_word(sql, "MATERIALIZED")),
        ["DECLARE" | "FETCH", ..] => (!sql.to_uppercase().contains("SUBSCRIBE")
            && !sql.to_uppercase().contains("TIMEOUT"))
        .then_some(same)?,
        ["SET" | "SHOW" | "RESET", "SESSION" | "LOCAL", name, ..]
        | ["SET" | "SHOW" | "RESET", name, ..] => {
            SETTINGS.contains(&name.to_lowercase().as_str()).then_some(same)?
        }
        [] => same,
        _ => None,
    }
}

/// Whether the statement is a query that the extended protocol can describe on both sides.
pub fn is_query(sql: &str) -> bool {
    let text = sql.trim_start().trim_start_matches('(').trim_start().to_uppercase();
    ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|word| text.starts_with(word))
}

/// SQLite's files declare keys, which Tidemill's tables have not: the statement without them.
pub fn without_keys(sql: &str) -> String {
    let upper = sql.trim_start().to_uppercase();
    if !upper.starts_with("CREATE TABLE") && !upper.starts_with("CREATE UNIQUE INDEX") {
        return sql.to_owned();
    }
    without_word(&without_word(sql, "PRIMARY KEY"), "UNIQUE")
}

/// The text without the first such words.
fn without_word(sql: &str, word: &str) -> String {
    match sql.to_uppercase().find(word) {
        Some(at) => format!("{}{}", &sql[..at], &sql[at + word.len()..]),
        None => sql.to_owned(),
    }
}
