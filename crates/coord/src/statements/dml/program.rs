//! Row-wise work on rows that are known: RETURNING, DO UPDATE.

use tidemill_plan::{QueryExpr, QueryScalar, RelationType};
use tidemill_repr::{ColumnType, Datum, ObjectId, Row, RowBuilder, ScalarType, SqlError, Tick};
use tidemill_sql::plan::RowProgram;
use tidemill_sql::query::bind_scalar_parameters;

use super::ordered::{mapped, passes, programs, projected};
use super::read_rows;
use crate::session::Session;
use crate::statements::Execution;

/// The rows that came out, and what was read for them.
pub(super) struct Results<R> {
    pub rows: Vec<R>,
    pub read: Option<(Tick, Vec<ObjectId>)>,
}

/// Runs a program; the results are in the order of the rows.
pub(super) async fn run(
    session: &mut Session,
    execution: &Execution<'_>,
    program: &RowProgram,
    rows: Vec<Row>,
) -> Result<Results<Row>, SqlError> {
    let results = run_each(session, execution, program, rows).await?;
    Ok(Results { rows: results.rows.into_iter().flatten().collect(), read: results.read })
}

/// Runs a program; a row that is filtered out gives None.
pub(super) async fn run_each(
    session: &mut Session,
    execution: &Execution<'_>,
    program: &RowProgram,
    rows: Vec<Row>,
) -> Result<Results<Option<Row>>, SqlError> {
    let bind = |scalar: &QueryScalar| {
        let mut scalar = scalar.clone();
        if !execution.parameters.is_empty() {
            bind_scalar_parameters(&mut scalar, execution.parameters);
        }
        scalar
    };
    let filter: Vec<QueryScalar> = program.filter.iter().map(bind).collect();
    let scalars: Vec<QueryScalar> = program.scalars.iter().map(bind).collect();
    let (Ok(predicates), Ok(values)) = (programs(&filter), programs(&scalars)) else {
        return by_query(session, execution, program, (filter, scalars), rows).await;
    };
    let results = session.with_sequences(&execution.snapshot, || {
        let one = |row: &Row| {
            if !passes(row, &predicates)? {
                return Ok(None);
            }
            Ok(Some(projected(&mapped(row, &values)?, &program.outputs)))
        };
        rows.iter().map(one).collect::<Result<_, SqlError>>()
    })?;
    session.flush_sequences().await?;
    Ok(Results { rows: results, read: None })
}

/// A program with subqueries is a query; each row has its position, which is cut off again.
async fn by_query(
    session: &mut Session,
    execution: &Execution<'_>,
    program: &RowProgram,
    (predicates, mut scalars): (Vec<QueryScalar>, Vec<QueryScalar>),
    rows: Vec<Row>,
) -> Result<Results<Option<Row>>, SqlError> {
    let arity = program.input.len();
    let mut columns = program.input.clone();
    columns.push(ColumnType::new(ScalarType::Int8).nullable(false));
    let count = rows.len();
    let mut builder = RowBuilder::new();
    let mut constants = Vec::with_capacity(count);
    for (position, row) in rows.iter().enumerate() {
        builder.push_encoded(row.bytes());
        builder.push(Datum::Int(i64::try_from(position).unwrap_or(i64::MAX)));
        constants.push((builder.finish(), 1));
    }
    // The position stands between the row and what is added.
    let moved = |column: usize| if column >= arity { column + 1 } else { column };
    for scalar in &mut scalars {
        tidemill_sql::query::remap_columns(scalar, moved);
    }
    let typ = RelationType::new(columns);
    let mut query = QueryExpr::Constant { rows: constants, typ };
    if !predicates.is_empty() {
        query = QueryExpr::Filter { input: Box::new(query), predicates };
    }
    query = QueryExpr::Map { input: Box::new(query), scalars };
    let outputs = program.outputs.iter().map(|column| moved(*column));
    let outputs = std::iter::once(arity).chain(outputs).collect();
    query = QueryExpr::Project { input: Box::new(query), outputs };
    let computed = read_rows(session, execution, &query).await?;
    let mut results = vec![None; count];
    for (row, _) in computed.rows {
        let [position, row, _] = super::split(row.as_ref(), [1, program.outputs.len()]);
        if let Some(Datum::Int(position)) = position.iter().next()
            && let Some(result) =
                usize::try_from(position).ok().and_then(|position| results.get_mut(position))
        {
            *result = Some(row.to_owned());
        }
    }
    Ok(Results { rows: results, read: computed.read })
}
