//! Identifiers of objects here and positions upstream.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A PostgreSQL object identifier.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Oid(pub u32);

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a catalog object, stable for its life and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectId {
    /// Built in: `s1`.
    System(u64),
    /// Created by a user: `u1`.
    User(u64),
    /// Lives no longer than one statement or dataflow: `t1`.
    Transient(u64),
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectId::System(n) => write!(f, "s{n}"),
            ObjectId::User(n) => write!(f, "u{n}"),
            ObjectId::Transient(n) => write!(f, "t{n}"),
        }
    }
}

/// A text that is no [`ObjectId`] or no [`Lsn`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid identifier: \"{0}\"")]
pub struct ParseIdError(pub String);

impl FromStr for ObjectId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseIdError(text.to_owned());
        let number = text.get(1..).and_then(|n| n.parse().ok()).ok_or_else(bad)?;
        match text.as_bytes()[0] {
            b's' => Ok(ObjectId::System(number)),
            b'u' => Ok(ObjectId::User(number)),
            b't' => Ok(ObjectId::Transient(number)),
            _ => Err(bad()),
        }
    }
}

/// A position in a PostgreSQL server's write-ahead log, in bytes; shown as `16/B374D848`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl FromStr for Lsn {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseIdError(text.to_owned());
        let (high, low) = text.split_once('/').ok_or_else(bad)?;
        let high = u32::from_str_radix(high, 16).map_err(|_| bad())?;
        let low = u32::from_str_radix(low, 16).map_err(|_| bad())?;
        Ok(Lsn(u64::from(high) << 32 | u64::from(low)))
    }
}
