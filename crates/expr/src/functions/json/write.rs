//! Any value as json text, or as jsonb.

use tidemill_repr::jsonb::{JsonbBuilder, JsonbRef, parse_jsonb, push_quoted};
use tidemill_repr::row::ArrayRef;
use tidemill_repr::text::{TextSettings, format_into};
use tidemill_repr::{Datum, Numeric, RowRef, ScalarType};

use crate::error::EvalError;
use crate::functions::arguments::bad_parameter;

/// What a type's values are in json.
enum Shape<'t> {
    /// A number where it is finite.
    Number,
    /// A string in the form of ISO 8601.
    Moment,
    /// A text that is json.
    Json,
    /// Elements of a type.
    Elements(&'t ScalarType),
    /// A map to values of a type.
    Map(&'t ScalarType),
    /// Fields with names and types.
    Fields(Vec<(String, &'t ScalarType)>),
    /// A string.
    Other,
}

fn shape(typ: &ScalarType) -> Shape<'_> {
    match typ {
        ScalarType::Int2
        | ScalarType::Int4
        | ScalarType::Int8
        | ScalarType::Float4
        | ScalarType::Float8
        | ScalarType::Numeric
        | ScalarType::UInt2
        | ScalarType::UInt4
        | ScalarType::UInt8 => Shape::Number,
        ScalarType::Date | ScalarType::Timestamp | ScalarType::TimestampTz => Shape::Moment,
        ScalarType::Json => Shape::Json,
        ScalarType::Domain(domain) => shape(&domain.base.scalar_type),
        ScalarType::Array(element) | ScalarType::List(element) => Shape::Elements(element),
        ScalarType::Int2Vector => Shape::Elements(&ScalarType::Int2),
        ScalarType::OidVector => Shape::Elements(&ScalarType::Oid),
        ScalarType::Map(value) => Shape::Map(value),
        ScalarType::Record(types) => Shape::Fields(
            types.iter().enumerate().map(|(at, typ)| (format!("f{}", at + 1), typ)).collect(),
        ),
        ScalarType::Composite(composite) => Shape::Fields(
            composite.fields.iter().map(|(name, typ)| (name.clone(), &typ.scalar_type)).collect(),
        ),
        _ => Shape::Other,
    }
}

/// The text of a value, of times in the form of ISO 8601.
pub(super) fn plain_text(datum: &Datum<'_>, typ: &ScalarType, settings: &TextSettings) -> String {
    if let Datum::Bool(value) = datum {
        return value.to_string();
    }
    let mut text = String::new();
    format_into(datum, typ, settings, &mut text);
    if let Shape::Moment = shape(typ) {
        if !matches!(datum, Datum::Date(_)) {
            text = text.replacen(' ', "T", 1);
        }
        if matches!(datum, Datum::TimestampTz(_)) {
            let (moment, era) = match text.strip_suffix(" BC") {
                Some(moment) => (moment, " BC"),
                None => (text.as_str(), ""),
            };
            let sign = moment.rfind(['+', '-']).unwrap_or(0);
            // An offset of whole hours has minutes too.
            if moment.contains('T') && moment.len() - sign == 3 {
                text = format!("{moment}:00{era}");
            }
        }
    }
    text
}

/// The key of an object.
pub(super) fn key_text(
    datum: &Datum<'_>,
    typ: &ScalarType,
    settings: &TextSettings,
) -> Result<String, EvalError> {
    if matches!(datum, Datum::Jsonb(_))
        || matches!(shape(typ), Shape::Json | Shape::Elements(_) | Shape::Fields(_) | Shape::Map(_))
    {
        return Err(bad_parameter("key value must be scalar, not array, composite, or json"));
    }
    Ok(plain_text(datum, typ, settings))
}

/// Appends a value as json text. With `lines`, its elements or fields are on lines of their own.
pub(super) fn write(
    datum: &Datum<'_>,
    typ: &ScalarType,
    settings: &TextSettings,
    lines: bool,
    out: &mut String,
) {
    match (datum, shape(typ)) {
        (Datum::Null, _) => out.push_str("null"),
        (Datum::Bool(value), _) => out.push_str(if *value { "true" } else { "false" }),
        (Datum::Jsonb(value), _) => value.to_text(out),
        (Datum::Text(text), Shape::Json) => out.push_str(text),
        (Datum::Array(array), Shape::Elements(element)) => {
            let mut elements = array.elements();
            write_array(&array.dimensions(), &mut elements, element, settings, lines, out);
        }
        (Datum::List(list), Shape::Elements(element)) => {
            let count = i32::try_from(list.iter().count()).unwrap_or(i32::MAX);
            write_array(&[(count, 1)], &mut list.iter(), element, settings, lines, out);
        }
        (Datum::Map(map), Shape::Map(value)) => {
            let mut entries = map.iter();
            let mut pairs = Vec::new();
            while let (Some(Datum::Text(key)), Some(datum)) = (entries.next(), entries.next()) {
                pairs.push((key.to_owned(), value, datum));
            }
            write_object(pairs.into_iter(), settings, lines, out);
        }
        (Datum::Record(row), Shape::Fields(fields)) => {
            let pairs = fields.into_iter().zip(row.iter());
            write_object(
                pairs.map(|((name, typ), datum)| (name, typ, datum)),
                settings,
                lines,
                out,
            );
        }
        (datum, Shape::Number) => {
            let text = plain_text(datum, typ, settings);
            if text.ends_with(|c: char| c.is_ascii_digit()) {
                out.push_str(&text);
            } else {
                push_quoted(&text, out);
            }
        }
        (datum, _) => push_quoted(&plain_text(datum, typ, settings), out),
    }
}

fn write_array<'a>(
    dimensions: &[(i32, i32)],
    elements: &mut dyn Iterator<Item = Datum<'a>>,
    typ: &ScalarType,
    settings: &TextSettings,
    lines: bool,
    out: &mut String,
) {
    out.push('[');
    if let Some(((length, _), inner)) = dimensions.split_first() {
        for at in 0..*length {
            out.push_str(match (at, lines) {
                (0, _) => "",
                (_, true) => ",\n ",
                (_, false) => ",",
            });
            if inner.is_empty() {
                match elements.next() {
                    Some(element) => write(&element, typ, settings, false, out),
                    None => break,
                }
            } else {
                write_array(inner, elements, typ, settings, false, out);
            }
        }
    }
    out.push(']');
}

fn write_object<'t, 'a>(
    pairs: impl Iterator<Item = (String, &'t ScalarType, Datum<'a>)>,
    settings: &TextSettings,
    lines: bool,
    out: &mut String,
) {
    out.push('{');
    for (at, (name, typ, datum)) in pairs.enumerate() {
        out.push_str(match (at, lines) {
            (0, _) => "",
            (_, true) => ",\n ",
            (_, false) => ",",
        });
        push_quoted(&name, out);
        out.push(':');
        write(&datum, typ, settings, false, out);
    }
    out.push('}');
}

/// Appends a value as jsonb.
pub(super) fn build(
    datum: &Datum<'_>,
    typ: &ScalarType,
    settings: &TextSettings,
    out: &mut JsonbBuilder,
) -> Result<(), EvalError> {
    match (datum, shape(typ)) {
        (Datum::Null, _) => out.null(),
        (Datum::Bool(value), _) => out.bool(*value),
        (Datum::Jsonb(value), _) => out.value(*value),
        (Datum::Text(text), Shape::Json) => {
            out.value(JsonbRef::from_bytes(&parse_jsonb(text)?));
        }
        (Datum::Array(array), Shape::Elements(element)) => {
            build_array(*array, element, settings, out)?;
        }
        (Datum::List(list), Shape::Elements(element)) => {
            out.begin_array();
            for datum in list.iter() {
                build(&datum, element, settings, out)?;
            }
            out.end_array();
        }
        (Datum::Map(map), Shape::Map(value)) => {
            out.begin_object();
            let mut entries = map.iter();
            while let (Some(Datum::Text(key)), Some(datum)) = (entries.next(), entries.next()) {
                out.key(key);
                build(&datum, value, settings, out)?;
            }
            out.end_object();
        }
        (Datum::Record(row), Shape::Fields(fields)) => {
            build_object(*row, &fields, settings, out)?;
        }
        (datum, Shape::Number) => match number(datum) {
            Some(number) => out.number(&number),
            None => out.string(&plain_text(datum, typ, settings)),
        },
        (datum, _) => out.string(&plain_text(datum, typ, settings)),
    }
    Ok(())
}

fn number(datum: &Datum<'_>) -> Option<Numeric> {
    match datum {
        Datum::Int(value) => Some(Numeric::from(*value)),
        Datum::UInt(value) => Some(Numeric::from(i128::from(*value))),
        Datum::Float4(value) if value.is_finite() => Numeric::from_f32(*value).ok(),
        Datum::Float8(value) if value.is_finite() => Numeric::from_f64(*value).ok(),
        Datum::Numeric(value) if value.is_finite() => Some(*value),
        _ => None,
    }
}

fn build_array(
    array: ArrayRef<'_>,
    typ: &ScalarType,
    settings: &TextSettings,
    out: &mut JsonbBuilder,
) -> Result<(), EvalError> {
    fn level<'a>(
        dimensions: &[(i32, i32)],
        elements: &mut dyn Iterator<Item = Datum<'a>>,
        typ: &ScalarType,
        settings: &TextSettings,
        out: &mut JsonbBuilder,
    ) -> Result<(), EvalError> {
        out.begin_array();
        if let Some(((length, _), inner)) = dimensions.split_first() {
            for _ in 0..*length {
                if !inner.is_empty() {
                    level(inner, elements, typ, settings, out)?;
                } else if let Some(element) = elements.next() {
                    build(&element, typ, settings, out)?;
                }
            }
        }
        out.end_array();
        Ok(())
    }
    level(&array.dimensions(), &mut array.elements(), typ, settings, out)
}

fn build_object(
    row: RowRef<'_>,
    fields: &[(String, &ScalarType)],
    settings: &TextSettings,
    out: &mut JsonbBuilder,
) -> Result<(), EvalError> {
    out.begin_object();
    for ((name, typ), datum) in fields.iter().zip(row.iter()) {
        out.key(name);
        build(&datum, typ, settings, out)?;
    }
    out.end_object();
    Ok(())
}
