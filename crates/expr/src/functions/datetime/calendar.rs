//! Days, fields of a timestamp, and time zones, over PostgreSQL's whole range.

use std::cell::RefCell;
use std::collections::HashMap;

use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use tidemill_repr::SqlState;

use crate::error::EvalError;
use crate::functions::arguments::bad_parameter;

/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000;
/// Microseconds of an hour.
pub(crate) const HOUR: i64 = 3_600_000_000;
/// Microseconds of a minute.
pub(crate) const MINUTE: i64 = 60_000_000;
/// Microseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000;
/// 2000-01-01 in days after 1970-01-01.
const EPOCH_DAYS: i64 = 10_957;
/// 2000-01-01 as a Julian day.
pub(crate) const EPOCH_JULIAN: i64 = 2_451_545;
/// The first timestamp: 4713-11-24 BC.
const FIRST: i64 = -211_813_488_000_000_000;
/// Past the last timestamp.
const END: i64 = 9_223_371_331_200_000_000;
/// The last date.
const LAST_DATE: i64 = 2_145_031_948;

/// `<type> out of range` (`22008`)
pub(crate) fn overflow(type_name: &str) -> EvalError {
    EvalError::invalid(SqlState::DATETIME_FIELD_OVERFLOW, format!("{type_name} out of range"))
}

/// Days after 2000-01-01 of a proleptic Gregorian date; year 0 is 1 BC.
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468 - EPOCH_DAYS
}

/// Year, month and day of days after 2000-01-01.
pub(crate) fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + EPOCH_DAYS + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let place = (5 * of_year + 2) / 153;
    let month = if place < 10 { place + 3 } else { place - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * place + 2) / 5 + 1)
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether a timestamp is one of the infinities.
pub(crate) fn is_infinite(micros: i64) -> bool {
    micros == i64::MAX || micros == i64::MIN
}

/// A timestamp in range.
pub(crate) fn checked(micros: i64) -> Result<i64, EvalError> {
    if (FIRST..END).contains(&micros) { Ok(micros) } else { Err(overflow("timestamp")) }
}

/// A date in range.
pub(crate) fn checked_date(days: i64) -> Result<i32, EvalError> {
    match i32::try_from(days) {
        Ok(date) if (-EPOCH_JULIAN..=LAST_DATE).contains(&days) => Ok(date),
        _ => Err(overflow("date")),
    }
}

/// A timestamp at midnight of a day, and so many microseconds after.
pub(crate) fn at(days: i64, micros: i64) -> Result<i64, EvalError> {
    let sum = days.checked_mul(DAY).and_then(|base| base.checked_add(micros));
    checked(sum.ok_or_else(|| overflow("timestamp"))?)
}

/// A timestamp in its fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    /// Microseconds since midnight.
    pub(crate) micros: i64,
    /// Days after 2000-01-01.
    pub(crate) days: i64,
}

impl Fields {
    pub(crate) fn of(timestamp: i64) -> Fields {
        let days = timestamp.div_euclid(DAY);
        let (year, month, day) = date_of(days);
        Fields { year, month, day, micros: timestamp.rem_euclid(DAY), days }
    }

    /// 1 for Monday to 7 for Sunday.
    pub(crate) fn iso_weekday(&self) -> i64 {
        // 2000-01-01 was a Saturday.
        (self.days + 5).rem_euclid(7) + 1
    }

    pub(crate) fn day_of_year(&self) -> i64 {
        self.days - days_of(self.year, 1, 1) + 1
    }

    /// Year and number of the ISO week.
    pub(crate) fn iso_week(&self) -> (i64, i64) {
        let thursday = self.days - self.iso_weekday() + 4;
        let (year, _, _) = date_of(thursday);
        (year, (thursday - days_of(year, 1, 1)) / 7 + 1)
    }
}

thread_local! {
    static ZONES: RefCell<HashMap<String, TimeZone>> = RefCell::new(HashMap::new());
}

/// Abbreviations that PostgreSQL knows and the zones' database does not; hours east.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("z", 0),
    ("zulu", 0),
    ("ut", 0),
    ("wet", 0),
    ("bst", 1),
    ("cet", 1),
    ("west", 1),
    ("cest", 2),
    ("eet", 2),
    ("eest", 3),
    ("msk", 3),
    ("jst", 9),
    ("kst", 9),
    ("aest", 10),
    ("aedt", 11),
    ("nzst", 12),
    ("nzdt", 13),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
    ("akst", -9),
    ("akdt", -8),
    ("hst", -10),
];

