//! Character types, bytea and uuid as text.

use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::row::RowBuilder;
use crate::types::ScalarType;

/// Longest `name`, in bytes.
const NAME_LENGTH: usize = 63;

/// Appends a value of a character type, fitted to its modifier.
pub(crate) fn push_character(
    typ: &ScalarType,
    typmod: i32,
    text: &str,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    if memchr::memchr(0, text.as_bytes()).is_some() {
        return Err(SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ));
    }
    let length = usize::try_from(typmod - 4).ok().filter(|_| typmod >= 4);
    let fitted = match (typ, length) {
        (ScalarType::Varchar, Some(length)) => fit(text, length, typ)?,
        (ScalarType::Bpchar, Some(length)) => {
            let fitted = fit(text, length, typ)?;
            // Characters are counted only where bytes leave it open.
            let count = fitted.chars().count();
            if count < length {
                let mut padded = String::with_capacity(fitted.len() + length - count);
                padded.push_str(fitted);
                padded.extend(std::iter::repeat_n(' ', length - count));
                row.push(Datum::Text(&padded));
                return Ok(());
            }
            fitted
        }
        (ScalarType::Name, _) => &text[..text.floor_char_boundary(NAME_LENGTH)],
        (ScalarType::InternalChar, _) => &text[..text.chars().next().map_or(0, char::len_utf8)],
        _ => text,
    };
    row.push(Datum::Text(fitted));
    Ok(())
}

/// Cuts blanks beyond a length; anything else there is an error.
fn fit<'a>(text: &'a str, length: usize, typ: &ScalarType) -> Result<&'a str, SqlError> {
    if text.len() <= length {
        return Ok(text);
    }
    let Some((end, _)) = text.char_indices().nth(length) else { return Ok(text) };
    if text[end..].bytes().all(|byte| byte == b' ') {
        return Ok(&text[..end]);
    }
    Err(SqlError::new(
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
        format!("value too long for type {typ}({length})"),
    ))
}

fn hex_value(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Reads bytea, in the hex or the escape format.
///
/// # Errors
/// Neither of them.
pub fn parse_bytea(text: &str) -> Result<Vec<u8>, SqlError> {
    match text.strip_prefix("\\x") {
        Some(hex) => parse_hex(hex),
        None => parse_escapes(text.as_bytes()).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                "invalid input syntax for type bytea",
            )
        }),
    }
}

fn parse_hex(hex: &str) -> Result<Vec<u8>, SqlError> {
    let invalid = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let mut bytes = Vec::with_capacity(hex.len() / 2);
    let mut rest = hex.chars();
    let value = |c: char| {
        u8::try_from(c)
            .ok()
            .and_then(hex_value)
            .ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{c}\"")))
    };
    while let Some(first) = rest.next() {
        if matches!(first, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = value(first)?;
        let Some(second) = rest.next() else {
            return Err(invalid("invalid hexadecimal data: odd number of digits".to_owned()));
        };
        bytes.push(high << 4 | value(second)?);
    }
    Ok(bytes)
}

fn parse_escapes(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [] => return Some(bytes),
            [b'\\', b'\\', after @ ..] => {
                bytes.push(b'\\');
                rest = after;
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            [b'\\', ..] => return None,
            [byte, after @ ..] => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn push_hex(byte: u8, out: &mut String) {
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// Appends bytea in the hex format.
pub fn format_bytea(bytes: &[u8], out: &mut String) {
    out.reserve(2 + bytes.len() * 2);
    out.push_str("\\x");
    bytes.iter().for_each(|byte| push_hex(*byte, out));
}

/// Appends bytes as they were shown before `hex`: what is no printable ASCII as octal digits.
pub fn escape_bytea(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\{byte:03o}")),
        }
    }
}

/// Reads a uuid: hexadecimal digits, hyphens after any group of four, perhaps in braces.
///
/// # Errors
/// No uuid (`22P02`).
pub fn parse_uuid(text: &str) -> Result<[u8; 16], SqlError> {
    uuid_bytes(text.as_bytes()).ok_or_else(|| SqlError::invalid_input("uuid", text))
}

fn uuid_bytes(text: &[u8]) -> Option<[u8; 16]> {
    let mut rest = match text {
        [b'{', inner @ .., b'}'] => inner,
        [b'{', ..] => return None,
        _ => text,
    };
    let mut uuid = [0; 16];
    for (at, byte) in uuid.iter_mut().enumerate() {
        let [high, low, after @ ..] = rest else { return None };
        *byte = hex_value(*high)? << 4 | hex_value(*low)?;
        rest = match after {
            [b'-', after @ ..] if at % 2 == 1 && at < 15 => after,
            _ => after,
        };
    }
    rest.is_empty().then_some(uuid)
}

/// Appends a uuid.
pub fn format_uuid(uuid: &[u8; 16], out: &mut String) {
    for (at, byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        push_hex(*byte, out);
    }
}
