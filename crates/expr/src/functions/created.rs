//! Types that users create: the rules of domains, and functions of enums.
//!
//! The rules of a domain go with each call as a text, so that a plan holds all that it needs.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use tidemill_repr::{Datum, RowBuilder, SqlError, SqlState};

use crate::error::EvalError;
use crate::functions::Definitions;
use crate::functions::arguments::Evaluated;
use crate::scalar::{EvalContext, ScalarExpr};

/// What the values of a domain must fulfil.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainProgram {
    /// The domain, as errors name it.
    pub name: String,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Name and condition of each constraint, in the order in which they are tried; the value is
    /// column 0.
    pub checks: Vec<(String, ScalarExpr)>,
}

impl DomainProgram {
    /// As the last argument of `domain_check`.
    pub fn to_argument(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Tries a value.
    ///
    /// # Errors
    /// It is none of the domain (`23502`, `23514`), or a condition fails.
    pub fn check(&self, value: Datum<'_>) -> Result<(), EvalError> {
        let name = &self.name;
        if self.not_null && value.is_null() {
            return Err(EvalError::from(SqlError::new(
                SqlState::NOT_NULL_VIOLATION,
                format!("domain {name} does not allow null values"),
            )));
        }
        for (constraint, condition) in &self.checks {
            let arena = bumpalo::Bump::new();
            // What is NULL is not refused.
            if let Datum::Bool(false) = condition.eval(&[value], EvalContext { arena: &arena })? {
                return Err(EvalError::from(SqlError::new(
                    SqlState::CHECK_VIOLATION,
                    format!("value for domain {name} violates check constraint \"{constraint}\""),
                )));
            }
        }
        Ok(())
    }
}

thread_local! {
    /// The program that was asked for last, and how it is written.
    static LAST: RefCell<Option<(String, DomainProgram)>> = const { RefCell::new(None) };
}

fn domain_check<'a>(a: &[Datum<'a>], _: EvalContext<'a>) -> Evaluated<'a> {
    let value = a.first().copied().unwrap_or(Datum::Null);
    let Some(Datum::Text(written)) = a.get(1).copied() else { return Ok(value) };
    // Taken out, for the conditions of one domain may use another.
    let known = LAST.take().filter(|(last, _)| last == written);
    let (key, program) = match known {
        Some(known) => known,
        None => {
            let program = serde_json::from_str(written).map_err(|_| {
                EvalError::invalid(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("these are no rules of a domain: \"{written}\""),
                )
            })?;
            (written.to_owned(), program)
        }
    };
    let checked = program.check(value);
    LAST.set(Some((key, program)));
    checked.map(|()| value)
}

/// The labels of an array from one to another, both included; NULL is no bound.
fn enum_range<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let [Datum::Array(labels), low, high] = a else { return Ok(Datum::Null) };
    let inside: Vec<Datum<'_>> = labels
        .elements()
        .filter(|label| low.is_null() || label.sql_cmp(low).is_ge())
        .filter(|label| high.is_null() || label.sql_cmp(high).is_le())
        .collect();
    let length = i32::try_from(inside.len()).unwrap_or(i32::MAX);
    let dimensions = if inside.is_empty() { Vec::new() } else { vec![(length, 1)] };
    let mut builder = RowBuilder::new();
    builder.push_array(&dimensions, inside);
    Ok(context.built(&builder))
}

pub(super) fn define(d: &mut Definitions) {
    d.add(
        "domain_check",
        "domain_check(anyelement, text) -> anyelement",
        domain_check,
        "A value that must fulfil the rules of a domain.",
    )
    .sees_null();
    d.add(
        "enum_range_of",
        "enum_range_of(anyarray, anyelement, anyelement) -> anyarray",
        enum_range,
        "The values of an enum from one to another.",
    )
    .sees_null()
    .safe();
}
