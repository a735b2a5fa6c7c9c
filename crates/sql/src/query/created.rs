//! Values of types that users create: the rules of domains, rows that become composite, and the
//! functions of enums, which need the type alone.

use std::sync::Arc;

use sqlparser::ast::{Expr, Spanned};
use tidemill_expr::functions::created::DomainProgram;
use tidemill_expr::{CastContext, FunctionRef};
use tidemill_plan::QueryScalar;
use tidemill_repr::{
    ColumnType, CompositeType, Datum, DomainType, EnumType, RelationDesc, Row, RowBuilder,
    ScalarType, SqlError, SqlState,
};

use super::cast::{coerce, coerce_boolean, fold, relabel};
use super::expr::{ExprContext, call_by_name, field};
use super::scope::table_scope;
use super::{QueryContext, TypedScalar, literal, plan_scalar};
use crate::parse::expression;
use crate::statements::over_columns;

/// The name of the value in a domain's conditions.
const VALUE: &str = "value";

/// A value of the type under a domain as one of the domain: what the domain demands is tried.
pub(super) fn into_domain(
    ctx: &QueryContext<'_>,
    value: TypedScalar,
    domain: &Arc<DomainType>,
) -> Result<TypedScalar, SqlError> {
    let typ = ColumnType::new(ScalarType::Domain(Arc::clone(domain)));
    let Some(program) = domain_program(ctx, domain)? else { return Ok(relabel(value, typ)) };
    let function = FunctionRef::by_id("domain_check")
        .ok_or_else(|| SqlError::internal("there is no domain_check"))?;
    let typ = typ.nullable(value.typ.nullable && !program.not_null);
    let arguments = vec![value.expr, literal::text(&program.to_argument()).expr];
    let expr = QueryScalar::Call { function, arguments, typ: typ.clone() };
    Ok(fold(TypedScalar { expr, typ }))
}

/// What the values of a domain must fulfil, and of those under it; None if there is nothing.
///
/// # Errors
/// A condition can no longer be planned.
pub fn domain_program(
    ctx: &QueryContext<'_>,
    domain: &DomainType,
) -> Result<Option<DomainProgram>, SqlError> {
    let mut program = DomainProgram {
        name: ScalarType::Domain(Arc::new(domain.clone())).to_string(),
        not_null: false,
        checks: Vec::new(),
    };
    let mut next = Some(domain);
    while let Some(domain) = next {
        if let Some(rules) = ctx.relations.domain_rules(domain) {
            program.not_null |= rules.not_null;
            // In the end those of what is under it come first.
            for (name, text) in rules.checks.iter().rev() {
                let condition =
                    ctx.deeper(|| domain_condition(ctx, &domain.base, &expression(text)?))?;
                program.checks.push((name.clone(), condition));
            }
        }
        next = match &domain.base.scalar_type {
            ScalarType::Domain(inner) => Some(inner),
            _ => None,
        };
    }
    program.checks.reverse();
    Ok((program.not_null || !program.checks.is_empty()).then_some(program))
}

/// A condition over `VALUE`, which is column 0.
///
/// # Errors
/// It is no condition, or uses what it must not.
pub fn domain_condition(
    ctx: &QueryContext<'_>,
    base: &ColumnType,
    condition: &Expr,
) -> Result<tidemill_expr::ScalarExpr, SqlError> {
    let desc = RelationDesc::new([(VALUE, base.clone().nullable(true))]);
    let planned = plan_scalar(ctx, &table_scope(&desc, ""), condition)?;
    let condition = coerce_boolean(ctx, planned, "CHECK")?;
    over_columns(condition).map_err(|error| match error.code {
        SqlState::FEATURE_NOT_SUPPORTED => {
            SqlError::unsupported("a subquery or parameter in a check constraint")
        }
        _ => error,
    })
}

/// A row as a value of a composite type: each field becomes one of its type.
pub(super) fn into_composite(
    ctx: &QueryContext<'_>,
    value: TypedScalar,
    definition: &Arc<CompositeType>,
    context: CastContext,
) -> Result<TypedScalar, SqlError> {
    let typ = ColumnType::new(ScalarType::Composite(Arc::clone(definition)));
    let refuse = |detail: String| {
        SqlError::new(
            SqlState::CANNOT_COERCE,
            format!("cannot cast type record to {}", typ.scalar_type),
        )
        .with_detail(detail)
    };
    let ScalarType::Record(types) = value.typ.scalar_type.clone() else {
        return Err(SqlError::internal("a row that is none"));
    };
    if types.len() != definition.fields.len() {
        let few = types.len() < definition.fields.len();
        let what = if few { "few" } else { "many" };
        return Err(refuse(format!("Input has too {what} columns.")));
    }
    let mut fields = Vec::with_capacity(types.len());
    for (at, (from, (_, target))) in types.into_iter().zip(&definition.fields).enumerate() {
        let mut part = field(&value, at, ColumnType::new(from.clone()));
        // A constant in a row constructor has got a type that it was not written with.
        if let QueryScalar::Literal(_, typ) = &mut part.expr
            && from == ScalarType::Text
        {
            typ.scalar_type = ScalarType::Unknown;
            part.typ.scalar_type = ScalarType::Unknown;
        }
        let coerced = coerce(ctx, part, target, context)?.ok_or_else(|| {
            let to = &target.scalar_type;
            refuse(format!("Cannot cast type {from} to {to} in column {}.", at + 1))
        })?;
        fields.push(coerced.expr);
    }
    let function = FunctionRef::by_id("record_build")
        .ok_or_else(|| SqlError::internal("there is no record_build"))?;
    let built = QueryScalar::Call { function, arguments: fields, typ: typ.clone().nullable(false) };
    if !value.typ.nullable {
        let typ = typ.nullable(false);
        return Ok(fold(TypedScalar { expr: built, typ }));
    }
    let missing = QueryScalar::IsNull(Box::new(value.expr));
    let none = literal::null(typ.scalar_type.clone()).expr;
    let expr = QueryScalar::If(Box::new(missing), Box::new(none), Box::new(built));
    Ok(TypedScalar { expr, typ })
}

