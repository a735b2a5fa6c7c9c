//! Exact sums of floats, which can be taken back value by value.
//!
//! A finite float is a whole number of 53 bits times a power of two. Numbers whose powers lie in
//! the same 32 are added as integers of 128 bits, shifted to the least of these powers: 85 bits
//! and what the count of values needs. Nothing is rounded before the result is asked for, so
//! that order does not matter and a retraction leaves nothing behind.

use num_bigint::BigInt;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use tidemill_repr::{Diff, SqlState};

use crate::error::EvalError;

/// Powers of two that share one integer.
const POWERS: i32 = 32;

/// A sum of floats.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FloatSum {
    count: Diff,
    nan: Diff,
    positive_infinity: Diff,
    negative_infinity: Diff,
    /// (power / 32, sum of the numbers), by power; no sum is 0.
    parts: SmallVec<[(i16, i128); 2]>,
}

impl FloatSum {
    /// `diff` times a value.
    pub fn of(value: f64, diff: Diff) -> FloatSum {
        let mut sum = FloatSum { count: diff, ..FloatSum::default() };
        if value.is_nan() {
            sum.nan = diff;
        } else if value == f64::INFINITY {
            sum.positive_infinity = diff;
        } else if value == f64::NEG_INFINITY {
            sum.negative_infinity = diff;
        } else {
            let (number, power) = parts_of(value);
            let shifted = number << power.rem_euclid(POWERS);
            // Powers lie between -1074 and 971.
            sum.add_part(power.div_euclid(POWERS) as i16, shifted * i128::from(diff));
        }
        sum
    }

    /// `diff` times the product of two values, without rounding.
    pub fn of_product(left: f64, right: f64, diff: Diff) -> FloatSum {
        if !left.is_finite() || !right.is_finite() {
            let product = if left.is_nan() || right.is_nan() { f64::NAN } else { left * right };
            return FloatSum::of(product, diff);
        }
        let mut sum = FloatSum { count: diff, ..FloatSum::default() };
        let ((left, power), (right, more)) = (parts_of(left), parts_of(right));
        let (product, power) = (left * right, power + more);
        // 106 bits: two halves.
        let high = product >> 53;
        for (half, power) in [(product - (high << 53), power), (high, power + 53)] {
            let shifted = half << power.rem_euclid(POWERS);
            // Powers lie between -2148 and 1995.
            sum.add_part(power.div_euclid(POWERS) as i16, shifted.wrapping_mul(i128::from(diff)));
        }
        sum
    }

    /// How many values there are.
    pub fn count(&self) -> Diff {
        self.count
    }

    /// Whether all values are finite.
    pub fn is_finite(&self) -> bool {
        (self.nan, self.positive_infinity, self.negative_infinity) == (0, 0, 0)
    }

    /// Whether nothing is left of what was added.
    pub fn is_zero(&self) -> bool {
        *self == FloatSum::default()
    }

    /// The sum of the finite values: a whole number, and the power of `2^32` that it counts.
    pub(crate) fn exact(&self) -> (BigInt, i32) {
        let least = self.parts.first().map_or(0, |(power, _)| i32::from(*power));
        let mut total = BigInt::ZERO;
        for (power, sum) in &self.parts {
            total += BigInt::from(*sum) << (POWERS * (i32::from(*power) - least));
        }
        (total, least)
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &FloatSum) {
        self.count += other.count;
        self.nan += other.nan;
        self.positive_infinity += other.positive_infinity;
        self.negative_infinity += other.negative_infinity;
        for (power, sum) in &other.parts {
            self.add_part(*power, *sum);
        }
    }

    fn add_part(&mut self, power: i16, sum: i128) {
        match self.parts.binary_search_by_key(&power, |(power, _)| *power) {
            Ok(position) => {
                let total = self.parts[position].1.wrapping_add(sum);
                if total == 0 {
                    self.parts.remove(position);
                } else {
                    self.parts[position].1 = total;
                }
            }
            Err(_) if sum == 0 => {}
            Err(position) => self.parts.insert(position, (power, sum)),
        }
    }

    /// The sum, if there are values.
    ///
    /// # Errors
    /// It is greater than any float.
    pub fn result(&self) -> Result<Option<f64>, EvalError> {
        if self.count == 0 {
            return Ok(None);
        }
        let infinities = (self.positive_infinity, self.negative_infinity);
        Ok(Some(match (self.nan, infinities) {
            (0, (0, 0)) => {
                let total = self.finite();
                if total.is_infinite() {
                    return Err(overflow());
                }
                total
            }
            (0, (_, 0)) => f64::INFINITY,
            (0, (0, _)) => f64::NEG_INFINITY,
            _ => f64::NAN,
        }))
    }

    /// Adds the parts, the greatest first, and keeps what each addition rounds away.
    fn finite(&self) -> f64 {
        let mut total = 0.0_f64;
        let mut rounded = 0.0_f64;
        for (power, sum) in self.parts.iter().rev() {
            let high = *sum as f64;
            let low = sum.wrapping_sub(high as i128) as f64;
            for term in [scale(high, *power), scale(low, *power)] {
                let next = total + term;
                rounded += if total.abs() >= term.abs() {
                    (total - next) + term
                } else {
                    (term - next) + total
                };
                total = next;
            }
        }
        if total.is_finite() { total + rounded } else { total }
    }
}

/// What PostgreSQL says of a sum that does not fit.
pub fn overflow() -> EvalError {
    EvalError::invalid(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

/// A finite float as `number * 2^power`.
fn parts_of(value: f64) -> (i128, i32) {
    let bits = value.to_bits();
    let fraction = i128::from(bits & ((1 << 52) - 1));
    // Eleven bits.
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let (number, power) = match exponent {
        0 => (fraction, -1074),
        _ => (fraction | 1 << 52, exponent - 1075),
    };
    (if value.is_sign_negative() { -number } else { number }, power)
}

/// `number * 2^(32 * power)`, in two steps because the power alone may be no float.
fn scale(number: f64, power: i16) -> f64 {
    let exponent = i32::from(power) * POWERS;
    let half = exponent / 2;
    number * 2f64.powi(half) * 2f64.powi(exponent - half)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::FloatSum;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = FloatSum::default();
        values.iter().for_each(|value| sum.add(&FloatSum::of(*value, 1)));
        sum.result().unwrap().unwrap()
    }

    #[test]
    fn nothing_is_lost_between_great_and_small() {
        assert_eq!(sum(&[1e300, 1.0, -1e300]), 1.0);
        assert_eq!(sum(&[0.1, 0.2]), 0.1 + 0.2);
        assert_eq!(sum(&[5e-324, 5e-324]), 1e-323);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    proptest! {
        #[test]
        fn two_floats_are_added_as_the_processor_does(a in any::<f64>(), b in any::<f64>()) {
            if (a + b).is_finite() {
                prop_assert_eq!(sum(&[a, b]), a + b);
            }
        }

        #[test]
        fn a_retraction_leaves_nothing(values in proptest::collection::vec(any::<f64>(), 0..20)) {
            let mut sum = FloatSum::default();
            values.iter().for_each(|value| sum.add(&FloatSum::of(*value, 2)));
            values.iter().rev().for_each(|value| sum.add(&FloatSum::of(*value, -2)));
            prop_assert!(sum == FloatSum::default());
        }
    }
}
