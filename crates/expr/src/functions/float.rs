//! `real` and `double precision`: arithmetic with PostgreSQL's errors in place of infinities that
//! were not there before, and its mathematics.

mod degrees;

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, float4, float8, int, out_of_range};
use crate::functions::backends::seeded_random;

fn overflow() -> EvalError {
    EvalError::invalid(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

fn underflow() -> EvalError {
    EvalError::invalid(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

fn input_out_of_range() -> EvalError {
    EvalError::invalid(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

/// A result whose infinity must come from an infinite operand.
#[inline]
fn checked8<'a>(value: f64, infinite_ok: bool, zero_ok: bool) -> Evaluated<'a> {
    if value.is_infinite() && !infinite_ok {
        return Err(overflow());
    }
    if value == 0.0 && !zero_ok {
        return Err(underflow());
    }
    Ok(Datum::Float8(value))
}

#[inline]
fn checked4<'a>(value: f32, infinite_ok: bool, zero_ok: bool) -> Evaluated<'a> {
    if value.is_infinite() && !infinite_ok {
        return Err(overflow());
    }
    if value == 0.0 && !zero_ok {
        return Err(underflow());
    }
    Ok(Datum::Float4(value))
}

/// The argument as `double precision`, whichever width it has.
#[inline]
fn wide(a: &[Datum<'_>], at: usize) -> Result<f64, EvalError> {
    match a.get(at) {
        Some(Datum::Float4(value)) => Ok(f64::from(*value)),
        _ => float8(a, at),
    }
}

macro_rules! arithmetic {
    ($get:ident, $check:ident) => {{
        let all: [(&str, &str, Eval, &str); 4] = [
            (
                "pl",
                "+",
                |a, _| {
                    let (x, y) = ($get(a, 0)?, $get(a, 1)?);
                    $check(x + y, x.is_infinite() || y.is_infinite(), true)
                },
                "Sum.",
            ),
            (
                "mi",
                "-",
                |a, _| {
                    let (x, y) = ($get(a, 0)?, $get(a, 1)?);
                    $check(x - y, x.is_infinite() || y.is_infinite(), true)
                },
                "Difference.",
            ),
            (
                "mul",
                "*",
                |a, _| {
                    let (x, y) = ($get(a, 0)?, $get(a, 1)?);
                    $check(x * y, x.is_infinite() || y.is_infinite(), x == 0.0 || y == 0.0)
                },
                "Product.",
            ),
            (
                "div",
                "/",
                |a, _| {
                    let (x, y) = ($get(a, 0)?, $get(a, 1)?);
                    if y == 0.0 && !x.is_nan() {
                        return Err(EvalError::DivisionByZero);
                    }
                    $check(x / y, x.is_infinite(), x == 0.0 || y.is_infinite())
                },
                "Quotient.",
            ),
        ];
        all
    }};
}

pub(super) fn define(d: &mut Definitions) {
    for (suffix, operator, eval, doc) in arithmetic!(float4, checked4) {
        let id = format!("float4{suffix}");
        d.add(&id, &format!("{id}(float4, float4) -> float4"), eval, doc).operator(operator);
    }
    for (suffix, operator, eval, doc) in arithmetic!(wide, checked8) {
        for (prefix, left, right) in [
            ("float8", "float8", "float8"),
            ("float48", "float4", "float8"),
            ("float84", "float8", "float4"),
        ] {
            let id = format!("{prefix}{suffix}");
            d.add(&id, &format!("{id}({left}, {right}) -> float8"), eval, doc).operator(operator);
        }
    }
    macro_rules! prefix {
        ($id:literal, $signature:literal, $operator:literal, $get:ident, $make:ident, $f:expr, $doc:literal) => {
            d.add($id, $signature, |a, _| Ok(Datum::$make($f($get(a, 0)?))), $doc)
                .safe()
                .operator($operator);
        };
    }
    prefix!("float4up", "float4up(float4) -> float4", "+", float4, Float4, |x: f32| x, "The same.");
    prefix!("float8up", "float8up(float8) -> float8", "+", float8, Float8, |x: f64| x, "The same.");
    prefix!(
        "float4um",
        "float4um(float4) -> float4",
        "-",
        float4,
        Float4,
        |x: f32| -x,
        "Negation."
    );
    prefix!(
        "float8um",
        "float8um(float8) -> float8",
        "-",
        float8,
        Float8,
        |x: f64| -x,
        "Negation."
    );
    prefix!("float4abs", "abs(float4) -> float4", "@", float4, Float4, f32::abs, "Absolute value.");
    prefix!("float8abs", "abs(float8) -> float8", "@", float8, Float8, f64::abs, "Absolute value.");
    define_rounding(d);
    define_powers(d);
    define_trigonometry(d);
    define_casts(d);
    degrees::define(d);
    d.add(
        "random",
        "random() -> float8",
        |_, _| Ok(Datum::Float8(seeded_random().unwrap_or_else(rand::random::<f64>))),
        "A random number from 0 up to 1.",
    )
    .safe()
    .volatile();
}

macro_rules! unary {
    ($d:ident, $id:literal, $name:literal, $f:expr, $doc:literal) => {
        $d.add(
            $id,
            concat!($name, "(float8) -> float8"),
            |a, _| {
                let x = float8(a, 0)?;
                let result: f64 = $f(x);
                checked8(result, x.is_infinite(), true)
            },
            $doc,
        )
    };
}

fn define_rounding(d: &mut Definitions) {
    unary!(d, "dround", "round", f64::round_ties_even, "The nearest integer, ties to even.").safe();
    unary!(d, "dtrunc", "trunc", f64::trunc, "Without its fraction.").safe();
    unary!(d, "dceil", "ceil", f64::ceil, "The nearest integer not below.").safe();
    unary!(d, "dceiling", "ceiling", f64::ceil, "The nearest integer not below.").safe();
    unary!(d, "dfloor", "floor", f64::floor, "The nearest integer not above.").safe();
    d.add(
        "dsign",
        "sign(float8) -> float8",
        |a, _| {
            let x = float8(a, 0)?;
            Ok(Datum::Float8(if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                0.0
            }))
        },
        "-1, 0 or 1.",
    )
    .safe();
    d.add(
        "width_bucket_float8",
        "width_bucket(float8, float8, float8, int4) -> int4",
        |a, _| width_bucket(float8(a, 0)?, float8(a, 1)?, float8(a, 2)?, int(a, 3)?),
        "The bucket of a histogram of equal widths.",
    );
}

fn width_bucket<'a>(operand: f64, low: f64, high: f64, count: i64) -> Evaluated<'a> {
    let argument = |message: &str| Err(crate::functions::numeric::whole::bad_bucket(message));
    if count <= 0 {
        return argument("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return argument("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return argument("lower and upper bounds must be finite");
    }
    let (from, to, value) = if low < high { (low, high, operand) } else { (-low, -high, -operand) };
    if from == to {
        return argument("lower bound cannot equal upper bound");
    }
    let bucket = if value < from {
        0
    } else if value >= to {
        count + 1
    } else {
        ((value - from) / (to - from) * count as f64) as i64 + 1
    };
    i32::try_from(bucket).map_err(|_| out_of_range("integer"))?;
    Ok(Datum::Int(bucket))
}

fn logarithm<'a>(x: f64, f: fn(f64) -> f64) -> Evaluated<'a> {
    let invalid =
        |message: &str| Err(EvalError::invalid(SqlState::INVALID_ARGUMENT_FOR_LOG, message));
    if x == 0.0 {
        return invalid("cannot take logarithm of zero");
    }
    if x < 0.0 {
        return invalid("cannot take logarithm of a negative number");
    }
    Ok(Datum::Float8(f(x)))
}

fn power<'a>(x: f64, y: f64) -> Evaluated<'a> {
    let invalid =
        |message: &str| Err(EvalError::invalid(SqlState::INVALID_ARGUMENT_FOR_POWER, message));
    if x == 0.0 && y < 0.0 {
        return invalid("zero raised to a negative power is undefined");
    }
    if x < 0.0 && x.is_finite() && y.is_finite() && y.fract() != 0.0 {
        return invalid("a negative number raised to a non-integer power yields a complex result");
    }
    let result = x.powf(y);
    checked8(
        result,
        x.is_infinite() || y.is_infinite(),
        x == 0.0 || x.is_infinite() || y.is_infinite(),
    )
}

fn define_powers(d: &mut Definitions) {
    let sqrt: Eval = |a, _| match float8(a, 0)? {
        x if x < 0.0 => Err(EvalError::invalid(
            SqlState::INVALID_ARGUMENT_FOR_POWER,
            "cannot take square root of a negative number",
        )),
        x => Ok(Datum::Float8(x.sqrt())),
    };
    d.add("dsqrt", "sqrt(float8) -> float8", sqrt, "Square root.").operator("|/");
    unary!(d, "dcbrt", "cbrt", f64::cbrt, "Cube root.").safe().operator("||/");
    d.add(
        "dexp",
        "exp(float8) -> float8",
        |a, _| {
            let x = float8(a, 0)?;
            checked8(x.exp(), x.is_infinite(), x.is_infinite())
        },
        "e raised to a power.",
    );
    d.add(
        "dlog1",
        "ln(float8) -> float8",
        |a, _| logarithm(float8(a, 0)?, f64::ln),
        "Natural logarithm.",
    );
    let ten: Eval = |a, _| logarithm(float8(a, 0)?, f64::log10);
    d.add("dlog10", "log(float8) -> float8", ten, "Logarithm to base 10.");
    d.add("dlog10_10", "log10(float8) -> float8", ten, "Logarithm to base 10.");
    let raise: Eval = |a, _| power(float8(a, 0)?, float8(a, 1)?);
    d.add("dpow", "power(float8, float8) -> float8", raise, "A number raised to a power.")
        .operator("^");
    d.add("dpow_short", "pow(float8, float8) -> float8", raise, "A number raised to a power.");
    d.add(
        "dpi",
        "pi() -> float8",
        |_, _| Ok(Datum::Float8(std::f64::consts::PI)),
        "The number pi.",
    )
    .safe();
}

/// A function that has no value outside a range.
fn within<'a>(x: f64, ok: bool, f: fn(f64) -> f64) -> Evaluated<'a> {
    if x.is_nan() {
        Ok(Datum::Float8(f64::NAN))
    } else if ok {
        Ok(Datum::Float8(f(x)))
    } else {
        Err(input_out_of_range())
    }
}

macro_rules! within {
    ($d:ident, $id:literal, $name:literal, $test:expr, $f:expr, $doc:literal) => {
        $d.add(
            $id,
            concat!($name, "(float8) -> float8"),
            |a, _| {
                let x = float8(a, 0)?;
                let test: fn(f64) -> bool = $test;
                within(x, test(x), $f)
            },
            $doc,
        );
    };
}

fn define_trigonometry(d: &mut Definitions) {
    within!(d, "dsin", "sin", f64::is_finite, f64::sin, "Sine.");
    within!(d, "dcos", "cos", f64::is_finite, f64::cos, "Cosine.");
    within!(d, "dtan", "tan", f64::is_finite, f64::tan, "Tangent.");
    within!(d, "dcot", "cot", f64::is_finite, |x| 1.0 / x.tan(), "Cotangent.");
    within!(d, "dasin", "asin", |x| x.abs() <= 1.0, f64::asin, "Inverse sine.");
    within!(d, "dacos", "acos", |x| x.abs() <= 1.0, f64::acos, "Inverse cosine.");
    within!(d, "datan", "atan", |_| true, f64::atan, "Inverse tangent.");
    within!(d, "dasinh", "asinh", |_| true, f64::asinh, "Inverse hyperbolic sine.");
    within!(d, "dacosh", "acosh", |x| x >= 1.0, f64::acosh, "Inverse hyperbolic cosine.");
    within!(d, "datanh", "atanh", |x| x.abs() <= 1.0, f64::atanh, "Inverse hyperbolic tangent.");
    within!(d, "dsinh", "sinh", |_| true, f64::sinh, "Hyperbolic sine.");
    within!(d, "dcosh", "cosh", |_| true, f64::cosh, "Hyperbolic cosine.");
    within!(d, "dtanh", "tanh", |_| true, f64::tanh, "Hyperbolic tangent.");
    unary!(d, "degrees", "degrees", f64::to_degrees, "Radians as degrees.");
    unary!(d, "radians", "radians", f64::to_radians, "Degrees as radians.").safe();
    d.add(
        "datan2",
        "atan2(float8, float8) -> float8",
        |a, _| Ok(Datum::Float8(float8(a, 0)?.atan2(float8(a, 1)?))),
        "Inverse tangent of a quotient.",
    );
}

/// A float as an integer within a range, rounded with ties to even.
fn to_integer<'a>(value: f64, low: f64, high: f64, type_name: &str) -> Evaluated<'a> {
    let rounded = value.round_ties_even();
    if rounded.is_nan() || rounded < low || rounded >= high {
        return Err(out_of_range(type_name));
    }
    Ok(Datum::Int(rounded as i64))
}

fn define_casts(d: &mut Definitions) {
    use CastContext::{Assignment, Implicit};
    let doc = "Conversion between numbers.";
    for (typ, short) in [("int2", "i2"), ("int4", "i4"), ("int8", "i8")] {
        let to4: Eval = |a, _| Ok(Datum::Float4(int(a, 0)? as f32));
        let to8: Eval = |a, _| Ok(Datum::Float8(int(a, 0)? as f64));
        d.add(&format!("{short}tof"), &format!("float4({typ}) -> float4"), to4, doc)
            .safe()
            .cast(Implicit);
        d.add(&format!("{short}tod"), &format!("float8({typ}) -> float8"), to8, doc)
            .safe()
            .cast(Implicit);
    }
    for (short, typ) in [("f", "float4"), ("d", "float8")] {
        let to2: Eval = |a, _| to_integer(wide(a, 0)?, -32768.0, 32768.0, "smallint");
        let to4: Eval =
            |a, _| to_integer(wide(a, 0)?, -2_147_483_648.0, 2_147_483_648.0, "integer");
        let to8: Eval = |a, _| {
            to_integer(
                wide(a, 0)?,
                -9_223_372_036_854_775_808.0,
                9_223_372_036_854_775_808.0,
                "bigint",
            )
        };
        d.add(&format!("{short}toi2"), &format!("int2({typ}) -> int2"), to2, doc).cast(Assignment);
        d.add(&format!("{short}toi4"), &format!("int4({typ}) -> int4"), to4, doc).cast(Assignment);
        d.add(&format!("{short}toi8"), &format!("int8({typ}) -> int8"), to8, doc).cast(Assignment);
    }
    let widen: Eval = |a, _| Ok(Datum::Float8(wide(a, 0)?));
    d.add("ftod", "float8(float4) -> float8", widen, doc).safe().cast(Implicit);
    d.add(
        "dtof",
        "float4(float8) -> float4",
        |a, _| {
            let x = float8(a, 0)?;
            checked4(x as f32, x.is_infinite(), x == 0.0)
        },
        doc,
    )
    .cast(Assignment);
}
