//! The changes of one upstream transaction, gathered until its Commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tidemill_repr::{ColumnType, ObjectId, RowBatch, SqlError};

use crate::sink::{BulkWriter, IngestSink};

/// A transaction with more bytes than this goes to parts on its way.
const SPILL_BYTES: usize = 32 << 20;

/// The transaction that is being received.
#[derive(Default)]
pub(crate) struct Transaction {
    /// Changes by table. A table with an error has none.
    batches: BTreeMap<ObjectId, RowBatch>,
    /// Tables that cannot be followed through this transaction.
    errors: BTreeMap<ObjectId, SqlError>,
    /// Where large transactions go.
    writers: HashMap<ObjectId, Box<dyn BulkWriter>>,
    /// Changes that were written already.
    parts: BTreeMap<ObjectId, Vec<String>>,
    /// How many changes are in them.
    written: BTreeMap<ObjectId, u64>,
    /// Bytes of messages since the last spill.
    bytes: usize,
}

/// What a transaction did to one table.
pub(crate) struct TableChanges {
    pub(crate) table: ObjectId,
    pub(crate) outcome: Result<RowBatch, SqlError>,
    /// Changes that were written to parts.
    pub(crate) parts: Vec<String>,
    /// How many changes there are in all.
    pub(crate) updates: u64,
}

impl Transaction {
    /// Where a change of so many bytes of a table goes. None if the table failed.
    pub(crate) fn rows(&mut self, table: ObjectId, bytes: usize) -> Option<&mut RowBatch> {
        if self.errors.contains_key(&table) {
            return None;
        }
        self.bytes += bytes;
        Some(self.batches.entry(table).or_default())
    }

    /// Whether a table failed.
    pub(crate) fn has_failed(&self, table: ObjectId) -> bool {
        self.errors.contains_key(&table)
    }

    /// A table cannot be followed any further.
    pub(crate) fn fail(&mut self, sink: &Arc<dyn IngestSink>, table: ObjectId, error: SqlError) {
        self.forget(sink, table);
        self.errors.insert(table, error);
    }

    /// Leaves out what was done to a table so far.
    pub(crate) fn forget(&mut self, sink: &Arc<dyn IngestSink>, table: ObjectId) {
        self.batches.remove(&table);
        self.writers.remove(&table);
        self.written.remove(&table);
        if let Some(parts) = self.parts.remove(&table) {
            sink.discard_parts(parts);
        }
        self.errors.remove(&table);
    }

    /// Leaves out everything.
    pub(crate) fn discard(self, sink: &Arc<dyn IngestSink>) {
        for parts in self.parts.into_values() {
            sink.discard_parts(parts);
        }
    }

    /// The tables that were changed so far.
    pub(crate) fn touched(&self) -> impl Iterator<Item = ObjectId> {
        self.batches.keys().chain(self.parts.keys()).copied()
    }

    /// How many changes of a table were gathered so far.
    pub(crate) fn updates(&self, table: ObjectId) -> u64 {
        let gathered = self.batches.get(&table).map_or(0, |batch| batch.len() as u64);
        gathered + self.written.get(&table).copied().unwrap_or(0)
    }

    /// Whether so much was gathered that it should be spilled.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes >= SPILL_BYTES
    }

    /// Writes what was gathered to parts.
    pub(crate) async fn spill(
        &mut self,
        sink: &Arc<dyn IngestSink>,
        columns: impl Fn(ObjectId) -> Option<Vec<ColumnType>>,
    ) -> Result<(), SqlError> {
        self.bytes = 0;
        for (table, batch) in &mut self.batches {
            let Some(columns) = columns(*table).filter(|_| !batch.is_empty()) else { continue };
            if !self.writers.contains_key(table) {
                let writer = sink.part_writer(*table, &columns).await?;
                self.writers.insert(*table, writer);
            }
            *self.written.entry(*table).or_default() += batch.len() as u64;
            if let Some(writer) = self.writers.get_mut(table) {
                writer.push(std::mem::take(batch)).await?;
            }
        }
        Ok(())
    }

    /// What was done to a table so far: parts, and rows that are in none.
    pub(crate) async fn so_far(
        &mut self,
        table: ObjectId,
    ) -> Result<(Vec<String>, RowBatch), SqlError> {
        let parts = self.parts.entry(table).or_default();
        if let Some(writer) = self.writers.remove(&table) {
            parts.extend(writer.finish().await?);
        }
        let rows = self.batches.get(&table).cloned().unwrap_or_default();
        Ok((parts.clone(), rows))
    }

    /// Ends the transaction: what it did, table by table.
    pub(crate) async fn finish(mut self) -> Result<Vec<TableChanges>, SqlError> {
        for (table, writer) in self.writers {
            let parts = writer.finish().await?;
            self.parts.entry(table).or_default().extend(parts);
            self.batches.entry(table).or_default();
        }
        for table in self.parts.keys() {
            self.batches.entry(*table).or_default();
        }
        let mut changes = Vec::with_capacity(self.batches.len());
        for (table, batch) in self.batches {
            let updates = batch.len() as u64 + self.written.get(&table).copied().unwrap_or(0);
            let parts = self.parts.remove(&table).unwrap_or_default();
            if !batch.is_empty() || !parts.is_empty() {
                changes.push(TableChanges { table, outcome: Ok(batch), parts, updates });
            }
        }
        for (table, error) in self.errors {
            let (outcome, parts) = (Err(error), Vec::new());
            changes.push(TableChanges { table, outcome, parts, updates: 0 });
        }
        Ok(changes)
    }
}
