//! Aggregates over values in an order: `mode`, percentiles, and the place that a row would have.

use std::cmp::Ordering;

use bumpalo::Bump;
use serde::{Deserialize, Serialize};
use tidemill_repr::row::ArrayRef;
use tidemill_repr::{Datum, Diff, Row, RowBuilder, RowRef, SqlState};

use crate::aggregate::evaluate::compare_keys;
use crate::aggregate::{AggregateKind, SortDirection};
use crate::error::EvalError;
use crate::scalar::EvalContext;

/// What is asked of a row that might be among those of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Hypothetical {
    /// `rank`
    Rank,
    /// `dense_rank`
    DenseRank,
    /// `percent_rank`
    PercentRank,
    /// `cume_dist`
    CumeDist,
}

impl Hypothetical {
    /// The result where there is no row.
    pub(super) fn alone(self) -> Datum<'static> {
        match self {
            Hypothetical::Rank | Hypothetical::DenseRank => Datum::Int(1),
            Hypothetical::PercentRank => Datum::Float8(0.0),
            Hypothetical::CumeDist => Datum::Float8(1.0),
        }
    }
}

/// Records with how often each occurs, in order.
type Counted<'a> = [(Datum<'a>, Diff)];

fn record<'a>(value: &(Datum<'a>, Diff)) -> Option<(RowRef<'a>, Diff)> {
    match value.0 {
        Datum::Record(row) => Some((row, value.1)),
        _ => None,
    }
}

fn field<'a>(row: RowRef<'a>, at: usize) -> Datum<'a> {
    row.iter().nth(at).unwrap_or(Datum::Null)
}

impl AggregateKind {
    /// The result over records in their order, of the kinds that this is about; None for others.
    pub(super) fn evaluate_ordered(
        &self,
        taken: &Counted<'_>,
        order: &[SortDirection],
    ) -> Option<Result<Row, EvalError>> {
        Some(match self {
            AggregateKind::Mode => Ok(mode(taken)),
            AggregateKind::PercentileDisc(_) => percentiles(taken, &|values, fraction| {
                let place = (fraction * values.count as f64).ceil() as i64;
                Ok(values.at((place - 1).max(0)))
            }),
            AggregateKind::PercentileCont(_) => {
                let arena = Bump::new();
                percentiles(taken, &|values, fraction| values.between(fraction, &arena))
            }
            AggregateKind::Hypothetical(what) => Ok(hypothetical(taken, *what, order)),
            _ => return None,
        })
    }
}

/// The most frequent value; of several the first one.
fn mode(taken: &Counted<'_>) -> Row {
    let (mut best, mut most) = (Datum::Null, 0);
    let (mut current, mut count): (Datum<'_>, Diff) = (Datum::Null, 0);
    for (row, times) in taken.iter().filter_map(record) {
        let value = field(row, 0);
        if count > 0 && value.sql_eq(&current) {
            count += times;
        } else {
            (current, count) = (value, times);
        }
        if count > most {
            (best, most) = (current, count);
        }
    }
    Row::pack([best])
}

/// Values in order, found by their place.
struct Values<'a> {
    /// Each with the place after its last occurrence.
    ends: Vec<(Datum<'a>, i64)>,
    count: i64,
}

impl<'a> Values<'a> {
    fn new(taken: &Counted<'a>) -> Values<'a> {
        let mut ends = Vec::new();
        let mut count = 0i64;
        for (row, times) in taken.iter().filter_map(record) {
            count = count.saturating_add(times);
            ends.push((field(row, 1), count));
        }
        Values { ends, count }
    }

    fn at(&self, place: i64) -> Datum<'a> {
        let at = self.ends.partition_point(|(_, end)| *end <= place);
        self.ends.get(at).map_or(Datum::Null, |(value, _)| *value)
    }

    /// The value at a fraction of the way, between two of them if need be.
    fn between<'b>(&self, fraction: f64, arena: &'b Bump) -> Result<Datum<'b>, EvalError>
    where
        'a: 'b,
    {
        let exact = fraction * (self.count - 1) as f64;
        let (first, second) = (exact.floor(), exact.ceil());
        let (low, high) = (self.at(first as i64), self.at(second as i64));
        if first == second {
            return Ok(low);
        }
        let part = exact - first;
        match (low, high) {
            (Datum::Float8(low), Datum::Float8(high)) => {
                Ok(Datum::Float8(low + part * (high - low)))
            }
            _ => {
                let context = EvalContext { arena };
                let difference = call("interval_mi", &[high, low], context)?;
                let scaled = call("interval_mul", &[difference, Datum::Float8(part)], context)?;
                call("interval_pl", &[low, scaled], context)
            }
        }
    }
}

