//! The board on which sources report, and its relations.
//!
//! Reports come at any rate; once in a while ([`run`]) what changed becomes a commit of the
//! built-in relations `mz_source_statuses`, `mz_source_status_history` and
//! `mz_source_statistics`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidemill_catalog::builtin::mz_internal;
use tidemill_catalog::{Catalog, Definition};
use tidemill_ingest::{SourceStatistics, SourceStatus, TableStatistics};
use tidemill_repr::{Datum, Interval, ObjectId, Row, RowBatch, SqlError};
use tokio::sync::Notify;

use crate::clock::wall_timestamp;
use crate::live::Sampler;
use crate::sequencer::Commit;
use crate::shared::Shared;
use crate::volatile::difference;

/// How often statistics become rows, at most.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// How often relations that are computed when they are read are sampled for their followers.
const SAMPLE_EVERY: Duration = Duration::from_millis(900);

/// How many rows the history of statuses has at most; the oldest go first.
const HISTORY_ROWS: usize = 4096;

/// What is known of one source or table.
#[derive(Clone, Debug, Default)]
struct Report {
    status: Option<(SourceStatus, i64)>,
    /// When it began to get going, if it does not run yet.
    starting: Option<i64>,
    /// How long it took to get going, the last time, in microseconds.
    latency: Option<i64>,
    source: Option<SourceStatistics>,
    table: Option<TableStatistics>,
}

/// What is counted of one source or table.
pub struct Counted {
    /// Whether it runs, if it said how it is.
    pub running: Option<bool>,
    /// What a source counted.
    pub source: Option<SourceStatistics>,
    /// What was counted for a table.
    pub table: Option<TableStatistics>,
}

/// The reports.
#[derive(Default)]
pub struct StatusBoard {
    reports: Mutex<BTreeMap<ObjectId, Report>>,
    history: Mutex<Vec<Row>>,
    changed: Notify,
}

impl StatusBoard {
    /// A source or table stands elsewhere now.
    pub fn status(&self, id: ObjectId, status: SourceStatus) {
        let now = wall_timestamp();
        {
            let mut reports = self.reports.lock();
            let report = reports.entry(id).or_default();
            if report.status.as_ref().is_some_and(|(old, _)| *old == status) {
                return;
            }
            let (word, error, hint) = words(&status);
            match &status {
                SourceStatus::Stalled { .. } | SourceStatus::Failed { .. } => {
                    tracing::warn!(source = %id, status = word, error = error.as_deref(), "source");
                }
                _ => tracing::info!(source = %id, status = word, "source"),
            }
            match &status {
                SourceStatus::Starting => {
                    report.starting.get_or_insert(now);
                }
                SourceStatus::Running => {
                    // A table that was followed while it was read again did not begin anew.
                    if let Some(started) = report.starting.take() {
                        report.latency = Some(now.saturating_sub(started).max(0));
                    }
                }
                _ => {}
            }
            report.status = Some((status, now));
            let id = id.to_string();
            let mut row = vec![Datum::TimestampTz(now), Datum::Text(&id), Datum::Text(word)];
            row.push(error.as_deref().map_or(Datum::Null, Datum::Text));
            self.history.lock().push(with_details(&row, hint.as_deref(), &[Datum::Null]));
        }
        self.changed.notify_one();
    }

    /// A source counted.
    pub fn source_statistics(&self, id: ObjectId, statistics: SourceStatistics) {
        self.reports.lock().entry(id).or_default().source = Some(statistics);
        self.changed.notify_one();
    }

    /// A table was counted.
    pub fn table_statistics(&self, id: ObjectId, statistics: TableStatistics) {
        self.reports.lock().entry(id).or_default().table = Some(statistics);
        self.changed.notify_one();
    }

    /// What is counted of each source and table.
    pub fn counted(&self) -> Vec<(ObjectId, Counted)> {
        let reports = self.reports.lock();
        let counted = |report: &Report| Counted {
            running: report
                .status
                .as_ref()
                .map(|(status, _)| matches!(status, SourceStatus::Running)),
            source: report.source,
            table: report.table,
        };
        reports.iter().map(|(id, report)| (*id, counted(report))).collect()
    }

