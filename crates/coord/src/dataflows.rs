//! The dataflows that run, and in which order they may end.
//!
//! A dataflow that imports an arrangement cannot outlive the dataflow that exports it. One that
//! is dropped while others still import from it runs on, out of sight, until they are gone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_compute::Replica;
use tidemill_compute::protocol::Command;
use tidemill_plan::physical::DataflowDescription;
use tidemill_repr::{ObjectId, Tick};

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
}

/// What is known of a running dataflow.
#[derive(Default)]
struct Running {
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
    /// Creates a dataflow.
    pub fn create(&self, replica: &Replica, description: &Arc<DataflowDescription>) {
        let mut state = self.state.lock();
        let imports: BTreeSet<ObjectId> =
            description.index_imports.iter().map(|import| import.index).collect();
        let bases: BTreeSet<ObjectId> =
            description.base_imports.iter().map(|import| import.id).collect();
        let mut moved_by = bases.clone();
        for exporter in imports.iter().filter_map(|import| state.running.get(import)) {
            moved_by.extend(exporter.moved_by.iter().copied());
        }
        let as_of = description.as_of;
        let by_import = |import| state.running.get(import).is_some_and(|other| other.follows_time);
        let follows_time = description.follows_time() || imports.iter().any(by_import);
        let moved_by = Arc::new(moved_by);
        let running = Running { imports, bases, moved_by, as_of, follows_time };
        state.running.insert(description.id, running);
        replica.send(Command::CreateDataflow(Arc::clone(description)));
    }

    /// Ends a dataflow, now or as soon as nobody imports from it.
    pub fn drop(&self, replica: &Replica, id: ObjectId) {
        for ended in self.state.lock().end(id) {
            replica.send(Command::Drop { dataflow: ended });
        }
    }

    /// Lets a dataflow that was dropped and is still imported from go on for itself.
    pub fn keep(&self, id: ObjectId) {
        self.state.lock().doomed.remove(&id);
    }

    /// Whether a dataflow runs.
    pub fn is_running(&self, id: ObjectId) -> bool {
        self.state.lock().running.contains_key(&id)
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

impl State {
    /// The dataflows that end when one is dropped, importers first.
    fn end(&mut self, id: ObjectId) -> Vec<ObjectId> {
        let mut ended = Vec::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            if self.running.values().any(|running| running.imports.contains(&id)) {
                self.doomed.insert(id);
                continue;
            }
            self.doomed.remove(&id);
            let Some(running) = self.running.remove(&id) else { continue };
            ended.push(id);
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
            ..Running::default()
        };
        state.running.insert(id(1), importing(&[]));
        state.running.insert(id(2), importing(&[id(1)]));
        state.running.insert(id(3), importing(&[id(2), id(1)]));
        assert_eq!(state.end(id(1)), []);
        assert_eq!(state.end(id(2)), []);
        assert_eq!(state.end(id(3)), [id(3), id(2), id(1)]);
        assert!(state.running.is_empty() && state.doomed.is_empty());
    }
}
