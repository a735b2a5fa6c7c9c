//! The ledger as coord sees it: open, append, read, fold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use tidemill_repr::{ColumnType, ObjectId, Tick};

use crate::checkpoint;
use crate::directory::Directory;
use crate::entry::{Entry, PartName};
use crate::error::LedgerError;
use crate::part::column;
use crate::part::writer::PartWriter;
use crate::reader::CollectionReader;
use crate::secrets::SecretBox;
use crate::state::{Piece, State};
use crate::writer::{self, Queue};

/// Called once an entry is durable, or will never be.
pub type Done = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;

/// Sizes. The defaults are right outside of tests.
#[derive(Clone, Debug)]
pub struct Options {
    /// A segment that has become this long is followed by a new one.
    pub segment_bytes: u64,
    /// A collection's tail is folded when it has this many bytes ..
    pub tail_bytes: usize,
    /// .. or this many updates.
    pub tail_updates: usize,
    /// The largest entry, in bytes.
    pub entry_bytes: usize,
    /// The shortest time between two checkpoints.
    pub checkpoint_pause: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 64 << 20,
            tail_bytes: 16 << 20,
            tail_updates: 100_000,
            entry_bytes: 1 << 30,
            checkpoint_pause: Duration::from_millis(200),
        }
    }
}

/// What a ledger held when it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// The tick of the last durable entry; [`Tick::MIN`] in a new directory.
    pub upper: Tick,
    /// All catalog changes, in order (compacted where [`Ledger::replace_catalog`] did so).
    pub catalog: Vec<serde_json::Value>,
    /// The position of each source.
    pub positions: BTreeMap<ObjectId, Vec<u8>>,
    /// The collections that an entry has mentioned and none has dropped.
    pub collections: BTreeSet<ObjectId>,
}

/// The log of one database, in one directory. Shared by reference; dropping it writes what is
/// queued and stops its threads.
#[derive(Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the ledger's threads, readers and part writers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) directory: Directory,
    pub(crate) options: Options,
    pub(crate) state: Mutex<State>,
    /// With `state`: what is durable has moved, or never will.
    pub(crate) durable_changed: Condvar,
    pub(crate) queue: Queue,
    pub(crate) durable: watch::Sender<Tick>,
    pub(crate) checkpoint: checkpoint::Signal,
}

impl Ledger {
    /// Opens a data directory, creating it where needed, and reads what it holds.
    ///
    /// # Errors
    /// Another server has it open, a file cannot be read or does not hold what was written.
    pub fn open(directory: &Path, options: Options) -> Result<(Ledger, Recovered), LedgerError> {
        let directory = Directory::open(directory)?;
        let (state, segment) = crate::recovery::recover(&directory)?;
        let recovered = Recovered {
            upper: state.last,
            catalog: state.catalog.iter().map(|(_, change)| change.clone()).collect(),
            positions: state.positions.clone(),
            collections: state.collections.keys().copied().collect(),
        };
        let shared = Arc::new(Shared {
            directory,
            options,
            durable: watch::Sender::new(state.last),
            state: Mutex::new(state),
            durable_changed: Condvar::new(),
            queue: Queue::default(),
            checkpoint: checkpoint::Signal::default(),
        });
        let mut ledger = Ledger { shared: Arc::clone(&shared), threads: Vec::new() };
        ledger.spawn("ledger-writer", {
            let shared = Arc::clone(&shared);
            move || writer::run(&shared, segment)
        })?;
        ledger.spawn("ledger-checkpoint", move || checkpoint::run(&shared))?;
        Ok((ledger, recovered))
    }

