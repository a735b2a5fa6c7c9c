//! Random queries over random tables, asked of Tidemill and of PostgreSQL: the answers must agree. And
//! what is maintained while rows come and go must be what is asked anew.
//!
//! A round is a schema, its rows, and some queries; it is a function of its seed, which a
//! difference is printed with.

mod expression;
mod kinds;
mod query;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use futures::StreamExt;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::fuzz::kinds::{Kind, Schema};
use crate::fuzz::query::{Generator, Made};
use crate::run::Servers;
use crate::session::{Failure, Outcome, Session};

/// Queries of one round.
const QUERIES: u64 = 40;
/// Of so many queries one is maintained.
const MAINTAINED: u32 = 4;
/// Differences that are printed before the run gives up.
const MAX_DIFFERENCES: usize = 20;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many queries.
    pub queries: u64,
    /// The first round's seed.
    pub seed: u64,
    /// Rounds at the same time.
    pub jobs: usize,
    /// Whether window functions are asked.
    pub windows: bool,
}

/// What came out so far.
#[derive(Default)]
struct Tally {
    compared: AtomicU64,
    maintained: AtomicU64,
    failed_alike: AtomicU64,
    /// Where one side stumbled over a value that the other did not have to look at.
    one_sided: AtomicU64,
    unsupported: Mutex<BTreeMap<String, u64>>,
    differences: Mutex<Vec<String>>,
}

/// Runs rounds; prints differences and a summary; says how many differences there were.
pub async fn run(servers: &Servers, options: Options) -> Result<usize> {
    let tally = Arc::new(Tally::default());
    let rounds = options.queries.div_ceil(QUERIES);
    let start = Instant::now();
    println!("seed {}: {rounds} rounds of {QUERIES} queries", options.seed);
    let runs = futures::stream::iter(0..rounds)
        .map(|round| {
            let tally = Arc::clone(&tally);
            async move {
                if tally.differences.lock().len() >= MAX_DIFFERENCES {
                    return;
                }
                let seed = options.seed.wrapping_add(round);
                if let Err(error) = run_round(servers, seed, options.windows, &tally).await {
                    tally.difference(seed, &format!("{error:#}"));
                }
            }
        })
        .buffer_unordered(options.jobs.max(1));
    runs.collect::<Vec<()>>().await;
    tally.summary(start.elapsed());
    Ok(tally.differences.lock().len())
}

impl Tally {
    fn difference(&self, seed: u64, message: &str) {
        println!("seed {seed}: {message}");
        self.differences.lock().push(message.to_owned());
    }

    fn summary(&self, elapsed: Duration) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for (message, count) in self.unsupported.lock().iter() {
            println!("not supported, {count} times: {message}");
        }
        println!(
            "{} queries compared, {} of them maintained, {} failed alike, {} on one side only by a value; \
             {} differences; {:.0} s",
            load(&self.compared),
            load(&self.maintained),
            load(&self.failed_alike),
            load(&self.one_sided),
            self.differences.lock().len(),
            elapsed.as_secs_f64()
        );
    }
}

struct Round<'a> {
    seed: u64,
    ours: Session,
    theirs: Session,
    tally: &'a Tally,
}

async fn run_round(servers: &Servers, seed: u64, windows: bool, tally: &Tally) -> Result<()> {
    let database = format!("fuzz_{seed}");
    let tidemill = servers.tidemill.as_ref().ok_or_else(|| anyhow!("needs a Tidemill"))?;
    let create = format!("CREATE DATABASE {database}");
    let admin = servers.postgres.session("postgres").await?;
    admin.run(&create).await.map_err(anyhow::Error::msg)?;
    let (our_admin, ours) = {
        let server = tidemill.lock().await;
        let admin = server.session("materialize").await?;
        admin.run(&create).await.map_err(anyhow::Error::msg)?;
        (admin, server.session(&database).await?)
    };
    let theirs = servers.postgres.session(&database).await?;
    let settings = "SET TimeZone = 'UTC'; SET statement_timeout = '5s'; SET jit = off";
    theirs.run(settings).await.map_err(anyhow::Error::msg)?;
    ours.run("SET statement_timeout = '30s'").await.map_err(anyhow::Error::msg)?;
    let round = Round { seed, ours, theirs, tally };
    round.run(windows).await?;
    drop(round);
    let drop = format!("DROP DATABASE {database}");
    admin.run(&drop).await.map_err(anyhow::Error::msg)?;
    our_admin.run(&drop).await.map_err(anyhow::Error::msg)?;
    Ok(())
}

