//! Arrangements that a recursion reads: its own, and those from around it, whose times enter
//! with round 0 of it.

use differential_dataflow::trace::cursor::{Cursor, Navigable};
use differential_dataflow::trace::wrappers::enter::enter_description;
use differential_dataflow::trace::{Span, TraceReader};
use tidemill_repr::{Diff, Row, RowRef};
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use crate::render::time::RenderTime;
use crate::typedefs::{RowContainer, RowTrace, SharedBatch, SharedCursor, Time};

/// A batch from here or from around.
#[derive(Clone)]
pub enum AnyBatch<T: RenderTime> {
    /// Made here.
    Own(SharedBatch<T>),
    /// Made outside of the recursion.
    Entered(SharedBatch<Time>),
}

/// A batch as part of a trace.
pub type AnySpan<T> = Span<T, AnyBatch<T>>;

/// A span that was made here.
pub fn own_span<T: RenderTime>(span: Span<T, SharedBatch<T>>) -> AnySpan<T> {
    Span::new(span.desc, span.inner.map(AnyBatch::Own))
}

/// A span from around.
pub fn entered_span<T: RenderTime>(span: Span<Time, SharedBatch>) -> AnySpan<T> {
    Span::new(enter_description(&span.desc), span.inner.map(AnyBatch::Entered))
}

/// A trace from here or from around.
#[derive(Clone)]
pub struct AnyTrace<T: RenderTime> {
    trace: Either<T>,
    outer: Antichain<Time>,
    inner: Antichain<T>,
}

#[derive(Clone)]
enum Either<T: RenderTime> {
    Own(RowTrace<T>),
    Entered(RowTrace<Time>),
}

impl<T: RenderTime> AnyTrace<T> {
    /// A trace that is made here.
    pub fn own(trace: RowTrace<T>) -> AnyTrace<T> {
        AnyTrace { trace: Either::Own(trace), outer: Antichain::new(), inner: Antichain::new() }
    }

    /// A trace from around.
    pub fn entered(trace: RowTrace<Time>) -> AnyTrace<T> {
        AnyTrace { trace: Either::Entered(trace), outer: Antichain::new(), inner: Antichain::new() }
    }
}

fn leave_frontier<T: RenderTime>(frontier: AntichainRef<'_, T>, outer: &mut Antichain<Time>) {
    outer.clear();
    outer.extend(frontier.iter().map(RenderTime::tick));
}

fn enter_frontier<T: RenderTime>(frontier: AntichainRef<'_, Time>, inner: &mut Antichain<T>) {
    inner.clear();
    inner.extend(frontier.iter().map(|tick| T::at_tick(*tick)));
}

impl<T: RenderTime> TraceReader for AnyTrace<T> {
    type Time = T;
    type Batch = AnyBatch<T>;

    fn map_spans<F: FnMut(&AnySpan<T>)>(&self, mut logic: F) {
        match &self.trace {
            Either::Own(trace) => trace.map_spans(|span| logic(&own_span(span.clone()))),
            Either::Entered(trace) => trace.map_spans(|span| logic(&entered_span(span.clone()))),
        }
    }

    fn set_logical_compaction(&mut self, frontier: AntichainRef<'_, T>) {
        match &mut self.trace {
            Either::Own(trace) => trace.set_logical_compaction(frontier),
            Either::Entered(trace) => {
                leave_frontier(frontier, &mut self.outer);
                trace.set_logical_compaction(self.outer.borrow());
            }
        }
    }

    fn get_logical_compaction(&mut self) -> AntichainRef<'_, T> {
        match &mut self.trace {
            Either::Own(trace) => trace.get_logical_compaction(),
            Either::Entered(trace) => {
                enter_frontier(trace.get_logical_compaction(), &mut self.inner);
                self.inner.borrow()
            }
        }
    }

    fn set_physical_compaction(&mut self, frontier: AntichainRef<'_, T>) {
        match &mut self.trace {
            Either::Own(trace) => trace.set_physical_compaction(frontier),
            Either::Entered(trace) => {
                leave_frontier(frontier, &mut self.outer);
                trace.set_physical_compaction(self.outer.borrow());
            }
        }
    }

    fn get_physical_compaction(&mut self) -> AntichainRef<'_, T> {
        match &mut self.trace {
            Either::Own(trace) => trace.get_physical_compaction(),
            Either::Entered(trace) => {
                enter_frontier(trace.get_physical_compaction(), &mut self.inner);
                self.inner.borrow()
            }
        }
    }

    fn spans_through(&mut self, upper: AntichainRef<'_, T>) -> Option<Vec<AnySpan<T>>> {
        match &mut self.trace {
            Either::Own(trace) => {
                Some(trace.spans_through(upper)?.into_iter().map(own_span).collect())
            }
            Either::Entered(trace) => {
                leave_frontier(upper, &mut self.outer);
                let spans = trace.spans_through(self.outer.borrow())?;
                Some(spans.into_iter().map(entered_span).collect())
            }
        }
    }
}

