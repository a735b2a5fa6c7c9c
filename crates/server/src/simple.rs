//! The simple protocol: a text with statements, answered in text format.

use std::time::Instant;

use tidemill_coord::{ParsedStatement, TransactionStatus};
use tidemill_repr::{SqlError, SqlState};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::backend;
use crate::client::{Failure, Outcome};
use crate::connection::Connection;
use crate::rows::Answer;

/// How often the statements of a query are run again when another commit was faster.
const RETRIES: usize = 100;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Runs the statements of a text; the first error ends it.
    pub async fn simple_query(&mut self, text: &str) -> Outcome<()> {
        // As PostgreSQL: a simple query ends the unnamed ones.
        self.session.forget_prepared("");
        self.portals.remove("");
        let statements = self.session.parse(text)?;
        if statements.is_empty() {
            backend::empty(&mut self.client.output, b'I');
        }
        let several = statements.len() > 1;
        for _ in 0..RETRIES {
            let made = self.client.output.len();
            let before = (self.client.flushes, self.session.commits());
            let outcome = self.run_statements(&statements).await;
            let lost = matches!(&outcome, Err(Failure::Error(error))
                if error.code == SqlState::SERIALIZATION_FAILURE);
            let untouched = before == (self.client.flushes, self.session.commits());
            let implicit = self.session.transaction_status() == TransactionStatus::Idle;
            if !(several && lost && untouched && implicit) {
                return outcome;
            }
            // The block lost against another commit: nothing of it happened, nobody was told.
            self.client.output.truncate(made);
        }
        Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, "could not serialize access").into())
    }

    /// Runs statements, several of them in one implicit block.
    async fn run_statements(&mut self, statements: &[ParsedStatement]) -> Outcome<()> {
        let outcome = self.run_each(statements).await;
        if outcome.is_err() {
            self.session.fail();
        }
        outcome
    }

    async fn run_each(&mut self, statements: &[ParsedStatement]) -> Outcome<()> {
        let several = statements.len() > 1;
        for statement in statements {
            if several {
                self.session.begin_implicit_block();
            }
            let started = Instant::now();
            self.deadline = self.session.statement_timeout().map(|limit| started + limit);
            let prepared = self.session.prepare(Some(statement.clone()), &[])?;
            let executed = self.session.execute(&prepared, &[]);
            let response = self.client.wait_for(executed).await??;
            let response = self.with_copy_in(response).await?;
            self.tell();
            let mut answer = Answer::new(response, &[], &self.session)?;
            answer.describe(&mut self.client.output);
            self.send(&mut answer, 0).await?;
            self.metrics.query(answer.kind(), started.elapsed());
        }
        self.session.end_implicit_block().await?;
        Ok(())
    }
}
