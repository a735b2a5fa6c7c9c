//! Functions in FROM: those that give rows, and others as tables of one row.

use std::rc::Rc;

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, ObjectName, Spanned, TableAlias};
use sqlparser::tokenizer::Span;
use tidemill_expr::function::TypePattern;
use tidemill_expr::resolve;
use tidemill_plan::QueryExpr;
use tidemill_repr::{ColumnType, ScalarType, SqlError};

use super::{Item, aliased, table_name};
use crate::query::QueryContext;
use crate::query::cast::coerce_implicit;
use crate::query::error::name_of;
use crate::query::expr::ExprContext;
use crate::query::scope::{Scope, TableName};
use crate::query::values::unit;

pub(super) fn plan_function(
    ctx: &QueryContext<'_>,
    name: &ObjectName,
    arguments: &[FunctionArg],
    alias: Option<&TableAlias>,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    let exprs = arguments
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
            _ => Err(ctx.unsupported("this kind of argument", name.span())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let function = crate::query::expr::function_name(ctx, name)?;
    plan_table_function(ctx, &function, &exprs, alias, around, name.span())
}

pub(super) fn plan_unnest(
    ctx: &QueryContext<'_>,
    arrays: &[Expr],
    alias: Option<&TableAlias>,
    around: &Rc<Scope>,
    span: Span,
) -> Result<Item, SqlError> {
    match arrays {
        [array] => plan_table_function(ctx, "unnest", &[array], alias, around, span),
        _ => Err(ctx.unsupported("unnest of several arrays", span)),
    }
}

fn plan_table_function(
    ctx: &QueryContext<'_>,
    name: &str,
    exprs: &[&Expr],
    alias: Option<&TableAlias>,
    around: &Rc<Scope>,
    span: Span,
) -> Result<Item, SqlError> {
    // The row of a function has no columns of its own before it is called; what stands to the
    // left is one scope out.
    let scope = Rc::new(around.empty_beside());
    let planner = ExprContext::new(ctx, &scope, "functions in FROM");
    let arguments = exprs.iter().map(|expr| planner.plan(expr)).collect::<Result<Vec<_>, _>>()?;
    let types: Vec<ScalarType> =
        arguments.iter().map(|argument| argument.typ.scalar_type.clone()).collect();
    let shown = alias.map_or_else(|| name.to_owned(), |alias| name_of(&alias.name));
    let (expr, columns) = match resolve::table_function(name, &types) {
        Some(resolved) => {
            let resolved = resolved.map_err(|error| ctx.locate(error, span))?;
            let arguments = arguments
                .into_iter()
                .zip(&resolved.arguments)
                .map(|(argument, typ)| coerce_implicit(ctx, argument, typ))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| ctx.locate(error, span))?;
            let columns = function_columns(&resolved, &shown);
            let expr = QueryExpr::FlatMap {
                input: Box::new(unit()),
                function: resolved.definition,
                arguments: arguments.into_iter().map(|argument| argument.expr).collect(),
                typ: columns.iter().map(|(_, typ)| typ.clone()).collect(),
            };
            (expr, columns)
        }
        None => {
            let value = crate::query::expr::call_by_name(ctx, name, arguments)
                .map_err(|error| ctx.locate(error, span))?;
            let expr = QueryExpr::Map { input: Box::new(unit()), scalars: vec![value.expr] };
            (expr, vec![(shown.clone(), value.typ)])
        }
    };
    let table = TableName { function: true, ..table_name(&shown) };
    let mut scope = Scope::of_table(table, columns);
    if let Some(alias) = alias {
        scope = aliased(ctx, scope, alias)?;
    }
    Ok(Item { expr, scope })
}

/// Names and types of what a table function gives.
fn function_columns(
    resolved: &resolve::Resolved<tidemill_expr::TableFunctionRef>,
    shown: &str,
) -> Vec<(String, ColumnType)> {
    let definition = resolved.definition;
    let mut element = None;
    for (pattern, typ) in definition.arguments.iter().zip(&resolved.arguments) {
        match (pattern, typ) {
            (TypePattern::AnyArray, ScalarType::Array(inner)) => element = Some((**inner).clone()),
            (TypePattern::AnyElement, typ) => element = element.or_else(|| Some(typ.clone())),
            _ => {}
        }
    }
    let element = element.unwrap_or(ScalarType::Text);
    definition
        .columns
        .iter()
        .map(|(name, pattern)| {
            let typ = match pattern {
                TypePattern::Is(typ) => typ.clone(),
                TypePattern::ArrayOf(typ) => ScalarType::Array(Box::new(typ.clone())),
                TypePattern::Any | TypePattern::AnyElement | TypePattern::AnyNonArray => {
                    element.clone()
                }
                TypePattern::AnyArray => ScalarType::Array(Box::new(element.clone())),
            };
            let name = if name.is_empty() { shown } else { name };
            (name.to_owned(), ColumnType::new(typ))
        })
        .collect()
}
