//! Aggregates over values that are all at hand: the plain way, for the kinds that are kept by
//! value and for the tests' oracle.

use std::cmp::Ordering;

use bumpalo::Bump;
use tidemill_repr::{Datum, Diff, Numeric, Row, RowBuilder, RowRef, SqlState};

use crate::aggregate::gather::{array, json_array, json_object, one_bits, spread, sum_intervals};
use crate::aggregate::{AggregateCall, AggregateKind, Moments, SortDirection};
use crate::error::EvalError;
use crate::scalar::EvalContext;

/// Values with how often each occurs.
pub(super) type Counted<'a> = Vec<(Datum<'a>, Diff)>;

impl AggregateCall {
    /// The aggregate of values (of the evaluated argument) with how often each occurs, as a row
    /// of one datum. The order of the values does not matter.
    ///
    /// # Errors
    /// A sum does not fit, or a value occurs less than never.
    pub fn evaluate_basic<'a>(
        &self,
        values: impl IntoIterator<Item = (Datum<'a>, Diff)>,
    ) -> Result<Row, EvalError> {
        let mut taken: Counted<'a> = Vec::new();
        for (value, count) in values {
            if count < 0 {
                return Err(EvalError::NegativeMultiplicity);
            }
            if count > 0 && !value.is_null() {
                taken.push((value, count));
            }
        }
        if self.distinct {
            let start = self.kind.key_start(&self.order);
            taken = distinct(taken, self.kind.takes_record().then_some(start));
        }
        if taken.is_empty() {
            return Ok(Row::pack([self.kind.empty_value()]));
        }
        if self.kind.takes_record() {
            sort_records(&mut taken, self.kind.key_start(&self.order), &self.order);
        }
        match self.kind.evaluate_ordered(&taken, &self.order) {
            Some(result) => result,
            None => self.kind.evaluate(&taken),
        }
    }
}

impl AggregateKind {
    /// Where in the argument's record the order keys start.
    fn key_start(&self, order: &[SortDirection]) -> usize {
        match self {
            AggregateKind::Hypothetical(_) => order.len(),
            AggregateKind::StringAgg
            | AggregateKind::JsonbObjectAgg
            | AggregateKind::JsonObjectAgg
            | AggregateKind::MapAgg(_) => 2,
            AggregateKind::Mode => 0,
            _ => 1,
        }
    }

