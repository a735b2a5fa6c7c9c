//! INSERT, UPDATE, DELETE, MERGE: rows are computed as a read, checked, then committed as
//! updates.
//!
//! [`ordered`] computes, in order where the statement has one; [`keys`] looks unique keys up;
//! [`program`] does the row-wise work of RETURNING and ON CONFLICT; [`sequence`] gives numbers.

mod insert;
pub(crate) mod keys;
mod merge;
pub(crate) mod ordered;
mod program;
pub(crate) mod sequence;
mod with;

pub(crate) use insert::insert;
pub(crate) use merge::merge;
pub(crate) use with::{Deferred, with_writes};

use std::collections::HashMap;
use std::sync::Arc;

use tidemill_plan::{Finishing, QueryExpr};
use tidemill_repr::{Diff, ObjectId, Row, RowBatch, RowRef, SqlError, Tick};
use tidemill_sql::plan::{DeletePlan, ReturningPlan, RowCheck, UpdatePlan};

use self::keys::KeyReader;
use super::Execution;
use super::select::{bound, read_at};
use crate::read::plan_read;
use crate::response::{Response, RowsResponse};
use crate::sequencer::{KeyClaims, serialization_failure};
use crate::session::{Session, Transaction};
use crate::snapshot::Snapshot;

/// What a write computed: rows with counts, and what it read for them.
pub(crate) struct Computed {
    pub rows: Vec<(Row, Diff)>,
    pub read: Option<(Tick, Vec<ObjectId>)>,
}

/// The changes that a statement makes to its table.
#[derive(Default)]
pub(crate) struct Changes {
    /// Rows that come (1) and go (-1), with their numbers.
    pub rows: Vec<(Row, Diff)>,
    /// Tables that were read for them, and when.
    pub read: Option<(Tick, Vec<ObjectId>)>,
    /// Unique keys that were looked up for them, and when.
    pub looked_up: Option<KeyClaims>,
}

impl Changes {
    fn replace(&mut self, old: RowRef<'_>, new: RowRef<'_>, count: Diff) {
        self.rows.push((old.to_owned(), -count));
        self.rows.push((new.to_owned(), count));
    }
}

/// Executes an UPDATE.
pub(crate) async fn update(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &UpdatePlan,
) -> Result<Response, SqlError> {
    let computed = compute(session, execution, &plan.query).await?;
    let arity = plan.check.desc.arity();
    let mut changes = Changes { read: computed.read, ..Changes::default() };
    let mut returned = Vec::new();
    let mut count = 0;
    for (row, times) in once_each(computed.rows, arity, plan.beside) {
        let [old, beside, new] = split(row.as_ref(), [arity, plan.beside.unwrap_or(0)]);
        plan.check.check(new)?;
        changes.replace(old, new, times);
        count += times;
        if plan.returning.is_some() {
            push_times(&mut returned, &join(&[new, beside]), times);
        }
    }
    let respond = Respond { tag: "UPDATE", count, returning: plan.returning.as_ref(), returned };
    finish(session, execution, plan.table, &plan.check, changes, respond).await
}

/// Executes a DELETE.
pub(crate) async fn delete(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &DeletePlan,
) -> Result<Response, SqlError> {
    let computed = compute(session, execution, &plan.query).await?;
    let arity = plan.check.desc.arity();
    let mut changes = Changes { read: computed.read, ..Changes::default() };
    let mut returned = Vec::new();
    let mut count = 0;
    for (row, times) in once_each(computed.rows, arity, plan.beside) {
        let [old, ..] = split(row.as_ref(), [arity, plan.beside.unwrap_or(0)]);
        changes.rows.push((old.to_owned(), -times));
        count += times;
        if plan.returning.is_some() {
            push_times(&mut returned, &row, times);
        }
    }
    let respond = Respond { tag: "DELETE", count, returning: plan.returning.as_ref(), returned };
    finish(session, execution, plan.table, &plan.check, changes, respond).await
}

