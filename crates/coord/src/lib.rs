//! The coordinator: sessions plan and read, the sequencer commits.
//!
//! Two halves. The session side ([`session`], many): plans against an immutable [`snapshot`],
//! picks a tick, and reads published batches, all on the session's own task. The sequencer
//! ([`sequencer`], one): gives commits their ticks, writes the ledger, swaps the snapshot.
//! Nothing else assigns ticks, and a session reads without a message to a worker.
//!
//! The life of a SELECT: [`session::Session::parse`] gives `ParsedStatement`s;
//! [`session::Session::prepare`] plans one against the catalog; [`session::Session::execute`]
//! picks the last readable tick ([`clock::Completion`]), and [`read`] answers by constants, by an
//! index's published batches, or by a short-lived dataflow; [`finish`] puts the rows in order.
//!
//! The life of an upstream commit: a source's task hands a transaction to [`sources`]; it
//! becomes a [`sequencer::Commit`]; the sequencer gives it a tick, tells compute, publishes a
//! [`snapshot::Snapshot`] and appends to the ledger; when that is durable the tick becomes
//! readable, the position is confirmed upstream, and a [`subscription::Subscription`] lets the
//! rows go that the dataflow made of it meanwhile.

pub mod activity;
mod advisory;
pub mod clock;
pub mod coordinator;
pub mod copy_in;
pub mod dataflows;
pub mod durable;
pub mod finish;
mod follow;
pub mod gauges;
pub mod holds;
pub mod hydrate;
mod inbox;
mod labels;
mod live;
pub mod lookup;
pub mod read;
mod recency;
mod refresh;
pub mod replicas;
pub mod response;
pub mod sequencer;
pub mod sequences;
pub mod session;
pub mod settings;
pub mod shared;
pub mod slots;
mod snapshot;
pub mod sources;
mod statements;
pub mod status;
pub mod subscription;
pub mod upstream;
pub mod volatile;

pub use coordinator::{Coordinator, Options};
pub use copy_in::CopyIn;
pub use gauges::Gauge;
pub use response::{CopyFormat, CopyHeader, CopyOptions, Notice, Response, RowsResponse};
pub use session::{Prepared, Session, SessionOptions, TransactionStatus};
pub use tidemill_sql::ParsedStatement;

use tidemill_ledger::LedgerError;
use tidemill_repr::{SqlError, SqlState};

/// A failure of the ledger as clients see it.
pub(crate) fn ledger_error(error: &LedgerError) -> SqlError {
    let hint = match error {
        LedgerError::Locked(_) => "Stop the other server, or use another data directory.",
        _ => "Look at the server's disk and its log.",
    };
    SqlError::new(SqlState::IO_ERROR, format!("the ledger failed: {error}")).with_hint(hint)
}
