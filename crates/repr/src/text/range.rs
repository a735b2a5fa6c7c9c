//! Ranges and multiranges as text.

use super::{TextSettings, format_into, parse_scalar_into};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::range::build::{make_multirange, make_range};
use crate::range::{MultirangeRef, RangeBound, RangeKind, RangeRef};
use crate::row::RowBuilder;

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b')
}

fn malformed(kind: &str, text: &str, detail: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("malformed {kind} literal: \"{text}\""),
    )
    .with_detail(detail)
}

/// The text of a bound and what follows it; None for no bound.
fn bound(text: &str) -> Option<(Option<String>, &str)> {
    let mut value = String::new();
    let mut quoted = false;
    let mut any = false;
    let mut rest = text;
    loop {
        let c = rest.chars().next()?;
        let after = &rest[c.len_utf8()..];
        match c {
            ',' | ')' | ']' | '(' | '[' if !quoted => {
                return Some((any.then_some(value), rest));
            }
            '\\' => {
                let next = after.chars().next()?;
                value.push(next);
                any = true;
                rest = &after[next.len_utf8()..];
                continue;
            }
            '"' if !quoted => quoted = true,
            '"' if after.starts_with('"') => {
                value.push('"');
                rest = &after[1..];
                continue;
            }
            '"' => quoted = false,
            other => value.push(other),
        }
        any = true;
        rest = after;
    }
}

/// Reads one range; gives its bytes and what follows it.
fn read_range<'t>(
    kind: RangeKind,
    text: &'t str,
    settings: &TextSettings,
) -> Result<(Vec<u8>, &'t str), SqlError> {
    let wrong = |detail: &str| malformed("range", text, detail);
    let rest = trim_start(text);
    if rest.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("empty")) {
        return Ok((vec![0], &rest[5..]));
    }
    let lower_inclusive = match rest.as_bytes().first() {
        Some(b'[') => true,
        Some(b'(') => false,
        _ => return Err(wrong("Missing left parenthesis or bracket.")),
    };
    let ended = || wrong("Unexpected end of input.");
    let (lower, rest) = bound(&rest[1..]).ok_or_else(ended)?;
    let rest = rest.strip_prefix(',').ok_or_else(|| wrong("Missing comma after lower bound."))?;
    let (upper, rest) = bound(rest).ok_or_else(ended)?;
    let upper_inclusive = match rest.as_bytes().first() {
        Some(b']') => true,
        Some(b')') => false,
        _ => return Err(wrong("Too many commas.")),
    };
    let mut values = RowBuilder::new();
    let subtype = kind.subtype();
    for text in lower.iter().chain(&upper) {
        parse_scalar_into(&subtype, -1, text, settings, &mut values)?;
    }
    let mut read = values.as_ref().iter();
    let mut take = |bound: &Option<String>, inclusive| {
        bound.as_ref().and_then(|_| read.next()).map(|value| RangeBound { value, inclusive })
    };
    let bounds = (take(&lower, lower_inclusive), take(&upper, upper_inclusive));
    Ok((make_range(kind, bounds)?, &rest[1..]))
}

/// Reads `empty` or two bounds in parentheses or brackets.
pub(crate) fn parse_range_into(
    kind: RangeKind,
    text: &str,
    settings: &TextSettings,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let (bytes, rest) = read_range(kind, text, settings)?;
    if !trim_start(rest).is_empty() {
        let detail = if trim_start(text).get(..5).is_some_and(|w| w.eq_ignore_ascii_case("empty")) {
            "Junk after \"empty\" key word."
        } else {
            "Junk after right parenthesis or bracket."
        };
        return Err(malformed("range", text, detail));
    }
    row.push(Datum::Range(RangeRef::from_bytes(&bytes)));
    Ok(())
}

/// Reads ranges in braces.
pub(crate) fn parse_multirange_into(
    kind: RangeKind,
    text: &str,
    settings: &TextSettings,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let wrong = |detail: &str| malformed("multirange", text, detail);
    let mut rest =
        trim_start(text).strip_prefix('{').ok_or_else(|| wrong("Missing left brace."))?;
    let mut ranges: Vec<Vec<u8>> = Vec::new();
    loop {
        rest = trim_start(rest);
        match rest.as_bytes().first() {
            None => return Err(wrong("Unexpected end of input.")),
            Some(b'}') if ranges.is_empty() => break,
            Some(b'[' | b'(') => {}
            Some(_) if rest.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("empty")) => {}
            Some(_) => return Err(wrong("Expected range start.")),
        }
        let end = range_end(rest).ok_or_else(|| wrong("Unexpected end of input."))?;
        let (range, after) = read_range(kind, &rest[..end], settings)?;
        if !after.is_empty() {
            return Err(wrong("Expected comma or end of multirange."));
        }
        ranges.push(range);
        rest = trim_start(&rest[end..]);
        match rest.as_bytes().first() {
            Some(b',') => rest = &rest[1..],
            Some(b'}') => break,
            None => return Err(wrong("Unexpected end of input.")),
            Some(_) => return Err(wrong("Expected comma or end of multirange.")),
        }
    }
    if !trim_start(&rest[1..]).is_empty() {
        return Err(wrong("Junk after closing right brace."));
    }
    let bytes = make_multirange(ranges.iter().map(|bytes| RangeRef::from_bytes(bytes)));
    row.push(Datum::Multirange(MultirangeRef::from_bytes(&bytes)));
    Ok(())
}

/// Where the range that a text begins with ends.
fn range_end(text: &str) -> Option<usize> {
    if text.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("empty")) {
        return Some(5);
    }
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b')' | b']' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Appends a range.
pub(crate) fn format_range(
    range: &RangeRef<'_>,
    subtype: &crate::types::ScalarType,
    settings: &TextSettings,
    out: &mut String,
) {
    if range.is_empty() {
        return out.push_str("empty");
    }
    let (lower, upper) = range.bounds();
    out.push(if lower.is_some_and(|bound| bound.inclusive) { '[' } else { '(' });
    let mut scratch = String::new();
    let mut push = |bound: Option<RangeBound<'_>>, out: &mut String| {
        if let Some(bound) = bound {
            scratch.clear();
            format_into(&bound.value, subtype, settings, &mut scratch);
            push_bound(&scratch, out);
        }
    };
    push(lower, out);
    out.push(',');
    push(upper, out);
    out.push(if upper.is_some_and(|bound| bound.inclusive) { ']' } else { ')' });
}

fn push_bound(text: &str, out: &mut String) {
    let special = |byte: u8| b"\"\\()[],".contains(&byte) || is_space(byte);
    if !text.is_empty() && !text.bytes().any(special) {
        return out.push_str(text);
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('"');
}

/// Appends a multirange.
pub(crate) fn format_multirange(
    ranges: &MultirangeRef<'_>,
    subtype: &crate::types::ScalarType,
    settings: &TextSettings,
    out: &mut String,
) {
    out.push('{');
    for (at, range) in ranges.ranges().enumerate() {
        if at > 0 {
            out.push(',');
        }
        format_range(&range, subtype, settings, out);
    }
    out.push('}');
}
