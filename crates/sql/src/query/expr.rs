//! Expressions: from the parser's tree to typed scalars.
//!
//! [`ExprContext::plan`] dispatches, one line a construct. Operators and conditions are in
//! [`operator`] and [`condition`], calls in [`function`], arrays in [`array`], CASE and its kin
//! in [`conditional`], names of output columns in [`name`].

mod arguments;
mod array;
mod condition;
mod conditional;
mod function;
mod json;
mod name;
mod operator;
mod row;
pub(in crate::query) mod sql_json;

use std::rc::Rc;

use sqlparser::ast::{Expr, Ident, ObjectName, Spanned, TypedString, UnaryOperator, Value};
use sqlparser::tokenizer::Span;
use tidemill_plan::QueryScalar;
use tidemill_repr::{ScalarType, SqlError, SqlState};

use super::aggregate::Collector;
use super::error::name_of;
use super::scope::{Found, Place, Scope};
use super::window::WindowPlace;
use super::{QueryContext, TypedScalar, cast, literal, subquery};

pub(super) use function::{call_by_name, function_name, record};
pub(super) use json::{populate, populates};
pub(super) use name::output_name;
pub(super) use operator::{binary, compare_rows};
pub(super) use row::{all_fields, field};

/// Where an expression stands.
#[derive(Clone)]
pub(super) struct ExprContext<'e> {
    pub ctx: &'e QueryContext<'e>,
    /// The names that can be used.
    pub scope: &'e Rc<Scope>,
    /// The clause, as errors name it.
    pub clause: &'static str,
    /// Where aggregate calls are collected; None where there must be none.
    pub aggregates: Option<&'e Rc<Collector>>,
    /// Where calls of functions that give rows are collected; None where there must be none.
    pub sets: Option<&'e Rc<Collector>>,
    /// The construct within the clause that has no place for them.
    pub no_sets_in: Option<&'static str>,
    /// Whether it is the argument of an aggregate.
    pub inside_aggregate: bool,
    /// Where window calls are collected, or why there must be none.
    pub windows: WindowPlace<'e>,
}

