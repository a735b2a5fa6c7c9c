//! Operators, unary and binary, and comparisons of rows.

use sqlparser::ast::{BinaryOperator, Expr, Spanned, UnaryOperator};
use sqlparser::tokenizer::Span;
use tidemill_expr::resolve;
use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, ScalarType, SqlError, SqlState};

use super::{ExprContext, bare, call_by_name, is_minus, number_text};
use crate::query::aggregate::returns_set;
use crate::query::cast::{call, coerce_boolean, coerce_implicit};
use crate::query::comparable::require_equality;
use crate::query::subquery::{Quantifier, compare_with_row, plan_quantified};
use crate::query::{QueryContext, TypedScalar, literal};

/// `left op right`, of planned sides.
pub(in crate::query) fn binary(
    ctx: &QueryContext<'_>,
    name: &str,
    left: TypedScalar,
    right: TypedScalar,
) -> Result<TypedScalar, SqlError> {
    let resolved = resolve::operator(name, Some(&left.typ.scalar_type), &right.typ.scalar_type)?;
    let [left_type, right_type] = resolved.arguments.as_slice() else {
        return Err(SqlError::internal(format!("operator {name} without two sides")));
    };
    if matches!(name, "=" | "<>" | "<" | "<=" | ">" | ">=" | "@>" | "<@" | "&&")
        && matches!(left_type, ScalarType::Array(_) | ScalarType::Record(_))
    {
        require_equality(left_type)?;
    }
    let left = coerce_implicit(ctx, left, left_type)?;
    let right = coerce_implicit(ctx, right, right_type)?;
    call(ctx, resolved.definition, vec![left, right], ColumnType::new(resolved.returns))
}

/// `op right`
fn prefix(ctx: &QueryContext<'_>, name: &str, right: TypedScalar) -> Result<TypedScalar, SqlError> {
    let resolved = resolve::operator(name, None, &right.typ.scalar_type)?;
    let Some(typ) = resolved.arguments.first() else {
        return Err(SqlError::internal(format!("operator {name} without a side")));
    };
    let right = coerce_implicit(ctx, right, typ)?;
    call(ctx, resolved.definition, vec![right], ColumnType::new(resolved.returns))
}

/// A boolean value that may be NULL.
pub(super) fn boolean(expr: QueryScalar) -> TypedScalar {
    TypedScalar { expr, typ: ColumnType::new(ScalarType::Bool) }
}

/// Compares two rows of values, field by field.
pub(in crate::query) fn compare_rows(
    ctx: &QueryContext<'_>,
    name: &str,
    left: Vec<TypedScalar>,
    right: Vec<TypedScalar>,
) -> Result<QueryScalar, SqlError> {
    if left.len() != right.len() {
        return Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            "unequal number of entries in row expressions",
        ));
    }
    let each = |name: &str, sides: &[(TypedScalar, TypedScalar)]| {
        sides
            .iter()
            .map(|(one, two)| {
                let compared = binary(ctx, name, one.clone(), two.clone())?;
                coerce_boolean(ctx, compared, "row comparison")
            })
            .collect::<Result<Vec<QueryScalar>, SqlError>>()
    };
    let pairs: Vec<(TypedScalar, TypedScalar)> = left.into_iter().zip(right).collect();
    let single = |mut parts: Vec<QueryScalar>, many: fn(Vec<QueryScalar>) -> QueryScalar| match (
        parts.pop(),
        parts.is_empty(),
    ) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            parts.push(last);
            Ok(many(parts))
        }
        (None, _) => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot compare rows of zero length",
        )),
    };
    match name {
        _ if pairs.len() == 1 => single(each(name, &pairs)?, QueryScalar::And),
        "=" => single(each("=", &pairs)?, QueryScalar::And),
        "<>" | "!=" => single(each("<>", &pairs)?, QueryScalar::Or),
        "<" | "<=" | ">" | ">=" => lexicographic(ctx, name, &pairs),
        _ => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("could not determine interpretation of row comparison operator {name}"),
        )),
    }
}

/// `a < c OR (a = c AND b < d)`; the last field decides with the operator itself.
fn lexicographic(
    ctx: &QueryContext<'_>,
    name: &str,
    pairs: &[(TypedScalar, TypedScalar)],
) -> Result<QueryScalar, SqlError> {
    let strict = name.trim_end_matches('=');
    let compare = |name: &str, (left, right): &(TypedScalar, TypedScalar)| {
        binary(ctx, name, left.clone(), right.clone()).map(|compared| compared.expr)
    };
    let mut result: Option<QueryScalar> = None;
    for pair in pairs.iter().rev() {
        result = Some(match result {
            None => compare(name, pair)?,
            Some(rest) => QueryScalar::Or(vec![
                compare(strict, pair)?,
                QueryScalar::And(vec![compare("=", pair)?, rest]),
            ]),
        });
    }
    result.ok_or_else(|| {
        SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot compare rows of zero length")
    })
}

