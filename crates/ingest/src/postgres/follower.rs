//! What a source knows of its tables, and what it does with each message of the stream.
//!
//! A table is pending (its snapshot is wanted, being read, or waits for the stream to reach it),
//! live, or failed. Changes of a pending table are kept back; see [`super`] for how they join.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidemill_repr::{ColumnType, Lsn, ObjectId, Oid, RowBatch, SqlError, SqlState};

use crate::sink::{IngestCommit, IngestSink, SourceStatistics, SourceStatus, TableStatistics};

use super::connection::SourceError;
use super::pgoutput::{self, Message, Relation};
use super::source::{TableConfig, TableSnapshot};
use super::table::{TableBinding, column_decoders, truncated};
use super::transaction::Transaction;

/// A table of a source.
struct Followed {
    config: TableConfig,
    state: State,
    /// How tuples of this session's stream become rows.
    binding: Option<TableBinding>,
    statistics: TableStatistics,
    told: TableStatistics,
}

enum State {
    Pending(Pending),
    Live,
    Failed,
}

/// A table whose first content is not committed yet.
#[derive(Default)]
struct Pending {
    /// Whether a snapshot task reads it.
    reading: bool,
    /// The position of the snapshot.
    snapshot: Option<Lsn>,
    /// The parts that hold the snapshot, when it is read.
    parts: Option<Vec<String>>,
    rows: u64,
    /// Changes of the stream, by the end of their transaction.
    kept: Vec<(Lsn, Result<RowBatch, SqlError>)>,
}

/// All tables of a source, and where it stands.
pub(crate) struct Follower {
    source: ObjectId,
    sink: Arc<dyn IngestSink>,
    tables: BTreeMap<ObjectId, Followed>,
    by_oid: HashMap<Oid, Vec<ObjectId>>,
    /// What this session's stream said of tables.
    relations: HashMap<Oid, Relation>,
    transaction: Option<Transaction>,
    /// All upstream changes up to here were received.
    pub(crate) position: Lsn,
    /// All upstream changes up to here were handed over.
    committed: Lsn,
    committed_at: Instant,
    statistics: SourceStatistics,
    told: SourceStatistics,
}

impl Follower {
    pub(crate) fn new(source: ObjectId, sink: Arc<dyn IngestSink>, position: Lsn) -> Follower {
        Follower {
            source,
            sink,
            tables: BTreeMap::new(),
            by_oid: HashMap::new(),
            relations: HashMap::new(),
            transaction: None,
            position,
            committed: position,
            committed_at: Instant::now(),
            statistics: SourceStatistics::default(),
            told: SourceStatistics::default(),
        }
    }

    /// Forgets what belongs to the session that ended.
    pub(crate) fn begin_session(&mut self) {
        self.relations.clear();
        self.transaction = None;
        for table in self.tables.values_mut() {
            table.binding = None;
        }
    }

    pub(crate) fn add_table(&mut self, config: TableConfig) {
        let state = match config.snapshot {
            TableSnapshot::Wanted => State::Pending(Pending::default()),
            TableSnapshot::Done => State::Live,
        };
        let status = match state {
            State::Live => SourceStatus::Running,
            _ => SourceStatus::Starting,
        };
        self.sink.status(config.id, status);
        self.by_oid.entry(config.upstream.oid).or_default().push(config.id);
        let statistics = TableStatistics {
            snapshot_committed: config.snapshot == TableSnapshot::Done,
            ..TableStatistics::default()
        };
        let told = TableStatistics::default();
        self.tables.insert(config.id, Followed { config, state, binding: None, statistics, told });
    }

    pub(crate) fn drop_table(&mut self, id: ObjectId) {
        let Some(table) = self.tables.remove(&id) else { return };
        if let Some(ids) = self.by_oid.get_mut(&table.config.upstream.oid) {
            ids.retain(|other| *other != id);
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.forget(id);
        }
    }

    /// Whether all columns of all tables can come in binary.
    pub(crate) fn takes_binary(&self) -> bool {
        self.tables.values().all(|table| {
            column_decoders(&table.config)
                .is_ok_and(|decoders| decoders.iter().all(|decoder| decoder.takes_binary()))
        })
    }

    pub(crate) fn has_live_tables(&self) -> bool {
        self.tables.values().any(|table| matches!(table.state, State::Live))
    }

