//! Chaos: random transactions and changes of the schema upstream, a line that delays, stalls and
//! cuts, servers that are killed, tables that come, go and are read again; after each round every
//! table and every view must equal what PostgreSQL says, and meanwhile two tables that change only
//! together must never be seen apart.

mod proxy;
mod schema;
mod trouble;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::sync::Mutex;
use tokio_postgres::Client;

use crate::servers::{Postgres, Tidemill, connect, run_all, sorted_rows};
use proxy::Proxy;
use schema::{Followed, PAIR, PUBLICATION, TABLES, VIEWS};
use trouble::World;

/// How long a round lasts.
const ROUND: Duration = Duration::from_secs(12);

/// How long a table may take to become right after a round.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was counted.
#[derive(Default)]
struct Totals {
    compared: u64,
    healed: u64,
    looks: AtomicU64,
}

/// Runs the test.
pub async fn run(server: &Path, seconds: u64, seed: u64, verbose: bool) -> Result<()> {
    println!("chaos: {seconds} s, seed {seed}");
    let world = Arc::new(set_up(server, verbose).await.context("set up")?);
    let counts = Arc::new(writer::Counts::default());
    let mut totals = Totals::default();
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut round = 0;
    while round == 0 || Instant::now() < until {
        round += 1;
        let length = ROUND.min(until.saturating_duration_since(Instant::now()));
        let result =
            one_round(&world, seed.wrapping_add(round * 7919), length, &counts, &mut totals);
        if let Err(error) = result.await {
            let log = world.tidemill.lock().await.keep()?;
            return Err(error.context(format!(
                "chaos failed in round {round}; repeat with SEED={seed}; the server's log is in {}",
                log.display()
            )));
        }
        println!(
            "  round {round}: {} transactions, {} changes of the schema, {} comparisons, {} looks at the pair, \
             {} tables healed by RESYNC",
            counts.transactions.load(Ordering::Relaxed),
            counts.schema_changes.load(Ordering::Relaxed),
            totals.compared,
            totals.looks.load(Ordering::Relaxed),
            totals.healed,
        );
    }
    println!("  all equal");
    Ok(())
}

async fn set_up(server: &Path, verbose: bool) -> Result<World> {
    let upstream = Postgres::start()?;
    let admin = upstream.client().await?;
    // Transactions are streamed before they commit, where the version knows how.
    let _ = admin.batch_execute("ALTER SYSTEM SET logical_decoding_work_mem = '64kB'").await;
    run_all(&admin, &["SELECT pg_reload_conf()"]).await?;
    schema::create_all(&admin).await?;
    let proxy = Proxy::start(upstream.port).await?;
    let tidemill = Tidemill::start(server).await?;
    let client = tidemill.client().await?;
    let connection = format!(
        "CREATE CONNECTION upstream_connection TO POSTGRES (HOST '127.0.0.1', PORT {}, \
         USER 'postgres', DATABASE 'postgres')",
        proxy.port
    );
    let source = format!(
        "CREATE SOURCE upstream FROM POSTGRES CONNECTION upstream_connection (PUBLICATION '{PUBLICATION}')"
    );
    run_all(&client, &[&connection, &source]).await?;
    let mut followed = Vec::new();
    for table in TABLES {
        followed
            .push(Followed { here: (*table).to_owned(), oid: schema::oid(&admin, table).await? });
    }
    for table in TABLES.iter().chain(PAIR) {
        let create =
            format!("CREATE TABLE {table} FROM SOURCE upstream (REFERENCE public.{table})");
        client.batch_execute(&create).await?;
    }
    for (name, query) in VIEWS {
        client.batch_execute(&format!("CREATE MATERIALIZED VIEW {name} AS {query}")).await?;
    }
    let port = tidemill.port;
    let (tidemill, followed) = (Mutex::new(tidemill), Mutex::new(followed));
    Ok(World { upstream, tidemill, port, proxy, followed, verbose })
}

async fn one_round(
    world: &Arc<World>,
    seed: u64,
    length: Duration,
    counts: &Arc<writer::Counts>,
    totals: &mut Totals,
) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let looking = Arc::new(AtomicBool::new(false));
    let looks = Arc::new(AtomicU64::new(0));
    let looker = tokio::spawn(look(world.port, Arc::clone(&looking), Arc::clone(&looks)));
    let port = world.upstream.port;
    let writer = writer::run(port, seed, Arc::clone(&stop), Arc::clone(counts));
    let disturber = trouble::disturb(Arc::clone(world), seed ^ 1, Arc::clone(&stop));
    let other = trouble::follow_otherwise(Arc::clone(world), seed ^ 2, Arc::clone(&stop));
    let (writer, disturber, other) =
        (tokio::spawn(writer), tokio::spawn(disturber), tokio::spawn(other));
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::SeqCst);
    writer.await??;
    disturber.await??;
    other.await??;
    let compared = compare(world, totals).await;
    looking.store(true, Ordering::SeqCst);
    looker.await??;
    totals.looks.fetch_add(looks.load(Ordering::Relaxed), Ordering::Relaxed);
    compared
}

