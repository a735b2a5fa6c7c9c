//! CREATE CONNECTION, VALIDATE CONNECTION.

use sqlparser::ast::ObjectName;
use tidemill_catalog::item::TextOrSecret;
use tidemill_catalog::{Connection, Definition, ItemKind, PostgresConnectionOptions};
use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::options::Options;
use super::{Planning, command};
use crate::ast::{ConnectionKind, CreateConnection, NamedOption, OptionValue};
use crate::names;
use crate::plan::{NewItem, Plan, Planned};

const STATEMENT: &str = "CREATE CONNECTION";
const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

impl Planning<'_> {
    pub(super) fn create_connection(
        &self,
        statement: &CreateConnection,
    ) -> Result<Planned, SqlError> {
        if statement.kind != ConnectionKind::Postgres {
            return Err(SqlError::unsupported(format_args!(
                "CREATE CONNECTION .. TO {}",
                statement.kind
            )));
        }
        let name = self.new_name(&statement.name)?;
        if let Some(planned) = self.check_free(&name, statement.if_not_exists, STATEMENT)? {
            return Ok(planned);
        }
        let mut with = Options::new(STATEMENT, &statement.with)?;
        let validate = with.boolean("VALIDATE")?.unwrap_or(true);
        with.finish()?;
        let mut depends_on = Vec::new();
        let options = self.postgres_options(&statement.options, &mut depends_on)?;
        let canonical = CreateConnection {
            if_not_exists: false,
            name: names::object_name(&name),
            options: self.with_full_secrets(&statement.options)?,
            ..statement.clone()
        };
        let item = NewItem {
            name,
            create_sql: canonical.to_string(),
            depends_on,
            definition: Definition::Connection(Connection::Postgres(options)),
            replaces: None,
        };
        Ok(command(Plan::CreateConnection { item, validate }))
    }

    fn postgres_options(
        &self,
        options: &[NamedOption],
        depends_on: &mut Vec<ObjectId>,
    ) -> Result<PostgresConnectionOptions, SqlError> {
        let mut options = Options::new(STATEMENT, options)?;
        for name in ["SSH TUNNEL", "AWS PRIVATELINK", "AWS CONNECTION"] {
            options.refuse(name)?;
        }
        let host = options.required_text("HOST")?;
        let port = port(&mut options)?;
        let user = options.required_text("USER")?;
        let database = options.text("DATABASE")?.unwrap_or_else(|| "postgres".to_owned());
        let ssl_mode = ssl_mode(&mut options)?;
        let password = self.secret_option(&mut options, "PASSWORD", depends_on)?;
        let ssl_key = self.secret_option(&mut options, "SSL KEY", depends_on)?;
        let ssl_certificate = self.text_or_secret(&mut options, "SSL CERTIFICATE", depends_on)?;
        let ssl_certificate_authority =
            self.text_or_secret(&mut options, "SSL CERTIFICATE AUTHORITY", depends_on)?;
        options.finish()?;
        Ok(PostgresConnectionOptions {
            host,
            port,
            user,
            password,
            database,
            ssl_mode,
            ssl_certificate_authority,
            ssl_certificate,
            ssl_key,
        })
    }

    fn secret_option(
        &self,
        options: &mut Options<'_>,
        name: &str,
        depends_on: &mut Vec<ObjectId>,
    ) -> Result<Option<ObjectId>, SqlError> {
        match options.take(name) {
            None => Ok(None),
            Some(OptionValue::Secret(secret)) => {
                let id = self.item(secret, &[ItemKind::Secret])?.id;
                depends_on.push(id);
                Ok(Some(id))
            }
            Some(_) => Err(options
                .wrong(name, "a secret")
                .with_hint(format!("Use CREATE SECRET, and {name} SECRET with its name here."))),
        }
    }

    fn text_or_secret(
        &self,
        options: &mut Options<'_>,
        name: &str,
        depends_on: &mut Vec<ObjectId>,
    ) -> Result<Option<TextOrSecret>, SqlError> {
        match options.take(name) {
            None => Ok(None),
            Some(OptionValue::Text(text)) => Ok(Some(TextOrSecret::Text(text.clone()))),
            Some(OptionValue::Secret(secret)) => {
                let id = self.item(secret, &[ItemKind::Secret])?.id;
                depends_on.push(id);
                Ok(Some(TextOrSecret::Secret(id)))
            }
            Some(_) => Err(options.wrong(name, "a text or a secret")),
        }
    }

    fn with_full_secrets(&self, options: &[NamedOption]) -> Result<Vec<NamedOption>, SqlError> {
        options
            .iter()
            .map(|option| {
                let value = match &option.value {
                    OptionValue::Secret(secret) => {
                        let item = self.item(secret, &[ItemKind::Secret])?;
                        OptionValue::Secret(names::object_name(&item.name))
                    }
                    // A name that is a value stays what it is when it is read again.
                    OptionValue::Name(word) => OptionValue::Text(names::parts(word)?.join(".")),
                    other => other.clone(),
                };
                Ok(NamedOption { name: option.name.clone(), value })
            })
            .collect()
    }

    pub(super) fn validate_connection(&self, name: &ObjectName) -> Result<Planned, SqlError> {
        let item = self.item(name, &[ItemKind::Connection])?;
        Ok(command(Plan::ValidateConnection(item.id)))
    }
}

fn port(options: &mut Options<'_>) -> Result<u16, SqlError> {
    match options.text("PORT")? {
        None => Ok(5432),
        Some(text) => match text.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(options.wrong("PORT", "a number from 1 to 65535")),
        },
    }
}

fn ssl_mode(options: &mut Options<'_>) -> Result<String, SqlError> {
    let Some(mode) = options.text("SSL MODE")? else { return Ok("prefer".to_owned()) };
    let mode = mode.to_lowercase().replace('_', "-");
    if SSL_MODES.contains(&mode.as_str()) {
        return Ok(mode);
    }
    Err(SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for option SSL MODE of {STATEMENT}: \"{mode}\""),
    )
    .with_hint(format!("Available values: {}.", SSL_MODES.join(", "))))
}