    fn pending(&mut self, id: ObjectId) -> Option<&mut Pending> {
        match &mut self.tables.get_mut(&id)?.state {
            State::Pending(pending) => Some(pending),
            _ => None,
        }
    }

    /// The tables whose snapshot is wanted; from now on they count as being read.
    pub(crate) fn begin_snapshot(&mut self) -> Vec<TableConfig> {
        let mut wanted = Vec::new();
        for (id, table) in &mut self.tables {
            let State::Pending(pending) = &mut table.state else { continue };
            if !pending.reading && pending.parts.is_none() {
                *pending = Pending { reading: true, ..Pending::default() };
                self.sink.status(*id, SourceStatus::Snapshotting);
                wanted.push(table.config.clone());
            }
        }
        wanted
    }

    pub(crate) fn snapshot_taken(&mut self, position: Lsn) {
        for table in self.tables.values_mut() {
            if let State::Pending(pending) = &mut table.state
                && pending.reading
                && pending.snapshot.is_none()
            {
                pending.snapshot = Some(position);
                pending.kept.retain(|(end, _)| *end > position);
            }
        }
    }

    pub(crate) fn snapshot_progress(
        &mut self,
        id: ObjectId,
        known: Option<u64>,
        rows: u64,
        bytes: u64,
    ) {
        if let Some(table) = self.tables.get_mut(&id) {
            table.statistics.snapshot_records_known = known;
            table.statistics.snapshot_records_staged = rows;
            table.statistics.bytes_received = bytes;
        }
    }

    pub(crate) fn snapshot_done(&mut self, id: ObjectId, parts: Vec<String>, rows: u64) {
        if let Some(pending) = self.pending(id) {
            pending.parts = Some(parts);
            pending.rows = rows;
        }
        if let Some(table) = self.tables.get_mut(&id) {
            table.statistics.snapshot_records_known = Some(rows);
            table.statistics.snapshot_records_staged = rows;
        }
    }

    /// Where the stream may start when no table is live: nothing before it is needed.
    pub(crate) fn skip_to_snapshot(&mut self) {
        let snapshots = self.tables.values().filter_map(|table| match &table.state {
            State::Pending(pending) if pending.parts.is_some() => pending.snapshot,
            _ => None,
        });
        if let Some(snapshot) = snapshots.min() {
            self.position = self.position.max(snapshot);
        }
    }

    /// The snapshot task ended: tables that it left unread are wanted again.
    pub(crate) fn snapshot_ended(&mut self) {
        for table in self.tables.values_mut() {
            if let State::Pending(pending) = &mut table.state
                && pending.reading
                && pending.parts.is_none()
            {
                *pending = Pending::default();
            }
        }
    }

    /// A table's snapshot failed for a reason that lies with the table.
    pub(crate) async fn snapshot_failed(
        &mut self,
        id: ObjectId,
        error: SqlError,
    ) -> Result<(), SourceError> {
        let mut commit = IngestCommit::position(self.source, self.committed);
        self.fail(id, error, &mut commit);
        self.hand_over(commit).await
    }

    fn fail(&mut self, id: ObjectId, error: SqlError, commit: &mut IngestCommit) {
        let Some(table) = self.tables.get_mut(&id) else { return };
        tracing::warn!(table = %table.config.upstream.sql_name(), %error, "table failed");
        table.state = State::Failed;
        self.sink.status(id, SourceStatus::Failed { error: error.clone() });
        commit.table_errors.push((id, error));
    }

    /// Whether the stream is inside a transaction.
    pub(crate) fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Takes one message of the stream.
    pub(crate) async fn message(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        let message = pgoutput::decode(bytes)
            .map_err(|error| SqlError::new(SqlState::PROTOCOL_VIOLATION, error.to_string()))?;
        match message {
            Message::Begin { .. } => self.transaction = Some(Transaction::default()),
            Message::Commit { end_lsn, .. } => self.commit_transaction(end_lsn).await?,
            Message::Relation(relation) => self.relation(relation),
            Message::Insert { table, new } => {
                self.change(table, bytes.len(), |binding, out| binding.insert(&new, out));
            }
            Message::Update { table, old, new } => {
                self.change(table, bytes.len(), |binding, out| {
                    binding.update(old.as_ref(), &new, out)
                });
            }
            Message::Delete { table, old } => {
                self.change(table, bytes.len(), |binding, out| binding.delete(&old, out));
            }
            Message::Truncate { tables } => self.truncate(&tables),
            Message::Origin { .. } | Message::Type { .. } | Message::Message { .. } => {}
        }
        self.spill_if_large().await
    }