    /// Why a source or table has ended, if it has.
    pub fn failure(&self, id: ObjectId) -> Option<SqlError> {
        let reports = self.reports.lock();
        match &reports.get(&id)?.status.as_ref()?.0 {
            SourceStatus::Failed { error } => Some(error.clone()),
            _ => None,
        }
    }

    /// The source or table is gone.
    pub fn forget(&self, id: ObjectId) {
        self.reports.lock().remove(&id);
        self.changed.notify_one();
    }

    fn status_rows(&self, catalog: &Catalog) -> Vec<Row> {
        let reports = self.reports.lock();
        let mut rows = Vec::new();
        for item in catalog.items() {
            let kind = match &item.definition {
                Definition::Source(_) => "postgres",
                Definition::Table(table) if table.source.is_some() => "table",
                _ => continue,
            };
            let id = item.id.to_string();
            let status = reports.get(&item.id).and_then(|report| report.status.as_ref());
            let (word, error, hint) = match status {
                Some((status, _)) => words(status),
                None => ("created", None, None),
            };
            let row = [
                Datum::Text(&id),
                Datum::Text(&item.name.item),
                Datum::Text(kind),
                status.map_or(Datum::Null, |(_, at)| Datum::TimestampTz(*at)),
                Datum::Text(word),
                error.as_deref().map_or(Datum::Null, Datum::Text),
            ];
            rows.push(with_details(&row, hint.as_deref(), &[]));
        }
        rows
    }

    fn statistics_rows(&self, catalog: &Catalog) -> Vec<Row> {
        let reports = self.reports.lock();
        let mut rows = Vec::new();
        for (id, report) in reports.iter() {
            let Some(item) = catalog.item(*id) else { continue };
            let latency = report.latency;
            if let Some(statistics) = &report.source {
                let first = first_content(catalog, &reports, *id);
                let counts = Counts {
                    received: (statistics.messages_received, statistics.bytes_received),
                    updates: first.updates,
                    latency,
                    first,
                    offsets: Some((statistics.offset_known.0, statistics.offset_committed.0)),
                };
                rows.push(counts.row(item.id));
            } else if let Some(statistics) = &report.table {
                let counts = Counts {
                    received: (statistics.messages_received, statistics.bytes_received),
                    updates: (statistics.updates_staged, statistics.updates_committed),
                    latency,
                    first: FirstContent {
                        known: statistics.snapshot_records_known,
                        staged: Some(statistics.snapshot_records_staged),
                        committed: statistics.snapshot_committed,
                        updates: (0, 0),
                    },
                    offsets: None,
                };
                rows.push(counts.row(item.id));
            }
        }
        rows
    }
}

/// How far the first content of a table, or of all tables of a source, is.
struct FirstContent {
    known: Option<u64>,
    staged: Option<u64>,
    committed: bool,
    /// Updates staged and committed by all tables of a source.
    updates: (u64, u64),
}

/// That of a source is that of its tables.
fn first_content(
    catalog: &Catalog,
    reports: &BTreeMap<ObjectId, Report>,
    source: ObjectId,
) -> FirstContent {
    let mut all = FirstContent { known: None, staged: None, committed: true, updates: (0, 0) };
    let add = |sum: &mut Option<u64>, count: u64| *sum = Some(sum.unwrap_or(0) + count);
    for item in catalog.items() {
        let follows = item.table().and_then(|table| table.source.as_ref());
        if follows.is_none_or(|follows| follows.source != source) {
            continue;
        }
        let Some(table) = reports.get(&item.id).and_then(|report| report.table.as_ref()) else {
            all.committed = false;
            continue;
        };
        if let Some(known) = table.snapshot_records_known {
            add(&mut all.known, known);
        }
        add(&mut all.staged, table.snapshot_records_staged);
        all.updates.0 += table.updates_staged;
        all.updates.1 += table.updates_committed;
        all.committed &= table.snapshot_committed;
    }
    all
}

/// A row of `mz_source_statistics`.
struct Counts {
    /// Messages and bytes.
    received: (u64, u64),
    /// Staged, and committed.
    updates: (u64, u64),
    latency: Option<i64>,
    first: FirstContent,
    /// Known, and committed.
    offsets: Option<(u64, u64)>,
}

