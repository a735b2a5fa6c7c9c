//! A jsonb value as a tree, for functions that take it apart or make a new one.
//!
//! It is read from, and written as, the value's text: one format that `repr` keeps canonical.

use std::borrow::Cow;
use std::sync::LazyLock;

use tidemill_repr::jsonb::JsonbRef;
use tidemill_repr::row::ArrayRef;
use tidemill_repr::text::{TextSettings, format_into, parse_into};
use tidemill_repr::{ColumnType, Datum, Numeric, RowBuilder, ScalarType};

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

static SETTINGS: LazyLock<TextSettings> = LazyLock::new(TextSettings::default);
static JSONB: LazyLock<ColumnType> = LazyLock::new(|| ColumnType::new(ScalarType::Jsonb));

/// The tree of a value.
pub(super) fn decode<'a>(value: JsonbRef<'_>) -> Json<'a> {
    let mut text = String::new();
    format_into(&Datum::Jsonb(value), &ScalarType::Jsonb, &SETTINGS, &mut text);
    let mut reader = Reader { text: &text, at: 0 };
    reader.value().unwrap_or(Json::Null)
}

/// The value of a tree, in the arena.
pub(super) fn encode<'c>(tree: &Json<'_>, context: EvalContext<'c>) -> Datum<'c> {
    let mut text = String::new();
    write(tree, &mut text);
    let mut builder = RowBuilder::new();
    match parse_into(&JSONB, &text, &SETTINGS, &mut builder) {
        Ok(()) => context.built(&builder),
        Err(_) => Datum::Null,
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
        Datum::Jsonb(value) => decode(*value),
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

/// Reads text that `repr` wrote; None at anything else.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let found = self.peek()? == byte;
        self.at += usize::from(found);
        found.then_some(())
    }

    fn value<'a>(&mut self) -> Option<Json<'a>> {
        match self.peek()? {
            b'[' => self.array(),
            b'{' => self.object(),
            b'"' => Some(Json::Text(self.string()?.into())),
            _ => self.word(),
        }
    }

    fn word<'a>(&mut self) -> Option<Json<'a>> {
        let rest = &self.text[self.at..];
        let end = rest.find([',', ']', '}', ' ', '\n']).unwrap_or(rest.len());
        self.at += end;
        match &rest[..end] {
            "null" => Some(Json::Null),
            "true" => Some(Json::Bool(true)),
            "false" => Some(Json::Bool(false)),
            number => Numeric::parse(number).ok().map(Json::Number),
        }
    }

    fn array<'a>(&mut self) -> Option<Json<'a>> {
        self.take(b'[')?;
        let mut items = Vec::new();
        while self.peek()? != b']' {
            items.push(self.value()?);
            if self.peek()? == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        Some(Json::Array(items))
    }

    fn object<'a>(&mut self) -> Option<Json<'a>> {
        self.take(b'{')?;
        let mut pairs = Vec::new();
        while self.peek()? != b'}' {
            let key = self.string()?;
            self.take(b':')?;
            pairs.push((key.into(), self.value()?));
            if self.peek()? == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        Some(Json::Object(pairs))
    }

    fn string(&mut self) -> Option<String> {
        self.take(b'"')?;
        let mut out = String::new();
        let mut characters = self.text[self.at..].char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Some(out);
                }
                '\\' => match characters.next()?.1 {
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    'b' => out.push('\u{8}'),
                    'f' => out.push('\u{c}'),
                    'u' => {
                        let mut code = 0;
                        for _ in 0..4 {
                            code = code * 16 + characters.next()?.1.to_digit(16)?;
                        }
                        out.push(char::from_u32(code)?);
                    }
                    other => out.push(other),
                },
                _ => out.push(c),
            }
        }
        None
    }
}
