//! `numeric`: its operators, functions and casts.

pub(super) mod whole;

use tidemill_repr::numeric::NumericError;
use tidemill_repr::{ColumnType, Datum, Numeric, ScalarType, SqlError, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, float4, float8, int, int4, numeric, out_of_range};

impl From<NumericError> for EvalError {
    fn from(error: NumericError) -> EvalError {
        match error {
            NumericError::DivisionByZero => EvalError::DivisionByZero,
            other => SqlError::from(other).into(),
        }
    }
}

#[inline]
fn made<'a>(outcome: Result<Numeric, NumericError>) -> Evaluated<'a> {
    Ok(Datum::Numeric(outcome?))
}

/// A numeric as an integer of a type, rounded half away from zero.
fn to_integer<'a>(value: Numeric, low: i64, high: i64, type_name: &str) -> Evaluated<'a> {
    if !value.is_finite() {
        let what = if value.is_nan() { "NaN" } else { "infinity" };
        return Err(EvalError::invalid(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cannot convert {what} to {type_name}"),
        ));
    }
    match value.round(0)?.to_i64() {
        Some(value) if (low..=high).contains(&value) => Ok(Datum::Int(value)),
        _ => Err(out_of_range(type_name)),
    }
}

pub(super) fn define(d: &mut Definitions) {
    let operators: [(&str, &str, Eval, &str); 5] = [
        ("numeric_add", "+", |a, _| made(numeric(a, 0)?.add(&numeric(a, 1)?)), "Sum."),
        ("numeric_sub", "-", |a, _| made(numeric(a, 0)?.sub(&numeric(a, 1)?)), "Difference."),
        ("numeric_mul", "*", |a, _| made(numeric(a, 0)?.mul(&numeric(a, 1)?)), "Product."),
        ("numeric_div", "/", |a, _| made(numeric(a, 0)?.div(&numeric(a, 1)?)), "Quotient."),
        ("numeric_mod", "%", |a, _| made(numeric(a, 0)?.rem(&numeric(a, 1)?)), "Remainder."),
    ];
    for (id, operator, eval, doc) in operators {
        d.add(id, &format!("{id}(numeric, numeric) -> numeric"), eval, doc).operator(operator);
    }
    let same: Eval = |a, _| Ok(Datum::Numeric(numeric(a, 0)?));
    d.add("numeric_uplus", "numeric_uplus(numeric) -> numeric", same, "The same.")
        .safe()
        .operator("+");
    let negated: Eval = |a, _| Ok(Datum::Numeric(numeric(a, 0)?.neg()));
    d.add("numeric_uminus", "numeric_uminus(numeric) -> numeric", negated, "Negation.")
        .safe()
        .operator("-");
    let absolute: Eval = |a, _| Ok(Datum::Numeric(numeric(a, 0)?.abs()));
    d.add("numeric_abs", "abs(numeric) -> numeric", absolute, "Absolute value.")
        .safe()
        .operator("@");
    define_rounding(d);
    define_powers(d);
    define_casts(d);
    whole::define(d);
}

fn define_rounding(d: &mut Definitions) {
    let functions: [(&str, &str, Eval, &str); 10] = [
        (
            "numeric_round",
            "round(numeric, int4)",
            |a, _| made(numeric(a, 0)?.round(int4(a, 1)?)),
            "Rounded to so many digits after the point.",
        ),
        (
            "numeric_round0",
            "round(numeric)",
            |a, _| made(numeric(a, 0)?.round(0)),
            "The nearest integer.",
        ),
        (
            "numeric_trunc",
            "trunc(numeric, int4)",
            |a, _| made(numeric(a, 0)?.trunc(int4(a, 1)?)),
            "Cut after so many digits after the point.",
        ),
        (
            "numeric_trunc0",
            "trunc(numeric)",
            |a, _| made(numeric(a, 0)?.trunc(0)),
            "Without its fraction.",
        ),
        (
            "numeric_ceil",
            "ceil(numeric)",
            |a, _| made(numeric(a, 0)?.ceil()),
            "The nearest integer not below.",
        ),
        (
            "numeric_ceiling",
            "ceiling(numeric)",
            |a, _| made(numeric(a, 0)?.ceil()),
            "The nearest integer not below.",
        ),
        (
            "numeric_floor",
            "floor(numeric)",
            |a, _| made(numeric(a, 0)?.floor()),
            "The nearest integer not above.",
        ),
        (
            "numeric_modulo",
            "mod(numeric, numeric)",
            |a, _| made(numeric(a, 0)?.rem(&numeric(a, 1)?)),
            "Remainder.",
        ),
        (
            "numeric_div_trunc",
            "div(numeric, numeric)",
            |a, _| made(numeric(a, 0)?.div_trunc(&numeric(a, 1)?)),
            "Quotient without its fraction.",
        ),
        (
            "numeric_sign",
            "sign(numeric)",
            |a, _| match numeric(a, 0)? {
                value if value.is_nan() => Ok(Datum::Numeric(value)),
                value => Ok(Datum::Numeric(Numeric::from(i64::from(value.signum())))),
            },
            "-1, 0 or 1.",
        ),
    ];
    for (id, signature, eval, doc) in functions {
        d.add(id, &format!("{signature} -> numeric"), eval, doc);
    }
    let scale: Eval =
        |a, _| Ok(numeric(a, 0)?.scale().map_or(Datum::Null, |scale| Datum::Int(i64::from(scale))));
    d.add("numeric_scale", "scale(numeric) -> int4", scale, "Digits shown after the point.");
    let least: Eval = |a, _| {
        let scale = numeric(a, 0)?.canonical().scale();
        Ok(scale.map_or(Datum::Null, |scale| Datum::Int(i64::from(scale))))
    };
    d.add(
        "numeric_min_scale",
        "min_scale(numeric) -> int4",
        least,
        "Digits needed after the point.",
    );
    let trimmed: Eval = |a, _| Ok(Datum::Numeric(numeric(a, 0)?.canonical()));
    d.add(
        "numeric_trim_scale",
        "trim_scale(numeric) -> numeric",
        trimmed,
        "Without zeros at the end.",
    );
}

