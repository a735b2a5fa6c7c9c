//! Periods that overlap, and a date with a time as a timestamp.

use std::cmp::Ordering;

use tidemill_repr::Datum;

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{date, time, timestamp, timestamptz};
use crate::functions::datetime::calendar::to_utc;
use crate::functions::datetime::{date_and_time, move_time, plus, plus_in_zone, zone_argument};

/// Whether two periods overlap, each by two ends in any order, where an end may be missing:
/// NULL if that decides.
fn overlap<T: Copy + Ord>(periods: [Option<T>; 4]) -> Option<bool> {
    let ordered = |first: Option<T>, second: Option<T>| match (first, second) {
        (Some(first), Some(second)) if first > second => Some((second, Some(first))),
        (Some(first), second) => Some((first, second)),
        (None, Some(second)) => Some((second, None)),
        (None, None) => None,
    };
    let [a, b, c, d] = periods;
    let (left, right) = (ordered(a, b)?, ordered(c, d)?);
    let (before, after) = match left.0.cmp(&right.0) {
        // They start together, and a period with no end known may be longer than nothing.
        Ordering::Equal => {
            return if left.1.is_none() || right.1.is_none() { None } else { Some(true) };
        }
        Ordering::Less => (left, right),
        Ordering::Greater => (right, left),
    };
    match before.1 {
        Some(end) if after.0 < end => Some(true),
        None => None,
        Some(_) => after.1.map(|_| false),
    }
}

/// The ends of the periods, of which the second and fourth may be a length.
fn ends<T>(
    a: &[Datum<'_>],
    point: impl Fn(usize) -> Result<T, EvalError>,
    moved: impl Fn(usize, tidemill_repr::Interval) -> Result<T, EvalError>,
) -> Result<[Option<T>; 4], EvalError> {
    let end = |at: usize| match a.get(at) {
        None | Some(Datum::Null) => Ok(None),
        Some(Datum::Interval(span)) => match a.get(at - 1) {
            None | Some(Datum::Null) => Ok(None),
            _ => moved(at - 1, *span).map(Some),
        },
        _ => point(at).map(Some),
    };
    Ok([end(0)?, end(1)?, end(2)?, end(3)?])
}

fn answer<'a>(overlaps: Option<bool>) -> Datum<'a> {
    overlaps.map_or(Datum::Null, Datum::Bool)
}

pub(super) fn define(d: &mut Definitions) {
    let times: Eval = |a, _| {
        let moved = |at: usize, span: tidemill_repr::Interval| match move_time(
            time(a, at)?,
            span.micros,
        )? {
            Datum::Time(micros) => Ok(micros),
            _ => Ok(0),
        };
        Ok(answer(overlap(ends(a, |at| time(a, at), moved)?)))
    };
    let stamps: Eval = |a, _| {
        let moved = |at: usize, span| plus(timestamp(a, at)?, span);
        Ok(answer(overlap(ends(a, |at| timestamp(a, at), moved)?)))
    };
    let zoned: Eval = |a, _| {
        let zone = zone_argument(a, 4)?;
        let moved = |at: usize, span| plus_in_zone(timestamptz(a, at)?, span, &zone);
        Ok(answer(overlap(ends(a, |at| timestamptz(a, at), moved)?)))
    };
    for (typ, eval) in [("time", times), ("timestamp", stamps), ("timestamptz", zoned)] {
        let forms = [(typ, typ), ("interval", typ), (typ, "interval"), ("interval", "interval")];
        for (number, (second, fourth)) in forms.into_iter().enumerate() {
            let id = format!("overlaps_{typ}_{number}");
            let signature = format!("overlaps({typ}, {second}, {typ}, {fourth}) -> bool");
            let added = d.add(&id, &signature, eval, "Whether two periods overlap.").sees_null();
            if typ == "timestamptz" {
                added.zone();
            }
        }
    }
    let stamp: Eval = |a, _| Ok(Datum::Timestamp(date_and_time(date(a, 0)?, time(a, 1)?)?));
    let doc = "The time of this day.";
    d.add("datetime_timestamp", "timestamp(date, time) -> timestamp", stamp, doc);
    let stamp: Eval = |a, _| {
        let local = date_and_time(date(a, 0)?, time(a, 1)?)?;
        Ok(Datum::TimestampTz(to_utc(local, &zone_argument(a, 2)?)?))
    };
    d.add("datetime_timestamptz", "timestamptz(date, time) -> timestamptz", stamp, doc).zone();
}
