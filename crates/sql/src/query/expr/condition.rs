//! Conditions: the IS tests, IN, BETWEEN, LIKE, EXISTS, and what only truth matters of.

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, NormalizationForm,
    ObjectNamePart, Query, Spanned, UnaryOperator,
};
use tidemill_expr::resolve;
use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, ScalarType, SqlError, SqlState};

use super::operator::{binary, boolean, chain, compare_rows};
use super::row::row_null_test;
use super::{ExprContext, bare, call_by_name};
use crate::query::aggregate::returns_set;
use crate::query::cast::{coerce_boolean, coerce_implicit, resolve_unknown};
use crate::query::subquery::{Quantifier, plan_exists, plan_in_truth, plan_quantified};
use crate::query::{TypedScalar, literal};

fn not(expr: QueryScalar) -> QueryScalar {
    QueryScalar::Not(Box::new(expr))
}

fn maybe_not(expr: QueryScalar, negated: bool) -> QueryScalar {
    if negated { not(expr) } else { expr }
}

/// A boolean value that is never NULL.
fn certain(expr: QueryScalar) -> TypedScalar {
    TypedScalar { expr, typ: ColumnType::new(ScalarType::Bool).nullable(false) }
}

impl ExprContext<'_> {
    /// `IS NFC NORMALIZED`
    pub(super) fn is_normalized(
        &self,
        expr: &Expr,
        form: Option<&NormalizationForm>,
        negated: bool,
    ) -> Result<TypedScalar, SqlError> {
        let form = form.map_or("NFC".to_owned(), ToString::to_string);
        let arguments = vec![self.plan(expr)?, literal::text(&form)];
        let test = call_by_name(self.ctx, "is_normalized", arguments)
            .map_err(|error| self.ctx.locate(error, expr.span()))?;
        Ok(boolean(maybe_not(test.expr, negated)))
    }

    /// A condition that is true exactly where `expr` (with `negated`, NOT `expr`) is true.
    pub(super) fn truth(
        &self,
        expr: &Expr,
        negated: bool,
        clause: &str,
    ) -> Result<QueryScalar, SqlError> {
        self.ctx.deeper(|| match bare(expr) {
            Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
                let word = if *op == BinaryOperator::And { "AND" } else { "OR" };
                let parts = chain(left, op, right)
                    .into_iter()
                    .map(|part| self.truth(part, negated, word))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(if (*op == BinaryOperator::And) == negated {
                    QueryScalar::Or(parts)
                } else {
                    QueryScalar::And(flatten(parts))
                })
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => self.truth(expr, !negated, "NOT"),
            Expr::InSubquery { expr, subquery, negated: not_in } => {
                let left = self.left_of_in(expr)?;
                plan_in_truth(self, &left, subquery, *not_in != negated)
                    .map_err(|error| self.ctx.locate_operator(error, expr.span(), "IN"))
            }
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. }
                if matches!(bare(right), Expr::Subquery(_)) =>
            {
                let Expr::Subquery(query) = bare(right) else {
                    return Err(SqlError::internal("a subquery that is none"));
                };
                plan_in_truth(self, &self.left_of_in(left)?, query, negated)
                    .map_err(|error| self.ctx.locate_operator(error, left.span(), "="))
            }
            other => {
                let planned = self.plan(other)?;
                let value =
                    coerce_boolean(self.ctx, planned, clause).map_err(|error| match other {
                        Expr::Subquery(_) => self.ctx.locate_before(error, other.span(), "("),
                        _ => self.ctx.locate(error, other.span()),
                    })?;
                Ok(maybe_not(value, negated))
            }
        })
    }

    fn left_of_in(&self, expr: &Expr) -> Result<Vec<TypedScalar>, SqlError> {
        match self.row_values(expr)? {
            Some(values) => Ok(values),
            None => Ok(vec![self.plan(expr)?]),
        }
    }

    pub(super) fn is_test(&self, expr: &Expr) -> Result<TypedScalar, SqlError> {
        let is_null = |scalar: QueryScalar| QueryScalar::IsNull(Box::new(scalar));
        let truth_is = |scalar: QueryScalar, value: bool| {
            let both = vec![not(is_null(scalar.clone())), maybe_not(scalar, !value)];
            QueryScalar::And(both)
        };
        Ok(certain(match expr {
            Expr::IsNull(inner) => self.null_test(inner, true)?,
            Expr::IsNotNull(inner) => self.null_test(inner, false)?,
            Expr::IsUnknown(inner) => is_null(self.boolean_operand(inner, "IS UNKNOWN")?),
            Expr::IsNotUnknown(inner) => {
                not(is_null(self.boolean_operand(inner, "IS NOT UNKNOWN")?))
            }
            Expr::IsTrue(inner) => truth_is(self.boolean_operand(inner, "IS TRUE")?, true),
            Expr::IsNotTrue(inner) => {
                not(truth_is(self.boolean_operand(inner, "IS NOT TRUE")?, true))
            }
            Expr::IsFalse(inner) => truth_is(self.boolean_operand(inner, "IS FALSE")?, false),
            Expr::IsNotFalse(inner) => {
                not(truth_is(self.boolean_operand(inner, "IS NOT FALSE")?, false))
            }
            other => return Err(self.ctx.unsupported("this test", other.span())),
        }))
    }

    /// `x IS [NOT] NULL`; of a row it is asked of each field.
    fn null_test(&self, expr: &Expr, null: bool) -> Result<QueryScalar, SqlError> {
        let test = |scalar: TypedScalar| {
            let scalar = resolve_unknown(self.ctx, scalar)?;
            Ok(maybe_not(QueryScalar::IsNull(Box::new(scalar.expr)), !null))
        };
        match self.row_values(expr)? {
            Some(values) => {
                let tests = values.into_iter().map(test).collect::<Result<_, SqlError>>()?;
                Ok(QueryScalar::And(tests))
            }
            None => {
                let value = self.plan(expr)?;
                match row_null_test(&value, null) {
                    Some(tested) => Ok(tested),
                    None => test(value),
                }
            }
        }
    }

    pub(super) fn is_distinct(
        &self,
        left: &Expr,
        right: &Expr,
        negated: bool,
    ) -> Result<TypedScalar, SqlError> {
        let pairs: Vec<(TypedScalar, TypedScalar)> =
            match (self.row_values(left)?, self.row_values(right)?) {
                (Some(one), Some(two)) if one.len() == two.len() => {
                    one.into_iter().zip(two).collect()
                }
                (Some(_), Some(_)) => {
                    return Err(self.ctx.error(
                        SqlState::SYNTAX_ERROR,
                        "unequal number of entries in row expressions",
                        left.span(),
                    ));
                }
                _ => vec![(self.plan(left)?, self.plan(right)?)],
            };
        let same = pairs
            .into_iter()
            .map(|(one, two)| self.not_distinct(one, two, left))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(certain(maybe_not(QueryScalar::And(same), !negated)))
    }

    /// Both NULL, or both not and equal.
    fn not_distinct(
        &self,
        one: TypedScalar,
        two: TypedScalar,
        at: &Expr,
    ) -> Result<QueryScalar, SqlError> {
        // Where a side is the constant NULL, there is nothing to compare.
        let is_null = |scalar: &QueryScalar| QueryScalar::IsNull(Box::new(scalar.clone()));
        let (left, right) = (
            resolve_unknown_like(self, &one, &two)?.expr,
            resolve_unknown_like(self, &two, &one)?.expr,
        );
        let null = |scalar: &TypedScalar| literal::unknown_text(&scalar.expr) == Some(None);
        if null(&one) || null(&two) {
            return Ok(QueryScalar::And(vec![is_null(&left), is_null(&right)]));
        }
        let equal = self.binary_located("=", one, two, at.span(), at.span())?.expr;
        Ok(QueryScalar::Or(vec![
            QueryScalar::And(vec![is_null(&left), is_null(&right)]),
            QueryScalar::And(vec![not(is_null(&left)), not(is_null(&right)), equal]),
        ]))
    }

    pub(super) fn in_list(
        &self,
        expr: &Expr,
        list: &[Expr],
        negated: bool,
    ) -> Result<TypedScalar, SqlError> {
        let located = |error| self.ctx.locate_operator(error, expr.span(), "IN");
        if let Some(left) = self.row_values(expr)? {
            let mut ways = Vec::new();
            for item in list {
                let Some(right) = self.row_values(item)? else {
                    return Err(self.ctx.unsupported("a row compared with a value", item.span()));
                };
                ways.push(compare_rows(self.ctx, "=", left.clone(), right).map_err(located)?);
            }
            return Ok(boolean(maybe_not(QueryScalar::Or(ways), negated)));
        }
        let left = self.plan(expr)?;
        let items = self.plan_all(list)?;
        let types: Vec<ScalarType> = std::iter::once(&left)
            .chain(&items)
            .map(|scalar| scalar.typ.scalar_type.clone())
            .collect();
        // One type for all where there is one, as PostgreSQL does; else each on its own.
        let common = resolve::common_type("IN", &types).ok();
        let mut ways = Vec::new();
        for (item, at) in items.into_iter().zip(list) {
            let item = match &common {
                Some(typ) => coerce_implicit(self.ctx, item, typ)
                    .map_err(|error| self.ctx.locate(error, at.span()))?,
                None => item,
            };
            ways.push(binary(self.ctx, "=", left.clone(), item).map_err(located)?.expr);
        }
        Ok(boolean(maybe_not(QueryScalar::Or(ways), negated)))
    }

    pub(super) fn in_subquery(
        &self,
        expr: &Expr,
        query: &Query,
        negated: bool,
    ) -> Result<TypedScalar, SqlError> {
        let left = self.left_of_in(expr)?;
        let value = plan_quantified(self, &left, "=", Quantifier::Any, query)
            .map_err(|error| self.ctx.locate_operator(error, expr.span(), "IN"))?;
        Ok(boolean(maybe_not(value, negated)))
    }

    pub(super) fn exists(&self, query: &Query, negated: bool) -> Result<TypedScalar, SqlError> {
        Ok(certain(maybe_not(plan_exists(self, query)?, negated)))
    }

    pub(super) fn between(
        &self,
        expr: &Expr,
        low: &Expr,
        high: &Expr,
        negated: bool,
    ) -> Result<TypedScalar, SqlError> {
        let (low_bound, symmetric) = without_mark(low);
        let low = &low_bound;
        let value = self.plan(expr)?;
        let (low_value, high_value) = (self.plan(low)?, self.plan(high)?);
        if [&value, &low_value, &high_value].iter().any(|value| returns_set(&value.expr)) {
            return Err(self.ctx.error(
                SqlState::DATATYPE_MISMATCH,
                "argument of AND must not return a set",
                expr.span(),
            ));
        }
        let compare = |name: &str, bound: TypedScalar, at: &Expr| {
            self.binary_located(name, value.clone(), bound, expr.span(), at.span())
                .map(|compared| compared.expr)
                .map_err(|error| {
                    let word = if negated { "NOT" } else { "BETWEEN" };
                    self.ctx.locate_operator(error, expr.span(), word)
                })
        };
        let between = |low_value: TypedScalar, high_value: TypedScalar| {
            Ok::<_, SqlError>(QueryScalar::And(vec![
                compare(">=", low_value, low)?,
                compare("<=", high_value, high)?,
            ]))
        };
        let mut ways = vec![between(low_value.clone(), high_value.clone())?];
        if symmetric {
            ways.push(between(high_value, low_value)?);
        }
        Ok(boolean(maybe_not(QueryScalar::Or(ways), negated)))
    }

    pub(super) fn like(
        &self,
        name: &str,
        any: bool,
        negated: bool,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> Result<TypedScalar, SqlError> {
        if escape.is_none() {
            let quantified = match any {
                true => Some((Quantifier::Any, pattern)),
                false => quantifier_call(pattern),
            };
            if let Some((quantifier, pattern)) = quantified {
                let name = if negated { format!("!{name}") } else { name.to_owned() };
                return self.quantified_by(expr, &name, pattern, quantifier);
            }
        }
        let value = self.plan(expr)?;
        let mut pattern_value = self.plan(pattern)?;
        if let Some(escape) = escape {
            let escape_value = self.plan(escape)?;
            pattern_value =
                call_by_name(self.ctx, "like_escape", vec![pattern_value, escape_value])
                    .map_err(|error| self.ctx.locate(error, escape.span()))?;
        }
        let name = if negated { format!("!{name}") } else { name.to_owned() };
        let word = match (negated, name.ends_with('*')) {
            (true, _) => "NOT",
            (false, true) => "ILIKE",
            (false, false) => "LIKE",
        };
        self.binary_located(&name, value, pattern_value, expr.span(), pattern.span())
            .map_err(|error| self.ctx.locate_operator(error, expr.span(), word))
    }

    /// `x SIMILAR TO p` is a match of the regular expression that p means.
    pub(super) fn similar(
        &self,
        negated: bool,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> Result<TypedScalar, SqlError> {
        let value = self.plan(expr)?;
        let mut arguments = vec![self.plan(pattern)?];
        if let Some(escape) = escape {
            arguments.push(self.plan(escape)?);
        }
        let regex = call_by_name(self.ctx, "similar_to_escape", arguments)
            .map_err(|error| self.ctx.locate(error, pattern.span()))?;
        let name = if negated { "!~" } else { "~" };
        self.binary_located(name, value, regex, expr.span(), pattern.span())
    }
}

/// `ALL (..)` after LIKE, which sqlparser reads as a call.
fn quantifier_call(pattern: &Expr) -> Option<(Quantifier, &Expr)> {
    let Expr::Function(function) = pattern else { return None };
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    let quantifier = match (name.quote_style, name.value.as_str()) {
        (None, "all") => Quantifier::All,
        (None, "any" | "some") => Quantifier::Any,
        _ => return None,
    };
    match &function.args {
        FunctionArguments::List(list) => match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => Some((quantifier, expr)),
            _ => None,
        },
        _ => None,
    }
}

