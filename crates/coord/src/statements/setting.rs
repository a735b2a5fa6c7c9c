//! SET, SHOW, RESET, DISCARD.

use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, Datum, RelationDesc, Row, ScalarType, SqlError, SqlState};
use tidemill_sql::ast::{SetScope, SetValue};
use tidemill_sql::plan::{DiscardKind, SetVariablePlan, TransactionModes};
use tidemill_sql::query::SetConfig;
use tidemill_sql::session::{SERVER_ADDRESS, STARTED_AT, SettingValues};

use super::temporary::Temporary;
use crate::response::{Notice, Response, RowsResponse};
use crate::session::{Session, Transaction};
use crate::settings::Settings;

/// Executes SET.
pub(crate) fn set(session: &mut Session, plan: &SetVariablePlan) -> Result<Response, SqlError> {
    let local = matches!(plan.scope, SetScope::Local);
    if plan.name.eq_ignore_ascii_case("transaction_read_only") {
        return set_read_only(session, plan);
    }
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
    if Settings::is_without_effect(&plan.name) {
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

/// Executes RESET.
pub(crate) fn reset(session: &mut Session, name: Option<&str>) -> Result<Response, SqlError> {
    match name {
        Some(name) => {
            let report = session.settings.reset(name)?;
            session.report(report);
        }
        None => session.change_settings(Settings::reset_all),
    }
    Ok(Response::Tag("RESET".to_owned()))
}

/// That of the transaction is said in other words, too: SET TRANSACTION READ ONLY.
fn set_read_only(session: &mut Session, plan: &SetVariablePlan) -> Result<Response, SqlError> {
    let read_only = match plan.values.as_deref() {
        Some([SetValue::Word(text) | SetValue::Text(text) | SetValue::Number(text)]) => {
            // Checked as any boolean is.
            let mut probe = Settings::default();
            probe.set("default_transaction_read_only", std::slice::from_ref(text), false)?;
            probe.is_on("default_transaction_read_only")
        }
        _ => session.settings.is_on("default_transaction_read_only"),
    };
    let modes = TransactionModes { read_only: Some(read_only), ..TransactionModes::default() };
    super::transaction::set_modes(session, false, modes)
}

/// The value of a setting, as SHOW gives it.
pub(crate) fn shown_value(session: &Session, name: &str) -> Result<String, SqlError> {
    if name.eq_ignore_ascii_case("transaction_read_only") {
        let read_only = match &session.transaction {
            Transaction::Idle => session.settings.is_on("default_transaction_read_only"),
            Transaction::Open(open) | Transaction::Failed(open) => open.read_only,
        };
        return Ok(if read_only { "on" } else { "off" }.to_owned());
    }
    if Settings::is_system(name) {
        let snapshot = session.shared.snapshot();
        if let Some(values) = snapshot.catalog.system_setting(name) {
            return Ok(values.join(", "));
        }
    }
    session.settings.get(name).map(str::to_owned)
}

/// Sets what `set_config` was called for.
pub(crate) fn set_config(
    session: &mut Session,
    wanted: &[SetConfig],
    parameters: &[Row],
) -> Result<(), SqlError> {
    for wanted in wanted {
        let [name, value, local] = [&wanted.name, &wanted.value, &wanted.local]
            .map(|scalar| fixed_value(scalar, parameters));
        let Some(name) = name else {
            let message = "SET requires parameter name";
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
        };
        let is_local = local.as_deref() == Some("t");
        let report = match value {
            // As for SET LOCAL outside a block: it ends at once.
            _ if is_local && matches!(session.transaction, Transaction::Idle) => None,
            Some(value) => session.set(&name, &[value], is_local)?,
            None => session.settings.reset(&name)?,
        };
        session.report(report);
    }
    Ok(())
}

/// A constant or a parameter as text.
fn fixed_value(scalar: &QueryScalar, parameters: &[Row]) -> Option<String> {
    let row = match scalar {
        QueryScalar::Literal(Ok(row), _) => row,
        QueryScalar::Parameter(number, _) => parameters.get(*number)?,
        _ => return None,
    };
    match row.iter().next()? {
        Datum::Text(text) => Some(text.to_owned()),
        Datum::Bool(value) => Some(if value { "t" } else { "f" }.to_owned()),
        _ => None,
    }
}

/// Executes SHOW of a setting.
pub(crate) fn show(session: &mut Session, name: &str) -> Result<Response, SqlError> {
    let value = shown_value(session, name)?;
    let column = Settings::canonical_name(name).unwrap_or(name);
    let desc = RelationDesc::new([(column, ColumnType::new(ScalarType::Text).nullable(false))]);
    let row = Row::pack([Datum::Text(&value)]);
    Ok(Response::Rows(RowsResponse::ready(desc, "SHOW", vec![row])))
}

/// Executes SHOW ALL.
pub(crate) fn show_all(session: &mut Session) -> Result<Response, SqlError> {
    let text = || ColumnType::new(ScalarType::Text).nullable(false);
    let desc = RelationDesc::new([("name", text()), ("setting", text()), ("description", text())]);
    let rows = session
        .settings
        .all()
        .into_iter()
        .map(|(name, value, doc)| {
            Row::pack([Datum::Text(name), Datum::Text(value), Datum::Text(&doc)])
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
            session.change_settings(|settings| {
                settings.reset_all();
                settings.reset_identity();
            });
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

impl SettingValues for Session {
    fn setting(&self, name: &str) -> Option<String> {
        match name {
            STARTED_AT => Some(self.shared.started_at.to_string()),
            SERVER_ADDRESS => self.backend.server.map(|at| at.to_string()),
            _ => shown_value(self, name).ok(),
        }
    }
}
