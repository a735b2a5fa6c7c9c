//! The start of a connection: encryption is declined, a cancel request is passed on, a startup
//! message becomes a session.

use std::time::Duration;

use tidemill_coord::{Coordinator, SessionOptions};
use tidemill_repr::{SqlError, SqlState};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::backend;
use crate::client::{Client, Failure, Outcome};
use crate::frontend::{NEWEST_MINOR, StartupRequest};

/// How long a client may take to say who it is.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The database every server has, and the user where none is named.
const DEFAULT_NAME: &str = "materialize";

/// The user of the internal listener.
pub const SYSTEM_USER: &str = "mz_system";

/// Reads messages until there is a startup message. None if the connection was for something
/// else.
pub async fn startup<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
    coordinator: &Coordinator,
    internal: bool,
) -> Outcome<Option<SessionOptions>> {
    // A client that says nothing is left without a word, as PostgreSQL does.
    tokio::time::timeout(PATIENCE, negotiate(client, coordinator, internal))
        .await
        .unwrap_or(Err(Failure::Gone))
}

async fn negotiate<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
    coordinator: &Coordinator,
    internal: bool,
) -> Outcome<Option<SessionOptions>> {
    loop {
        match client.startup_request().await? {
            StartupRequest::Ssl | StartupRequest::Gss => {
                client.output.push(b'N');
                client.flush().await?;
            }
            StartupRequest::Cancel { session, key } => {
                coordinator.cancel(session, &key);
                return Ok(None);
            }
            StartupRequest::Startup { minor, parameters } => {
                let unknown: Vec<&str> = parameters
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .filter(|name| name.starts_with("_pq_."))
                    .collect();
                let spoken = minor.min(NEWEST_MINOR);
                if minor > spoken || !unknown.is_empty() {
                    backend::negotiate_protocol_version(&mut client.output, spoken, &unknown);
                }
                let mut options = session_options(parameters, internal).map_err(Failure::Fatal)?;
                options.long_cancel_key = spoken >= 2;
                check_name(&options, internal).map_err(Failure::Fatal)?;
                return Ok(Some(options));
            }
        }
    }
}

/// System users have a port of their own.
pub fn check_name(options: &SessionOptions, internal: bool) -> Result<(), SqlError> {
    if !internal && options.user.starts_with("mz_") {
        return Err(SqlError::new(
            SqlState::INVALID_AUTHORIZATION,
            format!("unauthorized login to user \"{}\"", options.user),
        )
        .with_hint("System users connect to the internal SQL port."));
    }
    Ok(())
}

/// Who connects and with which settings.
fn session_options(
    parameters: Vec<(String, String)>,
    internal: bool,
) -> Result<SessionOptions, SqlError> {
    let mut options = SessionOptions::default();
    for (name, value) in parameters {
        match name.as_str() {
            "user" => options.user = value,
            "database" => options.database = value,
            "options" => options.settings.extend(command_line_settings(&value)?),
            "replication" => {
                if !matches!(value.as_str(), "false" | "off" | "no" | "0") {
                    return Err(SqlError::unsupported("a replication connection"));
                }
            }
            _ if name.starts_with("_pq_.") => {}
            _ => options.settings.push((name, value)),
        }
    }
    Ok(with_defaults(options, internal))
}

/// The names that were not given.
pub fn with_defaults(mut options: SessionOptions, internal: bool) -> SessionOptions {
    if options.user.is_empty() {
        options.user = if internal { SYSTEM_USER } else { DEFAULT_NAME }.to_owned();
    }
    // Clients of PostgreSQL name the database after the user where none is given.
    if options.database.is_empty() || options.database == options.user {
        options.database = DEFAULT_NAME.to_owned();
    }
    options
}

/// The settings of `-c name=value` and `--name=value`; a backslash keeps the next character.
fn command_line_settings(text: &str) -> Result<Vec<(String, String)>, SqlError> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => words.last_mut().into_iter().for_each(|word| word.extend(characters.next())),
            blank if blank.is_ascii_whitespace() => words.push(String::new()),
            other => words.last_mut().into_iter().for_each(|word| word.push(other)),
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let invalid = || {
            SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("invalid command-line argument for server process: {word}"),
            )
        };
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(long), _) => long.to_owned(),
            (None, Some("")) => words.next().ok_or_else(invalid)?,
            (None, Some(rest)) => rest.to_owned(),
            (None, None) => return Err(invalid()),
        };
        let (name, value) = setting.split_once('=').ok_or_else(invalid)?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_postgresql_reads_them() {
        let text = r"-c search_path=a\ b --statement-timeout=5s -ccluster=c";
        let settings = command_line_settings(text).unwrap();
        let expected = [("search_path", "a b"), ("statement_timeout", "5s"), ("cluster", "c")];
        assert_eq!(settings, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert!(command_line_settings("-x").is_err());
        assert!(command_line_settings("-c").is_err());
    }

    #[test]
    fn names_have_defaults() {
        let options = session_options(vec![("user".into(), "ann".into())], false).unwrap();
        assert_eq!((options.user.as_str(), options.database.as_str()), ("ann", "materialize"));
        assert_eq!(session_options(Vec::new(), true).unwrap().user, SYSTEM_USER);
    }
}