impl<'e> ExprContext<'e> {
    /// An expression without aggregates.
    pub fn new(
        ctx: &'e QueryContext<'e>,
        scope: &'e Rc<Scope>,
        clause: &'static str,
    ) -> ExprContext<'e> {
        ExprContext {
            ctx,
            scope,
            clause,
            aggregates: None,
            sets: None,
            no_sets_in: None,
            inside_aggregate: false,
            windows: WindowPlace::Clause,
        }
    }

    /// An expression of a SELECT list and what goes with it.
    pub fn with_aggregates(
        ctx: &'e QueryContext<'e>,
        scope: &'e Rc<Scope>,
        collector: &'e Rc<Collector>,
    ) -> ExprContext<'e> {
        let sets = Some(collector);
        ExprContext { aggregates: sets, sets, ..ExprContext::new(ctx, scope, "SELECT") }
    }

    /// The surroundings of a subquery that stands here.
    pub fn inside(&self) -> Rc<Scope> {
        self.scope.inside(Place {
            collector: self.aggregates.map(Rc::clone),
            inside_aggregate: self.inside_aggregate,
            clause: self.clause,
        })
    }

    /// The parts of a construct that has no place for functions that give rows.
    pub fn without_sets(&self, construct: &'static str) -> ExprContext<'e> {
        ExprContext { sets: None, no_sets_in: Some(construct), ..self.clone() }
    }

    /// The arguments of an aggregate call.
    pub fn within_aggregate(&self) -> ExprContext<'e> {
        let windows = WindowPlace::Aggregate;
        ExprContext {
            aggregates: None,
            sets: None,
            inside_aggregate: true,
            windows,
            ..self.clone()
        }
    }

    /// Plans an expression.
    pub fn plan(&self, expr: &Expr) -> Result<TypedScalar, SqlError> {
        self.ctx.deeper(|| self.dispatch(expr))
    }

    fn dispatch(&self, expr: &Expr) -> Result<TypedScalar, SqlError> {
        match expr {
            Expr::Identifier(ident) => self.identifier(ident),
            Expr::CompoundIdentifier(parts) => self.qualified(parts),
            Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Expr::Nested(inner) => self.plan(inner),
            Expr::Value(value) => literal::plan(self.ctx, value),
            Expr::TypedString(typed) => self.typed_string(typed),
            Expr::Interval(interval) => self.interval(interval),
            Expr::Cast { kind, expr, data_type, format } => {
                self.cast(kind, expr, data_type, format.is_some())
            }
            Expr::Collate { expr, collation } => self.collate(expr, collation),
            Expr::BinaryOp { left, op, right } => self.binary_operation(left, op, right),
            Expr::UnaryOp { op, expr } => self.unary_operation(*op, expr),
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_) => self.is_test(expr),
            Expr::IsJson { expr, kind, unique_keys, negated } => {
                self.is_json(expr, kind.as_ref(), unique_keys.as_ref(), *negated)
            }
            Expr::IsNormalized { expr, form, negated } => {
                self.is_normalized(expr, form.as_ref(), *negated)
            }
            Expr::IsDistinctFrom(left, right) => self.is_distinct(left, right, false),
            Expr::IsNotDistinctFrom(left, right) => self.is_distinct(left, right, true),
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Expr::InSubquery { expr, subquery, negated } => {
                self.in_subquery(expr, subquery, *negated)
            }
            Expr::Between { expr, negated, low, high } => self.between(expr, low, high, *negated),
            Expr::Like { negated, any, expr, pattern, escape_char } => {
                self.like("~~", *any, *negated, expr, pattern, escape_char.as_deref())
            }
            Expr::ILike { negated, any, expr, pattern, escape_char } => {
                self.like("~~*", *any, *negated, expr, pattern, escape_char.as_deref())
            }
            Expr::SimilarTo { negated, expr, pattern, escape_char } => {
                self.similar(*negated, expr, pattern, escape_char.as_deref())
            }
            Expr::AnyOp { left, compare_op, right, .. } => {
                self.quantified(left, compare_op, right, subquery::Quantifier::Any)
            }
            Expr::AllOp { left, compare_op, right } => {
                self.quantified(left, compare_op, right, subquery::Quantifier::All)
            }
            Expr::Exists { subquery, negated } => self.exists(subquery, *negated),
            Expr::Subquery(query) => subquery::plan_scalar_subquery(self, query),
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Array(array) => self.array(array),
            Expr::Tuple(_) => self.row(expr),
            Expr::Function(function) => self.function(function),
            Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Overlay { .. }
            | Expr::AtTimeZone { .. } => self.special_function(expr),
            _ => Err(self.ctx.unsupported(&format!("the expression {expr}"), expr.span())),
        }
    }

    fn identifier(&self, ident: &Ident) -> Result<TypedScalar, SqlError> {
        if ident.quote_style.is_none()
            && let Some(value) = self.session_keyword(&ident.value, ident.span)?
        {
            return Ok(value);
        }
        match self.scope.resolve_identifier(self.ctx, ident) {
            Ok(found) => Ok(self.note(found, ident.span)),
            Err(error) if error.code == SqlState::UNDEFINED_COLUMN => {
                if let Some(oid) = self.table_oid(std::slice::from_ref(ident))? {
                    return Ok(oid);
                }
                self.whole_row(None, &name_of(ident), ident.span)?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    fn qualified(&self, parts: &[Ident]) -> Result<TypedScalar, SqlError> {
        let found = match self.scope.resolve_qualified(self.ctx, parts) {
            Err(error) if error.code == SqlState::UNDEFINED_COLUMN => {
                return self.table_oid(parts)?.ok_or(error);
            }
            found => found?,
        };
        let span = parts.first().map_or_else(Span::empty, |ident| ident.span);
        Ok(self.note(found, span))
    }

    fn note(&self, found: Found, span: Span) -> TypedScalar {
        if let (0, Some(collector)) = (found.level, self.aggregates) {
            collector.note_column(found.column, span);
        }
        found.into_scalar()
    }

    fn typed_string(&self, typed: &TypedString) -> Result<TypedScalar, SqlError> {
        let located = |error| self.ctx.locate(error, typed.value.span);
        let typ = self.ctx.data_type(&typed.data_type).map_err(located)?;
        let value = literal::plan(self.ctx, &typed.value)?;
        cast::coerce_explicit(self.ctx, value, &typ).map_err(located)
    }

    fn interval(&self, interval: &sqlparser::ast::Interval) -> Result<TypedScalar, SqlError> {
        let span = interval.value.span();
        let Expr::Value(value) = &*interval.value else {
            return Err(self.ctx.unsupported("an interval that is no constant", span));
        };
        let Some(text) = literal::quoted(&value.value) else {
            return Err(self.ctx.unsupported("an interval that is no constant", span));
        };
        let fields = interval.leading_field.as_ref().map(|first| match &interval.last_field {
            Some(last) => format!("{first} to {last}").to_lowercase(),
            None => first.to_string().to_lowercase(),
        });
        // `SECOND(3)` means digits.
        let digits = interval.fractional_seconds_precision.or(interval.leading_precision);
        let typ = crate::types::interval(fields.as_deref(), digits)
            .map_err(|error| self.ctx.locate(error, span))?;
        literal::parse(self.ctx, text, &typ).map_err(|error| self.ctx.locate(error, span))
    }

    fn cast(
        &self,
        kind: &sqlparser::ast::CastKind,
        expr: &Expr,
        data_type: &sqlparser::ast::DataType,
        has_format: bool,
    ) -> Result<TypedScalar, SqlError> {
        use sqlparser::ast::CastKind;
        if has_format || !matches!(kind, CastKind::Cast | CastKind::DoubleColon) {
            return Err(self.ctx.unsupported("this form of a cast", expr.span()));
        }
        let located = |error: SqlError| match (error.code, kind) {
            (SqlState::CANNOT_COERCE, CastKind::DoubleColon) => {
                self.ctx.locate_operator(error, expr.span(), "::")
            }
            (SqlState::CANNOT_COERCE, _) => self.ctx.locate_before(error, expr.span(), "CAST("),
            _ => self.ctx.locate(error, expr.span()),
        };
        let typ = self
            .ctx
            .data_type(data_type)
            .map_err(|error| self.ctx.locate_after(error, expr.span(), kind))?;
        // `ARRAY[]::int[]` is the only way to say what an empty array is of.
        let value = match (expr, &typ.scalar_type) {
            (Expr::Array(array), ScalarType::Array(element)) => {
                self.array_of(array, Some(element))?
            }
            _ => self.registered(self.plan(expr)?, &typ).map_err(located)?,
        };
        cast::coerce_explicit(self.ctx, value, &typ).map_err(located)
    }

    fn collate(&self, expr: &Expr, collation: &ObjectName) -> Result<TypedScalar, SqlError> {
        let name = collation
            .0
            .last()
            .and_then(|part| part.as_ident())
            .map(|ident| ident.value.clone())
            .unwrap_or_default();
        if let [schema, _] = collation.0.as_slice()
            && let Some(schema) = schema.as_ident().map(name_of)
            && !self.ctx.relations.has_schema(&schema)
        {
            let message = format!("schema \"{schema}\" does not exist");
            return Err(self.ctx.error(SqlState::INVALID_SCHEMA_NAME, message, collation.span()));
        }
        // Of texts of all, bytes are compared.
        if !matches!(name.as_str(), "C" | "POSIX" | "default" | "ucs_basic" | "C.UTF-8" | "C.utf8")
        {
            let message = format!("collation \"{name}\" for encoding \"UTF8\" does not exist");
            let error = self.ctx.error(SqlState::UNDEFINED_OBJECT, message, collation.span());
            return Err(error.with_hint("Texts are compared by their bytes: use \"C\"."));
        }
        let value = self.plan(expr)?;
        let typ = value.typ.scalar_type.base();
        let texts = [ScalarType::Text, ScalarType::Varchar, ScalarType::Bpchar, ScalarType::Name];
        if *typ == ScalarType::Unknown || texts.contains(typ) || matches!(typ, ScalarType::Array(_))
        {
            return Ok(value);
        }
        let message = format!("collations are not supported by type {typ}");
        Err(self.ctx.error(SqlState::DATATYPE_MISMATCH, message, expr.span()))
    }

    /// A condition, of which only truth counts.
    pub fn plan_condition(&self, expr: &Expr) -> Result<QueryScalar, SqlError> {
        self.truth(expr, false, self.clause)
    }

    /// The condition of a join.
    pub fn plan_on(&self, expr: &Expr) -> Result<QueryScalar, SqlError> {
        self.truth(expr, false, "JOIN/ON")
    }
}

/// An expression without the parentheses around it.
pub(super) fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

/// The digits of a number constant.
fn number_text(expr: &Expr) -> Option<&str> {
    match bare(expr) {
        Expr::Value(value) => match &value.value {
            Value::Number(text, false) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a unary operator is the sign of a constant.
fn is_minus(op: UnaryOperator) -> bool {
    op == UnaryOperator::Minus
}
