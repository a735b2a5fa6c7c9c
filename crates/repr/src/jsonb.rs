//! `jsonb`: a canonical binary form that is walked without being decoded whole.
//!
//! ```text
//! 00         null
//! 01 02      false, true
//! 03         number, as in `numeric::encoding`
//! 04         string: length (4 bytes), bytes
//! 05         array: number of elements (4), length of all (4), elements
//! 06         object: number of members (4), length of all (4), members: length of the key (4),
//!            key, value; ordered by the length of keys, then by their bytes
//! ```
//!
//! Of equal keys the last member stays. [`JsonbBuilder`] makes values, [`parse`] reads text.

use std::cmp::Ordering;
use std::fmt::Write;

use crate::numeric::{Numeric, read_encoded};

pub mod build;
pub mod parse;

pub use build::JsonbBuilder;
pub use parse::parse_jsonb;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const STRING: u8 = 4;
const ARRAY: u8 = 5;
const OBJECT: u8 = 6;

/// A jsonb value inside a row.
#[derive(Clone, Copy, Debug)]
pub struct JsonbRef<'a> {
    bytes: &'a [u8],
}

/// A value, decoded one level deep.
#[derive(Clone, Copy, Debug)]
pub enum JsonbKind<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Numeric),
    /// A string.
    String(&'a str),
    /// An array.
    Array(JsonbArray<'a>),
    /// An object.
    Object(JsonbObject<'a>),
}

/// The elements of an array, an iterator.
#[derive(Clone, Copy, Debug)]
pub struct JsonbArray<'a> {
    count: usize,
    bytes: &'a [u8],
}

/// The members of an object in order of keys, an iterator.
#[derive(Clone, Copy, Debug)]
pub struct JsonbObject<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> JsonbArray<'a> {
    /// How many elements are left.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Iterator for JsonbArray<'a> {
    type Item = JsonbRef<'a>;

    fn next(&mut self) -> Option<JsonbRef<'a>> {
        if self.count == 0 {
            return None;
        }
        self.count -= 1;
        take_value(&mut self.bytes)
    }
}

impl<'a> JsonbObject<'a> {
    /// How many members are left.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Iterator for JsonbObject<'a> {
    type Item = (&'a str, JsonbRef<'a>);

    fn next(&mut self) -> Option<(&'a str, JsonbRef<'a>)> {
        if self.count == 0 {
            return None;
        }
        self.count -= 1;
        let key = take_block(&mut self.bytes)?;
        Some((std::str::from_utf8(key).ok()?, take_value(&mut self.bytes)?))
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let length: [u8; 4] = take(bytes, 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(length) as usize)
}

fn take_block<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(bytes)?;
    take(bytes, length)
}

