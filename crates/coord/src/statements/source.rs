//! Statements that make sources and tables of sources from what is upstream.

use std::sync::Arc;

use tidemill_catalog::{
    Catalog, CatalogChange, Connection, Definition, Item, Source, SourceReference,
};
use tidemill_ingest::postgres::{self, PostgresConnection};
use tidemill_repr::{ObjectId, SqlError, SqlState};
use tidemill_sql::plan::{
    AddSubsourcesPlan, CreateSecretPlan, CreateSourcePlan, CreateTableFromSourcePlan, NewItem,
    Plan, SourceConnection,
};
use tidemill_sql::sources::{self, Upstream};

use super::Execution;
use super::ddl::{check_current, commit, create, item_of, new_item, numbered_item, seal};
use crate::clock::wall_timestamp;
use crate::response::{Notice, Response};
use crate::session::{Session, Transaction};
use crate::sources::{open_connection, upstream_connection};
use crate::upstream::to_catalog;

/// The upstream took its time: the catalog must still be the one that was planned on.
pub(super) fn check_unchanged(
    session: &Session,
    execution: &Execution<'_>,
) -> Result<(), SqlError> {
    check_current(session, execution.snapshot.catalog_tick)
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
    let connection = match &plan.connection {
        SourceConnection::Existing(id) => upstream_connection(&session.shared, &catalog, *id)?,
        SourceConnection::Made { connection, password } => {
            made_connection(session, &catalog, connection, password.as_ref())?
        }
    };
    let described = postgres::describe(&connection, &plan.publication).await?;
    postgres::check_slots(&connection, 2).await?;
    check_unchanged(session, execution)?;
    let number = session.shared.new_number(&catalog);
    let source_id = ObjectId::User(number);
    let mut changes = Vec::new();
    let connection = match &plan.connection {
        SourceConnection::Existing(id) => *id,
        SourceConnection::Made { connection, password } => {
            put_made(session, &catalog, (connection, password.as_ref()), &mut changes)?
        }
    };
    let (references, references_at) = references(&described);
    let definition = Definition::Source(Source {
        connection,
        publication: plan.publication.clone(),
        slot: postgres::new_slot_name(source_id),
        timeline: Some(u64::from(described.timeline)),
        system_identifier: Some(described.system_identifier.clone()),
        cluster: plan.cluster.clone(),
        references,
        references_at,
    });
    let source = NewItem {
        name: plan.name.clone(),
        create_sql: plan.create_sql.clone(),
        depends_on: vec![connection],
        definition,
        replaces: None,
    };
    changes.push(CatalogChange::PutItem(Box::new(numbered_item(session, &source, number))));
    let tables: Vec<_> = described.tables.iter().map(to_catalog).collect();
    let upstream = Upstream { publication: &plan.publication, tables: &tables };
    let mut subsources = sources::subsources(&catalog, plan, source_id, &upstream)?;
    for table in &subsources {
        check_supported(table, &described.tables)?;
    }
    put_types(session, &catalog, &mut subsources, &mut changes)?;
    for table in &subsources {
        changes.push(CatalogChange::PutItem(Box::new(new_item(session, &catalog, table))));
    }
    if let Some(name) = &plan.progress {
        let progress = progress_relation(session, execution, name, source_id)?;
        changes.push(CatalogChange::PutItem(Box::new(new_item(session, &catalog, &progress))));
    }
    commit(session, execution, changes).await?;
    tell_insert_only(session, &plan.publication, &subsources);
    Ok(Response::Tag("CREATE SOURCE".to_owned()))
}

/// The connection of a connection string, with its password.
fn made_connection(
    session: &Session,
    catalog: &Catalog,
    connection: &NewItem,
    password: Option<&CreateSecretPlan>,
) -> Result<PostgresConnection, SqlError> {
    let Definition::Connection(Connection::Postgres(options)) = &connection.definition else {
        return Err(SqlError::internal("a connection string that leads elsewhere"));
    };
    let mut open = open_connection(&session.shared, catalog, options)?;
    open.password = match password {
        None => None,
        Some(password) => Some(
            String::from_utf8(password.value.0.clone())
                .map_err(|_| SqlError::internal("a password that is no text"))?,
        ),
    };
    Ok(open)
}

/// Makes the connection of a connection string, and the secret with its password.
fn put_made(
    session: &Session,
    catalog: &Catalog,
    (connection, password): (&NewItem, Option<&CreateSecretPlan>),
    changes: &mut Vec<CatalogChange>,
) -> Result<ObjectId, SqlError> {
    let mut connection = connection.clone();
    if let Some(password) = password {
        let secret = NewItem {
            name: password.name.clone(),
            create_sql: password.create_sql.clone(),
            depends_on: Vec::new(),
            definition: seal(session, &password.value)?,
            replaces: None,
        };
        let secret = new_item(session, catalog, &secret);
        if let Definition::Connection(Connection::Postgres(options)) = &mut connection.definition {
            options.password = Some(secret.id);
        }
        connection.depends_on.push(secret.id);
        changes.push(CatalogChange::PutItem(Box::new(secret)));
    }
    let connection = new_item(session, catalog, &connection);
    let id = connection.id;
    changes.push(CatalogChange::PutItem(Box::new(connection)));
    Ok(id)
}

