//! Dates and times from text, in all the forms that PostgreSQL reads.

use std::sync::LazyLock;

use super::{
    DAY, END_DATE, HOUR, MIN_DATE, MINUTE, SECOND, TimeTz, TimeZone, UNIX_EPOCH_DAYS,
    civil_from_days, days_from_civil, days_in_month, is_timestamp,
};
use crate::error::{SqlError, SqlState};
use crate::text::settings::DateOrder;

/// What reading depends on.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'z> {
    /// Which of three numbers is the day.
    pub order: DateOrder,
    /// What `now` means, in microseconds since 2000-01-01 00:00 UTC; None where it must not be
    /// read.
    pub now: Option<i64>,
    /// The zone of what has none.
    pub zone: &'z TimeZone,
}

impl Reading<'static> {
    /// As by default: month before day, UTC, and no time of now.
    pub fn plain() -> Reading<'static> {
        static UTC: LazyLock<TimeZone> = LazyLock::new(TimeZone::utc);
        Reading { order: DateOrder::Mdy, now: None, zone: &UTC }
    }
}

/// Why a text is no date or time.
enum Fault {
    /// It is none at all.
    Syntax,
    /// A field has a value that cannot be.
    Field,
    /// A month that cannot be, which another order might read.
    Order,
    /// It names a zone that is not known.
    Zone(SqlError),
    /// It is relative to the time of now, which is not known.
    Now(String),
}

type Parsed<T> = Result<T, Fault>;

/// What was read.
#[derive(Default)]
struct Moment {
    date: Option<(i32, u8, u8)>,
    time: Option<i64>,
    zone: Option<TimeZone>,
    special: Option<Special>,
}

#[derive(Clone, Copy)]
enum Special {
    Infinity,
    NegativeInfinity,
    Epoch,
}

impl Fault {
    fn told(self, type_name: &str, text: &str) -> SqlError {
        match self {
            Fault::Syntax => SqlError {
                code: SqlState::INVALID_DATETIME_FORMAT,
                ..SqlError::invalid_input(type_name, text)
            },
            Fault::Field => SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            ),
            Fault::Order => SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            )
            .with_hint("Perhaps you need a different \"datestyle\" setting."),
            Fault::Zone(error) => error,
            Fault::Now(word) => {
                SqlError::unsupported(format_args!("the date/time value \"{word}\" in this place"))
            }
        }
    }
}

fn out_of_range(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("{type_name} out of range: \"{text}\""),
    )
}

/// Reads a date. A time of day is read and left out.
///
/// # Errors
/// No date (`22007`), or out of range (`22008`).
pub fn parse_date(text: &str, reading: &Reading<'_>) -> Result<i32, SqlError> {
    let told = |fault: Fault| fault.told("date", text);
    let moment = read(text, reading).map_err(told)?;
    match moment.special {
        Some(Special::Infinity) => return Ok(i32::MAX),
        Some(Special::NegativeInfinity) => return Ok(i32::MIN),
        Some(Special::Epoch) => return Ok(-(UNIX_EPOCH_DAYS as i32)),
        None => {}
    }
    let (year, month, day) = moment.date.ok_or_else(|| told(Fault::Syntax))?;
    let days = days_from_civil(year, month, day);
    i32::try_from(days)
        .ok()
        .filter(|days| (MIN_DATE..END_DATE).contains(&i64::from(*days)))
        .ok_or_else(|| out_of_range("date", text))
}

/// Reads a time of day, in microseconds. A date and a zone are left out.
///
/// # Errors
/// No time (`22007`), or out of range (`22008`).
pub fn parse_time(text: &str, reading: &Reading<'_>) -> Result<i64, SqlError> {
    let told = |fault: Fault| fault.told("time", text);
    // `040506`, which would be a date elsewhere.
    let digits = text.trim().bytes().take_while(u8::is_ascii_digit).count();
    let next = text.trim().as_bytes().get(digits);
    if digits == 6 && matches!(next, None | Some(b'.' | b'+' | b'-')) {
        let marked = format!("T{}", text.trim());
        return read(&marked, reading).map_err(told)?.time.ok_or_else(|| told(Fault::Syntax));
    }
    read(text, reading).map_err(told)?.time.ok_or_else(|| told(Fault::Syntax))
}

/// Reads a timestamp without time zone; a zone is left out.
///
/// # Errors
/// No timestamp (`22007`), or out of range (`22008`).
pub fn parse_timestamp(text: &str, reading: &Reading<'_>) -> Result<i64, SqlError> {
    let moment = read(text, reading).map_err(|fault| fault.told("timestamp", text))?;
    local_micros(&moment, "timestamp", text).filter_range(text)
}

