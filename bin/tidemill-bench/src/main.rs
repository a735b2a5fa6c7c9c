//! The benchmarks, the crash test and the demo: plain clients with real servers.
//!
//! Each benchmark measures its reference in the same run and prints a ratio, so that figures of
//! different machines can be compared. `demo` and `workload` are what `make demo` runs.

mod crash;
mod demo;
mod freshness;
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
            snapshot::run(&server.server, 2_000_000).await?;
            lookups::run(&server.server, 10).await
        }
        Command::Freshness { server, rate, seconds } => {
            freshness::run(&server.server, rate, seconds).await
        }
        Command::Snapshot { server, rows } => snapshot::run(&server.server, rows).await,
        Command::Lookups { server, seconds } => lookups::run(&server.server, seconds).await,
        Command::Crash { server, rounds, upstream_rounds, seed } => {
            let seed = seed.unwrap_or_else(rand::random);
            crash::run(&server.server, rounds, upstream_rounds, seed).await
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
