//! Statements that change the catalog: what they make becomes changes, and the dataflows that
//! follow from them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidemill_catalog::{Catalog, CatalogChange, Definition, Item, Secret};
use tidemill_plan::physical::DataflowDescription;
use tidemill_plan::relation::RelationType;
use tidemill_plan::{Finishing, QueryExpr, QueryScalar};
use tidemill_repr::text::{TextSettings, format_into, parse_into};
use tidemill_repr::{
    ColumnType, ObjectId, Row, RowBatch, RowBuilder, ScalarType, SqlError, SqlState, Tick,
};
use tidemill_sql::plan::{
    AlterTypePlan, ChangeCatalogPlan, CreateSecretPlan, DropPlan, NewItem, RenamePlan,
    RenameSchemasPlan, ReplicaWait, SecretValue,
};

use super::write::{PendingWrites, UnnamedParts};
use super::{Execution, temporary};
use crate::read::{self, Way};
use crate::response::{Notice, Response};
use crate::sequences::Counter;
use crate::session::{Session, Transaction};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::slots;

/// Commits changes of the catalog at once, or leaves them to the transaction block.
pub(crate) async fn commit(
    session: &mut Session,
    execution: &Execution<'_>,
    changes: Vec<CatalogChange>,
) -> Result<(), SqlError> {
    commit_with(session, execution, changes, None, Vec::new()).await
}

/// The first rows of a table.
pub(crate) struct FirstRows {
    /// The table.
    pub table: ObjectId,
    /// The rows, unless they lie in parts.
    pub batch: RowBatch,
    /// The rows that lie in parts.
    pub parts: Option<UnnamedParts>,
    /// What was read for them, and when.
    pub read: Option<(Tick, Vec<ObjectId>)>,
}

fn add_rows(writes: &mut PendingWrites, rows: Option<FirstRows>) {
    let Some(FirstRows { table, batch, parts, read }) = rows else { return };
    writes.add(table, &batch, read);
    if let Some(parts) = parts {
        writes.add_parts(table, parts);
    }
}

/// The same, together with the first rows of a new table, and where its sequences stand.
pub(crate) async fn commit_with(
    session: &mut Session,
    execution: &Execution<'_>,
    changes: Vec<CatalogChange>,
    rows: Option<FirstRows>,
    counters: Vec<(ObjectId, Counter)>,
) -> Result<(), SqlError> {
    let private = |change: &CatalogChange| match change {
        CatalogChange::PutItem(item) => matches!(item.id, ObjectId::Transient(_)),
        CatalogChange::DropItem(id) => matches!(id, ObjectId::Transient(_)),
        _ => false,
    };
    let on_temporary = |change: &CatalogChange| match change {
        CatalogChange::PutItem(item) => {
            item.depends_on.iter().any(|id| matches!(id, ObjectId::Transient(_)))
        }
        _ => false,
    };
    if changes.iter().any(|change| private(change) || on_temporary(change)) {
        return Err(SqlError::unsupported("this statement for temporary tables and views"));
    }
    let before = session.catalog(&execution.snapshot);
    let after = before.apply(&changes)?;
    let dataflows = new_dataflows(&session.shared, &after, &changes)?;
    if let Transaction::Open(open) = &mut session.transaction {
        open.writes.add_catalog(&execution.snapshot, changes, dataflows)?;
        add_rows(&mut open.writes, rows);
        open.writes.counters().extend(counters);
        return Ok(());
    }
    let mut writes = PendingWrites::default();
    add_rows(&mut writes, rows);
    writes.counters().extend(counters);
    writes.add_catalog(&execution.snapshot, changes, dataflows)?;
    writes.commit(session).await?;
    Ok(())
}

/// The dataflows that begin with these changes.
pub(crate) fn new_dataflows(
    shared: &Shared,
    catalog: &Catalog,
    changes: &[CatalogChange],
) -> Result<Vec<DataflowDescription>, SqlError> {
    let mut dataflows = Vec::new();
    for id in super::change_catalog::begun(catalog, changes) {
        if !shared.dataflows.is_running(id) {
            dataflows.push(read::maintained_dataflow(shared, catalog, id)?);
        }
    }
    Ok(dataflows)
}

/// Gives a new object identity and owner.
pub(crate) fn new_item(session: &Session, catalog: &Catalog, item: &NewItem) -> Item {
    numbered_item(session, item, session.shared.new_number(catalog))
}

