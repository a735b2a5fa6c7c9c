//! What all parts of the coordinator share. Each function takes only what it needs of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tidemill_ledger::Ledger;
use tidemill_ledger::secrets::SecretBox;
use tidemill_plan::physical::DataflowDescription;
use tidemill_repr::{ObjectId, SqlError, Tick};
use tokio::sync::{mpsc, oneshot, watch};

use crate::activity::Activity;
use crate::advisory::{AdvisoryLocks, Transactions};
use crate::clock::Completion;
use crate::dataflows::Dataflows;
use crate::holds::Holds;
use crate::live::LagHistory;
use crate::refresh::Refreshes;
use crate::replicas::{Replicas, Running};
use crate::sequencer::{Commit, RecentKeys, Request};
use crate::sequences::Sequences;
use crate::snapshot::Snapshot;
use crate::sources::Sources;
use crate::volatile::VolatileStore;

/// The running server, for those who live in it.
pub struct Shared {
    /// The log.
    pub ledger: Ledger,
    /// The workers.
    pub replicas: Replicas,
    /// The dataflows on them.
    pub dataflows: Dataflows,
    /// What secrets are encrypted with.
    pub secrets: SecretBox,
    /// Which ticks are durable.
    pub completion: Arc<Completion>,
    /// Which ticks are read.
    pub holds: Holds,
    /// The first tick of which history is kept.
    pub since: watch::Sender<Tick>,
    /// Collections that are not in the ledger.
    pub volatile: VolatileStore,
    /// Held by the statement that is tried again after it lost against another commit.
    pub retry_turns: Arc<tokio::sync::Mutex<()>>,
    /// Sessions that commit rows pass together; an ALTER TABLE that lost against them, alone.
    pub write_gate: Arc<tokio::sync::RwLock<()>>,
    /// The running sources.
    pub sources: Sources,
    /// The sessions, and what they do.
    pub activity: Activity,
    /// The locks that sessions take by number.
    pub(crate) advisory: AdvisoryLocks,
    /// The numbers of their transactions.
    pub(crate) transactions: Transactions,
    /// How far objects were behind the clock.
    pub(crate) lag_history: LagHistory,
    /// Where sequences stand.
    pub sequences: Sequences,
    /// Materialized views that are computed at times.
    pub(crate) refreshes: Refreshes,
    /// Unique keys that were written lately; only the sequencer asks.
    pub recent_keys: parking_lot::Mutex<RecentKeys>,
    /// The last change of the catalog whose dataflows and replicas are there.
    installed: watch::Sender<Tick>,
    /// When the server started: microseconds since 2000-01-01 00:00 UTC.
    pub(crate) started_at: i64,
    snapshot: ArcSwap<Snapshot>,
    published: watch::Sender<Tick>,
    requests: mpsc::Sender<Request>,
    next_transient: AtomicU64,
    next_number: AtomicU64,
}

impl Shared {
    /// Puts the parts together.
    pub fn new(
        ledger: Ledger,
        replicas: Replicas,
        secrets: SecretBox,
        snapshot: Snapshot,
        sequences: Sequences,
        requests: mpsc::Sender<Request>,
    ) -> Shared {
        let tick = snapshot.tick;
        Shared {
            ledger,
            replicas,
            dataflows: Dataflows::default(),
            secrets,
            completion: Arc::new(Completion::new(tick)),
            holds: Holds::new(tick),
            since: watch::Sender::new(tick),
            volatile: VolatileStore::default(),
            retry_turns: Arc::default(),
            write_gate: Arc::default(),
            sources: Sources::default(),
            activity: Activity::default(),
            advisory: AdvisoryLocks::default(),
            transactions: Transactions::default(),
            lag_history: LagHistory::default(),
            sequences,
            refreshes: Refreshes::default(),
            started_at: crate::clock::wall_timestamp(),
            recent_keys: parking_lot::Mutex::default(),
            installed: watch::Sender::new(snapshot.catalog_tick),
            snapshot: ArcSwap::from_pointee(snapshot),
            published: watch::Sender::new(tick),
            requests,
            next_transient: AtomicU64::new(1),
            next_number: AtomicU64::new(1),
        }
    }

