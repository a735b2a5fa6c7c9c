//! The four operations, rounding, and conversions from and to other numbers.
//!
//! Result scales are PostgreSQL's: the larger one for sums, the sum of both for products, and
//! at least 16 significant digits for quotients.

use std::cmp::Ordering;

use ethnum::{I256, U256};

use super::{Digits, Numeric, NumericError, narrow, power_of_ten, scaled};

/// Significant digits that divisions and functions give at least.
pub(super) const MIN_SIGNIFICANT_DIGITS: i32 = 16;
/// The largest scale that divisions and functions give.
pub(super) const MAX_DISPLAY_SCALE: i32 = 1000;

type Outcome = Result<Numeric, NumericError>;

/// Which way digits are dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    HalfAwayFromZero,
    TowardZero,
    Up,
    Down,
}

impl Numeric {
    /// The sum.
    ///
    /// # Errors
    /// Too many digits.
    pub fn add(&self, other: &Numeric) -> Outcome {
        use Numeric::{Finite, NaN, NegativeInfinity, PositiveInfinity};
        match (self, other) {
            (Finite { mantissa: a, scale: s }, Finite { mantissa: b, scale: t }) => {
                let scale = *s.max(t);
                let left = widen(*a, scale - s)?;
                let right = widen(*b, scale - t)?;
                let sum = left.checked_add(right).ok_or(NumericError::Overflow)?;
                Numeric::new(sum, scale)
            }
            (NaN, _) | (_, NaN) => Ok(NaN),
            (PositiveInfinity, NegativeInfinity) | (NegativeInfinity, PositiveInfinity) => Ok(NaN),
            (Finite { .. }, infinity) | (infinity, _) => Ok(*infinity),
        }
    }

    /// The difference.
    ///
    /// # Errors
    /// Too many digits.
    pub fn sub(&self, other: &Numeric) -> Outcome {
        self.add(&other.neg())
    }

    /// The product.
    ///
    /// # Errors
    /// Too many digits.
    pub fn mul(&self, other: &Numeric) -> Outcome {
        use Numeric::{Finite, NaN};
        match (self, other) {
            (Finite { mantissa: a, scale: s }, Finite { mantissa: b, scale: t }) => {
                let product = a.checked_mul(*b).ok_or(NumericError::Overflow)?;
                Numeric::new(product, s + t)
            }
            (NaN, _) | (_, NaN) => Ok(NaN),
            _ => Ok(infinity(self.signum() * other.signum())),
        }
    }

    /// The quotient, rounded to PostgreSQL's scale.
    ///
    /// # Errors
    /// Division by zero, or too many digits.
    pub fn div(&self, other: &Numeric) -> Outcome {
        use Numeric::{Finite, NaN};
        match (self, other) {
            (NaN, _) | (_, NaN) => Ok(NaN),
            _ if other.is_zero() => Err(NumericError::DivisionByZero),
            (Finite { mantissa: a, scale: s }, Finite { mantissa: b, scale: t }) => {
                let scale = division_scale((a.unsigned_abs(), *s), (b.unsigned_abs(), *t));
                quotient((*a, *s), (*b, *t), scale, true)
            }
            (_, Finite { .. }) => Ok(infinity(self.signum() * other.signum())),
            (Finite { .. }, _) => Ok(Numeric::ZERO),
            _ => Ok(NaN),
        }
    }

    /// The quotient without its fraction (`div(a, b)`).
    ///
    /// # Errors
    /// Division by zero, or too many digits.
    pub fn div_trunc(&self, other: &Numeric) -> Outcome {
        match (self, other) {
            (
                Numeric::Finite { mantissa: a, scale: s },
                Numeric::Finite { mantissa: b, scale: t },
            ) if !other.is_zero() => quotient((*a, *s), (*b, *t), 0, false),
            _ => self.div(other),
        }
    }

    /// The remainder, with the sign of the dividend.
    ///
    /// # Errors
    /// Division by zero, or too many digits.
    pub fn rem(&self, other: &Numeric) -> Outcome {
        use Numeric::{Finite, NaN};
        match (self, other) {
            (NaN, _) | (_, NaN) => Ok(NaN),
            _ if other.is_zero() => Err(NumericError::DivisionByZero),
            (Finite { mantissa: a, scale: s }, Finite { mantissa: b, scale: t }) => {
                let scale = *s.max(t);
                let left = widen(*a, scale - s)?;
                Numeric::new(left % widen(*b, scale - t)?, scale)
            }
            (Finite { .. }, _) => Ok(*self),
            _ => Ok(NaN),
        }
    }