fn define_powers(d: &mut Definitions) {
    let functions: [(&str, &str, Eval, &str); 7] = [
        ("numeric_sqrt", "sqrt(numeric)", |a, _| made(numeric(a, 0)?.sqrt()), "Square root."),
        ("numeric_exp", "exp(numeric)", |a, _| made(numeric(a, 0)?.exp()), "e raised to a power."),
        ("numeric_ln", "ln(numeric)", |a, _| made(numeric(a, 0)?.ln()), "Natural logarithm."),
        (
            "numeric_log10",
            "log(numeric)",
            |a, _| made(numeric(a, 0)?.log10()),
            "Logarithm to base 10.",
        ),
        (
            "numeric_log10_10",
            "log10(numeric)",
            |a, _| made(numeric(a, 0)?.log10()),
            "Logarithm to base 10.",
        ),
        (
            "numeric_log",
            "log(numeric, numeric)",
            |a, _| made(numeric(a, 0)?.logarithm_of(&numeric(a, 1)?)),
            "Logarithm to a base, given first.",
        ),
        (
            "numeric_pow",
            "pow(numeric, numeric)",
            |a, _| made(numeric(a, 0)?.pow(&numeric(a, 1)?)),
            "A number raised to a power.",
        ),
    ];
    for (id, signature, eval, doc) in functions {
        d.add(id, &format!("{signature} -> numeric"), eval, doc);
    }
    let power: Eval = |a, _| made(numeric(a, 0)?.pow(&numeric(a, 1)?));
    d.add(
        "numeric_power",
        "power(numeric, numeric) -> numeric",
        power,
        "A number raised to a power.",
    )
    .operator("^");
}

fn define_casts(d: &mut Definitions) {
    use CastContext::{Assignment, Implicit};
    let doc = "Conversion between numbers.";
    for typ in ["int2", "int4", "int8"] {
        let from: Eval = |a, _| Ok(Datum::Numeric(Numeric::from(int(a, 0)?)));
        let id = format!("{typ}_numeric");
        d.add(&id, &format!("numeric({typ}) -> numeric"), from, doc).safe().cast(Implicit);
    }
    d.add(
        "numeric_int2",
        "int2(numeric) -> int2",
        |a, _| to_integer(numeric(a, 0)?, i64::from(i16::MIN), i64::from(i16::MAX), "smallint"),
        doc,
    )
    .cast(Assignment);
    d.add(
        "numeric_int4",
        "int4(numeric) -> int4",
        |a, _| to_integer(numeric(a, 0)?, i64::from(i32::MIN), i64::from(i32::MAX), "integer"),
        doc,
    )
    .cast(Assignment);
    d.add(
        "numeric_int8",
        "int8(numeric) -> int8",
        |a, _| to_integer(numeric(a, 0)?, i64::MIN, i64::MAX, "bigint"),
        doc,
    )
    .cast(Assignment);
    let to8: Eval = |a, _| Ok(Datum::Float8(numeric(a, 0)?.to_f64()));
    d.add("numeric_float8", "float8(numeric) -> float8", to8, doc).safe().cast(Implicit);
    let to4: Eval = |a, _| {
        let value = numeric(a, 0)?;
        let narrow = value.to_f64() as f32;
        if value.is_finite() && (narrow.is_infinite() || narrow == 0.0 && !value.is_zero()) {
            return Err(out_of_range("real"));
        }
        Ok(Datum::Float4(narrow))
    };
    d.add("numeric_float4", "float4(numeric) -> float4", to4, doc).cast(Implicit);
    let from8: Eval = |a, _| made(Numeric::from_f64(float8(a, 0)?));
    d.add("float8_numeric", "numeric(float8) -> numeric", from8, doc).cast(Assignment);
    let from4: Eval = |a, _| made(Numeric::from_f32(float4(a, 0)?));
    d.add("float4_numeric", "numeric(float4) -> numeric", from4, doc).cast(Assignment);
    let modifier: Eval = |a, _| {
        let typ = ColumnType::new(ScalarType::Numeric).with_typmod(int4(a, 1)?);
        match typ.numeric_precision_scale() {
            Some((precision, scale)) => made(numeric(a, 0)?.apply_modifier(precision, scale)),
            None => Ok(Datum::Numeric(numeric(a, 0)?)),
        }
    };
    d.add(
        "numeric_typmod",
        "numeric(numeric, int4) -> numeric",
        modifier,
        "To a precision and scale.",
    );
}
