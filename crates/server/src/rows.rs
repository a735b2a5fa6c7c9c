//! A response of `coord` on its way to the client, whole or piece by piece.

use tidemill_coord::session::{Session, timed_out_error};
use tidemill_coord::{Response, RowsResponse};
use tidemill_repr::SqlError;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::backend;
use crate::client::Outcome;
use crate::connection::Connection;
use crate::copy::CopyEncoder;
use crate::values::{ColumnFormat, Encoder, column_formats};

/// How many rows are taken at once.
const PIECE: usize = 1024;

/// A response and how far it is sent.
pub(crate) enum Answer {
    /// Rows.
    Rows { rows: RowsResponse, formats: Vec<ColumnFormat>, encoder: Encoder },
    /// COPY data; whether it has begun, and its rows so far.
    Copy { rows: RowsResponse, encoder: CopyEncoder },
    /// Only a tag.
    Tag(String),
    /// The text was empty.
    Empty,
}

impl Answer {
    /// A response in the formats that Bind gave.
    pub fn new(
        response: Response,
        formats: &[bool],
        session: &Session,
    ) -> Result<Answer, SqlError> {
        Ok(match response {
            Response::Rows(rows) => {
                let formats = column_formats(&rows.desc, formats)?;
                let settings = session.output_settings(&rows.desc);
                Answer::Rows { rows, formats, encoder: Encoder::new(settings) }
            }
            Response::CopyOut(options, rows) => {
                let settings = session.output_settings(&rows.desc);
                let encoder = CopyEncoder::new(options, &rows.desc, settings);
                Answer::Copy { rows, encoder }
            }
            Response::Tag(tag) => Answer::Tag(tag),
            Response::CopyIn(_) => return Err(SqlError::internal("COPY without its data")),
            Response::Empty => Answer::Empty,
        })
    }

    /// What kind of statement is answered, for the counters.
    pub fn kind(&self) -> &str {
        match self {
            Answer::Rows { rows, .. } | Answer::Copy { rows, .. } => rows.tag,
            Answer::Tag(tag) => tag,
            Answer::Empty => "empty",
        }
    }

    /// Appends the row description, if there are rows.
    pub fn describe(&self, out: &mut Vec<u8>) {
        if let Answer::Rows { rows, formats, .. } = self {
            backend::row_description(out, &rows.desc, formats);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Sends an answer, up to `limit` rows of it (0 for all), and what ends it.
    pub async fn send(&mut self, answer: &mut Answer, limit: usize) -> Outcome<()> {
        match answer {
            Answer::Empty => backend::empty(&mut self.client.output, b'I'),
            Answer::Tag(tag) => backend::command_complete(&mut self.client.output, tag),
            Answer::Rows { rows, formats, encoder } => {
                let mut sent = 0;
                loop {
                    let wanted = if limit == 0 { PIECE } else { PIECE.min(limit - sent) };
                    if wanted == 0 {
                        backend::empty(&mut self.client.output, b's');
                        break;
                    }
                    let Some(piece) = self.fetch(rows, wanted).await? else {
                        let tag = tag(rows.tag, sent);
                        backend::command_complete(&mut self.client.output, &tag);
                        break;
                    };
                    for row in &piece {
                        encoder.data_row(row, formats, &mut self.client.output);
                        self.client.flush_if_full().await?;
                    }
                    sent += piece.len();
                }
            }
            Answer::Copy { rows, encoder } => {
                let columns = rows.desc.arity();
                let binary = encoder.is_binary();
                backend::copy_out_response(&mut self.client.output, columns, binary);
                encoder.header(&rows.desc, &mut self.client.output);
                let mut sent = 0;
                while let Some(piece) = self.fetch(rows, PIECE).await? {
                    for row in &piece {
                        encoder.row(row, &mut self.client.output);
                        self.client.flush_if_full().await?;
                    }
                    sent += piece.len();
                }
                encoder.trailer(&mut self.client.output);
                backend::empty(&mut self.client.output, b'c');
                let tag = tag(rows.tag, sent);
                backend::command_complete(&mut self.client.output, &tag);
            }
        }
        self.client.flush_if_full().await
    }

    /// The next rows. Where they come as time passes, what is made is sent before the wait, and
    /// the wait ends when the client cancels or goes.
    async fn fetch(
        &mut self,
        rows: &mut RowsResponse,
        limit: usize,
    ) -> Outcome<Option<Vec<tidemill_repr::Row>>> {
        if !rows.is_live() {
            return Ok(rows.next(limit).await?);
        }
        self.client.flush().await?;
        let session = &self.session;
        let deadline = self.deadline;
        let timed_out = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let next = async {
            tokio::select! {
                biased;
                error = session.cancelled() => Err(error),
                () = timed_out => Err(timed_out_error()),
                next = rows.next(limit) => next,
            }
        };
        Ok(self.client.wait_for(next).await??)
    }
}

/// The tag of a statement that gave rows.
pub(crate) fn tag(word: &str, count: usize) -> String {
    match word {
        "SHOW" | "EXPLAIN" => word.to_owned(),
        _ => format!("{word} {count}"),
    }
}
