//! Aggregates: how a bag of values becomes one.
//!
//! The SQL planner turns SQL's aggregates into these kinds and expressions over them: `avg`
//! is a sum divided by a count, `count(*)` counts a literal.

mod evaluate;
mod float_sum;
mod gather;
mod ordered;
mod statistic;

use serde::{Deserialize, Serialize};
use tidemill_repr::{Datum, ScalarType};

use crate::scalar::ScalarExpr;

pub use float_sum::{FloatSum, overflow};
pub use gather::interval_of;
pub use ordered::Hypothetical;
pub use statistic::{Moments, Statistic};

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
    /// A json array, as text. The argument is a record (the text of a json value, order keys..).
    JsonAgg {
        /// Whether each value starts on a line of its own.
        lines: bool,
    },
    /// A json object, as text; the argument is a record (text of the key, text of the value,
    /// order keys..).
    JsonObjectAgg,
    /// The bits that all have.
    BitAnd,
    /// The bits that any has.
    BitOr,
    /// The bits that an odd number of values has.
    BitXor,
    /// Sum of intervals, field by field.
    SumInterval,
    /// The variance (or its root) of decimals: see [`Lowering::Spread`]. It is for distinct
    /// values, of which the sums alone do not tell enough.
    ///
    /// [`Lowering::Spread`]: crate::functions::aggregates::Lowering::Spread
    Spread {
        /// Divided by the count, not by one less.
        population: bool,
        /// The square root of it.
        root: bool,
    },
    /// A statistic of floats, or of records `(y, x)` of two floats.
    Statistic(Statistic),
    /// The most frequent value. The argument is a record (value), its own order key.
    Mode,
    /// The value at a fraction of the way (or an array of them), one of those there are. The
    /// argument is a record (fraction, value), the value its own order key; the type is that of
    /// the result.
    PercentileDisc(ScalarType),
    /// The same, between two values where the fraction falls there.
    PercentileCont(ScalarType),
    /// The place that a row would have. The argument is a record (the row's keys, then those of
    /// the group's).
    Hypothetical(Hypothetical),
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
            AggregateKind::Count | AggregateKind::Statistic(Statistic::Count) => Datum::Int(0),
            AggregateKind::Hypothetical(what) => what.alone(),
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
                | AggregateKind::JsonAgg { .. }
                | AggregateKind::JsonObjectAgg
                | AggregateKind::Mode
                | AggregateKind::PercentileDisc(_)
                | AggregateKind::PercentileCont(_)
                | AggregateKind::Hypothetical(_)
        ) || matches!(self, AggregateKind::Statistic(statistic) if statistic.takes_pairs())
    }

    /// The type of the result over arguments of a type.
    pub fn result_type(&self, argument: &ScalarType) -> ScalarType {
        match self {
            AggregateKind::Count | AggregateKind::SumInt => ScalarType::Int8,
            AggregateKind::SumIntToNumeric | AggregateKind::SumNumeric => ScalarType::Numeric,
            AggregateKind::SumFloat4 => ScalarType::Float4,
            AggregateKind::SumFloat8 => ScalarType::Float8,
            AggregateKind::Min
            | AggregateKind::Max
            | AggregateKind::BitAnd
            | AggregateKind::BitOr
            | AggregateKind::BitXor => argument.clone(),
            AggregateKind::All | AggregateKind::Any => ScalarType::Bool,
            AggregateKind::StringAgg => match argument {
                ScalarType::Record(fields) if fields.first() == Some(&ScalarType::Bytea) => {
                    ScalarType::Bytea
                }
                _ => ScalarType::Text,
            },
            AggregateKind::ArrayAgg(element @ ScalarType::Array(_)) => element.clone(),
            AggregateKind::ArrayAgg(element) => ScalarType::Array(Box::new(element.clone())),
            AggregateKind::JsonAgg { .. } | AggregateKind::JsonObjectAgg => ScalarType::Json,
            AggregateKind::SumInterval => ScalarType::Interval,
            AggregateKind::Spread { .. } => ScalarType::Numeric,
            AggregateKind::Statistic(Statistic::Count) => ScalarType::Int8,
            AggregateKind::Statistic(_) => ScalarType::Float8,
            AggregateKind::Mode => match argument {
                ScalarType::Record(fields) => {
                    fields.first().cloned().unwrap_or(ScalarType::Unknown)
                }
                other => other.clone(),
            },
            AggregateKind::PercentileDisc(typ) | AggregateKind::PercentileCont(typ) => typ.clone(),
            AggregateKind::Hypothetical(Hypothetical::Rank | Hypothetical::DenseRank) => {
                ScalarType::Int8
            }
            AggregateKind::Hypothetical(_) => ScalarType::Float8,
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
