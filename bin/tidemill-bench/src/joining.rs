//! A large table joins a source while another table of it takes transactions at a steady rate: how
//! fresh the other one stays. Reference: its freshness before, in the same run.

use std::collections::HashMap;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::StreamExt;
use tokio_postgres::Client;

use crate::servers::{Postgres, Tidemill, first_value, follow, run_all, wait_for};

/// Connections that write upstream.
const WRITERS: u32 = 4;

/// When each row was sent, and when it was seen.
type Moments = Arc<Mutex<HashMap<i64, Instant>>>;

/// Runs the benchmark.
pub async fn run(server: &Path, rows: u64, rate: u32) -> Result<()> {
    println!(
        "joining: a table of {rows} rows comes while another takes {rate} transactions a second"
    );
    let upstream = Postgres::start()?;
    let admin = upstream.client().await?;
    let fill = format!(
        "INSERT INTO large SELECT n, 'row ' || n, n % 1000 FROM generate_series(1, {rows}) AS n"
    );
    run_all(
        &admin,
        &[
            "CREATE TABLE quick (id bigint PRIMARY KEY)",
            "CREATE TABLE large (id bigint PRIMARY KEY, name text, k int)",
            "ALTER TABLE quick REPLICA IDENTITY FULL",
            "ALTER TABLE large REPLICA IDENTITY FULL",
            &fill,
            "VACUUM ANALYZE large",
            "CREATE PUBLICATION joining FOR TABLE quick, large",
        ],
    )
    .await?;
    let tidemill = Tidemill::start(server).await?;
    let client = tidemill.client().await?;
    let statements = follow(upstream.port, "postgres", "postgres", "joining");
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    run_all(&client, &statements).await?;
    run_all(&client, &["CREATE TABLE quick FROM SOURCE postgres (REFERENCE public.quick)"]).await?;
    let running = |table: &str| {
        format!("SELECT status FROM mz_internal.mz_source_statuses WHERE name = '{table}'")
    };
    wait_for(&client, &running("quick"), |status| status == "running").await?;
    let (sent, seen) = (Moments::default(), Moments::default());
    let watcher = tokio::spawn(watch(tidemill.client().await?, Arc::clone(&seen)));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let pause = Duration::from_secs(1) * WRITERS / rate.max(1);
        writers.push(tokio::spawn(write(
            upstream.client().await?,
            writer,
            pause,
            Arc::clone(&sent),
        )));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = Instant::now();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let joined = Instant::now();
    client
        .batch_execute("CREATE TABLE large FROM SOURCE postgres (REFERENCE public.large)")
        .await?;
    wait_for(&client, &running("large"), |status| status == "running").await?;
    let done = Instant::now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for writer in writers {
        writer.abort();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    watcher.abort();
    let count = first_value(&client, "SELECT count(*) FROM large").await?;
    ensure!(count == rows.to_string(), "{count} rows arrived instead of {rows}");
    let (sent, seen) = (taken(&sent), taken(&seen));
    let reference = report("reference, before            ", &sent, &seen, (before, joined));
    let ours = report("while the large table joins  ", &sent, &seen, (joined, done));
    println!(
        "  the table joined within {:.2} s; ratio of p99: {:.2}",
        (done - joined).as_secs_f64(),
        ours / reference
    );
    Ok(())
}

fn taken(moments: &Moments) -> HashMap<i64, Instant> {
    moments.lock().map(|moments| moments.clone()).unwrap_or_default()
}

async fn write(client: Client, writer: u32, pause: Duration, sent: Moments) -> Result<()> {
    let insert = client.prepare("INSERT INTO quick VALUES ($1)").await?;
    let mut clock = tokio::time::interval(pause);
    let mut number = 0;
    loop {
        clock.tick().await;
        number += 1;
        let id = number * i64::from(WRITERS) + i64::from(writer);
        let now = Instant::now();
        client.execute(&insert, &[&id]).await?;
        if let Ok(mut sent) = sent.lock() {
            sent.insert(id, now);
        }
    }
}

async fn watch(client: Client, seen: Moments) -> Result<()> {
    let rows = client.copy_out("COPY (SUBSCRIBE quick WITH (SNAPSHOT = false)) TO STDOUT").await?;
    let mut rows = pin!(rows);
    while let Some(piece) = rows.next().await {
        let now = Instant::now();
        for line in std::str::from_utf8(&piece?)?.lines() {
            if let Some(id) = line.split('\t').nth(2)
                && let (Ok(mut seen), Ok(id)) = (seen.lock(), id.parse())
            {
                seen.insert(id, now);
            }
        }
    }
    Ok(())
}

/// Prints how fresh what was sent within a time was; gives the 99th percentile in milliseconds.
fn report(
    name: &str,
    sent: &HashMap<i64, Instant>,
    seen: &HashMap<i64, Instant>,
    (from, to): (Instant, Instant),
) -> f64 {
    let within = sent.iter().filter(|(_, at)| **at >= from && **at < to);
    let (mut latencies, mut missing) = (Vec::new(), 0);
    for (id, at) in within {
        match seen.get(id) {
            Some(seen) => latencies.push(seen.saturating_duration_since(*at)),
            None => missing += 1,
        }
    }
    latencies.sort_unstable();
    let at = |share: f64| -> f64 {
        let index = ((latencies.len() as f64 - 1.0) * share).max(0.0) as usize;
        latencies.get(index).map_or(f64::NAN, |value| value.as_secs_f64() * 1000.0)
    };
    println!(
        "  {name} p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms of {} transactions ({missing} not seen)",
        at(0.5),
        at(0.99),
        at(1.0),
        latencies.len()
    );
    at(0.99)
}
