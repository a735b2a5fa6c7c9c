//! What a source knows of its tables, and what it does with each message of the stream.
//!
//! A table is waiting for its first content, live, stale (it has content, but what came after it
//! is missing), or failed. One that is [`Catching`] up has a snapshot read meanwhile, and the
//! stream's changes kept for it; see [`super`] for how they join.

mod copies;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidemill_repr::{ColumnType, Lsn, ObjectId, Oid, SqlError, SqlState};

use crate::sink::{IngestCommit, IngestSink, SourceStatistics, SourceStatus, TableStatistics};

use super::adopted::Beside;
use super::catching::{Catching, CaughtUp};
use super::connection::{Next, PostgresConnection, SourceError};
use super::difference::{Target, difference};
use super::pgoutput::{self, Message, Relation};
use super::source::{TableConfig, TableSnapshot};
use super::streamed::Streamed;
use super::table::{TableBinding, column_decoders};
use super::transaction::Transaction;
use super::watch::{Found, Problem, Watch, no_publication};
use super::work::{Base, Form, TableWork};

/// How often a snapshot is begun anew because of labels that came up meanwhile.
const MOST_SNAPSHOTS: u32 = 5;

/// A table of a source.
struct Followed {
    work: TableWork,
    state: State,
    catching: Option<Catching>,
    /// Whether it was read again because of wider types.
    read_again: bool,
    /// Whether its form of now was looked at for wider types.
    bound: bool,
    /// How many of its snapshots met a label that was not known when they began.
    snapshots_failed: u32,
    /// What is known of columns that are not carried.
    beside: Option<Beside>,
    statistics: TableStatistics,
    told: TableStatistics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its first content is not committed yet.
    Waiting,
    /// It follows.
    Live,
    /// It has content, but does not follow: all of it is read once more.
    Stale,
    /// It cannot be followed.
    Failed,
}

/// What is known of a table that the stream described.
enum Described {
    /// What it said.
    Told(Relation),
    /// With the catalog's columns.
    Whole(Arc<Form>),
}

/// All tables of a source, and where it stands.
pub(crate) struct Follower {
    source: ObjectId,
    sink: Arc<dyn IngestSink>,
    tables: BTreeMap<ObjectId, Followed>,
    by_oid: HashMap<Oid, Vec<ObjectId>>,
    /// What this session's stream said of tables.
    described: HashMap<Oid, Described>,
    watch: Watch,
    /// The open transaction, and where its commit stands.
    transaction: Option<(Transaction, Lsn)>,
    /// Transactions that the upstream sends before they commit.
    streamed: Streamed,
    /// All upstream changes up to here were received.
    pub(crate) position: Lsn,
    /// The upstream's timeline.
    pub(crate) timeline: u32,
    /// Somebody waits until this is handed over.
    pub(crate) awaited: Lsn,
    /// All upstream changes up to here were handed over.
    committed: Lsn,
    committed_at: Instant,
    statistics: SourceStatistics,
    told: SourceStatistics,
}

impl Follower {
    pub(crate) fn new(
        source: ObjectId,
        sink: Arc<dyn IngestSink>,
        watch: Watch,
        (position, timeline): (Lsn, u32),
    ) -> Follower {
        Follower {
            source,
            sink,
            tables: BTreeMap::new(),
            by_oid: HashMap::new(),
            described: HashMap::new(),
            watch,
            transaction: None,
            streamed: Streamed::default(),
            position,
            timeline,
            committed: position,
            awaited: Lsn::default(),
            committed_at: Instant::now(),
            statistics: SourceStatistics::default(),
            told: SourceStatistics::default(),
        }
    }

    /// Looks into the upstream's catalog by another way from now on.
    pub(crate) fn connect(&mut self, connection: &PostgresConnection) {
        self.watch.connect(connection.clone());
    }

