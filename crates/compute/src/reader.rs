//! Reading a published index, on the reader's own thread.
//!
//! A worker publishes the list of its current batches whenever it changes. An [`IndexReader`]
//! takes the lists of all workers as they are, and merges cursors over them; no message goes to
//! a worker.

mod backward;

use std::ops::Bound;
use std::sync::Arc;

use differential_dataflow::trace::cursor::{Cursor, CursorList, cursor_list};
use tidemill_expr::EvalError;
use tidemill_repr::{Diff, ObjectId, Row, RowRef, SqlState, Tick};

use crate::publish::IndexShared;
use crate::render::errors::decode_error;
use crate::typedefs::{SharedBatch, SharedCursor};

pub use backward::BackwardScan;

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

    /// The first tick of its dataflow: nothing is there before it is complete.
    pub fn as_of(&self) -> Tick {
        self.shared.as_of()
    }

    /// Whether the content at the first tick is there.
    pub fn is_hydrated(&self) -> bool {
        self.upper() > self.as_of()
    }

    /// Whether both read the same arrangement, and not one that took the place of another.
    pub fn is_same(&self, other: &IndexReader) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// All ticks below this are complete on all workers.
    pub fn upper(&self) -> Tick {
        self.shared.progress().upper
    }

    /// The first tick that can be read.
    pub fn since(&self) -> Tick {
        self.shared.snapshot().map(|list| list.since).max().unwrap_or(Tick::MIN)
    }

    /// How many updates the published batches hold: a measure of the memory they take.
    pub fn update_count(&self) -> usize {
        let count =
            |batches: &[SharedBatch]| batches.iter().map(SharedBatch::updates).sum::<usize>();
        self.shared.snapshot().map(|list| count(&list.rows) + count(&list.errors)).sum()
    }

    /// Waits until the content at `tick` is complete: the upper is greater. An error if the
    /// dataflow failed or was dropped.
    pub async fn wait_for(&self, tick: Tick) -> Result<(), EvalError> {
        let mut progress = self.shared.subscribe();
        let reached = progress
            .wait_for(|progress| progress.upper > tick || progress.ended.is_some())
            .await
            .map_err(|_| gone())?;
        reached.ended.clone().map_or(Ok(()), Err)
    }

    /// The rows with this key at `tick`, with their counts. The collection's error at that tick,
    /// if it has one, comes instead.
    pub fn lookup(&self, tick: Tick, key: RowRef<'_>) -> Result<Vec<(Row, Diff)>, EvalError> {
        let (mut cursor, storage) = cursor_list(self.batches(tick)?);
        cursor.seek_key(&storage, key);
        let mut rows = Vec::new();
        if cursor.get_key(&storage) == Some(key) {
            while let Some(value) = cursor.get_val(&storage) {
                let count = count_at(&mut cursor, &storage, tick);
                if count != 0 {
                    rows.push((value.to_owned(), count));
                }
                cursor.step_val(&storage);
            }
        }
        Ok(rows)
    }

    /// The rows whose keys' bytes lie between the bounds at `tick`, in key order.
    pub fn range(
        &self,
        tick: Tick,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
    ) -> Result<IndexScan, EvalError> {
        let (mut cursor, storage) = cursor_list(self.batches(tick)?);
        match lower {
            Bound::Unbounded => {}
            Bound::Included(bytes) => cursor.seek_key(&storage, RowRef::from_bytes(bytes)),
            Bound::Excluded(bytes) => {
                let key = RowRef::from_bytes(bytes);
                cursor.seek_key(&storage, key);
                if cursor.get_key(&storage) == Some(key) {
                    cursor.step_key(&storage);
                }
            }
        }
        Ok(IndexScan { cursor, storage, tick, upper: upper.map(<[u8]>::to_vec) })
    }

    /// The same from the last key to the first.
    pub fn range_backward(
        &self,
        tick: Tick,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
    ) -> Result<BackwardScan, EvalError> {
        let (cursor, storage) = cursor_list(self.batches(tick)?);
        Ok(BackwardScan::new((cursor, storage), tick, lower, upper))
    }

    /// The rows whose keys' bytes start with `prefix`, such as the first columns of the key.
    pub fn prefix(&self, tick: Tick, prefix: &[u8]) -> Result<IndexScan, EvalError> {
        match successor(prefix) {
            Some(end) => self.range(tick, Bound::Included(prefix), Bound::Excluded(&end)),
            None => self.range(tick, Bound::Included(prefix), Bound::Unbounded),
        }
    }

    /// All rows at `tick`, in key order, merged over the workers.
    pub fn scan(&self, tick: Tick) -> Result<IndexScan, EvalError> {
        self.range(tick, Bound::Unbounded, Bound::Unbounded)
    }

    /// The batches of rows of all workers, if the collection has no error at the tick.
    fn batches(&self, tick: Tick) -> Result<Vec<SharedBatch>, EvalError> {
        let mut rows = Vec::new();
        let mut errors = Vec::new();
        for list in self.shared.snapshot() {
            if tick < list.since {
                let message = format!(
                    "tick {tick} cannot be read any more: history starts at {}",
                    list.since
                );
                return Err(EvalError::invalid(SqlState::INTERNAL_ERROR, message));
            }
            rows.extend_from_slice(&list.rows);
            errors.extend_from_slice(&list.errors);
        }
        // Asked after the lists were taken: if it has not ended now, they were whole.
        if let Some(why) = self.shared.progress().ended {
            return Err(why);
        }
        first_error(errors, tick).map_or(Ok(rows), Err)
    }
}

/// Rows of an index with their counts, in key order; it holds the batches it reads.
pub struct IndexScan {
    cursor: CursorList<SharedCursor>,
    storage: Vec<SharedBatch>,
    tick: Tick,
    upper: Bound<Vec<u8>>,
}

impl Iterator for IndexScan {
    type Item = (Row, Diff);

    fn next(&mut self) -> Option<(Row, Diff)> {
        while let Some(key) = self.cursor.get_key(&self.storage) {
            let inside = match &self.upper {
                Bound::Unbounded => true,
                Bound::Included(upper) => key.bytes() <= &upper[..],
                Bound::Excluded(upper) => key.bytes() < &upper[..],
            };
            if !inside {
                return None;
            }
            while let Some(value) = self.cursor.get_val(&self.storage) {
                let count = count_at(&mut self.cursor, &self.storage, self.tick);
                let row = (count != 0).then(|| value.to_owned());
                self.cursor.step_val(&self.storage);
                if let Some(row) = row {
                    return Some((row, count));
                }
            }
            self.cursor.step_key(&self.storage);
        }
        None
    }
}

fn count_at(cursor: &mut CursorList<SharedCursor>, storage: &Vec<SharedBatch>, tick: Tick) -> Diff {
    let mut count = 0;
    cursor.map_times(storage, |time, diff| {
        if *time <= tick.0 {
            count += diff;
        }
    });
    count
}

fn first_error(batches: Vec<SharedBatch>, tick: Tick) -> Option<EvalError> {
    if batches.is_empty() {
        return None;
    }
    let (mut cursor, storage) = cursor_list(batches);
    while let Some(key) = cursor.get_key(&storage) {
        if count_at(&mut cursor, &storage, tick) != 0 {
            return Some(decode_error(key));
        }
        cursor.step_key(&storage);
    }
    None
}

/// The least byte string above all that start with `prefix`, if there is one.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=keep].to_vec();
    end[keep] += 1;
    Some(end)
}

fn gone() -> EvalError {
    EvalError::invalid(SqlState::INTERNAL_ERROR, "the index was dropped")
}
