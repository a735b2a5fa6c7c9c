//! What is counted, for `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};
use tidemill_repr::SqlError;

/// The counters of the server.
pub struct Metrics {
    registry: Registry,
    connections: IntGauge,
    connections_total: IntCounter,
    queries: IntCounter,
    errors: IntCounterVec,
    latency: Histogram,
}

impl Metrics {
    /// Counters at zero.
    ///
    /// # Errors
    /// A name is no name, which is a bug.
    pub fn new() -> Result<Metrics, SqlError> {
        Metrics::register().map_err(SqlError::internal)
    }

    fn register() -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new();
        let connections = IntGauge::new("tidemill_connections", "Sessions that are open.")?;
        let connections_total =
            IntCounter::new("tidemill_connections_total", "Sessions opened since the start.")?;
        let queries = IntCounter::new("tidemill_queries_total", "Statements answered.")?;
        let errors = IntCounterVec::new(
            Opts::new("tidemill_errors_total", "Errors told to clients, by SQLSTATE."),
            &["code"],
        )?;
        let latency = Histogram::with_opts(
            HistogramOpts::new(
                "tidemill_query_seconds",
                "From a statement's execution to its last row.",
            )
            .buckets(prometheus::exponential_buckets(0.000_05, 2.0, 20)?),
        )?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(connections_total.clone()))?;
        registry.register(Box::new(queries.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        Ok(Metrics { registry, connections, connections_total, queries, errors, latency })
    }

    /// A session is open until the answer is dropped.
    pub(crate) fn connection(self: &Arc<Self>) -> OpenConnection {
        self.connections.inc();
        self.connections_total.inc();
        OpenConnection { metrics: Arc::clone(self) }
    }

    pub(crate) fn query(&self, elapsed: Duration) {
        self.queries.inc();
        self.latency.observe(elapsed.as_secs_f64());
    }

    pub(crate) fn error(&self, code: &str) {
        self.errors.with_label_values(&[code]).inc();
    }

    /// All counters in Prometheus' text format.
    ///
    /// # Errors
    /// They cannot be written, which is a bug.
    pub fn text(&self) -> Result<String, SqlError> {
        let mut buffer = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut buffer)
            .map_err(SqlError::internal)?;
        String::from_utf8(buffer).map_err(SqlError::internal)
    }
}

/// Counts a session while it lives.
pub(crate) struct OpenConnection {
    metrics: Arc<Metrics>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}
