//! The settings of a session that change how values are read and shown.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use crate::time::TimeZone;
use crate::types::ScalarType;

/// `datestyle`: how dates are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateStyle {
    /// `1997-12-17 07:37:16-08`
    #[default]
    Iso,
    /// `12/17/1997 07:37:16.00 PST`
    Sql,
    /// `Wed Dec 17 07:37:16 1997 PST`
    Postgres,
    /// `17.12.1997 07:37:16.00 PST`
    German,
}

/// `datestyle`: the order of day, month and year in what is read, and of day and month in what
/// is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    /// Month, day, year.
    #[default]
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// `intervalstyle`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalStyle {
    /// `1 year 2 mons 3 days 04:05:06`
    #[default]
    Postgres,
    /// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs`
    PostgresVerbose,
    /// `+1-2 +3 +4:05:06`
    SqlStandard,
    /// `P1Y2M3DT4H5M6S`
    Iso8601,
}

/// The settings of a session that change how values are read and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSettings {
    /// `timezone`, as an IANA name or a POSIX offset.
    pub time_zone: String,
    /// How dates are shown.
    pub date_style: DateStyle,
    /// In which order their parts stand.
    pub date_order: DateOrder,
    /// How intervals are shown.
    pub interval_style: IntervalStyle,
    /// `bytea_output` is `escape`.
    pub bytea_escape: bool,
    /// `extra_float_digits`
    pub extra_float_digits: i8,
    /// What `now` and `today` mean, in microseconds since 2000-01-01 00:00 UTC; None where they
    /// must not be read.
    pub now: Option<i64>,
    /// How oids are shown that stand for names; as numbers if there is nothing here.
    pub names: OidNames,
}

/// Gives the name that an oid stands for in a type; None if it stands for nothing.
pub type OidName = dyn Fn(&ScalarType, u32) -> Option<String> + Send + Sync;

/// How oids are shown as names. It says nothing of what the settings are: all are equal.
#[derive(Clone, Default)]
pub struct OidNames(pub Option<Arc<OidName>>);

impl OidNames {
    /// The name that an oid stands for in a type.
    pub fn name(&self, typ: &ScalarType, oid: u32) -> Option<String> {
        self.0.as_ref().and_then(|name| name(typ, oid))
    }
}

impl fmt::Debug for OidNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OidNames")
    }
}

impl PartialEq for OidNames {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for OidNames {}

impl Default for TextSettings {
    fn default() -> Self {
        TextSettings {
            time_zone: "UTC".to_owned(),
            date_style: DateStyle::Iso,
            date_order: DateOrder::Mdy,
            interval_style: IntervalStyle::Postgres,
            bytea_escape: false,
            extra_float_digits: 1,
            now: None,
            names: OidNames::default(),
        }
    }
}

thread_local! {
    /// The zone that was asked for last: one session asks for the same again and again.
    static LAST_ZONE: RefCell<(String, TimeZone)> =
        RefCell::new(("UTC".to_owned(), TimeZone::utc()));
}

/// Between the time zone and the rest in [`TextSettings::to_argument`]: in no name of a zone.
const SEPARATOR: char = ';';

impl TextSettings {
    /// The default, with a time zone.
    pub fn in_zone(time_zone: &str) -> TextSettings {
        TextSettings { time_zone: time_zone.to_owned(), ..TextSettings::default() }
    }

    /// Runs `with` with the session's time zone; UTC if its name is not known.
    pub fn with_zone<T>(&self, with: impl FnOnce(&TimeZone) -> T) -> T {
        LAST_ZONE.with_borrow_mut(|(name, zone)| {
            if *name != self.time_zone {
                *zone = TimeZone::parse(&self.time_zone).unwrap_or_else(|_| TimeZone::utc());
                name.clone_from(&self.time_zone);
            }
            with(zone)
        })
    }

    /// All but `now` as a text that goes with a call: the time zone alone where the rest is as
    /// by default.
    pub fn to_argument(&self) -> String {
        let style = match self.date_style {
            DateStyle::Iso => 'I',
            DateStyle::Sql => 'S',
            DateStyle::Postgres => 'P',
            DateStyle::German => 'G',
        };
        let order = match self.date_order {
            DateOrder::Mdy => 'M',
            DateOrder::Dmy => 'D',
            DateOrder::Ymd => 'Y',
        };
        let interval = match self.interval_style {
            IntervalStyle::Postgres => 'P',
            IntervalStyle::PostgresVerbose => 'V',
            IntervalStyle::SqlStandard => 'S',
            IntervalStyle::Iso8601 => 'I',
        };
        let bytea = if self.bytea_escape { 'E' } else { 'H' };
        // All above 0 show the same.
        let digits = self.extra_float_digits.min(1);
        let rest = format!("{style}{order}{interval}{bytea}{digits}");
        if rest == "IMPH1" {
            return self.time_zone.clone();
        }
        format!("{}{SEPARATOR}{rest}", self.time_zone)
    }

    /// Reads [`TextSettings::to_argument`].
    pub fn from_argument(text: &str) -> TextSettings {
        let Some((zone, rest)) = text.split_once(SEPARATOR) else {
            return TextSettings::in_zone(text);
        };
        let mut settings = TextSettings::in_zone(zone);
        let mut letters = rest.chars();
        settings.date_style = match letters.next() {
            Some('S') => DateStyle::Sql,
            Some('P') => DateStyle::Postgres,
            Some('G') => DateStyle::German,
            _ => DateStyle::Iso,
        };
        settings.date_order = match letters.next() {
            Some('D') => DateOrder::Dmy,
            Some('Y') => DateOrder::Ymd,
            _ => DateOrder::Mdy,
        };
        settings.interval_style = match letters.next() {
            Some('V') => IntervalStyle::PostgresVerbose,
            Some('S') => IntervalStyle::SqlStandard,
            Some('I') => IntervalStyle::Iso8601,
            _ => IntervalStyle::Postgres,
        };
        settings.bytea_escape = letters.next() == Some('E');
        settings.extra_float_digits = letters.as_str().parse().unwrap_or(1);
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_as_they_were_written() {
        let plain = TextSettings::in_zone("Europe/Berlin");
        assert_eq!(plain.to_argument(), "Europe/Berlin");
        let other = TextSettings {
            date_style: DateStyle::German,
            date_order: DateOrder::Ymd,
            interval_style: IntervalStyle::Iso8601,
            bytea_escape: true,
            extra_float_digits: -15,
            ..plain.clone()
        };
        for settings in [plain, other] {
            assert_eq!(TextSettings::from_argument(&settings.to_argument()), settings);
        }
    }
}
