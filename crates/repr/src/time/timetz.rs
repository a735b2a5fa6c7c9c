//! `time with time zone`.

use std::cmp::Ordering;

/// A time of day and the zone it was given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeTz {
    /// Microseconds since midnight, in the zone.
    pub micros: i64,
    /// Seconds west of UTC, as PostgreSQL keeps it.
    pub zone: i32,
}

impl TimeTz {
    /// The time in UTC, in microseconds since UTC's midnight; may lie outside of the day.
    pub fn utc_micros(&self) -> i64 {
        self.micros.saturating_add(i64::from(self.zone) * 1_000_000)
    }

    /// The time from what [`TimeTz::utc_micros`] gave.
    pub fn from_utc_micros(utc: i64, zone: i32) -> TimeTz {
        TimeTz { micros: utc.saturating_sub(i64::from(zone) * 1_000_000), zone }
    }

    /// SQL's order: by the time in UTC, then by zone.
    pub fn sql_cmp(&self, other: &TimeTz) -> Ordering {
        self.utc_micros().cmp(&other.utc_micros()).then(self.zone.cmp(&other.zone))
    }
}
