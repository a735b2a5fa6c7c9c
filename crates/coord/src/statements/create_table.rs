//! CREATE TABLE, with all that belongs to the table, and CREATE TABLE AS.

use std::collections::BTreeMap;

use tidemill_catalog::CatalogChange;
use tidemill_repr::{ObjectId, RowBatch, SqlError};
use tidemill_sql::plan::{CreateTablePlan, renumber};

use super::Execution;
use super::ddl::{FirstRows, commit_with, numbered_item};
use super::dml::ordered;
use super::select::bound;
use super::temporary;
use crate::response::Response;
use crate::session::Session;

/// Executes CREATE TABLE.
pub(crate) async fn create_table(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &CreateTablePlan,
) -> Result<Response, SqlError> {
    if temporary::is_temporary(&plan.table) {
        return create_temporary(session, execution, plan).await;
    }
    let catalog = session.catalog(&execution.snapshot);
    let items: Vec<_> = std::iter::once(&plan.table).chain(&plan.parts).collect();
    let numbers: Vec<u64> = items.iter().map(|_| session.shared.new_number(&catalog)).collect();
    // The plan's numbers are only for the parts to name each other.
    let ids: BTreeMap<ObjectId, ObjectId> = (plan.number..)
        .map(ObjectId::User)
        .zip(numbers.iter().copied().map(ObjectId::User))
        .collect();
    let mut changes = Vec::new();
    for (item, number) in items.into_iter().zip(&numbers) {
        changes.extend(item.replaces.map(CatalogChange::DropItem));
        let mut item = numbered_item(session, item, *number);
        renumber(&mut item.depends_on, &mut item.definition, &ids);
        changes.push(CatalogChange::PutItem(Box::new(item)));
    }
    let table = ObjectId::User(plan.number);
    let table = ids.get(&table).copied().unwrap_or(table);
    let Some(rows) = &plan.rows else {
        commit_with(session, execution, changes, None, Vec::new()).await?;
        return Ok(Response::Tag("CREATE TABLE".to_owned()));
    };
    let Some(query) = &rows.query else {
        commit_with(session, execution, changes, None, Vec::new()).await?;
        return Ok(Response::Tag(rows.tag.to_owned()));
    };
    let query = bound(query, execution.parameters);
    let (found, read) = ordered::first_rows(session, execution, &query).await?;
    let mut batch = RowBatch::new();
    let mut count = 0;
    for (row, diff) in &found {
        batch.push(row.as_ref(), *diff);
        count += diff;
    }
    commit_with(
        session,
        execution,
        changes,
        Some(FirstRows { table, batch, parts: None, read }),
        Vec::new(),
    )
    .await?;
    Ok(Response::Tag(format!("SELECT {count}")))
}

/// A temporary table, with its keys and sequences, which are the session's too.
async fn create_temporary(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &CreateTablePlan,
) -> Result<Response, SqlError> {
    let mut first = None;
    if let Some(query) = plan.rows.as_ref().and_then(|rows| rows.query.as_ref()) {
        let query = bound(query, execution.parameters);
        first = Some(ordered::first_rows(session, execution, &query).await?.0);
    }
    let parts = plan.parts.iter().map(|_| session.shared.transient_id());
    let table = session.shared.transient_id();
    let ids: BTreeMap<ObjectId, ObjectId> =
        (plan.number..).map(ObjectId::User).zip(std::iter::once(table).chain(parts)).collect();
    let items = std::iter::once(&plan.table).chain(&plan.parts);
    for (item, id) in items.zip(ids.values()) {
        temporary::create(session, execution, item, (*id, &ids))?;
    }
    if let Some(on_commit) = plan.on_commit {
        session.temporary.on_commit(table, on_commit);
    }
    let Some(rows) = &plan.rows else { return Ok(Response::Tag("CREATE TABLE".to_owned())) };
    let Some(first) = first else { return Ok(Response::Tag(rows.tag.to_owned())) };
    let mut batch = RowBatch::new();
    let mut count = 0;
    for (row, diff) in &first {
        batch.push(row.as_ref(), *diff);
        count += diff;
    }
    session.temporary.write(table, &batch);
    Ok(Response::Tag(format!("SELECT {count}")))
}
