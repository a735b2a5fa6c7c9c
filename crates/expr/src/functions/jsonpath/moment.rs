//! Dates and times in a path.

use std::cmp::Ordering;

use tidemill_repr::time::{
    DAY, Reading, TimeZone, format_date, format_time, format_timestamp, parse_date, parse_time,
    parse_timestamp,
};
use tidemill_repr::{SqlState, TimeTz};

use crate::error::EvalError;
use crate::functions::format_times;
use crate::functions::jsonpath::evaluate::Failure;
use crate::functions::jsonpath::soft;

/// A date or a time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    Date(i32),
    Time(i64),
    /// The zone is in seconds west, as everywhere.
    TimeTz(TimeTz),
    Timestamp(i64),
    /// In UTC, with the offset it was written with, in seconds east.
    TimestampTz(i64, i32),
}

const SECOND: i64 = 1_000_000;

fn offset_text(seconds: i32, out: &mut String) {
    let (sign, seconds) = if seconds < 0 { ('-', -seconds) } else { ('+', seconds) };
    out.push_str(&format!("{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60));
}

impl Moment {
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Moment::Date(_) => "date",
            Moment::Time(_) => "time without time zone",
            Moment::TimeTz(_) => "time with time zone",
            Moment::Timestamp(_) => "timestamp without time zone",
            Moment::TimestampTz(..) => "timestamp with time zone",
        }
    }

    /// As ISO 8601 writes it.
    pub(super) fn text(self) -> String {
        let mut out = String::new();
        match self {
            Moment::Date(days) => format_date(days, &mut out),
            Moment::Time(micros) => format_time(micros, &mut out),
            Moment::TimeTz(time) => {
                format_time(time.micros, &mut out);
                offset_text(-time.zone, &mut out);
            }
            Moment::Timestamp(micros) => {
                format_timestamp(micros, &mut out);
                out = out.replacen(' ', "T", 1);
            }
            Moment::TimestampTz(utc, offset) => {
                format_timestamp(utc.saturating_add(i64::from(offset) * SECOND), &mut out);
                out = out.replacen(' ', "T", 1);
                offset_text(offset, &mut out);
            }
        }
        out
    }

    /// Reads a text by a template, or in one of the forms of ISO 8601.
    pub(super) fn read(text: &str, template: Option<&str>) -> Result<Moment, Failure> {
        match template {
            Some(template) => {
                let read = format_times::read_moment(text, template).map_err(Failure::Soft)?;
                of_parts(read)
            }
            None => iso(text).ok_or_else(|| {
                soft(
                    SqlState::INVALID_ARGUMENT_FOR_JSON_DATETIME_FUNCTION,
                    format!("datetime format is not recognized: \"{text}\""),
                )
            }),
        }
    }

    /// None if the two have no order; an error if the session's zone is needed and not allowed.
    pub(super) fn compare(
        self,
        other: Moment,
        zone: Option<&str>,
    ) -> Result<Option<Ordering>, Failure> {
        use Moment::{Date, Time, Timestamp, TimestampTz};
        let midnight = |days: i32| i64::from(days).saturating_mul(DAY);
        Ok(Some(match (self, other) {
            (Date(left), Date(right)) => left.cmp(&right),
            (Date(left), Timestamp(right)) => midnight(left).cmp(&right),
            (Timestamp(left), Date(right)) => left.cmp(&midnight(right)),
            (Timestamp(left), Timestamp(right)) => left.cmp(&right),
            (TimestampTz(left, _), TimestampTz(right, _)) => left.cmp(&right),
            (Date(left), TimestampTz(right, _)) => {
                in_zone(midnight(left), "date", "timestamptz", zone)?.cmp(&right)
            }
            (TimestampTz(left, _), Date(right)) => {
                left.cmp(&in_zone(midnight(right), "date", "timestamptz", zone)?)
            }
            (Timestamp(left), TimestampTz(right, _)) => {
                in_zone(left, "timestamp", "timestamptz", zone)?.cmp(&right)
            }
            (TimestampTz(left, _), Timestamp(right)) => {
                left.cmp(&in_zone(right, "timestamp", "timestamptz", zone)?)
            }
            (Time(left), Time(right)) => left.cmp(&right),
            (Moment::TimeTz(left), Moment::TimeTz(right)) => left.sql_cmp(&right),
            (Time(left), Moment::TimeTz(right)) => with_zone(left, zone)?.sql_cmp(&right),
            (Moment::TimeTz(left), Time(right)) => left.sql_cmp(&with_zone(right, zone)?),
            _ => return Ok(None),
        }))
    }
}

