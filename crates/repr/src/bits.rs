//! Bit strings (`bit`, `varbit`).

use std::cmp::Ordering;

/// A bit string: whole bytes, most significant bit first, unused bits zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitsRef<'a> {
    /// How many bits there are.
    pub length: u32,
    /// `length` bits in as many bytes as they need.
    pub bytes: &'a [u8],
}

impl BitsRef<'_> {
    /// SQL's order: by bits, then by length.
    pub fn sql_cmp(&self, other: &BitsRef<'_>) -> Ordering {
        self.bytes.cmp(other.bytes).then(self.length.cmp(&other.length))
    }

    /// The bit at a position counted from the left, if there is one.
    pub fn get(&self, position: u32) -> Option<bool> {
        if position >= self.length {
            return None;
        }
        let byte = self.bytes.get(position as usize / 8)?;
        Some(byte >> (7 - position % 8) & 1 == 1)
    }
}
