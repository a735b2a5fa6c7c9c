//! BEGIN, COMMIT, ROLLBACK and their modes; savepoints.

use sqlparser::ast::{
    Statement, TransactionAccessMode, TransactionIsolationLevel, TransactionMode,
};
use tidemill_repr::SqlError;

use super::{command, unsupported_statement};
use crate::ast::SetTransaction;
use crate::plan::{Plan, Planned, TransactionModes};

pub(super) fn plan(statement: &Statement) -> Result<Planned, SqlError> {
    match statement {
        Statement::StartTransaction {
            modes,
            modifier: None,
            statements,
            exception: None,
            has_end_keyword: false,
            begin: _,
            transaction: _,
        } if statements.is_empty() => Ok(command(Plan::Begin(transaction_modes(modes)?))),
        Statement::Commit { chain, end: _, modifier: None } => {
            Ok(command(Plan::Commit { chain: *chain }))
        }
        Statement::Rollback { chain, savepoint: None } => {
            Ok(command(Plan::Rollback { chain: *chain }))
        }
        Statement::Rollback { chain: false, savepoint: Some(name) } => {
            Ok(command(Plan::RollbackTo(name.value.clone())))
        }
        Statement::Savepoint { name } => Ok(command(Plan::Savepoint(name.value.clone()))),
        Statement::ReleaseSavepoint { name } => Ok(command(Plan::Release(name.value.clone()))),
        other => Err(unsupported_statement(other)),
    }
}

pub(super) fn set_transaction(statement: &SetTransaction) -> Result<Planned, SqlError> {
    let modes = transaction_modes(&statement.modes)?;
    Ok(command(Plan::SetTransaction { session: statement.session, modes }))
}

/// The last of several modes of one kind counts, as in PostgreSQL.
fn transaction_modes(modes: &[TransactionMode]) -> Result<TransactionModes, SqlError> {
    let mut result = TransactionModes::default();
    for mode in modes {
        match mode {
            TransactionMode::AccessMode(access) => {
                result.read_only = Some(*access == TransactionAccessMode::ReadOnly);
            }
            TransactionMode::IsolationLevel(level) => {
                result.isolation = Some(match level {
                    TransactionIsolationLevel::ReadUncommitted => "read uncommitted",
                    TransactionIsolationLevel::ReadCommitted => "read committed",
                    TransactionIsolationLevel::RepeatableRead => "repeatable read",
                    TransactionIsolationLevel::Serializable => "serializable",
                    TransactionIsolationLevel::Snapshot => {
                        return Err(SqlError::unsupported("ISOLATION LEVEL SNAPSHOT"));
                    }
                });
            }
        }
    }
    Ok(result)
}
