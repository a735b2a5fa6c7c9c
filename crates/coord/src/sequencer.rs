//! THE CLOCK: gives each commit its tick and makes it part of the log.
//!
//! One task takes requests in order. Commits that wait together share a tick; a request that
//! changes the catalog, or adds dataflows, has a tick of its own:
//!
//! ```text
//! requests ──▶ check ──▶ tick ──▶ ledger.append ─────────▶ durable ──▶ readable, answers, LSNs
//!                          ├────▶ replica: Updates
//!                          └────▶ Snapshot, swapped whole
//! ```
//!
//! Compute runs ahead of the disk; readers and the upstream do not: they follow
//! [`crate::clock::Completion`] and the positions told after durability.

pub(crate) mod checks;
mod keys;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tidemill_catalog::{CatalogChange, Item, builtin};
use tidemill_compute::protocol::Command;
use tidemill_expr::EvalError;
use tidemill_ledger::{Entry, PartName};
use tidemill_plan::physical::{DataflowDescription, Export};
use tidemill_repr::{Diff, Lsn, ObjectId, RowBatch, SqlError, SqlState, Tick};
use tokio::sync::{mpsc, oneshot, watch};

pub use self::keys::{KeyClaims, RecentKeys};

use crate::clock::wall_tick;
use crate::dataflows::Place;
use crate::durable::{DurableChange, SourcePosition, encode_position};
use crate::hydrate::Hydration;
use crate::replicas::{PoolId, Running, Wanted};
use crate::sequencer::checks::{check_history, check_read, check_size, leave_out_dropped};
use crate::sequences::Counter;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::statements::change_catalog;
use crate::volatile::difference;

/// How many commits share a tick at most.
const COMMITS_A_TICK: usize = 1024;

/// How many bytes of rows share a tick at most, more or less.
const BYTES_A_TICK: usize = 16 << 20;

/// How many ticks may wait for the disk before commits wait.
const TICKS_IN_FLIGHT: usize = 512;

/// How many bytes of rows may wait for the workers before commits wait.
const QUEUED_BYTES: usize = 256 << 20;

/// How many ticks the workers may have before commits wait for them.
const TICKS_AT_WORK: usize = 3;

/// How long commits wait at most for workers that are behind.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How much history indexes and tables keep readable, in milliseconds.
const HISTORY_MILLIS: u64 = 2_000;

/// The rows of parts.
pub type PartRows = HashMap<PartName, Vec<Arc<RowBatch>>>;

/// Something to be committed at one tick.
#[derive(Default)]
pub struct Commit {
    /// Changes of tables.
    pub updates: Vec<(ObjectId, Arc<RowBatch>)>,
    /// Changes of tables that are in parts already.
    pub parts: Vec<(ObjectId, PartName)>,
    /// The rows of parts that are followed, read before, so that the clock does not stand still
    /// for it.
    pub loaded: PartRows,
    /// Changes of collections that are not in the ledger.
    pub volatile: Vec<(ObjectId, Arc<RowBatch>)>,
    /// Changes of the catalog, planned on the catalog of `catalog_tick`.
    pub catalog: Option<CatalogCommit>,
    /// Tables that have their first content.
    pub snapshot_done: Vec<ObjectId>,
    /// Tables that cannot be followed any further.
    pub table_errors: Vec<(ObjectId, EvalError)>,
    /// Tables whose content is right again, by which RESYNC.
    pub resynced: Vec<(ObjectId, u32)>,
    /// The position of a source that this reaches, and who is told when it is durable.
    pub position: Option<(ObjectId, SourcePosition, watch::Sender<Lsn>)>,
    /// Tables that were read for this at a tick: if one changed since, nothing is committed.
    pub read: Option<(Tick, Vec<ObjectId>)>,
    /// Unique keys that were looked up for this: if another commit wrote one since, nothing is
    /// committed.
    pub keys: Option<KeyClaims>,
    /// Where sequences stand, as the ledger keeps it.
    pub sequences: Vec<(ObjectId, Vec<u8>)>,
    /// Sequences that are made with this and were used already.
    pub counters: Vec<(ObjectId, Counter)>,
}

