//! Reading a published index, on the reader's own thread.
//!
//! A worker publishes the list of its current batches whenever it changes. An [`IndexReader`]
//! takes the lists of all workers as they are, and merges cursors over them; no message goes to
//! a worker.

use std::ops::Bound;
use std::sync::Arc;

use tidemill_expr::EvalError;
use tidemill_repr::{Diff, ObjectId, Row, RowRef, Tick};

use crate::publish::IndexShared;

/// Reads one index. Cheap to clone.
#[derive(Clone)]
pub struct IndexReader {
    shared: Arc<IndexShared>,
}

impl IndexReader {
    pub(crate) fn new(shared: Arc<IndexShared>) -> IndexReader {
        IndexReader { shared }
    }

    /// The index.
    pub fn id(&self) -> ObjectId {
        self.shared.id()
    }

    /// All ticks below this are complete on all workers.
    pub fn upper(&self) -> Tick {
        todo!()
    }

    /// The first tick that can be read.
    pub fn since(&self) -> Tick {
        todo!()
    }

    /// Waits until the content at `tick` is complete: the upper is greater. An error if the
    /// dataflow failed or was dropped.
    pub async fn wait_for(&self, tick: Tick) -> Result<(), EvalError> {
        todo!()
    }

    /// The rows with this key at `tick`, with their counts. The collection's error at that tick,
    /// if it has one, comes instead.
    pub fn lookup(&self, tick: Tick, key: RowRef<'_>) -> Result<Vec<(Row, Diff)>, EvalError> {
        todo!()
    }

    /// The rows whose keys' bytes lie between the bounds at `tick`, in key order.
    pub fn range(
        &self,
        tick: Tick,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
    ) -> Result<IndexScan, EvalError> {
        todo!()
    }

    /// All rows at `tick`, in key order, merged over the workers.
    pub fn scan(&self, tick: Tick) -> Result<IndexScan, EvalError> {
        self.range(tick, Bound::Unbounded, Bound::Unbounded)
    }
}

/// Rows of an index with their counts, in key order; it holds the batches it reads.
pub struct IndexScan {}

impl Iterator for IndexScan {
    type Item = (Row, Diff);

    fn next(&mut self) -> Option<(Row, Diff)> {
        todo!()
    }
}
