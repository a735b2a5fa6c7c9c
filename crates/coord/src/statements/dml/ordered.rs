//! Rows in the order of the statement, each computed for itself.
//!
//! What reads nothing (VALUES, with whatever is computed from it) is evaluated here, row by row
//! and in order. So are volatile functions at the top of a query, above what is read: there each
//! row counts for itself, even where two are equal.

use bumpalo::Bump;
use tidemill_expr::functions::backends::{is_backend_function, row_done};
use tidemill_expr::functions::sequence::is_sequence_function;
use tidemill_expr::{EvalContext, ScalarExpr, Volatility};
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{Datum, Diff, ObjectId, Row, RowBuilder, SqlError, Tick};
use tidemill_sql::over_columns;

use super::{Computed, earlier, read_rows};
use crate::session::Session;
use crate::statements::Execution;

/// The rows of a query whose parameters are bound. Where numbers of sequences were taken for
/// them, the ledger knows of it.
pub(super) async fn rows(
    session: &mut Session,
    execution: &Execution<'_>,
    query: &QueryExpr,
) -> Result<Computed, SqlError> {
    let computed = Box::pin(step(session, execution, query)).await?;
    session.flush_sequences().await?;
    Ok(computed)
}

/// The rows of a SELECT that takes numbers of sequences, with their counts.
pub(crate) async fn select_rows(
    session: &mut Session,
    execution: &Execution<'_>,
    query: &QueryExpr,
) -> Result<Vec<(Row, Diff)>, SqlError> {
    Ok(rows(session, execution, query).await?.rows)
}

/// The rows of CREATE TABLE AS, and what was read for them.
pub(crate) async fn first_rows(
    session: &mut Session,
    execution: &Execution<'_>,
    query: &QueryExpr,
) -> Result<(Vec<(Row, Diff)>, Option<(Tick, Vec<ObjectId>)>), SqlError> {
    let computed = rows(session, execution, query).await?;
    Ok((computed.rows, computed.read))
}

/// Whether a query takes numbers of sequences, or does something to other sessions.
pub(crate) fn uses_sequences(session: &Session, query: &QueryExpr) -> bool {
    let seeded = session.own.random.is_some();
    any_call(query, &|scalar| {
        matches!(scalar, QueryScalar::Call { function, .. }
            if is_sequence_function(function.id)
                || is_backend_function(function.id)
                || (seeded && function.id == "random"))
    })
}

fn is_volatile(query: &QueryExpr) -> bool {
    any_call(query, &|scalar| {
        matches!(scalar, QueryScalar::Call { function, .. }
            if function.volatility == Volatility::Volatile)
    })
}

async fn step(
    session: &mut Session,
    execution: &Execution<'_>,
    query: &QueryExpr,
) -> Result<Computed, SqlError> {
    if !is_local(query) && !is_volatile(query) {
        return read_rows(session, execution, query).await;
    }
    match query {
        QueryExpr::Constant { rows, .. } => Ok(Computed { rows: rows.clone(), read: None }),
        QueryExpr::Map { input, scalars } => {
            let Ok(scalars) = programs(scalars) else {
                return read_rows(session, execution, query).await;
            };
            let input = Box::pin(step(session, execution, input)).await?;
            let mut rows = Vec::with_capacity(input.rows.len());
            let mut left = input.rows.iter().flat_map(|(row, count)| (0..*count).map(move |_| row));
            let mut next = left.next();
            let mut done = |row: &Row| {
                rows.push((mapped(row, &scalars)?, 1));
                Ok::<_, SqlError>(())
            };
            while let Err(error) = session.with_sequences(&execution.snapshot, || {
                while let Some(row) = next {
                    done(row)?;
                    row_done();
                    next = left.next();
                }
                Ok::<_, SqlError>(())
            }) {
                if !session.wait_pending().await? {
                    return Err(error);
                }
            }
            Ok(Computed { rows, read: input.read })
        }
        QueryExpr::Filter { input, predicates } => {
            let Ok(predicates) = programs(predicates) else {
                return read_rows(session, execution, query).await;
            };
            let input = Box::pin(step(session, execution, input)).await?;
            let mut rows = Vec::new();
            let mut at = 0;
            while let Err(error) = session.with_sequences(&execution.snapshot, || {
                while let Some((row, count)) = input.rows.get(at) {
                    if passes(row, &predicates)? {
                        rows.push((row.clone(), *count));
                    }
                    row_done();
                    at += 1;
                }
                Ok::<_, SqlError>(())
            }) {
                if !session.wait_pending().await? {
                    return Err(error);
                }
            }
            Ok(Computed { rows, read: input.read })
        }
        QueryExpr::Project { input, outputs } => {
            let input = Box::pin(step(session, execution, input)).await?;
            let rows = input.rows.into_iter().map(|(row, count)| (projected(&row, outputs), count));
            Ok(Computed { rows: rows.collect(), read: input.read })
        }
        QueryExpr::Union { inputs } => {
            let mut all = Computed { rows: Vec::new(), read: None };
            for input in inputs {
                let part = Box::pin(step(session, execution, input)).await?;
                all.rows.extend(part.rows);
                all.read = earlier(all.read, part.read);
            }
            Ok(all)
        }
        _ => read_rows(session, execution, query).await,
    }
}

