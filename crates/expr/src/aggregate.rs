//! Aggregates: how a bag of values becomes one.
//!
//! The SQL planner turns SQL's aggregates into these kinds and expressions over them: `avg`
//! is a sum divided by a count, `count(*)` counts a literal.

mod evaluate;

use serde::{Deserialize, Serialize};
use tidemill_repr::{Datum, ScalarType};

use crate::scalar::ScalarExpr;

/// How an aggregate is computed; it decides how it is maintained. NULL arguments are ignored by
/// all kinds except those that say so. Over no rows, counts are 0 and all else is NULL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AggregateKind {
    /// How many values there are (`int8`).
    Count,
    /// Sum of integers as `int8`; an error if it does not fit (`sum(int2)`, `sum(int4)`).
    SumInt,
    /// Sum of `int8` as `numeric`.
    SumIntToNumeric,
    /// Sum of `numeric`, shown with the largest scale among the values.
    SumNumeric,
    /// Sum of `real`.
    SumFloat4,
    /// Sum of `double precision`.
    SumFloat8,
    /// The least value in SQL's order.
    Min,
    /// The greatest value in SQL's order.
    Max,
    /// True if all are (`bool_and`, `every`).
    All,
    /// True if any is.
    Any,
    /// Texts or bytes joined. The argument is a record (value, delimiter, order keys..).
    StringAgg,
    /// An array of all values, NULLs included. The argument is a record (value, order keys..);
    /// the type is the element's.
    ArrayAgg(ScalarType),
    /// A jsonb array of all values, NULLs included. The argument is a record (jsonb or NULL,
    /// order keys..).
    JsonbAgg,
    /// A jsonb object; the argument is a record (key text, jsonb value, order keys..).
    JsonbObjectAgg,
    /// The union of ranges or multiranges, as a multirange.
    RangeAgg,
    /// What is in all ranges (or in all multiranges).
    RangeIntersectAgg,
    /// A list of all values, NULLs included. The argument is a record (value, order keys..);
    /// the type is the element's.
    ListAgg(ScalarType),
    /// A map; the argument is a record (key text, value, order keys..); the type is the value's.
    MapAgg(ScalarType),
    /// Sum of numbers without sign as `uint8`; an error if it does not fit.
    SumUnsigned,
    /// Sum of `uint8` as `numeric`.
    SumUnsignedToNumeric,
}

/// One aggregate of a reduction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AggregateCall {
    /// How.
    pub kind: AggregateKind,
    /// Over what. `FILTER` has become a CASE that gives NULL here (for kinds that do not
    /// ignore NULL, a filter is a NULL record).
    pub argument: ScalarExpr,
    /// Over distinct values only.
    pub distinct: bool,
    /// For the kinds whose argument is a record with order keys: (descending, nulls first) of
    /// each key; rows are taken in this order, ties in the order of their bytes.
    pub order: Vec<SortDirection>,
}

/// How one key of an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SortDirection {
    /// Greatest first.
    pub descending: bool,
    /// NULLs before all others.
    pub nulls_first: bool,
}

impl AggregateKind {
    /// The result over no values: 0 for counts, else NULL.
    pub fn empty_value(&self) -> Datum<'static> {
        match self {
            AggregateKind::Count => Datum::Int(0),
            _ => Datum::Null,
        }
    }

    /// Whether NULL arguments are not taken. (A NULL in place of a record is never taken.)
    pub fn ignores_null(&self) -> bool {
        !self.takes_record()
    }

    /// Whether the argument is a record of a value and more.
    pub fn takes_record(&self) -> bool {
        matches!(
            self,
            AggregateKind::StringAgg
                | AggregateKind::ArrayAgg(_)
                | AggregateKind::JsonbAgg
                | AggregateKind::JsonbObjectAgg
                | AggregateKind::ListAgg(_)
                | AggregateKind::MapAgg(_)
        )
    }

    /// The type of the result over arguments of a type.
    pub fn result_type(&self, argument: &ScalarType) -> ScalarType {
        match self {
            AggregateKind::Count | AggregateKind::SumInt => ScalarType::Int8,
            AggregateKind::SumIntToNumeric | AggregateKind::SumNumeric => ScalarType::Numeric,
            AggregateKind::SumFloat4 => ScalarType::Float4,
            AggregateKind::SumFloat8 => ScalarType::Float8,
            AggregateKind::Min | AggregateKind::Max => argument.clone(),
            AggregateKind::All | AggregateKind::Any => ScalarType::Bool,
            AggregateKind::StringAgg => match argument {
                ScalarType::Record(fields) if fields.first() == Some(&ScalarType::Bytea) => {
                    ScalarType::Bytea
                }
                _ => ScalarType::Text,
            },
            AggregateKind::ArrayAgg(element) => ScalarType::Array(Box::new(element.clone())),
            AggregateKind::JsonbAgg | AggregateKind::JsonbObjectAgg => ScalarType::Jsonb,
            AggregateKind::RangeAgg => match argument {
                ScalarType::Range(kind) => ScalarType::Multirange(*kind),
                other => other.clone(),
            },
            AggregateKind::RangeIntersectAgg => argument.clone(),
            AggregateKind::ListAgg(element) => ScalarType::List(Box::new(element.clone())),
            AggregateKind::MapAgg(value) => ScalarType::Map(Box::new(value.clone())),
            AggregateKind::SumUnsigned => ScalarType::UInt8,
            AggregateKind::SumUnsignedToNumeric => ScalarType::Numeric,
        }
    }
}
