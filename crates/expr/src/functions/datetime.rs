//! Dates, times, timestamps and intervals: operators and casts here, the rest below.

pub(crate) mod calendar;
pub(super) mod fields;
mod making;
mod mixed;
mod zoned;

use jiff::tz::TimeZone;
use tidemill_repr::{Datum, Interval};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{
    Evaluated, bad_parameter, date, float8, int, interval, text, time, timestamp, timestamptz,
};
use crate::functions::datetime::calendar::{
    DAY, at, checked, checked_date, date_of, days_in_month, days_of, is_infinite, overflow,
    to_local, to_utc, zone,
};
use crate::functions::table::{Emitter, Tables};
use crate::table_function::TableEval;

pub(crate) fn interval_overflow() -> EvalError {
    overflow("interval")
}

/// The zone that the planner gives as the argument at a position.
pub(super) fn zone_argument(a: &[Datum<'_>], at: usize) -> Result<TimeZone, EvalError> {
    zone(text(a, at)?)
}

/// Adds months to a local timestamp; the day is the month's last if there is no such day.
fn add_months(local: i64, months: i32) -> Result<i64, EvalError> {
    if months == 0 {
        return Ok(local);
    }
    let (year, month, day) = date_of(local.div_euclid(DAY));
    let total = year * 12 + month - 1 + i64::from(months);
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    at(days_of(year, month, day.min(days_in_month(year, month))), local.rem_euclid(DAY))
}

fn add_days(local: i64, days: i32) -> Result<i64, EvalError> {
    let sum = i64::from(days).checked_mul(DAY).and_then(|days| local.checked_add(days));
    checked(sum.ok_or_else(|| overflow("timestamp"))?)
}

/// `timestamp + interval`: months, then days, then microseconds.
pub(crate) fn plus(stamp: i64, span: Interval) -> Result<i64, EvalError> {
    if is_infinite(stamp) {
        return Ok(stamp);
    }
    let sum = add_days(add_months(stamp, span.months)?, span.days)?.checked_add(span.micros);
    checked(sum.ok_or_else(|| overflow("timestamp"))?)
}

/// `timestamptz + interval`: months and days are those of the zone's clock.
pub(super) fn plus_in_zone(utc: i64, span: Interval, zone: &TimeZone) -> Result<i64, EvalError> {
    if is_infinite(utc) {
        return Ok(utc);
    }
    let mut utc = utc;
    if span.months != 0 {
        utc = to_utc(add_months(to_local(utc, zone)?, span.months)?, zone)?;
    }
    if span.days != 0 {
        utc = to_utc(add_days(to_local(utc, zone)?, span.days)?, zone)?;
    }
    checked(utc.checked_add(span.micros).ok_or_else(|| overflow("timestamp"))?)
}

pub(crate) fn negated(span: Interval) -> Result<Interval, EvalError> {
    let parts = (span.months.checked_neg(), span.days.checked_neg(), span.micros.checked_neg());
    match parts {
        (Some(months), Some(days), Some(micros)) => Ok(Interval { months, days, micros }),
        _ => Err(interval_overflow()),
    }
}

fn sum(left: Interval, right: Interval) -> Result<Interval, EvalError> {
    let months = left.months.checked_add(right.months);
    let days = left.days.checked_add(right.days);
    let micros = left.micros.checked_add(right.micros);
    match (months, days, micros) {
        (Some(months), Some(days), Some(micros)) => Ok(Interval { months, days, micros }),
        _ => Err(interval_overflow()),
    }
}

/// The difference of two timestamps in days and microseconds.
fn between(left: i64, right: i64) -> Result<Interval, EvalError> {
    if is_infinite(left) || is_infinite(right) {
        let message = "cannot subtract infinite timestamps";
        return Err(EvalError::invalid(tidemill_repr::SqlState::DATETIME_FIELD_OVERFLOW, message));
    }
    let micros = left.checked_sub(right).ok_or_else(interval_overflow)?;
    let days = i32::try_from(micros / DAY).map_err(|_| interval_overflow())?;
    Ok(Interval { months: 0, days, micros: micros % DAY })
}

/// An interval times a factor; fractions of months become days of 30 a month, fractions of days
/// become time.
fn scaled(span: Interval, factor: f64) -> Result<Interval, EvalError> {
    let round = |value: f64| (value * 1e6).round_ties_even() / 1e6;
    let whole = |value: f64| {
        let fits = value.abs() < f64::from(i32::MAX);
        if fits { Ok(value.trunc()) } else { Err(interval_overflow()) }
    };
    let (months, days) = (f64::from(span.months) * factor, f64::from(span.days) * factor);
    let (whole_months, mut whole_days) = (whole(months)?, whole(days)?);
    let rest_of_months = round((months - whole_months) * 30.0);
    let rest = days - whole_days + rest_of_months - rest_of_months.trunc();
    let mut seconds = round(rest * 86_400.0);
    if seconds.abs() >= 86_400.0 {
        whole_days += (seconds / 86_400.0).trunc();
        seconds %= 86_400.0;
    }
    whole_days += rest_of_months.trunc();
    let micros = (span.micros as f64 * factor + seconds * 1e6).round_ties_even();
    if micros.is_nan() || micros.abs() >= 9.2e18 || whole_days.abs() > f64::from(i32::MAX) {
        return Err(interval_overflow());
    }
    Ok(Interval { months: whole_months as i32, days: whole_days as i32, micros: micros as i64 })
}

pub(crate) fn date_stamp(days: i32) -> Result<i64, EvalError> {
    match days {
        i32::MAX => Ok(i64::MAX),
        i32::MIN => Ok(i64::MIN),
        _ => match i64::from(days).checked_mul(DAY).map(checked) {
            Some(Ok(stamp)) => Ok(stamp),
            _ => Err(EvalError::invalid(
                tidemill_repr::SqlState::DATETIME_FIELD_OVERFLOW,
                "date out of range for timestamp",
            )),
        },
    }
}

fn date_and_time(days: i32, micros: i64) -> Result<i64, EvalError> {
    match date_stamp(days)? {
        midnight if is_infinite(midnight) => Ok(midnight),
        midnight => checked(midnight.saturating_add(micros)),
    }
}

fn stamp_date<'a>(stamp: i64) -> Evaluated<'a> {
    Ok(Datum::Date(match stamp {
        i64::MAX => i32::MAX,
        i64::MIN => i32::MIN,
        _ => checked_date(stamp.div_euclid(DAY))?,
    }))
}

fn stamp_time<'a>(stamp: i64) -> Evaluated<'a> {
    Ok(if is_infinite(stamp) { Datum::Null } else { Datum::Time(stamp.rem_euclid(DAY)) })
}

fn stamp<'a>(micros: Result<i64, EvalError>) -> Evaluated<'a> {
    micros.map(Datum::Timestamp)
}

fn stamp_tz<'a>(micros: Result<i64, EvalError>) -> Evaluated<'a> {
    micros.map(Datum::TimestampTz)
}

fn span<'a>(span: Result<Interval, EvalError>) -> Evaluated<'a> {
    span.map(Datum::Interval)
}

fn move_date<'a>(days: i32, by: Option<i64>) -> Evaluated<'a> {
    if days == i32::MAX || days == i32::MIN {
        return Ok(Datum::Date(days));
    }
    Ok(Datum::Date(checked_date(by.unwrap_or(i64::MAX).saturating_add(i64::from(days)))?))
}

fn move_time<'a>(micros: i64, by: i64) -> Evaluated<'a> {
    Ok(Datum::Time(micros.wrapping_add(by % DAY).rem_euclid(DAY)))
}

pub(super) fn define(d: &mut Definitions) {
    define_dates(d);
    define_stamps(d);
    define_intervals(d);
    define_casts(d);
    fields::define(d);
    making::define(d);
    mixed::define(d);
    zoned::define(d);
}

fn define_dates(d: &mut Definitions) {
    let later = "Later by this.";
    let earlier = "Earlier by this.";
    d.add(
        "date_pli",
        "date_pli(date, int4) -> date",
        |a, _| move_date(date(a, 0)?, Some(int(a, 1)?)),
        later,
    )
    .operator("+");
    d.add(
        "integer_pl_date",
        "integer_pl_date(int4, date) -> date",
        |a, _| move_date(date(a, 1)?, Some(int(a, 0)?)),
        later,
    )
    .operator("+");
    d.add(
        "date_mii",
        "date_mii(date, int4) -> date",
        |a, _| move_date(date(a, 0)?, int(a, 1)?.checked_neg()),
        earlier,
    )
    .operator("-");
    let difference: Eval = |a, _| {
        let (left, right) = (date(a, 0)?, date(a, 1)?);
        let infinite = |days: i32| days == i32::MAX || days == i32::MIN;
        if infinite(left) || infinite(right) {
            let message = "cannot subtract infinite dates";
            return Err(EvalError::invalid(
                tidemill_repr::SqlState::DATETIME_FIELD_OVERFLOW,
                message,
            ));
        }
        Ok(Datum::Int(i64::from(left) - i64::from(right)))
    };
    d.add("date_mi", "date_mi(date, date) -> int4", difference, "Days between.").operator("-");
    let plus_span: Eval = |a, _| stamp(plus(date_stamp(date(a, 0)?)?, interval(a, 1)?));
    d.add("date_pl_interval", "date_pl_interval(date, interval) -> timestamp", plus_span, later)
        .operator("+");
    let span_plus: Eval = |a, _| stamp(plus(date_stamp(date(a, 1)?)?, interval(a, 0)?));
    d.add("interval_pl_date", "interval_pl_date(interval, date) -> timestamp", span_plus, later)
        .operator("+");
    let minus_span: Eval = |a, _| stamp(plus(date_stamp(date(a, 0)?)?, negated(interval(a, 1)?)?));
    d.add("date_mi_interval", "date_mi_interval(date, interval) -> timestamp", minus_span, earlier)
        .operator("-");
    d.add(
        "datetime_pl",
        "datetime_pl(date, time) -> timestamp",
        |a, _| stamp(date_and_time(date(a, 0)?, time(a, 1)?)),
        "The time of this day.",
    )
    .operator("+");
    d.add(
        "timedate_pl",
        "timedate_pl(time, date) -> timestamp",
        |a, _| stamp(date_and_time(date(a, 1)?, time(a, 0)?)),
        "The time of this day.",
    )
    .operator("+");
    d.add(
        "time_pl_interval",
        "time_pl_interval(time, interval) -> time",
        |a, _| move_time(time(a, 0)?, interval(a, 1)?.micros),
        later,
    )
    .operator("+");
    d.add(
        "interval_pl_time",
        "interval_pl_time(interval, time) -> time",
        |a, _| move_time(time(a, 1)?, interval(a, 0)?.micros),
        later,
    )
    .operator("+");
    d.add(
        "time_mi_interval",
        "time_mi_interval(time, interval) -> time",
        |a, _| move_time(time(a, 0)?, -(interval(a, 1)?.micros % DAY)),
        earlier,
    )
    .operator("-");
    let times: Eval = |a, _| {
        let micros = time(a, 0)? - time(a, 1)?;
        Ok(Datum::Interval(Interval { months: 0, days: 0, micros }))
    };
    d.add("time_mi_time", "time_mi_time(time, time) -> interval", times, "Time between.")
        .operator("-");
}

fn define_stamps(d: &mut Definitions) {
    let later = "Later by this.";
    let earlier = "Earlier by this.";
    d.add(
        "timestamp_pl_interval",
        "timestamp_pl_interval(timestamp, interval) -> timestamp",
        |a, _| stamp(plus(timestamp(a, 0)?, interval(a, 1)?)),
        later,
    )
    .operator("+");
    d.add(
        "interval_pl_timestamp",
        "interval_pl_timestamp(interval, timestamp) -> timestamp",
        |a, _| stamp(plus(timestamp(a, 1)?, interval(a, 0)?)),
        later,
    )
    .operator("+");
    d.add(
        "timestamp_mi_interval",
        "timestamp_mi_interval(timestamp, interval) -> timestamp",
        |a, _| stamp(plus(timestamp(a, 0)?, negated(interval(a, 1)?)?)),
        earlier,
    )
    .operator("-");
    d.add(
        "timestamptz_pl_interval",
        "timestamptz_pl_interval(timestamptz, interval) -> timestamptz",
        |a, _| stamp_tz(plus_in_zone(timestamptz(a, 0)?, interval(a, 1)?, &zone_argument(a, 2)?)),
        later,
    )
    .zone()
    .operator("+");
    d.add(
        "interval_pl_timestamptz",
        "interval_pl_timestamptz(interval, timestamptz) -> timestamptz",
        |a, _| stamp_tz(plus_in_zone(timestamptz(a, 1)?, interval(a, 0)?, &zone_argument(a, 2)?)),
        later,
    )
    .zone()
    .operator("+");
    d.add(
        "timestamptz_mi_interval",
        "timestamptz_mi_interval(timestamptz, interval) -> timestamptz",
        |a, _| {
            stamp_tz(plus_in_zone(
                timestamptz(a, 0)?,
                negated(interval(a, 1)?)?,
                &zone_argument(a, 2)?,
            ))
        },
        earlier,
    )
    .zone()
    .operator("-");
    let doc = "Days and time between.";
    d.add(
        "timestamp_mi",
        "timestamp_mi(timestamp, timestamp) -> interval",
        |a, _| span(between(timestamp(a, 0)?, timestamp(a, 1)?)),
        doc,
    )
    .operator("-");
    d.add(
        "timestamptz_mi",
        "timestamptz_mi(timestamptz, timestamptz) -> interval",
        |a, _| span(between(timestamptz(a, 0)?, timestamptz(a, 1)?)),
        doc,
    )
    .operator("-");
}

fn define_intervals(d: &mut Definitions) {
    d.add(
        "interval_um",
        "interval_um(interval) -> interval",
        |a, _| span(negated(interval(a, 0)?)),
        "Negation.",
    )
    .operator("-");
    d.add(
        "interval_pl",
        "interval_pl(interval, interval) -> interval",
        |a, _| span(sum(interval(a, 0)?, interval(a, 1)?)),
        "Sum.",
    )
    .operator("+");
    d.add(
        "interval_mi",
        "interval_mi(interval, interval) -> interval",
        |a, _| span(sum(interval(a, 0)?, negated(interval(a, 1)?)?)),
        "Difference.",
    )
    .operator("-");
    d.add(
        "interval_mul",
        "interval_mul(interval, float8) -> interval",
        |a, _| span(scaled(interval(a, 0)?, float8(a, 1)?)),
        "So many times as long.",
    )
    .operator("*");
    d.add(
        "mul_d_interval",
        "mul_d_interval(float8, interval) -> interval",
        |a, _| span(scaled(interval(a, 1)?, float8(a, 0)?)),
        "So many times as long.",
    )
    .operator("*");
    let divide: Eval = |a, _| match float8(a, 1)? {
        0.0 => Err(EvalError::DivisionByZero),
        divisor => span(scaled(interval(a, 0)?, 1.0 / divisor)),
    };
    d.add("interval_div", "interval_div(interval, float8) -> interval", divide, "A part of it.")
        .operator("/");
}

fn define_casts(d: &mut Definitions) {
    use CastContext::{Assignment, Implicit};
    let doc = "Conversion between dates and times.";
    d.add(
        "date_timestamp",
        "timestamp(date) -> timestamp",
        |a, _| stamp(date_stamp(date(a, 0)?)),
        doc,
    )
    .cast(Implicit);
    let dated: Eval = |a, _| stamp_tz(to_utc(date_stamp(date(a, 0)?)?, &zone_argument(a, 1)?));
    d.add("date_timestamptz", "timestamptz(date) -> timestamptz", dated, doc).zone().cast(Implicit);
    d.add("timestamp_date", "date(timestamp) -> date", |a, _| stamp_date(timestamp(a, 0)?), doc)
        .cast(Assignment);
    d.add("timestamp_time", "time(timestamp) -> time", |a, _| stamp_time(timestamp(a, 0)?), doc)
        .cast(Assignment);
    let zoned: Eval = |a, _| stamp_tz(to_utc(timestamp(a, 0)?, &zone_argument(a, 1)?));
    d.add("timestamp_timestamptz", "timestamptz(timestamp) -> timestamptz", zoned, doc)
        .zone()
        .cast(Implicit);
    let local_date: Eval = |a, _| stamp_date(to_local(timestamptz(a, 0)?, &zone_argument(a, 1)?)?);
    d.add("timestamptz_date", "date(timestamptz) -> date", local_date, doc).zone().cast(Assignment);
    let local_time: Eval = |a, _| stamp_time(to_local(timestamptz(a, 0)?, &zone_argument(a, 1)?)?);
    d.add("timestamptz_time", "time(timestamptz) -> time", local_time, doc).zone().cast(Assignment);
    let local: Eval = |a, _| stamp(to_local(timestamptz(a, 0)?, &zone_argument(a, 1)?));
    d.add("timestamptz_timestamp", "timestamp(timestamptz) -> timestamp", local, doc)
        .zone()
        .cast(Assignment);
    let as_span: Eval =
        |a, _| Ok(Datum::Interval(Interval { months: 0, days: 0, micros: time(a, 0)? }));
    d.add("time_interval", "interval(time) -> interval", as_span, doc).safe().cast(Implicit);
    let of_span: Eval = |a, _| Ok(Datum::Time(interval(a, 0)?.micros.rem_euclid(DAY)));
    d.add("interval_time", "time(interval) -> time", of_span, doc).cast(Assignment);
}

/// Rows from one instant to another.
fn series(
    (start, stop, step): (i64, i64, Interval),
    advance: &dyn Fn(i64) -> Result<i64, EvalError>,
    emit: &mut dyn FnMut(i64) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    let direction = step.comparison_value().signum();
    if direction == 0 {
        return Err(bad_parameter("step size cannot equal zero"));
    }
    let mut current = start;
    while if direction > 0 { current <= stop } else { current >= stop } {
        emit(current)?;
        if is_infinite(current) {
            break;
        }
        current = advance(current)?;
    }
    Ok(())
}

const STAMPS: TableEval = |a, _, emit| {
    let step = interval(a, 2)?;
    let mut out = Emitter::new(emit);
    series((timestamp(a, 0)?, timestamp(a, 1)?, step), &|at| plus(at, step), &mut |at| {
        out.row([Datum::Timestamp(at)])
    })
};

/// Steps by the clock of the zone that is given last, or of UTC.
const ZONED_STAMPS: TableEval = |a, _, emit| {
    let step = interval(a, 2)?;
    let zone = if a.len() > 3 { zone_argument(a, 3)? } else { TimeZone::UTC };
    let mut out = Emitter::new(emit);
    let range = (timestamptz(a, 0)?, timestamptz(a, 1)?, step);
    series(range, &|at| plus_in_zone(at, step, &zone), &mut |at| out.row([Datum::TimestampTz(at)]))
};

pub(super) fn define_tables(t: &mut Tables) {
    let doc = "The instants from one to another, by a step.";
    t.add(
        "generate_series_timestamp",
        "generate_series(timestamp, timestamp, interval) -> timestamp",
        true,
        STAMPS,
        doc,
    );
    t.add(
        "generate_series_timestamptz",
        "generate_series(timestamptz, timestamptz, interval) -> timestamptz",
        true,
        ZONED_STAMPS,
        doc,
    );
    t.add(
        "generate_series_timestamptz_at_zone",
        "generate_series(timestamptz, timestamptz, interval, text) -> timestamptz",
        true,
        ZONED_STAMPS,
        doc,
    );
}
