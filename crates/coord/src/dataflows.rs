//! The dataflows that run, and in which order they may end.
//!
//! A dataflow that imports an arrangement cannot outlive the dataflow that exports it. One that
//! is dropped while others still import from it runs on, out of sight, until they are gone.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tidemill_compute::protocol::Command;
use tidemill_plan::physical::DataflowDescription;
use tidemill_repr::{ObjectId, Tick};

use crate::replicas::{self, PoolId, Replicas};

/// The running dataflows.
#[derive(Default)]
pub struct Dataflows {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: HashMap<ObjectId, Running>,
    /// Dropped, and still imported from.
    doomed: BTreeSet<ObjectId>,
    /// How many were created.
    created: u64,
}

/// Where a dataflow runs.
#[derive(Clone)]
pub enum Place {
    /// On all replicas of a pool, those that come later included.
    Pool(PoolId),
    /// On one replica, as long as that is there.
    Replica(Weak<replicas::Running>),
}

/// What is known of a running dataflow.
struct Running {
    place: Place,
    /// Which creation it was: those that it imports from have lower numbers.
    number: u64,
    description: Arc<DataflowDescription>,
    /// The dataflows that it imports from.
    imports: BTreeSet<ObjectId>,
    /// The base collections that it is fed with.
    bases: BTreeSet<ObjectId>,
    /// All base collections whose changes move it: its own, and those of what it imports.
    moved_by: Arc<BTreeSet<ObjectId>>,
    /// The first tick of what it exports.
    as_of: Tick,
    /// Whether it changes with time alone.
    follows_time: bool,
}

impl Dataflows {
    /// Creates a dataflow. Gives the number of its creation, and the replicas that it runs on.
    pub fn create(
        &self,
        replicas: &Replicas,
        place: Place,
        description: &Arc<DataflowDescription>,
    ) -> (u64, Vec<Arc<replicas::Running>>) {
        let mut state = self.state.lock();
        let imports: BTreeSet<ObjectId> =
            description.index_imports.iter().map(|import| import.index).collect();
        let bases: BTreeSet<ObjectId> =
            description.base_imports.iter().map(|import| import.id).collect();
        let mut moved_by = description.moved_by();
        for exporter in imports.iter().filter_map(|import| state.running.get(import)) {
            moved_by.extend(exporter.moved_by.iter().copied());
        }
        let as_of = description.as_of;
        let by_import = |import| state.running.get(import).is_some_and(|other| other.follows_time);
        let follows_time = description.follows_time() || imports.iter().any(by_import);
        let moved_by = Arc::new(moved_by);
        state.created += 1;
        let number = state.created;
        let on = place.replicas(replicas);
        let description = Arc::clone(description);
        for running in &on {
            running.replica.send(Command::CreateDataflow(Arc::clone(&description)));
        }
        let id = description.id;
        let running =
            Running { place, number, description, imports, bases, moved_by, as_of, follows_time };
        state.running.insert(id, running);
        (number, on)
    }

    /// Ends a dataflow, now or as soon as nobody imports from it.
    pub fn drop(&self, replicas: &Replicas, id: ObjectId) {
        for (ended, place) in self.state.lock().end(id) {
            send_drop(replicas, &place, ended);
        }
    }

    /// Ends dataflows at once, and with them all that import from them. Gives those of objects of
    /// the catalog that ended.
    pub fn drop_all(&self, replicas: &Replicas, ids: &BTreeSet<ObjectId>) -> BTreeSet<ObjectId> {
        let mut state = self.state.lock();
        let mut all = ids.clone();
        let mut todo: Vec<ObjectId> = ids.iter().copied().collect();
        while let Some(id) = todo.pop() {
            for (importer, running) in &state.running {
                if running.imports.contains(&id) && all.insert(*importer) {
                    todo.push(*importer);
                }
            }
        }
        let mut ended: Vec<(u64, ObjectId)> =
            all.iter().filter_map(|id| Some((state.running.get(id)?.number, *id))).collect();
        // Importers have higher numbers.
        ended.sort_unstable_by(|a, b| b.cmp(a));
        for (_, id) in &ended {
            state.doomed.remove(id);
            if let Some(running) = state.running.remove(id) {
                send_drop(replicas, &running.place, *id);
            }
        }
        let ids = ended.into_iter().map(|(_, id)| id);
        ids.filter(|id| !matches!(id, ObjectId::Transient(_))).collect()
    }

    /// What a new replica of a pool is to run: all that the others do, in the order of creation.
    pub fn of_pool(&self, pool: PoolId) -> Vec<(u64, Arc<DataflowDescription>)> {
        let state = self.state.lock();
        let on_pool = |running: &&Running| matches!(running.place, Place::Pool(id) if id == pool);
        let mut all: Vec<_> = state
            .running
            .values()
            .filter(on_pool)
            .map(|running| (running.number, Arc::clone(&running.description)))
            .collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all
    }

