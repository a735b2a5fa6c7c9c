//! SET, SHOW, RESET, DISCARD.

use tidemill_repr::{ColumnType, Datum, RelationDesc, Row, ScalarType, SqlError, SqlState};
use tidemill_sql::ast::{SetScope, SetValue};
use tidemill_sql::plan::{DiscardKind, SetVariablePlan};

use super::temporary::Temporary;
use crate::response::{Notice, Response, RowsResponse};
use crate::session::{Session, Transaction};
use crate::settings::Settings;

/// Executes SET.
pub(crate) fn set(session: &mut Session, plan: &SetVariablePlan) -> Result<Response, SqlError> {
    let local = matches!(plan.scope, SetScope::Local);
    if local && matches!(session.transaction, Transaction::Idle) {
        session.notice(Notice::warning(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            "SET LOCAL can only be used in transaction blocks",
        )));
        Settings::canonical_name(&plan.name)?;
        return Ok(Response::Tag("SET".to_owned()));
    }
    let report = match &plan.values {
        Some(values) => {
            let values: Vec<String> = values
                .iter()
                .map(|value| match value {
                    SetValue::Word(text) | SetValue::Text(text) | SetValue::Number(text) => {
                        text.clone()
                    }
                })
                .collect();
            session.set(&plan.name, &values, local)?
        }
        None => session.settings.reset(&plan.name)?,
    };
    session.report(report);
    if plan.name.eq_ignore_ascii_case("cluster")
        && session.shared.snapshot().catalog.cluster(session.cluster()).is_none()
    {
        let message = format!("cluster \"{}\" does not exist", session.cluster());
        let message = SqlError::new(SqlState("00000"), message);
        session.notice(Notice { severity: "NOTICE", message });
    }
    if WITHOUT_EFFECT.contains(&plan.name.to_ascii_lowercase().as_str()) {
        session.notice(Notice {
            severity: "NOTICE",
            message: SqlError::new(
                SqlState::WARNING,
                format!("parameter \"{}\" is accepted and has no effect", plan.name),
            ),
        });
    }
    Ok(Response::Tag("SET".to_owned()))
}

/// Settings that clients of PostgreSQL set and that change nothing here.
const WITHOUT_EFFECT: &[&str] = &[
    "auto_route_catalog_queries",
    "client_min_messages",
    "current_object_missing_warnings",
    "lock_timeout",
    "welcome_message",
];

/// Executes RESET.
pub(crate) fn reset(session: &mut Session, name: Option<&str>) -> Result<Response, SqlError> {
    match name {
        Some(name) => {
            let report = session.settings.reset(name)?;
            session.report(report);
        }
        None => session.settings.reset_all(),
    }
    Ok(Response::Tag("RESET".to_owned()))
}

/// Executes SHOW of a setting.
pub(crate) fn show(session: &mut Session, name: &str) -> Result<Response, SqlError> {
    let snapshot = session.shared.snapshot();
    let whole = snapshot.catalog.system_setting(name).filter(|_| Settings::is_system(name));
    let whole = whole.map(|values| values.join(", "));
    let value = match &whole {
        Some(value) => value.as_str(),
        None => session.settings.get(name)?,
    };
    let column = Settings::canonical_name(name)?;
    let desc = RelationDesc::new([(column, ColumnType::new(ScalarType::Text).nullable(false))]);
    let row = Row::pack([Datum::Text(value)]);
    Ok(Response::Rows(RowsResponse::ready(desc, "SHOW", vec![row])))
}

/// Executes SHOW ALL.
pub(crate) fn show_all(session: &mut Session) -> Result<Response, SqlError> {
    let text = || ColumnType::new(ScalarType::Text).nullable(false);
    let desc = RelationDesc::new([("name", text()), ("setting", text()), ("description", text())]);
    let rows = session
        .settings
        .all()
        .map(|(name, value, doc)| {
            Row::pack([Datum::Text(name), Datum::Text(value), Datum::Text(doc)])
        })
        .collect();
    Ok(Response::Rows(RowsResponse::ready(desc, "SHOW", rows)))
}

/// Executes DISCARD.
pub(crate) fn discard(session: &mut Session, kind: DiscardKind) -> Result<Response, SqlError> {
    let tag = match kind {
        DiscardKind::All => {
            if !matches!(session.transaction, Transaction::Idle) {
                return Err(SqlError::new(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "DISCARD ALL cannot run inside a transaction block",
                ));
            }
            session.settings.reset_all();
            session.settings.reset_identity();
            session.discard_sequences();
            session.cursors.clear();
            session.statements.clear();
            session.temporary = Temporary::default();
            "DISCARD ALL"
        }
        // There are none of these: nothing is what is to be forgotten.
        DiscardKind::Plans => "DISCARD PLANS",
        DiscardKind::Sequences => {
            session.discard_sequences();
            "DISCARD SEQUENCES"
        }
        DiscardKind::Temp => {
            session.temporary = Temporary::default();
            "DISCARD TEMP"
        }
    };
    Ok(Response::Tag(tag.to_owned()))
}
