//! DECLARE, FETCH, CLOSE; PREPARE, EXECUTE, DEALLOCATE.

use std::sync::Arc;
use std::time::Duration;

use tidemill_repr::{Row, SqlError, SqlState};
use tidemill_sql::ast::FetchCount;
use tidemill_sql::plan::{DeclarePlan, ExecutePlan, FetchPlan, Plan, PreparePlan};

use super::Execution;
use super::select::rows;
use super::subscribe::subscribe;
use crate::response::{Response, RowsResponse};
use crate::session::{Cursor, Prepared, Session, Transaction};

/// Rows that FETCH ALL takes at once from what never ends.
const FETCH_PIECE: usize = 10_000;

/// Executes DECLARE.
pub(crate) async fn declare(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &DeclarePlan,
) -> Result<Response, SqlError> {
    let in_block = matches!(&session.transaction, Transaction::Open(open) if !open.implicit);
    if !plan.hold && !in_block {
        return Err(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            "DECLARE CURSOR can only be used in transaction blocks",
        ));
    }
    if session.cursors.contains_key(&plan.name) {
        return Err(SqlError::new(
            SqlState::DUPLICATE_CURSOR,
            format!("cursor \"{}\" already exists", plan.name),
        ));
    }
    let response = match &plan.source.plan {
        Plan::Select(select) => rows(session, execution, select, "FETCH").await?,
        Plan::Subscribe(plan) => subscribe(session, execution, plan).await?,
        _ => return Err(SqlError::unsupported("DECLARE CURSOR for this statement")),
    };
    // Outside a block the statement commits by itself.
    let kept = plan.hold && matches!(session.transaction, Transaction::Idle);
    session.cursors.insert(plan.name.clone(), Cursor { response, hold: plan.hold, kept });
    Ok(Response::Tag("DECLARE CURSOR".to_owned()))
}

/// Executes FETCH. Without timeout it waits for at least one row; with one, for as many as were
/// asked for, but not longer.
pub(crate) async fn fetch(session: &mut Session, plan: &FetchPlan) -> Result<Response, SqlError> {
    let cursor = session.cursors.get_mut(&plan.name).ok_or_else(|| no_cursor(&plan.name))?;
    let limit = match plan.count {
        FetchCount::Rows(count) => usize::try_from(count).unwrap_or(usize::MAX),
        FetchCount::All => usize::MAX,
    };
    let desc = cursor.response.desc.clone();
    let timeout = plan.timeout_micros.map(Duration::from_micros);
    let rows = fetch_rows(&mut cursor.response, limit, timeout).await?;
    Ok(Response::Rows(RowsResponse::ready(desc, "FETCH", rows)))
}

async fn fetch_rows(
    response: &mut RowsResponse,
    limit: usize,
    timeout: Option<Duration>,
) -> Result<Vec<Row>, SqlError> {
    let mut fetched = Vec::new();
    if limit == 0 {
        return Ok(fetched);
    }
    let live = response.is_live();
    let deadline = timeout.map(|timeout| tokio::time::Instant::now() + timeout);
    while fetched.len() < limit {
        let want = (limit - fetched.len()).min(if live { FETCH_PIECE } else { usize::MAX });
        let next = response.next(want);
        let piece = match deadline {
            Some(deadline) => match tokio::time::timeout_at(deadline, next).await {
                Ok(piece) => piece?,
                Err(_) => break,
            },
            None => next.await?,
        };
        match piece {
            Some(piece) => fetched.extend(piece),
            None => break,
        }
        if live && timeout.is_none() {
            break;
        }
    }
    Ok(fetched)
}

fn no_cursor(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}

/// Executes CLOSE.
pub(crate) fn close(session: &mut Session, name: Option<&str>) -> Result<Response, SqlError> {
    match name {
        Some(name) => {
            session.cursors.remove(name).ok_or_else(|| no_cursor(name))?;
            Ok(Response::Tag("CLOSE CURSOR".to_owned()))
        }
        None => {
            session.cursors.clear();
            Ok(Response::Tag("CLOSE CURSOR ALL".to_owned()))
        }
    }
}

impl Session {
    /// The statement with a name, of PREPARE or of the protocol; the protocol's unnamed one is
    /// the empty name's.
    pub fn prepared(&self, name: &str) -> Option<&Arc<Prepared>> {
        self.statements.get(name)
    }

    /// Keeps a statement under a name.
    pub fn keep_prepared(&mut self, name: &str, prepared: Prepared) {
        self.statements.insert(name.to_owned(), Arc::new(prepared));
    }

    /// Forgets a statement, if it is there.
    pub fn forget_prepared(&mut self, name: &str) {
        self.statements.remove(name);
    }
}

/// Executes PREPARE.
pub(crate) fn prepare(session: &mut Session, plan: &PreparePlan) -> Result<Response, SqlError> {
    if session.statements.contains_key(&plan.name) {
        return Err(SqlError::new(
            SqlState::DUPLICATE_PREPARED_STATEMENT,
            format!("prepared statement \"{}\" already exists", plan.name),
        ));
    }
    let prepared = session.prepare(Some(plan.statement.clone()), &plan.types)?;
    session.keep_prepared(&plan.name, prepared);
    Ok(Response::Tag("PREPARE".to_owned()))
}

/// Executes EXECUTE.
pub(crate) async fn execute(
    session: &mut Session,
    plan: &ExecutePlan,
) -> Result<Response, SqlError> {
    let Some(prepared) = session.statements.get(&plan.name).cloned() else {
        return Err(no_statement(&plan.name));
    };
    if plan.parameters.len() != prepared.parameters.len() {
        return Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("wrong number of parameters for prepared statement \"{}\"", plan.name),
        )
        .with_detail(format!(
            "Expected {} parameters but got {}.",
            prepared.parameters.len(),
            plan.parameters.len()
        )));
    }
    let parameters = plan
        .parameters
        .iter()
        .zip(&prepared.parameters)
        .map(|(value, typ)| super::ddl::constant(session, value, typ))
        .collect::<Result<Vec<Row>, SqlError>>()?;
    let (Some(statement), Some(inner)) = (&prepared.statement, &prepared.plan) else {
        return Ok(Response::Empty);
    };
    let snapshot = session.shared.snapshot();
    let types: Vec<_> = prepared.parameters.iter().cloned().map(Some).collect();
    let plan = if session.is_current(&prepared, &snapshot) {
        Arc::clone(inner)
    } else {
        Arc::new(session.plan(&snapshot, statement, &types)?.plan)
    };
    Box::pin(super::execute(session, snapshot, plan, statement, &parameters, None)).await
}

fn no_statement(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_SQL_STATEMENT_NAME,
        format!("prepared statement \"{name}\" does not exist"),
    )
}

/// Executes DEALLOCATE.
pub(crate) fn deallocate(session: &mut Session, name: Option<&str>) -> Result<Response, SqlError> {
    match name {
        Some(name) => {
            session.statements.remove(name).ok_or_else(|| no_statement(name))?;
            Ok(Response::Tag("DEALLOCATE".to_owned()))
        }
        None => {
            session.statements.clear();
            Ok(Response::Tag("DEALLOCATE ALL".to_owned()))
        }
    }
}
