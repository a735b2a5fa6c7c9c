//! Statistics of floats, from sums that are exact.
//!
//! A change adds to sums and takes away from them without rounding, so that a view over millions
//! of changes says what a fresh look would say. Only the last steps round: the deviations are
//! computed with whole numbers of any length, divided once, and are floats from there on.

use num_bigint::{BigInt, Sign};
use serde::{Deserialize, Serialize};
use tidemill_repr::{Datum, Diff};

use crate::aggregate::float_sum::{FloatSum, overflow};
use crate::error::EvalError;

/// What is said of floats, or of pairs `(y, x)` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Statistic {
    /// `var_pop`
    VariancePopulation,
    /// `var_samp`, `variance`
    VarianceSample,
    /// `stddev_pop`
    DeviationPopulation,
    /// `stddev_samp`, `stddev`
    DeviationSample,
    /// `corr`
    Correlation,
    /// `covar_pop`
    CovariancePopulation,
    /// `covar_samp`
    CovarianceSample,
    /// `regr_count`
    Count,
    /// `regr_sxx`
    SquaresX,
    /// `regr_syy`
    SquaresY,
    /// `regr_sxy`
    Products,
    /// `regr_avgx`
    AverageX,
    /// `regr_avgy`
    AverageY,
    /// `regr_r2`
    Determination,
    /// `regr_slope`
    Slope,
    /// `regr_intercept`
    Intercept,
}

impl Statistic {
    /// Whether it is about pairs.
    pub fn takes_pairs(self) -> bool {
        use Statistic::{DeviationPopulation, DeviationSample, VariancePopulation, VarianceSample};
        !matches!(self, VariancePopulation | VarianceSample | DeviationPopulation | DeviationSample)
    }
}

/// Sums of values, of their squares and their products.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moments {
    x: FloatSum,
    xx: FloatSum,
    y: FloatSum,
    yy: FloatSum,
    xy: FloatSum,
}

fn float(datum: Option<Datum<'_>>) -> Option<f64> {
    match datum {
        Some(Datum::Float8(value)) => Some(value),
        Some(Datum::Float4(value)) => Some(f64::from(value)),
        _ => None,
    }
}

impl Moments {
    /// What `diff` times a float, or a record `(y, x)`, adds; nothing for NULL.
    pub fn of(datum: Datum<'_>, diff: Diff) -> Moments {
        let mut moments = Moments::default();
        let (x, y) = match datum {
            Datum::Record(record) => {
                let mut fields = record.iter();
                let y = float(fields.next());
                (float(fields.next()), y)
            }
            other => (float(Some(other)), None),
        };
        let Some(x) = x else { return moments };
        moments.x = FloatSum::of(x, diff);
        moments.xx = FloatSum::of_product(x, x, diff);
        if let Some(y) = y {
            moments.y = FloatSum::of(y, diff);
            moments.yy = FloatSum::of_product(y, y, diff);
            moments.xy = FloatSum::of_product(x, y, diff);
        }
        moments
    }

    /// Adds what others have gathered.
    pub fn add(&mut self, other: &Moments) {
        self.x.add(&other.x);
        self.xx.add(&other.xx);
        self.y.add(&other.y);
        self.yy.add(&other.yy);
        self.xy.add(&other.xy);
    }

    /// Whether nothing is left of what was added.
    pub fn is_zero(&self) -> bool {
        *self == Moments::default()
    }

    /// A statistic; NULL over too few values.
    ///
    /// # Errors
    /// A sum is greater than any float.
    pub fn result(&self, statistic: Statistic) -> Result<Datum<'static>, EvalError> {
        let count = self.x.count();
        let n = count as f64;
        let least = match statistic {
            Statistic::Count => return Ok(Datum::Int(count)),
            Statistic::VarianceSample
            | Statistic::DeviationSample
            | Statistic::CovarianceSample => 2,
            _ => 1,
        };
        if count < least {
            return Ok(Datum::Null);
        }
        let sum = |of: &FloatSum| Ok::<f64, EvalError>(of.result()?.unwrap_or(0.0));
        let sxx = || deviation(&self.xx, &self.x, &self.x, count);
        let syy = || deviation(&self.yy, &self.y, &self.y, count);
        let sxy = || deviation(&self.xy, &self.x, &self.y, count);
        let value = match statistic {
            Statistic::VariancePopulation => Some(sxx()? / n),
            Statistic::VarianceSample => Some(sxx()? / (n - 1.0)),
            Statistic::DeviationPopulation => Some((sxx()? / n).sqrt()),
            Statistic::DeviationSample => Some((sxx()? / (n - 1.0)).sqrt()),
            Statistic::CovariancePopulation => Some(sxy()? / n),
            Statistic::CovarianceSample => Some(sxy()? / (n - 1.0)),
            Statistic::SquaresX => Some(sxx()?),
            Statistic::SquaresY => Some(syy()?),
            Statistic::Products => Some(sxy()?),
            Statistic::AverageX => Some(sum(&self.x)? / n),
            Statistic::AverageY => Some(sum(&self.y)? / n),
            Statistic::Count => None,
            Statistic::Correlation => {
                let (sxx, syy) = (sxx()?, syy()?);
                let varies = sxx != 0.0 && syy != 0.0;
                if varies { Some(sxy()? / (sxx * syy).sqrt()) } else { None }
            }
            Statistic::Determination => {
                let (sxx, syy) = (sxx()?, syy()?);
                match (sxx == 0.0, syy == 0.0) {
                    (true, _) => None,
                    (false, true) => Some(1.0),
                    _ => {
                        let sxy = sxy()?;
                        Some((sxy * sxy) / (sxx * syy))
                    }
                }
            }
            Statistic::Slope => {
                let sxx = sxx()?;
                if sxx == 0.0 { None } else { Some(sxy()? / sxx) }
            }
            Statistic::Intercept => {
                let sxx = sxx()?;
                if sxx == 0.0 {
                    None
                } else {
                    Some((sum(&self.y)? - sum(&self.x)? * sxy()? / sxx) / n)
                }
            }
        };
        Ok(value.map_or(Datum::Null, Datum::Float8))
    }
}

