//! The bytes of an entry, drawn in `docs/formats/ledger.md`. All numbers are little-endian.
//!
//! ```text
//! payload: version (1) = 1, durable length (8), tick (8), sections
//! section: kind (1), length (4), body
//!   1 catalog   JSON
//!   2 updates   collection (9), form of diffs (1), count (4), length of each row (4 each),
//!               diffs (0, 1 or 8 bytes each), bytes of all rows
//!   3 part      collection (9), rows (8), bytes (8), file name
//!   4 position  source (9), bytes
//!   5 dropped   collection (9)
//!   6 columns   collection (9), of each column: kind (1), nullable (1), length (2), name
//! object: kind (1): 0 system, 1 user, 2 transient; number (8)
//! ```
//!
//! *Durable length* is how much of the segment was known to be on disk when the record was
//! written. Recovery tells by it a torn group (nobody was promised anything) from corruption.

use std::sync::Arc;

use tidemill_repr::{ObjectId, RowBatch, Tick};

use crate::entry::{Entry, PartName};
use crate::part::column::{self, PartColumn};

/// The version that is written, and the only one there is.
pub const PAYLOAD_VERSION: u8 = 1;
/// Bytes before the sections.
pub const PAYLOAD_HEADER: usize = 17;

const CATALOG: u8 = 1;
const UPDATES: u8 = 2;
const PART: u8 = 3;
const POSITION: u8 = 4;
const DROPPED: u8 = 5;
const COLUMNS: u8 = 6;

/// An entry as a segment gives it back: columns are the kinds that parts store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// All but the columns.
    pub entry: Entry,
    /// The columns of collections.
    pub columns: Vec<(ObjectId, Vec<PartColumn>)>,
    /// How much of the segment was durable when this was written.
    pub durable_length: u64,
}

/// Appends the payload of an entry.
pub fn encode(entry: &Entry, durable_length: u64, out: &mut Vec<u8>) {
    out.push(PAYLOAD_VERSION);
    out.extend_from_slice(&durable_length.to_le_bytes());
    out.extend_from_slice(&entry.tick.0.to_le_bytes());
    for change in &entry.catalog {
        section(out, CATALOG, |out| out.extend_from_slice(change.to_string().as_bytes()));
    }
    for (id, desc) in &entry.columns {
        section(out, COLUMNS, |out| {
            push_id(out, *id);
            column::encode(&column::of_relation(desc), out);
        });
    }
    for (id, batch) in &entry.updates {
        section(out, UPDATES, |out| {
            push_id(out, *id);
            push_batch(out, batch);
        });
    }
    for (id, part) in &entry.parts {
        section(out, PART, |out| {
            push_id(out, *id);
            out.extend_from_slice(&part.rows.to_le_bytes());
            out.extend_from_slice(&part.bytes.to_le_bytes());
            out.extend_from_slice(part.file.as_bytes());
        });
    }
    for (id, position) in &entry.positions {
        section(out, POSITION, |out| {
            push_id(out, *id);
            out.extend_from_slice(position);
        });
    }
    for id in &entry.dropped {
        section(out, DROPPED, |out| push_id(out, *id));
    }
}

/// Reads a payload.
///
/// # Errors
/// Says what is wrong with the bytes.
pub fn decode(mut bytes: &[u8]) -> Result<Decoded, String> {
    let input = &mut bytes;
    let version = take(input, 1).ok_or("the payload is empty")?[0];
    if version != PAYLOAD_VERSION {
        return Err(format!("payload version {version} is not known"));
    }
    let mut decoded = Decoded {
        durable_length: take_u64(input).ok_or("the payload ends early")?,
        ..Decoded::default()
    };
    decoded.entry.tick = Tick(take_u64(input).ok_or("the payload ends early")?);
    while !input.is_empty() {
        let kind = take(input, 1).ok_or("a section ends early")?[0];
        let length = take_u32(input).ok_or("a section ends early")?;
        let body = take(input, length as usize).ok_or("a section ends early")?;
        read_section(kind, body, &mut decoded)
            .ok_or_else(|| format!("a section of kind {kind} cannot be read"))?;
    }
    Ok(decoded)
}

