//! Jsonb values made of others.

use tidemill_repr::Datum;

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{
    Evaluated, array, bad_parameter, boolean, int, jsonb, text, text_elements,
};
use crate::functions::jsonb::value::{Json, decode, encode, from_datum, pretty};
use crate::functions::jsonb::{array_of, object_of};
use crate::scalar::EvalContext;

fn concatenated<'a>(left: Json<'a>, right: Json<'a>) -> Json<'a> {
    let items = |value: Json<'a>| match value {
        Json::Array(items) => items,
        other => vec![other],
    };
    match (left, right) {
        (Json::Object(mut left), Json::Object(right)) => {
            left.extend(right);
            Json::object(left)
        }
        (left, right) => {
            let mut all = items(left);
            all.extend(items(right));
            Json::Array(all)
        }
    }
}

fn without_key<'a>(tree: Json<'a>, gone: &dyn Fn(&str) -> bool) -> Result<Json<'a>, EvalError> {
    match tree {
        Json::Object(mut pairs) => {
            pairs.retain(|pair| !gone(&pair.0));
            Ok(Json::Object(pairs))
        }
        Json::Array(mut items) => {
            items.retain(|item| !matches!(item, Json::Text(text) if gone(text)));
            Ok(Json::Array(items))
        }
        _ => Err(bad_parameter("cannot delete from scalar")),
    }
}

fn place(at: i64, length: usize) -> Option<usize> {
    let at = if at < 0 { at + length as i64 } else { at };
    usize::try_from(at).ok().filter(|at| *at < length)
}

fn without_element<'a>(tree: Json<'a>, at: i64) -> Result<Json<'a>, EvalError> {
    match tree {
        Json::Array(mut items) => {
            if let Some(at) = place(at, items.len()) {
                items.remove(at);
            }
            Ok(Json::Array(items))
        }
        Json::Object(_) => Err(bad_parameter("cannot delete from object using integer index")),
        _ => Err(bad_parameter("cannot delete from scalar")),
    }
}

/// What is done at the end of a path.
enum Change<'t, 'a> {
    Delete,
    /// Replaces; puts in what is not there if the flag says so.
    Set(&'t Json<'a>, bool),
    /// Puts an element before (or after) the one at the end of the path.
    Insert(&'t Json<'a>, bool),
}

fn change<'a>(
    tree: &mut Json<'a>,
    path: &[Option<&str>],
    what: &Change<'_, 'a>,
) -> Result<(), EvalError> {
    let Some((step, rest)) = path.split_first() else { return Ok(()) };
    let Some(step) = *step else { return Ok(()) };
    match tree {
        Json::Object(pairs) => {
            let at = pairs.iter().position(|pair| pair.0 == step);
            match (at, what) {
                (Some(at), _) if !rest.is_empty() => change(&mut pairs[at].1, rest, what),
                (Some(at), Change::Delete) => {
                    pairs.remove(at);
                    Ok(())
                }
                (Some(at), Change::Set(value, _)) => {
                    pairs[at].1 = (*value).clone();
                    Ok(())
                }
                (Some(_), Change::Insert(..)) => Err(bad_parameter("cannot replace existing key")),
                (None, Change::Set(value, true) | Change::Insert(value, _)) if rest.is_empty() => {
                    pairs.push((step.to_owned().into(), (*value).clone()));
                    Ok(())
                }
                (None, _) => Ok(()),
            }
        }
        Json::Array(items) => {
            let index: i64 = step.trim().parse().map_err(|_| {
                EvalError::invalid(
                    tidemill_repr::SqlState::INVALID_TEXT_REPRESENTATION,
                    format!("path element at position 1 is not an integer: \"{step}\""),
                )
            })?;
            change_element(items, index, rest, what)
        }
        _ => Ok(()),
    }
}

fn change_element<'a>(
    items: &mut Vec<Json<'a>>,
    index: i64,
    rest: &[Option<&str>],
    what: &Change<'_, 'a>,
) -> Result<(), EvalError> {
    match (place(index, items.len()), what) {
        (Some(at), _) if !rest.is_empty() => return change(&mut items[at], rest, what),
        (_, _) if !rest.is_empty() => {}
        (Some(at), Change::Delete) => {
            items.remove(at);
        }
        (Some(at), Change::Set(value, _)) => items[at] = (*value).clone(),
        (Some(at), Change::Insert(value, after)) => {
            items.insert(at + usize::from(*after), (*value).clone());
        }
        (None, Change::Set(value, true) | Change::Insert(value, _)) => {
            let end = if index < 0 { 0 } else { items.len() };
            items.insert(end, (*value).clone());
        }
        (None, _) => {}
    }
    Ok(())
}

fn stripped(tree: &mut Json<'_>) {
    match tree {
        Json::Object(pairs) => {
            pairs.retain(|pair| !matches!(pair.1, Json::Null));
            pairs.iter_mut().for_each(|pair| stripped(&mut pair.1));
        }
        Json::Array(items) => items.iter_mut().for_each(stripped),
        _ => {}
    }
}

