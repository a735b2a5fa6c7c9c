//! Counts and exact sums kept in the diff, so that a change costs the same in a group of any
//! size and nothing is kept of the values.
//!
//! An [`Accumulation`] takes the place of the diff of a row `(key, ())`: the number of rows of
//! the group, and a [`Slot`] for each aggregate. Adding accumulations adds all of them, so that
//! a retraction takes away just what the insertion gave. Sums of `numeric` are kept apart for
//! each scale, because the result shows the largest scale among the values that are there.

use differential_dataflow::difference::{IsZero, Semigroup};
use ethnum::I256;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use tidemill_expr::aggregate::{FloatSum, Moments, interval_of, overflow};
use tidemill_expr::{AggregateKind, EvalError};
use tidemill_repr::{Datum, Diff, Numeric};

use crate::render::errors::internal;

/// What is known of a group, as a diff.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Accumulation {
    /// How many rows there are.
    pub total: Diff,
    /// For each aggregate what it has gathered.
    pub slots: SmallVec<[Slot; 2]>,
}

/// What one aggregate has gathered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Slot {
    /// Values.
    Count(Diff),
    /// Values and their sum.
    Int { count: Diff, sum: i128 },
    /// True and false ones.
    Bool { trues: Diff, falses: Diff },
    /// Decimals.
    Numeric(Box<NumericSum>),
    /// Floats.
    Float(Box<FloatSum>),
    /// Floats, or pairs of them, with their squares and products.
    Moments(Box<Moments>),
    /// Values and the sums of their months, days and microseconds.
    Interval { count: Diff, sums: Box<[i128; 3]> },
}

/// A sum of decimals that can be taken back value by value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NumericSum {
    nan: Diff,
    positive_infinity: Diff,
    negative_infinity: Diff,
    /// (scale, values of it, sum of their mantissas), by scale.
    finite: SmallVec<[(u16, Diff, I256); 1]>,
}

/// Whether an aggregate of this kind lives in the diff.
pub fn is_accumulable(kind: &AggregateKind) -> bool {
    use AggregateKind::{
        All, Any, Count, Statistic, SumFloat4, SumFloat8, SumInt, SumIntToNumeric, SumInterval,
        SumNumeric,
    };
    let sum = matches!(kind, SumInt | SumIntToNumeric | SumNumeric | SumFloat4 | SumFloat8);
    sum || matches!(kind, Count | All | Any | Statistic(_) | SumInterval)
}

impl Accumulation {
    /// What `diff` times a row with these arguments adds.
    pub fn of<'a>(
        kinds: &[AggregateKind],
        arguments: impl Iterator<Item = Datum<'a>>,
        diff: Diff,
    ) -> Accumulation {
        let slots = kinds.iter().zip(arguments).map(|(kind, datum)| Slot::of(kind, datum, diff));
        Accumulation { total: diff, slots: slots.collect() }
    }
}

impl Slot {
    fn of(kind: &AggregateKind, datum: Datum<'_>, diff: Diff) -> Slot {
        let present = if datum.is_null() { 0 } else { diff };
        match kind {
            AggregateKind::SumInt | AggregateKind::SumIntToNumeric => {
                let value = if let Datum::Int(value) = datum { i128::from(value) } else { 0 };
                Slot::Int { count: present, sum: value * i128::from(diff) }
            }
            AggregateKind::SumNumeric => Slot::Numeric(Box::new(NumericSum::of(datum, diff))),
            AggregateKind::SumFloat4 | AggregateKind::SumFloat8 => {
                Slot::Float(Box::new(match datum {
                    Datum::Float4(value) => FloatSum::of(f64::from(value), diff),
                    Datum::Float8(value) => FloatSum::of(value, diff),
                    _ => FloatSum::default(),
                }))
            }
            AggregateKind::Statistic(_) => Slot::Moments(Box::new(Moments::of(datum, diff))),
            AggregateKind::SumInterval => {
                let fields = match datum {
                    Datum::Interval(value) => {
                        [i128::from(value.months), i128::from(value.days), i128::from(value.micros)]
                    }
                    _ => [0; 3],
                };
                let sums = Box::new(fields.map(|field| field * i128::from(diff)));
                Slot::Interval { count: present, sums }
            }
            AggregateKind::All | AggregateKind::Any => {
                let trues = if matches!(datum, Datum::Bool(true)) { diff } else { 0 };
                Slot::Bool { trues, falses: present - trues }
            }
            _ => Slot::Count(present),
        }
    }

    fn add(&mut self, other: &Slot) {
        match (self, other) {
            (Slot::Count(count), Slot::Count(more)) => *count += more,
            (Slot::Int { count, sum }, Slot::Int { count: more, sum: add }) => {
                *count += more;
                *sum = sum.wrapping_add(*add);
            }
            (Slot::Bool { trues, falses }, Slot::Bool { trues: more, falses: less }) => {
                *trues += more;
                *falses += less;
            }
            (Slot::Numeric(sum), Slot::Numeric(more)) => sum.add(more),
            (Slot::Float(sum), Slot::Float(more)) => sum.add(more),
            (Slot::Moments(moments), Slot::Moments(more)) => moments.add(more),
            (Slot::Interval { count, sums }, Slot::Interval { count: more, sums: add }) => {
                *count += more;
                for (sum, more) in sums.iter_mut().zip(add.iter()) {
                    *sum = sum.wrapping_add(*more);
                }
            }
            // Slots of one position are made by one aggregate.
            _ => {}
        }
    }

