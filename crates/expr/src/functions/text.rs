//! Text.

mod building;
mod encoding;
mod unicode;

pub(super) use encoding::hex;
use tidemill_repr::{Datum, RowBuilder, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, bad_parameter, int, int4, text};
use crate::scalar::EvalContext;

/// The most a text may hold, as in PostgreSQL.
const MAX_BYTES: usize = (1 << 30) - 1;

pub(super) fn too_long() -> EvalError {
    EvalError::invalid(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

fn negative_length() -> EvalError {
    EvalError::invalid(SqlState::SUBSTRING_ERROR, "negative substring length not allowed")
}

/// The part of a text from a character (from 0) up to another; without a copy.
fn characters(text: &str, from: usize, to: usize) -> &str {
    if text.is_ascii() {
        let start = from.min(text.len());
        return &text[start..to.min(text.len()).max(start)];
    }
    let mut indices = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let start = indices.by_ref().nth(from).unwrap_or(text.len());
    if to <= from {
        return "";
    }
    let end = indices.nth(to - from - 1).unwrap_or(text.len());
    &text[start..end]
}

pub(super) fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// `substring(text, start, length)` with SQL's positions from 1, which may lie before the text.
fn substring(text: &str, start: i64, count: Option<i64>) -> Result<&str, EvalError> {
    let end = match count {
        Some(count) if count < 0 => return Err(negative_length()),
        Some(count) => start.saturating_add(count),
        None => i64::MAX,
    };
    let from = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX);
    let to = usize::try_from(end.max(1) - 1).unwrap_or(usize::MAX);
    Ok(if to <= from { "" } else { characters(text, from, to) })
}

/// `left` and, from the other side, `right`: a negative count leaves out that many.
fn side(text: &str, count: i64, right: bool) -> &str {
    let length = length(text) as i64;
    let kept = if count < 0 { (length + count).max(0) } else { count.min(length) };
    let kept = usize::try_from(kept).unwrap_or(0);
    let length = usize::try_from(length).unwrap_or(0);
    if right { characters(text, length - kept, length) } else { characters(text, 0, kept) }
}

fn pad<'a>(a: &[Datum<'a>], context: EvalContext<'a>, left: bool) -> Evaluated<'a> {
    let source = text(a, 0)?;
    let wanted = usize::try_from(int(a, 1)?).unwrap_or(0);
    let fill = if a.len() > 2 { text(a, 2)? } else { " " };
    let have = length(source);
    if wanted <= have || fill.is_empty() {
        return Ok(Datum::Text(characters(source, 0, wanted.min(have))));
    }
    if wanted.saturating_mul(4) > MAX_BYTES {
        return Err(too_long());
    }
    let padding: String = fill.chars().cycle().take(wanted - have).collect();
    let parts = if left { [padding.as_str(), source] } else { [source, padding.as_str()] };
    Ok(context.text(&parts.concat()))
}

/// The second argument's characters, or the blank, are trimmed off.
fn trim<'a>(a: &[Datum<'a>], start: bool, end: bool) -> Evaluated<'a> {
    let mut rest = text(a, 0)?;
    let set = if a.len() > 1 { text(a, 1)? } else { " " };
    if start {
        rest = rest.trim_start_matches(|c| set.contains(c));
    }
    if end {
        rest = rest.trim_end_matches(|c| set.contains(c));
    }
    Ok(Datum::Text(rest))
}

/// The capital of a letter where that is one character; PostgreSQL maps characters one to one.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(capital), None) => capital,
        _ => c,
    }
}

/// The small letter, likewise; of `İ` it is `i` with nothing after it.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn initcap(text: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        out.push(if inside { lower(c) } else { upper(c) });
        inside = c.is_alphanumeric();
    }
    out
}

fn position(haystack: &str, needle: &str) -> i64 {
    match haystack.find(needle) {
        Some(at) => length(&haystack[..at]) as i64 + 1,
        None => 0,
    }
}