/// A zone by name, abbreviation, or POSIX offset (whose sign is positive to the west).
///
/// # Errors
/// There is none (`22023`).
pub(crate) fn zone(name: &str) -> Result<TimeZone, EvalError> {
    if let Some(found) = ZONES.with_borrow(|zones| zones.get(name).cloned()) {
        return Ok(found);
    }
    let lower = name.trim().to_ascii_lowercase();
    let abbreviation = ABBREVIATIONS.iter().find(|known| known.0 == lower);
    let found = match abbreviation {
        Some((_, hours)) => fixed(hours * 3600),
        None => TimeZone::get(name.trim()).ok().or_else(|| posix(&lower).and_then(fixed)),
    };
    let found =
        found.ok_or_else(|| bad_parameter(format!("time zone \"{name}\" not recognized")))?;
    ZONES.with_borrow_mut(|zones| zones.insert(name.to_owned(), found.clone()));
    Ok(found)
}

fn fixed(seconds: impl Into<Option<i32>>) -> Option<TimeZone> {
    let offset = jiff::tz::Offset::from_seconds(seconds.into()?).ok()?;
    Some(TimeZone::fixed(offset))
}

/// A fixed zone so many seconds east.
pub(crate) fn fixed_zone(seconds: i64) -> Option<TimeZone> {
    fixed(i32::try_from(seconds).ok())
}

/// `UTC+3`, `<+03>-3`, `-05:30`: seconds east.
fn posix(name: &str) -> Option<i32> {
    let rest = match name.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => name.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    let (sign, digits) = match rest.split_at_checked(1)? {
        ("+", digits) => (-1, digits),
        ("-", digits) => (1, digits),
        _ => (-1, rest),
    };
    let mut parts = digits.split(':').map(|part| part.parse::<i32>().ok().filter(|n| *n < 168));
    let hours = parts.next()??;
    let minutes = parts.next().unwrap_or(Some(0))?;
    let seconds = parts.next().unwrap_or(Some(0))?;
    Some(sign * (hours * 3600 + minutes * 60 + seconds))
}

/// The same place of the 400-year cycle, within the years that zones are known for.
fn in_known_years(days: i64) -> i64 {
    let (low, high) = (days_of(-4000, 1, 1), days_of(8000, 1, 1));
    if (low..high).contains(&days) { days } else { low + (days - low).rem_euclid(146_097 * 20) }
}

fn civil_of(local: i64) -> Option<civil::DateTime> {
    let (year, month, day) = date_of(in_known_years(local.div_euclid(DAY)));
    let micros = local.rem_euclid(DAY);
    civil::DateTime::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
        i8::try_from(micros / HOUR).ok()?,
        i8::try_from(micros % HOUR / MINUTE).ok()?,
        i8::try_from(micros % MINUTE / SECOND).ok()?,
        i32::try_from(micros % SECOND * 1000).ok()?,
    )
    .ok()
}

/// Seconds east of UTC at an instant.
pub(crate) fn offset_at(utc: i64, zone: &TimeZone) -> i64 {
    let civil = civil_of(utc).and_then(|civil| TimeZone::UTC.to_timestamp(civil).ok());
    civil.map_or(0, |instant| i64::from(zone.to_offset(instant).seconds()))
}

/// The local time of an instant.
pub(crate) fn to_local(utc: i64, zone: &TimeZone) -> Result<i64, EvalError> {
    if is_infinite(utc) {
        return Ok(utc);
    }
    checked(utc.saturating_add(offset_at(utc, zone) * SECOND))
}

/// The instant of a local time: where the clock is set forward, by the offset before; where it
/// is set back, by the one after.
pub(crate) fn to_utc(local: i64, zone: &TimeZone) -> Result<i64, EvalError> {
    if is_infinite(local) {
        return Ok(local);
    }
    let offset = civil_of(local).map(|civil| match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } => before,
        AmbiguousOffset::Fold { after, .. } => after,
    });
    let seconds = offset.map_or(0, |offset| i64::from(offset.seconds()));
    checked(local.saturating_sub(seconds * SECOND))
}
