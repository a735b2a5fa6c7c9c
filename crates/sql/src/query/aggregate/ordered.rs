//! Aggregates WITHIN GROUP: percentiles, `mode`, and the place of a row that might be.

use sqlparser::ast::{
    DuplicateTreatment, Function, FunctionArg, FunctionArgExpr, FunctionArguments, OrderByExpr,
    Spanned,
};
use tidemill_expr::aggregate::{Hypothetical, SortDirection};
use tidemill_expr::{AggregateKind, resolve};
use tidemill_plan::QueryScalar;
use tidemill_plan::query::QueryAggregate;
use tidemill_repr::{ColumnType, ScalarType, SqlError, SqlState};

use super::{Call, Collector, is_aggregate, plan_filter, present_record};
use crate::query::cast::{coerce_implicit, common_column_type, resolve_unknown};
use crate::query::expr::{ExprContext, record};
use crate::query::{QueryContext, TypedScalar, order, walk};

/// Whether an aggregate needs WITHIN GROUP.
pub(super) fn is_ordered_set(name: &str) -> bool {
    matches!(name, "mode" | "percentile_cont" | "percentile_disc")
}

fn hypothetical(name: &str) -> Option<Hypothetical> {
    Some(match name {
        "rank" => Hypothetical::Rank,
        "dense_rank" => Hypothetical::DenseRank,
        "percent_rank" => Hypothetical::PercentRank,
        "cume_dist" => Hypothetical::CumeDist,
        _ => return None,
    })
}

/// Plans a call with WITHIN GROUP.
pub(in crate::query) fn plan_ordered_set(
    planner: &ExprContext<'_>,
    name: &str,
    function: &Function,
) -> Result<TypedScalar, SqlError> {
    let ctx = planner.ctx;
    let span = function.name.span();
    if hypothetical(name).is_none() && !is_ordered_set(name) {
        known(planner, name, function)?;
        let message = match is_aggregate(name) {
            true => {
                format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP")
            }
            false => format!("WITHIN GROUP specified, but {name} is not an aggregate function"),
        };
        return Err(ctx.error(SqlState::WRONG_OBJECT_TYPE, message, span));
    }
    let FunctionArguments::List(list) = &function.args else {
        return Err(ctx.unsupported("this form of arguments", span));
    };
    if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
        let message = "cannot use DISTINCT with WITHIN GROUP";
        return Err(ctx.error(SqlState::SYNTAX_ERROR, message, span));
    }
    if !list.clauses.is_empty() {
        let message = "cannot use multiple ORDER BY clauses with WITHIN GROUP";
        return Err(ctx.error(SqlState::SYNTAX_ERROR, message, span));
    }
    let inner = planner.within_aggregate();
    let filter = plan_filter(&inner, function)?;
    let mut direct = list
        .args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => inner.plan(expr),
            _ => Err(ctx.unsupported("this kind of argument", span)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let order = plan_keys(&inner, &function.within_group)?;
    let mut call = Call { name, distinct: false, filter, order };
    let parts: Vec<&QueryScalar> = direct.iter().map(|argument| &argument.expr).collect();
    let (level, collector) = call.home(planner, &parts, span)?;
    direct.iter_mut().for_each(|argument| walk::shift_scalar(&mut argument.expr, 0, -level));
    let mut value =
        plan(ctx, &call, &collector, direct).map_err(|error| ctx.locate(error, span))?;
    walk::shift_scalar(&mut value.expr, 0, level);
    Ok(value)
}

/// A call without WITHIN GROUP is refused as unknown, unless the keys are among its arguments.
pub(super) fn without_group(
    planner: &ExprContext<'_>,
    name: &str,
    function: &Function,
) -> Result<(), SqlError> {
    let arguments = planner.plain_arguments(function)?;
    let keys = if name == "mode" { 1 } else { 2 };
    if arguments.len() == keys {
        return Ok(());
    }
    let mut types = Vec::new();
    for expr in arguments {
        types.push(planner.within_aggregate().plan(expr)?.typ.scalar_type.to_string());
    }
    let message = format!("function {name}({}) does not exist", types.join(", "));
    Err(planner.ctx.error(SqlState::UNDEFINED_FUNCTION, message, function.name.span()))
}

