//! `JSON_OBJECT`, `JSON_ARRAY` and `IS JSON` of SQL's standard.

use std::collections::HashSet;

use tidemill_repr::jsonb::{parse_jsonb, push_quoted};
use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, boolean, text};
use crate::functions::json::read::{Kind, elements, kind, members};
use crate::functions::json::types::typed;
use crate::functions::json::write::{key_text, write};
use crate::scalar::EvalContext;

fn object<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (values, known) = typed(a)?;
    let absent = matches!(values.first(), Some(Datum::Bool(true)));
    let mut out = String::from("{");
    for at in (1..values.len()).step_by(2) {
        let value = values.get(at + 1).unwrap_or(&Datum::Null);
        if values[at].is_null() {
            return Err(EvalError::invalid(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "null value not allowed for object key",
            ));
        }
        if absent && value.is_null() {
            continue;
        }
        out.push_str(if out.len() > 1 { ", " } else { "" });
        push_quoted(&key_text(&values[at], known.typ(at), &known.settings)?, &mut out);
        out.push_str(" : ");
        write(value, known.typ(at + 1), &known.settings, false, &mut out);
    }
    out.push('}');
    Ok(context.text(&out))
}

fn array<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (values, known) = typed(a)?;
    let absent = matches!(values.first(), Some(Datum::Bool(true)));
    let mut out = String::from("[");
    for (at, value) in values.iter().enumerate().skip(1) {
        if absent && value.is_null() {
            continue;
        }
        out.push_str(if out.len() > 1 { ", " } else { "" });
        write(value, known.typ(at), &known.settings, false, &mut out);
    }
    out.push(']');
    Ok(context.text(&out))
}

/// Whether no object within has a key twice.
fn has_unique_keys(json: &str) -> bool {
    match kind(json) {
        Kind::Object => {
            let mut seen = HashSet::new();
            members(json)
                .iter()
                .all(|(key, value)| seen.insert(key.to_string()) && has_unique_keys(value))
        }
        Kind::Array => elements(json).iter().all(|element| has_unique_keys(element)),
        _ => true,
    }
}

fn is_json(json: &str, wanted: &str, unique: bool) -> bool {
    if parse_jsonb(json).is_err() {
        return false;
    }
    let fits = match (wanted, kind(json)) {
        ("OBJECT", Kind::Object) | ("ARRAY", Kind::Array) => true,
        ("SCALAR", found) => !matches!(found, Kind::Object | Kind::Array),
        ("OBJECT" | "ARRAY", _) => false,
        _ => true,
    };
    fits && (!unique || has_unique_keys(json))
}

pub(super) fn define(d: &mut Definitions) {
    let makers: [(&str, Eval, &str); 2] = [
        ("json_object", object, "JSON_OBJECT: whether NULLs are left out, then keys and values."),
        ("json_array", array, "JSON_ARRAY: whether NULLs are left out, then values."),
    ];
    for (name, eval, doc) in makers {
        let id = format!("{name}_constructor");
        for (suffix, arguments) in [("", "bool, variadic any"), ("_empty", "bool")] {
            let signature = format!("{id}({arguments}) -> json");
            d.add(&format!("{id}{suffix}"), &signature, eval, doc).sees_null().types().zone();
        }
    }
    let test: Eval = |a, _| Ok(Datum::Bool(is_json(text(a, 0)?, text(a, 1)?, boolean(a, 2)?)));
    let doc = "IS JSON: a text, the kind of json, and whether keys must differ.";
    let unique: Eval = |a, _| match has_unique_keys(text(a, 0)?) {
        true => Ok(a.first().copied().unwrap_or(Datum::Null)),
        false => Err(EvalError::invalid(
            SqlState::DUPLICATE_JSON_OBJECT_KEY_VALUE,
            "duplicate JSON object key value",
        )),
    };
    let unique_doc = "A json text, the keys of which must differ.";
    d.add("json_unique_keys", "json_unique_keys(text) -> text", unique, unique_doc);
    d.add("is_json", "is_json(text, text, bool) -> bool", test, doc);
}
