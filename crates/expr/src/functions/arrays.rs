//! Arrays.

mod shape;

use std::cmp::Ordering;

use tidemill_repr::row::ArrayRef;
use tidemill_repr::{Datum, RowBuilder, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, array, int, one_dimension};
use crate::scalar::EvalContext;

fn make<'a>(elements: Vec<Datum<'a>>, context: EvalContext<'a>) -> Datum<'a> {
    let dimensions = one_dimension(elements.len());
    make_of(&dimensions, elements, context)
}

fn make_of<'a>(
    dimensions: &[(i32, i32)],
    elements: impl IntoIterator<Item = Datum<'a>>,
    context: EvalContext<'a>,
) -> Datum<'a> {
    let mut builder = RowBuilder::new();
    builder.push_array(dimensions, elements);
    context.built(&builder)
}

/// `ARRAY[..]`: of arrays it is one with one dimension more.
fn build<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    if !a.iter().any(|element| matches!(element, Datum::Array(_))) {
        return Ok(make(a.to_vec(), context));
    }
    let mut dimensions: Option<Vec<(i32, i32)>> = None;
    let mut elements = Vec::new();
    for inner in a {
        let Datum::Array(inner) = inner else { return Err(mismatch()) };
        let of_inner = inner.dimensions();
        match &dimensions {
            Some(first) if *first != of_inner => return Err(mismatch()),
            Some(_) => {}
            None => dimensions = Some(of_inner),
        }
        elements.extend(inner.elements());
    }
    let inner = dimensions.unwrap_or_default();
    if inner.is_empty() {
        return Ok(make(Vec::new(), context));
    }
    if inner.len() >= 6 {
        return Err(EvalError::invalid(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!(
                "number of array dimensions ({}) exceeds the maximum allowed (6)",
                inner.len() + 1
            ),
        ));
    }
    let dimensions: Vec<_> = one_dimension(a.len()).into_iter().chain(inner).collect();
    Ok(make_of(&dimensions, elements, context))
}

fn mismatch() -> EvalError {
    EvalError::invalid(
        SqlState::from_code("2202E"),
        "multidimensional arrays must have array expressions with matching dimensions",
    )
}

fn subscript<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let array = array(a, 0)?;
    let dimensions = array.dimensions();
    if dimensions.len() != a.len() - 1 {
        return Ok(Datum::Null);
    }
    let mut place = 0usize;
    for (at, (length, lower)) in dimensions.iter().enumerate() {
        let index = int(a, at + 1)? - i64::from(*lower);
        if index < 0 || index >= i64::from(*length) {
            return Ok(Datum::Null);
        }
        place = place * usize::try_from(*length).unwrap_or(0) + usize::try_from(index).unwrap_or(0);
    }
    Ok(array.elements().nth(place).unwrap_or(Datum::Null))
}

fn dimension(a: &[Datum<'_>]) -> Result<Option<(i32, i32)>, EvalError> {
    let at = usize::try_from(int(a, 1)? - 1).unwrap_or(usize::MAX);
    Ok(array(a, 0)?.dimensions().get(at).copied())
}

fn optional<'a>(value: Option<i64>) -> Evaluated<'a> {
    Ok(value.map_or(Datum::Null, Datum::Int))
}

fn append<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let [whole, element] = a else { return Ok(Datum::Null) };
    let (lower, mut elements) = elements_of(whole)?;
    elements.push(*element);
    Ok(make_from(lower, elements, context))
}

fn prepend<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let [element, whole] = a else { return Ok(Datum::Null) };
    let (lower, rest) = elements_of(whole)?;
    let mut elements = vec![*element];
    elements.extend(rest);
    Ok(make_from(lower, elements, context))
}

/// An array of one dimension that starts at a subscript.
fn make_from<'a>(lower: i32, elements: Vec<Datum<'a>>, context: EvalContext<'a>) -> Datum<'a> {
    let mut dimensions = one_dimension(elements.len());
    dimensions.iter_mut().for_each(|dimension| dimension.1 = lower);
    make_of(&dimensions, elements, context)
}

