//! The task of one source: connect, snapshot, follow, reconnect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidemill_repr::{ColumnType, Lsn, ObjectId, SqlError, SqlState};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::sink::{IngestSink, SourceStatus};

use super::connection::{Next, PostgresConnection, SourceError, drop_slot};
use super::describe::UpstreamTable;
use super::follower::Follower;
use super::replication::{
    ReplicationSession, ReplicationStream, SlotLife, StreamMessage, StreamOptions,
};
use super::slot_wait::SlotWait;
use super::snapshot::{self, SnapshotEvent};
use super::watch::Watch;

/// How often counts are reported and waiting things looked at.
const TICK: Duration = Duration::from_millis(500);

/// How often the upstream's catalog is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// All that a source task needs to start, or to go on after a restart.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The source.
    pub source: ObjectId,
    /// The upstream.
    pub connection: PostgresConnection,
    /// The publication followed.
    pub publication: String,
    /// The slot ([`new_slot_name`]); created by the task when `position` is None.
    pub slot: String,
    /// The cluster's identity when the source was created; another one is an error.
    pub system_identifier: Option<String>,
    /// The position in the ledger; None before the first commit of this source's slot.
    pub position: Option<Lsn>,
    /// The cluster's timeline on which that position is; None: it is not known.
    pub timeline: Option<u32>,
    /// The tables to follow.
    pub tables: Vec<TableConfig>,
}

/// A table to follow.
#[derive(Clone, Debug)]
pub struct TableConfig {
    /// The table here.
    pub id: ObjectId,
    /// What it looked like upstream when it was created.
    pub upstream: UpstreamTable,
    /// The columns carried, in the order of the rows here.
    pub columns: Vec<IngestColumn>,
    /// Whether its first content is still to be read.
    pub snapshot: TableSnapshot,
    /// How often a RESYNC of the table was asked for.
    pub resyncs: u32,
    /// A table of the same source and the same upstream table from which the first content may
    /// come, and for each column here which one of that table's it is.
    pub from: Option<(ObjectId, Vec<Option<usize>>)>,
}

/// A column carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestColumn {
    /// Which one of the upstream's columns.
    pub attnum: i16,
    /// Its type here.
    pub typ: ColumnType,
    /// Whether the value's text is carried instead of the value (TEXT COLUMNS).
    pub as_text: bool,
}

/// Whether a table's first content is still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableSnapshot {
    /// It is.
    Wanted,
    /// It is in the ledger.
    Done,
    /// It is in the ledger, but may be wrong: all is read once more, and the differences applied.
    Again {
        /// Whether the table can be followed meanwhile.
        live: bool,
    },
}

/// A name for the slot of a source: `materialize_` and something that no other has.
pub fn new_slot_name(source: ObjectId) -> String {
    let random: u64 = rand::random();
    format!("materialize_{source}_{random:016x}")
}

/// A running source task. Dropping it stops the task at its next await.
#[derive(Debug)]
pub struct SourceHandle {
    commands: mpsc::UnboundedSender<SourceCommand>,
    task: tokio::task::JoinHandle<()>,
}

/// What a running task can be told.
#[derive(Debug)]
pub(crate) enum SourceCommand {
    /// Follow one more table.
    AddTable(Box<TableConfig>),
    /// Forget a table.
    DropTable(ObjectId),
    /// Somebody waits until all up to this position is handed over.
    Reach(Lsn),
    /// Reach the upstream in another way from now on.
    Connect(Box<PostgresConnection>),
}

impl SourceHandle {
    /// Follows one more table, after its snapshot, or one that is followed already in another
    /// way. The others are not delayed.
    pub fn add_table(&self, table: TableConfig) {
        let _ = self.commands.send(SourceCommand::AddTable(Box::new(table)));
    }

    /// Follows a table no longer. No commit that is made after the task has seen this has
    /// changes of the table.
    pub fn drop_table(&self, id: ObjectId) {
        let _ = self.commands.send(SourceCommand::DropTable(id));
    }

