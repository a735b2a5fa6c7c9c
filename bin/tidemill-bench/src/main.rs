//! The benchmarks, the crash test and the demo: plain clients with real servers.
//!
//! Each benchmark measures its reference in the same run and prints a ratio, so that figures of
//! different machines can be compared. `demo` and `workload` are what `make demo` runs.

mod backlog;
mod chaos;
mod crash;
mod demo;
mod freshness;
mod joining;
mod large;
mod lookups;
mod servers;
mod shop;
mod snapshot;
mod tpch;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Benchmarks with their references, the crash test and the demo")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The server's program.
#[derive(clap::Args, Clone)]
struct Server {
    /// The server to start.
    #[arg(long, default_value = "target/release/tidemilld")]
    server: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// All benchmarks, one after the other.
    All(Server),
    /// From COMMIT upstream to the change on a SUBSCRIBE.
    Freshness {
        #[command(flatten)]
        server: Server,
        /// Upstream transactions a second.
        #[arg(long, default_value_t = 500)]
        rate: u32,
        /// How long, in seconds.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// A table's first content, against psql's COPY to /dev/null.
    Snapshot {
        #[command(flatten)]
        server: Server,
        /// Rows of the table.
        #[arg(long, default_value_t = 2_000_000)]
        rows: u64,
        /// What kind of table.
        #[arg(long, value_enum, default_value = "narrow")]
        shape: snapshot::Shape,
    },
    /// Draining a backlog, against PostgreSQL's subscriber and pg_recvlogical.
    Backlog {
        #[command(flatten)]
        server: Server,
        /// Row changes.
        #[arg(long, default_value_t = 2_000_000)]
        changes: u64,
        /// Transactions that hold them.
        #[arg(long, default_value_t = 400)]
        transactions: u64,
    },
    /// How fresh a table stays while a large one joins.
    Joining {
        #[command(flatten)]
        server: Server,
        /// Rows of the large table.
        #[arg(long, default_value_t = 2_000_000)]
        rows: u64,
        /// Transactions a second of the other.
        #[arg(long, default_value_t = 500)]
        rate: u32,
    },
    /// The memory that one very large transaction takes.
    Large {
        #[command(flatten)]
        server: Server,
        /// Row changes.
        #[arg(long, default_value_t = 5_000_000)]
        changes: u64,
    },
    /// Point lookups by pgbench, against PostgreSQL's primary key.
    Lookups {
        #[command(flatten)]
        server: Server,
        /// How long each side runs, in seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// kill -9 of server and upstream under load; then everything must be equal.
    Crash {
        #[command(flatten)]
        server: Server,
        /// How often the server is killed.
        #[arg(long, default_value_t = 50)]
        rounds: u32,
        /// How often the upstream is killed afterwards.
        #[arg(long, default_value_t = 10)]
        upstream_rounds: u32,
        /// Makes a run repeat its choices.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Random changes upstream, bad lines, kills: then everything must be equal, again and again.
    Chaos {
        #[command(flatten)]
        server: Server,
        /// How long, in seconds; rounds are finished.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Makes a run repeat its choices.
        #[arg(long)]
        seed: Option<u64>,
        /// Runs with each of the seeds in this file instead, so many seconds each.
        #[arg(long)]
        seeds: Option<PathBuf>,
        /// Tell what is done.
        #[arg(long)]
        verbose: bool,
    },
    /// TPC-H's queries as maintained views, compared with PostgreSQL after each refresh.
    Tpch {
        #[command(flatten)]
        server: Server,
        /// 1 is about a gigabyte.
        #[arg(long, default_value_t = 0.05)]
        scale: f64,
        /// How often data is refreshed.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// Only queries whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Loads the shop, creates its views, and shows one of them live.
    Demo {
        /// Port of the upstream PostgreSQL.
        #[arg(long)]
        upstream_port: u16,
        /// Port of Tidemill.
        #[arg(long)]
        port: u16,
        /// How long to show it.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// Creates and fills the shop upstream.
    LoadShop {
        /// Port of the upstream PostgreSQL.
        #[arg(long)]
        upstream_port: u16,
    },
    /// Inserts, updates and deletes in the shop, until it is stopped.
    Workload {
        /// Port of the upstream PostgreSQL.
        #[arg(long)]
        upstream_port: u16,
        /// Transactions a second.
        #[arg(long, default_value_t = 50)]
        rate: u32,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::All(server) => {
            freshness::run(&server.server, 500, 20).await?;
            snapshot::run(&server.server, 2_000_000, snapshot::Shape::Narrow).await?;
            snapshot::run(&server.server, 2_000_000, snapshot::Shape::Mixed).await?;
            backlog::run(&server.server, 2_000_000, 400).await?;
            joining::run(&server.server, 2_000_000, 500).await?;
            large::run(&server.server, 5_000_000).await?;
            lookups::run(&server.server, 10).await
        }
        Command::Freshness { server, rate, seconds } => {
            freshness::run(&server.server, rate, seconds).await
        }
        Command::Snapshot { server, rows, shape } => {
            snapshot::run(&server.server, rows, shape).await
        }
        Command::Backlog { server, changes, transactions } => {
            backlog::run(&server.server, changes, transactions).await
        }
        Command::Joining { server, rows, rate } => joining::run(&server.server, rows, rate).await,
        Command::Large { server, changes } => large::run(&server.server, changes).await,
        Command::Lookups { server, seconds } => lookups::run(&server.server, seconds).await,
        Command::Crash { server, rounds, upstream_rounds, seed } => {
            let seed = seed.unwrap_or_else(rand::random);
            crash::run(&server.server, rounds, upstream_rounds, seed).await
        }
        Command::Chaos { server, seconds, seed, seeds: None, verbose } => {
            let seed = seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
            chaos::run(&server.server, seconds, seed, verbose).await
        }
        Command::Chaos { server, seconds, seeds: Some(seeds), verbose, .. } => {
            for line in std::fs::read_to_string(seeds)?.lines() {
                let seed = line.split_whitespace().next().and_then(|word| word.parse().ok());
                if let Some(seed) = seed {
                    chaos::run(&server.server, seconds, seed, verbose).await?;
                }
            }
            Ok(())
        }
        Command::Tpch { server, scale, rounds, only } => {
            tpch::run(&server.server, scale, rounds, &only).await
        }
        Command::Demo { upstream_port, port, seconds } => {
            demo::run(upstream_port, port, seconds).await
        }
        Command::LoadShop { upstream_port } => shop::load(upstream_port).await,
        Command::Workload { upstream_port, rate } => shop::workload(upstream_port, rate).await,
    }
}
