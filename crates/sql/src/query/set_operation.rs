//! UNION, INTERSECT and EXCEPT, and what may stand on their sides.

use std::rc::Rc;

use sqlparser::ast::{SelectItem, SetExpr, SetOperator, SetQuantifier, Spanned, Table};
use sqlparser::tokenizer::Span;
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, SqlError, SqlState};

use super::cast::{coerce_branch, common_column_type};
use super::comparable::require_equality;
use super::order::{self, OutputColumn};
use super::scope::Scope;
use super::{QueryContext, TypedScalar, from, select, values, walk};

/// Plans a body of a query that is not put in order.
pub(super) fn plan_set_expr(
    ctx: &QueryContext<'_>,
    body: &SetExpr,
    scope: &Rc<Scope>,
) -> Result<(QueryExpr, Vec<OutputColumn>), SqlError> {
    match body {
        SetExpr::Select(select) => {
            let parts = select::plan_select(ctx, select, &[], scope)?;
            let columns = parts.columns();
            Ok((order::into_relation(ctx, parts)?, columns))
        }
        SetExpr::Query(query) => {
            let parts = order::plan_query(ctx, query, scope)?;
            let columns = parts.columns();
            Ok((order::into_relation(ctx, parts)?, columns))
        }
        SetExpr::Values(rows) => values::plan_values(ctx, rows, scope),
        SetExpr::Table(table) => plan_table(ctx, table, scope),
        SetExpr::SetOperation { op, set_quantifier, left, right } => ctx.deeper(|| {
            let left_side = plan_set_expr(ctx, left, scope)?;
            let right_side = plan_set_expr(ctx, right, scope)?;
            let all = is_all(*op, *set_quantifier)?;
            let spans = |at: usize| (item_span(left, at), item_span(right, at));
            combine(ctx, *op, all, left_side, right_side, &spans)
                .map_err(|error| ctx.locate(error, item_span(right, 0)))
        }),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            Err(ctx.unsupported("a data-modifying statement in a query", body.span()))
        }
    }
}

/// Where the item of an output column is written, in the first SELECT of a body.
pub(super) fn item_span(body: &SetExpr, at: usize) -> Span {
    match body {
        SetExpr::Select(select) => select.projection.get(at).map_or_else(
            || body.span(),
            |item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    expr.span()
                }
                other => other.span(),
            },
        ),
        SetExpr::Query(query) => item_span(&query.body, at),
        SetExpr::SetOperation { left, .. } => item_span(left, at),
        SetExpr::Values(values) => {
            let first = values.rows.first().and_then(|row| row.content.get(at));
            first.map_or_else(|| body.span(), Spanned::span)
        }
        other => other.span(),
    }
}

/// `TABLE t`
fn plan_table(
    ctx: &QueryContext<'_>,
    table: &Table,
    scope: &Rc<Scope>,
) -> Result<(QueryExpr, Vec<OutputColumn>), SqlError> {
    let parts: Vec<String> =
        table.schema_name.iter().chain(&table.table_name).map(|name| name.to_lowercase()).collect();
    let (expr, scope) = from::plan_named(ctx, &parts, scope)?;
    let columns = scope
        .visible()
        .map(|entry| OutputColumn { name: entry.name.clone(), typ: entry.typ.clone(), raw: None })
        .collect();
    Ok((expr, columns))
}

fn is_all(op: SetOperator, quantifier: SetQuantifier) -> Result<bool, SqlError> {
    if op == SetOperator::Minus {
        return Err(SqlError::unsupported("MINUS").with_hint("Use EXCEPT."));
    }
    match quantifier {
        SetQuantifier::All => Ok(true),
        SetQuantifier::Distinct | SetQuantifier::None => Ok(false),
        SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => {
            Err(SqlError::unsupported(format!("{op} BY NAME")))
        }
    }
}

fn combine(
    ctx: &QueryContext<'_>,
    op: SetOperator,
    all: bool,
    (left, left_columns): (QueryExpr, Vec<OutputColumn>),
    (right, right_columns): (QueryExpr, Vec<OutputColumn>),
    spans: &dyn Fn(usize) -> (Span, Span),
) -> Result<(QueryExpr, Vec<OutputColumn>), SqlError> {
    let construct = op.to_string();
    if left_columns.len() != right_columns.len() {
        return Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("each {construct} query must have the same number of columns"),
        ));
    }
    let common = left_columns
        .iter()
        .zip(&right_columns)
        .enumerate()
        .map(|(at, (one, two))| {
            common_column_type(&construct, &[one.typ.clone(), two.typ.clone()])
                .map_err(|error| ctx.locate(error, spans(at).1))
        })
        .collect::<Result<Vec<ColumnType>, _>>()?;
    if !(all && op == SetOperator::Union) {
        common.iter().try_for_each(|typ| require_equality(&typ.scalar_type))?;
    }
    let convert = |column: TypedScalar, to: &ColumnType, span: Span| {
        coerce_branch(ctx, &construct, column, to).map_err(|error| ctx.locate(error, span))
    };
    let left = conform(left, &left_columns, &common, |one, to, at| convert(one, to, spans(at).0))?;
    let right =
        conform(right, &right_columns, &common, |one, to, at| convert(one, to, spans(at).1))?;
    let columns = left_columns
        .into_iter()
        .zip(common)
        .map(|(column, typ)| OutputColumn { name: column.name, typ, raw: None })
        .collect();
    Ok((relate(ctx, op, all, left, right), columns))
}

fn relate(
    ctx: &QueryContext<'_>,
    op: SetOperator,
    all: bool,
    left: QueryExpr,
    right: QueryExpr,
) -> QueryExpr {
    let once = |input: QueryExpr| match all {
        true => input,
        false => QueryExpr::Distinct { input: Box::new(input) },
    };
    let minus = |left: QueryExpr, right: QueryExpr| QueryExpr::Union {
        inputs: vec![left, QueryExpr::Negate { input: Box::new(right) }],
    };
    let positive = |input: QueryExpr| QueryExpr::Threshold { input: Box::new(input) };
    match op {
        SetOperator::Union => once(QueryExpr::Union { inputs: vec![left, right] }),
        SetOperator::Except | SetOperator::Minus => positive(minus(once(left), once(right))),
        // What is left of the left side when all that the right side lacks is taken away.
        SetOperator::Intersect => {
            let again = once(walk::copy(ctx, &left));
            let only_left = positive(minus(again, once(right)));
            minus(once(left), only_left)
        }
    }
}

/// A relation with its columns converted to target types.
pub(super) fn conform(
    input: QueryExpr,
    columns: &[OutputColumn],
    targets: &[ColumnType],
    convert: impl Fn(TypedScalar, &ColumnType, usize) -> Result<TypedScalar, SqlError>,
) -> Result<QueryExpr, SqlError> {
    let mut scalars = Vec::new();
    let mut outputs = Vec::new();
    for (position, (column, target)) in columns.iter().zip(targets).enumerate() {
        let reference = QueryScalar::Column(ColumnRef { level: 0, column: position });
        let expr = column.raw.clone().unwrap_or_else(|| reference.clone());
        let converted = convert(TypedScalar { expr, typ: column.typ.clone() }, target, position)?;
        if converted.expr == reference {
            outputs.push(position);
        } else {
            outputs.push(columns.len() + scalars.len());
            scalars.push(converted.expr);
        }
    }
    if scalars.is_empty() {
        return Ok(input);
    }
    let input = Box::new(QueryExpr::Map { input: Box::new(input), scalars });
    Ok(QueryExpr::Project { input, outputs })
}