    fn ids(&self, oid: Oid) -> Vec<ObjectId> {
        self.by_oid.get(&oid).cloned().unwrap_or_default()
    }

    fn relation(&mut self, relation: Relation) {
        let oid = relation.oid;
        self.relations.insert(oid, relation);
        for id in self.ids(oid) {
            if let Some(table) = self.tables.get_mut(&id) {
                table.binding = None;
            }
            // An error shows at once.
            self.change_one(id, oid, 0, |_, _| Ok(()));
        }
    }

    fn change(
        &mut self,
        oid: Oid,
        bytes: usize,
        change: impl Fn(&mut TableBinding, &mut RowBatch) -> Result<(), SqlError>,
    ) {
        self.statistics.messages_received += 1;
        self.statistics.bytes_received += bytes as u64;
        let count = self.by_oid.get(&oid).map_or(0, Vec::len);
        for index in 0..count {
            if let Some(id) = self.by_oid.get(&oid).and_then(|ids| ids.get(index)).copied() {
                self.change_one(id, oid, bytes, &change);
            }
        }
    }

    fn change_one(
        &mut self,
        id: ObjectId,
        oid: Oid,
        bytes: usize,
        change: impl Fn(&mut TableBinding, &mut RowBatch) -> Result<(), SqlError>,
    ) {
        let (Some(table), Some(transaction)) =
            (self.tables.get_mut(&id), self.transaction.as_mut())
        else {
            return;
        };
        if matches!(table.state, State::Failed) {
            return;
        }
        if bytes > 0 {
            table.statistics.messages_received += 1;
            table.statistics.bytes_received += bytes as u64;
        }
        if table.binding.is_none() {
            let bound = match self.relations.get(&oid) {
                Some(relation) => TableBinding::new(&table.config, relation),
                None => Err(SqlError::internal("a change of a table that was not introduced")),
            };
            match bound {
                Ok(binding) => table.binding = Some(binding),
                Err(error) => return transaction.fail(id, error),
            }
        }
        if let Some(binding) = &mut table.binding {
            transaction.change(id, bytes, |out| change(binding, out));
        }
    }

    fn truncate(&mut self, oids: &[Oid]) {
        for oid in oids {
            for id in self.ids(*oid) {
                let Some(table) = self.tables.get(&id) else { continue };
                if matches!(table.state, State::Failed) {
                    continue;
                }
                if let Some(transaction) = &mut self.transaction {
                    transaction.fail(id, truncated(&table.config));
                }
            }
        }
    }

    async fn spill_if_large(&mut self) -> Result<(), SourceError> {
        let Some(transaction) = self.transaction.as_mut().filter(|t| t.is_large()) else {
            return Ok(());
        };
        let tables = &self.tables;
        // Changes of pending tables may be left out at the end: they stay in memory.
        let columns = |id: ObjectId| -> Option<Vec<ColumnType>> {
            let table = tables.get(&id)?;
            let live = matches!(table.state, State::Live);
            live.then(|| table.config.columns.iter().map(|c| c.typ.clone()).collect())
        };
        Ok(transaction.spill(&self.sink, columns).await?)
    }

    async fn commit_transaction(&mut self, end: Lsn) -> Result<(), SourceError> {
        let transaction = self.transaction.take().unwrap_or_default();
        self.position = self.position.max(end);
        let mut commit = IngestCommit::position(self.source, self.position);
        for changes in transaction.finish().await? {
            let id = changes.table;
            let Some(table) = self.tables.get_mut(&id) else { continue };
            match (&mut table.state, changes.outcome) {
                (State::Failed, _) => {}
                (State::Pending(pending), outcome) => {
                    if pending.reading && pending.snapshot.is_none_or(|snapshot| end > snapshot) {
                        pending.kept.push((end, outcome));
                    }
                }
                (State::Live, Err(error)) => self.fail(id, error, &mut commit),
                (State::Live, Ok(batch)) => {
                    table.statistics.updates_committed += batch.len() as u64;
                    if !batch.is_empty() {
                        commit.updates.push((id, batch));
                    }
                    if !changes.parts.is_empty() {
                        commit.bulk.push((id, changes.parts));
                    }
                }
            }
        }
        self.release(&mut commit);
        if commit.is_empty() {
            return Ok(());
        }
        self.statistics.transactions_committed += 1;
        self.hand_over(commit).await
    }

