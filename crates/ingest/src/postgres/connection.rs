//! How to reach an upstream, and what its refusals mean.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tidemill_repr::{Lsn, SqlError, SqlState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::NoTls;

use super::replication::ReplicationSession;
use super::tls;
use crate::ssh::{Duplex, SshTunnel};

/// How long connecting may take, name look-up and TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How values are written as text in sessions that read them so.
pub(crate) const TEXT_FORMS: &str = "SET client_encoding = 'UTF8'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; \
     SET TimeZone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = 'hex';";

/// What a source does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again after a while: the upstream may be back by itself.
    Retry,
    /// Wait for a person.
    Stop,
    /// The same, and changes are lost: no table can be followed any further.
    Lost,
}

/// An error of a source, and what to do about it. Errors of one table are data, not this.
#[derive(Clone, Debug)]
pub(crate) struct SourceError {
    pub(crate) error: SqlError,
    pub(crate) next: Next,
}

impl SourceError {
    pub(crate) fn stop(error: SqlError) -> SourceError {
        SourceError { error, next: Next::Stop }
    }

    pub(crate) fn lost(error: SqlError) -> SourceError {
        SourceError { error, next: Next::Lost }
    }
}

impl From<SqlError> for SourceError {
    fn from(error: SqlError) -> Self {
        SourceError { error, next: Next::Retry }
    }
}

/// A line to a server.
pub(crate) struct Line {
    pub(crate) stream: Box<dyn Duplex>,
    /// What SCRAM binds itself to, so that nobody stands in the middle: the server's certificate.
    pub(crate) binding: Option<Vec<u8>>,
}

impl Line {
    fn plain(stream: impl Duplex + 'static) -> Line {
        Line { stream: Box::new(stream), binding: None }
    }
}

/// A session that has started, and what drives it.
type Started<S, T> =
    Result<(tokio_postgres::Client, tokio_postgres::Connection<S, T>), tokio_postgres::Error>;

/// A line on which nothing is said is probed, so that one whose other end is gone does not stay.
const KEEPALIVE: socket2::TcpKeepalive = socket2::TcpKeepalive::new()
    .with_time(Duration::from_secs(20))
    .with_interval(Duration::from_secs(5))
    .with_retries(4);

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
/// What is serialized holds them: it must be encrypted before it is kept anywhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The SSH server through which the upstream is reached.
    pub ssh_tunnel: Option<SshTunnel>,
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
            ssh_tunnel: None,
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

impl PostgresConnection {
    fn failed(&self, code: SqlState, why: impl fmt::Display) -> SqlError {
        let message =
            format!("connection to server at \"{}\", port {} failed: {why}", self.host, self.port);
        SqlError::new(code, message)
    }

