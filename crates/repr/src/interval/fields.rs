//! What a type like `interval day to second(3)` keeps: the fields and the digits of its modifier.

use super::Interval;
use crate::time::round_micros;

/// The bits of PostgreSQL's modifier that name fields.
pub mod bits {
    /// `MONTH`
    pub const MONTH: i32 = 1 << 1;
    /// `YEAR`
    pub const YEAR: i32 = 1 << 2;
    /// `DAY`
    pub const DAY: i32 = 1 << 3;
    /// `HOUR`
    pub const HOUR: i32 = 1 << 10;
    /// `MINUTE`
    pub const MINUTE: i32 = 1 << 11;
    /// `SECOND`
    pub const SECOND: i32 = 1 << 12;
    /// All fields.
    pub const ALL: i32 = 0x7fff;
}

use bits::{ALL, DAY, HOUR, MINUTE, MONTH, SECOND, YEAR};

/// Digits in a modifier that does not name any.
const ALL_DIGITS: i32 = 0xffff;

/// The fields that a type may name, by their bits.
const NAMES: [(i32, &str); 13] = [
    (YEAR, "year"),
    (MONTH, "month"),
    (DAY, "day"),
    (HOUR, "hour"),
    (MINUTE, "minute"),
    (SECOND, "second"),
    (YEAR | MONTH, "year to month"),
    (DAY | HOUR, "day to hour"),
    (DAY | HOUR | MINUTE, "day to minute"),
    (DAY | HOUR | MINUTE | SECOND, "day to second"),
    (HOUR | MINUTE, "hour to minute"),
    (HOUR | MINUTE | SECOND, "hour to second"),
    (MINUTE | SECOND, "minute to second"),
];

/// The modifier of these fields (as they are named, in lower case) and digits; None if there are
/// no such fields.
pub fn modifier(fields: Option<&str>, digits: Option<u64>) -> Option<i32> {
    let fields = match fields {
        None => ALL,
        Some(wanted) => NAMES.iter().find(|(_, name)| *name == wanted)?.0,
    };
    let digits = digits.map_or(ALL_DIGITS, |digits| i32::try_from(digits.min(6)).unwrap_or(6));
    Some(if fields == ALL && digits == ALL_DIGITS { -1 } else { fields << 16 | digits })
}

/// The fields of a modifier; all if it names none.
pub fn fields_of(modifier: i32) -> i32 {
    match (modifier >> 16) & ALL {
        _ if modifier < 0 => ALL,
        0 => ALL,
        fields => fields,
    }
}

/// The name of the type with a modifier.
pub fn type_name(modifier: i32) -> String {
    if modifier < 0 {
        return "interval".to_owned();
    }
    let fields = fields_of(modifier);
    let mut name = "interval".to_owned();
    if let Some((_, shown)) = NAMES.iter().find(|(bits, _)| *bits == fields) {
        name.push(' ');
        name.push_str(shown);
    }
    let digits = modifier & ALL_DIGITS;
    if digits != ALL_DIGITS {
        name.push_str(&format!("({digits})"));
    }
    name
}

impl Interval {
    /// Without what the fields of a modifier have no place for, rounded to its digits.
    #[must_use]
    pub fn limited(self, modifier: i32) -> Interval {
        if modifier < 0 {
            return self;
        }
        let fields = fields_of(modifier);
        let digits = modifier & ALL_DIGITS;
        let mut limited = self;
        if fields != ALL && fields & SECOND == 0 {
            let unit = match () {
                () if fields & MINUTE != 0 => 60_000_000,
                () if fields & HOUR != 0 => 3_600_000_000,
                () => i64::MAX,
            };
            limited.micros = limited.micros / unit * unit;
        }
        if fields & (DAY | HOUR | MINUTE | SECOND) == 0 {
            limited.days = 0;
        }
        if fields & (MONTH | DAY | HOUR | MINUTE | SECOND) == 0 && fields & YEAR != 0 {
            limited.months = limited.months / 12 * 12;
        }
        if digits <= 6 {
            limited.micros = round_micros(limited.micros, digits);
        }
        limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_modifiers_are_those_of_postgres() {
        let cases = [
            (Some("year to month"), None, 458_751, "interval year to month"),
            (Some("day to second"), Some(2), 470_286_338, "interval day to second(2)"),
            (None, Some(3), 2_147_418_115, "interval(3)"),
            (None, None, -1, "interval"),
        ];
        for (fields, digits, expected, name) in cases {
            let typmod = modifier(fields, digits);
            assert_eq!(typmod, Some(expected));
            assert_eq!(type_name(expected), name);
        }
        assert_eq!(modifier(Some("year to day"), None), None);
    }
}
