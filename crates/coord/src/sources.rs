//! The running sources: which tasks there are, and what they hand over.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use parking_lot::Mutex;
use tidemill_catalog::{Catalog, Connection, Definition, Item, SourceTable};
use tidemill_expr::EvalError;
use tidemill_ingest::postgres::{
    self, IngestColumn, PostgresConnection, SourceConfig, SourceHandle, SslMode, TableConfig,
    TableSnapshot,
};
use tidemill_ingest::ssh::SshTunnel;
use tidemill_ingest::{
    BulkWriter, IngestCommit, IngestSink, Rows, SourceStatistics, SourceStatus, TableStatistics,
};
use tidemill_ledger::{LedgerError, PartName, PartWriter};
use tidemill_repr::{ColumnType, Lsn, ObjectId, RowBatch, SqlError, Tick};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::durable::{SourcePosition, decode_position};
use crate::hydrate::{Batches, read_collection};
use crate::sequencer::Commit;
use crate::shared::{Shared, shutting_down};
use crate::snapshot::Snapshot;
use crate::statements::write::load_parts;
use crate::status::StatusBoard;

/// The running source tasks, and the board on which they report.
#[derive(Default)]
pub struct Sources {
    running: Mutex<HashMap<ObjectId, Running>>,
    positions: Mutex<HashMap<ObjectId, watch::Sender<Lsn>>>,
    /// Where sources were when the server started, as long as their tasks could not be started.
    recovered: Mutex<HashMap<ObjectId, Vec<u8>>>,
    /// The catalog that the running tasks follow.
    reconciled: Mutex<Arc<Catalog>>,
    /// What the sources report.
    pub board: StatusBoard,
}

/// A running task, and how it reaches its upstream.
struct Running {
    handle: SourceHandle,
    connection: PostgresConnection,
}

/// Hands what a source reads to the sequencer.
struct Sink {
    shared: Weak<Shared>,
    slot: String,
    durable: watch::Sender<Lsn>,
    /// Commits that were handed over and have no tick yet, oldest first.
    queued: tokio::sync::Mutex<VecDeque<oneshot::Receiver<Result<Tick, SqlError>>>>,
}

/// How many commits of a source may wait for their ticks before it waits. Those that wait
/// together share a tick, so one source is not bound to one commit a tick.
const QUEUED_COMMITS: usize = 256;

impl Sink {
    fn shared(&self) -> Result<Arc<Shared>, SqlError> {
        self.shared.upgrade().ok_or_else(shutting_down)
    }

