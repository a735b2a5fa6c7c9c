//! `COPY .. FROM STDIN`: the client's data, message by message.
//!
//! One message is read after the one before was worked on: a client that is faster than the disk
//! waits.

use tidemill_coord::{CopyIn, Response};
use tidemill_repr::{SqlError, SqlState};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::backend;
use crate::client::{Failure, Outcome};
use crate::connection::Connection;
use crate::frontend;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Asks for data if a response wants it, and gives the response to that.
    pub async fn with_copy_in(&mut self, response: Response) -> Outcome<Response> {
        match response {
            Response::CopyIn(copy) => self.copy_in(*copy).await,
            other => Ok(other),
        }
    }

    async fn copy_in(&mut self, mut copy: CopyIn) -> Outcome<Response> {
        self.tell();
        backend::copy_in_response(&mut self.client.output, copy.columns(), copy.is_binary());
        self.client.flush().await?;
        loop {
            let (kind, body) = self.client.next_message().await?;
            match kind {
                b'd' => {
                    let taken = self.session.copy_data(&mut copy, &body);
                    self.client.wait_for(taken).await??;
                }
                b'c' => {
                    let ended = self.session.copy_end(copy);
                    return Ok(self.client.wait_for(ended).await??);
                }
                b'f' => {
                    let end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
                    let reason = frontend::utf8(&body[..end])?;
                    return Err(Failure::Error(SqlError::new(
                        SqlState::QUERY_CANCELED,
                        format!("COPY from stdin failed: {reason}"),
                    )));
                }
                // Allowed, and without meaning here.
                b'H' | b'S' => {}
                b'X' => return Err(Failure::Gone),
                other => {
                    return Err(Failure::Fatal(SqlError::new(
                        SqlState::PROTOCOL_VIOLATION,
                        format!("unexpected message type 0x{other:02X} during COPY from stdin"),
                    )));
                }
            }
        }
    }
}
