//! Materialized views that are computed at times (`REFRESH AT`, `REFRESH EVERY`).
//!
//! Such a view is a base collection: its rows are in the ledger, as those of a table. When a time
//! has come, its query is read as of that tick, and the difference to what is there is committed,
//! together with the time: after a restart the content is what it was, and a time that was missed
//! is made up for once. A query that failed puts the view in its error until the next time.
//!
//! Here, too, clusters begin and end that only run for that (`SCHEDULE = ON REFRESH`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tidemill_catalog::refresh::Refresh;
use tidemill_catalog::{Catalog, CatalogChange, Cluster, Definition, Item};
use tidemill_expr::EvalError;
use tidemill_plan::Finishing;
use tidemill_repr::{Datum, Diff, ObjectId, Row, RowBatch, SqlError, SqlState, Tick};
use tokio::sync::Notify;

use crate::clock::wall_tick;
use crate::hydrate::read_collection;
use crate::sequencer::{CatalogCommit, Commit};
use crate::shared::Shared;
use crate::statements::own::{OwnRows, OwnWrites};
use crate::{live, read};

/// How long one waits at most before looking again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long one waits after a failure that is not the query's, in milliseconds.
const TRY_AGAIN: u64 = 500;

/// How often a tick is picked for one refresh.
const PICKS: usize = 100;

/// A refresh that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Done {
    /// The time for which it was.
    time: u64,
    /// The tick that was read.
    tick: u64,
}

/// How one view stands.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    done: Option<Done>,
    running: bool,
    /// It is not tried again before.
    not_before: u64,
}

/// How the views stand.
#[derive(Default)]
pub(crate) struct Refreshes {
    states: Mutex<BTreeMap<ObjectId, State>>,
    changed: Notify,
}

