//! Several functions that give rows, side by side: the first rows of all make the first row, and
//! so on; where one has no more, NULLs stand in. This is `ROWS FROM` and several such functions in
//! one SELECT list. With ordinality the rows are numbered.
//!
//! What is put together is a [`TableFunction`] of its own, made when it is first asked for. Its id
//! says what it is made of: `rows(unnest/1,generate_series_int4/2)+n`, with the number of arguments
//! behind each part.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use tidemill_repr::{Datum, Row, RowBuilder, ScalarType, SqlState};

use super::{TableFunction, TableFunctionRef};
use crate::error::EvalError;
use crate::function::TypePattern;
use crate::scalar::EvalContext;

/// Rows that may be held until those of the other parts are known.
const MAX_HELD_ROWS: usize = 10_000_000;

/// One of several functions in lock step.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The function.
    pub function: TableFunctionRef,
    /// How many of the arguments are its own.
    pub arguments: usize,
}

/// A function of one row: its argument. It makes a part of any value.
pub fn single_value() -> TableFunctionRef {
    static SINGLE: LazyLock<TableFunction> = LazyLock::new(|| TableFunction {
        id: "single_value",
        name: "",
        arguments: &[TypePattern::AnyElement],
        strict: false,
        columns: &[("", TypePattern::AnyElement)],
        eval: |values, _, emit| {
            let mut row = RowBuilder::new();
            row.extend(values.first().copied());
            emit(&row);
            Ok(())
        },
        parts: &[],
        ordinality: false,
        doc: "One row that is its argument.",
    });
    TableFunctionRef(&SINGLE)
}

/// The function that runs others in lock step.
pub fn in_lock_step(parts: &[Part], ordinality: bool) -> TableFunctionRef {
    let shown: Vec<String> =
        parts.iter().map(|part| format!("{}/{}", part.function.id, part.arguments)).collect();
    let id = format!("rows({}){}", shown.join(","), if ordinality { "+n" } else { "" });
    made(id, parts, ordinality)
}

/// The function of such an id.
pub(super) fn by_id(id: &str) -> Option<TableFunctionRef> {
    if id == single_value().id {
        return Some(single_value());
    }
    let (inner, ordinality) = match id.strip_suffix("+n") {
        Some(inner) => (inner, true),
        None => (id, false),
    };
    let inner = inner.strip_prefix("rows(")?.strip_suffix(')')?;
    let parts = inner
        .split(',')
        .map(|part| {
            let (function, arguments) = part.rsplit_once('/')?;
            let function = match crate::functions::table_by_id(function) {
                Some(function) => TableFunctionRef(function),
                None if function == single_value().id => single_value(),
                None => return None,
            };
            Some(Part { function, arguments: arguments.parse().ok()? })
        })
        .collect::<Option<Vec<_>>>()?;
    Some(made(id.to_owned(), &parts, ordinality))
}

/// Each is made once and stays: statements use few different ones.
fn made(id: String, parts: &[Part], ordinality: bool) -> TableFunctionRef {
    static MADE: Mutex<BTreeMap<String, &'static TableFunction>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(function) = made.get(&id) {
        return TableFunctionRef(function);
    }
    let mut columns: Vec<(&'static str, TypePattern)> = Vec::new();
    let mut arguments = Vec::new();
    for part in parts {
        columns.extend(part.function.columns.iter().cloned());
        arguments.extend(part.function.arguments.iter().cloned());
    }
    if ordinality {
        columns.push(("ordinality", TypePattern::Is(ScalarType::Int8)));
    }
    let function: &'static TableFunction = Box::leak(Box::new(TableFunction {
        id: String::leak(id.clone()),
        name: "rows from",
        arguments: Vec::leak(arguments),
        strict: false,
        columns: Vec::leak(columns),
        eval: |_, _, _| Ok(()),
        parts: Vec::leak(parts.to_vec()),
        ordinality,
        doc: "Functions that give rows, side by side.",
    }));
    made.insert(id, function);
    TableFunctionRef(function)
}

fn too_many_rows() -> EvalError {
    EvalError::invalid(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("functions in lock step may not give more than {MAX_HELD_ROWS} rows"),
    )
}

/// Runs the parts: the rows of all but the last are held, those of the last pass by.
pub(super) fn call<'a>(
    function: &TableFunction,
    values: &[Datum<'a>],
    context: EvalContext<'a>,
    emit: &mut dyn FnMut(&RowBuilder),
) -> Result<(), EvalError> {
    let Some((last, before)) = function.parts.split_last() else { return Ok(()) };
    let mut rest = values;
    let mut take = |part: &Part| {
        let (own, after) = rest.split_at(part.arguments.min(rest.len()));
        rest = after;
        own
    };
    let mut held: Vec<(Vec<Row>, usize)> = Vec::new();
    for part in before {
        let own = take(part);
        held.push((hold(part, own, context)?, part.function.columns.len()));
    }
    let longest = held.iter().map(|(rows, _)| rows.len()).max().unwrap_or(0);
    let mut output = RowBuilder::new();
    let mut number: usize = 0;
    let mut put = |last: Option<&RowBuilder>, width: usize| {
        output.clear();
        for (rows, width) in &held {
            match rows.get(number) {
                Some(row) => output.push_encoded(row.bytes()),
                None => output.extend(std::iter::repeat_n(Datum::Null, *width)),
            }
        }
        match last {
            Some(row) => output.push_encoded(row.bytes()),
            None => output.extend(std::iter::repeat_n(Datum::Null, width)),
        }
        number += 1;
        if function.ordinality {
            output.extend([Datum::Int(i64::try_from(number).unwrap_or(i64::MAX))]);
        }
        emit(&output);
        number
    };
    let width = last.function.columns.len();
    let own = take(last);
    let mut count = 0;
    last.function.call(own, context, &mut |row| count = put(Some(row), width))?;
    while count < longest {
        count = put(None, width);
    }
    Ok(())
}

fn hold<'a>(
    part: &Part,
    values: &[Datum<'a>],
    context: EvalContext<'a>,
) -> Result<Vec<Row>, EvalError> {
    let mut rows = Vec::new();
    let mut full = false;
    part.function.call(values, context, &mut |row| {
        if rows.len() < MAX_HELD_ROWS {
            rows.push(Row::from_bytes(row.bytes()));
        } else {
            full = true;
        }
    })?;
    if full { Err(too_many_rows()) } else { Ok(rows) }
}