    /// Opens the line, with TLS as asked; nothing is said to the server yet.
    pub(crate) async fn open(&self) -> Result<Line, SqlError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.open_unlimited()).await {
            Ok(opened) => opened,
            Err(_) => Err(self
                .failed(SqlState::CONNECTION_FAILURE, "timeout expired")
                .with_hint("Check HOST and PORT, and that no firewall is in between.")),
        }
    }

    async fn open_unlimited(&self) -> Result<Line, SqlError> {
        if self.host.starts_with('/') {
            let path = format!("{}/.s.PGSQL.{}", self.host, self.port);
            let stream = UnixStream::connect(path).await.map_err(|error| self.io_error(&error))?;
            return Ok(Line::plain(stream));
        }
        if let Some(tunnel) = &self.ssh_tunnel {
            let stream = tunnel.open(&self.host, self.port).await?;
            return self.secure(stream).await;
        }
        let addresses = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|error| self.host_not_found(&error))?;
        let mut last = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(|error| self.io_error(&error))?;
                    let keepalive = socket2::SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE);
                    keepalive.map_err(|error| self.io_error(&error))?;
                    return self.secure(stream).await;
                }
                Err(error) => last = Some(error),
            }
        }
        let last = last.unwrap_or_else(|| io::Error::other("the name has no address"));
        Err(self.io_error(&last))
    }

    fn host_not_found(&self, error: &io::Error) -> SqlError {
        let message = format!("could not translate host name \"{}\" to address", self.host);
        SqlError::new(SqlState::CONNECTION_EXCEPTION, message)
            .with_detail(format!("The look-up says: {error}."))
            .with_hint("Check HOST of the connection.")
    }

    fn io_error(&self, error: &io::Error) -> SqlError {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => self
                .failed(SqlState::CONNECTION_FAILURE, "Connection refused")
                .with_hint("Is the server running on that host and accepting TCP/IP connections?"),
            _ => self.failed(SqlState::CONNECTION_FAILURE, error),
        }
    }

    /// Asks for TLS, if it is wanted, and shakes hands.
    async fn secure<S: Duplex + 'static>(&self, mut stream: S) -> Result<Line, SqlError> {
        if self.ssl_mode == SslMode::Disable {
            return Ok(Line::plain(stream));
        }
        // SSLRequest: length 8 and a code that is no protocol version.
        const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
        stream.write_all(&SSL_REQUEST).await.map_err(|error| self.io_error(&error))?;
        let answer = stream.read_u8().await.map_err(|error| self.io_error(&error))?;
        if answer != b'S' {
            if self.ssl_mode == SslMode::Prefer {
                return Ok(Line::plain(stream));
            }
            return Err(self
                .failed(
                    SqlState::CONNECTION_EXCEPTION,
                    "server does not support SSL, but SSL was required",
                )
                .with_hint("Set SSL MODE to disable, or turn SSL on at the server."));
        }
        let config = Arc::new(tls::client_config(self)?);
        let name = ServerName::try_from(self.host.clone()).map_err(|_| {
            self.failed(SqlState::CONNECTION_EXCEPTION, "the host is no name that TLS knows")
        })?;
        let connector = tokio_rustls::TlsConnector::from(config);
        let secured = connector.connect(name, stream).await.map_err(|error| {
            self.failed(SqlState::CONNECTION_EXCEPTION, format_args!("SSL error: {error}"))
                .with_hint("Check SSL MODE and SSL CERTIFICATE AUTHORITY of the connection.")
        })?;
        let certificates = secured.get_ref().1.peer_certificates();
        let server = certificates.and_then(|chain| chain.first());
        let binding = server.and_then(|certificate| tls::end_point(certificate));
        Ok(Line { stream: Box::new(secured), binding })
    }

    /// A session for SQL. It ends when the client is dropped.
    pub(crate) async fn connect(&self) -> Result<tokio_postgres::Client, SqlError> {
        let Line { stream, binding } = self.open().await?;
        let mut config = tokio_postgres::Config::new();
        config.user(&self.user).dbname(&self.database).application_name("tidemill");
        if let Some(password) = &self.password {
            config.password(password);
        }
        // The line is secured already, or is not to be.
        let Some(binding) = binding else {
            config.ssl_mode(tokio_postgres::config::SslMode::Disable);
            return self.start_session(config.connect_raw(stream, NoTls)).await;
        };
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        config.ssl_negotiation(tokio_postgres::config::SslNegotiation::Direct);
        self.start_session(config.connect_raw(stream, tls::Secured { binding })).await
    }

    async fn start_session<S, T>(
        &self,
        starting: impl Future<Output = Started<S, T>>,
    ) -> Result<tokio_postgres::Client, SqlError>
    where
        S: Duplex + 'static,
        T: Duplex + 'static,
    {
        let (client, session) = match tokio::time::timeout(CONNECT_TIMEOUT, starting).await {
            Ok(Ok(started)) => started,
            Ok(Err(error)) => return Err(self.explain(sql_error(&error))),
            Err(_) => return Err(self.failed(SqlState::CONNECTION_FAILURE, "timeout expired")),
        };
        tokio::spawn(async move {
            if let Err(error) = session.await {
                tracing::debug!(%error, "upstream session ended");
            }
        });
        Ok(client)
    }

    /// Adds what to do to a refusal of the server.
    pub(crate) fn explain(&self, error: SqlError) -> SqlError {
        if error.hint.is_some() {
            return error;
        }
        let hint = match error.code {
            SqlState::INVALID_PASSWORD => "Check USER and PASSWORD of the connection.",
            SqlState::INVALID_CATALOG_NAME => "Check DATABASE of the connection.",
            SqlState::INVALID_AUTHORIZATION if error.message.contains("no encryption") => {
                "Set SSL MODE of the connection to require."
            }
            SqlState::INVALID_AUTHORIZATION => {
                "Check USER of the connection, and pg_hba.conf at the server."
            }
            SqlState::TOO_MANY_CONNECTIONS if error.message.contains("max_wal_senders") => {
                "Raise max_wal_senders at the upstream: a source needs one, and one more while a \
                 table's first content is read."
            }
            SqlState::TOO_MANY_CONNECTIONS if error.message.contains("for role") => {
                return error.with_hint(format!(
                    "Run ALTER ROLE \"{}\" CONNECTION LIMIT on the upstream database: a source \
                     needs two connections, and up to five more while tables are read.",
                    self.user
                ));
            }
            SqlState::TOO_MANY_CONNECTIONS if error.message.contains("for database") => {
                "Run ALTER DATABASE .. CONNECTION LIMIT at the upstream: a source needs two \
                 connections, and up to five more while tables are read."
            }
            SqlState::TOO_MANY_CONNECTIONS => "Raise max_connections at the upstream.",
            SqlState::INSUFFICIENT_PRIVILEGE
                if error.message.contains("replication")
                    || error.message.contains("WAL sender") =>
            {
                return error.with_hint(format!(
                    "Run ALTER ROLE \"{}\" REPLICATION on the upstream database.",
                    self.user
                ));
            }
            _ => return error,
        };
        error.with_hint(hint)
    }
}

