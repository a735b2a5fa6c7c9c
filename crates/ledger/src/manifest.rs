//! The manifest: what the last checkpoint put together, in one JSON file.
//!
//! It is written beside the old one, synced, and renamed over it: there is always exactly one
//! that is whole. A restart reads it, and then the segments from `first_segment` on.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use tidemill_repr::Tick;

use crate::directory::{Directory, sync_directory};
use crate::entry::PartName;
use crate::error::LedgerError;
use crate::part::column::PartColumn;

/// The version that is written.
pub const MANIFEST_VERSION: u32 = 1;

/// The file's content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format.
    pub version: u32,
    /// Entries up to here are in the catalog, the positions, and the collections' `as_of`.
    pub upper: Tick,
    /// The oldest segment that a restart needs, if any.
    pub first_segment: Option<Tick>,
    /// The number of the next part.
    pub next_part: u64,
    /// Catalog changes with their ticks.
    pub catalog: Vec<(Tick, serde_json::Value)>,
    /// The position of each source, in hexadecimal.
    pub positions: BTreeMap<String, String>,
    /// Each collection.
    pub collections: BTreeMap<String, CollectionManifest>,
}

/// A collection in the manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CollectionManifest {
    /// The tick of the parts; entries after it come from segments.
    pub as_of: Tick,
    /// The columns, if they were described.
    pub columns: Option<Vec<PartColumn>>,
    /// Parts, level by level.
    pub levels: Vec<Vec<PartName>>,
}

fn path(directory: &Directory) -> PathBuf {
    directory.root().join("manifest")
}

/// Reads the manifest; None in a new directory.
///
/// # Errors
/// It cannot be read, or is not what was written.
pub fn load(directory: &Directory) -> Result<Option<Manifest>, LedgerError> {
    let path = path(directory);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LedgerError::io("read file", &path, error)),
    };
    let value: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|error| LedgerError::corrupted(&path, 0, error.to_string()))?;
    let version = value.get("version").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if version != u64::from(MANIFEST_VERSION) {
        let version = u32::try_from(version).unwrap_or(u32::MAX);
        return Err(LedgerError::Version { path, version });
    }
    serde_json::from_value(value)
        .map(Some)
        .map_err(|error| LedgerError::corrupted(&path, 0, error.to_string()))
}

/// Replaces the manifest.
///
/// # Errors
/// The disk says no; the old one is still there.
pub fn store(directory: &Directory, manifest: &Manifest) -> Result<(), LedgerError> {
    let path = path(directory);
    let temporary = directory.root().join("manifest.new");
    let failed = |error| LedgerError::io("write file", &temporary, error);
    let bytes = serde_json::to_vec_pretty(manifest)
        .map_err(|error| failed(std::io::Error::other(error)))?;
    let mut file = File::create(&temporary).map_err(failed)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&temporary, &path).map_err(failed)?;
    sync_directory(directory.root())
}

/// Bytes as hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal digits as bytes.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(*pair.get(1)?)?).ok())
        .collect()
}
