//! PostgreSQL's binary COPY format.

use tidemill_repr::binary::decode_into;
use tidemill_repr::{Column, Datum, RowBuilder, SqlError};

use super::bad_data;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Rows that come piece by piece.
#[derive(Default)]
pub(super) struct BinaryReader {
    buffer: Vec<u8>,
    start: usize,
    begun: bool,
    ended: bool,
    line: u64,
}

/// Bytes that are there; None where more must come.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

impl BinaryReader {
    /// The number of the row that was read last.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn append(&mut self, data: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(data);
    }

    /// Reads the next row, if it is complete.
    ///
    /// # Errors
    /// The data is wrong (`22P04`), or a value is (`22P03`).
    pub(super) fn next(
        &mut self,
        columns: &[Column],
        table: &str,
        end: bool,
        row: &mut RowBuilder,
    ) -> Result<bool, SqlError> {
        if !self.begun && !self.header(end)? {
            return Ok(false);
        }
        let context = format!("COPY {table}, line {}", self.line + 1);
        self.row(columns, &context, end, row).map_err(|error| match error.context {
            Some(_) => error,
            None => error.with_context(context.clone()),
        })
    }

    fn header(&mut self, end: bool) -> Result<bool, SqlError> {
        let mut cursor = Cursor { bytes: &self.buffer, at: self.start };
        let Some(signature) = cursor.take(SIGNATURE.len()) else {
            if end || !SIGNATURE.starts_with(&self.buffer) {
                return Err(bad_data("COPY file signature not recognized"));
            }
            return Ok(false);
        };
        if signature != SIGNATURE {
            return Err(bad_data("COPY file signature not recognized"));
        }
        let Some(flags) = cursor.i32() else {
            return incomplete(end, "invalid COPY file header (missing flags)");
        };
        if flags & (1 << 16) != 0 {
            return Err(bad_data("invalid COPY file header (WITH OIDS)"));
        }
        if (flags >> 16) != 0 {
            return Err(bad_data("unrecognized critical flags in COPY file header"));
        }
        let Some(length) = cursor.i32() else {
            return incomplete(end, "invalid COPY file header (missing length)");
        };
        let Ok(length) = usize::try_from(length) else {
            return Err(bad_data("invalid COPY file header (missing length)"));
        };
        if cursor.take(length).is_none() {
            return incomplete(end, "invalid COPY file header (wrong length)");
        }
        self.start = cursor.at;
        self.begun = true;
        Ok(true)
    }

    fn row(
        &mut self,
        columns: &[Column],
        context: &str,
        end: bool,
        row: &mut RowBuilder,
    ) -> Result<bool, SqlError> {
        let mut cursor = Cursor { bytes: &self.buffer, at: self.start };
        if self.ended {
            if cursor.take(1).is_some() {
                return Err(bad_data("received copy data after EOF marker"));
            }
            return Ok(false);
        }
        if end && self.start == self.buffer.len() {
            return Ok(false);
        }
        row.clear();
        let Some(count) = cursor.i16() else {
            return incomplete(end, "unexpected EOF in COPY data");
        };
        if count == -1 {
            self.start = cursor.at;
            self.ended = true;
            return self.row(columns, context, end, row);
        }
        if usize::try_from(count) != Ok(columns.len()) {
            return Err(bad_data(format!(
                "row field count is {count}, expected {}",
                columns.len()
            )));
        }
        for column in columns {
            let Some(length) = cursor.i32() else {
                return incomplete(end, "unexpected EOF in COPY data");
            };
            if length == -1 {
                row.push(Datum::Null);
                continue;
            }
            let at_column = format!("{context}, column {}", column.name);
            let Ok(length) = usize::try_from(length) else {
                return Err(bad_data("invalid field size").with_context(at_column));
            };
            let Some(bytes) = cursor.take(length) else {
                return incomplete(end, "unexpected EOF in COPY data")
                    .map_err(|error| error.with_context(at_column));
            };
            decode_into(&column.typ, bytes, row).map_err(|error| error.with_context(at_column))?;
        }
        self.start = cursor.at;
        self.line += 1;
        Ok(true)
    }
}

/// More must come; at the end of the data that is an error.
fn incomplete(end: bool, message: &str) -> Result<bool, SqlError> {
    if end { Err(bad_data(message)) } else { Ok(false) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use tidemill_repr::{ColumnType, ScalarType};

    use super::*;

    fn columns() -> Vec<Column> {
        vec![Column { name: "a".to_owned(), typ: ColumnType::new(ScalarType::Int4) }]
    }

    #[test]
    fn rows_in_pieces() {
        let mut data = SIGNATURE.to_vec();
        data.extend([0; 8]);
        data.extend(b"\0\x01\0\0\0\x04\0\0\0\x07\0\x01\xff\xff\xff\xff\xff\xff");
        let mut reader = BinaryReader::default();
        let mut rows = Vec::new();
        let mut builder = RowBuilder::new();
        for byte in &data {
            reader.append(&[*byte]);
            while reader.next(&columns(), "t", false, &mut builder).unwrap() {
                rows.push(builder.finish());
            }
        }
        assert!(!reader.next(&columns(), "t", true, &mut builder).unwrap());
        let expected = [Datum::Int(7), Datum::Null].map(tidemill_repr::Row::pack1);
        assert_eq!(rows, expected);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut data = SIGNATURE.to_vec();
            data.extend(tail);
            let mut reader = BinaryReader::default();
            reader.append(&data);
            let mut builder = RowBuilder::new();
            while let Ok(true) = reader.next(&columns(), "t", true, &mut builder) {}
        }
    }
}
