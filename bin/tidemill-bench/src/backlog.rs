//! Draining a backlog of upstream transactions. References, on the same upstream and the same
//! transactions: PostgreSQL's own subscriber, and `pg_recvlogical` with pgoutput into /dev/null.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio_postgres::Client;

use crate::servers::{Postgres, Tidemill, first_value, follow, run_all, wait_for};

/// Runs the benchmark.
pub async fn run(server: &Path, changes: u64, transactions: u64) -> Result<()> {
    println!("backlog: {changes} row changes in {transactions} transactions");
    let upstream = Postgres::start()?;
    let admin = upstream.client().await?;
    let tables = [
        "CREATE TABLE items (id bigint PRIMARY KEY, k int NOT NULL, name text, amount numeric(12,2), at timestamptz)",
        "CREATE TABLE marks (id int PRIMARY KEY)",
    ];
    run_all(&admin, &tables).await?;
    run_all(
        &admin,
        &[
            "ALTER TABLE items REPLICA IDENTITY FULL",
            "CREATE SEQUENCE ids",
            "CREATE PUBLICATION backlog FOR TABLE items, marks",
        ],
    )
    .await?;
    let subscriber = Postgres::start()?;
    let subscribing = subscriber.client().await?;
    run_all(&subscribing, &tables).await?;
    let subscribe = format!(
        "CREATE SUBSCRIPTION backlog CONNECTION 'host=127.0.0.1 port={} user=postgres dbname=postgres' \
         PUBLICATION backlog WITH (binary = true)",
        upstream.port
    );
    run_all(&subscribing, &[&subscribe]).await?;
    let mut tidemill = Tidemill::start(server).await?;
    set_up(&tidemill.client().await?, &upstream).await?;
    admin.batch_execute("INSERT INTO marks VALUES (0)").await?;
    wait_for(&subscribing, "SELECT count(*) FROM marks", |count| count == "1").await?;
    wait_for(&tidemill.client().await?, "SELECT count(*) FROM marks", |count| count == "1").await?;
    subscribing.batch_execute("ALTER SUBSCRIPTION backlog DISABLE").await?;
    tidemill.kill()?;
    let slot = "SELECT pg_create_logical_replication_slot('received', 'pgoutput')";
    first_value(&admin, slot).await?;
    fill(&admin, changes, transactions).await?;
    let end = first_value(&admin, "SELECT pg_current_wal_lsn()").await?;

    let received = receive(upstream.port, &end)?;
    let start = Instant::now();
    subscribing.batch_execute("ALTER SUBSCRIPTION backlog ENABLE").await?;
    wait_long(&subscribing, "SELECT count(*) FROM marks", "2").await?;
    let subscribed = start.elapsed().as_secs_f64();
    let start = Instant::now();
    tidemill.restart().await?;
    let restarted = start.elapsed().as_secs_f64();
    let client = tidemill.client().await?;
    wait_long(&client, "SELECT count(*) FROM marks", "2").await?;
    let ours = start.elapsed().as_secs_f64();
    let query = "SELECT count(*) || ' ' || sum(k) FROM items";
    let expected = first_value(&admin, query).await?;
    for (who, client) in [("Tidemill", &client), ("the subscriber", &subscribing)] {
        let got = first_value(client, query).await?;
        ensure!(got == expected, "{who} has {got} instead of {expected}");
    }
    let rate = |seconds: f64| changes as f64 / seconds / 1000.0;
    println!(
        "  Tidemill, from its start: {ours:.2} s ({restarted:.2} s of them until it answers), {:.0} thousand/s",
        rate(ours)
    );
    println!(
        "  reference, PostgreSQL's subscriber: {subscribed:.2} s, {:.0} thousand/s; ratio {:.2}",
        rate(subscribed),
        ours / subscribed
    );
    println!(
        "  reference, pg_recvlogical > /dev/null: {received:.2} s, {:.0} thousand/s; ratio {:.2}",
        rate(received),
        ours / received
    );
    Ok(())
}

async fn set_up(client: &Client, upstream: &Postgres) -> Result<()> {
    let statements = follow(upstream.port, "postgres", "postgres", "backlog");
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    run_all(client, &statements).await?;
    run_all(
        client,
        &[
            "CREATE TABLE items FROM SOURCE postgres (REFERENCE public.items)",
            "CREATE TABLE marks FROM SOURCE postgres (REFERENCE public.marks)",
        ],
    )
    .await
}

/// Of each ten changes six insert, three update, one deletes.
async fn fill(admin: &Client, changes: u64, transactions: u64) -> Result<()> {
    let each = (changes / transactions.max(1)).max(10);
    for _ in 0..transactions {
        let (inserts, updates, deletes) = (each * 6 / 10, each * 3 / 10, each / 10);
        let transaction = format!(
            "BEGIN; \
             INSERT INTO items SELECT nextval('ids'), n % 100, 'item ' || n, n / 100.0, now() \
                FROM generate_series(1, {inserts}) AS n; \
             UPDATE items SET amount = amount + 1, k = k + 1 WHERE id > currval('ids') - {updates}; \
             DELETE FROM items WHERE id IN (SELECT id FROM items WHERE id <= currval('ids') - {updates} \
                ORDER BY id DESC LIMIT {deletes}); COMMIT"
        );
        admin.batch_execute(&transaction).await?;
    }
    admin.batch_execute("INSERT INTO marks VALUES (1)").await?;
    Ok(())
}

/// Receives all up to a position, as fast as it comes.
fn receive(port: u16, end: &str) -> Result<f64> {
    let start = Instant::now();
    let status = Command::new(program("pg_recvlogical"))
        .args(["-h", "127.0.0.1", "-U", "postgres", "-d", "postgres", "-p"])
        .arg(port.to_string())
        .args(["-S", "received", "--start", "-f", "/dev/null", "-o", "proto_version=1"])
        .args(["-o", "publication_names=backlog", "--no-loop", "--endpos"])
        .arg(end)
        .stdout(Stdio::null())
        .status()
        .context("pg_recvlogical")?;
    ensure!(status.success(), "pg_recvlogical failed");
    Ok(start.elapsed().as_secs_f64())
}

/// A program of PostgreSQL's that is not on the path on Debian.
fn program(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin").join(name)).collect())
        .unwrap_or_default();
    versions.retain(|path| path.exists());
    versions.sort();
    versions.pop().unwrap_or_else(|| PathBuf::from(name))
}

async fn wait_long(client: &Client, query: &str, wanted: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(1800);
    while first_value(client, query).await? != wanted {
        ensure!(Instant::now() < deadline, "not drained within half an hour");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
