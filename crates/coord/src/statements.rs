//! Executing statements: one file a kind. This one only dispatches.

pub(crate) mod alter_table;
pub(crate) mod change_catalog;
pub(crate) mod connection;
pub(crate) mod create_table;
pub(crate) mod cursor;
pub(crate) mod ddl;
pub(crate) mod dml;
pub(crate) mod explain;
pub(crate) mod followed;
pub(crate) mod own;
pub(crate) mod replan;
mod resync;
pub(crate) mod select;
pub(crate) mod setting;
pub(crate) mod source;
pub(crate) mod subscribe;
pub(crate) mod temporary;
pub(crate) mod transaction;
pub(crate) mod truncate;
pub(crate) mod write;

pub(crate) use ddl::new_dataflows;
pub(crate) use dml::Deferred;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tidemill_repr::{Row, SqlError, SqlState};
use tidemill_sql::ParsedStatement;
use tidemill_sql::plan::Plan;

use crate::copy_in::CopyIn;
use crate::read::CachedRead;
use crate::response::Response;
use crate::session::{Session, Transaction};
use crate::snapshot::Snapshot;

/// How often a statement outside a transaction block is tried again when another was faster.
const RETRIES: usize = 100;

/// One execution of a statement.
pub(crate) struct Execution<'a> {
    /// The state it was planned on.
    pub snapshot: Arc<Snapshot>,
    /// Its parameters: a row of one datum each.
    pub parameters: &'a [Row],
    /// Where its read plan may be kept.
    pub cache: Option<Arc<ArcSwapOption<CachedRead>>>,
}

/// Executes a plan. Outside a transaction block, what lost against a concurrent commit is
/// planned and tried again.
pub(crate) async fn execute(
    session: &mut Session,
    snapshot: Arc<Snapshot>,
    plan: Arc<Plan>,
    statement: &Arc<ParsedStatement>,
    parameters: &[Row],
    cache: Option<Arc<ArcSwapOption<CachedRead>>>,
) -> Result<Response, SqlError> {
    let mut execution = Execution { snapshot, parameters, cache };
    let mut plan = plan;
    let types = session.running_types.clone();
    // COMMIT takes the block away, and must not be tried again without it.
    let in_block = !matches!(session.transaction, Transaction::Idle);
    // Writes that lost take turns from the second try on, so that each wins in the end. (EXECUTE
    // is tried again inside, by the statement that it runs.)
    let turns = Arc::clone(&session.shared.retry_turns);
    let mut turn = None;
    let gate = Arc::clone(&session.shared.write_gate);
    let mut alone = None;
    for attempt in 0..RETRIES {
        let result = Box::pin(dispatch(session, &execution, &plan)).await;
        let lost = matches!(&result, Err(error) if error.code == SqlState::SERIALIZATION_FAILURE);
        let leaves =
            session.in_implicit_block() && matches!(&result, Err(error) if wants_no_block(error));
        if leaves {
            session.end_implicit_block().await?;
        } else if !lost || in_block || matches!(*plan, Plan::Execute(_)) {
            if result.is_ok() && matches!(session.transaction, Transaction::Idle) {
                session.temporary.committed();
            }
            return result;
        }
        let writes = matches!(
            *plan,
            Plan::Insert(_)
                | Plan::Update(_)
                | Plan::Delete(_)
                | Plan::Merge(_)
                | Plan::Truncate(_)
                | Plan::WithWrites(_)
                | Plan::AlterTable(_)
        );
        if lost && writes {
            // What it lost against is found only when that is durable.
            session.shared.wait_readable(session.shared.snapshot().tick).await?;
        }
        if writes && turn.is_none() {
            turn = Some(Arc::clone(&turns).lock_owned().await);
            if matches!(*plan, Plan::AlterTable(_)) {
                alone = Some(Arc::clone(&gate).write_owned().await);
            }
        } else {
            // A dataflow that begins anew is there in a moment, but not at once.
            let pause = u64::try_from(attempt.saturating_sub(5)).unwrap_or(0).min(20);
            match pause {
                0 => tokio::task::yield_now().await,
                millis => tokio::time::sleep(Duration::from_millis(millis)).await,
            }
        }
        execution.snapshot = session.shared.snapshot();
        execution.cache = None;
        let planned = session.plan(&execution.snapshot, statement, &types)?;
        plan = Arc::new(planned.plan);
    }
    drop((turn, alone));
    Err(crate::sequencer::serialization_failure())
}

