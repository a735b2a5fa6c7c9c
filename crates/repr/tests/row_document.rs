//! The example that `docs/formats/row.md` draws is what the code writes and reads.

#![expect(clippy::unwrap_used, reason = "the document and the example are fixed")]

use tidemill_repr::jsonb::{JsonbRef, parse_jsonb};
use tidemill_repr::text::{self, TextSettings};
use tidemill_repr::{Datum, Interval, Numeric, Row, RowBuilder, ScalarType};

const DOCUMENT: &str = include_str!("../../../docs/formats/row.md");

/// The bytes and shown values of the table between the example's two markers.
fn drawn() -> Vec<(Vec<u8>, String)> {
    let example = DOCUMENT.split("```example\n").nth(1).unwrap().split("```").next().unwrap();
    let mut drawn: Vec<(Vec<u8>, String)> = Vec::new();
    for line in example.lines() {
        let (bytes, value) = line.split_once('|').unwrap();
        let bytes = bytes.split_whitespace().map(|hex| u8::from_str_radix(hex, 16).unwrap());
        let value = value.trim();
        match drawn.last_mut() {
            // A line without a value goes on with the one before.
            Some((before, _)) if value.is_empty() => before.extend(bytes),
            _ => drawn.push((bytes.collect(), value.to_owned())),
        }
    }
    drawn
}

fn example() -> Row {
    let mut row = RowBuilder::new();
    row.push(Datum::Bool(true));
    row.push(Datum::Int(0));
    row.push(Datum::Int(300));
    row.push(Datum::Int(-1));
    row.push(Datum::Float8(1.5));
    row.push(Datum::Numeric(Numeric::parse("12.50").unwrap()));
    row.push(Datum::Numeric(Numeric::parse("-0.003").unwrap()));
    row.push(Datum::Text("tide"));
    row.push(Datum::Bytes(b"\x01\xff"));
    row.push(Datum::Date(1));
    row.push(Datum::Timestamp(1));
    row.push(Datum::Interval(Interval::new(0, 1, 1)));
    let value = parse_jsonb("{\"b\": [true, null], \"a\": 1.5}").unwrap();
    row.push(Datum::Jsonb(JsonbRef::from_bytes(&value)));
    row.push_array(&[(2, 1)], [Datum::Int(7), Datum::Null]);
    row.push_record([Datum::Text("x"), Datum::Bool(false)]);
    row.push(Datum::Null);
    row.finish()
}

#[test]
fn drawn_example_is_decoded() {
    let row = example();
    let mut iter = row.iter();
    let mut actual = String::new();
    let mut written = Vec::new();
    let settings = TextSettings::default();
    while let Some(bytes) = iter.next_bytes() {
        let datum = Row::from_bytes(bytes);
        let datum = datum.first().unwrap();
        let value = match datum {
            Datum::Null => "NULL".to_owned(),
            datum => text::format(&datum, &ScalarType::Unknown, &settings),
        };
        for (at, chunk) in bytes.chunks(12).enumerate() {
            let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02X}")).collect();
            let shown = if at == 0 { value.as_str() } else { "" };
            actual.push_str(format!("{:<36}| {shown}", hex.join(" ")).trim_end());
            actual.push('\n');
        }
        written.push((bytes.to_vec(), value));
    }
    assert_eq!(drawn(), written, "the code writes:\n{actual}");
}
