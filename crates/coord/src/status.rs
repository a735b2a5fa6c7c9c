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
use tidemill_repr::{Datum, ObjectId, Row, RowBatch, SqlError};
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
            report.status = Some((status, now));
            let id = id.to_string();
            let mut row = vec![Datum::TimestampTz(now), Datum::Text(&id), Datum::Text(word)];
            row.push(error.as_deref().map_or(Datum::Null, Datum::Text));
            self.history.lock().push(with_details(&row, hint.as_deref()));
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
            rows.push(with_details(&row, hint.as_deref()));
        }
        rows
    }

    fn statistics_rows(&self, catalog: &Catalog) -> Vec<Row> {
        let reports = self.reports.lock();
        let count = |number: u64| Datum::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let mut rows = Vec::new();
        for (id, report) in reports.iter() {
            if catalog.item(*id).is_none() {
                continue;
            }
            let name = id.to_string();
            if let Some(statistics) = &report.source {
                rows.push(Row::pack([
                    Datum::Text(&name),
                    count(statistics.messages_received),
                    count(statistics.bytes_received),
                    count(statistics.messages_received),
                    count(statistics.transactions_committed),
                    Datum::Null,
                    Datum::Null,
                    Datum::Bool(true),
                    count(statistics.offset_known.0),
                    count(statistics.offset_committed.0),
                ]));
            } else if let Some(statistics) = &report.table {
                rows.push(Row::pack([
                    Datum::Text(&name),
                    count(statistics.messages_received),
                    count(statistics.bytes_received),
                    count(statistics.updates_committed),
                    count(statistics.updates_committed),
                    statistics.snapshot_records_known.map_or(Datum::Null, count),
                    count(statistics.snapshot_records_staged),
                    Datum::Bool(statistics.snapshot_committed),
                    Datum::Null,
                    Datum::Null,
                ]));
            }
        }
        rows
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

/// The row with a last column `details`: the hints, as jsonb.
fn with_details(datums: &[Datum<'_>], hint: Option<&str>) -> Row {
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
