//! Rows on their way into a table: few stay in memory, many go to Parquet parts.

use std::sync::Arc;

use tidemill_ledger::{LedgerError, PartName};
use tidemill_repr::{ColumnType, ObjectId, RowBatch, RowRef, SqlError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::shared::Shared;
use crate::statements::write::UnnamedParts;

/// How many bytes of rows are kept before they are written.
const BATCH_BYTES: usize = 4 << 20;

/// How many batches wait for the disk.
const QUEUED: usize = 2;

/// Rows of one table that are not committed yet.
pub(crate) struct Bulk {
    shared: Arc<Shared>,
    table: ObjectId,
    types: Vec<ColumnType>,
    batch: RowBatch,
    writing: Option<Writing>,
}

/// A thread that writes parts; it throws them away unless it is told the end.
struct Writing {
    batches: mpsc::Sender<Option<RowBatch>>,
    task: JoinHandle<Result<Vec<PartName>, LedgerError>>,
}

impl Bulk {
    pub(crate) fn new(shared: Arc<Shared>, table: ObjectId, types: Vec<ColumnType>) -> Bulk {
        Bulk { shared, table, types, batch: RowBatch::new(), writing: None }
    }

    pub(crate) fn push(&mut self, row: RowRef<'_>) {
        self.batch.push(row, 1);
    }

    /// Hands many rows to the disk; `all` hands over whatever there is.
    pub(crate) async fn spill(&mut self, all: bool) -> Result<(), SqlError> {
        let few = self.batch.byte_len() + 8 * self.batch.len() < BATCH_BYTES;
        // Temporary tables are in memory only.
        if (few || matches!(self.table, ObjectId::Transient(_))) && !all {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let writing = match &self.writing {
            Some(writing) => writing,
            None => self.writing.insert(self.start()),
        };
        // If the writer failed, its error comes with the end.
        if writing.batches.send(Some(batch)).await.is_err() {
            self.end().await?;
        }
        Ok(())
    }

    fn start(&self) -> Writing {
        let (batches, mut incoming) = mpsc::channel::<Option<RowBatch>>(QUEUED);
        let mut writer = self.shared.ledger.part_writer(self.table, &self.types);
        let task = tokio::task::spawn_blocking(move || {
            while let Some(batch) = incoming.blocking_recv() {
                match batch {
                    Some(batch) => writer.push(&batch)?,
                    None => return writer.finish(),
                }
            }
            Ok(Vec::new())
        });
        Writing { batches, task }
    }

    async fn end(&mut self) -> Result<Vec<PartName>, SqlError> {
        let Some(writing) = self.writing.take() else { return Ok(Vec::new()) };
        let _ = writing.batches.send(None).await;
        let parts = writing.task.await.map_err(SqlError::internal)?;
        parts.map_err(|error| crate::ledger_error(&error))
    }

    /// The rows in memory, or all of them in parts.
    pub(crate) async fn finish(mut self) -> Result<(RowBatch, Option<UnnamedParts>), SqlError> {
        if self.writing.is_none() {
            return Ok((self.batch, None));
        }
        self.spill(true).await?;
        let parts = self.end().await?;
        let parts = UnnamedParts::new(Arc::clone(&self.shared), parts);
        Ok((RowBatch::new(), Some(parts)))
    }
}
