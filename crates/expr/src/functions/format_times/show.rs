//! Dates, times and intervals written by a template.

use super::template::{Case, Node, Pattern};
use super::{DAYS, MONTHS, ROMAN, ordinal};
use crate::error::EvalError;
use crate::functions::datetime::calendar::{EPOCH_JULIAN, Fields, HOUR, MINUTE, SECOND};
use tidemill_repr::SqlState;

/// What is shown: a date and time, or an interval's parts in their place.
pub(super) struct Shown {
    pub(super) fields: Fields,
    /// Hours may pass 23 in an interval.
    pub(super) hours: i64,
    /// Seconds east, of a timestamp with a zone.
    pub(super) offset: i64,
    pub(super) zone_name: String,
    pub(super) is_interval: bool,
}

fn cased(case: Case, name: &str) -> String {
    match case {
        Case::Capital => name.to_uppercase(),
        Case::Title => name.to_owned(),
        Case::Small => name.to_lowercase(),
    }
}

/// At least so many digits, beside the sign.
fn number(value: i64, width: usize, pattern: &Pattern) -> String {
    let width = if pattern.no_fill { 0 } else { width + usize::from(value < 0) };
    format!("{value:0width$}")
}

/// At least so many characters, with the sign.
fn with_sign(value: i64, width: usize, pattern: &Pattern) -> String {
    let width = if pattern.no_fill { 0 } else { width };
    format!("{value:0width$}")
}

/// The ISO year of an interval's years, months and days taken as a date.
fn interval_iso_year(fields: &Fields) -> i64 {
    let julian = |year: i64, month: i64, day: i64| {
        let (year, month) =
            if month > 2 { (year + 4800, month + 1) } else { (year + 4799, month + 13) };
        let century = year / 100;
        year * 365 - 32_167 + year / 4 - century + century / 4 + 7834 * month / 256 + day
    };
    let day = julian(fields.year, fields.month, fields.day);
    let start = |year: i64| {
        let fourth = julian(year, 1, 4);
        fourth - fourth.rem_euclid(7)
    };
    if day < start(fields.year) {
        fields.year - 1
    } else if day >= start(fields.year + 1) {
        fields.year + 1
    } else {
        fields.year
    }
}

fn padded(name: String, width: usize, pattern: &Pattern) -> String {
    let width = if pattern.no_fill { 0 } else { width };
    format!("{name:width$}")
}

fn no_date() -> EvalError {
    EvalError::Invalid {
        code: SqlState::INVALID_DATETIME_FORMAT.0.to_owned(),
        message: "invalid format specification for an interval value".to_owned(),
        detail: None,
        hint: None,
    }
}

pub(super) fn render(nodes: &[Node], shown: &Shown) -> Result<String, EvalError> {
    let mut out = String::new();
    for node in nodes {
        match node {
            Node::Separator(c) | Node::Literal(c) => out.push(*c),
            Node::Pattern(pattern) => {
                let text = match time_text(pattern, shown) {
                    Some(text) => text,
                    None => date_text(pattern, shown)?,
                };
                out.push_str(&text);
                let digit = text.ends_with(|c: char| c.is_ascii_digit());
                if let Some(case) = pattern.ordinal.filter(|_| digit && pattern.is_digits()) {
                    out.push_str(&cased(case, ordinal(&text)));
                }
            }
        }
    }
    Ok(out)
}

/// Patterns of the time of day; None of others.
fn time_text(pattern: &Pattern, shown: &Shown) -> Option<String> {
    let micros = shown.fields.micros;
    let fraction = micros % SECOND;
    let half = |am: &str, pm: &str| {
        let name = if shown.hours % 24 >= 12 { pm } else { am };
        cased(pattern.case, name)
    };
    let fixed = |value: i64, width: usize| {
        let width = width + usize::from(value < 0);
        format!("{value:0width$}")
    };
    Some(match pattern.key {
        "A.M." | "P.M." => half("A.M.", "P.M."),
        "AM" | "PM" => half("AM", "PM"),
        "HH24" => number(shown.hours, 2, pattern),
        "HH12" | "HH" => {
            let hour = if shown.hours % 12 == 0 { 12 } else { shown.hours % 12 };
            let width = 2 + usize::from(shown.hours < 0 && hour > 0);
            number(hour, width, pattern)
        }
        "MI" => number(micros % HOUR / MINUTE, 2, pattern),
        "SS" => number(micros % MINUTE / SECOND, 2, pattern),
        "FF1" => fixed(fraction / 100_000, 1),
        "FF2" => fixed(fraction / 10_000, 2),
        "FF3" | "MS" => fixed(fraction / 1000, 3),
        "FF4" => fixed(fraction / 100, 4),
        "FF5" => fixed(fraction / 10, 5),
        "FF6" | "US" => fixed(fraction, 6),
        "SSSS" | "SSSSS" => (shown.hours * 3600 + micros % HOUR / SECOND).to_string(),
        "FX" => String::new(),
        _ => return None,
    })
}