/// Changes of the catalog with the dataflows that follow from them.
pub struct CatalogCommit {
    /// The tick of the catalog they were planned on.
    pub planned_at: Tick,
    /// That catalog.
    pub base: Arc<tidemill_catalog::Catalog>,
    /// The changes.
    pub changes: Vec<CatalogChange>,
    /// Plans to put into the new catalog.
    pub next: Arc<tidemill_catalog::Catalog>,
    /// Dataflows to create; their `as_of` is set here.
    pub dataflows: Vec<DataflowDescription>,
}

/// A commit's answer.
type Answer = oneshot::Sender<Result<Tick, SqlError>>;

/// A request to the sequencer.
pub enum Request {
    /// Commit; answered when durable, or, with `early`, when it has its tick.
    Commit {
        /// What.
        commit: Box<Commit>,
        /// The answer.
        answer: Answer,
        /// Whether to answer before it is durable.
        early: bool,
    },
    /// Create a dataflow that reads as of now and follows. Answered with its `as_of`.
    Install {
        /// The dataflow; `as_of` is set here unless it is later than [`Tick::MIN`].
        dataflow: Box<DataflowDescription>,
        /// The replica that it is to run on.
        on: Weak<Running>,
        /// The answer.
        answer: Answer,
    },
    /// Let a dataflow of the catalog begin anew, and what imports from it.
    Recreate(ObjectId),
    /// Let failed replicas begin anew.
    ReplaceFailed,
}

/// Runs until all senders are gone.
pub async fn run(shared: Arc<Shared>, mut requests: mpsc::Receiver<Request>) {
    let mut heartbeat = tokio::time::interval(Duration::from_secs(1));
    heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        let first = tokio::select! {
            request = requests.recv() => match request {
                Some(request) => request,
                None => return,
            },
            _ = heartbeat.tick() => {
                beat(&shared);
                continue;
            }
        };
        pace(&shared).await;
        let mut group = Group::default();
        let mut next = Some(first);
        while let Some(request) = next.take() {
            group = take(&shared, group, request);
            if group.is_full() {
                break;
            }
            next = requests.try_recv().ok();
        }
        group.close(&shared);
    }
}

