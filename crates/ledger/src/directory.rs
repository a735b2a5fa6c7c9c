//! The data directory: where each file lies, and the lock that keeps a second server out.
//!
//! ```text
//! <dir>/lock                          held (flock) while the ledger is open
//! <dir>/manifest                      the last checkpoint
//! <dir>/secret.key                    see `secrets`
//! <dir>/segments/<first tick>.log     the log
//! <dir>/parts/<collection>-<number>.parquet
//! ```

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tidemill_repr::{ObjectId, Tick};

use crate::error::LedgerError;

/// An open and locked data directory.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    next_part: AtomicU64,
    /// Unlocked when closed.
    _lock: File,
}

impl Directory {
    /// Creates the directory where needed, and locks it.
    ///
    /// # Errors
    /// Another server has it open, or it cannot be created.
    pub fn open(root: &Path) -> Result<Directory, LedgerError> {
        for path in [root.to_owned(), root.join("segments"), root.join("parts")] {
            fs::create_dir_all(&path)
                .map_err(|error| LedgerError::io("create directory", &path, error))?;
        }
        let path = root.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| LedgerError::io("open file", &path, error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => LedgerError::Locked(root.to_owned()),
            TryLockError::Error(error) => LedgerError::io("lock file", &path, error),
        })?;
        sync_directory(root)?;
        Ok(Directory { root: root.to_owned(), next_part: AtomicU64::new(1), _lock: lock })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where segments lie.
    pub fn segments(&self) -> PathBuf {
        self.root.join("segments")
    }

    /// Where parts lie.
    pub fn parts(&self) -> PathBuf {
        self.root.join("parts")
    }

    /// The segment that starts with a tick.
    pub fn segment(&self, first: Tick) -> PathBuf {
        self.segments().join(format!("{:020}.log", first.0))
    }

    /// A part by its file name.
    pub fn part(&self, file: &str) -> PathBuf {
        self.parts().join(file)
    }

    /// A name for a part that no other part has had.
    pub fn new_part_file(&self, collection: ObjectId) -> String {
        let number = self.next_part.fetch_add(1, Ordering::Relaxed);
        format!("{collection}-{number:012}.parquet")
    }

    /// The number of the next part, for the manifest to keep.
    pub fn next_part(&self) -> u64 {
        self.next_part.load(Ordering::Relaxed)
    }

    /// Numbers up to here have been used.
    pub fn parts_used(&self, next: u64) {
        self.next_part.fetch_max(next, Ordering::Relaxed);
    }

    /// Notes the number in a part's name as used.
    pub fn part_seen(&self, file: &str) {
        let stem = file.strip_suffix(".parquet").unwrap_or(file);
        if let Some(number) = stem.rsplit('-').next().and_then(|number| number.parse::<u64>().ok())
        {
            self.parts_used(number.saturating_add(1));
        }
    }

    /// The first ticks of all segments, in order.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list_segments(&self) -> Result<Vec<Tick>, LedgerError> {
        let mut ticks: Vec<Tick> = list(&self.segments())?
            .iter()
            .filter_map(|name| name.strip_suffix(".log")?.parse().ok().map(Tick))
            .collect();
        ticks.sort_unstable();
        Ok(ticks)
    }

    /// The names of all files in `parts`.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list_parts(&self) -> Result<Vec<String>, LedgerError> {
        list(&self.parts())
    }
}

fn list(path: &Path) -> Result<Vec<String>, LedgerError> {
    let failed = |error| LedgerError::io("read directory", path, error);
    let mut names = Vec::new();
    for item in fs::read_dir(path).map_err(failed)? {
        if let Ok(name) = item.map_err(failed)?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Makes creations, renames and removals in a directory durable.
///
/// # Errors
/// The operating system says no.
pub fn sync_directory(path: &Path) -> Result<(), LedgerError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| LedgerError::io("sync directory", path, error))
}