/// The tables that could be made from what is upstream, and the time.
fn references(described: &postgres::UpstreamDescription) -> (Vec<SourceReference>, i64) {
    let references = described
        .tables
        .iter()
        .map(|table| SourceReference {
            schema: table.schema.clone(),
            name: table.name.clone(),
            columns: table
                .columns
                .iter()
                .filter(|column| column.published)
                .map(|column| column.name.clone())
                .collect(),
        })
        .collect();
    (references, wall_timestamp())
}

/// The progress relation of a source: the position in the upstream's log up to which all is here.
fn progress_relation(
    session: &Session,
    execution: &Execution<'_>,
    name: &tidemill_catalog::QualifiedName,
    source: ObjectId,
) -> Result<NewItem, SqlError> {
    let text = format!(
        "CREATE VIEW {name} AS SELECT offset_committed::uint8 AS lsn \
         FROM mz_internal.mz_source_statistics WHERE id = '{source}'"
    );
    let statement = tidemill_sql::parse(&text)?.pop();
    let statement = statement.ok_or_else(|| SqlError::internal("an empty statement"))?;
    let planned = session.plan(&execution.snapshot, &statement, &[])?;
    let Plan::CreateView(mut item) = planned.plan else {
        return Err(SqlError::internal("a progress relation that is no view"));
    };
    item.depends_on.push(source);
    Ok(item)
}

/// Executes ALTER SOURCE .. ADD SUBSOURCE and CREATE VIEWS FROM SOURCE.
pub(crate) async fn add_subsources(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &AddSubsourcesPlan,
) -> Result<Response, SqlError> {
    if !matches!(session.transaction, Transaction::Idle) {
        return Err(not_in_block(plan.tag));
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
    let (mut tables, passed_over) = sources::added_subsources(&catalog, plan, &upstream)?;
    let mut changes = Vec::new();
    put_types(session, &catalog, &mut tables, &mut changes)?;
    for table in &tables {
        check_supported(table, &described.tables)?;
        changes.push(CatalogChange::PutItem(Box::new(new_item(session, &catalog, table))));
    }
    if !changes.is_empty() {
        commit(session, execution, changes).await?;
    }
    for name in passed_over {
        let message = format!("relation \"{}\" already exists, skipping", name.item);
        let message = SqlError::new(SqlState::DUPLICATE_TABLE, message);
        session.notice(Notice { severity: "NOTICE", message });
    }
    tell_insert_only(session, &source.publication, &tables);
    Ok(Response::Tag(plan.tag.to_owned()))
}

/// Executes ALTER SOURCE .. REFRESH REFERENCES.
pub(crate) async fn refresh_references(
    session: &mut Session,
    execution: &Execution<'_>,
    id: ObjectId,
) -> Result<Response, SqlError> {
    if !matches!(session.transaction, Transaction::Idle) {
        return Err(not_in_block("ALTER SOURCE .. REFRESH REFERENCES"));
    }
    let catalog: Arc<Catalog> = Arc::clone(&execution.snapshot.catalog);
    let mut item = Item::clone(item_of(&catalog, id)?.as_ref());
    let Definition::Source(source) = &mut item.definition else {
        return Err(SqlError::internal("a source that is none"));
    };
    let connection = upstream_connection(&session.shared, &catalog, source.connection)?;
    let described = postgres::describe(&connection, &source.publication).await?;
    check_unchanged(session, execution)?;
    (source.references, source.references_at) = references(&described);
    commit(session, execution, vec![CatalogChange::PutItem(Box::new(item))]).await?;
    Ok(Response::Tag("ALTER SOURCE".to_owned()))
}

/// Makes the enums that the tables need and that are not there yet.
pub(super) fn put_types(
    session: &Session,
    catalog: &Catalog,
    tables: &mut [NewItem],
    changes: &mut Vec<CatalogChange>,
) -> Result<(), SqlError> {
    let mut made = Vec::new();
    for typ in sources::new_types(tables) {
        let item = new_item(session, catalog, &typ);
        made.extend(item.type_of().map(|typ| (item.id, typ)));
        changes.push(CatalogChange::PutItem(Box::new(item)));
    }
    tables.iter_mut().try_for_each(|table| sources::with_types(table, &made))
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
    let mut table = sources::table_from_source(&catalog, plan, &upstream)?;
    check_supported(&table, &described.tables)?;
    let mut changes = Vec::new();
    put_types(session, &catalog, std::slice::from_mut(&mut table), &mut changes)?;
    let response = if changes.is_empty() {
        create(session, execution, &table, "CREATE TABLE").await?
    } else {
        changes.push(CatalogChange::PutItem(Box::new(new_item(session, &catalog, &table))));
        commit(session, execution, changes).await?;
        Response::Tag("CREATE TABLE".to_owned())
    };
    tell_insert_only(session, &source.publication, std::slice::from_ref(&table));
    Ok(response)
}
