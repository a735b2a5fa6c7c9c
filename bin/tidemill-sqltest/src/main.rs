//! Runs `sql-tests/` against a real server with a real upstream PostgreSQL.
//!
//! Each file gets a database of its own on both servers. What Tidemill says is checked against the
//! file and, unless the file says otherwise, against PostgreSQL with the same data at the same
//! moment: rows, names of columns, types, binary values, codes of errors. `docs/testing.md` tells
//! how the files are written.

mod complete;
mod fuzz;
mod garbage;
mod guide;
mod mirror;
mod run;
mod script;
mod servers;
mod session;
mod values;
mod ways;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use futures::StreamExt;
use tokio::sync::Mutex;

use run::{FileRun, Servers, SharedTidemill};
use servers::{Postgres, Tidemill};
use ways::Way;

/// Runs SQL tests against a Tidemill and a real PostgreSQL.
#[derive(Parser, Debug)]
struct Arguments {
    /// Files, or directories that hold .slt and .test files, and guides (.md).
    #[arg(required_unless_present = "fuzz")]
    paths: Vec<PathBuf>,
    /// Instead of files: so many random queries, compared with PostgreSQL.
    #[arg(long)]
    fuzz: Option<u64>,
    /// The seed of the first random round; another one each time if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Leave window functions out of random queries.
    #[arg(long)]
    no_windows: bool,
    /// The server program.
    #[arg(long, default_value = "target/debug/tidemilld")]
    server: PathBuf,
    /// Also ask PostgreSQL, and demand the same (the default).
    #[arg(long, overrides_with = "no_compare")]
    compare: bool,
    /// Check against the files only.
    #[arg(long)]
    no_compare: bool,
    /// So many files at the same time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Only files whose path contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Run the files on PostgreSQL alone: is what they expect what PostgreSQL says?
    #[arg(long)]
    only_upstream: bool,
    /// Write PostgreSQL's answers into the files.
    #[arg(long = "override")]
    rewrite: bool,
    /// Run the .test files (SQLite's) in these ways, and PostgreSQL beside.
    #[arg(long, value_delimiter = ',')]
    ways: Vec<Way>,
    /// A file fails after so many seconds (ten times as many for a .test file).
    #[arg(long, default_value_t = 60)]
    timeout: u64,
    /// A file that failed is tried so many times more, by itself and on servers of its own; if it
    /// passes then, it has passed, and is named as flaky.
    #[arg(long, default_value_t = 0)]
    retries: usize,
    /// Print how long each file took.
    #[arg(long)]
    times: bool,
    /// Write a line for each file into this one: passed, failed or skipped, and its path.
    #[arg(long)]
    results: Option<PathBuf>,
    /// Print failures whole.
    #[arg(long, short)]
    verbose: bool,
}

/// Letters of a failure that are printed without --verbose.
const SHORT_FAILURE: usize = 600;

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let failed = tokio::select! {
        result = run_all(&arguments) => result,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    match failed {
        Ok(0) => {}
        Ok(_) => std::process::exit(1),
        Err(error) => {
            eprintln!("tidemill-sqltest: {error:#}");
            std::process::exit(2);
        }
    }
}

/// Everything the files share.
struct Shared {
    postgres: Arc<Postgres>,
    tidemill: SharedTidemill,
    number: AtomicUsize,
}

