//! Json and jsonb made of values of any type.

use tidemill_repr::jsonb::{JsonbBuilder, JsonbRef, push_quoted};
use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, array, bad_parameter};
use crate::functions::json::types::{Known, typed};
use crate::functions::json::write::{build, key_text, write};
use crate::scalar::EvalContext;

fn finished<'a>(builder: JsonbBuilder, context: EvalContext<'a>) -> Datum<'a> {
    let bytes: &'a [u8] = context.arena.alloc_slice_copy(&builder.finish());
    Datum::Jsonb(JsonbRef::from_bytes(bytes))
}

/// A value as json; its parts on lines of their own if the second argument says so.
fn to_json<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (values, known) = typed(a)?;
    let lines = matches!(values.get(1), Some(Datum::Bool(true)));
    let mut out = String::new();
    let value = values.first().copied().unwrap_or(Datum::Null);
    write(&value, known.typ(0), &known.settings, lines, &mut out);
    Ok(context.text(&out))
}

fn to_jsonb<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (values, known) = typed(a)?;
    let value = values.first().copied().unwrap_or(Datum::Null);
    if let Datum::Jsonb(_) = value {
        return Ok(value);
    }
    let mut out = JsonbBuilder::new();
    build(&value, known.typ(0), &known.settings, &mut out)?;
    Ok(finished(out, context))
}

fn json_array<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (values, known) = typed(a)?;
    let mut out = String::from("[");
    for (at, value) in values.iter().enumerate() {
        out.push_str(if at > 0 { ", " } else { "" });
        write(value, known.typ(at), &known.settings, false, &mut out);
    }
    out.push(']');
    Ok(context.text(&out))
}

fn jsonb_array<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (values, known) = typed(a)?;
    let mut out = JsonbBuilder::new();
    out.begin_array();
    for (at, value) in values.iter().enumerate() {
        build(value, known.typ(at), &known.settings, &mut out)?;
    }
    out.end_array();
    Ok(finished(out, context))
}

/// Keys of an object's arguments, for errors in the words of a function.
fn keys(values: &[Datum<'_>], known: &Known, function: &str) -> Result<Vec<String>, EvalError> {
    if values.len() % 2 == 1 {
        let hint =
            format!("The arguments of {function}() must consist of alternating keys and values.");
        let error = bad_parameter("argument list must have even number of elements");
        return Err(error.with_hint(&hint));
    }
    let key = |(at, value): (usize, &Datum<'_>)| match value {
        Datum::Null if function == "json_build_object" => {
            let error = bad_parameter(format!("argument {} cannot be null", at + 1));
            Err(error.with_hint("Object keys should be text."))
        }
        Datum::Null => Err(bad_parameter(format!("argument {}: key must not be null", at + 1))),
        value => key_text(value, known.typ(at), &known.settings),
    };
    values.iter().enumerate().step_by(2).map(key).collect()
}

fn json_object<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (values, known) = typed(a)?;
    let keys = keys(values, &known, "json_build_object")?;
    let mut out = String::from("{");
    for (at, key) in keys.iter().enumerate() {
        out.push_str(if at > 0 { ", " } else { "" });
        push_quoted(key, &mut out);
        out.push_str(" : ");
        let value = values.get(2 * at + 1).unwrap_or(&Datum::Null);
        write(value, known.typ(2 * at + 1), &known.settings, false, &mut out);
    }
    out.push('}');
    Ok(context.text(&out))
}

fn jsonb_object<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (values, known) = typed(a)?;
    let keys = keys(values, &known, "jsonb_build_object")?;
    let mut out = JsonbBuilder::new();
    out.begin_object();
    for (at, key) in keys.iter().enumerate() {
        out.key(key);
        let value = values.get(2 * at + 1).unwrap_or(&Datum::Null);
        build(value, known.typ(2 * at + 1), &known.settings, &mut out)?;
    }
    out.end_object();
    Ok(finished(out, context))
}

fn subscript_error(message: &str) -> EvalError {
    EvalError::invalid(SqlState::SUBSCRIPT_ERROR, message)
}

