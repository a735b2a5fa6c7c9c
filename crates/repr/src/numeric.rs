//! `numeric`: exact decimals.
//!
//! A value is `mantissa * 10^-scale` with a mantissa of 256 bits (76 digits), NaN or an
//! infinity. The display scale is part of the value, as in PostgreSQL (`1.0` and `1.00` are
//! equal and shown differently). What does not fit is an error, never rounded.
//!
//! Arithmetic lies in [`arithmetic`], roots and logarithms in [`functions`], the bytes inside
//! rows in [`encoding`].

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use ethnum::{I256, U256};

use crate::error::{SqlError, SqlState};

pub mod arithmetic;
pub mod encoding;
pub mod functions;

pub(crate) use encoding::{push_encoded, read_encoded};

/// Digits a mantissa may have.
pub const MAX_DIGITS: u32 = 76;
/// The largest display scale, as in PostgreSQL.
pub const MAX_SCALE: u16 = 16383;

/// An exact decimal. Copying it is cheap.
#[derive(Clone, Copy, Debug)]
pub enum Numeric {
    /// Below every number.
    NegativeInfinity,
    /// `mantissa * 10^-scale`
    Finite {
        /// All digits, at most 76.
        mantissa: I256,
        /// Digits after the point.
        scale: u16,
    },
    /// Above every number.
    PositiveInfinity,
    /// Above everything, and equal to itself.
    NaN,
}

/// What can go wrong with numerics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum NumericError {
    /// More digits than fit.
    #[error("value overflows numeric format")]
    Overflow,
    /// Division or remainder by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The square root of a negative number.
    #[error("cannot take square root of a negative number")]
    NegativeSquareRoot,
    /// The logarithm of zero.
    #[error("cannot take logarithm of zero")]
    LogarithmOfZero,
    /// The logarithm of a negative number.
    #[error("cannot take logarithm of a negative number")]
    LogarithmOfNegative,
    /// Zero to a negative power.
    #[error("zero raised to a negative power is undefined")]
    ZeroToNegativePower,
    /// A negative number to a power that is no integer.
    #[error("a negative number raised to a non-integer power yields a complex result")]
    NegativeToFraction,
    /// A value that does not fit `numeric(precision, scale)`.
    #[error("numeric field overflow")]
    FieldOverflow {
        /// The precision of the modifier.
        precision: u16,
        /// The scale of the modifier.
        scale: i16,
        /// Whether the value was an infinity.
        infinite: bool,
    },
}

impl From<NumericError> for SqlError {
    fn from(error: NumericError) -> SqlError {
        let code = match error {
            NumericError::Overflow | NumericError::FieldOverflow { .. } => {
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE
            }
            NumericError::DivisionByZero => SqlState::DIVISION_BY_ZERO,
            NumericError::LogarithmOfZero | NumericError::LogarithmOfNegative => {
                SqlState::INVALID_ARGUMENT_FOR_LOG
            }
            NumericError::NegativeSquareRoot
            | NumericError::ZeroToNegativePower
            | NumericError::NegativeToFraction => SqlState::INVALID_ARGUMENT_FOR_POWER,
        };
        let sql = SqlError::new(code, error.to_string());
        let NumericError::FieldOverflow { precision, scale, infinite } = error else { return sql };
        if infinite {
            return sql.with_detail(format!(
                "A field with precision {precision}, scale {scale} cannot hold an infinite value."
            ));
        }
        let digits = i32::from(precision) - i32::from(scale);
        let limit = if digits == 0 { "1".to_owned() } else { format!("10^{digits}") };
        sql.with_detail(format!(
            "A field with precision {precision}, scale {scale} must round to an absolute value \
             less than {limit}."
        ))
    }
}

/// 10^n for every n whose power fits.
static POWERS: LazyLock<[U256; 78]> = LazyLock::new(|| {
    let mut powers = [U256::ONE; 78];
    for n in 1..78 {
        powers[n] = powers[n - 1] * U256::new(10);
    }
    powers
});

/// 10^n, if it fits.
pub(crate) fn power_of_ten(n: u32) -> Option<U256> {
    match n {
        0..=38 => Some(U256::new(10u128.pow(n))),
        _ => POWERS.get(n as usize).copied(),
    }
}

