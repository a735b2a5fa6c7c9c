//! `interval`: months, days and microseconds, kept apart as PostgreSQL keeps them.
//!
//! Reading lies in [`parse`], writing in [`mod@format`], type modifiers in [`fields`].

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

pub mod fields;
pub mod format;
pub mod parse;

pub use format::{format_interval, styled_interval};
pub use parse::{parse_interval, parse_interval_within};

/// A span of time. Months and days have no fixed length, so the three parts stay apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interval {
    /// Whole months.
    pub months: i32,
    /// Whole days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

impl Interval {
    /// The length PostgreSQL compares intervals by: a month has 30 days, a day 24 hours. In
    /// microseconds.
    pub fn comparison_value(&self) -> i128 {
        let days = i128::from(self.months) * 30 + i128::from(self.days);
        days * 86_400_000_000 + i128::from(self.micros)
    }

    /// SQL's order: by length, where different parts may make equal lengths (`1 day` and
    /// `24 hours`).
    pub fn sql_cmp(&self, other: &Interval) -> Ordering {
        self.comparison_value().cmp(&other.comparison_value())
    }
}

impl Interval {
    /// An interval of these parts.
    pub fn new(months: i32, days: i32, micros: i64) -> Interval {
        Interval { months, days, micros }
    }

    /// The one representative of all intervals of the same length: whole months first, then
    /// days, then microseconds, all of one sign.
    #[must_use]
    pub fn canonical(&self) -> Interval {
        const DAY: i128 = 86_400_000_000;
        const MONTH: i128 = 30 * DAY;
        let length = self.comparison_value();
        // The length of three parts in range: only months can be out of it, and what is too
        // much for them is left to the days, where it fits.
        let months = (length / MONTH).clamp(i128::from(i32::MIN), i128::from(i32::MAX));
        let rest = length - months * MONTH;
        let days = (rest / DAY).clamp(i128::from(i32::MIN), i128::from(i32::MAX));
        let micros = rest - days * DAY;
        Interval { months: months as i32, days: days as i32, micros: micros as i64 }
    }

    /// The negated interval, if it is in range.
    #[must_use]
    pub fn checked_neg(&self) -> Option<Interval> {
        Some(Interval {
            months: self.months.checked_neg()?,
            days: self.days.checked_neg()?,
            micros: self.micros.checked_neg()?,
        })
    }

    /// The sum part by part, if it is in range.
    #[must_use]
    pub fn checked_add(&self, other: &Interval) -> Option<Interval> {
        Some(Interval {
            months: self.months.checked_add(other.months)?,
            days: self.days.checked_add(other.days)?,
            micros: self.micros.checked_add(other.micros)?,
        })
    }
}
