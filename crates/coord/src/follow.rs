//! Materialized views that a dataflow reads and another cluster maintains: what comes out there
//! goes in here.
//!
//! A small dataflow beside the materialized view streams its changes ([`Export::Subscribe`]); each
//! batch becomes a [`Command::Follow`] for the dataflow that reads it. It hears of every tick, so
//! that the reader is as far as the view is, also while that does not change.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tidemill_catalog::{Catalog, Definition};
use tidemill_compute::protocol::{Command, SubscribeBatch};
use tidemill_expr::EvalError;
use tidemill_plan::physical::{ArrangementKey, DataflowDescription, Export, IndexImport};
use tidemill_repr::{ObjectId, Tick};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::dataflows::Place;
use crate::holds::Hold;
use crate::read::materialized_key;
use crate::replicas::Running;
use crate::shared::Shared;

/// How many bytes may wait for the reader's workers before the view's changes wait.
const QUEUED_BYTES: usize = 64 << 20;

/// How often one looks whether a view is there again.
const PAUSE: Duration = Duration::from_millis(100);

/// Says in a description which of its inputs other clusters maintain, and what moves them.
pub(crate) fn describe_followed(
    shared: &Shared,
    catalog: &Catalog,
    dataflow: &mut DataflowDescription,
) {
    for import in &dataflow.base_imports {
        let definition = catalog.item(import.id).map(|item| &item.definition);
        if matches!(definition, Some(Definition::MaterializedView(view)) if view.refresh.is_none())
        {
            dataflow.followed.insert(import.id);
            dataflow.moved_by.extend(shared.dataflows.moved_by(import.id).iter());
            dataflow.every_tick |= shared.dataflows.follows_time(import.id);
        }
    }
}

/// One followed input of one dataflow on one replica.
pub(crate) struct Follow {
    /// The server.
    pub shared: Weak<Shared>,
    /// The dataflow that is fed.
    pub dataflow: Arc<DataflowDescription>,
    /// The number of its creation.
    pub number: u64,
    /// The replica it runs on.
    pub on: Weak<Running>,
    /// The materialized view.
    pub collection: ObjectId,
    /// Holds `as_of`.
    pub hold: Option<Hold>,
}

/// How far an input is.
struct Progress {
    /// All ticks below were handed over.
    upper: Tick,
    /// The error that the view had then.
    error: Option<EvalError>,
    /// Whether its content at `as_of` was handed over.
    begun: bool,
}

/// A running stream of changes; dropping it ends its dataflow.
struct Stream {
    shared: Arc<Shared>,
    id: ObjectId,
    batches: UnboundedReceiver<SubscribeBatch>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.dataflows.drop(&self.shared.replicas, self.id);
    }
}

impl Follow {
    /// Starts following, on a task of its own.
    pub(crate) fn start(self) {
        tokio::spawn(self.run());
    }

    fn is_wanted(&self, shared: &Shared) -> bool {
        self.on.strong_count() > 0 && shared.dataflows.is_same(self.dataflow.id, self.number)
    }

    async fn run(mut self) {
        let as_of = self.dataflow.as_of;
        let mut progress = Progress { upper: as_of, error: None, begun: false };
        loop {
            let Some(shared) = self.shared.upgrade() else { return };
            if !self.is_wanted(&shared) {
                return;
            }
            let from =
                if progress.begun { Tick(progress.upper.0.saturating_sub(1)) } else { as_of };
            match self.attach(&shared, from, progress.begun) {
                Some(mut stream) => {
                    drop(shared);
                    if self.pass_on(&mut stream, &mut progress).await {
                        return;
                    }
                }
                None if self.is_lost(&shared, from) => {
                    shared.recreate(self.dataflow.id).await;
                    return;
                }
                None => {}
            }
            self.hold = None;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether the view is there again, but not with what was missed.
    fn is_lost(&self, shared: &Shared, from: Tick) -> bool {
        let reader = shared.replicas.index(self.collection);
        let begins_later = reader.is_some_and(|reader| reader.since() > from);
        begins_later
            && !shared.dataflows.pool(self.collection).is_none_or(|pool| {
                shared.replicas.of_pool(pool).iter().all(|running| running.replica.has_failed())
            })
    }

    /// Begins a stream of changes after a tick, or of content and changes.
    fn attach(&self, shared: &Arc<Shared>, from: Tick, begun: bool) -> Option<Stream> {
        let pool = shared.dataflows.pool(self.collection)?;
        let snapshot = shared.snapshot();
        let desc = snapshot.catalog.item(self.collection)?.desc()?;
        let running = shared.replicas.pick(pool, &[self.collection], from).ok()?;
        if running.replica.has_failed() {
            return None;
        }
        let id = shared.transient_id();
        let import = IndexImport {
            index: self.collection,
            on: self.collection,
            key: ArrangementKey(materialized_key(desc)),
            arity: desc.arity(),
        };
        let until = self.dataflow.until;
        let mut description = tidemill_optimize::PhysicalDataflow::default().describe(
            id,
            from,
            until,
            vec![Export::Subscribe { id, on: self.collection, snapshot: !begun }],
        );
        description.index_imports.push(import);
        description.every_tick = until.is_none();
        let batches = running.replica.subscribe(id);
        let place = Place::Replica(Arc::downgrade(&running));
        shared.dataflows.create(&shared.replicas, place, &Arc::new(description));
        Some(Stream { shared: Arc::clone(shared), id, batches })
    }

    /// Hands over what comes. Whether that is all that will ever be wanted.
    async fn pass_on(&mut self, stream: &mut Stream, progress: &mut Progress) -> bool {
        while let Some(batch) = stream.batches.recv().await {
            if batch.upper == Tick::MIN {
                // Its dataflow failed.
                return false;
            }
            let Some(on) = self.on.upgrade() else { return true };
            let last = Tick(batch.upper.0.saturating_sub(1));
            let mut errors = Vec::new();
            if batch.error != progress.error {
                errors.extend(progress.error.take().map(|error| (error, last, -1)));
                errors.extend(batch.error.clone().map(|error| (error, last, 1)));
                progress.error = batch.error;
            }
            let until = self.dataflow.until;
            let ends = until.is_some_and(|until| batch.upper >= until);
            let command = Command::Follow {
                dataflow: self.dataflow.id,
                collection: self.collection,
                updates: Arc::new(batch.updates),
                errors,
                upper: until.map_or(batch.upper, |until| batch.upper.min(until)),
            };
            let to = (self.dataflow.id, self.number);
            if !stream.shared.dataflows.send_to(to, &on, command) {
                return true;
            }
            progress.upper = batch.upper;
            progress.begun = true;
            self.hold = None;
            if ends || batch.upper == Tick::MAX {
                return ends;
            }
            while on.replica.queued_bytes() > QUEUED_BYTES && !on.replica.has_failed() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        false
    }
}