fn split_part<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let (source, delimiter, field) = (text(a, 0)?, text(a, 1)?, int(a, 2)?);
    if field == 0 {
        return Err(bad_parameter("field position must not be zero"));
    }
    if delimiter.is_empty() {
        return Ok(Datum::Text(if field == 1 || field == -1 { source } else { "" }));
    }
    let at = usize::try_from(field.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let part = if field > 0 {
        source.split(delimiter).nth(at)
    } else {
        let parts: Vec<&str> = source.split(delimiter).collect();
        parts.len().checked_sub(at + 1).and_then(|at| parts.get(at).copied())
    };
    Ok(Datum::Text(part.unwrap_or("")))
}

fn overlay<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (source, new, start) = (text(a, 0)?, text(a, 1)?, int(a, 2)?);
    let count = if a.len() > 3 { int(a, 3)? } else { length(new) as i64 };
    if start <= 0 {
        return Err(negative_length());
    }
    let before = substring(source, 1, Some(start - 1))?;
    let after = substring(source, start.saturating_add(count), None)?;
    Ok(context.text(&[before, new, after].concat()))
}

fn translate(source: &str, from: &str, to: &str) -> String {
    let to: Vec<char> = to.chars().collect();
    let replaced = source.chars().filter_map(|c| match from.chars().position(|f| f == c) {
        None => Some(c),
        Some(at) => to.get(at).copied(),
    });
    replaced.collect()
}

fn chr<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let code = int(a, 0)?;
    let limit = |message: &str| EvalError::invalid(SqlState::PROGRAM_LIMIT_EXCEEDED, message);
    if code == 0 {
        return Err(limit("null character not permitted"));
    }
    if code < 0 {
        return Err(bad_parameter("character number must be positive"));
    }
    let character = u32::try_from(code).ok().and_then(char::from_u32);
    let character = character.ok_or_else(|| {
        let how = if code > 0x10_FFFF { "too large" } else { "not valid" };
        limit(&format!("requested character {how} for encoding: {code}"))
    })?;
    Ok(context.text(character.encode_utf8(&mut [0; 4])))
}

fn repeat<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let source = text(a, 0)?;
    let count = usize::try_from(int(a, 1)?).unwrap_or(0);
    if source.len().saturating_mul(count) > MAX_BYTES {
        return Err(too_long());
    }
    Ok(context.text(&source.repeat(count)))
}

fn string_to_array<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    if a.first().is_none_or(Datum::is_null) {
        return Ok(Datum::Null);
    }
    let mut parts = Vec::new();
    split(text(a, 0)?, a.get(1).copied(), a.get(2).copied(), &mut |part| parts.push(part))?;
    let mut builder = RowBuilder::new();
    let dimensions = super::arguments::one_dimension(parts.len());
    builder.push_array(&dimensions, parts);
    Ok(context.built(&builder))
}

/// The fields of a text: a NULL delimiter splits into characters, an empty one not at all; a
/// field equal to `null` becomes NULL.
pub(super) fn split<'a>(
    source: &'a str,
    delimiter: Option<Datum<'a>>,
    null: Option<Datum<'a>>,
    emit: &mut dyn FnMut(Datum<'a>),
) -> Result<(), EvalError> {
    if source.is_empty() {
        return Ok(());
    }
    let mut field = |part: &'a str| {
        let is_null = matches!(null, Some(Datum::Text(null)) if null == part);
        emit(if is_null { Datum::Null } else { Datum::Text(part) });
    };
    match delimiter {
        Some(Datum::Text("")) => field(source),
        Some(Datum::Text(delimiter)) => source.split(delimiter).for_each(field),
        _ => source.char_indices().for_each(|(at, c)| field(&source[at..at + c.len_utf8()])),
    }
    Ok(())
}

pub(super) fn define(d: &mut Definitions) {
    define_lengths(d);
    define_parts(d);
    define_changes(d);
    building::define(d);
    encoding::define(d);
    unicode::define(d);
}

