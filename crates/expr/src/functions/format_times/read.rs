//! Dates and times read by a template: `to_timestamp` and `to_date`.

use tidemill_repr::SqlState;

use super::template::{Node, Pattern, is_separator, parse};
use super::{DAYS, MONTHS, ROMAN};
use crate::error::EvalError;
use crate::functions::datetime::calendar::{
    EPOCH_JULIAN, Fields, HOUR, MINUTE, SECOND, at, date_of, days_in_month, days_of, is_leap,
};

fn bad(message: String, detail: Option<String>) -> EvalError {
    EvalError::Invalid {
        code: SqlState::INVALID_DATETIME_FORMAT.0.to_owned(),
        message,
        detail,
        hint: None,
    }
}

fn out_of_range(source: &str) -> EvalError {
    EvalError::invalid(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("date/time field value out of range: \"{source}\""),
    )
}

/// Which calendar a template speaks of.
#[derive(Clone, Copy, PartialEq)]
enum Convention {
    Gregorian,
    IsoWeek,
}

/// What was read; 0 is what was not.
#[derive(Default)]
struct Found {
    convention: Option<Convention>,
    values: Vec<(&'static str, i64)>,
    twelve_hours: bool,
    before_christ: bool,
    year_digits: usize,
    zone_sign: i64,
}

impl Found {
    fn get(&self, field: &str) -> i64 {
        self.values.iter().find(|(known, _)| *known == field).map_or(0, |(_, value)| *value)
    }

    /// A field has one value.
    fn set(&mut self, field: &'static str, value: i64, pattern: &Pattern) -> Result<(), EvalError> {
        let known = self.get(field);
        if known != 0 && known != value {
            return Err(bad(
                format!("conflicting values for \"{}\" field in formatting string", pattern.name),
                Some(
                    "This value contradicts a previous setting for the same field type.".to_owned(),
                ),
            ));
        }
        self.values.retain(|(known, _)| *known != field);
        self.values.push((field, value));
        Ok(())
    }
}

/// A local timestamp, the offset in seconds east if the text has one, and how many digits of a
/// second the template has.
pub(super) struct Moment {
    pub(super) local: i64,
    pub(super) days: i64,
    pub(super) offset: Option<i64>,
    pub(super) precision: i32,
}

struct Reader<'s> {
    source: Vec<char>,
    text: &'s str,
    at: usize,
    extra: i64,
    exact: bool,
    precision: i32,
    found: Found,
}