    /// Hands over at once what is committed upstream up to a position: somebody waits for it.
    pub fn reach(&self, position: Lsn) {
        let _ = self.commands.send(SourceCommand::Reach(position));
    }

    /// Reaches the upstream in another way. A task that has failed tries again.
    pub fn connect(&self, connection: PostgresConnection) {
        let _ = self.commands.send(SourceCommand::Connect(Box::new(connection)));
    }

    /// Stops the task; the slot stays. Returns when nothing more will be committed.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for SourceHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts following. `durable` says up to which position the commits of this source are durable
/// here; only that is confirmed to the upstream.
///
/// Must be called within a tokio runtime.
pub fn start(
    config: SourceConfig,
    sink: Arc<dyn IngestSink>,
    durable: watch::Receiver<Lsn>,
) -> SourceHandle {
    let (commands, receiver) = mpsc::unbounded_channel();
    let task = tokio::spawn(Task::new(config, sink, durable, receiver).run());
    SourceHandle { commands, task }
}

/// The state of a source task over all its sessions.
struct Task {
    config: SourceConfig,
    sink: Arc<dyn IngestSink>,
    durable: watch::Receiver<Lsn>,
    commands: mpsc::UnboundedReceiver<SourceCommand>,
    follower: Follower,
    /// Whether the slot exists: there is a position.
    has_slot: bool,
    /// The upstream's process that served the stream last.
    slot_process: Option<i32>,
    events: mpsc::UnboundedReceiver<SnapshotEvent>,
    event_sender: mpsc::UnboundedSender<SnapshotEvent>,
    /// The snapshot that is being read.
    snapshot: Option<JoinSet<()>>,
    /// Tables that are copied from others here.
    copies: JoinSet<()>,
    snapshot_failures: u32,
    snapshot_not_before: Instant,
    /// Whether the snapshot was said to wait.
    waits: bool,
}

/// Why a session ended without an error.
enum SessionEnd {
    /// The stream has to be started in another way.
    Again,
    /// Nobody holds the handle any more.
    Closed,
}

impl Task {
    fn new(
        config: SourceConfig,
        sink: Arc<dyn IngestSink>,
        durable: watch::Receiver<Lsn>,
        commands: mpsc::UnboundedReceiver<SourceCommand>,
    ) -> Task {
        let reached = (config.position.unwrap_or_default(), config.timeline.unwrap_or(0));
        let watch = Watch::new(config.connection.clone(), config.publication.clone());
        let mut follower = Follower::new(config.source, Arc::clone(&sink), watch, reached);
        for table in &config.tables {
            follower.add_table(table.clone());
        }
        let (event_sender, events) = mpsc::unbounded_channel();
        Task {
            has_slot: config.position.is_some(),
            slot_process: None,
            config,
            sink,
            durable,
            commands,
            follower,
            events,
            event_sender,
            snapshot: None,
            copies: JoinSet::new(),
            snapshot_failures: 0,
            snapshot_not_before: Instant::now(),
            waits: false,
        }
    }

    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let failed = match self.session().await {
                Ok(SessionEnd::Again) => continue,
                Ok(SessionEnd::Closed) => return,
                Err(failed) => failed,
            };
            let SourceError { error, next } = failed;
            if next != Next::Retry {
                tracing::error!(source = %self.config.source, %error, "source failed");
                self.follower.begin_session();
                if next == Next::Lost
                    && let Err(failed) = self.follower.fail_all(&error).await
                {
                    tracing::error!(source = %self.config.source, error = %failed.error, "source");
                }
                self.sink.status(self.config.source, SourceStatus::Failed { error });
                // What is lost stays lost; for the rest the way to the upstream may be corrected.
                if next == Next::Lost || !self.reconnected(None).await {
                    return;
                }
                failures = 0;
                continue;
            }
            // A session that went well for a while makes old failures forgotten.
            if started.elapsed() > Duration::from_secs(10) {
                failures = 0;
            }
            let retry_in = backoff(failures);
            failures += 1;
            tracing::warn!(source = %self.config.source, %error, ?retry_in, "source stalled");
            self.sink.status(self.config.source, SourceStatus::Stalled { error, retry_in });
            if !self.reconnected(Some(retry_in)).await {
                return;
            }
        }
    }

    /// Waits for another connection, or for as long as is said. False: nobody holds the handle.
    async fn reconnected(&mut self, most: Option<Duration>) -> bool {
        let until = most.map(|most| tokio::time::Instant::now() + most);
        loop {
            let command = match until {
                None => self.commands.recv().await,
                Some(until) => match tokio::time::timeout_at(until, self.commands.recv()).await {
                    Ok(command) => command,
                    Err(_) => return true,
                },
            };
            let Some(command) = command else { return false };
            let connects = matches!(command, SourceCommand::Connect(_));
            self.follower.begin_session();
            self.command(command);
            if connects {
                return true;
            }
        }
    }

    /// Connects and follows until something ends it.
    async fn session(&mut self) -> Result<SessionEnd, SourceError> {
        self.sink.status(self.config.source, SourceStatus::Starting);
        self.follower.begin_session();
        let mut replication = self.connect().await?;
        if !self.has_slot {
            self.create_slot(&mut replication).await?;
        }
        self.follower.look_at_all().await?;
        if !self.follower.has_live_tables() && self.begin_snapshot() {
            // Nothing needs the stream yet: it waits upstream instead of in memory here.
            drop(replication);
            if self.first_snapshot().await? {
                return Ok(SessionEnd::Closed);
            }
            replication = self.connect().await?;
        }
        let version = replication.server_version().await?;
        let binary = version >= 140_000 && self.follower.takes_binary();
        check_slot(&mut replication, &self.config.slot, self.follower.position).await?;
        let process = replication.process();
        let options = StreamOptions { binary, streaming: version >= 140_000 };
        let started = replication
            .stream(
                &self.config.slot,
                self.follower.position,
                &self.config.publication,
                options,
                self.durable.clone(),
            )
            .await;
        let stream = match started {
            Ok(stream) => stream,
            Err(error) => return Err(self.slot_refused(error).await),
        };
        self.slot_process = process;
        self.sink.status(self.config.source, SourceStatus::Running);
        self.follow(stream, binary).await.map_err(|failed| match failed.next {
            Next::Retry => self.slot_error(failed.error),
            _ => failed,
        })
    }

    /// The slot cannot be used. If it is our own connection, lost on the way, that holds it, that
    /// is ended.
    async fn slot_refused(&mut self, error: SqlError) -> SourceError {
        if error.code == SqlState::OBJECT_IN_USE
            && let Some(process) = self.slot_process
            && error.message.ends_with(&format!(" {process}"))
            && let Ok(client) = self.config.connection.connect().await
        {
            let sql = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots \
                       WHERE slot_name = $1 AND active_pid = $2";
            let _ = client.query(sql, &[&self.config.slot, &process]).await;
        }
        self.slot_error(error)
    }

    /// Creates the source's slot; its position becomes that of the source.
    async fn create_slot(&mut self, session: &mut ReplicationSession) -> Result<(), SourceError> {
        let has_content =
            self.config.tables.iter().any(|table| table.snapshot == TableSnapshot::Done);
        if has_content {
            // A new slot would leave out what was committed since: never in silence.
            return Err(SourceError::stop(SqlError::internal(
                "a source whose tables have content has no position",
            )));
        }
        let slot = &self.config.slot;
        let waits = SlotWait::new(&self.config.connection, session.process());
        let tell = |error| {
            let status = SourceStatus::Stalled { error, retry_in: Duration::ZERO };
            self.sink.status(self.config.source, status);
        };
        let created = match waits.during(session.create_slot(slot, SlotLife::Permanent), tell).await
        {
            // Created by an earlier run that ended before its position was committed.
            Err(error) if error.code == SqlState::DUPLICATE_OBJECT => {
                drop_slot(&self.config.connection, slot).await?;
                let waits = SlotWait::new(&self.config.connection, session.process());
                waits.during(session.create_slot(slot, SlotLife::Permanent), tell).await?
            }
            created => created?,
        };
        self.follower.start_at(created.consistent_point).await?;
        self.has_slot = true;
        Ok(())
    }

    /// Starts to read the tables that are wanted, unless others are being read. Says whether it did.
    fn begin_snapshot(&mut self) -> bool {
        if self.snapshot.is_some() || Instant::now() < self.snapshot_not_before {
            return self.snapshot.is_some();
        }
        let tables = self.follower.begin_snapshot();
        if tables.is_empty() {
            return false;
        }
        let mut task = JoinSet::new();
        task.spawn(snapshot::run(
            self.config.connection.clone(),
            tables,
            Arc::clone(&self.sink),
            self.event_sender.clone(),
        ));
        self.snapshot = Some(task);
        true
    }

    /// Begins to copy tables whose content can come from others here.
    async fn begin_copies(&mut self) -> Result<(), SourceError> {
        while self.copies.try_join_next().is_some() {}
        for copy in self.follower.begin_copies().await? {
            self.copies.spawn(copy.run(self.event_sender.clone()));
        }
        Ok(())
    }

    /// Waits for the snapshot while there is no stream. Says whether the handle is gone.
    async fn first_snapshot(&mut self) -> Result<bool, SourceError> {
        self.sink.status(self.config.source, SourceStatus::Snapshotting);
        let mut ticks = tokio::time::interval(TICK);
        while self.snapshot.is_some() {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return Ok(true),
                },
                Some(event) = self.events.recv() => {
                    // The first table to be done moves the position to the snapshot; the others
                    // of the same snapshot find it there.
                    self.event(event).await?;
                    if !self.follower.has_live_tables() {
                        self.follower.skip_to_snapshot();
                    }
                    self.follower.release_ready().await?;
                }
                _ = ticks.tick() => self.follower.tell_statistics(),
            }
        }
        Ok(false)
    }

    fn command(&mut self, command: SourceCommand) {
        match command {
            SourceCommand::AddTable(table) => self.follower.add_table(*table),
            SourceCommand::DropTable(id) => self.follower.drop_table(id),
            SourceCommand::Reach(position) => {
                self.follower.awaited = position.max(self.follower.awaited)
            }
            SourceCommand::Connect(connection) => {
                self.follower.connect(&connection);
                self.config.connection = *connection;
            }
        }
    }

    async fn event(&mut self, event: SnapshotEvent) -> Result<(), SourceError> {
        match event {
            SnapshotEvent::Waiting(error) => {
                let status = SourceStatus::Stalled { error, retry_in: Duration::ZERO };
                self.sink.status(self.config.source, status);
                self.waits = true;
            }
            SnapshotEvent::Taken(position) => {
                if std::mem::take(&mut self.waits) {
                    let status = match self.follower.has_live_tables() {
                        true => SourceStatus::Running,
                        false => SourceStatus::Snapshotting,
                    };
                    self.sink.status(self.config.source, status);
                }
                self.follower.snapshot_taken(position);
            }
            SnapshotEvent::Progress { table, known, rows, bytes } => {
                self.follower.snapshot_progress(table, known, rows, bytes);
            }
            SnapshotEvent::TableDone { table, parts, rows } => {
                self.follower.snapshot_done(table, parts, rows);
            }
            SnapshotEvent::TableFailed { table, error } => {
                self.follower.snapshot_failed(table, error).await?;
            }
            SnapshotEvent::Copied { table, copied } => self.follower.copied(table, copied),
            SnapshotEvent::Ended(result) => {
                self.snapshot = None;
                self.follower.snapshot_ended();
                match result {
                    Ok(()) => self.snapshot_failures = 0,
                    Err(error) => {
                        let retry_in = backoff(self.snapshot_failures);
                        self.snapshot_failures += 1;
                        self.snapshot_not_before = Instant::now() + retry_in;
                        tracing::warn!(source = %self.config.source, %error, "snapshot failed");
                        let status = SourceStatus::Stalled { error, retry_in };
                        self.sink.status(self.config.source, status);
                    }
                }
            }
        }
        Ok(())
    }

    /// Follows the stream; tables may come and go, snapshots run beside it.
    async fn follow(
        &mut self,
        mut stream: ReplicationStream,
        binary: bool,
    ) -> Result<SessionEnd, SourceError> {
        let mut ticks = tokio::time::interval(TICK);
        let mut looked = Instant::now();
        loop {
            tokio::select! {
                message = stream.next() => match message? {
                    StreamMessage::Data(bytes) => self.follower.message(&bytes).await?,
                    StreamMessage::KeepAlive { wal_end, urgent } => {
                        self.follower.keepalive(wal_end, urgent).await?;
                    }
                },
                // Not amid a transaction, of which a table would miss a part.
                command = self.commands.recv(), if !self.follower.in_transaction() => {
                    let Some(command) = command else { return Ok(SessionEnd::Closed) };
                    let connects = matches!(command, SourceCommand::Connect(_));
                    self.command(command);
                    if connects {
                        return Ok(SessionEnd::Again);
                    }
                    if binary && !self.follower.takes_binary() {
                        return Ok(SessionEnd::Again);
                    }
                    self.begin_copies().await?;
                    self.begin_snapshot();
                    if self.follower.is_awaited() {
                        self.follower.commit_position(Duration::ZERO).await?;
                        stream.ask_position();
                    }
                }
                Some(event) = self.events.recv() => {
                    let ended = matches!(event, SnapshotEvent::Ended(_));
                    self.event(event).await?;
                    self.follower.release_ready().await?;
                    if self.follower.waits_for_position() {
                        stream.ask_position();
                    }
                    if ended {
                        self.begin_snapshot();
                    }
                }
                _ = ticks.tick() => {
                    self.begin_copies().await?;
                    self.begin_snapshot();
                    self.follower.tell_statistics();
                    self.follower.commit_position(Duration::from_secs(3)).await?;
                    if looked.elapsed() >= LOOK_INTERVAL {
                        self.follower.look_at_all().await?;
                        looked = Instant::now();
                    }
                    if self.follower.waits_for_position() || self.follower.is_awaited() {
                        stream.ask_position();
                    }
                }
            }
        }
    }

    /// Connects, and checks that the upstream is still the same, and has gone on from where we
    /// stand.
    async fn connect(&mut self) -> Result<ReplicationSession, SourceError> {
        let mut session = ReplicationSession::connect(&self.config.connection).await?;
        // A server that leaves recovery gets another timeline: then the position would be said to
        // be on the one before.
        let state = "SELECT current_setting('server_version_num')::int4 < 160000, \
                     pg_is_in_recovery()";
        let state = session.command(state).await?;
        let is = |column: usize| {
            let value = state.first().and_then(|row| row.get(column)).cloned().flatten();
            value.as_deref() == Some("t")
        };
        if is(0) && is(1) {
            let message = "the upstream is in recovery";
            return Err(SourceError::from(SqlError::new(SqlState::CANNOT_CONNECT_NOW, message)));
        }
        let system = session.identify_system().await?;
        let found = system.system_identifier;
        if let Some(expected) = self.config.system_identifier.as_ref().filter(|e| **e != found) {
            let message = "the upstream is another database cluster than the one followed so far";
            let error = SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                .with_detail(format!("Its system identifier is {found}, not {expected}."))
                .with_hint(
                    "Point the connection to the right server, or run ALTER SOURCE .. RESYNC to \
                     follow this one.",
                );
            return Err(SourceError::stop(error));
        }
        let (known, now) = (self.follower.timeline, system.timeline);
        if self.has_slot && known != 0 && known != now {
            let history = session.timeline_history(now).await?;
            let checked = check_timeline(known, now, self.follower.position, &history);
            checked.map_err(SourceError::lost)?;
        }
        self.follower.timeline = now;
        Ok(session)
    }

    /// What an error of the stream means, as far as the slot is concerned.
    fn slot_error(&self, error: SqlError) -> SourceError {
        let again = "Run ALTER SOURCE .. RESYNC: it makes a new slot, reads the tables again and \
                     applies the differences.";
        let slot_gone = error.code == SqlState::UNDEFINED_OBJECT && error.message.contains("slot");
        let publication_gone =
            error.code == SqlState::UNDEFINED_OBJECT && error.message.contains("publication");
        let detail = error.detail.as_deref().unwrap_or_default();
        let changes_gone = detail.contains("slot has been invalidated")
            || error.message.contains("can no longer get changes from replication slot")
            || error.message.contains("has already been removed")
            || error.message.contains("can no longer access replication slot");
        if slot_gone || changes_gone {
            let wanted = format!(
                "The source stands at {}; the upstream no longer has what came after it.",
                self.follower.position
            );
            let error = match &error.detail {
                Some(detail) => {
                    let detail = format!("{detail} {wanted}");
                    error.with_detail(detail)
                }
                None => error.with_detail(wanted),
            };
            return SourceError::lost(error.with_hint(again));
        }
        if publication_gone {
            return Follower::no_publication(&self.config.publication);
        }
        if error.code == SqlState::OBJECT_IN_USE {
            let hint = "Another connection holds the slot; the source goes on when it is gone \
                        (see pg_stat_activity of the upstream database).";
            return SourceError::from(error.with_hint(hint));
        }
        SourceError::from(self.config.connection.explain(error))
    }
}

