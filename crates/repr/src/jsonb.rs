//! `jsonb`: a canonical binary form that is walked without being decoded whole.

use std::cmp::Ordering;

/// A jsonb value inside a row.
#[derive(Clone, Copy, Debug)]
pub struct JsonbRef<'a> {
    bytes: &'a [u8],
}

impl<'a> JsonbRef<'a> {
    /// A value in bytes that [`JsonbRef::bytes`] gave.
    pub fn from_bytes(bytes: &'a [u8]) -> JsonbRef<'a> {
        JsonbRef { bytes }
    }

    /// The canonical encoding.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// PostgreSQL's order of jsonb values.
    pub fn sql_cmp(&self, other: &JsonbRef<'_>) -> Ordering {
        self.bytes.cmp(other.bytes)
    }
}
