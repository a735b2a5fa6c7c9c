//! The replicas that run: for each cluster a pool, each replica with worker threads of its own.
//!
//! The pool of the default cluster is always there: the clusters of the system, and the indexes
//! of constraints, use it too. A dataflow that the catalog asks for runs on all replicas of its
//! pool; one that a statement needs for a while, on one of them.
//!
//! Only the sequencer adds replicas ([`Replicas::follow_catalog`], [`Replicas::replace_failed`]):
//! it knows from which tick on a new one hears of commits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tidemill_catalog::cluster::{Cluster, ClusterReplica, FIRST_SIZE, size_workers};
use tidemill_catalog::{Catalog, Definition};
use tidemill_compute::protocol::Command;
use tidemill_compute::{IndexReader, Replica, StartError};
use tidemill_repr::{ObjectId, SqlError, SqlState, Tick};

use crate::shared::Shared;

/// The pool of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(u64);

impl PoolId {
    /// That of the default cluster and of the system.
    pub const DEFAULT: PoolId = PoolId(1);

    /// The pool of a cluster. It keeps it under another name.
    pub fn of(cluster: &Cluster) -> PoolId {
        if cluster.system { PoolId::DEFAULT } else { PoolId(cluster.id) }
    }

    /// The pool of the cluster of this name.
    pub fn named(catalog: &Catalog, cluster: &str) -> PoolId {
        catalog.cluster(cluster).map_or(PoolId::DEFAULT, |cluster| PoolId::of(cluster))
    }

    /// The pool on which an object is maintained.
    pub fn of_object(catalog: &Catalog, id: ObjectId) -> PoolId {
        match catalog.item(id).map(|item| &item.definition) {
            Some(Definition::Index(index)) if index.unique.is_some() => PoolId::DEFAULT,
            Some(Definition::Index(index)) => PoolId::named(catalog, &index.cluster),
            Some(Definition::MaterializedView(view)) => PoolId::named(catalog, &view.cluster),
            _ => PoolId::DEFAULT,
        }
    }
}

/// A running replica.
pub struct Running {
    /// Tells it from all others, earlier ones of the same name included.
    pub number: u64,
    /// The replica of the catalog that it is.
    pub replica_id: u64,
    size: String,
    /// Its workers.
    pub replica: Replica,
    /// Whether it ends as soon as others are complete.
    retiring: AtomicBool,
    /// Whether all that was begun with it is complete.
    complete: AtomicBool,
    /// What it was given when it began.
    first: Vec<ObjectId>,
}

impl Running {
    /// Whether everything that it was given at first is complete.
    fn is_complete(&self) -> bool {
        if self.complete.load(Ordering::SeqCst) {
            return true;
        }
        let done =
            |id: &ObjectId| self.replica.index(*id).is_none_or(|reader| reader.is_hydrated());
        let complete = self.first.iter().all(done);
        if complete {
            self.complete.store(true, Ordering::SeqCst);
        }
        complete
    }
}

#[derive(Default)]
struct Pool {
    replicas: Vec<Arc<Running>>,
    /// When failed replicas were replaced, lately.
    replaced: VecDeque<Instant>,
}

/// All running replicas.
pub struct Replicas {
    pools: RwLock<BTreeMap<PoolId, Pool>>,
    next: AtomicU64,
    /// Worker threads of a replica of the first size: as the server was told.
    default_workers: usize,
    /// More threads than that would only wait for each other.
    most_workers: usize,
    /// Replicas that end: their threads are waited for by nobody.
    ending: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

/// What runs on a new replica; [`Replicas::start`] is followed by [`Replicas::add`].
pub struct Wanted {
    /// The pool.
    pub pool: PoolId,
    replica_id: u64,
    size: String,
}

/// How long a pool whose replica failed waits, after so many failures in the last minutes.
const PATIENCE: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// How long a failure counts.
const MEMORY: Duration = Duration::from_secs(300);

impl Replicas {
    /// The default pool, with so many workers.
    ///
    /// # Errors
    /// The threads cannot be started.
    pub fn new(default_workers: usize) -> Result<Replicas, StartError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let replicas = Replicas {
            pools: RwLock::default(),
            next: AtomicU64::new(1),
            default_workers: default_workers.max(1),
            most_workers: cores.max(default_workers),
            ending: Mutex::default(),
        };
        let first = Wanted { pool: PoolId::DEFAULT, replica_id: 1, size: FIRST_SIZE.to_owned() };
        let running = replicas.start(&first, Vec::new())?;
        replicas.add(PoolId::DEFAULT, running);
        Ok(replicas)
    }

