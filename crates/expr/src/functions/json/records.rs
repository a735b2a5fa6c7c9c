//! Values of any type out of json: the columns of `jsonb_to_record`, `jsonb_populate_record`.

use tidemill_repr::jsonb::{JsonbKind, JsonbRef};
use tidemill_repr::text::{TextSettings, parse_into};
use tidemill_repr::{ColumnType, Datum, RowBuilder, ScalarType, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{jsonb, text};
use crate::functions::json::types::typed;
use crate::functions::table::{Emitter, Tables};
use crate::table_function::TableEval;

fn malformed(message: &str) -> EvalError {
    EvalError::invalid(SqlState::INVALID_TEXT_REPRESENTATION, message)
}

/// Appends the value of a type that json holds; `base` has what an object says nothing of.
pub(crate) fn populate(
    value: Option<JsonbRef<'_>>,
    typ: &ColumnType,
    base: Option<Datum<'_>>,
    settings: &TextSettings,
    out: &mut RowBuilder,
) -> Result<(), EvalError> {
    let Some(value) = value else {
        out.push(base.unwrap_or(Datum::Null));
        return Ok(());
    };
    if value.is_null() {
        out.push(Datum::Null);
        return Ok(());
    }
    match (&typ.scalar_type, value.kind()) {
        (ScalarType::Jsonb, _) => out.push(Datum::Jsonb(value)),
        (ScalarType::Json, _) => {
            let mut text = String::new();
            value.to_text(&mut text);
            out.push(Datum::Text(&text));
        }
        (ScalarType::Domain(domain), _) => {
            populate(Some(value), &domain.base, base, settings, out)?
        }
        (ScalarType::Array(element), JsonbKind::Array(_)) => {
            populate_array(value, element, settings, out)?;
        }
        (ScalarType::Composite(composite), JsonbKind::Object(_)) => {
            let mut fields = RowBuilder::new();
            let before = match base {
                Some(Datum::Record(row)) => row.iter().map(Some).collect(),
                _ => vec![None; composite.fields.len()],
            };
            for ((name, typ), before) in composite.fields.iter().zip(before) {
                populate(value.get_field(name), typ, before, settings, &mut fields)?;
            }
            out.push_record_encoded(fields.bytes());
        }
        (ScalarType::Composite(_) | ScalarType::Record(_), _) => return Err(no_object(value)),
        (
            ScalarType::Array(_),
            JsonbKind::Object(_) | JsonbKind::Number(_) | JsonbKind::Bool(_),
        ) => {
            return Err(malformed("expected JSON array"));
        }
        (_, kind) => {
            let mut text = String::new();
            match kind {
                JsonbKind::String(plain) => text.push_str(plain),
                _ => value.to_text(&mut text),
            }
            parse_into(typ, &text, settings, out)?;
        }
    }
    Ok(())
}

/// Arrays in arrays are dimensions.
fn populate_array(
    value: JsonbRef<'_>,
    element: &ScalarType,
    settings: &TextSettings,
    out: &mut RowBuilder,
) -> Result<(), EvalError> {
    fn level<'v>(
        value: JsonbRef<'v>,
        depth: usize,
        dimensions: &mut Vec<i32>,
        leaves: &mut Vec<JsonbRef<'v>>,
        nested: bool,
    ) -> Result<(), EvalError> {
        let mismatch = || malformed("malformed JSON array");
        let Some(items) = value.as_array() else { return Err(mismatch()) };
        let count = i32::try_from(items.len()).map_err(|_| mismatch())?;
        match dimensions.get(depth) {
            None if depth >= 6 => return Err(mismatch()),
            None => dimensions.push(count),
            Some(known) if *known != count => return Err(mismatch()),
            Some(_) => {}
        }
        for item in items {
            let deeper = nested && item.is_array();
            if deeper && (leaves.is_empty() || dimensions.len() > depth + 1) {
                level(item, depth + 1, dimensions, leaves, nested)?;
            } else if deeper || dimensions.len() > depth + 1 {
                return Err(mismatch());
            } else {
                leaves.push(item);
            }
        }
        Ok(())
    }
    let nested = !matches!(element, ScalarType::Json | ScalarType::Jsonb);
    let (mut dimensions, mut leaves) = (Vec::new(), Vec::new());
    level(value, 0, &mut dimensions, &mut leaves, nested)?;
    let mut elements = RowBuilder::new();
    let typ = ColumnType::new(element.clone());
    for leaf in &leaves {
        populate(Some(*leaf), &typ, None, settings, &mut elements)?;
    }
    let dimensions: Vec<(i32, i32)> = match leaves.is_empty() {
        true => Vec::new(),
        false => dimensions.into_iter().map(|length| (length, 1)).collect(),
    };
    out.push_array(&dimensions, elements.as_ref().iter());
    Ok(())
}

fn no_object(value: JsonbRef<'_>) -> EvalError {
    let what = if value.is_array() { "an array" } else { "a scalar" };
    EvalError::invalid(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("cannot call populate_composite on {what}"),
    )
}

/// The object, or NULL.
const RECORD: TableEval = |a, _, emit| {
    let value = a.first().copied().unwrap_or(Datum::Null);
    if let Datum::Jsonb(json) = value
        && !json.is_null()
        && !matches!(json.kind(), JsonbKind::Object(_))
    {
        return Err(no_object(json));
    }
    Emitter::new(emit).row([value])
};

/// The objects of an array.
const RECORDS: TableEval = |a, _, emit| {
    let (json, name) = (jsonb(a, 0)?, text(a, 1)?);
    let Some(elements) = json.as_array() else {
        let message = format!("cannot call {name} on a non-array");
        return Err(EvalError::invalid(SqlState::INVALID_PARAMETER_VALUE, message));
    };
    let mut out = Emitter::new(emit);
    for element in elements {
        if !matches!(element.kind(), JsonbKind::Object(_)) {
            let message = format!("argument of {name} must be an array of objects");
            return Err(EvalError::invalid(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        out.row([Datum::Jsonb(element)])?;
    }
    Ok(())
};

pub(super) fn define_tables(t: &mut Tables) {
    let doc = "A jsonb object, of which fields are made for the function that is named.";
    t.add("jsonb_record", "jsonb_record(jsonb, text) -> jsonb", false, RECORD, doc);
    let doc = "Each jsonb object of an array, likewise.";
    t.add("jsonb_records", "jsonb_records(jsonb, text) -> jsonb", true, RECORDS, doc);
}

pub(super) fn define(d: &mut Definitions) {
    let member: Eval = |a, c| {
        let (values, known) = typed(a)?;
        let value = match values.first() {
            Some(Datum::Jsonb(value)) => Some(*value),
            _ => None,
        };
        let typ = ColumnType::new(known.typ(1).clone());
        let base = values.get(1).copied().filter(|base| !base.is_null());
        let mut out = RowBuilder::new();
        populate(value, &typ, base, &known.settings, &mut out)?;
        Ok(c.built(&out))
    };
    let doc = "The value of the second argument's type that jsonb holds.";
    d.add("jsonb_populate_value", "jsonb_populate_value(jsonb, any) -> any", member, doc)
        .sees_null()
        .types()
        .zone();
}