impl Done {
    fn encode(self) -> Vec<u8> {
        [self.time.to_be_bytes(), self.tick.to_be_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Done> {
        let (time, tick) = bytes.split_first_chunk::<8>()?;
        let tick = tick.first_chunk::<8>()?;
        Some(Done { time: u64::from_be_bytes(*time), tick: u64::from_be_bytes(*tick) })
    }
}

impl Refreshes {
    /// With what the ledger said when the server started.
    pub(crate) fn recovered(
        catalog: &Catalog,
        positions: &HashMap<ObjectId, Vec<u8>>,
    ) -> Refreshes {
        let mut states = BTreeMap::new();
        for item in catalog.items().filter(|item| item.refresh().is_some()) {
            let done = positions.get(&item.id).and_then(|bytes| Done::decode(bytes));
            states.insert(item.id, State { done, ..State::default() });
        }
        Refreshes { states: Mutex::new(states), changed: Notify::new() }
    }

    /// Something may be due.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// A view is gone.
    pub(crate) fn forget(&self, id: ObjectId) {
        self.states.lock().remove(&id);
    }

    fn state(&self, id: ObjectId) -> State {
        self.states.lock().get(&id).copied().unwrap_or_default()
    }

    /// The time that is due for a view, if one is.
    fn due(&self, id: ObjectId, refresh: &Refresh, now: u64) -> Option<u64> {
        let done = self.state(id).done.map(|done| done.time);
        refresh.last_until(now).filter(|time| done.is_none_or(|done| *time > done))
    }

    /// Begins one, unless it is going on.
    fn begin(&self, id: ObjectId, now: u64) -> bool {
        let mut states = self.states.lock();
        let state = states.entry(id).or_default();
        let begins = !state.running && now >= state.not_before;
        state.running |= begins;
        begins
    }

    fn end(&self, id: ObjectId, done: Option<Done>) {
        if let Some(state) = self.states.lock().get_mut(&id) {
            state.running = false;
            match done {
                Some(_) => state.done = done,
                None => state.not_before = wall_tick().0.saturating_add(TRY_AGAIN),
            }
        }
        self.wake();
    }

    /// `mz_materialized_view_refreshes`
    pub(crate) fn rows(&self, catalog: &Catalog) -> Vec<Row> {
        let row = |item: &Item| {
            let refresh = item.refresh()?;
            let done = self.state(item.id).done.map(|done| done.time);
            let tick = |time: Option<u64>| time.map_or(Datum::Null, Datum::UInt);
            let next = refresh.next_after(done);
            Some(Row::pack([Datum::Text(&item.id.to_string()), tick(done), tick(next)]))
        };
        catalog.items().filter_map(|item| row(item)).collect()
    }
}

/// Computes what is due until the server is gone.
pub(crate) async fn run(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let pause = begin_due(&strong);
        follow_schedules(&strong).await;
        let _ = tokio::time::timeout(pause, strong.refreshes.changed.notified()).await;
    }
}

/// Begins all that is due. Gives how long nothing will be.
fn begin_due(shared: &Arc<Shared>) -> Duration {
    let snapshot = shared.snapshot();
    let catalog = &snapshot.catalog;
    let now = wall_tick().0;
    let mut pause = LOOK_AGAIN;
    for item in catalog.items() {
        let (Some(refresh), Definition::MaterializedView(view)) =
            (item.refresh(), &item.definition)
        else {
            continue;
        };
        if let Some(next) = refresh.next_after(Some(now)) {
            pause = pause.min(Duration::from_millis(next - now));
        }
        let Some(time) = shared.refreshes.due(item.id, refresh, now) else { continue };
        let waits = inputs(catalog, item).into_iter().any(|input| is_open(shared, input, now));
        if waits || !catalog.cluster_runs(&view.cluster) {
            continue;
        }
        if shared.refreshes.begin(item.id, now) {
            tokio::spawn(refresh_once(Arc::clone(shared), item.id, time));
        }
    }
    pause
}

/// The base collections that a view reads.
fn inputs(catalog: &Catalog, item: &Item) -> BTreeSet<ObjectId> {
    item.depends_on.iter().flat_map(|id| catalog.base_collections(*id)).collect()
}

/// Whether a collection is itself a view that is due, so that who reads it waits.
fn is_open(shared: &Shared, input: ObjectId, now: u64) -> bool {
    let snapshot = shared.snapshot();
    let refresh = snapshot.catalog.item(input).and_then(|item| item.refresh());
    refresh.is_some_and(|refresh| {
        shared.refreshes.state(input).running || shared.refreshes.due(input, refresh, now).is_some()
    })
}

/// Computes a view for a time.
async fn refresh_once(shared: Arc<Shared>, id: ObjectId, time: u64) {
    let done = match compute(&shared, id, time).await {
        Ok(done) => done,
        Err(error) => {
            if error.code != SqlState::SERIALIZATION_FAILURE {
                tracing::warn!(%error, view = %id, "a refresh failed");
            }
            None
        }
    };
    shared.refreshes.end(id, done);
}

/// Whether an error is in the data that the query reads, so that it is the view's.
fn is_of_query(error: &SqlError) -> bool {
    let class = error.code.0.get(..2).unwrap_or_default();
    error.code != SqlState::SERIALIZATION_FAILURE && !["57", "58", "XX", "53"].contains(&class)
}

async fn compute(shared: &Arc<Shared>, id: ObjectId, time: u64) -> Result<Option<Done>, SqlError> {
    // From now on there is a readable tick that is not before the time.
    shared.commit(Commit::default()).await?;
    let snapshot = shared.snapshot();
    let Some(item) = snapshot.catalog.item(id).cloned() else { return Ok(None) };
    let bases = inputs(&snapshot.catalog, &item);
    read::wait_hydrated(shared, snapshot, &bases).await?;
    let (tick, rows) = match content(shared, &item, &bases, time).await {
        Ok((tick, rows)) => (tick, Ok(rows)),
        Err(error) if is_of_query(&error) => (shared.completion.readable(), Err(error)),
        Err(error) => return Err(error),
    };
    let done = Done { time, tick: tick.0 };
    let sequences = vec![(id, done.encode())];
    let snapshot = shared.snapshot();
    let has_error = snapshot.table_errors.contains_key(&id);
    let commit = match rows {
        Ok(rows) => {
            let batch = change(shared, id, rows).await?;
            let updates = (!batch.is_empty()).then(|| (id, Arc::new(batch)));
            Commit {
                updates: updates.into_iter().collect(),
                sequences,
                snapshot_done: if snapshot.hydrating.contains(&id) { vec![id] } else { Vec::new() },
                resynced: if has_error { vec![(id, 0)] } else { Vec::new() },
                ..Commit::default()
            }
        }
        Err(error) => {
            let table_errors = vec![(id, EvalError::from(error))];
            Commit { table_errors, sequences, ..Commit::default() }
        }
    };
    drop(snapshot);
    shared.commit(commit).await?;
    Ok(Some(done))
}

/// The rows of a view's query at a time, or, where that cannot be read, now; and which tick it
/// was.
async fn content(
    shared: &Arc<Shared>,
    item: &Item,
    bases: &BTreeSet<ObjectId>,
    time: u64,
) -> Result<(Tick, Vec<(Row, Diff)>), SqlError> {
    let gone = crate::sequencer::serialization_failure;
    let (Some(refresh), Definition::MaterializedView(view)) = (item.refresh(), &item.definition)
    else {
        return Err(gone());
    };
    // What was computed for the same time came a little later.
    let is_same = |id: &ObjectId| shared.refreshes.state(*id).done.is_some_and(|d| d.time >= time);
    let mut wanted = (time > refresh.created && !bases.iter().any(is_same)).then_some(Tick(time));
    for _ in 0..PICKS {
        let tick = wanted.take().unwrap_or_else(|| shared.completion.readable());
        let Ok(_hold) = shared.holds.try_hold(tick) else { continue };
        let snapshot = shared.snapshot();
        if snapshot.settled(bases.iter().copied()) > tick {
            continue;
        }
        let query = view.view.query.as_ref().ok_or_else(gone)?;
        let finishing =
            Finishing { project: (0..view.view.desc.arity()).collect(), ..Finishing::default() };
        let catalog = &snapshot.catalog;
        let live = live::rows_for_anybody(shared, catalog, query);
        let own = (!live.is_empty())
            .then(|| OwnWrites::new(OwnRows::new(), BTreeSet::new(), None).with_live(live));
        let at = (tick, view.cluster.as_str());
        let plan = read::plan_read(shared, catalog, (query, &finishing), at, own.as_ref())?;
        drop(own);
        let rows = read::read(shared, &snapshot, (&plan, &finishing), tick).await?;
        return Ok((tick, rows));
    }
    Err(gone())
}

/// What must be added to the content of a view so that it has these rows.
async fn change(
    shared: &Arc<Shared>,
    id: ObjectId,
    rows: Vec<(Row, Diff)>,
) -> Result<RowBatch, SqlError> {
    let shared = Arc::clone(shared);
    let compared = tokio::task::spawn_blocking(move || {
        let mut counts: BTreeMap<Row, Diff> = BTreeMap::new();
        for (row, diff) in rows {
            *counts.entry(row).or_default() += diff;
        }
        let tick = shared.completion.readable();
        let _hold = shared.holds.hold(tick);
        for batch in read_collection(&shared, id, tick)? {
            for (row, diff) in batch?.iter() {
                *counts.entry(row.to_owned()).or_default() -= diff;
            }
        }
        let mut batch = RowBatch::new();
        for (row, diff) in counts.iter().filter(|(_, diff)| **diff != 0) {
            batch.push(row.as_ref(), *diff);
        }
        Ok(batch)
    });
    compared.await.map_err(SqlError::internal)?
}

/// Whether a cluster that runs for its views alone is to run now.
fn is_wanted(shared: &Shared, catalog: &Catalog, cluster: &Cluster, estimate: u64) -> bool {
    let now = wall_tick().0;
    catalog.items_on_cluster(&cluster.name).any(|item| {
        let Some(refresh) = item.refresh() else { return false };
        let begins = |next: u64| next.saturating_sub(estimate) <= now;
        shared.refreshes.state(item.id).running
            || shared.refreshes.due(item.id, refresh, now).is_some()
            || refresh.next_after(Some(now)).is_some_and(begins)
    })
}

/// Lets clusters begin and end as their views are due.
async fn follow_schedules(shared: &Arc<Shared>) {
    let snapshot = shared.snapshot();
    let catalog = &snapshot.catalog;
    let mut changes = Vec::new();
    let mut next = catalog.next_number();
    for cluster in catalog.clusters() {
        let (Some(estimate), Some(size)) = (cluster.on_refresh, cluster.managed_size.clone())
        else {
            continue;
        };
        let wanted = is_wanted(shared, catalog, cluster, estimate);
        if wanted == cluster.has_replicas() {
            continue;
        }
        let mut cluster = Cluster::clone(cluster);
        cluster.manage(&size, usize::from(wanted), next);
        next += 1;
        changes.push(CatalogChange::PutCluster(cluster));
    }
    if changes.is_empty() {
        return;
    }
    let commit = || -> Result<Commit, SqlError> {
        let after = catalog.apply(&changes)?;
        let dataflows = crate::statements::new_dataflows(shared, &after, &changes)?;
        let catalog = CatalogCommit {
            planned_at: snapshot.catalog_tick,
            base: Arc::clone(catalog),
            next: Arc::new(after),
            changes: changes.clone(),
            dataflows,
        };
        Ok(Commit { catalog: Some(catalog), ..Commit::default() })
    };
    let done = match commit() {
        Ok(commit) => shared.commit(commit).await.map(|_| ()),
        Err(error) => Err(error),
    };
    match done {
        // Others changed the catalog meanwhile.
        Err(error) if error.code == SqlState::SERIALIZATION_FAILURE => shared.refreshes.wake(),
        Err(error) => tracing::warn!(%error, "a cluster cannot follow its schedule"),
        Ok(()) => shared.refreshes.wake(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_read_back() {
        let done = Done { time: 1_700_000_000_000, tick: 1_700_000_000_123 };
        assert_eq!(Done::decode(&done.encode()), Some(done));
        assert_eq!(Done::decode(&[1, 2, 3]), None);
    }
}
