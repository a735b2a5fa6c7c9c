//! Messages that wait: in memory while they are few, in a file without name when they are many.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use tidemill_repr::{SqlError, SqlState};

/// How many bytes wait in memory at most.
const MEMORY_BYTES: usize = 8 << 20;
/// A message of the protocol cannot be longer.
const LONGEST: usize = 1 << 30;

/// Byte strings in order, each with a number.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    file: Option<File>,
    /// Bytes in the file.
    written: u64,
    memory: Vec<u8>,
}

fn disk(error: &io::Error) -> SqlError {
    let code = match error.kind() {
        io::ErrorKind::StorageFull => SqlState::DISK_FULL,
        _ => SqlState::IO_ERROR,
    };
    SqlError::new(code, format!("changes that wait cannot be kept on disk: {error}"))
        .with_hint("Make room in the directory for temporary files (TMPDIR).")
}

impl Spool {
    /// Appends one.
    pub(crate) fn push(&mut self, number: u64, bytes: &[u8]) -> Result<(), SqlError> {
        let length = u32::try_from(bytes.len())
            .ok()
            .filter(|length| *length as usize <= LONGEST)
            .ok_or_else(|| SqlError::internal("a message that is too long"))?;
        self.memory.extend_from_slice(&number.to_be_bytes());
        self.memory.extend_from_slice(&length.to_be_bytes());
        self.memory.extend_from_slice(bytes);
        if self.memory.len() >= MEMORY_BYTES {
            self.spill().map_err(|error| disk(&error))?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.seek(SeekFrom::Start(self.written))?;
        file.write_all(&self.memory)?;
        self.written += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }

    /// Where the end is, for [`Spool::truncate`].
    pub(crate) fn len(&self) -> u64 {
        self.written + self.memory.len() as u64
    }

    /// Forgets all that was appended since the end was there.
    pub(crate) fn truncate(&mut self, length: u64) {
        if length >= self.written {
            let kept = usize::try_from(length - self.written).unwrap_or(usize::MAX);
            self.memory.truncate(kept);
        } else {
            self.memory.clear();
            self.written = length;
        }
    }

    /// Reads all from the start.
    pub(crate) fn read(self) -> SpoolReader {
        SpoolReader { spool: self, next: 0, buffer: Vec::new(), used: 0 }
    }
}

/// Reads a spool once.
pub(crate) struct SpoolReader {
    spool: Spool,
    /// How much of the file is in the buffer or used.
    next: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl SpoolReader {
    /// The next one.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &[u8])>, SqlError> {
        const HEAD: usize = 12;
        self.fill(HEAD)?;
        let Some((number, length)) = self.buffer[self.used..].split_first_chunk::<8>() else {
            return Ok(None);
        };
        let number = u64::from_be_bytes(*number);
        let Some((length, _)) = length.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        self.fill(HEAD + length)?;
        let start = self.used + HEAD;
        let end = start + length;
        self.used = end;
        let short = || SqlError::internal("changes that waited are cut off");
        self.buffer.get(start..end).map(|bytes| Some((number, bytes))).ok_or_else(short)
    }

    /// The next one that is wanted.
    pub(crate) fn next_where(
        &mut self,
        wanted: impl Fn(u64, &[u8]) -> bool,
    ) -> Result<Option<&[u8]>, SqlError> {
        loop {
            let start = match self.next()? {
                None => return Ok(None),
                Some((number, bytes)) if wanted(number, bytes) => bytes.len(),
                Some(_) => continue,
            };
            return Ok(self.buffer.get(self.used - start..self.used));
        }
    }

    /// Makes the buffer hold so many unread bytes, if there are as many.
    fn fill(&mut self, wanted: usize) -> Result<(), SqlError> {
        while self.buffer.len() - self.used < wanted {
            self.buffer.drain(..self.used);
            self.used = 0;
            let left = self.spool.written - self.next;
            if left > 0 {
                let Some(file) = &mut self.spool.file else { return Ok(()) };
                let most = (MEMORY_BYTES as u64).max(wanted as u64).min(left);
                let start = self.buffer.len();
                let most = usize::try_from(most).unwrap_or(MEMORY_BYTES);
                self.buffer.resize(start + most, 0);
                file.seek(SeekFrom::Start(self.next))
                    .and_then(|_| file.read_exact(&mut self.buffer[start..]))
                    .map_err(|error| disk(&error))?;
                self.next += most as u64;
            } else if self.spool.memory.is_empty() {
                return Ok(());
            } else {
                self.buffer.append(&mut self.spool.memory);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(spool: Spool) -> Vec<(u64, Vec<u8>)> {
        let mut reader = spool.read();
        let mut all = Vec::new();
        while let Some((number, bytes)) = reader.next().unwrap() {
            all.push((number, bytes.to_vec()));
        }
        all
    }

    #[test]
    fn what_waits_comes_back_in_order() {
        for (count, size) in [(0, 0), (10, 5), (40, 1 << 20), (3, 20 << 20)] {
            let mut spool = Spool::default();
            let item = |number: u64| vec![number as u8; size + number as usize];
            for number in 0..count {
                spool.push(number, &item(number)).unwrap();
            }
            let wanted: Vec<_> = (0..count).map(|number| (number, item(number))).collect();
            assert_eq!(read_all(spool), wanted);
        }
    }

    #[test]
    fn what_was_appended_last_can_be_forgotten() {
        for size in [10, 3 << 20] {
            let mut spool = Spool::default();
            spool.push(1, &vec![1; size]).unwrap();
            let kept = spool.len();
            for number in 2..6 {
                spool.push(number, &vec![2; size]).unwrap();
            }
            spool.truncate(kept);
            spool.push(7, &vec![7; size]).unwrap();
            assert_eq!(read_all(spool), [(1, vec![1; size]), (7, vec![7; size])]);
        }
    }
}
