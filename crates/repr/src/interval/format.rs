//! Intervals as text, in the style `postgres`.

use std::fmt::{self, Write};

use super::Interval;
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

impl fmt::Display for Interval {
    /// PostgreSQL's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        format_interval(self, &mut out);
        f.write_str(&out)
    }
}
