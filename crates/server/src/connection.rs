//! A connection: one message after the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use tidemill_coord::{Coordinator, Session, TransactionStatus};
use tidemill_repr::{SqlError, SqlState};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::authenticate::{Authentication, authenticate};
use crate::backend::{self, Severity};
use crate::client::{Client, Failure, Outcome};
use crate::extended::Portal;
use crate::frontend::{self, Message};
use crate::metrics::Metrics;
use crate::startup;

/// What all connections of a listener share.
#[derive(Clone)]
pub struct Context {
    /// Where sessions come from.
    pub coordinator: Arc<Coordinator>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// One permit a session.
    pub permits: Arc<Semaphore>,
    /// Ends all connections.
    pub shutdown: CancellationToken,
    /// Whether this is the listener of the system user.
    pub internal: bool,
    /// How clients show who they are.
    pub authentication: Authentication,
    /// What stands in for the salts of roles that are not there.
    pub secret: Arc<[u8; 32]>,
    /// Whether connections must be encrypted.
    pub tls_required: bool,
    /// Whether this one is.
    pub encrypted: bool,
    /// Where the client is.
    pub address: Option<std::net::SocketAddr>,
    /// Where it is connected to.
    pub local: Option<std::net::SocketAddr>,
}

/// A client with its session.
pub(crate) struct Connection<S> {
    pub client: Client<S>,
    pub session: Session,
    pub portals: HashMap<String, Portal>,
    pub metrics: Arc<Metrics>,
    /// When the statement that runs takes too long.
    pub deadline: Option<Instant>,
    /// Whether the last packet is served and the next one is awaited.
    idle: bool,
    /// After an error messages are passed over until Sync.
    skipping: bool,
}

/// Serves one client until it goes.
pub async fn serve_client<S: AsyncRead + AsyncWrite + Unpin>(stream: S, context: Context) {
    let mut client = Client::new(stream, context.shutdown.clone());
    let started = startup::startup(&mut client, &context.coordinator, context.internal).await;
    let mut options = match started {
        Ok(Some(options)) => options,
        Ok(None) => return,
        Err(failure) => return client.end(failure).await,
    };
    if let Err(failure) = authenticate(&mut client, &context, &options).await {
        return client.end(failure).await;
    }
    let Ok(_permit) = context.permits.try_acquire() else {
        let error =
            SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already");
        return client.end(Failure::Fatal(error)).await;
    };
    let _counted = context.metrics.connection();
    let ends = client.own_end();
    options.client = context.address;
    options.server = context.local;
    options.encrypted = context.encrypted;
    options.terminate = Some(Arc::new(move || ends.cancel()));
    let mut connection = Connection {
        client,
        session: context.coordinator.session(options),
        portals: HashMap::new(),
        metrics: context.metrics,
        deadline: None,
        idle: false,
        skipping: false,
    };
    if let Err(failure) = connection.run().await {
        connection.client.end(failure).await;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) -> Outcome<()> {
        let out = &mut self.client.output;
        backend::authentication_ok(out);
        for (name, value) in self.session.reported_settings() {
            backend::parameter_status(out, name, &value);
        }
        backend::backend_key_data(out, self.session.number(), self.session.cancel_key());
        self.ready().await?;
        loop {
            let (kind, body) = self.await_message().await?;
            if kind == b'X' {
                return Ok(());
            }
            if self.skipping && kind != b'S' {
                continue;
            }
            match self.serve(kind, &body).await {
                Err(Failure::Error(error)) => {
                    self.error(&error);
                    if matches!(kind, b'Q' | b'F') {
                        self.ready().await?;
                    } else {
                        self.skipping = kind != b'S';
                        self.client.flush_if_full().await?;
                    }
                }
                other => other?,
            }
        }
    }

    /// The next message; a client that is silent for too long is sent away.
    async fn await_message(&mut self) -> Outcome<(u8, BytesMut)> {
        let limit = if self.idle { self.session.idle_limit() } else { None };
        self.idle = false;
        let next = self.client.next_message();
        match limit {
            Some((limit, error)) => {
                tokio::time::timeout(limit, next).await.unwrap_or(Err(Failure::Fatal(error)))
            }
            None => next.await,
        }
    }

    async fn serve(&mut self, kind: u8, body: &[u8]) -> Outcome<()> {
        match frontend::decode(kind, body)? {
            Message::Query(text) => {
                self.simple_query(text).await?;
                self.ready().await
            }
            Message::Parse { name, query, parameter_types } => {
                self.parse(name, query, &parameter_types)?;
                self.client.flush_if_full().await
            }
            Message::Bind(bind) => {
                self.bind(&bind).await?;
                self.client.flush_if_full().await
            }
            Message::Describe(target, name) => {
                self.describe(target, name)?;
                self.client.flush_if_full().await
            }
            Message::Execute { portal, max_rows } => self.execute(portal, max_rows).await,
            Message::Close(target, name) => {
                self.close(target, name);
                self.client.flush_if_full().await
            }
            Message::Flush => self.client.flush().await,
            Message::Sync => {
                self.skipping = false;
                // What came since the last Sync is committed together.
                let ended = self.session.end_implicit_block();
                if let Err(error) = self.client.wait_for(ended).await? {
                    match Failure::from(error) {
                        Failure::Error(error) => self.error(&error),
                        other => return Err(other),
                    }
                }
                self.ready().await
            }
            Message::Terminate | Message::Copy => Ok(()),
            Message::Unexpected(b'F') => {
                let error = SqlError::unsupported("the function call protocol");
                Err(error.with_hint("Call the function with SELECT.").into())
            }
            Message::Unexpected(kind) => Err(Failure::Fatal(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!("unexpected message of type \"{}\"", char::from(kind)),
            ))),
        }
    }

    /// An error ends the statement and an open transaction block.
    fn error(&mut self, error: &SqlError) {
        self.session.fail();
        self.metrics.error(error.code.0);
        self.tell();
        backend::error_response(&mut self.client.output, Severity::Error, error);
    }

    /// Appends what the session has to say beside answers.
    pub fn tell(&mut self) {
        for notice in self.session.take_notices() {
            backend::notice_response(&mut self.client.output, &notice);
        }
        for (name, value) in self.session.take_reports() {
            backend::parameter_status(&mut self.client.output, name, &value);
        }
    }

    /// The packet is served: sends all.
    async fn ready(&mut self) -> Outcome<()> {
        let status = self.session.transaction_status();
        // Portals live no longer than their transaction.
        if status != TransactionStatus::InTransaction {
            self.portals.clear();
        }
        self.tell();
        self.session.wait_for_client();
        backend::ready_for_query(&mut self.client.output, status);
        self.idle = true;
        self.client.flush().await
    }
}