/// The name of an operator as PostgreSQL has it; None for what is no operator there.
pub(super) fn operator_name(op: &BinaryOperator) -> Option<String> {
    Some(match op {
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
        BinaryOperator::Custom(name) => name.clone(),
        BinaryOperator::Xor
        | BinaryOperator::DuckIntegerDivide
        | BinaryOperator::MyIntegerDivide
        | BinaryOperator::Match
        | BinaryOperator::Regexp
        | BinaryOperator::Glob
        | BinaryOperator::Assignment
        | BinaryOperator::Overlaps
        | BinaryOperator::Spaceship => return None,
        other => other.to_string(),
    })
}

impl ExprContext<'_> {
    pub(super) fn binary_operation(
        &self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
    ) -> Result<TypedScalar, SqlError> {
        match op {
            BinaryOperator::And | BinaryOperator::Or => self.connective(left, op, right),
            BinaryOperator::Overlaps => self.overlaps(left, right),
            _ => {
                if let (Some(one), Some(two)) = (collation_of(left), collation_of(right))
                    && one != two
                {
                    let message = format!(
                        "collation mismatch between explicit collations \"{one}\" and \"{two}\""
                    );
                    return Err(self.ctx.error(
                        SqlState::COLLATION_MISMATCH,
                        message,
                        right.span(),
                    ));
                }
                let Some(name) = operator_name(op) else {
                    return Err(self.ctx.unsupported(&format!("the operator {op}"), left.span()));
                };
                self.operation(left, &name, right)
            }
        }
    }

    /// `(start, end) OVERLAPS (start, end)`
    fn overlaps(&self, left: &Expr, right: &Expr) -> Result<TypedScalar, SqlError> {
        let (Some(one), Some(two)) = (self.row_values(left)?, self.row_values(right)?) else {
            return Err(self.ctx.unsupported("OVERLAPS of other than two periods", left.span()));
        };
        for (parts, side) in [(&one, "left"), (&two, "right")] {
            if parts.len() != 2 {
                let message =
                    format!("wrong number of parameters on {side} side of OVERLAPS expression");
                return Err(self.ctx.error(SqlState::SYNTAX_ERROR, message, left.span()));
            }
        }
        call_by_name(self.ctx, "overlaps", [one, two].concat())
            .map_err(|error| self.ctx.locate(error, left.span()))
    }

    /// AND or OR: a chain of the same becomes one.
    fn connective(
        &self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
    ) -> Result<TypedScalar, SqlError> {
        let parts = chain(left, op, right)
            .into_iter()
            .map(|part| self.boolean_operand(part, &op.to_string()))
            .collect::<Result<_, _>>()?;
        Ok(boolean(match op {
            BinaryOperator::And => QueryScalar::And(parts),
            _ => QueryScalar::Or(parts),
        }))
    }

    pub(super) fn boolean_operand(
        &self,
        expr: &Expr,
        clause: &str,
    ) -> Result<QueryScalar, SqlError> {
        let planned = self.plan(expr)?;
        let value = coerce_boolean(self.ctx, planned, clause)
            .map_err(|error| self.ctx.locate(error, expr.span()))?;
        if returns_set(&value) {
            return Err(self.ctx.error(
                SqlState::DATATYPE_MISMATCH,
                format!("argument of {clause} must not return a set"),
                expr.span(),
            ));
        }
        Ok(value)
    }

    fn operation(&self, left: &Expr, name: &str, right: &Expr) -> Result<TypedScalar, SqlError> {
        let located = |error| self.ctx.locate_operator(error, left.span(), name);
        if let Some(one) = self.row_values(left)? {
            if let Expr::Subquery(query) = bare(right) {
                return compare_with_row(self, &one, name, query).map(boolean).map_err(located);
            }
            if let Some(two) = self.row_values(right)? {
                return compare_rows(self.ctx, name, one, two).map(boolean).map_err(located);
            }
        }
        let one = self.plan(left)?;
        let two = self.plan(right)?;
        self.binary_located(name, one, two, left.span(), right.span())
    }

    /// An operator on planned sides; errors in coercing a constant point at the constant.
    pub(super) fn binary_located(
        &self,
        name: &str,
        one: TypedScalar,
        two: TypedScalar,
        left: Span,
        right: Span,
    ) -> Result<TypedScalar, SqlError> {
        let unknown_right = two.typ.scalar_type == ScalarType::Unknown;
        binary(self.ctx, name, one, two).map_err(|error| match error.code {
            SqlState::UNDEFINED_FUNCTION | SqlState::AMBIGUOUS_FUNCTION => {
                self.ctx.locate_operator(error, left, name)
            }
            _ if unknown_right => self.ctx.locate(error, right),
            _ => self.ctx.locate(error, left),
        })
    }

    pub(super) fn plan_all(&self, exprs: &[Expr]) -> Result<Vec<TypedScalar>, SqlError> {
        exprs.iter().map(|expr| self.plan(expr)).collect()
    }

    pub(super) fn unary_operation(
        &self,
        op: UnaryOperator,
        expr: &Expr,
    ) -> Result<TypedScalar, SqlError> {
        if is_minus(op)
            && let Some(digits) = number_text(expr)
        {
            return literal::number(self.ctx, digits, true)
                .map_err(|error| self.ctx.locate(error, expr.span()));
        }
        let name = match op {
            UnaryOperator::Not => {
                let operand = self.boolean_operand(expr, "NOT")?;
                return Ok(boolean(QueryScalar::Not(Box::new(operand))));
            }
            UnaryOperator::Plus => "+",
            UnaryOperator::Minus => "-",
            UnaryOperator::BitwiseNot => "~",
            UnaryOperator::PGAbs => "@",
            UnaryOperator::PGSquareRoot => "|/",
            UnaryOperator::PGCubeRoot => "||/",
            UnaryOperator::PGPrefixFactorial => "!!",
            _ => {
                return Err(self.ctx.unsupported(&format!("the operator {op}"), expr.span()));
            }
        };
        let operand = self.plan(expr)?;
        prefix(self.ctx, name, operand)
            .map_err(|error| self.ctx.locate_before(error, expr.span(), name))
    }

    /// `x op ANY (..)`, `x op ALL (..)`
    pub(super) fn quantified(
        &self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        quantifier: Quantifier,
    ) -> Result<TypedScalar, SqlError> {
        let Some(name) = operator_name(op) else {
            return Err(self.ctx.unsupported(&format!("the operator {op}"), left.span()));
        };
        self.quantified_by(left, &name, right, quantifier)
    }

    /// The same, with the name of the operator.
    pub(super) fn quantified_by(
        &self,
        left: &Expr,
        name: &str,
        right: &Expr,
        quantifier: Quantifier,
    ) -> Result<TypedScalar, SqlError> {
        match bare(right) {
            Expr::Subquery(query) => {
                let sides = match self.row_values(left)? {
                    Some(values) => values,
                    None => vec![self.plan(left)?],
                };
                plan_quantified(self, &sides, name, quantifier, query)
                    .map(boolean)
                    .map_err(|error| self.ctx.locate_operator(error, left.span(), name))
            }
            Expr::Array(array) if !array.elem.is_empty() => {
                self.quantified_list(left, name, &array.elem, quantifier)
            }
            other => {
                crate::query::subquery::plan_quantified_array(self, left, name, quantifier, other)
                    .map(boolean)
                    .map_err(|error| self.ctx.locate_operator(error, left.span(), name))
            }
        }
    }

    fn quantified_list(
        &self,
        left: &Expr,
        name: &str,
        exprs: &[Expr],
        quantifier: Quantifier,
    ) -> Result<TypedScalar, SqlError> {
        let value = self.plan(left)?;
        let elements = self.plan_all(exprs)?;
        let spans: Vec<Span> = exprs.iter().map(Spanned::span).collect();
        let (elements, typ) = crate::query::cast::unify_at(self.ctx, "ARRAY", elements, &spans)?;
        let parts = elements
            .into_iter()
            .map(|expr| {
                let element = TypedScalar { expr, typ: typ.clone() };
                binary(self.ctx, name, value.clone(), element).map(|compared| compared.expr)
            })
            .collect::<Result<_, _>>()
            .map_err(|error| self.ctx.locate_operator(error, left.span(), name))?;
        Ok(boolean(match quantifier {
            Quantifier::Any => QueryScalar::Or(parts),
            Quantifier::All => QueryScalar::And(parts),
        }))
    }
}

/// The collation that an expression names.
fn collation_of(expr: &Expr) -> Option<&str> {
    match bare(expr) {
        Expr::Collate { collation, .. } => {
            collation.0.last()?.as_ident().map(|ident| ident.value.as_str())
        }
        _ => None,
    }
}

/// The operands of a chain of the same connective, from left to right.
pub(super) fn chain<'x>(left: &'x Expr, op: &BinaryOperator, right: &'x Expr) -> Vec<&'x Expr> {
    let mut parts = vec![right];
    let mut next = left;
    while let Expr::BinaryOp { left, op: inner, right } = next {
        if inner != op {
            break;
        }
        parts.push(right);
        next = left;
    }
    parts.push(next);
    parts.reverse();
    parts
}
