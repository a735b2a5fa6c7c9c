//! Jsonb values made of others.

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{
    Evaluated, array, bad_parameter, boolean, int, jsonb, text, text_elements,
};
use crate::functions::jsonb::value::{Json, decode, encode, pretty};
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
    position: usize,
) -> Result<(), EvalError> {
    let Some((step, rest)) = path.split_first() else { return Ok(()) };
    if !matches!(tree, Json::Object(_) | Json::Array(_)) {
        return Ok(());
    }
    let Some(step) = *step else {
        return Err(EvalError::invalid(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            format!("path element at position {position} is null"),
        ));
    };
    match tree {
        Json::Object(pairs) => {
            let at = pairs.iter().position(|pair| pair.0 == step);
            match (at, what) {
                (Some(at), _) if !rest.is_empty() => {
                    change(&mut pairs[at].1, rest, what, position + 1)
                }
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
            let index = step.trim_start().parse::<i32>().map_err(|_| {
                EvalError::invalid(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    format!("path element at position {position} is not an integer: \"{step}\""),
                )
            })?;
            change_element(items, i64::from(index), rest, what, position)
        }
        _ => Ok(()),
    }
}

fn change_element<'a>(
    items: &mut Vec<Json<'a>>,
    index: i64,
    rest: &[Option<&str>],
    what: &Change<'_, 'a>,
    position: usize,
) -> Result<(), EvalError> {
    match (place(index, items.len()), what) {
        (Some(at), _) if !rest.is_empty() => {
            return change(&mut items[at], rest, what, position + 1);
        }
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
    change(&mut tree, &path, what, 1)?;
    let tree = match tree {
        Json::Object(pairs) => Json::object(pairs),
        other => other,
    };
    Ok(encode(&tree, context))
}

/// `jsonb_set_lax(target, path, value, create, null_value_treatment)`
fn set_lax<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let missing = |at: usize| matches!(a.get(at), Some(Datum::Null));
    if missing(0) || missing(1) || missing(3) {
        return Ok(Datum::Null);
    }
    let create = if a.len() > 3 { boolean(a, 3)? } else { true };
    if !missing(2) {
        return changed(a, &Change::Set(&decode(jsonb(a, 2)?), create), "set path in", context);
    }
    let bad = || {
        bad_parameter(
            "null_value_treatment must be \"delete_key\", \"return_target\", \
             \"use_json_null\", or \"raise_exception\"",
        )
    };
    if missing(4) {
        return Err(bad());
    }
    match if a.len() > 4 { text(a, 4)? } else { "use_json_null" } {
        "raise_exception" => Err(EvalError::Invalid {
            code: SqlState::NULL_VALUE_NOT_ALLOWED.0.to_owned(),
            message: "JSON value must not be null".to_owned(),
            detail: Some(
                "Exception was raised because null_value_treatment is \"raise_exception\"."
                    .to_owned(),
            ),
            hint: None,
        }),
        "use_json_null" => changed(a, &Change::Set(&Json::Null, create), "set path in", context),
        "delete_key" => changed(a, &Change::Delete, "delete path in", context),
        "return_target" => Ok(a.first().copied().unwrap_or(Datum::Null)),
        _ => Err(bad()),
    }
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
    let lax: Eval = |a, c| set_lax(a, c);
    for count in 3..=5 {
        let arguments = ["jsonb", "text[]", "jsonb", "bool", "text"][..count].join(", ");
        let id = format!("jsonb_set_lax_{count}");
        let doc = "As jsonb_set, but NULL is treated as the last argument says.";
        d.add(&id, &format!("jsonb_set_lax({arguments}) -> jsonb"), lax, doc).sees_null();
    }
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
}
