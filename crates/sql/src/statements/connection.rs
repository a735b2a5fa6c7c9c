//! CREATE CONNECTION, ALTER CONNECTION, VALIDATE CONNECTION.

pub(super) mod conninfo;

use sqlparser::ast::ObjectName;
use tidemill_catalog::item::TextOrSecret;
use tidemill_catalog::{
    AwsPrivatelinkOptions, Connection, Definition, Item, ItemKind, PostgresConnectionOptions,
    SshTunnelOptions,
};
use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::options::Options;
use super::{Planning, command};
use crate::ast::{
    AlterConnection, ConnectionKind, CreateConnection, NamedOption, OptionValue, Statement,
};
use crate::names;
use crate::plan::{AlterConnectionPlan, NewItem, Plan, Planned};

const STATEMENT: &str = "CREATE CONNECTION";
pub(super) const SSL_MODES: &[&str] =
    &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

impl Planning<'_> {
    pub(super) fn create_connection(
        &self,
        statement: &CreateConnection,
    ) -> Result<Planned, SqlError> {
        let name = self.new_name(&statement.name)?;
        if let Some(planned) = self.check_free(&name, statement.if_not_exists, STATEMENT)? {
            return Ok(planned);
        }
        let mut with = Options::new(STATEMENT, &statement.with)?;
        let reachable = statement.kind == ConnectionKind::Postgres;
        // The keys of a tunnel are known to nobody yet.
        let validate = with.boolean("VALIDATE")?.unwrap_or(reachable);
        with.finish()?;
        let mut depends_on = Vec::new();
        let options = Options::new(STATEMENT, &statement.options)?;
        let connection = self.connection(&statement.kind, options, &mut depends_on)?;
        let canonical = CreateConnection {
            if_not_exists: false,
            name: names::object_name(&name),
            options: self.with_full_names_of(&statement.options)?,
            with: Vec::new(),
            ..statement.clone()
        };
        let item = NewItem {
            name,
            create_sql: canonical.to_string(),
            depends_on,
            definition: Definition::Connection(connection),
            replaces: None,
        };
        Ok(command(Plan::CreateConnection { item, validate }))
    }

    fn connection(
        &self,
        kind: &ConnectionKind,
        mut options: Options<'_>,
        depends_on: &mut Vec<ObjectId>,
    ) -> Result<Connection, SqlError> {
        match kind {
            ConnectionKind::Postgres => {
                self.postgres_options(options, depends_on).map(Connection::Postgres)
            }
            ConnectionKind::SshTunnel => {
                let tunnel = SshTunnelOptions {
                    host: options.required_text("HOST")?,
                    port: port(&mut options, 22)?,
                    user: options.required_text("USER")?,
                    host_key: options.text("HOST KEY")?,
                    keys: Vec::new(),
                };
                // What SHOW CREATE gives can be run again; the keys are others then.
                let _ = options.take("PUBLIC KEY 1");
                let _ = options.take("PUBLIC KEY 2");
                options.finish()?;
                Ok(Connection::SshTunnel(tunnel))
            }
            ConnectionKind::AwsPrivatelink => {
                let service_name = options.required_text("SERVICE NAME")?;
                let zones = options.name_list("AVAILABILITY ZONES")?;
                options.finish()?;
                privatelink(service_name, zones).map(Connection::AwsPrivatelink)
            }
            other @ ConnectionKind::Other(_) => {
                Err(SqlError::unsupported(format_args!("CREATE CONNECTION .. TO {other}")))
            }
        }
    }

    fn postgres_options(
        &self,
        mut options: Options<'_>,
        depends_on: &mut Vec<ObjectId>,
    ) -> Result<PostgresConnectionOptions, SqlError> {
        options.refuse("AWS CONNECTION")?;
        let host = options.required_text("HOST")?;
        let port = port(&mut options, 5432)?;
        let user = options.required_text("USER")?;
        let database = options.text("DATABASE")?.unwrap_or_else(|| "postgres".to_owned());
        let ssl_mode = ssl_mode(&mut options)?;
        let password = self.secret_option(&mut options, "PASSWORD", depends_on)?;
        let ssl_key = self.secret_option(&mut options, "SSL KEY", depends_on)?;
        let ssl_certificate = self.text_or_secret(&mut options, "SSL CERTIFICATE", depends_on)?;
        let ssl_certificate_authority =
            self.text_or_secret(&mut options, "SSL CERTIFICATE AUTHORITY", depends_on)?;
        let ssh_tunnel = self.connection_option(&mut options, "SSH TUNNEL", depends_on)?;
        let aws_privatelink =
            self.connection_option(&mut options, "AWS PRIVATELINK", depends_on)?;
        options.finish()?;
        if ssh_tunnel.is_some() && aws_privatelink.is_some() {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "a connection goes through SSH TUNNEL or through AWS PRIVATELINK, not both",
            ));
        }
        if ssl_certificate.is_some() != ssl_key.is_some() {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "options SSL CERTIFICATE and SSL KEY need each other",
            ));
        }
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
            ssh_tunnel,
            aws_privatelink,
            made_for_source: false,
        })
    }

    /// An option that names a connection of its own kind.
    fn connection_option(
        &self,
        options: &mut Options<'_>,
        name: &str,
        depends_on: &mut Vec<ObjectId>,
    ) -> Result<Option<ObjectId>, SqlError> {
        let Some(value) = options.take(name) else { return Ok(None) };
        let OptionValue::Name(connection) = value else {
            return Err(options.wrong(name, "the name of a connection"));
        };
        let item = self.item(connection, &[ItemKind::Connection])?;
        let fits = match &item.definition {
            Definition::Connection(Connection::SshTunnel(_)) => name == "SSH TUNNEL",
            Definition::Connection(Connection::AwsPrivatelink(_)) => name == "AWS PRIVATELINK",
            _ => false,
        };
        if !fits {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("connection \"{}\" is not of type {name}", item.name.item),
            ));
        }
        depends_on.push(item.id);
        Ok(Some(item.id))
    }

    /// ALTER CONNECTION, apart from what is done to other objects too.
    pub(super) fn alter_connection(
        &self,
        item: &Item,
        action: &AlterConnection,
    ) -> Result<Planned, SqlError> {
        const TAG: &str = "ALTER CONNECTION";
        let Definition::Connection(old) = &item.definition else {
            return Err(SqlError::internal("a connection that is none"));
        };
        let (set, drop, with) = match action {
            AlterConnection::RotateKeys if matches!(old, Connection::SshTunnel(_)) => {
                return Ok(command(Plan::RotateKeys(item.id)));
            }
            AlterConnection::RotateKeys => {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("connection \"{}\" is not an SSH tunnel", item.name.item),
                )
                .with_detail("Only SSH tunnels have keys that can be rotated."));
            }
            AlterConnection::Options { set, drop, with } => (set, drop, with),
        };
        let mut with = Options::new(TAG, with)?;
        let reachable = matches!(old, Connection::Postgres(_));
        let validate = with.boolean("VALIDATE")?.unwrap_or(reachable);
        with.finish()?;
        let Statement::CreateConnection(mut create) = super::alter::single(&item.create_sql)?
        else {
            return Err(SqlError::internal("a connection whose text is no CREATE CONNECTION"));
        };
        let twice = |name: &String| {
            let set = set.iter().filter(|option| option.name == *name).count();
            set + drop.iter().filter(|dropped| *dropped == name).count() > 1
        };
        if let Some(name) = set.iter().map(|option| &option.name).chain(drop).find(|n| twice(n)) {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("{TAG} specifies option {name} more than once"),
            ));
        }
        let known = known_options(&create.kind);
        if let Some(unknown) = drop.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized option {unknown} of {TAG}"),
            ));
        }
        create.options.retain(|option| {
            !drop.contains(&option.name) && set.iter().all(|new| new.name != option.name)
        });
        create.options.extend(self.with_full_names_of(set)?);
        let mut depends_on = Vec::new();
        let options = Options::new(TAG, &create.options)?;
        let mut new = self.connection(&create.kind, options, &mut depends_on)?;
        match (&mut new, old) {
            (Connection::SshTunnel(new), Connection::SshTunnel(old)) => {
                new.keys.clone_from(&old.keys);
            }
            (Connection::Postgres(new), Connection::Postgres(old)) => {
                new.made_for_source = old.made_for_source;
            }
            _ => {}
        }
        let item = Item {
            create_sql: create.to_string(),
            depends_on,
            definition: Definition::Connection(new),
            ..item.clone()
        };
        Ok(command(Plan::AlterConnection(Box::new(AlterConnectionPlan { item, validate }))))
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

    fn with_full_names_of(&self, options: &[NamedOption]) -> Result<Vec<NamedOption>, SqlError> {
        options
            .iter()
            .map(|option| {
                let is_connection = ["SSH TUNNEL", "AWS PRIVATELINK"].contains(&&*option.name);
                let value = match &option.value {
                    OptionValue::Secret(secret) => {
                        let item = self.item(secret, &[ItemKind::Secret])?;
                        OptionValue::Secret(names::object_name(&item.name))
                    }
                    OptionValue::Name(name) if is_connection => {
                        let item = self.item(name, &[ItemKind::Connection])?;
                        OptionValue::Name(names::object_name(&item.name))
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

/// The options that a kind of connection has.
fn known_options(kind: &ConnectionKind) -> &'static [&'static str] {
    match kind {
        ConnectionKind::Postgres => &[
            "HOST",
            "PORT",
            "USER",
            "PASSWORD",
            "DATABASE",
            "SSL MODE",
            "SSL CERTIFICATE AUTHORITY",
            "SSL CERTIFICATE",
            "SSL KEY",
            "SSH TUNNEL",
            "AWS PRIVATELINK",
        ],
        ConnectionKind::SshTunnel => &["HOST", "PORT", "USER", "HOST KEY"],
        ConnectionKind::AwsPrivatelink => &["SERVICE NAME", "AVAILABILITY ZONES"],
        ConnectionKind::Other(_) => &[],
    }
}

/// Refuses a connection that does not lead to PostgreSQL.
pub(super) fn check_postgres(item: &Item) -> Result<(), SqlError> {
    match &item.definition {
        Definition::Connection(Connection::Postgres(_)) => Ok(()),
        _ => Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("connection \"{}\" is not of type POSTGRES", item.name.item),
        )),
    }
}

fn privatelink(
    service_name: String,
    zones: Vec<Vec<String>>,
) -> Result<AwsPrivatelinkOptions, SqlError> {
    let invalid = |what: String| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, what));
    let mut parts = service_name.split('.');
    let fits = parts.next() == Some("com")
        && parts.next() == Some("amazonaws")
        && parts.next() == Some("vpce")
        && parts.next().is_some_and(|region| !region.is_empty())
        && parts.next().is_some_and(|service| service.starts_with("vpce-svc-"))
        && parts.next().is_none();
    if !fits {
        return invalid(format!(
            "invalid SERVICE NAME \"{service_name}\": \
             com.amazonaws.vpce.<region>.vpce-svc-<id> is expected"
        ));
    }
    let zones: Vec<String> = zones.into_iter().map(|parts| parts.join(".")).collect();
    for (index, zone) in zones.iter().enumerate() {
        let (region, number) = zone.split_once("-az").unwrap_or((zone, ""));
        let is_id = !region.is_empty()
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit());
        if !is_id {
            return invalid(format!(
                "invalid availability zone \"{zone}\": an identity such as use1-az1 is expected"
            ));
        }
        if zones.iter().take(index).any(|other| other == zone) {
            return invalid(format!("availability zone \"{zone}\" is named twice"));
        }
    }
    Ok(AwsPrivatelinkOptions { service_name, availability_zones: zones })
}

fn port(options: &mut Options<'_>, default: u16) -> Result<u16, SqlError> {
    match options.text("PORT")? {
        None => Ok(default),
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