    /// The state after the last commit.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Swaps the state. Only the sequencer, and the start of the server, do this.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        let tick = snapshot.tick;
        self.snapshot.store(Arc::new(snapshot));
        self.published.send_replace(tick);
    }

    /// A number that no object, database or schema of this catalog has, nor any that a
    /// transaction is about to make.
    pub fn new_number(&self, catalog: &tidemill_catalog::Catalog) -> u64 {
        let least = catalog.next_number();
        let step = |next: u64| Some(next.max(least) + 1);
        match self.next_number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step) {
            Ok(before) | Err(before) => before.max(least),
        }
    }

    /// An identity for something that lives no longer than a statement.
    pub fn transient_id(&self) -> ObjectId {
        ObjectId::Transient(self.next_transient.fetch_add(1, Ordering::Relaxed))
    }

    /// Commits, and waits until it is durable.
    ///
    /// # Errors
    /// The commit does not fit any more (`40001`), or the disk fails.
    pub async fn commit(&self, commit: Commit) -> Result<Tick, SqlError> {
        self.request_commit(commit, false).await
    }

    /// Commits, and waits until it has its tick.
    ///
    /// # Errors
    /// As [`Shared::commit`].
    pub async fn commit_early(&self, commit: Commit) -> Result<Tick, SqlError> {
        self.request_commit(commit, true).await
    }

    async fn request_commit(&self, commit: Commit, early: bool) -> Result<Tick, SqlError> {
        self.queue_commit(commit, early).await?.await.map_err(|_| shutting_down())?
    }

    /// Hands a commit to the sequencer, after all that were handed over before, and gives where
    /// its answer will be.
    ///
    /// # Errors
    /// The server shuts down.
    pub async fn queue_commit(
        &self,
        commit: Commit,
        early: bool,
    ) -> Result<oneshot::Receiver<Result<Tick, SqlError>>, SqlError> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Commit { commit: Box::new(commit), answer, early };
        self.requests.send(request).await.map_err(|_| shutting_down())?;
        Ok(answered)
    }

    /// Creates a dataflow that reads as of now (or of its `as_of`) and follows.
    ///
    /// # Errors
    /// Its `as_of` is too long ago, or the server shuts down.
    pub async fn install(
        &self,
        dataflow: DataflowDescription,
        on: &Arc<Running>,
    ) -> Result<Tick, SqlError> {
        let (answer, answered) = oneshot::channel();
        let on = Arc::downgrade(on);
        let request = Request::Install { dataflow: Box::new(dataflow), on, answer };
        self.requests.send(request).await.map_err(|_| shutting_down())?;
        answered.await.map_err(|_| shutting_down())?
    }

    /// Lets a dataflow of the catalog begin anew, and what imports from it. One that lives for a
    /// statement ends.
    pub async fn recreate(&self, dataflow: ObjectId) {
        if let ObjectId::Transient(_) = dataflow {
            self.dataflows.drop(&self.replicas, dataflow);
        } else {
            // Only a server that shuts down takes none.
            let _ = self.requests.send(Request::Recreate(dataflow)).await;
        }
    }

    /// Lets failed replicas begin anew.
    pub async fn replace_failed_replicas(&self) {
        let _ = self.requests.send(Request::ReplaceFailed).await;
    }

    /// Waits until a tick may be read.
    ///
    /// # Errors
    /// The disk fails, or the server shuts down.
    pub async fn wait_readable(&self, tick: Tick) -> Result<(), SqlError> {
        if self.completion.readable() >= tick {
            return Ok(());
        }
        let mut readable = self.completion.watch();
        let done = |upto: &Tick| *upto >= tick || self.completion.failure().is_some();
        let upto = *readable.wait_for(done).await.map_err(|_| shutting_down())?;
        match self.completion.failure() {
            Some(error) if upto < tick => Err(error),
            _ => Ok(()),
        }
    }

    /// What a change of the catalog begins is there. Only the sequencer says this.
    pub(crate) fn set_installed(&self, catalog_tick: Tick) {
        self.installed.send_replace(catalog_tick);
    }

    /// Waits until what a change of the catalog begins is there: the change itself is seen, and
    /// durable, a moment before.
    ///
    /// # Errors
    /// The server shuts down.
    pub(crate) async fn wait_installed(&self, catalog_tick: Tick) -> Result<(), SqlError> {
        if *self.installed.borrow() >= catalog_tick {
            return Ok(());
        }
        let mut installed = self.installed.subscribe();
        let waited = installed.wait_for(|upto| *upto >= catalog_tick).await;
        waited.map(|_| ()).map_err(|_| shutting_down())
    }

    /// Follows the last tick given.
    pub fn watch_published(&self) -> watch::Receiver<Tick> {
        self.published.subscribe()
    }
}

/// The error of everything that happens while the server goes down.
pub fn shutting_down() -> SqlError {
    SqlError::new(
        tidemill_repr::SqlState::ADMIN_SHUTDOWN,
        "terminating connection due to administrator command",
    )
}
