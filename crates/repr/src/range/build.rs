//! Making ranges and multiranges: checked, canonical.

use super::{
    MultirangeRef, RangeBound, RangeKind, RangeRef, compare_lower, push_multirange, push_range,
};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::time::END_DATE;

/// The two ends of a range; None for an end without bound.
pub type Bounds<'a> = (Option<RangeBound<'a>>, Option<RangeBound<'a>>);

/// The bytes of a range with these ends, brought to the canonical form of its kind.
///
/// # Errors
/// The lower end is above the upper one (`22000`), or the canonical form leaves the type's range.
pub fn make_range(kind: RangeKind, bounds: Bounds<'_>) -> Result<Vec<u8>, SqlError> {
    let mut bytes = Vec::new();
    if is_empty(bounds)? {
        push_range(&mut bytes, None);
        return Ok(bytes);
    }
    let (mut lower, mut upper) = bounds;
    if kind.is_discrete() {
        if let Some(bound) = &mut lower
            && !bound.inclusive
            && let Some(value) = next(kind, bound.value)?
        {
            *bound = RangeBound { value, inclusive: true };
        }
        if let Some(bound) = &mut upper
            && bound.inclusive
            && let Some(value) = next(kind, bound.value)?
        {
            *bound = RangeBound { value, inclusive: false };
        }
    }
    let made = if is_empty((lower, upper))? { None } else { Some((lower, upper)) };
    push_range(&mut bytes, made);
    Ok(bytes)
}

fn is_empty(bounds: Bounds<'_>) -> Result<bool, SqlError> {
    let (Some(lower), Some(upper)) = bounds else { return Ok(false) };
    let order = lower.value.sql_cmp(&upper.value);
    if order.is_gt() {
        return Err(SqlError::new(
            SqlState::DATA_EXCEPTION,
            "range lower bound must be less than or equal to range upper bound",
        ));
    }
    Ok(order.is_eq() && !(lower.inclusive && upper.inclusive))
}

/// The next value of a discrete type; None for what has none.
fn next(kind: RangeKind, value: Datum<'_>) -> Result<Option<Datum<'static>>, SqlError> {
    let out_of_range = |name: &str| {
        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{name} out of range"))
    };
    match (kind, value) {
        (RangeKind::Int4, Datum::Int(value)) => match i32::try_from(value + 1) {
            Ok(next) => Ok(Some(Datum::Int(i64::from(next)))),
            Err(_) => Err(out_of_range("integer")),
        },
        (RangeKind::Int8, Datum::Int(value)) => match value.checked_add(1) {
            Some(next) => Ok(Some(Datum::Int(next))),
            None => Err(out_of_range("bigint")),
        },
        (RangeKind::Date, Datum::Date(i32::MIN | i32::MAX)) => Ok(None),
        (RangeKind::Date, Datum::Date(days)) if i64::from(days) + 1 < END_DATE => {
            Ok(Some(Datum::Date(days + 1)))
        }
        (RangeKind::Date, _) => {
            Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range"))
        }
        _ => Ok(None),
    }
}

/// Whether what ends here and what begins there leave nothing between them and share nothing.
pub fn adjacent(upper: Option<RangeBound<'_>>, lower: Option<RangeBound<'_>>) -> bool {
    match (upper, lower) {
        (Some(upper), Some(lower)) => {
            upper.value.sql_cmp(&lower.value).is_eq() && upper.inclusive != lower.inclusive
        }
        _ => false,
    }
}

/// Whether a range that begins here begins after one ends there, with nothing in common.
pub fn begins_after(lower: Option<RangeBound<'_>>, upper: Option<RangeBound<'_>>) -> bool {
    match (lower, upper) {
        (Some(lower), Some(upper)) => {
            let order = lower.value.sql_cmp(&upper.value);
            order.is_gt() || (order.is_eq() && !(lower.inclusive && upper.inclusive))
        }
        _ => false,
    }
}

/// The bytes of the multirange of these ranges, in any order.
pub fn make_multirange<'a>(ranges: impl IntoIterator<Item = RangeRef<'a>>) -> Vec<u8> {
    let mut all: Vec<Bounds<'a>> =
        ranges.into_iter().filter(|range| !range.is_empty()).map(|range| range.bounds()).collect();
    all.sort_by(|a, b| compare_lower(a.0, b.0).then_with(|| super::compare_upper(a.1, b.1)));
    let mut merged: Vec<Bounds<'a>> = Vec::new();
    for (lower, upper) in all {
        match merged.last_mut() {
            Some(last) if !begins_after(lower, last.1) || adjacent(last.1, lower) => {
                if super::compare_upper(upper, last.1).is_gt() {
                    last.1 = upper;
                }
            }
            _ => merged.push((lower, upper)),
        }
    }
    let encoded: Vec<Vec<u8>> = merged
        .into_iter()
        .map(|bounds| {
            let mut bytes = Vec::new();
            push_range(&mut bytes, Some(bounds));
            bytes
        })
        .collect();
    let mut bytes = Vec::new();
    push_multirange(&mut bytes, encoded.iter().map(|bytes| RangeRef::from_bytes(bytes)));
    bytes
}

impl MultirangeRef<'_> {
    /// Whether there is no range in it.
    pub fn is_empty(&self) -> bool {
        self.ranges().next().is_none()
    }
}
