//! TPC-H: its 22 queries as materialized views over tables that follow a PostgreSQL, compared with
//! PostgreSQL's own answers after the first snapshot and after each stream of refreshes.

use std::fmt::Display;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::Client;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};

use crate::servers::{Postgres, Tidemill, first_value, follow, run_all, sorted_rows, wait_for};

const SCHEMA: &str = include_str!("tpch/schema.sql");
const QUERIES: &str = include_str!("tpch/queries.sql");
const TABLES: [&str; 8] =
    ["region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem"];

/// How long a view may take to reach what the upstream has.
const PATIENCE: Duration = Duration::from_secs(60);

/// A view that takes longer is named.
const SLOW: Duration = Duration::from_secs(1);

/// Runs it; fails on the first view that differs.
pub async fn run(server: &Path, scale: f64, rounds: u32, only: &str) -> Result<()> {
    println!("tpch: scale {scale}, {rounds} refreshes");
    let upstream = Postgres::start()?;
    let admin = upstream.client().await?;
    load(&admin, scale).await?;
    let tidemill = Tidemill::start(server).await?;
    let client = tidemill.client().await?;
    let statements = follow(upstream.port, "postgres", "postgres", "tpch");
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    run_all(&client, &statements).await?;
    let start = Instant::now();
    for table in TABLES {
        let create =
            format!("CREATE TABLE {table} FROM SOURCE postgres (REFERENCE public.{table})");
        run_all(&client, &[&create]).await?;
    }
    for table in TABLES {
        let status =
            format!("SELECT status FROM mz_internal.mz_source_statuses WHERE name = '{table}'");
        wait_for(&client, &status, |status| status == "running").await?;
    }
    println!("  snapshot of {} tables: {:.2} s", TABLES.len(), start.elapsed().as_secs_f64());
    let mut queries = queries()?;
    queries.retain(|(name, _)| name.contains(only));
    let start = Instant::now();
    for (name, query) in &queries {
        let create = format!("CREATE MATERIALIZED VIEW {name} AS {query}");
        run_all(&client, &[&create]).await?;
    }
    let ours = start.elapsed().as_secs_f64();
    let start = Instant::now();
    for (_, query) in &queries {
        sorted_rows(&admin, query).await?;
    }
    let theirs = start.elapsed().as_secs_f64();
    println!(
        "  {} views created: {ours:.2} s; PostgreSQL asked once: {theirs:.2} s",
        queries.len()
    );
    let waited = compare(&admin, &client, &queries).await?;
    println!("  all views equal {waited:.2} s later");
    for round in 1..=rounds {
        let start = Instant::now();
        refresh(&admin, round).await?;
        let written = start.elapsed().as_secs_f64();
        let waited = compare(&admin, &client, &queries).await?;
        println!(
            "  refresh {round}: written in {written:.2} s; all views equal {waited:.2} s later"
        );
    }
    println!("  all {} views equal PostgreSQL's answers", queries.len());
    Ok(())
}

/// Name and text of each query.
fn queries() -> Result<Vec<(String, String)>> {
    let parts = QUERIES.split("-- ").filter(|part| !part.trim().is_empty());
    parts
        .map(|part| {
            let (name, query) = part.split_once('\n').context("a query without a name")?;
            Ok((name.trim().to_owned(), query.trim().to_owned()))
        })
        .collect()
}