/// Of the rows that FROM or USING found for a row of the table, the first one: as often as the
/// table has the row.
fn once_each(rows: Vec<(Row, Diff)>, arity: usize, beside: Option<usize>) -> Vec<(Row, Diff)> {
    if beside.is_none() {
        return rows;
    }
    let mut first: HashMap<Row, Row> = HashMap::new();
    for (row, _) in rows {
        let [old, ..] = split(row.as_ref(), [arity, 0]);
        let known = first.entry(old.to_owned()).or_insert_with(|| row.clone());
        if row < *known {
            *known = row;
        }
    }
    let mut found: Vec<Row> = first.into_values().collect();
    found.sort_unstable();
    let times = |row: &Row| match row.iter().nth(arity) {
        Some(tidemill_repr::Datum::Int(times)) => times,
        _ => 1,
    };
    found.into_iter().map(|row| (times(&row), row)).map(|(times, row)| (row, times)).collect()
}

/// A row in three parts: so many columns, so many, and the rest.
fn split(row: RowRef<'_>, widths: [usize; 2]) -> [RowRef<'_>; 3] {
    let bytes = row.bytes();
    let mut datums = row.iter();
    let mut ends = [0; 2];
    for (width, end) in widths.into_iter().zip(&mut ends) {
        for _ in 0..width {
            datums.next_bytes();
        }
        *end = bytes.len() - datums.rest().len();
    }
    [
        RowRef::from_bytes(&bytes[..ends[0]]),
        RowRef::from_bytes(&bytes[ends[0]..ends[1]]),
        RowRef::from_bytes(&bytes[ends[1]..]),
    ]
}

/// The columns of several rows as one row.
fn join(parts: &[RowRef<'_>]) -> Row {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.bytes().len()).sum());
    parts.iter().for_each(|part| bytes.extend_from_slice(part.bytes()));
    Row::from_bytes(&bytes)
}

fn push_times(rows: &mut Vec<Row>, row: &Row, times: Diff) {
    for _ in 0..times {
        rows.push(row.clone());
    }
}

/// What the client is told.
struct Respond<'p> {
    /// The tag without the number.
    tag: &'static str,
    /// How many rows were written.
    count: Diff,
    /// What is returned, and of which rows.
    returning: Option<&'p ReturningPlan>,
    returned: Vec<Row>,
}

/// Checks keys, computes what is returned, commits, and answers.
async fn finish(
    session: &mut Session,
    execution: &Execution<'_>,
    table: ObjectId,
    check: &RowCheck,
    changes: Changes,
    respond: Respond<'_>,
) -> Result<Response, SqlError> {
    let mut keys = KeyReader::new(session, execution, table, check).await?;
    if let Err(error) = keys.check(&changes.rows).await {
        // The statement saw this key free, and it was taken since: it is done again.
        let was_free = changes.looked_up.as_ref().is_some_and(|seen| keys.ended_at_one_of(seen));
        return Err(if was_free { serialization_failure() } else { error });
    }
    let mut read = changes.read.clone();
    let rows = match respond.returning {
        None => None,
        Some(returning) => {
            let computed =
                program::run(session, execution, &returning.program, respond.returned).await?;
            read = earlier(read, computed.read);
            Some(RowsResponse::ready(returning.desc.clone(), respond.tag, computed.rows))
        }
    };
    let mut claims = keys.into_claims(&changes.rows)?;
    if let (Some(written), Some(looked_up)) = (&mut claims, changes.looked_up) {
        written.claims.add(looked_up);
    }
    apply(session, table, &changes.rows, read, claims).await?;
    Ok(match rows {
        Some(rows) => Response::Rows(rows),
        None => Response::Tag(format!("{} {}", respond.tag, respond.count)),
    })
}