fn read_section(kind: u8, mut body: &[u8], decoded: &mut Decoded) -> Option<()> {
    let input = &mut body;
    let entry = &mut decoded.entry;
    match kind {
        CATALOG => entry.catalog.push(serde_json::from_slice(input).ok()?),
        UPDATES => entry.updates.push((take_id(input)?, Arc::new(take_batch(input)?))),
        PART => {
            let id = take_id(input)?;
            let (rows, bytes) = (take_u64(input)?, take_u64(input)?);
            let file = std::str::from_utf8(input).ok()?.to_owned();
            entry.parts.push((id, PartName { file, rows, bytes }));
        }
        POSITION => entry.positions.push((take_id(input)?, input.to_vec())),
        DROPPED => entry.dropped.push(take_id(input)?),
        COLUMNS => decoded.columns.push((take_id(input)?, column::decode(input)?)),
        _ => return None,
    }
    Some(())
}

fn section(out: &mut Vec<u8>, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    fill(out);
    // The size of an entry is limited well below 4 GiB before it comes here.
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn push_id(out: &mut Vec<u8>, id: ObjectId) {
    let (kind, number) = match id {
        ObjectId::System(number) => (0, number),
        ObjectId::User(number) => (1, number),
        ObjectId::Transient(number) => (2, number),
    };
    out.push(kind);
    out.extend_from_slice(&number.to_le_bytes());
}

fn take_id(input: &mut &[u8]) -> Option<ObjectId> {
    let kind = take(input, 1)?[0];
    let number = take_u64(input)?;
    match kind {
        0 => Some(ObjectId::System(number)),
        1 => Some(ObjectId::User(number)),
        2 => Some(ObjectId::Transient(number)),
        _ => None,
    }
}

fn push_batch(out: &mut Vec<u8>, batch: &RowBatch) {
    let (bytes, ends, diffs) = batch.parts();
    let form = if diffs.iter().all(|diff| *diff == 1) {
        0
    } else if diffs.iter().all(|diff| i8::try_from(*diff).is_ok()) {
        1
    } else {
        8
    };
    out.push(form);
    out.extend_from_slice(&(diffs.len() as u32).to_le_bytes());
    let mut start = 0;
    for end in ends {
        out.extend_from_slice(&((end - start) as u32).to_le_bytes());
        start = *end;
    }
    for diff in diffs {
        // The low bytes come first; the form says how many hold it all.
        out.extend_from_slice(&diff.to_le_bytes()[..form as usize]);
    }
    out.extend_from_slice(bytes);
}

fn take_batch(input: &mut &[u8]) -> Option<RowBatch> {
    let form = take(input, 1)?[0];
    if !matches!(form, 0 | 1 | 8) {
        return None;
    }
    let count = take_u32(input)? as usize;
    let lengths = take(input, count.checked_mul(4)?)?;
    let diffs = take(input, count.checked_mul(usize::from(form))?)?;
    let mut batch = RowBatch::new();
    for (index, mut length) in lengths.chunks_exact(4).enumerate() {
        let row = take(input, take_u32(&mut length)? as usize)?;
        let diff = match form {
            0 => 1,
            1 => i64::from(diffs[index].cast_signed()),
            _ => take_u64(&mut &diffs[index * 8..])?.cast_signed(),
        };
        batch.push_encoded(row, diff);
    }
    input.is_empty().then_some(batch)
}

pub(crate) fn take<'a>(input: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = input.split_at_checked(count)?;
    *input = rest;
    Some(head)
}

pub(crate) fn take_u32(input: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(input, 4)?.try_into().ok()?))
}

pub(crate) fn take_u64(input: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(input, 8)?.try_into().ok()?))
}