async fn load(admin: &Client, scale: f64) -> Result<()> {
    let start = Instant::now();
    admin.batch_execute(SCHEMA).await?;
    copy(admin, "region", RegionGenerator::new(scale, 1, 1).iter()).await?;
    copy(admin, "nation", NationGenerator::new(scale, 1, 1).iter()).await?;
    copy(admin, "part", PartGenerator::new(scale, 1, 1).iter()).await?;
    copy(admin, "supplier", SupplierGenerator::new(scale, 1, 1).iter()).await?;
    copy(admin, "partsupp", PartSuppGenerator::new(scale, 1, 1).iter()).await?;
    copy(admin, "customer", CustomerGenerator::new(scale, 1, 1).iter()).await?;
    copy(admin, "orders", OrderGenerator::new(scale, 1, 1).iter()).await?;
    copy(admin, "lineitem", LineItemGenerator::new(scale, 1, 1).iter()).await?;
    for table in TABLES {
        admin.batch_execute(&format!("ALTER TABLE {table} REPLICA IDENTITY FULL")).await?;
    }
    let after = [
        "CREATE INDEX ON lineitem (l_partkey, l_suppkey)",
        "CREATE INDEX ON orders (o_custkey)",
        "CREATE PUBLICATION tpch FOR ALL TABLES",
        "ANALYZE",
    ];
    run_all(admin, &after).await?;
    println!("  data made and loaded upstream: {:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Loads lines of fields that each end with a bar.
async fn copy(admin: &Client, table: &str, rows: impl Iterator<Item = impl Display>) -> Result<()> {
    let statement = format!("COPY {table} FROM STDIN WITH (DELIMITER '|')");
    let mut sink = pin!(admin.copy_in::<_, Bytes>(&statement).await?);
    let mut buffer = String::new();
    for row in rows {
        let line = row.to_string();
        buffer.push_str(line.strip_suffix('|').unwrap_or(&line));
        buffer.push('\n');
        if buffer.len() > 1 << 16 {
            sink.send(Bytes::from(std::mem::take(&mut buffer))).await?;
        }
    }
    sink.send(Bytes::from(buffer)).await?;
    sink.finish().await.with_context(|| format!("load {table}"))?;
    Ok(())
}

/// New orders with their items, orders that go, and changes of what stays: each a transaction.
async fn refresh(admin: &Client, round: u32) -> Result<()> {
    let key = 100_000_000 * i64::from(round);
    let statements = [
        format!(
            "WITH added AS (INSERT INTO orders SELECT o_orderkey + {key}, o_custkey, o_orderstatus, \
             o_totalprice + {round}, o_orderdate, o_orderpriority, o_clerk, o_shippriority, o_comment \
             FROM orders WHERE o_orderkey < 100000000 AND o_orderkey / 8 % 61 = {round} \
             RETURNING o_orderkey) INSERT INTO lineitem SELECT l_orderkey + {key}, l_partkey, l_suppkey, \
             l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax, l_returnflag, l_linestatus, \
             l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode, l_comment \
             FROM lineitem JOIN added ON o_orderkey = l_orderkey + {key}"
        ),
        format!(
            "WITH gone AS (DELETE FROM orders WHERE o_orderkey / 8 % 53 = {round} \
             RETURNING o_orderkey) DELETE FROM lineitem USING gone WHERE l_orderkey = o_orderkey"
        ),
        format!(
            "UPDATE lineitem SET l_quantity = l_quantity + 1, l_receiptdate = l_receiptdate + 9 \
             WHERE l_orderkey / 8 % 47 = {round}"
        ),
        format!("UPDATE customer SET c_acctbal = c_acctbal - 100 WHERE c_custkey % 11 = {round}"),
        format!(
            "UPDATE partsupp SET ps_supplycost = ps_supplycost / 2 WHERE ps_partkey % 7 = {round}"
        ),
        format!(
            "UPDATE supplier SET s_nationkey = (s_nationkey + 1) % 25 WHERE s_suppkey % 5 = {round}"
        ),
    ];
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    run_all(admin, &statements).await
}

/// Waits until each view is what PostgreSQL says; gives the seconds it took.
async fn compare(admin: &Client, client: &Client, queries: &[(String, String)]) -> Result<f64> {
    let mut wanted = Vec::new();
    for (name, query) in queries {
        wanted.push((name, sorted_rows(admin, query).await?));
    }
    let start = Instant::now();
    for (name, wanted) in wanted {
        let since = Instant::now();
        loop {
            let given = sorted_rows(client, &format!("SELECT * FROM {name}")).await?;
            if given == wanted {
                break;
            }
            if start.elapsed() > PATIENCE {
                let lag = first_value(client, &format!("SELECT count(*) FROM {name}")).await?;
                bail!(
                    "{name} differs ({lag} rows): PostgreSQL {:?}, Tidemill {:?}",
                    wanted.iter().filter(|row| !given.contains(row)).take(3).collect::<Vec<_>>(),
                    given.iter().filter(|row| !wanted.contains(row)).take(3).collect::<Vec<_>>()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if since.elapsed() > SLOW {
            println!("    waited {:.2} s for {name}", since.elapsed().as_secs_f64());
        }
    }
    Ok(start.elapsed().as_secs_f64())
}