/// An error of the upstream server, or of the line to it, as ours.
pub(crate) fn sql_error(error: &tokio_postgres::Error) -> SqlError {
    if let Some(db) = error.as_db_error() {
        let mut ours = SqlError::new(SqlState::from_code(db.code().code()), db.message());
        ours.detail = db.detail().map(str::to_owned);
        ours.hint = db.hint().map(str::to_owned);
        return ours;
    }
    let mut message = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        message = format!("{message}: {cause}");
    }
    // tokio-postgres tells a missing password by words only.
    if message.contains("password missing") {
        return SqlError::new(SqlState::INVALID_PASSWORD, "fe_sendauth: no password supplied")
            .with_hint("Give the connection a PASSWORD.");
    }
    SqlError::new(SqlState::CONNECTION_FAILURE, format!("upstream connection: {message}"))
}

/// Connects and checks that the user may follow this database: TLS, password, database,
/// `wal_level`, REPLICATION.
///
/// # Errors
/// Each obstacle has its own.
pub async fn validate(connection: &PostgresConnection) -> Result<(), SqlError> {
    let client = connection.connect().await?;
    check_server(&client).await?;
    ReplicationSession::connect(connection).await?.identify_system().await?;
    Ok(())
}

/// Up to where the upstream's log is written now: all that was committed before lies below.
///
/// # Errors
/// The upstream cannot be reached.
pub async fn current_position(connection: &PostgresConnection) -> Result<Lsn, SqlError> {
    let client = connection.connect().await?;
    let sql = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
               ELSE pg_current_wal_lsn() END::text";
    let row = client.query_one(sql, &[]).await.map_err(|error| sql_error(&error))?;
    let position: String = row.get(0);
    position.parse().map_err(SqlError::internal)
}

/// How often the free WAL senders are counted, and how long between: those of sessions that ended
/// are given back a moment later.
const COUNTS: u32 = 20;
const COUNT_INTERVAL: Duration = Duration::from_millis(100);

