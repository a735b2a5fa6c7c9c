//! Booleans, integers, oids and floats as text.

use std::num::{IntErrorKind, ParseIntError};

use crate::error::{SqlError, SqlState};
use crate::types::ScalarType;

/// What C's `isspace` calls a space.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b')
}

/// Reads a boolean: `true`, `yes`, `on`, `1` and their opposites, or their unique beginnings.
///
/// # Errors
/// Anything else (`22P02`).
pub fn parse_bool(text: &str) -> Result<bool, SqlError> {
    let word = trim(text);
    let begins =
        |name: &str| name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    match word.len() {
        0 => {}
        1 if word == "1" => return Ok(true),
        1 if word == "0" => return Ok(false),
        _ if begins("true") || begins("yes") => return Ok(true),
        _ if begins("false") || begins("no") => return Ok(false),
        2.. if begins("on") => return Ok(true),
        2.. if begins("off") => return Ok(false),
        _ => {}
    }
    Err(SqlError::invalid_input("boolean", text))
}

fn out_of_range(text: &str, typ: &ScalarType) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{text}\" is out of range for type {typ}"),
    )
}

fn bad_int(error: &ParseIntError, text: &str, typ: &ScalarType) -> SqlError {
    match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => out_of_range(text, typ),
        _ => SqlError::invalid_input(typ, text),
    }
}

/// Reads an integer of the type's range.
///
/// # Errors
/// No integer (`22P02`), or out of range (`22003`).
pub fn parse_int(typ: &ScalarType, text: &str) -> Result<i64, SqlError> {
    let value: i64 = trim(text).parse().map_err(|error| bad_int(&error, text, typ))?;
    let fits = match typ {
        ScalarType::Int2 => i16::try_from(value).is_ok(),
        ScalarType::Int4 => i32::try_from(value).is_ok(),
        _ => true,
    };
    if fits { Ok(value) } else { Err(out_of_range(text, typ)) }
}

/// Reads an oid; negative numbers wrap around, as in PostgreSQL.
///
/// # Errors
/// No number (`22P02`), or out of range (`22003`).
pub fn parse_oid(typ: &ScalarType, text: &str) -> Result<i64, SqlError> {
    let word = trim(text);
    if word == "-" && *typ != ScalarType::Oid {
        return Ok(0);
    }
    let value: i64 = word.parse().map_err(|error| bad_int(&error, text, typ))?;
    if let Ok(oid) = u32::try_from(value) {
        return Ok(i64::from(oid));
    }
    let wrapped = i32::try_from(value).map_err(|_| out_of_range(text, typ))?;
    Ok(i64::from(wrapped.cast_unsigned()))
}

/// Reads a number without sign.
///
/// # Errors
/// No number (`22P02`), or out of range (`22003`).
pub fn parse_unsigned(typ: &ScalarType, text: &str) -> Result<u64, SqlError> {
    let value: i128 = trim(text).parse().map_err(|error| bad_int(&error, text, typ))?;
    let limit = match typ {
        ScalarType::UInt2 => u64::from(u16::MAX),
        ScalarType::UInt4 => u64::from(u32::MAX),
        _ => u64::MAX,
    };
    u64::try_from(value).ok().filter(|value| *value <= limit).ok_or_else(|| out_of_range(text, typ))
}

/// Reads a position in a log: two hexadecimal numbers.
///
/// # Errors
/// No position (`22P02`).
pub fn parse_lsn(text: &str) -> Result<u64, SqlError> {
    let half = |text: &str| {
        let plain = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if plain { u64::from_str_radix(text, 16).ok() } else { None }
    };
    let parts = text.split_once('/').and_then(|(high, low)| Some((half(high)?, half(low)?)));
    let (high, low) = parts.ok_or_else(|| SqlError::invalid_input("pg_lsn", text))?;
    Ok(high << 32 | low)
}

fn bad_float(text: &str, typ: &ScalarType) -> SqlError {
    SqlError::invalid_input(typ, text)
}

fn float_out_of_range(text: &str, typ: &ScalarType) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("\"{text}\" is out of range for type {typ}"),
    )
}

/// Whether the text of a number that became 0 had another digit.
fn has_nonzero_digit(word: &str) -> bool {
    word.split(['e', 'E'])
        .next()
        .is_some_and(|m| m.bytes().any(|b| b.is_ascii_digit() && b != b'0'))
}

/// Reads a `double precision`.
///
/// # Errors
/// No number (`22P02`), or out of range (`22003`).
pub fn parse_float8(text: &str) -> Result<f64, SqlError> {
    let word = trim(text);
    let typ = ScalarType::Float8;
    let value: f64 = word.parse().map_err(|_| bad_float(text, &typ))?;
    let number = word.bytes().any(|byte| byte.is_ascii_digit());
    if number && (value.is_infinite() || (value == 0.0 && has_nonzero_digit(word))) {
        return Err(float_out_of_range(word, &typ));
    }
    Ok(value)
}

/// Reads a `real`.
///
/// # Errors
/// No number (`22P02`), or out of range (`22003`).
pub fn parse_float4(text: &str) -> Result<f32, SqlError> {
    let word = trim(text);
    let typ = ScalarType::Float4;
    let value: f32 = word.parse().map_err(|_| bad_float(text, &typ))?;
    let number = word.bytes().any(|byte| byte.is_ascii_digit());
    if number && (value.is_infinite() || (value == 0.0 && has_nonzero_digit(word))) {
        return Err(float_out_of_range(word, &typ));
    }
    Ok(value)
}

