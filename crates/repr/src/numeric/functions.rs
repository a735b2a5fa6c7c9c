//! Roots, powers and logarithms, at PostgreSQL's scales.
//!
//! They are computed in fixed point with 34 digits after the point, so results with more than
//! about 32 significant digits may differ from PostgreSQL's in the last ones.

use ethnum::{I256, U256};

use super::arithmetic::{MAX_DISPLAY_SCALE, MIN_SIGNIFICANT_DIGITS, weight};
use super::{Digits, Numeric, NumericError, power_of_ten, scaled};

type Outcome = Result<Numeric, NumericError>;

/// Digits after the point of the fixed-point numbers here.
const POINT: u32 = 34;

fn unit() -> I256 {
    I256::new(10i128.pow(POINT))
}

fn multiply(a: I256, b: I256) -> I256 {
    a * b / unit()
}

/// ln 10 in fixed point.
fn ln_ten() -> I256 {
    I256::new(23_025_850_929_940_456_840_179_914_546_843_642)
}

fn overflow() -> NumericError {
    NumericError::Overflow
}

fn to_scale(scale: i32) -> i32 {
    scale.clamp(0, MAX_DISPLAY_SCALE)
}

/// The natural logarithm of a positive number, in fixed point.
fn ln_fixed(magnitude: U256, scale: u16) -> I256 {
    let digits = Digits::of(magnitude);
    let digits = digits.as_slice();
    // magnitude = m * 10^power with 0.1 <= m < 1.
    let power = digits.len() as i64 - i64::from(scale);
    let mut m = I256::ZERO;
    for at in 0..POINT as usize {
        m = m * 10 + I256::from(digits.get(at).copied().unwrap_or(0));
    }
    // Four square roots bring m near 1, where the series of atanh is quick.
    let mut roots = 1;
    for _ in 0..4 {
        m = integer_root((m * unit()).as_u256()).as_i256();
        roots *= 2;
    }
    let ratio = (m - unit()) * unit() / (m + unit());
    let square = multiply(ratio, ratio);
    let mut term = ratio;
    let mut sum = ratio;
    let mut n = 3;
    while term != I256::ZERO {
        term = multiply(term, square);
        sum += term / I256::new(n);
        n += 2;
    }
    sum * 2 * roots + ln_ten() * I256::from(power)
}

/// e to a fixed-point power: digits and their scale, which may be negative.
fn exp_fixed(power: I256) -> (U256, i64) {
    let tens = power.div_euclid(ln_ten());
    let rest = power.rem_euclid(ln_ten());
    let mut term = unit();
    let mut sum = unit();
    let mut n = 1;
    while term != I256::ZERO {
        term = multiply(term, rest) / I256::new(n);
        sum += term;
        n += 1;
    }
    (sum.as_u256(), i64::from(POINT) - tens.as_i64())
}

fn integer_root(value: U256) -> U256 {
    if value == U256::ZERO {
        return value;
    }
    let bits = 256 - value.leading_zeros();
    let mut guess = U256::ONE << bits.div_ceil(2);
    loop {
        let next = (guess + value / guess) >> 1;
        if next >= guess {
            return guess;
        }
        guess = next;
    }
}

fn to_fixed(value: &Numeric) -> Result<I256, NumericError> {
    match value.round(POINT as i32)? {
        Numeric::Finite { mantissa, .. } => Ok(mantissa),
        _ => Err(overflow()),
    }
}

fn from_fixed(value: I256, scale: i32) -> Outcome {
    Numeric::new(value, POINT as u16)?.round(scale)
}

impl Numeric {
    /// The square root.
    ///
    /// # Errors
    /// A negative number, or too many digits.
    pub fn sqrt(&self) -> Outcome {
        let (mantissa, scale) = match self {
            Numeric::NegativeInfinity => return Err(NumericError::NegativeSquareRoot),
            Numeric::Finite { mantissa, scale } => (mantissa, *scale),
            _ => return Ok(*self),
        };
        if mantissa.is_negative() {
            return Err(NumericError::NegativeSquareRoot);
        }
        let magnitude = mantissa.unsigned_abs();
        let (weight, _) = weight(magnitude, scale);
        let root_weight = (weight + 1) * 4 / 2 - 1;
        let shown = to_scale((MIN_SIGNIFICANT_DIGITS - root_weight).max(i32::from(scale)));
        // One digit more than shown, to round.
        let shift = (2 * (shown + 1) - i32::from(scale)).unsigned_abs();
        let wide = power_of_ten(shift).and_then(|power| magnitude.checked_mul(power));
        let root = integer_root(wide.ok_or(overflow())?);
        scaled(false, root, i64::from(shown) + 1)?.round(shown)
    }