    fn spawn(
        &mut self,
        name: &'static str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), LedgerError> {
        let thread =
            std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(|error| {
                LedgerError::io("start a thread for", self.shared.directory.root(), error)
            })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Appends an entry: readable at once, durable when `done` is called with `Ok`. Entries that
    /// are appended while the disk is busy share the next write. `done` is called on the writer's
    /// thread, in the order of entries; for an entry that is refused, on the caller's. It must
    /// not block.
    pub fn append(&self, entry: Entry, done: Done) {
        if let Err((error, done)) = self.enqueue(entry, done) {
            done(Err(error));
        }
    }

    fn enqueue(&self, entry: Entry, done: Done) -> Result<(), (LedgerError, Done)> {
        let limit = self.shared.options.entry_bytes;
        let bytes = entry.size_estimate();
        if bytes > limit {
            return Err((LedgerError::EntryTooLarge { bytes, limit }, done));
        }
        let columns =
            entry.columns.iter().map(|(id, desc)| (*id, column::of_relation(desc))).collect();
        let mut state = self.shared.state.lock();
        if let Some(error) = &state.poisoned {
            return Err((LedgerError::Poisoned(Arc::clone(error)), done));
        }
        if entry.tick <= state.last {
            return Err((LedgerError::TickOrder { tick: entry.tick, last: state.last }, done));
        }
        state.apply(&self.shared.directory, &entry, columns, None);
        let due = entry.updates.iter().any(|(id, _)| {
            let collection = state.collections.get(id);
            collection.is_some_and(|c| checkpoint::is_due(c, &self.shared.options))
        });
        // Still under the lock of the state, so that the queue has the order of ticks.
        self.shared.queue.push(entry, done);
        drop(state);
        if due {
            self.shared.checkpoint.wake();
        }
        Ok(())
    }

    /// The tick of the last durable entry, as it moves.
    pub fn durable_upper(&self) -> watch::Receiver<Tick> {
        self.shared.durable.subscribe()
    }

    /// A writer of Parquet parts for bulk data. What it writes is part of the collection only
    /// when an entry names it.
    pub fn part_writer(&self, collection: ObjectId, columns: &[ColumnType]) -> PartWriter {
        let described = self.shared.state.lock().collections.get(&collection).and_then(|found| {
            found.columns.clone().filter(|described| described.len() == columns.len())
        });
        let columns = described
            .map_or_else(|| column::of_types(columns), |described| described.as_ref().clone());
        PartWriter::new(Arc::clone(&self.shared), collection, Some(columns), false)
    }

    /// Removes parts that no entry will name.
    pub fn discard_parts(&self, parts: &[PartName]) {
        for name in parts {
            crate::part::PartFile::new(&self.shared.directory, name.clone()).doom();
        }
    }

    /// The content of a collection at a tick, not consolidated: its sum is. A collection that no
    /// entry has mentioned is empty.
    ///
    /// # Errors
    /// The tick has been folded.
    pub fn read(&self, collection: ObjectId, as_of: Tick) -> Result<CollectionReader, LedgerError> {
        let state = self.shared.state.lock();
        let Some(found) = state.collections.get(&collection) else {
            return Ok(CollectionReader::default());
        };
        if as_of < found.as_of {
            let since = found.as_of;
            return Err(LedgerError::NotHeld { collection, as_of, since });
        }
        Ok(CollectionReader::new(found, as_of))
    }

    /// The updates in one part that an entry names, or is about to name.
    pub fn read_part(&self, part: &PartName) -> CollectionReader {
        let file = crate::part::PartFile::new(&self.shared.directory, part.clone());
        CollectionReader::of_pieces([Piece::Part(file)].into())
    }

    /// The first tick at which a collection can be read.
    pub fn since(&self, collection: ObjectId) -> Tick {
        self.shared.state.lock().collections.get(&collection).map_or(Tick::MIN, |found| found.as_of)
    }

    /// Allows history up to a tick to be folded: nobody reads before it any more.
    pub fn allow_compaction(&self, upto: Tick) {
        let due = {
            let mut state = self.shared.state.lock();
            let advanced = upto > state.compaction;
            state.compaction = state.compaction.max(upto);
            let options = &self.shared.options;
            advanced && state.collections.values().any(|c| checkpoint::is_due(c, options))
        };
        if due {
            self.shared.checkpoint.wake();
        }
    }

    /// Replaces the catalog changes of all entries up to a tick by others that say the same in
    /// fewer words. The next checkpoint keeps them.
    pub fn replace_catalog(&self, upto: Tick, changes: Vec<serde_json::Value>) {
        let mut state = self.shared.state.lock();
        let later = state.catalog.iter().filter(|(tick, _)| *tick > upto).cloned();
        let compacted = changes.into_iter().map(|change| (upto, change)).chain(later).collect();
        state.catalog = compacted;
    }

    /// Folds all that may be folded, and waits for it.
    ///
    /// # Errors
    /// A file cannot be read or written, or the ledger cannot write any more.
    pub fn checkpoint(&self) -> Result<(), LedgerError> {
        checkpoint::checkpoint(&self.shared, true)
    }

    /// The size of all segments and parts.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn bytes_on_disk(&self) -> Result<u64, LedgerError> {
        let directory = &self.shared.directory;
        let mut bytes = 0;
        for path in [directory.segments(), directory.parts()] {
            let failed = |error| LedgerError::io("read directory", &path, error);
            for entry in std::fs::read_dir(&path).map_err(failed)? {
                // A file may be deleted meanwhile.
                bytes += entry.map_err(failed)?.metadata().map_or(0, |metadata| metadata.len());
            }
        }
        Ok(bytes)
    }

    /// The box that seals this database's secrets.
    ///
    /// # Errors
    /// The key file cannot be read or written.
    pub fn secrets(&self) -> Result<SecretBox, LedgerError> {
        SecretBox::open(self.shared.directory.root())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.checkpoint.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the ledger panicked");
            }
        }
    }
}
