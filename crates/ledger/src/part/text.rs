//! The text of decimals and intervals in parts: exact both ways, and what SQL understands.

use ethnum::I256;

use tidemill_repr::{Interval, Numeric};

/// A decimal with its display scale: `-12.50`, `Infinity`, `NaN`.
pub fn numeric_to_text(value: &Numeric) -> String {
    let (mantissa, scale) = match value {
        Numeric::NaN => return "NaN".to_owned(),
        Numeric::PositiveInfinity => return "Infinity".to_owned(),
        Numeric::NegativeInfinity => return "-Infinity".to_owned(),
        Numeric::Finite { mantissa, scale } => (mantissa, usize::from(*scale)),
    };
    let digits = mantissa.unsigned_abs().to_string();
    let sign = if *mantissa < I256::ZERO { "-" } else { "" };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// Reads what [`numeric_to_text`] wrote.
pub fn numeric_from_text(text: &str) -> Option<Numeric> {
    match text {
        "NaN" => return Some(Numeric::NaN),
        "Infinity" => return Some(Numeric::PositiveInfinity),
        "-Infinity" => return Some(Numeric::NegativeInfinity),
        _ => {}
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mantissa = format!("{whole}{fraction}").parse::<I256>().ok()?;
    Some(Numeric::Finite { mantissa, scale: u16::try_from(fraction.len()).ok()? })
}

/// `14 months -3 days 5 microseconds`, always all three.
pub fn interval_to_text(value: &Interval) -> String {
    format!("{} months {} days {} microseconds", value.months, value.days, value.micros)
}

/// Reads what [`interval_to_text`] wrote.
pub fn interval_from_text(text: &str) -> Option<Interval> {
    let mut words = text.split(' ');
    let months = words.next()?.parse().ok()?;
    let days = words.nth(1)?.parse().ok()?;
    let micros = words.nth(1)?.parse().ok()?;
    Some(Interval { months, days, micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerics_keep_their_scale() {
        for text in
            ["0", "0.00", "1", "-1", "1.0", "1.00", "-0.05", "12345.678", "NaN", "-Infinity"]
        {
            assert_eq!(numeric_to_text(&numeric_from_text(text).unwrap()), text);
        }
    }

    #[test]
    fn intervals_keep_their_parts() {
        let interval = Interval { months: i32::MIN, days: 3, micros: i64::MAX };
        assert_eq!(interval_from_text(&interval_to_text(&interval)), Some(interval));
    }
}