    /// The natural logarithm.
    ///
    /// # Errors
    /// Zero or a negative number.
    pub fn ln(&self) -> Outcome {
        let Some((magnitude, scale)) = self.logarithm_argument()? else { return Ok(*self) };
        let result = ln_fixed(magnitude, scale);
        from_fixed(result, logarithm_scale(self.to_f64().ln(), scale))
    }

    /// The logarithm to base 10.
    ///
    /// # Errors
    /// Zero or a negative number.
    pub fn log10(&self) -> Outcome {
        Numeric::from(10i64).logarithm_of(self)
    }

    /// The logarithm of `argument` to this base.
    ///
    /// # Errors
    /// Zero, a negative number, or the base 1.
    pub fn logarithm_of(&self, argument: &Numeric) -> Outcome {
        let base = self.logarithm_argument()?;
        let of = argument.logarithm_argument()?;
        let (Some(base), Some(of)) = (base, of) else {
            return match (self, argument) {
                (Numeric::NaN, _) | (_, Numeric::NaN) => Ok(Numeric::NaN),
                (Numeric::PositiveInfinity, Numeric::PositiveInfinity) => Ok(Numeric::NaN),
                (Numeric::PositiveInfinity, _) => Ok(Numeric::ZERO),
                _ => Ok(Numeric::PositiveInfinity),
            };
        };
        let divisor = ln_fixed(base.0, base.1);
        if divisor == I256::ZERO || self.sql_cmp(&Numeric::ONE).is_eq() {
            return Err(NumericError::DivisionByZero);
        }
        let result = ln_fixed(of.0, of.1).checked_mul(unit()).ok_or(overflow())? / divisor;
        let estimate = argument.to_f64().ln() / self.to_f64().ln();
        from_fixed(result, logarithm_scale(estimate, base.1.max(of.1)))
    }

    /// The digits of a positive number; none for infinity and NaN.
    fn logarithm_argument(&self) -> Result<Option<(U256, u16)>, NumericError> {
        if self.is_zero() {
            return Err(NumericError::LogarithmOfZero);
        }
        match self {
            _ if self.signum() < 0 => Err(NumericError::LogarithmOfNegative),
            Numeric::Finite { mantissa, scale } => Ok(Some((mantissa.unsigned_abs(), *scale))),
            _ => Ok(None),
        }
    }

    /// e to this power.
    ///
    /// # Errors
    /// Too many digits.
    pub fn exp(&self) -> Outcome {
        let scale = match self {
            Numeric::NegativeInfinity => return Ok(Numeric::ZERO),
            Numeric::Finite { scale, .. } => i32::from(*scale),
            _ => return Ok(*self),
        };
        let decimal_weight = (self.to_f64() * std::f64::consts::LOG10_E).clamp(-2000.0, 2000.0);
        if decimal_weight > 76.0 {
            return Err(overflow());
        }
        let shown = to_scale((MIN_SIGNIFICANT_DIGITS - decimal_weight as i32).max(scale));
        if decimal_weight < -1100.0 {
            return Numeric::ZERO.round(shown);
        }
        let (digits, scale) = exp_fixed(to_fixed(self)?);
        scaled(false, digits, scale)?.round(shown)
    }

