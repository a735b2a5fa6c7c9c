//! What is in a jsonb value.

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{
    Evaluated, array, bad_parameter, int, jsonb, text, text_elements,
};
use crate::functions::jsonb::value::{Json, as_text, decode, encode};
use crate::scalar::EvalContext;

fn element<'t, 'j>(tree: &'t Json<'j>, at: i64) -> Option<&'t Json<'j>> {
    let items = match tree {
        Json::Array(items) => items.as_slice(),
        Json::Object(_) => return None,
        // A scalar is an array of itself here.
        scalar => std::slice::from_ref(scalar),
    };
    let at = if at < 0 { at + items.len() as i64 } else { at };
    items.get(usize::try_from(at).ok()?)
}

fn field<'t, 'j>(tree: &'t Json<'j>, key: &str) -> Option<&'t Json<'j>> {
    let Json::Object(pairs) = tree else { return None };
    pairs.iter().find(|pair| pair.0 == key).map(|pair| &pair.1)
}

fn follow<'t, 'j>(tree: &'t Json<'j>, path: &[Option<&str>]) -> Option<&'t Json<'j>> {
    let mut current = tree;
    for step in path {
        let step = (*step)?;
        current = match current {
            Json::Object(_) => field(current, step)?,
            Json::Array(_) => element(current, step.trim_start().parse().ok()?)?,
            _ => return None,
        };
    }
    Some(current)
}

fn found<'a>(value: Option<&Json<'_>>, as_json: bool, context: EvalContext<'a>) -> Datum<'a> {
    match value {
        None => Datum::Null,
        Some(value) if as_json => encode(value, context),
        Some(value) => as_text(value, context),
    }
}

fn by_path<'a>(a: &[Datum<'a>], as_json: bool, context: EvalContext<'a>) -> Evaluated<'a> {
    let tree = decode(jsonb(a, 0)?);
    let path: Vec<_> = text_elements(array(a, 1)?).collect();
    Ok(found(follow(&tree, &path), as_json, context))
}

/// `jsonb_extract_path(value, 'a', 'b')`
fn by_steps<'a>(a: &[Datum<'a>], as_json: bool, context: EvalContext<'a>) -> Evaluated<'a> {
    let tree = decode(jsonb(a, 0)?);
    let path: Result<Vec<_>, _> = (1..a.len()).map(|at| text(a, at).map(Some)).collect();
    Ok(found(follow(&tree, &path?), as_json, context))
}

fn equal(left: &Json<'_>, right: &Json<'_>) -> bool {
    match (left, right) {
        (Json::Null, Json::Null) => true,
        (Json::Bool(a), Json::Bool(b)) => a == b,
        (Json::Number(a), Json::Number(b)) => a.sql_cmp(b).is_eq(),
        (Json::Text(a), Json::Text(b)) => a == b,
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && equal(&a.1, &b.1))
        }
        _ => false,
    }
}

/// `outer @> inner`; an array may hold a scalar by itself, at the top only.
fn contains(outer: &Json<'_>, inner: &Json<'_>, top: bool) -> bool {
    match (outer, inner) {
        (Json::Object(pairs), Json::Object(wanted)) => wanted.iter().all(|(key, value)| {
            pairs.iter().any(|pair| pair.0 == *key && contains(&pair.1, value, false))
        }),
        (Json::Array(items), Json::Array(wanted)) => {
            wanted.iter().all(|value| items.iter().any(|item| contains(item, value, false)))
        }
        (Json::Array(items), scalar) if top && !matches!(scalar, Json::Object(_)) => {
            items.iter().any(|item| equal(item, scalar))
        }
        _ => equal(outer, inner),
    }
}

/// Whether a text is a key, or a text in an array.
fn exists(tree: &Json<'_>, key: &str) -> bool {
    match tree {
        Json::Object(pairs) => pairs.iter().any(|pair| pair.0 == key),
        Json::Array(items) => {
            items.iter().any(|item| matches!(item, Json::Text(text) if text == key))
        }
        Json::Text(text) => text == key,
        _ => false,
    }
}

