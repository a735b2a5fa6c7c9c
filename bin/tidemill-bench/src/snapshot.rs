//! The first content of a table: from CREATE TABLE to its commit. Reference: psql's
//! `COPY .. TO STDOUT` into /dev/null on the same server.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::servers::{Postgres, Tidemill, first_value, follow, run_all, wait_for};

/// What kind of table.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Shape {
    /// Four columns like those of pgbench's accounts.
    Narrow,
    /// Twenty columns of many types, some of them NULL.
    Mixed,
}

impl Shape {
    /// The statements that create and fill it.
    fn create(self, rows: u64) -> [String; 2] {
        match self {
            Shape::Narrow => [
                "CREATE TABLE accounts (aid int NOT NULL, bid int, abalance int, filler char(84))".to_owned(),
                format!("INSERT INTO accounts SELECT n, n / 100000, 0, '' FROM generate_series(1, {rows}) AS n"),
            ],
            Shape::Mixed => [
                "CREATE TABLE accounts (aid int NOT NULL, a bigint, b smallint, c numeric(12,2), d numeric, e text, \
                 f varchar(40), g boolean, h date, i timestamp, j timestamptz, k float8, l float4, m uuid, n jsonb, \
                 o bytea, p int[], q text[], r time, s interval)"
                    .to_owned(),
                format!(
                    "INSERT INTO accounts SELECT n, n::bigint * 1000000007, n % 30000, n / 100.0, n::numeric / 7, \
                     'a text with number ' || n, md5(n::text), n % 2 = 0, date '2000-01-01' + n % 9000, \
                     timestamp '2020-01-01' + n * interval '1 s', timestamptz '2020-01-01' + n * interval '1 s', \
                     n / 3.0, n / 7.0, md5(n::text)::uuid, jsonb_build_object('n', n, 'v', 'x'), \
                     CASE WHEN n % 3 = 0 THEN decode(md5(n::text), 'hex') END, ARRAY[n, n + 1], \
                     CASE WHEN n % 2 = 0 THEN ARRAY['a', 'b'] END, time '00:00' + n * interval '1 s', \
                     n * interval '1 minute' FROM generate_series(1, {rows}) AS n"
                ),
            ],
        }
    }
}

/// Runs the benchmark.
pub async fn run(server: &Path, rows: u64, shape: Shape) -> Result<()> {
    let columns = match shape {
        Shape::Narrow => "4 columns like those of pgbench's accounts",
        Shape::Mixed => "20 columns of many types",
    };
    println!("snapshot: a table of {rows} rows with {columns}");
    let upstream = Postgres::start()?;
    let admin = upstream.client().await?;
    let [create, fill] = shape.create(rows);
    run_all(
        &admin,
        &[
            &create,
            &fill,
            "ALTER TABLE accounts ADD PRIMARY KEY (aid)",
            "ALTER TABLE accounts REPLICA IDENTITY FULL",
            "CREATE PUBLICATION accounts_publication FOR TABLE accounts",
            "VACUUM ANALYZE accounts",
            "CHECKPOINT",
        ],
    )
    .await?;
    let tidemill = Tidemill::start(server).await?;
    let client = tidemill.client().await?;
    let statements = follow(upstream.port, "postgres", "postgres", "accounts_publication");
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    run_all(&client, &statements).await?;
    let mut references = Vec::new();
    let mut ours = Vec::new();
    for round in 0..3 {
        references.push(copy(upstream.port)?);
        let table = format!("accounts_{round}");
        let start = Instant::now();
        let create =
            format!("CREATE TABLE {table} FROM SOURCE postgres (REFERENCE public.accounts)");
        client.batch_execute(&create).await?;
        let status =
            format!("SELECT status FROM mz_internal.mz_source_statuses WHERE name = '{table}'");
        wait_for(&client, &status, |status| status == "running").await?;
        ours.push(start.elapsed().as_secs_f64());
        let count = first_value(&client, &format!("SELECT count(*) FROM {table}")).await?;
        ensure!(count == rows.to_string(), "{count} rows arrived instead of {rows}");
        client.batch_execute(&format!("DROP TABLE {table}")).await?;
    }
    references.sort_by(f64::total_cmp);
    ours.sort_by(f64::total_cmp);
    println!("  Tidemill, CREATE TABLE to status running: median {:.2} s of {ours:.2?}", ours[1]);
    println!(
        "  reference, psql COPY TO STDOUT > /dev/null: median {:.2} s of {references:.2?}",
        references[1]
    );
    println!("  ratio: {:.2}", ours[1] / references[1]);
    Ok(())
}

fn copy(port: u16) -> Result<f64> {
    let start = Instant::now();
    let status = Command::new("psql")
        .args(["-h", "127.0.0.1", "-U", "postgres", "-p"])
        .arg(port.to_string())
        .args(["-c", "COPY accounts TO STDOUT"])
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "psql failed");
    Ok(start.elapsed().as_secs_f64())
}