async fn run_all(arguments: &Arguments) -> Result<usize> {
    let files = find_files(&arguments.paths, &arguments.filter)?;
    let only_upstream = arguments.only_upstream || arguments.rewrite;
    let postgres = Arc::new(Postgres::start().await?);
    let tidemill = if only_upstream {
        None
    } else {
        Some(Arc::new(Mutex::new(Tidemill::start(&arguments.server).await?)))
    };
    if let Some(queries) = arguments.fuzz {
        let servers = Servers { tidemill, postgres };
        let options = fuzz::Options {
            queries,
            seed: arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
            jobs: arguments.jobs,
            windows: !arguments.no_windows,
        };
        return fuzz::run(&servers, options).await;
    }
    let shared = Shared { postgres, tidemill, number: AtomicUsize::new(0) };
    let ways: Vec<Option<Way>> = match arguments.ways.as_slice() {
        [] => vec![None],
        ways => ways.iter().copied().map(Some).collect(),
    };
    let runs = files.iter().flat_map(|path| ways.iter().map(move |way| (path, *way)));
    let runs = futures::stream::iter(runs)
        .map(|(path, way)| {
            let run = run_and_report(arguments, &shared, path, way, false);
            async move { (path, way, run.await) }
        })
        .buffer_unordered(arguments.jobs.max(1));
    let mut done: Vec<(&PathBuf, Option<Way>, (String, End))> = runs.collect().await;
    let flaky = try_again(arguments, &shared, &mut done).await;
    let mut ends: Vec<(String, End)> = done.into_iter().map(|(_, _, end)| end).collect();
    ends.sort();
    let count = |wanted: End| ends.iter().filter(|(_, end)| *end == wanted).count();
    if let Some(file) = &arguments.results {
        let lines = ends.iter().map(|(name, end)| format!("{}\t{name}\n", end.name()));
        std::fs::write(file, lines.collect::<String>())?;
    }
    let skipped = match count(End::Skipped) {
        0 => String::new(),
        skipped => format!(", {skipped} skipped: they need a later PostgreSQL"),
    };
    let flaky = match flaky {
        0 => String::new(),
        flaky => format!(" ({flaky} of them flaky)"),
    };
    println!("{} passed{flaky}, {} failed{skipped}", count(End::Passed), count(End::Failed));
    Ok(count(End::Failed))
}

/// Runs the files that failed once more; says how many passed then.
async fn try_again(
    arguments: &Arguments,
    shared: &Shared,
    done: &mut [(&PathBuf, Option<Way>, (String, End))],
) -> usize {
    let mut flaky = 0;
    for _ in 0..arguments.retries {
        for (path, way, end) in done.iter_mut().filter(|(_, _, (_, end))| *end == End::Failed) {
            *end = run_and_report(arguments, shared, path, *way, true).await;
            if end.1 == End::Passed {
                println!("{}: FLAKY: it passed when it was run again", end.0);
                flaky += 1;
            }
        }
    }
    flaky
}

/// How a file ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Passed,
    Failed,
    Skipped,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            End::Passed => "passed",
            End::Failed => "failed",
            End::Skipped => "skipped",
        }
    }
}

/// Runs a file and prints its failures; says how it ended.
async fn run_and_report(
    arguments: &Arguments,
    shared: &Shared,
    path: &Path,
    way: Option<Way>,
    apart: bool,
) -> (String, End) {
    let name = run::display_name(path);
    let start = Instant::now();
    let result = match way {
        None => run_file(arguments, shared, path, &name, apart).await,
        Some(way) => run_way(arguments, shared, path, &name, way).await.map(Some),
    };
    let failures = match result {
        Ok(Some(failures)) => failures,
        Ok(None) => return (name, End::Skipped),
        Err(error) => vec![format!("{name}:1: {error:#}").replace('\n', " \u{21b5} ")],
    };
    if arguments.times {
        let way = way.map_or(String::new(), |way| format!(" ({way:?})"));
        println!("{:7.2} s  {name}{way}", start.elapsed().as_secs_f64());
    }
    for failure in &failures {
        if arguments.verbose || failure.chars().count() <= SHORT_FAILURE {
            println!("{failure}");
        } else {
            println!("{} ..", failure.chars().take(SHORT_FAILURE).collect::<String>());
        }
    }
    if !failures.is_empty() {
        revive(arguments, shared).await;
    }
    let end = if failures.is_empty() { End::Passed } else { End::Failed };
    (name, end)
}

