//! A running dataflow as its worker sees it: inputs to feed, indexes to publish.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use differential_dataflow::input::InputSession;
use differential_dataflow::operators::arrange::ShutdownButton;
use differential_dataflow::trace::TraceReader;
use tidemill_expr::EvalError;
use tidemill_repr::{Diff, ObjectId, Row, RowBatch, Tick};
use timely::dataflow::operators::CapabilitySet;
use timely::progress::frontier::AntichainRef;
use tokio::sync::mpsc::WeakUnboundedSender;

use crate::protocol::SubscribeBatch;
use crate::publish::{IndexShared, Published};
use crate::typedefs::{RowTrace, SharedBatch, Time};
use crate::worker::trace_upper;

/// A running dataflow.
pub struct Dataflow {
    /// Its name in commands.
    pub id: ObjectId,
    /// Timely's name for it.
    pub timely_index: usize,
    /// The first tick of it.
    pub as_of: Tick,
    /// Where its inputs are wanted.
    pub target: Time,
    /// Its base imports.
    pub inputs: BTreeMap<ObjectId, BaseInput>,
    /// Indexes it exports.
    pub indexes: Vec<ObjectId>,
    /// Its subscribers, to be told of a failure.
    pub subscribers: Vec<WeakUnboundedSender<SubscribeBatch>>,
    /// Base collections it depends on, directly or through imports.
    pub bases: BTreeSet<ObjectId>,
    /// Whether it changes while no input does: it hears of every tick.
    pub follows_time: bool,
    /// Dataflows it imports from, directly or not.
    pub upstream: BTreeSet<ObjectId>,
    /// Ends its imports.
    pub imports: Vec<ShutdownButton<CapabilitySet<Time>>>,
}

/// The input of a base collection.
pub struct BaseInput {
    /// Its rows.
    pub rows: InputSession<Time, Row, Diff>,
    /// Its errors.
    pub errors: InputSession<Time, EvalError, Diff>,
    /// Whether its content at `as_of` is there, so that its time may move.
    pub hydrated: bool,
    /// Of a collection that another replica maintains: how far it is complete there.
    pub followed: Option<Time>,
}

impl Dataflow {
    /// Takes a piece of a collection's content at `as_of`; this worker's share of it.
    pub fn hydrate(
        &mut self,
        collection: ObjectId,
        rows: &RowBatch,
        errors: &[(EvalError, Diff)],
        last: bool,
        (index, peers): (usize, usize),
    ) {
        let as_of = self.as_of.0;
        let Some(input) = self.inputs.get_mut(&collection) else { return };
        if input.hydrated {
            tracing::error!(%collection, "content after the end of the content");
            return;
        }
        for (row, diff) in rows.iter().skip(index).step_by(peers) {
            input.rows.update_at(row.to_owned(), as_of, diff);
        }
        for (error, diff) in errors.iter().skip(index).step_by(peers) {
            input.errors.update_at(error.clone(), as_of, *diff);
        }
        input.hydrated = last;
    }

    /// Takes this worker's share of what another replica has made.
    pub fn follow(
        &mut self,
        collection: ObjectId,
        updates: &[(Row, Tick, Diff)],
        errors: &[(EvalError, Tick, Diff)],
        upper: Tick,
        (index, peers): (usize, usize),
    ) {
        let as_of = self.as_of.0;
        let Some(input) = self.inputs.get_mut(&collection) else { return };
        let least = *input.rows.time();
        for (row, tick, diff) in updates.iter().skip(index).step_by(peers) {
            input.rows.update_at(row.clone(), tick.0.max(least), *diff);
        }
        for (error, tick, diff) in errors.iter().skip(index).step_by(peers) {
            input.errors.update_at(error.clone(), tick.0.max(least), *diff);
        }
        input.hydrated = upper.0 > as_of;
        input.followed = input.followed.max(Some(upper.0));
    }

    /// Takes this worker's share of a commit.
    pub fn update(
        &mut self,
        tick: Tick,
        updates: &[(ObjectId, Arc<RowBatch>)],
        errors: &[(ObjectId, EvalError, Diff)],
        (index, peers): (usize, usize),
    ) {
        for (collection, rows) in updates {
            let Some(input) = self.inputs.get_mut(collection) else { continue };
            if *input.rows.time() > tick.0 {
                tracing::error!(%collection, %tick, "an update at a tick that is complete");
                continue;
            }
            for (row, diff) in rows.iter().skip(index).step_by(peers) {
                input.rows.update_at(row.to_owned(), tick.0, diff);
            }
        }
        for (position, (collection, error, diff)) in errors.iter().enumerate() {
            let Some(input) = self.inputs.get_mut(collection) else { continue };
            if position % peers == index && *input.errors.time() <= tick.0 {
                input.errors.update_at(error.clone(), tick.0, *diff);
            }
        }
    }