pub(super) fn kind(tree: &Json<'_>) -> &'static str {
    match tree {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::Text(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "The element at a place, counted from 0, or from the end if below it.";
    d.add(
        "jsonb_array_element",
        "jsonb_array_element(jsonb, int4) -> jsonb",
        |a, c| Ok(found(element(&decode(jsonb(a, 0)?), int(a, 1)?), true, c)),
        doc,
    )
    .operator("->");
    d.add(
        "jsonb_array_element_text",
        "jsonb_array_element_text(jsonb, int4) -> text",
        |a, c| Ok(found(element(&decode(jsonb(a, 0)?), int(a, 1)?), false, c)),
        doc,
    )
    .operator("->>");
    let doc = "The value of a key.";
    d.add(
        "jsonb_object_field",
        "jsonb_object_field(jsonb, text) -> jsonb",
        |a, c| Ok(found(field(&decode(jsonb(a, 0)?), text(a, 1)?), true, c)),
        doc,
    )
    .operator("->");
    d.add(
        "jsonb_object_field_text",
        "jsonb_object_field_text(jsonb, text) -> text",
        |a, c| Ok(found(field(&decode(jsonb(a, 0)?), text(a, 1)?), false, c)),
        doc,
    )
    .operator("->>");
    let doc = "The value at the end of a path.";
    d.add(
        "jsonb_at_path",
        "jsonb_extract_path_op(jsonb, text[]) -> jsonb",
        |a, c| by_path(a, true, c),
        doc,
    )
    .operator("#>");
    d.add(
        "jsonb_at_path_text",
        "jsonb_extract_path_text_op(jsonb, text[]) -> text",
        |a, c| by_path(a, false, c),
        doc,
    )
    .operator("#>>");
    d.add(
        "jsonb_extract_path",
        "jsonb_extract_path(jsonb, variadic text) -> jsonb",
        |a, c| by_steps(a, true, c),
        doc,
    );
    d.add(
        "jsonb_extract_path_text",
        "jsonb_extract_path_text(jsonb, variadic text) -> text",
        |a, c| by_steps(a, false, c),
        doc,
    );
    let holds: Eval =
        |a, _| Ok(Datum::Bool(contains(&decode(jsonb(a, 0)?), &decode(jsonb(a, 1)?), true)));
    d.add(
        "jsonb_contains",
        "jsonb_contains(jsonb, jsonb) -> bool",
        holds,
        "Whether the left value holds the right one.",
    )
    .operator("@>");
    let held: Eval =
        |a, _| Ok(Datum::Bool(contains(&decode(jsonb(a, 1)?), &decode(jsonb(a, 0)?), true)));
    d.add(
        "jsonb_contained",
        "jsonb_contained(jsonb, jsonb) -> bool",
        held,
        "Whether the right value holds the left one.",
    )
    .operator("<@");
    let one: Eval = |a, _| Ok(Datum::Bool(exists(&decode(jsonb(a, 0)?), text(a, 1)?)));
    d.add(
        "jsonb_exists",
        "jsonb_exists(jsonb, text) -> bool",
        one,
        "Whether there is this key or text.",
    )
    .operator("?");
    let any: Eval = |a, _| {
        let tree = decode(jsonb(a, 0)?);
        Ok(Datum::Bool(text_elements(array(a, 1)?).flatten().any(|key| exists(&tree, key))))
    };
    d.add(
        "jsonb_exists_any",
        "jsonb_exists_any(jsonb, text[]) -> bool",
        any,
        "Whether there is any of these keys or texts.",
    )
    .operator("?|");
    let all: Eval = |a, _| {
        let tree = decode(jsonb(a, 0)?);
        Ok(Datum::Bool(text_elements(array(a, 1)?).flatten().all(|key| exists(&tree, key))))
    };
    d.add(
        "jsonb_exists_all",
        "jsonb_exists_all(jsonb, text[]) -> bool",
        all,
        "Whether there are all of these keys or texts.",
    )
    .operator("?&");
    d.add(
        "jsonb_typeof",
        "jsonb_typeof(jsonb) -> text",
        |a, _| Ok(Datum::Text(kind(&decode(jsonb(a, 0)?)))),
        "What kind of value it is.",
    );
    let length: Eval = |a, _| match decode(jsonb(a, 0)?) {
        Json::Array(items) => Ok(Datum::Int(items.len() as i64)),
        Json::Object(_) => Err(bad_parameter("cannot get array length of a non-array")),
        _ => Err(bad_parameter("cannot get array length of a scalar")),
    };
    d.add(
        "jsonb_array_length",
        "jsonb_array_length(jsonb) -> int4",
        length,
        "How many elements there are.",
    );
    define_casts(d);
}

fn not_castable(tree: &Json<'_>, type_name: &str) -> EvalError {
    let what = match kind(tree) {
        "number" => "numeric",
        kind => kind,
    };
    EvalError::invalid(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("cannot cast jsonb {what} to type {type_name}"),
    )
}

/// A number by way of the cast from `numeric` with this id.
fn number<'a>(
    a: &[Datum<'a>],
    type_name: &str,
    id: &str,
    context: EvalContext<'a>,
) -> Evaluated<'a> {
    match decode(jsonb(a, 0)?) {
        Json::Number(value) => match crate::functions::by_id(id) {
            Some(function) => (function.eval)(&[Datum::Numeric(value)], context),
            None => Ok(Datum::Numeric(value)),
        },
        other => Err(not_castable(&other, type_name)),
    }
}

fn define_casts(d: &mut Definitions) {
    let doc = "The value of a jsonb scalar.";
    let boolean: Eval = |a, _| match decode(jsonb(a, 0)?) {
        Json::Bool(value) => Ok(Datum::Bool(value)),
        other => Err(not_castable(&other, "boolean")),
    };
    d.add("jsonb_bool", "bool(jsonb) -> bool", boolean, doc).cast(CastContext::Explicit);
    let numbers: [(&str, Eval); 6] = [
        ("numeric", |a, c| number(a, "numeric", "", c)),
        ("int2", |a, c| number(a, "smallint", "numeric_int2", c)),
        ("int4", |a, c| number(a, "integer", "numeric_int4", c)),
        ("int8", |a, c| number(a, "bigint", "numeric_int8", c)),
        ("float4", |a, c| number(a, "real", "numeric_float4", c)),
        ("float8", |a, c| number(a, "double precision", "numeric_float8", c)),
    ];
    for (typ, eval) in numbers {
        d.add(&format!("jsonb_{typ}"), &format!("{typ}(jsonb) -> {typ}"), eval, doc)
            .cast(CastContext::Explicit);
    }
}
