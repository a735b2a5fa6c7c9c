//! What can go wrong with the log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_repr::{ObjectId, SqlError, SqlState, Tick};

/// An error of the ledger. Cheap to clone: all entries of a group share the error of its write.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// The operating system refused something.
    #[error("could not {action} \"{}\": {error}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Why not.
        error: Arc<io::Error>,
    },
    /// Another server has the directory open.
    #[error("data directory \"{}\" is in use by another Tidemill server", .0.display())]
    Locked(PathBuf),
    /// A file does not hold what was written to it.
    #[error("file \"{}\" is corrupted at offset {offset}: {what}", path.display())]
    Corrupted {
        /// The file.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A file was written by a newer version.
    #[error("file \"{}\" has format version {version}, which this version of Tidemill cannot read",
        path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it says.
        version: u32,
    },
    /// A tick that is not greater than the one before.
    #[error("tick {tick} is not after tick {last}, the last one in the ledger")]
    TickOrder {
        /// The entry's tick.
        tick: Tick,
        /// The last entry's tick.
        last: Tick,
    },
    /// An entry that no segment can hold; large data belongs in parts.
    #[error("entry of {bytes} bytes is too large; the limit is {limit}")]
    EntryTooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// A read in the past that has been folded.
    #[error("collection {collection} is no longer held at tick {as_of}; it is since {since}")]
    NotHeld {
        /// The collection.
        collection: ObjectId,
        /// The tick asked for.
        as_of: Tick,
        /// The first tick that can be read.
        since: Tick,
    },
    /// An earlier write failed, so nothing can be promised any more.
    #[error("the ledger no longer accepts writes, since an earlier one failed: {0}")]
    Poisoned(Arc<LedgerError>),
    /// The ledger has been closed.
    #[error("the ledger is closed")]
    Closed,
    /// A part could not be encoded or decoded.
    #[error("part \"{}\": {what}", path.display())]
    Part {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A secret could not be opened: it was changed, or sealed with another key.
    #[error("the secret cannot be decrypted with the key of this data directory")]
    Secret,
}

impl LedgerError {
    /// An error of the operating system.
    pub(crate) fn io(action: &'static str, path: &Path, error: io::Error) -> LedgerError {
        LedgerError::Io { action, path: path.to_owned(), error: Arc::new(error) }
    }

    /// A file that is not as it was written.
    pub(crate) fn corrupted(path: &Path, offset: u64, what: impl Into<String>) -> LedgerError {
        LedgerError::Corrupted { path: path.to_owned(), offset, what: what.into() }
    }

    /// Something wrong with a part.
    pub(crate) fn part(path: &Path, what: impl ToString) -> LedgerError {
        LedgerError::Part { path: path.to_owned(), what: what.to_string() }
    }
}

impl From<LedgerError> for SqlError {
    fn from(error: LedgerError) -> SqlError {
        let code = match &error {
            LedgerError::Io { error, .. } if error.kind() == io::ErrorKind::StorageFull => {
                SqlState::DISK_FULL
            }
            LedgerError::Io { .. } | LedgerError::Poisoned(_) => SqlState::IO_ERROR,
            LedgerError::Corrupted { .. } | LedgerError::Part { .. } | LedgerError::Secret => {
                SqlState::DATA_CORRUPTED
            }
            LedgerError::Locked(_) => SqlState::OBJECT_IN_USE,
            LedgerError::EntryTooLarge { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            LedgerError::Closed => SqlState::ADMIN_SHUTDOWN,
            LedgerError::NotHeld { .. } => SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            LedgerError::Version { .. } | LedgerError::TickOrder { .. } => SqlState::INTERNAL_ERROR,
        };
        SqlError::new(code, error.to_string())
    }
}
