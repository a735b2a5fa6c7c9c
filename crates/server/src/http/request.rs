//! What clients ask: the JSON of requests and of a WebSocket's first message.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tidemill_coord::SessionOptions;
use tidemill_repr::{SqlError, SqlState};

/// Statements to run.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged, deny_unknown_fields)]
pub enum SqlRequest {
    /// A text with any number of statements.
    Simple {
        /// The text.
        query: String,
    },
    /// Statements with parameters.
    Extended {
        /// The statements.
        queries: Vec<ExtendedQuery>,
    },
}

/// A statement with parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ExtendedQuery {
    /// The text of one statement.
    pub query: String,
    /// The values of `$1`, `$2`, .. in text format.
    #[serde(default)]
    pub params: Vec<Option<String>>,
}

/// The first message of a WebSocket.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Hello {
    /// The user.
    #[serde(default)]
    pub user: String,
    /// The password, or a token.
    #[serde(default, alias = "token")]
    pub password: Option<String>,
    /// Settings; among them `database`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// Reads a request.
///
/// # Errors
/// It is none; the message says what is expected.
pub fn parse_request(bytes: &[u8]) -> Result<SqlRequest, SqlError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let reason = match error.classify() {
            serde_json::error::Category::Data => String::new(),
            _ => format!(": {error}"),
        };
        SqlError::new(SqlState::PROTOCOL_VIOLATION, format!("invalid request{reason}")).with_hint(
            "Send {\"query\": \"..\"} or {\"queries\": [{\"query\": \"..\", \"params\": [..]}]}; \
             parameters are texts or null.",
        )
    })
}

/// The user and password of an `Authorization: Basic` header; none where there is no header.
///
/// # Errors
/// The header is of another kind, or broken.
pub fn credentials(headers: &HeaderMap) -> Result<Option<(String, String)>, SqlError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let invalid = || {
        SqlError::new(SqlState::INVALID_AUTHORIZATION, "invalid Authorization header")
            .with_hint("Use Basic authentication with the user's name and password.")
    };
    let text = value.to_str().map_err(|_| invalid())?;
    let (kind, encoded) = text.split_once(' ').ok_or_else(invalid)?;
    if !kind.eq_ignore_ascii_case("basic") {
        return Err(invalid());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| invalid())?;
    let decoded = String::from_utf8(decoded).map_err(|_| invalid())?;
    let (user, password) = decoded.split_once(':').ok_or_else(invalid)?;
    Ok(Some((user.to_owned(), password.to_owned())))
}

/// A session for a user with settings.
pub fn session_options(user: String, settings: BTreeMap<String, String>) -> SessionOptions {
    let mut options = SessionOptions { user, ..SessionOptions::default() };
    for (name, value) in settings {
        match name.as_str() {
            "database" => options.database = value,
            _ => options.settings.push((name, value)),
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_simple_or_extended() {
        let simple = parse_request(br#"{"query": "SELECT 1"}"#).unwrap();
        assert_eq!(simple, SqlRequest::Simple { query: "SELECT 1".to_owned() });
        let extended = parse_request(
            br#"{"queries": [{"query": "a", "params": ["1", null]}, {"query": "b"}]}"#,
        )
        .unwrap();
        let SqlRequest::Extended { queries } = extended else { panic!("not extended") };
        assert_eq!(queries[0].params, [Some("1".to_owned()), None]);
        assert!(queries[1].params.is_empty());
        for wrong in ["", "{}", "[]", r#"{"query": 1}"#, r#"{"query": "a", "queries": []}"#] {
            assert!(parse_request(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn basic_credentials_are_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(credentials(&headers).unwrap(), None);
        headers.insert(header::AUTHORIZATION, "Basic YW5uOmE6Yg==".parse().unwrap());
        let expected = ("ann".to_owned(), "a:b".to_owned());
        assert_eq!(credentials(&headers).unwrap(), Some(expected));
        headers.insert(header::AUTHORIZATION, "Bearer x".parse().unwrap());
        assert!(credentials(&headers).is_err());
    }
}
