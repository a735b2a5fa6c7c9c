//! kill -9 of the server at random moments under upstream load and user writes, then of the
//! upstream; afterwards every view must equal the same query run by PostgreSQL, and every
//! acknowledged write must be there once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::servers::{
    Postgres, Tidemill, connect, first_value, follow, run_all, sorted_rows, wait_for,
};
use crate::shop;

/// Queries that are views here, and are asked of PostgreSQL as they stand.
pub const VIEWS: &[(&str, &str)] = &[
    (
        "revenue",
        "SELECT country, count(*) AS lines, sum(quantity * price) AS revenue \
         FROM orders JOIN order_lines ON orders.id = order_id \
         JOIN products ON products.id = product_id JOIN customers ON customers.id = customer_id \
         GROUP BY country",
    ),
    (
        "latest",
        "SELECT customer_id, max(id) AS last, count(*) AS orders FROM orders \
         GROUP BY customer_id HAVING count(*) > 2",
    ),
    (
        "idle_customers",
        "SELECT id, name FROM customers WHERE NOT EXISTS \
         (SELECT 1 FROM orders WHERE orders.customer_id = customers.id)",
    ),
    ("statuses", "SELECT status, count(*) AS orders FROM orders GROUP BY status"),
];

/// Runs the test.
pub async fn run(server: &Path, rounds: u32, upstream_rounds: u32, seed: u64) -> Result<()> {
    println!(
        "crash: {rounds} kills of the server, then {upstream_rounds} of the upstream, seed {seed}"
    );
    let mut random = StdRng::seed_from_u64(seed);
    let upstream = Arc::new(Postgres::start()?);
    shop::load(upstream.port).await?;
    let mut tidemill = Tidemill::start(server).await?;
    set_up(&upstream, &tidemill).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(load(upstream.port, Arc::clone(&stop)));
    let mut acknowledged = Vec::new();
    let mut uncertain = Vec::new();
    let mut next = 1_i64;
    for round in 1..=rounds {
        let until = Instant::now() + Duration::from_millis(random.random_range(5..700));
        write(&tidemill, &mut next, &mut acknowledged, &mut uncertain, until).await;
        tidemill.kill()?;
        tidemill.restart().await?;
        if round % 10 == 0 {
            println!("  {round} kills of the server, {} writes acknowledged", acknowledged.len());
        }
    }
    for round in 1..=upstream_rounds {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..900))).await;
        upstream.kill()?;
        upstream.restart()?;
        if round % 5 == 0 {
            println!("  {round} kills of the upstream");
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::SeqCst);
    let deeds = load.await??;
    println!("  {deeds} upstream transactions, {} user writes acknowledged", acknowledged.len());
    compare(&upstream, &tidemill).await?;
    check_writes(&tidemill, &acknowledged, &uncertain).await?;
    println!("  all views equal, all acknowledged writes there once");
    Ok(())
}

async fn set_up(upstream: &Postgres, tidemill: &Tidemill) -> Result<()> {
    let client = tidemill.client().await?;
    let statements = follow(upstream.port, shop::USER, shop::DATABASE, shop::PUBLICATION);
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    run_all(&client, &statements).await?;
    for table in shop::TABLES {
        let create = format!("CREATE TABLE {table} FROM SOURCE shop (REFERENCE public.{table})");
        client.batch_execute(&create).await?;
    }
    for (name, query) in VIEWS {
        client.batch_execute(&format!("CREATE MATERIALIZED VIEW {name} AS {query}")).await?;
    }
    run_all(
        &client,
        &["CREATE TABLE written (id bigint NOT NULL)", "CREATE INDEX ON written (id)"],
    )
    .await?;
    wait_for(&client, "SELECT count(*) FROM statuses", |count| count == "3").await
}

/// Upstream load; connections lost to a kill are made again.
async fn load(port: u16, stop: Arc<AtomicBool>) -> Result<u64> {
    let mut deeds = 0;
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut client) = connect(port, "postgres", shop::DATABASE).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while !stop.load(Ordering::SeqCst) && shop::deed(&mut client).await.is_ok() {
            deeds += 1;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    Ok(deeds)
}

/// Single-row inserts until a moment; which of them were acknowledged is remembered.
async fn write(
    tidemill: &Tidemill,
    next: &mut i64,
    acknowledged: &mut Vec<i64>,
    uncertain: &mut Vec<i64>,
    until: Instant,
) {
    let Ok(client) = tidemill.client().await else { return };
    while Instant::now() < until {
        let id = *next;
        *next += 1;
        match client.batch_execute(&format!("INSERT INTO written VALUES ({id})")).await {
            Ok(()) => acknowledged.push(id),
            Err(_) => {
                uncertain.push(id);
                return;
            }
        }
    }
}

async fn compare(upstream: &Postgres, tidemill: &Tidemill) -> Result<()> {
    let client = tidemill.client().await?;
    let reference = connect(upstream.port, "postgres", shop::DATABASE).await?;
    let mut queries: Vec<(String, String)> = VIEWS
        .iter()
        .map(|(name, query)| (format!("SELECT * FROM {name}"), (*query).to_owned()))
        .collect();
    for table in shop::TABLES {
        let query = format!("SELECT * FROM {table}");
        queries.push((query.clone(), query));
    }
    for (ours, theirs) in queries {
        let expected = sorted_rows(&reference, &theirs).await?;
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let got = sorted_rows(&client, &ours).await;
            if got.as_ref().is_ok_and(|got| *got == expected) {
                break;
            }
            if Instant::now() > deadline {
                let got = got?;
                let missing = expected.iter().filter(|row| !got.contains(row)).count();
                let extra = got.iter().filter(|row| !expected.contains(row)).count();
                bail!("{ours}: {missing} rows missing, {extra} too many of {}", expected.len());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

async fn check_writes(tidemill: &Tidemill, acknowledged: &[i64], uncertain: &[i64]) -> Result<()> {
    let client = tidemill.client().await?;
    let doubled = first_value(
        &client,
        "SELECT count(*) FROM (SELECT id FROM written GROUP BY id HAVING count(*) > 1) AS d",
    )
    .await?;
    ensure!(doubled == "0", "{doubled} writes are there twice");
    let rows = sorted_rows(&client, "SELECT id FROM written").await?;
    let present: std::collections::HashSet<i64> =
        rows.iter().filter_map(|row| row.parse().ok()).collect();
    let lost: Vec<&i64> = acknowledged.iter().filter(|id| !present.contains(id)).collect();
    ensure!(lost.is_empty(), "{} acknowledged writes are lost: {lost:?}", lost.len());
    let known = |id: &i64| acknowledged.contains(id) || uncertain.contains(id);
    ensure!(present.iter().all(known), "there are rows that nobody wrote");
    Ok(())
}
