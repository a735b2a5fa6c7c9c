//! Accepts connections; one task each. A panic in one ends that one.

use std::sync::Arc;
use std::time::Duration;

use tidemill_coord::Coordinator;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::authenticate::Authentication;
use crate::connection::{Context, serve_client};
use crate::metrics::Metrics;
use crate::startup::PATIENCE;
use crate::tls::{self, Stream, Tls};

/// How long sessions may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(3);

/// How a listener serves.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// How many sessions there may be at once.
    pub max_connections: usize,
    /// Whether this is the listener of the system user.
    pub internal: bool,
    /// How clients show who they are.
    pub authentication: Authentication,
    /// How TLS is spoken; None: not at all.
    pub tls: Option<Tls>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            max_connections: 1000,
            internal: false,
            authentication: Authentication::Trust,
            tls: None,
        }
    }
}

/// Serves SQL until `shutdown`, then ends the sessions.
pub async fn serve(
    listener: TcpListener,
    coordinator: Arc<Coordinator>,
    metrics: Arc<Metrics>,
    options: ServerOptions,
    shutdown: CancellationToken,
) {
    let context = Context {
        coordinator,
        metrics,
        permits: Arc::new(Semaphore::new(options.max_connections)),
        shutdown: shutdown.clone(),
        internal: options.internal,
        authentication: options.authentication,
        secret: Arc::new(rand::random()),
        tls_required: options.tls.as_ref().is_some_and(|tls| tls.required),
        encrypted: false,
        address: None,
        local: None,
    };
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(ended) = tasks.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop({
                    let (context, tls) = (context.clone(), options.tls.clone());
                    tasks.spawn(serve_stream(stream, context, tls))
                }),
                Err(error) => {
                    // Too many open files, for one: it may pass.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async {
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!("sessions did not end in time");
    }
    tasks.shutdown().await;
}

async fn serve_stream(stream: TcpStream, mut context: Context, tls: Option<Tls>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection cannot be told to send at once");
    }
    context.address = stream.peer_addr().ok();
    context.local = stream.local_addr().ok();
    let encrypted = tls::encrypt(stream, tls.as_ref());
    match tokio::time::timeout(PATIENCE, encrypted).await {
        Ok(Ok(Stream::Plain(stream))) => serve_client(stream, context).await,
        Ok(Ok(Stream::Encrypted(stream))) => {
            context.encrypted = true;
            serve_client(*stream, context).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "a connection was not encrypted"),
        // As one that says nothing without TLS: it is left without a word.
        Err(_) => {}
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a session panicked; its connection is closed");
    }
}