impl Round<'_> {
    async fn run(&self, windows: bool) -> Result<()> {
        let mut rng = SmallRng::seed_from_u64(self.seed);
        let schema = Schema::random(&mut rng);
        for sql in schema.create() {
            self.both(&sql).await?;
        }
        for table in &schema.tables {
            let sql = schema.insert(&mut rng, table);
            self.both(&sql).await?;
        }
        for _ in 0..QUERIES {
            let rng = &mut rng;
            let mut generator = Generator { rng, schema: &schema, aliases: 0, windows };
            let made = generator.query();
            if self.compare(&made).await && rng.random_ratio(1, MAINTAINED) {
                self.maintain(&made, &schema, rng).await?;
            }
        }
        Ok(())
    }

    /// A statement that must run on both.
    async fn both(&self, sql: &str) -> Result<()> {
        let failed = |side: &str, failure: Failure| anyhow!("{side}: {failure} | {sql}");
        self.theirs.run(sql).await.map_err(|failure| failed("PostgreSQL", failure))?;
        self.ours.run(sql).await.map_err(|failure| failed("Tidemill", failure))?;
        Ok(())
    }

    /// Asks both; says whether both gave rows, and the same.
    async fn compare(&self, made: &Made) -> bool {
        let theirs = self.theirs.run(&made.sql).await;
        // It took too long, or PostgreSQL has no such plan (some full joins).
        if matches!(&theirs, Err(failure) if failure.code == "57014" || failure.code == "0A000") {
            return false;
        }
        let ours = self.ours.run(&made.sql).await;
        self.tally.compared.fetch_add(1, Ordering::Relaxed);
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => {
                let (ours, theirs) = (normal(ours, &made.kinds), normal(theirs, &made.kinds));
                if ours == theirs {
                    return true;
                }
                let shown = difference(&ours, &theirs);
                self.difference(&format!("{shown} | {}", made.sql));
            }
            (Err(ours), _) if ours.code == "0A000" => {
                *self.tally.unsupported.lock().entry(ours.message.clone()).or_default() += 1;
            }
            (Err(ours), Err(theirs)) if ours.code == theirs.code => {
                self.tally.failed_alike.fetch_add(1, Ordering::Relaxed);
            }
            (Err(failure), _) if is_of_a_value(failure) => {
                self.tally.one_sided.fetch_add(1, Ordering::Relaxed);
            }
            (Ok(_), Err(failure)) if is_of_a_value(failure) => {
                self.tally.one_sided.fetch_add(1, Ordering::Relaxed);
            }
            (ours, theirs) => {
                let shown = |result: &Result<Outcome, Failure>| match result {
                    Ok(outcome) => format!("{} rows", outcome.rows.len()),
                    Err(failure) => failure.to_string().replace('\n', " "),
                };
                let (ours, theirs) = (shown(ours), shown(theirs));
                self.difference(&format!("Tidemill {ours}, PostgreSQL {theirs} | {}", made.sql));
            }
        }
        false
    }

    /// Makes the query a materialized view, writes, and compares it with asking again.
    async fn maintain(&self, made: &Made, schema: &Schema, rng: &mut SmallRng) -> Result<()> {
        let columns: Vec<String> = (0..made.kinds.len()).map(|n| format!("m{n}")).collect();
        let create = format!("CREATE MATERIALIZED VIEW m ({}) AS {}", columns.join(", "), made.sql);
        if let Err(failure) = self.ours.run(&create).await {
            self.difference(&format!("{failure} | {create}"));
            return Ok(());
        }
        let mut writes = Vec::new();
        for _ in 0..rng.random_range(1..=4) {
            let sql = schema.write(rng);
            self.both(&sql).await?;
            writes.push(sql);
        }
        let maintained = self.ours.run("SELECT * FROM m").await;
        self.ours.run("DROP MATERIALIZED VIEW m").await.map_err(anyhow::Error::msg)?;
        self.tally.maintained.fetch_add(1, Ordering::Relaxed);
        let asked = self.theirs.run(&made.sql).await;
        match (maintained, asked) {
            (Ok(maintained), Ok(asked)) => {
                let ours = normal(&maintained, &made.kinds);
                let theirs = normal(&asked, &made.kinds);
                if ours != theirs {
                    let (shown, writes) = (difference(&ours, &theirs), writes.join("; "));
                    self.difference(&format!("maintained: {shown} | {} | {writes}", made.sql));
                }
            }
            (Err(failure), _) | (_, Err(failure)) if is_of_a_value(&failure) => {
                self.tally.one_sided.fetch_add(1, Ordering::Relaxed);
            }
            (_, Err(failure)) if failure.code == "57014" || failure.code == "0A000" => {}
            (Err(failure), _) => {
                self.difference(&format!("maintained: {failure} | {}", made.sql));
            }
            (Ok(_), Err(failure)) => {
                self.difference(&format!("PostgreSQL: {failure} | {}", made.sql));
            }
        }
        Ok(())
    }

    fn difference(&self, message: &str) {
        self.tally.difference(self.seed, message);
    }
}

/// Errors that hang on which values an evaluation met: the order of evaluation is free.
fn is_of_a_value(failure: &Failure) -> bool {
    failure.code.starts_with("22") || failure.code.starts_with("21")
}

/// Rows in an order, with values of equal meaning written alike.
fn normal(outcome: &Outcome, kinds: &[Kind]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = outcome
        .rows
        .iter()
        .map(|row| {
            let values = row.iter().zip(kinds);
            values
                .map(|(value, kind)| {
                    value.as_deref().map_or("NULL".to_owned(), |value| normal_value(value, *kind))
                })
                .collect()
        })
        .collect();
    rows.sort();
    rows
}

fn normal_value(value: &str, kind: Kind) -> String {
    match kind {
        Kind::Numeric if value.contains('.') => {
            value.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Kind::Float8 => match value.parse::<f64>() {
            Ok(number) => format!("{number:.9e}"),
            Err(_) => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}

/// The first rows that only one side has.
fn difference(ours: &[Vec<String>], theirs: &[Vec<String>]) -> String {
    let only = |here: &[Vec<String>], there: &[Vec<String>]| {
        let mut there = there.to_vec();
        let mut rows = Vec::new();
        for row in here {
            match there.iter().position(|other| other == row) {
                Some(at) => {
                    there.swap_remove(at);
                }
                None => rows.push(row.join(",")),
            }
        }
        rows.truncate(3);
        rows
    };
    format!(
        "{} rows, PostgreSQL {}; only here {:?}; only there {:?}",
        ours.len(),
        theirs.len(),
        only(ours, theirs),
        only(theirs, ours)
    )
}
