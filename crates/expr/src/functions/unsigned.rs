//! Numbers without sign: `uint2`, `uint4`, `uint8`, and `mz_timestamp`.

use tidemill_repr::text::timestamp_to_ticks;
use tidemill_repr::time::UNIX_EPOCH_DAYS;
use tidemill_repr::{Datum, Numeric, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{
    Evaluated, date, float4, float8, int, numeric, out_of_range, timestamp, timestamptz, unsigned,
};
use crate::functions::positions::whole;

/// A number without sign, whatever its width.
fn value(a: &[Datum<'_>], at: usize) -> Result<i128, EvalError> {
    match a.get(at) {
        Some(Datum::UInt(value)) => Ok(i128::from(*value)),
        _ => Ok(i128::from(int(a, at)?)),
    }
}

/// Of the width: two and four bytes are kept as integers.
fn fit<'a>(value: Option<i128>, bytes: u32) -> Evaluated<'a> {
    let name = match bytes {
        2 => "uint2",
        4 => "uint4",
        _ => "uint8",
    };
    let fits = value.and_then(|value| u64::try_from(value).ok());
    let fits = fits.filter(|value| bytes == 8 || *value < 1 << (8 * bytes));
    let value = fits.ok_or_else(|| out_of_range(name))?;
    Ok(match bytes {
        8 => Datum::UInt(value),
        _ => Datum::Int(value as i64),
    })
}

fn divisor(a: &[Datum<'_>]) -> Result<i128, EvalError> {
    match value(a, 1)? {
        0 => Err(EvalError::DivisionByZero),
        divisor => Ok(divisor),
    }
}

fn float<'a>(value: f64, bytes: u32) -> Evaluated<'a> {
    let rounded = value.round_ties_even();
    fit((rounded.is_finite() && rounded.abs() < 1e30).then_some(rounded as i128), bytes)
}

fn of_numeric(value: Numeric) -> Result<Option<i128>, EvalError> {
    if !value.is_finite() {
        return Ok(None);
    }
    Ok(value.round(0)?.to_string().parse().ok())
}

macro_rules! width {
    ($d:ident, $name:literal, $bytes:literal) => {{
        let binary: [(&str, &str, Eval, &str); 8] = [
            ("pl", "+", |a, _| fit(value(a, 0)?.checked_add(value(a, 1)?), $bytes), "Sum."),
            ("mi", "-", |a, _| fit(value(a, 0)?.checked_sub(value(a, 1)?), $bytes), "Difference."),
            ("mul", "*", |a, _| fit(value(a, 0)?.checked_mul(value(a, 1)?), $bytes), "Product."),
            ("div", "/", |a, _| fit(value(a, 0)?.checked_div(divisor(a)?), $bytes), "Quotient."),
            ("mod", "%", |a, _| fit(value(a, 0)?.checked_rem(divisor(a)?), $bytes), "Remainder."),
            ("and", "&", |a, _| fit(Some(value(a, 0)? & value(a, 1)?), $bytes), "Bitwise and."),
            ("or", "|", |a, _| fit(Some(value(a, 0)? | value(a, 1)?), $bytes), "Bitwise or."),
            ("xor", "#", |a, _| fit(Some(value(a, 0)? ^ value(a, 1)?), $bytes), "Exclusive or."),
        ];
        for (suffix, operator, eval, doc) in binary {
            let id = format!("{}{suffix}", $name);
            $d.add(&id, &format!("{id}({0}, {0}) -> {0}", $name), eval, doc).operator(operator);
        }
        let rem: Eval = |a, _| fit(value(a, 0)?.checked_rem(divisor(a)?), $bytes);
        let signature = format!("mod({0}, {0}) -> {0}", $name);
        $d.add(concat!($name, "_mod"), &signature, rem, "Remainder.");
        const LIMIT: i128 = (1 << (8 * $bytes)) - 1;
        let shifts: [(&str, &str, Eval); 2] = [
            ("shl", "<<", |a, _| {
                let by = value(a, 1)?.min(127) as u32 % (8 * $bytes);
                fit(Some((value(a, 0)? << by) & LIMIT), $bytes)
            }),
            ("shr", ">>", |a, _| {
                let by = value(a, 1)?.min(127) as u32 % (8 * $bytes);
                fit(Some(value(a, 0)? >> by), $bytes)
            }),
        ];
        for (suffix, operator, eval) in shifts {
            let id = format!("{}{suffix}", $name);
            $d.add(&id, &format!("{id}({0}, uint4) -> {0}", $name), eval, "Bits shifted.")
                .operator(operator);
        }
        let not: Eval = |a, _| fit(Some(!value(a, 0)? & LIMIT), $bytes);
        let signature = format!("{0}not({0}) -> {0}", $name);
        $d.add(concat!($name, "not"), &signature, not, "Bitwise not.").operator("~");
        let doc = "Conversion between numbers.";
        for from in ["int2", "int4", "int8", "uint2", "uint4", "uint8"] {
            if from == $name {
                continue;
            }
            let eval: Eval = |a, _| fit(Some(value(a, 0)?), $bytes);
            let wider = from.starts_with('u') && *from < *$name;
            let context = if wider { CastContext::Implicit } else { CastContext::Assignment };
            let id = format!("{from}_{}", $name);
            $d.add(&id, &format!("{}({from}) -> {0}", $name), eval, doc).cast(context);
        }
        let eval: Eval = |a, _| fit(of_numeric(numeric(a, 0)?)?, $bytes);
        let signature = format!("{0}(numeric) -> {0}", $name);
        $d.add(concat!("numeric_", $name), &signature, eval, doc).cast(CastContext::Assignment);
        let eval: Eval = |a, _| float(f64::from(float4(a, 0)?), $bytes);
        let signature = format!("{0}(float4) -> {0}", $name);
        $d.add(concat!("float4_", $name), &signature, eval, doc).cast(CastContext::Assignment);
        let eval: Eval = |a, _| float(float8(a, 0)?, $bytes);
        let signature = format!("{0}(float8) -> {0}", $name);
        $d.add(concat!("float8_", $name), &signature, eval, doc).cast(CastContext::Assignment);
        to_others($d, $name);
    }};
}

fn limited<'a>(a: &[Datum<'a>], limit: i64, name: &str) -> Evaluated<'a> {
    match i64::try_from(value(a, 0)?) {
        Ok(value) if value <= limit => Ok(Datum::Int(value)),
        _ => Err(out_of_range(name)),
    }
}