/// Appends an integer.
pub fn format_int(value: i64, out: &mut String) {
    let mut buffer = [0; 20];
    let mut start = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        buffer[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push('-');
    }
    out.extend(buffer[start..].iter().map(|byte| char::from(*byte)));
}

fn push_special(value: f64, out: &mut String) -> bool {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        return false;
    }
    true
}

/// Appends a `double precision`: the fewest digits that read back as the same number.
pub fn format_float8(value: f64, out: &mut String) {
    if !push_special(value, out) {
        let mut buffer = ryu::Buffer::new();
        let shortest = buffer.format_finite(value);
        let bits = value.abs().to_bits();
        let exact = (bits & ((1 << 52) - 1) | 1 << 52, (bits >> 52) as i32 - 1075);
        match is_halfway(shortest, exact) {
            true => push_shortest(&format!("{value:.15e}"), 15, out),
            false => push_shortest(shortest, 15, out),
        }
    }
}

/// Appends a `real`: the fewest digits that read back as the same number.
pub fn format_float4(value: f32, out: &mut String) {
    if !push_special(f64::from(value), out) {
        let mut buffer = ryu::Buffer::new();
        let shortest = buffer.format_finite(value);
        let bits = value.abs().to_bits();
        let exact = (u64::from(bits & ((1 << 23) - 1) | 1 << 23), (bits >> 23) as i32 - 150);
        match is_halfway(shortest, exact) {
            true => push_shortest(&format!("{value:.7e}"), 6, out),
            false => push_shortest(shortest, 6, out),
        }
    }
}

/// Appends a `double precision` under `extra_float_digits`: above 0 the shortest exact text, else
/// so many digits less than 15.
pub fn format_float8_digits(value: f64, extra: i8, out: &mut String) {
    if extra > 0 {
        return format_float8(value, out);
    }
    if !push_special(value, out) {
        let digits = (15 + i32::from(extra)).max(1);
        push_shortest(&format!("{value:.*e}", digits as usize - 1), digits, out);
    }
}

/// [`format_float8_digits`] for `real`, which has 6 digits.
pub fn format_float4_digits(value: f32, extra: i8, out: &mut String) {
    if extra > 0 {
        return format_float4(value, out);
    }
    if !push_special(f64::from(value), out) {
        let digits = (6 + i32::from(extra)).max(1);
        push_shortest(&format!("{value:.*e}", digits as usize - 1), digits, out);
    }
}

/// Whether a decimal lies halfway between a large float `mantissa * 2^exponent` and one of its
/// neighbours: PostgreSQL does not trust readers to break that tie, and shows more digits.
fn is_halfway(shortest: &str, (mantissa, exponent): (u64, i32)) -> bool {
    let (digits, power) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let digits = digits.trim_start_matches('-');
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    if !(1..=74).contains(&exponent) {
        return false;
    }
    let power = power.parse::<i32>().unwrap_or(0) - fraction.len() as i32;
    let all = format!("{whole}{fraction}").parse::<u128>();
    let scale = u32::try_from(power).ok().and_then(|power| 10u128.checked_pow(power));
    let (Ok(all), Some(scale)) = (all, scale) else { return false };
    let Some(decimal) = all.checked_mul(scale) else { return false };
    let distance = decimal.abs_diff(u128::from(mantissa) << exponent);
    // Below a power of two, neighbours are half as far away.
    let quarter = mantissa.is_power_of_two() && distance << 2 == 1 << exponent;
    distance << 1 == 1 << exponent || quarter
}

/// Lays out ryu's digits as PostgreSQL does: with an exponent below -4 and from `limit` up.
fn push_shortest(text: &str, limit: i32, out: &mut String) {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut buffer = [0; 40];
    let mut count = 0;
    for byte in whole.bytes().chain(fraction.bytes()).take(buffer.len()) {
        buffer[count] = byte;
        count += 1;
    }
    let zeros = buffer[..count].iter().take_while(|byte| **byte == b'0').count();
    let end = buffer[..count].iter().rposition(|byte| *byte != b'0').map_or(zeros, |at| at + 1);
    if negative {
        out.push('-');
    }
    if zeros >= end {
        return out.push('0');
    }
    let digits = std::str::from_utf8(&buffer[zeros..end]).unwrap_or("0");
    // The power of ten of the first digit.
    let power = whole.len() as i32 - 1 - zeros as i32 + exponent;
    if power < -4 || power >= limit {
        push_scientific(digits, power, out);
    } else if power < 0 {
        out.push_str("0.");
        (1..-power).for_each(|_| out.push('0'));
        out.push_str(digits);
    } else {
        let before = power.unsigned_abs() as usize + 1;
        let (whole, fraction) = digits.split_at(before.min(digits.len()));
        out.push_str(whole);
        (digits.len()..before).for_each(|_| out.push('0'));
        if !fraction.is_empty() {
            out.push('.');
            out.push_str(fraction);
        }
    }
}

fn push_scientific(digits: &str, power: i32, out: &mut String) {
    let (first, rest) = digits.split_at(1);
    out.push_str(first);
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    out.push_str(if power < 0 { "e-" } else { "e+" });
    if power.abs() < 10 {
        out.push('0');
    }
    format_int(i64::from(power.abs()), out);
}
