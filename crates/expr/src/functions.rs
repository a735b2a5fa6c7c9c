//! The tables of functions, operators and casts, one file a family.
//!
//! A family is a function that adds its definitions to [`Definitions`] when the tables are first
//! used. A definition is one statement: id, signature as SQL writes it, code, one sentence; its
//! operators follow it:
//!
//! ```text
//! d.add("int4pl", "int4pl(int4, int4) -> int4", add, "Sum.").operator("+");
//! ```

mod arguments;
mod definitions;

pub mod aggregates;
mod arrays;
pub mod backends;
mod bits;
mod bytea;
mod canonical;
mod casts;
mod comparison;
pub mod created;
pub(crate) mod datetime;
mod extract;
mod float;
mod format_numbers;
mod format_times;
mod hash;
mod integer;
pub mod json;
pub(crate) mod jsonb;
pub mod jsonpath;
mod keywords;
mod lists;
pub(crate) mod maps;
mod money;
mod network;
mod numeric;
mod pattern;
mod positions;
mod quantified;
pub(crate) mod ranges;
mod regex;
pub mod sequence;
mod session;
mod similar;
mod sizes;
mod system;
mod table;
mod text;
mod text_values;
mod timetz;
mod unsigned;
mod uuid;
mod variadic;

use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) use definitions::Definitions;
pub use extract::extracted_columns;

use crate::function::{Cast, Function, Operator};
use crate::table_function::TableFunction;

/// All definitions, with indexes by id and name.
struct Tables {
    definitions: Definitions,
    by_id: HashMap<&'static str, usize>,
    by_name: HashMap<&'static str, Vec<usize>>,
    operators_by_name: HashMap<&'static str, Vec<usize>>,
    tables: Vec<TableFunction>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut definitions = Definitions::default();
    let d = &mut definitions;
    comparison::define(d);
    quantified::define(d);
    canonical::define(d);
    integer::define(d);
    float::define(d);
    numeric::define(d);
    text::define(d);
    text_values::define(d);
    pattern::define(d);
    regex::calls::define(d);
    similar::define(d);
    bytea::define(d);
    hash::define(d);
    datetime::define(d);
    format_numbers::define(d);
    format_times::define(d);
    backends::define(d);
    sequence::define(d);
    uuid::define(d);
    sizes::define(d);
    variadic::define(d);
    system::define(d);
    session::define(d);
    json::define(d);
    jsonb::define(d);
    jsonpath::define(d);
    arrays::define(d);
    casts::define(d);
    bits::define(d);
    money::define(d);
    positions::define(d);
    timetz::define(d);
    network::define(d);
    ranges::define(d);
    unsigned::define(d);
    lists::define(d);
    maps::define(d);
    created::define(d);
    let by_id = definitions.functions.iter().enumerate().map(|(at, f)| (f.id, at)).collect();
    let mut by_name: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, function) in definitions.functions.iter().enumerate() {
        by_name.entry(function.name).or_default().push(at);
    }
    let mut operators_by_name: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, operator) in definitions.operators.iter().enumerate() {
        operators_by_name.entry(operator.name).or_default().push(at);
    }
    Tables { definitions, by_id, by_name, operators_by_name, tables: table::definitions() }
});

/// The function with this id.
pub fn by_id(id: &str) -> Option<&'static Function> {
    TABLES.by_id.get(id).map(|at| &TABLES.definitions.functions[*at])
}

/// The functions with this SQL name.
pub fn by_name(name: &str) -> impl Iterator<Item = &'static Function> {
    let found = TABLES.by_name.get(name).map_or(&[][..], Vec::as_slice);
    found.iter().map(|at| &TABLES.definitions.functions[*at])
}

/// The operators with this name.
pub fn operators_by_name(name: &str) -> impl Iterator<Item = &'static Operator> {
    let found = TABLES.operators_by_name.get(name).map_or(&[][..], Vec::as_slice);
    found.iter().map(|at| &TABLES.definitions.operators[*at])
}

/// Every scalar function.
pub fn all() -> impl Iterator<Item = &'static Function> {
    TABLES.definitions.functions.iter()
}

/// Every operator.
pub fn all_operators() -> impl Iterator<Item = &'static Operator> {
    TABLES.definitions.operators.iter()
}

/// Every cast.
pub fn all_casts() -> impl Iterator<Item = &'static Cast> {
    TABLES.definitions.casts.iter()
}

/// Every table function.
pub fn all_tables() -> impl Iterator<Item = &'static TableFunction> {
    TABLES.tables.iter()
}

/// The table function with this id.
pub fn table_by_id(id: &str) -> Option<&'static TableFunction> {
    all_tables().find(|function| function.id == id)
}
