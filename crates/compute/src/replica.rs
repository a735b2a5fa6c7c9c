//! A replica inside this process: timely worker threads, and the handle to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use differential_dataflow::trace::ExertionLogic;
use parking_lot::Mutex;
use tidemill_plan::physical::Export;
use tidemill_repr::{ObjectId, SqlState, Tick};
use timely::{CommunicationConfig, WorkerConfig};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::protocol::{Command, SubscribeBatch};
use crate::publish::IndexShared;
use crate::reader::IndexReader;
use crate::worker::{Order, Outlets, run_worker};

/// Timely worker threads that run dataflows. Dropping it ends them.
pub struct Replica {
    state: Mutex<State>,
    /// Bytes of rows that some worker has not taken yet.
    queued_bytes: Arc<AtomicUsize>,
    /// What its workers have taken and not worked off.
    in_flight: Arc<InFlight>,
    /// Whether an operator has panicked: all dataflows have ended then.
    failed: Arc<AtomicBool>,
    threads: Vec<Thread>,
    /// Joins the threads when it is dropped. Locked by nobody else: the lock makes it `Sync`.
    guards: Mutex<Option<timely::communication::WorkerGuards<()>>>,
}

/// The bytes of an order's rows, counted as queued until the last worker has done the order.
pub(crate) struct Weight {
    bytes: usize,
    queued: Arc<AtomicUsize>,
}

impl Weight {
    fn new(bytes: usize, queued: &Arc<AtomicUsize>) -> Arc<Weight> {
        queued.fetch_add(bytes, Ordering::Relaxed);
        Arc::new(Weight { bytes, queued: Arc::clone(queued) })
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.queued.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Ticks that each worker was fed and that some complete index has not reached yet.
pub(crate) struct InFlight {
    workers: Vec<(AtomicUsize, AtomicU64)>,
}

impl InFlight {
    fn new(workers: usize) -> InFlight {
        let none = || (AtomicUsize::new(0), AtomicU64::new(u64::MAX));
        InFlight { workers: (0..workers).map(|_| none()).collect() }
    }

    /// Says how many there are at a worker, and which is the oldest.
    pub(crate) fn set(&self, worker: usize, count: usize, oldest: Option<Tick>) {
        let Some((counted, first)) = self.workers.get(worker) else { return };
        counted.store(count, Ordering::Relaxed);
        first.store(oldest.map_or(u64::MAX, |tick| tick.0), Ordering::Relaxed);
    }

    fn oldest(&self, least: usize) -> Option<Tick> {
        let many = self.workers.iter().filter(|(count, _)| count.load(Ordering::Relaxed) >= least);
        let oldest = many.map(|(_, oldest)| oldest.load(Ordering::Relaxed)).min();
        oldest.filter(|tick| *tick != u64::MAX).map(Tick)
    }
}

/// What commands change, under one lock, so that all workers see them in one order.
struct State {
    orders: Vec<Sender<Order>>,
    /// Indexes that are there, with their dataflows.
    indexes: BTreeMap<ObjectId, (ObjectId, Arc<IndexShared>)>,
    /// Subscriptions whose dataflows are not there yet.
    subscriptions: BTreeMap<ObjectId, UnboundedSender<SubscribeBatch>>,
}

/// A replica that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("could not start the dataflow workers: {0}")]
pub struct StartError(pub String);

impl Replica {
    /// Starts the workers.
    pub fn start(workers: usize) -> Result<Replica, StartError> {
        let workers = workers.max(1);
        let (orders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded()).unzip();
        let receivers: Vec<Option<Receiver<Order>>> = receivers.into_iter().map(Some).collect();
        let receivers = Mutex::new(receivers);
        let (started, starting) = unbounded();
        let failed = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&failed);
        let in_flight = Arc::new(InFlight::new(workers));
        let taken = Arc::clone(&in_flight);
        let mut worker_config = WorkerConfig::default();
        let logic: ExertionLogic = Arc::new(idle_merge_effort);
        worker_config.set("differential/default_exert_logic".to_owned(), logic);
        let communication = match workers {
            1 => CommunicationConfig::Thread,
            _ => CommunicationConfig::Process(workers),
        };
        let config = timely::Config { communication, worker: worker_config };
        let guards = timely::execute(config, move |worker| {
            let receiver = receivers.lock().get_mut(worker.index()).and_then(Option::take);
            let Some(receiver) = receiver else { return };
            // The starter waits for all workers, so it listens.
            let _ = started.send((worker.index(), std::thread::current()));
            run_worker(worker, &receiver, &seen, &taken);
        })
        .map_err(StartError)?;
        let mut threads = Vec::with_capacity(workers);
        for _ in 0..workers {
            let started = starting.recv_timeout(Duration::from_secs(10));
            threads.push(started.map_err(|_| StartError("a worker does not run".to_owned()))?);
        }
        threads.sort_by_key(|(index, _)| *index);
        let state = State { orders, indexes: BTreeMap::new(), subscriptions: BTreeMap::new() };
        Ok(Replica {
            state: Mutex::new(state),
            queued_bytes: Arc::default(),
            in_flight,
            failed,
            threads: threads.into_iter().map(|(_, thread)| thread).collect(),
            guards: Mutex::new(Some(guards)),
        })
    }

    /// Hands a command to all workers. Never blocks. Index readers of a `CreateDataflow` are
    /// there when this returns.
    pub fn send(&self, command: Command) {
        let mut state = self.state.lock();
        let order = match command {
            Command::CreateDataflow(description) => {
                let mut outlets = Outlets::default();
                for export in &description.exports {
                    match export {
                        Export::Index { id, .. } => {
                            let workers = self.threads.len();
                            let shared =
                                Arc::new(IndexShared::new(*id, workers, description.as_of));
                            state.indexes.insert(*id, (description.id, Arc::clone(&shared)));
                            outlets.indexes.insert(*id, shared);
                        }
                        Export::Subscribe { id, .. } => {
                            if let Some(sender) = state.subscriptions.remove(id) {
                                outlets.subscriptions.lock().insert(*id, sender);
                            }
                        }
                    }
                }
                Order::Create { description, outlets: Arc::new(outlets) }
            }
            Command::Drop { dataflow } => {
                state.indexes.retain(|_, (owner, shared)| {
                    if *owner == dataflow {
                        shared.end(tidemill_expr::EvalError::invalid(
                            SqlState::INTERNAL_ERROR,
                            format!("index {} was dropped", shared.id()),
                        ));
                    }
                    *owner != dataflow
                });
                Order::Drop { dataflow }
            }
            Command::Hydrate { dataflow, collection, rows, errors, last } => {
                let weight = Weight::new(rows.byte_len(), &self.queued_bytes);
                Order::Hydrate { dataflow, collection, rows, errors, last, weight }
            }
            Command::Updates { tick, updates, errors } => {
                let bytes = updates.iter().map(|(_, rows)| rows.byte_len()).sum();
                let weight = Weight::new(bytes, &self.queued_bytes);
                Order::Updates { tick, updates, errors, weight }
            }
            Command::Follow { dataflow, collection, updates, errors, upper } => {
                let bytes = updates.iter().map(|(row, _, _)| row.bytes().len()).sum();
                let weight = Weight::new(bytes, &self.queued_bytes);
                Order::Follow { dataflow, collection, updates, errors, upper, weight }
            }
            Command::AllowCompaction { index, since } => Order::AllowCompaction { index, since },
        };
        for (sender, thread) in state.orders.iter().zip(&self.threads) {
            // A worker that has ended can only be one that is shutting down.
            let _ = sender.send(order.clone());
            thread.unpark();
        }
    }

    /// Bytes of rows that wait for a worker. Whoever sends many rows looks here and waits, so
    /// that what a slow worker has not taken yet stays where it was.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::Relaxed)
    }