/// Reads a timestamp with time zone; without a zone it is of the one of `reading`.
///
/// # Errors
/// No timestamp (`22007`), or out of range (`22008`).
pub fn parse_timestamptz(text: &str, reading: &Reading<'_>) -> Result<i64, SqlError> {
    let name = "timestamp with time zone";
    let moment = read(text, reading).map_err(|fault| fault.told(name, text))?;
    let local = local_micros(&moment, name, text)?;
    if moment.special.is_some() {
        return Ok(local);
    }
    Ok(moment.zone.as_ref().unwrap_or(reading.zone).to_utc(local)).filter_range(text)
}

trait FilterRange {
    fn filter_range(self, text: &str) -> Self;
}

impl FilterRange for Result<i64, SqlError> {
    fn filter_range(self, text: &str) -> Self {
        match self {
            Ok(micros) if !is_timestamp(micros) => Err(out_of_range("timestamp", text)),
            other => other,
        }
    }
}

fn local_micros(moment: &Moment, type_name: &str, text: &str) -> Result<i64, SqlError> {
    match moment.special {
        Some(Special::Infinity) => return Ok(i64::MAX),
        Some(Special::NegativeInfinity) => return Ok(i64::MIN),
        Some(Special::Epoch) => return Ok(-UNIX_EPOCH_DAYS * DAY),
        None => {}
    }
    let Some((year, month, day)) = moment.date else {
        return Err(Fault::Syntax.told(type_name, text));
    };
    days_from_civil(year, month, day)
        .checked_mul(DAY)
        .and_then(|micros| micros.checked_add(moment.time.unwrap_or(0)))
        .ok_or_else(|| out_of_range("timestamp", text))
}

/// Reads `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss`, as seconds.
pub(super) fn parse_offset(text: &str) -> Option<i32> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let seconds = offset_seconds(digits)?;
    Some(if negative { -seconds } else { seconds })
}

fn offset_seconds(digits: &str) -> Option<i32> {
    let number = |text: &str| -> Option<i32> {
        if text.is_empty() || text.len() > 2 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        text.parse().ok()
    };
    let mut parts = digits.split(':');
    let first = parts.next()?;
    let (hours, minutes) = match (first.len(), parts.next()) {
        (3 | 4, None) if first.is_ascii() => {
            let (hours, minutes) = first.split_at(first.len() - 2);
            (number(hours)?, number(minutes)?)
        }
        (_, Some(minutes)) => (number(first)?, number(minutes)?),
        (_, None) => (number(first)?, 0),
    };
    let seconds = parts.next().map_or(Some(0), number)?;
    let valid = parts.next().is_none() && hours <= 15 && minutes < 60 && seconds < 60;
    valid.then_some(hours * 3600 + minutes * 60 + seconds)
}

/// The text from left to right, and what it said so far.
struct Reader<'a> {
    reading: Reading<'a>,
    text: &'a str,
    at: usize,
    moment: Moment,
    /// Numbers of a date that is spelled with a month's name, with their numbers of digits.
    numbers: [(i32, usize); 2],
    count: usize,
    month: Option<u8>,
    before_christ: bool,
    afternoon: Option<bool>,
    /// Right after the `T` between date and time.
    time_next: bool,
}

