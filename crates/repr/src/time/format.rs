//! Dates and times as text, in PostgreSQL's ISO style.

use super::{DAY, HOUR, MINUTE, SECOND, TimeTz, TimeZone, civil_from_days};
use crate::text::settings::{DateOrder, DateStyle};

/// Appends a number with at least `width` digits.
pub(crate) fn push_padded(out: &mut String, value: u64, width: usize) {
    let mut buffer = [b'0'; 20];
    let mut start = 20;
    let mut rest = value;
    while rest > 0 {
        start -= 1;
        buffer[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    start = start.min(20 - width.min(20));
    out.extend(buffer[start..].iter().map(|byte| char::from(*byte)));
}

fn push_day(days: i64, out: &mut String) -> bool {
    let (year, month, day) = civil_from_days(days);
    let before_christ = year <= 0;
    let shown = if before_christ { 1 - i64::from(year) } else { i64::from(year) };
    push_padded(out, shown.unsigned_abs(), 4);
    out.push('-');
    push_padded(out, u64::from(month), 2);
    out.push('-');
    push_padded(out, u64::from(day), 2);
    before_christ
}

/// Appends a fraction of a second without trailing zeros.
pub(crate) fn push_fraction(micros: u64, out: &mut String) {
    if micros > 0 {
        out.push('.');
        push_padded(out, micros, 6);
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// Appends a time of day.
pub fn format_time(micros: i64, out: &mut String) {
    push_padded(out, (micros / HOUR).unsigned_abs(), 2);
    out.push(':');
    push_padded(out, (micros % HOUR / MINUTE).unsigned_abs(), 2);
    out.push(':');
    push_padded(out, (micros % MINUTE / SECOND).unsigned_abs(), 2);
    push_fraction((micros % SECOND).unsigned_abs(), out);
}

/// Appends a time of day with its zone.
pub fn format_timetz(time: &TimeTz, out: &mut String) {
    format_time(time.micros, out);
    push_offset(time.zone.saturating_neg(), out);
}

/// Appends a date.
pub fn format_date(days: i32, out: &mut String) {
    match days {
        i32::MAX => out.push_str("infinity"),
        i32::MIN => out.push_str("-infinity"),
        _ => {
            if push_day(i64::from(days), out) {
                out.push_str(" BC");
            }
        }
    }
}

fn push_infinity(micros: i64, out: &mut String) -> bool {
    match micros {
        i64::MAX => out.push_str("infinity"),
        i64::MIN => out.push_str("-infinity"),
        _ => return false,
    }
    true
}

fn push_moment(local: i64, offset: Option<i32>, out: &mut String) {
    let before_christ = push_day(local.div_euclid(DAY), out);
    out.push(' ');
    format_time(local.rem_euclid(DAY), out);
    if let Some(offset) = offset {
        push_offset(offset, out);
    }
    if before_christ {
        out.push_str(" BC");
    }
}

/// Appends an offset such as `+02`, `-03:30` or `+00:53:28`.
pub(crate) fn push_offset(seconds: i32, out: &mut String) {
    out.push(if seconds < 0 { '-' } else { '+' });
    let seconds = u64::from(seconds.unsigned_abs());
    push_padded(out, seconds / 3600, 2);
    if seconds % 3600 != 0 {
        out.push(':');
        push_padded(out, seconds / 60 % 60, 2);
    }
    if seconds % 60 != 0 {
        out.push(':');
        push_padded(out, seconds % 60, 2);
    }
}

/// Appends a timestamp without time zone.
pub fn format_timestamp(micros: i64, out: &mut String) {
    if !push_infinity(micros, out) {
        push_moment(micros, None, out);
    }
}

/// Appends a timestamp as clocks of a zone show it, with the zone's offset.
pub fn format_timestamptz(micros: i64, zone: &TimeZone, out: &mut String) {
    if !push_infinity(micros, out) {
        let offset = zone.offset_at(micros);
        push_moment(micros.saturating_add(i64::from(offset) * SECOND), Some(offset), out);
    }
}

/// Names of months as they are shown.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Names of days as they are shown; 2000-01-01 was the first of these.
const DAYS: [&str; 7] = ["Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"];

/// Appends the numbers of a day in a style; gives whether it is before Christ.
fn push_styled_day(days: i64, style: DateStyle, order: DateOrder, out: &mut String) -> bool {
    if style == DateStyle::Iso {
        return push_day(days, out);
    }
    let (year, month, day) = civil_from_days(days);
    let before_christ = year <= 0;
    let shown = if before_christ { 1 - i64::from(year) } else { i64::from(year) };
    let separator = match style {
        DateStyle::Sql => '/',
        DateStyle::German => '.',
        _ => '-',
    };
    let day_first = style == DateStyle::German || order == DateOrder::Dmy;
    let (first, second) = if day_first { (day, month) } else { (month, day) };
    push_padded(out, u64::from(first), 2);
    out.push(separator);
    push_padded(out, u64::from(second), 2);
    out.push(separator);
    push_padded(out, shown.unsigned_abs(), 4);
    before_christ
}

/// Appends a date in a style.
pub fn styled_date(days: i32, style: DateStyle, order: DateOrder, out: &mut String) {
    if style == DateStyle::Iso || matches!(days, i32::MAX | i32::MIN) {
        return format_date(days, out);
    }
    if push_styled_day(i64::from(days), style, order, out) {
        out.push_str(" BC");
    }
}

/// Appends a timestamp in a style; with a zone as its clocks show it.
pub fn styled_timestamp(
    micros: i64,
    zone: Option<&TimeZone>,
    style: DateStyle,
    order: DateOrder,
    out: &mut String,
) {
    match (style, zone) {
        (DateStyle::Iso, None) => return format_timestamp(micros, out),
        (DateStyle::Iso, Some(zone)) => return format_timestamptz(micros, zone, out),
        _ if push_infinity(micros, out) => return,
        _ => {}
    }
    let offset = zone.map_or(0, |zone| zone.offset_at(micros));
    let local = micros.saturating_add(i64::from(offset) * SECOND);
    let (day, time) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    let before_christ = if style == DateStyle::Postgres {
        push_spelled(day, time, order, out)
    } else {
        let before_christ = push_styled_day(day, style, order, out);
        out.push(' ');
        format_time(time, out);
        before_christ
    };
    if let Some(zone) = zone {
        match zone.abbreviation_at(micros) {
            Some(abbreviation) => {
                out.push(' ');
                out.push_str(&abbreviation);
            }
            None => {
                if style == DateStyle::Postgres {
                    out.push(' ');
                }
                push_offset(offset, out);
            }
        }
    }
    if before_christ {
        out.push_str(" BC");
    }
}

/// Appends `Wed Dec 17 07:37:16 1997`; gives whether it is before Christ.
fn push_spelled(days: i64, time: i64, order: DateOrder, out: &mut String) -> bool {
    let (year, month, day) = civil_from_days(days);
    let before_christ = year <= 0;
    let shown = if before_christ { 1 - i64::from(year) } else { i64::from(year) };
    let weekday = usize::try_from(days.rem_euclid(7)).unwrap_or(0);
    let month = MONTHS.get(usize::from(month).saturating_sub(1)).copied().unwrap_or("");
    out.push_str(DAYS.get(weekday).copied().unwrap_or(""));
    out.push(' ');
    if order == DateOrder::Dmy {
        push_padded(out, u64::from(day), 2);
        out.push(' ');
        out.push_str(month);
    } else {
        out.push_str(month);
        out.push(' ');
        push_padded(out, u64::from(day), 2);
    }
    out.push(' ');
    format_time(time, out);
    out.push(' ');
    push_padded(out, shown.unsigned_abs(), 4);
    before_christ
}
