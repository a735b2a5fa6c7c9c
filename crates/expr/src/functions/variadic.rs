//! Calls whose last argument is an array of arguments: `concat(VARIADIC a)`.

use tidemill_repr::{Datum, ScalarType, SqlError};

use crate::error::EvalError;
use crate::functions::Definitions;
use crate::functions::arguments::Evaluated;
use crate::functions::json::argument_types;
use crate::scalar::EvalContext;

/// Arguments: the id of the function, the types of its arguments with that of the elements
/// last, the time zone, arguments, the array.
fn call_variadic<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let [Datum::Text(id), Datum::Text(written), Datum::Text(zone), ..] = a else {
        return Ok(Datum::Null);
    };
    let function = super::by_id(id)
        .ok_or_else(|| EvalError::from(SqlError::internal(format!("there is no {id}"))))?;
    let (Some((array, fixed)), mut types) = (
        a.get(3..).and_then(<[Datum<'a>]>::split_last),
        serde_json::from_str::<Vec<ScalarType>>(written).map_err(SqlError::internal)?,
    ) else {
        return Ok(Datum::Null);
    };
    let element = types.pop().unwrap_or(ScalarType::Text);
    let mut arguments = fixed.to_vec();
    match array {
        Datum::Array(array) => arguments.extend(array.elements()),
        // To this one no array is none of the arguments.
        _ if function.name == "format" => {}
        _ => return Ok(Datum::Null),
    }
    if function.strict && arguments.iter().any(Datum::is_null) {
        return Ok(Datum::Null);
    }
    if function.needs_types {
        types.resize(arguments.len(), element);
        arguments.push(context.text(&argument_types(&types)));
    }
    if function.needs_time_zone {
        arguments.push(Datum::Text(zone));
    }
    (function.eval)(&arguments, context)
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "A call whose last argument is an array of arguments.";
    let signature = "call_variadic(text, text, text, variadic any) -> any";
    d.add("call_variadic", signature, call_variadic, doc).sees_null();
}