/// Gives a new object this identity, and an owner.
pub(crate) fn numbered_item(session: &Session, item: &NewItem, id: u64) -> Item {
    Item {
        id: ObjectId::User(id),
        oid: Catalog::oid_for(id),
        name: item.name.clone(),
        owner: session.current_user(),
        create_sql: item.create_sql.clone(),
        depends_on: item.depends_on.clone(),
        definition: item.definition.clone(),
    }
    .with_type_name()
}

/// Makes an object that needs nothing but the catalog.
pub(crate) async fn create(
    session: &mut Session,
    execution: &Execution<'_>,
    item: &NewItem,
    tag: &'static str,
) -> Result<Response, SqlError> {
    if temporary::is_temporary(item) {
        let id = session.shared.transient_id();
        temporary::create(session, execution, item, (id, &BTreeMap::new()))?;
        return Ok(Response::Tag(tag.to_owned()));
    }
    let catalog = session.catalog(&execution.snapshot);
    let mut changes = Vec::new();
    changes.extend(item.replaces.map(CatalogChange::DropItem));
    changes.push(CatalogChange::PutItem(Box::new(new_item(session, &catalog, item))));
    commit(session, execution, changes).await?;
    Ok(Response::Tag(tag.to_owned()))
}

/// Executes CREATE DATABASE; a database begins with a schema `public`.
pub(crate) async fn create_database(
    session: &mut Session,
    execution: &Execution<'_>,
    name: &str,
) -> Result<Response, SqlError> {
    let catalog = session.catalog(&execution.snapshot);
    let number = session.shared.new_number(&catalog);
    let schema = session.shared.new_number(&catalog);
    let owner = session.current_user();
    let changes = vec![
        CatalogChange::CreateDatabase {
            id: number,
            oid: Catalog::oid_for(number),
            name: name.to_owned(),
            owner: owner.clone(),
        },
        CatalogChange::CreateSchema {
            id: schema,
            oid: Catalog::oid_for(schema),
            database: name.to_owned(),
            name: "public".to_owned(),
            owner,
        },
    ];
    commit(session, execution, changes).await?;
    Ok(Response::Tag("CREATE DATABASE".to_owned()))
}

/// Executes CREATE SCHEMA.
pub(crate) async fn create_schema(
    session: &mut Session,
    execution: &Execution<'_>,
    database: &str,
    name: &str,
) -> Result<Response, SqlError> {
    let number = session.shared.new_number(&session.catalog(&execution.snapshot));
    let change = CatalogChange::CreateSchema {
        id: number,
        oid: Catalog::oid_for(number),
        database: database.to_owned(),
        name: name.to_owned(),
        owner: session.current_user(),
    };
    commit(session, execution, vec![change]).await?;
    Ok(Response::Tag("CREATE SCHEMA".to_owned()))
}

pub(crate) fn seal(session: &Session, value: &SecretValue) -> Result<Definition, SqlError> {
    let sealed = session.shared.secrets.encrypt(&value.0);
    let ciphertext = sealed.map_err(|error| crate::ledger_error(&error))?;
    Ok(Definition::Secret(Secret { ciphertext }))
}

/// Executes CREATE SECRET: only the encrypted value leaves this function.
pub(crate) async fn create_secret(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &CreateSecretPlan,
) -> Result<Response, SqlError> {
    let item = NewItem {
        name: plan.name.clone(),
        create_sql: plan.create_sql.clone(),
        depends_on: Vec::new(),
        definition: seal(session, &plan.value)?,
        replaces: None,
    };
    create(session, execution, &item, "CREATE SECRET").await
}

/// Executes ALTER SECRET.
pub(crate) async fn alter_secret(
    session: &mut Session,
    execution: &Execution<'_>,
    id: ObjectId,
    value: &SecretValue,
) -> Result<Response, SqlError> {
    let catalog = session.catalog(&execution.snapshot);
    let mut item = existing(&catalog, id)?;
    item.definition = seal(session, value)?;
    commit(session, execution, vec![CatalogChange::PutItem(Box::new(item))]).await?;
    Ok(Response::Tag("ALTER SECRET".to_owned()))
}

fn existing(catalog: &Catalog, id: ObjectId) -> Result<Item, SqlError> {
    let item = catalog.item(id).ok_or_else(crate::sequencer::serialization_failure)?;
    Ok(Item::clone(item))
}

