//! RANGE with an offset: the rows whose sort key lies within a distance of the row's.

use std::cmp::Ordering;
use std::ops::Range;

use tidemill_repr::{Datum, Interval, SqlState};

use crate::error::EvalError;
use crate::functions::datetime;
use crate::window::partition::Partition;

/// A bound at a distance, and where the rows with a key are.
pub(super) struct RangeBounds<'p> {
    offset: Datum<'p>,
    column: usize,
    descending: bool,
    /// Whether the bound lies before the row in its order.
    before: bool,
    /// The positions whose sort key is not NULL.
    known: Range<usize>,
}

impl<'p> RangeBounds<'p> {
    pub(super) fn new(
        partition: &Partition<'p>,
        offset: Datum<'p>,
        before: bool,
    ) -> Result<RangeBounds<'p>, EvalError> {
        check_offset(&offset)?;
        let Some((column, direction)) = partition.order_by.first().copied() else {
            return Err(unsupported());
        };
        let rows = partition.len();
        // NULLs are at one end, all peers.
        let null = |position: usize| partition.column(position, column).is_null();
        let start = if null(0) { partition.peers(0).end } else { 0 };
        let end =
            if start < rows && null(rows - 1) { partition.peers(rows - 1).start } else { rows };
        Ok(RangeBounds {
            offset,
            column,
            descending: direction.descending,
            before,
            known: start..end,
        })
    }

    /// The first position inside of the frame, or the first one after it.
    pub(super) fn edge(
        &self,
        partition: &Partition<'_>,
        position: usize,
        start: bool,
    ) -> Result<usize, EvalError> {
        let base = partition.column(position, self.column);
        if base.is_null() {
            let peers = partition.peers(position);
            return Ok(if start { peers.start } else { peers.end });
        }
        // Descending, before is greater.
        let subtract = self.before != self.descending;
        // The rows outside of a start come first, those inside of an end do.
        let less = start == self.descending;
        let limit = Limit::new(&base, &self.offset, subtract)?;
        let (mut low, mut high) = (self.known.start, self.known.end);
        while low < high {
            let middle = low + (high - low) / 2;
            let inside = limit.holds(&partition.column(middle, self.column), less);
            if inside == start {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }
}

fn unsupported() -> EvalError {
    EvalError::invalid(
        SqlState::FEATURE_NOT_SUPPORTED,
        "RANGE with offset PRECEDING/FOLLOWING is not supported for this type",
    )
}

fn check_offset(offset: &Datum<'_>) -> Result<(), EvalError> {
    let wrong = match offset {
        Datum::Int(offset) => *offset < 0,
        Datum::Float4(offset) => offset.is_nan() || *offset < 0.0,
        Datum::Float8(offset) => offset.is_nan() || *offset < 0.0,
        Datum::Numeric(offset) => offset.is_nan() || offset.signum() < 0,
        Datum::Interval(offset) => offset.comparison_value() < 0,
        _ => false,
    };
    if wrong {
        return Err(EvalError::invalid(
            SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
            "invalid preceding or following size in window function",
        ));
    }
    Ok(())
}

/// The key at the distance from a row's.
enum Limit<'a> {
    /// Integers, times.
    Int(i128),
    /// Any other value that keys are compared with.
    Datum(Datum<'a>),
    /// Beyond all keys, upwards or not.
    Beyond(bool),
    /// All keys are within.
    Everything,
}

impl Limit<'_> {
    fn new(
        base: &Datum<'_>,
        offset: &Datum<'_>,
        subtract: bool,
    ) -> Result<Limit<'static>, EvalError> {
        let sum = |base: i64, offset: i64| {
            let (base, offset) = (i128::from(base), i128::from(offset));
            Limit::Int(if subtract { base - offset } else { base + offset })
        };
        let float = |base: f64, offset: f64| {
            if offset.is_infinite() && (if subtract { base > 0.0 } else { base < 0.0 }) {
                return base.is_infinite();
            }
            false
        };
        Ok(match (base, offset) {
            (Datum::Int(base), Datum::Int(offset)) => sum(*base, *offset),
            (Datum::Float8(base), Datum::Float8(offset)) => {
                if float(*base, *offset) {
                    return Ok(Limit::Everything);
                }
                let sum = if subtract { base - offset } else { base + offset };
                Limit::Datum(Datum::Float8(sum))
            }
            (Datum::Float4(base), Datum::Float8(offset)) => {
                let base = f64::from(*base);
                if float(base, *offset) {
                    return Ok(Limit::Everything);
                }
                let sum = if subtract { base - offset } else { base + offset };
                Limit::Datum(Datum::Float8(sum))
            }
            (Datum::Numeric(base), Datum::Numeric(offset)) => {
                let towards = if subtract { base.signum() > 0 } else { base.signum() < 0 };
                if !offset.is_finite() && !base.is_finite() && !base.is_nan() && towards {
                    return Ok(Limit::Everything);
                }
                let sum = if subtract { base.sub(offset) } else { base.add(offset) };
                match sum {
                    Ok(sum) => Limit::Datum(Datum::Numeric(sum)),
                    Err(_) => Limit::Beyond(!subtract),
                }
            }
            (Datum::Time(base), Datum::Interval(offset)) => {
                if offset.micros < 0 {
                    check_offset(&Datum::Int(-1))?;
                }
                sum(*base, offset.micros)
            }
            (Datum::Date(base), Datum::Interval(offset)) => {
                let base = datetime::date_stamp(*base)?;
                Limit::Int(i128::from(datetime::plus(base, signed(offset, subtract)?)?))
            }
            (Datum::Timestamp(base), Datum::Interval(offset)) => {
                Limit::Int(i128::from(datetime::plus(*base, signed(offset, subtract)?)?))
            }
            (Datum::TimestampTz(base), Datum::Interval(offset)) => {
                // Maintained results know no session: days and months are those of UTC.
                Limit::Int(i128::from(datetime::plus(*base, signed(offset, subtract)?)?))
            }
            (Datum::Interval(base), Datum::Interval(offset)) => {
                let sum = base.checked_add(&signed(offset, subtract)?);
                Limit::Datum(Datum::Interval(sum.ok_or_else(datetime::interval_overflow)?))
            }
            _ => return Err(unsupported()),
        })
    }

    /// Whether a key is at most (`less`), or at least, the limit.
    fn holds(&self, key: &Datum<'_>, less: bool) -> bool {
        let ordering = match (self, key) {
            (Limit::Everything | Limit::Beyond(_), key) if is_nan(key) => return !less,
            (Limit::Everything, _) => return true,
            (Limit::Beyond(up), _) => return less == *up,
            (Limit::Int(limit), Datum::Int(key)) => i128::from(*key).cmp(limit),
            (
                Limit::Int(limit),
                Datum::Time(key) | Datum::Timestamp(key) | Datum::TimestampTz(key),
            ) => i128::from(*key).cmp(limit),
            (Limit::Int(limit), Datum::Date(key)) => {
                i128::from(datetime::date_stamp(*key).unwrap_or(i64::MAX)).cmp(limit)
            }
            (Limit::Datum(limit), Datum::Float4(key)) => {
                Datum::Float8(f64::from(*key)).sql_cmp(limit)
            }
            (Limit::Datum(limit), key) => key.sql_cmp(limit),
            _ => Ordering::Equal,
        };
        if less { ordering != Ordering::Greater } else { ordering != Ordering::Less }
    }
}

fn is_nan(key: &Datum<'_>) -> bool {
    match key {
        Datum::Float4(key) => key.is_nan(),
        Datum::Float8(key) => key.is_nan(),
        Datum::Numeric(key) => key.is_nan(),
        _ => false,
    }
}

fn signed(offset: &Interval, subtract: bool) -> Result<Interval, EvalError> {
    if subtract { datetime::negated(*offset) } else { Ok(*offset) }
}
