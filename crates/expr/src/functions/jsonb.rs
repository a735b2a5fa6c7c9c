//! `jsonb`: operators, parts, building.
//!
//! Functions that only look walk the encoded value; those that change it go by way of a tree
//! ([`value::Json`]).

mod changes;
mod parts;
pub(crate) mod value;

use tidemill_repr::Datum;
use tidemill_repr::jsonb::JsonbRef;

use crate::error::EvalError;
use crate::functions::Definitions;
use crate::functions::table::{Emitter, Tables};
use crate::scalar::EvalContext;
use crate::table_function::TableEval;

use value::{Json, decode, encode, from_datum};

use crate::functions::arguments::{bad_parameter, jsonb};

/// The representative of all equal values: numbers without zeros at the end.
pub(super) fn canonical<'a>(value: JsonbRef<'a>, context: EvalContext<'a>) -> Datum<'a> {
    fn normal(value: &mut Json<'_>) {
        match value {
            Json::Number(number) => *number = number.canonical(),
            Json::Array(items) => items.iter_mut().for_each(normal),
            Json::Object(pairs) => pairs.iter_mut().for_each(|pair| normal(&mut pair.1)),
            _ => {}
        }
    }
    let mut tree = decode(value);
    normal(&mut tree);
    encode(&tree, context)
}

/// A jsonb array of values; NULLs are `null`.
pub(crate) fn array_of<'a, 'c>(
    items: impl Iterator<Item = Datum<'a>>,
    context: EvalContext<'c>,
) -> Result<Datum<'c>, EvalError> {
    let items = items.map(|item| from_datum(&item)).collect();
    Ok(encode(&Json::Array(items), context))
}

/// A jsonb object of keys and values; of a key that occurs twice the later one counts.
pub(crate) fn object_of<'a, 'c>(
    items: impl Iterator<Item = (Datum<'a>, Datum<'a>)>,
    context: EvalContext<'c>,
) -> Result<Datum<'c>, EvalError> {
    let mut pairs = Vec::new();
    for (key, value) in items {
        if key.is_null() {
            return Err(bad_parameter("field name must not be null"));
        }
        let mut name = String::new();
        crate::functions::text_values::datum_text(&key, &mut name);
        pairs.push((name.into(), from_datum(&value)));
    }
    Ok(encode(&Json::object(pairs), context))
}

pub(super) fn define(d: &mut Definitions) {
    parts::define(d);
    changes::define(d);
}

const ELEMENTS: TableEval = |a, context, emit| {
    let mut out = Emitter::new(emit);
    for item in elements(&decode(jsonb(a, 0)?))? {
        out.row([encode(item, context)])?;
    }
    Ok(())
};

const ELEMENT_TEXTS: TableEval = |a, context, emit| {
    let mut out = Emitter::new(emit);
    for item in elements(&decode(jsonb(a, 0)?))? {
        out.row([value::as_text(item, context)])?;
    }
    Ok(())
};

fn elements<'t, 'j>(tree: &'t Json<'j>) -> Result<&'t [Json<'j>], EvalError> {
    match tree {
        Json::Array(items) => Ok(items),
        Json::Object(_) => Err(bad_parameter("cannot extract elements from an object")),
        _ => Err(bad_parameter("cannot extract elements from a scalar")),
    }
}

const EACH: TableEval = |a, context, emit| {
    let mut out = Emitter::new(emit);
    for (key, value) in &pairs(decode(jsonb(a, 0)?), "jsonb_each")? {
        out.row([Datum::Text(key), encode(value, context)])?;
    }
    Ok(())
};

const EACH_TEXT: TableEval = |a, context, emit| {
    let mut out = Emitter::new(emit);
    for (key, value) in &pairs(decode(jsonb(a, 0)?), "jsonb_each_text")? {
        out.row([Datum::Text(key), value::as_text(value, context)])?;
    }
    Ok(())
};

const KEYS: TableEval = |a, _, emit| {
    let mut out = Emitter::new(emit);
    let tree = decode(jsonb(a, 0)?);
    let Json::Object(pairs) = &tree else {
        let what = if matches!(tree, Json::Array(_)) { "an array" } else { "a scalar" };
        return Err(bad_parameter(format!("cannot call jsonb_object_keys on {what}")));
    };
    pairs.iter().try_for_each(|(key, _)| out.row([Datum::Text(key)]))
};

fn pairs<'j>(tree: Json<'j>, name: &str) -> Result<Vec<value::Pair<'j>>, EvalError> {
    match tree {
        Json::Object(pairs) => Ok(pairs),
        _ => Err(bad_parameter(format!("cannot call {name} on a non-object"))),
    }
}

pub(super) fn define_tables(t: &mut Tables) {
    let doc = "The elements of a jsonb array.";
    t.add(
        "jsonb_array_elements",
        "jsonb_array_elements(jsonb) -> value jsonb",
        true,
        ELEMENTS,
        doc,
    );
    t.add(
        "jsonb_array_elements_text",
        "jsonb_array_elements_text(jsonb) -> value text",
        true,
        ELEMENT_TEXTS,
        doc,
    );
    let doc = "The keys and values of a jsonb object.";
    t.add("jsonb_each", "jsonb_each(jsonb) -> key text, value jsonb", true, EACH, doc);
    t.add(
        "jsonb_each_text",
        "jsonb_each_text(jsonb) -> key text, value text",
        true,
        EACH_TEXT,
        doc,
    );
    t.add(
        "jsonb_object_keys",
        "jsonb_object_keys(jsonb) -> text",
        true,
        KEYS,
        "The keys of a jsonb object.",
    );
}