/// `sum(a * b) - sum(a) * sum(b) / n`; NaN if a value is not finite.
fn deviation(
    products: &FloatSum,
    left: &FloatSum,
    right: &FloatSum,
    count: Diff,
) -> Result<f64, EvalError> {
    if !products.is_finite() || !left.is_finite() || !right.is_finite() {
        return Ok(f64::NAN);
    }
    let (products, power) = products.exact();
    let ((left, left_power), (right, right_power)) = (left.exact(), right.exact());
    let square_power = left_power + right_power;
    let least = power.min(square_power);
    let shift = |value: BigInt, power: i32| value << (32 * (power - least));
    let above = shift(products * count, power) - shift(left * right, square_power);
    let value = quotient(above, count, least * 32);
    if value.is_finite() { Ok(value) } else { Err(overflow()) }
}

/// `above / below * 2^power`, rounded once.
fn quotient(above: BigInt, below: Diff, power: i32) -> f64 {
    let (sign, mut digits) = above.into_parts();
    if sign == Sign::NoSign {
        return 0.0;
    }
    // 128 bits of the quotient are more than a float shows.
    let bits = i64::try_from(digits.bits()).unwrap_or(i64::MAX);
    let extra = (192 - bits).max(0);
    digits <<= extra;
    digits /= below.unsigned_abs();
    let surplus = (i64::try_from(digits.bits()).unwrap_or(i64::MAX) - 128).max(0);
    // What is cut is marked by the last bit, so that a half is none.
    let cut = digits
        .trailing_zeros()
        .is_some_and(|zeros| i64::try_from(zeros).is_ok_and(|zeros| zeros < surplus));
    digits >>= surplus;
    let digits = u128::try_from(&digits).unwrap_or(u128::MAX) | u128::from(cut);
    let exponent = i64::from(power) - extra + surplus;
    let exponent = i32::try_from(exponent).unwrap_or(i32::MAX);
    let value = libm::scalbn(digits as f64, exponent);
    if sign == Sign::Minus { -value } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};
    use tidemill_repr::Datum;

    use super::{Moments, Statistic};

    fn moments(values: &[f64]) -> Moments {
        let mut all = Moments::default();
        values.iter().for_each(|value| all.add(&Moments::of(Datum::Float8(*value), 1)));
        all
    }

    fn result(values: &[f64], statistic: Statistic) -> Option<f64> {
        match moments(values).result(statistic).unwrap() {
            Datum::Float8(value) => Some(value),
            _ => None,
        }
    }

    #[test]
    fn great_values_do_not_hide_small_differences() {
        let values = [1e15, 1e15 + 1.0, 1e15 + 2.0];
        assert_eq!(result(&values, Statistic::VarianceSample), Some(1.0));
        assert_eq!(result(&[0.1, 0.1, 0.1], Statistic::VariancePopulation), Some(0.0));
        assert_eq!(result(&[1.0], Statistic::VarianceSample), None);
        assert!(result(&[f64::INFINITY], Statistic::VariancePopulation).unwrap().is_nan());
        assert_eq!(result(&[1.0, 2.0, 4.0], Statistic::VariancePopulation), Some(14.0 / 9.0));
        assert_eq!(result(&[1e-200, 3e-200], Statistic::VariancePopulation), Some(0.0));
    }

    proptest! {
        #[test]
        fn a_retraction_leaves_nothing(values in proptest::collection::vec(-1e100f64..1e100, 0..20)) {
            let mut all = moments(&values);
            values.iter().for_each(|value| all.add(&Moments::of(Datum::Float8(*value), -1)));
            prop_assert!(all.is_zero());
        }

        #[test]
        fn near_the_plain_formula(values in proptest::collection::vec(-1e6f64..1e6, 2..20)) {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let plain = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            let exact = result(&values, Statistic::SquaresX).unwrap_or(f64::NAN);
            prop_assert!((plain - exact).abs() <= 1e-9 * exact.max(1e-9) + 1e-3 * f64::EPSILON * 1e12);
        }
    }
}
