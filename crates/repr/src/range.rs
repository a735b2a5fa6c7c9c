//! Ranges and multiranges inside rows.
//!
//! The bytes are ordered as SQL orders ranges (empty first, then by lower bound, then by upper
//! bound) and tell themselves where they end:
//!
//! ```text
//! range       00                      empty
//!             01 lower upper
//! lower       00                      unbounded
//!             01 datum 00|01          inclusive | exclusive
//! upper       01 datum 00|01          exclusive | inclusive
//!             02                      unbounded
//! multirange  (01 range)* 00
//! ```

pub mod build;

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::datum::Datum;
use crate::row::{push_datum, read_datum};
use crate::types::ScalarType;

const EMPTY: u8 = 0;
const BOUNDS: u8 = 1;
const LOWER_UNBOUNDED: u8 = 0;
const BOUNDED: u8 = 1;
const UPPER_UNBOUNDED: u8 = 2;
const FIRST: u8 = 0;
const SECOND: u8 = 1;

/// Which of PostgreSQL's built-in range types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RangeKind {
    /// `int4range`
    Int4,
    /// `int8range`
    Int8,
    /// `numrange`
    Numeric,
    /// `daterange`
    Date,
    /// `tsrange`
    Timestamp,
    /// `tstzrange`
    TimestampTz,
}

impl RangeKind {
    /// All of them.
    pub const ALL: [RangeKind; 6] = [
        RangeKind::Int4,
        RangeKind::Int8,
        RangeKind::Numeric,
        RangeKind::Date,
        RangeKind::Timestamp,
        RangeKind::TimestampTz,
    ];

    /// The kind whose bounds are of this type.
    pub fn over(subtype: &ScalarType) -> Option<RangeKind> {
        RangeKind::ALL.into_iter().find(|kind| kind.subtype() == *subtype)
    }

    /// The type of the bounds.
    pub fn subtype(self) -> ScalarType {
        match self {
            RangeKind::Int4 => ScalarType::Int4,
            RangeKind::Int8 => ScalarType::Int8,
            RangeKind::Numeric => ScalarType::Numeric,
            RangeKind::Date => ScalarType::Date,
            RangeKind::Timestamp => ScalarType::Timestamp,
            RangeKind::TimestampTz => ScalarType::TimestampTz,
        }
    }

    /// Whether bounds are brought to the form `[lower,upper)`.
    pub fn is_discrete(self) -> bool {
        matches!(self, RangeKind::Int4 | RangeKind::Int8 | RangeKind::Date)
    }

    /// The name of the range type.
    pub fn name(self) -> &'static str {
        match self {
            RangeKind::Int4 => "int4range",
            RangeKind::Int8 => "int8range",
            RangeKind::Numeric => "numrange",
            RangeKind::Date => "daterange",
            RangeKind::Timestamp => "tsrange",
            RangeKind::TimestampTz => "tstzrange",
        }
    }

    /// The name of the multirange type.
    pub fn multirange_name(self) -> &'static str {
        match self {
            RangeKind::Int4 => "int4multirange",
            RangeKind::Int8 => "int8multirange",
            RangeKind::Numeric => "nummultirange",
            RangeKind::Date => "datemultirange",
            RangeKind::Timestamp => "tsmultirange",
            RangeKind::TimestampTz => "tstzmultirange",
        }
    }
}

/// One end of a range that has one.
#[derive(Clone, Copy, Debug)]
pub struct RangeBound<'a> {
    /// The value; never NULL.
    pub value: Datum<'a>,
    /// Whether the value belongs to the range.
    pub inclusive: bool,
}

/// A range inside a row; its bytes are [canonical](self) if its maker made them so
/// (`repr::text` and `expr`'s range functions do).
#[derive(Clone, Copy, Debug)]
pub struct RangeRef<'a> {
    bytes: &'a [u8],
}

impl<'a> RangeRef<'a> {
    /// A range in bytes that [`push_range`] wrote.
    pub fn from_bytes(bytes: &'a [u8]) -> RangeRef<'a> {
        RangeRef { bytes }
    }

    /// The encoding, without a tag.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether no value is in the range.
    pub fn is_empty(&self) -> bool {
        self.bytes.first() != Some(&BOUNDS)
    }

    /// (lower, upper): None for an end without bound. Of an empty range, both are None.
    pub fn bounds(&self) -> (Option<RangeBound<'a>>, Option<RangeBound<'a>>) {
        let mut bytes = self.bytes;
        read_range_bounds(&mut bytes).flatten().unwrap_or((None, None))
    }
}

impl RangeRef<'_> {
    /// SQL's order: empty first, then by lower bound, then by upper bound.
    pub fn sql_cmp(&self, other: &RangeRef<'_>) -> Ordering {
        if self.is_empty() || other.is_empty() {
            return other.is_empty().cmp(&self.is_empty());
        }
        let (lower, upper) = self.bounds();
        let (other_lower, other_upper) = other.bounds();
        compare_lower(lower, other_lower).then_with(|| compare_upper(upper, other_upper))
    }
}