/// The lower bound and the elements of a value that must have at most one dimension; of NULL
/// those of an empty array.
fn elements_of<'a>(whole: &Datum<'a>) -> Result<(i32, Vec<Datum<'a>>), EvalError> {
    let Datum::Array(array) = whole else { return Ok((1, Vec::new())) };
    match array.dimensions().as_slice() {
        [] => Ok((1, Vec::new())),
        [(_, lower)] => Ok((*lower, array.elements().collect())),
        _ => Err(EvalError::invalid(
            SqlState::DATA_EXCEPTION,
            "argument must be empty or one-dimensional array",
        )),
    }
}

/// Refuses arrays of more than one dimension.
fn one_dimensional(array: ArrayRef<'_>, doing: &str) -> Result<(), EvalError> {
    if array.dimensions().len() <= 1 {
        return Ok(());
    }
    Err(EvalError::invalid(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("{doing} multidimensional arrays is not supported"),
    ))
}

fn concatenate<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (left, right) = match (a.first(), a.get(1)) {
        (Some(Datum::Array(left)), Some(Datum::Array(right))) => (left, right),
        (Some(left @ Datum::Array(_)), _) => return Ok(*left),
        (_, Some(right)) => return Ok(*right),
        _ => return Ok(Datum::Null),
    };
    let (of_left, of_right) = (left.dimensions(), right.dimensions());
    if of_left.is_empty() {
        return Ok(Datum::Array(*right));
    }
    if of_right.is_empty() {
        return Ok(Datum::Array(*left));
    }
    let elements = left.elements().chain(right.elements());
    let mut dimensions = of_left.clone();
    if of_left.len() == of_right.len() && of_left[1..] == of_right[1..] {
        dimensions[0].0 = dimensions[0].0.saturating_add(of_right[0].0);
    } else if of_left[1..] == of_right[..] {
        dimensions[0].0 += 1;
    } else if of_left[..] == of_right[1..] {
        dimensions = of_right;
        dimensions[0].0 += 1;
    } else {
        return Err(EvalError::Invalid {
            code: "2202E".to_owned(),
            message: "cannot concatenate incompatible arrays".to_owned(),
            detail: None,
            hint: None,
        });
    }
    Ok(make_of(&dimensions, elements, context))
}

fn positions<'a>(a: &[Datum<'a>]) -> Result<Vec<Datum<'a>>, EvalError> {
    let Some(Datum::Array(array)) = a.first() else { return Ok(Vec::new()) };
    one_dimensional(*array, "searching for elements in")?;
    let wanted = a.get(1).copied().unwrap_or(Datum::Null);
    let lower = array.dimensions().first().map_or(1, |dimension| i64::from(dimension.1));
    let from = match a.get(2) {
        None => i64::MIN,
        Some(Datum::Null) => {
            let message = "initial position must not be null";
            return Err(EvalError::invalid(SqlState::NULL_VALUE_NOT_ALLOWED, message));
        }
        Some(_) => int(a, 2)?,
    };
    let found = array.elements().enumerate().filter(|(_, element)| element.sql_eq(&wanted));
    let places = found.map(|(at, _)| at as i64 + lower).filter(|at| *at >= from);
    Ok(places.map(Datum::Int).collect())
}

/// Whether each element of `inner` that is not NULL is in `outer`; a NULL is in nothing.
fn contains(outer: ArrayRef<'_>, inner: ArrayRef<'_>) -> bool {
    inner
        .elements()
        .all(|wanted| !wanted.is_null() && outer.elements().any(|element| element.sql_eq(&wanted)))
}

fn overlap(left: ArrayRef<'_>, right: ArrayRef<'_>) -> bool {
    left.elements()
        .any(|wanted| !wanted.is_null() && right.elements().any(|element| element.sql_eq(&wanted)))
}

