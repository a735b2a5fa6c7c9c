//! Scalar expressions over the columns of one row.

use bumpalo::Bump;
use serde::{Deserialize, Serialize};
use tidemill_repr::{ColumnType, Row};

use crate::error::EvalError;
use crate::function::FunctionRef;

/// Where evaluation puts what it makes.
#[derive(Clone, Copy, Debug)]
pub struct EvalContext<'a> {
    /// Texts and other values that are computed live here.
    pub arena: &'a Bump,
}

/// A scalar expression. Its columns are positions in the row it is evaluated over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ScalarExpr {
    /// The value at this position of the row.
    Column(usize),
    /// A constant: a row of one datum, or an error that is raised when it is evaluated.
    Literal(Result<Row, EvalError>, ColumnType),
    /// A function applied to arguments, with the type of the result.
    Call {
        /// The function.
        function: FunctionRef,
        /// Its arguments.
        arguments: Vec<ScalarExpr>,
        /// The type of the result.
        typ: ColumnType,
    },
    /// False if any is false, else NULL if any is NULL, else true. An error gives way to false.
    And(Vec<ScalarExpr>),
    /// True if any is true, else NULL if any is NULL, else false. An error gives way to true.
    Or(Vec<ScalarExpr>),
    /// Three-valued negation.
    Not(Box<ScalarExpr>),
    /// Whether the argument is NULL; never NULL itself.
    IsNull(Box<ScalarExpr>),
    /// The first argument that is not NULL; later ones are not evaluated.
    Coalesce(Vec<ScalarExpr>),
    /// The second if the first is true, else the third; the other one is not evaluated.
    If(Box<ScalarExpr>, Box<ScalarExpr>, Box<ScalarExpr>),
}
