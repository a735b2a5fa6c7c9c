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

use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::VecCollection;
use differential_dataflow::batcher::merge::MergeBatcher;
use differential_dataflow::batcher::merge::chunker::ContainerChunker;
use differential_dataflow::batcher::merge::vec::VecMerger;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::cursor::{Cursor, Navigable};
use differential_dataflow::trace::implementations::OffsetList;
use differential_dataflow::trace::implementations::containers::BatchContainer;
use differential_dataflow::trace::implementations::ord_neu::{OrdValBatch, OrdValBuilder};
use differential_dataflow::trace::implementations::spine_fueled::{Merger, Spine, SpineBatch};
use tidemill_expr::EvalError;
use tidemill_repr::{Diff, Row, RowRef};
use timely::container::PushInto;
use timely::progress::frontier::AntichainRef;

use crate::render::accumulation::Accumulation;

/// Ticks inside dataflows.
pub type Time = u64;
/// A stream of rows.
pub type Rows<'scope> = VecCollection<'scope, Time, Row, Diff>;
/// A stream of errors.
pub type Errors<'scope> = VecCollection<'scope, Time, EvalError, Diff>;
/// A stream of (key, value).
pub type KeyedRows<'scope> = VecCollection<'scope, Time, (Row, Row), Diff>;

/// How rows lie in a batch.
pub type RowLayout = (RowContainer, RowContainer, Vec<Time>, Vec<Diff>, OffsetList);
/// A chunk of updates on the way into a batch.
pub type RowChunk = Vec<((Row, Row), Time, Diff)>;
/// Builds batches from sorted updates.
pub type RowValBuilder = OrdValBuilder<RowLayout, RowChunk>;
/// Sorts and merges updates until their times are complete.
pub type RowBatcher =
    MergeBatcher<ContainerChunker<RowChunk>, VecMerger<(Row, Row), Time, Diff>, RowValBuilder>;
/// The trace of all arrangements of rows.
pub type RowSpine = Spine<SharedBatch>;
/// A handle to such a trace.
pub type RowTrace = TraceAgent<RowSpine>;
/// An arrangement of rows.
pub type RowArranged<'scope> = Arranged<'scope, RowTrace>;

/// As [`RowLayout`], with aggregates in the diff.
pub type SumLayout = (RowContainer, RowContainer, Vec<Time>, Vec<Accumulation>, OffsetList);
/// As [`RowChunk`].
pub type SumChunk = Vec<((Row, Row), Time, Accumulation)>;
/// As [`RowBatcher`].
pub type SumBatcher = MergeBatcher<
    ContainerChunker<SumChunk>,
    VecMerger<(Row, Row), Time, Accumulation>,
    OrdValBuilder<SumLayout, SumChunk>,
>;
/// As [`RowSpine`].
pub type SumSpine = Spine<Rc<OrdValBatch<SumLayout>>>;

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
#[derive(Clone)]
pub struct SharedBatch(Arc<OrdValBatch<RowLayout>>);

impl SharedBatch {
    /// How many updates it holds.
    pub fn updates(&self) -> usize {
        self.0.updates
    }
}

impl From<OrdValBatch<RowLayout>> for SharedBatch {
    fn from(batch: OrdValBatch<RowLayout>) -> SharedBatch {
        SharedBatch(Arc::new(batch))
    }
}

type Inner = <OrdValBatch<RowLayout> as Navigable>::Cursor;

impl SpineBatch for SharedBatch {
    type Time = Time;
    type Merger = SharedMerger;

    fn len(&self) -> usize {
        SpineBatch::len(&*self.0)
    }
}

/// Merges two shared batches into a new one.
pub struct SharedMerger(<OrdValBatch<RowLayout> as SpineBatch>::Merger);

impl Merger<SharedBatch> for SharedMerger {
    fn new(left: &SharedBatch, right: &SharedBatch, frontier: AntichainRef<Time>) -> SharedMerger {
        SharedMerger(Merger::new(&*left.0, &*right.0, frontier))
    }

    fn work(&mut self, left: &SharedBatch, right: &SharedBatch, fuel: &mut isize) {
        self.0.work(&left.0, &right.0, fuel);
    }

    fn done(self) -> Option<SharedBatch> {
        self.0.done().map(SharedBatch::from)
    }
}

impl Navigable for SharedBatch {
    type Cursor = SharedCursor;

    fn cursor(&self) -> SharedCursor {
        SharedCursor(self.0.cursor())
    }
}

/// A position in a shared batch.
pub struct SharedCursor(Inner);

impl Cursor for SharedCursor {
    type Storage = SharedBatch;
    type Key<'a> = RowRef<'a>;
    type ValOwn = Row;
    type Val<'a> = RowRef<'a>;
    type Time = Time;
    type TimeGat<'a> = &'a Time;
    type Diff = Diff;
    type DiffGat<'a> = &'a Diff;
    type KeyContainer = RowContainer;
    type ValContainer = RowContainer;
    type TimeContainer = Vec<Time>;
    type DiffContainer = Vec<Diff>;

    fn key_valid(&self, storage: &SharedBatch) -> bool {
        self.0.key_valid(&storage.0)
    }

    fn val_valid(&self, storage: &SharedBatch) -> bool {
        self.0.val_valid(&storage.0)
    }

    fn key<'a>(&self, storage: &'a SharedBatch) -> RowRef<'a> {
        self.0.key(&storage.0)
    }

    fn val<'a>(&self, storage: &'a SharedBatch) -> RowRef<'a> {
        self.0.val(&storage.0)
    }

    fn get_key<'a>(&self, storage: &'a SharedBatch) -> Option<RowRef<'a>> {
        self.0.get_key(&storage.0)
    }

    fn get_val<'a>(&self, storage: &'a SharedBatch) -> Option<RowRef<'a>> {
        self.0.get_val(&storage.0)
    }

    fn map_times<L: FnMut(&Time, &Diff)>(&mut self, storage: &SharedBatch, logic: L) {
        self.0.map_times(&storage.0, logic);
    }

    fn step_key(&mut self, storage: &SharedBatch) {
        self.0.step_key(&storage.0);
    }

    fn seek_key(&mut self, storage: &SharedBatch, key: RowRef<'_>) {
        self.0.seek_key(&storage.0, key);
    }

    fn step_val(&mut self, storage: &SharedBatch) {
        self.0.step_val(&storage.0);
    }

    fn seek_val(&mut self, storage: &SharedBatch, val: RowRef<'_>) {
        self.0.seek_val(&storage.0, val);
    }

    fn rewind_keys(&mut self, storage: &SharedBatch) {
        self.0.rewind_keys(&storage.0);
    }

    fn rewind_vals(&mut self, storage: &SharedBatch) {
        self.0.rewind_vals(&storage.0);
    }
}
