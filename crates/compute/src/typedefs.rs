//! The one place where differential's generics meet our rows.
//!
//! Everything that is arranged is arranged as (key row, value row, time, diff). A batch keeps
//! its rows in two arenas (keys, values), each one byte vector with offsets:
//!
//! ```text
//! keys    bytes k0 k1 k2 ..   ends of each
//! values  bytes v0 v1 v2 ..   ends of each; the first value of each key
//! updates (time, diff) ..     the first update of each value
//! ```
//!
//! Batches are immutable and lie behind an [`Arc`], so that readers on other threads can hold
//! the same batches as the worker's spine ([`SharedBatch`]).
//!
//! All of it is there for two kinds of time: ticks, and rounds inside recursions ([`Round`]).
//! [`entered`] lets a recursion read arrangements from outside of it.

pub mod entered;

use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::VecCollection;
use differential_dataflow::batcher::merge::MergeBatcher;
use differential_dataflow::batcher::merge::chunker::ContainerChunker;
use differential_dataflow::batcher::merge::vec::VecMerger;
use differential_dataflow::dynamic::pointstamp::PointStamp;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::cursor::{Cursor, Navigable};
use differential_dataflow::trace::implementations::OffsetList;
use differential_dataflow::trace::implementations::containers::BatchContainer;
use differential_dataflow::trace::implementations::ord_neu::{OrdValBatch, OrdValBuilder};
use differential_dataflow::trace::implementations::spine_fueled::{Merger, Spine, SpineBatch};
use tidemill_expr::EvalError;
use tidemill_repr::{Diff, Row, RowRef};
use timely::container::PushInto;
use timely::order::Product;
use timely::progress::frontier::AntichainRef;

use crate::render::accumulation::Accumulation;
use crate::render::time::RenderTime;

/// Ticks inside dataflows.
pub type Time = u64;
/// Times inside recursions: the tick, then the round of each recursion around, the outermost
/// first.
pub type Round = Product<Time, PointStamp<u64>>;
/// A stream of rows.
pub type Rows<'scope, T = Time> = VecCollection<'scope, T, Row, Diff>;
/// A stream of errors.
pub type Errors<'scope, T = Time> = VecCollection<'scope, T, EvalError, Diff>;
/// A stream of (key, value).
pub type KeyedRows<'scope, T = Time> = VecCollection<'scope, T, (Row, Row), Diff>;

/// How rows lie in a batch.
pub type RowLayout<T = Time> = (RowContainer, RowContainer, Vec<T>, Vec<Diff>, OffsetList);
/// A chunk of updates on the way into a batch.
pub type RowChunk<T = Time> = Vec<((Row, Row), T, Diff)>;
/// Builds batches from sorted updates.
pub type RowValBuilder<T = Time> = OrdValBuilder<RowLayout<T>, RowChunk<T>>;
/// Sorts and merges updates until their times are complete.
pub type RowBatcher<T = Time> =
    MergeBatcher<ContainerChunker<RowChunk<T>>, VecMerger<(Row, Row), T, Diff>, RowValBuilder<T>>;
/// The trace of all arrangements of rows.
pub type RowSpine<T = Time> = Spine<SharedBatch<T>>;
/// A handle to such a trace.
pub type RowTrace<T = Time> = TraceAgent<RowSpine<T>>;
/// An arrangement of rows.
pub type RowArranged<'scope, T = Time> = Arranged<'scope, RowTrace<T>>;

/// As [`RowLayout`], with aggregates in the diff.
pub type SumLayout<T> = (RowContainer, RowContainer, Vec<T>, Vec<Accumulation>, OffsetList);
/// As [`RowChunk`].
pub type SumChunk<T> = Vec<((Row, Row), T, Accumulation)>;
/// As [`RowBatcher`].
pub type SumBatcher<T> = MergeBatcher<
    ContainerChunker<SumChunk<T>>,
    VecMerger<(Row, Row), T, Accumulation>,
    OrdValBuilder<SumLayout<T>, SumChunk<T>>,
>;
/// As [`RowSpine`].
pub type SumSpine<T> = Spine<Rc<OrdValBatch<SumLayout<T>>>>;

/// Rows in one arena.
#[derive(Default)]
pub struct RowContainer {
    bytes: Vec<u8>,
    ends: Ends,
}

/// Where each row ends in the arena.
struct Ends(OffsetList);

impl Default for Ends {
    fn default() -> Ends {
        Ends(OffsetList::with_capacity(0))
    }
}

impl RowContainer {
    fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.0.push(self.bytes.len());
    }
}

impl PushInto<Row> for RowContainer {
    fn push_into(&mut self, row: Row) {
        self.push_bytes(row.bytes());
    }
}

impl BatchContainer for RowContainer {
    type Owned = Row;
    type ReadItem<'a> = RowRef<'a>;

    fn into_owned(item: RowRef<'_>) -> Row {
        item.to_owned()
    }

    fn push_ref(&mut self, item: RowRef<'_>) {
        self.push_bytes(item.bytes());
    }

    fn push_own(&mut self, item: &Row) {
        self.push_bytes(item.bytes());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        BatchContainer::clear(&mut self.ends.0);
    }

    fn with_capacity(size: usize) -> RowContainer {
        RowContainer { bytes: Vec::new(), ends: Ends(OffsetList::with_capacity(size)) }
    }

