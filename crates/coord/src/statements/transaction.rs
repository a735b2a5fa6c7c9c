//! BEGIN, COMMIT, ROLLBACK, SAVEPOINT and its kin.

use std::collections::BTreeSet;
use std::time::Instant;

use tidemill_repr::{SqlError, SqlState};
use tidemill_sql::plan::TransactionModes;

use super::temporary::Temporary;
use super::write::Mark;
use crate::response::{Notice, Response};
use crate::session::{OpenTransaction, Session, Transaction};
use crate::settings::Settings;

/// A place in a transaction to come back to.
pub(crate) struct Savepoint {
    name: String,
    writes: Mark,
    before: Before,
    cursors: BTreeSet<String>,
    read_only: bool,
}

/// What a session was like when a transaction, or the part of one after a savepoint, began.
#[derive(Clone, Default)]
pub(crate) struct Before {
    settings: Settings,
    temporary: Temporary,
}

impl Session {
    fn now(&self) -> Before {
        Before { settings: self.settings.clone(), temporary: self.temporary.clone() }
    }

    /// Puts back what does not wait for COMMIT.
    pub(crate) fn undo(&mut self, before: Before) {
        self.temporary = before.temporary;
        self.change_settings(|settings| *settings = before.settings);
    }

    /// Changes settings, and tells the client of those that it follows.
    pub(crate) fn change_settings(&mut self, change: impl FnOnce(&mut Settings)) {
        let told = self.settings.reported();
        change(&mut self.settings);
        for (old, new) in told.into_iter().zip(self.settings.reported()) {
            if old != new {
                self.report(Some(new));
            }
        }
    }

    /// Ends what was set for the transaction.
    fn end_local_settings(&mut self) {
        if self.settings.has_local() {
            self.change_settings(Settings::end_transaction);
        } else {
            self.settings.end_transaction();
        }
    }

    /// Opens a block.
    pub(crate) fn open_transaction(&mut self, read_only: bool, implicit: bool) {
        let (before, began) = (Some(self.now()), Some(Instant::now()));
        let open =
            OpenTransaction { read_only, implicit, before, began, ..OpenTransaction::default() };
        self.transaction = Transaction::Open(Box::new(open));
    }
}

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
    session.open_transaction(modes.read_only.unwrap_or(by_default), false);
    Ok(Response::Tag("BEGIN".to_owned()))
}

/// Executes COMMIT.
pub(crate) async fn commit(session: &mut Session, chain: bool) -> Result<Response, SqlError> {
    check_chain(session, "COMMIT", chain)?;
    end_block(session, chain, true).await
}

/// Ends the implicit block around the statements of a simple query.
pub(crate) async fn commit_implicit(session: &mut Session) -> Result<(), SqlError> {
    end_block(session, false, false).await.map(|_| ())
}

/// Everything the block wrote becomes one commit. `warn` if there is no block of BEGIN's.
async fn end_block(session: &mut Session, chain: bool, warn: bool) -> Result<Response, SqlError> {
    let transaction = std::mem::replace(&mut session.transaction, Transaction::Idle);
    let mut read_only = false;
    let tag = match transaction {
        Transaction::Idle => {
            no_transaction(session);
            "COMMIT"
        }
        Transaction::Failed(open) => {
            read_only = open.read_only;
            session.cursors.retain(|_, cursor| cursor.kept);
            session.undo(open.before.unwrap_or_default());
            "ROLLBACK"
        }
        Transaction::Open(open) => {
            let mut open = *open;
            read_only = open.read_only;
            if open.implicit && warn {
                no_transaction(session);
            }
            if !open.writes.is_empty() {
                if let Some(hold) = &open.read {
                    open.writes.depend_on(hold.tick(), open.tables_read);
                }
                if let Err(error) = open.writes.commit(session).await {
                    session.cursors.retain(|_, cursor| cursor.kept);
                    session.undo(open.before.unwrap_or_default());
                    session.end_local_settings();
                    return Err(error);
                }
            }
            session.temporary.committed();
            "COMMIT"
        }
    };
    session.cursors.retain(|_, cursor| cursor.hold);
    session.cursors.values_mut().for_each(|cursor| cursor.kept = true);
    session.end_local_settings();
    if chain {
        session.open_transaction(read_only, false);
    }
    Ok(Response::Tag(tag.to_owned()))
}

