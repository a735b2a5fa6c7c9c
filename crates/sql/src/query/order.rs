//! A whole query: WITH, body, ORDER BY, LIMIT and OFFSET; and what becomes of its order where it
//! stands (on top, in a view, in another query).

use std::rc::Rc;

use sqlparser::ast::{
    Expr, Fetch, LimitClause, OrderBy, OrderByExpr, OrderByKind, OrderBySort, Query, SetExpr,
    Spanned, Value,
};
use tidemill_expr::aggregate::SortDirection;
use tidemill_expr::window::WindowFrame;
use tidemill_expr::{CastContext, WindowCall, WindowFunction};
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{ColumnOrder, Finishing, QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, Datum, RelationDesc, ScalarType, SqlError, SqlState};

use super::cast::{coerce, coerce_implicit};
use super::comparable::require_order;
use super::cte;
use super::error::name_of;
use super::expr::{ExprContext, bare, binary};
use super::scope::Scope;
use super::{PlannedQuery, QueryContext, TypedScalar, select, set_operation, walk};

mod locking;

/// A column of a query's result.
#[derive(Clone, Debug)]
pub(super) struct OutputColumn {
    pub name: String,
    pub typ: ColumnType,
    /// The literal or parameter it is in all rows, where that has no type yet.
    pub raw: Option<QueryScalar>,
}

/// A query whose order is not yet put to use.
#[derive(Debug)]
pub(super) struct QueryParts {
    /// Its rows: the output columns, then columns that are only sorted by.
    pub expr: QueryExpr,
    pub outputs: Vec<OutputColumn>,
    pub order_by: Vec<ColumnOrder>,
    pub limit: Option<QueryScalar>,
    pub offset: Option<QueryScalar>,
    /// What its FROM names, of a SELECT.
    pub from: Option<Rc<Scope>>,
}

impl QueryParts {
    pub fn columns(&self) -> Vec<OutputColumn> {
        self.outputs.clone()
    }

    fn cuts(&self) -> bool {
        self.limit.is_some() || self.offset.is_some()
    }
}

/// The clauses around a body; nested parentheses are merged as PostgreSQL does.
#[derive(Default)]
struct Clauses<'q> {
    order_by: Option<&'q OrderBy>,
    limit: Option<&'q LimitClause>,
    fetch: Option<&'q Fetch>,
}

/// Plans a query in its surroundings.
pub(super) fn plan_query(
    ctx: &QueryContext<'_>,
    query: &Query,
    around: &Rc<Scope>,
) -> Result<QueryParts, SqlError> {
    ctx.deeper(|| plan_query_level(ctx, query, around, Clauses::default()))
}

fn plan_query_level<'q>(
    ctx: &QueryContext<'_>,
    query: &'q Query,
    around: &Rc<Scope>,
    mut clauses: Clauses<'q>,
) -> Result<QueryParts, SqlError> {
    refuse_foreign_clauses(ctx, query)?;
    merge("ORDER BY", &mut clauses.order_by, query.order_by.as_ref())?;
    merge("LIMIT", &mut clauses.limit, query.limit_clause.as_ref())?;
    merge("LIMIT", &mut clauses.fetch, query.fetch.as_ref())?;
    let (scope, bindings) = match &query.with {
        Some(with) => cte::plan_with(ctx, with, around)?,
        None => (Rc::clone(around), Vec::new()),
    };
    let mut parts = if let SetExpr::Query(inner) = &*query.body {
        ctx.deeper(|| plan_query_level(ctx, inner, &scope, clauses))?
    } else {
        plan_body(ctx, &query.body, &clauses, &scope)?
    };
    parts.expr = cte::bind(bindings, parts.expr);
    Ok(parts)
}

fn merge<'q, T>(
    what: &str,
    outer: &mut Option<&'q T>,
    inner: Option<&'q T>,
) -> Result<(), SqlError> {
    if outer.is_some() && inner.is_some() {
        return Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("multiple {what} clauses not allowed"),
        ));
    }
    *outer = outer.or(inner);
    Ok(())
}

