//! Parts of dates and times: `extract`, `date_part`, `date_trunc`, `age`.

use ethnum::I256;
use tidemill_repr::{Datum, Interval, Numeric, SqlState, TimeTz};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{
    Evaluated, bad_parameter, date, interval, text, time, timestamp, timestamptz,
};
use crate::functions::datetime::calendar::{
    DAY, EPOCH_JULIAN, Fields, HOUR, MINUTE, SECOND, at, date_of, days_in_month, days_of,
    is_infinite, offset_at, to_local, to_utc,
};
use crate::functions::datetime::zone_argument;

/// A value with digits after the point: `mantissa * 10^-scale`.
type Decimal = (i128, u16);

fn not_recognized(unit: &str, type_name: &str) -> EvalError {
    bad_parameter(format!("unit \"{unit}\" not recognized for type {type_name}"))
}

fn not_supported(unit: &str, type_name: &str) -> EvalError {
    EvalError::invalid(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("unit \"{unit}\" not supported for type {type_name}"),
    )
}

/// The one spelling of a unit.
fn unit_of(name: &str) -> Option<&'static str> {
    let name = name.trim().to_ascii_lowercase();
    Some(match name.as_str() {
        "microseconds" | "microsecond" | "us" | "usec" | "usecs" | "usecond" | "useconds"
        | "microsecon" => "microseconds",
        "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" | "msecond" | "mseconds"
        | "millisecon" => "milliseconds",
        "second" | "seconds" | "sec" | "secs" | "s" => "second",
        "minute" | "minutes" | "min" | "mins" | "m" => "minute",
        "hour" | "hours" | "hr" | "hrs" | "h" => "hour",
        "day" | "days" | "d" => "day",
        "week" | "weeks" | "w" => "week",
        "month" | "months" | "mon" | "mons" => "month",
        "quarter" | "qtr" => "quarter",
        "year" | "years" | "yr" | "yrs" | "y" => "year",
        "decade" | "decades" | "dec" | "decs" => "decade",
        "century" | "centuries" | "cent" | "c" => "century",
        "millennium" | "millennia" | "mil" | "mils" => "millennium",
        "dow" => "dow",
        "isodow" => "isodow",
        "doy" => "doy",
        "isoyear" => "isoyear",
        "julian" | "jd" | "j" => "julian",
        "epoch" => "epoch",
        "timezone" => "timezone",
        "timezone_hour" | "timezone_h" => "timezone_hour",
        "timezone_minute" | "timezone_m" => "timezone_minute",
        _ => return None,
    })
}

/// Units of the time of day.
fn time_part(unit: &str, micros: i64) -> Option<Decimal> {
    let of_minute = i128::from(micros % MINUTE);
    Some(match unit {
        "microseconds" => (of_minute, 0),
        "milliseconds" => (of_minute, 3),
        "second" => (of_minute, 6),
        "minute" => (i128::from(micros % HOUR / MINUTE), 0),
        "hour" => (i128::from(micros / HOUR), 0),
        _ => return None,
    })
}

/// Units of the date.
fn date_part(unit: &str, fields: &Fields) -> Option<Decimal> {
    let year = fields.year;
    // There is no year 0: it is 1 BC.
    let shown = if year > 0 { year } else { year - 1 };
    let value = match unit {
        "day" => fields.day,
        "week" => fields.iso_week().1,
        "month" => fields.month,
        "quarter" => (fields.month - 1) / 3 + 1,
        "year" => shown,
        "decade" => year.div_euclid(10),
        "century" => {
            if year > 0 {
                (year + 99) / 100
            } else {
                -((99 - (year - 1)) / 100)
            }
        }
        "millennium" => {
            if year > 0 {
                (year + 999) / 1000
            } else {
                -((999 - (year - 1)) / 1000)
            }
        }
        "dow" => fields.iso_weekday() % 7,
        "isodow" => fields.iso_weekday(),
        "doy" => fields.day_of_year(),
        "isoyear" => match fields.iso_week().0 {
            year if year > 0 => year,
            year => year - 1,
        },
        _ => return None,
    };
    Some((i128::from(value), 0))
}

