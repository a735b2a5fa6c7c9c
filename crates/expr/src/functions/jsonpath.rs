//! SQL/JSON paths applied to jsonb: `jsonb_path_query` and its kin, `@?`, `@@`.

mod evaluate;
mod item;
mod methods;
mod moment;
mod returning;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

pub use returning::{Returning, Wrapper};
use tidemill_repr::jsonb::{JsonbBuilder, JsonbRef};
use tidemill_repr::jsonpath::{JsonPath, parse_jsonpath};
use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, bad_parameter, jsonb, text};
use crate::functions::jsonpath::evaluate::{Failure, Run};
use crate::functions::jsonpath::item::Item;
use crate::functions::table::{Emitter, Tables};
use crate::scalar::EvalContext;
use crate::table_function::TableEval;

/// Paths a thread remembers at most.
const CACHE_SIZE: usize = 256;

thread_local! {
    static CACHE: RefCell<HashMap<String, Rc<JsonPath>>> = RefCell::default();
}

fn path_of(written: &str) -> Result<Rc<JsonPath>, EvalError> {
    if let Some(path) = CACHE.with_borrow(|cache| cache.get(written).cloned()) {
        return Ok(path);
    }
    let path = Rc::new(parse_jsonpath(written)?);
    CACHE.with_borrow_mut(|cache| {
        if cache.len() >= CACHE_SIZE {
            cache.clear();
        }
        cache.insert(written.to_owned(), Rc::clone(&path));
    });
    Ok(path)
}

/// The items that a path finds, and the error that ended the search.
struct Outcome<'a> {
    items: Vec<Item<'a>>,
    error: Option<EvalError>,
}

/// A call's arguments: value, path, variables, whether errors are passed over.
struct Call<'a> {
    value: JsonbRef<'a>,
    path: Rc<JsonPath>,
    variables: Option<JsonbRef<'a>>,
    silent: bool,
    /// For conversions between times with and without a zone.
    zone: Option<&'a str>,
    context: EvalContext<'a>,
}

impl<'a> Call<'a> {
    /// With `zoned`, the last argument is the session's time zone.
    fn new(a: &[Datum<'a>], zoned: bool, context: EvalContext<'a>) -> Result<Call<'a>, EvalError> {
        let (a, zone) = match a.split_last() {
            Some((Datum::Text(zone), before)) if zoned => (before, Some(*zone)),
            _ => (a, None),
        };
        let variables = match a.get(2) {
            Some(_) => Some(jsonb(a, 2)?),
            None => None,
        };
        if variables.is_some_and(|variables| !variables.is_object()) {
            return Err(EvalError::Invalid {
                code: SqlState::INVALID_PARAMETER_VALUE.0.to_owned(),
                message: "\"vars\" argument is not an object".to_owned(),
                detail: Some(
                    "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object."
                        .to_owned(),
                ),
                hint: None,
            });
        }
        let silent = matches!(a.get(3), Some(Datum::Bool(true)));
        let path = path_of(text(a, 1)?)?;
        Ok(Call { value: jsonb(a, 0)?, path, variables, silent, zone, context })
    }

    fn silent(self) -> Call<'a> {
        Call { silent: true, ..self }
    }

    /// Runs until there are so many items.
    fn run(&self, limit: usize) -> Result<Outcome<'a>, EvalError> {
        let run = Run::new(&self.path, self.value, self.variables, self.zone, self.context);
        let mut items = Vec::new();
        let result = run.items(&mut |item| {
            items.push(item);
            items.len() < limit
        });
        match result {
            Ok(()) => Ok(Outcome { items, error: None }),
            Err(Failure::Hard(error)) => Err(error),
            Err(Failure::Soft(error)) if self.silent => Ok(Outcome { items, error: Some(error) }),
            Err(Failure::Soft(error)) => Err(error),
        }
    }

    fn exists(&self) -> Evaluated<'a> {
        // Where errors count, all items are looked at.
        let outcome = self.run(if self.path.lax { 1 } else { usize::MAX })?;
        Ok(match (outcome.items.is_empty(), outcome.error) {
            (false, _) if self.path.lax => Datum::Bool(true),
            (_, Some(_)) => Datum::Null,
            (empty, None) => Datum::Bool(!empty),
        })
    }

    fn matches(&self) -> Evaluated<'a> {
        let outcome = self.run(usize::MAX)?;
        match outcome.items.as_slice() {
            [Item::Bool(value)] => Ok(Datum::Bool(*value)),
            [Item::Null] => Ok(Datum::Null),
            _ if self.silent => Ok(Datum::Null),
            _ => Err(EvalError::invalid(
                SqlState::SINGLETON_SQL_JSON_ITEM_REQUIRED,
                "single boolean result is expected",
            )),
        }
    }

    fn array(&self) -> Evaluated<'a> {
        let outcome = self.run(usize::MAX)?;
        let mut out = JsonbBuilder::new();
        out.begin_array();
        outcome.items.iter().for_each(|item| item.build(&mut out));
        out.end_array();
        let bytes: &'a [u8] = self.context.arena.alloc_slice_copy(&out.finish());
        Ok(Datum::Jsonb(JsonbRef::from_bytes(bytes)))
    }

    fn first(&self) -> Evaluated<'a> {
        let outcome = self.run(usize::MAX)?;
        let first = outcome.items.first();
        Ok(first.map_or(Datum::Null, |item| item.datum(self.context)))
    }
}

