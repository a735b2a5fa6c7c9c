//! The thread that keeps the log short.
//!
//! A collection whose tail has grown is *folded*: its tail, consolidated, becomes a new level of
//! parts. Levels get smaller from first to last; when one is more than a quarter of the one
//! before, the two are merged, and rows that were deleted since leave the disk. So each row is
//! rewritten a few times in its life, not at every checkpoint.
//!
//! ```text
//! level 0  ████████████████████████  as loaded
//! level 1  ███                       deltas, with +1 and -1
//! level 2  █    ← the tail, folded
//! tail     ....  in memory and in segments
//! ```
//!
//! Then the manifest is replaced, and only then what it no longer names is deleted. A manifest
//! is stored only when all entries that it sums up are durable.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use tidemill_repr::{Diff, ObjectId, RowRef, Tick};

use crate::directory::sync_directory;
use crate::error::LedgerError;
use crate::ledger::{Options, Shared};
use crate::manifest::{self, CollectionManifest, MANIFEST_VERSION, Manifest};
use crate::part::PartFile;
use crate::part::column::PartColumn;
use crate::part::writer::PartWriter;
use crate::reader::CollectionReader;
use crate::state::{Collection, Level, Piece, State};

/// A level is merged with the one before when it has more than a quarter of its rows.
const MERGE_RATIO: u64 = 4;

/// Wakes the checkpoint thread.
#[derive(Debug, Default)]
pub struct Signal {
    wanted: Mutex<Wanted>,
    changed: Condvar,
    /// Held by who makes a checkpoint.
    running: Mutex<()>,
}

#[derive(Debug, Default)]
struct Wanted {
    some: bool,
    all: bool,
    stop: bool,
}

impl Signal {
    /// Some tail is due.
    pub fn wake(&self) {
        self.wanted.lock().some = true;
        self.changed.notify_one();
    }

    /// All tails are to be folded, so that segments can go.
    pub fn wake_all(&self) {
        self.wanted.lock().all = true;
        self.changed.notify_one();
    }

    /// The thread is to end.
    pub fn stop(&self) {
        self.wanted.lock().stop = true;
        self.changed.notify_one();
    }
}

/// Whether a collection's tail is long enough to be folded.
pub(crate) fn is_due(collection: &Collection, options: &Options) -> bool {
    collection.tail_bytes >= options.tail_bytes || collection.tail_updates >= options.tail_updates
}

/// Makes checkpoints until told to stop.
pub(crate) fn run(shared: &Arc<Shared>) {
    loop {
        let all = {
            let mut wanted = shared.checkpoint.wanted.lock();
            while !wanted.some && !wanted.all && !wanted.stop {
                shared.checkpoint.changed.wait(&mut wanted);
            }
            if wanted.stop {
                return;
            }
            wanted.some = false;
            std::mem::take(&mut wanted.all)
        };
        if let Err(error) = checkpoint(shared, all) {
            tracing::error!(%error, "checkpoint failed; the log stays as it is");
        }
        let mut wanted = shared.checkpoint.wanted.lock();
        let (signal, pause) = (&shared.checkpoint.changed, shared.options.checkpoint_pause);
        // Only the wish to stop ends the pause early.
        signal.wait_while_for(&mut wanted, |wanted| !wanted.stop, pause);
    }
}

/// Folds the tails that are due, or all, and replaces the manifest.
pub(crate) fn checkpoint(shared: &Arc<Shared>, all: bool) -> Result<(), LedgerError> {
    let _running = shared.checkpoint.running.lock();
    let jobs = jobs(shared, all);
    if jobs.is_empty() && !all {
        return Ok(());
    }
    let mut replaced = Vec::new();
    for job in jobs {
        replaced.extend(fold(shared, job)?);
    }
    let (manifest, oldest) = sum_up(shared)?;
    manifest::store(&shared.directory, &manifest)?;
    for part in replaced {
        part.doom();
    }
    delete_segments(shared, oldest)
}

/// A collection to fold.
struct Job {
    id: ObjectId,
    columns: Option<Arc<Vec<PartColumn>>>,
    levels: Vec<Level>,
    tail: Vec<Piece>,
    as_of: Tick,
}

