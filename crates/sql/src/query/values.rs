//! VALUES, and the rows of an INSERT.

use std::rc::Rc;

use sqlparser::ast::{Expr, Query, SetExpr, Spanned, Values};
use sqlparser::tokenizer::Span;
use tidemill_plan::{QueryExpr, QueryScalar, RelationType};
use tidemill_repr::{ColumnType, Row, RowBuilder, ScalarType, SqlError, SqlState};

use super::cast::{coerce_assignment, unify_at};
use super::expr::ExprContext;
use super::order::{self, OutputColumn};
use super::scope::Scope;
use super::set_operation::{conform, item_span};
use super::{QueryContext, TypedScalar, literal};
use crate::names;

/// A column that an INSERT gives values.
#[derive(Clone, Debug)]
pub struct InsertTarget {
    /// Its name.
    pub name: String,
    /// Its type.
    pub typ: ColumnType,
    /// What it is where no value is given; NULL if there is nothing here.
    pub default: Option<Expr>,
    /// Where it is named in the statement.
    pub span: Span,
}

/// One row without columns.
pub(super) fn unit() -> QueryExpr {
    QueryExpr::Constant { rows: vec![(Row::pack([]), 1)], typ: RelationType::new(Vec::new()) }
}

/// Plans VALUES: each column has the common type of its values.
pub(super) fn plan_values(
    ctx: &QueryContext<'_>,
    values: &Values,
    scope: &Rc<Scope>,
) -> Result<(QueryExpr, Vec<OutputColumn>), SqlError> {
    let width = check_lengths(ctx, values)?;
    let empty = Rc::new(scope.empty_beside());
    let planner = ExprContext::new(ctx, &empty, "VALUES");
    let mut columns: Vec<Vec<TypedScalar>> = vec![Vec::new(); width];
    for row in &values.rows {
        for (expr, column) in row.content.iter().zip(&mut columns) {
            column.push(planner.plan(expr)?);
        }
    }
    let mut rows = vec![Vec::with_capacity(width); values.rows.len()];
    let mut outputs = Vec::new();
    for (position, column) in columns.into_iter().enumerate() {
        let spans: Vec<_> = values
            .rows
            .iter()
            .filter_map(|row| row.content.get(position).map(Spanned::span))
            .collect();
        let (scalars, typ) = unify_at(ctx, "VALUES", column, &spans)?;
        for (row, scalar) in rows.iter_mut().zip(scalars) {
            row.push(scalar);
        }
        outputs.push(OutputColumn { name: format!("column{}", position + 1), typ, raw: None });
    }
    let types = outputs.iter().map(|output| output.typ.clone()).collect();
    Ok((constant_rows(rows, types), outputs))
}

fn check_lengths(ctx: &QueryContext<'_>, values: &Values) -> Result<usize, SqlError> {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    match values.rows.iter().find(|row| row.content.len() != width) {
        Some(row) => Err(ctx.error(
            SqlState::SYNTAX_ERROR,
            "VALUES lists must all be the same length",
            row.content.first().map_or_else(|| values.span(), Spanned::span),
        )),
        None => Ok(width),
    }
}

/// Rows of expressions, in order: constants as far as they are constants.
fn constant_rows(rows: Vec<Vec<QueryScalar>>, types: Vec<ColumnType>) -> QueryExpr {
    let constant = |rows| QueryExpr::Constant { rows, typ: RelationType::new(types.clone()) };
    let mut inputs = Vec::new();
    let mut constants = Vec::new();
    for row in rows {
        match constant_row(&row) {
            Some(row) => constants.push((row, 1)),
            None => {
                if !constants.is_empty() {
                    inputs.push(constant(std::mem::take(&mut constants)));
                }
                inputs.push(QueryExpr::Map { input: Box::new(unit()), scalars: row });
            }
        }
    }
    if !constants.is_empty() || inputs.is_empty() {
        inputs.push(constant(constants));
    }
    match inputs.pop() {
        Some(single) if inputs.is_empty() => single,
        last => {
            inputs.extend(last);
            QueryExpr::Union { inputs }
        }
    }
}

