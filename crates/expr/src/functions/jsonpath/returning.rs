//! `JSON_VALUE`, `JSON_QUERY` and `JSON_TABLE`: values of a type out of what a path finds.
//!
//! What happens instead of a value (`ON EMPTY`, `ON ERROR`) the planner writes down: it asks
//! `sql_json_state` first, and `sql_json_get` for the value.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tidemill_repr::jsonb::{JsonbBuilder, JsonbRef};
use tidemill_repr::text::{TextSettings, parse_into};
use tidemill_repr::{ColumnType, Datum, RowBuilder, ScalarType, SqlError, SqlState};

use super::evaluate::{Failure, Run};
use super::item::Item;
use super::path_of;
use crate::error::EvalError;
use crate::functions::Definitions;
use crate::functions::arguments::{boolean, jsonb, text};
use crate::functions::json::populate;
use crate::functions::table::{Emitter, Tables};
use crate::scalar::EvalContext;
use crate::table_function::TableEval;

/// Different calls a thread remembers at most.
const CACHE_SIZE: usize = 256;

/// When what is found is put into an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wrapper {
    /// Never.
    Without,
    /// If there are several items.
    Conditional,
    /// Always.
    Unconditional,
}

/// What a call gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returning {
    /// `JSON_VALUE`, not `JSON_QUERY`.
    pub scalar: bool,
    /// Of JSON_QUERY.
    pub wrapper: Wrapper,
    /// A text is given without its quotes.
    pub omit_quotes: bool,
    /// The type.
    pub typ: ColumnType,
}