fn jobs(shared: &Shared, all: bool) -> Vec<Job> {
    let state = shared.state.lock();
    let as_of = state.compaction.min(state.last);
    let foldable = |(id, collection): (&ObjectId, &Collection)| {
        if !all && !is_due(collection, &shared.options) {
            return None;
        }
        let tail = collection.tail.iter().take_while(|(tick, _)| *tick <= as_of);
        let tail: Vec<Piece> = tail.map(|(_, piece)| piece.clone()).collect();
        // A large tail of which little may be folded yet can wait.
        let most = tail.len() * 2 >= collection.tail.len();
        ((all || most) && !tail.is_empty()).then(|| Job {
            id: *id,
            columns: collection.columns.clone(),
            levels: collection.levels.clone(),
            tail,
            as_of,
        })
    };
    state.collections.iter().filter_map(foldable).collect()
}

/// Folds one collection. Gives the parts that it does not need any more.
fn fold(shared: &Arc<Shared>, job: Job) -> Result<Vec<Arc<PartFile>>, LedgerError> {
    let before: Vec<Arc<PartFile>> =
        job.levels.iter().flat_map(|level| &level.parts).cloned().collect();
    let mut levels = job.levels.clone();
    let mut rows = VecDeque::new();
    let mut loaded = Vec::new();
    for piece in &job.tail {
        match piece {
            Piece::Part(part) => loaded.push(Arc::clone(part)),
            rows_of_entry => rows.push_back(rows_of_entry.clone()),
        }
    }
    if !loaded.is_empty() {
        // Bulk data is a level as it lies there.
        levels.push(Level { parts: loaded.clone() });
    }
    let delta = consolidate(CollectionReader::of_pieces(rows))?;
    if !delta.is_empty() {
        levels.push(write_level(shared, &job, CollectionReader::default(), delta)?);
    }
    while let [.., large, small] = &levels[..] {
        if small.rows() * MERGE_RATIO <= large.rows() {
            break;
        }
        let merged = merge(shared, &job, large, small)?;
        for level in levels.drain(levels.len() - 2..) {
            doom_new(&level, &before, &loaded);
        }
        levels.extend(Some(merged).filter(|level| !level.parts.is_empty()));
    }
    let mut state = shared.state.lock();
    let Some(collection) = state.collections.get_mut(&job.id) else {
        // Dropped meanwhile. The parts it had are in the garbage already.
        levels.iter().for_each(|level| doom_new(level, &before, &loaded));
        return Ok(Vec::new());
    };
    let kept: Vec<_> = levels.iter().flat_map(|level| &level.parts).cloned().collect();
    collection.fold(job.as_of, levels);
    let gone = before.into_iter().chain(loaded);
    Ok(gone.filter(|part| !kept.iter().any(|kept| Arc::ptr_eq(kept, part))).collect())
}

/// Dooms parts that were written just now, and that nothing durable has ever named.
fn doom_new(level: &Level, before: &[Arc<PartFile>], loaded: &[Arc<PartFile>]) {
    for part in &level.parts {
        if !before.iter().chain(loaded).any(|old| Arc::ptr_eq(old, part)) {
            part.doom();
        }
    }
}

type Delta = HashMap<Box<[u8]>, Diff>;

/// Sums up updates: rows whose diffs cancel are gone.
fn consolidate(updates: CollectionReader) -> Result<Delta, LedgerError> {
    let mut sums: Delta = HashMap::new();
    for batch in updates {
        for (row, diff) in batch?.iter() {
            match sums.get_mut(row.bytes()) {
                Some(sum) => *sum += diff,
                None => {
                    sums.insert(Box::from(row.bytes()), diff);
                }
            }
        }
    }
    sums.retain(|_, diff| *diff != 0);
    Ok(sums)
}

/// Merges two neighbouring levels. Only the smaller one is held in memory.
fn merge(
    shared: &Arc<Shared>,
    job: &Job,
    large: &Level,
    small: &Level,
) -> Result<Level, LedgerError> {
    let (large, small) = if large.rows() < small.rows() { (small, large) } else { (large, small) };
    let pieces = |level: &Level| {
        CollectionReader::of_pieces(level.parts.iter().cloned().map(Piece::Part).collect())
    };
    let delta = consolidate(pieces(small))?;
    write_level(shared, job, pieces(large), delta)
}

