//! A replica inside this process: timely worker threads, and the handle to them.

use tidemill_repr::ObjectId;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::protocol::{Command, SubscribeBatch};
use crate::reader::IndexReader;

/// Timely worker threads that run dataflows. Dropping it ends them.
pub struct Replica {}

/// A replica that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("could not start the dataflow workers: {0}")]
pub struct StartError(pub String);

impl Replica {
    /// Starts the workers.
    pub fn start(workers: usize) -> Result<Replica, StartError> {
        todo!()
    }

    /// Hands a command to all workers. Never blocks. Index readers of a `CreateDataflow` are
    /// there when this returns.
    pub fn send(&self, command: Command) {
        todo!()
    }

    /// The reader of an index exported by a dataflow that was created and not dropped.
    pub fn index(&self, id: ObjectId) -> Option<IndexReader> {
        todo!()
    }

    /// The channel of a subscription; to be asked for before its dataflow is created. It is
    /// closed when the dataflow ends (`until` is reached, or it was dropped).
    pub fn subscribe(&self, id: ObjectId) -> UnboundedReceiver<SubscribeBatch> {
        todo!()
    }
}
