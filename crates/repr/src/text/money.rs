//! `money` as text, as PostgreSQL shows it in the locale C.

use crate::error::{SqlError, SqlState};
use crate::text::number::format_int;

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b')
}

/// Reads an amount such as `$1,234.56`, in cents.
///
/// # Errors
/// No amount (`22P02`), or out of range (`22003`).
pub fn parse_money(text: &str) -> Result<i64, SqlError> {
    let invalid = || SqlError::invalid_input("money", text);
    let too_large = || {
        SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type money"),
        )
    };
    let mut rest = trim(text);
    rest = trim(rest.strip_prefix('$').unwrap_or(rest));
    let mut negative = false;
    for (sign, is_negative) in [("-", true), ("(", true), ("+", false)] {
        if let Some(after) = rest.strip_prefix(sign) {
            negative = is_negative;
            rest = after;
            break;
        }
    }
    rest = trim(rest);
    rest = trim(rest.strip_prefix('$').unwrap_or(rest));
    // Counted below zero, where there is one more.
    let mut cents: i64 = 0;
    let mut decimals: Option<u32> = None;
    let mut used = 0;
    let mut round_up = None;
    let add = |cents: i64, digit: u32| {
        cents.checked_mul(10).and_then(|cents| cents.checked_sub(i64::from(digit)))
    };
    for c in rest.chars() {
        match (c.to_digit(10), decimals) {
            (Some(digit), Some(2)) => {
                round_up.get_or_insert(digit >= 5);
            }
            (Some(digit), _) => {
                cents = add(cents, digit).ok_or_else(too_large)?;
                decimals = decimals.map(|count| count + 1);
            }
            (None, None) if c == '.' => decimals = Some(0),
            (None, None) if c == ',' => {}
            _ => break,
        }
        used += c.len_utf8();
    }
    for _ in decimals.unwrap_or(0)..2 {
        cents = add(cents, 0).ok_or_else(too_large)?;
    }
    if round_up == Some(true) {
        cents = cents.checked_sub(1).ok_or_else(too_large)?;
    }
    let mut tail = &rest[used..];
    while let Some(c) = tail.chars().next() {
        match c {
            ')' | '+' | '$' => {}
            '-' => negative = true,
            c if c.is_ascii_whitespace() => {}
            _ => return Err(invalid()),
        }
        tail = &tail[c.len_utf8()..];
    }
    if negative { Ok(cents) } else { cents.checked_neg().ok_or_else(too_large) }
}

/// Appends an amount of cents.
pub fn format_money(cents: i64, out: &mut String) {
    if cents < 0 {
        out.push('-');
    }
    out.push('$');
    let magnitude = cents.unsigned_abs();
    let mut whole = String::new();
    // A hundredth of 2^63 fits.
    format_int((magnitude / 100) as i64, &mut whole);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    let rest = magnitude % 100;
    out.push('.');
    out.push(char::from(b'0' + (rest / 10) as u8));
    out.push(char::from(b'0' + (rest % 10) as u8));
}
