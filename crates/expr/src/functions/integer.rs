//! Integers of 16, 32 and 64 bits: arithmetic that never wraps.

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, int, int4, out_of_range};

const NUMERIC_OUT_OF_RANGE: SqlState = SqlState::NUMERIC_VALUE_OUT_OF_RANGE;

#[inline]
fn fit16<'a>(value: Option<i64>) -> Evaluated<'a> {
    match value {
        Some(value) if i16::try_from(value).is_ok() => Ok(Datum::Int(value)),
        _ => Err(out_of_range("smallint")),
    }
}

#[inline]
fn fit32<'a>(value: Option<i64>) -> Evaluated<'a> {
    match value {
        Some(value) if i32::try_from(value).is_ok() => Ok(Datum::Int(value)),
        _ => Err(out_of_range("integer")),
    }
}

#[inline]
fn fit64<'a>(value: Option<i64>) -> Evaluated<'a> {
    value.map(Datum::Int).ok_or_else(|| out_of_range("bigint"))
}

#[inline]
fn divisor(a: &[Datum<'_>]) -> Result<i64, EvalError> {
    match int(a, 1)? {
        0 => Err(EvalError::DivisionByZero),
        divisor => Ok(divisor),
    }
}

/// Arithmetic at one width of the result.
macro_rules! arithmetic {
    ($fit:ident) => {{
        let all: [(&str, &str, Eval, &str); 4] = [
            ("pl", "+", |a, _| $fit(int(a, 0)?.checked_add(int(a, 1)?)), "Sum."),
            ("mi", "-", |a, _| $fit(int(a, 0)?.checked_sub(int(a, 1)?)), "Difference."),
            ("mul", "*", |a, _| $fit(int(a, 0)?.checked_mul(int(a, 1)?)), "Product."),
            (
                "div",
                "/",
                |a, _| $fit(int(a, 0)?.checked_div(divisor(a)?)),
                "Quotient, truncated towards zero.",
            ),
        ];
        all
    }};
}

/// What has one type on all sides.
macro_rules! same_type {
    ($fit:ident, $mask:expr) => {{
        let all: [(&str, &str, Eval, &str); 6] = [
            ("mod", "%", |a, _| $fit(Some(int(a, 0)?.wrapping_rem(divisor(a)?))), "Remainder."),
            ("and", "&", |a, _| Ok(Datum::Int(int(a, 0)? & int(a, 1)?)), "Bitwise and."),
            ("or", "|", |a, _| Ok(Datum::Int(int(a, 0)? | int(a, 1)?)), "Bitwise or."),
            ("xor", "#", |a, _| Ok(Datum::Int(int(a, 0)? ^ int(a, 1)?)), "Bitwise exclusive or."),
            (
                "shl",
                "<<",
                |a, _| Ok(Datum::Int(shift_left(int(a, 0)?, int4(a, 1)?, $mask))),
                "Bits shifted to the left.",
            ),
            (
                "shr",
                ">>",
                |a, _| Ok(Datum::Int(int(a, 0)? >> (int4(a, 1)? & ($mask - 1).max(31)))),
                "Bits shifted to the right.",
            ),
        ];
        all
    }};
}

/// Shifts within a width; the count is taken as the machine takes it.
fn shift_left(value: i64, count: i32, bits: i32) -> i64 {
    let shifted = value.wrapping_shl(count.cast_unsigned() & (bits.max(32) - 1).cast_unsigned());
    match bits {
        16 => i64::from(shifted as i16),
        32 => i64::from(shifted as i32),
        _ => shifted,
    }
}

/// `@`, prefix `-` and `~`.
macro_rules! prefix {
    ($fit:ident) => {{
        let all: [(&str, &str, Eval, &str); 4] = [
            ("up", "+", |a, _| Ok(Datum::Int(int(a, 0)?)), "The same."),
            ("um", "-", |a, _| $fit(int(a, 0)?.checked_neg()), "Negation."),
            ("abs", "@", |a, _| $fit(int(a, 0)?.checked_abs()), "Absolute value."),
            ("not", "~", |a, _| Ok(Datum::Int(!int(a, 0)?)), "Bitwise not."),
        ];
        all
    }};
}

pub(super) fn define(d: &mut Definitions) {
    let widths = [
        ("int2", arithmetic!(fit16), same_type!(fit16, 16), prefix!(fit16)),
        ("int4", arithmetic!(fit32), same_type!(fit32, 32), prefix!(fit32)),
        ("int8", arithmetic!(fit64), same_type!(fit64, 64), prefix!(fit64)),
    ];
    for (typ, arithmetic, same, prefix) in widths {
        for (suffix, operator, eval, doc) in arithmetic {
            let id = format!("{typ}{suffix}");
            d.add(&id, &format!("{id}({typ}, {typ}) -> {typ}"), eval, doc).operator(operator);
        }
        for (suffix, operator, eval, doc) in same {
            let id = format!("{typ}{suffix}");
            let right = if suffix.starts_with("sh") { "int4" } else { typ };
            d.add(&id, &format!("{id}({typ}, {right}) -> {typ}"), eval, doc).operator(operator);
        }
        for (suffix, operator, eval, doc) in prefix {
            let id = format!("{typ}{suffix}");
            let name = if suffix == "abs" { "abs" } else { id.as_str() };
            d.add(&id, &format!("{name}({typ}) -> {typ}"), eval, doc).operator(operator);
        }
        // The name of the operator %.
        let eval = d.functions.iter().find(|f| f.id == format!("{typ}mod")).map(|f| f.eval);
        if let Some(eval) = eval {
            d.add(
                &format!("{typ}_mod"),
                &format!("mod({typ}, {typ}) -> {typ}"),
                eval,
                "Remainder.",
            );
        }
    }
    for (suffix, operator, eval, doc) in arithmetic!(fit32) {
        for (prefix, left, right) in [("int24", "int2", "int4"), ("int42", "int4", "int2")] {
            let id = format!("{prefix}{suffix}");
            d.add(&id, &format!("{id}({left}, {right}) -> int4"), eval, doc).operator(operator);
        }
    }
    for (suffix, operator, eval, doc) in arithmetic!(fit64) {
        for (prefix, left, right) in [
            ("int28", "int2", "int8"),
            ("int48", "int4", "int8"),
            ("int82", "int8", "int2"),
            ("int84", "int8", "int4"),
        ] {
            let id = format!("{prefix}{suffix}");
            d.add(&id, &format!("{id}({left}, {right}) -> int8"), eval, doc).operator(operator);
        }
    }
    define_divisors(d);
    define_casts(d);
}

/// The greatest common divisor as a magnitude.
fn magnitude_of_divisor(a: i64, b: i64) -> u64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn common_divisor(a: &[Datum<'_>]) -> Result<Option<i64>, EvalError> {
    Ok(i64::try_from(magnitude_of_divisor(int(a, 0)?, int(a, 1)?)).ok())
}

fn common_multiple(a: &[Datum<'_>]) -> Result<Option<i64>, EvalError> {
    let (left, right) = (int(a, 0)?, int(a, 1)?);
    if left == 0 || right == 0 {
        return Ok(Some(0));
    }
    let divisor = magnitude_of_divisor(left, right);
    let product = (left.unsigned_abs() / divisor).checked_mul(right.unsigned_abs());
    Ok(product.and_then(|product| i64::try_from(product).ok()))
}

fn define_divisors(d: &mut Definitions) {
    let gcd = "Greatest common divisor.";
    let lcm = "Least common multiple.";
    d.add("int4gcd", "gcd(int4, int4) -> int4", |a, _| fit32(common_divisor(a)?), gcd);
    d.add("int8gcd", "gcd(int8, int8) -> int8", |a, _| fit64(common_divisor(a)?), gcd);
    d.add("int4lcm", "lcm(int4, int4) -> int4", |a, _| fit32(common_multiple(a)?), lcm);
    d.add("int8lcm", "lcm(int8, int8) -> int8", |a, _| fit64(common_multiple(a)?), lcm);
}

fn define_casts(d: &mut Definitions) {
    use CastContext::{Assignment, Explicit, Implicit};
    let same: Eval = |a, _| Ok(Datum::Int(int(a, 0)?));
    let to16: Eval = |a, _| fit16(Some(int(a, 0)?));
    let to32: Eval = |a, _| fit32(Some(int(a, 0)?));
    let to_oid: Eval = |a, _| match int(a, 0)? {
        value if u32::try_from(value).is_ok() => Ok(Datum::Int(value)),
        _ => Err(EvalError::invalid(NUMERIC_OUT_OF_RANGE, "OID out of range")),
    };
    let doc = "Conversion between integers.";
    d.add("i2toi4", "int4(int2) -> int4", same, doc).safe().cast(Implicit);
    d.add("int28", "int8(int2) -> int8", same, doc).safe().cast(Implicit);
    d.add("int48", "int8(int4) -> int8", same, doc).safe().cast(Implicit);
    d.add("i4toi2", "int2(int4) -> int2", to16, doc).cast(Assignment);
    d.add("int82", "int2(int8) -> int2", to16, doc).cast(Assignment);
    d.add("int84", "int4(int8) -> int4", to32, doc).cast(Assignment);
    for oid in [
        "oid",
        "regclass",
        "regtype",
        "regproc",
        "regprocedure",
        "regnamespace",
        "regrole",
        "regoper",
        "regoperator",
        "regcollation",
    ] {
        // An integer below zero is the oid with the same 32 bits.
        let wrap: Eval = |a, _| Ok(Datum::Int(int(a, 0)? & 0xffff_ffff));
        let signed: Eval = |a, _| Ok(Datum::Int(i64::from(int(a, 0)? as i32)));
        d.add(&format!("int2_{oid}"), &format!("{oid}(int2) -> {oid}"), wrap, doc).cast(Implicit);
        d.add(&format!("int4_{oid}"), &format!("{oid}(int4) -> {oid}"), wrap, doc).cast(Implicit);
        d.add(&format!("int8_{oid}"), &format!("{oid}(int8) -> {oid}"), to_oid, doc).cast(Implicit);
        d.add(&format!("{oid}_int4"), &format!("int4({oid}) -> int4"), signed, doc)
            .cast(Assignment);
        d.add(&format!("{oid}_int8"), &format!("int8({oid}) -> int8"), same, doc).cast(Assignment);
        if oid != "oid" {
            d.cast("oid", oid, Implicit, None);
            d.cast(oid, "oid", Implicit, None);
        }
    }
    let first_byte: Eval = |a, c| {
        let text = crate::functions::arguments::text(a, 0)?;
        let end = text.char_indices().nth(1).map_or(text.len(), |(at, _)| at);
        Ok(c.text(&text[..end]))
    };
    for text in ["text", "varchar", "bpchar"] {
        d.add(&format!("{text}_char"), &format!("char({text}) -> char"), first_byte, "First byte.")
            .cast(Assignment);
    }
    d.add(
        "chartoi4",
        "int4(char) -> int4",
        |a, _| {
            let text = crate::functions::arguments::text(a, 0)?;
            let byte = text.bytes().next().unwrap_or(0);
            Ok(Datum::Int(i64::from(byte.cast_signed())))
        },
        "The byte's number.",
    )
    .cast(Explicit);
    d.cast("char", "text", Implicit, None);
    d.cast("char", "varchar", Assignment, None);
    d.cast("char", "bpchar", Assignment, None);
}