fn take_value<'a>(bytes: &mut &'a [u8]) -> Option<JsonbRef<'a>> {
    let start = *bytes;
    match take(bytes, 1)?[0] {
        NULL | FALSE | TRUE => {}
        NUMBER => {
            read_encoded(bytes)?;
        }
        STRING => {
            take_block(bytes)?;
        }
        ARRAY | OBJECT => {
            take_length(bytes)?;
            take_block(bytes)?;
        }
        _ => return None,
    }
    Some(JsonbRef { bytes: &start[..start.len() - bytes.len()] })
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

    /// Decodes one level. Bytes that are no value are null.
    pub fn kind(&self) -> JsonbKind<'a> {
        self.checked_kind().unwrap_or(JsonbKind::Null)
    }

    fn checked_kind(&self) -> Option<JsonbKind<'a>> {
        let (tag, mut rest) = self.bytes.split_first()?;
        Some(match *tag {
            FALSE => JsonbKind::Bool(false),
            TRUE => JsonbKind::Bool(true),
            NUMBER => JsonbKind::Number(read_encoded(&mut rest)?),
            STRING => JsonbKind::String(std::str::from_utf8(take_block(&mut rest)?).ok()?),
            ARRAY => {
                let count = take_length(&mut rest)?;
                JsonbKind::Array(JsonbArray { count, bytes: take_block(&mut rest)? })
            }
            OBJECT => {
                let count = take_length(&mut rest)?;
                JsonbKind::Object(JsonbObject { count, bytes: take_block(&mut rest)? })
            }
            _ => JsonbKind::Null,
        })
    }

    /// Whether this is JSON's `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.kind(), JsonbKind::Null)
    }

    /// Whether this is an array.
    pub fn is_array(&self) -> bool {
        matches!(self.kind(), JsonbKind::Array(_))
    }

    /// Whether this is an object.
    pub fn is_object(&self) -> bool {
        matches!(self.kind(), JsonbKind::Object(_))
    }

    /// Whether this is neither an array nor an object.
    pub fn is_scalar(&self) -> bool {
        !matches!(self.kind(), JsonbKind::Array(_) | JsonbKind::Object(_))
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&'a str> {
        match self.kind() {
            JsonbKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<Numeric> {
        match self.kind() {
            JsonbKind::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind() {
            JsonbKind::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    pub fn as_array(&self) -> Option<JsonbArray<'a>> {
        match self.kind() {
            JsonbKind::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The members, if it is an object.
    pub fn as_object(&self) -> Option<JsonbObject<'a>> {
        match self.kind() {
            JsonbKind::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The value of a key, if it is an object that has it.
    pub fn get_field(&self, key: &str) -> Option<JsonbRef<'a>> {
        let mut members = self.as_object()?;
        members
            .find_map(|(name, value)| match key_order(name, key) {
                Ordering::Less => None,
                Ordering::Equal => Some(Some(value)),
                Ordering::Greater => Some(None),
            })
            .flatten()
    }

    /// The element at a position from 0, or from the end if it is negative.
    pub fn get_index(&self, index: i64) -> Option<JsonbRef<'a>> {
        let mut array = self.as_array()?;
        let count = i64::try_from(array.len()).ok()?;
        let at = if index < 0 { index.checked_add(count)? } else { index };
        array.nth(usize::try_from(at).ok()?)
    }

    /// What `jsonb_typeof` says.
    pub fn type_name(&self) -> &'static str {
        match self.kind() {
            JsonbKind::Null => "null",
            JsonbKind::Bool(_) => "boolean",
            JsonbKind::Number(_) => "number",
            JsonbKind::String(_) => "string",
            JsonbKind::Array(_) => "array",
            JsonbKind::Object(_) => "object",
        }
    }

    /// The encoding of the one representative of all equal values: numbers without trailing
    /// zeros.
    pub fn canonical(&self) -> Vec<u8> {
        let mut builder = JsonbBuilder::new();
        push_canonical(&mut builder, *self);
        builder.finish()
    }

    /// Appends the text as PostgreSQL shows it: a space after colons and commas.
    pub fn to_text(&self, out: &mut String) {
        match self.kind() {
            JsonbKind::Null => out.push_str("null"),
            JsonbKind::Bool(value) => out.push_str(if value { "true" } else { "false" }),
            JsonbKind::Number(number) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "{number}");
            }
            JsonbKind::String(text) => push_quoted(text, out),
            JsonbKind::Array(array) => {
                out.push('[');
                for (at, element) in array.enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    element.to_text(out);
                }
                out.push(']');
            }
            JsonbKind::Object(object) => {
                out.push('{');
                for (at, (key, value)) in object.enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    push_quoted(key, out);
                    out.push_str(": ");
                    value.to_text(out);
                }
                out.push('}');
            }
        }
    }

    /// PostgreSQL's order of jsonb values: objects, arrays, booleans, numbers, strings, null
    /// from the greatest down; more members or elements are greater. An empty array at the top
    /// is less than a scalar, as it is there.
    pub fn sql_cmp(&self, other: &JsonbRef<'_>) -> Ordering {
        match (self.kind(), other.kind()) {
            (JsonbKind::Array(array), _) if array.is_empty() && other.is_scalar() => Ordering::Less,
            (_, JsonbKind::Array(array)) if array.is_empty() && self.is_scalar() => {
                Ordering::Greater
            }
            _ => self.nested_cmp(other),
        }
    }

    fn nested_cmp(&self, other: &JsonbRef<'_>) -> Ordering {
        match (self.kind(), other.kind()) {
            (JsonbKind::Bool(a), JsonbKind::Bool(b)) => a.cmp(&b),
            (JsonbKind::Number(a), JsonbKind::Number(b)) => a.sql_cmp(&b),
            (JsonbKind::String(a), JsonbKind::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (JsonbKind::Array(a), JsonbKind::Array(b)) => a.len().cmp(&b.len()).then_with(|| {
                a.zip(b)
                    .map(|(x, y)| x.nested_cmp(&y))
                    .find(|o| o.is_ne())
                    .unwrap_or(Ordering::Equal)
            }),
            (JsonbKind::Object(a), JsonbKind::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
                a.zip(b)
                    .map(|((k, x), (l, y))| k.cmp(l).then_with(|| x.nested_cmp(&y)))
                    .find(|o| o.is_ne())
                    .unwrap_or(Ordering::Equal)
            }),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

impl JsonbKind<'_> {
    fn rank(&self) -> u8 {
        match self {
            JsonbKind::Null => 0,
            JsonbKind::String(_) => 1,
            JsonbKind::Number(_) => 2,
            JsonbKind::Bool(_) => 3,
            JsonbKind::Array(_) => 4,
            JsonbKind::Object(_) => 5,
        }
    }
}

/// The order of keys inside an object: by length, then by bytes.
pub fn key_order(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.as_bytes().cmp(right.as_bytes()))
}

fn push_canonical(builder: &mut JsonbBuilder, value: JsonbRef<'_>) {
    match value.kind() {
        JsonbKind::Number(number) => builder.number(&number.canonical()),
        JsonbKind::Array(array) => {
            builder.begin_array();
            array.for_each(|element| push_canonical(builder, element));
            builder.end_array();
        }
        JsonbKind::Object(object) => {
            builder.begin_object();
            for (key, member) in object {
                builder.key(key);
                push_canonical(builder, member);
            }
            builder.end_object();
        }
        _ => builder.value(value),
    }
}

/// Appends a string in quotes, with JSON's escapes.
pub fn push_quoted(text: &str, out: &mut String) {
    out.push('"');
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[start..at]);
        start = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            other => {
                let _ = write!(out, "\\u{other:04x}");
            }
        }
    }
    out.push_str(&text[start..]);
    out.push('"');
}

#[cfg(test)]
mod tests;