/// 10957 days in seconds: from the Unix epoch to 2000.
const UNIX_MICROS: i128 = 946_684_800_000_000;

fn numeric_of(value: Decimal) -> Numeric {
    Numeric::new(I256::from(value.0), value.1).unwrap_or(Numeric::NaN)
}

/// What a unit of an infinite value is: an infinity if it grows with time, else NULL.
fn of_infinity(unit: &str, negative: bool) -> Option<Numeric> {
    let grows = matches!(
        unit,
        "year" | "decade" | "century" | "millennium" | "julian" | "isoyear" | "epoch"
    );
    let infinity = if negative { Numeric::NegativeInfinity } else { Numeric::PositiveInfinity };
    grows.then_some(infinity)
}

fn part_of_stamp(
    name: &str,
    local: i64,
    offset: Option<i64>,
) -> Result<Option<Numeric>, EvalError> {
    let type_name = match offset {
        Some(_) => "timestamp with time zone",
        None => "timestamp without time zone",
    };
    let unit = unit_of(name).ok_or_else(|| not_recognized(name, type_name))?;
    if is_infinite(local) {
        return Ok(of_infinity(unit, local < 0));
    }
    let fields = Fields::of(local);
    let seconds = offset.unwrap_or(0);
    let value = match unit {
        "epoch" => (i128::from(local) - i128::from(seconds * SECOND) + UNIX_MICROS, 6),
        "timezone" if offset.is_some() => (i128::from(seconds), 0),
        "timezone_hour" if offset.is_some() => (i128::from(seconds / 3600), 0),
        "timezone_minute" if offset.is_some() => (i128::from(seconds / 60 % 60), 0),
        "julian" => {
            let whole = Numeric::from(fields.days + EPOCH_JULIAN);
            let fraction = Numeric::from(fields.micros).div(&Numeric::from(DAY))?;
            return Ok(Some(if fields.micros == 0 { whole } else { whole.add(&fraction)? }));
        }
        _ => time_part(unit, fields.micros)
            .or_else(|| date_part(unit, &fields))
            .ok_or_else(|| not_supported(name, type_name))?,
    };
    Ok(Some(numeric_of(value)))
}

fn part_of_date(name: &str, days: i32) -> Result<Option<Numeric>, EvalError> {
    let unit = unit_of(name).ok_or_else(|| not_recognized(name, "date"))?;
    if days == i32::MAX || days == i32::MIN {
        return Ok(of_infinity(unit, days < 0));
    }
    let (year, month, day) = date_of(i64::from(days));
    let fields = Fields { year, month, day, micros: 0, days: i64::from(days) };
    let value = match unit {
        "epoch" => (i128::from(days) * 86_400 + UNIX_MICROS / 1_000_000, 0),
        "julian" => (i128::from(days) + i128::from(EPOCH_JULIAN), 0),
        _ => date_part(unit, &fields).ok_or_else(|| not_supported(name, "date"))?,
    };
    Ok(Some(numeric_of(value)))
}

/// A part of a time with a zone: the offset is in seconds east of Greenwich.
pub(in crate::functions) fn part_of_timetz(
    name: &str,
    value: TimeTz,
) -> Result<Option<Numeric>, EvalError> {
    let type_name = "time with time zone";
    let unit = unit_of(name).ok_or_else(|| not_recognized(name, type_name))?;
    let offset = -i128::from(value.zone);
    let decimal = match unit {
        "epoch" => (i128::from(value.utc_micros()), 6),
        "timezone" => (offset, 0),
        "timezone_hour" => (offset / 3600, 0),
        "timezone_minute" => (offset / 60 % 60, 0),
        _ => time_part(unit, value.micros).ok_or_else(|| not_supported(name, type_name))?,
    };
    Ok(Some(numeric_of(decimal)))
}

fn part_of_time(name: &str, micros: i64) -> Result<Option<Numeric>, EvalError> {
    let type_name = "time without time zone";
    let unit = unit_of(name).ok_or_else(|| not_recognized(name, type_name))?;
    let value = match unit {
        "epoch" => (i128::from(micros), 6),
        _ => time_part(unit, micros).ok_or_else(|| not_supported(name, type_name))?,
    };
    Ok(Some(numeric_of(value)))
}

