//! libpq's connection strings: `host=.. port=..`, and `postgres://user@host:port/database`.

use tidemill_catalog::{PostgresConnectionOptions, QualifiedName};
use tidemill_repr::{SqlError, SqlState};

use super::SSL_MODES;
use crate::ast::{ConnectionKind, CreateConnection, NamedOption, OptionValue};
use crate::names;

/// What a connection string says.
pub(in crate::statements) struct ConnectionInfo {
    /// All but the password.
    pub(in crate::statements) options: PostgresConnectionOptions,
    /// The password.
    pub(in crate::statements) password: Option<String>,
}

impl ConnectionInfo {
    /// The CREATE CONNECTION that says the same, without the password.
    pub(in crate::statements) fn statement(&self, name: &QualifiedName) -> CreateConnection {
        let text = |name: &str, value: &str| NamedOption {
            name: name.to_owned(),
            value: OptionValue::Text(value.to_owned()),
        };
        let options = &self.options;
        CreateConnection {
            if_not_exists: false,
            name: names::object_name(name),
            kind: ConnectionKind::Postgres,
            options: vec![
                text("HOST", &options.host),
                NamedOption {
                    name: "PORT".to_owned(),
                    value: OptionValue::Number(options.port.to_string()),
                },
                text("USER", &options.user),
                text("DATABASE", &options.database),
                text("SSL MODE", &options.ssl_mode),
            ],
            with: Vec::new(),
        }
    }
}

/// Reads a connection string. Errors never show the values in it.
pub(in crate::statements) fn parse(text: &str) -> Result<ConnectionInfo, SqlError> {
    let uri = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let pairs = match uri {
        Some(rest) => uri_pairs(rest)?,
        None => keyword_pairs(text)?,
    };
    let mut host = None;
    let mut port = 5432;
    let (mut user, mut password, mut database) = (None, None, None);
    let mut ssl_mode = "prefer".to_owned();
    for (key, value) in pairs {
        match key.as_str() {
            "host" | "hostaddr" => host = Some(value),
            "port" => {
                port = match value.parse() {
                    Ok(number) if number > 0 => number,
                    _ => return Err(invalid("port must be a number from 1 to 65535")),
                };
            }
            "user" => user = Some(value),
            "password" => password = Some(value),
            "dbname" => database = Some(value),
            "sslmode" if SSL_MODES.contains(&value.as_str()) => ssl_mode = value,
            "sslmode" => return Err(invalid("sslmode must be one of libpq's modes")),
            // Settings of the line that say nothing about where it leads.
            "application_name"
            | "connect_timeout"
            | "keepalives"
            | "keepalives_idle"
            | "fallback_application_name"
            | "client_encoding" => {}
            other => {
                return Err(invalid(&format!("option \"{other}\" is not known")).with_hint(
                    "Use CREATE CONNECTION, which has an option for each thing that is needed.",
                ));
            }
        }
    }
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        return Err(invalid("it has no host"));
    };
    let Some(user) = user else { return Err(invalid("it has no user")) };
    let database = database.unwrap_or_else(|| user.clone());
    let options = PostgresConnectionOptions {
        host,
        port,
        user,
        password: None,
        database,
        ssl_mode,
        ssl_certificate_authority: None,
        ssl_certificate: None,
        ssl_key: None,
        ssh_tunnel: None,
        aws_privatelink: None,
        made_for_source: true,
    };
    Ok(ConnectionInfo { options, password })
}

fn invalid(why: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid connection string: {why}"))
}

/// `key = value`, `key = 'quoted value'`; a backslash takes the next character as it is.
fn keyword_pairs(text: &str) -> Result<Vec<(String, String)>, SqlError> {
    let mut pairs = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return Ok(pairs);
        }
        let mut key = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.next() != Some('=') {
            return Err(invalid("an option is not followed by \"=\""));
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = rest.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match rest.peek().copied() {
                Some('\'') if quoted => {
                    rest.next();
                    break;
                }
                None if quoted => return Err(invalid("a quoted value does not end")),
                None => break,
                Some(c) if c.is_whitespace() && !quoted => break,
                Some('\\') => {
                    rest.next();
                    value.extend(rest.next());
                }
                Some(c) => {
                    rest.next();
                    value.push(c);
                }
            }
        }
        pairs.push((key, value));
    }
}

/// `[user[:password]@][host][:port][/database][?key=value&..]`
fn uri_pairs(rest: &str) -> Result<Vec<(String, String)>, SqlError> {
    let mut pairs = Vec::new();
    let mut push = |key: &str, value: &str| -> Result<(), SqlError> {
        if !value.is_empty() {
            pairs.push((key.to_owned(), decoded(value)?));
        }
        Ok(())
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (who, place) = match authority.rsplit_once('@') {
        Some((who, place)) => (who, place),
        None => ("", authority),
    };
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or("")),
        None => place.split_once(':').unwrap_or((place, "")),
    };
    push("user", user)?;
    push("password", password)?;
    push("host", host)?;
    push("port", port)?;
    push("dbname", database)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        push(&decoded(key)?, value)?;
    }
    Ok(pairs)
}

fn decoded(text: &str) -> Result<String, SqlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(invalid("\"%\" is not followed by two hexadecimal digits"));
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, u16, String, Option<String>, String, String) {
        let info = parse(text).unwrap();
        let options = info.options;
        let PostgresConnectionOptions { host, port, user, database, ssl_mode, .. } = options;
        (host, port, user, info.password, database, ssl_mode)
    }

    #[test]
    fn both_forms_say_the_same() {
        let wanted = (
            "db.example.com".to_owned(),
            5433,
            "me".to_owned(),
            Some("it's @ secret".to_owned()),
            "shop".to_owned(),
            "require".to_owned(),
        );
        let keywords = "host=db.example.com port = 5433 user=me dbname='shop' \
                        password='it\\'s @ secret' sslmode=require";
        assert_eq!(read(keywords), wanted);
        let uri = "postgresql://me:it%27s%20%40%20secret@db.example.com:5433/shop?sslmode=require";
        assert_eq!(read(uri), wanted);
        assert_eq!(read("host=h user=u").4, "u");
    }

    #[test]
    fn what_is_wrong_is_told_without_values() {
        let refused = |text: &str| parse(text).err().map(|error| error.message).unwrap();
        for text in ["user=hush", "host=hush", "host hush", "host=h user=u password='hush"] {
            assert!(!refused(text).contains("hush"), "{text}");
        }
        assert!(refused("host=h user=u sslrootcert=x").contains("sslrootcert"));
        assert!(refused("host=h user=u port=0").contains("port"));
        assert!(refused("postgres://u:%zz@h").contains('%'));
    }
}