/// The lower bound, and whether it has the mark of BETWEEN SYMMETRIC.
fn without_mark(low: &Expr) -> (Expr, bool) {
    let mut low = low.clone();
    let mut next = &mut low;
    loop {
        match next {
            Expr::UnaryOp { op: UnaryOperator::PGPrefixFactorial, expr } => {
                let inner = std::mem::replace(&mut **expr, Expr::Tuple(Vec::new()));
                *next = inner;
                return (low, true);
            }
            Expr::BinaryOp { left, .. } => next = left,
            Expr::Cast { expr, .. } | Expr::Collate { expr, .. } => next = expr,
            Expr::AtTimeZone { timestamp, .. } => next = timestamp,
            Expr::CompoundFieldAccess { root, .. } => next = root,
            _ => return (low, false),
        }
    }
}

/// A value without a type takes that of what it is compared with.
fn resolve_unknown_like(
    planner: &ExprContext<'_>,
    value: &TypedScalar,
    other: &TypedScalar,
) -> Result<TypedScalar, SqlError> {
    if value.typ.scalar_type != ScalarType::Unknown {
        return Ok(value.clone());
    }
    if literal::unknown_text(&value.expr) == Some(None) {
        return Ok(literal::null(ScalarType::Text));
    }
    let typ = match &other.typ.scalar_type {
        ScalarType::Unknown => &ScalarType::Text,
        typ => typ,
    };
    coerce_implicit(planner.ctx, value.clone(), typ)
}

/// A conjunction of conjunctions as one.
fn flatten(parts: Vec<QueryScalar>) -> Vec<QueryScalar> {
    let mut flat = Vec::new();
    for part in parts {
        match part {
            QueryScalar::And(inner) => flat.extend(inner),
            other => flat.push(other),
        }
    }
    flat
}