fn part_of_interval(name: &str, span: Interval) -> Result<Option<Numeric>, EvalError> {
    let unit = unit_of(name).ok_or_else(|| not_recognized(name, "interval"))?;
    let years = i128::from(span.months / 12);
    let value = match unit {
        "epoch" => {
            let days =
                years * 1461 * 6 + (i128::from(span.months % 12) * 30 + i128::from(span.days)) * 24;
            // A year has 365.25 days here, a month 30: in hours.
            (days * i128::from(HOUR) + i128::from(span.micros), 6)
        }
        "day" => (i128::from(span.days), 0),
        "month" => (i128::from(span.months % 12), 0),
        "quarter" => (i128::from(span.months % 12 / 3 + 1), 0),
        "year" => (years, 0),
        "decade" => (years / 10, 0),
        "century" => (years / 100, 0),
        "millennium" => (years / 1000, 0),
        _ => time_part(unit, span.micros).ok_or_else(|| not_supported(name, "interval"))?,
    };
    Ok(Some(numeric_of(value)))
}

fn as_numeric<'a>(part: Option<Numeric>) -> Evaluated<'a> {
    Ok(part.map_or(Datum::Null, Datum::Numeric))
}

fn as_float<'a>(part: Option<Numeric>) -> Evaluated<'a> {
    Ok(part.map_or(Datum::Null, |part| Datum::Float8(part.to_f64())))
}

fn part_with_zone(a: &[Datum<'_>]) -> Result<Option<Numeric>, EvalError> {
    let (utc, zone) = (timestamptz(a, 1)?, zone_argument(a, 2)?);
    let offset = if is_infinite(utc) { 0 } else { offset_at(utc, &zone) };
    part_of_stamp(text(a, 0)?, to_local(utc, &zone)?, Some(offset))
}

/// The local timestamp cut to a unit.
fn truncated(name: &str, local: i64, type_name: &str) -> Result<i64, EvalError> {
    let unit = unit_of(name).ok_or_else(|| not_recognized(name, type_name))?;
    if is_infinite(local) {
        return Ok(local);
    }
    let fields = Fields::of(local);
    let year = fields.year;
    let to = |unit: i64| at(fields.days, fields.micros / unit * unit);
    match unit {
        "microseconds" => Ok(local),
        "milliseconds" => to(1000),
        "second" => to(SECOND),
        "minute" => to(MINUTE),
        "hour" => to(HOUR),
        "day" => at(fields.days, 0),
        "week" => at(fields.days - fields.iso_weekday() + 1, 0),
        "month" => at(days_of(year, fields.month, 1), 0),
        "quarter" => at(days_of(year, (fields.month - 1) / 3 * 3 + 1, 1), 0),
        "year" => at(days_of(year, 1, 1), 0),
        "decade" => at(days_of(year.div_euclid(10) * 10, 1, 1), 0),
        "century" => at(days_of((year - 1).div_euclid(100) * 100 + 1, 1, 1), 0),
        "millennium" => at(days_of((year - 1).div_euclid(1000) * 1000 + 1, 1, 1), 0),
        _ => Err(not_supported(name, type_name)),
    }
}

fn truncated_interval(name: &str, span: Interval) -> Result<Interval, EvalError> {
    let unit = unit_of(name).ok_or_else(|| not_recognized(name, "interval"))?;
    let months = |unit: i32| Interval { months: span.months / unit * unit, days: 0, micros: 0 };
    let micros = |unit: i64| Interval { micros: span.micros / unit * unit, ..span };
    Ok(match unit {
        "microseconds" => span,
        "milliseconds" => micros(1000),
        "second" => micros(SECOND),
        "minute" => micros(MINUTE),
        "hour" => micros(HOUR),
        "day" => Interval { micros: 0, ..span },
        "month" => months(1),
        "quarter" => months(3),
        "year" => months(12),
        "decade" => months(120),
        "century" => months(1200),
        "millennium" => months(12_000),
        _ => return Err(not_supported(name, "interval")),
    })
}

fn truncated_in_zone<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let zone = zone_argument(a, 2)?;
    let local = to_local(timestamptz(a, 1)?, &zone)?;
    let cut = truncated(text(a, 0)?, local, "timestamp with time zone")?;
    Ok(Datum::TimestampTz(to_utc(cut, &zone)?))
}

