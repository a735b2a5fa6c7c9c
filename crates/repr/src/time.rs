//! Dates, times of day, timestamps and time zones.
//!
//! Days and microseconds count from 2000-01-01, in the proleptic Gregorian calendar. The
//! largest and the smallest integer are the infinities. Reading lies in [`parse`], writing in
//! [`mod@format`].

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone as JiffZone};

use crate::error::{SqlError, SqlState};

pub mod format;
pub mod parse;
pub mod timetz;

pub use format::{
    format_date, format_time, format_timestamp, format_timestamptz, format_timetz, styled_date,
    styled_timestamp,
};
pub use parse::{
    Reading, parse_date, parse_time, parse_timestamp, parse_timestamptz, parse_timetz,
};
pub use timetz::TimeTz;

/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds of an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds of a day.
pub const DAY: i64 = 24 * HOUR;
/// Days from 1970-01-01 to 2000-01-01.
pub const UNIX_EPOCH_DAYS: i64 = 10957;
/// The first date: 4714-11-24 BC.
pub const MIN_DATE: i64 = -2_451_545;
/// The first day after the last date.
pub const END_DATE: i64 = 2_147_483_494;
/// The first timestamp: 4714-11-24 00:00 BC.
pub const MIN_TIMESTAMP: i64 = -211_813_488_000_000_000;
/// The first microsecond after the last timestamp: 294277-01-01 00:00.
pub const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;
/// After this many years, and this many days, the calendar repeats.
const CYCLE_DAYS: i64 = 146_097;

/// Whether these microseconds are a timestamp, or an infinity.
pub fn is_timestamp(micros: i64) -> bool {
    matches!(micros, i64::MIN | i64::MAX | MIN_TIMESTAMP..END_TIMESTAMP)
}

/// Days since 2000-01-01 of a date. Years before 1 count down from 0 (1 BC).
pub fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    // Years are counted from March, so that the leap day is the last of its year.
    let shifted = i64::from(year) - i64::from(month <= 2);
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * CYCLE_DAYS + day_of_era - 730_425
}

/// Year, month and day of days since 2000-01-01.
pub fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let days = days + 730_425;
    let era = days.div_euclid(CYCLE_DAYS);
    let day_of_era = days.rem_euclid(CYCLE_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as u8, day as u8)
}

/// How many days a month has.
pub fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year.rem_euclid(4) == 0
            && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) =>
        {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Rounds microseconds to `precision` digits of a second, half away from zero.
pub fn round_micros(micros: i64, precision: i32) -> i64 {
    if !(0..6).contains(&precision) || micros == i64::MAX || micros == i64::MIN {
        return micros;
    }
    let unit = 10i64.pow((6 - precision).unsigned_abs());
    let half = if micros < 0 { -unit / 2 } else { unit / 2 };
    micros.saturating_add(half) / unit * unit
}

/// A time zone: a name of the IANA database or an offset.
#[derive(Clone, Debug)]
pub struct TimeZone {
    zone: JiffZone,
}

static UTC: LazyLock<JiffZone> = LazyLock::new(|| JiffZone::fixed(Offset::UTC));

/// Abbreviations PostgreSQL knows by default and their offsets in minutes.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("utc", 0),
    ("gmt", 0),
    ("z", 0),
    ("zulu", 0),
    ("ut", 0),
    ("uct", 0),
    ("wet", 0),
    ("bst", 60),
    ("cet", 60),
    ("met", 60),
    ("cest", 120),
    ("mest", 120),
    ("eet", 120),
    ("eest", 180),
    ("msk", 180),
    ("jst", 540),
    ("kst", 540),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("hst", -600),
];

impl TimeZone {
    /// The zone without offset.
    pub fn utc() -> TimeZone {
        TimeZone { zone: UTC.clone() }
    }

    /// A zone by its seconds east of Greenwich.
    pub fn fixed(seconds: i32) -> Option<TimeZone> {
        Some(TimeZone { zone: JiffZone::fixed(Offset::from_seconds(seconds).ok()?) })
    }

