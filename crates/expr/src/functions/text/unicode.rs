//! Unicode: escapes, normal forms; and identifiers taken apart.

use tidemill_repr::{Datum, RowBuilder, SqlState};
use unicode_normalization::UnicodeNormalization;

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, bad_parameter, boolean, one_dimension, text};
use crate::scalar::EvalContext;

fn syntax(message: &str) -> EvalError {
    EvalError::invalid(SqlState::SYNTAX_ERROR, message)
}

/// One escape after its backslash: its code and how many bytes it takes.
fn escape_code(rest: &str) -> Result<(u32, usize), EvalError> {
    let invalid = || {
        syntax("invalid Unicode escape")
            .with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
    };
    let (skip, count) = match rest.as_bytes().first() {
        Some(b'u') => (1, 4),
        Some(b'U') => (1, 8),
        Some(b'+') => (1, 6),
        _ => (0, 4),
    };
    let digits = rest.get(skip..skip + count).ok_or_else(invalid)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(invalid());
    }
    let code = u32::from_str_radix(digits, 16).map_err(|_| invalid())?;
    Ok((code, skip + count))
}

fn unistr<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let mut rest = text(a, 0)?;
    let mut out = String::new();
    let mut high: Option<u32> = None;
    let pair = || syntax("invalid Unicode surrogate pair");
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if c != '\\' || after.starts_with('\\') {
            if high.is_some() {
                return Err(pair());
            }
            out.push(c);
            rest = after.strip_prefix('\\').filter(|_| c == '\\').unwrap_or(after);
            continue;
        }
        let (code, length) = escape_code(after)?;
        rest = &after[length..];
        let code = match (high.take(), code) {
            (None, 0xD800..0xDC00) => {
                high = Some(code);
                continue;
            }
            (Some(high), 0xDC00..0xE000) => 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00),
            (Some(_), _) | (None, 0xDC00..0xE000) => return Err(pair()),
            (None, code) => code,
        };
        match char::from_u32(code) {
            Some(c) if code != 0 => out.push(c),
            _ => {
                return Err(bad_parameter(format!("invalid Unicode code point: {code:04X}")));
            }
        }
    }
    if high.is_some() {
        return Err(pair());
    }
    Ok(context.text(&out))
}

fn normalized(value: &str, form: &str) -> Result<String, EvalError> {
    Ok(match form.to_ascii_uppercase().as_str() {
        "NFC" => value.nfc().collect(),
        "NFD" => value.nfd().collect(),
        "NFKC" => value.nfkc().collect(),
        "NFKD" => value.nfkd().collect(),
        _ => return Err(bad_parameter(format!("invalid normalization form: {form}"))),
    })
}

fn invalid_identifier(name: &str, detail: Option<&str>) -> EvalError {
    EvalError::Invalid {
        code: SqlState::INVALID_PARAMETER_VALUE.0.to_owned(),
        message: format!("string is not a valid identifier: \"{name}\""),
        detail: detail.map(str::to_owned),
        hint: None,
    }
}

/// The parts of a qualified name, folded to small letters where they are not quoted.
fn identifier_parts(name: &str, strict: bool) -> Result<Vec<String>, EvalError> {
    let blank = |c: char| c.is_ascii_whitespace();
    let mut rest = name.trim_start_matches(blank);
    let mut parts = Vec::new();
    let mut after_dot = false;
    loop {
        let mut part = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut at = 0;
            loop {
                let Some(end) = quoted[at..].find('"') else {
                    let detail = Some("String has unclosed double quotes.");
                    return Err(invalid_identifier(name, detail));
                };
                part.push_str(&quoted[at..at + end]);
                at += end + 1;
                if !quoted[at..].starts_with('"') {
                    break;
                }
                part.push('"');
                at += 1;
            }
            if part.is_empty() {
                let detail = Some("Quoted identifier must not be empty.");
                return Err(invalid_identifier(name, detail));
            }
            rest = &quoted[at..];
        } else if rest.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic() || !c.is_ascii()) {
            let inside =
                |c: char| c == '_' || c == '$' || c.is_ascii_alphanumeric() || !c.is_ascii();
            let end = rest.find(|c: char| !inside(c)).unwrap_or(rest.len());
            part.push_str(&rest[..end].to_ascii_lowercase());
            rest = &rest[end..];
        } else {
            let detail = if rest.starts_with('.') {
                Some("No valid identifier before \".\".")
            } else if after_dot {
                Some("No valid identifier after \".\".")
            } else {
                None
            };
            return Err(invalid_identifier(name, detail));
        }
        parts.push(part);
        rest = rest.trim_start_matches(blank);
        match rest.strip_prefix('.') {
            Some(more) => {
                after_dot = true;
                rest = more.trim_start_matches(blank);
            }
            None if rest.is_empty() || !strict => return Ok(parts),
            None => return Err(invalid_identifier(name, None)),
        }
    }
}

fn parse_ident<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let strict = a.len() < 2 || boolean(a, 1)?;
    let parts = identifier_parts(text(a, 0)?, strict)?;
    let mut builder = RowBuilder::new();
    builder.push_array(&one_dimension(parts.len()), parts.iter().map(|part| Datum::Text(part)));
    Ok(context.built(&builder))
}

pub(super) fn define(d: &mut Definitions) {
    d.add("unistr", "unistr(text) -> text", unistr, "With escapes of Unicode characters resolved.");
    let form = "The normal form of a Unicode text.";
    let normalize: Eval = |a, c| {
        let form = if a.len() > 1 { text(a, 1)? } else { "NFC" };
        Ok(c.text(&normalized(text(a, 0)?, form)?))
    };
    d.add("unicode_normalize_nfc", "normalize(text) -> text", normalize, form);
    d.add("unicode_normalize_func", "normalize(text, text) -> text", normalize, form);
    let is: Eval = |a, _| {
        let form = if a.len() > 1 { text(a, 1)? } else { "NFC" };
        Ok(Datum::Bool(normalized(text(a, 0)?, form)? == text(a, 0)?))
    };
    let doc = "Whether a text is in a normal form.";
    d.add("unicode_is_normalized_nfc", "is_normalized(text) -> bool", is, doc);
    d.add("unicode_is_normalized", "is_normalized(text, text) -> bool", is, doc);
    let doc = "The parts of a qualified name.";
    d.add("parse_ident_strict", "parse_ident(text) -> text[]", parse_ident, doc);
    d.add("parse_ident", "parse_ident(text, bool) -> text[]", parse_ident, doc);
    let ascii: Eval = |_, _| {
        Err(EvalError::invalid(
            SqlState::FEATURE_NOT_SUPPORTED,
            "encoding conversion from UTF8 to ASCII not supported",
        ))
    };
    let doc = "In ASCII, from other encodings than UTF8: there is none, so an error.";
    d.add("to_ascii_default", "to_ascii(text) -> text", ascii, doc);
}
