//! A worker thread: takes orders, feeds dataflows, steps them, publishes what came of it.
//!
//! The loop: take all orders that wait; move the inputs of the dataflows they touched, once
//! each; step; publish. Under load many commits are thus done in one step. With nothing to do
//! the thread is parked; an order or a peer's message unparks it.
//!
//! How far inputs are moved: a commit at tick t moves the inputs of all dataflows that depend on
//! one of its collections, and of all dataflows those import from, to t + 1. Others do not hear
//! of it. An input that is not hydrated stays at `as_of`. A dataflow with a temporal filter, or
//! one that imports from such a one, hears of every tick, also of those without a commit.

mod build;
mod dataflow;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use parking_lot::Mutex;
use tidemill_expr::EvalError;
use tidemill_plan::physical::DataflowDescription;
use tidemill_repr::{Diff, ObjectId, Row, RowBatch, Tick};
use timely::progress::frontier::AntichainRef;
use timely::worker::Worker;
use tokio::sync::mpsc::UnboundedSender;

use crate::protocol::SubscribeBatch;
use crate::publish::IndexShared;
use crate::render::errors::internal;
use crate::replica::{InFlight, Weight};
use crate::worker::dataflow::{Dataflow, ExportedIndex};
use differential_dataflow::trace::TraceReader;

/// A command, with what else the workers need for it.
#[derive(Clone)]
pub(crate) enum Order {
    Create {
        description: Arc<DataflowDescription>,
        outlets: Arc<Outlets>,
    },
    Hydrate {
        dataflow: ObjectId,
        collection: ObjectId,
        rows: Arc<RowBatch>,
        errors: Vec<(EvalError, Diff)>,
        last: bool,
        weight: Arc<Weight>,
    },
    Updates {
        tick: Tick,
        updates: Arc<Vec<(ObjectId, Arc<RowBatch>)>>,
        errors: Arc<Vec<(ObjectId, EvalError, Diff)>>,
        weight: Arc<Weight>,
    },
    Follow {
        dataflow: ObjectId,
        collection: ObjectId,
        updates: Arc<Vec<(Row, Tick, Diff)>>,
        errors: Vec<(EvalError, Tick, Diff)>,
        upper: Tick,
        weight: Arc<Weight>,
    },
    AllowCompaction {
        index: ObjectId,
        since: Tick,
    },
    Drop {
        dataflow: ObjectId,
    },
    /// As if an operator panicked.
    Fail,
}

/// Where a dataflow's exports go.
#[derive(Default)]
pub(crate) struct Outlets {
    /// Shared with readers.
    pub indexes: BTreeMap<ObjectId, Arc<IndexShared>>,
    /// Taken by the worker that collects the updates.
    pub subscriptions: Mutex<BTreeMap<ObjectId, UnboundedSender<SubscribeBatch>>>,
}

/// What readers are told when an operator has panicked.
const PANICKED: &str = "a dataflow operator panicked: the replica begins anew";

/// How often lists of batches that were merged in the background are published anew.
const SWEEP: Duration = Duration::from_millis(200);

