//! One upstream transaction of very many row changes: the memory that it takes here.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::servers::{Postgres, Tidemill, first_value, follow, run_all, wait_for};

/// What a transaction may take, in MiB.
const ALLOWED: f64 = 512.0;

/// Runs the benchmark.
pub async fn run(server: &Path, changes: u64) -> Result<()> {
    println!("large: one transaction of {changes} row changes");
    let upstream = Postgres::start()?;
    let admin = upstream.client().await?;
    run_all(
        &admin,
        &[
            "CREATE TABLE items (id bigint PRIMARY KEY, k int NOT NULL, name text)",
            "ALTER TABLE items REPLICA IDENTITY FULL",
            "CREATE PUBLICATION large FOR TABLE items",
        ],
    )
    .await?;
    let tidemill = Tidemill::start(server).await?;
    let client = tidemill.client().await?;
    let statements = follow(upstream.port, "postgres", "postgres", "large");
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    run_all(&client, &statements).await?;
    run_all(&client, &["CREATE TABLE items FROM SOURCE postgres (REFERENCE public.items)"]).await?;
    wait_for(&client, "SELECT count(*) FROM items", |count| count == "0").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let resting = memory(tidemill.process(), "VmRSS")?;
    // From here on the mark is of this transaction.
    std::fs::write(format!("/proc/{}/clear_refs", tidemill.process()), "5")?;
    let started = Instant::now();
    let (inserts, updates) = (changes * 8 / 10, changes / 10);
    let deletes = changes - inserts - updates;
    admin
        .batch_execute(&format!(
            "BEGIN; INSERT INTO items SELECT n, n % 100, 'item ' || n FROM generate_series(1, {inserts}) AS n; \
             UPDATE items SET k = k + 1 WHERE id <= {updates}; \
             DELETE FROM items WHERE id > {inserts} - {deletes}; COMMIT"
        ))
        .await?;
    let committed = started.elapsed().as_secs_f64();
    // What is read takes memory, too: the position tells when all is here.
    let end = first_value(&admin, "SELECT pg_current_wal_lsn()").await?;
    let confirmed = format!(
        "SELECT bool_and(confirmed_flush_lsn >= '{end}') FROM pg_replication_slots WHERE slot_name LIKE 'materialize%'"
    );
    let deadline = Instant::now() + Duration::from_secs(1800);
    while first_value(&admin, &confirmed).await? != "t" {
        ensure!(Instant::now() < deadline, "not here within half an hour");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let here = started.elapsed().as_secs_f64();
    let most = memory(tidemill.process(), "VmHWM")?;
    let after = memory(tidemill.process(), "VmRSS")?;
    let above = most - resting;
    println!("  upstream: {committed:.1} s; confirmed here after {here:.1} s");
    println!(
        "  memory: {resting:.0} MiB at rest, {most:.0} MiB at most, {after:.0} MiB afterwards; {above:.0} MiB above rest, \
         {:.2} of what is allowed",
        above / ALLOWED
    );
    let count = first_value(&client, "SELECT count(*) FROM items").await?;
    ensure!(count == (inserts - deletes).to_string(), "{count} rows are here");
    Ok(())
}

/// A figure of the memory of a process, in MiB.
fn memory(process: u32, figure: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with(figure)).context("no such figure")?;
    let kibibytes: f64 =
        line.split_whitespace().nth(1).context("no value")?.parse().context("no number")?;
    Ok(kibibytes / 1024.0)
}