    fn merge_capacity(left: &RowContainer, right: &RowContainer) -> RowContainer {
        RowContainer {
            bytes: Vec::with_capacity(left.bytes.len() + right.bytes.len()),
            ends: Ends(OffsetList::with_capacity(left.ends.0.len() + right.ends.0.len())),
        }
    }

    fn reborrow<'b, 'a: 'b>(item: RowRef<'a>) -> RowRef<'b> {
        item
    }

    fn index(&self, index: usize) -> RowRef<'_> {
        let start = if index == 0 { 0 } else { self.ends.0.index(index - 1) };
        RowRef::from_bytes(&self.bytes[start..self.ends.0.index(index)])
    }

    fn len(&self) -> usize {
        self.ends.0.len()
    }
}

/// A batch that worker and readers share.
pub struct SharedBatch<T: RenderTime = Time>(Arc<OrdValBatch<RowLayout<T>>>);

impl<T: RenderTime> Clone for SharedBatch<T> {
    fn clone(&self) -> SharedBatch<T> {
        SharedBatch(Arc::clone(&self.0))
    }
}

impl<T: RenderTime> SharedBatch<T> {
    /// How many updates it holds.
    pub fn updates(&self) -> usize {
        self.0.updates
    }
}

impl<T: RenderTime> From<OrdValBatch<RowLayout<T>>> for SharedBatch<T> {
    fn from(batch: OrdValBatch<RowLayout<T>>) -> SharedBatch<T> {
        SharedBatch(Arc::new(batch))
    }
}

type Inner<T> = <OrdValBatch<RowLayout<T>> as Navigable>::Cursor;

impl<T: RenderTime> SpineBatch for SharedBatch<T> {
    type Time = T;
    type Merger = SharedMerger<T>;

    fn len(&self) -> usize {
        SpineBatch::len(&*self.0)
    }
}

/// Merges two shared batches into a new one.
pub struct SharedMerger<T: RenderTime>(<OrdValBatch<RowLayout<T>> as SpineBatch>::Merger);

impl<T: RenderTime> Merger<SharedBatch<T>> for SharedMerger<T> {
    fn new(
        left: &SharedBatch<T>,
        right: &SharedBatch<T>,
        frontier: AntichainRef<T>,
    ) -> SharedMerger<T> {
        SharedMerger(Merger::new(&*left.0, &*right.0, frontier))
    }

    fn work(&mut self, left: &SharedBatch<T>, right: &SharedBatch<T>, fuel: &mut isize) {
        self.0.work(&left.0, &right.0, fuel);
    }

    fn done(self) -> Option<SharedBatch<T>> {
        self.0.done().map(SharedBatch::from)
    }
}

impl<T: RenderTime> Navigable for SharedBatch<T> {
    type Cursor = SharedCursor<T>;

    fn cursor(&self) -> SharedCursor<T> {
        SharedCursor(self.0.cursor())
    }
}

/// A position in a shared batch.
pub struct SharedCursor<T: RenderTime = Time>(Inner<T>);

impl<T: RenderTime> Cursor for SharedCursor<T> {
    type Storage = SharedBatch<T>;
    type Key<'a> = RowRef<'a>;
    type ValOwn = Row;
    type Val<'a> = RowRef<'a>;
    type Time = T;
    type TimeGat<'a> = &'a T;
    type Diff = Diff;
    type DiffGat<'a> = &'a Diff;
    type KeyContainer = RowContainer;
    type ValContainer = RowContainer;
    type TimeContainer = Vec<T>;
    type DiffContainer = Vec<Diff>;

    fn key_valid(&self, storage: &SharedBatch<T>) -> bool {
        self.0.key_valid(&storage.0)
    }

    fn val_valid(&self, storage: &SharedBatch<T>) -> bool {
        self.0.val_valid(&storage.0)
    }

    fn key<'a>(&self, storage: &'a SharedBatch<T>) -> RowRef<'a> {
        self.0.key(&storage.0)
    }

    fn val<'a>(&self, storage: &'a SharedBatch<T>) -> RowRef<'a> {
        self.0.val(&storage.0)
    }

    fn get_key<'a>(&self, storage: &'a SharedBatch<T>) -> Option<RowRef<'a>> {
        self.0.get_key(&storage.0)
    }

    fn get_val<'a>(&self, storage: &'a SharedBatch<T>) -> Option<RowRef<'a>> {
        self.0.get_val(&storage.0)
    }

    fn map_times<L: FnMut(&T, &Diff)>(&mut self, storage: &SharedBatch<T>, logic: L) {
        self.0.map_times(&storage.0, logic);
    }

    fn step_key(&mut self, storage: &SharedBatch<T>) {
        self.0.step_key(&storage.0);
    }

    fn seek_key(&mut self, storage: &SharedBatch<T>, key: RowRef<'_>) {
        self.0.seek_key(&storage.0, key);
    }

    fn step_val(&mut self, storage: &SharedBatch<T>) {
        self.0.step_val(&storage.0);
    }

    fn seek_val(&mut self, storage: &SharedBatch<T>, val: RowRef<'_>) {
        self.0.seek_val(&storage.0, val);
    }

    fn rewind_keys(&mut self, storage: &SharedBatch<T>) {
        self.0.rewind_keys(&storage.0);
    }

    fn rewind_vals(&mut self, storage: &SharedBatch<T>) {
        self.0.rewind_vals(&storage.0);
    }
}