    /// Starts the threads of a replica that is in no pool yet.
    ///
    /// # Errors
    /// The threads cannot be started.
    pub fn start(&self, wanted: &Wanted, first: Vec<ObjectId>) -> Result<Arc<Running>, StartError> {
        let by_option = wanted.pool == PoolId::DEFAULT && wanted.size == FIRST_SIZE;
        let workers = if by_option { self.default_workers } else { size_workers(&wanted.size) };
        Ok(Arc::new(Running {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            replica_id: wanted.replica_id,
            size: wanted.size.clone(),
            replica: Replica::start(workers.min(self.most_workers))?,
            retiring: AtomicBool::new(false),
            complete: AtomicBool::new(false),
            first,
        }))
    }

    /// Lets a pool have one more replica: from now on it hears of commits.
    pub fn add(&self, pool: PoolId, running: Arc<Running>) {
        self.pools.write().entry(pool).or_default().replicas.push(running);
    }

    /// The replicas of a pool.
    pub fn of_pool(&self, pool: PoolId) -> Vec<Arc<Running>> {
        self.pools.read().get(&pool).map_or_else(Vec::new, |pool| pool.replicas.clone())
    }

    /// Hands a command to all replicas.
    pub fn send(&self, command: &Command) {
        let pools = self.pools.read();
        for running in pools.values().flat_map(|pool| &pool.replicas) {
            running.replica.send(command.clone());
        }
    }

    /// Bytes of rows that wait for the workers of the slowest replica.
    pub fn queued_bytes(&self) -> usize {
        let pools = self.pools.read();
        let all = pools.values().flat_map(|pool| &pool.replicas);
        all.map(|running| running.replica.queued_bytes()).max().unwrap_or(0)
    }

    /// The oldest tick that some replica was fed and has not worked off, if it has at least so
    /// many of them.
    pub fn oldest_in_flight(&self, least: usize) -> Option<Tick> {
        let pools = self.pools.read();
        let all = pools.values().flat_map(|pool| &pool.replicas);
        let whole = all.filter(|running| !running.replica.has_failed());
        whole.filter_map(|running| running.replica.oldest_in_flight(least)).min()
    }

    /// The reader of an index or materialized view: of the replica that is furthest.
    pub fn index(&self, id: ObjectId) -> Option<IndexReader> {
        self.index_at(id, Tick::MAX)
    }

    /// The same, of a replica that still has the content at a tick, if one has.
    pub fn index_at(&self, id: ObjectId, tick: Tick) -> Option<IndexReader> {
        let pools = self.pools.read();
        let all = pools.values().flat_map(|pool| &pool.replicas);
        let mut found = all.filter_map(|running| Some((running, running.replica.index(id)?)));
        let first = found.next()?;
        // Mostly there is one.
        let Some(second) = found.next() else { return Some(first.1) };
        let worth = |(running, reader): &(&Arc<Running>, IndexReader)| {
            let is_whole = !running.replica.has_failed();
            (is_whole, reader.since() <= tick, reader.is_hydrated(), reader.upper())
        };
        let mut best = (worth(&first), first.1);
        for other in std::iter::once(second).chain(found) {
            let worth = worth(&other);
            if worth > best.0 {
                best = (worth, other.1);
            }
        }
        Some(best.1)
    }

    /// Whether an arrangement is still there.
    pub fn has_reader(&self, reader: &IndexReader) -> bool {
        let pools = self.pools.read();
        let mut all = pools.values().flat_map(|pool| &pool.replicas);
        all.any(|running| {
            running.replica.index(reader.id()).is_some_and(|other| other.is_same(reader))
        })
    }

