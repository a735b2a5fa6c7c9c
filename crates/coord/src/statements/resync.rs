//! ALTER TABLE .. RESYNC and ALTER SOURCE .. RESYNC: what follows a source is read once more, and
//! the differences are applied.

use std::sync::Arc;

use tidemill_catalog::{Catalog, CatalogChange, Definition, Item, Source, Table};
use tidemill_ingest::postgres::{self, UpstreamDescription};
use tidemill_repr::{ObjectId, SqlError, SqlState};
use tidemill_sql::sources::{self, Upstream};

use super::Execution;
use super::ddl::{commit, item_of};
use super::source::{check_unchanged, not_in_block};
use crate::response::Response;
use crate::session::{Session, Transaction};
use crate::slots::drop_slot;
use crate::sources::upstream_connection;
use crate::upstream::to_catalog;

/// Executes either.
pub(crate) async fn resync(
    session: &mut Session,
    execution: &Execution<'_>,
    id: ObjectId,
) -> Result<Response, SqlError> {
    if !matches!(session.transaction, Transaction::Idle) {
        return Err(not_in_block("RESYNC"));
    }
    let catalog: Arc<Catalog> = Arc::clone(&execution.snapshot.catalog);
    let item = item_of(&catalog, id)?;
    match &item.definition {
        Definition::Source(source) => {
            resync_source(session, execution, &catalog, (&item, source)).await
        }
        Definition::Table(table) => {
            resync_table(session, execution, &catalog, (&item, table)).await
        }
        _ => Err(SqlError::internal("RESYNC of what follows no source")),
    }
}

fn source_of(catalog: &Catalog, id: ObjectId) -> Result<(Arc<Item>, Source), SqlError> {
    let item = item_of(catalog, id)?;
    match &item.definition {
        Definition::Source(source) => Ok((Arc::clone(&item), source.clone())),
        _ => Err(SqlError::internal("a source that is none")),
    }
}

/// A source that has failed reads nothing.
pub(super) fn check_not_failed(session: &Session, source: &Item) -> Result<(), SqlError> {
    let Some(error) = session.shared.sources.board.failure(source.id) else { return Ok(()) };
    let message = format!("source \"{}\" has failed: {}", source.name.item, error.message);
    Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .with_hint(format!("Run ALTER SOURCE {} RESYNC.", source.name)))
}

async fn resync_table(
    session: &mut Session,
    execution: &Execution<'_>,
    catalog: &Catalog,
    (item, table): (&Item, &Table),
) -> Result<Response, SqlError> {
    let follows = table.source.as_ref();
    let follows = follows.ok_or_else(|| SqlError::internal("a table that follows no source"))?;
    let (source_item, source) = source_of(catalog, follows.source)?;
    check_not_failed(session, &source_item)?;
    let connection = upstream_connection(&session.shared, catalog, source.connection)?;
    let described = postgres::describe(&connection, &source.publication).await?;
    check_unchanged(session, execution)?;
    let change = resynced(item, table, &described)?;
    commit(session, execution, vec![change]).await?;
    Ok(Response::Tag("ALTER TABLE".to_owned()))
}

async fn resync_source(
    session: &mut Session,
    execution: &Execution<'_>,
    catalog: &Catalog,
    (item, source): (&Item, &Source),
) -> Result<Response, SqlError> {
    let connection = upstream_connection(&session.shared, catalog, source.connection)?;
    let described = postgres::describe(&connection, &source.publication).await?;
    check_unchanged(session, execution)?;
    let old_slot = source.slot.clone();
    let source = Source {
        slot: postgres::new_slot_name(item.id),
        timeline: Some(u64::from(described.timeline)),
        system_identifier: Some(described.system_identifier.clone()),
        ..source.clone()
    };
    let item = Item { definition: Definition::Source(source), ..item.clone() };
    let id = item.id;
    let mut changes = vec![CatalogChange::PutItem(Box::new(item))];
    for item in catalog.items() {
        if let Some(table) = item.table()
            && table.source.as_ref().is_some_and(|follows| follows.source == id)
        {
            changes.push(resynced(item, table, &described)?);
        }
    }
    commit(session, execution, changes).await?;
    // The task lets go of the old slot in a moment.
    tokio::spawn(async move {
        if let Err(error) = drop_slot(&connection, &old_slot).await {
            tracing::warn!(%error, slot = old_slot, "a replication slot was left behind");
        }
    });
    Ok(Response::Tag("ALTER SOURCE".to_owned()))
}

/// The change of the catalog that asks for a RESYNC of a table.
fn resynced(
    item: &Item,
    table: &Table,
    described: &UpstreamDescription,
) -> Result<CatalogChange, SqlError> {
    let tables: Vec<_> = described.tables.iter().map(to_catalog).collect();
    let upstream = Upstream { publication: &described.publication, tables: &tables };
    let table = sources::resynced(&item.name, table, &upstream)?;
    let oid = table.source.as_ref().map(|source| source.upstream.oid);
    if let Some(found) = described.tables.iter().find(|found| Some(found.oid.0) == oid) {
        found.check_supported()?;
    }
    let definition = Definition::Table(table);
    Ok(CatalogChange::PutItem(Box::new(Item { definition, ..item.clone() })))
}
