//! The writer: random transactions upstream, some of them with changes of the schema.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_postgres::Client;

use super::schema::{Names, names};
use crate::servers::connect;

/// What the writer did.
#[derive(Debug, Default)]
pub struct Counts {
    /// Transactions that were committed.
    pub transactions: AtomicU64,
    /// Changes of the schema that were committed.
    pub schema_changes: AtomicU64,
}

/// Writes until it is told to stop; connections that are lost are made again.
pub async fn run(port: u16, seed: u64, stop: Arc<AtomicBool>, counts: Arc<Counts>) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        let Ok(client) = connect(port, "postgres", "postgres").await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while !stop.load(Ordering::SeqCst) && !client.is_closed() {
            number += 1;
            if let Err(error) = write(&client, &mut random, number, &counts).await
                && !client.is_closed()
            {
                let of_server = error.downcast_ref::<tokio_postgres::Error>();
                let code = of_server.and_then(tokio_postgres::Error::code).map(|code| code.code());
                // Two changes of the schema at once, or a row or a name that is there already.
                let expected =
                    ["40P01", "55P03", "57P01", "57P03", "23505", "57014", "42701", "42P07"];
                if !code.is_none_or(|code| expected.contains(&code)) {
                    return Err(error).context("the writer");
                }
                let _ = client.batch_execute("ROLLBACK").await;
            }
            let pause = if random.random_bool(0.2) { random.random_range(0..200) } else { 2 };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
    Ok(())
}

