//! How to reach an upstream, and what its refusals mean.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidemill_repr::SqlError;

/// How TLS is used (libpq's `sslmode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SslMode {
    /// `disable`: never.
    #[default]
    Disable,
    /// `prefer`: if the server offers it.
    Prefer,
    /// `require`: always, with whatever certificate.
    Require,
    /// `verify-ca`: with a certificate of the given authority.
    VerifyCa,
    /// `verify-full`: and for the right host name.
    VerifyFull,
}

/// How to reach an upstream. Shown (`Debug` included) without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresConnection {
    /// Host name or address; a path is the directory of a Unix socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: Option<String>,
    /// Database.
    pub database: String,
    /// How TLS is used.
    pub ssl_mode: SslMode,
    /// Authorities trusted, as PEM; the public ones if there are none (`verify-*` only).
    pub ssl_root_certificate: Option<String>,
    /// Our own certificate and its key, as PEM.
    pub ssl_client_identity: Option<(String, String)>,
}

impl PostgresConnection {
    /// A connection without password and TLS.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        user: impl Into<String>,
        database: impl Into<String>,
    ) -> PostgresConnection {
        PostgresConnection {
            host: host.into(),
            port,
            user: user.into(),
            password: None,
            database: database.into(),
            ssl_mode: SslMode::Disable,
            ssl_root_certificate: None,
            ssl_client_identity: None,
        }
    }
}

impl fmt::Display for PostgresConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }
}

impl fmt::Debug for PostgresConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresConnection({self}, {:?})", self.ssl_mode)
    }
}

/// Connects and checks that the user may follow this database: TLS, password, database,
/// `wal_level`, REPLICATION.
///
/// # Errors
/// Each obstacle has its own.
pub async fn validate(connection: &PostgresConnection) -> Result<(), SqlError> {
    let _ = connection;
    Err(SqlError::internal("validate"))
}

/// Drops a slot that a source leaves behind. A slot that is not there is dropped already.
///
/// # Errors
/// The upstream cannot be reached, or the slot is in use by another connection.
pub async fn drop_slot(connection: &PostgresConnection, slot: &str) -> Result<(), SqlError> {
    let _ = (connection, slot);
    Err(SqlError::internal("drop_slot"))
}
