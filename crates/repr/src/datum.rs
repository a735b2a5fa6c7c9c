//! One value, borrowed from a row, a literal or an arena.

use std::cmp::Ordering;

use crate::bits::BitsRef;
use crate::interval::Interval;
use crate::jsonb::JsonbRef;
use crate::network::Inet;
use crate::numeric::Numeric;
use crate::range::{MultirangeRef, RangeRef};
use crate::row::{ArrayRef, RowRef};
use crate::time::TimeTz;

/// One value. Several SQL types share a variant where their values are of one kind:
/// `int2/int4/int8/oid/reg*/xid/money/uint2/uint4` are [`Datum::Int`]; `text/varchar/char/name/"char"/json`
/// are [`Datum::Text`]; `uint8/mz_timestamp/pg_lsn/macaddr/macaddr8` are [`Datum::UInt`];
/// `int2vector/oidvector` are arrays; values of a domain are those of its base type and values
/// of a composite type are records.
#[derive(Clone, Copy, Debug)]
pub enum Datum<'a> {
    /// SQL's NULL.
    Null,
    /// `boolean`
    Bool(bool),
    /// Any integer type; the range is the type's.
    Int(i64),
    /// `real`
    Float4(f32),
    /// `double precision`
    Float8(f64),
    /// `numeric`
    Numeric(Numeric),
    /// Any character type; never with a NUL.
    Text(&'a str),
    /// `bytea`
    Bytes(&'a [u8]),
    /// `date`: days since 2000-01-01; `i32::MAX` and `i32::MIN` are the infinities.
    Date(i32),
    /// `time`: microseconds since midnight.
    Time(i64),
    /// `timestamp`: microseconds since 2000-01-01 00:00; `i64::MAX` and `i64::MIN` are the
    /// infinities.
    Timestamp(i64),
    /// `timestamptz`: microseconds since 2000-01-01 00:00 UTC, with the same infinities.
    TimestampTz(i64),
    /// `interval`
    Interval(Interval),
    /// `uuid`
    Uuid([u8; 16]),
    /// `jsonb`
    Jsonb(JsonbRef<'a>),
    /// An array.
    Array(ArrayRef<'a>),
    /// A record: its fields.
    Record(RowRef<'a>),
    /// A number without sign, of up to 64 bits.
    UInt(u64),
    /// `timetz`
    TimeTz(TimeTz),
    /// `bit`, `varbit`
    Bits(BitsRef<'a>),
    /// `inet`, `cidr`
    Inet(Inet),
    /// A range.
    Range(RangeRef<'a>),
    /// A multirange.
    Multirange(MultirangeRef<'a>),
    /// A list: its elements.
    List(RowRef<'a>),
    /// A map: keys (texts, in ascending order) and values, in turn.
    Map(RowRef<'a>),
    /// An enum's value.
    Enum {
        /// The label's place in the order: a positive number.
        order: f32,
        /// The label.
        label: &'a str,
    },
}

impl<'a> Datum<'a> {
    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    fn rank(&self) -> u8 {
        match self {
            Datum::Bool(_) => 1,
            Datum::Int(_) => 2,
            Datum::Float4(_) => 3,
            Datum::Float8(_) => 4,
            Datum::Numeric(_) => 5,
            Datum::Text(_) => 6,
            Datum::Bytes(_) => 7,
            Datum::Date(_) => 8,
            Datum::Time(_) => 9,
            Datum::Timestamp(_) => 10,
            Datum::TimestampTz(_) => 11,
            Datum::Interval(_) => 12,
            Datum::Uuid(_) => 13,
            Datum::Jsonb(_) => 14,
            Datum::Array(_) => 15,
            Datum::Record(_) => 16,
            Datum::UInt(_) => 17,
            Datum::TimeTz(_) => 18,
            Datum::Bits(_) => 19,
            Datum::Inet(_) => 20,
            Datum::Range(_) => 21,
            Datum::Multirange(_) => 22,
            Datum::List(_) => 23,
            Datum::Map(_) => 24,
            Datum::Enum { .. } => 25,
            Datum::Null => 255,
        }
    }

    /// SQL's order of two values of one type: NULL after everything, NaN after every number,
    /// -0 equal to 0. Values of different variants are ordered by variant, which no planned
    /// expression asks for.
    pub fn sql_cmp(&self, other: &Datum<'_>) -> Ordering {
        match (self, other) {
            (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
            (Datum::Int(a), Datum::Int(b))
            | (Datum::Time(a), Datum::Time(b))
            | (Datum::Timestamp(a), Datum::Timestamp(b))
            | (Datum::TimestampTz(a), Datum::TimestampTz(b)) => a.cmp(b),
            (Datum::Float4(a), Datum::Float4(b)) => float_cmp(f64::from(*a), f64::from(*b)),
            (Datum::Float8(a), Datum::Float8(b)) => float_cmp(*a, *b),
            (Datum::Numeric(a), Datum::Numeric(b)) => a.sql_cmp(b),
            (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Datum::Bytes(a), Datum::Bytes(b)) => a.cmp(b),
            (Datum::Date(a), Datum::Date(b)) => a.cmp(b),
            (Datum::Interval(a), Datum::Interval(b)) => a.sql_cmp(b),
            (Datum::Uuid(a), Datum::Uuid(b)) => a.cmp(b),
            (Datum::Jsonb(a), Datum::Jsonb(b)) => a.sql_cmp(b),
            (Datum::Array(a), Datum::Array(b)) => a.sql_cmp(b),
            (Datum::Record(a), Datum::Record(b))
            | (Datum::List(a), Datum::List(b))
            | (Datum::Map(a), Datum::Map(b)) => datums_cmp(a.iter(), b.iter()),
            (Datum::UInt(a), Datum::UInt(b)) => a.cmp(b),
            (Datum::TimeTz(a), Datum::TimeTz(b)) => a.sql_cmp(b),
            (Datum::Bits(a), Datum::Bits(b)) => a.sql_cmp(b),
            (Datum::Inet(a), Datum::Inet(b)) => a.sql_cmp(b),
            (Datum::Range(a), Datum::Range(b)) => a.sql_cmp(b),
            (Datum::Multirange(a), Datum::Multirange(b)) => a.sql_cmp(b),
            (Datum::Enum { order: a, .. }, Datum::Enum { order: b, .. }) => a.total_cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// Whether two values are not distinct, in SQL's sense: equal, or both NULL.
    pub fn sql_eq(&self, other: &Datum<'_>) -> bool {
        self.sql_cmp(other) == Ordering::Equal
    }
}

/// PostgreSQL's order of floats: NaN equals NaN and is greater than all else; -0 equals 0.
pub fn float_cmp(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// Order by the first pair that differs; a beginning comes before the whole.
fn datums_cmp<'a, 'b>(
    mut left: impl Iterator<Item = Datum<'a>>,
    mut right: impl Iterator<Item = Datum<'b>>,
) -> Ordering {
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match x.sql_cmp(&y) {
                Ordering::Equal => {}
                order => return order,
            },
        }
    }
}
