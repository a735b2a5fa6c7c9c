//! Intervals from text: PostgreSQL's verbose form, ISO 8601, and times of day.

use super::Interval;
use super::fields::{bits, fields_of};
use crate::error::{SqlError, SqlState};
use crate::time::parse::micros_of_fraction;
use crate::time::{DAY, HOUR, MINUTE, SECOND};

/// Why a text is no interval.
enum Fault {
    Syntax,
    Overflow,
}

/// Reads an interval.
///
/// # Errors
/// No interval (`22007`), or out of range (`22015`).
pub fn parse_interval(text: &str) -> Result<Interval, SqlError> {
    parse_interval_within(text, -1)
}

/// Reads an interval of a type with a modifier: its fields say what numbers without unit are.
///
/// # Errors
/// As [`parse_interval`].
pub fn parse_interval_within(text: &str, modifier: i32) -> Result<Interval, SqlError> {
    let trimmed = text.trim();
    let fields = fields_of(modifier);
    let sum = match trimmed.as_bytes() {
        [b'P' | b'p', ..] => iso(&trimmed[1..]),
        [sign @ (b'-' | b'+'), b'P' | b'p', ..] => {
            iso(&trimmed[2..]).map(|sum| if *sign == b'-' { sum.negated() } else { sum })
        }
        _ => verbose(trimmed, fields),
    };
    let found = sum.and_then(|sum| sum.finish()).map(|interval| interval.limited(modifier));
    found.map_err(|fault| match fault {
        Fault::Syntax => SqlError {
            code: SqlState::INVALID_DATETIME_FORMAT,
            ..SqlError::invalid_input("interval", text)
        },
        Fault::Overflow => SqlError::new(
            SqlState::INTERVAL_FIELD_OVERFLOW,
            format!("interval field value out of range: \"{text}\""),
        ),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Micros(i64),
    Days(i64),
    Months(i64),
}

/// The parts added up, wide enough to be checked at the end.
#[derive(Default)]
struct Sum {
    months: i128,
    days: i128,
    micros: i128,
}

/// A number as it was written.
struct Number<'a> {
    negative: bool,
    whole: i64,
    fraction: &'a str,
}

impl<'a> Number<'a> {
    fn read(text: &'a str) -> Result<Number<'a>, Fault> {
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction)
        {
            return Err(Fault::Syntax);
        }
        let whole =
            if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Fault::Overflow)? };
        Ok(Number { negative, whole, fraction })
    }

    fn part(&self) -> f64 {
        if self.fraction.is_empty() {
            return 0.0;
        }
        format!("0.{}", self.fraction).parse().unwrap_or(0.0)
    }
}

impl Sum {
    fn add(&mut self, number: &Number<'_>, unit: Unit) {
        let sign = if number.negative { -1 } else { 1 };
        let whole = i128::from(number.whole) * sign;
        let fraction = number.part();
        let signed = fraction * sign as f64;
        match unit {
            Unit::Micros(SECOND) => {
                let fraction = i128::from(micros_of_fraction(number.fraction));
                self.micros += whole * i128::from(SECOND) + fraction * sign;
            }
            Unit::Micros(unit) => {
                self.micros += whole * i128::from(unit) + (signed * unit as f64).round() as i128;
            }
            Unit::Days(unit) => {
                self.days += whole * i128::from(unit);
                self.add_days(signed * unit as f64);
            }
            Unit::Months(1) => {
                self.months += whole;
                self.add_days(signed * 30.0);
            }
            Unit::Months(unit) => {
                self.months +=
                    whole * i128::from(unit) + (signed * unit as f64).round_ties_even() as i128;
            }
        }
    }

    fn add_days(&mut self, days: f64) {
        self.days += days.trunc() as i128;
        self.micros += (days.fract() * DAY as f64).round() as i128;
    }

    fn negated(self) -> Sum {
        Sum { months: -self.months, days: -self.days, micros: -self.micros }
    }

    fn finish(&self) -> Result<Interval, Fault> {
        Ok(Interval {
            months: i32::try_from(self.months).map_err(|_| Fault::Overflow)?,
            days: i32::try_from(self.days).map_err(|_| Fault::Overflow)?,
            micros: i64::try_from(self.micros).map_err(|_| Fault::Overflow)?,
        })
    }
}

