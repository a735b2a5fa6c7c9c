//! Aggregates over frames.
//!
//! Counts and sums of integers are differences of running sums; sums of decimals, least and
//! greatest values come out of a tree; each row costs a few steps, whatever its frame. Sums of
//! floats are made in the order of the frame, as PostgreSQL's are: running where frames only
//! grow. What is left is computed from all values of a frame, once for rows that share it.

use std::cmp::Ordering;
use std::ops::Range;

use tidemill_repr::{Datum, Diff, Numeric, SqlState};

use crate::aggregate::{AggregateKind, Moments, Statistic, interval_of};
use crate::error::EvalError;
use crate::window::frame::{Frames, Ranges};
use crate::window::partition::{Partition, Results};
use crate::window::tree::Tree;
use crate::window::{WindowArgument, WindowCall};

/// The argument of a call, by position.
struct Values<'p, 'a> {
    partition: &'p Partition<'a>,
    argument: Option<&'p WindowArgument>,
}

impl<'p> Values<'p, '_> {
    fn at(&self, position: usize) -> Datum<'p> {
        match self.argument {
            Some(argument) => self.partition.argument(position, argument),
            None => Datum::Null,
        }
    }

    fn all(&self) -> impl ExactSizeIterator<Item = Datum<'p>> {
        (0..self.partition.len()).map(|position| self.at(position))
    }
}

/// Running sums: what comes before each position.
struct Running {
    sums: Vec<i128>,
}

impl Running {
    fn new(values: impl Iterator<Item = i128>) -> Running {
        let mut sums = vec![0];
        let mut sum = 0i128;
        for value in values {
            // 2^28 values of 64 bits.
            sum += value;
            sums.push(sum);
        }
        Running { sums }
    }

    fn ranges(&self, ranges: &[Range<usize>]) -> i128 {
        ranges.iter().map(|range| self.sums[range.end] - self.sums[range.start]).sum()
    }
}

/// A sum of decimals on the way.
#[derive(Clone, Copy)]
enum Sum {
    Known(Numeric),
    TooLarge,
}