/// `value <op> ANY (array)` and `ALL`: three-valued, as a chain of OR or AND would be.
fn quantified<'a>(a: &[Datum<'a>], any: bool, test: fn(Ordering) -> bool) -> Evaluated<'a> {
    let (Some(value), Some(Datum::Array(array))) = (a.first(), a.get(1)) else {
        return Ok(Datum::Null);
    };
    let mut null = false;
    for element in array.elements() {
        if value.is_null() || element.is_null() {
            null = true;
        } else if test(value.sql_cmp(&element)) == any {
            return Ok(Datum::Bool(any));
        }
    }
    Ok(if null { Datum::Null } else { Datum::Bool(!any) })
}

/// The other elements, from the same lower bound on.
fn without<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let Some(whole @ Datum::Array(array)) = a.first() else { return Ok(Datum::Null) };
    one_dimensional(*array, "removing elements from")?;
    let wanted = a.get(1).copied().unwrap_or(Datum::Null);
    let (lower, mut elements) = elements_of(whole)?;
    elements.retain(|element| !element.sql_eq(&wanted));
    Ok(make_from(lower, elements, context))
}

fn replace<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (Some(Datum::Array(array)), Some(from), Some(to)) = (a.first(), a.get(1), a.get(2)) else {
        return Ok(Datum::Null);
    };
    let elements = array.elements().map(|element| if element.sql_eq(from) { *to } else { element });
    Ok(make_of(&array.dimensions(), elements, context))
}

pub(super) fn define(d: &mut Definitions) {
    d.add("array_build", "array_build(variadic anyelement) -> anyarray", build, "ARRAY[..].")
        .sees_null();
    d.add(
        "record_build",
        "record_build(variadic any) -> record",
        |a, c| {
            let mut builder = RowBuilder::new();
            builder.push_record(a.iter().copied());
            Ok(c.built(&builder))
        },
        "ROW(..).",
    )
    .sees_null()
    .safe();
    d.add(
        "record_field",
        "record_field(record, int4) -> anyelement",
        |a, _| {
            let at = usize::try_from(int(a, 1)?).unwrap_or(usize::MAX);
            match a.first() {
                Some(Datum::Record(row)) => Ok(row.iter().nth(at).unwrap_or(Datum::Null)),
                _ => Ok(Datum::Null),
            }
        },
        "A field of a record, counted from 0.",
    );
    d.add(
        "array_subscript",
        "array_subscript(anyarray, variadic int4) -> anyelement",
        |a, _| subscript(a),
        "An element by its subscripts.",
    );
    define_shape(d);
    define_changes(d);
    define_tests(d);
    shape::define(d);
}

fn define_shape(d: &mut Definitions) {
    d.add(
        "array_length",
        "array_length(anyarray, int4) -> int4",
        |a, _| optional(dimension(a)?.map(|x| i64::from(x.0))),
        "Length of a dimension.",
    );
    d.add(
        "array_lower",
        "array_lower(anyarray, int4) -> int4",
        |a, _| optional(dimension(a)?.map(|x| i64::from(x.1))),
        "Least subscript of a dimension.",
    );
    let upper: Eval = |a, _| optional(dimension(a)?.map(|x| i64::from(x.0) + i64::from(x.1) - 1));
    d.add(
        "array_upper",
        "array_upper(anyarray, int4) -> int4",
        upper,
        "Greatest subscript of a dimension.",
    );
    let dimensions: Eval = |a, _| {
        let count = array(a, 0)?.dimensions().len() as i64;
        optional((count > 0).then_some(count))
    };
    d.add(
        "array_ndims",
        "array_ndims(anyarray) -> int4",
        dimensions,
        "How many dimensions there are.",
    );
    let cardinality: Eval = |a, _| Ok(Datum::Int(array(a, 0)?.elements().count() as i64));
    d.add(
        "array_cardinality",
        "cardinality(anyarray) -> int4",
        cardinality,
        "How many elements there are.",
    );
}

