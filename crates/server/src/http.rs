//! HTTP: SQL as JSON ([`sql`]) and over WebSockets ([`websocket`]), whether the server lives and
//! is ready, and its counters.
//!
//! Each request of `/api/sql` and each WebSocket is a session like those of the wire. Both run
//! the same [`run`] and differ in where the results go.

mod json;
mod request;
mod run;
mod sql;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tidemill_coord::Coordinator;
use tidemill_repr::SqlError;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::authenticate::Authentication;
use crate::metrics::Metrics;

/// The longest body of a request, and the longest message of a WebSocket.
const MAX_REQUEST: usize = 16 << 20;

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Web {
    coordinator: Arc<Coordinator>,
    metrics: Arc<Metrics>,
    /// One permit a session.
    permits: Arc<Semaphore>,
    shutdown: CancellationToken,
    authentication: Authentication,
    secret: Arc<[u8; 32]>,
}

/// Says that the server lives and is not ready, until `ready`: what the ledger holds is read then.
///
/// # Errors
/// The listener fails.
pub async fn serve_while_starting(
    listener: TcpListener,
    ready: CancellationToken,
) -> std::io::Result<()> {
    let starting = async || (StatusCode::SERVICE_UNAVAILABLE, "starting\n");
    let router = Router::new().route("/api/livez", get(async || "live\n")).fallback(starting);
    axum::serve(listener, router).with_graceful_shutdown(ready.cancelled_owned()).await
}

/// Serves HTTP until `shutdown`. Begin when the server is ready for SQL.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    coordinator: Arc<Coordinator>,
    metrics: Arc<Metrics>,
    max_sessions: usize,
    authentication: Authentication,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let permits = Arc::new(Semaphore::new(max_sessions));
    let secret = Arc::new(rand::random());
    let web =
        Web { coordinator, metrics, permits, shutdown: shutdown.clone(), authentication, secret };
    let router = Router::new()
        .route("/api/livez", get(async || "live\n"))
        .route("/api/readyz", get(async || "ready\n"))
        .route("/metrics", get(counters))
        .route("/api/sql", post(sql::serve))
        .route("/api/experimental/sql", get(websocket::serve))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(web);
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn counters(State(web): State<Web>) -> Result<impl IntoResponse, (StatusCode, String)> {
    let internal = |error: SqlError| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let text = web.metrics.text(&web.coordinator).map_err(internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}