/// Writes a stream of updates, with those of `delta` taken into account.
fn write_level(
    shared: &Arc<Shared>,
    job: &Job,
    base: CollectionReader,
    mut delta: Delta,
) -> Result<Level, LedgerError> {
    let columns = job.columns.as_ref().map(|columns| columns.as_ref().clone());
    let mut writer = PartWriter::new(Arc::clone(shared), job.id, columns, false);
    for batch in base {
        for (row, diff) in batch?.iter() {
            let diff = cancel(&mut delta, row, diff);
            if diff != 0 {
                writer.push_row(row, diff)?;
            }
        }
    }
    // Additions first: they need no column of diffs.
    for (row, diff) in delta.iter().filter(|(_, diff)| **diff == 1) {
        writer.push_row(RowRef::from_bytes(row), *diff)?;
    }
    for (row, diff) in delta.iter().filter(|(_, diff)| **diff != 1) {
        writer.push_row(RowRef::from_bytes(row), *diff)?;
    }
    let parts = writer.finish()?;
    let file = |name| PartFile::new(&shared.directory, name);
    Ok(Level { parts: parts.into_iter().map(file).collect() })
}

/// What is left of an update once `delta` has cancelled what it can; `delta` keeps the rest.
fn cancel(delta: &mut Delta, row: RowRef<'_>, diff: Diff) -> Diff {
    let Some(other) = delta.get_mut(row.bytes()) else { return diff };
    if other.signum() == diff.signum() {
        return diff;
    }
    let sum = *other + diff;
    if sum != 0 && sum.signum() == other.signum() {
        *other = sum;
        return 0;
    }
    delta.remove(row.bytes());
    sum
}

/// Makes the manifest of all entries appended so far, waiting until they are durable. Also tells
/// the first tick that is still needed from segments.
fn sum_up(shared: &Shared) -> Result<(Manifest, Tick), LedgerError> {
    let mut state = shared.state.lock();
    let upper = state.last;
    let mut oldest = upper.next();
    let mut collections = BTreeMap::new();
    for (id, collection) in &state.collections {
        let mut as_of = upper;
        if let Some((tick, _)) = collection.tail.front() {
            as_of = collection.as_of;
            oldest = oldest.min(*tick);
        }
        let names =
            |level: &Level| level.parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>();
        let levels = collection.levels.iter().map(names).collect();
        let columns = collection.columns.as_ref().map(|columns| columns.as_ref().clone());
        collections.insert(id.to_string(), CollectionManifest { as_of, columns, levels });
    }
    let hex = |(id, position): (&ObjectId, &Vec<u8>)| (id.to_string(), manifest::to_hex(position));
    let positions = state.positions.iter().map(hex).collect();
    let catalog = state.catalog.clone();
    wait_durable(shared, &mut state, upper)?;
    drop(state);
    let segments = shared.directory.list_segments()?;
    let first_segment = first_needed(&segments, oldest);
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        upper,
        first_segment,
        next_part: shared.directory.next_part(),
        catalog,
        positions,
        collections,
    };
    Ok((manifest, oldest))
}

fn wait_durable(
    shared: &Shared,
    state: &mut MutexGuard<'_, State>,
    upper: Tick,
) -> Result<(), LedgerError> {
    while state.durable < upper {
        if let Some(error) = &state.poisoned {
            return Err(LedgerError::Poisoned(Arc::clone(error)));
        }
        shared.durable_changed.wait(state);
    }
    Ok(())
}

/// The segment that may hold `oldest`: the last that starts at it or before.
fn first_needed(segments: &[Tick], oldest: Tick) -> Option<Tick> {
    segments.iter().rev().find(|first| **first <= oldest).or(segments.first()).copied()
}

fn delete_segments(shared: &Shared, oldest: Tick) -> Result<(), LedgerError> {
    let segments = shared.directory.list_segments()?;
    let Some(needed) = first_needed(&segments, oldest) else { return Ok(()) };
    for first in segments.iter().filter(|first| **first < needed) {
        let path = shared.directory.segment(*first);
        fs::remove_file(&path).map_err(|error| LedgerError::io("remove file", &path, error))?;
    }
    sync_directory(&shared.directory.segments())
}
