//! `to_char` of timestamps and intervals.

use tidemill_repr::{Datum, Interval};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{interval, text, timestamp, timestamptz};
use crate::functions::datetime::calendar::{
    DAY, EPOCH_JULIAN, Fields, HOUR, MINUTE, SECOND, is_infinite, offset_at, to_local, zone,
};

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

/// The patterns, longer ones before their beginnings. Case matters for names only.
const PATTERNS: &[&str] = &[
    "Y,YYY", "YYYY", "IYYY", "MONTH", "Month", "month", "HH24", "HH12", "SSSSS", "SSSS", "IDDD",
    "A.D.", "a.d.", "B.C.", "b.c.", "A.M.", "a.m.", "P.M.", "p.m.", "FF1", "FF2", "FF3", "FF4",
    "FF5", "FF6", "YYY", "IYY", "MON", "Mon", "mon", "DAY", "Day", "day", "DDD", "TZH", "TZM",
    "YY", "IY", "MM", "DD", "DY", "Dy", "dy", "ID", "IW", "WW", "HH", "MI", "SS", "MS", "US", "CC",
    "AD", "ad", "BC", "bc", "AM", "am", "PM", "pm", "TZ", "tz", "OF", "RM", "rm", "Y", "I", "D",
    "W", "Q", "J",
];

/// What is shown: a date and time, or an interval's parts in their place.
struct Shown {
    fields: Fields,
    /// Hours may pass 23 in an interval.
    hours: i64,
    /// Seconds east, of a timestamp with a zone.
    offset: Option<i64>,
    zone_name: String,
    is_interval: bool,
}

fn cased(pattern: &str, name: &str) -> String {
    let first = pattern.chars().next().is_some_and(char::is_uppercase);
    let second = pattern.chars().nth(1).is_some_and(char::is_uppercase);
    match (first, second) {
        (true, true) => name.to_uppercase(),
        (true, false) => name.to_owned(),
        _ => name.to_lowercase(),
    }
}

/// A number and how many digits it has at least; or a word and its width.
enum Piece {
    Number(i64, usize),
    Word(String, usize),
}

fn piece(pattern: &str, shown: &Shown) -> Piece {
    let fields = &shown.fields;
    let year = if fields.year > 0 || shown.is_interval { fields.year } else { 1 - fields.year };
    let number = Piece::Number;
    let word = |text: String| Piece::Word(text, 0);
    let time = fields.micros;
    let twelve = if shown.hours % 12 == 0 { 12 } else { shown.hours % 12 };
    let month = usize::try_from(fields.month - 1).unwrap_or(0).min(11);
    let weekday = usize::try_from(fields.iso_weekday() - 1).unwrap_or(0);
    let half =
        |am: &str, pm: &str| if shown.hours % 24 < 12 { am.to_owned() } else { pm.to_owned() };
    let era = |ad: &str, bc: &str| if fields.year > 0 { ad.to_owned() } else { bc.to_owned() };
    match pattern {
        "Y,YYY" => word(format!("{},{:03}", year / 1000, year % 1000)),
        "YYYY" => number(year, 4),
        "YYY" => number(year % 1000, 3),
        "YY" => number(year % 100, 2),
        "Y" => number(year % 10, 1),
        "IYYY" => number(fields.iso_week().0, 4),
        "IYY" => number(fields.iso_week().0 % 1000, 3),
        "IY" => number(fields.iso_week().0 % 100, 2),
        "I" => number(fields.iso_week().0 % 10, 1),
        "MONTH" | "Month" | "month" => Piece::Word(cased(pattern, MONTHS[month]), 9),
        "MON" | "Mon" | "mon" => word(cased(pattern, &MONTHS[month][..3])),
        "DAY" | "Day" | "day" => Piece::Word(cased(pattern, DAYS[weekday]), 9),
        "DY" | "Dy" | "dy" => word(cased(pattern, &DAYS[weekday][..3])),
        "MM" => number(fields.month, 2),
        "RM" | "rm" => {
            Piece::Word(cased(if pattern == "RM" { "RM" } else { "rm" }, ROMAN[month]), 4)
        }
        "DDD" => number(fields.day_of_year(), 3),
        "IDDD" => number((fields.iso_week().1 - 1) * 7 + fields.iso_weekday(), 3),
        "DD" => number(fields.day, 2),
        "D" => number(fields.iso_weekday() % 7 + 1, 1),
        "ID" => number(fields.iso_weekday(), 1),
        "WW" => number((fields.day_of_year() - 1) / 7 + 1, 2),
        "IW" => number(fields.iso_week().1, 2),
        "W" => number((fields.day - 1) / 7 + 1, 1),
        "Q" => number((fields.month - 1) / 3 + 1, 1),
        "J" => number(fields.days + EPOCH_JULIAN, 1),
        "CC" => number((year + 99) / 100, 2),
        "HH24" => number(shown.hours, 2),
        "HH12" | "HH" => number(twelve, 2),
        "MI" => number(time % HOUR / MINUTE, 2),
        "SS" => number(time % MINUTE / SECOND, 2),
        "SSSS" | "SSSSS" => number((shown.hours * HOUR + time % HOUR) / SECOND, 1),
        "MS" | "FF3" => number(time % SECOND / 1000, 3),
        "US" | "FF6" => number(time % SECOND, 6),
        "FF1" => number(time % SECOND / 100_000, 1),
        "FF2" => number(time % SECOND / 10_000, 2),
        "FF4" => number(time % SECOND / 100, 4),
        "FF5" => number(time % SECOND / 10, 5),
        "AM" | "PM" => word(half("AM", "PM")),
        "am" | "pm" => word(half("am", "pm")),
        "A.M." | "P.M." => word(half("A.M.", "P.M.")),
        "a.m." | "p.m." => word(half("a.m.", "p.m.")),
        "AD" | "BC" => word(era("AD", "BC")),
        "ad" | "bc" => word(era("ad", "bc")),
        "A.D." | "B.C." => word(era("A.D.", "B.C.")),
        "a.d." | "b.c." => word(era("a.d.", "b.c.")),
        "TZ" => word(shown.zone_name.to_uppercase()),
        "tz" => word(shown.zone_name.to_lowercase()),
        _ => word(offset_text(pattern, shown.offset)),
    }
}

