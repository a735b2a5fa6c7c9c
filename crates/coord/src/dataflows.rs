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
use tidemill_repr::ObjectId;

/// The running dataflows.
#[derive(Default)]
pub struct Dataflows {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The dataflows that each running one imports from.
    imports: HashMap<ObjectId, BTreeSet<ObjectId>>,
    /// Dropped, and still imported from.
    doomed: BTreeSet<ObjectId>,
}

impl Dataflows {
    /// Creates a dataflow.
    pub fn create(&self, replica: &Replica, description: &Arc<DataflowDescription>) {
        let mut state = self.state.lock();
        let imports = description.index_imports.iter().map(|import| import.index).collect();
        state.imports.insert(description.id, imports);
        replica.send(Command::CreateDataflow(Arc::clone(description)));
    }

    /// Ends a dataflow, now or as soon as nobody imports from it.
    pub fn drop(&self, replica: &Replica, id: ObjectId) {
        for ended in self.state.lock().end(id) {
            replica.send(Command::Drop { dataflow: ended });
        }
    }
}

impl State {
    /// The dataflows that end when one is dropped, importers first.
    fn end(&mut self, id: ObjectId) -> Vec<ObjectId> {
        let mut ended = Vec::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            if self.imports.values().any(|imports| imports.contains(&id)) {
                self.doomed.insert(id);
                continue;
            }
            self.doomed.remove(&id);
            let Some(imports) = self.imports.remove(&id) else { continue };
            ended.push(id);
            todo.extend(imports.into_iter().filter(|import| self.doomed.contains(import)));
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
        state.imports.insert(id(1), BTreeSet::new());
        state.imports.insert(id(2), [id(1)].into());
        state.imports.insert(id(3), [id(2), id(1)].into());
        assert_eq!(state.end(id(1)), []);
        assert_eq!(state.end(id(2)), []);
        assert_eq!(state.end(id(3)), [id(3), id(2), id(1)]);
        assert!(state.imports.is_empty() && state.doomed.is_empty());
    }
}
