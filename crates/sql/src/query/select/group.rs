//! GROUP BY: its keys, its grouping sets, and the reduction to groups.

use std::collections::BTreeSet;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    ObjectNamePart, Select, Spanned,
};
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::SqlError;

use super::{Output, RowPlan, named_output};
use crate::parse_marks::{DISTINCT_SETS, EMPTY_SET, GROUPING_SETS};
use crate::query::aggregate::{self, Grouping, Sets, cross, cube, refuse_in_group_by, rollup};
use crate::query::cast::resolve_unknown;
use crate::query::comparable::require_equality;
use crate::query::error::name_of;
use crate::query::expr::ExprContext;
use crate::query::order::position_key;
use crate::query::window::WindowPlace;
use crate::query::{QueryContext, TypedScalar};

/// An item of GROUP BY.
enum Item<'e> {
    /// GROUPING SETS: the sets of all items within.
    Sets(Vec<&'e Expr>),
    Rollup(Vec<Vec<&'e Expr>>),
    Cube(Vec<Vec<&'e Expr>>),
    /// One set of these keys.
    Keys(Vec<&'e Expr>),
}

/// The items of GROUP BY, and whether equal sets count once.
fn items(select: &Select) -> (&[Expr], bool) {
    match &select.group_by {
        GroupByExpr::Expressions(exprs, _) => match exprs.split_first() {
            Some((Expr::Identifier(mark), rest)) if is_mark(mark, DISTINCT_SETS) => (rest, true),
            _ => (exprs, false),
        },
        GroupByExpr::All(_) => (&[], false),
    }
}

fn is_mark(ident: &Ident, mark: &str) -> bool {
    ident.quote_style.is_some() && ident.value == mark
}

/// The fields of a list in parentheses; of anything else, itself.
fn parts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Tuple(parts) => parts.iter().collect(),
        Expr::Identifier(ident) if is_mark(ident, EMPTY_SET) => Vec::new(),
        Expr::Nested(inner) => vec![&**inner],
        other => vec![other],
    }
}

fn arguments(function: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect()
}

fn item(expr: &Expr) -> Item<'_> {
    match expr {
        Expr::Rollup(elements) => {
            Item::Rollup(elements.iter().map(|e| e.iter().collect()).collect())
        }
        Expr::Cube(elements) => Item::Cube(elements.iter().map(|e| e.iter().collect()).collect()),
        Expr::Function(function) => {
            let (Some(arguments), [ObjectNamePart::Identifier(name)]) =
                (arguments(function), function.name.0.as_slice())
            else {
                return Item::Keys(vec![expr]);
            };
            let elements = || arguments.iter().map(|argument| parts(argument)).collect();
            match (name.quote_style, name.value.as_str()) {
                (Some(_), GROUPING_SETS) => Item::Sets(arguments),
                (None, "rollup") => Item::Rollup(elements()),
                (None, "cube") => Item::Cube(elements()),
                _ => Item::Keys(vec![expr]),
            }
        }
        other => Item::Keys(parts(other)),
    }
}

/// Whether there is more than one grouping set.
pub(super) fn may_leave_out_keys(select: &Select) -> bool {
    items(select).0.iter().any(|expr| !matches!(item(expr), Item::Keys(_)))
}

/// The expressions of GROUP BY over the FROM, each once, and the grouping sets of them.
pub(super) fn plan_group_by(
    planner: &ExprContext<'_>,
    select: &Select,
    outputs: &[Output],
) -> Result<(Vec<TypedScalar>, Sets), SqlError> {
    let ctx = planner.ctx;
    match &select.group_by {
        GroupByExpr::Expressions(_, modifiers) if modifiers.is_empty() => {}
        _ => return Err(ctx.unsupported("this form of GROUP BY", select.group_by.span())),
    }
    let windows = WindowPlace::Clause;
    let planner = ExprContext { clause: "GROUP BY", aggregates: None, windows, ..planner.clone() };
    let (exprs, once) = items(select);
    let mut keys = Keys { planner: &planner, outputs, keys: Vec::new() };
    let mut sets: Sets = vec![BTreeSet::new()];
    for expr in exprs {
        let more = keys.sets(expr)?;
        sets = cross(sets, &more).map_err(|error| ctx.locate(error, expr.span()))?;
    }
    if once {
        let mut seen = BTreeSet::new();
        sets.retain(|set| seen.insert(set.clone()));
    }
    Ok((keys.keys, sets))
}

