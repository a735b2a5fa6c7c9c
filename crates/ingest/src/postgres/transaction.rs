//! The changes of one upstream transaction, gathered until its Commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tidemill_repr::{ColumnType, ObjectId, RowBatch, SqlError};

use crate::sink::{BulkWriter, IngestSink};

/// A transaction with more bytes than this goes to parts on its way.
const SPILL_BYTES: usize = 64 << 20;

/// The transaction that is being received.
#[derive(Default)]
pub(crate) struct Transaction {
    /// Changes by table. A table with an error has none.
    batches: BTreeMap<ObjectId, RowBatch>,
    /// Tables that cannot be followed through this transaction.
    errors: BTreeMap<ObjectId, SqlError>,
    /// Where large transactions go.
    writers: HashMap<ObjectId, Box<dyn BulkWriter>>,
    /// Bytes of messages since the last spill.
    bytes: usize,
}

/// What a transaction did to one table.
pub(crate) struct TableChanges {
    pub(crate) table: ObjectId,
    pub(crate) outcome: Result<RowBatch, SqlError>,
    /// Changes that were written to parts.
    pub(crate) parts: Vec<String>,
}

impl Transaction {
    /// Adds a change of a table.
    pub(crate) fn change(
        &mut self,
        table: ObjectId,
        bytes: usize,
        change: impl FnOnce(&mut RowBatch) -> Result<(), SqlError>,
    ) {
        if self.errors.contains_key(&table) {
            return;
        }
        self.bytes += bytes;
        if let Err(error) = change(self.batches.entry(table).or_default()) {
            self.fail(table, error);
        }
    }

    /// A table cannot be followed any further.
    pub(crate) fn fail(&mut self, table: ObjectId, error: SqlError) {
        self.forget(table);
        self.errors.insert(table, error);
    }

    /// Leaves a table out.
    pub(crate) fn forget(&mut self, table: ObjectId) {
        self.batches.remove(&table);
        self.writers.remove(&table);
        self.errors.remove(&table);
    }

    /// Whether so much was gathered that it should be spilled.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes >= SPILL_BYTES
    }

    /// Writes what was gathered to parts, for the tables whose columns `columns` tells; those of
    /// others stay in memory.
    pub(crate) async fn spill(
        &mut self,
        sink: &Arc<dyn IngestSink>,
        columns: impl Fn(ObjectId) -> Option<Vec<ColumnType>>,
    ) -> Result<(), SqlError> {
        self.bytes = 0;
        for (table, batch) in &mut self.batches {
            let Some(columns) = columns(*table) else { continue };
            if batch.is_empty() {
                continue;
            }
            if !self.writers.contains_key(table) {
                let writer = sink.part_writer(*table, &columns).await?;
                self.writers.insert(*table, writer);
            }
            if let Some(writer) = self.writers.get_mut(table) {
                writer.push(std::mem::take(batch)).await?;
            }
        }
        Ok(())
    }

    /// Ends the transaction: what it did, table by table.
    pub(crate) async fn finish(mut self) -> Result<Vec<TableChanges>, SqlError> {
        let mut changes = Vec::with_capacity(self.batches.len());
        for (table, batch) in self.batches {
            let parts = match self.writers.remove(&table) {
                Some(writer) => writer.finish().await?,
                None => Vec::new(),
            };
            if !batch.is_empty() || !parts.is_empty() {
                changes.push(TableChanges { table, outcome: Ok(batch), parts });
            }
        }
        for (table, error) in self.errors {
            changes.push(TableChanges { table, outcome: Err(error), parts: Vec::new() });
        }
        Ok(changes)
    }
}
