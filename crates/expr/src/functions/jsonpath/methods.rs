//! Methods of items.

use tidemill_repr::jsonb::{JsonbBuilder, JsonbRef};
use tidemill_repr::jsonpath::Method;
use tidemill_repr::{Numeric, SqlState};

use crate::functions::jsonpath::evaluate::{Failure, Flow, Run};
use crate::functions::jsonpath::item::Item;
use crate::functions::jsonpath::moment::Moment;
use crate::functions::jsonpath::soft;

/// Whether a method is applied to the elements of an array, in lax mode.
pub(super) fn opens_arrays(method: &Method) -> bool {
    !matches!(method, Method::Type | Method::Size)
}

fn only_for(method: &Method, what: &str, code: SqlState) -> Failure {
    let name = method.name();
    soft(code, format!("jsonpath item method .{name}() can only be applied to {what}"))
}

impl<'a> Run<'_, 'a> {
    pub(super) fn method(
        &self,
        method: &Method,
        item: Item<'a>,
        lax: bool,
        loose: bool,
        found: &mut dyn FnMut(Item<'a>) -> Flow,
    ) -> Flow {
        let result = match method {
            Method::Type => Item::Text(item.type_name()),
            Method::Size => match item.elements() {
                Some(elements) => Item::Number(Numeric::from(elements.len() as i64)),
                None if lax => Item::Number(Numeric::ONE),
                None if loose => return Ok(true),
                None => {
                    let code = SqlState::SQL_JSON_ARRAY_NOT_FOUND;
                    return Err(only_for(method, "an array", code));
                }
            },
            Method::Abs | Method::Floor | Method::Ceiling => {
                let Item::Number(number) = item else {
                    let code = SqlState::NON_NUMERIC_SQL_JSON_ITEM;
                    return Err(only_for(method, "a numeric value", code));
                };
                let result = match method {
                    Method::Floor => number.floor(),
                    Method::Ceiling => number.ceil(),
                    _ => Ok(number.abs()),
                };
                Item::Number(result.map_err(|error| Failure::Soft(error.into()))?)
            }
            Method::Double => double(method, item)?,
            Method::KeyValue => return self.key_values(method, item, found),
            Method::DateTime(template) => {
                let Item::Text(text) = item else {
                    let code = SqlState::INVALID_ARGUMENT_FOR_JSON_DATETIME_FUNCTION;
                    return Err(only_for(method, "a string", code));
                };
                Item::Moment(Moment::read(text, template.as_deref())?)
            }
        };
        found(result)
    }

    /// An object of key, value and id for each member.
    fn key_values(
        &self,
        method: &Method,
        item: Item<'a>,
        found: &mut dyn FnMut(Item<'a>) -> Flow,
    ) -> Flow {
        let Item::Object(object) = item else {
            let code = SqlState::SQL_JSON_OBJECT_NOT_FOUND;
            return Err(only_for(method, "an object", code));
        };
        let id = Numeric::from(self.place_of(object));
        for (key, value) in object.as_object().into_iter().flatten() {
            let mut out = JsonbBuilder::new();
            out.begin_object();
            out.key("id");
            out.number(&id);
            out.key("key");
            out.string(key);
            out.key("value");
            out.value(value);
            out.end_object();
            let bytes: &'a [u8] = self.context.arena.alloc_slice_copy(&out.finish());
            if !found(Item::of(JsonbRef::from_bytes(bytes)))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn double<'a>(method: &Method, item: Item<'_>) -> Result<Item<'a>, Failure> {
    let code = SqlState::NON_NUMERIC_SQL_JSON_ITEM;
    let value = match item {
        Item::Number(number) => {
            let value = number.to_f64();
            if value.is_infinite() {
                return Err(soft(
                    code,
                    "numeric argument of jsonpath item method .double() is out of range for type \
                     double precision",
                ));
            }
            return Ok(Item::Number(number));
        }
        Item::Text(text) => tidemill_repr::text::number::parse_float8(text).ok(),
        _ => return Err(only_for(method, "a string or numeric value", code)),
    };
    let number =
        value.filter(|value| value.is_finite()).and_then(|value| Numeric::from_f64(value).ok());
    number.map(Item::Number).ok_or_else(|| {
        soft(
            code,
            "string argument of jsonpath item method .double() is not a valid representation of a \
             double precision number",
        )
    })
}