/// The low 128 bits, if there are no others.
pub(crate) fn narrow(value: U256) -> Option<u128> {
    let (high, low) = value.into_words();
    (high == 0).then_some(low)
}

/// The decimal digits of a number; none for zero.
pub(crate) struct Digits {
    buffer: [u8; 78],
    start: usize,
}

impl Digits {
    pub(crate) fn of(value: U256) -> Digits {
        let mut digits = Digits { buffer: [0; 78], start: 78 };
        let mut rest = value;
        // Chunks of 18 digits, so that most work is on 64 bits.
        const CHUNK: u128 = 1_000_000_000_000_000_000;
        loop {
            let (next, chunk) = match narrow(rest) {
                Some(small) => (U256::new(small / CHUNK), (small % CHUNK) as u64),
                None => {
                    let chunk = U256::new(CHUNK);
                    (rest / chunk, (rest % chunk).as_u64())
                }
            };
            rest = next;
            let last = rest == U256::ZERO;
            digits.prepend(chunk, last);
            if last {
                return digits;
            }
        }
    }

    fn prepend(&mut self, mut chunk: u64, last: bool) {
        let mut count = 0;
        while if last { chunk > 0 } else { count < 18 } {
            self.start -= 1;
            self.buffer[self.start] = (chunk % 10) as u8;
            chunk /= 10;
            count += 1;
        }
    }

    /// The digits as numbers from 0 to 9, most significant first.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

impl Numeric {
    /// 0
    pub const ZERO: Numeric = Numeric::Finite { mantissa: I256::ZERO, scale: 0 };
    /// 1
    pub const ONE: Numeric = Numeric::Finite { mantissa: I256::ONE, scale: 0 };

    /// `mantissa * 10^-scale`, if it has no more digits than fit.
    ///
    /// # Errors
    /// Too many digits.
    pub fn new(mantissa: I256, scale: u16) -> Result<Numeric, NumericError> {
        Numeric::from_parts(mantissa.is_negative(), mantissa.unsigned_abs(), scale)
    }

    pub(crate) fn from_parts(
        negative: bool,
        magnitude: U256,
        scale: u16,
    ) -> Result<Numeric, NumericError> {
        if scale > MAX_SCALE || (narrow(magnitude).is_none() && magnitude >= POWERS[76]) {
            return Err(NumericError::Overflow);
        }
        let mantissa = magnitude.as_i256();
        Ok(Numeric::Finite { mantissa: if negative { -mantissa } else { mantissa }, scale })
    }

    /// Whether this is NaN.
    pub fn is_nan(&self) -> bool {
        matches!(self, Numeric::NaN)
    }

    /// Whether this is neither NaN nor an infinity.
    pub fn is_finite(&self) -> bool {
        matches!(self, Numeric::Finite { .. })
    }

    /// Whether this is zero, whatever the scale.
    pub fn is_zero(&self) -> bool {
        matches!(self, Numeric::Finite { mantissa, .. } if *mantissa == I256::ZERO)
    }

    /// -1, 0 or 1; 0 for NaN.
    pub fn signum(&self) -> i32 {
        match self {
            Numeric::NegativeInfinity => -1,
            Numeric::Finite { mantissa, .. } if mantissa.is_negative() => -1,
            Numeric::Finite { mantissa, .. } if *mantissa == I256::ZERO => 0,
            Numeric::Finite { .. } | Numeric::PositiveInfinity => 1,
            Numeric::NaN => 0,
        }
    }

    /// Digits after the point that are shown; none for NaN and infinities.
    pub fn scale(&self) -> Option<u16> {
        match self {
            Numeric::Finite { scale, .. } => Some(*scale),
            _ => None,
        }
    }