/// When a file has killed the shared server: says so, and starts another for the files to come.
async fn revive(arguments: &Arguments, shared: &Shared) {
    let Some(tidemill) = &shared.tidemill else { return };
    let mut server = tidemill.lock().await;
    let Some(death) = server.death() else { return };
    println!("{death}");
    match Tidemill::start(&arguments.server).await {
        Ok(new) => *server = new,
        Err(error) => println!("and cannot be started again: {error:#}"),
    }
}

async fn run_way(
    arguments: &Arguments,
    shared: &Shared,
    path: &Path,
    name: &str,
    way: Way,
) -> Result<Vec<String>> {
    let script = script::read(path, name)?;
    let servers =
        Servers { tidemill: shared.tidemill.clone(), postgres: Arc::clone(&shared.postgres) };
    let number = shared.number.fetch_add(1, Ordering::Relaxed) + 1;
    let database = format!("t_{number}");
    let run = ways::run(&servers, &script, name, &database, way);
    match tokio::time::timeout(ways::limit(arguments.timeout), run).await {
        Ok(failures) => failures,
        Err(_) => Ok(vec![format!("{name}: ({way:?}) not done in time")]),
    }
}

/// The failures of a file, which may be run apart from all others; none at all if it needs a later
/// PostgreSQL.
async fn run_file(
    arguments: &Arguments,
    shared: &Shared,
    path: &Path,
    name: &str,
    apart: bool,
) -> Result<Option<Vec<String>>> {
    let script = script::read(path, name)?;
    if script.needs_postgres > shared.postgres.version {
        return Ok(None);
    }
    let alone = shared.tidemill.is_none();
    if alone && !script.compare || arguments.rewrite && script.typed {
        return Ok(Some(Vec::new()));
    }
    let tidemill = match &shared.tidemill {
        Some(_) if script.own_server || apart => {
            Some(Arc::new(Mutex::new(Tidemill::start(&arguments.server).await?)))
        }
        shared => shared.clone(),
    };
    let postgres = match script.own_upstream || apart {
        true => Arc::new(Postgres::start().await?),
        false => Arc::clone(&shared.postgres),
    };
    let servers = Servers { tidemill, postgres };
    let number = shared.number.fetch_add(1, Ordering::Relaxed) + 1;
    let compare = !arguments.no_compare;
    let mut run = FileRun::new(&servers, &script, name, format!("t_{number}"), compare);
    let line = run.current_line();
    let seconds = arguments.timeout * if script.typed { 10 } else { 1 };
    let limit = Duration::from_secs(seconds);
    let Ok(failures) = tokio::time::timeout(limit, run.run()).await else {
        return Ok(Some(vec![format!("{name}:{}: no answer within {seconds} s", line.lock())]));
    };
    let mut failures = failures?;
    if arguments.rewrite {
        let text = std::fs::read_to_string(path)?;
        std::fs::write(path, complete::rewrite(&text, &run.answers))?;
        let rewritten = [": expected ", " columns instead of "];
        failures.retain(|failure| !rewritten.iter().any(|part| failure.contains(part)));
    }
    if script.own_server
        && let Some(server) = &servers.tidemill
        && let Some(death) = server.lock().await.death()
    {
        failures.push(format!("{name}:{}: {death}", line.lock()));
    }
    Ok(Some(failures))
}

/// The test files below the paths, in order.
fn find_files(paths: &[PathBuf], filter: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut pending = paths.to_vec();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        } else if !path.exists() {
            bail!("{} does not exist", path.display());
        } else if path.extension().is_some_and(|e| e == "slt" || e == "test")
            || script::is_guide(&path)
        {
            files.push(std::fs::canonicalize(&path).context("path of a test")?);
        }
    }
    files.retain(|path| path.to_string_lossy().contains(filter));
    files.sort();
    files.dedup();
    Ok(files)
}