/// Whether there is such a function at all, with the keys as its last arguments.
fn known(planner: &ExprContext<'_>, name: &str, function: &Function) -> Result<(), SqlError> {
    let span = function.name.span();
    let mut types = Vec::new();
    for expr in planner.plain_arguments(function)? {
        types.push(planner.plan(expr)?.typ.scalar_type);
    }
    for key in &function.within_group {
        types.push(planner.plan(&key.expr)?.typ.scalar_type);
    }
    let found = match resolve::aggregate(name, &types) {
        Some(found) => found.map(|_| ()),
        None => resolve::function(name, &types).map(|_| ()),
    };
    found.map_err(|error| planner.ctx.locate(error, span))
}

/// The keys as they are: what has no type may get one from an argument.
fn plan_keys(
    planner: &ExprContext<'_>,
    keys: &[OrderByExpr],
) -> Result<Vec<(TypedScalar, SortDirection)>, SqlError> {
    keys.iter().map(|key| Ok((planner.plan(&key.expr)?, order::direction(key)?))).collect()
}

fn plan(
    ctx: &QueryContext<'_>,
    call: &Call<'_>,
    collector: &Collector,
    direct: Vec<TypedScalar>,
) -> Result<TypedScalar, SqlError> {
    let (keys, directions): (Vec<TypedScalar>, Vec<SortDirection>) =
        call.order.iter().cloned().unzip();
    let (kind, argument, typ) = match hypothetical(call.name) {
        Some(what) => {
            let typ = match what {
                Hypothetical::Rank | Hypothetical::DenseRank => ScalarType::Int8,
                Hypothetical::PercentRank | Hypothetical::CumeDist => ScalarType::Float8,
            };
            let fields = unified(ctx, call.name, direct, keys)?;
            let typ = ColumnType::new(typ).nullable(false);
            (AggregateKind::Hypothetical(what), record(ctx, fields)?, typ)
        }
        None => {
            let arguments: Vec<TypedScalar> = direct.into_iter().chain(keys).collect();
            let types: Vec<ScalarType> =
                arguments.iter().map(|argument| argument.typ.scalar_type.clone()).collect();
            let resolved = resolve::aggregate(call.name, &types).unwrap_or_else(|| {
                Err(SqlError::internal(format!("no aggregate {}", call.name)))
            })?;
            let mut values = arguments
                .into_iter()
                .zip(&resolved.arguments)
                .map(|(argument, typ)| resolve_unknown(ctx, coerce_implicit(ctx, argument, typ)?))
                .collect::<Result<Vec<_>, _>>()?;
            let types: Vec<ScalarType> =
                values.iter().map(|value| value.typ.scalar_type.clone()).collect();
            let kind = resolved.definition.kind(&types);
            let typ = match &kind {
                AggregateKind::PercentileCont(typ) | AggregateKind::PercentileDisc(typ) => {
                    typ.clone()
                }
                _ => resolved.returns.clone(),
            };
            let Some(value) = values.pop() else {
                return Err(SqlError::internal(format!("{} without a value", call.name)));
            };
            // NULL is no value; a fraction that is NULL stays.
            let missing = present_record(ctx, vec![value.clone()])?;
            values.push(value);
            let mut whole = record(ctx, values)?;
            if let QueryScalar::If(missing, _, _) = missing.expr {
                let null = super::literal::null(whole.typ.scalar_type.clone()).expr;
                whole.expr = QueryScalar::If(missing, Box::new(null), Box::new(whole.expr));
                whole.typ = whole.typ.nullable(true);
            }
            (kind, whole, ColumnType::new(typ))
        }
    };
    Ok(collector.add(QueryAggregate {
        kind,
        argument: call.filtered(argument),
        distinct: false,
        order: directions,
        typ,
    }))
}

/// The arguments and the keys they are compared with, of common types.
fn unified(
    ctx: &QueryContext<'_>,
    name: &str,
    direct: Vec<TypedScalar>,
    keys: Vec<TypedScalar>,
) -> Result<Vec<TypedScalar>, SqlError> {
    if direct.len() != keys.len() {
        let types: Vec<String> =
            direct.iter().chain(&keys).map(|part| part.typ.scalar_type.to_string()).collect();
        return Err(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("function {name}({}) does not exist", types.join(", ")),
        )
        .with_hint(format!(
            "To use the hypothetical-set aggregate {name}, the number of hypothetical direct \
             arguments (here {}) must match the number of ordering columns (here {}).",
            direct.len(),
            keys.len()
        )));
    }
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (argument, key) in direct.into_iter().zip(keys) {
        let common = common_column_type("WITHIN GROUP", &[key.typ.clone(), argument.typ.clone()])?;
        first.push(coerce_implicit(ctx, argument, &common.scalar_type)?);
        second.push(coerce_implicit(ctx, key, &common.scalar_type)?);
    }
    first.extend(second);
    Ok(first)
}