fn define_lengths(d: &mut Definitions) {
    let count: Eval = |a, _| Ok(Datum::Int(length(text(a, 0)?) as i64));
    let doc = "How many characters there are.";
    d.add("textlen", "length(text) -> int4", count, doc);
    d.add("textlen_char", "char_length(text) -> int4", count, doc);
    d.add("textlen_character", "character_length(text) -> int4", count, doc);
    let trimmed: Eval = |a, _| Ok(Datum::Int(length(text(a, 0)?.trim_end_matches(' ')) as i64));
    let doc = "How many characters there are, trailing blanks left out.";
    d.add("bpcharlen", "length(bpchar) -> int4", trimmed, doc);
    d.add("bpcharlen_char", "char_length(bpchar) -> int4", trimmed, doc);
    d.add("bpcharlen_character", "character_length(bpchar) -> int4", trimmed, doc);
    let octets: Eval = |a, _| Ok(Datum::Int(text(a, 0)?.len() as i64));
    d.add("textoctetlen", "octet_length(text) -> int4", octets, "How many bytes there are.");
    d.add("bpcharoctetlen", "octet_length(bpchar) -> int4", octets, "How many bytes there are.");
    d.add(
        "text_bit_length",
        "bit_length(text) -> int4",
        |a, _| Ok(Datum::Int(text(a, 0)?.len() as i64 * 8)),
        "How many bits there are.",
    );
    d.add(
        "ascii",
        "ascii(text) -> int4",
        |a, _| Ok(Datum::Int(text(a, 0)?.chars().next().map_or(0, |c| i64::from(u32::from(c))))),
        "The code point of the first character.",
    );
    let find: Eval = |a, _| Ok(Datum::Int(position(text(a, 0)?, text(a, 1)?)));
    let doc = "Where a text occurs in another, in characters from 1; 0 if it does not.";
    d.add("textpos", "position(text, text) -> int4", find, doc);
    d.add("strpos", "strpos(text, text) -> int4", find, doc);
    d.add(
        "text_starts_with",
        "starts_with(text, text) -> bool",
        |a, _| Ok(Datum::Bool(text(a, 0)?.starts_with(text(a, 1)?))),
        "Whether a text starts with another.",
    )
    .operator("^@");
}

fn define_parts(d: &mut Definitions) {
    let from: Eval = |a, _| Ok(Datum::Text(substring(text(a, 0)?, int(a, 1)?, None)?));
    let part: Eval = |a, _| Ok(Datum::Text(substring(text(a, 0)?, int(a, 1)?, Some(int(a, 2)?))?));
    let doc = "The part from a position on, in characters from 1.";
    d.add("text_substr_no_len", "substring(text, int4) -> text", from, doc);
    d.add("text_substr_no_len_short", "substr(text, int4) -> text", from, doc);
    let doc = "The part from a position on, of a length.";
    d.add("text_substr", "substring(text, int4, int4) -> text", part, doc);
    d.add("text_substr_short", "substr(text, int4, int4) -> text", part, doc);
    d.add(
        "text_left",
        "left(text, int4) -> text",
        |a, _| Ok(Datum::Text(side(text(a, 0)?, int(a, 1)?, false))),
        "The first characters; of a negative count, all but that many last ones.",
    );
    d.add(
        "text_right",
        "right(text, int4) -> text",
        |a, _| Ok(Datum::Text(side(text(a, 0)?, int(a, 1)?, true))),
        "The last characters; of a negative count, all but that many first ones.",
    );
    let both: Eval = |a, _| trim(a, true, true);
    let left: Eval = |a, _| trim(a, true, false);
    let right: Eval = |a, _| trim(a, false, true);
    for (name, eval) in [("btrim", both), ("ltrim", left), ("rtrim", right)] {
        let doc = "Without blanks at its ends.";
        d.add(&format!("{name}1"), &format!("{name}(text) -> text"), eval, doc);
        let doc = "Without these characters at its ends.";
        d.add(name, &format!("{name}(text, text) -> text"), eval, doc);
    }
    d.add(
        "split_part",
        "split_part(text, text, int4) -> text",
        |a, _| split_part(a),
        "A field, counted from 1.",
    );
    let doc = "The fields of a text as an array.";
    d.add("text_to_array", "string_to_array(text, text) -> text[]", string_to_array, doc)
        .sees_null();
    d.add(
        "text_to_array_null",
        "string_to_array(text, text, text) -> text[]",
        string_to_array,
        doc,
    )
    .sees_null();
}

