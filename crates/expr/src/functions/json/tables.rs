//! Functions that give the elements and members of a json text as rows.

use tidemill_repr::Datum;

use crate::error::EvalError;
use crate::functions::arguments::{bad_parameter, text};
use crate::functions::json::parts::found;
use crate::functions::json::read::{Kind, elements, kind, members};
use crate::functions::table::{Emitter, Tables};
use crate::scalar::EvalContext;
use crate::table_function::TableEval;

fn each<'a>(
    a: &[Datum<'a>],
    as_json: bool,
    context: EvalContext<'a>,
    mut out: Emitter<'_>,
) -> Result<(), EvalError> {
    let json = text(a, 0)?;
    match kind(json) {
        Kind::Object => members(json).iter().try_for_each(|(key, value)| {
            out.row([Datum::Text(key), found(Some(value), as_json, context)])
        }),
        Kind::Array => Err(bad_parameter("cannot deconstruct an array as an object")),
        _ => Err(bad_parameter("cannot deconstruct a scalar")),
    }
}

fn each_element<'a>(
    a: &[Datum<'a>],
    as_json: bool,
    context: EvalContext<'a>,
    mut out: Emitter<'_>,
) -> Result<(), EvalError> {
    let json = text(a, 0)?;
    let name = if as_json { "json_array_elements" } else { "json_array_elements_text" };
    match kind(json) {
        Kind::Array => elements(json)
            .into_iter()
            .try_for_each(|element| out.row([found(Some(element), as_json, context)])),
        Kind::Object => Err(bad_parameter(format!("cannot call {name} on a non-array"))),
        _ => Err(bad_parameter(format!("cannot call {name} on a scalar"))),
    }
}

const KEYS: TableEval = |a, _, emit| {
    let json = text(a, 0)?;
    let mut out = Emitter::new(emit);
    match kind(json) {
        Kind::Object => members(json).iter().try_for_each(|(key, _)| out.row([Datum::Text(key)])),
        Kind::Array => Err(bad_parameter("cannot call json_object_keys on an array")),
        _ => Err(bad_parameter("cannot call json_object_keys on a scalar")),
    }
};

pub(in crate::functions) fn define_tables(t: &mut Tables) {
    super::records::define_tables(t);
    let doc = "The elements of a json array.";
    t.add(
        "json_array_elements",
        "json_array_elements(json) -> value json",
        true,
        |a, c, emit| each_element(a, true, c, Emitter::new(emit)),
        doc,
    );
    t.add(
        "json_array_elements_text",
        "json_array_elements_text(json) -> value text",
        true,
        |a, c, emit| each_element(a, false, c, Emitter::new(emit)),
        doc,
    );
    let doc = "The keys and values of a json object.";
    t.add(
        "json_each",
        "json_each(json) -> key text, value json",
        true,
        |a, c, emit| each(a, true, c, Emitter::new(emit)),
        doc,
    );
    t.add(
        "json_each_text",
        "json_each_text(json) -> key text, value text",
        true,
        |a, c, emit| each(a, false, c, Emitter::new(emit)),
        doc,
    );
    let doc = "The keys of a json object.";
    t.add("json_object_keys", "json_object_keys(json) -> text", true, KEYS, doc);
}
