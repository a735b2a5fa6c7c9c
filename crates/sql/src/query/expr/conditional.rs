//! CASE, COALESCE and NULLIF.

use sqlparser::ast::{CaseWhen, Expr, Spanned};
use sqlparser::tokenizer::Span;
use tidemill_expr::resolve;
use tidemill_plan::QueryScalar;
use tidemill_repr::{ScalarType, SqlError, SqlState};

use super::ExprContext;
use super::operator::binary;
use crate::query::cast::{coerce_boolean, coerce_implicit, resolve_unknown, unify_at};
use crate::query::{TypedScalar, literal};

impl ExprContext<'_> {
    pub(super) fn case(
        &self,
        operand: Option<&Expr>,
        branches: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<TypedScalar, SqlError> {
        self.without_sets("CASE").plan_case(operand, branches, otherwise)
    }

    fn plan_case(
        &self,
        operand: Option<&Expr>,
        branches: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<TypedScalar, SqlError> {
        let operand = match operand {
            Some(operand) => Some((self.plan(operand)?, operand)),
            None => None,
        };
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for branch in branches {
            let condition = self.plan(&branch.condition)?;
            let at = branch.condition.span();
            let condition = match &operand {
                Some((value, expr)) => {
                    let unknown = condition.typ.scalar_type == ScalarType::Unknown;
                    binary(self.ctx, "=", value.clone(), condition).map_err(|error| {
                        match unknown || error.code != SqlState::UNDEFINED_FUNCTION {
                            true => self.ctx.locate(self.ctx.locate(error, at), expr.span()),
                            false => self.ctx.locate_before(error, at, "WHEN"),
                        }
                    })?
                }
                None => condition,
            };
            let condition = coerce_boolean(self.ctx, condition, "CASE/WHEN")
                .map_err(|error| self.ctx.locate(error, at))?;
            conditions.push(condition);
            results.push(self.plan(&branch.result)?);
        }
        // PostgreSQL looks at the ELSE first when it chooses the type.
        let otherwise_value = match otherwise {
            Some(otherwise) => self.plan(otherwise)?,
            None => literal::null(ScalarType::Unknown),
        };
        results.insert(0, otherwise_value);
        let at = branches.first().map_or_else(Span::empty, |branch| branch.result.span());
        let mut spans = vec![otherwise.map_or(at, Spanned::span)];
        spans.extend(branches.iter().map(|branch| branch.result.span()));
        let (mut results, typ) = unify_at(self.ctx, "CASE", results, &spans)?;
        let mut value = results.remove(0);
        for (condition, result) in conditions.into_iter().zip(results).rev() {
            value = QueryScalar::If(Box::new(condition), Box::new(result), Box::new(value));
        }
        Ok(TypedScalar { expr: value, typ })
    }

    pub(super) fn coalesce(&self, arguments: &[&Expr]) -> Result<TypedScalar, SqlError> {
        if arguments.is_empty() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \")\""));
        }
        let planned = self.without_sets("COALESCE").plan_each(arguments)?;
        let any_certain = planned.iter().any(|value| !value.typ.nullable);
        let spans: Vec<Span> = arguments.iter().map(|argument| argument.span()).collect();
        let (parts, typ) = unify_at(self.ctx, "COALESCE", planned, &spans)?;
        let typ = typ.nullable(!any_certain);
        Ok(TypedScalar { expr: QueryScalar::Coalesce(parts), typ })
    }

    /// NULL if both are equal, else the first.
    pub(super) fn null_if(&self, arguments: &[&Expr]) -> Result<TypedScalar, SqlError> {
        let [left, right] = arguments else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \")\""));
        };
        let (one, two) = (self.plan(left)?, self.plan(right)?);
        let types = [one.typ.scalar_type.clone(), two.typ.scalar_type.clone()];
        let equal = binary(self.ctx, "=", one.clone(), two).map_err(|error| match error.code {
            SqlState::UNDEFINED_FUNCTION => error,
            _ => self.ctx.locate(error, right.span()),
        })?;
        // What is given back is what was compared.
        let compared = resolve::operator("=", Some(&types[0]), &types[1])?;
        let one = match compared.arguments.first() {
            Some(ScalarType::Record(_) | ScalarType::Array(_)) | None => one,
            Some(typ) => coerce_implicit(self.ctx, one, typ)?,
        };
        let one = resolve_unknown(self.ctx, one)?;
        let typ = one.typ.clone().nullable(true);
        let null = literal::null(typ.scalar_type.clone()).expr;
        let expr = QueryScalar::If(Box::new(equal.expr), Box::new(null), Box::new(one.expr));
        Ok(TypedScalar { expr, typ })
    }

    pub(in crate::query) fn plan_each(
        &self,
        exprs: &[&Expr],
    ) -> Result<Vec<TypedScalar>, SqlError> {
        exprs.iter().map(|expr| self.plan(expr)).collect()
    }
}