impl Partition<'_> {
    /// An aggregate over the frame of each row.
    pub(super) fn aggregate(
        &self,
        call: &WindowCall,
        kind: &AggregateKind,
    ) -> Result<Results, EvalError> {
        let values = Values { partition: self, argument: call.arguments.first() };
        let frames = Frames::new(self, &call.frame)?;
        match kind {
            AggregateKind::Count => {
                let present = Running::new(values.all().map(|value| i128::from(!value.is_null())));
                self.each(&frames, |ranges| Ok(integer(present.ranges(ranges))))
            }
            AggregateKind::SumInt | AggregateKind::SumIntToNumeric => {
                self.integers(&frames, &values, kind)
            }
            AggregateKind::All | AggregateKind::Any => self.truths(&frames, &values, kind),
            AggregateKind::SumNumeric => self.decimals(&frames, &values),
            AggregateKind::SumFloat4 | AggregateKind::SumFloat8 => self.floats(&frames, &values),
            AggregateKind::Min => self.extremes(&frames, &values, Ordering::Less),
            AggregateKind::Max => self.extremes(&frames, &values, Ordering::Greater),
            AggregateKind::Statistic(statistic) => self.statistics(&frames, &values, *statistic),
            AggregateKind::SumInterval => self.intervals(&frames, &values),
            kind => self.all_values(&frames, &values, kind),
        }
    }

    fn each<'d>(
        &self,
        frames: &Frames<'_, '_>,
        mut result: impl FnMut(&[Range<usize>]) -> Result<Datum<'d>, EvalError>,
    ) -> Result<Results, EvalError> {
        let mut results = Results::new(self.len());
        for position in 0..self.len() {
            results.push(result(&frames.of(position)?)?);
        }
        Ok(results)
    }

    fn integers(
        &self,
        frames: &Frames<'_, '_>,
        values: &Values<'_, '_>,
        kind: &AggregateKind,
    ) -> Result<Results, EvalError> {
        let present = Running::new(values.all().map(|value| i128::from(!value.is_null())));
        let sums = Running::new(values.all().map(|value| match value {
            Datum::Int(value) => i128::from(value),
            _ => 0,
        }));
        self.each(frames, |ranges| {
            if present.ranges(ranges) == 0 {
                return Ok(Datum::Null);
            }
            let sum = sums.ranges(ranges);
            if *kind == AggregateKind::SumIntToNumeric {
                return Ok(Datum::Numeric(Numeric::from(sum)));
            }
            let sum = i64::try_from(sum);
            Ok(Datum::Int(sum.map_err(|_| EvalError::OutOfRange("bigint".to_owned()))?))
        })
    }

    fn truths(
        &self,
        frames: &Frames<'_, '_>,
        values: &Values<'_, '_>,
        kind: &AggregateKind,
    ) -> Result<Results, EvalError> {
        let count = |wanted: bool| {
            let is = move |value| matches!(value, Datum::Bool(value) if value == wanted);
            Running::new(values.all().map(move |value| i128::from(is(value))))
        };
        let (truths, lies) = (count(true), count(false));
        self.each(frames, |ranges| {
            Ok(match (truths.ranges(ranges), lies.ranges(ranges)) {
                (0, 0) => Datum::Null,
                (_, lies) if *kind == AggregateKind::All => Datum::Bool(lies == 0),
                (truths, _) => Datum::Bool(truths > 0),
            })
        })
    }

    fn decimals(
        &self,
        frames: &Frames<'_, '_>,
        values: &Values<'_, '_>,
    ) -> Result<Results, EvalError> {
        let known = values.all().map(|value| match value {
            Datum::Numeric(value) => Some(Sum::Known(value)),
            _ => None,
        });
        let tree = Tree::new(known, |left, right| match (left, right) {
            (Sum::Known(left), Sum::Known(right)) => {
                left.add(&right).map_or(Sum::TooLarge, Sum::Known)
            }
            _ => Sum::TooLarge,
        });
        self.each(frames, |ranges| match tree.ranges(ranges) {
            None => Ok(Datum::Null),
            Some(Sum::Known(sum)) => Ok(Datum::Numeric(sum)),
            Some(Sum::TooLarge) => Err(EvalError::OutOfRange("numeric".to_owned())),
        })
    }

    fn extremes(
        &self,
        frames: &Frames<'_, '_>,
        values: &Values<'_, '_>,
        wanted: Ordering,
    ) -> Result<Results, EvalError> {
        let known = values.all().map(|value| (!value.is_null()).then_some(value));
        // Of equal values the one that comes first.
        let tree = Tree::new(
            known,
            |left: Datum<'_>, right: Datum<'_>| {
                if right.sql_cmp(&left) == wanted { right } else { left }
            },
        );
        self.each(frames, |ranges| Ok(tree.ranges(ranges).unwrap_or(Datum::Null)))
    }

    /// Sums of floats, from the first row of the frame to the last.
    fn floats(
        &self,
        frames: &Frames<'_, '_>,
        values: &Values<'_, '_>,
    ) -> Result<Results, EvalError> {
        let mut last: Ranges = Ranges::new();
        let mut sum: Option<Datum<'static>> = None;
        let mut results = Results::new(self.len());
        for position in 0..self.len() {
            let ranges = frames.of(position)?;
            // What is new in a frame that has only grown at its end.
            let start = match (last.as_slice(), ranges.as_slice()) {
                ([before], [now]) if before.start == now.start && before.end <= now.end => {
                    Some(before.end..now.end)
                }
                _ => None,
            };
            let added: &[Range<usize>] = match &start {
                Some(added) => std::slice::from_ref(added),
                None => {
                    sum = None;
                    &ranges
                }
            };
            for place in added.iter().cloned().flatten() {
                sum = add_float(sum, values.at(place))?;
            }
            results.push(sum.unwrap_or(Datum::Null));
            last = ranges;
        }
        Ok(results)
    }

    fn intervals(
        &self,
        frames: &Frames<'_, '_>,
        values: &Values<'_, '_>,
    ) -> Result<Results, EvalError> {
        let known = values.all().map(|value| match value {
            Datum::Interval(value) => {
                Some([i128::from(value.months), i128::from(value.days), i128::from(value.micros)])
            }
            _ => None,
        });
        let tree = Tree::new(known, |left: [i128; 3], right: [i128; 3]| {
            [left[0] + right[0], left[1] + right[1], left[2] + right[2]]
        });
        self.each(frames, |ranges| match tree.ranges(ranges) {
            None => Ok(Datum::Null),
            Some([months, days, micros]) => Ok(Datum::Interval(interval_of(months, days, micros)?)),
        })
    }

    /// Statistics of floats: what enters the frame is added, what leaves it taken away, both
    /// exactly.
    fn statistics(
        &self,
        frames: &Frames<'_, '_>,
        values: &Values<'_, '_>,
        statistic: Statistic,
    ) -> Result<Results, EvalError> {
        let mut last = 0..0;
        let mut moments = Moments::default();
        let mut results = Results::new(self.len());
        for position in 0..self.len() {
            let ranges = frames.of(position)?;
            let slides = match ranges.as_slice() {
                [range] if range.start >= last.start && range.end >= last.end => {
                    (range.start <= last.end).then(|| range.clone())
                }
                _ => None,
            };
            let mut take = |places: Range<usize>, diff: Diff| {
                places.for_each(|place| moments.add(&Moments::of(values.at(place), diff)));
            };
            match slides {
                Some(range) => {
                    take(last.start..range.start, -1);
                    take(last.end..range.end, 1);
                    last = range;
                }
                None => {
                    moments = Moments::default();
                    let mut take = |places: Range<usize>| {
                        places.for_each(|place| moments.add(&Moments::of(values.at(place), 1)));
                    };
                    ranges.iter().cloned().for_each(&mut take);
                    // Only one range can slide on.
                    last = match ranges.as_slice() {
                        [range] => range.clone(),
                        _ => usize::MAX..usize::MAX,
                    };
                }
            }
            results.push(moments.result(statistic)?);
        }
        Ok(results)
    }

    /// The kinds that need all values, in the order of the frame.
    fn all_values(
        &self,
        frames: &Frames<'_, '_>,
        values: &Values<'_, '_>,
        kind: &AggregateKind,
    ) -> Result<Results, EvalError> {
        let mut last: Option<Ranges> = None;
        let mut results = Results::new(self.len());
        for position in 0..self.len() {
            let ranges = frames.of(position)?;
            if last.as_ref() == Some(&ranges) {
                let before = results.get(position - 1).to_vec();
                results.push_encoded(&before);
                continue;
            }
            let taken: Vec<(Datum<'_>, Diff)> = ranges
                .iter()
                .cloned()
                .flatten()
                .map(|place| (values.at(place), 1))
                .filter(|(value, _)| !value.is_null())
                .collect();
            if taken.is_empty() {
                results.push(kind.empty_value());
            } else {
                results.push_encoded(kind.evaluate(&taken)?.bytes());
            }
            last = Some(ranges);
        }
        Ok(results)
    }
}

fn integer(value: i128) -> Datum<'static> {
    Datum::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn add_float(
    sum: Option<Datum<'static>>,
    value: Datum<'_>,
) -> Result<Option<Datum<'static>>, EvalError> {
    let overflow =
        || EvalError::invalid(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
    Ok(match (sum, value) {
        (None, Datum::Float4(value)) => Some(Datum::Float4(value)),
        (None, Datum::Float8(value)) => Some(Datum::Float8(value)),
        (Some(Datum::Float4(sum)), Datum::Float4(value)) => {
            let added = sum + value;
            if added.is_infinite() && !sum.is_infinite() && !value.is_infinite() {
                return Err(overflow());
            }
            Some(Datum::Float4(added))
        }
        (Some(Datum::Float8(sum)), Datum::Float8(value)) => {
            let added = sum + value;
            if added.is_infinite() && !sum.is_infinite() && !value.is_infinite() {
                return Err(overflow());
            }
            Some(Datum::Float8(added))
        }
        (sum, _) => sum,
    })
}