fn zone_of(zone: Option<&str>, from: &str, to: &str) -> Result<TimeZone, Failure> {
    let Some(zone) = zone else {
        return Err(Failure::Hard(EvalError::invalid(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cannot convert value from {from} to {to} without time zone usage"),
        )));
    };
    TimeZone::parse(zone).map_err(|error| Failure::Hard(error.into()))
}

fn in_zone(local: i64, from: &str, to: &str, zone: Option<&str>) -> Result<i64, Failure> {
    Ok(zone_of(zone, from, to)?.to_utc(local))
}

/// A time in the zone's offset at the start of 2000, for want of a date.
fn with_zone(micros: i64, zone: Option<&str>) -> Result<TimeTz, Failure> {
    let zone = zone_of(zone, "time", "timetz")?;
    Ok(TimeTz { micros, zone: -zone.offset_at(0) })
}

fn of_parts(read: format_times::ReadMoment) -> Result<Moment, Failure> {
    let offset = read.offset.unwrap_or(0);
    let east = i32::try_from(offset).unwrap_or(0);
    let code = SqlState::INVALID_ARGUMENT_FOR_JSON_DATETIME_FUNCTION;
    Ok(match (read.dated, read.timed, read.zoned) {
        (true, true, true) => Moment::TimestampTz(read.local - offset * SECOND, east),
        (true, true, false) => Moment::Timestamp(read.local),
        (true, false, false) => {
            let days = i32::try_from(read.local.div_euclid(DAY));
            Moment::Date(
                days.map_err(|_| soft(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range"))?,
            )
        }
        (false, true, true) => {
            Moment::TimeTz(TimeTz { micros: read.local.rem_euclid(DAY), zone: -east })
        }
        (false, true, false) => Moment::Time(read.local.rem_euclid(DAY)),
        (_, false, true) => return Err(soft(code, "datetime format is zoned but not timed")),
        (false, false, false) => {
            return Err(soft(code, "datetime format is not dated and not timed"));
        }
    })
}

/// `2020-01-02`, `10:11:12.5`, both with `T` or a blank between them, a time with an offset.
fn iso(text: &str) -> Option<Moment> {
    let text = text.trim();
    let dated = text.split_once('-').is_some_and(|(year, _)| {
        !year.is_empty() && year.bytes().all(|byte| byte.is_ascii_digit())
    });
    let (date, time) = match dated {
        true => match text.split_once(['T', ' ']) {
            Some((date, time)) => (Some(date), Some(time)),
            None => (Some(text), None),
        },
        false => (None, Some(text)),
    };
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if let Some(date) = date {
        let parts: Vec<&str> = date.split('-').collect();
        let [year, month, day] = parts.as_slice() else { return None };
        if !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
            return None;
        }
    }
    let Some(time) = time else {
        return parse_date(date?, &Reading::plain()).ok().map(Moment::Date);
    };
    let (clock, offset) = match time.find(['+', '-']) {
        Some(at) => (&time[..at], Some(&time[at..])),
        None => (time, None),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else { return None };
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    if !digits(hour, 2) || !digits(minute, 2) || !digits(second, 2) || !digits(fraction, 6) {
        return None;
    }
    let offset = match offset {
        None => None,
        Some(written) => {
            let (hours, minutes) = written[1..].split_once(':').unwrap_or((&written[1..], "0"));
            if !digits(hours, 2) || !digits(minutes, 2) {
                return None;
            }
            let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
            if hours > 15 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            Some(if written.starts_with('-') { -seconds } else { seconds })
        }
    };
    match (date, offset) {
        (Some(date), None) => parse_timestamp(&format!("{date} {clock}"), &Reading::plain())
            .ok()
            .map(Moment::Timestamp),
        (Some(date), Some(east)) => {
            let local = parse_timestamp(&format!("{date} {clock}"), &Reading::plain()).ok()?;
            Some(Moment::TimestampTz(local.checked_sub(i64::from(east) * SECOND)?, east))
        }
        (None, None) => parse_time(clock, &Reading::plain()).ok().map(Moment::Time),
        (None, Some(east)) => {
            let micros = parse_time(clock, &Reading::plain()).ok()?;
            Some(Moment::TimeTz(TimeTz { micros, zone: -east }))
        }
    }
}