fn refuse_foreign_clauses(ctx: &QueryContext<'_>, query: &Query) -> Result<(), SqlError> {
    locking::check(ctx, query)?;
    let what = if query.for_clause.is_some() {
        "FOR XML or FOR JSON"
    } else if query.settings.is_some() {
        "SETTINGS"
    } else if query.format_clause.is_some() {
        "FORMAT"
    } else if !query.pipe_operators.is_empty() {
        "the pipe operator"
    } else {
        return Ok(());
    };
    Err(ctx.unsupported(what, query.span()))
}

fn plan_body(
    ctx: &QueryContext<'_>,
    body: &SetExpr,
    clauses: &Clauses<'_>,
    scope: &Rc<Scope>,
) -> Result<QueryParts, SqlError> {
    let keys = order_keys(clauses.order_by)?;
    let mut parts = match body {
        SetExpr::Select(select) => select::plan_select(ctx, select, keys, scope)?,
        other => {
            let (expr, outputs) = set_operation::plan_set_expr(ctx, other, scope)?;
            let order_by = keys
                .iter()
                .map(|key| {
                    let column = output_key(ctx, key, &outputs)?;
                    Ok(ColumnOrder { column, direction: direction(key)? })
                })
                .collect::<Result<_, SqlError>>()?;
            QueryParts { expr, outputs, order_by, limit: None, offset: None, from: None }
        }
    };
    plan_limits(ctx, clauses, scope, &mut parts)?;
    Ok(parts)
}

fn order_keys(order_by: Option<&OrderBy>) -> Result<&[OrderByExpr], SqlError> {
    let Some(order_by) = order_by else { return Ok(&[]) };
    if order_by.interpolate.is_some() {
        return Err(SqlError::unsupported("INTERPOLATE"));
    }
    match &order_by.kind {
        OrderByKind::Expressions(keys) => Ok(keys),
        OrderByKind::All(_) => Err(SqlError::unsupported("ORDER BY ALL")),
    }
}

/// Ascending or descending, and where NULLs go: by default as if greater than all else.
pub(crate) fn direction(key: &OrderByExpr) -> Result<SortDirection, SqlError> {
    if key.with_fill.is_some() {
        return Err(SqlError::unsupported("WITH FILL"));
    }
    let descending = match &key.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(operator)) => match operator.to_string().as_str() {
            "<" => false,
            ">" => true,
            other => return Err(SqlError::unsupported(format!("ORDER BY USING {other}"))),
        },
    };
    Ok(SortDirection { descending, nulls_first: key.options.nulls_first.unwrap_or(descending) })
}

