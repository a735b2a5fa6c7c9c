//! Single bits and bytes, trimming and replacing of bytes, and the encodings of text.

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, bad_parameter, bytes, int, text};
use crate::scalar::EvalContext;

fn out_of_bounds(at: i64, count: usize) -> EvalError {
    EvalError::invalid(
        SqlState::from_code("2202E"),
        format!("index {at} out of valid range, 0..{}", count as i64 - 1),
    )
}

/// The byte of a bit, counted from the least of the first byte, and its place in it.
fn bit_place(value: &[u8], at: i64) -> Result<(usize, u32), EvalError> {
    let count = value.len().saturating_mul(8);
    match usize::try_from(at) {
        Ok(place) if place < count => Ok((place / 8, (place % 8) as u32)),
        _ => Err(out_of_bounds(at, count)),
    }
}

fn set_bit<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let mut value = bytes(a, 0)?.to_vec();
    let (byte, bit) = bit_place(&value, int(a, 1)?)?;
    match int(a, 2)? {
        0 => value[byte] &= !(1 << bit),
        1 => value[byte] |= 1 << bit,
        _ => return Err(bad_parameter("new bit must be 0 or 1")),
    }
    Ok(context.bytes(&value))
}

fn set_byte<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let mut value = bytes(a, 0)?.to_vec();
    let at = int(a, 1)?;
    let count = value.len();
    let place = usize::try_from(at).ok().and_then(|at| value.get_mut(at));
    *place.ok_or_else(|| out_of_bounds(at, count))? = int(a, 2)? as u8;
    Ok(context.bytes(&value))
}

fn trim<'a>(a: &[Datum<'a>], start: bool, end: bool) -> Evaluated<'a> {
    let (mut value, set) = (bytes(a, 0)?, bytes(a, 1)?);
    while start && value.first().is_some_and(|byte| set.contains(byte)) {
        value = &value[1..];
    }
    while end && value.last().is_some_and(|byte| set.contains(byte)) {
        value = &value[..value.len() - 1];
    }
    Ok(Datum::Bytes(value))
}

fn overlay<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (value, new, start) = (bytes(a, 0)?, bytes(a, 1)?, int(a, 2)?);
    let count = if a.len() > 3 { int(a, 3)? } else { new.len() as i64 };
    if start <= 0 {
        return Err(EvalError::invalid(
            SqlState::SUBSTRING_ERROR,
            "negative substring length not allowed",
        ));
    }
    let place = |at: i64| usize::try_from(at.max(1) - 1).unwrap_or(usize::MAX).min(value.len());
    let (before, after) = (place(start), place(start.saturating_add(count)));
    Ok(context.bytes(&[&value[..before], new, &value[after..]].concat()))
}

/// An encoding that texts are converted from and to.
#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Utf8,
    Latin1,
    /// None: bytes as they are.
    SqlAscii,
}

fn encoding(name: &str) -> Option<Encoding> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    Some(match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => Encoding::Utf8,
        "latin1" | "iso88591" => Encoding::Latin1,
        "sqlascii" => Encoding::SqlAscii,
        _ => return None,
    })
}

