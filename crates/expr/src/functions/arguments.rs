//! Arguments by kind. The planner coerces arguments to the signature, so that a datum of another
//! kind is a mistake of ours; it is an error, never a panic.

use tidemill_repr::jsonb::JsonbRef;
use tidemill_repr::row::ArrayRef;
use tidemill_repr::{
    BitsRef, Datum, Inet, Interval, MultirangeRef, Numeric, RangeRef, RowRef, SqlState, TimeTz,
};

use crate::error::EvalError;

/// What evaluation gives.
pub(crate) type Evaluated<'a> = Result<Datum<'a>, EvalError>;

macro_rules! accessor {
    ($($name:ident: $variant:ident -> $typ:ty;)*) => {
        $(
            #[doc = concat!("The argument at a position, a `Datum::", stringify!($variant), "`.")]
            #[inline]
            pub(crate) fn $name<'a>(datums: &[Datum<'a>], at: usize) -> Result<$typ, EvalError> {
                match datums.get(at) {
                    Some(Datum::$variant(value)) => Ok(*value),
                    _ => Err(wrong(at)),
                }
            }
        )*
    };
}

accessor! {
    boolean: Bool -> bool;
    int: Int -> i64;
    float4: Float4 -> f32;
    float8: Float8 -> f64;
    numeric: Numeric -> Numeric;
    text: Text -> &'a str;
    bytes: Bytes -> &'a [u8];
    date: Date -> i32;
    time: Time -> i64;
    timestamp: Timestamp -> i64;
    timestamptz: TimestampTz -> i64;
    interval: Interval -> Interval;
    jsonb: Jsonb -> JsonbRef<'a>;
    array: Array -> ArrayRef<'a>;
    unsigned: UInt -> u64;
    timetz: TimeTz -> TimeTz;
    bits: Bits -> BitsRef<'a>;
    inet: Inet -> Inet;
    range: Range -> RangeRef<'a>;
    multirange: Multirange -> MultirangeRef<'a>;
    list: List -> RowRef<'a>;
    map: Map -> RowRef<'a>;
}

#[cold]
fn wrong(at: usize) -> EvalError {
    EvalError::invalid(
        SqlState::INTERNAL_ERROR,
        format!("internal error: argument {} is of another type than planned", at + 1),
    )
}

/// An argument of a length or count as `i32`.
pub(crate) fn int4(datums: &[Datum<'_>], at: usize) -> Result<i32, EvalError> {
    i32::try_from(int(datums, at)?).map_err(|_| out_of_range("integer"))
}

/// `<type> out of range`
pub(crate) fn out_of_range(type_name: &str) -> EvalError {
    EvalError::OutOfRange(type_name.to_owned())
}

/// An error about a parameter's value (`22023`).
pub(crate) fn bad_parameter(message: impl Into<String>) -> EvalError {
    EvalError::invalid(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The texts of an array; NULLs are None.
pub(crate) fn text_elements<'a>(array: ArrayRef<'a>) -> impl Iterator<Item = Option<&'a str>> {
    array.elements().map(|element| match element {
        Datum::Text(text) => Some(text),
        _ => None,
    })
}

/// Dimensions of a one-dimensional array with this many elements.
pub(crate) fn one_dimension(length: usize) -> Vec<(i32, i32)> {
    if length == 0 { Vec::new() } else { vec![(i32::try_from(length).unwrap_or(i32::MAX), 1)] }
}
