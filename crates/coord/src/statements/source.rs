//! Statements that talk to an upstream: connections, sources, and tables of sources.

use std::sync::Arc;
use std::time::Duration;

use tidemill_catalog::{Catalog, CatalogChange, Connection, Definition, Source};
use tidemill_ingest::postgres::{self, PostgresConnection};
use tidemill_repr::{ObjectId, SqlError, SqlState};
use tidemill_sql::plan::{CreateSourcePlan, CreateTableFromSourcePlan, NewItem};
use tidemill_sql::sources::{self, Upstream};

use super::Execution;
use super::ddl::{check_current, commit, create, item_of, new_item, numbered_item};
use crate::response::{Notice, Response};
use crate::session::{Session, Transaction};
use crate::shared::Shared;
use crate::sources::{open_connection, upstream_connection};
use crate::upstream::to_catalog;

/// How often a slot is tried to be dropped: its own connection may still hold it.
const SLOT_RETRIES: u32 = 20;

/// Executes CREATE CONNECTION: connects first, unless told not to.
pub(crate) async fn create_connection(
    session: &mut Session,
    execution: &Execution<'_>,
    item: &NewItem,
    validate: bool,
) -> Result<Response, SqlError> {
    if validate && let Definition::Connection(Connection::Postgres(options)) = &item.definition {
        let catalog = session.catalog(&execution.snapshot);
        let connection = open_connection(&session.shared, &catalog, options)?;
        postgres::validate(&connection).await?;
        check_unchanged(session, execution)?;
    }
    create(session, execution, item, "CREATE CONNECTION").await
}

/// The upstream took its time: the catalog must still be the one that was planned on.
pub(super) fn check_unchanged(
    session: &Session,
    execution: &Execution<'_>,
) -> Result<(), SqlError> {
    check_current(session, execution.snapshot.catalog_tick)
}

/// Executes VALIDATE CONNECTION.
pub(crate) async fn validate(
    session: &mut Session,
    execution: &Execution<'_>,
    id: ObjectId,
) -> Result<Response, SqlError> {
    let catalog = session.catalog(&execution.snapshot);
    let connection = upstream_connection(&session.shared, &catalog, id)?;
    postgres::validate(&connection).await?;
    Ok(Response::Tag("VALIDATE CONNECTION".to_owned()))
}

/// The error for statements that cannot be undone.
pub(crate) fn not_in_block(what: &str) -> SqlError {
    SqlError::new(
        SqlState::ACTIVE_SQL_TRANSACTION,
        format!("{what} cannot run inside a transaction block"),
    )
}

/// Executes CREATE SOURCE, with the tables it makes.
pub(crate) async fn create_source(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &CreateSourcePlan,
) -> Result<Response, SqlError> {
    if !matches!(session.transaction, Transaction::Idle) {
        return Err(not_in_block("CREATE SOURCE"));
    }
    let catalog = Arc::clone(&execution.snapshot.catalog);
    let connection = upstream_connection(&session.shared, &catalog, plan.connection)?;
    let described = postgres::describe(&connection, &plan.publication).await?;
    postgres::check_slots(&connection, 2).await?;
    check_unchanged(session, execution)?;
    let number = session.shared.new_number(&catalog);
    let source_id = ObjectId::User(number);
    let definition = Definition::Source(Source {
        connection: plan.connection,
        publication: plan.publication.clone(),
        slot: postgres::new_slot_name(source_id),
        timeline: Some(u64::from(described.timeline)),
        system_identifier: Some(described.system_identifier.clone()),
        cluster: plan.cluster.clone(),
    });
    let source = NewItem {
        name: plan.name.clone(),
        create_sql: plan.create_sql.clone(),
        depends_on: vec![plan.connection],
        definition,
        replaces: None,
    };
    let mut changes =
        vec![CatalogChange::PutItem(Box::new(numbered_item(session, &source, number)))];
    let tables: Vec<_> = described.tables.iter().map(to_catalog).collect();
    let upstream = Upstream { publication: &plan.publication, tables: &tables };
    let subsources = sources::subsources(&catalog, plan, source_id, &upstream)?;
    for table in &subsources {
        check_supported(table, &described.tables)?;
    }
    for table in &subsources {
        changes.push(CatalogChange::PutItem(Box::new(new_item(session, &catalog, table))));
    }
    commit(session, execution, changes).await?;
    tell_insert_only(session, &plan.publication, &subsources);
    Ok(Response::Tag("CREATE SOURCE".to_owned()))
}

/// What cannot be followed is refused before it is created.
fn check_supported(item: &NewItem, tables: &[postgres::UpstreamTable]) -> Result<(), SqlError> {
    let Definition::Table(table) = &item.definition else { return Ok(()) };
    let Some(source) = &table.source else { return Ok(()) };
    match tables.iter().find(|table| table.oid.0 == source.upstream.oid) {
        Some(table) => table.check_supported(),
        None => Ok(()),
    }
}

/// Says which tables will never see updates and deletes.
fn tell_insert_only(session: &mut Session, publication: &str, tables: &[NewItem]) {
    let insert_only = |item: &&NewItem| match &item.definition {
        Definition::Table(table) => {
            table.source.as_ref().is_some_and(|source| source.upstream.insert_only)
        }
        _ => false,
    };
    let names: Vec<&str> =
        tables.iter().filter(insert_only).map(|item| item.name.item.as_str()).collect();
    if names.is_empty() {
        return;
    }
    let message = format!("publication \"{publication}\" publishes inserts only");
    let notice = SqlError::new(SqlState("00000"), message).with_detail(format!(
        "Updates, deletes and TRUNCATE upstream will not be seen in {}.",
        names.join(", ")
    ));
    session.notice(Notice { severity: "NOTICE", message: notice });
}

/// Executes CREATE TABLE .. FROM SOURCE.
pub(crate) async fn create_table(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &CreateTableFromSourcePlan,
) -> Result<Response, SqlError> {
    if !matches!(session.transaction, Transaction::Idle) {
        return Err(not_in_block("CREATE TABLE .. FROM SOURCE"));
    }
    let catalog: Arc<Catalog> = Arc::clone(&execution.snapshot.catalog);
    let item = item_of(&catalog, plan.source)?;
    let Definition::Source(source) = &item.definition else {
        return Err(SqlError::internal("a source that is none"));
    };
    super::resync::check_not_failed(session, &item)?;
    let connection = upstream_connection(&session.shared, &catalog, source.connection)?;
    let described = postgres::describe(&connection, &source.publication).await?;
    postgres::check_slots(&connection, 1).await?;
    check_unchanged(session, execution)?;
    let tables: Vec<_> = described.tables.iter().map(to_catalog).collect();
    let upstream = Upstream { publication: &source.publication, tables: &tables };
    let table = sources::table_from_source(&catalog, plan, &upstream)?;
    check_supported(&table, &described.tables)?;
    let response = create(session, execution, &table, "CREATE TABLE").await?;
    tell_insert_only(session, &source.publication, std::slice::from_ref(&table));
    Ok(response)
}

/// Drops a slot upstream; the task that held it is just being stopped.
pub(crate) async fn drop_slot(
    shared: &Shared,
    connection: PostgresConnection,
    slot: &str,
) -> Result<(), SqlError> {
    let _ = shared;
    let mut result = Ok(());
    for _ in 0..SLOT_RETRIES {
        result = postgres::drop_slot(&connection, slot).await;
        match &result {
            Err(error) if error.code == SqlState::OBJECT_IN_USE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            _ => break,
        }
    }
    result
}