fn checked_utf8(value: &[u8]) -> Result<&str, EvalError> {
    std::str::from_utf8(value).map_err(|error| {
        let at = error.valid_up_to();
        let width = match value[at] {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        let shown: Vec<String> =
            value[at..].iter().take(width).map(|byte| format!("0x{byte:02x}")).collect();
        EvalError::invalid(
            SqlState::from_code("22021"),
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    })
}

fn named(name: &str, side: &str) -> Result<Encoding, EvalError> {
    encoding(name).ok_or_else(|| bad_parameter(format!("invalid {side} encoding name \"{name}\"")))
}

fn decoded(value: &[u8], from: Encoding) -> Result<String, EvalError> {
    let text = match from {
        Encoding::Latin1 => value.iter().map(|byte| char::from(*byte)).collect(),
        Encoding::Utf8 | Encoding::SqlAscii => checked_utf8(value)?.to_owned(),
    };
    if text.contains('\0') {
        return Err(EvalError::invalid(
            SqlState::from_code("22021"),
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ));
    }
    Ok(text)
}

fn encoded(value: &str, to: Encoding) -> Result<Vec<u8>, EvalError> {
    if to != Encoding::Latin1 {
        return Ok(value.as_bytes().to_vec());
    }
    let byte = |c: char| {
        u8::try_from(u32::from(c)).map_err(|_| {
            let shown: Vec<String> =
                c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("0x{byte:02x}")).collect();
            EvalError::invalid(
                SqlState::from_code("22P05"),
                format!(
                    "character with byte sequence {} in encoding \"UTF8\" has no equivalent in \
                     encoding \"LATIN1\"",
                    shown.join(" ")
                ),
            )
        })
    };
    value.chars().map(byte).collect()
}

pub(super) fn define(d: &mut Definitions) {
    let trims: [(&str, Eval, &str); 3] = [
        ("byteatrim", |a, _| trim(a, true, true), "btrim"),
        ("bytealtrim", |a, _| trim(a, true, false), "ltrim"),
        ("byteartrim", |a, _| trim(a, false, true), "rtrim"),
    ];
    for (id, eval, name) in trims {
        let doc = "Without these bytes at its ends.";
        d.add(id, &format!("{name}(bytea, bytea) -> bytea"), eval, doc);
    }
    let doc = "A part replaced.";
    d.add("byteaoverlay", "overlay(bytea, bytea, int4, int4) -> bytea", overlay, doc);
    d.add("byteaoverlay_no_len", "overlay(bytea, bytea, int4) -> bytea", overlay, doc);
    let get: Eval = |a, _| {
        let value = bytes(a, 0)?;
        let (byte, bit) = bit_place(value, int(a, 1)?)?;
        Ok(Datum::Int(i64::from(value[byte] >> bit & 1)))
    };
    d.add("byteaGetBit", "get_bit(bytea, int8) -> int4", get, "One bit, counted from 0.");
    d.add("byteaSetBit", "set_bit(bytea, int8, int4) -> bytea", set_bit, "With one bit changed.");
    d.add(
        "byteaSetByte",
        "set_byte(bytea, int4, int4) -> bytea",
        set_byte,
        "With one byte changed.",
    );
    let count: Eval =
        |a, _| Ok(Datum::Int(bytes(a, 0)?.iter().map(|byte| i64::from(byte.count_ones())).sum()));
    d.add("bytea_bit_count", "bit_count(bytea) -> int8", count, "How many bits are set.");
    let from: Eval = |a, c| Ok(c.text(&decoded(bytes(a, 0)?, named(text(a, 1)?, "source")?)?));
    d.add(
        "pg_convert_from",
        "convert_from(bytea, name) -> text",
        from,
        "The text that bytes are in an encoding.",
    );
    let to: Eval = |a, c| Ok(c.bytes(&encoded(text(a, 0)?, named(text(a, 1)?, "destination")?)?));
    d.add("pg_convert_to", "convert_to(text, name) -> bytea", to, "A text in an encoding.");
    let between: Eval = |a, c| {
        let (from, to) = (named(text(a, 1)?, "source")?, named(text(a, 2)?, "destination")?);
        Ok(c.bytes(&encoded(&decoded(bytes(a, 0)?, from)?, to)?))
    };
    d.add(
        "pg_convert",
        "convert(bytea, name, name) -> bytea",
        between,
        "From one encoding to another.",
    );
    let length: Eval = |a, _| {
        let from = encoding(text(a, 1)?).ok_or_else(|| {
            bad_parameter(format!("invalid encoding name \"{}\"", text(a, 1).unwrap_or("")))
        })?;
        Ok(Datum::Int(decoded(bytes(a, 0)?, from)?.chars().count() as i64))
    };
    d.add(
        "length_in_encoding",
        "length(bytea, name) -> int4",
        length,
        "How many characters bytes are in an encoding.",
    );
}
