//! Values on the wire: rows to bytes in text or binary format, parameters from bytes to rows.

use tidemill_repr::text::TextSettings;
use tidemill_repr::{
    ColumnType, Datum, RelationDesc, Row, RowBuilder, ScalarType, SqlError, SqlState,
};
use tidemill_repr::{binary, text};

use crate::backend::with_length;
use crate::frontend::utf8;

/// How a column is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnFormat {
    /// Its type.
    pub typ: ScalarType,
    /// Whether in binary.
    pub binary: bool,
}

/// One format for each of `count` values from the formats of a Bind message.
///
/// # Errors
/// There are neither none, one, nor one for each (`08P01`).
fn expand_formats(formats: &[bool], count: usize, what: &str) -> Result<Vec<bool>, SqlError> {
    match formats {
        [] => Ok(vec![false; count]),
        [one] => Ok(vec![*one; count]),
        all if all.len() == count => Ok(all.to_vec()),
        all => Err(SqlError::new(
            SqlState::PROTOCOL_VIOLATION,
            format!("bind message has {} {what} formats but {count} {what}s", all.len()),
        )),
    }
}

/// How the columns of a relation are sent.
///
/// # Errors
/// The number of formats does not fit (`08P01`).
pub fn column_formats(
    desc: &RelationDesc,
    formats: &[bool],
) -> Result<Vec<ColumnFormat>, SqlError> {
    let formats = expand_formats(formats, desc.arity(), "result")?;
    let columns = desc.columns.iter().zip(formats);
    Ok(columns
        .map(|(column, binary)| ColumnFormat { typ: column.typ.scalar_type.clone(), binary })
        .collect())
}

/// Reads a statement's parameters: for each a row of one datum.
///
/// # Errors
/// Their number does not fit (`08P01`), or one is no value of its type.
pub fn read_parameters(
    types: &[ScalarType],
    formats: &[bool],
    values: &[Option<&[u8]>],
    statement: &str,
    settings: &TextSettings,
) -> Result<Vec<Row>, SqlError> {
    if values.len() != types.len() {
        return Err(SqlError::new(
            SqlState::PROTOCOL_VIOLATION,
            format!(
                "bind message supplies {} parameters, but prepared statement \"{statement}\" \
                 requires {}",
                values.len(),
                types.len()
            ),
        ));
    }
    let formats = expand_formats(formats, values.len(), "parameter")?;
    let mut builder = RowBuilder::new();
    let mut rows = Vec::with_capacity(values.len());
    for ((typ, value), is_binary) in types.iter().zip(values).zip(formats) {
        let typ = ColumnType::new(typ.clone());
        match value {
            None => builder.push(Datum::Null),
            Some(bytes) if is_binary => binary::decode_into(&typ, bytes, &mut builder)?,
            Some(bytes) => text::parse_into(&typ, utf8(bytes)?, settings, &mut builder)?,
        }
        rows.push(builder.finish());
    }
    Ok(rows)
}

/// Appends values in text format to byte buffers; keeps a buffer between values.
pub struct Encoder {
    settings: TextSettings,
    scratch: String,
}

impl Encoder {
    /// An encoder with a session's settings.
    pub fn new(settings: TextSettings) -> Encoder {
        Encoder { settings, scratch: String::new() }
    }

    /// Appends a DataRow message.
    pub fn data_row(&mut self, row: &Row, formats: &[ColumnFormat], out: &mut Vec<u8>) {
        out.push(b'D');
        with_length(out, true, |out| self.fields(row, formats, out));
    }

    /// Appends the number of fields and each with its length, as DataRow and binary COPY do.
    pub fn fields(&mut self, row: &Row, formats: &[ColumnFormat], out: &mut Vec<u8>) {
        let count = u16::try_from(formats.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&count.to_be_bytes());
        let mut datums = row.iter();
        for format in formats {
            match datums.next() {
                None | Some(Datum::Null) => out.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(datum) => with_length(out, false, |out| {
                    if format.binary {
                        binary::encode_into(&datum, &format.typ, out);
                    } else {
                        self.text(&datum, &format.typ, out);
                    }
                }),
            }
        }
    }

    /// Appends the text of a value that is not NULL.
    pub fn text(&mut self, datum: &Datum<'_>, typ: &ScalarType, out: &mut Vec<u8>) {
        match (datum, typ) {
            (
                Datum::Int(value),
                ScalarType::Int2 | ScalarType::Int4 | ScalarType::Int8 | ScalarType::Oid,
            ) => push_integer(*value, out),
            (Datum::Text(value), ScalarType::Text | ScalarType::Varchar | ScalarType::Name) => {
                out.extend_from_slice(value.as_bytes());
            }
            _ => out.extend_from_slice(self.formatted(datum, typ).as_bytes()),
        }
    }

    /// The text of a value that is not NULL.
    pub fn formatted(&mut self, datum: &Datum<'_>, typ: &ScalarType) -> &str {
        self.scratch.clear();
        text::format_into(datum, typ, &self.settings, &mut self.scratch);
        &self.scratch
    }
}

fn push_integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        // A digit fits.
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_written_as_rust_does() {
        for value in [0, 1, -1, 10, 1_234_567, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            push_integer(value, &mut out);
            assert_eq!(out, value.to_string().into_bytes());
        }
    }

    #[test]
    fn rows_have_text_binary_and_null() {
        let formats = [
            ColumnFormat { typ: ScalarType::Int4, binary: true },
            ColumnFormat { typ: ScalarType::Bool, binary: false },
            ColumnFormat { typ: ScalarType::Text, binary: false },
        ];
        let row = Row::pack([Datum::Int(7), Datum::Bool(true), Datum::Null]);
        let mut out = Vec::new();
        Encoder::new(TextSettings::default()).data_row(&row, &formats, &mut out);
        assert_eq!(out, b"D\0\0\0\x17\0\x03\0\0\0\x04\0\0\0\x07\0\0\0\x01t\xff\xff\xff\xff");
    }

    #[test]
    fn parameters_are_read_in_both_formats() {
        let types = [ScalarType::Int4, ScalarType::Int8, ScalarType::Text];
        let values = [Some(&b"\0\0\0\x05"[..]), Some(b"12"), None];
        let settings = TextSettings::default();
        let rows = read_parameters(&types, &[true, false, false], &values, "s", &settings).unwrap();
        assert_eq!(rows[0], Row::pack([Datum::Int(5)]));
        assert_eq!(rows[1], Row::pack([Datum::Int(12)]));
        assert_eq!(rows[2], Row::pack([Datum::Null]));
        let error = read_parameters(&types, &[], &values[..1], "s", &settings).unwrap_err();
        assert_eq!(error.code, SqlState::PROTOCOL_VIOLATION);
        let error = read_parameters(&types[..1], &[], &[Some(b"x")], "s", &settings).unwrap_err();
        assert_eq!(error.code, SqlState::INVALID_TEXT_REPRESENTATION);
    }
}