/// Keys and values in one array of texts, or in two.
fn text_pairs<'a>(a: &[Datum<'a>]) -> Result<Vec<(&'a str, Option<&'a str>)>, EvalError> {
    let texts = |at: usize| -> Result<Vec<Option<&'a str>>, EvalError> {
        Ok(crate::functions::arguments::text_elements(array(a, at)?).collect())
    };
    let dimensions = array(a, 0)?.dimensions();
    let pairs: Vec<(Option<&str>, Option<&str>)> = if a.len() == 1 {
        let all = texts(0)?;
        match dimensions.as_slice() {
            [] => {}
            [(length, _)] if length % 2 == 1 => {
                return Err(subscript_error("array must have even number of elements"));
            }
            [_] | [_, (2, _)] => {}
            [_, _] => return Err(subscript_error("array must have two columns")),
            _ => return Err(subscript_error("wrong number of array subscripts")),
        }
        all.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    } else {
        let others = array(a, 1)?.dimensions();
        if dimensions.len() > 1 || others.len() != dimensions.len() {
            return Err(subscript_error("wrong number of array subscripts"));
        }
        let (keys, values) = (texts(0)?, texts(1)?);
        if keys.len() != values.len() {
            return Err(subscript_error("mismatched array dimensions"));
        }
        keys.into_iter().zip(values).collect()
    };
    pairs
        .into_iter()
        .map(|(key, value)| match key {
            Some(key) => Ok((key, value)),
            None => Err(EvalError::invalid(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "null value not allowed for object key",
            )),
        })
        .collect()
}

fn json_of_texts<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let mut out = String::from("{");
    for (at, (key, value)) in text_pairs(a)?.into_iter().enumerate() {
        out.push_str(if at > 0 { ", " } else { "" });
        push_quoted(key, &mut out);
        out.push_str(" : ");
        match value {
            Some(value) => push_quoted(value, &mut out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Ok(context.text(&out))
}

fn jsonb_of_texts<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let mut out = JsonbBuilder::new();
    out.begin_object();
    for (key, value) in text_pairs(a)? {
        out.key(key);
        match value {
            Some(value) => out.string(value),
            None => out.null(),
        }
    }
    out.end_object();
    Ok(finished(out, context))
}

pub(super) fn define(d: &mut Definitions) {
    let plain: [(&str, &str, Eval, &'static str); 8] = [
        ("to_json", "to_json(any) -> json", to_json, "Any value as json."),
        ("to_jsonb", "to_jsonb(any) -> jsonb", to_jsonb, "Any value as jsonb."),
        ("row_to_json", "row_to_json(record) -> json", to_json, "A row as a json object."),
        (
            "row_to_json_pretty",
            "row_to_json(record, bool) -> json",
            to_json,
            "A row as a json object, with a line a field if true.",
        ),
        (
            "row_to_json_named",
            "row_to_json_named(any) -> json",
            to_json,
            "The row of a table as a json object.",
        ),
        (
            "row_to_json_named_pretty",
            "row_to_json_named(any, bool) -> json",
            to_json,
            "The row of a table as a json object, with a line a field if true.",
        ),
        ("array_to_json", "array_to_json(anyarray) -> json", to_json, "An array as json."),
        (
            "array_to_json_pretty",
            "array_to_json(anyarray, bool) -> json",
            to_json,
            "An array as json, with a line an element if true.",
        ),
    ];
    for (id, signature, eval, doc) in plain {
        d.add(id, signature, eval, doc).types().zone();
    }
    let built: [(&str, &str, Eval, &'static str); 4] = [
        (
            "json_build_array",
            "json_build_array(variadic any) -> json",
            json_array,
            "A json array of the arguments.",
        ),
        (
            "json_build_object",
            "json_build_object(variadic any) -> json",
            json_object,
            "A json object of keys and values in turn.",
        ),
        (
            "jsonb_build_array",
            "jsonb_build_array(variadic any) -> jsonb",
            jsonb_array,
            "A jsonb array of the arguments.",
        ),
        (
            "jsonb_build_object",
            "jsonb_build_object(variadic any) -> jsonb",
            jsonb_object,
            "A jsonb object of keys and values in turn.",
        ),
    ];
    for (id, signature, eval, doc) in built {
        d.add(id, signature, eval, doc).sees_null().types().zone();
    }
    let texts: [(&str, Eval); 2] = [("json", json_of_texts), ("jsonb", jsonb_of_texts)];
    for (typ, eval) in texts {
        let doc = "An object of keys and values in turn, or in pairs.";
        let id = format!("{typ}_object");
        d.add(&id, &format!("{typ}_object(text[]) -> {typ}"), eval, doc);
        let doc = "An object of keys and values.";
        let id = format!("{typ}_object_two_arg");
        d.add(&id, &format!("{typ}_object(text[], text[]) -> {typ}"), eval, doc);
    }
}
