//! INSERT, UPDATE, DELETE: rows are computed as a read, then committed as updates.

use std::collections::BTreeSet;

use tidemill_optimize::PeekPlan;
use tidemill_plan::QueryExpr;
use tidemill_repr::{Diff, ObjectId, Row, RowBatch, RowRef, SqlError, Tick};
use tidemill_sql::plan::{DeletePlan, InsertPlan, UpdatePlan};

use super::Execution;
use super::select::{bound, read_at};
use crate::read::{Way, plan_read};
use crate::response::Response;
use crate::session::{Session, Transaction};
use crate::snapshot::Snapshot;

/// What a write computed: rows with counts, and what it read for them.
pub(crate) struct Computed {
    pub rows: Vec<(Row, Diff)>,
    pub read: Option<(Tick, Vec<ObjectId>)>,
}

/// Executes an INSERT.
pub(crate) async fn insert(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &InsertPlan,
) -> Result<Response, SqlError> {
    let computed = compute(session, execution, &plan.query).await?;
    let mut batch = RowBatch::new();
    let mut count = 0;
    for (row, diff) in &computed.rows {
        plan.check.check(row.as_ref())?;
        batch.push(row.as_ref(), *diff);
        count += diff;
    }
    apply(session, plan.table, &batch, computed.read).await?;
    Ok(Response::Tag(format!("INSERT 0 {count}")))
}

/// Executes an UPDATE: its query gives the columns as they are, then as they will be.
pub(crate) async fn update(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &UpdatePlan,
) -> Result<Response, SqlError> {
    let computed = compute(session, execution, &plan.query).await?;
    let arity = plan.check.desc.arity();
    let mut batch = RowBatch::new();
    let mut count = 0;
    for (row, diff) in &computed.rows {
        let mut datums = row.iter();
        (0..arity).for_each(|_| {
            datums.next_bytes();
        });
        let new = RowRef::from_bytes(datums.rest());
        let old_length = row.bytes().len() - new.bytes().len();
        let old = RowRef::from_bytes(&row.bytes()[..old_length]);
        plan.check.check(new)?;
        batch.push(old, -diff);
        batch.push(new, *diff);
        count += diff;
    }
    apply(session, plan.table, &batch, computed.read).await?;
    Ok(Response::Tag(format!("UPDATE {count}")))
}

/// Executes a DELETE.
pub(crate) async fn delete(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &DeletePlan,
) -> Result<Response, SqlError> {
    let computed = compute(session, execution, &plan.query).await?;
    let mut batch = RowBatch::new();
    let mut count = 0;
    for (row, diff) in &computed.rows {
        batch.push(row.as_ref(), -diff);
        count += diff;
    }
    apply(session, plan.table, &batch, computed.read).await?;
    Ok(Response::Tag(format!("DELETE {count}")))
}

pub(crate) async fn compute(
    session: &mut Session,
    execution: &Execution<'_>,
    query: &QueryExpr,
) -> Result<Computed, SqlError> {
    let query = bound(query, execution.parameters);
    let catalog = session.catalog(&execution.snapshot);
    let own = session.own_writes(&execution.snapshot)?;
    let at = session.planning_tick(None);
    let plan = plan_read(&session.shared, &catalog, &query, at, own.as_ref())?;
    drop(own);
    if matches!(&plan.way, Way::Peek(PeekPlan::Constant { .. })) {
        // Nothing is read: no tick is needed.
        let none = BTreeSet::new();
        debug_assert_eq!(plan.bases, none);
        let rows =
            crate::read::read(&session.shared, &execution.snapshot, &plan, Tick::MIN).await?;
        return Ok(Computed { rows, read: None });
    }
    let (rows, tick) = read_at(session, &execution.snapshot, &plan, None).await?;
    let tables = plan.bases.into_iter().collect();
    if rows.iter().any(|(_, diff)| *diff < 0) {
        return Err(crate::finish::negative_count());
    }
    Ok(Computed { rows, read: Some((tick, tables)) })
}

/// The rows of a query that reads nothing.
///
/// # Errors
/// A row cannot be computed.
pub(crate) async fn constant_rows(
    session: &Session,
    snapshot: &Snapshot,
    query: &QueryExpr,
) -> Result<Vec<(Row, Diff)>, SqlError> {
    let plan = plan_read(&session.shared, &snapshot.catalog, query, Tick::MAX, None)?;
    match &plan.way {
        Way::Peek(PeekPlan::Constant { .. }) => {
            crate::read::read(&session.shared, snapshot, &plan, Tick::MIN).await
        }
        _ => Err(SqlError::unsupported("a subquery in a default or condition of COPY")),
    }
}

/// Commits at once, or leaves it to the transaction block.
async fn apply(
    session: &mut Session,
    table: ObjectId,
    batch: &RowBatch,
    read: Option<(Tick, Vec<ObjectId>)>,
) -> Result<(), SqlError> {
    apply_all(session, vec![(table, batch.clone(), read)]).await
}

/// Changes of a table, and what was read for them.
type Change = (ObjectId, RowBatch, Option<(Tick, Vec<ObjectId>)>);

/// Commits changes of several tables at once, or leaves them to the transaction block.
pub(crate) async fn apply_all(session: &mut Session, changes: Vec<Change>) -> Result<(), SqlError> {
    let mut alone = super::write::PendingWrites::default();
    for (table, batch, read) in changes {
        if session.temporary.has(table) {
            session.temporary.write(table, &batch);
            continue;
        }
        match &mut session.transaction {
            Transaction::Open(open) => open.writes.add(table, &batch, read),
            _ if batch.is_empty() => {}
            _ => alone.add(table, &batch, read),
        }
    }
    if !alone.is_empty() {
        alone.commit(session).await?;
    }
    Ok(())
}
