//! What is counted, for `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry, TextEncoder,
};
use tidemill_coord::{Coordinator, Gauge as Measured};
use tidemill_repr::SqlError;

/// The counters of the server.
pub struct Metrics {
    registry: Registry,
    connections: IntGauge,
    connections_total: IntCounter,
    queries: IntCounterVec,
    errors: IntCounterVec,
    latency: HistogramVec,
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
        let queries = IntCounterVec::new(
            Opts::new("tidemill_queries_total", "Statements answered, by kind."),
            &["kind"],
        )?;
        let errors = IntCounterVec::new(
            Opts::new("tidemill_errors_total", "Errors told to clients, by SQLSTATE."),
            &["code"],
        )?;
        let latency = HistogramVec::new(
            HistogramOpts::new(
                "tidemill_query_seconds",
                "From a statement's execution to its last row.",
            )
            .buckets(prometheus::exponential_buckets(0.000_05, 2.0, 20)?),
            &["kind"],
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

    /// A statement is answered; `kind` is the first word of its tag.
    pub(crate) fn query(&self, kind: &str, elapsed: Duration) {
        let kind = kind.split(' ').next().unwrap_or_default();
        self.queries.with_label_values(&[kind]).inc();
        self.latency.with_label_values(&[kind]).observe(elapsed.as_secs_f64());
    }

    pub(crate) fn error(&self, code: &str) {
        self.errors.with_label_values(&[code]).inc();
    }

    /// All counters, and what the coordinator measures now, in Prometheus' text format.
    ///
    /// # Errors
    /// They cannot be written, which is a bug.
    pub fn text(&self, coordinator: &Coordinator) -> Result<String, SqlError> {
        let measured = measured(coordinator.gauges()).map_err(SqlError::internal)?;
        let mut buffer = Vec::new();
        let encoder = TextEncoder::new();
        for registry in [&self.registry, &measured] {
            encoder.encode(&registry.gather(), &mut buffer).map_err(SqlError::internal)?;
        }
        String::from_utf8(buffer).map_err(SqlError::internal)
    }
}

/// What was measured, as a registry of its own: objects that are gone leave no lines behind.
fn measured(gauges: Vec<Measured>) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    for measured in gauges {
        let options = Opts::new(measured.name, measured.help);
        if measured.labels.is_empty() {
            let gauge = Gauge::with_opts(options)?;
            measured.values.iter().for_each(|(_, value)| gauge.set(*value));
            registry.register(Box::new(gauge))?;
        } else {
            let gauges = GaugeVec::new(options, measured.labels)?;
            for (labels, value) in &measured.values {
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                gauges.get_metric_with_label_values(&labels)?.set(*value);
            }
            registry.register(Box::new(gauges))?;
        }
    }
    Ok(registry)
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
