//! Dimensions of arrays: slices, what is filled, cut or shuffled.

use std::cmp::Ordering;

use rand::seq::SliceRandom;
use tidemill_repr::row::ArrayRef;
use tidemill_repr::{Datum, RowBuilder, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, array, bad_parameter, int, one_dimension};
use crate::functions::arrays::make_of;
use crate::scalar::EvalContext;

/// Elements that an array may have.
const MAX_ELEMENTS: i64 = (1 << 27) - 1;

fn subscript_error(message: impl Into<String>) -> EvalError {
    EvalError::invalid(SqlState::SUBSCRIPT_ERROR, message)
}

fn too_large() -> EvalError {
    EvalError::invalid(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})"),
    )
}

/// `array[low:high][low:high]..`: dimensions that are not named are whole, and all start at 1.
/// Bounds that were left out are the least and the greatest integer.
fn slice<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let whole = array(a, 0)?;
    let dimensions = whole.dimensions();
    let empty = || make_of(&[], Vec::new(), context);
    if dimensions.is_empty() || (a.len() - 1) / 2 > dimensions.len() {
        return Ok(empty());
    }
    // (length, first place, places taken) of each dimension.
    let mut cuts: Vec<(usize, usize, usize)> = Vec::new();
    for (at, (length, lower)) in dimensions.iter().enumerate() {
        let (length, lower) = (i64::from(*length), i64::from(*lower));
        let (mut from, mut to) = (lower, lower + length - 1);
        if a.len() > 2 * at + 2 {
            from = from.max(int(a, 2 * at + 1)?);
            to = to.min(int(a, 2 * at + 2)?);
        }
        if to < from {
            return Ok(empty());
        }
        let place = |n: i64| usize::try_from(n).unwrap_or(0);
        cuts.push((place(length), place(from - lower), place(to - from + 1)));
    }
    let elements: Vec<Datum<'a>> = whole.elements().collect();
    let mut starts = vec![0usize];
    for (at, (_, first, taken)) in cuts.iter().enumerate() {
        let stride: usize = cuts[at + 1..].iter().map(|cut| cut.0).product();
        starts = starts
            .iter()
            .flat_map(|start| (0..*taken).map(move |n| start + (first + n) * stride))
            .collect();
    }
    let kept: Vec<Datum<'a>> =
        starts.iter().map(|at| elements.get(*at).copied().unwrap_or(Datum::Null)).collect();
    let dimensions: Vec<(i32, i32)> =
        cuts.iter().map(|cut| (i32::try_from(cut.2).unwrap_or(i32::MAX), 1)).collect();
    Ok(make_of(&dimensions, kept, context))
}

fn dims<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let dimensions = array(a, 0)?.dimensions();
    if dimensions.is_empty() {
        return Ok(Datum::Null);
    }
    let shown: String = dimensions
        .iter()
        .map(|(length, lower)| format!("[{lower}:{}]", i64::from(*lower) + i64::from(*length) - 1))
        .collect();
    Ok(context.text(&shown))
}

/// The integers of an array of one dimension.
fn integers(a: &[Datum<'_>], at: usize) -> Result<Vec<i32>, EvalError> {
    let null = |message: &str| EvalError::invalid(SqlState::NULL_VALUE_NOT_ALLOWED, message);
    let Some(Datum::Array(array)) = a.get(at) else {
        return Err(null("dimension array or low bound array cannot be null"));
    };
    if array.dimensions().len() > 1 {
        return Err(subscript_error("wrong number of array subscripts"));
    }
    array
        .elements()
        .map(|element| match element {
            Datum::Int(value) => i32::try_from(value).map_err(|_| too_large()),
            _ => Err(null("dimension values cannot be null")),
        })
        .collect()
}

/// `array_fill(value, lengths, lower bounds)`
fn fill<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let value = a.first().copied().unwrap_or(Datum::Null);
    let lengths = integers(a, 1)?;
    let lowers = if a.len() > 2 { integers(a, 2)? } else { vec![1; lengths.len()] };
    if lowers.len() != lengths.len() {
        return Err(subscript_error("wrong number of array subscripts"));
    }
    if lengths.len() > 6 {
        return Err(EvalError::invalid(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!(
                "number of array dimensions ({}) exceeds the maximum allowed (6)",
                lengths.len()
            ),
        ));
    }
    let mut count = 1i64;
    for length in &lengths {
        if *length < 0 {
            return Err(too_large());
        }
        count = count.saturating_mul(i64::from(*length));
    }
    if count > MAX_ELEMENTS {
        return Err(too_large());
    }
    if lengths.is_empty() || count == 0 {
        return Ok(make_of(&[], Vec::new(), context));
    }
    let overflows = |(length, lower): (&i32, &i32)| lower.checked_add(*length).is_none();
    if lengths.iter().zip(&lowers).any(overflows) {
        return Err(EvalError::invalid(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "array lower bound is too large",
        ));
    }
    let dimensions: Vec<(i32, i32)> = lengths.into_iter().zip(lowers).collect();
    let mut builder = RowBuilder::new();
    builder.push_array(&dimensions, (0..count).map(|_| value));
    Ok(context.built(&builder))
}