/// Whether a statement was refused only because a block is open.
fn wants_no_block(error: &SqlError) -> bool {
    error.code == SqlState::ACTIVE_SQL_TRANSACTION
}

/// What a read-only transaction must not do, by its command tag.
fn write_tag(plan: &Plan) -> Option<&'static str> {
    Some(match plan {
        Plan::CopyFrom(_) => "COPY FROM",
        Plan::Insert(_) => "INSERT",
        Plan::Update(_) => "UPDATE",
        Plan::Delete(_) => "DELETE",
        Plan::Truncate(_) => "TRUNCATE TABLE",
        Plan::Merge(_) => "MERGE",
        Plan::CreateSequence(_) => "CREATE SEQUENCE",
        Plan::AlterSequence(_) => "ALTER SEQUENCE",
        Plan::CreateDatabase { .. } => "CREATE DATABASE",
        Plan::CreateSchema { .. } => "CREATE SCHEMA",
        Plan::CreateSecret(_) => "CREATE SECRET",
        Plan::AlterSecret { .. } => "ALTER SECRET",
        Plan::CreateConnection { .. } => "CREATE CONNECTION",
        Plan::AlterConnection(_) | Plan::RotateKeys(_) => "ALTER CONNECTION",
        Plan::AddSubsources(plan) => plan.tag,
        Plan::RefreshReferences(_) => "ALTER SOURCE",
        Plan::RenameSchemas(_) => "ALTER SCHEMA",
        Plan::CreateSource(_) => "CREATE SOURCE",
        Plan::CreateTable(_) | Plan::CreateTableFromSource(_) => "CREATE TABLE",
        Plan::CreateType { tag, .. } => tag,
        Plan::CreateFunction(_) => "CREATE FUNCTION",
        Plan::WithWrites(with) => {
            return with.writes.iter().find_map(|part| write_tag(&part.plan));
        }
        Plan::AlterType(plan) => plan.tag,
        Plan::CreateView(_) => "CREATE VIEW",
        Plan::CreateMaterializedView(_) => "CREATE MATERIALIZED VIEW",
        Plan::CreateIndex(_) => "CREATE INDEX",
        Plan::Drop(drop) => drop.tag,
        Plan::Rename(rename) => rename.tag,
        Plan::AlterTable(alter) => alter.tag,
        Plan::AlterFollowed(_) => "ALTER TABLE",
        Plan::ChangeCatalog(change) => change.tag,
        _ => return None,
    })
}

fn check_read_only(session: &Session, plan: &Plan) -> Result<(), SqlError> {
    let read_only = match &session.transaction {
        Transaction::Open(open) => open.read_only,
        _ => session.settings.get("default_transaction_read_only")? == "on",
    };
    match write_tag(plan) {
        Some(tag) if read_only => Err(SqlError::new(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            format!("cannot execute {tag} in a read-only transaction"),
        )),
        _ => Ok(()),
    }
}

