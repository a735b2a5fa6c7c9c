//! `time with time zone`.

use tidemill_repr::time::{DAY, SECOND, TimeTz, round_micros};
use tidemill_repr::{Datum, Interval};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{
    Evaluated, bad_parameter, date, int4, interval, text, time, timestamptz, timetz,
};
use crate::functions::datetime::calendar::{offset_at, overflow, zone};
use crate::functions::datetime::fields::part_of_timetz;

/// The same moment of the day in another zone, in seconds west of Greenwich.
fn in_zone<'a>(value: TimeTz, zone: i32) -> Evaluated<'a> {
    let moved = TimeTz::from_utc_micros(value.utc_micros(), zone);
    Ok(Datum::TimeTz(TimeTz { micros: moved.micros.rem_euclid(DAY), zone }))
}

/// Seconds west of Greenwich in a zone; where they change over the year, in winter.
fn zone_named(name: &str) -> Result<i32, EvalError> {
    offset_west(0, name)
}

fn offset_west(utc: i64, name: &str) -> Result<i32, EvalError> {
    let offset = offset_at(utc, &zone(name)?);
    i32::try_from(-offset).map_err(|_| overflow("time zone displacement"))
}

fn zone_interval(span: Interval) -> Result<i32, EvalError> {
    if span.months != 0 || span.days != 0 {
        let mut shown = String::new();
        tidemill_repr::interval::format_interval(&span, &mut shown);
        return Err(bad_parameter(format!(
            "interval time zone \"{shown}\" must not include months or days"
        )));
    }
    i32::try_from(-(span.micros / SECOND)).map_err(|_| overflow("time zone displacement"))
}

fn moved<'a>(value: TimeTz, by: i64) -> Evaluated<'a> {
    // Less than two days: the sum fits.
    let micros = (value.micros + by % DAY).rem_euclid(DAY);
    Ok(Datum::TimeTz(TimeTz { micros, ..value }))
}

fn of_timestamptz<'a>(utc: i64, zone: &str) -> Evaluated<'a> {
    if matches!(utc, i64::MIN | i64::MAX) {
        return Ok(Datum::Null);
    }
    let zone = offset_west(utc, zone)?;
    let local = utc.saturating_sub(i64::from(zone) * SECOND);
    Ok(Datum::TimeTz(TimeTz { micros: local.rem_euclid(DAY), zone }))
}

fn with_date<'a>(days: i32, value: TimeTz) -> Evaluated<'a> {
    match days {
        i32::MAX => return Ok(Datum::TimestampTz(i64::MAX)),
        i32::MIN => return Ok(Datum::TimestampTz(i64::MIN)),
        _ => {}
    }
    let start = i64::from(days).checked_mul(DAY);
    let utc = start.and_then(|start| start.checked_add(value.utc_micros()));
    let utc = utc.filter(|utc| tidemill_repr::time::is_timestamp(*utc));
    utc.map(Datum::TimestampTz).ok_or_else(|| overflow("timestamp"))
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "A part of a time.";
    d.add(
        "extract_timetz",
        "extract(text, timetz) -> numeric",
        |a, _| {
            let part = part_of_timetz(text(a, 0)?, timetz(a, 1)?)?;
            Ok(part.map_or(Datum::Null, Datum::Numeric))
        },
        doc,
    );
    d.add(
        "timetz_part",
        "date_part(text, timetz) -> float8",
        |a, _| {
            let part = part_of_timetz(text(a, 0)?, timetz(a, 1)?)?;
            Ok(part.map_or(Datum::Null, |part| Datum::Float8(part.to_f64())))
        },
        doc,
    );
    let add: Eval = |a, _| moved(timetz(a, 0)?, interval(a, 1)?.micros);
    d.add("timetz_pl_interval", "timetz_pl_interval(timetz, interval) -> timetz", add, "Later.")
        .operator("+");
    let added: Eval = |a, _| moved(timetz(a, 1)?, interval(a, 0)?.micros);
    d.add("interval_pl_timetz", "interval_pl_timetz(interval, timetz) -> timetz", added, "Later.")
        .operator("+");
    let back: Eval = |a, _| moved(timetz(a, 0)?, -(interval(a, 1)?.micros % DAY));
    d.add("timetz_mi_interval", "timetz_mi_interval(timetz, interval) -> timetz", back, "Earlier.")
        .operator("-");
    let doc = "A date and a time of day.";
    let dated: Eval = |a, _| with_date(date(a, 0)?, timetz(a, 1)?);
    d.add("datetimetz_timestamptz", "timestamptz(date, timetz) -> timestamptz", dated, doc)
        .operator("+");
    let dated: Eval = |a, _| with_date(date(a, 1)?, timetz(a, 0)?);
    d.add("timetzdate_pl", "timetzdate_pl(timetz, date) -> timestamptz", dated, doc).operator("+");
    let doc = "The time in another zone.";
    let zoned: Eval = |a, _| in_zone(timetz(a, 1)?, zone_named(text(a, 0)?)?);
    d.add("timetz_zone", "timezone(text, timetz) -> timetz", zoned, doc);
    let zoned: Eval = |a, _| in_zone(timetz(a, 1)?, zone_interval(interval(a, 0)?)?);
    d.add("timetz_izone", "timezone(interval, timetz) -> timetz", zoned, doc);
    define_casts(d);
}

fn define_casts(d: &mut Definitions) {
    let doc = "Conversion between times.";
    let of_time: Eval = |a, _| {
        let zone = zone_named(text(a, 1)?)?;
        Ok(Datum::TimeTz(TimeTz { micros: time(a, 0)?, zone }))
    };
    d.add("time_timetz", "timetz(time) -> timetz", of_time, doc).zone().cast(CastContext::Implicit);
    let to_time: Eval = |a, _| Ok(Datum::Time(timetz(a, 0)?.micros));
    d.add("timetz_time", "time(timetz) -> time", to_time, doc).cast(CastContext::Assignment);
    let of_moment: Eval = |a, _| of_timestamptz(timestamptz(a, 0)?, text(a, 1)?);
    d.add("timestamptz_timetz", "timetz(timestamptz) -> timetz", of_moment, doc)
        .zone()
        .cast(CastContext::Assignment);
    let rounded: Eval = |a, _| {
        let value = timetz(a, 0)?;
        Ok(Datum::TimeTz(TimeTz { micros: round_micros(value.micros, int4(a, 1)?), ..value }))
    };
    let doc = "To a number of digits of a second.";
    d.add("timetz_typmod", "timetz(timetz, int4) -> timetz", rounded, doc);
}