/// The position that an integer constant names; None if the expression is something else.
pub(super) fn position_key(
    ctx: &QueryContext<'_>,
    expr: &Expr,
    clause: &str,
    outputs: usize,
) -> Result<Option<usize>, SqlError> {
    let (value, sign) = match bare(expr) {
        Expr::Value(value) => (value, ""),
        Expr::UnaryOp { op: sqlparser::ast::UnaryOperator::Minus, expr } => match bare(expr) {
            Expr::Value(value) if matches!(value.value, Value::Number(..)) => (value, "-"),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    match &value.value {
        Value::Number(digits, _) => match format!("{sign}{digits}").parse::<i32>() {
            Ok(number) => match usize::try_from(number) {
                Ok(number) if (1..=outputs).contains(&number) => Ok(Some(number - 1)),
                _ => Err(ctx.error(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!("{clause} position {number} is not in select list"),
                    value.span,
                )),
            },
            Err(_) => Err(non_integer(ctx, clause, value.span)),
        },
        Value::Placeholder(_) => Ok(None),
        _ => Err(non_integer(ctx, clause, value.span)),
    }
}

fn non_integer(ctx: &QueryContext<'_>, clause: &str, span: sqlparser::tokenizer::Span) -> SqlError {
    ctx.error(SqlState::SYNTAX_ERROR, format!("non-integer constant in {clause}"), span)
}

/// A sort key over the result of a set operation or VALUES: a name or a position.
fn output_key(
    ctx: &QueryContext<'_>,
    key: &OrderByExpr,
    outputs: &[OutputColumn],
) -> Result<usize, SqlError> {
    let ordered = |position: usize| {
        require_order(&outputs[position].typ.scalar_type)
            .map_err(|error| ctx.locate(error, key.expr.span()))?;
        Ok(position)
    };
    if let Some(position) = position_key(ctx, &key.expr, "ORDER BY", outputs.len())? {
        return ordered(position);
    }
    if let Expr::Identifier(ident) = &key.expr {
        let name = name_of(ident);
        let mut found = outputs.iter().enumerate().filter(|(_, output)| output.name == name);
        match (found.next(), found.next()) {
            (Some((position, _)), None) => return ordered(position),
            (Some(_), Some(_)) => {
                return Err(ctx.error(
                    SqlState::AMBIGUOUS_COLUMN,
                    format!("ORDER BY \"{name}\" is ambiguous"),
                    ident.span,
                ));
            }
            (None, _) => {
                return Err(ctx.error(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{name}\" does not exist"),
                    ident.span,
                ));
            }
        }
    }
    Err(ctx
        .error(
            SqlState::FEATURE_NOT_SUPPORTED,
            "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
            key.expr.span(),
        )
        .with_detail("Only result column names can be used, not expressions or functions.")
        .with_hint(
            "Add the expression/function to every SELECT, or move the UNION into a FROM clause.",
        ))
}

fn plan_limits(
    ctx: &QueryContext<'_>,
    clauses: &Clauses<'_>,
    scope: &Rc<Scope>,
    parts: &mut QueryParts,
) -> Result<(), SqlError> {
    let from = parts.from.clone();
    match clauses.limit {
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
            if !limit_by.is_empty() {
                return Err(SqlError::unsupported("LIMIT BY"));
            }
            if let Some(limit) = limit {
                parts.limit = plan_count(ctx, limit, scope, from.as_ref(), "LIMIT")?;
            }
            if let Some(offset) = offset {
                parts.offset = plan_count(ctx, &offset.value, scope, from.as_ref(), "OFFSET")?;
            }
        }
        Some(LimitClause::OffsetCommaLimit { limit, .. }) => {
            return Err(ctx
                .error(SqlState::SYNTAX_ERROR, "LIMIT #,# syntax is not supported", limit.span())
                .with_hint("Use separate LIMIT and OFFSET clauses."));
        }
        None => {}
    }
    let Some(fetch) = clauses.fetch else { return Ok(()) };
    if fetch.percent {
        return Err(SqlError::unsupported("FETCH FIRST .. PERCENT"));
    }
    if parts.limit.is_some() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "multiple LIMIT clauses not allowed"));
    }
    parts.limit = match &fetch.quantity {
        Some(quantity) => plan_count(ctx, quantity, scope, from.as_ref(), "LIMIT")?,
        None => Some(super::literal::literal(Datum::Int(1), ScalarType::Int8).expr),
    };
    if fetch.with_ties {
        if parts.order_by.is_empty() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "WITH TIES cannot be specified without ORDER BY clause",
            ));
        }
        if let Some(Expr::Value(value)) = &fetch.quantity
            && value.value == Value::Null
        {
            return Err(ctx.error(
                SqlState::INVALID_ROW_COUNT_IN_LIMIT,
                "row count cannot be null in FETCH FIRST ... WITH TIES clause",
                value.span,
            ));
        }
        keep_ties(ctx, parts)?;
    }
    Ok(())
}

/// `WITH TIES`: after the offset, all rows whose rank is not beyond the last row's.
fn keep_ties(ctx: &QueryContext<'_>, parts: &mut QueryParts) -> Result<(), SqlError> {
    let Some(limit) = parts.limit.take() else { return Ok(()) };
    let arity = walk::arity(&parts.expr);
    let typ = ColumnType::new(ScalarType::Int8);
    let call = |function| WindowCall {
        function,
        arguments: Vec::new(),
        ignore_nulls: false,
        frame: WindowFrame::unspecified(),
        typ: typ.clone().nullable(false),
    };
    let input = std::mem::replace(&mut parts.expr, QueryExpr::Union { inputs: Vec::new() });
    let ranked = QueryExpr::Window {
        input: Box::new(input),
        partition_by: Vec::new(),
        order_by: parts.order_by.clone(),
        calls: vec![call(WindowFunction::RowNumber), call(WindowFunction::Rank)],
    };
    let scalar = |expr| TypedScalar { expr, typ: typ.clone() };
    let column = |column| scalar(QueryScalar::Column(ColumnRef { level: 0, column }));
    let number = |number| super::literal::literal(Datum::Int(number), ScalarType::Int8);
    let mut last = scalar(limit.clone());
    let mut predicates = Vec::new();
    if let Some(offset) = parts.offset.take() {
        // A NULL offset, once bound, skips nothing.
        let offset = scalar(QueryScalar::Coalesce(vec![offset, number(0).expr]));
        predicates.push(binary(ctx, ">", column(arity), offset.clone())?.expr);
        last = binary(ctx, "+", offset, last)?;
    }
    let within = binary(ctx, "<=", column(arity + 1), last)?;
    let some = binary(ctx, ">", scalar(limit.clone()), number(0))?;
    predicates.push(QueryScalar::Or(vec![
        QueryScalar::IsNull(Box::new(limit)),
        QueryScalar::And(vec![some.expr, within.expr]),
    ]));
    let kept = QueryExpr::Filter { input: Box::new(ranked), predicates };
    parts.expr = QueryExpr::Project { input: Box::new(kept), outputs: (0..arity).collect() };
    Ok(())
}