fn zone_text(pattern: &Pattern, shown: &Shown) -> String {
    let seconds = shown.offset;
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    match pattern.key {
        "TZ" => cased(pattern.case, &shown.zone_name),
        "TZM" => format!("{minutes:02}"),
        "TZH" => format!("{sign}{hours:02}"),
        _ => {
            let hours = number(hours, 2, pattern);
            let rest = if minutes == 0 { String::new() } else { format!(":{minutes:02}") };
            format!("{sign}{hours}{rest}")
        }
    }
}

fn month_text(pattern: &Pattern, fields: &Fields) -> String {
    let at = usize::try_from(fields.month - 1).unwrap_or(0).min(11);
    match pattern.key {
        "RM" => {
            // Negative months of an interval count from the end of the year.
            let at = match fields.month {
                0 if fields.year == 0 => return String::new(),
                0 if fields.year > 0 => 11,
                0 => 0,
                month if month < 0 => usize::try_from(12 + month).unwrap_or(0),
                _ => at,
            };
            let case = if pattern.case == Case::Small { Case::Small } else { Case::Capital };
            padded(cased(case, ROMAN[at.min(11)]), 4, pattern)
        }
        "MONTH" => padded(cased(pattern.case, MONTHS[at]), 9, pattern),
        _ => cased(pattern.case, &MONTHS[at][..3]),
    }
}

/// Patterns of the date and of the zone.
fn date_text(pattern: &Pattern, shown: &Shown) -> Result<String, EvalError> {
    let fields = &shown.fields;
    let interval = shown.is_interval;
    let dated = matches!(
        pattern.key,
        "A.D."
            | "B.C."
            | "AD"
            | "BC"
            | "MONTH"
            | "MON"
            | "DAY"
            | "DY"
            | "D"
            | "ID"
            | "TZ"
            | "TZH"
            | "TZM"
            | "OF"
    );
    if interval && dated {
        return Err(no_date());
    }
    let era = |ad: &str, bc: &str| cased(pattern.case, if fields.year > 0 { ad } else { bc });
    let shown_year = |year: i64| if interval || year > 0 { year } else { 1 - year };
    let year = shown_year(fields.year);
    let iso_year = |interval: bool| {
        if interval { interval_iso_year(fields) } else { shown_year(fields.iso_week().0) }
    };
    // The width counts a sign that the plain year has.
    let signed = usize::from(year < 0);
    let weekday = usize::try_from(fields.iso_weekday() - 1).unwrap_or(0).min(6);
    let day_of_year = if interval {
        (fields.year * 12 + fields.month) * 30 + fields.day
    } else {
        fields.day_of_year()
    };
    Ok(match pattern.key {
        "A.D." | "B.C." => era("A.D.", "B.C."),
        "AD" | "BC" => era("AD", "BC"),
        "MONTH" | "MON" | "RM" => month_text(pattern, fields),
        "MM" => number(fields.month, 2, pattern),
        "DAY" => padded(cased(pattern.case, DAYS[weekday]), 9, pattern),
        "DY" => cased(pattern.case, &DAYS[weekday][..3]),
        "DDD" => with_sign(day_of_year, 3, pattern),
        "IDDD" => with_sign((fields.iso_week().1 - 1) * 7 + fields.iso_weekday(), 3, pattern),
        "DD" => with_sign(fields.day, 2, pattern),
        "D" => (fields.iso_weekday() % 7 + 1).to_string(),
        "ID" => fields.iso_weekday().to_string(),
        "WW" => with_sign((day_of_year - 1) / 7 + 1, 2, pattern),
        "IW" => with_sign(fields.iso_week().1, 2, pattern),
        "Q" if fields.month == 0 => String::new(),
        "Q" => ((fields.month - 1) / 3 + 1).to_string(),
        "CC" => {
            let century = match fields.year {
                year if interval => year / 100,
                year if year > 0 => (year - 1) / 100 + 1,
                year => year / 100 - 1,
            };
            if century.abs() <= 99 { number(century, 2, pattern) } else { century.to_string() }
        }
        "Y,YYY" => format!("{},{:03}", year / 1000, year % 1000),
        "YYYY" => number(year, 4, pattern),
        "IYYY" => with_sign(iso_year(interval), 4 + signed, pattern),
        "YYY" => number(year % 1000, 3, pattern),
        "IYY" => with_sign(iso_year(interval) % 1000, 3 + signed, pattern),
        "YY" => number(year % 100, 2, pattern),
        "IY" => with_sign(iso_year(interval) % 100, 2 + signed, pattern),
        "Y" => (year % 10).to_string(),
        "I" => (iso_year(interval) % 10).to_string(),
        "W" => ((fields.day - 1) / 7 + 1).to_string(),
        "J" => (fields.days + EPOCH_JULIAN).to_string(),
        _ => zone_text(pattern, shown),
    })
}