/// Without the last rows of the first dimension.
fn trim<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let whole = array(a, 0)?;
    let count = int(a, 1)?;
    let (length, lower) = whole.dimensions().first().copied().unwrap_or((0, 1));
    if !(0..=i64::from(length)).contains(&count) {
        return Err(subscript_error(format!(
            "number of elements to trim must be between 0 and {length}"
        )));
    }
    let last = i64::from(lower) + i64::from(length) - 1 - count;
    slice(&[Datum::Array(whole), Datum::Int(i64::from(i32::MIN)), Datum::Int(last)], context)
}

/// The rows of the first dimension in an order.
fn arranged<'a>(
    whole: ArrayRef<'a>,
    arrange: impl FnOnce(&mut Vec<&[Datum<'a>]>),
    context: EvalContext<'a>,
) -> Datum<'a> {
    let dimensions = whole.dimensions();
    let elements: Vec<Datum<'a>> = whole.elements().collect();
    let length = dimensions.first().map_or(1, |dimension| dimension.0);
    let width = elements.len() / usize::try_from(length).unwrap_or(1).max(1);
    let mut rows: Vec<&[Datum<'a>]> = elements.chunks(width.max(1)).collect();
    arrange(&mut rows);
    make_of(&dimensions, rows.concat(), context)
}

fn reverse<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    Ok(arranged(array(a, 0)?, |rows| rows.reverse(), context))
}

fn sort<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let descending = matches!(a.get(1), Some(Datum::Bool(true)));
    let nulls_first = match a.get(2) {
        Some(Datum::Bool(first)) => *first,
        _ => descending,
    };
    let one = |left: &Datum<'a>, right: &Datum<'a>| match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) if nulls_first => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if nulls_first => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) if descending => right.sql_cmp(left),
        (false, false) => left.sql_cmp(right),
    };
    let compare = |left: &&[Datum<'a>], right: &&[Datum<'a>]| {
        let sides = left.iter().zip(right.iter());
        sides.map(|(left, right)| one(left, right)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    };
    Ok(arranged(array(a, 0)?, |rows| rows.sort_by(compare), context))
}

/// Rows of the first dimension in random order, so many of them.
fn sample<'a>(a: &[Datum<'a>], count: Option<i64>, context: EvalContext<'a>) -> Evaluated<'a> {
    let whole = array(a, 0)?;
    let mut dimensions = whole.dimensions();
    let length = dimensions.first().map_or(0, |dimension| dimension.0);
    let taken = count.unwrap_or_else(|| i64::from(length));
    if !(0..=i64::from(length)).contains(&taken) {
        return Err(bad_parameter(format!("sample size must be between 0 and {length}")));
    }
    if taken == 0 {
        return Ok(make_of(&[], Vec::new(), context));
    }
    let elements: Vec<Datum<'a>> = whole.elements().collect();
    let width = elements.len() / usize::try_from(length).unwrap_or(1).max(1);
    let mut rows: Vec<&[Datum<'a>]> = elements.chunks(width.max(1)).collect();
    rows.shuffle(&mut rand::rng());
    let taken = usize::try_from(taken).unwrap_or(0);
    rows.truncate(taken);
    if let (Some(first), Some((length, _))) = (dimensions.first_mut(), one_dimension(taken).first())
    {
        *first = (*length, if count.is_some() { 1 } else { first.1 });
    }
    Ok(make_of(&dimensions, rows.concat(), context))
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "The elements between subscripts, two for each dimension.";
    d.add("array_slice", "array_slice(anyarray, variadic int4) -> anyarray", slice, doc);
    let doc = "The bounds of the dimensions, as text.";
    d.add("array_dims", "array_dims(anyarray) -> text", dims, doc);
    let doc = "An array of one value, as long in each dimension as the second argument says.";
    d.add("array_fill", "array_fill(anyelement, int4[]) -> anyarray", fill, doc).sees_null();
    let doc = "The same, with lower bounds.";
    let signature = "array_fill(anyelement, int4[], int4[]) -> anyarray";
    d.add("array_fill_with_lower_bounds", signature, fill, doc).sees_null();
    let doc = "Without the last elements.";
    d.add("trim_array", "trim_array(anyarray, int4) -> anyarray", trim, doc);
    let doc = "The first dimension in the opposite order.";
    d.add("array_reverse", "array_reverse(anyarray) -> anyarray", reverse, doc);
    let doc = "The first dimension in order; descending, and NULLs first, if said.";
    for (id, rest) in [("", ""), ("_order", ", bool"), ("_order_nulls_first", ", bool, bool")] {
        let signature = format!("array_sort(anyarray{rest}) -> anyarray");
        d.add(&format!("array_sort{id}"), &signature, sort, doc);
    }
    let doc = "The first dimension in random order.";
    let shuffle: Eval = |a, c| sample(a, None, c);
    d.add("array_shuffle", "array_shuffle(anyarray) -> anyarray", shuffle, doc).volatile();
    let doc = "Some elements of the first dimension, chosen at random.";
    let some: Eval = |a, c| sample(a, Some(int(a, 1)?), c);
    d.add("array_sample", "array_sample(anyarray, int4) -> anyarray", some, doc).volatile();
}
