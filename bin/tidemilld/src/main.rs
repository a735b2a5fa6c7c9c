//! The Tidemill server: arguments, wiring, signals.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use tidemill_coord::{Coordinator, Options};
use tidemill_server::{Authentication, Metrics, ServerOptions, Tls, http, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long HTTP clients may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(3);

/// A streaming SQL database: views over live data, kept up to date as it changes.
#[derive(Debug, Parser)]
#[command(name = "tidemilld", version)]
struct Arguments {
    /// Where the data lies; made if it is not there.
    #[arg(long, env = "TIDEMILL_DATA_DIR", value_name = "DIR")]
    data_dir: String,

    /// Where SQL clients connect; port 0 is any free one.
    #[arg(long, env = "TIDEMILL_SQL_LISTEN", default_value = "127.0.0.1:6875")]
    sql_listen: SocketAddr,

    /// Where the system user connects.
    #[arg(long, env = "TIDEMILL_INTERNAL_SQL_LISTEN", default_value = "127.0.0.1:6877")]
    internal_sql_listen: SocketAddr,

    /// Where HTTP is served: SQL as JSON, health and metrics.
    #[arg(long, env = "TIDEMILL_HTTP_LISTEN", default_value = "127.0.0.1:6876")]
    http_listen: SocketAddr,

    /// Threads that maintain views; half the cores where it is not given.
    #[arg(long, env = "TIDEMILL_WORKERS", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,

    /// How many sessions there may be at once.
    #[arg(long, env = "TIDEMILL_MAX_CONNECTIONS", default_value_t = 1000)]
    max_connections: u32,

    /// How SQL clients show who they are: `trust` believes them, `password` asks for the role's.
    #[arg(long, env = "TIDEMILL_AUTHENTICATION", value_enum, default_value = "trust")]
    authentication: AuthenticationKind,

    /// The certificate of the SQL port, in PEM, with those that lead to its authority.
    #[arg(long, env = "TIDEMILL_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The key of the certificate, in PEM.
    #[arg(long, env = "TIDEMILL_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// The authority of clients' certificates, in PEM: every client must have one then.
    #[arg(long, env = "TIDEMILL_TLS_CA", value_name = "FILE", requires = "tls_cert")]
    tls_ca: Option<PathBuf>,

    /// Whether SQL connections may or must be encrypted; `allow` where there is a certificate.
    #[arg(long, env = "TIDEMILL_TLS_MODE", value_enum)]
    tls_mode: Option<TlsMode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum AuthenticationKind {
    Trust,
    Password,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TlsMode {
    Disable,
    Allow,
    Require,
}

/// How the SQL port speaks TLS.
fn tls(arguments: &Arguments) -> anyhow::Result<Option<Tls>> {
    let mode = arguments.tls_mode;
    let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) else {
        if matches!(mode, Some(TlsMode::Allow | TlsMode::Require)) {
            bail!("--tls-mode needs --tls-cert and --tls-key");
        }
        return Ok(None);
    };
    if mode == Some(TlsMode::Disable) {
        return Ok(None);
    }
    let authority = arguments.tls_ca.as_deref();
    let required = mode == Some(TlsMode::Require);
    Tls::read(certificate, key, authority, required).context("TLS").map(Some)
}

/// Bytes of stack of a thread that runs sessions; only what is used is memory.
const WORKER_STACK: usize = 8 << 20;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line; a backtrace would tell a user nothing.
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    start_logging();
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(%panic, %backtrace, "a thread panicked");
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Statements that run statements are deep futures, above all where nothing is optimised.
        .thread_stack_size(WORKER_STACK)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(run(arguments))
}

fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let data_dir = data_dir(&arguments.data_dir)?;
    let tls = tls(&arguments)?;
    let trusts = arguments.authentication == AuthenticationKind::Trust;
    if !arguments.internal_sql_listen.ip().is_loopback() {
        bail!("--internal-sql-listen must be a loopback address: who connects there is trusted");
    }
    let sql = listen(arguments.sql_listen, "--sql-listen", trusts).await?;
    let internal_sql = listen(arguments.internal_sql_listen, "--internal-sql-listen", true).await?;
    let http_listener = listen(arguments.http_listen, "--http-listen", true).await?;
    let workers = arguments.workers.map_or_else(default_workers, usize::from);

    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let ready = CancellationToken::new();
    let (early, http_listener) = twice(http_listener).context("cannot listen for HTTP")?;
    let starting = tokio::spawn(http::serve_while_starting(early, ready.clone()));
    let opened = tokio::select! {
        opened = Coordinator::open(Options { data_dir: data_dir.clone(), workers }) => opened,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let coordinator = opened.map_err(|error| {
        let hint = error.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        anyhow::anyhow!("cannot open the data directory {}: {error}{hint}", data_dir.display())
    })?;
    let coordinator = Arc::new(coordinator);
    ready.cancel();
    // A probe that holds its connection is left behind.
    let _ = tokio::time::timeout(GRACE, starting).await;

    let metrics = Arc::new(Metrics::new()?);
    let shutdown = CancellationToken::new();
    let sql_address = sql.local_addr()?;
    let internal_address = internal_sql.local_addr()?;
    let http_address = http_listener.local_addr()?;
    let options = ServerOptions {
        max_connections: usize::try_from(arguments.max_connections)?,
        internal: false,
        authentication: if trusts { Authentication::Trust } else { Authentication::Password },
        tls,
    };
    let internal_options = ServerOptions {
        internal: true,
        authentication: Authentication::Trust,
        tls: None,
        ..options.clone()
    };
    let servers = [(sql, options), (internal_sql, internal_options)].map(|(listener, options)| {
        let coordinator = Arc::clone(&coordinator);
        let metrics = Arc::clone(&metrics);
        tokio::spawn(serve(listener, coordinator, metrics, options, shutdown.clone()))
    });
    let web = tokio::spawn(http::serve(
        http_listener,
        Arc::clone(&coordinator),
        metrics,
        usize::try_from(arguments.max_connections)?,
        if trusts { Authentication::Trust } else { Authentication::Password },
        shutdown.clone(),
    ));
    tracing::info!(address = %http_address, "listening for HTTP");
    tracing::info!(address = %internal_address, "listening for internal SQL");
    // Scripts wait for this line.
    tracing::info!(address = %sql_address, "listening for SQL");

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    shutdown.cancel();
    for server in servers {
        server.await?;
    }
    // What is asked over HTTP ends with the token; a client that holds on is left.
    let _ = tokio::time::timeout(GRACE, web).await;
    match Arc::try_unwrap(coordinator) {
        Ok(coordinator) => coordinator.shut_down().await,
        Err(_) => tracing::warn!("a session is still there"),
    }
    tracing::info!("stopped");
    Ok(())
}

/// The directory an argument names.
fn data_dir(argument: &str) -> anyhow::Result<PathBuf> {
    if let Some((scheme, _)) = argument.split_once("://") {
        bail!(
            "--data-dir {argument}: data in object storage ({scheme}://) is not supported yet; \
             name a local directory"
        );
    }
    Ok(PathBuf::from(argument))
}

async fn listen(address: SocketAddr, argument: &str, trusts: bool) -> anyhow::Result<TcpListener> {
    if trusts && !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "{argument} is open to the network, and everybody who connects is trusted"
        );
    }
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} ({argument})"))
}

/// The same listener for two that take turns.
fn twice(listener: TcpListener) -> std::io::Result<(TcpListener, TcpListener)> {
    let first = listener.into_std()?;
    let second = first.try_clone()?;
    Ok((TcpListener::from_std(first)?, TcpListener::from_std(second)?))
}

/// Half the cores; one where there are at most two.
fn default_workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).max(1)
}
