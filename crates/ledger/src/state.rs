//! What the ledger knows in memory: the sum of all entries appended so far.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tidemill_repr::{ObjectId, RowBatch, Tick};

use crate::directory::Directory;
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::part::PartFile;
use crate::part::column::PartColumn;

/// All of it. Under one lock, that is never held while a disk is waited for.
#[derive(Debug, Default)]
pub struct State {
    /// The tick of the last entry appended.
    pub last: Tick,
    /// The tick of the last entry on disk.
    pub durable: Tick,
    /// History up to here may be folded.
    pub compaction: Tick,
    /// Catalog changes and when they were made.
    pub catalog: Vec<(Tick, serde_json::Value)>,
    /// Positions of sources.
    pub positions: BTreeMap<ObjectId, Vec<u8>>,
    /// Base collections.
    pub collections: BTreeMap<ObjectId, Collection>,
    /// Parts of dropped collections, to be removed when the entry that dropped them is durable.
    pub garbage: Vec<(Tick, Arc<PartFile>)>,
    /// Why nothing can be written any more.
    pub poisoned: Option<Arc<LedgerError>>,
}

/// One base collection: the sum of its levels, plus its tail.
#[derive(Clone, Debug, Default)]
pub struct Collection {
    /// Its columns, if they were described.
    pub columns: Option<Arc<Vec<PartColumn>>>,
    /// Parts whose sum is the content at `as_of`, from large to small.
    pub levels: Vec<Level>,
    /// The tick of the levels; the tail begins after it.
    pub as_of: Tick,
    /// What came after, in order of ticks.
    pub tail: VecDeque<(Tick, Piece)>,
    /// Bytes of rows in the tail.
    pub tail_bytes: usize,
    /// Updates in the tail.
    pub tail_updates: usize,
}

/// Parts that were made together.
#[derive(Clone, Debug)]
pub struct Level {
    /// The files.
    pub parts: Vec<Arc<PartFile>>,
}

impl Level {
    /// Updates in all parts.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.name.rows).sum()
    }
}

/// What one entry did to a collection.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Rows that the entry holds.
    Rows(Arc<RowBatch>),
    /// Rows in a part that the entry names.
    Part(Arc<PartFile>),
}

impl Piece {
    fn size(&self) -> (usize, usize) {
        match self {
            Piece::Rows(rows) => (rows.byte_len() + rows.len() * 16, rows.len()),
            Piece::Part(_) => (0, 0),
        }
    }
}

impl Collection {
    fn push(&mut self, tick: Tick, piece: Piece) {
        // Already in the levels: an entry read again after a checkpoint.
        if tick <= self.as_of {
            return;
        }
        let (bytes, updates) = piece.size();
        self.tail_bytes += bytes;
        self.tail_updates += updates;
        self.tail.push_back((tick, piece));
    }

    /// Replaces the tail up to `as_of` by levels that hold it.
    pub fn fold(&mut self, as_of: Tick, levels: Vec<Level>) {
        while let Some((tick, piece)) = self.tail.front() {
            if *tick > as_of {
                break;
            }
            let (bytes, updates) = piece.size();
            self.tail_bytes -= bytes;
            self.tail_updates -= updates;
            self.tail.pop_front();
        }
        self.levels = levels;
        self.as_of = as_of;
    }

    /// All parts that it needs.
    pub fn parts(&self) -> impl Iterator<Item = &Arc<PartFile>> {
        let tail = self.tail.iter().filter_map(|(_, piece)| match piece {
            Piece::Part(part) => Some(part),
            Piece::Rows(_) => None,
        });
        self.levels.iter().flat_map(|level| &level.parts).chain(tail)
    }
}

impl State {
    /// Adds an entry. `described` are its columns in the form that parts store. `checkpoint` is
    /// the tick whose catalog and positions are known already; `Tick::MIN` for new entries.
    pub fn apply(
        &mut self,
        directory: &Directory,
        entry: &Entry,
        described: Vec<(ObjectId, Vec<PartColumn>)>,
        checkpoint: Option<Tick>,
    ) {
        let tick = entry.tick;
        self.last = self.last.max(tick);
        if checkpoint.is_none_or(|checkpoint| tick > checkpoint) {
            self.catalog.extend(entry.catalog.iter().map(|change| (tick, change.clone())));
            self.positions.extend(entry.positions.iter().cloned());
        }
        for (id, columns) in described {
            self.collections.entry(id).or_default().columns = Some(Arc::new(columns));
        }
        for (id, rows) in &entry.updates {
            let collection = self.collections.entry(*id).or_default();
            collection.push(tick, Piece::Rows(Arc::clone(rows)));
        }
        for (id, name) in &entry.parts {
            directory.part_seen(&name.file);
            let part = PartFile::new(directory, name.clone());
            self.collections.entry(*id).or_default().push(tick, Piece::Part(part));
        }
        for id in &entry.dropped {
            self.positions.remove(id);
            if let Some(collection) = self.collections.remove(id) {
                self.garbage.extend(collection.parts().map(|part| (tick, Arc::clone(part))));
            }
        }
    }

    /// Notes that all up to a tick is on disk, and lets go what was only held until then.
    pub fn made_durable(&mut self, tick: Tick) {
        self.durable = tick;
        self.garbage.retain(|(dropped, part)| {
            let held = *dropped > tick;
            if !held {
                part.doom();
            }
            held
        });
    }
}