/// Executes ROLLBACK.
pub(crate) fn rollback(session: &mut Session, chain: bool) -> Result<Response, SqlError> {
    check_chain(session, "ROLLBACK", chain)?;
    if matches!(session.transaction, Transaction::Idle) || session.in_implicit_block() {
        no_transaction(session);
    }
    let transaction = std::mem::replace(&mut session.transaction, Transaction::Idle);
    let mut read_only = false;
    if let Transaction::Open(open) | Transaction::Failed(open) = transaction {
        read_only = open.read_only;
        session.undo(open.before.unwrap_or_default());
    }
    session.cursors.retain(|_, cursor| cursor.kept);
    session.end_local_settings();
    if chain {
        session.open_transaction(read_only, false);
    }
    Ok(Response::Tag("ROLLBACK".to_owned()))
}

/// There must be a block for another to follow.
fn check_chain(session: &Session, what: &str, chain: bool) -> Result<(), SqlError> {
    if chain && (matches!(session.transaction, Transaction::Idle) || session.in_implicit_block()) {
        return Err(only_in_blocks(&format!("{what} AND CHAIN")));
    }
    Ok(())
}

fn only_in_blocks(what: &str) -> SqlError {
    SqlError::new(
        SqlState::NO_ACTIVE_SQL_TRANSACTION,
        format!("{what} can only be used in transaction blocks"),
    )
}

fn no_savepoint(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_SAVEPOINT_SPECIFICATION,
        format!("savepoint \"{name}\" does not exist"),
    )
}

/// Executes SAVEPOINT.
pub(crate) fn savepoint(session: &mut Session, name: &str) -> Result<Response, SqlError> {
    let before = session.now();
    let cursors = session.cursors.keys().cloned().collect();
    match &mut session.transaction {
        Transaction::Open(open) if !open.implicit => {
            let writes = open.writes.mark();
            let (name, read_only) = (name.to_owned(), open.read_only);
            open.savepoints.push(Savepoint { name, writes, before, cursors, read_only });
            Ok(Response::Tag("SAVEPOINT".to_owned()))
        }
        _ => Err(only_in_blocks("SAVEPOINT")),
    }
}

/// Executes RELEASE SAVEPOINT: it and those after it are forgotten, what was done stays.
pub(crate) fn release(session: &mut Session, name: &str) -> Result<Response, SqlError> {
    match &mut session.transaction {
        Transaction::Open(open) if !open.implicit => {
            let found = open.savepoints.iter().rposition(|savepoint| savepoint.name == name);
            open.savepoints.truncate(found.ok_or_else(|| no_savepoint(name))?);
            Ok(Response::Tag("RELEASE".to_owned()))
        }
        _ => Err(only_in_blocks("RELEASE SAVEPOINT")),
    }
}

/// Executes ROLLBACK TO SAVEPOINT: what was done since is undone, also what failed; the savepoint
/// stays.
pub(crate) fn rollback_to(session: &mut Session, name: &str) -> Result<Response, SqlError> {
    let transaction = std::mem::replace(&mut session.transaction, Transaction::Idle);
    let mut open = match transaction {
        Transaction::Open(open) if !open.implicit => open,
        Transaction::Failed(open) => open,
        other => {
            session.transaction = other;
            return Err(only_in_blocks("ROLLBACK TO SAVEPOINT"));
        }
    };
    let Some(found) = open.savepoints.iter().rposition(|savepoint| savepoint.name == name) else {
        session.transaction = Transaction::Failed(open);
        return Err(no_savepoint(name));
    };
    open.savepoints.truncate(found + 1);
    if let Some(savepoint) = open.savepoints.last() {
        open.writes.return_to(&savepoint.writes);
        open.read_only = savepoint.read_only;
        session.cursors.retain(|name, _| savepoint.cursors.contains(name));
        session.undo(savepoint.before.clone());
    }
    session.transaction = Transaction::Open(open);
    Ok(Response::Tag("ROLLBACK".to_owned()))
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
    if let Transaction::Open(open) = &session.transaction {
        check_modes(open, modes)?;
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

/// Once something was read or written, a transaction is what it is.
fn check_modes(open: &OpenTransaction, modes: TransactionModes) -> Result<(), SqlError> {
    let begun = open.read.is_some() || !open.writes.is_empty();
    let refused =
        |message: &str| Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message.to_owned()));
    if modes.isolation.is_some() && begun {
        return refused("SET TRANSACTION ISOLATION LEVEL must be called before any query");
    }
    if modes.isolation.is_some() && !open.savepoints.is_empty() {
        return refused("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
    }
    if modes.read_only == Some(false) && open.read_only && begun {
        return refused("transaction read-write mode must be set before any query");
    }
    Ok(())
}