    /// The negated value.
    #[must_use]
    pub fn neg(&self) -> Numeric {
        match self {
            Numeric::NegativeInfinity => Numeric::PositiveInfinity,
            Numeric::PositiveInfinity => Numeric::NegativeInfinity,
            Numeric::NaN => Numeric::NaN,
            Numeric::Finite { mantissa, scale } => {
                Numeric::Finite { mantissa: -*mantissa, scale: *scale }
            }
        }
    }

    /// The absolute value.
    #[must_use]
    pub fn abs(&self) -> Numeric {
        if self.signum() < 0 { self.neg() } else { *self }
    }

    /// Rounds to `digits` after the point (before it if negative), half away from zero.
    ///
    /// # Errors
    /// Too many digits.
    pub fn round(&self, digits: i32) -> Outcome {
        self.rescale(digits, Rounding::HalfAwayFromZero)
    }

    /// Drops what is more than `digits` after the point.
    ///
    /// # Errors
    /// Too many digits.
    pub fn trunc(&self, digits: i32) -> Outcome {
        self.rescale(digits, Rounding::TowardZero)
    }

    /// The smallest integer that is not less.
    ///
    /// # Errors
    /// Too many digits.
    pub fn ceil(&self) -> Outcome {
        self.rescale(0, Rounding::Up)
    }

    /// The largest integer that is not greater.
    ///
    /// # Errors
    /// Too many digits.
    pub fn floor(&self) -> Outcome {
        self.rescale(0, Rounding::Down)
    }

    fn rescale(&self, digits: i32, rounding: Rounding) -> Outcome {
        let Numeric::Finite { mantissa, scale } = *self else { return Ok(*self) };
        let shown = u16::try_from(digits.clamp(0, 2000)).unwrap_or(0);
        if digits >= i32::from(scale) {
            return Numeric::new(widen(mantissa, shown - scale)?, shown);
        }
        let negative = mantissa.is_negative();
        let dropped = (i32::from(scale) - digits.max(-2000)).unsigned_abs();
        let kept = drop_digits(mantissa.unsigned_abs(), dropped, |half, rest| match rounding {
            Rounding::HalfAwayFromZero => half,
            Rounding::TowardZero => false,
            Rounding::Up => rest && !negative,
            Rounding::Down => rest && negative,
        });
        let zeros = digits.min(0).unsigned_abs();
        if kept == U256::ZERO {
            return Numeric::from_parts(false, kept, shown);
        }
        let power = power_of_ten(zeros).ok_or(NumericError::Overflow)?;
        let magnitude = kept.checked_mul(power).ok_or(NumericError::Overflow)?;
        Numeric::from_parts(negative, magnitude, shown)
    }

    /// The nearest integer, if it is in range.
    pub fn to_i64(&self) -> Option<i64> {
        let Numeric::Finite { mantissa, .. } = self.round(0).ok()? else { return None };
        i64::try_from(mantissa).ok()
    }

    /// The nearest float; an infinity if it is out of range.
    pub fn to_f64(&self) -> f64 {
        match self {
            Numeric::NegativeInfinity => f64::NEG_INFINITY,
            Numeric::PositiveInfinity => f64::INFINITY,
            Numeric::NaN => f64::NAN,
            Numeric::Finite { mantissa, scale } => {
                let exact = i64::try_from(*mantissa).ok().filter(|m| m.unsigned_abs() < 1 << 53);
                match exact {
                    // Both are exact, so the quotient is rounded once.
                    Some(mantissa) if *scale <= 22 => {
                        mantissa as f64 / 10f64.powi(i32::from(*scale))
                    }
                    _ => self.to_string().parse().unwrap_or(f64::NAN),
                }
            }
        }
    }

    /// PostgreSQL's conversion from `double precision`, by 15 significant digits.
    ///
    /// # Errors
    /// Too many digits.
    pub fn from_f64(value: f64) -> Outcome {
        Numeric::from_float(value, 15)
    }

    /// PostgreSQL's conversion from `real`, by 6 significant digits.
    ///
    /// # Errors
    /// Too many digits.
    pub fn from_f32(value: f32) -> Outcome {
        Numeric::from_float(f64::from(value), 6)
    }

    fn from_float(value: f64, significant: usize) -> Outcome {
        if !value.is_finite() {
            let sign = if value > 0.0 { 1 } else { -1 };
            return Ok(if value.is_nan() { Numeric::NaN } else { infinity(sign) });
        }
        let text = format!("{:.*e}", significant - 1, value.abs());
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i64 = exponent.parse().unwrap_or(0);
        let digits = digits.trim_end_matches('0');
        let mut mantissa: u128 = 0;
        let mut scale = -exponent;
        for (position, digit) in digits.bytes().filter(u8::is_ascii_digit).enumerate() {
            mantissa = mantissa * 10 + u128::from(digit - b'0');
            scale += i64::from(position > 0);
        }
        if mantissa == 0 {
            return Ok(Numeric::ZERO);
        }
        scaled(value < 0.0, U256::new(mantissa), scale)
    }
}

