//! Errors of evaluation. They are data: ordered, hashable, and carried through dataflows beside
//! the rows, so that a view with an error answers reads with it until its row is gone.

use serde::{Deserialize, Serialize};
use tidemill_repr::{SqlError, SqlState};

/// Why an expression has no value.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error,
)]
pub enum EvalError {
    /// `x / 0`
    #[error("division by zero")]
    DivisionByZero,
    /// A result outside the range of its type, named as PostgreSQL names it (`integer`).
    #[error("{0} out of range")]
    OutOfRange(String),
    /// A text that is no value of a type, or another conversion that failed: SQLSTATE, message
    /// and, where there is one, detail.
    #[error("{message}")]
    Invalid {
        /// The SQLSTATE's five characters.
        code: String,
        /// The message, in PostgreSQL's words.
        message: String,
        /// More facts.
        detail: Option<String>,
        /// What to do.
        hint: Option<String>,
    },
    /// A scalar subquery gave more than one row.
    #[error("more than one row returned by a subquery used as an expression")]
    MultipleRowsFromSubquery,
    /// A count of a row in a view fell below zero: the input had a retraction of a row that
    /// was not there.
    #[error("invalid data in source: a row was taken away that was not there")]
    NegativeMultiplicity,
    /// A table that cannot be followed any further, with the reason and the way back.
    #[error("{message}")]
    Table {
        /// What happened to the table.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl EvalError {
    /// An error with a code and a message.
    pub fn invalid(code: SqlState, message: impl Into<String>) -> EvalError {
        EvalError::Invalid {
            code: code.0.to_owned(),
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, text: &str) -> EvalError {
        if let EvalError::Invalid { hint, .. } = &mut self {
            *hint = Some(text.to_owned());
        }
        self
    }
}

impl From<SqlError> for EvalError {
    fn from(error: SqlError) -> Self {
        EvalError::Invalid {
            code: error.code.0.to_owned(),
            message: error.message,
            detail: error.detail,
            hint: error.hint,
        }
    }
}

impl From<EvalError> for SqlError {
    fn from(error: EvalError) -> Self {
        let message = error.to_string();
        match error {
            EvalError::DivisionByZero => SqlError::new(SqlState::DIVISION_BY_ZERO, message),
            EvalError::OutOfRange(_) => {
                SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
            }
            EvalError::Invalid { code, detail, hint, .. } => {
                SqlError { detail, hint, ..SqlError::new(SqlState::from_code(&code), message) }
            }
            EvalError::MultipleRowsFromSubquery => {
                SqlError::new(SqlState::CARDINALITY_VIOLATION, message)
            }
            EvalError::NegativeMultiplicity => SqlError::new(SqlState::DATA_CORRUPTED, message),
            EvalError::Table { hint, .. } => SqlError {
                hint,
                ..SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            },
        }
    }
}
