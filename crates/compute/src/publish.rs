//! What is published of an index: immutable lists of batches, one a worker.
//!
//! A worker replaces its list whenever it changed, then the common upper moves and wakes who
//! waits for it. Readers take the lists as they are; nobody waits for anybody.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tidemill_expr::EvalError;
use tidemill_repr::{ObjectId, Tick};
use tokio::sync::watch;

use crate::typedefs::SharedBatch;

/// What one worker has of an index.
#[derive(Clone, Default)]
pub(crate) struct Published {
    /// Batches of rows by key.
    pub rows: Vec<SharedBatch>,
    /// Batches of encoded errors.
    pub errors: Vec<SharedBatch>,
    /// The first tick that is not complete.
    pub upper: Tick,
    /// The first tick that can be read exactly.
    pub since: Tick,
}

/// How an index stands.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// The least upper of all workers.
    pub upper: Tick,
    /// Why there is nothing to be read any more.
    pub ended: Option<EvalError>,
}

/// What the workers and the readers of an index share.
pub(crate) struct IndexShared {
    id: ObjectId,
    /// The first tick of its dataflow.
    as_of: Tick,
    workers: Vec<ArcSwap<Published>>,
    progress: watch::Sender<Progress>,
}

impl IndexShared {
    pub(crate) fn new(id: ObjectId, workers: usize, since: Tick) -> IndexShared {
        let empty = Published { since, ..Published::default() };
        IndexShared {
            id,
            as_of: since,
            workers: (0..workers).map(|_| ArcSwap::from_pointee(empty.clone())).collect(),
            progress: watch::Sender::new(Progress { upper: Tick::MIN, ended: None }),
        }
    }

    pub(crate) fn id(&self) -> ObjectId {
        self.id
    }

    pub(crate) fn as_of(&self) -> Tick {
        self.as_of
    }

    /// What all workers have published last.
    pub(crate) fn snapshot(&self) -> impl Iterator<Item = Arc<Published>> + '_ {
        self.workers.iter().map(ArcSwap::load_full)
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Replaces a worker's list.
    pub(crate) fn publish(&self, worker: usize, published: Published) {
        self.workers[worker].store(Arc::new(published));
        // Whoever publishes last sees the lists of all others, so the least upper is not missed.
        let upper = self.workers.iter().map(|list| list.load().upper).min().unwrap_or(Tick::MIN);
        self.progress.send_if_modified(|progress| {
            let forward = upper > progress.upper;
            if forward {
                progress.upper = upper;
            }
            forward
        });
    }

    /// Says that nothing will come any more, and why. The batches are let go.
    pub(crate) fn end(&self, why: EvalError) {
        // First the reason, then the empty lists: a reader asks in the other order.
        self.progress.send_modify(|progress| {
            progress.ended.get_or_insert(why);
        });
        for list in &self.workers {
            list.store(Arc::new(Published::default()));
        }
    }
}
