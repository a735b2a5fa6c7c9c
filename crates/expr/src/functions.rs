//! The tables of functions, operators and casts, one file a family.

use crate::function::Function;
use crate::table_function::TableFunction;

/// The function with this id.
pub fn by_id(_id: &str) -> Option<&'static Function> {
    None
}

/// The table function with this id.
pub fn table_by_id(_id: &str) -> Option<&'static TableFunction> {
    None
}
