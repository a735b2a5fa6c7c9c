//! Lists, maps and vectors of integers as text.

use std::collections::BTreeMap;

use super::{TextSettings, format_into, number, parse_scalar_into};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::row::{ArrayRef, Row, RowBuilder, RowRef};
use crate::types::ScalarType;

fn wrong(typ: &str, text: &str, detail: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {typ}: \"{text}\""),
    )
    .with_detail(detail)
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

/// The inside of the braces.
fn inside<'t>(typ: &str, text: &'t str) -> Result<&'t str, SqlError> {
    let body = text.trim_matches(is_space);
    let inner =
        body.strip_prefix('{').ok_or_else(|| wrong(typ, text, "Value must start with \"{\"."))?;
    inner.strip_suffix('}').ok_or_else(|| wrong(typ, text, "Value must end with \"}\"."))
}

/// One part: an element, a key, a value.
struct Part<'t> {
    /// Without quotes and escapes; what is nested stays as it is written.
    value: String,
    /// Whether it had quotes or escapes.
    quoted: bool,
    /// What follows it.
    rest: &'t str,
}

/// Reads up to a comma, `=>` (in maps) or the end.
fn part<'t>(text: &'t str, key: bool) -> Option<Part<'t>> {
    let text = text.trim_start_matches(is_space);
    if let Some(after) = text.strip_prefix('"') {
        let mut value = String::new();
        let mut rest = after;
        loop {
            let c = rest.chars().next()?;
            rest = &rest[c.len_utf8()..];
            match c {
                '"' => {
                    let rest = rest.trim_start_matches(is_space);
                    return Some(Part { value, quoted: true, rest });
                }
                '\\' => {
                    let next = rest.chars().next()?;
                    value.push(next);
                    rest = &rest[next.len_utf8()..];
                }
                other => value.push(other),
            }
        }
    }
    let nested = text.starts_with('{');
    let (mut depth, mut quotes, mut escaped) = (0usize, false, false);
    let mut end = text.len();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' if nested => quotes = !quotes,
            b'"' => return None,
            _ if quotes => {}
            b'{' => depth += 1,
            b'}' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                end = at;
                break;
            }
            b'=' if key && depth == 0 && text.as_bytes().get(at + 1) == Some(&b'>') => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    if depth > 0 || quotes || escaped || (!nested && text[..end].contains('{')) {
        return None;
    }
    let raw = text[..end].trim_end_matches(is_space);
    if nested {
        return Some(Part { value: raw.to_owned(), quoted: true, rest: &text[end..] });
    }
    let mut value = String::new();
    let mut chars = raw.chars();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        if c == '\\' {
            quoted = true;
            value.extend(chars.next());
        } else {
            value.push(c);
        }
    }
    (quoted || !value.is_empty()).then(|| Part { value, quoted, rest: &text[end..] })
}

fn push_value(
    typ: &ScalarType,
    part: &Part<'_>,
    settings: &TextSettings,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    if !part.quoted && part.value.eq_ignore_ascii_case("null") {
        row.push(Datum::Null);
        return Ok(());
    }
    parse_scalar_into(typ, -1, &part.value, settings, row)
}

/// Reads `{a,b,..}`; lists in lists stand in braces of their own.
pub(crate) fn parse_list_into(
    element: &ScalarType,
    text: &str,
    settings: &TextSettings,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let malformed = || wrong("list", text, "Malformed element.");
    let mut rest = inside("list", text)?.trim_start_matches(is_space);
    let mut elements = RowBuilder::new();
    while !rest.is_empty() {
        let found = part(rest, false).ok_or_else(malformed)?;
        push_value(element, &found, settings, &mut elements)?;
        rest = match found.rest.strip_prefix(',') {
            Some(after) if !after.trim_start_matches(is_space).is_empty() => after,
            None if found.rest.is_empty() => "",
            _ => return Err(malformed()),
        };
    }
    row.push(Datum::List(elements.as_ref()));
    Ok(())
}