fn unit_named(word: &str) -> Option<Unit> {
    let lower = word.to_ascii_lowercase();
    Some(match lower.as_str() {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds"
        | "microsecon" => Unit::Micros(1),
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds"
        | "millisecon" => Unit::Micros(1000),
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Micros(SECOND),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Micros(MINUTE),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Micros(HOUR),
        "d" | "day" | "days" => Unit::Days(1),
        "w" | "week" | "weeks" => Unit::Days(7),
        "mon" | "mons" | "month" | "months" => Unit::Months(1),
        "qtr" | "quarter" | "quarters" => Unit::Months(3),
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Months(12),
        "dec" | "decs" | "decade" | "decades" => Unit::Months(120),
        "c" | "cent" | "century" | "centuries" => Unit::Months(1200),
        "mil" | "mils" | "millennia" | "millennium" => Unit::Months(12_000),
        _ => return None,
    })
}

/// What a number is that no unit follows: the least of the fields.
fn unit_of_fields(fields: i32) -> Unit {
    match fields {
        bits::YEAR => Unit::Months(12),
        _ if fields & bits::SECOND != 0 => Unit::Micros(SECOND),
        _ if fields & bits::MINUTE != 0 => Unit::Micros(MINUTE),
        _ if fields & bits::HOUR != 0 => Unit::Micros(HOUR),
        _ if fields & bits::DAY != 0 => Unit::Days(1),
        _ => Unit::Months(1),
    }
}

/// A number, and that before it, which counts days if this one counts hours.
fn add_numbers<'a>(
    sum: &mut Sum,
    before: Option<Number<'a>>,
    number: &Number<'a>,
    unit: Unit,
) -> Result<(), Fault> {
    if let Some(days) = before {
        if unit != Unit::Micros(HOUR) {
            return Err(Fault::Syntax);
        }
        sum.add(&days, Unit::Days(1));
    }
    sum.add(number, unit);
    Ok(())
}

fn verbose(text: &str, fields: i32) -> Result<Sum, Fault> {
    let mut before: Option<Number<'_>> = None;
    let mut sum = Sum::default();
    let mut rest = text.strip_prefix('@').unwrap_or(text).trim_start();
    let mut pending: Option<Number<'_>> = None;
    let mut any = false;
    let mut ago = false;
    while !rest.is_empty() {
        let letters = rest.as_bytes()[0].is_ascii_alphabetic();
        let end = rest
            .find(|c: char| {
                c.is_ascii_whitespace()
                    || if letters { !c.is_ascii_alphabetic() } else { c.is_ascii_alphabetic() }
            })
            .unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        if token.is_empty() {
            return Err(Fault::Syntax);
        }
        rest = after.trim_start();
        if letters && token.eq_ignore_ascii_case("ago") {
            ago = true;
        } else if letters {
            let number = pending.take().ok_or(Fault::Syntax)?;
            let unit = unit_named(token).ok_or(Fault::Syntax)?;
            add_numbers(&mut sum, before.take(), &number, unit)?;
        } else if token.contains(':') {
            if before.is_some() {
                return Err(Fault::Syntax);
            }
            // A number before a time of day counts days.
            if let Some(days) = pending.take() {
                sum.add(&days, Unit::Days(1));
            }
            time_of_day(token, fields, &mut sum)?;
        } else if let Some((years, months)) = token.get(1..).and_then(|t| t.split_once('-')) {
            years_and_months(&token[..years.len() + 1], months, &mut sum)?;
        } else {
            if before.is_some() {
                return Err(Fault::Syntax);
            }
            before = pending.replace(Number::read(token)?);
        }
        any = true;
    }
    if let Some(number) = pending {
        add_numbers(&mut sum, before.take(), &number, unit_of_fields(fields))?;
    }
    match (any, ago) {
        (false, _) => Err(Fault::Syntax),
        (true, false) => Ok(sum),
        (true, true) => Ok(sum.negated()),
    }
}

fn years_and_months(years: &str, months: &str, sum: &mut Sum) -> Result<(), Fault> {
    let years = Number::read(years)?;
    let months = Number { negative: years.negative, ..Number::read(months)? };
    sum.add(&years, Unit::Months(12));
    sum.add(&months, Unit::Months(1));
    Ok(())
}

