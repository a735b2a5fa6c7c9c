//! What single aggregates make of their values: arrays, json, bits, intervals, the spread of
//! decimals.

use tidemill_repr::{BitsRef, Datum, Interval, Numeric, Row, RowBuilder, RowRef, SqlState};

use crate::aggregate::evaluate::{Counted, field, repeated, sum_numerics};
use crate::error::EvalError;

/// `array_agg`; of arrays it is one with one dimension more.
pub(super) fn array(taken: &Counted<'_>) -> Result<Row, EvalError> {
    let count = taken.iter().fold(0i64, |sum, value| sum.saturating_add(value.1));
    let count = i32::try_from(count).ok().filter(|count| *count < 1 << 27).ok_or_else(|| {
        EvalError::invalid(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "array size exceeds the maximum allowed (134217727)",
        )
    })?;
    let mut builder = RowBuilder::new();
    let first = repeated(taken).find_map(|record| match field(record, 0) {
        Datum::Array(array) => Some(array.dimensions()),
        _ => None,
    });
    let Some(inner) = first else {
        builder.push_array(&[(count, 1)], repeated(taken).map(|record| field(record, 0)));
        return Ok(builder.finish());
    };
    if inner.is_empty() {
        return Err(subscript_error("cannot accumulate empty arrays"));
    }
    if inner.len() >= 6 {
        return Err(EvalError::invalid(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!(
                "number of array dimensions ({}) exceeds the maximum allowed (6)",
                inner.len() + 1
            ),
        ));
    }
    let mut elements = Vec::new();
    for record in repeated(taken) {
        let Datum::Array(array) = field(record, 0) else {
            return Err(EvalError::invalid(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "cannot accumulate null arrays",
            ));
        };
        let dimensions = array.dimensions();
        if dimensions.is_empty() {
            return Err(subscript_error("cannot accumulate empty arrays"));
        }
        if dimensions != inner {
            return Err(subscript_error("cannot accumulate arrays of different dimensionality"));
        }
        elements.extend(array.elements());
    }
    let dimensions: Vec<(i32, i32)> = std::iter::once((count, 1)).chain(inner).collect();
    builder.push_array(&dimensions, elements);
    Ok(builder.finish())
}

fn subscript_error(message: &str) -> EvalError {
    EvalError::invalid(SqlState::SUBSCRIPT_ERROR, message)
}

fn text_of<'a>(record: RowRef<'a>, at: usize) -> &'a str {
    match field(record, at) {
        Datum::Text(text) => text,
        _ => "null",
    }
}

/// `json_agg`
pub(super) fn json_array(taken: &Counted<'_>, lines: bool) -> String {
    let mut text = String::from("[");
    for (at, record) in repeated(taken).enumerate() {
        text.push_str(match (at, lines) {
            (0, _) => "",
            (_, true) => ", \n ",
            (_, false) => ", ",
        });
        text.push_str(text_of(record, 0));
    }
    text.push(']');
    text
}

/// `json_object_agg`
pub(super) fn json_object(taken: &Counted<'_>) -> Result<Row, EvalError> {
    let mut text = String::from("{");
    for (at, record) in repeated(taken).enumerate() {
        let Datum::Text(key) = field(record, 0) else {
            return Err(EvalError::invalid(
                SqlState::INVALID_PARAMETER_VALUE,
                "field name must not be null",
            ));
        };
        text.push_str(if at > 0 { ", " } else { " " });
        tidemill_repr::jsonb::push_quoted(key, &mut text);
        text.push_str(" : ");
        text.push_str(text_of(record, 1));
    }
    text.push_str(" }");
    Ok(Row::pack([Datum::Text(&text)]))
}

/// Integers or bit strings joined bit by bit, an even number of equal ones as two.
pub(super) fn one_bits(
    taken: &Counted<'_>,
    name: &str,
    join: impl Fn(i64, i64) -> i64,
) -> Result<Row, EvalError> {
    let times = |count: i64| if count % 2 == 0 { 2 } else { 1 };
    let values = taken.iter().flat_map(|(value, count)| {
        std::iter::repeat_n(*value, if *count > 0 { times(*count) } else { 0 })
    });
    let mut whole: Option<i64> = None;
    let mut bytes: Option<(u32, Vec<u8>)> = None;
    for value in values {
        match value {
            Datum::Int(value) => {
                whole = Some(whole.map_or(value, |before| join(before, value)));
            }
            Datum::Bits(bits) => match &mut bytes {
                None => bytes = Some((bits.length, bits.bytes.to_vec())),
                Some((length, _)) if *length != bits.length => {
                    return Err(EvalError::invalid(
                        SqlState::STRING_DATA_LENGTH_MISMATCH,
                        format!("cannot {name} bit strings of different sizes"),
                    ));
                }
                Some((_, before)) => {
                    for (byte, more) in before.iter_mut().zip(bits.bytes) {
                        // Two bytes give a byte.
                        *byte = join(i64::from(*byte), i64::from(*more)) as u8;
                    }
                }
            },
            _ => {}
        }
    }
    Ok(Row::pack([match (whole, &bytes) {
        (Some(whole), _) => Datum::Int(whole),
        (None, Some((length, bytes))) => Datum::Bits(BitsRef { length: *length, bytes }),
        (None, None) => Datum::Null,
    }]))
}

/// Intervals added field by field.
pub(super) fn sum_intervals(taken: &Counted<'_>) -> Result<Interval, EvalError> {
    let (mut months, mut days, mut micros) = (0i128, 0i128, 0i128);
    for (value, count) in taken {
        if let Datum::Interval(value) = value {
            let count = i128::from(*count);
            months += i128::from(value.months) * count;
            days += i128::from(value.days) * count;
            micros += i128::from(value.micros) * count;
        }
    }
    interval_of(months, days, micros)
}

/// An interval of sums.
///
/// # Errors
/// A field does not fit.
pub fn interval_of(months: i128, days: i128, micros: i128) -> Result<Interval, EvalError> {
    let fields = (i32::try_from(months), i32::try_from(days), i64::try_from(micros));
    match fields {
        (Ok(months), Ok(days), Ok(micros)) => Ok(Interval::new(months, days, micros)),
        _ => Err(EvalError::invalid(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")),
    }
}

/// `(n * sum(x * x) - sum(x) * sum(x)) / (n * (n - 1))`, or by `n * n` for a population.
pub(super) fn spread(
    taken: &Counted<'_>,
    population: bool,
    root: bool,
) -> Result<Datum<'static>, EvalError> {
    let count = taken.iter().fold(0i64, |sum, value| sum.saturating_add(value.1));
    let mut squares = Numeric::ZERO;
    for (value, times) in taken {
        if let Datum::Numeric(value) = value {
            squares = squares.add(&value.mul(value)?.mul(&Numeric::from(*times))?)?;
        }
    }
    let sum = sum_numerics(taken)?;
    let less = i64::from(!population);
    if count <= less {
        return Ok(Datum::Null);
    }
    let n = Numeric::from(count);
    let above = n.mul(&squares)?.sub(&sum.mul(&sum)?)?;
    if above.is_zero() {
        return Ok(Datum::Numeric(Numeric::ZERO));
    }
    let quotient = above.div(&n.mul(&Numeric::from(count - less))?)?;
    if !root {
        return Ok(Datum::Numeric(quotient));
    }
    let exact = quotient.sqrt()?;
    let digits = quotient.scale().map_or(0, i32::from);
    Ok(Datum::Numeric(exact.round(digits)?))
}