/// The casts to the types with a sign.
fn to_others(d: &mut Definitions, name: &str) {
    use CastContext::{Assignment, Implicit};
    let doc = "Conversion between numbers.";
    let targets: [(&str, i64, Eval); 3] = [
        ("int2", 2, |a, _| limited(a, i64::from(i16::MAX), "smallint")),
        ("int4", 4, |a, _| limited(a, i64::from(i32::MAX), "integer")),
        ("int8", 8, |a, _| limited(a, i64::MAX, "bigint")),
    ];
    let bytes = name.as_bytes().last().map_or(8, |digit| i64::from(digit - b'0'));
    for (to, width, eval) in targets {
        let context = if width > bytes { Implicit } else { Assignment };
        d.add(&format!("{name}_{to}"), &format!("{to}({name}) -> {to}"), eval, doc).cast(context);
    }
    let eval: Eval = |a, _| Ok(Datum::Numeric(whole(value(a, 0)?)?));
    d.add(&format!("{name}_numeric"), &format!("numeric({name}) -> numeric"), eval, doc)
        .cast(Implicit);
    let eval: Eval = |a, _| Ok(Datum::Float4(value(a, 0)? as f32));
    d.add(&format!("{name}_float4"), &format!("float4({name}) -> float4"), eval, doc)
        .cast(Implicit);
    let eval: Eval = |a, _| Ok(Datum::Float8(value(a, 0)? as f64));
    d.add(&format!("{name}_float8"), &format!("float8({name}) -> float8"), eval, doc)
        .cast(Implicit);
}

