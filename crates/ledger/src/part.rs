//! Parts: Parquet files that hold updates in bulk, drawn in `docs/formats/checkpoint.md`.
//!
//! Columns are typed as far as Parquet has the type, so that other tools can read a table; row
//! bytes come back exactly. A value that its column's Parquet type cannot hold (a timestamp at
//! the end of time, a value of another type) makes the writer go on in a part of whole rows.

pub mod column;
pub mod reader;
pub mod text;
pub mod writer;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::directory::Directory;
use crate::entry::PartName;

/// A part on disk. Once doomed it is removed when the last one who reads it lets go.
#[derive(Debug)]
pub struct PartFile {
    /// Its name and size.
    pub name: PartName,
    /// Where it lies.
    pub path: PathBuf,
    doomed: AtomicBool,
}

impl PartFile {
    /// A part by its name; the file is not looked at.
    pub fn new(directory: &Directory, name: PartName) -> Arc<PartFile> {
        let path = directory.part(&name.file);
        Arc::new(PartFile { name, path, doomed: AtomicBool::new(false) })
    }

    /// Nothing durable names the part any more.
    pub fn doom(&self) {
        self.doomed.store(true, Ordering::Relaxed);
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.doomed.load(Ordering::Relaxed) {
            return;
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(file = %self.path.display(), %error, "could not remove a part");
            }
            _ => {}
        }
    }
}
