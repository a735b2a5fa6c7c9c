//! `money`: amounts in cents.

use tidemill_repr::{Datum, Numeric, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, float4, float8, int, numeric, out_of_range};

fn fit<'a>(cents: Option<i64>) -> Evaluated<'a> {
    cents.map(Datum::Int).ok_or_else(|| out_of_range("money"))
}

/// Rounded to whole cents, half to even.
fn of_float<'a>(cents: f64) -> Evaluated<'a> {
    let rounded = cents.round_ties_even();
    // 2^63 is the first float that does not fit.
    let limit = 9_223_372_036_854_775_808.0;
    fit((-limit..limit).contains(&rounded).then_some(rounded as i64))
}

fn float(a: &[Datum<'_>], at: usize) -> Result<f64, EvalError> {
    match a.get(at) {
        Some(Datum::Float4(_)) => Ok(f64::from(float4(a, at)?)),
        Some(Datum::Int(value)) => Ok(*value as f64),
        _ => float8(a, at),
    }
}

fn divided<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    match a.get(1) {
        Some(Datum::Int(0)) => Err(EvalError::DivisionByZero),
        Some(Datum::Int(by)) => fit(int(a, 0)?.checked_div(*by)),
        _ => match float(a, 1)? {
            0.0 => Err(EvalError::DivisionByZero),
            by => of_float(int(a, 0)? as f64 / by),
        },
    }
}

fn product<'a>(a: &[Datum<'a>], money: usize, factor: usize) -> Evaluated<'a> {
    match a.get(factor) {
        Some(Datum::Int(by)) => fit(int(a, money)?.checked_mul(*by)),
        _ => of_float(int(a, money)? as f64 * float(a, factor)?),
    }
}

fn hundred() -> Numeric {
    Numeric::from(100_i64)
}

pub(super) fn define(d: &mut Definitions) {
    let add: Eval = |a, _| fit(int(a, 0)?.checked_add(int(a, 1)?));
    d.add("cash_pl", "cash_pl(money, money) -> money", add, "Sum.").operator("+");
    let subtract: Eval = |a, _| fit(int(a, 0)?.checked_sub(int(a, 1)?));
    d.add("cash_mi", "cash_mi(money, money) -> money", subtract, "Difference.").operator("-");
    let ratio: Eval = |a, _| match int(a, 1)? {
        0 => Err(EvalError::DivisionByZero),
        by => Ok(Datum::Float8(int(a, 0)? as f64 / by as f64)),
    };
    d.add("cash_div_cash", "cash_div_cash(money, money) -> float8", ratio, "Quotient.")
        .operator("/");
    for (name, typ) in [
        ("flt8", "float8"),
        ("flt4", "float4"),
        ("int8", "int8"),
        ("int4", "int4"),
        ("int2", "int2"),
    ] {
        let id = format!("cash_mul_{name}");
        let left: Eval = |a, _| product(a, 0, 1);
        d.add(&id, &format!("{id}(money, {typ}) -> money"), left, "Product.").operator("*");
        let id = format!("{name}_mul_cash");
        let right: Eval = |a, _| product(a, 1, 0);
        d.add(&id, &format!("{id}({typ}, money) -> money"), right, "Product.").operator("*");
        let id = format!("cash_div_{name}");
        let eval: Eval = |a, _| divided(a);
        d.add(&id, &format!("{id}(money, {typ}) -> money"), eval, "Quotient.").operator("/");
    }
    define_casts(d);
}

fn define_casts(d: &mut Definitions) {
    let doc = "An amount as a number.";
    let to_numeric: Eval = |a, _| {
        let cents = Numeric::from(int(a, 0)?);
        Ok(Datum::Numeric(cents.mul(&Numeric::parse("0.01")?)?))
    };
    d.add("cash_numeric", "numeric(money) -> numeric", to_numeric, doc)
        .cast(CastContext::Assignment);
    let doc = "A number as an amount.";
    let of_numeric: Eval = |a, _| {
        let value = numeric(a, 0)?;
        if !value.is_finite() {
            let name = if value.is_nan() { "NaN" } else { "infinity" };
            return Err(EvalError::invalid(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot convert {name} to bigint"),
            ));
        }
        let cents = value.mul(&hundred())?.round(0)?.to_i64();
        cents.map(Datum::Int).ok_or_else(|| out_of_range("bigint"))
    };
    d.add("numeric_cash", "money(numeric) -> money", of_numeric, doc).cast(CastContext::Assignment);
    let of_int: Eval =
        |a, _| int(a, 0)?.checked_mul(100).map(Datum::Int).ok_or_else(|| out_of_range("bigint"));
    d.add("int4_cash", "money(int4) -> money", of_int, doc).cast(CastContext::Assignment);
    d.add("int8_cash", "money(int8) -> money", of_int, doc).cast(CastContext::Assignment);
}
