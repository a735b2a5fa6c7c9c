//! Expressions that are evaluated while planning: values of secrets, ticks.

use sqlparser::ast::Expr;
use tidemill_expr::{FunctionRef, ScalarExpr};
use tidemill_plan::QueryScalar;
use tidemill_repr::text::{TextSettings, parse_into};
use tidemill_repr::{ColumnType, Datum, Row, RowBuilder, ScalarType, SqlError, SqlState, Tick};

use super::Planning;
use crate::ast::AsOf;
use crate::plan::AsOfTick;
use crate::query::{self, Scope};

/// Milliseconds from the Unix epoch to 2000-01-01.
pub(super) const EPOCH_MILLIS: i64 = 946_684_800_000;

impl Planning<'_> {
    /// The value of a constant expression and its type.
    pub(super) fn constant(&self, expr: &Expr) -> Result<(Row, ColumnType), SqlError> {
        self.constant_at(expr, None)
    }

    /// The same, with a tick in the place of `mz_now()`.
    pub(super) fn constant_at(
        &self,
        expr: &Expr,
        now: Option<Tick>,
    ) -> Result<(Row, ColumnType), SqlError> {
        let context = self.context();
        let planned = query::plan_scalar(&context, &Scope::default(), expr)?;
        let mut scalar = without_columns(planned.expr)?;
        let is_now = FunctionRef::by_id("mz_now");
        scalar.visit_mut(&mut |part| {
            if let (ScalarExpr::Call { function, typ, .. }, Some(now)) = (&*part, now)
                && Some(*function) == is_now
            {
                *part = ScalarExpr::Literal(Ok(Row::pack([Datum::UInt(now.0)])), typ.clone());
            }
        });
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
        self.tick_of(&row, &typ, clause)
    }

    /// The tick that a value means.
    pub(super) fn tick_of(
        &self,
        row: &Row,
        typ: &ColumnType,
        clause: &str,
    ) -> Result<Tick, SqlError> {
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
            Datum::UInt(millis) => return Ok(Tick(millis)),
            Datum::Text(text) => {
                let settings = TextSettings::from_argument(self.planner.session.time_zone);
                let typ = ColumnType::new(ScalarType::MzTimestamp);
                let mut builder = RowBuilder::new();
                parse_into(&typ, text, &settings, &mut builder).map_err(|_| invalid())?;
                return self.tick_of(&builder.finish(), &typ, clause);
            }
            Datum::Numeric(_) => {
                let mut text = String::new();
                let settings = TextSettings::default();
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