/// Both reads, as of the earlier tick.
fn earlier(
    one: Option<(Tick, Vec<ObjectId>)>,
    other: Option<(Tick, Vec<ObjectId>)>,
) -> Option<(Tick, Vec<ObjectId>)> {
    match (one, other) {
        (Some((tick, mut tables)), Some((other, more))) => {
            tables.extend(more);
            Some((tick.min(other), tables))
        }
        (one, other) => one.or(other),
    }
}

pub(crate) async fn compute(
    session: &mut Session,
    execution: &Execution<'_>,
    query: &QueryExpr,
) -> Result<Computed, SqlError> {
    let query = bound(query, execution.parameters);
    let computed = ordered::rows(session, execution, &query).await?;
    if computed.rows.iter().any(|(_, diff)| *diff < 0) {
        return Err(crate::finish::negative_count());
    }
    Ok(computed)
}

/// Rows by a read of the usual kind.
async fn read_rows(
    session: &mut Session,
    execution: &Execution<'_>,
    query: &QueryExpr,
) -> Result<Computed, SqlError> {
    let catalog = session.catalog(&execution.snapshot);
    let own = session.own_writes(&execution.snapshot, query)?;
    let at = session.planning_tick(None);
    let all = Finishing::default();
    let wanted = (query, &all);
    let plan = plan_read(&session.shared, &catalog, wanted, (at, session.cluster()), own.as_ref())?;
    let read = (&plan, &all);
    drop(own);
    if plan.is_constant() {
        // Nothing is read: no tick is needed.
        let rows = crate::read::read(&session.shared, &execution.snapshot, read, Tick::MIN).await?;
        return Ok(Computed { rows, read: None });
    }
    let (rows, tick) = read_at(session, &execution.snapshot, read, None).await?;
    let tables = plan.bases.into_iter().collect();
    Ok(Computed { rows, read: Some((tick, tables)) })
}

/// The rows that a query makes of constants.
///
/// # Errors
/// A row cannot be computed.
pub(crate) async fn constant_rows(
    session: &mut Session,
    snapshot: &Arc<Snapshot>,
    query: &QueryExpr,
) -> Result<Vec<(Row, Diff)>, SqlError> {
    let snapshot = Arc::clone(snapshot);
    let execution = Execution { snapshot, parameters: &[], cache: None };
    let computed = ordered::rows(session, &execution, query).await?;
    if computed.read.is_some() {
        return Err(SqlError::unsupported("a subquery in a default or condition of COPY"));
    }
    Ok(computed.rows)
}

/// Commits at once, or leaves it to the transaction block.
async fn apply(
    session: &mut Session,
    table: ObjectId,
    rows: &[(Row, Diff)],
    read: Option<(Tick, Vec<ObjectId>)>,
    keys: Option<keys::Written>,
) -> Result<(), SqlError> {
    if let Some(deferred) = &mut session.deferred {
        deferred.push(Deferred { table, rows: rows.to_vec(), read, keys });
        return Ok(());
    }
    let mut batch = RowBatch::new();
    rows.iter().for_each(|(row, diff)| batch.push(row.as_ref(), *diff));
    if session.temporary.has(table) {
        session.temporary.write(table, &batch);
        return Ok(());
    }
    if let Transaction::Open(open) = &mut session.transaction {
        open.writes.add(table, &batch, read);
        open.writes.add_keys(keys);
        return Ok(());
    }
    if batch.is_empty() {
        return Ok(());
    }
    let mut alone = super::write::PendingWrites::default();
    alone.add(table, &batch, read);
    alone.add_keys(keys);
    alone.commit(session).await?;
    Ok(())
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
        let catalog = session.catalog(&session.shared.snapshot());
        let indexes: Vec<ObjectId> = catalog.indexes_on(table).map(|item| item.id).collect();
        match &mut session.transaction {
            Transaction::Open(open) => {
                open.writes.add(table, &batch, read);
                open.writes.empty_keys(table, &indexes);
            }
            _ if batch.is_empty() => {}
            _ => alone.add(table, &batch, read),
        }
    }
    if !alone.is_empty() {
        alone.commit(session).await?;
    }
    Ok(())
}