/// How long to wait after so many failures: longer each time, with chance in it so that sources
/// do not all come at once.
fn backoff(failures: u32) -> Duration {
    let longest = 200u64.saturating_mul(1 << failures.min(5)).min(5000);
    Duration::from_millis(longest / 2 + rand::random_range(0..=longest / 2))
}

/// Checks that nobody has moved the slot past the position: the server would leave out what is
/// between, and say nothing.
async fn check_slot(
    session: &mut ReplicationSession,
    slot: &str,
    position: Lsn,
) -> Result<(), SourceError> {
    let sql = format!(
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{}'",
        slot.replace('\'', "''")
    );
    let rows = session.command(&sql).await?;
    let available = rows.first().and_then(|row| row.first()).cloned().flatten();
    let available: Option<Lsn> = available.and_then(|text| text.parse().ok());
    let Some(available) = available.filter(|available| *available > position) else {
        return Ok(());
    };
    let message = format!(
        "replication slot \"{slot}\" was moved: LSN {position} is needed, and only LSNs from \
         {available} on are available"
    );
    let error = SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).with_hint(
        "Run ALTER SOURCE .. RESYNC: it makes a new slot, reads the tables again and applies the \
         differences.",
    );
    Err(SourceError::lost(error))
}

/// Whether a timeline that the upstream is on now goes on from where we stand on the one `known`.
fn check_timeline(
    known: u32,
    now: u32,
    position: Lsn,
    history: &[(u32, Lsn)],
) -> Result<(), SqlError> {
    let switched = history.iter().find(|(timeline, _)| *timeline == known).map(|(_, lsn)| *lsn);
    let detail = match switched {
        Some(switched) if position <= switched => return Ok(()),
        Some(switched) => format!(
            "Timeline {now} left timeline {known} at {switched}, before {position}, where the \
             source stands."
        ),
        None => format!("Timeline {known}, on which the source stands, is not in its history."),
    };
    let message = format!("the upstream is on timeline {now}, which does not go on from here");
    Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .with_detail(detail)
        .with_hint(
            "Run ALTER SOURCE .. RESYNC: it makes a new slot, reads the tables again and applies \
             the differences.",
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_goes_on_from_before_its_start() {
        let history = [(1, Lsn(100)), (2, Lsn(200))];
        let check = |known, position| check_timeline(known, 3, Lsn(position), &history);
        assert!(check(1, 100).is_ok());
        assert!(check(2, 200).is_ok());
        assert!(check(2, 150).is_ok());
        let error = check(1, 101).unwrap_err();
        assert!(error.hint.is_some_and(|hint| hint.contains("RESYNC")));
        assert!(check(4, 1).is_err());
    }
}