/// A value of a composite type with another value in a field, which the names lead to.
///
/// # Errors
/// There is no such field, or the value cannot be assigned to it.
pub fn with_field(
    ctx: &QueryContext<'_>,
    old: TypedScalar,
    path: &[String],
    value: TypedScalar,
    column: &str,
) -> Result<TypedScalar, SqlError> {
    let Some((name, rest)) = path.split_first() else {
        let typ = old.typ.clone();
        return super::coerce_assignment(ctx, value, &typ, column);
    };
    let ScalarType::Composite(definition) = old.typ.scalar_type.base().clone() else {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "cannot assign to field \"{name}\" of column \"{column}\" because its type {} is \
                 not a composite type",
                old.typ.scalar_type
            ),
        ));
    };
    let Some(wanted) = definition.fields.iter().position(|(known, _)| known == name) else {
        return Err(SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!(
                "cannot assign to field \"{name}\" of column \"{column}\" because there is no such \
                 column in data type {}",
                old.typ.scalar_type
            ),
        ));
    };
    let mut fields = Vec::with_capacity(definition.fields.len());
    for (at, (_, typ)) in definition.fields.iter().enumerate() {
        let part = field(&old, at, typ.clone());
        let part =
            if at == wanted { with_field(ctx, part, rest, value.clone(), column)? } else { part };
        fields.push(part.expr);
    }
    let function = FunctionRef::by_id("record_build")
        .ok_or_else(|| SqlError::internal("there is no record_build"))?;
    let typ = old.typ.clone().nullable(false);
    let base = ColumnType::new(ScalarType::Composite(definition)).nullable(false);
    let expr = QueryScalar::Call { function, arguments: fields, typ: base.clone() };
    match &typ.scalar_type {
        ScalarType::Domain(domain) => into_domain(ctx, TypedScalar { expr, typ: base }, domain),
        _ => Ok(TypedScalar { expr, typ }),
    }
}

/// A label as a value.
fn label(definition: &EnumType, at: Option<usize>) -> Row {
    let found = at.and_then(|at| definition.labels.get(at));
    Row::pack([match found {
        Some((order, label)) => Datum::Enum { order: f32::from_bits(*order), label },
        None => Datum::Null,
    }])
}

/// All labels, in order.
fn labels(definition: &EnumType) -> Row {
    let mut builder = RowBuilder::new();
    let length = i32::try_from(definition.labels.len()).unwrap_or(i32::MAX);
    let dimensions = if length == 0 { Vec::new() } else { vec![(length, 1)] };
    let labels = definition
        .labels
        .iter()
        .map(|(order, label)| Datum::Enum { order: f32::from_bits(*order), label });
    builder.push_array(&dimensions, labels);
    builder.finish()
}

impl ExprContext<'_> {
    /// `enum_first(x)`, `enum_last(x)`, `enum_range(x)`, `enum_range(a, b)`: of the arguments of
    /// the first three only the type counts.
    pub(super) fn enum_function(
        &self,
        name: &str,
        exprs: &[&Expr],
    ) -> Result<TypedScalar, SqlError> {
        let values = exprs.iter().map(|expr| self.plan(expr)).collect::<Result<Vec<_>, _>>()?;
        let definition = values.iter().find_map(|value| match value.typ.scalar_type.base() {
            ScalarType::Enum(definition) => Some(Arc::clone(definition)),
            _ => None,
        });
        let Some(definition) = definition else {
            if !exprs.is_empty()
                && values.iter().all(|value| value.typ.scalar_type == ScalarType::Unknown)
            {
                return Err(SqlError::new(
                    SqlState::INDETERMINATE_DATATYPE,
                    "could not determine polymorphic type because input has type unknown",
                ));
            }
            return call_by_name(self.ctx, name, values);
        };
        let one = ScalarType::Enum(Arc::clone(&definition));
        let many = ColumnType::new(ScalarType::Array(Box::new(one.clone())));
        let constant = |row: Row, typ: ColumnType| {
            let typ = typ.nullable(row.iter().next().is_none_or(|datum| datum.is_null()));
            TypedScalar { expr: QueryScalar::Literal(Ok(row), typ.clone()), typ }
        };
        match (name, values.len()) {
            ("enum_first", 1) => Ok(constant(label(&definition, Some(0)), ColumnType::new(one))),
            ("enum_last", 1) => {
                let last = definition.labels.len().checked_sub(1);
                Ok(constant(label(&definition, last), ColumnType::new(one)))
            }
            ("enum_range", 1) => Ok(constant(labels(&definition), many)),
            ("enum_range", 2) => {
                let mut arguments = vec![constant(labels(&definition), many)];
                for (value, expr) in values.into_iter().zip(exprs) {
                    let coerced = super::cast::coerce_implicit(self.ctx, value, &one)
                        .map_err(|error| self.ctx.locate(error, expr.span()))?;
                    arguments.push(coerced);
                }
                call_by_name(self.ctx, "enum_range_of", arguments)
            }
            _ => call_by_name(self.ctx, name, values),
        }
    }
}