    /// Adds the first content of the tables whose snapshot is read and reached by the stream.
    fn release(&mut self, commit: &mut IngestCommit) {
        let position = self.position;
        let mut failed = Vec::new();
        for (id, table) in &mut self.tables {
            let State::Pending(pending) = &mut table.state else { continue };
            let Some(snapshot) = pending.snapshot.filter(|snapshot| *snapshot <= position) else {
                continue;
            };
            let Some(parts) = pending.parts.take() else { continue };
            let mut later = RowBatch::new();
            let kept = std::mem::take(&mut pending.kept);
            let kept = kept.into_iter().filter(|(end, _)| *end > snapshot);
            let outcome = kept.map(|(_, outcome)| outcome).try_for_each(|outcome| {
                later.append(&outcome?);
                Ok::<(), SqlError>(())
            });
            if let Err(error) = outcome {
                failed.push((*id, error));
                continue;
            }
            table.statistics.updates_committed += pending.rows + later.len() as u64;
            table.statistics.snapshot_committed = true;
            if !later.is_empty() {
                commit.updates.push((*id, later));
            }
            commit.bulk.push((*id, parts));
            commit.snapshot_done.push(*id);
            table.state = State::Live;
            self.sink.status(*id, SourceStatus::Running);
        }
        for (id, error) in failed {
            self.fail(id, error, commit);
        }
    }

    /// Commits what is ready outside of transactions.
    pub(crate) async fn release_ready(&mut self) -> Result<(), SourceError> {
        if self.in_transaction() {
            return Ok(());
        }
        let mut commit = IngestCommit::position(self.source, self.position);
        self.release(&mut commit);
        if commit.is_empty() { Ok(()) } else { self.hand_over(commit).await }
    }

    /// Whether a snapshot waits for the stream to reach it.
    pub(crate) fn waits_for_position(&self) -> bool {
        self.tables
            .values()
            .any(|table| matches!(&table.state, State::Pending(pending) if pending.parts.is_some()))
    }

    /// The upstream says that all that was committed before `end` has been sent.
    pub(crate) async fn keepalive(&mut self, end: Lsn, urgent: bool) -> Result<(), SourceError> {
        self.statistics.offset_known = self.statistics.offset_known.max(end);
        if self.in_transaction() {
            return Ok(());
        }
        self.position = self.position.max(end);
        if self.waits_for_position() {
            self.release_ready().await?;
        }
        let patience = Duration::from_millis(if urgent { 500 } else { 3000 });
        self.commit_position(patience).await
    }

    /// Hands over the position alone, if it moved and the last commit is some time ago.
    pub(crate) async fn commit_position(&mut self, patience: Duration) -> Result<(), SourceError> {
        let due = self.committed_at.elapsed() >= patience;
        if self.in_transaction() || !due || self.position <= self.committed {
            return Ok(());
        }
        self.hand_over(IngestCommit::position(self.source, self.position)).await
    }

    pub(crate) async fn hand_over(&mut self, commit: IngestCommit) -> Result<(), SourceError> {
        let position = commit.position;
        self.sink.commit(commit).await.map_err(SourceError::stop)?;
        self.committed = position;
        self.committed_at = Instant::now();
        self.statistics.offset_committed = position;
        self.statistics.offset_known = self.statistics.offset_known.max(position);
        Ok(())
    }

    /// Reports the counts that changed.
    pub(crate) fn tell_statistics(&mut self) {
        if self.statistics != self.told {
            self.told = self.statistics;
            self.sink.source_statistics(self.source, self.statistics);
        }
        for (id, table) in &mut self.tables {
            if table.statistics != table.told {
                table.told = table.statistics;
                self.sink.table_statistics(*id, table.statistics);
            }
        }
    }
}