    /// Whether a read at a tick (the last one: now) finds an index.
    pub fn serves(&self, id: ObjectId, tick: Tick) -> bool {
        let reader = self.index_at(id, tick);
        reader.is_some_and(|reader| tick == Tick::MAX || reader.since() <= tick)
    }

    /// The replica of a pool for a dataflow that lives no longer than a statement: one that has
    /// what is imported, as early as it is needed.
    ///
    /// # Errors
    /// There is none.
    pub fn pick(
        &self,
        pool: PoolId,
        imports: &[ObjectId],
        tick: Tick,
    ) -> Result<Arc<Running>, SqlError> {
        let pools = self.pools.read();
        let none = || {
            SqlError::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "the cluster has no replicas available to service request",
            )
        };
        let replicas = pools.get(&pool).map(|pool| &pool.replicas).ok_or_else(none)?;
        let mut best = None;
        for running in replicas {
            let mut worth = (!running.replica.has_failed(), true, Tick::MAX);
            let mut has_all = true;
            for id in imports {
                match running.replica.index(*id) {
                    Some(reader) if tick == Tick::MIN || reader.since() <= tick => {
                        worth.1 &= reader.is_hydrated();
                        worth.2 = worth.2.min(reader.upper());
                    }
                    _ => has_all = false,
                }
            }
            let better = best.as_ref().is_none_or(|(other, _)| worth > *other);
            if has_all && better {
                best = Some((worth, running));
            }
        }
        match best {
            Some((_, running)) => Ok(Arc::clone(running)),
            None if replicas.is_empty() => Err(none()),
            // What was planned with is gone: it is planned again.
            None => Err(crate::sequencer::serialization_failure()),
        }
    }

    /// What must run for a catalog and does not. What must not run any more ends: at once if
    /// nothing takes its place, else when [`Replicas::retire`] finds that complete.
    pub fn follow_catalog(&self, catalog: &Catalog) -> Vec<Wanted> {
        let mut asked: BTreeMap<PoolId, Vec<(u64, String)>> = BTreeMap::new();
        for cluster in catalog.clusters().filter(|cluster| !cluster.system) {
            let replicas = cluster.replicas.iter();
            let replicas = replicas.map(|replica| (replica.id, replica.size.clone())).collect();
            asked.insert(PoolId::of(cluster), replicas);
        }
        // The pool of the system never ends.
        let default = asked.entry(PoolId::DEFAULT).or_default();
        if default.is_empty() {
            default.push((1, FIRST_SIZE.to_owned()));
        }
        let mut pools = self.pools.write();
        let mut wanted = Vec::new();
        for (id, replicas) in &asked {
            let pool = pools.entry(*id).or_default();
            for (replica_id, size) in replicas {
                let same = |running: &&Arc<Running>| {
                    running.replica_id == *replica_id && running.size == *size
                };
                match pool.replicas.iter().find(same) {
                    Some(running) => running.retiring.store(false, Ordering::SeqCst),
                    None => wanted.push(Wanted {
                        pool: *id,
                        replica_id: *replica_id,
                        size: size.clone(),
                    }),
                }
            }
        }
        let gone: Vec<PoolId> =
            pools.keys().copied().filter(|id| !asked.contains_key(id)).collect();
        for id in gone {
            let pool = pools.remove(&id).unwrap_or_default();
            pool.replicas.into_iter().for_each(|running| self.end(running));
        }
        for (id, pool) in pools.iter_mut() {
            let replicas = asked.get(id).map_or(&[][..], Vec::as_slice);
            let is_asked = |running: &Arc<Running>| {
                replicas.iter().any(|(id, size)| running.replica_id == *id && running.size == *size)
            };
            if replicas.is_empty() {
                pool.replicas.drain(..).for_each(|running| self.end(running));
            }
            for running in pool.replicas.iter().filter(|running| !is_asked(running)) {
                running.retiring.store(true, Ordering::SeqCst);
            }
        }
        drop(pools);
        self.retire(&wanted);
        wanted
    }

    /// Ends the replicas whose places others have taken. Says whether some are waited for.
    pub fn retire(&self, wanted: &[Wanted]) -> bool {
        let mut waiting = false;
        let ends = |running: &Arc<Running>| running.retiring.load(Ordering::SeqCst);
        if !self.pools.read().values().flat_map(|pool| &pool.replicas).any(ends) {
            return false;
        }
        let mut pools = self.pools.write();
        for (id, pool) in pools.iter_mut() {
            let retiring = |running: &Arc<Running>| running.retiring.load(Ordering::SeqCst);
            if !pool.replicas.iter().any(retiring) {
                continue;
            }
            let begins = wanted.iter().any(|wanted| wanted.pool == *id);
            let others = || pool.replicas.iter().filter(|running| !retiring(running));
            if begins || !others().all(|running| running.is_complete()) {
                waiting = true;
                continue;
            }
            let (gone, stay) = pool.replicas.drain(..).partition(retiring);
            pool.replicas = stay;
            let gone: Vec<Arc<Running>> = gone;
            gone.into_iter().for_each(|running| self.end(running));
        }
        waiting
    }

    /// Whether the replicas that a cluster should have are there and complete, and no others.
    pub fn is_settled(&self, cluster: &Cluster) -> bool {
        let running = self.of_pool(PoolId::of(cluster));
        let is_there = |asked: &ClusterReplica| {
            let same = |one: &&Arc<Running>| {
                one.replica_id == asked.id && one.size == asked.size && one.is_complete()
            };
            running.iter().any(|one| same(&one))
        };
        let retires = |one: &Arc<Running>| one.retiring.load(Ordering::SeqCst);
        cluster.replicas.iter().all(is_there) && !running.iter().any(retires)
    }

    /// Whether a replica has failed and its time to begin anew has come.
    pub fn has_failed(&self) -> bool {
        let pools = self.pools.read();
        pools.values().any(|pool| {
            pool.is_patient() && pool.replicas.iter().any(|running| running.replica.has_failed())
        })
    }

    /// Takes the failed replicas away whose time has come; what must take their places.
    pub fn replace_failed(&self) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        let mut pools = self.pools.write();
        for (id, pool) in pools.iter_mut().filter(|(_, pool)| pool.is_patient()) {
            let (failed, stay): (Vec<_>, Vec<_>) =
                pool.replicas.drain(..).partition(|running| running.replica.has_failed());
            pool.replicas = stay;
            for running in failed {
                tracing::warn!(pool = id.0, replica = running.replica_id, "a replica begins anew");
                pool.replaced.push_back(Instant::now());
                if !running.retiring.load(Ordering::SeqCst) {
                    let (replica_id, size) = (running.replica_id, running.size.clone());
                    wanted.push(Wanted { pool: *id, replica_id, size });
                }
                self.end(running);
            }
        }
        wanted
    }

    /// Lets a replica end. Its threads may be busy: nobody waits for them.
    fn end(&self, running: Arc<Running>) {
        let mut ending = self.ending.lock();
        ending.retain(|thread| !thread.is_finished());
        let name = format!("end of replica {}", running.number);
        match std::thread::Builder::new().name(name).spawn(move || drop(running)) {
            Ok(thread) => ending.push(thread),
            Err(error) => tracing::warn!(%error, "a replica ends on the caller's thread"),
        }
    }

    /// The replicas of a cluster that have failed, for their statuses.
    pub fn failed(&self) -> Vec<u64> {
        let pools = self.pools.read();
        let all = pools.values().flat_map(|pool| &pool.replicas);
        all.filter(|running| running.replica.has_failed())
            .map(|running| running.replica_id)
            .collect()
    }
}

/// How often one looks after the replicas.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks after the replicas: replaces failed ones, ends those whose places are taken.
pub async fn run(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        shared.replicas.retire(&[]);
        if shared.replicas.has_failed() {
            shared.replace_failed_replicas().await;
            // It is done on the sequencer's turn.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Pool {
    /// Whether its last failures are long enough ago.
    fn is_patient(&self) -> bool {
        let recent = self.replaced.iter().filter(|at| at.elapsed() < MEMORY).count();
        let patience = PATIENCE[recent.min(PATIENCE.len() - 1)];
        recent == 0 || self.replaced.back().is_none_or(|last| last.elapsed() >= patience)
    }
}