    /// Forgets what belongs to the session that ended.
    pub(crate) fn begin_session(&mut self) {
        self.described.clear();
        self.streamed = Streamed::default();
        let broken = self.transaction.take();
        for table in self.tables.values_mut() {
            table.work.binding = None;
            table.bound = false;
            if let Some(catching) = &mut table.catching {
                catching.transaction_breaks();
            }
        }
        if let Some((transaction, _)) = broken {
            for id in transaction.touched() {
                if let Some(table) = self.tables.get_mut(&id) {
                    table.work.content = None;
                }
            }
            transaction.discard(&self.sink);
        }
    }

    pub(crate) fn add_table(&mut self, config: TableConfig) {
        let (state, status) = match config.snapshot {
            TableSnapshot::Wanted => (State::Waiting, SourceStatus::Starting),
            TableSnapshot::Done | TableSnapshot::Again { live: true } => {
                (State::Live, SourceStatus::Running)
            }
            TableSnapshot::Again { live: false } => (State::Stale, SourceStatus::Starting),
        };
        self.drop_table(config.id);
        self.watch.forget(config.id);
        self.sink.status(config.id, status);
        self.by_oid.entry(config.upstream.oid).or_default().push(config.id);
        let statistics = TableStatistics {
            snapshot_committed: state == State::Live,
            ..TableStatistics::default()
        };
        let catching = (config.snapshot != TableSnapshot::Done).then(Catching::default);
        let id = config.id;
        let told = TableStatistics::default();
        let work = TableWork::new(config);
        let followed = Followed {
            work,
            state,
            catching,
            read_again: false,
            bound: false,
            snapshots_failed: 0,
            beside: None,
            statistics,
            told,
        };
        self.tables.insert(id, followed);
    }

    pub(crate) fn drop_table(&mut self, id: ObjectId) {
        let Some(table) = self.tables.remove(&id) else { return };
        if let Some(ids) = self.by_oid.get_mut(&table.work.config.upstream.oid) {
            ids.retain(|other| *other != id);
        }
        if let Some((transaction, _)) = &mut self.transaction {
            transaction.forget(&self.sink, id);
        }
    }

    /// Whether all columns of all tables can come in binary.
    pub(crate) fn takes_binary(&self) -> bool {
        self.tables.values().all(|table| {
            column_decoders(&table.work.config)
                .is_ok_and(|decoders| decoders.iter().all(|decoder| decoder.takes_binary()))
        })
    }

    /// These tables, but those that have failed.
    pub(super) fn configs(&self, ids: &[ObjectId]) -> Vec<TableConfig> {
        let tables = ids.iter().filter_map(|id| self.tables.get(id));
        let tables =
            tables.filter(|table| table.state != State::Failed || table.catching.is_some());
        tables.map(|table| table.work.config.clone()).collect()
    }

    pub(super) fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    pub(super) fn sink(&self) -> Arc<dyn IngestSink> {
        Arc::clone(&self.sink)
    }

    /// A column here has another type now, which holds all that the one before held.
    pub(super) fn set_type(&mut self, id: ObjectId, column: usize, typ: ColumnType) {
        let Some(table) = self.tables.get_mut(&id) else { return };
        if let Some(column) = table.work.config.columns.get_mut(column) {
            column.typ = typ;
        }
        table.work.binding = None;
    }

    pub(crate) fn has_live_tables(&self) -> bool {
        self.tables.values().any(|table| table.state == State::Live)
    }

    fn catching(&mut self, id: ObjectId) -> Option<&mut Catching> {
        self.tables.get_mut(&id)?.catching.as_mut()
    }

