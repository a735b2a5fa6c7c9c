//! What can be measured of the running server, for its counters.

use tidemill_repr::SqlError;

use crate::clock::wall_tick;
use crate::coordinator::Coordinator;

/// One thing measured, once or for each of several objects.
#[derive(Clone, Debug)]
pub struct Gauge {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// The values, each with the labels' values.
    pub values: Vec<(Vec<String>, f64)>,
}

impl Gauge {
    fn one(name: &'static str, help: &'static str, value: f64) -> Gauge {
        Gauge { name, help, labels: &[], values: vec![(Vec::new(), value)] }
    }
}

/// Counts are shown as Prometheus has them; 53 bits are exact.
#[allow(clippy::cast_precision_loss)]
fn number(count: u64) -> f64 {
    count as f64
}

impl Coordinator {
    /// Measures: ticks, the catalog, sources, disk and memory.
    pub fn gauges(&self) -> Vec<Gauge> {
        let snapshot = self.shared.snapshot();
        let readable = self.shared.completion.readable();
        let behind = wall_tick().0.saturating_sub(readable.0);
        let mut gauges = vec![
            Gauge::one(
                "tidemill_tick",
                "The last tick that can be read, in milliseconds since the epoch.",
                number(readable.0),
            ),
            Gauge::one(
                "tidemill_tick_lag_seconds",
                "How far the last readable tick is behind the clock; idle servers tick once a \
                 second.",
                number(behind) / 1000.0,
            ),
            Gauge::one(
                "tidemill_ticks_not_durable_seconds",
                "How far the disk is behind the last commit.",
                number(snapshot.tick.0.saturating_sub(readable.0)) / 1000.0,
            ),
        ];
        gauges.extend(self.source_gauges());
        match self.shared.ledger.bytes_on_disk() {
            Ok(bytes) => gauges.push(Gauge::one(
                "tidemill_ledger_bytes",
                "The size of the data directory.",
                number(bytes),
            )),
            Err(error) => tracing::warn!(%error, "the data directory cannot be measured"),
        }
        match resident_bytes() {
            Ok(bytes) => gauges.push(Gauge::one(
                "process_resident_memory_bytes",
                "Memory that the server holds.",
                number(bytes),
            )),
            Err(error) => tracing::debug!(%error, "memory cannot be measured"),
        }
        gauges
    }

    fn source_gauges(&self) -> Vec<Gauge> {
        let snapshot = self.shared.snapshot();
        let catalog = &snapshot.catalog;
        let mut lag = Vec::new();
        let mut transactions = Vec::new();
        let mut received = Vec::new();
        let mut rows = Vec::new();
        let mut running = Vec::new();
        for (id, counted) in self.shared.sources.board.counted() {
            let Some(item) = catalog.item(id) else { continue };
            let labels = vec![id.to_string(), item.name.item.clone()];
            if let Some(is_running) = counted.running {
                running.push((labels.clone(), f64::from(u8::from(is_running))));
            }
            if let Some(source) = counted.source {
                let behind = source.offset_known.0.saturating_sub(source.offset_committed.0);
                lag.push((labels.clone(), number(behind)));
                transactions.push((labels.clone(), number(source.transactions_committed)));
                received.push((labels, number(source.bytes_received)));
            } else if let Some(table) = counted.table {
                let count = table.updates_committed + table.snapshot_records_staged;
                rows.push((labels.clone(), number(count)));
                received.push((labels, number(table.bytes_received)));
            }
        }
        let gauge = |name, help, values| Gauge { name, help, labels: &["id", "name"], values };
        vec![
            gauge(
                "tidemill_source_running",
                "1 if a source or its table runs, 0 if it starts, stalls or failed.",
                running,
            ),
            gauge(
                "tidemill_source_lag_bytes",
                "How far a source is behind the end of its upstream's log.",
                lag,
            ),
            gauge(
                "tidemill_source_transactions",
                "Upstream transactions committed here since the start.",
                transactions,
            ),
            gauge(
                "tidemill_source_received_bytes",
                "Bytes received from the upstream since the start.",
                received,
            ),
            gauge(
                "tidemill_table_rows_ingested",
                "Updates and rows of snapshots that were taken from the upstream since the start.",
                rows,
            ),
        ]
    }
}

/// What Linux says of this process.
/// The memory that the server holds.
pub(crate) fn resident_bytes() -> Result<u64, SqlError> {
    let text = std::fs::read_to_string("/proc/self/status").map_err(SqlError::internal)?;
    text.lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kilobytes| kilobytes.parse::<u64>().ok())
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| SqlError::internal("/proc/self/status has no VmRSS"))
}