fn constant_row(scalars: &[QueryScalar]) -> Option<Row> {
    let mut row = RowBuilder::new();
    for scalar in scalars {
        match scalar {
            QueryScalar::Literal(Ok(datum), _) => row.push_encoded(datum.bytes()),
            _ => return None,
        }
    }
    Some(row.finish())
}

/// Plans the rows of an INSERT.
pub(super) fn plan_insert_source(
    ctx: &QueryContext<'_>,
    query: &Query,
    targets: &[InsertTarget],
    fill: bool,
) -> Result<QueryExpr, SqlError> {
    let scope = Rc::new(Scope::default());
    let plain = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none();
    match &*query.body {
        SetExpr::Values(values) if plain => {
            let width = check_lengths(ctx, values)?;
            check_width(width, targets, fill)
                .map_err(|error| ctx.locate(error, item_span(&query.body, targets.len())))?;
            let rows = values
                .rows
                .iter()
                .map(|row| plan_insert_row(ctx, &row.content, targets, &scope))
                .collect::<Result<_, _>>()?;
            let types = targets.iter().map(|target| target.typ.clone()).collect();
            Ok(constant_rows(rows, types))
        }
        _ => {
            let parts = order::plan_query(ctx, query, &scope)?;
            let columns = parts.columns();
            check_width(columns.len(), targets, fill)
                .map_err(|error| ctx.locate(error, item_span(&query.body, targets.len())))?;
            let relation = order::into_relation(ctx, parts)?;
            let span = |at: usize| item_span(&query.body, at);
            insert_from_query(ctx, relation, &columns, targets, &scope, &span)
        }
    }
}

fn check_width(width: usize, targets: &[InsertTarget], fill: bool) -> Result<(), SqlError> {
    if width > targets.len() {
        return Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            "INSERT has more expressions than target columns",
        ));
    }
    if let Some(missing) = targets.get(width).filter(|_| !fill) {
        let message = "INSERT has more target columns than expressions";
        return Err(names::locate(SqlError::new(SqlState::SYNTAX_ERROR, message), missing.span));
    }
    Ok(())
}

fn plan_insert_row(
    ctx: &QueryContext<'_>,
    row: &[Expr],
    targets: &[InsertTarget],
    scope: &Rc<Scope>,
) -> Result<Vec<QueryScalar>, SqlError> {
    let planner = ExprContext::new(ctx, scope, "VALUES");
    targets
        .iter()
        .enumerate()
        .map(|(position, target)| match row.get(position) {
            Some(expr) if !is_default(expr) => {
                let planned = planner.plan(expr)?;
                coerce_assignment(ctx, planned, &target.typ, &target.name)
                    .map(|scalar| scalar.expr)
                    .map_err(|error| ctx.locate(error, expr.span()))
            }
            _ => plan_default(ctx, target, scope),
        })
        .collect()
}

/// The keyword DEFAULT in the place of a value.
fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident)
        if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

fn plan_default(
    ctx: &QueryContext<'_>,
    target: &InsertTarget,
    scope: &Rc<Scope>,
) -> Result<QueryScalar, SqlError> {
    let planned = match &target.default {
        Some(expr) => ExprContext::new(ctx, scope, "DEFAULT expressions").plan(expr)?,
        None => literal::null(ScalarType::Unknown),
    };
    Ok(coerce_assignment(ctx, planned, &target.typ, &target.name)?.expr)
}

fn insert_from_query(
    ctx: &QueryContext<'_>,
    relation: QueryExpr,
    columns: &[OutputColumn],
    targets: &[InsertTarget],
    scope: &Rc<Scope>,
    span: &dyn Fn(usize) -> Span,
) -> Result<QueryExpr, SqlError> {
    let types: Vec<ColumnType> =
        targets.iter().take(columns.len()).map(|target| target.typ.clone()).collect();
    let relation = conform(relation, columns, &types, |scalar, typ, position| {
        coerce_assignment(ctx, scalar, typ, &targets[position].name)
            .map_err(|error| ctx.locate(error, span(position)))
    })?;
    if columns.len() == targets.len() {
        return Ok(relation);
    }
    let scalars = targets[columns.len()..]
        .iter()
        .map(|target| plan_default(ctx, target, scope))
        .collect::<Result<_, _>>()?;
    Ok(QueryExpr::Map { input: Box::new(relation), scalars })
}