fn offset_text(pattern: &str, offset: Option<i64>) -> String {
    let Some(seconds) = offset else { return String::new() };
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    match pattern {
        "TZM" => format!("{minutes:02}"),
        "OF" if minutes != 0 => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}"),
    }
}

fn ordinal(value: i64) -> &'static str {
    match (value % 100, value % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

/// The pattern at the start of a template: names by their case, others by any.
fn find(template: &str) -> Option<&'static str> {
    let starts = |pattern: &&&str| {
        let Some(head) = template.get(..pattern.len()) else { return false };
        head == **pattern
    };
    PATTERNS.iter().find(starts).copied().or_else(|| {
        let upper = template.to_ascii_uppercase();
        PATTERNS.iter().find(|pattern| upper.starts_with(**pattern)).copied()
    })
}

fn render(template: &str, shown: &Shown) -> String {
    let mut out = String::new();
    let mut rest = template;
    let mut fill = true;
    while let Some(next) = rest.chars().next() {
        if next == '"' {
            let end = rest[1..].find('"').map_or(rest.len(), |end| end + 1);
            out.push_str(&rest[1..end]);
            rest = rest.get(end + 1..).unwrap_or("");
        } else if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            fill = false;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("TM") {
            rest = after;
        } else if let Some(pattern) = find(rest) {
            rest = &rest[pattern.len()..];
            let piece = piece(pattern, shown);
            if let Piece::Number(value, width) = &piece {
                let width = if fill { width + usize::from(*value < 0) } else { 0 };
                out.push_str(&format!("{value:0width$}"));
                if let Some(after) = rest.strip_prefix("TH") {
                    out.push_str(&ordinal(*value).to_uppercase());
                    rest = after;
                } else if let Some(after) = rest.strip_prefix("th") {
                    out.push_str(ordinal(*value));
                    rest = after;
                }
            }
            if let Piece::Word(word, width) = piece {
                let width = if fill { width } else { 0 };
                out.push_str(&format!("{word:width$}"));
            }
            fill = true;
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

fn of_stamp(local: i64, offset: Option<i64>, zone_name: String) -> Shown {
    let fields = Fields::of(local);
    Shown { fields, hours: fields.micros / HOUR, offset, zone_name, is_interval: false }
}

fn of_interval(span: Interval) -> Result<Shown, EvalError> {
    let fields = Fields {
        year: i64::from(span.months / 12),
        month: i64::from(span.months % 12),
        day: i64::from(span.days),
        micros: span.micros % DAY,
        days: i64::from(span.days),
    };
    let hours = span.micros / HOUR;
    Ok(Shown { fields, hours, offset: None, zone_name: String::new(), is_interval: true })
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "Written by a template.";
    let stamp: Eval = |a, c| {
        let (value, template) = (timestamp(a, 0)?, text(a, 1)?);
        if template.is_empty() || is_infinite(value) {
            return Ok(Datum::Null);
        }
        Ok(c.text(&render(template, &of_stamp(value, None, String::new()))))
    };
    d.add("timestamp_to_char", "to_char(timestamp, text) -> text", stamp, doc);
    let zoned: Eval = |a, c| {
        let (value, template, name) = (timestamptz(a, 0)?, text(a, 1)?, text(a, 2)?);
        if template.is_empty() || is_infinite(value) {
            return Ok(Datum::Null);
        }
        let zone = zone(name)?;
        let offset = offset_at(value, &zone);
        let shown = of_stamp(to_local(value, &zone)?, Some(offset), name.to_owned());
        Ok(c.text(&render(template, &shown)))
    };
    d.add("timestamptz_to_char", "to_char(timestamptz, text) -> text", zoned, doc).zone();
    let span: Eval = |a, c| {
        let (value, template) = (interval(a, 0)?, text(a, 1)?);
        if template.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(c.text(&render(template, &of_interval(value)?)))
    };
    d.add("interval_to_char", "to_char(interval, text) -> text", span, doc);
}
