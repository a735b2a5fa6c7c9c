//! ALTER TABLE of a table that follows a source: other columns of the upstream's.
//!
//! A table with these columns is made beside it. As soon as that has its content and follows, it
//! takes the place of the first in one commit, and what is maintained over it is built again;
//! until then all goes on as before. A statement that is cancelled leaves nothing behind, nor does
//! one that the end of the server cuts off ([`forget_unfinished`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use tidemill_catalog::{Catalog, CatalogChange, Definition, Item};
use tidemill_ingest::postgres;
use tidemill_repr::{ObjectId, SqlError, SqlState};
use tidemill_sql::plan::{AlterFollowedPlan, AlterTablePlan, Plan};
use tidemill_sql::sources::{self, Upstream};

use super::Execution;
use super::ddl::{commit, item_of, new_item};
use super::source::{check_unchanged, not_in_block, put_types};
use crate::coordinator::DEFAULT_DATABASE;
use crate::read::wait_hydrated;
use crate::response::Response;
use crate::session::{Session, SessionOptions, Transaction};
use crate::shared::Shared;
use crate::sources::upstream_connection;
use crate::upstream::to_catalog;

/// Executes the statement.
pub(crate) async fn alter(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &AlterFollowedPlan,
) -> Result<Response, SqlError> {
    if !matches!(session.transaction, Transaction::Idle) {
        return Err(not_in_block("ALTER TABLE of a table that follows a source"));
    }
    let catalog = Arc::clone(&execution.snapshot.catalog);
    let item = item_of(&catalog, plan.table)?;
    if plan.succession.is_some() {
        let message = format!("table \"{}\" is being altered by another session", item.name.item);
        return Err(SqlError::new(SqlState::OBJECT_IN_USE, message)
            .with_hint("Wait until that is done, or cancel it."));
    }
    let statement = statement(&item, plan);
    let made = make(session, execution, &catalog, &item, plan).await?;
    let unfinished = Unfinished { shared: Arc::clone(&session.shared), table: Some(made) };
    let succeeded = succeed(session, &statement, (item.id, made)).await;
    unfinished.end(succeeded.is_ok()).await;
    succeeded?;
    Ok(Response::Tag("ALTER TABLE".to_owned()))
}

/// The statement in full.
fn statement(item: &Item, plan: &AlterFollowedPlan) -> String {
    let quote = |name: &String| tidemill_catalog::name::quote_identifier(name);
    let columns = item.desc().map(|desc| desc.columns.as_slice()).unwrap_or_default();
    let drops = plan.drop.iter().filter_map(|(at, cascade)| {
        let cascade = if *cascade { " CASCADE" } else { "" };
        Some(format!("DROP COLUMN {}{cascade}", quote(&columns.get(*at)?.name)))
    });
    let adds = plan.add.iter().map(|name| format!("ADD COLUMN {}", quote(name)));
    let actions: Vec<String> = drops.chain(adds).collect();
    let text: Vec<String> = plan.text.iter().map(|name| quote(name).to_string()).collect();
    let with = match text.is_empty() {
        true => String::new(),
        false => format!(" WITH (TEXT COLUMNS ({}))", text.join(", ")),
    };
    format!("ALTER TABLE {} {}{with}", item.name, actions.join(", "))
}

/// Makes the table that is to succeed this one.
async fn make(
    session: &mut Session,
    execution: &Execution<'_>,
    catalog: &Catalog,
    item: &Item,
    plan: &AlterFollowedPlan,
) -> Result<ObjectId, SqlError> {
    let follows = item.table().and_then(|table| table.source.as_ref());
    let follows = follows.ok_or_else(|| SqlError::internal("a table that follows no source"))?;
    let source_item = item_of(catalog, follows.source)?;
    let Definition::Source(source) = &source_item.definition else {
        return Err(SqlError::internal("a source that is none"));
    };
    super::resync::check_not_failed(session, &source_item)?;
    let connection = upstream_connection(&session.shared, catalog, source.connection)?;
    let described = postgres::describe(&connection, &source.publication).await?;
    check_unchanged(session, execution)?;
    let tables: Vec<_> = described.tables.iter().map(to_catalog).collect();
    let upstream = Upstream { publication: &source.publication, tables: &tables };
    let mut new = sources::altered(catalog, item, plan, &upstream)?;
    if let Definition::Table(table) = &new.definition
        && let Some(follows) = &table.source
        && let Some(found) =
            described.tables.iter().find(|found| found.oid.0 == follows.upstream.oid)
    {
        found.check_supported()?;
    }
    let mut changes = Vec::new();
    put_types(session, catalog, std::slice::from_mut(&mut new), &mut changes)?;
    let mut made = new_item(session, catalog, &new);
    made.owner.clone_from(&item.owner);
    let id = made.id;
    changes.push(CatalogChange::PutItem(Box::new(made)));
    commit(session, execution, changes).await?;
    Ok(id)
}