    /// Waits until all but `most` of what was handed over have their ticks.
    async fn wait(
        &self,
        queued: &mut VecDeque<oneshot::Receiver<Result<Tick, SqlError>>>,
        most: usize,
    ) -> Result<(), SqlError> {
        while let Some(oldest) = queued.front_mut() {
            match oldest.try_recv() {
                Ok(answer) => {
                    answer?;
                    queued.pop_front();
                }
                Err(TryRecvError::Closed) => return Err(shutting_down()),
                Err(TryRecvError::Empty) if queued.len() > most => {
                    if let Some(oldest) = queued.pop_front() {
                        oldest.await.map_err(|_| shutting_down())??;
                    }
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        Ok(())
    }
}

/// Reads batches on a thread of its own, as they are asked for.
fn send_rows(open: impl FnOnce() -> Result<Batches, SqlError> + Send + 'static) -> Rows {
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || match open() {
        Ok(batches) => {
            for batch in batches {
                if sender.blocking_send(batch).is_err() {
                    return;
                }
            }
        }
        Err(error) => {
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

#[async_trait]
impl IngestSink for Sink {
    async fn part_writer(
        &self,
        table: ObjectId,
        columns: &[ColumnType],
    ) -> Result<Box<dyn BulkWriter>, SqlError> {
        let shared = self.shared()?;
        let writer = shared.ledger.part_writer(table, columns);
        Ok(Box::new(PartBulkWriter { writer: Some(writer), writing: None }))
    }

    async fn commit(&self, commit: IngestCommit) -> Result<(), SqlError> {
        let shared = self.shared()?;
        // Tables that were dropped meanwhile have no place for their changes any more.
        let snapshot = shared.snapshot();
        let known = |id: &ObjectId| snapshot.catalog.item(*id).is_some();
        let errors = commit.table_errors.into_iter().filter(|(id, _)| known(id));
        let parts = read_part_names(commit.bulk, known)?;
        let request = Commit {
            loaded: load_parts(&shared, &parts).await?,
            updates: commit
                .updates
                .into_iter()
                .filter(|(id, batch)| known(id) && !batch.is_empty())
                .map(|(id, batch)| (id, Arc::new(batch)))
                .collect(),
            parts,
            snapshot_done: commit.snapshot_done.into_iter().filter(known).collect(),
            table_errors: errors
                .map(|(id, error)| {
                    (id, EvalError::Table { message: error.message, hint: error.hint })
                })
                .collect(),
            resynced: commit.resynced.into_iter().filter(|(id, _)| known(id)).collect(),
            position: Some((
                commit.source,
                SourcePosition {
                    position: commit.position,
                    timeline: commit.timeline,
                    slot: Some(self.slot.clone()),
                },
                self.durable.clone(),
            )),
            ..Commit::default()
        };
        // What begins or ends the following of a table is waited for.
        let wait = !request.snapshot_done.is_empty()
            || !request.table_errors.is_empty()
            || !request.resynced.is_empty()
            || !request.parts.is_empty();
        let most = if wait { 0 } else { QUEUED_COMMITS };
        let mut queued = self.queued.lock().await;
        queued.push_back(shared.queue_commit(request, true).await?);
        self.wait(&mut queued, most).await
    }

    async fn content(&self, table: ObjectId) -> Result<Rows, SqlError> {
        let mut queued = self.queued.lock().await;
        self.wait(&mut queued, 0).await?;
        let shared = self.shared()?;
        let tick = shared.snapshot().tick;
        // Nobody may fold what is being opened.
        let hold = shared.holds.hold(tick);
        Ok(send_rows(move || {
            let batches = read_collection(&shared, table, tick);
            drop(hold);
            batches
        }))
    }

    fn read_parts(&self, parts: Vec<String>) -> Rows {
        let shared = self.shared();
        send_rows(move || {
            let shared = shared?;
            let names = part_names(&parts)?;
            let read = names.into_iter().flat_map(move |name| shared.ledger.read_part(&name));
            Ok(Box::new(read.map(|batch| batch.map_err(|error| crate::ledger_error(&error)))))
        })
    }

    fn discard_parts(&self, parts: Vec<String>) {
        if let (Ok(shared), Ok(names)) = (self.shared(), part_names(&parts)) {
            shared.ledger.discard_parts(&names);
        }
    }

    async fn enum_labels(
        &self,
        table: ObjectId,
        column: usize,
        labels: &[String],
    ) -> Result<ColumnType, SqlError> {
        crate::labels::add(&self.shared()?, table, column, labels).await
    }

    fn status(&self, id: ObjectId, status: SourceStatus) {
        if let Some(shared) = self.shared.upgrade() {
            shared.sources.board.status(id, status);
        }
    }

    fn source_statistics(&self, source: ObjectId, statistics: SourceStatistics) {
        if let Some(shared) = self.shared.upgrade() {
            shared.sources.board.source_statistics(source, statistics);
        }
    }

    fn table_statistics(&self, table: ObjectId, statistics: TableStatistics) {
        if let Some(shared) = self.shared.upgrade() {
            shared.sources.board.table_statistics(table, statistics);
        }
    }
}

/// The parts that [`PartBulkWriter::finish`] named.
fn read_part_names(
    bulk: Vec<(ObjectId, Vec<String>)>,
    known: impl Fn(&ObjectId) -> bool,
) -> Result<Vec<(ObjectId, PartName)>, SqlError> {
    let mut parts = Vec::new();
    for (id, names) in bulk.into_iter().filter(|(id, _)| known(id)) {
        parts.extend(part_names(&names)?.into_iter().map(|name| (id, name)));
    }
    Ok(parts)
}

fn part_names(names: &[String]) -> Result<Vec<PartName>, SqlError> {
    names.iter().map(|name| serde_json::from_str(name).map_err(SqlError::internal)).collect()
}

/// Writes parts on blocking threads, one batch behind its caller: while one is written the
/// next is read from the upstream.
struct PartBulkWriter {
    writer: Option<PartWriter>,
    writing: Option<JoinHandle<(PartWriter, Result<(), LedgerError>)>>,
}

impl PartBulkWriter {
    /// The writer, when what it was given last is written.
    async fn ready(&mut self) -> Result<PartWriter, SqlError> {
        if let Some(writing) = self.writing.take() {
            let (writer, result) = writing.await.map_err(SqlError::internal)?;
            result.map_err(|error| crate::ledger_error(&error))?;
            self.writer = Some(writer);
        }
        let failed = || SqlError::internal("a part writer that failed is used again");
        self.writer.take().ok_or_else(failed)
    }
}

#[async_trait]
impl BulkWriter for PartBulkWriter {
    async fn push(&mut self, rows: RowBatch) -> Result<(), SqlError> {
        let mut writer = self.ready().await?;
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let result = writer.push(&rows);
            (writer, result)
        }));
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Vec<String>, SqlError> {
        let writer = self.ready().await?;
        let parts = tokio::task::spawn_blocking(move || writer.finish())
            .await
            .map_err(SqlError::internal)?
            .map_err(|error| crate::ledger_error(&error))?;
        parts.iter().map(|part| serde_json::to_string(part).map_err(SqlError::internal)).collect()
    }
}

impl Sources {
    /// Makes the running tasks those that the catalog asks for: starts and stops sources, adds
    /// and drops tables. `positions` are those of the ledger when the server starts.
    pub fn reconcile(shared: &Arc<Shared>, positions: &HashMap<ObjectId, Vec<u8>>) {
        let snapshot = shared.snapshot();
        let mut reconciled = shared.sources.reconciled.lock();
        let old = std::mem::replace(&mut *reconciled, Arc::clone(&snapshot.catalog));
        let catalog = &snapshot.catalog;
        let mut running = shared.sources.running.lock();
        let mut recovered = shared.sources.recovered.lock();
        recovered.extend(positions.iter().map(|(id, position)| (*id, position.clone())));
        for item in old.items() {
            if catalog.item(item.id).is_some() {
                continue;
            }
            match &item.definition {
                Definition::Source(_) => {
                    running.remove(&item.id);
                    recovered.remove(&item.id);
                    shared.sources.positions.lock().remove(&item.id);
                    shared.sources.board.forget(item.id);
                }
                Definition::Table(table) => {
                    if let Some(source) = &table.source
                        && let Some(task) = running.get(&source.source)
                    {
                        task.handle.drop_table(item.id);
                    }
                    shared.sources.board.forget(item.id);
                }
                _ => {}
            }
        }
        let mut started = HashSet::new();
        for item in catalog.items() {
            let Definition::Source(source) = &item.definition else { continue };
            let is_new = match old.item(item.id).map(|old| &old.definition) {
                Some(Definition::Source(old)) => old.slot != source.slot,
                _ => true,
            };
            if !is_new && let Some(task) = running.get_mut(&item.id) {
                if reached_otherwise(&old, catalog, source.connection) {
                    reconnect(shared, catalog, (item.id, source.connection), task);
                }
                continue;
            }
            running.remove(&item.id);
            started.insert(item.id);
            match start(shared, &snapshot, item, source, &recovered) {
                Ok(task) => {
                    recovered.remove(&item.id);
                    running.insert(item.id, task);
                }
                Err(error) => {
                    shared.sources.board.status(item.id, SourceStatus::Failed { error });
                }
            }
        }
        for item in catalog.items() {
            let Some(follows) = item.table().and_then(|table| table.source.as_ref()) else {
                continue;
            };
            let asked = |item: &Item| item.table()?.source.as_ref().map(|source| source.resyncs);
            let old = old.item(item.id);
            let is_same = old.is_some_and(|old| asked(old) == Some(follows.resyncs));
            if is_same || started.contains(&follows.source) {
                continue;
            }
            let mut wanted = wanted_snapshot(&snapshot, item.id, follows, true);
            if let TableSnapshot::Again { live } = &mut wanted {
                let form = |item: &Item| {
                    let source = item.table()?.source.as_ref()?;
                    Some((source.upstream.oid, source.columns.clone()))
                };
                *live &= old.is_some_and(|old| form(old) == form(item));
            }
            if let Some(task) = running.get(&follows.source) {
                task.handle.add_table(table_config(item, follows, wanted));
            }
        }
    }

    /// Follows the catalog: each time it changed, and the change is durable, the tasks follow.
    pub async fn run(shared: Weak<Shared>) {
        let Some(strong) = shared.upgrade() else { return };
        let mut readable = strong.completion.watch();
        let mut done = strong.snapshot().catalog_tick;
        drop(strong);
        loop {
            let Some(strong) = shared.upgrade() else { return };
            let changed = strong.snapshot().catalog_tick;
            if changed > done && *readable.borrow() >= changed {
                Sources::reconcile(&strong, &HashMap::new());
                done = changed;
            }
            drop(strong);
            if readable.changed().await.is_err() {
                return;
            }
        }
    }

    /// Lets a source know that somebody waits until it has reached a position.
    pub fn hurry(&self, source: ObjectId, position: Lsn) {
        if let Some(task) = self.running.lock().get(&source) {
            task.handle.reach(position);
        }
    }

    /// Follows up to which position a source's changes are durable.
    pub fn watch_position(&self, source: ObjectId) -> Option<watch::Receiver<Lsn>> {
        self.positions.lock().get(&source).map(watch::Sender::subscribe)
    }

    /// Stops all tasks; nothing is committed by them afterwards.
    pub async fn stop(&self) {
        let handles: Vec<SourceHandle> =
            self.running.lock().drain().map(|(_, task)| task.handle).collect();
        for handle in handles {
            handle.stop().await;
        }
    }
}

fn start(
    shared: &Arc<Shared>,
    snapshot: &Snapshot,
    item: &Item,
    source: &tidemill_catalog::Source,
    positions: &HashMap<ObjectId, Vec<u8>>,
) -> Result<Running, SqlError> {
    let catalog = &snapshot.catalog;
    let connection = upstream_connection(shared, catalog, source.connection)?;
    let reached = positions.get(&item.id).and_then(|bytes| decode_position(bytes));
    // The position of a slot before is worth nothing.
    let reached =
        reached.filter(|reached| reached.slot.as_ref().is_none_or(|slot| *slot == source.slot));
    let position = reached.as_ref().map(|reached| reached.position);
    let created_on = source.timeline.and_then(|timeline| u32::try_from(timeline).ok());
    let timeline = reached.map(|reached| reached.timeline).filter(|timeline| *timeline != 0);
    let tables = catalog
        .items()
        .filter_map(|table| Some((table, table.table()?.source.as_ref()?)))
        .filter(|(_, follows)| follows.source == item.id)
        .filter_map(|(table, follows)| {
            let wanted = wanted_snapshot(snapshot, table.id, follows, position.is_some());
            let failed = snapshot.table_errors.contains_key(&table.id);
            let again = matches!(wanted, TableSnapshot::Again { .. });
            (again || !failed).then(|| table_config(table, follows, wanted))
        })
        .collect();
    let durable = watch::Sender::new(position.unwrap_or_default());
    shared.sources.positions.lock().insert(item.id, durable.clone());
    let config = SourceConfig {
        source: item.id,
        connection: connection.clone(),
        publication: source.publication.clone(),
        slot: source.slot.clone(),
        system_identifier: source.system_identifier.clone(),
        position,
        timeline: timeline.or(created_on),
        tables,
    };
    let told = durable.subscribe();
    let sink = Arc::new(Sink {
        shared: Arc::downgrade(shared),
        slot: source.slot.clone(),
        durable,
        queued: tokio::sync::Mutex::default(),
    });
    Ok(Running { handle: postgres::start(config, sink, told), connection })
}

/// Whether a connection, or what it uses, is another object now than it was.
fn reached_otherwise(old: &Catalog, new: &Catalog, connection: ObjectId) -> bool {
    let mut todo = vec![connection];
    while let Some(id) = todo.pop() {
        let (Some(old), Some(new)) = (old.item(id), new.item(id)) else { return true };
        if !Arc::ptr_eq(old, new) {
            return true;
        }
        todo.extend(&new.depends_on);
    }
    false
}

/// Tells a running task that its upstream is reached in another way, if it is.
fn reconnect(
    shared: &Arc<Shared>,
    catalog: &Catalog,
    (source, connection): (ObjectId, ObjectId),
    task: &mut Running,
) {
    match upstream_connection(shared, catalog, connection) {
        Ok(connection) if connection == task.connection => {}
        Ok(connection) => {
            task.connection = connection.clone();
            task.handle.connect(connection);
        }
        Err(error) => tracing::warn!(%source, %error, "the connection of a source is wrong"),
    }
}

/// Whether a table's content is to be read, and how.
fn wanted_snapshot(
    snapshot: &Snapshot,
    id: ObjectId,
    follows: &SourceTable,
    has_position: bool,
) -> TableSnapshot {
    let done = snapshot.resynced.get(&id).copied().unwrap_or(0);
    let hydrating = snapshot.hydrating.contains(&id);
    if follows.resyncs > done {
        let failed = snapshot.table_errors.contains_key(&id);
        let live = has_position && !hydrating && !failed;
        return TableSnapshot::Again { live };
    }
    if hydrating { TableSnapshot::Wanted } else { TableSnapshot::Done }
}

fn table_config(item: &Item, source: &SourceTable, snapshot: TableSnapshot) -> TableConfig {
    let types = item.desc().map(tidemill_repr::RelationDesc::types).unwrap_or_default();
    let columns = source
        .columns
        .iter()
        .zip(types)
        .map(|(attnum, typ)| IngestColumn {
            attnum: *attnum,
            typ,
            as_text: source.text_columns.contains(attnum),
        })
        .collect();
    TableConfig {
        id: item.id,
        upstream: crate::upstream::to_ingest(&source.upstream),
        columns,
        snapshot,
        resyncs: source.resyncs,
        from: source.succeeds.as_ref().map(|from| (from.table, from.columns.clone())),
    }
}

/// A connection of the catalog with its secrets opened.
///
/// # Errors
/// It is no PostgreSQL connection, or a secret cannot be opened.
pub fn upstream_connection(
    shared: &Shared,
    catalog: &Catalog,
    id: ObjectId,
) -> Result<PostgresConnection, SqlError> {
    let Some(item) = catalog.item(id) else {
        return Err(SqlError::internal(format!("no connection {id}")));
    };
    let Definition::Connection(Connection::Postgres(options)) = &item.definition else {
        return Err(SqlError::internal(format!("{} does not lead to PostgreSQL", item.name)));
    };
    open_connection(shared, catalog, options)
}

/// Connection options with their secrets opened.
///
/// # Errors
/// A secret cannot be opened, or an option has no meaning.
pub fn open_connection(
    shared: &Shared,
    catalog: &Catalog,
    options: &tidemill_catalog::PostgresConnectionOptions,
) -> Result<PostgresConnection, SqlError> {
    use tidemill_catalog::item::TextOrSecret;
    let secret = |id: ObjectId| open_secret(shared, catalog, id);
    let text = |value: &TextOrSecret| match value {
        TextOrSecret::Text(text) => Ok(text.clone()),
        TextOrSecret::Secret(id) => secret(*id),
    };
    let used = |id: ObjectId| {
        let item = catalog.item(id);
        item.ok_or_else(|| SqlError::internal(format!("no connection {id}")))
    };
    if let Some(id) = options.aws_privatelink {
        return Err(no_privatelink(&used(id)?.name.item));
    }
    let ssh_tunnel = match options.ssh_tunnel.map(used).transpose()? {
        None => None,
        Some(item) => match &item.definition {
            Definition::Connection(Connection::SshTunnel(tunnel)) => {
                Some(ssh_tunnel(shared, &item.name.item, tunnel)?)
            }
            _ => return Err(SqlError::internal(format!("{} is no SSH tunnel", item.name))),
        },
    };
    let certificate = options.ssl_certificate.as_ref().map(text).transpose()?;
    let key = options.ssl_key.map(secret).transpose()?;
    Ok(PostgresConnection {
        host: options.host.clone(),
        port: options.port,
        user: options.user.clone(),
        password: options.password.map(secret).transpose()?,
        database: options.database.clone(),
        ssl_mode: ssl_mode(&options.ssl_mode)?,
        ssl_root_certificate: options.ssl_certificate_authority.as_ref().map(text).transpose()?,
        ssl_client_identity: certificate.zip(key),
        ssh_tunnel,
    })
}

/// An SSH tunnel with its keys opened.
///
/// # Errors
/// A key cannot be opened.
pub fn ssh_tunnel(
    shared: &Shared,
    name: &str,
    options: &tidemill_catalog::SshTunnelOptions,
) -> Result<SshTunnel, SqlError> {
    let what = format!("a key of connection \"{name}\"");
    let keys = options.keys.iter().map(|key| decrypted(shared, &key.ciphertext, &what));
    Ok(SshTunnel {
        host: options.host.clone(),
        port: options.port,
        user: options.user.clone(),
        host_key: options.host_key.clone(),
        keys: keys.collect::<Result<_, _>>()?,
    })
}

/// The error for whoever wants to go through AWS PrivateLink.
pub fn no_privatelink(name: &str) -> SqlError {
    SqlError::unsupported(format_args!("connecting through AWS PrivateLink connection \"{name}\""))
        .with_detail("Only a server that runs in an AWS account can make endpoints of it.")
        .with_hint("Give the upstream's own address, or use SSH TUNNEL.")
}

fn ssl_mode(name: &str) -> Result<SslMode, SqlError> {
    Ok(match name.replace('_', "-").as_str() {
        "disable" => SslMode::Disable,
        "prefer" | "allow" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => {
            return Err(SqlError::new(
                tidemill_repr::SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid SSL MODE: \"{name}\""),
            )
            .with_hint("Use disable, prefer, require, verify-ca or verify-full."));
        }
    })
}

fn open_secret(shared: &Shared, catalog: &Catalog, id: ObjectId) -> Result<String, SqlError> {
    let Some(item) = catalog.item(id) else {
        return Err(SqlError::internal(format!("no secret {id}")));
    };
    let Definition::Secret(secret) = &item.definition else {
        return Err(SqlError::internal(format!("{} is no secret", item.name)));
    };
    decrypted(shared, &secret.ciphertext, &format!("secret \"{}\"", item.name.item))
}

/// The text that was encrypted.
///
/// # Errors
/// It was encrypted with another key, or is no text.
pub fn decrypted(shared: &Shared, ciphertext: &[u8], what: &str) -> Result<String, SqlError> {
    let plain = shared.secrets.decrypt(ciphertext).map_err(|_| {
        SqlError::new(
            tidemill_repr::SqlState::DATA_CORRUPTED,
            format!("{what} cannot be decrypted"),
        )
        .with_hint("The key of this data directory is not the one it was encrypted with.")
    })?;
    String::from_utf8(plain).map_err(|_| {
        SqlError::new(
            tidemill_repr::SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("{what} is not text"),
        )
    })
}