async fn dispatch(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &Plan,
) -> Result<Response, SqlError> {
    check_read_only(session, plan)?;
    match plan {
        Plan::Select(select) => select::select(session, execution, select).await,
        Plan::Explain(explain) => explain::explain(session, execution, explain),
        Plan::Subscribe(subscribe) => {
            subscribe::subscribe(session, execution, subscribe).await.map(Response::Rows)
        }
        Plan::Copy(copy) => subscribe::copy(session, execution, copy).await,
        Plan::CopyFrom(copy) => {
            let copy = CopyIn::new(session, Arc::clone(&execution.snapshot), copy);
            Ok(Response::CopyIn(Box::new(copy)))
        }
        Plan::Insert(insert) => dml::insert(session, execution, insert).await,
        Plan::Update(update) => dml::update(session, execution, update).await,
        Plan::Delete(delete) => dml::delete(session, execution, delete).await,
        Plan::Truncate(plan) => truncate::truncate(session, execution, plan).await,
        Plan::Merge(merge) => dml::merge(session, execution, merge).await,
        Plan::Declare(declare) => cursor::declare(session, execution, declare).await,
        Plan::Fetch(fetch) => cursor::fetch(session, fetch).await,
        Plan::Close(name) => cursor::close(session, name.as_deref()),
        Plan::Prepare(prepare) => cursor::prepare(session, prepare),
        Plan::Execute(execute) => cursor::execute(session, execute).await,
        Plan::Deallocate(name) => cursor::deallocate(session, name.as_deref()),
        Plan::Begin(modes) => transaction::begin(session, *modes),
        Plan::Commit { chain } => transaction::commit(session, *chain).await,
        Plan::Rollback { chain } => transaction::rollback(session, *chain),
        Plan::Savepoint(name) => transaction::savepoint(session, name),
        Plan::Release(name) => transaction::release(session, name),
        Plan::RollbackTo(name) => transaction::rollback_to(session, name),
        Plan::SetTransaction { session: all, modes } => {
            transaction::set_modes(session, *all, *modes)
        }
        Plan::SetVariable(set) => setting::set(session, set),
        Plan::ResetVariable(name) => setting::reset(session, name.as_deref()),
        Plan::ShowVariable(name) => setting::show(session, name),
        Plan::ShowAllVariables => setting::show_all(session),
        Plan::Discard(kind) => setting::discard(session, *kind),
        Plan::CreateDatabase { name } => ddl::create_database(session, execution, name).await,
        Plan::CreateSchema { database, name } => {
            ddl::create_schema(session, execution, database, name).await
        }
        Plan::CreateSecret(secret) => ddl::create_secret(session, execution, secret).await,
        Plan::AlterSecret { id, value } => ddl::alter_secret(session, execution, *id, value).await,
        Plan::Resync(id) => resync::resync(session, execution, *id).await,
        Plan::CreateConnection { item, validate } => {
            connection::create_connection(session, execution, item, *validate).await
        }
        Plan::AlterConnection(plan) => connection::alter(session, execution, plan).await,
        Plan::RotateKeys(id) => connection::rotate_keys(session, execution, *id).await,
        Plan::ValidateConnection(id) => connection::validate(session, execution, *id).await,
        Plan::AddSubsources(plan) => source::add_subsources(session, execution, plan).await,
        Plan::RefreshReferences(id) => source::refresh_references(session, execution, *id).await,
        Plan::RenameSchemas(plan) => ddl::rename_schemas(session, execution, plan).await,
        Plan::CreateSource(source) => source::create_source(session, execution, source).await,
        Plan::CreateTableFromSource(table) => source::create_table(session, execution, table).await,
        Plan::CreateTable(table) => create_table::create_table(session, execution, table).await,
        Plan::CreateSequence(item) => {
            ddl::create(session, execution, item, "CREATE SEQUENCE").await
        }
        Plan::AlterSequence(alter) => dml::sequence::alter(session, execution, alter).await,
        Plan::CreateType { item, tag } => ddl::create(session, execution, item, tag).await,
        Plan::WithWrites(with) => dml::with_writes(session, execution, with).await,
        Plan::CreateFunction(item) => {
            ddl::create(session, execution, item, "CREATE FUNCTION").await
        }
        Plan::AlterType(plan) => ddl::alter_type(session, execution, plan).await,
        Plan::CreateView(item) => ddl::create(session, execution, item, "CREATE VIEW").await,
        Plan::CreateMaterializedView(item) => {
            ddl::create(session, execution, item, "CREATE MATERIALIZED VIEW").await
        }
        Plan::CreateIndex(item) => ddl::create(session, execution, item, "CREATE INDEX").await,
        Plan::Drop(drop) => ddl::drop(session, execution, drop).await,
        Plan::Rename(rename) => ddl::rename(session, execution, rename).await,
        Plan::AlterTable(alter) => alter_table::alter_table(session, execution, alter).await,
        Plan::AlterFollowed(alter) => followed::alter(session, execution, alter).await,
        Plan::ChangeCatalog(plan) => ddl::change(session, execution, plan).await,
        Plan::Nothing { tag } => Ok(Response::Tag((*tag).to_owned())),
    }
}