    /// The oldest tick that was fed and that some complete index has not reached, where there are
    /// at least so many. Whoever makes ticks looks here: while compute is behind, few ticks with
    /// many changes each are less work than many with few.
    pub fn oldest_in_flight(&self, least: usize) -> Option<Tick> {
        self.in_flight.oldest(least)
    }

    /// Whether an operator has panicked. All dataflows have ended then, and no other can be
    /// relied on: the replica is to be replaced.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Lets an operator panic, for tests of what comes after.
    #[doc(hidden)]
    pub fn fail(&self) {
        let state = self.state.lock();
        for (sender, thread) in state.orders.iter().zip(&self.threads) {
            let _ = sender.send(Order::Fail);
            thread.unpark();
        }
    }

    /// How many worker threads it has.
    pub fn workers(&self) -> usize {
        self.threads.len()
    }

    /// The reader of an index exported by a dataflow that was created and not dropped.
    pub fn index(&self, id: ObjectId) -> Option<IndexReader> {
        let state = self.state.lock();
        state.indexes.get(&id).map(|(_, shared)| IndexReader::new(Arc::clone(shared)))
    }

    /// The channel of a subscription; to be asked for before its dataflow is created. It is
    /// closed when the dataflow ends (`until` is reached, or it was dropped).
    pub fn subscribe(&self, id: ObjectId) -> UnboundedReceiver<SubscribeBatch> {
        let (sender, receiver) = unbounded_channel();
        self.state.lock().subscriptions.insert(id, sender);
        receiver
    }
}

/// How many updates an idle arrangement should merge next, seeing (level, batches, updates) of
/// its levels. It stops when the small batches together are a quarter of the big one: merging
/// all after each commit would copy a big arrangement again and again.
fn idle_merge_effort(levels: &[(usize, usize, usize)]) -> Option<usize> {
    const EFFORT: usize = 1000;
    if levels.iter().any(|(_, batches, _)| *batches > 1) {
        return Some(EFFORT);
    }
    let largest = levels.iter().map(|(_, _, updates)| *updates).max().unwrap_or(0);
    let all: usize = levels.iter().map(|(_, _, updates)| *updates).sum();
    (all - largest > largest / 4).then_some(EFFORT)
}

impl Drop for Replica {
    fn drop(&mut self) {
        {
            let mut state = self.state.lock();
            // Who reads or waits must look elsewhere.
            for (_, shared) in state.indexes.values() {
                let why = format!("the replica of index {} has ended", shared.id());
                shared.end(tidemill_expr::EvalError::invalid(SqlState::INTERNAL_ERROR, why));
            }
            // Without senders the workers' loops end; then the guards join the threads.
            state.orders.clear();
        }
        for thread in &self.threads {
            thread.unpark();
        }
        drop(self.guards.lock().take());
    }
}
