//! Scans from the last key to the first.
//!
//! Cursors go forwards only. The last key below a bound is found byte by byte: whether a key
//! begins with at least certain bytes is one seek, and each answer halves what the next byte
//! can be.

use std::ops::Bound;

use differential_dataflow::trace::cursor::{Cursor, CursorList};
use tidemill_repr::{Diff, Row, RowRef, Tick};

use super::count_at;
use crate::typedefs::{SharedBatch, SharedCursor};

/// Rows of an index with their counts, from the last key to the first.
pub struct BackwardScan {
    cursor: CursorList<SharedCursor>,
    storage: Vec<SharedBatch>,
    tick: Tick,
    lower: Vec<u8>,
    /// All keys from here on are done; None: none is.
    end: Option<Vec<u8>>,
}

impl BackwardScan {
    pub(super) fn new(
        (cursor, storage): (CursorList<SharedCursor>, Vec<SharedBatch>),
        tick: Tick,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
    ) -> BackwardScan {
        // The least bytes above some are those with a zero behind them.
        let above = |bytes: &[u8]| [bytes, &[0]].concat();
        let lower = match lower {
            Bound::Unbounded => Vec::new(),
            Bound::Included(bytes) => bytes.to_vec(),
            Bound::Excluded(bytes) => above(bytes),
        };
        let end = match upper {
            Bound::Unbounded => None,
            Bound::Included(bytes) => Some(above(bytes)),
            Bound::Excluded(bytes) => Some(bytes.to_vec()),
        };
        BackwardScan { cursor, storage, tick, lower, end }
    }

    /// The rows of the next key that has some.
    pub fn next_key(&mut self) -> Option<Vec<(Row, Diff)>> {
        loop {
            let key = self.last()?;
            self.cursor.rewind_keys(&self.storage);
            self.cursor.seek_key(&self.storage, RowRef::from_bytes(&key));
            let mut rows = Vec::new();
            while let Some(value) = self.cursor.get_val(&self.storage) {
                let count = count_at(&mut self.cursor, &self.storage, self.tick);
                if count != 0 {
                    rows.push((value.to_owned(), count));
                }
                self.cursor.step_val(&self.storage);
            }
            self.end = Some(key);
            if !rows.is_empty() {
                return Some(rows);
            }
        }
    }

    /// The first key from some bytes on that is not done.
    fn first_from(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let from = bytes.max(&self.lower);
        self.cursor.rewind_keys(&self.storage);
        self.cursor.seek_key(&self.storage, RowRef::from_bytes(from));
        self.key_if_inside()
    }

    /// The key behind another one, if that is not done.
    fn behind(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        self.cursor.rewind_keys(&self.storage);
        self.cursor.seek_key(&self.storage, RowRef::from_bytes(key));
        self.cursor.step_key(&self.storage);
        self.key_if_inside()
    }

    fn key_if_inside(&self) -> Option<Vec<u8>> {
        let key = self.cursor.get_key(&self.storage)?.bytes();
        let is_inside = self.end.as_deref().is_none_or(|end| key < end);
        is_inside.then(|| key.to_vec())
    }

    /// The last key that is not done.
    fn last(&mut self) -> Option<Vec<u8>> {
        let mut prefix = Vec::new();
        let mut found = self.first_from(&prefix)?;
        // All keys behind the one found begin with the prefix.
        while self.behind(&found).is_some() {
            // There is a key from prefix + least on, and none from prefix + most on.
            let (mut least, mut most) = (0_u8, 256_u16);
            prefix.push(least);
            let place = prefix.len() - 1;
            while most - u16::from(least) > 1 {
                let middle = u8::try_from(u16::midpoint(u16::from(least), most)).unwrap_or(u8::MAX);
                prefix[place] = middle;
                match self.first_from(&prefix) {
                    Some(key) => (least, found) = (middle, key),
                    None => most = u16::from(middle),
                }
            }
            prefix[place] = least;
        }
        Some(found)
    }
}