/// The difference in years, months, days and time, as a person counts.
fn age(later: i64, earlier: i64) -> Result<Interval, EvalError> {
    if is_infinite(later) || is_infinite(earlier) {
        return Err(super::overflow("interval"));
    }
    let negative = later < earlier;
    let (high, low) = if negative { (earlier, later) } else { (later, earlier) };
    let (to, from) = (Fields::of(high), Fields::of(low));
    let mut months = (to.year - from.year) * 12 + to.month - from.month;
    let mut days = to.day - from.day;
    let mut micros = to.micros - from.micros;
    if micros < 0 {
        micros += DAY;
        days -= 1;
    }
    if days < 0 {
        // The days of the month of the earlier one.
        days += days_in_month(from.year, from.month);
        months -= 1;
    }
    let span = Interval { months: months as i32, days: days as i32, micros };
    if negative { super::negated(span) } else { Ok(span) }
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "A part of a date or time.";
    macro_rules! parts {
        ($($typ:literal $part:expr;)*) => {
            $({
                const PART: fn(&[Datum<'_>]) -> Result<Option<Numeric>, EvalError> = $part;
                d.add(concat!("extract_", $typ), concat!("extract(text, ", $typ, ") -> numeric"), |a, _| as_numeric(PART(a)?), doc);
                d.add(concat!($typ, "_part"), concat!("date_part(text, ", $typ, ") -> float8"), |a, _| as_float(PART(a)?), doc);
            })*
        };
    }
    parts! {
        "date" |a| part_of_date(text(a, 0)?, date(a, 1)?);
        "time" |a| part_of_time(text(a, 0)?, time(a, 1)?);
        "timestamp" |a| part_of_stamp(text(a, 0)?, timestamp(a, 1)?, None);
        "interval" |a| part_of_interval(text(a, 0)?, interval(a, 1)?);
    }
    d.add(
        "extract_timestamptz",
        "extract(text, timestamptz) -> numeric",
        |a, _| as_numeric(part_with_zone(a)?),
        doc,
    )
    .zone();
    d.add(
        "timestamptz_part",
        "date_part(text, timestamptz) -> float8",
        |a, _| as_float(part_with_zone(a)?),
        doc,
    )
    .zone();
    let doc = "Cut to a unit.";
    let stamp: Eval = |a, _| {
        let cut = truncated(text(a, 0)?, timestamp(a, 1)?, "timestamp without time zone")?;
        Ok(Datum::Timestamp(cut))
    };
    d.add("timestamp_trunc", "date_trunc(text, timestamp) -> timestamp", stamp, doc);
    d.add(
        "timestamptz_trunc",
        "date_trunc(text, timestamptz) -> timestamptz",
        |a, _| truncated_in_zone(a),
        doc,
    )
    .zone();
    d.add(
        "timestamptz_trunc_zone",
        "date_trunc(text, timestamptz, text) -> timestamptz",
        |a, _| truncated_in_zone(a),
        doc,
    );
    let span: Eval = |a, _| Ok(Datum::Interval(truncated_interval(text(a, 0)?, interval(a, 1)?)?));
    d.add("interval_trunc", "date_trunc(text, interval) -> interval", span, doc);
    let doc = "The difference in years, months, days and time.";
    let stamps: Eval = |a, _| Ok(Datum::Interval(age(timestamp(a, 0)?, timestamp(a, 1)?)?));
    d.add("timestamp_age", "age(timestamp, timestamp) -> interval", stamps, doc);
    let zoned: Eval = |a, _| {
        let zone = zone_argument(a, 2)?;
        let (left, right) =
            (to_local(timestamptz(a, 0)?, &zone)?, to_local(timestamptz(a, 1)?, &zone)?);
        Ok(Datum::Interval(age(left, right)?))
    };
    d.add("timestamptz_age", "age(timestamptz, timestamptz) -> interval", zoned, doc).zone();
}