fn define_changes(d: &mut Definitions) {
    let doc = "An element put at the end.";
    d.add("array_append", "array_append(anyarray, anyelement) -> anyarray", append, doc)
        .sees_null()
        .operator("||");
    let doc = "An element put at the start.";
    d.add("array_prepend", "array_prepend(anyelement, anyarray) -> anyarray", prepend, doc)
        .sees_null()
        .operator("||");
    let doc = "One array after the other.";
    d.add("array_cat", "array_cat(anyarray, anyarray) -> anyarray", concatenate, doc)
        .sees_null()
        .operator("||");
    d.add(
        "array_remove",
        "array_remove(anyarray, anyelement) -> anyarray",
        without,
        "Without the elements equal to a value.",
    )
    .sees_null();
    d.add(
        "array_replace",
        "array_replace(anyarray, anyelement, anyelement) -> anyarray",
        replace,
        "Elements equal to a value replaced.",
    )
    .sees_null();
    let first: Eval = |a, _| Ok(positions(a)?.first().copied().unwrap_or(Datum::Null));
    let doc = "The subscript of the first element equal to a value.";
    d.add("array_position", "array_position(anyarray, anyelement) -> int4", first, doc).sees_null();
    d.add("array_position_start", "array_position(anyarray, anyelement, int4) -> int4", first, doc)
        .sees_null();
    let all: Eval = |a, c| match a.first() {
        Some(Datum::Array(_)) => Ok(make(positions(a)?, c)),
        _ => Ok(Datum::Null),
    };
    d.add(
        "array_positions",
        "array_positions(anyarray, anyelement) -> int4[]",
        all,
        "The subscripts of all elements equal to a value.",
    )
    .sees_null();
}

fn define_tests(d: &mut Definitions) {
    d.add(
        "arraycontains",
        "arraycontains(anyarray, anyarray) -> bool",
        |a, _| Ok(Datum::Bool(contains(array(a, 0)?, array(a, 1)?))),
        "Whether the left array has all elements of the right one.",
    )
    .operator("@>");
    d.add(
        "arraycontained",
        "arraycontained(anyarray, anyarray) -> bool",
        |a, _| Ok(Datum::Bool(contains(array(a, 1)?, array(a, 0)?))),
        "Whether the right array has all elements of the left one.",
    )
    .operator("<@");
    d.add(
        "arrayoverlap",
        "arrayoverlap(anyarray, anyarray) -> bool",
        |a, _| Ok(Datum::Bool(overlap(array(a, 0)?, array(a, 1)?))),
        "Whether two arrays have an element in common.",
    )
    .operator("&&");
    let any: [(&str, Eval); 6] = [
        ("eq", |a, _| quantified(a, true, Ordering::is_eq)),
        ("ne", |a, _| quantified(a, true, Ordering::is_ne)),
        ("lt", |a, _| quantified(a, true, Ordering::is_lt)),
        ("le", |a, _| quantified(a, true, Ordering::is_le)),
        ("gt", |a, _| quantified(a, true, Ordering::is_gt)),
        ("ge", |a, _| quantified(a, true, Ordering::is_ge)),
    ];
    let all: [(&str, Eval); 6] = [
        ("eq", |a, _| quantified(a, false, Ordering::is_eq)),
        ("ne", |a, _| quantified(a, false, Ordering::is_ne)),
        ("lt", |a, _| quantified(a, false, Ordering::is_lt)),
        ("le", |a, _| quantified(a, false, Ordering::is_le)),
        ("gt", |a, _| quantified(a, false, Ordering::is_gt)),
        ("ge", |a, _| quantified(a, false, Ordering::is_ge)),
    ];
    for (prefix, doc, table) in [
        ("any", "Whether a comparison holds for any element.", any),
        ("all", "Whether a comparison holds for all elements.", all),
    ] {
        for (suffix, eval) in table {
            let id = format!("{prefix}_{suffix}");
            d.add(&id, &format!("{id}(anyelement, anyarray) -> bool"), eval, doc)
                .sees_null()
                .safe();
        }
    }
}
