//! Feeding a new dataflow the content of what it reads.

use std::sync::Arc;
use std::time::Duration;

use tidemill_compute::protocol::Command;
use tidemill_plan::physical::DataflowDescription;
use tidemill_repr::{ObjectId, RowBatch, SqlError, Tick};

use crate::holds::Hold;
use crate::shared::Shared;

/// How many bytes of rows may wait for the workers before reading goes on.
const QUEUED_BYTES: usize = 64 << 20;

/// The feeding of one dataflow; it holds the tick it reads.
pub struct Hydration {
    /// The server.
    pub shared: Arc<Shared>,
    /// The dataflow, which was created.
    pub dataflow: Arc<DataflowDescription>,
    /// Holds `as_of`.
    pub hold: Hold,
}

impl Hydration {
    /// Starts feeding: at once where everything is in memory, on a thread of its own otherwise.
    pub fn start(self) {
        let on_disk =
            self.dataflow.base_imports.iter().any(|import| matches!(import.id, ObjectId::User(_)));
        if on_disk {
            tokio::task::spawn_blocking(move || self.run());
        } else {
            self.run();
        }
    }

    fn run(self) {
        for import in &self.dataflow.base_imports {
            if let Err(error) = self.feed(import.id) {
                tracing::error!(%error, collection = %import.id, "content cannot be read");
                let evaluation = tidemill_expr::EvalError::from(error);
                self.send(import.id, Arc::default(), vec![(evaluation, 1)], true);
            }
        }
        drop(self.hold);
    }

    fn feed(&self, collection: ObjectId) -> Result<(), SqlError> {
        let as_of = self.dataflow.as_of;
        for batch in read_collection(&self.shared, collection, as_of)? {
            if !self.shared.dataflows.is_running(self.dataflow.id) {
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
        while self.shared.replica.queued_bytes() > QUEUED_BYTES
            && self.shared.dataflows.is_running(self.dataflow.id)
        {
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
        self.shared.replica.send(Command::Hydrate { dataflow, collection, rows, errors, last });
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
