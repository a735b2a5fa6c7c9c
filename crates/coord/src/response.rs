//! What a statement answers.

use std::collections::VecDeque;

use tidemill_repr::{Diff, RelationDesc, Row, SqlError};
pub use tidemill_sql::plan::{CopyFormat, CopyHeader, CopyOptions};

use crate::copy_in::CopyIn;
use crate::subscription::Subscription;

/// The answer to a statement.
pub enum Response {
    /// Rows, then a tag of how many there were.
    Rows(RowsResponse),
    /// Rows as the data of `COPY .. TO STDOUT`.
    CopyOut(CopyOptions, RowsResponse),
    /// The client is to send data.
    CopyIn(Box<CopyIn>),
    /// Only a tag: `CREATE TABLE`, `INSERT 0 2`.
    Tag(String),
    /// The statement's text was empty.
    Empty,
}

/// Rows that are given piece by piece.
pub struct RowsResponse {
    /// Their columns.
    pub desc: RelationDesc,
    /// The word before the number in the tag: `SELECT`, `FETCH`, `COPY`, ..
    pub tag: &'static str,
    pub(crate) rows: Rows,
}

pub(crate) enum Rows {
    /// All there are.
    Ready(VecDeque<Row>),
    /// More come as time passes; the subscription ends by itself, or never.
    Live(Box<Subscription>),
}

impl RowsResponse {
    /// Rows that are all here.
    pub fn ready(desc: RelationDesc, tag: &'static str, rows: Vec<Row>) -> RowsResponse {
        RowsResponse { desc, tag, rows: Rows::Ready(rows.into()) }
    }

    /// Rows as they come.
    pub fn live(desc: RelationDesc, tag: &'static str, subscription: Subscription) -> RowsResponse {
        RowsResponse { desc, tag, rows: Rows::Live(Box::new(subscription)) }
    }

    /// Up to `limit` rows; waits for at least one where more may come. None when there are none
    /// left.
    ///
    /// # Errors
    /// A row cannot be computed.
    pub async fn next(&mut self, limit: usize) -> Result<Option<Vec<Row>>, SqlError> {
        match &mut self.rows {
            Rows::Ready(rows) => {
                let count = limit.min(rows.len());
                Ok((count > 0).then(|| rows.drain(..count).collect()))
            }
            Rows::Live(subscription) => subscription.next_rows(limit).await,
        }
    }

    /// How many rows are left; None where more come as time passes.
    pub fn count(&self) -> Option<u64> {
        match &self.rows {
            Rows::Ready(rows) => u64::try_from(rows.len()).ok(),
            Rows::Live(_) => None,
        }
    }

    /// Whether rows come as time passes, so that each piece should be sent at once.
    pub fn is_live(&self) -> bool {
        matches!(self.rows, Rows::Live(_))
    }
}

/// A message beside the answer.
#[derive(Clone, Debug)]
pub struct Notice {
    /// `NOTICE` or `WARNING`.
    pub severity: &'static str,
    /// The message, with code, detail and hint as an error has.
    pub message: SqlError,
}

impl Notice {
    /// A warning.
    pub fn warning(message: SqlError) -> Notice {
        Notice { severity: "WARNING", message }
    }
}

/// Rows with counts as rows, each as often as it is there.
///
/// # Errors
/// A count is below zero.
pub fn expand(rows: Vec<(Row, Diff)>) -> Result<Vec<Row>, SqlError> {
    let mut expanded = Vec::with_capacity(rows.len());
    for (row, diff) in rows {
        if diff < 0 {
            return Err(crate::finish::negative_count());
        }
        for _ in 0..diff {
            expanded.push(row.clone());
        }
    }
    Ok(expanded)
}