    /// The pool on whose replicas a dataflow runs.
    pub fn pool(&self, id: ObjectId) -> Option<PoolId> {
        match self.state.lock().running.get(&id)?.place {
            Place::Pool(pool) => Some(pool),
            Place::Replica(_) => None,
        }
    }

    /// Whether a dataflow runs that was created with this number.
    pub fn is_same(&self, id: ObjectId, number: u64) -> bool {
        self.state.lock().running.get(&id).is_some_and(|running| running.number == number)
    }

    /// Lets a dataflow that was dropped and is still imported from go on for itself.
    pub fn keep(&self, id: ObjectId) {
        self.state.lock().doomed.remove(&id);
    }

    /// Whether a dataflow runs.
    pub fn is_running(&self, id: ObjectId) -> bool {
        self.state.lock().running.contains_key(&id)
    }

    /// Sends something for a dataflow, if it is the one that was created with this number: what
    /// was meant for one must not reach the next of the same name.
    pub fn send_to(
        &self,
        (id, number): (ObjectId, u64),
        on: &replicas::Running,
        command: Command,
    ) -> bool {
        let state = self.state.lock();
        let is_same = state.running.get(&id).is_some_and(|running| running.number == number);
        if is_same {
            on.replica.send(command);
        }
        is_same
    }

    /// The base collections whose changes move a dataflow, and with it the upper of what it
    /// exports. They may be fewer than those its query names: plans leave out what cannot matter.
    pub fn moved_by(&self, id: ObjectId) -> Arc<BTreeSet<ObjectId>> {
        let state = self.state.lock();
        state.running.get(&id).map(|running| Arc::clone(&running.moved_by)).unwrap_or_default()
    }

    /// The tick from which on a dataflow's exports are complete; the first of all if it does not
    /// run.
    pub fn as_of(&self, id: ObjectId) -> Tick {
        self.state.lock().running.get(&id).map_or(Tick::MIN, |running| running.as_of)
    }

    /// Whether a dataflow changes with time alone, so that it is complete at a tick only when it
    /// has heard of it.
    pub fn follows_time(&self, id: ObjectId) -> bool {
        self.state.lock().running.get(&id).is_some_and(|running| running.follows_time)
    }

    /// Whether a running dataflow must hear of ticks without a commit.
    pub fn any_follows_time(&self) -> bool {
        self.state.lock().running.values().any(|running| running.follows_time)
    }

    /// Whether a running dataflow is fed with a base collection.
    pub fn reads(&self, collection: ObjectId) -> bool {
        self.state.lock().running.values().any(|running| running.bases.contains(&collection))
    }

    /// The dataflows of objects of the catalog, those that were dropped and still run included.
    pub fn maintained(&self) -> Vec<ObjectId> {
        let state = self.state.lock();
        let ids = state.running.keys().copied();
        ids.filter(|id| !matches!(id, ObjectId::Transient(_))).collect()
    }
}

impl Place {
    fn replicas(&self, replicas: &Replicas) -> Vec<Arc<replicas::Running>> {
        match self {
            Place::Pool(pool) => replicas.of_pool(*pool),
            Place::Replica(running) => running.upgrade().into_iter().collect(),
        }
    }
}

fn send_drop(replicas: &Replicas, place: &Place, dataflow: ObjectId) {
    for running in place.replicas(replicas) {
        running.replica.send(Command::Drop { dataflow });
    }
}

impl State {
    /// The dataflows that end when one is dropped, importers first.
    fn end(&mut self, id: ObjectId) -> Vec<(ObjectId, Place)> {
        let mut ended = Vec::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            if self.running.values().any(|running| running.imports.contains(&id)) {
                self.doomed.insert(id);
                continue;
            }
            self.doomed.remove(&id);
            let Some(running) = self.running.remove(&id) else { continue };
            ended.push((id, running.place));
            let imports = running.imports.into_iter();
            todo.extend(imports.filter(|import| self.doomed.contains(import)));
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exporters_end_after_their_importers() {
        let id = ObjectId::User;
        let mut state = State::default();
        let importing = |imports: &[ObjectId]| Running {
            imports: imports.iter().copied().collect(),
            place: Place::Pool(PoolId::DEFAULT),
            number: 0,
            description: Arc::new(tidemill_optimize::PhysicalDataflow::default().describe(
                id(9),
                Tick::MIN,
                None,
                Vec::new(),
            )),
            bases: BTreeSet::new(),
            moved_by: Arc::default(),
            as_of: Tick::MIN,
            follows_time: false,
        };
        state.running.insert(id(1), importing(&[]));
        state.running.insert(id(2), importing(&[id(1)]));
        state.running.insert(id(3), importing(&[id(2), id(1)]));
        let mut ended = |number| -> Vec<ObjectId> {
            state.end(id(number)).into_iter().map(|(id, _)| id).collect()
        };
        assert_eq!(ended(1), []);
        assert_eq!(ended(2), []);
        assert_eq!(ended(3), [id(3), id(2), id(1)]);
        assert!(state.running.is_empty() && state.doomed.is_empty());
    }
}