    /// This number to a power.
    ///
    /// # Errors
    /// Zero to a negative power, a negative number to a fraction, or too many digits.
    pub fn pow(&self, exponent: &Numeric) -> Outcome {
        if exponent.is_zero() || *self == Numeric::ONE {
            let scale = self.scale().unwrap_or(0).max(exponent.scale().unwrap_or(0)).max(16);
            let all_finite = self.is_finite() && exponent.is_finite();
            return Numeric::ONE.round(if all_finite { i32::from(scale) } else { 0 });
        }
        let (Some(scale), Some(exponent_scale)) = (self.scale(), exponent.scale()) else {
            return Ok(self.infinite_pow(exponent));
        };
        if self.is_zero() {
            if exponent.signum() < 0 {
                return Err(NumericError::ZeroToNegativePower);
            }
            return Numeric::ZERO.round(i32::from(scale.max(exponent_scale).max(16)));
        }
        let whole = exponent.trunc(0)?;
        let decimal_weight = exponent.to_f64() * self.abs().to_f64().log10();
        if decimal_weight > 77.0 {
            return Err(overflow());
        }
        let least = i32::from(scale.max(exponent_scale));
        let shown = (MIN_SIGNIFICANT_DIGITS - decimal_weight.max(-2000.0) as i32).max(least);
        let shown = to_scale(shown);
        if decimal_weight < -1100.0 {
            return Numeric::ZERO.round(shown);
        }
        if whole == *exponent
            && let Some(power) = whole.to_i64()
        {
            return self.integer_pow(power, to_scale(least.max(MIN_SIGNIFICANT_DIGITS)));
        }
        if self.signum() < 0 {
            return Err(NumericError::NegativeToFraction);
        }
        let Some((magnitude, scale)) = self.logarithm_argument()? else { return Ok(*self) };
        let logarithm = from_fixed(ln_fixed(magnitude, scale), POINT as i32)?;
        let product = exponent.canonical().mul(&logarithm)?;
        let (digits, scale) = exp_fixed(to_fixed(&product)?);
        scaled(false, digits, scale)?.round(shown)
    }

    /// A power by squaring; exact where the digits fit, else to 37 significant ones.
    fn integer_pow(&self, power: i64, shown: i32) -> Outcome {
        let mut result = (U256::ONE, 0i64);
        let Numeric::Finite { mantissa, scale } = self.canonical() else { return Ok(*self) };
        let mut base = (mantissa.unsigned_abs(), i64::from(scale));
        let mut rest = power.unsigned_abs();
        while rest > 0 {
            if rest & 1 == 1 {
                result = rounded_product(result, base);
            }
            rest >>= 1;
            if rest > 0 {
                base = rounded_product(base, base);
            }
        }
        let negative = self.signum() < 0 && power & 1 == 1;
        if power < 0 {
            let places = POWER_DIGITS + Digits::of(result.0).as_slice().len() as i64;
            let places = places.min(76);
            let ten = power_of_ten(places.unsigned_abs() as u32).ok_or(overflow())?;
            result = (ten / result.0, places - result.1);
        }
        scaled(negative, result.0, result.1)?.round(shown)
    }

    fn infinite_pow(&self, exponent: &Numeric) -> Numeric {
        match (self, exponent) {
            (Numeric::NaN, _) | (_, Numeric::NaN) => Numeric::NaN,
            (_, Numeric::Finite { .. }) if exponent.signum() < 0 => Numeric::ZERO,
            (Numeric::NegativeInfinity, Numeric::Finite { .. })
                if exponent.rem(&Numeric::from(2i64)).is_ok_and(|rest| !rest.is_zero()) =>
            {
                Numeric::NegativeInfinity
            }
            (_, Numeric::Finite { .. }) => Numeric::PositiveInfinity,
            _ => {
                let grows = self.abs() > Numeric::ONE;
                if grows == (exponent.signum() > 0) {
                    Numeric::PositiveInfinity
                } else {
                    Numeric::ZERO
                }
            }
        }
    }
}

const POWER_DIGITS: i64 = 37;

fn rounded_product(a: (U256, i64), b: (U256, i64)) -> (U256, i64) {
    if let Some(product) = a.0.checked_mul(b.0) {
        return (product, a.1 + b.1);
    }
    let (a, b) = (shorten(a), shorten(b));
    (a.0 * b.0, a.1 + b.1)
}

/// Keeps the first 37 digits.
fn shorten((value, scale): (U256, i64)) -> (U256, i64) {
    let extra = Digits::of(value).as_slice().len() as i64 - POWER_DIGITS;
    match u32::try_from(extra).ok().and_then(power_of_ten) {
        Some(power) if extra > 0 => ((value + (power >> 1)) / power, scale - extra),
        _ => (value, scale),
    }
}

/// PostgreSQL's scale of a logarithm: 16 significant digits, going by its estimate.
fn logarithm_scale(estimate: f64, scale: u16) -> i32 {
    let weight = if estimate == 0.0 { 0.0 } else { estimate.abs().log10() };
    to_scale((MIN_SIGNIFICANT_DIGITS - weight as i32).max(i32::from(scale))).min(POINT as i32)
}