fn call<'a>(
    id: &str,
    arguments: &[Datum<'a>],
    context: EvalContext<'a>,
) -> Result<Datum<'a>, EvalError> {
    match crate::functions::by_id(id) {
        Some(function) => (function.eval)(arguments, context),
        None => Err(EvalError::invalid(SqlState::INTERNAL_ERROR, format!("there is no {id}"))),
    }
}

/// The fraction, or the array of them, that the records begin with, applied to the values.
fn percentiles<'a>(
    taken: &Counted<'a>,
    value_at: &dyn Fn(&Values<'a>, f64) -> Result<Datum<'a>, EvalError>,
) -> Result<Row, EvalError> {
    let Some((first, _)) = taken.iter().find_map(record) else {
        return Ok(Row::pack([Datum::Null]));
    };
    let values = Values::new(taken);
    let one = |fraction: Datum<'_>| match fraction {
        Datum::Float8(fraction) if (0.0..=1.0).contains(&fraction) => value_at(&values, fraction),
        Datum::Float8(fraction) => Err(EvalError::invalid(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("percentile value {fraction} is not between 0 and 1"),
        )),
        _ => Ok(Datum::Null),
    };
    match field(first, 0) {
        Datum::Array(fractions) => array(fractions, &one),
        fraction => Ok(Row::pack([one(fraction)?])),
    }
}

fn array<'a>(
    fractions: ArrayRef<'_>,
    one: &dyn Fn(Datum<'_>) -> Result<Datum<'a>, EvalError>,
) -> Result<Row, EvalError> {
    let results = fractions.elements().map(one).collect::<Result<Vec<_>, _>>()?;
    let mut builder = RowBuilder::new();
    builder.push_array(&fractions.dimensions(), results);
    Ok(builder.finish())
}

/// Where the row that the records begin with would be among those that they end with.
fn hypothetical(taken: &Counted<'_>, what: Hypothetical, order: &[SortDirection]) -> Row {
    let keys = order.len();
    let (mut before, mut peers, mut distinct_before, mut count) = (0i64, 0i64, 0i64, 0i64);
    let mut last: Option<RowRef<'_>> = None;
    for (row, times) in taken.iter().filter_map(record) {
        count += times;
        let asked = row.iter().take(keys);
        match compare_keys(row.iter().skip(keys), asked, order) {
            Ordering::Less => {
                before += times;
                let again = last.is_some_and(|last| {
                    let keys = (last.iter().skip(keys), row.iter().skip(keys));
                    compare_keys(keys.0, keys.1, order).is_eq()
                });
                distinct_before += i64::from(!again);
                last = Some(row);
            }
            Ordering::Equal => peers += times,
            Ordering::Greater => {}
        }
    }
    Row::pack([match what {
        Hypothetical::Rank => Datum::Int(before + 1),
        Hypothetical::DenseRank => Datum::Int(distinct_before + 1),
        Hypothetical::PercentRank if count == 0 => Datum::Float8(0.0),
        Hypothetical::PercentRank => Datum::Float8(before as f64 / count as f64),
        Hypothetical::CumeDist => Datum::Float8((before + peers + 1) as f64 / (count + 1) as f64),
    }])
}