    /// SQL's order, in which the scale does not count.
    pub fn sql_cmp(&self, other: &Numeric) -> Ordering {
        let (Numeric::Finite { mantissa: a, scale: s }, Numeric::Finite { mantissa: b, scale: t }) =
            (self, other)
        else {
            return self.class().cmp(&other.class());
        };
        if s == t {
            return a.cmp(b);
        }
        let (left, right) = (self.signum(), other.signum());
        if left != right || left == 0 {
            return left.cmp(&right);
        }
        let order = compare_magnitudes((a.unsigned_abs(), *s), (b.unsigned_abs(), *t));
        if left < 0 { order.reverse() } else { order }
    }

    fn class(&self) -> u8 {
        match self {
            Numeric::NegativeInfinity => 0,
            Numeric::Finite { .. } => 1,
            Numeric::PositiveInfinity => 2,
            Numeric::NaN => 3,
        }
    }

    /// The one representative of all equal values: without trailing zeros after the point.
    #[must_use]
    pub fn canonical(self) -> Numeric {
        let Numeric::Finite { mantissa, scale } = self else { return self };
        if mantissa == I256::ZERO {
            return Numeric::ZERO;
        }
        let mut mantissa = mantissa;
        let mut scale = scale;
        while scale > 0 {
            let (high, low) = mantissa.into_words();
            let (quotient, remainder) = if high == low >> 127 {
                (I256::new(low / 10), I256::new(low % 10))
            } else {
                mantissa.div_rem(I256::new(10))
            };
            if remainder != I256::ZERO {
                break;
            }
            mantissa = quotient;
            scale -= 1;
        }
        Numeric::Finite { mantissa, scale }
    }

    /// Fits the value to `numeric(precision, scale)`: rounds to the scale, then checks the
    /// digits before the point.
    ///
    /// # Errors
    /// The value does not fit.
    pub fn apply_modifier(self, precision: u16, scale: i16) -> Result<Numeric, NumericError> {
        let overflow = |infinite| Err(NumericError::FieldOverflow { precision, scale, infinite });
        let rounded = match self {
            Numeric::NaN => return Ok(self),
            Numeric::Finite { .. } => match self.round(i32::from(scale)) {
                Ok(rounded) => rounded,
                Err(_) => return overflow(false),
            },
            _ => return overflow(true),
        };
        let Numeric::Finite { mantissa, scale: shown } = rounded else { return Ok(rounded) };
        let limit = i32::from(precision) - i32::from(scale) + i32::from(shown);
        let digits = Digits::of(mantissa.unsigned_abs()).as_slice().len();
        if digits as i64 > i64::from(limit) { overflow(false) } else { Ok(rounded) }
    }

    /// Reads PostgreSQL's syntax.
    ///
    /// # Errors
    /// No numeric (`22P02`), or too many digits (`22003`).
    pub fn parse(text: &str) -> Result<Numeric, SqlError> {
        let invalid = || SqlError::invalid_input("numeric", text);
        let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
        let (negative, body) = match trimmed.as_bytes() {
            [b'-', ..] => (true, &trimmed[1..]),
            [b'+', ..] => (false, &trimmed[1..]),
            _ => (false, trimmed),
        };
        match body.as_bytes().first() {
            Some(b'0'..=b'9' | b'.') => {}
            _ if trimmed.eq_ignore_ascii_case("nan") => return Ok(Numeric::NaN),
            _ if body.eq_ignore_ascii_case("infinity") || body.eq_ignore_ascii_case("inf") => {
                return Ok(if negative {
                    Numeric::NegativeInfinity
                } else {
                    Numeric::PositiveInfinity
                });
            }
            _ => return Err(invalid()),
        }
        parse_decimal(negative, body.as_bytes()).ok_or_else(invalid)?.map_err(SqlError::from)
    }
}

/// Digits being read: 128 bits as long as they suffice.
struct Accumulator {
    small: u128,
    large: Option<U256>,
    overflow: bool,
}

impl Accumulator {
    fn push(&mut self, digit: u8) {
        match &mut self.large {
            None if self.small < u128::MAX / 10 => {
                self.small = self.small * 10 + u128::from(digit);
            }
            None => self.large = Some(U256::new(self.small) * 10 + U256::from(digit)),
            Some(large) if *large < POWERS[75] => *large = *large * 10 + U256::from(digit),
            Some(_) => self.overflow = true,
        }
    }