    /// A zone by name, abbreviation or offset. A bare offset is what `SET timezone` reads: a
    /// number of hours east of Greenwich.
    ///
    /// # Errors
    /// No such zone.
    pub fn parse(text: &str) -> Result<TimeZone, SqlError> {
        let name = text.trim();
        if name.eq_ignore_ascii_case("utc") {
            return Ok(TimeZone::utc());
        }
        let known = ABBREVIATIONS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        if let Some((_, minutes)) = known
            && let Some(zone) = TimeZone::fixed(minutes * 60)
        {
            return Ok(zone);
        }
        if let Ok(zone) = JiffZone::get(name) {
            return Ok(TimeZone { zone });
        }
        if let Some(seconds) = parse::parse_offset(name)
            && let Some(zone) = TimeZone::fixed(seconds)
        {
            return Ok(zone);
        }
        // POSIX: `UTC+3`, `<+03>-3`, `EST5EDT`; the sign is west of Greenwich.
        if let Some(zone) = posix_offset(name).and_then(TimeZone::fixed) {
            return Ok(zone);
        }
        if let Ok(zone) = JiffZone::posix(name) {
            return Ok(TimeZone { zone });
        }
        Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("time zone \"{text}\" not recognized"),
        ))
    }

    /// The names of all zones of the IANA database.
    pub fn names() -> Vec<String> {
        jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect()
    }

    /// Whether clocks of the zone show summer time at a moment.
    pub fn is_summer_at(&self, utc: i64) -> bool {
        let seconds = utc.div_euclid(SECOND) + UNIX_EPOCH_DAYS * 86_400;
        let moment = Timestamp::from_second(within_years(seconds));
        moment.is_ok_and(|moment| self.zone.to_offset_info(moment).dst().is_dst())
    }

    /// The abbreviations that are known without a place, each with its seconds east of Greenwich.
    pub fn abbreviations() -> impl Iterator<Item = (&'static str, i32)> {
        ABBREVIATIONS.iter().map(|(name, minutes)| (*name, minutes * 60))
    }

    /// The zone for computations with jiff.
    pub fn jiff(&self) -> &JiffZone {
        &self.zone
    }

    /// Seconds east of Greenwich at a moment.
    pub fn offset_at(&self, utc: i64) -> i32 {
        if let Ok(offset) = self.zone.to_fixed_offset() {
            return offset.seconds();
        }
        let seconds = utc.div_euclid(SECOND) + UNIX_EPOCH_DAYS * 86_400;
        match Timestamp::from_second(within_years(seconds)) {
            Ok(moment) => self.zone.to_offset(moment).seconds(),
            Err(_) => 0,
        }
    }

    /// What people call its time at a moment, such as `CEST`; None if it has only an offset.
    pub fn abbreviation_at(&self, utc: i64) -> Option<String> {
        let seconds = utc.div_euclid(SECOND) + UNIX_EPOCH_DAYS * 86_400;
        let moment = Timestamp::from_second(within_years(seconds)).ok()?;
        let name = self.zone.to_offset_info(moment).abbreviation().to_owned();
        (!name.is_empty()).then_some(name)
    }

    /// What clocks of the zone show at a moment.
    pub fn to_local(&self, utc: i64) -> i64 {
        if utc == i64::MAX || utc == i64::MIN {
            return utc;
        }
        utc.saturating_add(i64::from(self.offset_at(utc)) * SECOND)
    }

    /// The moment at which clocks of the zone show this. Of two the one in standard time, and
    /// a time that is skipped is read by the offset before it, as PostgreSQL does.
    pub fn to_utc(&self, local: i64) -> i64 {
        if local == i64::MAX || local == i64::MIN {
            return local;
        }
        local.saturating_sub(i64::from(self.local_offset(local)) * SECOND)
    }

    /// Seconds east of Greenwich when clocks of the zone show this.
    fn local_offset(&self, local: i64) -> i32 {
        if let Ok(offset) = self.zone.to_fixed_offset() {
            return offset.seconds();
        }
        let seconds = local.div_euclid(SECOND) + UNIX_EPOCH_DAYS * 86_400;
        let Ok(shown) = Timestamp::from_second(within_years(seconds)) else { return 0 };
        let shown: DateTime = Offset::UTC.to_datetime(shown);
        match self.zone.to_ambiguous_timestamp(shown).offset() {
            jiff::tz::AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
            jiff::tz::AmbiguousOffset::Gap { before, .. } => before.seconds(),
            jiff::tz::AmbiguousOffset::Fold { after, .. } => after.seconds(),
        }
    }
}

/// Moves seconds of far years by whole cycles of the calendar to years that jiff has.
fn within_years(seconds: i64) -> i64 {
    const CYCLE: i64 = CYCLE_DAYS * 86_400;
    // 0001 to 9001 roughly.
    match seconds {
        220_000_000_000.. => 200_000_000_000 + (seconds - 200_000_000_000).rem_euclid(CYCLE),
        ..-60_000_000_000 => -60_000_000_000 + (seconds + 60_000_000_000).rem_euclid(CYCLE),
        _ => seconds,
    }
}

/// Seconds east of a POSIX zone without daylight saving time.
fn posix_offset(name: &str) -> Option<i32> {
    let start = name.find(['+', '-'])?;
    let (abbreviation, offset) = match name.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?,
        None => name.split_at(start),
    };
    let named = abbreviation.len() >= 3
        && (name.starts_with('<') || abbreviation.bytes().all(|b| b.is_ascii_alphabetic()));
    if named { Some(-parse::parse_offset(offset)?) } else { None }
}

#[cfg(test)]
mod tests;
