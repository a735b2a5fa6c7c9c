//! Point lookups by pgbench with prepared statements: an index here, and PostgreSQL's primary
//! key on the same rows.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::servers::{Postgres, Tidemill, first_value, follow, run_all, wait_for};

/// Rows of the table.
const ROWS: u32 = 100_000;

/// Runs the benchmark.
pub async fn run(server: &Path, seconds: u64) -> Result<()> {
    println!("lookups: pgbench -M prepared, 8 clients, {ROWS} rows, {seconds} s each");
    let upstream = Postgres::start()?;
    let admin = upstream.client().await?;
    let fill = format!(
        "INSERT INTO accounts SELECT n, n / 1000, n % 977, '' FROM generate_series(1, {ROWS}) AS n"
    );
    run_all(
        &admin,
        &[
            "CREATE TABLE accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))",
            &fill,
            "ALTER TABLE accounts REPLICA IDENTITY FULL",
            "CREATE PUBLICATION accounts_publication FOR TABLE accounts",
            "VACUUM ANALYZE accounts",
        ],
    )
    .await?;
    let tidemill = Tidemill::start(server).await?;
    let client = tidemill.client().await?;
    let statements = follow(upstream.port, "postgres", "postgres", "accounts_publication");
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    run_all(&client, &statements).await?;
    run_all(
        &client,
        &[
            "CREATE TABLE accounts FROM SOURCE postgres (REFERENCE public.accounts)",
            "CREATE INDEX accounts_by_id ON accounts (aid)",
        ],
    )
    .await?;
    wait_for(&client, "SELECT count(*) FROM accounts", |count| count == ROWS.to_string()).await?;
    let plan = first_value(&client, "EXPLAIN SELECT abalance FROM accounts WHERE aid = 7").await?;
    println!("  EXPLAIN says: {}", plan.lines().next().unwrap_or_default());
    let mut script = tempfile::NamedTempFile::new()?;
    writeln!(script, "\\set aid random(1, {ROWS})")?;
    writeln!(script, "SELECT abalance FROM accounts WHERE aid = :aid;")?;
    for mode in ["prepared", "extended", "simple"] {
        let reference =
            pgbench(upstream.port, "postgres", "postgres", mode, script.path(), seconds)?;
        let ours =
            pgbench(tidemill.port, "materialize", "materialize", mode, script.path(), seconds)?;
        println!(
            "  {mode}: Tidemill {ours:.0} a second, PostgreSQL {reference:.0} a second, ratio {:.2}",
            ours / reference
        );
    }
    Ok(())
}

fn pgbench(
    port: u16,
    user: &str,
    database: &str,
    mode: &str,
    script: &Path,
    seconds: u64,
) -> Result<f64> {
    let output = Command::new("pgbench")
        .args(["-n", "-h", "127.0.0.1", "-U", user, "-M", mode, "-c", "8", "-j", "2"])
        .args(["-p", &port.to_string(), "-T", &seconds.to_string(), "-f"])
        .arg(script)
        .arg(database)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "pgbench failed: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let line =
        text.lines().find(|line| line.starts_with("tps = ")).context("pgbench says no tps")?;
    Ok(line.split_whitespace().nth(2).context("tps has no value")?.parse()?)
}