fn read(text: &str, reading: &Reading<'_>) -> Parsed<Moment> {
    let trimmed = text.trim();
    let mut reader = Reader {
        reading: *reading,
        text: trimmed,
        at: 0,
        moment: Moment::default(),
        numbers: [(0, 0); 2],
        count: 0,
        month: None,
        before_christ: false,
        afternoon: None,
        time_next: false,
    };
    match trimmed.bytes().next() {
        None => return Err(Fault::Syntax),
        Some(b'-' | b'+') => {
            let (sign, rest) = trimmed.split_at(1);
            let infinite = rest.eq_ignore_ascii_case("infinity");
            reader.moment.special = match sign {
                _ if !infinite => return Err(Fault::Syntax),
                "-" => Some(Special::NegativeInfinity),
                _ => Some(Special::Infinity),
            };
            return Ok(reader.moment);
        }
        _ => {}
    }
    while reader.at < reader.text.len() {
        reader.step()?;
    }
    reader.finish()
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// Whether a word is a name, or its first letters (at least three).
fn names(word: &str, name: &str) -> bool {
    word.len() >= 3
        && name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        && (word.len() == 3 || word.len() == name.len() || word.eq_ignore_ascii_case("sept"))
}

fn month_named(word: &str) -> Option<u8> {
    MONTHS.iter().position(|name| names(word, name)).map(|at| at as u8 + 1)
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn peek_after(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at + 1).copied()
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&accept) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or("")
    }

    fn number(&mut self) -> Parsed<(i32, usize)> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Err(Fault::Syntax);
        }
        Ok((digits.parse().map_err(|_| Fault::Field)?, digits.len()))
    }

    fn step(&mut self) -> Parsed<()> {
        match self.peek() {
            Some(b' ' | b',' | b'\t' | b'\n') => self.at += 1,
            Some(b'0'..=b'9') => return self.digits(),
            Some(b'+' | b'-') if self.moment.time.is_some() => {
                let offset = self.take_while(|b| matches!(b, b'+' | b'-' | b':' | b'0'..=b'9'));
                let seconds = parse_offset(offset).ok_or(Fault::Syntax)?;
                self.moment.zone = Some(TimeZone::fixed(seconds).ok_or(Fault::Field)?);
            }
            // `Jan-08-1999`
            Some(b'-' | b'/' | b'.')
                if self.month.is_some()
                    && self.moment.time.is_none()
                    && self.peek_after().is_some_and(|byte| byte.is_ascii_digit()) =>
            {
                self.at += 1;
            }
            Some(byte) if byte.is_ascii_alphabetic() => return self.word(),
            _ => return Err(Fault::Syntax),
        }
        Ok(())
    }

    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        let time_next = std::mem::take(&mut self.time_next);
        match self.peek() {
            Some(b':') => {
                self.at = start;
                return self.time();
            }
            Some(b'-' | b'/' | b'.')
                if self.moment.date.is_none()
                    && self.month.is_none()
                    && self.peek_after().is_some_and(|b| b.is_ascii_alphanumeric()) =>
            {
                self.at = start;
                return self.date();
            }
            _ => {}
        }
        let value: i32 = digits.parse().map_err(|_| Fault::Field)?;
        match digits.len() {
            8 if self.moment.date.is_none() => {
                self.set_date(value / 10_000, value / 100 % 100, value % 100)
            }
            6 if self.moment.date.is_some() || time_next => {
                self.set_time(value / 10_000, value / 100 % 100, value % 100)
            }
            4 if time_next => self.set_time(value / 100, value % 100, 0),
            2 if time_next => self.set_time(value, 0, 0),
            6 if self.month.is_none() => {
                self.set_date(century(value / 10_000), value / 100 % 100, value % 100)
            }
            length => {
                let place = self.numbers.get_mut(self.count).ok_or(Fault::Syntax)?;
                *place = (value, length);
                self.count += 1;
                Ok(())
            }
        }
    }

    /// A date with separators.
    fn date(&mut self) -> Parsed<()> {
        let start = self.at;
        let (first, first_length) = self.number()?;
        let separator = self.peek();
        self.at += 1;
        let named = self.peek().is_some_and(|byte| byte.is_ascii_alphabetic());
        let second = if named {
            let word = self.take_while(|byte| byte.is_ascii_alphabetic());
            i32::from(month_named(word).ok_or(Fault::Syntax)?)
        } else {
            self.number()?.0
        };
        if self.peek() != separator {
            // `1999.008`: a year and a day of it.
            let digits = self.at.saturating_sub(start + first_length + 1);
            if separator == Some(b'.') && !named && first_length > 2 && digits == 3 {
                return self.set_day_of_year(first, second);
            }
            return Err(Fault::Syntax);
        }
        self.at += 1;
        let (third, third_length) = self.number()?;
        let year = |value: i32, length: usize| if length <= 2 { century(value) } else { value };
        let order = self.reading.order;
        if first_length > 2 {
            self.set_date(first, second, third)
        } else if order == DateOrder::Ymd {
            self.set_date(year(first, first_length), second, third)
        } else if named {
            self.set_date(year(third, third_length), second, first)
        } else {
            let (month, day) = match order {
                DateOrder::Dmy => (second, first),
                _ => (first, second),
            };
            if month > 12 && day <= 31 {
                return Err(Fault::Order);
            }
            self.set_date(year(third, third_length), month, day)
        }
    }

    fn set_day_of_year(&mut self, year: i32, day: i32) -> Parsed<()> {
        let last = if days_in_month(year, 2) == 29 { 366 } else { 365 };
        if !(1..=last).contains(&day) {
            return Err(Fault::Field);
        }
        self.set_day(days_from_civil(year, 1, 1) + i64::from(day) - 1)
    }

    fn set_day(&mut self, days: i64) -> Parsed<()> {
        let (year, month, day) = civil_from_days(days);
        if self.moment.date.is_some() {
            return Err(Fault::Syntax);
        }
        // The year 0 is 1 BC here.
        if year <= 0 {
            self.before_christ = true;
            self.moment.date = Some((1 - year, month, day));
        } else {
            self.moment.date = Some((year, month, day));
        }
        Ok(())
    }

    /// `now`, `today`, `yesterday`, `tomorrow`
    fn relative(&mut self, word: &str) -> Parsed<()> {
        let now = self.reading.now.ok_or_else(|| Fault::Now(word.to_owned()))?;
        let local = self.reading.zone.to_local(now);
        let offset = match word {
            "yesterday" => -1,
            "tomorrow" => 1,
            _ => 0,
        };
        self.set_day(local.div_euclid(DAY) + offset)?;
        if word == "now" {
            if self.moment.time.is_some() {
                return Err(Fault::Syntax);
            }
            self.moment.time = Some(local.rem_euclid(DAY));
        }
        Ok(())
    }

    fn set_date(&mut self, year: i32, month: i32, day: i32) -> Parsed<()> {
        if self.moment.date.is_some() {
            return Err(Fault::Syntax);
        }
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Fault::Field);
        }
        self.moment.date = Some((year, month as u8, day as u8));
        Ok(())
    }

    fn time(&mut self) -> Parsed<()> {
        let (hours, _) = self.number()?;
        self.at += 1;
        let (minutes, _) = self.number()?;
        let mut seconds = 0;
        if self.peek() == Some(b':') {
            self.at += 1;
            seconds = self.number()?.0;
        }
        self.set_time(hours, minutes, seconds)
    }

    fn set_time(&mut self, hours: i32, minutes: i32, seconds: i32) -> Parsed<()> {
        if self.moment.time.is_some() {
            return Err(Fault::Syntax);
        }
        let mut fraction = 0;
        if self.peek() == Some(b'.') {
            self.at += 1;
            fraction = micros_of_fraction(self.take_while(|byte| byte.is_ascii_digit()));
        }
        let full_day = minutes == 0 && seconds == 0 && fraction == 0;
        if minutes > 59 || seconds > 60 || hours > 24 || (hours == 24 && !full_day) {
            return Err(Fault::Field);
        }
        self.moment.time = Some(
            i64::from(hours) * HOUR
                + i64::from(minutes) * MINUTE
                + i64::from(seconds) * SECOND
                + fraction,
        );
        Ok(())
    }

    fn word(&mut self) -> Parsed<()> {
        if matches!(self.peek(), Some(b'T' | b't'))
            && self.peek_after().is_some_and(|byte| byte.is_ascii_digit())
        {
            self.at += 1;
            self.time_next = true;
            return Ok(());
        }
        // `J2451187`, `y2001m02d04`
        if matches!(self.peek(), Some(b'J' | b'j' | b'Y' | b'y'))
            && self.peek_after().is_some_and(|byte| byte.is_ascii_digit())
        {
            return self.lettered();
        }
        let start = self.at;
        let letters = self.take_while(|byte| byte.is_ascii_alphabetic());
        if matches!(self.peek(), Some(b'-' | b'/' | b'.'))
            && self.peek_after().is_some_and(|byte| byte.is_ascii_digit())
            && let Some(month) = month_named(letters)
        {
            return match self.month.replace(month) {
                Some(_) => Err(Fault::Syntax),
                None => Ok(()),
            };
        }
        self.at = start;
        let word = self
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'/' | b'+' | b'-'));
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if let Some(month) = month_named(word.trim_end_matches('.')) {
            if self.month.replace(month).is_some() {
                return Err(Fault::Syntax);
            }
        } else if is("bc") {
            self.before_christ = true;
        } else if is("am") || is("pm") {
            self.afternoon = Some(is("pm"));
        } else if is("infinity") {
            self.moment.special = Some(Special::Infinity);
        } else if is("now") || is("today") || is("yesterday") || is("tomorrow") {
            self.relative(&word.to_ascii_lowercase())?;
        } else if is("allballs") {
            if self.moment.time.replace(0).is_some() {
                return Err(Fault::Syntax);
            }
            self.moment.zone = Some(TimeZone::utc());
        } else if is("epoch") {
            self.moment.special = Some(Special::Epoch);
        } else if is("ad") || is("on") || WEEKDAYS.iter().any(|name| names(word, name)) {
            return Ok(());
        } else if self.moment.time.is_some() || self.moment.date.is_some() {
            self.moment.zone = Some(TimeZone::parse(word).map_err(Fault::Zone)?);
        } else {
            return Err(Fault::Syntax);
        }
        Ok(())
    }

    /// Numbers with a letter before each.
    fn lettered(&mut self) -> Parsed<()> {
        /// The number of the day 2000-01-01.
        const JULIAN: i64 = 2_451_545;
        let julian = matches!(self.peek(), Some(b'J' | b'j'));
        self.at += 1;
        let (first, _) = self.number()?;
        if julian {
            return self.set_day(i64::from(first) - JULIAN);
        }
        let mut letter = |wanted: u8| {
            let found = self.peek().is_some_and(|byte| byte.eq_ignore_ascii_case(&wanted));
            self.at += usize::from(found);
            if found { self.number() } else { Err(Fault::Syntax) }
        };
        let (month, _) = letter(b'm')?;
        let (day, _) = letter(b'd')?;
        self.set_date(first, month, day)
    }

    fn finish(mut self) -> Parsed<Moment> {
        if let Some(month) = self.month {
            let [(a, a_length), (b, b_length)] = self.numbers;
            let (year, day) = match (self.count, a_length > 2) {
                (2, true) => (a, b),
                (2, false) if self.reading.order == DateOrder::Ymd && b_length <= 2 => {
                    (century(a), b)
                }
                (2, false) if b_length <= 2 && !self.before_christ => (century(b), a),
                (2, false) => (b, a),
                _ => return Err(Fault::Syntax),
            };
            self.set_date(year, i32::from(month), day)?;
        } else if self.count > 0 {
            return Err(Fault::Syntax);
        }
        if let Some((year, month, day)) = &mut self.moment.date {
            if *year == 0 {
                return Err(Fault::Field);
            }
            if self.before_christ {
                *year = 1 - *year;
            }
            if *day > days_in_month(*year, *month) || *year > 6_000_000 {
                return Err(Fault::Field);
            }
        }
        if let (Some(time), Some(afternoon)) = (&mut self.moment.time, self.afternoon) {
            match *time / HOUR {
                13.. => return Err(Fault::Field),
                12 if !afternoon => *time -= 12 * HOUR,
                0..12 if afternoon => *time += 12 * HOUR,
                _ => {}
            }
        }
        Ok(self.moment)
    }
}

