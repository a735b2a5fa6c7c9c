//! Time as the database counts it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A timestamp of the one clock: milliseconds since the Unix epoch, strictly increasing from
/// commit to commit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Tick(pub u64);

impl Tick {
    /// The first tick there is.
    pub const MIN: Tick = Tick(0);
    /// The last tick there is; never given to a commit.
    pub const MAX: Tick = Tick(u64::MAX);

    /// The tick right after this one; [`Tick::MAX`] stays where it is.
    pub fn next(self) -> Tick {
        Tick(self.0.saturating_add(1))
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many times a row is added (positive) or taken away (negative).
pub type Diff = i64;