/// Reads `{a=>1,b=>2}`; of equal keys the last one counts.
pub(crate) fn parse_map_into(
    value_type: &ScalarType,
    text: &str,
    settings: &TextSettings,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let malformed = || wrong("map", text, "Malformed entry.");
    let mut rest = inside("map", text)?.trim_start_matches(is_space);
    let mut entries: BTreeMap<String, Row> = BTreeMap::new();
    let mut scratch = RowBuilder::new();
    while !rest.is_empty() {
        let key = part(rest, true).ok_or_else(malformed)?;
        let after = key.rest.strip_prefix("=>").ok_or_else(malformed)?;
        let value = part(after, false).ok_or_else(malformed)?;
        push_value(value_type, &value, settings, &mut scratch)?;
        entries.insert(key.value, scratch.finish());
        rest = match value.rest.strip_prefix(',') {
            Some(after) if !after.trim_start_matches(is_space).is_empty() => after,
            None if value.rest.is_empty() => "",
            _ => return Err(malformed()),
        };
    }
    let mut encoded = RowBuilder::new();
    for (key, value) in &entries {
        encoded.push(Datum::Text(key));
        encoded.push_encoded(value.bytes());
    }
    row.push(Datum::Map(encoded.as_ref()));
    Ok(())
}

fn push_quoted(text: &str, out: &mut String) {
    let special = |c: char| matches!(c, '"' | '\\' | '{' | '}' | ',' | '=' | '>') || is_space(c);
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
        return out.push_str(text);
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

fn push_datum_text(datum: &Datum<'_>, typ: &ScalarType, settings: &TextSettings, out: &mut String) {
    match datum {
        Datum::Null => out.push_str("NULL"),
        Datum::List(_) | Datum::Map(_) => format_into(datum, typ, settings, out),
        _ => {
            let mut scratch = String::new();
            format_into(datum, typ, settings, &mut scratch);
            push_quoted(&scratch, out);
        }
    }
}

/// Appends a list.
pub(crate) fn format_list(
    elements: RowRef<'_>,
    typ: &ScalarType,
    settings: &TextSettings,
    out: &mut String,
) {
    let element = match typ {
        ScalarType::List(element) => element,
        _ => &ScalarType::Unknown,
    };
    out.push('{');
    for (at, datum) in elements.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_datum_text(&datum, element, settings, out);
    }
    out.push('}');
}

/// Appends a map.
pub(crate) fn format_map(
    entries: RowRef<'_>,
    typ: &ScalarType,
    settings: &TextSettings,
    out: &mut String,
) {
    let value_type = match typ {
        ScalarType::Map(value) => value,
        _ => &ScalarType::Unknown,
    };
    out.push('{');
    let mut datums = entries.iter();
    let mut first = true;
    while let (Some(Datum::Text(key)), Some(value)) = (datums.next(), datums.next()) {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        push_quoted(key, out);
        out.push_str("=>");
        push_datum_text(&value, value_type, settings, out);
    }
    out.push('}');
}

/// Reads numbers with blanks between them: an array that is counted from 0.
pub(crate) fn parse_vector_into(
    typ: &ScalarType,
    text: &str,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let mut numbers = Vec::new();
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        numbers.push(Datum::Int(match typ {
            ScalarType::Int2Vector => number::parse_int(&ScalarType::Int2, word)?,
            _ => number::parse_oid(&ScalarType::Oid, word)?,
        }));
    }
    let length = i32::try_from(numbers.len()).map_err(SqlError::internal)?;
    row.push_array(&[(length, 0)], numbers);
    Ok(())
}

/// Appends numbers with blanks between them.
pub(crate) fn format_vector(array: &ArrayRef<'_>, out: &mut String) {
    for (at, datum) in array.elements().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        if let Datum::Int(value) = datum {
            number::format_int(value, out);
        }
    }
}
