//! PostgreSQL's binary formats (`typsend`, `typreceive`): to row bytes and back.

use crate::datum::Datum;
use crate::error::SqlError;
use crate::row::RowBuilder;
use crate::types::{ColumnType, ScalarType};

/// Reads one value of a type from its binary form and appends it to `row`, after applying the
/// type's modifier. On an error nothing is appended.
///
/// # Errors
/// The bytes are no value of the type (`22P03`).
pub fn decode_into(typ: &ColumnType, bytes: &[u8], row: &mut RowBuilder) -> Result<(), SqlError> {
    let _ = (typ, bytes, row);
    Err(SqlError::internal("binary input"))
}

/// Appends the binary form of a value that is not NULL to `out` (without its length).
pub fn encode_into(datum: &Datum<'_>, typ: &ScalarType, out: &mut Vec<u8>) {
    let _ = (datum, typ, out);
}