fn changed<'a>(
    a: &[Datum<'a>],
    what: &Change<'_, 'a>,
    name: &str,
    context: EvalContext<'a>,
) -> Evaluated<'a> {
    let mut tree = decode(jsonb(a, 0)?);
    if !matches!(tree, Json::Array(_) | Json::Object(_)) {
        return Err(bad_parameter(format!("cannot {name} scalar")));
    }
    let path: Vec<_> = text_elements(array(a, 1)?).collect();
    change(&mut tree, &path, what)?;
    let tree = match tree {
        Json::Object(pairs) => Json::object(pairs),
        other => other,
    };
    Ok(encode(&tree, context))
}

fn build_object<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    if a.len() % 2 == 1 {
        return Err(bad_parameter("argument list must have even number of elements"));
    }
    for (at, pair) in a.chunks(2).enumerate() {
        if pair[0].is_null() {
            return Err(bad_parameter(format!("argument {}: key must not be null", 2 * at + 1)));
        }
    }
    object_of(a.chunks(2).map(|pair| (pair[0], pair[1])), context)
}

pub(super) fn define(d: &mut Definitions) {
    let join: Eval =
        |a, c| Ok(encode(&concatenated(decode(jsonb(a, 0)?), decode(jsonb(a, 1)?)), c));
    d.add(
        "jsonb_concat",
        "jsonb_concat(jsonb, jsonb) -> jsonb",
        join,
        "One value with the other added.",
    )
    .operator("||");
    let key: Eval = |a, c| {
        let wanted = text(a, 1)?;
        Ok(encode(&without_key(decode(jsonb(a, 0)?), &|key| key == wanted)?, c))
    };
    d.add(
        "jsonb_delete",
        "jsonb_delete(jsonb, text) -> jsonb",
        key,
        "Without a key, or a text in an array.",
    )
    .operator("-");
    let keys: Eval = |a, c| {
        let wanted: Vec<&str> = text_elements(array(a, 1)?).flatten().collect();
        Ok(encode(&without_key(decode(jsonb(a, 0)?), &|key| wanted.contains(&key))?, c))
    };
    d.add(
        "jsonb_delete_array",
        "jsonb_delete(jsonb, text[]) -> jsonb",
        keys,
        "Without these keys or texts.",
    )
    .operator("-");
    let element: Eval = |a, c| Ok(encode(&without_element(decode(jsonb(a, 0)?), int(a, 1)?)?, c));
    d.add(
        "jsonb_delete_idx",
        "jsonb_delete(jsonb, int4) -> jsonb",
        element,
        "Without the element at a place.",
    )
    .operator("-");
    let path: Eval = |a, c| changed(a, &Change::Delete, "delete path in", c);
    d.add(
        "jsonb_delete_path",
        "jsonb_delete_path(jsonb, text[]) -> jsonb",
        path,
        "Without what is at the end of a path.",
    )
    .operator("#-");
    let set: Eval = |a, c| {
        let create = if a.len() > 3 { boolean(a, 3)? } else { true };
        changed(a, &Change::Set(&decode(jsonb(a, 2)?), create), "set path in", c)
    };
    let doc = "With another value at the end of a path.";
    d.add("jsonb_set", "jsonb_set(jsonb, text[], jsonb, bool) -> jsonb", set, doc);
    d.add("jsonb_set_create", "jsonb_set(jsonb, text[], jsonb) -> jsonb", set, doc);
    let insert: Eval = |a, c| {
        let after = if a.len() > 3 { boolean(a, 3)? } else { false };
        changed(a, &Change::Insert(&decode(jsonb(a, 2)?), after), "set path in", c)
    };
    let doc = "With a value put in at the end of a path.";
    d.add("jsonb_insert", "jsonb_insert(jsonb, text[], jsonb, bool) -> jsonb", insert, doc);
    d.add("jsonb_insert_before", "jsonb_insert(jsonb, text[], jsonb) -> jsonb", insert, doc);
    let strip: Eval = |a, c| {
        let mut tree = decode(jsonb(a, 0)?);
        stripped(&mut tree);
        Ok(encode(&tree, c))
    };
    d.add(
        "jsonb_strip_nulls",
        "jsonb_strip_nulls(jsonb) -> jsonb",
        strip,
        "Without the keys whose value is null.",
    );
    d.add(
        "jsonb_pretty",
        "jsonb_pretty(jsonb) -> text",
        |a, c| Ok(c.text(&pretty(&decode(jsonb(a, 0)?)))),
        "With line breaks and indents.",
    );
    d.add(
        "to_jsonb",
        "to_jsonb(anyelement) -> jsonb",
        |a, c| Ok(a.first().map_or(Datum::Null, |datum| encode(&from_datum(datum), c))),
        "Any value as jsonb.",
    );
    d.add(
        "jsonb_build_array",
        "jsonb_build_array(variadic any) -> jsonb",
        |a, c| array_of(a.iter().copied(), c),
        "An array of the arguments.",
    )
    .sees_null();
    d.add(
        "jsonb_build_object",
        "jsonb_build_object(variadic any) -> jsonb",
        build_object,
        "An object of keys and values in turn.",
    )
    .sees_null();
}
