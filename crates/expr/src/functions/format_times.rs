//! `to_char` of dates, times and intervals, `to_timestamp` and `to_date`.

mod read;
mod show;
mod template;

use tidemill_repr::{Datum, Interval, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, interval, text, timestamp, timestamptz};
use crate::functions::datetime::calendar::{
    DAY, Fields, HOUR, checked, checked_date, fixed_zone, is_infinite, offset_at, to_local, to_utc,
    zone,
};
use crate::functions::datetime::zone_argument;
use crate::functions::format_times::show::{Shown, render};
use crate::scalar::EvalContext;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// The ending of an ordinal number with these digits.
pub(super) fn ordinal(digits: &str) -> &'static str {
    let mut last = digits.bytes().rev();
    let (one, ten) = (last.next(), last.next());
    match (ten, one) {
        (Some(b'1'), _) => "th",
        (_, Some(b'1')) => "st",
        (_, Some(b'2')) => "nd",
        (_, Some(b'3')) => "rd",
        _ => "th",
    }
}

/// What a text says by a template, and what the template asks for.
pub(super) struct ReadMoment {
    pub(super) local: i64,
    /// Seconds east.
    pub(super) offset: Option<i64>,
    pub(super) dated: bool,
    pub(super) timed: bool,
    pub(super) zoned: bool,
}

/// Reads a text by a template, for jsonpath's `.datetime()`.
pub(super) fn read_moment(text: &str, template: &str) -> Result<ReadMoment, EvalError> {
    let (mut dated, mut timed, mut zoned) = (false, false, false);
    for node in template::parse(template) {
        let template::Node::Pattern(pattern) = node else { continue };
        match pattern.key {
            "FX" => {}
            "TZH" | "TZM" | "OF" | "TZ" => zoned = true,
            "SSSSS" | "A.M." | "P.M." | "HH24" | "HH12" | "SSSS" | "FF1" | "FF2" | "FF3"
            | "FF4" | "FF5" | "FF6" | "AM" | "HH" | "MI" | "MS" | "PM" | "SS" | "US" => {
                timed = true
            }
            _ => dated = true,
        }
    }
    let found = read::read(text, template)?;
    Ok(ReadMoment { local: found.local, offset: found.offset, dated, timed, zoned })
}

fn of_interval(span: Interval) -> Shown {
    let fields = Fields {
        year: i64::from(span.months / 12),
        month: i64::from(span.months % 12),
        day: i64::from(span.days),
        micros: span.micros % DAY,
        days: i64::from(span.days),
    };
    let hours = span.micros / HOUR;
    Shown { fields, hours, offset: 0, zone_name: String::new(), is_interval: true }
}

/// What a zone is called at an instant.
fn zone_name(utc: i64, zone: &jiff::tz::TimeZone) -> String {
    let seconds = utc.div_euclid(1_000_000) + 10_957 * 86_400;
    match jiff::Timestamp::from_second(seconds) {
        Ok(instant) => zone.to_offset_info(instant).abbreviation().to_owned(),
        Err(_) => String::new(),
    }
}

fn show_stamp<'a>(value: i64, template: &str, context: EvalContext<'a>) -> Evaluated<'a> {
    if template.is_empty() || is_infinite(value) {
        return Ok(Datum::Null);
    }
    let fields = Fields::of(value);
    let hours = fields.micros / HOUR;
    let shown = Shown { fields, hours, offset: 0, zone_name: String::new(), is_interval: false };
    Ok(context.text(&render(&template::parse(template), &shown)?))
}

fn show_zoned<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (value, template, name) = (timestamptz(a, 0)?, text(a, 1)?, text(a, 2)?);
    if template.is_empty() || is_infinite(value) {
        return Ok(Datum::Null);
    }
    let zone = zone(name)?;
    let fields = Fields::of(to_local(value, &zone)?);
    let hours = fields.micros / HOUR;
    let zone_name = zone_name(value, &zone);
    let shown =
        Shown { fields, hours, offset: offset_at(value, &zone), zone_name, is_interval: false };
    Ok(context.text(&render(&template::parse(template), &shown)?))
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "Written by a template.";
    let stamp: Eval = |a, c| show_stamp(timestamp(a, 0)?, text(a, 1)?, c);
    d.add("timestamp_to_char", "to_char(timestamp, text) -> text", stamp, doc);
    d.add("timestamptz_to_char", "to_char(timestamptz, text) -> text", show_zoned, doc).zone();
    let span: Eval = |a, c| {
        let (value, template) = (interval(a, 0)?, text(a, 1)?);
        if template.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(c.text(&render(&template::parse(template), &of_interval(value))?))
    };
    d.add("interval_to_char", "to_char(interval, text) -> text", span, doc);
    let doc = "Read by a template.";
    let to_stamp: Eval = |a, _| {
        let found = read::read(text(a, 0)?, text(a, 1)?)?;
        let local = super::casts::to_precision(
            checked(found.local)?,
            if found.precision == 0 { 6 } else { found.precision },
        );
        let zone = match found.offset.map(fixed_zone) {
            Some(zone) => zone.ok_or_else(|| super::datetime::calendar::overflow("timestamp"))?,
            None => zone_argument(a, 2)?,
        };
        Ok(Datum::TimestampTz(to_utc(local, &zone)?))
    };
    d.add("to_timestamp", "to_timestamp(text, text) -> timestamptz", to_stamp, doc).zone();
    let to_date: Eval = |a, _| {
        let source = text(a, 0)?;
        let days = read::read(source, text(a, 1)?)?.days;
        Ok(Datum::Date(checked_date(days).map_err(|_: EvalError| {
            EvalError::invalid(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date out of range: \"{source}\""),
            )
        })?))
    };
    d.add("to_date", "to_date(text, text) -> date", to_date, doc);
}
