//! Segments: files of records, appended to and never changed.
//!
//! ```text
//! segment: magic "TIDEMILL" (8), version (4) = 1, 0 (4), first tick (8), records
//! record:  length of payload (4), CRC32C of payload (4), payload
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tidemill_repr::Tick;

use crate::directory::{Directory, sync_directory};
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::format::{self, Decoded};

/// What a segment starts with.
pub const MAGIC: &[u8; 8] = b"TIDEMILL";
/// The version of segments that is written.
pub const SEGMENT_VERSION: u32 = 1;
/// Bytes before the first record.
pub const SEGMENT_HEADER: usize = 24;
/// Bytes before a payload.
pub const RECORD_HEADER: usize = 8;

/// The segment that is written to.
#[derive(Debug)]
pub struct Segment {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Segment {
    /// Starts a segment; it is durable, and has no record yet.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(directory: &Directory, first: Tick) -> Result<Segment, LedgerError> {
        let path = directory.segment(first);
        let failed = |error| LedgerError::io("create file", &path, error);
        let mut file = File::options().create_new(true).append(true).open(&path).map_err(failed)?;
        file.write_all(&header(first)).and_then(|()| file.sync_all()).map_err(failed)?;
        sync_directory(&directory.segments())?;
        Ok(Segment { path, file, length: SEGMENT_HEADER as u64 })
    }

    /// Goes on with a segment that recovery has read to its end.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn reopen(path: PathBuf, length: u64) -> Result<Segment, LedgerError> {
        let file = File::options()
            .append(true)
            .open(&path)
            .map_err(|error| LedgerError::io("open file", &path, error))?;
        Ok(Segment { path, file, length })
    }

    /// How long the file is; all of it is durable.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes records that [`encode_record`] made, with one write and one fdatasync.
    ///
    /// # Errors
    /// The disk says no. What the file holds then is not known.
    pub fn write(&mut self, records: &[u8]) -> Result<(), LedgerError> {
        self.file
            .write_all(records)
            .map_err(|error| LedgerError::io("write to file", &self.path, error))?;
        self.file.sync_data().map_err(|error| LedgerError::io("sync file", &self.path, error))?;
        self.length += records.len() as u64;
        Ok(())
    }
}

/// The first bytes of a segment.
pub fn header(first: Tick) -> [u8; SEGMENT_HEADER] {
    let mut header = [0; SEGMENT_HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
    header[16..].copy_from_slice(&first.0.to_le_bytes());
    header
}

/// Appends a record.
pub fn encode_record(entry: &Entry, durable_length: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; RECORD_HEADER]);
    format::encode(entry, durable_length, out);
    let payload = &out[start + RECORD_HEADER..];
    let (length, checksum) = (payload.len() as u32, crc32c::crc32c(payload));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// The payload of the record at the start of `bytes`, if it is whole.
fn payload(bytes: &[u8]) -> Option<&[u8]> {
    let mut input = bytes;
    let length = format::take_u32(&mut input)? as usize;
    let checksum = format::take_u32(&mut input)?;
    let payload = format::take(&mut input, length)?;
    let good = length >= format::PAYLOAD_HEADER && crc32c::crc32c(payload) == checksum;
    good.then_some(payload)
}

/// Reads a segment, giving each entry to `visit`. In the last segment an end that was never
/// acknowledged is cut off. Gives the good length; 0 if the file was not even started.
///
/// # Errors
/// The file cannot be read, or does not hold what was acknowledged.
pub fn recover(
    path: &Path,
    first: Tick,
    is_last: bool,
    mut visit: impl FnMut(Decoded) -> Result<(), LedgerError>,
) -> Result<u64, LedgerError> {
    let bytes = fs::read(path).map_err(|error| LedgerError::io("read file", path, error))?;
    if is_last && header_is_torn(&bytes, first) {
        fs::remove_file(path).map_err(|error| LedgerError::io("remove file", path, error))?;
        return Ok(0);
    }
    check_header(path, &bytes, first)?;
    let mut offset = SEGMENT_HEADER;
    let mut last: Option<Tick> = None;
    while offset < bytes.len() {
        let Some(payload) = payload(&bytes[offset..]) else {
            if !is_last || promised_after(&bytes, offset) {
                return Err(LedgerError::corrupted(path, offset as u64, "bad checksum or length"));
            }
            truncate(path, offset as u64)?;
            break;
        };
        let corrupted = |what: String| LedgerError::corrupted(path, offset as u64, what);
        let decoded = format::decode(payload).map_err(corrupted)?;
        let tick = decoded.entry.tick;
        if last.is_some_and(|last| tick <= last) || tick < first {
            return Err(corrupted(format!("tick {tick} is out of order")));
        }
        last = Some(tick);
        visit(decoded)?;
        offset += RECORD_HEADER + payload.len();
    }
    Ok(offset as u64)
}

