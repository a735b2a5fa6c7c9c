//! Feeding a new dataflow the content of what it reads.

use std::sync::Arc;
use std::time::Duration;

use tidemill_compute::protocol::Command;
use tidemill_plan::physical::DataflowDescription;
use tidemill_repr::{ObjectId, RowBatch, SqlError, Tick};

use crate::follow::Follow;
use crate::holds::Hold;
use crate::replicas::Running;
use crate::shared::Shared;

/// How many bytes of rows may wait for the workers before reading goes on.
const QUEUED_BYTES: usize = 64 << 20;

/// The feeding of one dataflow; it holds the tick it reads.
pub struct Hydration {
    /// The server.
    pub shared: Arc<Shared>,
    /// The dataflow, which was created.
    pub dataflow: Arc<DataflowDescription>,
    /// The number of its creation.
    pub number: u64,
    /// The replicas that are fed.
    pub on: Vec<Arc<Running>>,
    /// Holds `as_of`.
    pub hold: Hold,
}

impl Hydration {
    /// Starts feeding: at once where everything is in memory, on a thread of its own otherwise.
    pub fn start(self) {
        self.follow();
        let on_disk = self.fed().any(|id| matches!(id, ObjectId::User(_)));
        if on_disk {
            tokio::task::spawn_blocking(move || self.run());
        } else {
            self.run();
        }
    }

    /// The collections whose content is read here.
    fn fed(&self) -> impl Iterator<Item = ObjectId> + '_ {
        let imports = self.dataflow.base_imports.iter().map(|import| import.id);
        imports.filter(|id| !self.dataflow.followed.contains(id))
    }

    /// Lets come what other clusters maintain.
    fn follow(&self) {
        for collection in &self.dataflow.followed {
            for on in &self.on {
                Follow {
                    shared: Arc::downgrade(&self.shared),
                    dataflow: Arc::clone(&self.dataflow),
                    number: self.number,
                    on: Arc::downgrade(on),
                    collection: *collection,
                    hold: Some(self.shared.holds.hold(self.dataflow.as_of)),
                }
                .start();
            }
        }
    }

    fn is_wanted(&self) -> bool {
        self.shared.dataflows.is_same(self.dataflow.id, self.number)
    }

    fn run(self) {
        for id in self.fed() {
            if let Err(error) = self.feed(id) {
                tracing::error!(%error, collection = %id, "content cannot be read");
                let evaluation = tidemill_expr::EvalError::from(error);
                self.send(id, Arc::default(), vec![(evaluation, 1)], true);
            }
        }
        drop(self.hold);
    }

    fn feed(&self, collection: ObjectId) -> Result<(), SqlError> {
        let as_of = self.dataflow.as_of;
        for batch in read_collection(&self.shared, collection, as_of)? {
            if !self.is_wanted() {
                // Nobody waits for the rest.
                return Ok(());
            }
            self.send(collection, batch?, Vec::new(), false);
            if matches!(collection, ObjectId::User(_)) {
                self.wait_for_workers();
            }
        }
        let snapshot = self.shared.snapshot();
        let error = snapshot.table_error_at(collection, as_of);
        let errors = error.map(|error| (error.clone(), 1)).into_iter().collect();
        self.send(collection, Arc::default(), errors, true);
        Ok(())
    }

    /// Waits, on a thread of its own, until the workers have taken most of what was sent.
    fn wait_for_workers(&self) {
        let queued = || self.on.iter().map(|on| on.replica.queued_bytes()).max().unwrap_or(0);
        while queued() > QUEUED_BYTES && self.is_wanted() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn send(
        &self,
        collection: ObjectId,
        rows: Arc<RowBatch>,
        errors: Vec<(tidemill_expr::EvalError, i64)>,
        last: bool,
    ) {
        let dataflow = self.dataflow.id;
        for on in &self.on {
            let (rows, errors) = (Arc::clone(&rows), errors.clone());
            let command = Command::Hydrate { dataflow, collection, rows, errors, last };
            self.shared.dataflows.send_to((dataflow, self.number), on, command);
        }
    }
}

/// Batches one after the other, read as they are asked for.
pub type Batches = Box<dyn Iterator<Item = Result<Arc<RowBatch>, SqlError>>>;

/// The content of a base collection at a tick, in batches that are not consolidated.
pub fn read_collection(
    shared: &Shared,
    collection: ObjectId,
    as_of: Tick,
) -> Result<Batches, SqlError> {
    if let ObjectId::System(_) = collection {
        return Ok(Box::new(shared.volatile.read(collection, as_of).into_iter().map(Ok)));
    }
    let batches =
        shared.ledger.read(collection, as_of).map_err(|error| crate::ledger_error(&error))?;
    // The ledger lets go of a table after the snapshot without it was published: the reader is
    // whole if the table is still in it.
    if shared.snapshot().catalog.item(collection).is_none() {
        return Err(crate::sequencer::serialization_failure());
    }
    Ok(Box::new(batches.map(|batch| batch.map_err(|error| crate::ledger_error(&error)))))
}