/// Checks that the server has this many replication slots and WAL senders free.
///
/// # Errors
/// It has not, or cannot be reached.
pub async fn check_slots(connection: &PostgresConnection, needed: u32) -> Result<(), SqlError> {
    let client = connection.connect().await?;
    let slots = "SELECT current_setting('max_replication_slots')::int8, count(*) \
                 FROM pg_replication_slots";
    let senders = "SELECT current_setting('max_wal_senders')::int8, count(*) \
                   FROM pg_stat_get_wal_senders()";
    let (most, used) = count(&client, slots).await?;
    if most - used < i64::from(needed) {
        return Err(too_few(needed, "replication slot", (most, used)).with_hint(
            "Raise max_replication_slots at the upstream, or drop a slot that nobody uses \
             (pg_replication_slots).",
        ));
    }
    let mut counted = count(&client, senders).await?;
    for _ in 0..COUNTS {
        if counted.0 - counted.1 >= i64::from(needed) {
            return Ok(());
        }
        tokio::time::sleep(COUNT_INTERVAL).await;
        counted = count(&client, senders).await?;
    }
    Err(too_few(needed, "WAL sender", counted).with_hint(
        "Raise max_wal_senders at the upstream, or end a replication that nobody needs \
         (pg_stat_replication).",
    ))
}

/// How many there may be, and are.
async fn count(client: &tokio_postgres::Client, sql: &str) -> Result<(i64, i64), SqlError> {
    let row = client.query_one(sql, &[]).await.map_err(|error| sql_error(&error))?;
    Ok((row.get(0), row.get(1)))
}

fn too_few(needed: u32, what: &str, (most, used): (i64, i64)) -> SqlError {
    let setting = if what == "WAL sender" { "max_wal_senders" } else { "max_replication_slots" };
    let plural = if needed == 1 { "" } else { "s" };
    SqlError::new(
        SqlState::CONFIGURATION_LIMIT_EXCEEDED,
        format!(
            "the upstream needs {needed} free {what}{plural}, and has {}",
            (most - used).max(0)
        ),
    )
    .with_detail(format!(
        "{setting} is {most}, and {used} are taken. A source keeps one; one more is needed while \
         a table's first content is read."
    ))
}

/// Checks the server's version and `wal_level`; gives the version, such as 150004.
pub(crate) async fn check_server(client: &tokio_postgres::Client) -> Result<u32, SqlError> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int4, current_setting('wal_level'), \
             current_setting('server_version')",
            &[],
        )
        .await
        .map_err(|error| sql_error(&error))?;
    let version = u32::try_from(row.get::<_, i32>(0)).unwrap_or(0);
    if version < 110_000 {
        let found: String = row.get(2);
        return Err(SqlError::unsupported("a PostgreSQL server before version 11")
            .with_detail(format!("The server's version is {found}.")));
    }
    let wal_level: String = row.get(1);
    if wal_level != "logical" {
        return Err(SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the upstream's wal_level is not logical",
        )
        .with_detail(format!("wal_level is {wal_level}."))
        .with_hint("Set wal_level = logical at the upstream and restart it."));
    }
    Ok(version)
}

/// Drops a slot that a source leaves behind. A slot that is not there is dropped already.
///
/// # Errors
/// The upstream cannot be reached, or the slot is in use by another connection.
pub async fn drop_slot(connection: &PostgresConnection, slot: &str) -> Result<(), SqlError> {
    let client = connection.connect().await?;
    let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
                WHERE slot_name = $1";
    // The task that held it was stopped a moment ago: the server may not have noticed yet.
    let mut attempts = 0;
    loop {
        match client.query(drop, &[&slot]).await.map_err(|error| sql_error(&error)) {
            Ok(_) => return Ok(()),
            Err(error) if error.code == SqlState::UNDEFINED_OBJECT => return Ok(()),
            Err(error) if error.code == SqlState::OBJECT_IN_USE && attempts < 50 => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error),
        }
    }
}
