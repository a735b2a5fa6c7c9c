//! Which function, operator or cast is meant: PostgreSQL's rules of overload resolution.
//!
//! The interface (bodies follow): given a name and argument types, where [`ScalarType::Unknown`]
//! is an untyped literal or parameter, the chosen definition and the types its arguments must be
//! coerced to.

use tidemill_repr::{ScalarType, SqlError};

use crate::function::{CastContext, FunctionRef};
use crate::table_function::TableFunctionRef;

/// A choice: the definition, the concrete types its arguments must be coerced to, and the
/// concrete type of its result.
#[derive(Clone, Debug)]
pub struct Resolved<F> {
    /// The definition.
    pub definition: F,
    /// To what each argument is coerced.
    pub arguments: Vec<ScalarType>,
    /// What it gives.
    pub returns: ScalarType,
}

/// Finds a scalar function by name.
///
/// # Errors
/// None fits (`42883`), or several do (`42725`).
pub fn function(name: &str, arguments: &[ScalarType]) -> Result<Resolved<FunctionRef>, SqlError> {
    let _ = arguments;
    Err(SqlError::internal(name))
}

/// Finds a table function by name; None if there is none of that name.
///
/// # Errors
/// None of that name fits, or several do.
pub fn table_function(
    name: &str,
    arguments: &[ScalarType],
) -> Option<Result<Resolved<TableFunctionRef>, SqlError>> {
    let _ = (name, arguments);
    None
}

/// Finds an operator; `left` is None for a prefix operator.
///
/// # Errors
/// None fits (`42883`), or several do (`42725`).
pub fn operator(
    name: &str,
    left: Option<&ScalarType>,
    right: &ScalarType,
) -> Result<Resolved<FunctionRef>, SqlError> {
    let _ = (left, right);
    Err(SqlError::internal(name))
}

/// How a value of one type becomes one of another.
#[derive(Clone, Debug)]
pub enum CastPath {
    /// The datum is the same.
    Relabel,
    /// A function of one argument does it.
    Function(FunctionRef),
    /// By way of text: the type's output, then the other's input.
    ThroughText,
}

/// Finds a cast allowed in a context; None if there is none.
pub fn cast(from: &ScalarType, to: &ScalarType, context: CastContext) -> Option<CastPath> {
    let _ = (from, to, context);
    None
}

/// The common type of the branches of CASE, UNION, VALUES, COALESCE, GREATEST; an error names
/// `construct`.
///
/// # Errors
/// The types have no common type (`42804`).
pub fn common_type(construct: &str, types: &[ScalarType]) -> Result<ScalarType, SqlError> {
    let _ = types;
    Err(SqlError::internal(construct))
}