/// Whether the header was never written to its end: then no record was acknowledged.
fn header_is_torn(bytes: &[u8], first: Tick) -> bool {
    let header = header(first);
    let written = bytes.iter().zip(&header).take_while(|(byte, wanted)| byte == wanted).count();
    written < SEGMENT_HEADER && bytes[written..].iter().all(|byte| *byte == 0)
}

fn check_header(path: &Path, bytes: &[u8], first: Tick) -> Result<(), LedgerError> {
    let mut input = bytes;
    let magic = format::take(&mut input, 8);
    let version = format::take_u32(&mut input).unwrap_or(0);
    if magic != Some(MAGIC.as_slice()) {
        return Err(LedgerError::corrupted(path, 0, "not a segment of a ledger"));
    }
    if version > SEGMENT_VERSION {
        return Err(LedgerError::Version { path: path.to_owned(), version });
    }
    if bytes.get(..SEGMENT_HEADER) != Some(header(first).as_slice()) {
        return Err(LedgerError::corrupted(path, 8, "the header does not match the file's name"));
    }
    Ok(())
}

/// Whether a whole record after `bad` was written when `bad` was already durable: then this is
/// no torn end.
fn promised_after(bytes: &[u8], bad: usize) -> bool {
    (bad + 1..bytes.len().saturating_sub(RECORD_HEADER + format::PAYLOAD_HEADER)).any(|offset| {
        let mut header = &bytes[offset + RECORD_HEADER..];
        let version = header[0];
        header = &header[1..];
        let durable = format::take_u64(&mut header).unwrap_or(0);
        version == format::PAYLOAD_VERSION
            && durable > bad as u64
            && durable <= offset as u64
            && payload(&bytes[offset..]).is_some()
    })
}

fn truncate(path: &Path, length: u64) -> Result<(), LedgerError> {
    tracing::warn!(file = %path.display(), length, "cutting off an unfinished write");
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(length).and_then(|()| file.sync_all()))
        .map_err(|error| LedgerError::io("truncate file", path, error))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidemill_repr::{Datum, ObjectId, Row, RowBatch};

    use super::*;

    /// The bytes of the last drawing: what stands before `│` on each line.
    fn drawn() -> Vec<u8> {
        let page = include_str!("../../../docs/formats/ledger.md");
        let drawing = page.rsplit("```").nth(1).unwrap();
        let digits = drawing.lines().filter_map(|line| line.split_once('│')).map(|line| line.0);
        let bytes = digits.flat_map(str::split_whitespace);
        bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    fn example() -> Entry {
        let mut batch = RowBatch::new();
        batch.push(Row::pack([Datum::Int(7)]).as_ref(), 1);
        batch.push(Row::pack([Datum::Int(8)]).as_ref(), -1);
        Entry { updates: vec![(ObjectId::User(1), Arc::new(batch))], ..Entry::at(Tick(5)) }
    }

    #[test]
    fn the_drawn_example_is_true() {
        let mut bytes = header(Tick(5)).to_vec();
        encode_record(&example(), SEGMENT_HEADER as u64, &mut bytes);
        let shown: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(drawn(), bytes, "{}", shown.join(" "));
        let decoded = format::decode(payload(&drawn()[SEGMENT_HEADER..]).unwrap()).unwrap();
        assert_eq!(decoded.entry, example());
        assert_eq!(decoded.durable_length, SEGMENT_HEADER as u64);
    }
}
