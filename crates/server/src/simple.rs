//! The simple protocol: a text with statements, answered in text format.

use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::backend;
use crate::client::Outcome;
use crate::connection::Connection;
use crate::rows::Answer;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Runs the statements of a text; the first error ends it.
    pub async fn simple_query(&mut self, text: &str) -> Outcome<()> {
        // As PostgreSQL: a simple query ends the unnamed ones.
        self.statements.remove("");
        self.portals.remove("");
        let statements = self.session.parse(text)?;
        if statements.is_empty() {
            backend::empty(&mut self.client.output, b'I');
        }
        let several = statements.len() > 1;
        for statement in statements {
            if several {
                self.session.begin_implicit_block();
            }
            let started = Instant::now();
            let prepared = self.session.prepare(Some(statement), &[])?;
            let executed = self.session.execute(&prepared, &[]);
            let response = self.client.wait_for(executed).await??;
            self.tell();
            let mut answer = Answer::new(response, &[], self.session.text_settings())?;
            answer.describe(&mut self.client.output);
            self.send(&mut answer, 0).await?;
            self.metrics.query(started.elapsed());
        }
        self.session.end_implicit_block().await?;
        Ok(())
    }
}