impl Returning {
    /// As an argument of the functions.
    pub fn to_argument(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

thread_local! {
    static CACHE: RefCell<HashMap<String, Rc<Returning>>> = RefCell::default();
}

fn returning_of(written: &str) -> Result<Rc<Returning>, EvalError> {
    if let Some(found) = CACHE.with_borrow(|cache| cache.get(written).cloned()) {
        return Ok(found);
    }
    let read: Returning = serde_json::from_str(written).map_err(SqlError::internal)?;
    let read = Rc::new(read);
    CACHE.with_borrow_mut(|cache| {
        if cache.len() >= CACHE_SIZE {
            cache.clear();
        }
        cache.insert(written.to_owned(), Rc::clone(&read));
    });
    Ok(read)
}

/// All items of a path; the inner error is one that `ON ERROR` is for.
fn found<'a>(
    a: &[Datum<'a>],
    zone: Option<&'a str>,
    context: EvalContext<'a>,
) -> Result<Result<Vec<Item<'a>>, EvalError>, EvalError> {
    let path = path_of(text(a, 1)?)?;
    let run = Run::new(&path, jsonb(a, 0)?, Some(jsonb(a, 2)?), zone, context);
    let mut items = Vec::new();
    let result = run.items(&mut |item| {
        items.push(item);
        true
    });
    match result {
        Ok(()) => Ok(Ok(items)),
        Err(Failure::Soft(error)) => Ok(Err(error)),
        Err(Failure::Hard(error)) => Err(error),
    }
}

/// What there is to return.
enum Outcome {
    Value(RowBuilder),
    Empty,
    Error(EvalError),
}

fn outcome<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Result<Outcome, EvalError> {
    let zone = text(a, 4)?;
    let returning = returning_of(text(a, 3)?)?;
    let items = match found(a, Some(zone), context)? {
        Ok(items) => items,
        Err(error) => return Ok(Outcome::Error(error)),
    };
    if items.is_empty() {
        return Ok(Outcome::Empty);
    }
    let settings = TextSettings::in_zone(zone);
    let mut out = RowBuilder::new();
    let value = match returning.scalar {
        true => scalar(&items, &returning.typ, &settings, context, &mut out),
        false => query(&items, &returning, &settings, context, &mut out),
    };
    Ok(match value {
        Ok(()) => Outcome::Value(out),
        Err(error) => Outcome::Error(error),
    })
}

/// `JSON_VALUE`
fn scalar<'a>(
    items: &[Item<'a>],
    typ: &ColumnType,
    settings: &TextSettings,
    context: EvalContext<'a>,
    out: &mut RowBuilder,
) -> Result<(), EvalError> {
    let refused = |code| {
        let message = "JSON path expression in JSON_VALUE must return single scalar item";
        Err(EvalError::invalid(code, message))
    };
    let [item] = items else { return refused(SqlState::MORE_THAN_ONE_SQL_JSON_ITEM) };
    let number;
    let shown: &str = match item {
        Item::Array(_) | Item::Object(_) => return refused(SqlState::SQL_JSON_SCALAR_REQUIRED),
        Item::Null => {
            out.push(Datum::Null);
            return Ok(());
        }
        _ if typ.scalar_type == ScalarType::Jsonb => {
            out.push(item.datum(context));
            return Ok(());
        }
        _ if typ.scalar_type == ScalarType::Json => {
            number = shown_json(item.datum(context));
            out.push(Datum::Text(&number));
            return Ok(());
        }
        Item::Bool(true) => "t",
        Item::Bool(false) => "f",
        Item::Text(text) => text,
        Item::Number(value) => {
            number = value.to_string();
            &number
        }
        Item::Moment(moment) => {
            number = moment.text();
            &number
        }
    };
    parse_into(typ, shown, settings, out)?;
    Ok(())
}

fn shown_json(datum: Datum<'_>) -> String {
    let mut text = String::new();
    if let Datum::Jsonb(value) = datum {
        value.to_text(&mut text);
    }
    text
}

/// `JSON_QUERY`
fn query<'a>(
    items: &[Item<'a>],
    returning: &Returning,
    settings: &TextSettings,
    context: EvalContext<'a>,
    out: &mut RowBuilder,
) -> Result<(), EvalError> {
    let wrap = match returning.wrapper {
        Wrapper::Without => false,
        Wrapper::Conditional => items.len() > 1,
        Wrapper::Unconditional => true,
    };
    let value = match items {
        [item] if !wrap => item.datum(context),
        _ if !wrap => {
            return Err(EvalError::Invalid {
                code: SqlState::MORE_THAN_ONE_SQL_JSON_ITEM.0.to_owned(),
                message: "JSON path expression in JSON_QUERY must return single item when no \
                          wrapper is requested"
                    .to_owned(),
                detail: None,
                hint: Some(
                    "Use the WITH WRAPPER clause to wrap SQL/JSON items into an array.".to_owned(),
                ),
            });
        }
        _ => {
            let mut array = JsonbBuilder::new();
            array.begin_array();
            items.iter().for_each(|item| item.build(&mut array));
            array.end_array();
            let bytes: &'a [u8] = context.arena.alloc_slice_copy(&array.finish());
            Datum::Jsonb(JsonbRef::from_bytes(bytes))
        }
    };
    let typ = &returning.typ;
    let texts = matches!(
        typ.scalar_type.base(),
        ScalarType::Text | ScalarType::Varchar | ScalarType::Bpchar | ScalarType::Name
    );
    match (items, value) {
        ([Item::Text(text)], _) if returning.omit_quotes && !wrap => {
            parse_into(typ, text, settings, out)?;
        }
        (_, value) if texts => parse_into(typ, &shown_json(value), settings, out)?,
        (_, Datum::Jsonb(value)) => match typ.scalar_type.base() {
            ScalarType::Jsonb => out.push(Datum::Jsonb(value)),
            _ => populate(Some(value), typ, None, settings, out)?,
        },
        _ => out.push(Datum::Null),
    }
    Ok(())
}

pub(super) fn define(d: &mut Definitions) {
    let signature = "sql_json_state(jsonb, jsonpath, jsonb, text) -> int4";
    let doc = "Whether a path gives a value (0), nothing (1), or an error (2).";
    d.add(
        "sql_json_state",
        signature,
        |a, c| {
            Ok(Datum::Int(match outcome(a, c)? {
                Outcome::Value(_) => 0,
                Outcome::Empty => 1,
                Outcome::Error(_) => 2,
            }))
        },
        doc,
    )
    .zone();
    let signature = "sql_json_get(jsonb, jsonpath, jsonb, text) -> any";
    let doc = "The value of a type that a path finds.";
    d.add(
        "sql_json_get",
        signature,
        |a, c| match outcome(a, c)? {
            Outcome::Value(row) => Ok(c.built(&row)),
            Outcome::Empty => Err(EvalError::invalid(
                SqlState::NO_SQL_JSON_ITEM,
                "no SQL/JSON item found for specified path",
            )),
            Outcome::Error(error) => Err(error),
        },
        doc,
    )
    .zone();
}

/// The items of a path; none if there is an error, unless errors are asked for.
const ITEMS: TableEval = |a, context, emit| {
    let errors = boolean(a, 3)?;
    let items = match found(a, None, context)? {
        Ok(items) => items,
        Err(error) if errors => return Err(error),
        Err(_) => Vec::new(),
    };
    let mut out = Emitter::new(emit);
    items.iter().try_for_each(|item| out.row([item.datum(context)]))
};

pub(super) fn define_tables(t: &mut Tables) {
    let doc = "The items of a path; with `true`, errors are not passed over.";
    let signature = "sql_json_items(jsonb, jsonpath, jsonb, bool) -> jsonb";
    t.add("sql_json_items", signature, true, ITEMS, doc);
}