/// Whether nothing is read, so that the rows can be computed here.
fn is_local(query: &QueryExpr) -> bool {
    match query {
        QueryExpr::Constant { .. } => true,
        QueryExpr::Map { input, scalars: exprs }
        | QueryExpr::Filter { input, predicates: exprs } => {
            exprs.iter().all(|scalar| !has_query(scalar)) && is_local(input)
        }
        QueryExpr::Project { input, .. } => is_local(input),
        QueryExpr::Union { inputs } => inputs.iter().all(is_local),
        _ => false,
    }
}

/// Expressions in the form that is evaluated.
pub(super) fn programs(scalars: &[QueryScalar]) -> Result<Vec<ScalarExpr>, SqlError> {
    scalars.iter().map(|scalar| over_columns(scalar.clone())).collect()
}

/// A row followed by values that are computed from it.
pub(super) fn mapped(row: &Row, scalars: &[ScalarExpr]) -> Result<Row, SqlError> {
    let arena = Bump::new();
    let mut datums: Vec<Datum<'_>> = row.unpack();
    for scalar in scalars {
        let value = scalar.eval(&datums, EvalContext { arena: &arena })?;
        datums.push(value);
    }
    let mut builder = RowBuilder::new();
    builder.extend(datums);
    Ok(builder.finish())
}

/// Whether all predicates are true of a row.
pub(super) fn passes(row: &Row, predicates: &[ScalarExpr]) -> Result<bool, SqlError> {
    let arena = Bump::new();
    let datums: Vec<Datum<'_>> = row.unpack();
    for predicate in predicates {
        let value = predicate.eval(&datums, EvalContext { arena: &arena })?;
        if !matches!(value, Datum::Bool(true)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Some columns of a row.
pub(super) fn projected(row: &Row, outputs: &[usize]) -> Row {
    let datums = row.unpack();
    let mut builder = RowBuilder::new();
    builder.extend(outputs.iter().filter_map(|column| datums.get(*column).copied()));
    builder.finish()
}

fn has_query(scalar: &QueryScalar) -> bool {
    any_scalar(scalar, &|part| {
        matches!(part, QueryScalar::Exists(_) | QueryScalar::Subquery(_))
            || matches!(part, QueryScalar::Column(column) if column.level > 0)
    })
}

/// Whether a scalar of a query, or of a query within, is one that is looked for.
fn any_call(query: &QueryExpr, is: &dyn Fn(&QueryScalar) -> bool) -> bool {
    stacker::maybe_grow(64 * 1024, 1024 * 1024, || {
        let scalars = |scalars: &[QueryScalar]| scalars.iter().any(|s| any_scalar(s, is));
        let within = |input: &QueryExpr| any_call(input, is);
        match query {
            QueryExpr::Constant { .. } | QueryExpr::Get { .. } => false,
            QueryExpr::Let { value, body, .. } => within(value) || within(body),
            QueryExpr::LetRec { bindings, body, .. } => {
                bindings.iter().any(|binding| within(&binding.value)) || within(body)
            }
            QueryExpr::Map { input, scalars: own } => scalars(own) || within(input),
            QueryExpr::Filter { input, predicates } => scalars(predicates) || within(input),
            QueryExpr::FlatMap { input, arguments, .. } => scalars(arguments) || within(input),
            QueryExpr::Join { left, right, on, .. } => {
                any_scalar(on, is) || within(left) || within(right)
            }
            QueryExpr::Reduce { input, aggregates, .. } => {
                aggregates.iter().any(|call| any_scalar(&call.argument, is)) || within(input)
            }
            QueryExpr::TopK { input, limit, .. } => {
                limit.iter().any(|limit| any_scalar(limit, is)) || within(input)
            }
            QueryExpr::Project { input, .. }
            | QueryExpr::Window { input, .. }
            | QueryExpr::Distinct { input }
            | QueryExpr::Negate { input }
            | QueryExpr::Threshold { input } => within(input),
            QueryExpr::Union { inputs } => inputs.iter().any(within),
        }
    })
}

fn any_scalar(scalar: &QueryScalar, is: &dyn Fn(&QueryScalar) -> bool) -> bool {
    if is(scalar) {
        return true;
    }
    stacker::maybe_grow(64 * 1024, 1024 * 1024, || match scalar {
        QueryScalar::Column(_) | QueryScalar::Parameter(..) | QueryScalar::Literal(..) => false,
        QueryScalar::Call { arguments, .. }
        | QueryScalar::And(arguments)
        | QueryScalar::Or(arguments)
        | QueryScalar::Coalesce(arguments) => arguments.iter().any(|part| any_scalar(part, is)),
        QueryScalar::Not(part) | QueryScalar::IsNull(part) => any_scalar(part, is),
        QueryScalar::If(condition, then, other) => {
            [condition, then, other].into_iter().any(|part| any_scalar(part, is))
        }
        QueryScalar::Exists(query) | QueryScalar::Subquery(query) => any_call(query, is),
    })
}