/// Order of lower bounds: none is less than all, and `[x` is less than `(x`.
pub fn compare_lower(left: Option<RangeBound<'_>>, right: Option<RangeBound<'_>>) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => a.value.sql_cmp(&b.value).then_with(|| b.inclusive.cmp(&a.inclusive)),
    }
}

/// Order of upper bounds: none is greater than all, and `x)` is less than `x]`.
pub fn compare_upper(left: Option<RangeBound<'_>>, right: Option<RangeBound<'_>>) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => a.value.sql_cmp(&b.value).then_with(|| a.inclusive.cmp(&b.inclusive)),
    }
}

/// A multirange inside a row: its ranges in order, none empty, none touching the next.
#[derive(Clone, Copy, Debug)]
pub struct MultirangeRef<'a> {
    bytes: &'a [u8],
}

impl<'a> MultirangeRef<'a> {
    /// A multirange in bytes that [`push_multirange`] wrote.
    pub fn from_bytes(bytes: &'a [u8]) -> MultirangeRef<'a> {
        MultirangeRef { bytes }
    }

    /// The encoding, without a tag.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The ranges in order.
    pub fn ranges(&self) -> impl Iterator<Item = RangeRef<'a>> + use<'a> {
        let mut bytes = self.bytes;
        std::iter::from_fn(move || match bytes.split_first()? {
            (&BOUNDS, rest) => {
                bytes = rest;
                let start = bytes;
                read_range_bounds(&mut bytes)?;
                Some(RangeRef { bytes: &start[..start.len() - bytes.len()] })
            }
            _ => None,
        })
    }
}

impl MultirangeRef<'_> {
    /// SQL's order: range by range; a beginning comes before the whole.
    pub fn sql_cmp(&self, other: &MultirangeRef<'_>) -> Ordering {
        let mut left = self.ranges();
        let mut right = other.ranges();
        loop {
            match (left.next(), right.next()) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(a), Some(b)) => match a.sql_cmp(&b) {
                    Ordering::Equal => {}
                    order => return order,
                },
            }
        }
    }
}

/// Appends a range; `None` for an empty one, else (lower, upper).
#[allow(clippy::type_complexity, reason = "a pair of optional bounds")]
pub fn push_range(
    buffer: &mut Vec<u8>,
    range: Option<(Option<RangeBound<'_>>, Option<RangeBound<'_>>)>,
) {
    let Some((lower, upper)) = range else { return buffer.push(EMPTY) };
    buffer.push(BOUNDS);
    match lower {
        None => buffer.push(LOWER_UNBOUNDED),
        Some(bound) => {
            buffer.push(BOUNDED);
            push_datum(buffer, bound.value);
            buffer.push(if bound.inclusive { FIRST } else { SECOND });
        }
    }
    match upper {
        None => buffer.push(UPPER_UNBOUNDED),
        Some(bound) => {
            buffer.push(BOUNDED);
            push_datum(buffer, bound.value);
            buffer.push(if bound.inclusive { SECOND } else { FIRST });
        }
    }
}

/// Appends a multirange of ranges that are in order already.
pub fn push_multirange<'a>(buffer: &mut Vec<u8>, ranges: impl IntoIterator<Item = RangeRef<'a>>) {
    for range in ranges {
        buffer.push(BOUNDS);
        buffer.extend_from_slice(range.bytes());
    }
    buffer.push(EMPTY);
}

/// Moves past a range. The outer None: no range; the inner: an empty one.
#[allow(clippy::type_complexity, reason = "a pair of optional bounds")]
fn read_range_bounds<'a>(
    bytes: &mut &'a [u8],
) -> Option<Option<(Option<RangeBound<'a>>, Option<RangeBound<'a>>)>> {
    if read_byte(bytes)? == EMPTY {
        return Some(None);
    }
    let lower = match read_byte(bytes)? {
        LOWER_UNBOUNDED => None,
        _ => {
            let value = read_datum(bytes)?;
            Some(RangeBound { value, inclusive: read_byte(bytes)? == FIRST })
        }
    };
    let upper = match read_byte(bytes)? {
        UPPER_UNBOUNDED => None,
        _ => {
            let value = read_datum(bytes)?;
            Some(RangeBound { value, inclusive: read_byte(bytes)? == SECOND })
        }
    };
    Some(Some((lower, upper)))
}

/// Decodes a range and moves past it.
pub(crate) fn read_range<'a>(bytes: &mut &'a [u8]) -> Option<RangeRef<'a>> {
    let start = *bytes;
    read_range_bounds(bytes)?;
    Some(RangeRef { bytes: &start[..start.len() - bytes.len()] })
}

/// Decodes a multirange and moves past it.
pub(crate) fn read_multirange<'a>(bytes: &mut &'a [u8]) -> Option<MultirangeRef<'a>> {
    let start = *bytes;
    while read_byte(bytes)? == BOUNDS {
        read_range_bounds(bytes)?;
    }
    Some(MultirangeRef { bytes: &start[..start.len() - bytes.len()] })
}

fn read_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(byte)
}