/// The keys as they are met.
struct Keys<'k> {
    planner: &'k ExprContext<'k>,
    outputs: &'k [Output],
    keys: Vec<TypedScalar>,
}

impl Keys<'_> {
    fn sets(&mut self, expr: &Expr) -> Result<Sets, SqlError> {
        self.planner.ctx.deeper(|| match item(expr) {
            Item::Sets(items) => {
                let mut sets = Vec::new();
                for item in items {
                    sets.extend(self.sets(item)?);
                }
                Ok(sets)
            }
            Item::Rollup(elements) => Ok(rollup(&self.elements(elements)?)),
            Item::Cube(elements) => cube(&self.elements(elements)?)
                .map_err(|error| self.planner.ctx.locate(error, expr.span())),
            Item::Keys(parts) => Ok(vec![self.positions(parts)?.into_iter().collect()]),
        })
    }

    fn elements(&mut self, elements: Vec<Vec<&Expr>>) -> Result<Vec<Vec<usize>>, SqlError> {
        elements.into_iter().map(|parts| self.positions(parts)).collect()
    }

    fn positions(&mut self, parts: Vec<&Expr>) -> Result<Vec<usize>, SqlError> {
        parts
            .into_iter()
            .map(|part| {
                let key = plan_group_key(self.planner, part, self.outputs)?;
                let known = self.keys.iter().position(|known| known.expr == key.expr);
                Ok(known.unwrap_or_else(|| {
                    self.keys.push(key);
                    self.keys.len() - 1
                }))
            })
            .collect()
    }
}

fn plan_group_key(
    planner: &ExprContext<'_>,
    expr: &Expr,
    outputs: &[Output],
) -> Result<TypedScalar, SqlError> {
    let ctx = planner.ctx;
    let chosen = match position_key(ctx, expr, "GROUP BY", outputs.len())? {
        Some(position) => Some(position),
        // A column of the FROM goes before an output name here.
        None => match expr {
            Expr::Identifier(ident)
                if planner.scope.own_column(&name_of(ident)).ok().flatten().is_none() =>
            {
                named_output(ctx, &name_of(ident), outputs, "GROUP BY", ident.span)?
            }
            _ => None,
        },
    };
    let scalar = match chosen {
        Some(position) => {
            let output = &outputs[position].scalar;
            refuse_in_group_by(ctx, planner.scope.arity, &output.expr, expr.span())?;
            output.clone()
        }
        None => planner.plan(expr)?,
    };
    let key = resolve_unknown(ctx, scalar)?;
    require_equality(&key.typ.scalar_type).map_err(|error| ctx.locate(error, expr.span()))?;
    Ok(key)
}

/// Groups by all sets; `arity` becomes the number of columns of the result.
pub(super) fn reduce(
    ctx: &QueryContext<'_>,
    relation: QueryExpr,
    arity: &mut usize,
    grouping: &Grouping<'_>,
    sets: &Sets,
) -> Result<QueryExpr, SqlError> {
    let (keys, collector) = (grouping.keys, grouping.collector);
    let mut values: Vec<QueryScalar> = keys.iter().map(|key| key.expr.clone()).collect();
    let mut slots: Vec<&mut QueryScalar> = values.iter_mut().collect();
    let relation = collector.spread(relation, arity, &mut slots, &mut |_| Ok(()))?;
    let mut row = RowPlan::new(*arity);
    let places: Vec<usize> = values.into_iter().map(|key| row.position(key)).collect();
    let sets = sets
        .iter()
        .map(|set| {
            let set_keys: Vec<usize> = set.iter().copied().collect();
            Ok((set.clone(), collector.grouping_bits(ctx, keys, &set_keys)?))
        })
        .collect::<Result<Vec<_>, SqlError>>()?;
    let calls = collector.calls();
    *arity = keys.len() + calls.len() + sets.first().map_or(0, |(_, bits)| bits.len());
    Ok(aggregate::reduce(ctx, row.apply(relation), (keys, &places), &calls, &sets))
}
