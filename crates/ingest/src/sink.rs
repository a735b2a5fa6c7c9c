//! Where a source hands over what it read: the traits that the coordinator implements.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_repr::{ColumnType, Lsn, ObjectId, RowBatch, SqlError};
use tokio::sync::mpsc;

/// One upstream transaction (or several, or only a position), to be made part of the log whole.
#[derive(Clone, Debug)]
pub struct IngestCommit {
    /// The source it comes from.
    pub source: ObjectId,
    /// All upstream changes up to here are in this commit and those before it.
    pub position: Lsn,
    /// The upstream's timeline on which that position is.
    pub timeline: u32,
    /// Changes of tables, each table at most once.
    pub updates: Vec<(ObjectId, RowBatch)>,
    /// Changes of tables that were written as parts before ([`BulkWriter::finish`]).
    pub bulk: Vec<(ObjectId, Vec<String>)>,
    /// Tables that cannot be followed any further, from this commit on, and why.
    pub table_errors: Vec<(ObjectId, SqlError)>,
    /// Tables whose first content is whole with this commit: they are followed from here on.
    pub snapshot_done: Vec<ObjectId>,
    /// Tables whose content is right again with this commit, whatever was wrong with them, and
    /// the number of the RESYNC that did it.
    pub resynced: Vec<(ObjectId, u32)>,
}

impl IngestCommit {
    /// A commit that only moves the position.
    pub fn position(source: ObjectId, position: Lsn, timeline: u32) -> IngestCommit {
        IngestCommit {
            source,
            position,
            timeline,
            updates: Vec::new(),
            bulk: Vec::new(),
            table_errors: Vec::new(),
            snapshot_done: Vec::new(),
            resynced: Vec::new(),
        }
    }

    /// Whether only the position moves.
    pub fn is_empty(&self) -> bool {
        self.updates.is_empty()
            && self.bulk.is_empty()
            && self.table_errors.is_empty()
            && self.snapshot_done.is_empty()
            && self.resynced.is_empty()
    }
}

/// Takes many rows of one table out of memory before they are committed.
#[async_trait]
pub trait BulkWriter: Send {
    /// Adds rows. Waits when the disk cannot keep up.
    async fn push(&mut self, rows: RowBatch) -> Result<(), SqlError>;

    /// Makes the rows durable and gives the names of the parts, for [`IngestCommit::bulk`].
    /// A writer that is dropped without this leaves nothing behind.
    async fn finish(self: Box<Self>) -> Result<Vec<String>, SqlError>;
}

/// Rows of a collection, in batches whose sum is its content. An error ends them.
pub type Rows = mpsc::Receiver<Result<Arc<RowBatch>, SqlError>>;

/// The coordinator, as sources see it.
#[async_trait]
pub trait IngestSink: Send + Sync {
    /// A writer of parts of a table with these columns.
    async fn part_writer(
        &self,
        table: ObjectId,
        columns: &[ColumnType],
    ) -> Result<Box<dyn BulkWriter>, SqlError>;

    /// Commits at one tick, after the commits before it. Returns when the commit is on its way, not
    /// when it is durable; waiting here is the back pressure. An error, of this commit or of one
    /// before it, ends the source task.
    async fn commit(&self, commit: IngestCommit) -> Result<(), SqlError>;

    /// The content of a table, with all that was handed over so far.
    async fn content(&self, table: ObjectId) -> Result<Rows, SqlError>;

    /// The rows of parts that are not committed yet.
    fn read_parts(&self, parts: Vec<String>) -> Rows;

    /// Removes parts that will not be committed.
    fn discard_parts(&self, parts: Vec<String>);

    /// The enum of a column got more labels upstream: these are all, in their order. The type
    /// here gets them, too; its new form is given.
    async fn enum_labels(
        &self,
        table: ObjectId,
        column: usize,
        labels: &[String],
    ) -> Result<ColumnType, SqlError>;

    /// Where a source, or one of its tables, stands.
    fn status(&self, id: ObjectId, status: SourceStatus);

    /// Counts since the task started; reported about once a second while they change.
    fn source_statistics(&self, source: ObjectId, statistics: SourceStatistics);

    /// Counts of a table; reported about once a second while they change.
    fn table_statistics(&self, table: ObjectId, statistics: TableStatistics);
}

/// Where a source or a table of it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceStatus {
    /// Connecting.
    Starting,
    /// Reading the first content.
    Snapshotting,
    /// Following.
    Running,
    /// Interrupted; it is tried again by itself.
    Stalled {
        /// What is in the way.
        error: SqlError,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// Ended; a person must act (the error's hint says how).
    Failed {
        /// What happened.
        error: SqlError,
    },
}

/// What a source counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStatistics {
    /// Changes received: rows inserted, updated, deleted; tables truncated.
    pub messages_received: u64,
    /// Bytes of these, and of snapshots.
    pub bytes_received: u64,
    /// Upstream transactions committed here.
    pub transactions_committed: u64,
    /// The end of the upstream's log, as last heard.
    pub offset_known: Lsn,
    /// The position handed over last.
    pub offset_committed: Lsn,
}

/// What was counted for one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableStatistics {
    /// Changes received from the stream.
    pub messages_received: u64,
    /// Bytes received, of the snapshot and the stream.
    pub bytes_received: u64,
    /// Updates handed over, and those that are gathered to be: of an open transaction, of the
    /// first content.
    pub updates_staged: u64,
    /// Updates handed over.
    pub updates_committed: u64,
    /// Rows the snapshot will have, as far as the upstream knows. None before it starts.
    pub snapshot_records_known: Option<u64>,
    /// Rows of the snapshot read so far.
    pub snapshot_records_staged: u64,
    /// Whether the snapshot is committed.
    pub snapshot_committed: bool,
}
