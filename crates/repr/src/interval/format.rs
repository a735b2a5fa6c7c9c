//! Intervals as text, in PostgreSQL's styles.

use std::fmt::{self, Write};

use super::Interval;
use crate::text::settings::IntervalStyle;
use crate::time::format::{push_fraction, push_padded};

/// Appends an interval such as `1 year 2 mons -3 days +04:05:06.7`.
pub fn format_interval(interval: &Interval, out: &mut String) {
    let start = out.len();
    let mut negative_before = false;
    let parts =
        [(interval.months / 12, "year"), (interval.months % 12, "mon"), (interval.days, "day")];
    for (value, unit) in parts {
        if value == 0 {
            continue;
        }
        let space = if out.len() > start { " " } else { "" };
        let plus = if negative_before && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        // Writing to a String cannot fail.
        let _ = write!(out, "{space}{plus}{value} {unit}{plural}");
        negative_before = value < 0;
    }
    if interval.micros == 0 && out.len() > start {
        return;
    }
    if out.len() > start {
        out.push(' ');
    }
    if interval.micros < 0 {
        out.push('-');
    } else if negative_before {
        out.push('+');
    }
    let micros = interval.micros.unsigned_abs();
    let seconds = micros / 1_000_000;
    push_padded(out, seconds / 3600, 2);
    out.push(':');
    push_padded(out, seconds / 60 % 60, 2);
    out.push(':');
    push_padded(out, seconds % 60, 2);
    push_fraction(micros % 1_000_000, out);
}

/// The parts of an interval as they are shown, each with its sign.
struct Parts {
    years: i32,
    months: i32,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

impl Parts {
    fn of(interval: &Interval) -> Parts {
        Parts {
            years: interval.months / 12,
            months: interval.months % 12,
            days: i64::from(interval.days),
            hours: interval.micros / 3_600_000_000,
            minutes: interval.micros / 60_000_000 % 60,
            seconds: interval.micros / 1_000_000 % 60,
            micros: interval.micros % 1_000_000,
        }
    }

    fn all(&self) -> [i64; 7] {
        let [years, months] = [self.years, self.months].map(i64::from);
        [years, months, self.days, self.hours, self.minutes, self.seconds, self.micros]
    }

    /// Appends the seconds without sign.
    fn push_seconds(&self, width: usize, out: &mut String) {
        push_padded(out, self.seconds.unsigned_abs(), width);
        push_fraction(self.micros.unsigned_abs(), out);
    }
}

/// Appends an interval in a style.
pub fn styled_interval(interval: &Interval, style: IntervalStyle, out: &mut String) {
    match style {
        IntervalStyle::Postgres => format_interval(interval, out),
        IntervalStyle::PostgresVerbose => verbose(&Parts::of(interval), out),
        IntervalStyle::SqlStandard => standard(&Parts::of(interval), out),
        IntervalStyle::Iso8601 => iso(&Parts::of(interval), out),
    }
}

/// `@ 1 year 2 mons ago`: the sign of the first part is that of the whole.
fn verbose(parts: &Parts, out: &mut String) {
    out.push('@');
    let mut first = true;
    let mut before = false;
    let units = ["year", "mon", "day", "hour", "min"];
    for (value, unit) in parts.all().into_iter().zip(units) {
        if value == 0 {
            continue;
        }
        let mut shown = i128::from(value);
        if first {
            before = value < 0;
            first = false;
        }
        if before {
            shown = -shown;
        }
        let plural = if shown == 1 { "" } else { "s" };
        // Writing to a String cannot fail.
        let _ = write!(out, " {shown} {unit}{plural}");
    }
    if parts.seconds != 0 || parts.micros != 0 {
        let negative = parts.seconds < 0 || parts.micros < 0;
        out.push(' ');
        if first {
            before = negative;
            first = false;
        } else if negative != before {
            out.push('-');
        }
        parts.push_seconds(1, out);
        let one = parts.seconds.abs() == 1 && parts.micros == 0;
        out.push_str(if one { " sec" } else { " secs" });
    }
    if first {
        out.push_str(" 0");
    }
    if before {
        out.push_str(" ago");
    }
}

/// `1-2`, `3 4:05:06`; with all signs where it is none of the standard's.
fn standard(parts: &Parts, out: &mut String) {
    let all = parts.all();
    let negative = all.iter().any(|part| *part < 0);
    let positive = all.iter().any(|part| *part > 0);
    let years = all[..2].iter().any(|part| *part != 0);
    let days = all[2..].iter().any(|part| *part != 0);
    let sign = |negative: bool| if negative { '-' } else { '+' };
    let [year, month, day, hour, minute, ..] = all.map(i64::unsigned_abs);
    // Writing to a String cannot fail.
    if !negative && !positive {
        out.push('0');
    } else if (negative && positive) || (years && days) {
        let time = parts.hours < 0 || parts.minutes < 0 || parts.seconds < 0 || parts.micros < 0;
        let _ = write!(
            out,
            "{}{year}-{month} {}{day} {}{hour}:{minute:02}:",
            sign(parts.years < 0 || parts.months < 0),
            sign(parts.days < 0),
            sign(time),
        );
        parts.push_seconds(2, out);
    } else {
        if negative {
            out.push('-');
        }
        if years {
            let _ = write!(out, "{year}-{month}");
            return;
        }
        if day != 0 {
            let _ = write!(out, "{day} ");
        }
        let _ = write!(out, "{hour}:{minute:02}:");
        parts.push_seconds(2, out);
    }
}

/// `P1Y2M3DT4H5M6S`
fn iso(parts: &Parts, out: &mut String) {
    let all = parts.all();
    if all.iter().all(|part| *part == 0) {
        return out.push_str("PT0S");
    }
    out.push('P');
    let mut push = |value: i64, unit: char| {
        if value != 0 {
            // Writing to a String cannot fail.
            let _ = write!(out, "{value}{unit}");
        }
    };
    push(i64::from(parts.years), 'Y');
    push(i64::from(parts.months), 'M');
    push(parts.days, 'D');
    if all[3..].iter().all(|part| *part == 0) {
        return;
    }
    out.push('T');
    for (value, unit) in [(parts.hours, 'H'), (parts.minutes, 'M')] {
        if value != 0 {
            let _ = write!(out, "{value}{unit}");
        }
    }
    if parts.seconds != 0 || parts.micros != 0 {
        if parts.seconds < 0 || parts.micros < 0 {
            out.push('-');
        }
        parts.push_seconds(1, out);
        out.push('S');
    }
}

impl fmt::Display for Interval {
    /// PostgreSQL's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        format_interval(self, &mut out);
        f.write_str(&out)
    }
}