/// Reads a text by a template.
pub(super) fn read(text: &str, template: &str) -> Result<Moment, EvalError> {
    let nodes = parse(template);
    let mut reader = Reader {
        source: text.chars().collect(),
        text,
        at: 0,
        extra: 0,
        exact: false,
        precision: 0,
        found: Found::default(),
    };
    for (index, node) in nodes.iter().enumerate() {
        if reader.at >= reader.source.len() {
            break;
        }
        reader.step(node, &nodes[index + 1..], index == 0)?;
    }
    reader.finish()
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.source.get(self.at).copied()
    }

    fn skip_blanks(&mut self) -> i64 {
        let start = self.at;
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        (self.at - start) as i64
    }

    fn step(&mut self, node: &Node, following: &[Node], first: bool) -> Result<(), EvalError> {
        let is_pattern = matches!(node, Node::Pattern(_));
        if !self.exact && (is_pattern || first) {
            self.extra += self.skip_blanks();
        }
        match node {
            Node::Separator(_) if self.exact => self.at += 1,
            Node::Separator(_) => {
                self.extra -= 1;
                if self.peek().is_some_and(|c| c.is_whitespace() || is_separator(c)) {
                    self.at += 1;
                    self.extra += 1;
                }
            }
            Node::Literal(_) if !self.exact && self.extra > 0 => self.extra -= 1,
            Node::Literal(_) => self.at += 1,
            Node::Pattern(pattern) => {
                self.pattern(pattern, following)?;
                if !self.exact {
                    self.extra = self.skip_blanks();
                }
            }
        }
        Ok(())
    }

    /// An integer of so many digits, or as long as digits come where they end by themselves.
    fn integer(
        &mut self,
        pattern: &Pattern,
        length: usize,
        following: &[Node],
    ) -> Result<(i64, usize), EvalError> {
        self.skip_blanks();
        let start = self.at;
        let rest: String = self.source[start..].iter().take(length).collect();
        let open_end = pattern.no_fill
            || match following.first() {
                _ if pattern.ordinal.is_some() => true,
                None => true,
                Some(Node::Pattern(next)) => !next.is_digits(),
                Some(Node::Separator(c) | Node::Literal(c)) => !c.is_ascii_digit(),
            };
        let limit = if open_end { usize::MAX } else { length };
        let remaining = self.source.len() - start;
        if !open_end && remaining < length {
            return Err(bad(
                format!("source string too short for \"{}\" formatting field", pattern.name),
                Some(format!("Field requires {length} characters, but only {remaining} remain.")),
            ));
        }
        let mut end = start;
        while end - start < limit
            && let Some(c) = self.source.get(end)
            && (c.is_ascii_digit() || (end == start && matches!(c, '-' | '+')))
        {
            end += 1;
        }
        let taken: String = self.source[start..end].iter().collect();
        let used = end - start;
        let invalid = |detail: String| {
            bad(format!("invalid value \"{rest}\" for \"{}\"", pattern.name), Some(detail))
        };
        if taken.is_empty() || taken == "-" || taken == "+" {
            return Err(invalid("Value must be an integer.".to_owned()));
        }
        if !open_end && used < length {
            return Err(invalid(format!(
                "Field requires {length} characters, but only {used} could be parsed."
            )));
        }
        let value = taken.parse::<i64>().ok().filter(|value| i32::try_from(*value).is_ok());
        let value = value.ok_or_else(|| EvalError::Invalid {
            code: SqlState::DATETIME_FIELD_OVERFLOW.0.to_owned(),
            message: format!("value for \"{}\" in source string is out of range", pattern.name),
            detail: Some("Value must be in the range -2147483648 to 2147483647.".to_owned()),
            hint: None,
        })?;
        self.at = end;
        Ok((value, used))
    }

    /// The position of the name that comes next, in any case.
    fn name(&mut self, pattern: &Pattern, names: &[&str]) -> Result<usize, EvalError> {
        let rest: String = self.source[self.at..].iter().collect();
        let found = names.iter().enumerate().filter(|(_, name)| {
            rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
        });
        match found.max_by_key(|(_, name)| name.len()) {
            Some((index, name)) => {
                self.at += name.len();
                Ok(index)
            }
            None => {
                let word = rest.split_whitespace().next().unwrap_or("");
                Err(bad(
                    format!("invalid value \"{word}\" for \"{}\"", pattern.name),
                    Some(
                        "The given value did not match any of the allowed values for this field."
                            .to_owned(),
                    ),
                ))
            }
        }
    }

    fn convention(&mut self, pattern: &Pattern) -> Result<(), EvalError> {
        let convention = match pattern.key {
            "MONTH" | "MON" | "MM" | "DAY" | "DY" | "DDD" | "DD" | "D" | "WW" | "W" | "Y,YYY"
            | "YYYY" | "YYY" | "YY" | "Y" | "RM" => Convention::Gregorian,
            "IDDD" | "ID" | "IW" | "IYYY" | "IYY" | "IY" | "I" => Convention::IsoWeek,
            _ => return Ok(()),
        };
        if self.found.convention.is_some_and(|known| known != convention) {
            return Err(bad("invalid combination of date conventions".to_owned(), None));
        }
        self.found.convention = Some(convention);
        Ok(())
    }

    fn pattern(&mut self, pattern: &Pattern, following: &[Node]) -> Result<(), EvalError> {
        self.convention(pattern)?;
        let length = pattern.key.len();
        match pattern.key {
            "FX" => self.exact = true,
            "A.M." | "P.M." | "AM" | "PM" => {
                let names: &[&str] = if length == 4 { &["a.m.", "p.m."] } else { &["am", "pm"] };
                let which = self.name(pattern, names)?;
                self.found.set("pm", which as i64, pattern)?;
                self.found.twelve_hours = true;
            }
            "A.D." | "B.C." | "AD" | "BC" => {
                let names: &[&str] = if length == 4 { &["a.d.", "b.c."] } else { &["ad", "bc"] };
                self.found.before_christ = self.name(pattern, names)? == 1;
            }
            "HH" | "HH12" | "HH24" => {
                let (value, _) = self.integer(pattern, 2, following)?;
                self.found.twelve_hours |= pattern.key != "HH24";
                self.found.set("hour", value, pattern)?;
            }
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                self.fraction(pattern, following)?;
            }
            "TZ" | "OF" => {
                return Err(EvalError::invalid(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("formatting field \"{}\" is only supported in to_char", pattern.name),
                ));
            }
            "TZH" => self.zone_hours(pattern, following)?,
            "MONTH" => {
                let at = self.name(pattern, &MONTHS)?;
                self.found.set("month", at as i64 + 1, pattern)?;
            }
            "MON" => {
                let at = self.name(pattern, &MONTHS.map(|name| &name[..3]))?;
                self.found.set("month", at as i64 + 1, pattern)?;
            }
            "RM" => {
                let at = self.name(pattern, &ROMAN)?;
                self.found.set("month", at as i64 + 1, pattern)?;
            }
            "DAY" | "DY" => {
                let at = if pattern.key == "DAY" {
                    self.name(pattern, &DAYS)?
                } else {
                    self.name(pattern, &DAYS.map(|name| &name[..3]))?
                };
                self.found.set("weekday", (at as i64 + 1) % 7 + 1, pattern)?;
            }
            "ID" => {
                let (value, _) = self.integer(pattern, 1, following)?;
                self.found.set("weekday", value % 7 + 1, pattern)?;
            }
            "Q" => {
                self.integer(pattern, 1, following)?;
            }
            "Y,YYY" => self.thousands(pattern)?,
            "YYYY" | "IYYY" | "YYY" | "IYY" | "YY" | "IY" | "Y" | "I" => {
                self.year(pattern, following)?;
            }
            _ => self.plain_number(pattern, following)?,
        }
        if pattern.ordinal.is_some() {
            self.at = (self.at + 2).min(self.source.len());
        }
        Ok(())
    }

    fn plain_number(&mut self, pattern: &Pattern, following: &[Node]) -> Result<(), EvalError> {
        let (field, length) = match pattern.key {
            "MI" => ("minute", 2),
            "SS" => ("second", 2),
            "SSSS" | "SSSSS" => ("seconds of day", pattern.key.len()),
            "TZM" => ("zone minutes", 2),
            "MM" => ("month", 2),
            "DDD" | "IDDD" => ("day of year", 3),
            "DD" => ("day", 2),
            "D" => ("weekday", 1),
            "WW" | "IW" => ("week", 2),
            "W" => ("week of month", 1),
            "CC" => ("century", 2),
            _ => ("julian", 1),
        };
        let (value, _) = self.integer(pattern, length, following)?;
        if pattern.key == "TZM" && self.found.zone_sign == 0 {
            self.found.zone_sign = 1;
        }
        self.found.set(field, value, pattern)
    }

    fn fraction(&mut self, pattern: &Pattern, following: &[Node]) -> Result<(), EvalError> {
        let digits = match pattern.key {
            "MS" => 3,
            "US" => 6,
            key => key[2..].parse::<usize>().unwrap_or(6),
        };
        let (value, used) = self.integer(pattern, digits, following)?;
        let wanted = if pattern.key == "MS" { 3 } else { 6 };
        let scaled = value.saturating_mul(10i64.pow(wanted - used.min(wanted as usize) as u32));
        if pattern.key.starts_with("FF") {
            self.precision = digits as i32;
        }
        let field = if pattern.key == "MS" { "milliseconds" } else { "microseconds" };
        self.found.set(field, scaled, pattern)
    }

    fn zone_hours(&mut self, pattern: &Pattern, following: &[Node]) -> Result<(), EvalError> {
        self.found.zone_sign = match self.peek() {
            Some(sign @ ('+' | '-' | ' ')) => {
                self.at += 1;
                if sign == '-' { -1 } else { 1 }
            }
            // The sign was taken for a separator.
            _ if self.extra > 0 && self.at > 0 && self.source[self.at - 1] == '-' => -1,
            _ => 1,
        };
        let (value, _) = self.integer(pattern, 2, following)?;
        self.found.set("zone hours", value, pattern)
    }

    fn thousands(&mut self, pattern: &Pattern) -> Result<(), EvalError> {
        let rest: String = self.source[self.at..].iter().collect();
        let digits = |text: &str, most: usize| {
            text.chars().take_while(char::is_ascii_digit).take(most).count()
        };
        let high = digits(&rest, 9);
        let parsed = rest[..high].parse::<i64>().ok().filter(|_| rest[high..].starts_with(','));
        let low = parsed.map_or(0, |_| digits(&rest[high + 1..], 3));
        let (Some(thousands), true) = (parsed, low > 0) else {
            return Err(bad("invalid input string for \"Y,YYY\"".to_owned(), None));
        };
        let years = rest[high + 1..high + 1 + low].parse::<i64>().unwrap_or(0);
        self.at += high + 1 + low;
        self.found.year_digits = 4;
        self.found.set("year", thousands * 1000 + years, pattern)
    }

    fn year(&mut self, pattern: &Pattern, following: &[Node]) -> Result<(), EvalError> {
        let digits = pattern.key.trim_start_matches('I').len();
        let digits = if pattern.key.starts_with('I') { digits + 1 } else { digits };
        let (mut value, used) = self.integer(pattern, digits, following)?;
        if digits < 4 && used < 4 {
            value += match value {
                ..70 => 2000,
                70..100 => 1900,
                100..520 => 2000,
                520..1000 => 1000,
                _ => 0,
            };
        }
        self.found.year_digits = digits;
        self.found.set("year", value, pattern)
    }

    fn time(&self) -> Result<i64, EvalError> {
        let found = &self.found;
        let of_day = found.get("seconds of day");
        let or = |name: &str, other: i64| match found.get(name) {
            0 => other,
            value => value,
        };
        let mut hour = or("hour", of_day / 3600);
        let (minute, second) = (or("minute", of_day % 3600 / 60), or("second", of_day % 60));
        if found.twelve_hours {
            if !(1..=12).contains(&hour) {
                let message = format!("hour \"{hour}\" is invalid for the 12-hour clock");
                return Err(bad(message, None));
            }
            hour = hour % 12 + if found.get("pm") == 1 { 12 } else { 0 };
        }
        let micros = found.get("milliseconds") * 1000 + found.get("microseconds");
        let fits = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..SECOND).contains(&micros);
        if !fits {
            return Err(out_of_range(self.text));
        }
        Ok(hour * HOUR + minute * MINUTE + second * SECOND + micros)
    }

    /// The year, 0 for 1 BC.
    fn whole_year(&self) -> i64 {
        let found = &self.found;
        let (year, mut century) = (found.get("year"), found.get("century"));
        if found.before_christ {
            century = -century;
        }
        if year == 0 {
            return match century {
                0 => 0,
                1.. => (century - 1) * 100 + 1,
                _ => century * 100 + 1,
            };
        }
        if century != 0 && found.year_digits <= 2 {
            return match (year % 100, century >= 0) {
                (0, true) => century * 100,
                (0, false) => century * 100 + 1,
                (rest, true) => rest + (century - 1) * 100,
                (rest, false) => (century + 1) * 100 - rest + 1,
            };
        }
        let year = if found.before_christ { -year } else { year };
        if year < 0 { year + 1 } else { year }
    }

    fn finish(self) -> Result<Moment, EvalError> {
        let time = self.time()?;
        let found = &self.found;
        let iso = found.convention == Some(Convention::IsoWeek);
        let (mut year, mut month, mut day) = (self.whole_year(), 1, 1);
        let monday = |year: i64| {
            let fourth = days_of(year, 1, 4);
            fourth - (Fields::of(at(fourth, 0).unwrap_or(0)).iso_weekday() - 1)
        };
        let mut day_of_year = found.get("day of year");
        match found.get("julian") {
            0 => {}
            julian => (year, month, day) = date_of(julian - EPOCH_JULIAN),
        }
        match found.get("week") {
            0 => {}
            week if iso => {
                let weekday = match found.get("weekday") {
                    0 => 0,
                    1 => 6,
                    weekday => weekday - 2,
                };
                (year, month, day) = date_of(monday(year) + (week - 1) * 7 + weekday);
            }
            week => day_of_year = (week - 1) * 7 + 1,
        }
        match found.get("week of month") {
            0 => {}
            week => day = (week - 1) * 7 + 1,
        }
        let or =
            |name: &str, other: i64| if found.get(name) == 0 { other } else { found.get(name) };
        (day, month) = (or("day", day), or("month", month));
        if day_of_year != 0 && (month <= 1 || day <= 1) {
            if year == 0 && !found.before_christ {
                let message = "cannot calculate day of year without year information";
                return Err(bad(message.to_owned(), None));
            }
            if iso {
                (year, month, day) = date_of(monday(year) + day_of_year - 1);
            } else {
                if !(1..=365 + i64::from(is_leap(year))).contains(&day_of_year) {
                    return Err(out_of_range(self.text));
                }
                let (_, of_month, of_day) = date_of(days_of(year, 1, 1) + day_of_year - 1);
                month = if month <= 1 { of_month } else { month };
                day = if day <= 1 { of_day } else { day };
            }
        }
        let valid = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && year.abs() < 6_000_000;
        if !valid {
            return Err(out_of_range(self.text));
        }
        let (hours, minutes) = (found.get("zone hours"), found.get("zone minutes"));
        if found.zone_sign != 0 && !((0..=15).contains(&hours) && (0..60).contains(&minutes)) {
            return Err(out_of_range(self.text));
        }
        let offset =
            (found.zone_sign != 0).then_some(found.zone_sign * (hours * 3600 + minutes * 60));
        let days = days_of(year, month, day);
        let local = days.checked_mul(24 * HOUR).and_then(|base| base.checked_add(time));
        let local = local.unwrap_or(i64::MAX);
        Ok(Moment { local, days, offset, precision: self.precision })
    }
}