/// The year of two digits.
fn century(year: i32) -> i32 {
    if year < 70 { year + 2000 } else { year + 1900 }
}

/// Microseconds of the digits after a point, rounded.
pub(crate) fn micros_of_fraction(digits: &str) -> i64 {
    let mut micros = 0;
    let mut bytes = digits.bytes();
    for _ in 0..6 {
        micros = micros * 10 + i64::from(bytes.next().unwrap_or(b'0') - b'0');
    }
    micros + i64::from(bytes.next().is_some_and(|digit| digit >= b'5'))
}

/// Reads a time of day with its zone; without a zone it is of the one of `reading`. A zone whose offset
/// changes needs a date.
///
/// # Errors
/// No time (`22007`), or out of range (`22008`).
pub fn parse_timetz(text: &str, reading: &Reading<'_>) -> Result<TimeTz, SqlError> {
    let name = "time with time zone";
    let told = |fault: Fault| fault.told(name, text);
    let moment = read(text, reading).map_err(told)?;
    let micros = moment.time.ok_or_else(|| told(Fault::Syntax))?;
    let of = moment.zone.as_ref().unwrap_or(reading.zone);
    let offset = match moment.date {
        Some((year, month, day)) => {
            let local = days_from_civil(year, month, day)
                .checked_mul(DAY)
                .and_then(|start| start.checked_add(micros))
                .ok_or_else(|| out_of_range(name, text))?;
            local.saturating_sub(of.to_utc(local)) / SECOND
        }
        None => {
            let offset = of.offset_at(0);
            // Half a year later.
            if moment.zone.is_some() && of.offset_at(182 * DAY) != offset {
                return Err(told(Fault::Syntax));
            }
            i64::from(offset)
        }
    };
    let offset = i32::try_from(offset).map_err(|_| out_of_range(name, text))?;
    Ok(TimeTz { micros, zone: -offset })
}
