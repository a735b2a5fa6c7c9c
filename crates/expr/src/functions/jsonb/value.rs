//! A jsonb value as a tree, for functions that take it apart or make a new one.

use std::borrow::Cow;

use tidemill_repr::jsonb::{JsonbBuilder, JsonbKind, JsonbRef};
use tidemill_repr::row::ArrayRef;
use tidemill_repr::{Datum, Numeric};

use crate::functions::text_values::datum_text;
use crate::scalar::EvalContext;

/// A key and its value.
pub(crate) type Pair<'a> = (Cow<'a, str>, Json<'a>);

/// A value. The keys of an object are in the order that jsonb keeps them in, each once.
#[derive(Clone, Debug)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Numeric),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<Pair<'a>>),
}

impl<'a> Json<'a> {
    /// An object: keys by length, then by bytes; of equal ones the last counts.
    pub(super) fn object(mut pairs: Vec<Pair<'a>>) -> Json<'a> {
        pairs.reverse();
        pairs.sort_by(|a, b| a.0.len().cmp(&b.0.len()).then_with(|| a.0.cmp(&b.0)));
        pairs.dedup_by(|later, first| later.0 == first.0);
        Json::Object(pairs)
    }
}

/// The tree of a value.
pub(super) fn decode<'a>(value: JsonbRef<'a>) -> Json<'a> {
    match value.kind() {
        JsonbKind::Null => Json::Null,
        JsonbKind::Bool(value) => Json::Bool(value),
        JsonbKind::Number(value) => Json::Number(value),
        JsonbKind::String(text) => Json::Text(text.into()),
        JsonbKind::Array(items) => Json::Array(items.map(decode).collect()),
        JsonbKind::Object(pairs) => {
            Json::Object(pairs.map(|(key, value)| (key.into(), decode(value))).collect())
        }
    }
}

/// The value of a tree, in the arena.
pub(super) fn encode<'c>(tree: &Json<'_>, context: EvalContext<'c>) -> Datum<'c> {
    let mut builder = JsonbBuilder::new();
    build(tree, &mut builder);
    let bytes: &'c [u8] = context.arena.alloc_slice_copy(&builder.finish());
    Datum::Jsonb(JsonbRef::from_bytes(bytes))
}

fn build(tree: &Json<'_>, builder: &mut JsonbBuilder) {
    match tree {
        Json::Null => builder.null(),
        Json::Bool(value) => builder.bool(*value),
        Json::Number(value) => builder.number(value),
        Json::Text(text) => builder.string(text),
        Json::Array(items) => {
            builder.begin_array();
            items.iter().for_each(|item| build(item, builder));
            builder.end_array();
        }
        Json::Object(pairs) => {
            builder.begin_object();
            for (key, value) in pairs {
                builder.key(key);
                build(value, builder);
            }
            builder.end_object();
        }
    }
}

/// `->>`: a text as it is, JSON's null as NULL, others as JSON.
pub(super) fn as_text<'c>(tree: &Json<'_>, context: EvalContext<'c>) -> Datum<'c> {
    match tree {
        Json::Null => Datum::Null,
        Json::Text(text) => context.text(text),
        other => {
            let mut text = String::new();
            write(other, &mut text);
            context.text(&text)
        }
    }
}

/// What `to_jsonb` makes of a value.
pub(super) fn from_datum<'a>(datum: &Datum<'_>) -> Json<'a> {
    match datum {
        Datum::Null => Json::Null,
        Datum::Bool(value) => Json::Bool(*value),
        Datum::Int(value) => Json::Number(Numeric::from(*value)),
        Datum::Float4(value) if value.is_finite() => {
            Numeric::from_f32(*value).map_or(Json::Null, Json::Number)
        }
        Datum::Float8(value) if value.is_finite() => {
            Numeric::from_f64(*value).map_or(Json::Null, Json::Number)
        }
        Datum::Numeric(value) if value.is_finite() => Json::Number(*value),
        Datum::Jsonb(value) => owned(decode(*value)),
        Datum::Array(array) => from_array(*array),
        Datum::Record(row) => {
            let fields = row.iter().enumerate();
            let pairs =
                fields.map(|(at, field)| (format!("f{}", at + 1).into(), from_datum(&field)));
            Json::object(pairs.collect())
        }
        other => {
            let mut text = String::new();
            datum_text(other, &mut text);
            if matches!(other, Datum::Timestamp(_) | Datum::TimestampTz(_)) {
                // ISO 8601, as JSON's readers want it.
                text = text.replacen(' ', "T", 1);
                if matches!(other, Datum::TimestampTz(_)) && text.ends_with("+00") {
                    text.push_str(":00");
                }
            }
            Json::Text(text.into())
        }
    }
}

/// A tree that borrows nothing.
fn owned<'a>(tree: Json<'_>) -> Json<'a> {
    match tree {
        Json::Null => Json::Null,
        Json::Bool(value) => Json::Bool(value),
        Json::Number(value) => Json::Number(value),
        Json::Text(text) => Json::Text(text.into_owned().into()),
        Json::Array(items) => Json::Array(items.into_iter().map(owned).collect()),
        Json::Object(pairs) => {
            let pairs = pairs.into_iter();
            Json::Object(
                pairs.map(|(key, value)| (key.into_owned().into(), owned(value))).collect(),
            )
        }
    }
}

/// Arrays of more dimensions are arrays of arrays.
fn from_array<'a>(array: ArrayRef<'_>) -> Json<'a> {
    let mut items: Vec<Json<'a>> = array.elements().map(|element| from_datum(&element)).collect();
    for (length, _) in array.dimensions().iter().skip(1).rev() {
        let length = usize::try_from(*length).unwrap_or(1).max(1);
        items = items.chunks(length).map(|chunk| Json::Array(chunk.to_vec())).collect();
    }
    Json::Array(items)
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn write(tree: &Json<'_>, out: &mut String) {
    match tree {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(value) => out.push_str(&value.to_string()),
        Json::Text(text) => write_text(text, out),
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Json::Object(pairs) => {
            out.push('{');
            for (at, (key, value)) in pairs.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                write_text(key, out);
                out.push_str(": ");
                write(value, out);
            }
            out.push('}');
        }
    }
}

/// `jsonb_pretty`
pub(super) fn pretty(tree: &Json<'_>) -> String {
    fn indent(depth: usize, out: &mut String) {
        out.push('\n');
        out.push_str(&"    ".repeat(depth));
    }
    fn go(tree: &Json<'_>, depth: usize, out: &mut String) {
        match tree {
            Json::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    indent(depth + 1, out);
                    go(item, depth + 1, out);
                }
                indent(depth, out);
                out.push(']');
            }
            Json::Object(pairs) => {
                out.push('{');
                for (at, (key, value)) in pairs.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    indent(depth + 1, out);
                    write_text(key, out);
                    out.push_str(": ");
                    go(value, depth + 1, out);
                }
                indent(depth, out);
                out.push('}');
            }
            other => write(other, out),
        }
    }
    let mut out = String::new();
    go(tree, 0, &mut out);
    out
}