    /// The result over values that count, in their order; there is at least one.
    pub(crate) fn evaluate(&self, taken: &Counted<'_>) -> Result<Row, EvalError> {
        let one = |datum: Datum<'_>| Ok(Row::pack([datum]));
        match self {
            AggregateKind::Count => one(Datum::Int(
                taken.iter().fold(0, |sum: Diff, value| sum.saturating_add(value.1)),
            )),
            AggregateKind::SumInt => {
                let sum = i64::try_from(sum_integers(taken)?);
                one(Datum::Int(sum.map_err(|_| EvalError::OutOfRange("bigint".to_owned()))?))
            }
            AggregateKind::SumIntToNumeric => {
                one(Datum::Numeric(Numeric::from(sum_integers(taken)?)))
            }
            AggregateKind::SumNumeric => one(Datum::Numeric(sum_numerics(taken)?)),
            AggregateKind::SumFloat4 => one(Datum::Float4(sum_floats(taken) as f32)),
            AggregateKind::SumFloat8 => one(Datum::Float8(sum_floats(taken))),
            AggregateKind::Min => one(extreme(taken, Ordering::Less)),
            AggregateKind::Max => one(extreme(taken, Ordering::Greater)),
            AggregateKind::All => {
                one(Datum::Bool(taken.iter().all(|value| matches!(value.0, Datum::Bool(true)))))
            }
            AggregateKind::Any => {
                one(Datum::Bool(taken.iter().any(|value| matches!(value.0, Datum::Bool(true)))))
            }
            AggregateKind::StringAgg => Ok(join(taken)),
            AggregateKind::ArrayAgg(_) => array(taken),
            AggregateKind::JsonbAgg | AggregateKind::JsonbObjectAgg => self.jsonb(taken),
            AggregateKind::RangeAgg | AggregateKind::RangeIntersectAgg => Ok(self.ranges(taken)),
            AggregateKind::ListAgg(_) => {
                let mut elements = RowBuilder::new();
                elements.extend(repeated(taken).map(|record| field(record, 0)));
                one(Datum::List(elements.as_ref()))
            }
            AggregateKind::MapAgg(_) => {
                let entries = repeated(taken).map(|record| (field(record, 0), field(record, 1)));
                Ok(crate::functions::maps::map_row(entries))
            }
            AggregateKind::SumUnsigned => {
                let sum = u64::try_from(sum_integers(taken)?);
                one(Datum::UInt(sum.map_err(|_| EvalError::OutOfRange("uint8".to_owned()))?))
            }
            AggregateKind::SumUnsignedToNumeric => {
                one(Datum::Numeric(Numeric::from(sum_integers(taken)?)))
            }
            AggregateKind::JsonAgg { lines } => one(Datum::Text(&json_array(taken, *lines))),
            AggregateKind::JsonObjectAgg => json_object(taken),
            AggregateKind::BitAnd => one_bits(taken, "AND", |left, right| left & right),
            AggregateKind::BitOr => one_bits(taken, "OR", |left, right| left | right),
            AggregateKind::BitXor => one_bits(taken, "XOR", |left, right| left ^ right),
            AggregateKind::SumInterval => one(Datum::Interval(sum_intervals(taken)?)),
            AggregateKind::Spread { population, root } => one(spread(taken, *population, *root)?),
            AggregateKind::Statistic(statistic) => {
                let mut moments = Moments::default();
                taken.iter().for_each(|(value, count)| moments.add(&Moments::of(*value, *count)));
                one(moments.result(*statistic)?)
            }
            // These need to know the order's directions: `evaluate_ordered`.
            AggregateKind::Mode
            | AggregateKind::PercentileDisc(_)
            | AggregateKind::PercentileCont(_)
            | AggregateKind::Hypothetical(_) => Err(EvalError::invalid(
                SqlState::INTERNAL_ERROR,
                "internal error: an ordered-set aggregate without its order",
            )),
        }
    }

    fn ranges(&self, taken: &Counted<'_>) -> Row {
        let arena = Bump::new();
        let context = EvalContext { arena: &arena };
        let values = taken.iter().map(|value| value.0);
        Row::pack([match self {
            AggregateKind::RangeAgg => crate::functions::ranges::union_of(values, context),
            _ => crate::functions::ranges::intersection_of(values, context),
        }])
    }

    fn jsonb(&self, taken: &Counted<'_>) -> Result<Row, EvalError> {
        let arena = Bump::new();
        let context = EvalContext { arena: &arena };
        let items = repeated(taken).map(|record| (field(record, 0), field(record, 1)));
        let datum = if *self == AggregateKind::JsonbAgg {
            crate::functions::jsonb::array_of(items.map(|item| item.0), context)?
        } else {
            crate::functions::jsonb::object_of(items, context)?
        };
        Ok(Row::pack([datum]))
    }
}

