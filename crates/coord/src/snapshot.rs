//! What sessions see without asking anybody: the state after a commit, swapped whole.

use std::sync::Arc;

use imbl::{HashMap, HashSet};
use tidemill_catalog::Catalog;
use tidemill_expr::EvalError;
use tidemill_repr::{ObjectId, Tick};

/// The state after the commit of `tick`.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The last tick given.
    pub tick: Tick,
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// The tick at which the catalog last changed; plans made for another one are old.
    pub catalog_tick: Tick,
    /// The tick at which each base collection last changed.
    pub last_change: HashMap<ObjectId, Tick>,
    /// Tables that cannot be followed any further, since when and why.
    pub table_errors: HashMap<ObjectId, (Tick, EvalError)>,
    /// Tables that were repaired: from when to when they had which error, the last time.
    pub repaired: HashMap<ObjectId, (Tick, Tick, EvalError)>,
    /// The number of the last RESYNC that was done, of tables that had one.
    pub resynced: HashMap<ObjectId, u32>,
    /// Tables that wait for their first content.
    pub hydrating: HashSet<ObjectId>,
    /// When tables got their first content, since the server started.
    pub hydrated: HashMap<ObjectId, Tick>,
}

impl Snapshot {
    /// The error that a table has at a tick.
    pub fn table_error_at(&self, table: ObjectId, at: Tick) -> Option<&EvalError> {
        if let Some((since, error)) = self.table_errors.get(&table)
            && *since <= at
        {
            return Some(error);
        }
        let (since, until, error) = self.repaired.get(&table)?;
        (*since <= at && at < *until).then_some(error)
    }

    /// The first tick at which none of these tables is without content any more, as far as they
    /// are not hydrating still.
    pub fn settled(&self, collections: impl IntoIterator<Item = ObjectId>) -> Tick {
        let settled = |id| {
            let failed = self.table_errors.get(&id).map(|(tick, _)| *tick);
            self.hydrated.get(&id).copied().max(failed)
        };
        collections.into_iter().filter_map(settled).max().unwrap_or(Tick::MIN)
    }

    /// The last tick, not after `tick`, that an index over these base collections must have
    /// complete so that its published content is the content at `tick`.
    pub fn must_be_complete(
        &self,
        tick: Tick,
        collections: impl IntoIterator<Item = ObjectId>,
    ) -> Tick {
        let last = collections
            .into_iter()
            .filter_map(|id| self.last_change.get(&id).copied())
            .max()
            .unwrap_or(Tick::MIN);
        last.min(tick)
    }
}