impl Counts {
    fn row(&self, id: ObjectId) -> Row {
        let count = |number: u64| Datum::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let maybe = |number: Option<u64>| number.map_or(Datum::Null, count);
        let latency = self
            .latency
            .map_or(Datum::Null, |micros| Datum::Interval(Interval { months: 0, days: 0, micros }));
        Row::pack([
            Datum::Text(&id.to_string()),
            // Sources run beside the replicas of their cluster, and index nothing.
            Datum::Null,
            count(self.received.0),
            count(self.received.1),
            count(self.updates.0),
            count(self.updates.1),
            Datum::Null,
            Datum::Null,
            latency,
            maybe(self.first.known),
            maybe(self.first.staged),
            Datum::Bool(self.first.committed),
            maybe(self.offsets.map(|offsets| offsets.0)),
            maybe(self.offsets.map(|offsets| offsets.1)),
        ])
    }
}

/// The word of a status, its error and its hint.
fn words(status: &SourceStatus) -> (&'static str, Option<String>, Option<String>) {
    match status {
        SourceStatus::Starting => ("starting", None, None),
        SourceStatus::Snapshotting => ("snapshotting", None, None),
        SourceStatus::Running => ("running", None, None),
        SourceStatus::Stalled { error, .. } => {
            ("stalled", Some(error.message.clone()), error.hint.clone())
        }
        SourceStatus::Failed { error } => {
            ("failed", Some(error.message.clone()), error.hint.clone())
        }
    }
}

/// The row with a column `details`, the hints as jsonb, and those behind it.
fn with_details(datums: &[Datum<'_>], hint: Option<&str>, behind: &[Datum<'_>]) -> Row {
    let mut builder = tidemill_repr::RowBuilder::new();
    builder.extend(datums.iter().copied());
    let details = hint.map(|hint| serde_json::json!({ "hints": [hint] }).to_string());
    let typ = tidemill_repr::ColumnType::new(tidemill_repr::ScalarType::Jsonb);
    let settings = tidemill_repr::text::TextSettings::default();
    let parsed = details.is_some_and(|text| {
        tidemill_repr::text::parse_into(&typ, &text, &settings, &mut builder).is_ok()
    });
    if !parsed {
        builder.push(Datum::Null);
    }
    builder.extend(behind.iter().copied());
    builder.finish()
}

/// Turns reports into commits until the server is gone.
pub async fn run(shared: Weak<Shared>) {
    let relations = [mz_internal::SOURCE_STATUSES, mz_internal::SOURCE_STATISTICS];
    let mut old: [Vec<Row>; 2] = [Vec::new(), Vec::new()];
    let mut kept: VecDeque<Row> = VecDeque::new();
    let mut sampler = Sampler::default();
    let mut sampled = Instant::now();
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let board = &strong.sources.board;
        let catalog = Arc::clone(&strong.snapshot().catalog);
        let new = [board.status_rows(&catalog), board.statistics_rows(&catalog)];
        let mut volatile = Vec::new();
        if sampled.elapsed() >= SAMPLE_EVERY {
            sampled = Instant::now();
            volatile.extend(sampler.sample(&strong));
        }
        for ((number, old), new) in relations.iter().zip(&old).zip(&new) {
            let change = difference(old, new);
            if !change.is_empty() {
                volatile.push((ObjectId::System(*number), Arc::new(change)));
            }
        }
        let history = std::mem::take(&mut *board.history.lock());
        if !history.is_empty() {
            let mut batch = RowBatch::new();
            history.iter().for_each(|row| batch.push(row.as_ref(), 1));
            kept.extend(history);
            let outdated = kept.len().saturating_sub(HISTORY_ROWS);
            kept.drain(..outdated).for_each(|row| batch.push(row.as_ref(), -1));
            let id = ObjectId::System(mz_internal::SOURCE_STATUS_HISTORY);
            volatile.push((id, Arc::new(batch)));
        }
        old = new;
        if !volatile.is_empty() {
            let commit = Commit { volatile, ..Commit::default() };
            if strong.commit_early(commit).await.is_err() {
                return;
            }
        }
        drop(strong);
        wait(&shared).await;
    }
}

/// Waits for a report, but not longer than until the catalog may have changed.
async fn wait(shared: &Weak<Shared>) {
    let Some(strong) = shared.upgrade() else { return };
    let changed = strong.sources.board.changed.notified();
    let _ = tokio::time::timeout(Duration::from_secs(1), changed).await;
    tokio::time::sleep(REPORT_EVERY / 5).await;
}
