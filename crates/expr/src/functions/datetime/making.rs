//! Dates and times out of numbers and of one another: `make_date`, `AT TIME ZONE`, `justify_days`,
//! `date_bin`.

use jiff::tz::TimeZone;
use tidemill_repr::{Datum, Interval, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{
    Evaluated, bad_parameter, date, float8, int, interval, text, timestamp, timestamptz,
};
use crate::functions::datetime::calendar::{
    DAY, HOUR, MINUTE, at, checked, days_in_month, days_of, fixed_zone, is_infinite, overflow,
    to_local, to_utc, zone,
};
use crate::functions::datetime::zone_argument;

fn field_overflow(message: String) -> EvalError {
    EvalError::invalid(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

fn days_from(year: i64, month: i64, day: i64) -> Result<i64, EvalError> {
    let invalid =
        || field_overflow(format!("date field value out of range: {year}-{month:02}-{day:02}"));
    if year == 0 || year.abs() > 300_000 || !(1..=12).contains(&month) {
        return Err(invalid());
    }
    // -1 is 1 BC, which is year 0.
    let astronomical = if year < 0 { year + 1 } else { year };
    if !(1..=days_in_month(astronomical, month)).contains(&day) {
        return Err(invalid());
    }
    Ok(days_of(astronomical, month, day))
}

fn time_from(hour: i64, minute: i64, seconds: f64) -> Result<i64, EvalError> {
    let micros = (seconds * 1e6).round_ties_even();
    let fits = (0..=24).contains(&hour)
        && (0..=59).contains(&minute)
        && seconds >= 0.0
        && micros <= 60e6
        && (hour < 24 || (minute == 0 && micros == 0.0));
    if !fits {
        let message = format!("time field value out of range: {hour}:{minute:02}:{seconds:02}");
        return Err(field_overflow(message));
    }
    Ok(hour * HOUR + minute * MINUTE + micros as i64)
}

fn local_from(a: &[Datum<'_>]) -> Result<i64, EvalError> {
    let days = days_from(int(a, 0)?, int(a, 1)?, int(a, 2)?)?;
    at(days, time_from(int(a, 3)?, int(a, 4)?, float8(a, 5)?)?)
}

/// Years, months, weeks, days, hours, minutes, seconds; what is not given is 0.
fn interval_from<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let part = |at: usize| if at < a.len() { int(a, at) } else { Ok(0) };
    let seconds = if a.len() > 6 { float8(a, 6)? } else { 0.0 };
    let micros = (seconds * 1e6).round_ties_even();
    if !micros.is_finite() || micros.abs() > 9e18 {
        return Err(overflow("interval"));
    }
    let clock = (part(4)? * HOUR).checked_add(part(5)? * MINUTE);
    let total = clock.and_then(|clock| clock.checked_add(micros as i64));
    let months = i32::try_from(part(0)? * 12 + part(1)?);
    let days = i32::try_from(part(2)? * 7 + part(3)?);
    match (months, days, total) {
        (Ok(months), Ok(days), Some(micros)) => {
            Ok(Datum::Interval(Interval { months, days, micros }))
        }
        _ => Err(overflow("interval")),
    }
}

/// Whole units moved from a smaller part to a larger one, the same sign for both.
fn carried(high: i64, low: i64, unit: i64) -> (i64, i64) {
    let (mut high, mut low) = (high + low / unit, low % unit);
    if high > 0 && low < 0 {
        low += unit;
        high -= 1;
    } else if high < 0 && low > 0 {
        low -= unit;
        high += 1;
    }
    (high, low)
}

fn justified<'a>(span: Interval, hours: bool, days: bool) -> Evaluated<'a> {
    let (mut months, mut whole_days, mut micros) =
        (i64::from(span.months), i64::from(span.days), span.micros);
    if hours && days {
        // All in one, so that the signs agree in the end.
        (whole_days, micros) = (whole_days + micros / DAY, micros % DAY);
        (months, whole_days) = (months + whole_days / 30, whole_days % 30);
        if months > 0 && (whole_days < 0 || (whole_days == 0 && micros < 0)) {
            whole_days += 30;
            months -= 1;
        } else if months < 0 && (whole_days > 0 || (whole_days == 0 && micros > 0)) {
            whole_days -= 30;
            months += 1;
        }
        if whole_days > 0 && micros < 0 {
            micros += DAY;
            whole_days -= 1;
        } else if whole_days < 0 && micros > 0 {
            micros -= DAY;
            whole_days += 1;
        }
    } else if hours {
        (whole_days, micros) = carried(whole_days, micros, DAY);
    } else {
        (months, whole_days) = carried(months, whole_days, 30);
    }
    match (i32::try_from(months), i32::try_from(whole_days)) {
        (Ok(months), Ok(days)) => Ok(Datum::Interval(Interval { months, days, micros })),
        _ => Err(overflow("interval")),
    }
}

/// The start of the bin of a width, counted from an origin.
fn bin(width: Interval, value: i64, origin: i64) -> Result<i64, EvalError> {
    if is_infinite(value) || is_infinite(origin) {
        return Ok(value);
    }
    if width.months != 0 {
        return Err(EvalError::invalid(
            SqlState::FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let stride =
        i64::from(width.days).checked_mul(DAY).and_then(|days| days.checked_add(width.micros));
    let stride = stride.ok_or_else(|| overflow("interval"))?;
    if stride <= 0 {
        return Err(field_overflow("stride must be greater than zero".to_owned()));
    }
    let distance = value.checked_sub(origin).ok_or_else(|| overflow("interval"))?;
    checked(value.saturating_sub(distance.rem_euclid(stride)))
}

/// The zone of an interval's hours, positive to the east.
fn interval_zone(span: Interval) -> Result<TimeZone, EvalError> {
    if span.months != 0 || span.days != 0 {
        return Err(bad_parameter("interval time zone must not include months or days"));
    }
    fixed_zone(span.micros / 1_000_000).ok_or_else(|| overflow("interval"))
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "Made of its fields.";
    d.add(
        "make_date",
        "make_date(int4, int4, int4) -> date",
        |a, _| {
            let days = days_from(int(a, 0)?, int(a, 1)?, int(a, 2)?)?;
            Ok(Datum::Date(super::checked_date(days)?))
        },
        doc,
    );
    d.add(
        "make_time",
        "make_time(int4, int4, float8) -> time",
        |a, _| Ok(Datum::Time(time_from(int(a, 0)?, int(a, 1)?, float8(a, 2)?)?)),
        doc,
    );
    let stamp: Eval = |a, _| Ok(Datum::Timestamp(local_from(a)?));
    d.add(
        "make_timestamp",
        "make_timestamp(int4, int4, int4, int4, int4, float8) -> timestamp",
        stamp,
        doc,
    );
    let zoned: Eval = |a, _| Ok(Datum::TimestampTz(to_utc(local_from(a)?, &zone_argument(a, 6)?)?));
    d.add(
        "make_timestamptz",
        "make_timestamptz(int4, int4, int4, int4, int4, float8) -> timestamptz",
        zoned,
        doc,
    )
    .zone();
    d.add(
        "make_timestamptz_at_timezone",
        "make_timestamptz(int4, int4, int4, int4, int4, float8, text) -> timestamptz",
        zoned,
        doc,
    );
    for count in 0..=7 {
        let mut types = vec!["int4"; count];
        if count == 7 {
            types[6] = "float8";
        }
        let id =
            if count == 7 { "make_interval".to_owned() } else { format!("make_interval{count}") };
        let signature = format!("make_interval({}) -> interval", types.join(", "));
        d.add(&id, &signature, |a, _| interval_from(a), doc);
    }
    define_zones(d);
    define_shapes(d);
}

fn define_zones(d: &mut Definitions) {
    let epoch: Eval = |a, _| {
        let seconds = float8(a, 0)?;
        if seconds.is_infinite() {
            return Ok(Datum::TimestampTz(if seconds > 0.0 { i64::MAX } else { i64::MIN }));
        }
        if seconds.is_nan() {
            return Err(field_overflow("timestamp cannot be NaN".to_owned()));
        }
        let micros = ((seconds - 946_684_800.0) * 1e6).round_ties_even();
        if micros.abs() > 9.22e18 {
            return Err(field_overflow(format!("timestamp out of range: \"{seconds}\"")));
        }
        Ok(Datum::TimestampTz(checked(micros as i64)?))
    };
    d.add(
        "float8_timestamptz",
        "to_timestamp(float8) -> timestamptz",
        epoch,
        "Seconds since 1970.",
    );
    let doc = "AT TIME ZONE.";
    let to_instant: Eval =
        |a, _| Ok(Datum::TimestampTz(to_utc(timestamp(a, 1)?, &zone(text(a, 0)?)?)?));
    d.add("timestamp_zone", "timezone(text, timestamp) -> timestamptz", to_instant, doc);
    let to_clock: Eval =
        |a, _| Ok(Datum::Timestamp(to_local(timestamptz(a, 1)?, &zone(text(a, 0)?)?)?));
    d.add("timestamptz_zone", "timezone(text, timestamptz) -> timestamp", to_clock, doc);
    let to_instant: Eval =
        |a, _| Ok(Datum::TimestampTz(to_utc(timestamp(a, 1)?, &interval_zone(interval(a, 0)?)?)?));
    d.add("timestamp_izone", "timezone(interval, timestamp) -> timestamptz", to_instant, doc);
    let to_clock: Eval = |a, _| {
        Ok(Datum::Timestamp(to_local(timestamptz(a, 1)?, &interval_zone(interval(a, 0)?)?)?))
    };
    d.add("timestamptz_izone", "timezone(interval, timestamptz) -> timestamp", to_clock, doc);
}

fn define_shapes(d: &mut Definitions) {
    let doc = "With whole days as months, or whole hours as days.";
    d.add(
        "interval_justify_hours",
        "justify_hours(interval) -> interval",
        |a, _| justified(interval(a, 0)?, true, false),
        doc,
    );
    d.add(
        "interval_justify_days",
        "justify_days(interval) -> interval",
        |a, _| justified(interval(a, 0)?, false, true),
        doc,
    );
    d.add(
        "interval_justify_interval",
        "justify_interval(interval) -> interval",
        |a, _| justified(interval(a, 0)?, true, true),
        doc,
    );
    let doc = "The start of the bin that holds a time.";
    let stamp: Eval =
        |a, _| Ok(Datum::Timestamp(bin(interval(a, 0)?, timestamp(a, 1)?, timestamp(a, 2)?)?));
    d.add("timestamp_bin", "date_bin(interval, timestamp, timestamp) -> timestamp", stamp, doc);
    let zoned: Eval = |a, _| {
        Ok(Datum::TimestampTz(bin(interval(a, 0)?, timestamptz(a, 1)?, timestamptz(a, 2)?)?))
    };
    d.add(
        "timestamptz_bin",
        "date_bin(interval, timestamptz, timestamptz) -> timestamptz",
        zoned,
        doc,
    );
    let doc = "Whether it is no infinity.";
    let finite_date: Eval = |a, _| Ok(Datum::Bool(!matches!(date(a, 0)?, i32::MAX | i32::MIN)));
    d.add("date_finite", "isfinite(date) -> bool", finite_date, doc);
    d.add(
        "timestamp_finite",
        "isfinite(timestamp) -> bool",
        |a, _| Ok(Datum::Bool(!is_infinite(timestamp(a, 0)?))),
        doc,
    );
    d.add(
        "timestamptz_finite",
        "isfinite(timestamptz) -> bool",
        |a, _| Ok(Datum::Bool(!is_infinite(timestamptz(a, 0)?))),
        doc,
    );
    d.add(
        "interval_finite",
        "isfinite(interval) -> bool",
        |a, _| interval(a, 0).map(|_| Datum::Bool(true)),
        doc,
    );
}
