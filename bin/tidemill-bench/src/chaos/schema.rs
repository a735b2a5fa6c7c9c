//! The tables and views of the chaos test. All tables have the same four columns, and are told
//! apart by their replica identity; upstream, their names and those of their columns change.

use anyhow::{Context, Result};
use tokio_postgres::Client;

/// The publication.
pub const PUBLICATION: &str = "chaos";

/// The columns here, in the order of their numbers upstream.
pub const COLUMNS: &[&str] = &["id", "k", "v", "big"];

/// The tables that are there from the start.
pub const TABLES: &[&str] = &["t_full", "t_default", "t_index", "t_plain"];

/// Two tables that only change together: all that is moved from one is in the other.
pub const PAIR: &[&str] = &["pair_a", "pair_b"];

/// Views here, asked upstream as they stand over the tables under their names here.
pub const VIEWS: &[(&str, &str)] = &[
    (
        "v_join",
        "SELECT f.k, f.id, d.id AS other, i.v FROM t_full f JOIN t_default d ON f.k = d.k AND f.id % 50 = d.id % 50 \
         LEFT JOIN t_index i ON i.id = d.id + 1 WHERE f.id % 3 = 1",
    ),
    (
        "v_aggregate",
        "SELECT k, count(*) AS n, sum(id) AS ids, min(v) AS least, max(length(big)) AS longest, \
         count(DISTINCT v) AS values FROM (SELECT * FROM t_full UNION ALL SELECT * FROM t_plain) AS u GROUP BY k",
    ),
    (
        "v_top",
        "SELECT k, id, v FROM (SELECT k, id, v, row_number() OVER (PARTITION BY k ORDER BY v DESC NULLS LAST, id) \
         AS place FROM t_default) AS ranked WHERE place <= 3",
    ),
    (
        "v_missing",
        "SELECT id, k FROM t_index WHERE NOT EXISTS (SELECT 1 FROM t_default WHERE t_default.k = t_index.k \
         AND t_default.v IS NOT NULL AND t_default.id % 3 = 0)",
    ),
    (
        "v_pair",
        "SELECT sum(n) AS n, sum(moves) AS moves FROM (SELECT * FROM pair_a UNION ALL SELECT * FROM pair_b) AS p",
    ),
];

/// A table that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Its name here.
    pub here: String,
    /// Its identity upstream.
    pub oid: u32,
}

/// What a table upstream is called now.
#[derive(Clone, Debug)]
pub struct Names {
    /// Its identity.
    pub oid: u32,
    /// Its name.
    pub table: String,
    /// The names of the four columns.
    pub columns: Vec<String>,
    /// Columns that were added.
    pub added: Vec<String>,
}

/// How a table's old rows come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// REPLICA IDENTITY FULL, with a primary key.
    Full,
    /// By the primary key.
    Default,
    /// By a unique index.
    Index,
    /// REPLICA IDENTITY FULL, and rows may be there several times.
    Plain,
}

/// The statements that create a table with some rows.
pub fn create(name: &str, identity: Identity, rows: u32) -> Vec<String> {
    let (key, how) = match identity {
        Identity::Full => ("PRIMARY KEY", "FULL".to_owned()),
        Identity::Default => ("PRIMARY KEY", "DEFAULT".to_owned()),
        Identity::Index => ("NOT NULL UNIQUE", format!("USING INDEX {name}_id_key")),
        Identity::Plain => ("NOT NULL", "FULL".to_owned()),
    };
    vec![
        format!("CREATE TABLE {name} (id int {key}, k int NOT NULL, v text, big text)"),
        format!("ALTER TABLE {name} ALTER COLUMN big SET STORAGE EXTERNAL"),
        format!("ALTER TABLE {name} REPLICA IDENTITY {how}"),
        format!(
            "INSERT INTO {name} SELECT nextval('ids'), n % 20, md5(n::text), \
             CASE WHEN n % 10 = 0 THEN repeat(md5(n::text), 100) END FROM generate_series(1, {rows}) AS n"
        ),
    ]
}

/// Creates everything upstream.
pub async fn create_all(client: &Client) -> Result<()> {
    client.batch_execute("CREATE SEQUENCE ids").await?;
    let identities = [Identity::Full, Identity::Default, Identity::Index, Identity::Plain];
    for (name, identity) in TABLES.iter().zip(identities) {
        for statement in create(name, identity, 300) {
            client.batch_execute(&statement).await.with_context(|| statement.clone())?;
        }
    }
    client
        .batch_execute(
            "CREATE TABLE pair_a (id int PRIMARY KEY, n int NOT NULL, moves int NOT NULL); \
             CREATE TABLE pair_b (id int PRIMARY KEY, n int NOT NULL, moves int NOT NULL); \
             ALTER TABLE pair_a REPLICA IDENTITY FULL; \
             INSERT INTO pair_a SELECT n, 0, 0 FROM generate_series(1, 50) AS n; \
             INSERT INTO pair_b SELECT n, 0, 0 FROM generate_series(1, 50) AS n; \
             CREATE PUBLICATION chaos FOR TABLE t_full, t_default, t_index, t_plain, pair_a, pair_b",
        )
        .await?;
    Ok(())
}

/// What the tables are called now, by their identities.
pub async fn names(client: &Client) -> Result<Vec<Names>> {
    let rows = client
        .query(
            "SELECT c.oid, c.relname::text, array_agg(a.attname::text ORDER BY a.attnum) \
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
             WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 \
             AND NOT a.attisdropped AND c.relname NOT LIKE 'pair%' GROUP BY 1, 2 ORDER BY 1",
            &[],
        )
        .await?;
    let named = rows.iter().map(|row| {
        let mut columns: Vec<String> = row.get(2);
        let added = columns.split_off(COLUMNS.len().min(columns.len()));
        Names { oid: row.get(0), table: row.get(1), columns, added }
    });
    Ok(named.collect())
}

/// The identity of a table.
pub async fn oid(client: &Client, table: &str) -> Result<u32> {
    Ok(client.query_one("SELECT $1::text::regclass::oid", &[&table]).await?.get(0))
}

/// A WITH clause that gives the tables upstream their names here.
pub fn as_here(followed: &[Followed], names: &[Names]) -> String {
    let mut parts = Vec::new();
    for table in followed {
        let Some(now) = names.iter().find(|names| names.oid == table.oid) else { continue };
        let columns = now.columns.iter().zip(COLUMNS).map(|(now, here)| format!("{now} AS {here}"));
        let columns: Vec<String> = columns.collect();
        let (here, columns, now) = (&table.here, columns.join(", "), &now.table);
        parts.push(format!("{here} AS (SELECT {columns} FROM public.{now})"));
    }
    format!("WITH {} ", parts.join(", "))
}