fn define_changes(d: &mut Definitions) {
    d.add(
        "text_lower",
        "lower(text) -> text",
        |a, c| Ok(c.text(&text(a, 0)?.chars().map(lower).collect::<String>())),
        "In small letters.",
    );
    d.add(
        "text_upper",
        "upper(text) -> text",
        |a, c| Ok(c.text(&text(a, 0)?.chars().map(upper).collect::<String>())),
        "In capital letters.",
    );
    d.add(
        "text_initcap",
        "initcap(text) -> text",
        |a, c| Ok(c.text(&initcap(text(a, 0)?))),
        "Each word with a capital.",
    );
    for (name, eval) in
        [("lpad", (|a, c| pad(a, c, true)) as Eval), ("rpad", (|a, c| pad(a, c, false)) as Eval)]
    {
        let doc = "Filled up, or cut, to a length.";
        d.add(&format!("{name}_blank"), &format!("{name}(text, int4) -> text"), eval, doc);
        d.add(name, &format!("{name}(text, int4, text) -> text"), eval, doc);
    }
    d.add(
        "replace_text",
        "replace(text, text, text) -> text",
        |a, c| match text(a, 1)? {
            "" => Ok(Datum::Text(text(a, 0)?)),
            from => Ok(c.text(&text(a, 0)?.replace(from, text(a, 2)?))),
        },
        "Each occurrence of a text replaced.",
    );
    d.add("repeat", "repeat(text, int4) -> text", repeat, "The text so many times.");
    d.add(
        "text_reverse",
        "reverse(text) -> text",
        |a, c| Ok(c.text(&text(a, 0)?.chars().rev().collect::<String>())),
        "Characters in opposite order.",
    );
    d.add("chr", "chr(int4) -> text", chr, "The character of a code point.");
    d.add(
        "translate",
        "translate(text, text, text) -> text",
        |a, c| Ok(c.text(&translate(text(a, 0)?, text(a, 1)?, text(a, 2)?))),
        "Each character of a set replaced by its counterpart.",
    );
    let doc = "A part replaced.";
    d.add("textoverlay", "overlay(text, text, int4, int4) -> text", overlay, doc);
    d.add("textoverlay_no_len", "overlay(text, text, int4) -> text", overlay, doc);
    for (name, doc) in [("to_bin", "Binary digits."), ("to_oct", "Octal digits.")] {
        let of4: Eval = match name {
            "to_bin" => |a, c| Ok(c.text(&format!("{:b}", int4(a, 0)?))),
            _ => |a, c| Ok(c.text(&format!("{:o}", int4(a, 0)?))),
        };
        let of8: Eval = match name {
            "to_bin" => |a, c| Ok(c.text(&format!("{:b}", int(a, 0)?))),
            _ => |a, c| Ok(c.text(&format!("{:o}", int(a, 0)?))),
        };
        d.add(&format!("{name}32"), &format!("{name}(int4) -> text"), of4, doc);
        d.add(&format!("{name}64"), &format!("{name}(int8) -> text"), of8, doc);
    }
    d.add(
        "to_hex32",
        "to_hex(int4) -> text",
        |a, c| Ok(c.text(&format!("{:x}", int4(a, 0)?))),
        "Hexadecimal digits.",
    );
    d.add(
        "to_hex64",
        "to_hex(int8) -> text",
        |a, c| Ok(c.text(&format!("{:x}", int(a, 0)?))),
        "Hexadecimal digits.",
    );
}