/// The infinity of a sign; NaN for none.
fn infinity(sign: i32) -> Numeric {
    match sign.cmp(&0) {
        Ordering::Less => Numeric::NegativeInfinity,
        Ordering::Equal => Numeric::NaN,
        Ordering::Greater => Numeric::PositiveInfinity,
    }
}

/// Appends zeros.
pub(super) fn widen(mantissa: I256, digits: u16) -> Result<I256, NumericError> {
    if digits == 0 || mantissa == I256::ZERO {
        return Ok(mantissa);
    }
    power_of_ten(u32::from(digits))
        .and_then(|power| mantissa.checked_mul(power.as_i256()))
        .filter(|_| digits <= 76)
        .ok_or(NumericError::Overflow)
}

/// Drops digits from the right. `away` tells, from whether at least half and whether anything
/// is lost, whether to go one up.
fn drop_digits(value: U256, digits: u32, away: impl Fn(bool, bool) -> bool) -> U256 {
    let Some(power) = power_of_ten(digits) else {
        let up = away(false, value != U256::ZERO);
        return if up { U256::ONE } else { U256::ZERO };
    };
    let (kept, lost) = match (narrow(value), narrow(power)) {
        (Some(value), Some(power)) => (U256::new(value / power), U256::new(value % power)),
        _ => (value / power, value % power),
    };
    let up = away(lost >= power - lost, lost != U256::ZERO);
    if up { kept + U256::ONE } else { kept }
}

/// Weight (position counted in groups of four digits) and value of the first group.
pub(super) fn weight(magnitude: U256, scale: u16) -> (i32, u32) {
    let digits = Digits::of(magnitude);
    let digits = digits.as_slice();
    if digits.is_empty() {
        return (0, 0);
    }
    let before = digits.len() as i32 - i32::from(scale);
    let weight = (before - 1).div_euclid(4);
    // The first group has this many of its four digits.
    let present = (before - 1).rem_euclid(4) + 1;
    let group = (0..present as usize)
        .fold(0, |group, at| group * 10 + u32::from(digits.get(at).copied().unwrap_or(0)));
    (weight, group)
}

/// PostgreSQL's `select_div_scale`.
pub(super) fn division_scale(left: (U256, u16), right: (U256, u16)) -> u16 {
    let (left_weight, left_first) = weight(left.0, left.1);
    let (right_weight, right_first) = weight(right.0, right.1);
    let mut weight = left_weight - right_weight;
    if left_first <= right_first {
        weight -= 1;
    }
    let scale = (MIN_SIGNIFICANT_DIGITS - weight * 4)
        .max(i32::from(left.1))
        .max(i32::from(right.1))
        .clamp(0, MAX_DISPLAY_SCALE);
    u16::try_from(scale).unwrap_or(0)
}

/// Divides digit by digit, so that only what the result shows must fit.
fn quotient(left: (I256, u16), right: (I256, u16), scale: u16, round: bool) -> Outcome {
    let negative = left.0.is_negative() != right.0.is_negative();
    let mut dividend = left.0.unsigned_abs();
    let mut divisor = right.0.unsigned_abs();
    let mut shift = i32::from(scale) + i32::from(right.1) - i32::from(left.1);
    if dividend == U256::ZERO {
        return Numeric::from_parts(false, dividend, scale);
    }
    if shift < 0 {
        let power = power_of_ten(shift.unsigned_abs());
        match power.and_then(|power| divisor.checked_mul(power)) {
            Some(wide) => divisor = wide,
            None => return Numeric::from_parts(false, U256::ZERO, scale),
        }
        shift = 0;
    }
    let power = power_of_ten(shift.unsigned_abs());
    if let Some(wide) = power.and_then(|power| dividend.checked_mul(power)) {
        dividend = wide;
        shift = 0;
    }
    let (mut result, mut rest) = match (narrow(dividend), narrow(divisor)) {
        (Some(a), Some(b)) => (U256::new(a / b), U256::new(a % b)),
        _ => (dividend / divisor, dividend % divisor),
    };
    for _ in 0..shift {
        rest *= U256::new(10);
        let digit = rest / divisor;
        rest %= divisor;
        result = result
            .checked_mul(U256::new(10))
            .and_then(|result| result.checked_add(digit))
            .ok_or(NumericError::Overflow)?;
    }
    if round && rest >= divisor - rest {
        result += U256::ONE;
    }
    Numeric::from_parts(negative, result, scale)
}
