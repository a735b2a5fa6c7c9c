//! CREATE SECRET, and new values of secrets.

use sqlparser::ast::Expr;
use tidemill_repr::{Datum, SqlError, SqlState};

use super::{Planning, command};
use crate::ast::CreateSecret;
use crate::plan::{CreateSecretPlan, Plan, Planned, SecretValue};

impl Planning<'_> {
    pub(super) fn create_secret(&self, statement: &CreateSecret) -> Result<Planned, SqlError> {
        let name = self.new_name(&statement.name)?;
        if let Some(planned) = self.check_free(&name, statement.if_not_exists, "CREATE SECRET")? {
            return Ok(planned);
        }
        let value = self.secret_value(&statement.value)?;
        let create_sql = format!("CREATE SECRET {name} AS '********'");
        Ok(command(Plan::CreateSecret(CreateSecretPlan { name, create_sql, value })))
    }

    /// The bytes of a text or bytea. No error shows the value.
    pub(super) fn secret_value(&self, value: &Expr) -> Result<SecretValue, SqlError> {
        let invalid = || {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "the value of a secret must be a constant of type text or bytea, and not NULL",
            )
        };
        let (row, _) = self.constant(value).map_err(|error| {
            let hidden = matches!(error.code.0.get(..2), Some("22"));
            if hidden { invalid() } else { error }
        })?;
        match row.iter().next() {
            Some(Datum::Text(text)) => Ok(SecretValue(text.as_bytes().to_vec())),
            Some(Datum::Bytes(bytes)) => Ok(SecretValue(bytes.to_vec())),
            _ => Err(invalid()),
        }
    }
}
