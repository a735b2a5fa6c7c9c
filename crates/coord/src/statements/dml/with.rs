//! WITH around statements that write: each part is computed as if alone, what it returned is put
//! where others read it, and all is written at the end, at once.

use tidemill_repr::{Diff, ObjectId, Row, SqlError, Tick};
use tidemill_sql::plan::{Plan, WithWritesPlan};

use super::keys::Written;
use crate::response::{Response, Rows};
use crate::session::{Session, Transaction};
use crate::statements::{Execution, select, transaction};

/// What a part will write.
pub(crate) struct Deferred {
    pub table: ObjectId,
    pub rows: Vec<(Row, Diff)>,
    pub read: Option<(Tick, Vec<ObjectId>)>,
    pub keys: Option<Written>,
}

/// Executes a statement with parts that write.
pub(crate) async fn with_writes(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &WithWritesPlan,
) -> Result<Response, SqlError> {
    // The parts read at one tick and commit at once: that is a transaction.
    let alone = matches!(session.transaction, Transaction::Idle);
    if alone {
        session.open_transaction(false, true);
    }
    session.deferred = Some(Vec::new());
    let result = parts(session, execution, plan).await;
    let deferred = session.deferred.take().unwrap_or_default();
    let mut result = result;
    if result.is_ok() {
        for part in deferred {
            let Deferred { table, rows, read, keys } = part;
            if let Err(error) = super::apply(session, table, &rows, read, keys).await {
                result = Err(error);
                break;
            }
        }
    }
    if !alone {
        return result;
    }
    match result {
        Ok(response) => {
            transaction::commit_implicit(session).await?;
            Ok(response)
        }
        Err(error) => {
            session.fail();
            Err(error)
        }
    }
}

async fn parts(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &WithWritesPlan,
) -> Result<Response, SqlError> {
    let mut plan = plan.clone();
    for at in 0..plan.writes.len() {
        let (id, part) = (plan.writes[at].id, plan.writes[at].plan.clone());
        let rows = match Box::pin(part_of(session, execution, &part)).await? {
            Response::Rows(response) => match response.rows {
                Rows::Ready(rows) => rows.into_iter().collect::<Vec<Row>>(),
                Rows::Live(_) => return Err(SqlError::internal("a write that goes on")),
            },
            _ => continue,
        };
        for later in &mut plan.writes[at + 1..] {
            tidemill_sql::put_rows(&mut later.plan, id, &rows);
        }
        tidemill_sql::put_rows(&mut plan.main, id, &rows);
    }
    part_of(session, execution, &plan.main).await
}

async fn part_of(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &Plan,
) -> Result<Response, SqlError> {
    // What is kept of a plan would hold the rows of this time.
    let execution = &Execution {
        snapshot: std::sync::Arc::clone(&execution.snapshot),
        parameters: execution.parameters,
        cache: None,
    };
    match plan {
        Plan::Insert(insert) => super::insert(session, execution, insert).await,
        Plan::Update(update) => super::update(session, execution, update).await,
        Plan::Delete(delete) => super::delete(session, execution, delete).await,
        Plan::Select(query) => select::select(session, execution, query).await,
        _ => Err(SqlError::internal("a part that is no statement of a WITH")),
    }
}