/// Executes ALTER TYPE and ALTER DOMAIN.
pub(crate) async fn alter_type(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &AlterTypePlan,
) -> Result<Response, SqlError> {
    for (query, error) in &plan.refused {
        let computed = super::dml::compute(session, execution, query).await?;
        if computed.rows.iter().any(|(_, diff)| *diff > 0) {
            return Err(error.clone());
        }
    }
    let changes = plan.items.iter().map(|item| CatalogChange::PutItem(Box::new(item.clone())));
    commit(session, execution, changes.collect()).await?;
    Ok(Response::Tag(plan.tag.to_owned()))
}

/// Executes ALTER .. RENAME TO.
pub(crate) async fn rename(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &RenamePlan,
) -> Result<Response, SqlError> {
    let catalog = session.catalog(&execution.snapshot);
    let mut item = existing(&catalog, plan.id)?;
    item.name = plan.name.clone();
    item.create_sql = plan.create_sql.clone();
    if session.temporary.has(item.id) {
        session.temporary.put(item);
        for dependant in &plan.dependants {
            session.temporary.put(dependant.clone());
        }
        return Ok(Response::Tag(plan.tag.to_owned()));
    }
    let mut changes = vec![CatalogChange::PutItem(Box::new(item))];
    for dependant in &plan.dependants {
        if session.temporary.has(dependant.id) {
            session.temporary.put(dependant.clone());
        } else {
            changes.push(CatalogChange::PutItem(Box::new(dependant.clone())));
        }
    }
    commit(session, execution, changes).await?;
    Ok(Response::Tag(plan.tag.to_owned()))
}

/// Executes what only changes the catalog.
pub(crate) async fn change(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &ChangeCatalogPlan,
) -> Result<Response, SqlError> {
    for change in &plan.changes {
        match change {
            CatalogChange::PutRole(role) => {
                for (name, values) in &role.settings {
                    Settings::default().set(name, values, false)?;
                }
            }
            CatalogChange::SetSystemSetting { name, values: Some(values) } => {
                Settings::check_system(name, values)?;
            }
            CatalogChange::SetSystemSetting { name, values: None } => {
                Settings::check_system_name(name)?;
            }
            _ => {}
        }
    }
    if !plan.changes.is_empty() {
        commit(session, execution, plan.changes.clone()).await?;
    }
    if let Some(wait) = &plan.wait
        && matches!(session.transaction, Transaction::Idle)
    {
        wait_for_replicas(session, wait).await?;
    }
    Ok(Response::Tag(plan.tag.to_owned()))
}