/// Each value once. Of records only the fields before the order keys count: those are functions of
/// the value (SQL demands it).
fn distinct(mut taken: Counted<'_>, fields: Option<usize>) -> Counted<'_> {
    let compare = |a: &Datum<'_>, b: &Datum<'_>| match (a, b, fields) {
        (Datum::Record(a), Datum::Record(b), Some(count)) => {
            let fields = a.iter().take(count).zip(b.iter().take(count));
            let mut orders = fields.map(|(a, b)| a.sql_cmp(&b));
            orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        }
        _ => a.sql_cmp(b),
    };
    taken.sort_by(|a, b| compare(&a.0, &b.0).then_with(|| bytes(&a.0).cmp(&bytes(&b.0))));
    taken.dedup_by(|a, b| compare(&a.0, &b.0).is_eq());
    taken.iter_mut().for_each(|value| value.1 = 1);
    taken
}

fn bytes(datum: &Datum<'_>) -> Vec<u8> {
    let mut builder = RowBuilder::new();
    builder.push(*datum);
    builder.bytes().to_vec()
}

/// Orders two records by their keys, then by their bytes.
fn compare_records(
    a: RowRef<'_>,
    b: RowRef<'_>,
    start: usize,
    order: &[SortDirection],
) -> Ordering {
    compare_keys(a.iter().skip(start), b.iter().skip(start), order)
        .then_with(|| a.bytes().cmp(b.bytes()))
}

/// Orders by keys, each in its direction.
pub(super) fn compare_keys<'a, 'b>(
    left: impl Iterator<Item = Datum<'a>>,
    right: impl Iterator<Item = Datum<'b>>,
    order: &[SortDirection],
) -> Ordering {
    for ((left, right), direction) in left.zip(right).zip(order) {
        let ordering = match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if direction.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if direction.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if direction.descending => right.sql_cmp(&left),
            (false, false) => left.sql_cmp(&right),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

fn sort_records(taken: &mut Counted<'_>, start: usize, order: &[SortDirection]) {
    taken.sort_by(|a, b| match (a.0, b.0) {
        (Datum::Record(a), Datum::Record(b)) => compare_records(a, b, start, order),
        _ => Ordering::Equal,
    });
}

/// The records as often as they occur.
pub(super) fn repeated<'a>(taken: &Counted<'a>) -> impl Iterator<Item = RowRef<'a>> {
    taken.iter().flat_map(|(value, count)| {
        let record = match value {
            Datum::Record(row) => Some(*row),
            _ => None,
        };
        let count = usize::try_from(*count).unwrap_or(usize::MAX);
        record.into_iter().flat_map(move |row| std::iter::repeat_n(row, count))
    })
}

pub(super) fn field<'a>(record: RowRef<'a>, at: usize) -> Datum<'a> {
    record.iter().nth(at).unwrap_or(Datum::Null)
}

fn sum_integers(taken: &Counted<'_>) -> Result<i128, EvalError> {
    let mut sum = 0i128;
    for (value, count) in taken {
        let value = match value {
            Datum::Int(value) => Some(i128::from(*value)),
            Datum::UInt(value) => Some(i128::from(*value)),
            _ => None,
        };
        if let Some(value) = value {
            let added = value.checked_mul(i128::from(*count));
            sum = added
                .and_then(|added| sum.checked_add(added))
                .ok_or_else(|| EvalError::OutOfRange("numeric".to_owned()))?;
        }
    }
    Ok(sum)
}

pub(super) fn sum_numerics(taken: &Counted<'_>) -> Result<Numeric, EvalError> {
    let mut sum = Numeric::ZERO;
    for (value, count) in taken {
        if let Datum::Numeric(value) = value {
            sum = sum.add(&value.mul(&Numeric::from(*count))?)?;
        }
    }
    Ok(sum)
}

/// In order of the values, so that the sum does not depend on theirs.
fn sum_floats(taken: &Counted<'_>) -> f64 {
    let mut values: Vec<(f64, Diff)> = taken
        .iter()
        .filter_map(|(value, count)| match value {
            Datum::Float4(value) => Some((f64::from(*value), *count)),
            Datum::Float8(value) => Some((*value, *count)),
            _ => None,
        })
        .collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    values.iter().map(|(value, count)| value * *count as f64).sum()
}

fn extreme<'a>(taken: &Counted<'a>, wanted: Ordering) -> Datum<'a> {
    let mut chosen = Datum::Null;
    for (value, _) in taken {
        let better = match value.sql_cmp(&chosen) {
            // Of equal values always the same one.
            Ordering::Equal => bytes(value) < bytes(&chosen),
            ordering => ordering == wanted,
        };
        if chosen.is_null() || better {
            chosen = *value;
        }
    }
    chosen
}

/// `string_agg`: values that are NULL are left out; the delimiter is that of the later value.
fn join(taken: &Counted<'_>) -> Row {
    let mut text = String::new();
    let mut binary = Vec::new();
    let (mut any, mut is_binary) = (false, false);
    for record in repeated(taken) {
        let (value, delimiter) = (field(record, 0), field(record, 1));
        if value.is_null() {
            continue;
        }
        for part in [delimiter, value].into_iter().skip(usize::from(!any)) {
            match part {
                Datum::Text(part) => text.push_str(part),
                Datum::Bytes(part) => {
                    is_binary = true;
                    binary.extend_from_slice(part);
                }
                _ => {}
            }
        }
        any = true;
    }
    match (any, is_binary) {
        (false, _) => Row::pack([Datum::Null]),
        (true, true) => Row::pack([Datum::Bytes(&binary)]),
        (true, false) => Row::pack([Datum::Text(&text)]),
    }
}