    fn value(&self) -> U256 {
        self.large.unwrap_or(U256::new(self.small))
    }
}

/// Digits, point and exponent. None if it is no number.
fn parse_decimal(negative: bool, bytes: &[u8]) -> Option<Result<Numeric, NumericError>> {
    let mut digits = Accumulator { small: 0, large: None, overflow: false };
    let mut seen = false;
    let mut scale: i64 = 0;
    let mut point = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => {
                seen = true;
                digits.push(byte - b'0');
                scale += i64::from(point);
            }
            b'.' if !point => point = true,
            _ => break,
        }
        at += 1;
    }
    if !seen {
        return None;
    }
    if at < bytes.len() {
        if !matches!(bytes[at], b'e' | b'E') {
            return None;
        }
        let exponent = std::str::from_utf8(&bytes[at + 1..]).ok()?;
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let Ok(exponent) = exponent.parse::<i32>() else {
            return Some(Err(NumericError::Overflow));
        };
        scale -= i64::from(exponent);
    }
    if digits.overflow {
        return Some(Err(NumericError::Overflow));
    }
    Some(scaled(negative, digits.value(), scale))
}

/// A value of digits and a scale that may be negative.
fn scaled(negative: bool, magnitude: U256, scale: i64) -> Result<Numeric, NumericError> {
    if let Ok(scale) = u16::try_from(scale) {
        return Numeric::from_parts(negative, magnitude, scale);
    }
    if magnitude == U256::ZERO && scale < 0 {
        return Ok(Numeric::ZERO);
    }
    u32::try_from(-scale)
        .ok()
        .and_then(power_of_ten)
        .and_then(|power| magnitude.checked_mul(power))
        .ok_or(NumericError::Overflow)
        .and_then(|magnitude| Numeric::from_parts(negative, magnitude, 0))
}

/// Orders two magnitudes that are not zero.
fn compare_magnitudes((a, s): (U256, u16), (b, t): (U256, u16)) -> Ordering {
    let widen = |value: U256, by: u16| {
        power_of_ten(u32::from(by)).and_then(|power| value.checked_mul(power))
    };
    // What does not fit when brought to the larger scale is greater than all that fits.
    if s < t {
        widen(a, t - s).map_or(Ordering::Greater, |wide| wide.cmp(&b))
    } else {
        widen(b, s - t).map_or(Ordering::Less, |wide| a.cmp(&wide))
    }
}

impl FromStr for Numeric {
    type Err = SqlError;

    fn from_str(text: &str) -> Result<Numeric, SqlError> {
        Numeric::parse(text)
    }
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Numeric {
        Numeric::Finite { mantissa: I256::from(value), scale: 0 }
    }
}

impl From<i32> for Numeric {
    fn from(value: i32) -> Numeric {
        Numeric::from(i64::from(value))
    }
}

impl From<i128> for Numeric {
    fn from(value: i128) -> Numeric {
        Numeric::Finite { mantissa: I256::new(value), scale: 0 }
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Numeric) -> bool {
        self.sql_cmp(other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Numeric) -> Ordering {
        self.sql_cmp(other)
    }
}

impl fmt::Display for Numeric {
    /// PostgreSQL's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mantissa, scale) = match self {
            Numeric::NaN => return f.write_str("NaN"),
            Numeric::PositiveInfinity => return f.write_str("Infinity"),
            Numeric::NegativeInfinity => return f.write_str("-Infinity"),
            Numeric::Finite { mantissa, scale } => (mantissa, usize::from(*scale)),
        };
        let mut digits = Digits::of(mantissa.unsigned_abs());
        let start = digits.start;
        for digit in &mut digits.buffer[start..] {
            *digit += b'0';
        }
        let text = std::str::from_utf8(digits.as_slice()).map_err(|_| fmt::Error)?;
        if mantissa.is_negative() {
            f.write_str("-")?;
        }
        let (whole, fraction) = text.split_at(text.len().saturating_sub(scale));
        f.write_str(if whole.is_empty() { "0" } else { whole })?;
        if scale > 0 {
            write!(f, ".{:0>width$}{fraction}", "", width = scale - fraction.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
