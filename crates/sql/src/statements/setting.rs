//! SET, DISCARD: which setting, and what is forgotten. What settings exist and which values they
//! take is `coord`'s.

use sqlparser::ast::DiscardObject;
use tidemill_repr::SqlError;

use super::command;
use crate::ast::SetVariable;
use crate::plan::{DiscardKind, Plan, Planned, SetVariablePlan};

pub(super) fn set(statement: &SetVariable) -> Result<Planned, SqlError> {
    Ok(command(Plan::SetVariable(SetVariablePlan {
        scope: statement.scope,
        name: statement.name.value.clone(),
        values: statement.values.clone(),
    })))
}

pub(super) fn discard(object: &DiscardObject) -> Result<DiscardKind, SqlError> {
    Ok(match object {
        DiscardObject::ALL => DiscardKind::All,
        DiscardObject::PLANS => DiscardKind::Plans,
        DiscardObject::SEQUENCES => DiscardKind::Sequences,
        DiscardObject::TEMP => DiscardKind::Temp,
    })
}
