//! One client's bytes: what came and is not read yet, what is made and not sent yet.

use std::future::Future;
use std::io;
use std::pin::pin;

use bytes::BytesMut;
use tidemill_repr::{SqlError, SqlState};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::backend::{Severity, error_response};
use crate::frontend::{self, StartupRequest};

/// What is made is sent when it is more than this.
const FULL: usize = 64 << 10;

/// While a statement runs, no more than this is read ahead.
const READ_AHEAD: usize = 64 << 10;

/// Why a message was not served.
#[derive(Debug)]
pub enum Failure {
    /// The statement failed; the connection goes on.
    Error(SqlError),
    /// The connection must end, and the client is told why.
    Fatal(SqlError),
    /// The client is gone.
    Gone,
}

pub type Outcome<T> = Result<T, Failure>;

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        if matches!(error.code, SqlState::ADMIN_SHUTDOWN | SqlState::TRANSACTION_TIMEOUT) {
            Failure::Fatal(error)
        } else {
            Failure::Error(error)
        }
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Failure {
        Failure::Gone
    }
}

/// A client's stream with its buffers.
pub struct Client<S> {
    stream: S,
    input: BytesMut,
    /// What is made and not sent yet.
    pub output: Vec<u8>,
    /// How often something was sent.
    pub flushes: u64,
    shutdown: CancellationToken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn new(stream: S, shutdown: CancellationToken) -> Client<S> {
        Client {
            stream,
            input: BytesMut::with_capacity(8 << 10),
            output: Vec::new(),
            flushes: 0,
            shutdown,
        }
    }

    /// What ends this connection alone, as the server's end would.
    pub fn own_end(&mut self) -> CancellationToken {
        self.shutdown = self.shutdown.child_token();
        self.shutdown.clone()
    }

    /// Reads what is there, at least one byte.
    async fn fill(&mut self) -> Outcome<()> {
        self.input.reserve(4 << 10);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(Failure::Gone),
            _ => Ok(()),
        }
    }

    /// The next startup message; what was made is sent before a wait.
    pub async fn startup_request(&mut self) -> Outcome<StartupRequest> {
        loop {
            if let Some(request) =
                frontend::take_startup(&mut self.input).map_err(Failure::Fatal)?
            {
                return Ok(request);
            }
            self.flush().await?;
            self.fill().await?;
        }
    }

    /// The next message: its type and body. What was made stays where it is: the protocol says
    /// when to send.
    pub async fn next_message(&mut self) -> Outcome<(u8, BytesMut)> {
        loop {
            if let Some(message) =
                frontend::take_message(&mut self.input).map_err(Failure::Fatal)?
            {
                return Ok(message);
            }
            let shutdown = self.shutdown.clone();
            tokio::select! {
                biased;
                filled = self.fill() => filled?,
                () = shutdown.cancelled() => return Err(Failure::Fatal(shutting_down())),
            }
        }
    }

    /// The type of the next message that does not only close something, if it is here.
    pub fn peek_kind(&self) -> Option<u8> {
        frontend::peek_kind(&self.input)
    }

    /// The same; waits for it. A message that cannot be is somebody else's to refuse.
    pub async fn wait_for_kind(&mut self) -> Outcome<u8> {
        loop {
            if let Some(kind) = self.peek_kind() {
                return Ok(kind);
            }
            // Longer than this no message that closes something is.
            if self.input.len() > READ_AHEAD {
                return Ok(b'C');
            }
            let shutdown = self.shutdown.clone();
            tokio::select! {
                biased;
                filled = self.fill() => filled?,
                () = shutdown.cancelled() => return Err(Failure::Fatal(shutting_down())),
            }
        }
    }

    /// The body of a message with what a client knows. It must be short: nobody knows yet who
    /// sends it.
    pub async fn password_message(&mut self) -> Outcome<BytesMut> {
        loop {
            if let Some(length) = self.input.get(1..5) {
                let length = length.iter().fold(0_usize, |all, byte| all << 8 | usize::from(*byte));
                if self.input.first() != Some(&b'p') || length > frontend::MAX_STARTUP {
                    return Err(Failure::Fatal(SqlError::new(
                        SqlState::PROTOCOL_VIOLATION,
                        "expected a password response",
                    )));
                }
            }
            if let Some((_, body)) =
                frontend::take_message(&mut self.input).map_err(Failure::Fatal)?
            {
                return Ok(body);
            }
            self.fill().await?;
        }
    }

    /// Sends what was made.
    pub async fn flush(&mut self) -> Outcome<()> {
        if !self.output.is_empty() {
            self.flushes += 1;
            self.stream.write_all(&self.output).await?;
            self.output.clear();
            // One large value must not stay allocated for ever.
            self.output.shrink_to(2 * FULL);
        }
        Ok(())
    }

    /// Sends what was made if it is much; waits until the client takes it.
    pub async fn flush_if_full(&mut self) -> Outcome<()> {
        if self.output.len() >= FULL { self.flush().await } else { Ok(()) }
    }

    /// Waits for something as long as the client is there and the server goes on.
    pub async fn wait_for<F: Future>(&mut self, future: F) -> Outcome<F::Output> {
        let mut future = pin!(future);
        let shutdown = self.shutdown.clone();
        loop {
            let may_read = self.input.len() < READ_AHEAD;
            tokio::select! {
                biased;
                output = &mut future => return Ok(output),
                filled = self.fill(), if may_read => filled?,
                () = shutdown.cancelled() => return Err(Failure::Fatal(shutting_down())),
            }
        }
    }

    /// Tells the client why the connection ends, if it still listens.
    pub async fn end(&mut self, failure: Failure) {
        if let Failure::Fatal(error) | Failure::Error(error) = failure {
            error_response(&mut self.output, Severity::Fatal, &error);
            let _ = self.flush().await;
        }
        let _ = self.stream.shutdown().await;
    }
}

/// The error of everything that happens while the server goes down.
pub fn shutting_down() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}
