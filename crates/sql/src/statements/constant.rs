//! Expressions that are evaluated while planning: values of secrets, ticks.

use sqlparser::ast::Expr;
use tidemill_expr::ScalarExpr;
use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, Datum, Row, ScalarType, SqlError, SqlState, Tick};

use super::Planning;
use crate::ast::AsOf;
use crate::plan::AsOfTick;
use crate::query::{self, Scope};

/// Milliseconds from the Unix epoch to 2000-01-01.
const EPOCH_MILLIS: i64 = 946_684_800_000;

impl Planning<'_> {
    /// The value of a constant expression and its type.
    pub(super) fn constant(&self, expr: &Expr) -> Result<(Row, ColumnType), SqlError> {
        let context = self.context();
        let planned = query::plan_scalar(&context, &Scope::default(), expr)?;
        let scalar = without_columns(planned.expr)?;
        let row = scalar.eval_constant().map_err(SqlError::from)?;
        Ok((row, planned.typ))
    }

    pub(super) fn as_of(&self, as_of: Option<&AsOf>) -> Result<Option<AsOfTick>, SqlError> {
        let Some(as_of) = as_of else { return Ok(None) };
        let tick = self.tick(&as_of.at, "AS OF")?;
        Ok(Some(AsOfTick { tick, at_least: as_of.at_least }))
    }

    /// A tick: milliseconds since 1970 as a number or text, or a time.
    pub(super) fn tick(&self, expr: &Expr, clause: &str) -> Result<Tick, SqlError> {
        let (row, typ) = self.constant(expr)?;
        let invalid = || {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("{clause} requires a time: milliseconds since 1970, or a timestamp"),
            )
        };
        let datum = row.iter().next().ok_or_else(invalid)?;
        let millis = match datum {
            Datum::Int(millis) => millis,
            Datum::Timestamp(micros) | Datum::TimestampTz(micros) => {
                micros.div_euclid(1000).checked_add(EPOCH_MILLIS).ok_or_else(invalid)?
            }
            Datum::Text(text) => text.trim().parse().map_err(|_| invalid())?,
            Datum::Numeric(_) => {
                let mut text = String::new();
                let settings = tidemill_repr::text::TextSettings::default();
                tidemill_repr::text::format_into(&datum, &typ.scalar_type, &settings, &mut text);
                text.parse().map_err(|_| invalid())?
            }
            _ => return Err(invalid()),
        };
        Ok(Tick(u64::try_from(millis).map_err(|_| invalid())?))
    }

    /// The types of the statement's parameters: those that were given, if there are no others.
    pub(super) fn given_parameters(&self) -> Vec<ScalarType> {
        self.parameters.iter().flatten().cloned().collect()
    }
}

/// An expression that uses no column, parameter or relation, in the form that is evaluated.
///
/// # Errors
/// It uses one.
pub(super) fn without_columns(scalar: QueryScalar) -> Result<ScalarExpr, SqlError> {
    into_scalar(scalar, false)
}

/// An expression over one relation without subqueries, in the form that is evaluated.
///
/// # Errors
/// It has a subquery or parameter.
pub fn over_columns(scalar: QueryScalar) -> Result<ScalarExpr, SqlError> {
    into_scalar(scalar, true)
}

fn into_scalar(scalar: QueryScalar, columns: bool) -> Result<ScalarExpr, SqlError> {
    let all = |scalars: Vec<QueryScalar>| {
        scalars
            .into_iter()
            .map(|scalar| into_scalar(scalar, columns))
            .collect::<Result<Vec<_>, _>>()
    };
    let boxed = |scalar: Box<QueryScalar>| into_scalar(*scalar, columns).map(Box::new);
    Ok(match scalar {
        QueryScalar::Column(column) if columns && column.level == 0 => {
            ScalarExpr::Column(column.column)
        }
        QueryScalar::Column(_) => {
            return Err(SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                "a constant expression must not use columns",
            ));
        }
        QueryScalar::Parameter(..) => {
            return Err(SqlError::unsupported("a parameter in this place"));
        }
        QueryScalar::Exists(_) | QueryScalar::Subquery(_) => {
            return Err(SqlError::unsupported("a subquery in this place"));
        }
        QueryScalar::Literal(value, typ) => ScalarExpr::Literal(value, typ),
        QueryScalar::Call { function, arguments, typ } => {
            ScalarExpr::Call { function, arguments: all(arguments)?, typ }
        }
        QueryScalar::And(scalars) => ScalarExpr::And(all(scalars)?),
        QueryScalar::Or(scalars) => ScalarExpr::Or(all(scalars)?),
        QueryScalar::Not(inner) => ScalarExpr::Not(boxed(inner)?),
        QueryScalar::IsNull(inner) => ScalarExpr::IsNull(boxed(inner)?),
        QueryScalar::Coalesce(scalars) => ScalarExpr::Coalesce(all(scalars)?),
        QueryScalar::If(condition, then, other) => {
            ScalarExpr::If(boxed(condition)?, boxed(then)?, boxed(other)?)
        }
    })
}