/// What is wrong with a number of rows that names columns; None if it does not.
fn of_from(
    ctx: &QueryContext<'_>,
    expr: &Expr,
    from: Option<&Rc<Scope>>,
    clause: &'static str,
) -> Option<SqlError> {
    match ExprContext::new(ctx, from?, clause).plan(expr) {
        Ok(_) => Some(ctx.error(
            SqlState::INVALID_COLUMN_REFERENCE,
            format!("argument of {clause} must not contain variables"),
            expr.span(),
        )),
        Err(error) if error.code == SqlState::GROUPING_ERROR => Some(error),
        Err(_) => None,
    }
}

/// A number of rows; None if it is the constant NULL.
fn plan_count(
    ctx: &QueryContext<'_>,
    expr: &Expr,
    scope: &Rc<Scope>,
    from: Option<&Rc<Scope>>,
    clause: &'static str,
) -> Result<Option<QueryScalar>, SqlError> {
    let empty = Rc::new(scope.empty_beside());
    let planned = ExprContext::new(ctx, &empty, clause)
        .plan(expr)
        .map_err(|error| of_from(ctx, expr, from, clause).unwrap_or(error))?;
    let given = planned.typ.scalar_type.clone();
    let target = ColumnType::new(ScalarType::Int8);
    let coerced = coerce(ctx, planned, &target, CastContext::Assignment)
        .map_err(|error| ctx.locate(error, expr.span()))?;
    let Some(count) = coerced else {
        return Err(ctx.error(
            SqlState::DATATYPE_MISMATCH,
            format!("argument of {clause} must be type bigint, not type {given}"),
            expr.span(),
        ));
    };
    let count = super::cast::fold_deep(count.expr);
    let QueryScalar::Literal(Ok(row), _) = &count else { return Ok(Some(count)) };
    match row.iter().next() {
        Some(Datum::Int(number)) if number < 0 => {
            let code = match clause {
                "LIMIT" => SqlState::INVALID_ROW_COUNT_IN_LIMIT,
                _ => SqlState::INVALID_ROW_COUNT_IN_OFFSET,
            };
            Err(SqlError::new(code, format!("{clause} must not be negative")))
        }
        Some(Datum::Null) | None => Ok(None),
        _ => Ok(Some(count)),
    }
}

/// A count that is known; the outer None is one that is not.
fn constant_count(count: Option<&QueryScalar>) -> Option<Option<u64>> {
    match count {
        None => Some(None),
        Some(QueryScalar::Literal(Ok(row), _)) => match row.iter().next() {
            Some(Datum::Int(number)) => u64::try_from(number).ok().map(Some),
            _ => None,
        },
        Some(_) => None,
    }
}

/// Output columns that have no type yet become `text`.
pub(super) fn resolve_unknown_outputs(
    ctx: &QueryContext<'_>,
    mut parts: QueryParts,
) -> Result<QueryParts, SqlError> {
    resolve_unknown_columns(ctx, &mut parts.outputs)?;
    Ok(parts)
}

