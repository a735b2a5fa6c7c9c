//! Json text taken apart without being changed. The text is known to be json.

use tidemill_repr::jsonb::{JsonbRef, parse_jsonb};

/// What a text holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

impl Kind {
    /// What `json_typeof` says.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Null => "null",
        }
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\n', '\r', '\t'])
}

/// What the text holds.
pub(super) fn kind(text: &str) -> Kind {
    match trim(text).as_bytes().first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'n') | None => Kind::Null,
        Some(_) => Kind::Number,
    }
}

/// The parts between the brackets of a text, cut at commas (and colons) that lie in no deeper
/// value.
fn parts(text: &str) -> Vec<&str> {
    let text = trim(text);
    let inside = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    if trim(inside).is_empty() {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quoted, mut escaped) = (0, 0usize, false, false);
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' | b':' if depth == 0 => {
                parts.push(trim(&inside[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(trim(&inside[start..]));
    parts
}

/// The elements of an array.
pub(super) fn elements(text: &str) -> Vec<&str> {
    parts(text)
}

/// The keys and values of an object, in their order.
pub(super) fn members(text: &str) -> Vec<(String, &str)> {
    let parts = parts(text);
    parts.chunks_exact(2).map(|pair| (string(pair[0]).unwrap_or_default(), pair[1])).collect()
}

/// What a string in quotes says; None if the text is no string.
pub(super) fn string(text: &str) -> Option<String> {
    if kind(text) != Kind::String {
        return None;
    }
    let encoded = parse_jsonb(text).ok()?;
    JsonbRef::from_bytes(&encoded).as_str().map(str::to_owned)
}

/// The value of a key; of equal keys the last one counts.
pub(super) fn field<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    if kind(text) != Kind::Object {
        return None;
    }
    members(text).into_iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// The element at a place, from the end if it is negative.
pub(super) fn element(text: &str, at: i64) -> Option<&str> {
    if kind(text) != Kind::Array {
        return None;
    }
    let elements = elements(text);
    let at = if at < 0 { at + elements.len() as i64 } else { at };
    elements.get(usize::try_from(at).ok()?).copied()
}

/// The value at the end of a path.
pub(super) fn follow<'t>(text: &'t str, path: &[Option<&str>]) -> Option<&'t str> {
    let mut current = text;
    for step in path {
        let step = (*step)?;
        current = match kind(current) {
            Kind::Object => field(current, step)?,
            Kind::Array => element(current, step.trim_start().parse().ok()?)?,
            _ => return None,
        };
    }
    Some(current)
}