/// Runs until the replica is dropped.
pub(crate) fn run_worker(
    worker: &mut Worker,
    orders: &Receiver<Order>,
    failed: &AtomicBool,
    in_flight: &InFlight,
) {
    let mut state = WorkerState {
        index: worker.index(),
        peers: worker.peers(),
        dataflows: BTreeMap::new(),
        indexes: BTreeMap::new(),
        affected: BTreeMap::new(),
        dirty: BTreeSet::new(),
        behind: BTreeSet::new(),
        ticks: VecDeque::new(),
    };
    let mut swept = Instant::now();
    let mut unswept = false;
    loop {
        let mut busy = false;
        loop {
            match orders.try_recv() {
                Ok(order) => {
                    busy = true;
                    // The pieces of a big collection are worked off one by one.
                    let piece = matches!(order, Order::Hydrate { .. });
                    if matches!(order, Order::Fail) {
                        failed.store(true, Ordering::SeqCst);
                    }
                    state.obey(worker, order);
                    if piece {
                        break;
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    state.drop_all(worker);
                    return;
                }
            }
        }
        state.advance_inputs();
        unswept |= busy;
        let pause = match (busy, unswept) {
            (true, _) => Some(Duration::ZERO),
            (false, true) => Some(SWEEP),
            (false, false) => None,
        };
        if catch_unwind(AssertUnwindSafe(|| worker.step_or_park(pause))).is_err() {
            failed.store(true, Ordering::SeqCst);
            state.fail_all(worker, PANICKED);
        }
        state.publish_behind();
        in_flight.set(state.index, state.ticks.len(), state.ticks.front().copied());
        if unswept && swept.elapsed() >= SWEEP {
            // As long as there are merges.
            unswept = state.publish_all();
            swept = Instant::now();
        }
    }
}

/// What a worker knows.
struct WorkerState {
    index: usize,
    peers: usize,
    dataflows: BTreeMap<ObjectId, Dataflow>,
    /// Traces that can be imported and are published.
    indexes: BTreeMap<ObjectId, ExportedIndex>,
    /// For each base collection the dataflows that move with it, and for how many reasons.
    affected: BTreeMap<ObjectId, BTreeMap<ObjectId, usize>>,
    /// Dataflows whose inputs are to be moved.
    dirty: BTreeSet<ObjectId>,
    /// Indexes whose published upper is not where the inputs are.
    behind: BTreeSet<ObjectId>,
    /// Ticks that were fed and that some index has not reached.
    ticks: VecDeque<Tick>,
}

impl WorkerState {
    fn obey(&mut self, worker: &mut Worker, order: Order) {
        match order {
            Order::Create { description, outlets } => self.create(worker, &description, &outlets),
            Order::Hydrate { dataflow, collection, rows, errors, last, weight: _weight } => {
                let (index, peers) = (self.index, self.peers);
                if let Some(flow) = self.dataflows.get_mut(&dataflow) {
                    flow.hydrate(collection, &rows, &errors, last, (index, peers));
                    self.dirty.insert(dataflow);
                }
            }
            Order::Updates { tick, updates, errors, weight: _weight } => {
                self.update(tick, &updates, &errors);
            }
            Order::Follow { dataflow, collection, updates, errors, upper, weight: _weight } => {
                let (index, peers) = (self.index, self.peers);
                if let Some(flow) = self.dataflows.get_mut(&dataflow) {
                    flow.follow(collection, &updates, &errors, upper, (index, peers));
                    self.dirty.insert(dataflow);
                    self.behind.extend(flow.indexes.iter().copied());
                }
            }
            Order::Fail => self.fail_all(worker, PANICKED),
            Order::AllowCompaction { index, since } => {
                if let Some(exported) = self.indexes.get_mut(&index) {
                    exported.allow_compaction(since.0);
                    self.behind.insert(index);
                }
            }
            Order::Drop { dataflow } => self.drop_dataflow(worker, dataflow),
        }
    }

    fn create(
        &mut self,
        worker: &mut Worker,
        description: &Arc<DataflowDescription>,
        outlets: &Arc<Outlets>,
    ) {
        let built = catch_unwind(AssertUnwindSafe(|| {
            build::build(worker, description, outlets, &mut self.indexes)
        }));
        let (mut flow, exported) = match built {
            Ok(built) => built,
            Err(_) => {
                tracing::error!(dataflow = %description.id, "a dataflow could not be built");
                for shared in outlets.indexes.values() {
                    shared.end(internal("the dataflow could not be built"));
                }
                return;
            }
        };
        for import in &description.index_imports {
            let Some(exporter) = self.indexes.get(&import.index).map(|index| index.dataflow) else {
                continue;
            };
            if let Some(upstream) = self.dataflows.get(&exporter) {
                flow.bases.extend(upstream.bases.iter().copied());
                flow.upstream.extend(upstream.upstream.iter().copied());
                flow.follows_time |= upstream.follows_time;
            }
            flow.upstream.insert(exporter);
        }
        for base in &flow.bases {
            let affected = self.affected.entry(*base).or_default();
            for id in flow.upstream.iter().chain([&description.id]) {
                *affected.entry(*id).or_default() += 1;
            }
        }
        // What it reads as of `as_of` must be complete up to there.
        let upstream: Vec<ObjectId> = flow.upstream.iter().copied().collect();
        self.indexes.extend(exported);
        self.dataflows.insert(description.id, flow);
        for id in upstream.into_iter().chain([description.id]) {
            self.aim(id, description.as_of.next().0);
        }
    }

    /// Wants the dataflow's inputs at least at `target`.
    fn aim(&mut self, dataflow: ObjectId, target: u64) {
        if let Some(flow) = self.dataflows.get_mut(&dataflow) {
            flow.target = flow.target.max(target);
            self.dirty.insert(dataflow);
            self.behind.extend(flow.indexes.iter().copied());
        }
    }

    fn update(
        &mut self,
        tick: Tick,
        updates: &[(ObjectId, Arc<RowBatch>)],
        errors: &[(ObjectId, EvalError, Diff)],
    ) {
        let mut touched = BTreeSet::new();
        let changed = updates.iter().map(|(id, _)| id).chain(errors.iter().map(|(id, _, _)| id));
        for collection in changed {
            if let Some(affected) = self.affected.get(collection) {
                touched.extend(affected.keys().copied());
            }
        }
        for (id, flow) in self.dataflows.iter().filter(|(_, flow)| flow.follows_time) {
            touched.extend(flow.upstream.iter().chain([id]).copied());
        }
        if !touched.is_empty() {
            self.ticks.push_back(tick);
        }
        for id in touched {
            if let Some(flow) = self.dataflows.get_mut(&id).filter(|flow| flow.as_of < tick) {
                flow.update(tick, updates, errors, (self.index, self.peers));
            }
            self.aim(id, tick.next().0);
        }
    }

    fn advance_inputs(&mut self) {
        for id in std::mem::take(&mut self.dirty) {
            if let Some(flow) = self.dataflows.get_mut(&id) {
                flow.advance();
            }
        }
    }

    /// Publishes the indexes that may have moved, and forgets the ticks that all have reached.
    fn publish_behind(&mut self) {
        let WorkerState { behind, indexes, dataflows, index: worker, ticks, .. } = self;
        let mut least = u64::MAX;
        behind.retain(|id| {
            let Some(exported) = indexes.get_mut(id) else { return false };
            let upper = exported.publish(*worker);
            let Some(flow) = dataflows.get(&exported.dataflow) else { return false };
            // Until it has reached what its inputs reached. One that is not complete yet is
            // nothing that commits wait for.
            if upper < flow.target && upper > flow.as_of.0 {
                least = least.min(upper);
            }
            upper < flow.target
        });
        while ticks.front().is_some_and(|tick| tick.0 < least) {
            ticks.pop_front();
        }
    }

    /// Publishes all indexes, to let go of batches that were merged since. Says if there were any.
    fn publish_all(&mut self) -> bool {
        let mut changed = false;
        for exported in self.indexes.values_mut() {
            changed |= exported.republish(self.index);
        }
        changed
    }

    fn drop_dataflow(&mut self, worker: &mut Worker, dataflow: ObjectId) {
        let Some(flow) = self.dataflows.remove(&dataflow) else { return };
        for base in &flow.bases {
            let Some(affected) = self.affected.get_mut(base) else { continue };
            for id in flow.upstream.iter().chain([&dataflow]) {
                if let Some(reasons) = affected.get_mut(id) {
                    *reasons -= 1;
                    if *reasons == 0 {
                        affected.remove(id);
                    }
                }
            }
            if affected.is_empty() {
                self.affected.remove(base);
            }
        }
        for index in &flow.indexes {
            self.indexes.remove(index);
        }
        let timely_index = flow.timely_index;
        drop(flow);
        worker.drop_dataflow(timely_index);
    }

    fn drop_all(&mut self, worker: &mut Worker) {
        let all: Vec<ObjectId> = self.dataflows.keys().rev().copied().collect();
        for dataflow in all {
            self.drop_dataflow(worker, dataflow);
        }
    }

    /// After a panic nobody knows whose state is whole: all dataflows end with an error, the
    /// process goes on.
    fn fail_all(&mut self, worker: &mut Worker, why: &str) {
        tracing::error!(worker = self.index, "dataflows failed: {why}");
        for exported in self.indexes.values() {
            exported.shared.end(internal(why));
        }
        for flow in self.dataflows.values() {
            flow.fail(internal(why));
        }
        let dropped = catch_unwind(AssertUnwindSafe(|| self.drop_all(worker)));
        if dropped.is_err() {
            tracing::error!("failed dataflows could not be dropped whole");
        }
    }
}

/// The first time of a frontier; the end of time of the empty one.
fn frontier_time(frontier: AntichainRef<'_, u64>) -> u64 {
    frontier.first().copied().unwrap_or(u64::MAX)
}

/// How far a trace is complete.
fn trace_upper<Tr: TraceReader<Time = u64>>(trace: &mut Tr) -> u64 {
    let mut upper = timely::progress::Antichain::new();
    trace.read_upper(&mut upper);
    frontier_time(upper.borrow())
}
