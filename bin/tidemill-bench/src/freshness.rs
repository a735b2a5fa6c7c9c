//! From COMMIT upstream to the change on a SUBSCRIBE of a materialized view (join and group by),
//! at a steady rate. Reference: how long the COMMIT itself takes upstream.

use std::collections::HashMap;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::StreamExt;
use tokio_postgres::Client;

use crate::servers::{Postgres, Tidemill, follow, run_all, wait_for};

/// Connections that write upstream, each its own region.
const WRITERS: i64 = 8;

/// When each event was committed: (before, after) by id.
type Commits = Arc<Mutex<HashMap<i64, (Instant, Instant)>>>;

/// Runs the benchmark.
pub async fn run(server: &Path, rate: u32, seconds: u64) -> Result<()> {
    println!("freshness: {rate} upstream transactions a second for {seconds} s");
    let upstream = Postgres::start()?;
    let tidemill = Tidemill::start(server).await?;
    let client = tidemill.client().await?;
    set_up(&upstream, &client).await?;
    let commits: Commits = Arc::default();
    let arrivals = tokio::spawn(watch(tidemill.client().await?));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let pause = Duration::from_secs(1) * u32::try_from(WRITERS)? / rate;
        let commits = Arc::clone(&commits);
        writers.push(tokio::spawn(write(
            upstream.client().await?,
            writer,
            pause,
            seconds,
            commits,
        )));
    }
    for writer in writers {
        writer.await??;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    arrivals.abort();
    let arrived = ARRIVED.lock().map(|arrived| arrived.clone()).unwrap_or_default();
    report(&commits, &arrived);
    Ok(())
}

async fn set_up(upstream: &Postgres, client: &Client) -> Result<()> {
    let admin = upstream.client().await?;
    run_all(
        &admin,
        &[
            "CREATE TABLE accounts (id int PRIMARY KEY, region int NOT NULL)",
            "CREATE TABLE events (id bigint PRIMARY KEY, account_id int NOT NULL, amount int NOT NULL)",
            "ALTER TABLE accounts REPLICA IDENTITY FULL",
            "ALTER TABLE events REPLICA IDENTITY FULL",
            "INSERT INTO accounts SELECT n, n % 8 FROM generate_series(0, 7999) AS n",
            "INSERT INTO events SELECT -n, n % 8000, n FROM generate_series(1, 100000) AS n",
            "CREATE PUBLICATION events_publication FOR TABLE accounts, events",
        ],
    )
    .await?;
    let statements = follow(upstream.port, "postgres", "postgres", "events_publication");
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    run_all(client, &statements).await?;
    run_all(
        client,
        &[
            "CREATE TABLE accounts FROM SOURCE postgres (REFERENCE public.accounts)",
            "CREATE TABLE events FROM SOURCE postgres (REFERENCE public.events)",
            "CREATE MATERIALIZED VIEW regions AS SELECT region, count(*) AS events, \
             sum(amount) AS amount, max(events.id) AS last \
             FROM events JOIN accounts ON account_id = accounts.id GROUP BY region",
        ],
    )
    .await?;
    wait_for(client, "SELECT count(*) FROM regions", |count| count == "8").await
}

/// What arrived: the greatest id of each region, and when.
static ARRIVED: Mutex<Vec<(i64, i64, Instant)>> = Mutex::new(Vec::new());

async fn watch(client: Client) -> Result<()> {
    let rows =
        client.copy_out("COPY (SUBSCRIBE regions WITH (SNAPSHOT = false)) TO STDOUT").await?;
    let mut rows = pin!(rows);
    while let Some(piece) = rows.next().await {
        let now = Instant::now();
        let piece = piece?;
        for line in std::str::from_utf8(&piece)?.lines() {
            // mz_timestamp, mz_diff, region, events, amount, last
            let columns: Vec<&str> = line.split('\t').collect();
            if let [_, "1", region, _, _, last] = columns[..]
                && let Ok(mut arrived) = ARRIVED.lock()
            {
                arrived.push((region.parse()?, last.parse()?, now));
            }
        }
    }
    Ok(())
}

async fn write(
    client: Client,
    writer: i64,
    pause: Duration,
    seconds: u64,
    commits: Commits,
) -> Result<()> {
    let insert = client.prepare("INSERT INTO events VALUES ($1, $2, $3)").await?;
    let mut clock = tokio::time::interval(pause);
    let start = Instant::now();
    let mut number = 1;
    while start.elapsed() < Duration::from_secs(seconds) {
        clock.tick().await;
        let id = number * WRITERS + writer;
        number += 1;
        client.batch_execute("BEGIN").await?;
        client.execute(&insert, &[&id, &i32::try_from(writer)?, &1_i32]).await?;
        let before = Instant::now();
        client.batch_execute("COMMIT").await.context("COMMIT")?;
        if let Ok(mut commits) = commits.lock() {
            commits.insert(id, (before, Instant::now()));
        }
    }
    Ok(())
}

fn report(commits: &Commits, arrived: &[(i64, i64, Instant)]) {
    let Ok(commits) = commits.lock() else { return };
    let mut ids: Vec<i64> = commits.keys().copied().collect();
    ids.sort_unstable();
    let mut latencies = Vec::new();
    let mut references = Vec::new();
    let mut missing = 0;
    for region in 0..WRITERS {
        let mut arrivals =
            arrived.iter().filter(|(of, _, _)| *of == region).map(|(_, id, at)| (*id, *at));
        let mut current = arrivals.next();
        for id in ids.iter().filter(|id| **id % WRITERS == region) {
            while current.is_some_and(|(last, _)| last < *id) {
                current = arrivals.next();
            }
            let (before, after) = commits[id];
            references.push(after - before);
            match current {
                Some((_, at)) => latencies.push(at.saturating_duration_since(before)),
                None => missing += 1,
            }
        }
    }
    let seen = latencies.len();
    println!("  {} transactions committed upstream, {seen} seen, {missing} missing", ids.len());
    let line = |name: &str, values: &mut Vec<Duration>| -> f64 {
        values.sort_unstable();
        let at = |share: f64| -> f64 {
            let index = ((values.len() as f64 - 1.0) * share).max(0.0) as usize;
            values.get(index).map_or(f64::NAN, |value| value.as_secs_f64() * 1000.0)
        };
        println!(
            "  {name}: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
        at(0.5)
    };
    let ours = line("COMMIT sent upstream to change on SUBSCRIBE", &mut latencies);
    let reference = line("reference: COMMIT answered upstream         ", &mut references);
    println!("  ratio of the medians: {:.2}", ours / reference);
}