/// Name, what it gives, code, code with the time zone as the last argument.
type Row = (&'static str, &'static str, Eval, Eval, &'static str);

const FUNCTIONS: [Row; 4] = [
    (
        "jsonb_path_exists",
        "bool",
        |a, c| Call::new(a, false, c)?.exists(),
        |a, c| Call::new(a, true, c)?.exists(),
        "Whether a path finds anything.",
    ),
    (
        "jsonb_path_match",
        "bool",
        |a, c| Call::new(a, false, c)?.matches(),
        |a, c| Call::new(a, true, c)?.matches(),
        "What a condition on a value says.",
    ),
    (
        "jsonb_path_query_array",
        "jsonb",
        |a, c| Call::new(a, false, c)?.array(),
        |a, c| Call::new(a, true, c)?.array(),
        "What a path finds, in an array.",
    ),
    (
        "jsonb_path_query_first",
        "jsonb",
        |a, c| Call::new(a, false, c)?.first(),
        |a, c| Call::new(a, true, c)?.first(),
        "What a path finds first.",
    ),
];

const ARGUMENTS: [&str; 4] = ["jsonb", "jsonpath", "jsonb", "bool"];

pub(super) fn define(d: &mut Definitions) {
    returning::define(d);
    for (name, returns, plain, zoned, doc) in FUNCTIONS {
        for count in 2..=4 {
            let arguments = ARGUMENTS[..count].join(", ");
            let id = format!("{name}_{count}");
            d.add(&id, &format!("{name}({arguments}) -> {returns}"), plain, doc);
            let id = format!("{name}_tz_{count}");
            d.add(&id, &format!("{name}_tz({arguments}) -> {returns}"), zoned, doc).zone();
        }
    }
    let exists: Eval = |a, c| Call::new(a, false, c)?.silent().exists();
    let doc = "Whether a path finds anything; NULL instead of an error.";
    let signature = "jsonb_path_exists_opr(jsonb, jsonpath) -> bool";
    d.add("jsonb_path_exists_opr", signature, exists, doc).operator("@?");
    let matches: Eval = |a, c| Call::new(a, false, c)?.silent().matches();
    let doc = "What a condition on a value says; NULL instead of an error.";
    let signature = "jsonb_path_match_opr(jsonb, jsonpath) -> bool";
    d.add("jsonb_path_match_opr", signature, matches, doc).operator("@@");
}

const QUERY: TableEval = |a, context, emit| {
    let call = Call::new(a, false, context)?;
    let outcome = call.run(usize::MAX)?;
    let mut out = Emitter::new(emit);
    outcome.items.iter().try_for_each(|item| out.row([item.datum(context)]))
};

pub(super) fn define_tables(t: &mut Tables) {
    returning::define_tables(t);
    for count in 2..=4 {
        let arguments = ARGUMENTS[..count].join(", ");
        let id = format!("jsonb_path_query_{count}");
        let signature = format!("jsonb_path_query({arguments}) -> jsonb");
        t.add(&id, &signature, true, QUERY, "What a path finds.");
    }
}

/// Something that must be there is not, or is of another kind.
fn soft(code: SqlState, message: impl Into<String>) -> Failure {
    Failure::Soft(EvalError::invalid(code, message))
}

/// A parameter that no mode passes over.
fn hard(message: impl Into<String>) -> Failure {
    Failure::Hard(bad_parameter(message))
}
