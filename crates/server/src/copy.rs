//! `COPY .. TO STDOUT`: rows in the text, CSV and binary formats, one CopyData message each.

use tidemill_coord::CopyFormat;
use tidemill_repr::text::TextSettings;
use tidemill_repr::{Datum, RelationDesc, Row};

use crate::backend::message;
use crate::values::{ColumnFormat, Encoder};

/// Writes the data of a COPY.
pub struct CopyEncoder {
    format: CopyFormat,
    columns: Vec<ColumnFormat>,
    encoder: Encoder,
}

impl CopyEncoder {
    /// For rows of a relation.
    pub fn new(format: CopyFormat, desc: &RelationDesc, settings: TextSettings) -> CopyEncoder {
        let binary = format == CopyFormat::Binary;
        let columns = desc
            .columns
            .iter()
            .map(|column| ColumnFormat { typ: column.typ.scalar_type.clone(), binary })
            .collect();
        CopyEncoder { format, columns, encoder: Encoder::new(settings) }
    }

    /// Whether the format is binary.
    pub fn is_binary(&self) -> bool {
        self.format == CopyFormat::Binary
    }

    /// Appends what comes before the first row.
    pub fn header(&self, desc: &RelationDesc, out: &mut Vec<u8>) {
        match self.format {
            CopyFormat::Binary => message(out, b'd', |out| {
                out.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
                out.extend_from_slice(&[0; 8]);
            }),
            CopyFormat::Csv { header: true } => message(out, b'd', |out| {
                for (position, column) in desc.columns.iter().enumerate() {
                    if position > 0 {
                        out.push(b',');
                    }
                    csv_value(&column.name, desc.arity() == 1, out);
                }
                out.push(b'\n');
            }),
            CopyFormat::Csv { header: false } | CopyFormat::Text => {}
        }
    }

    /// Appends a row.
    pub fn row(&mut self, row: &Row, out: &mut Vec<u8>) {
        message(out, b'd', |out| match self.format {
            CopyFormat::Binary => self.encoder.fields(row, &self.columns, out),
            CopyFormat::Text => self.line(row, b'\t', out),
            CopyFormat::Csv { .. } => self.line(row, b',', out),
        });
    }

    /// Appends what comes after the last row.
    pub fn trailer(&self, out: &mut Vec<u8>) {
        if self.is_binary() {
            message(out, b'd', |out| out.extend_from_slice(&(-1_i16).to_be_bytes()));
        }
    }

    fn line(&mut self, row: &Row, delimiter: u8, out: &mut Vec<u8>) {
        let mut datums = row.iter();
        for (position, column) in self.columns.iter().enumerate() {
            if position > 0 {
                out.push(delimiter);
            }
            match (datums.next(), delimiter) {
                (None | Some(Datum::Null), b'\t') => out.extend_from_slice(b"\\N"),
                (None | Some(Datum::Null), _) => {}
                (Some(datum), b'\t') => {
                    text_value(self.encoder.formatted(&datum, &column.typ), out);
                }
                (Some(datum), _) => {
                    let text = self.encoder.formatted(&datum, &column.typ);
                    csv_value(text, self.columns.len() == 1, out);
                }
            }
        }
        out.push(b'\n');
    }
}

fn text_value(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        let escaped = match byte {
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            other => {
                out.push(other);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escaped]);
    }
}

fn csv_value(text: &str, only_column: bool, out: &mut Vec<u8>) {
    // The empty text is quoted: without quotes it is NULL. `\.` alone would end the data.
    let quoted =
        text.is_empty() || text.contains([',', '"', '\n', '\r']) || only_column && text == "\\.";
    if !quoted {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use tidemill_repr::{ColumnType, ScalarType};

    use super::*;

    fn copied(format: CopyFormat) -> Vec<u8> {
        let desc = RelationDesc::new([
            ("a", ColumnType::new(ScalarType::Int4)),
            ("b,", ColumnType::new(ScalarType::Text)),
            ("c", ColumnType::new(ScalarType::Text)),
        ]);
        let mut encoder = CopyEncoder::new(format, &desc, TextSettings::default());
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

    #[test]
    fn text_is_escaped_and_csv_is_quoted() {
        assert_eq!(copied(CopyFormat::Text), "-3\tx\\t\"\\\\\t\\N\n0\t\té\n".as_bytes());
        let csv = "a,\"b,\",c\n-3,\"x\t\"\"\\\",\n0,\"\",é\n";
        assert_eq!(copied(CopyFormat::Csv { header: true }), csv.as_bytes());
    }

    #[test]
    fn binary_has_signature_and_end() {
        let data = copied(CopyFormat::Binary);
        assert!(data.starts_with(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\x04\xff"));
        assert!(data.ends_with(&[0xff, 0xff]));
    }
}
