//! Opening: the manifest, then the segments after it, then tidying up.

use std::fs;
use std::sync::Arc;

use tidemill_repr::{ObjectId, Tick};

use crate::directory::Directory;
use crate::error::LedgerError;
use crate::manifest::{self, Manifest};
use crate::part::PartFile;
use crate::segment::{self, Segment};
use crate::state::{Collection, Level, State};

/// Reads a directory. Gives the state and the segment to go on with, if there is one.
pub(crate) fn recover(directory: &Directory) -> Result<(State, Option<Segment>), LedgerError> {
    let mut state = State::default();
    let mut checkpoint = None;
    let mut segments = directory.list_segments()?;
    if let Some(manifest) = manifest::load(directory)? {
        checkpoint = Some(manifest.upper);
        if let Some(first) = manifest.first_segment {
            if !segments.contains(&first) {
                let path = directory.segment(first);
                return Err(LedgerError::corrupted(&path, 0, "the segment is missing"));
            }
            // Older ones were about to be deleted when the server stopped.
            segments.retain(|segment| *segment >= first);
        }
        restore(directory, &mut state, manifest)?;
    }
    let open = replay(directory, &mut state, checkpoint, &segments)?;
    let last = state.last;
    state.made_durable(last);
    tidy(directory, &state)?;
    Ok((state, open))
}

fn restore(
    directory: &Directory,
    state: &mut State,
    manifest: Manifest,
) -> Result<(), LedgerError> {
    let corrupted =
        |what: &str| LedgerError::corrupted(&directory.root().join("manifest"), 0, what.to_owned());
    directory.parts_used(manifest.next_part);
    state.last = manifest.upper;
    state.catalog = manifest.catalog;
    for (id, position) in manifest.positions {
        let id: ObjectId = id.parse().map_err(|_| corrupted("not an object's identity"))?;
        let position = manifest::from_hex(&position).ok_or_else(|| corrupted("not a position"))?;
        state.positions.insert(id, position);
    }
    for (id, found) in manifest.collections {
        let id: ObjectId = id.parse().map_err(|_| corrupted("not an object's identity"))?;
        let level = |names: Vec<_>| Level {
            parts: names.into_iter().map(|name| PartFile::new(directory, name)).collect(),
        };
        let collection = Collection {
            columns: found.columns.map(Arc::new),
            levels: found.levels.into_iter().map(level).collect(),
            as_of: found.as_of,
            ..Collection::default()
        };
        state.collections.insert(id, collection);
    }
    Ok(())
}

fn replay(
    directory: &Directory,
    state: &mut State,
    checkpoint: Option<Tick>,
    segments: &[Tick],
) -> Result<Option<Segment>, LedgerError> {
    let mut open = None;
    let mut last: Option<Tick> = None;
    for (index, first) in segments.iter().enumerate() {
        let path = directory.segment(*first);
        let is_last = index + 1 == segments.len();
        let length = segment::recover(&path, *first, is_last, |decoded| {
            let tick = decoded.entry.tick;
            if last.is_some_and(|last| tick <= last) {
                let what = format!("tick {tick} is out of order");
                return Err(LedgerError::corrupted(&path, 0, what));
            }
            last = Some(tick);
            state.apply(directory, &decoded.entry, decoded.columns, checkpoint);
            Ok(())
        })?;
        if is_last && length > 0 {
            open = Some(Segment::reopen(path, length)?);
        }
    }
    Ok(open)
}

/// Checks that all parts are there, and removes files that nothing names.
fn tidy(directory: &Directory, state: &State) -> Result<(), LedgerError> {
    let mut unneeded = directory.list_parts()?;
    unneeded.sort_unstable();
    for part in state.collections.values().flat_map(Collection::parts) {
        match unneeded.binary_search(&part.name.file) {
            Ok(index) => {
                unneeded.remove(index);
            }
            Err(_) => return Err(LedgerError::part(&part.path, "the file is missing")),
        }
    }
    for file in unneeded {
        directory.part_seen(&file);
        let path = directory.part(&file);
        fs::remove_file(&path).map_err(|error| LedgerError::io("remove file", &path, error))?;
    }
    Ok(())
}
