//! `COPY .. TO STDOUT`: rows in the text, CSV and binary formats, one CopyData message each.

use tidemill_coord::{CopyFormat, CopyHeader, CopyOptions};
use tidemill_repr::text::TextSettings;
use tidemill_repr::{Datum, RelationDesc, Row};

use crate::backend::message;
use crate::values::{ColumnFormat, Encoder};

/// Writes the data of a COPY.
pub struct CopyEncoder {
    options: CopyOptions,
    columns: Vec<ColumnFormat>,
    encoder: Encoder,
    /// What goes before the next row in its message: readers of the binary format expect its
    /// header and the first row together, as PostgreSQL sends them.
    before: &'static [u8],
}

/// What binary data begins with: the signature, flags and no extension.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

impl CopyEncoder {
    /// For rows of a relation.
    pub fn new(options: CopyOptions, desc: &RelationDesc, settings: TextSettings) -> CopyEncoder {
        let binary = options.format == CopyFormat::Binary;
        let columns = desc
            .columns
            .iter()
            .map(|column| ColumnFormat { typ: column.typ.scalar_type.clone(), binary })
            .collect();
        let before = if binary { BINARY_HEADER } else { &[] };
        CopyEncoder { options, columns, encoder: Encoder::new(settings), before }
    }

    /// Whether the format is binary.
    pub fn is_binary(&self) -> bool {
        self.options.format == CopyFormat::Binary
    }

    /// Appends what comes before the first row.
    pub fn header(&self, desc: &RelationDesc, out: &mut Vec<u8>) {
        if !self.is_binary() && self.options.header != CopyHeader::None {
            message(out, b'd', |out| {
                for (position, column) in desc.columns.iter().enumerate() {
                    if position > 0 {
                        out.push(self.options.delimiter);
                    }
                    self.value(&column.name, false, out);
                }
                out.push(b'\n');
            });
        }
    }

    /// Appends a row.
    pub fn row(&mut self, row: &Row, out: &mut Vec<u8>) {
        message(out, b'd', |out| match self.options.format {
            CopyFormat::Binary => {
                out.extend_from_slice(std::mem::take(&mut self.before));
                self.encoder.fields(row, &self.columns, out);
            }
            CopyFormat::Text | CopyFormat::Csv => self.line(row, out),
        });
    }

    /// Appends what comes after the last row.
    pub fn trailer(&mut self, out: &mut Vec<u8>) {
        if self.is_binary() {
            let before = std::mem::take(&mut self.before);
            message(out, b'd', |out| {
                out.extend_from_slice(before);
                out.extend_from_slice(&(-1_i16).to_be_bytes());
            });
        }
    }

    fn line(&mut self, row: &Row, out: &mut Vec<u8>) {
        let mut datums = row.iter();
        for position in 0..self.columns.len() {
            if position > 0 {
                out.push(self.options.delimiter);
            }
            match datums.next() {
                None | Some(Datum::Null) => out.extend_from_slice(self.options.null.as_bytes()),
                Some(datum) => {
                    let typ = &self.columns[position].typ;
                    let text = self.encoder.formatted(&datum, typ);
                    let options = &self.options;
                    if options.format == CopyFormat::Csv {
                        let force = options.force_quote.get(position).copied().unwrap_or(false);
                        csv_value(text, options, force, self.columns.len() == 1, out);
                    } else {
                        text_value(text, options.delimiter, out);
                    }
                }
            }
        }
        out.push(b'\n');
    }

    fn value(&self, text: &str, force: bool, out: &mut Vec<u8>) {
        if self.options.format == CopyFormat::Csv {
            csv_value(text, &self.options, force, self.columns.len() == 1, out);
        } else {
            text_value(text, self.options.delimiter, out);
        }
    }
}

fn text_value(text: &str, delimiter: u8, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        let escaped = match byte {
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            other if other == delimiter => other,
            other => {
                out.push(other);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escaped]);
    }
}

fn csv_value(text: &str, options: &CopyOptions, force: bool, only_column: bool, out: &mut Vec<u8>) {
    let CopyOptions { delimiter, quote, escape, .. } = *options;
    let special = |byte: u8| byte == delimiter || byte == quote || byte == b'\n' || byte == b'\r';
    // What looks like NULL is quoted. `\.` alone would end the data.
    let quoted =
        force || text == options.null || text.bytes().any(special) || only_column && text == "\\.";
    if !quoted {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(quote);
    for byte in text.bytes() {
        if byte == quote || byte == escape {
            out.push(escape);
        }
        out.push(byte);
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use tidemill_repr::{ColumnType, ScalarType};

    use super::*;

    fn copied(options: CopyOptions) -> Vec<u8> {
        let desc = RelationDesc::new([
            ("a", ColumnType::new(ScalarType::Int4)),
            ("b,", ColumnType::new(ScalarType::Text)),
            ("c", ColumnType::new(ScalarType::Text)),
        ]);
        let mut encoder = CopyEncoder::new(options, &desc, TextSettings::default());
        let mut out = Vec::new();
        encoder.header(&desc, &mut out);
        let row = [Datum::Int(-3), Datum::Text("x\t\"\\"), Datum::Null];
        encoder.row(&Row::pack(row), &mut out);
        encoder.row(&Row::pack([Datum::Int(0), Datum::Text(""), Datum::Text("é")]), &mut out);
        encoder.trailer(&mut out);
        let mut data = Vec::new();
        let mut rest = &out[..];
        while let [b'd', a, b, c, d, after @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4;
            data.extend_from_slice(&after[..length]);
            rest = &after[length..];
        }
        data
    }

    fn csv_options() -> CopyOptions {
        CopyOptions {
            format: CopyFormat::Csv,
            delimiter: b',',
            null: String::new(),
            header: CopyHeader::Line,
            ..CopyOptions::default()
        }
    }

    #[test]
    fn text_is_escaped_and_csv_is_quoted() {
        assert_eq!(copied(CopyOptions::default()), "-3\tx\\t\"\\\\\t\\N\n0\t\té\n".as_bytes());
        let csv = "a,\"b,\",c\n-3,\"x\t\"\"\\\",\n0,\"\",é\n";
        assert_eq!(copied(csv_options()), csv.as_bytes());
    }

    #[test]
    fn binary_has_signature_and_end() {
        let data = copied(CopyOptions { format: CopyFormat::Binary, ..CopyOptions::default() });
        assert!(data.starts_with(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\x04\xff"));
        assert!(data.ends_with(&[0xff, 0xff]));
    }
}