async fn write(client: &Client, random: &mut StdRng, number: u64, counts: &Counts) -> Result<()> {
    let tables = names(client).await?;
    if random.random_bool(0.06) {
        let statement = schema_change(random, &tables, number);
        client.batch_execute("SET lock_timeout = '2s'").await?;
        client.batch_execute(&statement).await?;
        counts.schema_changes.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    let begin = format!("BEGIN; SELECT setseed({})", random.random_range(0.0..1.0));
    client.batch_execute(&begin).await?;
    let mut changes_schema = false;
    for _ in 0..random.random_range(1..6) {
        let table = &tables[random.random_range(0..tables.len())];
        let statement = match random.random_range(0..30) {
            0 => {
                changes_schema = true;
                schema_change_inside(random, table, number)
            }
            1..4 => move_between_pair(random),
            _ => change(random, table, &tables),
        };
        if random.random_bool(0.15) {
            client.batch_execute("SAVEPOINT s").await?;
            client.batch_execute(&statement).await?;
            client.batch_execute("ROLLBACK TO SAVEPOINT s").await?;
        } else if random.random_bool(0.2) {
            let statement = format!("SAVEPOINT s; {statement}; RELEASE SAVEPOINT s");
            client.batch_execute(&statement).await?;
        } else {
            client.batch_execute(&statement).await?;
        }
    }
    if random.random_bool(0.08) {
        client.batch_execute("ROLLBACK").await?;
        return Ok(());
    }
    client.batch_execute("COMMIT").await?;
    counts.transactions.fetch_add(1, Ordering::Relaxed);
    counts.schema_changes.fetch_add(u64::from(changes_schema), Ordering::Relaxed);
    Ok(())
}

/// Takes something from one row, and gives it to a row of the other table.
fn move_between_pair(random: &mut StdRng) -> String {
    let (from, to) = (random.random_range(1..51), random.random_range(1..51));
    let amount = random.random_range(1..100);
    format!(
        "UPDATE pair_a SET n = n - {amount}, moves = moves + 1 WHERE id = {from}; \
         UPDATE pair_b SET n = n + {amount}, moves = moves + 1 WHERE id = {to}"
    )
}

const BIG: &str = "repeat(md5(random()::text), 100)";

/// A change of rows.
fn change(random: &mut StdRng, of: &Names, all: &[Names]) -> String {
    let table = &of.table;
    let [id, k, v, big] = of.columns.as_slice() else { return "SELECT 1".to_owned() };
    let (every, place) = (random.random_range(2..60), random.random_range(0..60));
    let some = format!("WHERE {id} % {every} = {}", place % every);
    match random.random_range(0..40) {
        0..14 => {
            // Now and then more than the upstream decodes in memory.
            let rows = match random.random_range(0..12) {
                0 => random.random_range(300..1500),
                1..4 => random.random_range(20..200),
                _ => random.random_range(1..6),
            };
            let new = match of.table.starts_with("t_plain") {
                true => "n % 7",
                false => "nextval('ids')",
            };
            format!(
                "INSERT INTO {table} ({id}, {k}, {v}, {big}) SELECT {new}, (random() * 20)::int, \
                 CASE WHEN random() < 0.9 THEN md5((random() * 50)::int::text) END, \
                 CASE WHEN random() < 0.05 THEN {BIG} END FROM generate_series(1, {rows}) AS n"
            )
        }
        14..20 => format!("UPDATE {table} SET {v} = md5(random()::text) {some}"),
        20..22 => format!("UPDATE {table} SET {k} = (random() * 20)::int, {v} = NULL {some}"),
        22..24 => format!("UPDATE {table} SET {big} = {BIG} {some}"),
        24 => format!("UPDATE {table} SET {v} = {v} {some}"),
        25..29 => format!("UPDATE {table} SET {id} = nextval('ids') {some}"),
        29 => format!("UPDATE {table} SET {id} = nextval('ids'), {big} = {BIG} {some}"),
        30..36 => format!("DELETE FROM {table} {some}"),
        36 | 37 => format!("DELETE FROM {table} WHERE {id} % 3 <> 0"),
        38 => format!("TRUNCATE {table}"),
        _ => {
            let other = &all[random.random_range(0..all.len())].table;
            if other == table {
                format!("TRUNCATE {table}")
            } else {
                format!("TRUNCATE {table}, {other}")
            }
        }
    }
}

/// A name's start, before the number that it got when it was changed.
fn stem(name: &str) -> &str {
    name.split_once("_r").map_or(name, |(stem, _)| stem)
}

/// A change of the schema that may stand amid a transaction.
fn schema_change_inside(random: &mut StdRng, of: &Names, number: u64) -> String {
    let table = &of.table;
    match random.random_range(0..6) {
        0 => format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS x{number} int"),
        1 => format!(
            "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS x{number} text NOT NULL DEFAULT 'added'"
        ),
        2 if !of.added.is_empty() => {
            let column = &of.added[random.random_range(0..of.added.len())];
            format!("ALTER TABLE {table} DROP COLUMN IF EXISTS {column}")
        }
        _ => {
            let column = &of.columns[random.random_range(1..of.columns.len())];
            let name = format!("{}_r{number}", stem(column));
            // The statements that come later in the transaction know the column by its old name.
            format!(
                "ALTER TABLE {table} RENAME {column} TO {name}; ALTER TABLE {table} RENAME {name} TO {column}"
            )
        }
    }
}

/// A change of the schema by itself.
fn schema_change(random: &mut StdRng, tables: &[Names], number: u64) -> String {
    let of = &tables[random.random_range(0..tables.len())];
    let table = &of.table;
    match random.random_range(0..12) {
        0..4 => schema_change_inside(random, of, number),
        4 | 5 => {
            let column = &of.columns[random.random_range(1..of.columns.len())];
            format!("ALTER TABLE {table} RENAME {column} TO {}_r{number}", stem(column))
        }
        6 => format!("ALTER TABLE {table} RENAME TO {}_r{number}", stem(table)),
        7 => format!("VACUUM FULL {table}"),
        8 => format!("CREATE INDEX ON {table} ({})", of.columns[1]),
        9 if table.starts_with("t_default") => {
            format!("ALTER TABLE {table} REPLICA IDENTITY FULL")
        }
        9 | 10 if table.starts_with("t_default") || table.starts_with("t_full") => {
            format!("ALTER TABLE {table} REPLICA IDENTITY DEFAULT")
        }
        10 if table.starts_with("t_full") => format!("ALTER TABLE {table} REPLICA IDENTITY FULL"),
        11 => format!("ALTER TABLE {table} ALTER COLUMN {} SET DEFAULT 'd'", of.columns[2]),
        _ => format!("ANALYZE {table}"),
    }
}