/// Looks at the pair all the time: what one lost the other has, and moves are never undone.
async fn look(port: u16, stop: Arc<AtomicBool>, looks: Arc<AtomicU64>) -> Result<()> {
    let mut most = 0_i64;
    while !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let Ok(client) = connect(port, "materialize", "materialize").await else { continue };
        // A read that hangs must not keep the test from saying so.
        for query in [
            "SELECT n::bigint, moves::bigint FROM v_pair",
            "SELECT sum(n)::bigint, sum(moves)::bigint FROM (SELECT * FROM pair_a UNION ALL SELECT * FROM pair_b) AS p",
        ] {
            let rows = tokio::time::timeout(Duration::from_secs(20), client.query(query, &[]));
            let Ok(Ok(rows)) = rows.await else { continue };
            let [row] = rows.as_slice() else { bail!("{query}: {} rows", rows.len()) };
            // Before the first content there is nothing.
            let (n, moves): (Option<i64>, Option<i64>) = (row.get(0), row.get(1));
            let (Some(n), Some(moves)) = (n, moves) else { continue };
            ensure!(n == 0, "{query}: half of a transaction is seen: {n}");
            ensure!(moves >= most, "{query}: {moves} moves after {most}");
            most = moves;
            looks.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Everything here must equal upstream. Tables that are in an error which asks for it are read
/// again.
async fn compare(world: &World, totals: &mut Totals) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let reference = world.upstream.client().await?;
    trouble::publish_missing(world).await?;
    while let Err(error) = create_all_missing(world).await {
        ensure!(Instant::now() < deadline, "tables cannot be created: {error:#}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let names = schema::names(&reference).await?;
    let followed = world.followed.lock().await.clone();
    let with = schema::as_here(&followed, &names);
    for table in &followed {
        let ours = read_columns(world.port, &table.here, deadline).await?;
        let theirs = format!("{with}SELECT id, k, v, big FROM {}", table.here);
        compare_one(world, &reference, &table.here, (&ours, &theirs), totals).await?;
    }
    for table in PAIR {
        let query = format!("SELECT * FROM {table}");
        compare_one(world, &reference, table, (&query, &query), totals).await?;
    }
    for (name, query) in VIEWS {
        let ours = format!("SELECT * FROM {name}");
        let theirs = format!("{with}{query}");
        compare_one(world, &reference, name, (&ours, &theirs), totals).await?;
    }
    Ok(())
}

/// A query of the first columns of a table, which has the names that were upstream's when it was
/// created.
async fn read_columns(port: u16, table: &str, deadline: Instant) -> Result<String> {
    loop {
        let described = async {
            let client = connect(port, "materialize", "materialize").await?;
            let described = client.prepare(&format!("SELECT * FROM {table}")).await?;
            let names = described.columns().iter().take(schema::COLUMNS.len());
            anyhow::Ok(names.map(|column| column.name().to_owned()).collect::<Vec<_>>().join(", "))
        };
        match described.await {
            Ok(names) => return Ok(format!("SELECT {names} FROM {table}")),
            Err(error) if Instant::now() > deadline => return Err(error.context(table.to_owned())),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

async fn create_all_missing(world: &World) -> Result<()> {
    let client = connect(world.port, "materialize", "materialize").await?;
    let created = trouble::create_missing(world, &client);
    tokio::time::timeout(Duration::from_secs(30), created).await?
}

async fn compare_one(
    world: &World,
    reference: &Client,
    name: &str,
    (ours, theirs): (&str, &str),
    totals: &mut Totals,
) -> Result<()> {
    totals.compared += 1;
    let expected = sorted_rows(reference, theirs).await?;
    let deadline = Instant::now() + PATIENCE;
    let mut healed = false;
    loop {
        let got = read_here(world.port, ours).await;
        match &got {
            Ok(rows) if *rows == expected => return Ok(()),
            Err(error) if !healed && format!("{error:#}").contains("cannot be followed") => {
                let client = connect(world.port, "materialize", "materialize").await?;
                let resync = format!("ALTER TABLE {name} RESYNC");
                world_says(world, &format!("{name} is healed: {error:#}"));
                match client.batch_execute(&resync).await {
                    Ok(()) => {
                        healed = true;
                        totals.healed += 1;
                    }
                    // It was created with a column that was there for a moment only.
                    Err(error)
                        if error.code().is_some_and(|code| code.code() == "42703")
                            && !TABLES.contains(&name) =>
                    {
                        client.batch_execute(&format!("DROP TABLE {name}")).await?;
                        trouble::create_missing(world, &client).await?;
                    }
                    Err(_) => {}
                }
            }
            _ => {}
        }
        if Instant::now() > deadline {
            let got = got.with_context(|| ours.to_owned())?;
            bail!("{ours}: {}", difference(&got, &expected));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn world_says(world: &World, what: &str) {
    if world.verbose {
        println!("    {what}");
    }
}

async fn read_here(port: u16, query: &str) -> Result<Vec<String>> {
    let client = connect(port, "materialize", "materialize").await?;
    let rows = sorted_rows(&client, query);
    tokio::time::timeout(Duration::from_secs(100), rows).await.context("no answer")?
}

/// What is missing and what is too much, each counted as often as it is there.
fn difference(got: &[String], expected: &[String]) -> String {
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    let (mut ours, mut theirs) = (got.iter().peekable(), expected.iter().peekable());
    loop {
        match (ours.peek(), theirs.peek()) {
            (None, None) => break,
            (Some(a), Some(b)) if a == b => {
                ours.next();
                theirs.next();
            }
            (Some(a), b) if b.is_none_or(|b| a < b) => {
                extra.push((*a).clone());
                ours.next();
            }
            _ => missing.extend(theirs.next().cloned()),
        }
    }
    let shown = |rows: &[String]| -> Vec<String> {
        rows.iter().take(5).map(|row| row.chars().take(90).collect()).collect()
    };
    format!(
        "{} rows missing, {} too many of {}; missing {:?}, too many {:?}",
        missing.len(),
        extra.len(),
        expected.len(),
        shown(&missing),
        shown(&extra)
    )
}
