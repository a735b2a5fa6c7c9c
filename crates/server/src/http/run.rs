//! Running a request's statements; where the results go is the [`Output`]'s.
//!
//! A simple request is like a simple query of the wire: its statements are one transaction unless
//! they say otherwise. An extended request is like what the extended protocol has between two
//! Syncs: one transaction, statement by statement with parameters.

use std::future::Future;
use std::time::Instant;

use tidemill_coord::session::timed_out_error;
use tidemill_coord::{Prepared, Response, RowsResponse, Session, TransactionStatus};
use tidemill_repr::{RelationDesc, Row, SqlError, SqlState};

use super::Web;
use super::request::{ExtendedQuery, SqlRequest};
use crate::values::read_parameters;

/// How often a request's statements are run again when another commit was faster.
const RETRIES: usize = 100;

/// How many rows are taken at once.
const PIECE: usize = 1024;

/// Why a request ended early.
#[derive(Debug)]
pub enum Stop {
    /// A statement failed; whoever asked is to be told.
    Error(SqlError),
    /// Nobody listens any more.
    Gone,
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Stop {
        Stop::Error(error)
    }
}

/// Where results go. Each method may wait until the client has taken what came before.
pub trait Output: Send {
    /// Whether subscriptions can be followed.
    const STREAMS: bool;

    /// A statement begins to answer.
    fn starting(
        &mut self,
        desc: Option<&RelationDesc>,
        streaming: bool,
    ) -> impl Future<Output = Result<(), Stop>> + Send;

    /// Rows of the statement.
    fn rows(
        &mut self,
        session: &Session,
        desc: &RelationDesc,
        rows: &[Row],
    ) -> impl Future<Output = Result<(), Stop>> + Send;

    /// The statement is done. Notices and changed settings are the session's.
    fn complete(
        &mut self,
        session: &mut Session,
        tag: String,
    ) -> impl Future<Output = Result<(), Stop>> + Send;

    /// Waits for something as long as the client is there.
    fn wait_for<F: Future + Send>(
        &mut self,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Stop>> + Send
    where
        F::Output: Send;

    /// Forgets all results so far, if nobody has seen them.
    fn rewind(&mut self) -> bool;
}

/// Runs a request.
///
/// # Errors
/// The first statement that fails ends it; nothing of its transaction happens then.
pub async fn run<O: Output>(
    web: &Web,
    session: &mut Session,
    request: &SqlRequest,
    output: &mut O,
) -> Result<(), Stop> {
    for _ in 0..RETRIES {
        let commits = session.commits();
        let own = session.transaction_status() == TransactionStatus::Idle;
        let outcome = match request {
            SqlRequest::Simple { query } => simple(web, session, query, output).await,
            SqlRequest::Extended { queries } => extended(web, session, queries, output).await,
        };
        let Err(Stop::Error(error)) = &outcome else { return outcome };
        session.fail();
        let lost = error.code == SqlState::SERIALIZATION_FAILURE;
        let idle = session.transaction_status() == TransactionStatus::Idle;
        if !(lost && own && idle && session.commits() == commits && output.rewind()) {
            return outcome;
        }
    }
    Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, "could not serialize access").into())
}

async fn simple<O: Output>(
    web: &Web,
    session: &mut Session,
    query: &str,
    output: &mut O,
) -> Result<(), Stop> {
    let statements = session.parse(query)?;
    let several = statements.len() > 1;
    for statement in statements {
        if several {
            session.begin_implicit_block();
        }
        let prepared = session.prepare(Some(statement), &[])?;
        execute(web, session, &prepared, &[], output).await?;
    }
    Ok(session.end_implicit_block().await?)
}

async fn extended<O: Output>(
    web: &Web,
    session: &mut Session,
    queries: &[ExtendedQuery],
    output: &mut O,
) -> Result<(), Stop> {
    for query in queries {
        if queries.len() > 1 {
            session.begin_implicit_block();
        }
        let mut statements = session.parse(&query.query)?;
        if statements.len() != 1 {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("each query must be one statement, this one has {}", statements.len()),
            )
            .with_hint("Send each statement as a query of its own.")
            .into());
        }
        let prepared = session.prepare(statements.pop(), &[])?;
        let values: Vec<Option<&[u8]>> =
            query.params.iter().map(|value| value.as_deref().map(str::as_bytes)).collect();
        let settings = session.text_settings();
        let parameters = read_parameters(&prepared.parameters, &[], &values, "", &settings)?;
        execute(web, session, &prepared, &parameters, output).await?;
    }
    Ok(session.end_implicit_block().await?)
}

async fn execute<O: Output>(
    web: &Web,
    session: &mut Session,
    prepared: &Prepared,
    parameters: &[Row],
    output: &mut O,
) -> Result<(), Stop> {
    let started = Instant::now();
    let response = output.wait_for(session.execute(prepared, parameters)).await??;
    let kind: String = match response {
        Response::Rows(mut rows) => {
            let word = rows.tag;
            let count = stream(session, &mut rows, output).await?;
            let tag = crate::rows::tag(word, count);
            output.complete(session, tag).await?;
            word.to_owned()
        }
        Response::Tag(tag) => {
            output.starting(None, false).await?;
            output.complete(session, tag.clone()).await?;
            tag
        }
        Response::Empty => {
            output.starting(None, false).await?;
            output.complete(session, String::new()).await?;
            "empty".to_owned()
        }
        Response::CopyOut(..) | Response::CopyIn(_) => {
            return Err(SqlError::unsupported("COPY over HTTP")
                .with_hint("Use SELECT or INSERT, or COPY through a PostgreSQL client.")
                .into());
        }
    };
    web.metrics.query(&kind, started.elapsed());
    Ok(())
}

/// Gives rows away as they come; how many there were.
async fn stream<O: Output>(
    session: &mut Session,
    rows: &mut RowsResponse,
    output: &mut O,
) -> Result<usize, Stop> {
    let live = rows.is_live();
    if live && !O::STREAMS {
        return Err(SqlError::unsupported("SUBSCRIBE over this endpoint")
            .with_hint("Use the WebSocket at /api/experimental/sql, or a PostgreSQL client.")
            .into());
    }
    output.starting(Some(&rows.desc), live).await?;
    let mut count = 0;
    let timeout = session.statement_timeout();
    let deadline = timeout.map(|timeout| tokio::time::Instant::now() + timeout);
    loop {
        let piece = if live {
            let timed_out = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let next = async {
                tokio::select! {
                    biased;
                    error = session.cancelled() => Err(error),
                    () = timed_out => Err(timed_out_error()),
                    next = rows.next(PIECE) => next,
                }
            };
            output.wait_for(next).await??
        } else {
            rows.next(PIECE).await?
        };
        let Some(piece) = piece else { return Ok(count) };
        count += piece.len();
        output.rows(session, &rows.desc, &piece).await?;
    }
}
