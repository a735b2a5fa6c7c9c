//! Expressions: columns of all scopes become columns of one relation.

use tidemill_expr::ScalarExpr;
use tidemill_plan::QueryScalar;
use tidemill_plan::relation::build::grow;
use tidemill_repr::SqlError;

use super::{Decorrelation, Outer, Rows};

impl Decorrelation<'_> {
    /// An expression over `rows`; columns for its subqueries are added to them.
    pub(super) fn scalar(
        &mut self,
        scalar: &QueryScalar,
        rows: &mut Rows,
        outer: &Outer,
    ) -> Result<ScalarExpr, SqlError> {
        grow(|| self.scalar_here(scalar, rows, outer))
    }

    fn scalar_here(
        &mut self,
        scalar: &QueryScalar,
        rows: &mut Rows,
        outer: &Outer,
    ) -> Result<ScalarExpr, SqlError> {
        Ok(match scalar {
            QueryScalar::Column(column) => {
                let found = match column.level {
                    0 => rows.slots.get(column.column).copied(),
                    level => outer
                        .depth
                        .checked_sub(level)
                        .and_then(|scope| outer.places.get(&(scope, column.column)).copied()),
                };
                let missing = || SqlError::internal(format!("no column {column:?}"));
                ScalarExpr::Column(found.ok_or_else(missing)?)
            }
            QueryScalar::Parameter(number, _) => {
                return Err(SqlError::new(
                    tidemill_repr::SqlState::UNDEFINED_PARAMETER,
                    format!("there is no parameter ${number}"),
                ));
            }
            QueryScalar::Literal(value, typ) => ScalarExpr::Literal(value.clone(), typ.clone()),
            QueryScalar::Call { function, arguments, typ } => ScalarExpr::Call {
                function: *function,
                arguments: self.scalars(arguments, rows, outer)?,
                typ: typ.clone(),
            },
            QueryScalar::And(arguments) => ScalarExpr::And(self.scalars(arguments, rows, outer)?),
            QueryScalar::Or(arguments) => ScalarExpr::Or(self.scalars(arguments, rows, outer)?),
            QueryScalar::Not(argument) => {
                ScalarExpr::Not(Box::new(self.scalar(argument, rows, outer)?))
            }
            QueryScalar::IsNull(argument) => {
                ScalarExpr::IsNull(Box::new(self.scalar(argument, rows, outer)?))
            }
            QueryScalar::Coalesce(arguments) => {
                ScalarExpr::Coalesce(self.scalars(arguments, rows, outer)?)
            }
            QueryScalar::If(condition, then, otherwise) => ScalarExpr::If(
                Box::new(self.scalar(condition, rows, outer)?),
                Box::new(self.scalar(then, rows, outer)?),
                Box::new(self.scalar(otherwise, rows, outer)?),
            ),
            QueryScalar::Exists(query) => {
                rows.relation = self.branch(rows, query, outer, |work, result, inner| {
                    Ok(work.existence(result, inner))
                })?;
                ScalarExpr::Column(rows.relation.arity() - 1)
            }
            QueryScalar::Subquery(query) => {
                rows.relation = self.branch(rows, query, outer, |work, result, inner| {
                    Ok(work.single_value(result, inner))
                })?;
                ScalarExpr::Column(rows.relation.arity() - 1)
            }
        })
    }

    fn scalars(
        &mut self,
        scalars: &[QueryScalar],
        rows: &mut Rows,
        outer: &Outer,
    ) -> Result<Vec<ScalarExpr>, SqlError> {
        scalars.iter().map(|scalar| self.scalar(scalar, rows, outer)).collect()
    }
}
