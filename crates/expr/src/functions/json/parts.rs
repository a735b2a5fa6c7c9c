//! What is in a json text.

use tidemill_repr::Datum;
use tidemill_repr::jsonb::push_quoted;

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, array, bad_parameter, int, text, text_elements};
use crate::functions::json::read::{self, Kind, elements, kind, members};
use crate::scalar::EvalContext;

/// A part as json, or as text: of a string what it says, of null NULL.
pub(super) fn found<'a>(part: Option<&str>, as_json: bool, context: EvalContext<'a>) -> Datum<'a> {
    let Some(part) = part else { return Datum::Null };
    match (as_json, kind(part)) {
        (false, Kind::Null) => Datum::Null,
        (false, Kind::String) => context.text(&read::string(part).unwrap_or_default()),
        _ => context.text(part),
    }
}

fn by_path<'a>(a: &[Datum<'a>], as_json: bool, context: EvalContext<'a>) -> Evaluated<'a> {
    let path: Vec<_> = text_elements(array(a, 1)?).collect();
    Ok(found(read::follow(text(a, 0)?, &path), as_json, context))
}

fn by_steps<'a>(a: &[Datum<'a>], as_json: bool, context: EvalContext<'a>) -> Evaluated<'a> {
    let path = (1..a.len()).map(|at| text(a, at).map(Some)).collect::<Result<Vec<_>, _>>()?;
    Ok(found(read::follow(text(a, 0)?, &path), as_json, context))
}

fn length<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let json = text(a, 0)?;
    match kind(json) {
        Kind::Array => Ok(Datum::Int(elements(json).len() as i64)),
        Kind::Object => Err(bad_parameter("cannot get array length of a non-array")),
        _ => Err(bad_parameter("cannot get array length of a scalar")),
    }
}

/// The text without the members that are null, and without blanks.
fn stripped(json: &str, out: &mut String) -> Result<(), EvalError> {
    match kind(json) {
        Kind::Object => {
            out.push('{');
            let kept = members(json).into_iter().filter(|(_, value)| kind(value) != Kind::Null);
            for (at, (key, value)) in kept.enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                push_quoted(&key, out);
                out.push(':');
                stripped(value, out)?;
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for (at, value) in elements(json).into_iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                stripped(value, out)?;
            }
            out.push(']');
        }
        Kind::String => push_quoted(&read::string(json).unwrap_or_default(), out),
        _ => out.push_str(json.trim()),
    }
    Ok(())
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "The element at a place, counted from 0, or from the end if below it.";
    let part: [Eval; 2] = [
        |a, c| Ok(found(read::element(text(a, 0)?, int(a, 1)?), true, c)),
        |a, c| Ok(found(read::element(text(a, 0)?, int(a, 1)?), false, c)),
    ];
    d.add("json_array_element", "json_array_element(json, int4) -> json", part[0], doc)
        .operator("->");
    d.add("json_array_element_text", "json_array_element_text(json, int4) -> text", part[1], doc)
        .operator("->>");
    let doc = "The value of a key.";
    let part: [Eval; 2] = [
        |a, c| Ok(found(read::field(text(a, 0)?, text(a, 1)?), true, c)),
        |a, c| Ok(found(read::field(text(a, 0)?, text(a, 1)?), false, c)),
    ];
    d.add("json_object_field", "json_object_field(json, text) -> json", part[0], doc)
        .operator("->");
    d.add("json_object_field_text", "json_object_field_text(json, text) -> text", part[1], doc)
        .operator("->>");
    let doc = "The value at the end of a path.";
    d.add(
        "json_at_path",
        "json_extract_path_op(json, text[]) -> json",
        |a, c| by_path(a, true, c),
        doc,
    )
    .operator("#>");
    d.add(
        "json_at_path_text",
        "json_extract_path_text_op(json, text[]) -> text",
        |a, c| by_path(a, false, c),
        doc,
    )
    .operator("#>>");
    d.add(
        "json_extract_path",
        "json_extract_path(json, variadic text) -> json",
        |a, c| by_steps(a, true, c),
        doc,
    );
    d.add(
        "json_extract_path_text",
        "json_extract_path_text(json, variadic text) -> text",
        |a, c| by_steps(a, false, c),
        doc,
    );
    let doc = "What kind of value it is.";
    let typeof_: Eval = |a, _| Ok(Datum::Text(kind(text(a, 0)?).name()));
    d.add("json_typeof", "json_typeof(json) -> text", typeof_, doc);
    let doc = "How many elements there are.";
    d.add("json_array_length", "json_array_length(json) -> int4", |a, _| length(a), doc);
    let strip: Eval = |a, c| {
        let mut out = String::new();
        stripped(text(a, 0)?, &mut out)?;
        Ok(c.text(&out))
    };
    let doc = "Without the keys whose value is null.";
    d.add("json_strip_nulls", "json_strip_nulls(json) -> json", strip, doc);
}
