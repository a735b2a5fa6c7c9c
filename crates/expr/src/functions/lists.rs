//! Lists: values of one type, among them lists of different lengths.

use tidemill_repr::{Datum, RowBuilder, RowRef};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, bad_parameter, int, list};
use crate::scalar::EvalContext;

fn made<'a>(
    elements: impl IntoIterator<Item = Datum<'a>>,
    context: EvalContext<'a>,
) -> Evaluated<'a> {
    let mut builder = RowBuilder::new();
    builder.extend(elements);
    Ok(Datum::List(RowRef::from_bytes(context.arena.alloc_slice_copy(builder.bytes()))))
}

/// The elements; none of NULL.
fn elements<'a>(datum: Option<&Datum<'a>>) -> Vec<Datum<'a>> {
    match datum {
        Some(Datum::List(list)) => list.iter().collect(),
        _ => Vec::new(),
    }
}

fn subscript<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let mut value = a.first().copied().unwrap_or(Datum::Null);
    for at in 1..a.len() {
        let Datum::List(list) = value else { return Ok(Datum::Null) };
        let place = usize::try_from(int(a, at)?.saturating_sub(1)).unwrap_or(usize::MAX);
        value = list.iter().nth(place).unwrap_or(Datum::Null);
    }
    Ok(value)
}

/// `list[low:high]`; a NULL bound is open.
fn slice<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let Some(whole @ Datum::List(_)) = a.first() else { return Ok(Datum::Null) };
    let bound = |at: usize, open: i64| match a.get(at) {
        Some(Datum::Int(bound)) => *bound,
        _ => open,
    };
    let (low, high) = (bound(1, 1).max(1), bound(2, i64::MAX));
    let count = usize::try_from(high.saturating_sub(low).saturating_add(1)).unwrap_or(0);
    let skipped = usize::try_from(low - 1).unwrap_or(usize::MAX);
    made(elements(Some(whole)).into_iter().skip(skipped).take(count), context)
}

/// The greatest length of the lists at a depth; None if there is none so deep.
fn longest(list: RowRef<'_>, depth: i64) -> Option<i64> {
    if depth <= 1 {
        return Some(list.iter().count() as i64);
    }
    let inner = list.iter().filter_map(|element| match element {
        Datum::List(inner) => longest(inner, depth - 1),
        _ => None,
    });
    inner.max()
}

pub(super) fn define(d: &mut Definitions) {
    let build: Eval = |a, c| made(a.iter().copied(), c);
    let doc = "LIST[..].";
    d.add("list_build", "list_build(variadic anyelement) -> anylist", build, doc).sees_null();
    d.add(
        "list_subscript",
        "list_subscript(anylist, variadic int8) -> anyelement",
        |a, _| subscript(a),
        "An element by its place, counted from 1.",
    );
    let doc = "The elements between two places.";
    d.add("list_slice", "list_slice(anylist, int8, int8) -> anylist", slice, doc).sees_null();
    let doc = "An element put at the end.";
    let append: Eval = |a, c| {
        let last = a.get(1).copied().unwrap_or(Datum::Null);
        made(elements(a.first()).into_iter().chain([last]), c)
    };
    d.add("list_append", "list_append(anylist, anyelement) -> anylist", append, doc)
        .sees_null()
        .operator("||");
    let doc = "An element put at the start.";
    let prepend: Eval = |a, c| {
        let first = a.first().copied().unwrap_or(Datum::Null);
        made([first].into_iter().chain(elements(a.get(1))), c)
    };
    d.add("list_prepend", "list_prepend(anyelement, anylist) -> anylist", prepend, doc)
        .sees_null()
        .operator("||");
    let doc = "One list after the other.";
    let join: Eval = |a, c| match (a.first(), a.get(1)) {
        (Some(Datum::Null), Some(Datum::Null)) => Ok(Datum::Null),
        (left, right) => made(elements(left).into_iter().chain(elements(right)), c),
    };
    d.add("list_cat", "list_cat(anylist, anylist) -> anylist", join, doc)
        .sees_null()
        .operator("||");
    let doc = "Without the elements equal to a value.";
    let remove: Eval = |a, c| match a.first() {
        Some(whole @ Datum::List(_)) => {
            let unwanted = a.get(1).copied().unwrap_or(Datum::Null);
            made(elements(Some(whole)).into_iter().filter(|value| !value.sql_eq(&unwanted)), c)
        }
        _ => Ok(Datum::Null),
    };
    d.add("list_remove", "list_remove(anylist, anyelement) -> anylist", remove, doc).sees_null();
    let length: Eval = |a, _| Ok(Datum::Int(list(a, 0)?.iter().count() as i64));
    let doc = "How many elements there are.";
    d.add("list_length", "list_length(anylist) -> int4", length, doc);
    d.add(
        "list_length_max",
        "list_length_max(anylist, int8) -> int4",
        |a, _| {
            let depth = int(a, 1)?;
            if depth < 1 {
                return Err::<_, EvalError>(bad_parameter(format!("invalid layer: {depth}")));
            }
            Ok(longest(list(a, 0)?, depth).map_or(Datum::Null, Datum::Int))
        },
        "The greatest length of the lists at a depth.",
    );
}
