//! What the coordinator tells a replica, and what comes back.
//!
//! Commands are data and are seen by all workers in the same order. What comes back does not
//! travel as messages inside a process: indexes are published ([`crate::IndexReader`]) and
//! subscriptions are channels of [`SubscribeBatch`].
//!
//! The life of a dataflow: `CreateDataflow`; for each of its base imports one or more `Hydrate`
//! with the collection's content at `as_of`, the last one marked; meanwhile and after, `Updates`
//! for each commit (those at ticks up to `as_of` are ignored by it); `AllowCompaction` for its
//! indexes; `Drop`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemill_expr::EvalError;
use tidemill_plan::physical::DataflowDescription;
use tidemill_repr::{Diff, ObjectId, Row, RowBatch, Tick};

/// One order to a replica.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Builds a dataflow.
    CreateDataflow(Arc<DataflowDescription>),
    /// A piece of the content of a base import as of the dataflow's `as_of`.
    Hydrate {
        /// The dataflow that is fed.
        dataflow: ObjectId,
        /// Which of its base imports.
        collection: ObjectId,
        /// Rows of the collection, not necessarily consolidated.
        rows: Arc<RowBatch>,
        /// Errors of the collection at that tick.
        errors: Vec<(EvalError, Diff)>,
        /// Whether this was all of it.
        last: bool,
    },
    /// A commit, for every dataflow that imports one of the collections.
    Updates {
        /// The tick of the commit.
        tick: Tick,
        /// What changed.
        updates: Arc<Vec<(ObjectId, Arc<RowBatch>)>>,
        /// Changes of the collections' errors.
        errors: Arc<Vec<(ObjectId, EvalError, Diff)>>,
    },
    /// What another replica has made of a collection that a dataflow follows.
    Follow {
        /// The dataflow that is fed.
        dataflow: ObjectId,
        /// Which of its imports.
        collection: ObjectId,
        /// The changes: of its content at `as_of`, at first, and at later ticks.
        updates: Arc<Vec<(Row, Tick, Diff)>>,
        /// Changes of its errors.
        errors: Vec<(EvalError, Tick, Diff)>,
        /// All ticks below are complete.
        upper: Tick,
    },
    /// Nobody reads the index at ticks before `since` any more.
    AllowCompaction {
        /// The index.
        index: ObjectId,
        /// The first tick that must stay readable.
        since: Tick,
    },
    /// Ends a dataflow, hydrated or not, and takes its indexes and subscriptions away.
    Drop {
        /// The dataflow.
        dataflow: ObjectId,
    },
}

/// What a subscription gives: all updates at ticks below `upper` that were not given before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeBatch {
    /// All ticks below are complete. [`Tick::MAX`] when the dataflow has ended.
    pub upper: Tick,
    /// The updates, consolidated, in order of tick and row.
    pub updates: Vec<(Row, Tick, Diff)>,
    /// An error the relation has at the end of these ticks.
    pub error: Option<EvalError>,
}