    fn is_zero(&self) -> bool {
        match self {
            Slot::Count(count) => *count == 0,
            Slot::Int { count, sum } => *count == 0 && *sum == 0,
            Slot::Bool { trues, falses } => *trues == 0 && *falses == 0,
            Slot::Numeric(sum) => **sum == NumericSum::default(),
            Slot::Float(sum) => sum.is_zero(),
            Slot::Moments(moments) => moments.is_zero(),
            Slot::Interval { count, sums } => *count == 0 && **sums == [0; 3],
        }
    }

    /// The aggregate's value.
    pub fn result(&self, kind: &AggregateKind) -> Result<Datum<'static>, EvalError> {
        Ok(match (self, kind) {
            (Slot::Count(count), _) => Datum::Int(*count),
            (Slot::Int { count: 0, .. }, _) => Datum::Null,
            (Slot::Int { sum, .. }, AggregateKind::SumInt) => {
                let sum = i64::try_from(*sum);
                Datum::Int(sum.map_err(|_| EvalError::OutOfRange("bigint".to_owned()))?)
            }
            (Slot::Int { sum, .. }, _) => {
                Datum::Numeric(Numeric::Finite { mantissa: I256::from(*sum), scale: 0 })
            }
            (Slot::Bool { trues: 0, falses: 0 }, _) => Datum::Null,
            (Slot::Bool { falses, .. }, AggregateKind::All) => Datum::Bool(*falses == 0),
            (Slot::Bool { trues, .. }, _) => Datum::Bool(*trues > 0),
            (Slot::Numeric(sum), _) => sum.result()?,
            (Slot::Float(sum), AggregateKind::SumFloat4) => match sum.result()? {
                Some(total) if total.is_finite() && (total as f32).is_infinite() => {
                    return Err(overflow());
                }
                total => total.map_or(Datum::Null, |total| Datum::Float4(total as f32)),
            },
            (Slot::Float(sum), _) => sum.result()?.map_or(Datum::Null, Datum::Float8),
            (Slot::Moments(moments), AggregateKind::Statistic(statistic)) => {
                moments.result(*statistic)?
            }
            (Slot::Moments(_), _) | (Slot::Interval { count: 0, .. }, _) => Datum::Null,
            (Slot::Interval { sums, .. }, _) => {
                let [months, days, micros] = **sums;
                Datum::Interval(interval_of(months, days, micros)?)
            }
        })
    }
}

impl NumericSum {
    fn of(datum: Datum<'_>, diff: Diff) -> NumericSum {
        let mut sum = NumericSum::default();
        match datum {
            Datum::Numeric(Numeric::NaN) => sum.nan = diff,
            Datum::Numeric(Numeric::PositiveInfinity) => sum.positive_infinity = diff,
            Datum::Numeric(Numeric::NegativeInfinity) => sum.negative_infinity = diff,
            Datum::Numeric(Numeric::Finite { mantissa, scale }) => {
                sum.finite.push((scale, diff, mantissa.wrapping_mul(I256::from(diff))));
            }
            _ => {}
        }
        sum
    }

    fn add(&mut self, other: &NumericSum) {
        self.nan += other.nan;
        self.positive_infinity += other.positive_infinity;
        self.negative_infinity += other.negative_infinity;
        for (scale, count, sum) in &other.finite {
            match self.finite.binary_search_by_key(scale, |(scale, _, _)| *scale) {
                Ok(position) => {
                    let entry = &mut self.finite[position];
                    entry.1 += count;
                    entry.2 = entry.2.wrapping_add(*sum);
                    if entry.1 == 0 && entry.2 == I256::ZERO {
                        self.finite.remove(position);
                    }
                }
                Err(position) => self.finite.insert(position, (*scale, *count, *sum)),
            }
        }
    }

    fn result(&self) -> Result<Datum<'static>, EvalError> {
        let number = match (self.nan, self.positive_infinity, self.negative_infinity) {
            (0, 0, 0) => return self.finite_result(),
            (0, 0, _) => Numeric::NegativeInfinity,
            (0, _, 0) => Numeric::PositiveInfinity,
            _ => Numeric::NaN,
        };
        Ok(Datum::Numeric(number))
    }

    fn finite_result(&self) -> Result<Datum<'static>, EvalError> {
        let Some((scale, _, _)) = self.finite.last() else { return Ok(Datum::Null) };
        let out_of_range = || EvalError::OutOfRange("numeric".to_owned());
        let mut total = I256::ZERO;
        for (part_scale, _, sum) in &self.finite {
            let power = I256::new(10).checked_pow(u32::from(scale - part_scale));
            let part = power.and_then(|power| sum.checked_mul(power)).ok_or_else(out_of_range)?;
            total = total.checked_add(part).ok_or_else(out_of_range)?;
        }
        Numeric::new(total, *scale).map(Datum::Numeric).map_err(|_| out_of_range())
    }
}

impl IsZero for Accumulation {
    fn is_zero(&self) -> bool {
        self.total == 0 && self.slots.iter().all(Slot::is_zero)
    }
}

impl Semigroup for Accumulation {
    fn plus_equals(&mut self, other: &Accumulation) {
        self.total += other.total;
        for (slot, more) in self.slots.iter_mut().zip(&other.slots) {
            slot.add(more);
        }
    }
}

/// The aggregates of a group, one datum each.
pub fn results(
    accumulation: &Accumulation,
    kinds: &[AggregateKind],
) -> Result<Vec<Datum<'static>>, EvalError> {
    if accumulation.total < 0 {
        return Err(EvalError::NegativeMultiplicity);
    }
    if accumulation.slots.len() != kinds.len() {
        return Err(internal("a group has not gathered all aggregates"));
    }
    accumulation.slots.iter().zip(kinds).map(|(slot, kind)| slot.result(kind)).collect()
}