impl<T: RenderTime> Navigable for AnyBatch<T> {
    type Cursor = AnyCursor<T>;

    fn cursor(&self) -> AnyCursor<T> {
        match self {
            AnyBatch::Own(batch) => AnyCursor::Own(batch.cursor()),
            AnyBatch::Entered(batch) => AnyCursor::Entered(batch.cursor()),
        }
    }
}

/// A position in a batch.
pub enum AnyCursor<T: RenderTime> {
    /// In one that was made here.
    Own(SharedCursor<T>),
    /// In one from around.
    Entered(SharedCursor<Time>),
}

/// Does the same with either kind; a cursor is only ever used with the batch it is of.
macro_rules! either {
    ($cursor:expr, $storage:expr, $inner:ident, $batch:ident => $work:expr) => {
        match ($cursor, $storage) {
            (AnyCursor::Own($inner), AnyBatch::Own($batch)) => $work,
            (AnyCursor::Entered($inner), AnyBatch::Entered($batch)) => $work,
            _ => unreachable!("a cursor is used with its own batch"),
        }
    };
}

impl<T: RenderTime> Cursor for AnyCursor<T> {
    type Storage = AnyBatch<T>;
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

    fn key_valid(&self, storage: &AnyBatch<T>) -> bool {
        either!(self, storage, cursor, batch => cursor.key_valid(batch))
    }

    fn val_valid(&self, storage: &AnyBatch<T>) -> bool {
        either!(self, storage, cursor, batch => cursor.val_valid(batch))
    }

    fn key<'a>(&self, storage: &'a AnyBatch<T>) -> RowRef<'a> {
        either!(self, storage, cursor, batch => cursor.key(batch))
    }

    fn val<'a>(&self, storage: &'a AnyBatch<T>) -> RowRef<'a> {
        either!(self, storage, cursor, batch => cursor.val(batch))
    }

    fn get_key<'a>(&self, storage: &'a AnyBatch<T>) -> Option<RowRef<'a>> {
        either!(self, storage, cursor, batch => cursor.get_key(batch))
    }

    fn get_val<'a>(&self, storage: &'a AnyBatch<T>) -> Option<RowRef<'a>> {
        either!(self, storage, cursor, batch => cursor.get_val(batch))
    }

    fn map_times<L: FnMut(&T, &Diff)>(&mut self, storage: &AnyBatch<T>, mut logic: L) {
        match (self, storage) {
            (AnyCursor::Own(cursor), AnyBatch::Own(batch)) => cursor.map_times(batch, logic),
            (AnyCursor::Entered(cursor), AnyBatch::Entered(batch)) => {
                cursor.map_times(batch, |tick, diff| logic(&T::at_tick(*tick), diff));
            }
            _ => unreachable!("a cursor is used with its own batch"),
        }
    }

    fn step_key(&mut self, storage: &AnyBatch<T>) {
        either!(self, storage, cursor, batch => cursor.step_key(batch));
    }

    fn seek_key(&mut self, storage: &AnyBatch<T>, key: RowRef<'_>) {
        either!(self, storage, cursor, batch => cursor.seek_key(batch, key));
    }

    fn step_val(&mut self, storage: &AnyBatch<T>) {
        either!(self, storage, cursor, batch => cursor.step_val(batch));
    }

    fn seek_val(&mut self, storage: &AnyBatch<T>, val: RowRef<'_>) {
        either!(self, storage, cursor, batch => cursor.seek_val(batch, val));
    }

    fn rewind_keys(&mut self, storage: &AnyBatch<T>) {
        either!(self, storage, cursor, batch => cursor.rewind_keys(batch));
    }

    fn rewind_vals(&mut self, storage: &AnyBatch<T>) {
        either!(self, storage, cursor, batch => cursor.rewind_vals(batch));
    }
}