    /// Moves the inputs that are hydrated to the target, and sends what was fed.
    pub fn advance(&mut self) {
        for input in self.inputs.values_mut() {
            let target = input.followed.unwrap_or(self.target);
            if input.hydrated && *input.rows.time() < target {
                input.rows.advance_to(target);
                input.errors.advance_to(target);
            }
            input.rows.flush();
            input.errors.flush();
        }
    }

    /// Tells the subscribers that it has ended in failure.
    pub fn fail(&self, error: EvalError) {
        for sender in self.subscribers.iter().filter_map(WeakUnboundedSender::upgrade) {
            let error = Some(error.clone());
            let batch = SubscribeBatch { upper: Tick::MIN, updates: Vec::new(), error };
            // Without a listener nobody has to know.
            let _ = sender.send(batch);
        }
    }
}

impl Drop for Dataflow {
    fn drop(&mut self) {
        for import in &mut self.imports {
            import.press();
        }
    }
}

/// The traces of an index.
pub struct ExportedIndex {
    /// The dataflow that maintains it.
    pub dataflow: ObjectId,
    /// Rows by key.
    pub rows: RowTrace,
    /// Encoded errors.
    pub errors: RowTrace,
    /// Shared with the readers.
    pub shared: Arc<IndexShared>,
    /// What was published last: upper, since, number of batches.
    published: (Time, Time, usize),
}

impl ExportedIndex {
    /// An index that is readable from `as_of` on.
    pub fn new(
        dataflow: ObjectId,
        rows: RowTrace,
        errors: RowTrace,
        shared: Arc<IndexShared>,
        as_of: Time,
    ) -> ExportedIndex {
        let mut exported =
            ExportedIndex { dataflow, rows, errors, shared, published: (0, 0, usize::MAX) };
        exported.allow_compaction(as_of);
        exported
    }

    /// Gives up history before `since`.
    pub fn allow_compaction(&mut self, since: Time) {
        self.rows.set_logical_compaction(AntichainRef::new(&[since]));
        self.errors.set_logical_compaction(AntichainRef::new(&[since]));
    }

    /// Publishes it if its upper or since has moved. Gives the upper.
    pub fn publish(&mut self, worker: usize) -> Time {
        let upper = trace_upper(&mut self.rows).min(trace_upper(&mut self.errors));
        let since = self.since();
        let (old_upper, old_since, _) = self.published;
        if (upper, since) != (old_upper, old_since) {
            self.publish_at(worker, upper, since);
        }
        upper
    }

    /// Publishes it if there is anything new, a merge for one.
    pub fn republish(&mut self, worker: usize) -> bool {
        let upper = trace_upper(&mut self.rows).min(trace_upper(&mut self.errors));
        let since = self.since();
        let changed = (upper, since, self.batch_count()) != self.published;
        if changed {
            self.publish_at(worker, upper, since);
        }
        changed
    }

    fn publish_at(&mut self, worker: usize, upper: Time, since: Time) {
        let rows = batches(&self.rows);
        let errors = batches(&self.errors);
        self.published = (upper, since, rows.len() + errors.len());
        let (upper_tick, since) = (Tick(upper), Tick(since));
        self.shared.publish(worker, Published { rows, errors, upper: upper_tick, since });
        // Nobody asks the spine for a cut in the past, so that all its batches may be merged.
        if upper < Time::MAX {
            self.rows.set_physical_compaction(AntichainRef::new(&[upper]));
            self.errors.set_physical_compaction(AntichainRef::new(&[upper]));
        }
    }

    fn since(&mut self) -> Time {
        crate::worker::frontier_time(self.rows.get_logical_compaction())
    }

    fn batch_count(&self) -> usize {
        let mut count = 0;
        self.rows.map_spans(|span| count += usize::from(span.has_updates()));
        self.errors.map_spans(|span| count += usize::from(span.has_updates()));
        count
    }
}

fn batches(trace: &RowTrace) -> Vec<SharedBatch> {
    let mut batches = Vec::new();
    trace.map_spans(|span| batches.extend(span.inner.clone()));
    batches
}
