//! BEGIN, COMMIT, ROLLBACK.

use tidemill_repr::{SqlError, SqlState};
use tidemill_sql::plan::TransactionModes;

use crate::response::{Notice, Response};
use crate::session::{OpenTransaction, Session, Transaction};

/// Executes BEGIN.
pub(crate) fn begin(session: &mut Session, modes: TransactionModes) -> Result<Response, SqlError> {
    if let Transaction::Open(open) = &mut session.transaction {
        if open.implicit {
            // As in PostgreSQL, the statements before BEGIN become part of its block.
            open.implicit = false;
            open.read_only = modes.read_only.unwrap_or(open.read_only);
            return Ok(Response::Tag("BEGIN".to_owned()));
        }
        session.notice(Notice::warning(SqlError::new(
            SqlState::ACTIVE_SQL_TRANSACTION,
            "there is already a transaction in progress",
        )));
        return Ok(Response::Tag("BEGIN".to_owned()));
    }
    let by_default = session.settings.get("default_transaction_read_only")? == "on";
    session.transaction = Transaction::Open(OpenTransaction {
        read_only: modes.read_only.unwrap_or(by_default),
        ..OpenTransaction::default()
    });
    Ok(Response::Tag("BEGIN".to_owned()))
}

/// Executes COMMIT.
pub(crate) async fn commit(session: &mut Session, chain: bool) -> Result<Response, SqlError> {
    end_block(session, chain, true).await
}

/// Ends the implicit block around the statements of a simple query.
pub(crate) async fn commit_implicit(session: &mut Session) -> Result<(), SqlError> {
    end_block(session, false, false).await.map(|_| ())
}

/// Everything the block wrote becomes one commit. `warn` if there is no block of BEGIN's.
async fn end_block(session: &mut Session, chain: bool, warn: bool) -> Result<Response, SqlError> {
    let transaction = std::mem::replace(&mut session.transaction, Transaction::Idle);
    end(session);
    let tag = match transaction {
        Transaction::Idle => {
            no_transaction(session);
            "COMMIT"
        }
        Transaction::Failed => "ROLLBACK",
        Transaction::Open(mut open) => {
            if open.implicit && warn {
                no_transaction(session);
            }
            if !open.writes.is_empty() {
                if let Some(hold) = &open.read {
                    open.writes.depend_on(hold.tick(), open.tables_read);
                }
                session.commit(open.writes.into_commit()).await?;
            }
            "COMMIT"
        }
    };
    if chain {
        session.transaction = Transaction::Open(OpenTransaction::default());
    }
    Ok(Response::Tag(tag.to_owned()))
}

/// Executes ROLLBACK.
pub(crate) fn rollback(session: &mut Session, chain: bool) -> Result<Response, SqlError> {
    if matches!(session.transaction, Transaction::Idle) || session.in_implicit_block() {
        no_transaction(session);
    }
    session.transaction = Transaction::Idle;
    end(session);
    if chain {
        session.transaction = Transaction::Open(OpenTransaction::default());
    }
    Ok(Response::Tag("ROLLBACK".to_owned()))
}

fn end(session: &mut Session) {
    session.cursors.retain(|_, cursor| cursor.hold);
    session.settings.end_transaction();
}

fn no_transaction(session: &mut Session) {
    session.notice(Notice::warning(SqlError::new(
        SqlState::NO_ACTIVE_SQL_TRANSACTION,
        "there is no transaction in progress",
    )));
}

/// Executes SET TRANSACTION and SET SESSION CHARACTERISTICS.
pub(crate) fn set_modes(
    session: &mut Session,
    all: bool,
    modes: TransactionModes,
) -> Result<Response, SqlError> {
    if all {
        if let Some(read_only) = modes.read_only {
            let value = if read_only { "on" } else { "off" };
            session.settings.set("default_transaction_read_only", &[value.to_owned()], false)?;
        }
        if let Some(isolation) = modes.isolation {
            let values = [isolation.to_owned()];
            session.settings.set("default_transaction_isolation", &values, false)?;
        }
        return Ok(Response::Tag("SET".to_owned()));
    }
    if let Some(isolation) = modes.isolation {
        session.settings.set("transaction_isolation", &[isolation.to_owned()], true)?;
    }
    match &mut session.transaction {
        Transaction::Open(open) => {
            if let Some(read_only) = modes.read_only {
                open.read_only = read_only;
            }
        }
        _ => session.notice(Notice::warning(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            "SET TRANSACTION can only be used in transaction blocks",
        ))),
    }
    Ok(Response::Tag("SET".to_owned()))
}
