//! `interval`: months, days and microseconds, kept apart as PostgreSQL keeps them.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

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