/// Waits until wall time has passed the last tick, and the disk is not too far behind.
async fn pace(shared: &Shared) {
    while shared.completion.backlog() > TICKS_IN_FLIGHT && shared.completion.failure().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while shared.replicas.queued_bytes() > QUEUED_BYTES {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    wait_for_compute(shared).await;
    if shared.snapshot().tick >= wall_tick() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// When compute falls behind, commits wait and then share a tick: a row that changed ten times in
/// it is one change for all views. They wait half as long as compute is behind, so that a view
/// that never ends its work stops nobody.
async fn wait_for_compute(shared: &Shared) {
    let since = Instant::now();
    while let Some(oldest) = shared.replicas.oldest_in_flight(TICKS_AT_WORK) {
        let behind = Duration::from_millis(wall_tick().0.saturating_sub(oldest.0));
        if since.elapsed() >= (behind / 2).min(LONGEST_WAIT) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A tick without a commit, so that time passes and history can be forgotten.
fn beat(shared: &Arc<Shared>) {
    if shared.completion.failure().is_some() {
        return;
    }
    let mut snapshot = (*shared.snapshot()).clone();
    let tick = next_tick(&snapshot);
    snapshot.tick = tick;
    shared.completion.begin(tick);
    send_updates(shared, tick, &[], (&[], PartRows::new()), &[], Vec::new());
    shared.publish(snapshot);
    shared.completion.finish(tick);
    forget_history(shared);
}

fn next_tick(snapshot: &Snapshot) -> Tick {
    wall_tick().max(snapshot.tick.next())
}

/// Tells ledger and replica which history nobody reads any more.
fn forget_history(shared: &Shared) {
    let upto = Tick(shared.completion.readable().0.saturating_sub(HISTORY_MILLIS));
    let since = shared.holds.advance(upto);
    let readable = shared.completion.readable();
    let snapshot = shared.snapshot();
    let retained = |item: &Item| Some(Tick(readable.0.saturating_sub(item.retain_history()?)));
    // The ledger keeps all history that one object wants: its queries may read any table.
    let longest = snapshot.catalog.items().filter_map(|item| retained(item)).min();
    let upto = shared.holds.advance_retained(longest.unwrap_or(upto).min(upto));
    shared.ledger.allow_compaction(upto);
    shared.since.send_replace(since);
    for index in shared.dataflows.maintained() {
        let wanted = snapshot.catalog.item(index).and_then(|item| retained(item));
        let since = wanted.map_or(since, |wanted| wanted.min(since));
        shared.replicas.send(&Command::AllowCompaction { index, since });
    }
}

fn take(shared: &Arc<Shared>, mut group: Group, request: Request) -> Group {
    if let Some(error) = shared.completion.failure() {
        // The log has ended: compute and the snapshot must not go on without it.
        if let Request::Commit { answer, .. } | Request::Install { answer, .. } = request {
            let _ = answer.send(Err(error));
        }
        return group;
    }
    match request {
        Request::Commit { commit, answer, early } => {
            let mut commit = commit;
            if commit.catalog.is_none() {
                // What the group changes is tables: the catalog is that of the snapshot.
                leave_out_dropped(shared, &mut commit);
            }
            if let Err(error) = check_size(&commit) {
                let _ = answer.send(Err(error));
                return group;
            }
            if commit.catalog.is_some() {
                group.close(shared);
                commit_catalog(shared, *commit, answer);
                return Group::default();
            }
            match check_read(&shared.snapshot(), &group, &commit) {
                Ok(()) if lost_key(shared, &group, &commit) => {
                    let _ = answer.send(Err(serialization_failure()));
                }
                Ok(()) => {
                    let last = shared.snapshot().tick;
                    shared.recent_keys.lock().record(last, &commit);
                    group.add(*commit, answer, early);
                }
                Err(error) => {
                    let _ = answer.send(Err(error));
                }
            }
            group
        }
        Request::Recreate(id) => {
            group.close(shared);
            recreate(shared, &BTreeSet::from([id]));
            Group::default()
        }
        Request::ReplaceFailed => {
            group.close(shared);
            for wanted in shared.replicas.replace_failed() {
                begin_replica(shared, &wanted, shared.snapshot().tick);
            }
            Group::default()
        }
        Request::Install { mut dataflow, on, answer } => {
            group.close(shared);
            let snapshot = shared.snapshot();
            if dataflow.as_of == Tick::MIN {
                dataflow.as_of = snapshot.tick;
            } else if let Err(error) = check_history(&snapshot, &dataflow) {
                let _ = answer.send(Err(error));
                return Group::default();
            }
            // Who asked is gone: nobody would end the dataflow.
            if answer.is_closed() {
                return Group::default();
            }
            let (id, as_of) = (dataflow.id, dataflow.as_of);
            install(shared, *dataflow, Place::Replica(on));
            if answer.send(Ok(as_of)).is_err() {
                shared.dataflows.drop(&shared.replicas, id);
            }
            Group::default()
        }
    }
}

/// Whether another commit wrote a unique key since this one looked it up.
fn lost_key(shared: &Shared, group: &Group, commit: &Commit) -> bool {
    commit.keys.is_some() && shared.recent_keys.lock().conflict(&shared.snapshot(), group, commit)
}

/// Creates a dataflow and lets its inputs be fed.
fn install(shared: &Arc<Shared>, dataflow: DataflowDescription, place: Place) {
    let hold = shared.holds.hold(dataflow.as_of);
    let dataflow = Arc::new(dataflow);
    let (number, on) = shared.dataflows.create(&shared.replicas, place, &dataflow);
    Hydration { shared: Arc::clone(shared), dataflow, number, on, hold }.start();
}

/// Creates the dataflows of these objects, each after those that it may read.
pub(crate) fn maintain(
    shared: &Arc<Shared>,
    catalog: &tidemill_catalog::Catalog,
    ids: &BTreeSet<ObjectId>,
    tick: Tick,
) {
    for id in change_catalog::in_order(catalog, ids) {
        match crate::read::maintained_dataflow(shared, catalog, id) {
            Ok(mut dataflow) => {
                dataflow.as_of = tick;
                crate::follow::describe_followed(shared, catalog, &mut dataflow);
                install(shared, dataflow, Place::Pool(PoolId::of_object(catalog, id)));
            }
            Err(error) => tracing::error!(%error, object = %id, "cannot be maintained"),
        }
    }
}

/// Lets dataflows begin anew, and all that import from them.
fn recreate(shared: &Arc<Shared>, ids: &BTreeSet<ObjectId>) {
    let ended = shared.dataflows.drop_all(&shared.replicas, ids);
    let snapshot = shared.snapshot();
    let is_maintained = |id: &ObjectId| {
        let item = snapshot.catalog.item(*id);
        item.is_some_and(|item| change_catalog::is_maintained(&snapshot.catalog, item))
    };
    let again = ended.into_iter().filter(is_maintained).collect();
    maintain(shared, &snapshot.catalog, &again, snapshot.tick);
}

/// Starts the replicas that a catalog asks for and that do not run.
pub(crate) fn begin_replicas(shared: &Arc<Shared>, snapshot: &Snapshot) {
    for wanted in shared.replicas.follow_catalog(&snapshot.catalog) {
        begin_replica(shared, &wanted, snapshot.tick);
    }
}

/// Starts a replica, with all that its pool runs.
fn begin_replica(shared: &Arc<Shared>, wanted: &Wanted, tick: Tick) {
    let dataflows = shared.dataflows.of_pool(wanted.pool);
    let indexes = dataflows.iter().flat_map(|(_, dataflow)| &dataflow.exports);
    let indexes = indexes.filter_map(|export| match export {
        Export::Index { id, .. } => Some(*id),
        Export::Subscribe { .. } => None,
    });
    let running = match shared.replicas.start(wanted, indexes.collect()) {
        Ok(running) => running,
        Err(error) => {
            tracing::error!(%error, "a replica cannot be started");
            return;
        }
    };
    let mut hydrations = Vec::new();
    for (number, dataflow) in dataflows {
        let dataflow = Arc::new(DataflowDescription { as_of: tick, ..(*dataflow).clone() });
        running.replica.send(Command::CreateDataflow(Arc::clone(&dataflow)));
        let hold = shared.holds.hold(tick);
        let (shared, on) = (Arc::clone(shared), vec![Arc::clone(&running)]);
        hydrations.push(Hydration { shared, dataflow, number, on, hold });
    }
    shared.replicas.add(wanted.pool, running);
    hydrations.into_iter().for_each(Hydration::start);
}

/// The error that tells a session to read again and try again.
pub fn serialization_failure() -> SqlError {
    SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to concurrent update",
    )
    .with_hint("Run the transaction again.")
}

/// Commits that share a tick.
#[derive(Default)]
struct Group {
    updates: HashMap<ObjectId, Vec<Arc<RowBatch>>>,
    parts: Vec<(ObjectId, PartName)>,
    loaded: PartRows,
    volatile: Vec<(ObjectId, Arc<RowBatch>)>,
    durable: Vec<DurableChange>,
    snapshot_done: Vec<ObjectId>,
    table_errors: Vec<(ObjectId, EvalError)>,
    resynced: Vec<(ObjectId, u32)>,
    positions: HashMap<ObjectId, (SourcePosition, watch::Sender<Lsn>)>,
    sequences: HashMap<ObjectId, Vec<u8>>,
    answers: Vec<(Answer, bool)>,
    bytes: usize,
}

impl Group {
    /// Whether the tick will change a collection.
    fn changes(&self, id: ObjectId) -> bool {
        self.updates.contains_key(&id)
            || self.parts.iter().any(|(changed, _)| *changed == id)
            || self.volatile.iter().any(|(changed, _)| *changed == id)
            || self.table_errors.iter().any(|(changed, _)| *changed == id)
            || self.resynced.iter().any(|(changed, _)| *changed == id)
    }

    fn is_full(&self) -> bool {
        self.answers.len() >= COMMITS_A_TICK || self.bytes >= BYTES_A_TICK
    }

    fn add(&mut self, commit: Commit, answer: Answer, early: bool) {
        for (table, batch) in commit.updates {
            self.bytes += batch.byte_len();
            self.updates.entry(table).or_default().push(batch);
        }
        self.parts.extend(commit.parts);
        self.loaded.extend(commit.loaded);
        self.volatile.extend(commit.volatile);
        self.durable.extend(commit.snapshot_done.iter().copied().map(DurableChange::SnapshotDone));
        self.snapshot_done.extend(commit.snapshot_done);
        for (table, error) in commit.table_errors {
            self.durable.push(DurableChange::TableError(table, error.clone()));
            self.table_errors.push((table, error));
        }
        for (table, number) in commit.resynced {
            self.durable.push(DurableChange::Resynced(table, number));
            self.resynced.push((table, number));
        }
        if let Some((source, position, told)) = commit.position {
            self.positions.insert(source, (position, told));
        }
        self.sequences.extend(commit.sequences);
        self.answers.push((answer, early));
    }

    /// Gives the commits their tick.
    fn close(self, shared: &Arc<Shared>) {
        if self.answers.is_empty() {
            return;
        }
        let mut snapshot = (*shared.snapshot()).clone();
        let tick = next_tick(&snapshot);
        snapshot.tick = tick;
        let updates: Vec<(ObjectId, Arc<RowBatch>)> = self
            .updates
            .into_iter()
            .map(|(table, batches)| (table, join_batches(batches)))
            .collect();
        for id in &self.snapshot_done {
            snapshot.hydrating.remove(id);
            snapshot.hydrated.insert(*id, tick);
        }
        let mut errors: Vec<(ObjectId, EvalError, Diff)> = Vec::new();
        for (table, error) in self.table_errors {
            if !snapshot.table_errors.contains_key(&table) {
                snapshot.table_errors.insert(table, (tick, error.clone()));
                errors.push((table, error, 1));
            }
        }
        for (table, number) in self.resynced {
            snapshot.resynced.insert(table, number);
            if snapshot.hydrating.remove(&table).is_some() {
                snapshot.hydrated.insert(table, tick);
            }
            if let Some((since, error)) = snapshot.table_errors.remove(&table) {
                snapshot.repaired.insert(table, (since, tick, error.clone()));
                errors.push((table, error, -1));
            }
        }
        let changed = updates.iter().map(|(id, _)| *id).chain(self.parts.iter().map(|(id, _)| *id));
        for id in changed.chain(self.volatile.iter().map(|(id, _)| *id)) {
            snapshot.last_change.insert(id, tick);
        }
        for (id, _, _) in &errors {
            snapshot.last_change.insert(*id, tick);
        }
        let positions =
            self.positions.iter().map(|(id, (position, _))| (*id, encode_position(position)));
        let positions = positions.chain(self.sequences);
        let entry = Entry {
            catalog: self
                .durable
                .iter()
                .filter_map(|change| serde_json::to_value(change).ok())
                .collect(),
            updates: updates.clone(),
            parts: self.parts.clone(),
            positions: positions.collect(),
            ..Entry::at(tick)
        };
        let told: Vec<(Lsn, watch::Sender<Lsn>)> = self
            .positions
            .into_values()
            .map(|(position, told)| (position.position, told))
            .collect();
        let mut late = Vec::new();
        let mut early = Vec::new();
        for (answer, is_early) in self.answers {
            if is_early { early.push(answer) } else { late.push(answer) }
        }
        // Readers may come as soon as the entry is durable: all else is in place by then.
        let parts = (&self.parts[..], self.loaded);
        send_updates(shared, tick, &updates, parts, &self.volatile, errors);
        shared.publish(snapshot);
        write(shared, entry, late, told);
        for answer in early {
            let _ = answer.send(Ok(tick));
        }
    }
}

fn join_batches(mut batches: Vec<Arc<RowBatch>>) -> Arc<RowBatch> {
    if batches.len() == 1
        && let Some(batch) = batches.pop()
    {
        return batch;
    }
    let mut joined = RowBatch::new();
    batches.iter().for_each(|batch| joined.append(batch));
    Arc::new(joined)
}

/// Writes an entry; answers and positions follow when it is durable.
fn write(
    shared: &Arc<Shared>,
    entry: Entry,
    answers: Vec<Answer>,
    positions: Vec<(Lsn, watch::Sender<Lsn>)>,
) {
    let tick = entry.tick;
    shared.completion.begin(tick);
    let completion = Arc::clone(&shared.completion);
    let done = move |result: Result<(), SqlError>| {
        match &result {
            Ok(()) => {
                completion.finish(tick);
                for (position, told) in positions {
                    told.send_if_modified(|current| {
                        let later = position > *current;
                        *current = position.max(*current);
                        later
                    });
                }
            }
            Err(error) => {
                tracing::error!(%error, "the ledger cannot be written");
                completion.fail(error.clone());
            }
        }
        for answer in answers {
            let _ = answer.send(result.clone().map(|()| tick));
        }
    };
    let is_empty = entry.catalog.is_empty()
        && entry.updates.is_empty()
        && entry.parts.is_empty()
        && entry.positions.is_empty()
        && entry.dropped.is_empty();
    if is_empty {
        // Only volatile collections changed: nothing to make durable.
        done(Ok(()));
    } else {
        shared.ledger.append(
            entry,
            Box::new(move |result| done(result.map_err(|error| crate::ledger_error(&error)))),
        );
    }
}

/// Hands the changes of a tick to compute.
fn send_updates(
    shared: &Arc<Shared>,
    tick: Tick,
    updates: &[(ObjectId, Arc<RowBatch>)],
    (parts, mut loaded): (&[(ObjectId, PartName)], PartRows),
    volatile: &[(ObjectId, Arc<RowBatch>)],
    mut errors: Vec<(ObjectId, EvalError, Diff)>,
) {
    let since = *shared.since.borrow();
    for (id, batch) in volatile {
        shared.volatile.append(*id, tick, Arc::clone(batch), since);
    }
    let mut all: Vec<(ObjectId, Arc<RowBatch>)> = updates.iter().chain(volatile).cloned().collect();
    for (id, part) in parts {
        // Nobody follows the table yet: whoever comes later is fed from the ledger.
        if !shared.dataflows.reads(*id) {
            continue;
        }
        if let Some(batches) = loaded.remove(part) {
            all.extend(batches.into_iter().map(|batch| (*id, batch)));
            continue;
        }
        // Whoever follows it came just now.
        for batch in shared.ledger.read_part(part) {
            match batch {
                Ok(batch) => all.push((*id, batch)),
                Err(error) => {
                    // What follows the table would be wrong: its error says so instead.
                    tracing::error!(%error, table = %id, "a part cannot be read back");
                    errors.push((*id, crate::ledger_error(&error).into(), 1));
                }
            }
        }
    }
    if all.is_empty() && errors.is_empty() && !shared.dataflows.any_follows_time() {
        return;
    }
    let command = Command::Updates { tick, updates: Arc::new(all), errors: Arc::new(errors) };
    shared.replicas.send(&command);
}

/// Commits changes of the catalog at a tick of their own.
fn commit_catalog(shared: &Arc<Shared>, commit: Commit, answer: Answer) {
    if let Err(error) = check_read(&shared.snapshot(), &Group::default(), &commit) {
        let _ = answer.send(Err(error));
        return;
    }
    if lost_key(shared, &Group::default(), &commit) {
        let _ = answer.send(Err(serialization_failure()));
        return;
    }
    let last = shared.snapshot().tick;
    shared.recent_keys.lock().record(last, &commit);
    let Some(catalog_commit) = commit.catalog else { return };
    let mut snapshot = (*shared.snapshot()).clone();
    let next = if snapshot.catalog_tick == catalog_commit.planned_at {
        Some(catalog_commit.next)
    } else {
        let CatalogCommit { base, changes, dataflows, .. } = &catalog_commit;
        checks::rebased(base, &snapshot.catalog, changes, dataflows)
    };
    let Some(next) = next else {
        let _ = answer.send(Err(serialization_failure()));
        return;
    };
    // What cannot be written must not happen.
    let changes = catalog_commit.changes.iter().cloned().map(DurableChange::Catalog);
    let durable: Result<Vec<_>, _> = changes.map(serde_json::to_value).collect();
    let durable = match durable {
        Ok(durable) => durable,
        Err(error) => {
            let _ = answer.send(Err(SqlError::internal(error)));
            return;
        }
    };
    let tick = next_tick(&snapshot);
    let volatile = builtin_changes(&snapshot.catalog, &next);
    let mut dropped = Vec::new();
    let mut columns = Vec::new();
    for change in &catalog_commit.changes {
        match change {
            CatalogChange::DropItem(id) => dropped.push(*id),
            CatalogChange::PutItem(item) => {
                if let Some(desc) = item.desc().filter(|_| item.is_base()) {
                    columns.push((item.id, desc.clone()));
                }
                if waits_for_content(item) && snapshot.catalog.item(item.id).is_none() {
                    snapshot.hydrating.insert(item.id);
                }
            }
            _ => {}
        }
    }
    for (id, counter) in commit.counters {
        shared.sequences.adopt(id, counter);
    }
    for id in &dropped {
        shared.sequences.forget(*id);
        shared.refreshes.forget(*id);
        snapshot.last_change.remove(id);
        snapshot.table_errors.remove(id);
        snapshot.repaired.remove(id);
        snapshot.resynced.remove(id);
        snapshot.hydrating.remove(id);
        snapshot.hydrated.remove(id);
    }
    let parts = commit.parts.iter().map(|(id, _)| id);
    for id in commit.updates.iter().chain(&volatile).map(|(id, _)| id).chain(parts) {
        snapshot.last_change.insert(*id, tick);
    }
    snapshot.tick = tick;
    snapshot.catalog_tick = tick;
    let old = std::mem::replace(&mut snapshot.catalog, Arc::clone(&next));
    let entry = Entry {
        catalog: durable,
        columns,
        updates: commit.updates.clone(),
        parts: commit.parts.clone(),
        positions: commit.sequences,
        dropped: dropped.clone(),
        ..Entry::at(tick)
    };
    let parts = (&commit.parts[..], commit.loaded);
    send_updates(shared, tick, &commit.updates, parts, &volatile, Vec::new());
    shared.publish(snapshot);
    // Before anybody hears of it, so that who waits for new replicas finds them wanted.
    let wanted = shared.replicas.follow_catalog(&next);
    let (durable, told) = oneshot::channel();
    write(shared, entry, vec![durable], Vec::new());
    for wanted in wanted {
        begin_replica(shared, &wanted, tick);
    }
    let changed = change_catalog::changed(&old, &next, &catalog_commit.changes);
    if changed.is_empty() {
        for mut dataflow in catalog_commit.dataflows {
            dataflow.as_of = tick;
            crate::follow::describe_followed(shared, &next, &mut dataflow);
            let place = Place::Pool(PoolId::of_object(&next, dataflow.id));
            install(shared, dataflow, place);
        }
    } else {
        // What was planned may import what ends here.
        let mut again = shared.dataflows.drop_all(&shared.replicas, &changed);
        again.extend(catalog_commit.dataflows.iter().map(|dataflow| dataflow.id));
        again.extend(changed);
        again.retain(|id| {
            next.item(*id).is_some_and(|item| change_catalog::is_maintained(&next, item))
        });
        maintain(shared, &next, &again, tick);
    }
    for id in change_catalog::begun(&next, &catalog_commit.changes) {
        shared.dataflows.keep(id);
    }
    dropped.extend(change_catalog::ended(&next, &catalog_commit.changes));
    if catalog_commit.changes.iter().any(concerns_refresh) {
        shared.refreshes.wake();
    }
    // Last: a new dataflow may import from one that is dropped with the same commit.
    for id in dropped {
        shared.dataflows.drop(&shared.replicas, id);
    }
    // Who made an index or a replica finds it with the next statement.
    shared.set_installed(tick);
    tokio::spawn(async move {
        let done = told.await.unwrap_or_else(|_| Err(crate::shared::shutting_down()));
        let _ = answer.send(done);
    });
}

/// Whether something new has content only later.
pub(crate) fn waits_for_content(item: &Item) -> bool {
    item.refresh().is_some() || item.table().is_some_and(|table| table.source.is_some())
}

/// Whether what is computed at times may be due earlier after a change.
fn concerns_refresh(change: &CatalogChange) -> bool {
    match change {
        CatalogChange::PutItem(item) => item.refresh().is_some(),
        CatalogChange::PutCluster(_) => true,
        _ => false,
    }
}

/// How the built-in relations change with the catalog.
pub fn builtin_changes(
    old: &tidemill_catalog::Catalog,
    new: &tidemill_catalog::Catalog,
) -> Vec<(ObjectId, Arc<RowBatch>)> {
    builtin::all()
        .filter_map(|relation| {
            let (gone, come) = relation.change(old, new)?;
            let change = difference(&gone, &come);
            (!change.is_empty()).then(|| (relation.id(), Arc::new(change)))
        })
        .collect()
}
