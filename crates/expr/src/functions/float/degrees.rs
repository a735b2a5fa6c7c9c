//! Trigonometry in degrees, exact where degrees are: multiples of 30 and 45; the error
//! function; random numbers of a normal distribution.

use std::sync::LazyLock;

use rand::Rng;
use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, bad_parameter, float8, int, numeric};

/// What exact results are scaled by: values of the same computation at angles where the
/// answer is known.
struct Constants {
    sin_30: f64,
    one_minus_cos_60: f64,
    asin_half: f64,
    acos_half: f64,
    atan_1: f64,
    tan_45: f64,
    cot_45: f64,
}

static CONSTANTS: LazyLock<Constants> = LazyLock::new(|| {
    let mut constants = Constants {
        sin_30: 30.0f64.to_radians().sin(),
        one_minus_cos_60: 1.0 - 60.0f64.to_radians().cos(),
        asin_half: 0.5f64.asin(),
        acos_half: 0.5f64.acos(),
        atan_1: 1.0f64.atan(),
        tan_45: 1.0,
        cot_45: 1.0,
    };
    constants.tan_45 = sin_first(45.0, &constants) / cos_first(45.0, &constants);
    constants.cot_45 = cos_first(45.0, &constants) / sin_first(45.0, &constants);
    constants
});

fn sin_to_30(x: f64, c: &Constants) -> f64 {
    x.to_radians().sin() / c.sin_30 / 2.0
}

fn cos_to_60(x: f64, c: &Constants) -> f64 {
    1.0 - (1.0 - x.to_radians().cos()) / c.one_minus_cos_60 / 2.0
}

/// The sine from 0 to 90 degrees.
fn sin_first(x: f64, c: &Constants) -> f64 {
    if x <= 30.0 { sin_to_30(x, c) } else { cos_to_60(90.0 - x, c) }
}

fn cos_first(x: f64, c: &Constants) -> f64 {
    if x <= 60.0 { cos_to_60(x, c) } else { sin_to_30(90.0 - x, c) }
}

/// The angle in the first quadrant, with the signs that sine and cosine have.
fn quadrant(x: f64) -> (f64, f64, f64) {
    let mut angle = x % 360.0;
    let (mut sin, mut cos) = (1.0, 1.0);
    if angle < 0.0 {
        angle = -angle;
        sin = -sin;
    }
    if angle > 180.0 {
        angle = 360.0 - angle;
        sin = -sin;
    }
    if angle > 90.0 {
        angle = 180.0 - angle;
        cos = -cos;
    }
    (angle, sin, cos)
}

fn sind(x: f64) -> f64 {
    let (angle, sign, _) = quadrant(x);
    sign * sin_first(angle, &CONSTANTS)
}

fn cosd(x: f64) -> f64 {
    let (angle, _, sign) = quadrant(x);
    sign * cos_first(angle, &CONSTANTS)
}

fn tand(x: f64) -> f64 {
    let c = &*CONSTANTS;
    let (angle, sin, cos) = quadrant(x);
    let value = sin * cos * (sin_first(angle, c) / cos_first(angle, c) / c.tan_45);
    if value == 0.0 { 0.0 } else { value }
}

fn cotd(x: f64) -> f64 {
    let c = &*CONSTANTS;
    let (angle, sin, cos) = quadrant(x);
    let value = sin * cos * (cos_first(angle, c) / sin_first(angle, c) / c.cot_45);
    if value == 0.0 { 0.0 } else { value }
}

fn asind_first(x: f64, c: &Constants) -> f64 {
    if x <= 0.5 { x.asin() / c.asin_half * 30.0 } else { 90.0 - x.acos() / c.acos_half * 60.0 }
}

fn asind(x: f64) -> f64 {
    if x >= 0.0 { asind_first(x, &CONSTANTS) } else { -asind_first(-x, &CONSTANTS) }
}

fn acosd(x: f64) -> f64 {
    let c = &*CONSTANTS;
    let first = |x: f64| {
        if x <= 0.5 { 90.0 - x.asin() / c.asin_half * 30.0 } else { x.acos() / c.acos_half * 60.0 }
    };
    if x >= 0.0 { first(x) } else { 90.0 + asind_first(-x, c) }
}

fn atand(x: f64) -> f64 {
    x.atan() / CONSTANTS.atan_1 * 45.0
}

fn atan2d(y: f64, x: f64) -> f64 {
    y.atan2(x) / CONSTANTS.atan_1 * 45.0
}

fn checked<'a>(x: f64, ok: bool, f: fn(f64) -> f64) -> Evaluated<'a> {
    if x.is_nan() {
        return Ok(Datum::Float8(f64::NAN));
    }
    if !ok {
        return Err(EvalError::invalid(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "input is out of range",
        ));
    }
    Ok(Datum::Float8(f(x)))
}

