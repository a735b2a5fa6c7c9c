//! Scalar expressions and their evaluation over the datums of a row.
//!
//! A [`ScalarExpr`] is a tree of column references, literals and calls; [`ScalarExpr::eval`]
//! gives a datum or an [`EvalError`], which is data (it flows beside the rows of a dataflow).
//! Functions, operators, casts and aggregates are definitions in tables, one file a family
//! under [`functions`]: name, argument types, result, meaning, and the code that computes it, in
//! one place; [`resolve`] picks one by PostgreSQL's rules, and `pg_proc` and the documentation
//! come out of the same tables.
//!
//! Start reading at [`scalar`], then [`function`].

pub mod aggregate;
pub mod error;
pub mod function;
pub mod functions;
pub mod resolve;
pub mod scalar;
pub mod table_function;
pub mod window;

pub use aggregate::{AggregateCall, AggregateKind};
pub use error::EvalError;
pub use function::{CastContext, Function, FunctionRef, Volatility};
pub use scalar::{EvalContext, ScalarExpr};
pub use table_function::{TableFunction, TableFunctionRef};
pub use window::{WindowCall, WindowFunction};
