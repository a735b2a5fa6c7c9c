//! Divisors, factorials and buckets of numerics.

use tidemill_repr::{Datum, Numeric, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, array, int, numeric, out_of_range};

/// With the larger display scale of the two, as PostgreSQL shows it.
fn common_divisor(left: Numeric, right: Numeric) -> Result<Numeric, EvalError> {
    if !left.is_finite() || !right.is_finite() {
        return Ok(Numeric::NaN);
    }
    let scale = left.scale().max(right.scale()).unwrap_or(0);
    let (mut a, mut b) = (left.abs(), right.abs());
    while !b.is_zero() {
        (a, b) = (b, a.rem(&b)?);
    }
    Ok(a.round(i32::from(scale))?)
}

fn common_multiple(left: Numeric, right: Numeric) -> Result<Numeric, EvalError> {
    if !left.is_finite() || !right.is_finite() {
        return Ok(Numeric::NaN);
    }
    let scale = left.scale().max(right.scale()).unwrap_or(0);
    if left.is_zero() || right.is_zero() {
        return Ok(Numeric::ZERO.round(i32::from(scale))?);
    }
    let divisor = common_divisor(left, right)?;
    Ok(left.div_trunc(&divisor)?.mul(&right)?.abs().round(i32::from(scale))?)
}

fn factorial<'a>(n: i64) -> Evaluated<'a> {
    if n < 0 {
        return Err(EvalError::invalid(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "factorial of a negative number is undefined",
        ));
    }
    // Beyond this no numeric holds it, here or in PostgreSQL.
    if n > 32177 {
        return Err(EvalError::invalid(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "value overflows numeric format",
        ));
    }
    let mut product = Numeric::ONE;
    for factor in 2..=n {
        product = product.mul(&Numeric::from(factor))?;
    }
    Ok(Datum::Numeric(product))
}

pub(in crate::functions) fn bad_bucket(message: &str) -> EvalError {
    EvalError::invalid(SqlState::from_code("2201G"), message)
}

fn width_bucket<'a>(value: Numeric, low: Numeric, high: Numeric, count: i64) -> Evaluated<'a> {
    if count <= 0 {
        return Err(bad_bucket("count must be greater than zero"));
    }
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return Err(bad_bucket("operand, lower bound, and upper bound cannot be NaN"));
    }
    if !low.is_finite() || !high.is_finite() {
        return Err(bad_bucket("lower and upper bounds must be finite"));
    }
    let rising = match low.sql_cmp(&high) {
        std::cmp::Ordering::Equal => {
            return Err(bad_bucket("lower bound cannot equal upper bound"));
        }
        order => order.is_lt(),
    };
    let from_low = value.sql_cmp(&low);
    let from_high = value.sql_cmp(&high);
    let before = if rising { from_low.is_lt() } else { from_low.is_gt() };
    let after = if rising { from_high.is_ge() } else { from_high.is_le() };
    let bucket = if before {
        0
    } else if after {
        count + 1
    } else {
        let distance = value.sub(&low)?.mul(&Numeric::from(count))?;
        let place = distance.div_trunc(&high.sub(&low)?)?;
        (place.to_i64().unwrap_or(count) + 1).min(count)
    };
    if i32::try_from(bucket).is_err() {
        return Err(out_of_range("integer"));
    }
    Ok(Datum::Int(bucket))
}

/// How many of the ascending thresholds are not above the value.
fn bucket_of_array<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let thresholds = array(a, 1)?;
    if thresholds.dimensions().len() > 1 {
        return Err(EvalError::invalid(
            SqlState::from_code("2202E"),
            "thresholds must be one-dimensional array",
        ));
    }
    let elements: Vec<Datum<'a>> = thresholds.elements().collect();
    if elements.iter().any(Datum::is_null) {
        return Err(EvalError::invalid(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "thresholds array must not contain NULLs",
        ));
    }
    let value = a[0];
    let not_above = |threshold: &Datum<'a>| threshold.sql_cmp(&value).is_le();
    Ok(Datum::Int(elements.partition_point(not_above) as i64))
}

pub(super) fn define(d: &mut Definitions) {
    let gcd: Eval = |a, _| Ok(Datum::Numeric(common_divisor(numeric(a, 0)?, numeric(a, 1)?)?));
    d.add("numeric_gcd", "gcd(numeric, numeric) -> numeric", gcd, "Greatest common divisor.");
    let lcm: Eval = |a, _| Ok(Datum::Numeric(common_multiple(numeric(a, 0)?, numeric(a, 1)?)?));
    d.add("numeric_lcm", "lcm(numeric, numeric) -> numeric", lcm, "Least common multiple.");
    d.add("numeric_fac", "factorial(int8) -> numeric", |a, _| factorial(int(a, 0)?), "Factorial.");
    d.add(
        "width_bucket_numeric",
        "width_bucket(numeric, numeric, numeric, int4) -> int4",
        |a, _| width_bucket(numeric(a, 0)?, numeric(a, 1)?, numeric(a, 2)?, int(a, 3)?),
        "The bucket of a histogram of equal widths.",
    );
    d.add(
        "width_bucket_array",
        "width_bucket(anyelement, anyarray) -> int4",
        |a, _| bucket_of_array(a),
        "The bucket of a histogram with these lower bounds.",
    );
}
