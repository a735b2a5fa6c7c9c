//! Bytes as text.

use tidemill_repr::SqlState;

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{bad_parameter, bytes, text};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Hexadecimal digits, two a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, EvalError> {
    let mut digits = Vec::new();
    for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        let digit = c
            .to_digit(16)
            .ok_or_else(|| bad_parameter(format!("invalid hexadecimal digit: \"{c}\"")))?;
        digits.push(digit as u8);
    }
    if digits.len() % 2 == 1 {
        return Err(bad_parameter("invalid hexadecimal data: odd number of digits"));
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// With a line break after 76 characters, as PostgreSQL does.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (at, chunk) in bytes.chunks(3).enumerate() {
        if at > 0 && at % 19 == 0 {
            out.push('\n');
        }
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (word >> (18 - 6 * place)) & 63;
            out.push(if place <= chunk.len() { char::from(BASE64[digit as usize]) } else { '=' });
        }
    }
    out
}

fn unbase64(text: &str) -> Result<Vec<u8>, EvalError> {
    let invalid = |c: char| {
        bad_parameter(format!("invalid symbol \"{c}\" found while decoding base64 sequence"))
    };
    let mut out = Vec::new();
    let (mut word, mut count) = (0u32, 0);
    for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        if c == '=' {
            break;
        }
        let digit =
            BASE64.iter().position(|digit| char::from(*digit) == c).ok_or_else(|| invalid(c))?;
        word = word << 6 | digit as u32;
        count += 1;
        if count == 4 {
            out.extend_from_slice(&word.to_be_bytes()[1..]);
            (word, count) = (0, 0);
        }
    }
    match count {
        0 => {}
        1 => {
            return Err(bad_parameter("invalid base64 end sequence").with_hint(
                "Input data is missing padding, is truncated, or is otherwise corrupted.",
            ));
        }
        _ => {
            let bytes = (word << (6 * (4 - count))).to_be_bytes();
            out.extend_from_slice(&bytes[1..count]);
        }
    }
    Ok(out)
}

/// Bytes above 127, zeros and backslashes as three octal digits.
fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0 | 128.. => out.push_str(&format!("\\{byte:03o}")),
            _ => out.push(char::from(*byte)),
        }
    }
    out
}

fn unescape(text: &str) -> Result<Vec<u8>, EvalError> {
    let invalid = || {
        EvalError::invalid(
            SqlState::INVALID_TEXT_REPRESENTATION,
            "invalid input syntax for type bytea",
        )
    };
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
        } else if bytes.get(at + 1) == Some(&b'\\') {
            out.push(b'\\');
            at += 2;
        } else {
            let digits = bytes.get(at + 1..at + 4).ok_or_else(invalid)?;
            let digits = std::str::from_utf8(digits).map_err(|_| invalid())?;
            out.push(u8::from_str_radix(digits, 8).map_err(|_| invalid())?);
            at += 4;
        }
    }
    Ok(out)
}

fn unknown_encoding(name: &str) -> EvalError {
    bad_parameter(format!("unrecognized encoding: \"{name}\""))
}

pub(super) fn define(d: &mut Definitions) {
    let encode: Eval = |a, c| {
        let (value, format) = (bytes(a, 0)?, text(a, 1)?);
        let encoded = match format.to_ascii_lowercase().as_str() {
            "hex" => hex(value),
            "base64" => base64(value),
            "escape" => escape(value),
            _ => return Err(unknown_encoding(format)),
        };
        Ok(c.text(&encoded))
    };
    d.add(
        "binary_encode",
        "encode(bytea, text) -> text",
        encode,
        "Bytes as text: hex, base64 or escape.",
    );
    let decode: Eval = |a, c| {
        let (value, format) = (text(a, 0)?, text(a, 1)?);
        let decoded = match format.to_ascii_lowercase().as_str() {
            "hex" => unhex(value)?,
            "base64" => unbase64(value)?,
            "escape" => unescape(value)?,
            _ => return Err(unknown_encoding(format)),
        };
        Ok(c.bytes(&decoded))
    };
    d.add(
        "binary_decode",
        "decode(text, text) -> bytea",
        decode,
        "Bytes of a text: hex, base64 or escape.",
    );
}