fn tick<'a>(value: Option<u64>) -> Evaluated<'a> {
    value.map(Datum::UInt).ok_or_else(|| out_of_range("mz_timestamp"))
}

/// The timestamp of a tick, in microseconds since 2000.
fn stamp(ticks: u64) -> Result<i64, EvalError> {
    let wrong = || EvalError::invalid(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    let since = i64::try_from(ticks).ok().map(|ticks| ticks - UNIX_EPOCH_DAYS * 86_400_000);
    let micros = since.and_then(|since| since.checked_mul(1000)).ok_or_else(wrong)?;
    if tidemill_repr::time::is_timestamp(micros) { Ok(micros) } else { Err(wrong()) }
}

fn define_ticks(d: &mut Definitions) {
    use CastContext::{Assignment, Explicit, Implicit};
    let doc = "A tick: milliseconds since 1970.";
    let of: [(&str, Eval, CastContext); 7] = [
        ("uint4", |a, _| tick(u64::try_from(value(a, 0)?).ok()), Implicit),
        ("uint8", |a, _| tick(u64::try_from(value(a, 0)?).ok()), Implicit),
        ("int4", |a, _| tick(u64::try_from(value(a, 0)?).ok()), Implicit),
        ("int8", |a, _| tick(u64::try_from(value(a, 0)?).ok()), Implicit),
        (
            "numeric",
            |a, _| tick(of_numeric(numeric(a, 0)?)?.and_then(|value| u64::try_from(value).ok())),
            Implicit,
        ),
        ("timestamp", |a, _| tick(timestamp_to_ticks(timestamp(a, 0)?)), Implicit),
        ("timestamptz", |a, _| tick(timestamp_to_ticks(timestamptz(a, 0)?)), Implicit),
    ];
    for (from, eval, context) in of {
        let id = format!("{from}_mz_timestamp");
        let signature = format!("mz_timestamp({from}) -> mz_timestamp");
        d.add(&id, &signature, eval, doc).cast(context);
    }
    let dated: Eval =
        |a, _| tick(timestamp_to_ticks(i64::from(date(a, 0)?).saturating_mul(86_400_000_000)));
    d.add("date_mz_timestamp", "mz_timestamp(date) -> mz_timestamp", dated, doc).cast(Implicit);
    let doc = "The time of a tick.";
    let to: Eval = |a, _| Ok(Datum::Timestamp(stamp(unsigned(a, 0)?)?));
    d.add("mz_timestamp_timestamp", "timestamp(mz_timestamp) -> timestamp", to, doc)
        .cast(Assignment);
    let to: Eval = |a, _| Ok(Datum::TimestampTz(stamp(unsigned(a, 0)?)?));
    d.add("mz_timestamp_timestamptz", "timestamptz(mz_timestamp) -> timestamptz", to, doc)
        .cast(Assignment);
    let doc = "A tick as a number.";
    let to: Eval = |a, _| Ok(Datum::Numeric(whole(i128::from(unsigned(a, 0)?))?));
    d.add("mz_timestamp_numeric", "numeric(mz_timestamp) -> numeric", to, doc).cast(Explicit);
    let to: Eval = |a, _| Ok(Datum::UInt(unsigned(a, 0)?));
    d.add("mz_timestamp_uint8", "uint8(mz_timestamp) -> uint8", to, doc).cast(Explicit);
    let to: Eval =
        |a, _| i64::try_from(unsigned(a, 0)?).map(Datum::Int).map_err(|_| out_of_range("bigint"));
    d.add("mz_timestamp_int8", "int8(mz_timestamp) -> int8", to, doc).cast(Explicit);
}

pub(super) fn define(d: &mut Definitions) {
    width!(d, "uint2", 2);
    width!(d, "uint4", 4);
    width!(d, "uint8", 8);
    define_ticks(d);
}