/// The same for columns alone: the value of a literal is its text already.
pub(super) fn resolve_unknown_columns(
    ctx: &QueryContext<'_>,
    columns: &mut [OutputColumn],
) -> Result<(), SqlError> {
    for column in columns {
        if column.typ.scalar_type == ScalarType::Unknown {
            if let Some(raw) = column.raw.take() {
                let scalar = TypedScalar { expr: raw, typ: column.typ.clone() };
                coerce_implicit(ctx, scalar, &ScalarType::Text)?;
            }
            column.typ.scalar_type = ScalarType::Text;
        }
        column.raw = None;
    }
    Ok(())
}

/// A query on top: the session puts it in order and cuts it.
pub(super) fn into_top(
    ctx: &QueryContext<'_>,
    parts: QueryParts,
) -> Result<PlannedQuery, SqlError> {
    let mut parts = resolve_unknown_outputs(ctx, parts)?;
    let columns = parts.columns();
    let project: Vec<usize> = (0..columns.len()).collect();
    let mut finishing =
        Finishing { order_by: parts.order_by.clone(), limit: None, offset: 0, project };
    let counts = (constant_count(parts.limit.as_ref()), constant_count(parts.offset.as_ref()));
    if let (Some(limit), Some(offset)) = counts {
        finishing.limit = limit;
        finishing.offset = offset.unwrap_or(0);
    } else {
        parts.expr = cut(ctx, parts.expr, &parts.order_by, parts.limit, parts.offset);
    }
    let desc = RelationDesc::new(columns.into_iter().map(|column| (column.name, column.typ)));
    Ok(PlannedQuery { query: parts.expr, desc, finishing })
}

/// A query inside another: its order counts only for what is cut.
pub(super) fn into_relation(
    ctx: &QueryContext<'_>,
    parts: QueryParts,
) -> Result<QueryExpr, SqlError> {
    let cuts = parts.cuts();
    let extra = parts.order_by.iter().any(|key| key.column >= parts.outputs.len());
    let outputs: Vec<usize> = (0..parts.outputs.len()).collect();
    let mut expr = parts.expr;
    if cuts {
        expr = cut(ctx, expr, &parts.order_by, parts.limit, parts.offset);
    }
    if extra {
        expr = QueryExpr::Project { input: Box::new(expr), outputs };
    }
    Ok(expr)
}

/// A query in FROM or WITH: a relation whose columns all have types.
pub(super) fn into_subquery(
    ctx: &QueryContext<'_>,
    parts: QueryParts,
) -> Result<(QueryExpr, Vec<OutputColumn>), SqlError> {
    let parts = resolve_unknown_outputs(ctx, parts)?;
    let columns = parts.columns();
    Ok((into_relation(ctx, parts)?, columns))
}

/// LIMIT and OFFSET inside the plan. An offset that is not known yet is the difference to the
/// first rows.
fn cut(
    ctx: &QueryContext<'_>,
    input: QueryExpr,
    order_by: &[ColumnOrder],
    limit: Option<QueryScalar>,
    offset: Option<QueryScalar>,
) -> QueryExpr {
    let top = |input: QueryExpr, limit: Option<QueryScalar>, offset: u64| QueryExpr::TopK {
        input: Box::new(input),
        group_key: Vec::new(),
        order_by: order_by.to_vec(),
        limit,
        offset,
    };
    match constant_count(offset.as_ref()) {
        Some(offset) => top(input, limit, offset.unwrap_or(0)),
        None => {
            // A NULL offset, once bound, skips nothing.
            let offset = offset.map(|offset| {
                let none = super::literal::literal(Datum::Int(0), ScalarType::Int8).expr;
                QueryScalar::Coalesce(vec![offset, none])
            });
            let first = top(walk::copy(ctx, &input), offset, 0);
            let rest = QueryExpr::Union {
                inputs: vec![input, QueryExpr::Negate { input: Box::new(first) }],
            };
            match limit {
                Some(limit) => top(rest, Some(limit), 0),
                None => rest,
            }
        }
    }
}

/// The rows that LIMIT and OFFSET leave, with the columns that are only sorted by.
pub(super) fn cut_only(ctx: &QueryContext<'_>, parts: QueryParts) -> QueryExpr {
    if parts.cuts() {
        cut(ctx, parts.expr, &parts.order_by, parts.limit, parts.offset)
    } else {
        parts.expr
    }
}