/// Waits until the new table has its content, and puts it in the place of the old one.
async fn succeed(
    session: &mut Session,
    statement: &str,
    (old, new): (ObjectId, ObjectId),
) -> Result<(), SqlError> {
    let parsed = tidemill_sql::parse(statement)?.pop();
    let parsed = parsed.ok_or_else(|| SqlError::internal("an empty statement"))?;
    let shared = Arc::clone(&session.shared);
    loop {
        let snapshot = wait_hydrated(&shared, shared.snapshot(), &BTreeSet::from([new])).await?;
        if let Some((_, error)) = snapshot.table_errors.get(&new) {
            return Err(error.clone().into());
        }
        let catalog = Arc::clone(&snapshot.catalog);
        if catalog.item(new).is_none() || catalog.item(old).is_none() {
            return Err(SqlError::new(SqlState::UNDEFINED_TABLE, "the table was dropped"));
        }
        let planned = session.plan(&snapshot, &parsed, &[])?;
        let Plan::AlterFollowed(plan) = planned.plan else {
            return Err(SqlError::internal("another plan than before"));
        };
        let Some((_, succession)) = plan.succession.filter(|(made, _)| *made == new) else {
            return Err(SqlError::internal("a table whose successor is another"));
        };
        let execution = Execution { snapshot, parameters: &[], cache: None };
        match put(session, &execution, &catalog, (&succession, new)).await {
            // Another changed the catalog meanwhile.
            Err(error) if error.code == SqlState::SERIALIZATION_FAILURE => {}
            done => return done,
        }
    }
}

async fn put(
    session: &mut Session,
    execution: &Execution<'_>,
    catalog: &Catalog,
    (plan, new): (&AlterTablePlan, ObjectId),
) -> Result<(), SqlError> {
    let mut ids = BTreeMap::from([(ObjectId::User(plan.number), new)]);
    for altered in &plan.items {
        let is_new = matches!(altered.id, ObjectId::User(number) if number > plan.number);
        if is_new {
            ids.insert(altered.id, ObjectId::User(session.shared.new_number(catalog)));
        }
    }
    let changes = super::alter_table::changes(session, catalog, plan, &ids)?;
    commit(session, execution, changes).await
}

/// A table that has not taken its place yet. It goes with the statement.
struct Unfinished {
    shared: Arc<Shared>,
    table: Option<ObjectId>,
}

impl Unfinished {
    async fn end(mut self, succeeded: bool) {
        if let Some(table) = self.table.take()
            && !succeeded
        {
            forget(Arc::clone(&self.shared), table).await;
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            tokio::spawn(forget(Arc::clone(&self.shared), table));
        }
    }
}

fn is_unfinished(item: &Item) -> bool {
    let source = item.table().and_then(|table| table.source.as_ref());
    source.is_some_and(|source| source.succeeds.is_some())
}

/// Drops a table that was to take another's place.
async fn forget(shared: Arc<Shared>, table: ObjectId) {
    loop {
        let snapshot = shared.snapshot();
        if !snapshot.catalog.item(table).is_some_and(|item| is_unfinished(item)) {
            return;
        }
        let options = SessionOptions {
            user: "mz_system".to_owned(),
            database: DEFAULT_DATABASE.to_owned(),
            ..SessionOptions::default()
        };
        let mut session = Session::new(Arc::clone(&shared), 0, options);
        let execution = Execution { snapshot, parameters: &[], cache: None };
        let dropped = commit(&mut session, &execution, vec![CatalogChange::DropItem(table)]).await;
        match dropped {
            Err(error) if error.code == SqlState::SERIALIZATION_FAILURE => {
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::warn!(%error, "a table that was not finished is left behind");
                return;
            }
            Ok(()) => return,
        }
    }
}

/// Drops what statements that were cut off by the end of the server have left.
pub(crate) async fn forget_unfinished(shared: Weak<Shared>) {
    let Some(shared) = shared.upgrade() else { return };
    let catalog = Arc::clone(&shared.snapshot().catalog);
    let left = catalog.items().filter(|item| is_unfinished(item)).map(|item| item.id);
    for table in left.collect::<Vec<_>>() {
        forget(Arc::clone(&shared), table).await;
    }
}
