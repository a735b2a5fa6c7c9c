//! Rows, columns, errors and notices as JSON.
//!
//! Numbers are JSON strings, so that JavaScript loses no digits; booleans, arrays, lists, maps and
//! `jsonb` are JSON of their own kinds; everything else is the text that the wire would send.

use serde_json::{Value, json};
use tidemill_coord::Notice;
use tidemill_repr::text::{TextSettings, format_into};
use tidemill_repr::{Datum, RelationDesc, Row, ScalarType, SqlError};

/// Appends a row as a JSON array.
pub fn push_row(row: &Row, desc: &RelationDesc, settings: &TextSettings, out: &mut String) {
    out.push('[');
    let mut datums = row.iter();
    for (position, column) in desc.columns.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        let datum = datums.next().unwrap_or(Datum::Null);
        push_datum(&datum, &column.typ.scalar_type, settings, out);
    }
    out.push(']');
}

fn push_datum(datum: &Datum<'_>, typ: &ScalarType, settings: &TextSettings, out: &mut String) {
    match (datum, typ.base()) {
        (Datum::Null, _) => out.push_str("null"),
        (Datum::Bool(value), _) => out.push_str(if *value { "true" } else { "false" }),
        (Datum::Jsonb(value), _) => value.to_text(out),
        (Datum::Array(array), ScalarType::Array(element)) => {
            let dimensions: Vec<usize> = array
                .dimensions()
                .iter()
                .map(|(length, _)| usize::try_from(*length).unwrap_or(0))
                .collect();
            push_array(&mut array.elements(), &dimensions, element, settings, out);
        }
        (Datum::List(elements), ScalarType::List(element)) => {
            out.push('[');
            for (position, datum) in elements.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                push_datum(&datum, element, settings, out);
            }
            out.push(']');
        }
        (Datum::Map(entries), ScalarType::Map(element)) => {
            out.push('{');
            let mut datums = entries.iter();
            let mut first = true;
            while let (Some(key), Some(value)) = (datums.next(), datums.next()) {
                if !first {
                    out.push(',');
                }
                first = false;
                push_datum(&key, &ScalarType::Text, settings, out);
                out.push(':');
                push_datum(&value, element, settings, out);
            }
            out.push('}');
        }
        (Datum::Text(text), ScalarType::Json) if serde_json::from_str::<Value>(text).is_ok() => {
            out.push_str(text);
        }
        (Datum::Text(text), _) => push_string(text, out),
        _ => {
            let mut text = String::new();
            format_into(datum, typ, settings, &mut text);
            push_string(&text, out);
        }
    }
}

/// The elements of an array with these lengths; one without dimensions is empty. The depth is
/// that of PostgreSQL's arrays: six at most.
fn push_array<'a>(
    elements: &mut dyn Iterator<Item = Datum<'a>>,
    dimensions: &[usize],
    typ: &ScalarType,
    settings: &TextSettings,
    out: &mut String,
) {
    let (length, inner) = dimensions.split_first().map_or((0, &[][..]), |(one, rest)| (*one, rest));
    out.push('[');
    for position in 0..length {
        if position > 0 {
            out.push(',');
        }
        if inner.is_empty() {
            let datum = elements.next().unwrap_or(Datum::Null);
            push_datum(&datum, typ, settings, out);
        } else {
            push_array(elements, inner, typ, settings, out);
        }
    }
    out.push(']');
}

/// Appends a JSON string.
pub fn push_string(text: &str, out: &mut String) {
    // Writing a string cannot fail.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// The columns of rows.
pub fn description(desc: &RelationDesc) -> Value {
    let columns: Vec<Value> = desc
        .columns
        .iter()
        .map(|column| {
            let typ = &column.typ.scalar_type;
            json!({
                "name": column.name.as_str(),
                "type_oid": typ.oid().0,
                "type_len": typ.type_length(),
                "type_mod": column.typ.typmod,
            })
        })
        .collect();
    json!({ "columns": columns })
}

/// An error.
pub fn error(error: &SqlError) -> Value {
    let mut value = json!({ "message": error.message, "code": error.code.0 });
    let details = [
        ("detail", error.detail.as_deref()),
        ("hint", error.hint.as_deref()),
        ("context", error.context.as_deref()),
    ];
    for (name, text) in details {
        if let Some(text) = text {
            value[name] = json!(text);
        }
    }
    if let Some(position) = error.position {
        value["position"] = json!(position);
    }
    value
}

/// A notice.
pub fn notice(notice: &Notice) -> Value {
    let mut value = error(&notice.message);
    value["severity"] = json!(notice.severity.to_ascii_lowercase());
    value
}

#[cfg(test)]
mod tests {
    use tidemill_repr::{ColumnType, RowBuilder, SqlState};

    use super::*;

    #[test]
    fn values_are_json_of_their_kind() {
        let texts = [
            (ScalarType::Int4, "-7"),
            (ScalarType::Numeric, "1.50"),
            (ScalarType::Float8, "NaN"),
            (ScalarType::Bool, "t"),
            (ScalarType::Text, "a\"b\n"),
            (ScalarType::Jsonb, "{\"a\": [1, null]}"),
            (ScalarType::Array(Box::new(ScalarType::Int4)), "{{1,2},{3,NULL}}"),
            (ScalarType::Array(Box::new(ScalarType::Text)), "{}"),
            (ScalarType::Date, "2024-02-29"),
        ];
        let settings = TextSettings::default();
        let mut builder = RowBuilder::new();
        for (typ, text) in &texts {
            let typ = ColumnType::new(typ.clone());
            tidemill_repr::text::parse_into(&typ, text, &settings, &mut builder).unwrap();
        }
        builder.push(Datum::Null);
        let types = texts.into_iter().map(|(typ, _)| typ).chain([ScalarType::Int4]);
        let desc = RelationDesc::new(types.map(|typ| ("c", ColumnType::new(typ))));
        let mut out = String::new();
        push_row(&builder.finish(), &desc, &settings, &mut out);
        assert_eq!(
            out,
            r#"["-7","1.50","NaN",true,"a\"b\n",{"a": [1, null]},[["1","2"],["3",null]],[],"2024-02-29",null]"#
        );
        serde_json::from_str::<Value>(&out).unwrap();
    }

    #[test]
    fn errors_have_what_they_have() {
        let wrong = SqlError::new(SqlState::SYNTAX_ERROR, "no").with_hint("yes").at(3);
        let expected = json!({"message": "no", "code": "42601", "hint": "yes", "position": 3});
        assert_eq!(error(&wrong), expected);
    }
}
