//! Maps from texts to values of one type.

use std::collections::BTreeMap;

use tidemill_repr::{Datum, Row, RowBuilder, RowRef};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, array, list, map, text, text_elements};
use crate::scalar::EvalContext;

/// Keys and values; of equal keys the last one counts, and a NULL key is left out.
fn build<'a>(entries: impl Iterator<Item = (Datum<'a>, Datum<'a>)>) -> RowBuilder {
    let mut sorted: BTreeMap<&str, Datum<'a>> = BTreeMap::new();
    for (key, value) in entries {
        if let Datum::Text(key) = key {
            sorted.insert(key, value);
        }
    }
    let mut builder = RowBuilder::new();
    for (key, value) in sorted {
        builder.push(Datum::Text(key));
        builder.push(value);
    }
    builder
}

/// A map as a row of one datum.
pub(crate) fn map_row<'a>(entries: impl Iterator<Item = (Datum<'a>, Datum<'a>)>) -> Row {
    Row::pack([Datum::Map(build(entries).as_ref())])
}

fn made<'a>(
    entries: impl Iterator<Item = (Datum<'a>, Datum<'a>)>,
    context: EvalContext<'a>,
) -> Evaluated<'a> {
    let bytes = context.arena.alloc_slice_copy(build(entries).bytes());
    Ok(Datum::Map(RowRef::from_bytes(bytes)))
}

/// Keys and values, in order of the keys.
fn entries<'a>(map: RowRef<'a>) -> impl Iterator<Item = (&'a str, Datum<'a>)> {
    let mut datums = map.iter();
    std::iter::from_fn(move || match (datums.next()?, datums.next()?) {
        (Datum::Text(key), value) => Some((key, value)),
        _ => None,
    })
}

fn value_of<'a>(map: RowRef<'a>, key: &str) -> Option<Datum<'a>> {
    entries(map).find(|(candidate, _)| *candidate == key).map(|entry| entry.1)
}

fn contains(outer: RowRef<'_>, inner: RowRef<'_>) -> bool {
    entries(inner)
        .all(|(key, value)| value_of(outer, key).is_some_and(|found| found.sql_eq(&value)))
}

/// `MAP[key => value, ..]`, keys and values in turn.
fn of_pairs<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let pairs = a.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    made(pairs.collect::<Vec<_>>().into_iter(), context)
}

/// A map of a list of records (key, value).
fn of_records<'a>(records: RowRef<'a>, context: EvalContext<'a>) -> Evaluated<'a> {
    let pairs = records.iter().filter_map(|record| match record {
        Datum::Record(fields) => {
            let mut fields = fields.iter();
            Some((fields.next()?, fields.next()?))
        }
        _ => None,
    });
    made(pairs, context)
}

fn keys<'a>(a: &[Datum<'a>]) -> Result<(RowRef<'a>, Vec<Option<&'a str>>), EvalError> {
    Ok((map(a, 0)?, text_elements(array(a, 1)?).collect()))
}

pub(super) fn define(d: &mut Definitions) {
    d.add("map_build_pairs", "map_build_pairs(variadic any) -> anymap", of_pairs, "MAP[..].")
        .sees_null();
    let records: Eval = |a, c| of_records(list(a, 0)?, c);
    let doc = "A map of a list of records of a key and a value.";
    d.add("map_build", "map_build(anylist) -> anymap", records, doc);
    let length: Eval = |a, _| Ok(Datum::Int(entries(map(a, 0)?).count() as i64));
    d.add("map_length", "map_length(anymap) -> int4", length, "How many entries there are.");
    let get: Eval = |a, _| Ok(value_of(map(a, 0)?, text(a, 1)?).unwrap_or(Datum::Null));
    d.add("map_get", "map_get(anymap, text) -> anyelement", get, "The value of a key.")
        .operator("->");
    let has: Eval = |a, _| Ok(Datum::Bool(value_of(map(a, 0)?, text(a, 1)?).is_some()));
    d.add("map_exists", "map_exists(anymap, text) -> bool", has, "Whether a key is there.")
        .operator("?");
    let all: Eval = |a, _| {
        let (map, keys) = keys(a)?;
        let all = keys.iter().all(|key| key.is_some_and(|key| value_of(map, key).is_some()));
        Ok(Datum::Bool(all))
    };
    d.add(
        "map_exists_all",
        "map_exists_all(anymap, text[]) -> bool",
        all,
        "Whether all are there.",
    )
    .operator("?&");
    let any: Eval = |a, _| {
        let (map, keys) = keys(a)?;
        let any = keys.iter().flatten().any(|key| value_of(map, key).is_some());
        Ok(Datum::Bool(any))
    };
    d.add("map_exists_any", "map_exists_any(anymap, text[]) -> bool", any, "Whether any is there.")
        .operator("?|");
    let doc = "Whether one map has all entries of the other.";
    let holds: Eval = |a, _| Ok(Datum::Bool(contains(map(a, 0)?, map(a, 1)?)));
    d.add("map_contains", "map_contains(anymap, anymap) -> bool", holds, doc).operator("@>");
    let held: Eval = |a, _| Ok(Datum::Bool(contains(map(a, 1)?, map(a, 0)?)));
    d.add("map_contained", "map_contained(anymap, anymap) -> bool", held, doc).operator("<@");
}
