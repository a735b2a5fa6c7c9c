//! What is written atomically.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use tidemill_repr::{ObjectId, RelationDesc, RowBatch, Tick};

/// One commit: all of it is durable, or none. Make it with `..Entry::at(tick)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// When; greater than the tick of every entry before.
    pub tick: Tick,
    /// Changes of the catalog, opaque here.
    pub catalog: Vec<serde_json::Value>,
    /// The columns of collections: their parts are then Parquet files with these columns. Parts
    /// of a collection that nothing describes hold whole rows in one binary column.
    pub columns: Vec<(ObjectId, RelationDesc)>,
    /// Rows that come and go. A collection exists from its first mention on.
    pub updates: Vec<(ObjectId, Arc<RowBatch>)>,
    /// Bulk data that a [`crate::PartWriter`] wrote before; its rows appear at this tick.
    pub parts: Vec<(ObjectId, PartName)>,
    /// Positions that sources have reached with this entry, opaque here.
    pub positions: Vec<(ObjectId, Vec<u8>)>,
    /// Collections and sources that end here: their rows, columns and positions are forgotten.
    /// Applied after all else in the entry.
    pub dropped: Vec<ObjectId>,
}

impl Entry {
    /// An entry with nothing in it yet.
    pub fn at(tick: Tick) -> Entry {
        Entry { tick, ..Entry::default() }
    }

    /// About how many bytes the entry takes in a segment.
    pub(crate) fn size_estimate(&self) -> usize {
        // An update's length and diff take twelve bytes at most.
        let rows = |batch: &RowBatch| batch.byte_len() + batch.len() * 12 + 32;
        let updates: usize = self.updates.iter().map(|(_, batch)| rows(batch)).sum();
        let positions: usize = self.positions.iter().map(|(_, bytes)| bytes.len() + 32).sum();
        updates + positions + 64 * (self.parts.len() + self.dropped.len()) + 64
    }
}

/// A Parquet file in the ledger's `parts` directory, complete and durable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartName {
    /// The file's name, without directory.
    pub file: String,
    /// How many updates it holds.
    pub rows: u64,
    /// How long the file is.
    pub bytes: u64,
}