/// Waits until the replicas of a cluster are complete.
async fn wait_for_replicas(session: &Session, wait: &ReplicaWait) -> Result<(), SqlError> {
    let shared = &session.shared;
    let settled = async {
        loop {
            let snapshot = shared.snapshot();
            let Some(cluster) = snapshot.catalog.cluster(&wait.cluster) else { return };
            if shared.replicas.is_settled(cluster) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(Duration::from_millis(wait.timeout), settled).await.is_ok() {
        return Ok(());
    }
    let Some(back) = &wait.otherwise else { return Ok(()) };
    let snapshot = shared.snapshot();
    let mut writes = PendingWrites::default();
    writes.add_catalog(&snapshot, back.clone(), Vec::new())?;
    writes.commit(session).await?;
    Err(SqlError::new(
        SqlState::QUERY_CANCELED,
        format!("canceling statement: cluster \"{}\" was not ready in time", wait.cluster),
    )
    .with_hint("The cluster is as it was. Wait longer, or use ON TIMEOUT COMMIT."))
}

/// Executes DROP. The slots of dropped sources are dropped upstream once the drop is durable.
pub(crate) async fn drop(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &DropPlan,
) -> Result<Response, SqlError> {
    let catalog = session.catalog(&execution.snapshot);
    let mut orphans = Vec::new();
    for id in &plan.items {
        if let Some(item) = catalog.item(*id)
            && let Definition::Source(source) = &item.definition
        {
            orphans.push(slots::orphan(&session.shared, &catalog, item, source));
        }
    }
    if !orphans.is_empty() && !matches!(session.transaction, Transaction::Idle) {
        return Err(super::source::not_in_block("DROP SOURCE"));
    }
    let mut changes: Vec<CatalogChange> = plan
        .items
        .iter()
        .copied()
        .filter(|id| !session.temporary.has(*id))
        .map(CatalogChange::DropItem)
        .collect();
    changes.extend(plan.schemas.iter().map(|(database, name)| CatalogChange::DropSchema {
        database: database.clone(),
        name: name.clone(),
    }));
    changes.extend(
        plan.databases.iter().map(|name| CatalogChange::DropDatabase { name: name.clone() }),
    );
    // With the source goes the knowledge of its slot: what is left upstream is kept.
    changes.extend(orphans.iter().flatten().cloned().map(CatalogChange::PutOrphanedSlot));
    changes.extend(plan.changes.iter().cloned());
    if !changes.is_empty() {
        commit(session, execution, changes).await?;
    }
    for id in &plan.items {
        session.temporary.drop(*id);
    }
    for orphan in orphans {
        let dropped = match orphan {
            Ok(orphan) => {
                let dropped = slots::drop_orphan(&session.shared, &orphan).await;
                dropped.map_err(|error| (orphan.source, orphan.slot, error))
            }
            Err(unknown) => Err(*unknown),
        };
        if let Err((source, slot, error)) = dropped {
            let warning = SqlError::new(
                SqlState::WARNING,
                format!("the replication slot \"{slot}\" of source \"{source}\" was left behind"),
            )
            .with_detail(error.message)
            .with_hint(format!(
                "It is tried again (see mz_internal.mz_postgres_orphaned_slots). By hand: SELECT \
                 pg_drop_replication_slot('{slot}') on the upstream database."
            ));
            session.notice(Notice::warning(warning));
        }
    }
    Ok(Response::Tag(plan.tag.to_owned()))
}

/// Executes ALTER SCHEMA .. RENAME TO and ALTER SCHEMA .. SWAP WITH.
pub(crate) async fn rename_schemas(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &RenameSchemasPlan,
) -> Result<Response, SqlError> {
    let change = CatalogChange::RenameSchemas {
        database: plan.database.clone(),
        names: plan.names.clone(),
        items: plan.items.clone(),
    };
    commit(session, execution, vec![change]).await?;
    Ok(Response::Tag("ALTER SCHEMA".to_owned()))
}

/// The value of a constant, as one of a type: what EXECUTE hands to a statement.
pub(crate) fn constant(
    session: &Session,
    value: &QueryScalar,
    typ: &ScalarType,
) -> Result<Row, SqlError> {
    let unit =
        QueryExpr::Constant { rows: vec![(Row::default(), 1)], typ: RelationType::new(Vec::new()) };
    let query = QueryExpr::Map { input: Box::new(unit), scalars: vec![value.clone()] };
    let snapshot = session.shared.snapshot();
    let definitions =
        read::CatalogDefinitions::new(&snapshot.catalog, &session.shared, session.cluster());
    let relation = tidemill_optimize::optimize(&query, &definitions)?;
    let from = relation.typ().columns.first().map(|column| column.scalar_type.clone());
    let plan = read::plan_read(
        &session.shared,
        &snapshot.catalog,
        (&query, &Finishing::default()),
        (Tick::MAX, session.cluster()),
        None,
    )?;
    let Way::Peek(tidemill_optimize::PeekPlan::Constant { rows, mfp }) = plan.way else {
        return Err(SqlError::unsupported("a parameter that is no constant"));
    };
    let mut worker = read::RowWorker::new(&mfp);
    for (row, diff) in &rows? {
        worker.add(row.as_ref(), *diff)?;
    }
    let Some((row, _)) = worker.rows.pop() else {
        return Err(SqlError::internal("a constant without value"));
    };
    let same = from.as_ref() == Some(typ);
    match (row.iter().next(), from) {
        (Some(datum), Some(from)) if !same && !datum.is_null() => {
            let mut text = String::new();
            format_into(&datum, &from, &TextSettings::default(), &mut text);
            let mut builder = RowBuilder::new();
            parse_into(
                &ColumnType::new(typ.clone()),
                &text,
                &TextSettings::default(),
                &mut builder,
            )?;
            Ok(builder.finish())
        }
        _ => Ok(row),
    }
}

/// What a plan made on an older catalog is worth: nothing.
pub(crate) fn check_current(session: &Session, planned_at: Tick) -> Result<(), SqlError> {
    if session.shared.snapshot().catalog_tick == planned_at {
        return Ok(());
    }
    Err(crate::sequencer::serialization_failure())
}

/// An object by reference, for those who only look.
pub(crate) fn item_of(catalog: &Catalog, id: ObjectId) -> Result<Arc<Item>, SqlError> {
    catalog.item(id).cloned().ok_or_else(crate::sequencer::serialization_failure)
}