/// Two uniform numbers as one of a normal distribution (Box and Muller).
fn normal(mean: f64, deviation: f64) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rand::random::<f64>(), rand::random());
    mean + deviation * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn between<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let (low, high) = (int(a, 0)?, int(a, 1)?);
    if low > high {
        return Err(bad_parameter("lower bound must be less than or equal to upper bound"));
    }
    Ok(Datum::Int(rand::rng().random_range(low..=high)))
}

fn numeric_between<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let (low, high) = (numeric(a, 0)?, numeric(a, 1)?);
    for (value, name) in [(low, "lower"), (high, "upper")] {
        if !value.is_finite() {
            let shown = if value.is_nan() { "NaN" } else { "infinity" };
            return Err(bad_parameter(format!("{name} bound cannot be {shown}")));
        }
    }
    if low.sql_cmp(&high).is_gt() {
        return Err(bad_parameter("lower bound must be less than or equal to upper bound"));
    }
    let scale = i32::from(low.scale().max(high.scale()).unwrap_or(0));
    let fraction = tidemill_repr::Numeric::from_f64(rand::random::<f64>())?;
    let value = low.add(&high.sub(&low)?.mul(&fraction)?)?;
    Ok(Datum::Numeric(value.round(scale)?))
}

pub(super) fn define(d: &mut Definitions) {
    let unary: [(&str, Eval, &str); 7] = [
        ("sind", |a, _| float8(a, 0).and_then(|x| checked(x, x.is_finite(), sind)), "Sine"),
        ("cosd", |a, _| float8(a, 0).and_then(|x| checked(x, x.is_finite(), cosd)), "Cosine"),
        ("tand", |a, _| float8(a, 0).and_then(|x| checked(x, x.is_finite(), tand)), "Tangent"),
        ("cotd", |a, _| float8(a, 0).and_then(|x| checked(x, x.is_finite(), cotd)), "Cotangent"),
        (
            "asind",
            |a, _| float8(a, 0).and_then(|x| checked(x, x.abs() <= 1.0, asind)),
            "Inverse sine",
        ),
        (
            "acosd",
            |a, _| float8(a, 0).and_then(|x| checked(x, x.abs() <= 1.0, acosd)),
            "Inverse cosine",
        ),
        ("atand", |a, _| float8(a, 0).and_then(|x| checked(x, true, atand)), "Inverse tangent"),
    ];
    for (name, eval, _) in unary {
        let doc = "Trigonometric function of an angle in degrees.";
        d.add(&format!("d{name}"), &format!("{name}(float8) -> float8"), eval, doc);
    }
    d.add(
        "datan2d",
        "atan2d(float8, float8) -> float8",
        |a, _| Ok(Datum::Float8(atan2d(float8(a, 0)?, float8(a, 1)?))),
        "Inverse tangent of a quotient, in degrees.",
    );
    let erf: Eval = |a, _| Ok(Datum::Float8(libm::erf(float8(a, 0)?)));
    d.add("derf", "erf(float8) -> float8", erf, "Error function.");
    let erfc: Eval = |a, _| Ok(Datum::Float8(libm::erfc(float8(a, 0)?)));
    d.add("derfc", "erfc(float8) -> float8", erfc, "One minus the error function.");
    let gamma: Eval = |a, _| {
        let x = float8(a, 0)?;
        let value = libm::tgamma(x);
        // There are poles at zero and whole numbers below it.
        let pole = x == f64::NEG_INFINITY || (x < 0.0 && x.fract() == 0.0);
        super::checked8(if pole { f64::INFINITY } else { value }, x == f64::INFINITY, x < 0.0)
    };
    d.add("dgamma", "gamma(float8) -> float8", gamma, "Gamma function.");
    let lgamma: Eval = |a, _| {
        let x = float8(a, 0)?;
        super::checked8(libm::lgamma(x), x.is_infinite(), true)
    };
    d.add("dlgamma", "lgamma(float8) -> float8", lgamma, "Logarithm of the gamma function.");
    let doc = "A random number of a normal distribution: mean and standard deviation.";
    let random: Eval = |a, _| {
        let mean = if a.is_empty() { 0.0 } else { float8(a, 0)? };
        let deviation = if a.len() > 1 { float8(a, 1)? } else { 1.0 };
        Ok(Datum::Float8(normal(mean, deviation)))
    };
    d.add("drandom_normal_standard", "random_normal() -> float8", random, doc).volatile();
    d.add("drandom_normal_mean", "random_normal(float8) -> float8", random, doc).volatile();
    d.add("drandom_normal", "random_normal(float8, float8) -> float8", random, doc).volatile();
    let doc = "A random number between two, both included.";
    d.add("int4random", "random(int4, int4) -> int4", |a, _| between(a), doc).volatile();
    d.add("int8random", "random(int8, int8) -> int8", |a, _| between(a), doc).volatile();
    let of_numeric: Eval = |a, _| numeric_between(a);
    d.add("numeric_random", "random(numeric, numeric) -> numeric", of_numeric, doc).volatile();
}