    /// The tables whose snapshot is wanted; from now on they count as being read.
    pub(crate) fn begin_snapshot(&mut self) -> Vec<TableConfig> {
        if !self.has_live_tables() {
            for table in self.tables.values_mut() {
                table.work.config.from = None;
            }
        }
        // A transaction that is open now was committed upstream before the snapshot will be taken.
        let mut wanted = Vec::new();
        for (id, table) in &mut self.tables {
            let Some(catching) = &mut table.catching else { continue };
            let copied = table.work.config.from.is_some();
            if !copied && !catching.reading && catching.parts.is_none() {
                *catching = Catching::default();
                catching.reading = true;
                self.sink.status(*id, SourceStatus::Snapshotting);
                wanted.push(table.work.config.clone());
            }
        }
        wanted
    }

    pub(crate) fn snapshot_taken(&mut self, position: Lsn) {
        for catching in self.tables.values_mut().filter_map(|table| table.catching.as_mut()) {
            if catching.reading && !catching.copying && catching.snapshot.is_none() {
                catching.snapshot = Some(position);
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
            if let Some(catching) = &mut table.catching {
                let received = bytes.saturating_sub(catching.bytes);
                table.statistics.bytes_received += received;
                self.statistics.bytes_received += received;
                catching.bytes = bytes;
            }
        }
    }

    pub(crate) fn snapshot_done(&mut self, id: ObjectId, parts: Vec<String>, rows: u64) {
        match self.catching(id) {
            Some(catching) if catching.reading => {
                catching.parts = Some(parts);
                catching.rows = rows;
            }
            _ => self.sink.discard_parts(parts),
        }
        if let Some(table) = self.tables.get_mut(&id) {
            table.statistics.snapshot_records_known = Some(rows);
            table.statistics.snapshot_records_staged = rows;
        }
    }

    /// Where the stream may start when no table is live: nothing before it is needed.
    pub(crate) fn skip_to_snapshot(&mut self) {
        let catching = self.tables.values().filter_map(|table| table.catching.as_ref());
        let read = catching.filter(|catching| catching.parts.is_some());
        if let Some(snapshot) = read.filter_map(|catching| catching.snapshot).min() {
            self.position = self.position.max(snapshot);
        }
    }

    /// The snapshot task ended: tables that it left unread are wanted again.
    pub(crate) fn snapshot_ended(&mut self) {
        for catching in self.tables.values_mut().filter_map(|table| table.catching.as_mut()) {
            if catching.reading && !catching.copying && catching.parts.is_none() {
                *catching = Catching::default();
            }
        }
    }

    /// A table's snapshot cannot be read, for a reason that lies with the table.
    pub(crate) async fn snapshot_failed(
        &mut self,
        id: ObjectId,
        error: SqlError,
    ) -> Result<(), SourceError> {
        // An enum may have got a label since the snapshot began: then it is read again.
        if error.code == SqlState::INVALID_TEXT_REPRESENTATION
            && self.has_enums(id)
            && self.learn_labels(&[id]).await?.is_empty()
            && let Some(table) = self.tables.get_mut(&id)
            && table.snapshots_failed < MOST_SNAPSHOTS
        {
            table.snapshots_failed += 1;
            table.catching = Some(Catching::default());
            return Ok(());
        }
        let mut commit = self.new_commit(self.committed);
        self.fail(id, error, &mut commit);
        if let Some(table) = self.tables.get_mut(&id) {
            table.catching = None;
        }
        self.hand_over(commit).await
    }

    fn new_commit(&self, position: Lsn) -> IngestCommit {
        IngestCommit::position(self.source, position, self.timeline)
    }

    fn fail(&mut self, id: ObjectId, error: SqlError, commit: &mut IngestCommit) {
        let Some(table) = self.tables.get_mut(&id) else { return };
        tracing::warn!(table = %table.work.config.upstream.sql_name(), %error, "table failed");
        if table.state == State::Waiting {
            table.catching = None;
        }
        table.state = State::Failed;
        table.work.content = None;
        self.sink.status(id, SourceStatus::Failed { error: error.clone() });
        commit.table_errors.push((id, error));
    }

    /// No table can be followed any further.
    pub(crate) async fn fail_all(&mut self, error: &SqlError) -> Result<(), SourceError> {
        let mut commit = self.new_commit(self.committed);
        let ids: Vec<ObjectId> = self.tables.keys().copied().collect();
        for id in ids {
            let failed = self.tables.get(&id).is_some_and(|table| table.state == State::Failed);
            if !failed {
                self.fail(id, error.clone(), &mut commit);
            }
        }
        if commit.is_empty() { Ok(()) } else { self.hand_over(commit).await }
    }

    /// Whether the stream is inside a transaction.
    pub(crate) fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Takes one message of the stream.
    pub(crate) async fn message(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        if self.streamed.take(bytes)? {
            return Ok(());
        }
        let message = pgoutput::decode(bytes)
            .map_err(|error| SqlError::new(SqlState::PROTOCOL_VIOLATION, error.to_string()))?;
        match message {
            Message::StreamCommit { xid, commit_lsn, end_lsn } => {
                let Some(mut changes) = self.streamed.commit(xid) else { return Ok(()) };
                self.transaction = Some((Transaction::default(), commit_lsn));
                while let Some(bytes) = changes.next()? {
                    self.change(bytes).await?;
                }
                self.commit_transaction(end_lsn).await
            }
            _ => self.change(bytes).await,
        }
    }

    /// Takes one message that belongs to a transaction as a whole.
    async fn change(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        let message = pgoutput::decode(bytes)
            .map_err(|error| SqlError::new(SqlState::PROTOCOL_VIOLATION, error.to_string()))?;
        match &message {
            Message::Begin { final_lsn, .. } => {
                self.transaction = Some((Transaction::default(), *final_lsn));
            }
            Message::Commit { end_lsn, .. } => self.commit_transaction(*end_lsn).await?,
            Message::Relation(relation) => self.relation(relation.clone()).await?,
            Message::Insert { table, .. }
            | Message::Update { table, .. }
            | Message::Delete { table, .. } => self.table_changed(*table, &message, bytes).await?,
            Message::Truncate { tables } => {
                for table in tables {
                    self.table_changed(*table, &message, bytes).await?;
                }
            }
            _ => {}
        }
        self.spill_if_large().await
    }

    fn ids(&self, oid: Oid) -> Vec<ObjectId> {
        self.by_oid.get(&oid).cloned().unwrap_or_default()
    }

    /// The stream says what a table looks like now.
    async fn relation(&mut self, relation: Relation) -> Result<(), SourceError> {
        let oid = relation.oid;
        let again = self.described.insert(oid, Described::Told(relation)).is_some();
        let ids = self.ids(oid);
        for id in &ids {
            if let Some(table) = self.tables.get_mut(id) {
                table.work.binding = None;
                table.bound = false;
            }
        }
        // Something was done to the table that may not show in its form.
        if again && !ids.is_empty() {
            let problems = self.look(|config| config.upstream.oid == oid).await?;
            for (id, problem) in problems {
                match (problem, &mut self.transaction) {
                    (Problem::ReadAgain, _) => self.read_again(id),
                    (Problem::Error(error), Some((transaction, _))) => {
                        transaction.fail(&self.sink, id, error);
                    }
                    (Problem::Error(_), None) => {}
                }
            }
        }
        Ok(())
    }

    /// The form of a table with the catalog's columns.
    async fn form(&mut self, oid: Oid) -> Result<Option<Arc<Form>>, SourceError> {
        let relation = match self.described.get(&oid) {
            None => return Ok(None),
            Some(Described::Whole(form)) => return Ok(Some(Arc::clone(form))),
            Some(Described::Told(relation)) => relation.clone(),
        };
        let attributes = self.watch.attributes(oid).await?;
        let form = Arc::new(Form { relation, attributes });
        self.described.insert(oid, Described::Whole(Arc::clone(&form)));
        Ok(Some(form))
    }

    /// Looks into the upstream's catalog whether these tables can still be followed.
    async fn look(
        &mut self,
        which: impl Fn(&TableConfig) -> bool,
    ) -> Result<Vec<(ObjectId, Problem)>, SourceError> {
        let tables: Vec<TableConfig> = self
            .tables
            .values()
            .filter(|table| matches!(table.state, State::Live | State::Waiting))
            .map(|table| &table.work.config)
            .filter(|config| which(config))
            .cloned()
            .collect();
        match self.watch.look(&tables).await? {
            Found::Tables(problems) => Ok(problems),
            Found::NoPublication(error) => Err(SourceError::lost(error)),
        }
    }

    /// Looks into the upstream's catalog now and then.
    pub(crate) async fn look_at_all(&mut self) -> Result<(), SourceError> {
        if self.in_transaction() {
            return Ok(());
        }
        let problems = match self.look(|_| true).await {
            Ok(problems) => problems,
            Err(lost) if lost.next == Next::Lost => return Err(lost),
            Err(failed) => {
                // The stream goes on without it, as far as it can.
                tracing::debug!(error = %failed.error, "the upstream's catalog cannot be read");
                return Ok(());
            }
        };
        for (id, table) in &mut self.tables {
            let storage = self.watch.storage(*id).filter(|_| table.state == State::Live);
            Beside::look(&mut table.beside, storage);
        }
        let ids: Vec<ObjectId> = self.tables.keys().copied().collect();
        let refused = self.learn_labels(&ids).await.unwrap_or_default();
        let mut commit = self.new_commit(self.committed);
        for (id, error) in refused {
            self.fail(id, error, &mut commit);
        }
        for (id, problem) in problems {
            match problem {
                Problem::Error(error) => self.fail(id, error, &mut commit),
                Problem::ReadAgain => self.read_again(id),
            }
        }
        if commit.is_empty() { Ok(()) } else { self.hand_over(commit).await }
    }

    /// Something happened to a table that the stream does not tell: all of it is read once more,
    /// beside the stream, and the differences are applied.
    fn read_again(&mut self, id: ObjectId) {
        let Some(table) = self.tables.get_mut(&id) else { return };
        tracing::info!(table = %table.work.config.upstream.sql_name(), "table is read again");
        if table.state == State::Live {
            table.work.config.snapshot = TableSnapshot::Again { live: true };
        }
        table.catching = Some(Catching::default());
    }

    async fn table_changed(
        &mut self,
        oid: Oid,
        message: &Message<'_>,
        bytes: &[u8],
    ) -> Result<(), SourceError> {
        self.statistics.messages_received += 1;
        self.statistics.bytes_received += bytes.len() as u64;
        let ids = self.ids(oid);
        if ids.is_empty() {
            return Ok(());
        }
        let form = self.form(oid).await?;
        for id in ids {
            let Some((_, commit)) = &self.transaction else { return Ok(()) };
            let Some(table) = self.tables.get_mut(&id) else { continue };
            table.statistics.messages_received += 1;
            table.statistics.bytes_received += bytes.len() as u64;
            if let Some(catching) = table.catching.as_mut().filter(|catching| catching.reading) {
                catching.keep(*commit, form.as_ref(), bytes)?;
            }
            let unknown = table.state == State::Live
                && table.work.bind(form.as_deref()).is_ok()
                && table.work.binding.as_ref().is_some_and(|b| b.has_unknown_label(message));
            let refused = if unknown { self.learn_labels(&[id]).await?.pop() } else { None };
            let Some((transaction, _)) = &mut self.transaction else { return Ok(()) };
            if let Some((id, error)) = refused {
                transaction.fail(&self.sink, id, error);
            }
            let Some(table) = self.tables.get_mut(&id) else { continue };
            if table.state == State::Live {
                let change = (message, bytes.len());
                let form = form.as_deref();
                let base = &mut Base::Ledger;
                let bound = std::mem::replace(&mut table.bound, true);
                table.work.change(&self.sink, transaction, base, form, change).await?;
                if let (Some(beside), Some(binding)) = (&mut table.beside, &table.work.binding)
                    && !beside.note(binding, message)
                {
                    table.beside = None;
                }
                // Types that became wider may have come with other values.
                let binding = table.work.binding.as_ref().filter(|_| !bound);
                let widened = binding.is_some_and(TableBinding::is_widened);
                if widened && !std::mem::replace(&mut table.read_again, true) {
                    self.read_again(id);
                }
            }
        }
        Ok(())
    }

    async fn spill_if_large(&mut self) -> Result<(), SourceError> {
        let Some((transaction, _)) = self.transaction.as_mut().filter(|(t, _)| t.is_large()) else {
            return Ok(());
        };
        let tables = &self.tables;
        let columns =
            |id: ObjectId| -> Option<Vec<ColumnType>> { Some(tables.get(&id)?.work.types()) };
        Ok(transaction.spill(&self.sink, columns).await?)
    }

    async fn commit_transaction(&mut self, end: Lsn) -> Result<(), SourceError> {
        let (transaction, _) = self.transaction.take().unwrap_or_default();
        self.position = self.position.max(end);
        let mut commit = self.new_commit(self.position);
        for changes in transaction.finish().await? {
            let id = changes.table;
            let Some(table) = self.tables.get_mut(&id) else { continue };
            match changes.outcome {
                _ if table.state != State::Live => self.sink.discard_parts(changes.parts),
                Err(error) => self.fail(id, error, &mut commit),
                Ok(batch) => {
                    table.statistics.updates_committed += changes.updates;
                    if !batch.is_empty() {
                        commit.updates.push((id, batch));
                    }
                    if !changes.parts.is_empty() {
                        commit.bulk.push((id, changes.parts));
                    }
                }
            }
        }
        for catching in self.tables.values_mut().filter_map(|table| table.catching.as_mut()) {
            catching.transaction_ends();
        }
        if !commit.is_empty() {
            self.statistics.transactions_committed += 1;
            self.hand_over(commit).await?;
        }
        if self.waits_for_position() { self.release_ready().await } else { Ok(()) }
    }

    /// The tables whose snapshot is read and reached by the stream. Those that have old content
    /// come together, so that no transaction shows in one and not in the other.
    fn ready(&self) -> Vec<ObjectId> {
        let position = self.position;
        let is_ready = |table: &Followed| {
            table.catching.as_ref().is_some_and(|catching| catching.is_ready(position))
        };
        let held = self.tables.values().any(|table| {
            table.state == State::Stale && table.catching.is_some() && !is_ready(table)
        });
        let ready = self.tables.iter().filter(|(_, table)| is_ready(table));
        ready.filter(|(_, table)| table.state != State::Stale || !held).map(|(id, _)| *id).collect()
    }

    /// Hands over the content of tables that have caught up.
    pub(crate) async fn release_ready(&mut self) -> Result<(), SourceError> {
        if self.in_transaction() {
            return Ok(());
        }
        let mut commit = self.new_commit(self.position);
        let ready = self.ready();
        for id in &ready {
            self.release(*id, &mut commit).await?;
        }
        if commit.is_empty() {
            return Ok(());
        }
        // What comes from here on in columns that are not there yet is noted.
        let oid = |id: &ObjectId| Some((*id, self.tables.get(id)?.work.config.upstream.oid));
        let released: Vec<(ObjectId, Oid)> = ready.iter().filter_map(oid).collect();
        if self.watch.look_at_storages(&released).await.is_ok() {
            for id in &ready {
                if let Some(table) = self.tables.get_mut(id).filter(|t| t.state == State::Live) {
                    Beside::look(&mut table.beside, self.watch.storage(*id));
                }
            }
        }
        self.hand_over(commit).await
    }

    async fn release(
        &mut self,
        id: ObjectId,
        commit: &mut IngestCommit,
    ) -> Result<(), SourceError> {
        if let Some((id, error)) = self.learn_labels(&[id]).await?.pop() {
            self.fail(id, error, commit);
            return Ok(());
        }
        let Some(table) = self.tables.get_mut(&id) else { return Ok(()) };
        let Some(catching) = table.catching.take() else { return Ok(()) };
        let rows_read = catching.rows;
        // If the source is interrupted here the table is read again.
        table.catching = Some(Catching::default());
        let caught_up = catching.catch_up(&self.sink, &table.work.config).await?;
        let CaughtUp { work, mut parts, mut rows, mut updates } = match caught_up {
            Ok(caught_up) => caught_up,
            Err(error) => {
                table.catching = None;
                self.fail(id, error, commit);
                return Ok(());
            }
        };
        match work.config.snapshot {
            TableSnapshot::Again { .. } => {
                let target = Target { parts, rows };
                let mut transaction = Transaction::default();
                let types = work.types();
                difference(&self.sink, &mut transaction, (id, &types), &target).await?;
                self.sink.discard_parts(target.parts);
                updates = transaction.updates(id);
                (parts, rows) = match transaction.finish().await?.pop() {
                    Some(changes) => (changes.parts, changes.outcome.map_err(SourceError::stop)?),
                    None => Default::default(),
                };
                commit.resynced.push((id, work.config.resyncs));
            }
            _ => {
                updates += rows_read;
                commit.snapshot_done.push(id);
            }
        }
        table.statistics.updates_committed += updates;
        table.statistics.snapshot_committed = true;
        if !rows.is_empty() {
            commit.updates.push((id, rows));
        }
        if !parts.is_empty() {
            commit.bulk.push((id, parts));
        }
        table.work = work;
        table.work.binding = None;
        table.work.config.from = None;
        table.beside = None;
        table.bound = false;
        table.snapshots_failed = 0;
        table.catching = None;
        table.state = State::Live;
        self.sink.status(id, SourceStatus::Running);
        Ok(())
    }

    /// Whether a snapshot waits for the stream to reach it.
    pub(crate) fn waits_for_position(&self) -> bool {
        let mut catching = self.tables.values().filter_map(|table| table.catching.as_ref());
        catching.any(|catching| catching.parts.is_some())
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
        let patience = match (self.is_awaited(), urgent) {
            (true, _) => Duration::ZERO,
            (false, true) => Duration::from_millis(500),
            (false, false) => Duration::from_secs(3),
        };
        self.commit_position(patience).await
    }

    /// Whether somebody waits for a position that is not handed over yet.
    pub(crate) fn is_awaited(&self) -> bool {
        self.awaited > self.committed
    }

    /// Hands over the position alone, if it moved and the last commit is some time ago.
    pub(crate) async fn commit_position(&mut self, patience: Duration) -> Result<(), SourceError> {
        let due = self.committed_at.elapsed() >= patience;
        if self.in_transaction() || !due || self.position <= self.committed {
            return Ok(());
        }
        self.hand_over(self.new_commit(self.position)).await
    }

    /// The slot was created here.
    pub(crate) async fn start_at(&mut self, position: Lsn) -> Result<(), SourceError> {
        self.position = position;
        self.hand_over(self.new_commit(position)).await
    }

    async fn hand_over(&mut self, commit: IngestCommit) -> Result<(), SourceError> {
        let position = commit.position;
        self.sink.commit(commit).await.map_err(SourceError::stop)?;
        self.committed = position;
        self.committed_at = Instant::now();
        self.statistics.offset_committed = position;
        self.statistics.offset_known = self.statistics.offset_known.max(position);
        Ok(())
    }

    /// The error of a stream that no longer finds its publication.
    pub(crate) fn no_publication(publication: &str) -> SourceError {
        SourceError::lost(no_publication(publication))
    }
}