fn time_of_day(token: &str, fields: i32, sum: &mut Sum) -> Result<(), Fault> {
    let mut parts = token.split(':');
    let hours = Number::read(parts.next().unwrap_or(""))?;
    let negative = hours.negative;
    let second = Number::read(parts.next().unwrap_or(""))?;
    let third = parts.next().map(Number::read).transpose()?;
    if parts.next().is_some() || !hours.fraction.is_empty() {
        return Err(Fault::Syntax);
    }
    match third {
        // `mm:ss.fff`
        None if !second.fraction.is_empty() || fields == bits::MINUTE | bits::SECOND => {
            sum.add(&hours, Unit::Micros(MINUTE));
            sum.add(&Number { negative, ..second }, Unit::Micros(SECOND));
        }
        third => {
            let third = third.unwrap_or(Number { negative, whole: 0, fraction: "" });
            if second.whole > 59 || third.whole > 60 {
                return Err(Fault::Overflow);
            }
            sum.add(&hours, Unit::Micros(HOUR));
            sum.add(&Number { negative, ..second }, Unit::Micros(MINUTE));
            sum.add(&Number { negative, ..third }, Unit::Micros(SECOND));
        }
    }
    Ok(())
}

/// ISO 8601 after its `P`: numbers with designators.
fn iso(text: &str) -> Result<Sum, Fault> {
    let mut sum = Sum::default();
    let mut time = false;
    let mut rest = text;
    if rest.is_empty() {
        return Err(Fault::Syntax);
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(['T', 't']) {
            time = true;
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let part = &rest[..end];
        if part.get(1..).is_some_and(|part| part.contains(['-', ':'])) {
            iso_fields(part, time, &mut sum)?;
            rest = &rest[end..];
            continue;
        }
        if end == rest.len() {
            return Err(Fault::Syntax);
        }
        let number = Number::read(part)?;
        let unit = match (rest.as_bytes()[end].to_ascii_uppercase(), time) {
            (b'Y', false) => Unit::Months(12),
            (b'M', false) => Unit::Months(1),
            (b'W', false) => Unit::Days(7),
            (b'D', false) => Unit::Days(1),
            (b'H', true) => Unit::Micros(HOUR),
            (b'M', true) => Unit::Micros(MINUTE),
            (b'S', true) => Unit::Micros(SECOND),
            _ => return Err(Fault::Syntax),
        };
        sum.add(&number, unit);
        rest = &rest[end + 1..];
    }
    Ok(sum)
}

/// The alternative format: `0001-02-03`, `04:05:06`.
fn iso_fields(text: &str, time: bool, sum: &mut Sum) -> Result<(), Fault> {
    if time {
        return time_of_day(text, bits::ALL, sum);
    }
    let units = [Unit::Months(12), Unit::Months(1), Unit::Days(1)];
    let mut parts = text.split('-');
    for (unit, part) in units.into_iter().zip(parts.by_ref()) {
        sum.add(&Number::read(part)?, unit);
    }
    if parts.next().is_some() { Err(Fault::Syntax) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::parse_interval;

    #[test]
    fn values() {
        for (text, shown) in [
            ("1 day 02:03:04", "1 day 02:03:04"),
            ("1 year 2 months 3 days", "1 year 2 mons 3 days"),
            ("P1Y2M3DT4H5M6.7S", "1 year 2 mons 3 days 04:05:06.7"),
            ("-1 day 02:03", "-1 days +02:03:00"),
            ("1 month ago", "-1 mons"),
            ("1.5 days", "1 day 12:00:00"),
            ("1.5 months", "1 mon 15 days"),
            ("2.5 years", "2 years 6 mons"),
            ("1-2", "1 year 2 mons"),
            ("90 minutes", "01:30:00"),
            ("1h30m", "01:30:00"),
            ("10", "00:00:10"),
            ("0 days", "00:00:00"),
            ("-00:00:01.5", "-00:00:01.5"),
            ("@ 1 week", "7 days"),
            ("100:00", "100:00:00"),
            ("-123 days", "-123 days"),
            ("1.234567891 sec", "00:00:01.234568"),
            ("1.25 mon", "1 mon 7 days 12:00:00"),
            ("-1-2", "-1 years -2 mons"),
            ("P-1Y2M", "-10 mons"),
            ("PT0.5S", "00:00:00.5"),
            ("1y2mon3d4h5m6s", "1 year 2 mons 3 days 04:05:06"),
            ("1 12:34:56.789", "1 day 12:34:56.789"),
            ("-00:01", "-00:01:00"),
            ("3 12:00", "3 days 12:00:00"),
            ("1 mon -1 day +00:00:01", "1 mon -1 days +00:00:01"),
        ] {
            assert_eq!(parse_interval(text).unwrap().to_string(), shown, "{text}");
        }
        for bad in ["", "abc", "1 foo", "day", "P", "1 2 days"] {
            assert!(parse_interval(bad).is_err(), "{bad}");
        }
    }
}
