//! Transactions that the upstream sends before they commit (protocol version 2): they wait here,
//! on disk when they are large, and are forgotten when they abort.

use std::collections::{HashMap, HashSet};

use tidemill_repr::{SqlError, SqlState};

use super::pgoutput::{self, Message};
use super::spool::{Spool, SpoolReader};

/// The transactions that were begun and not ended.
#[derive(Default)]
pub(crate) struct Streamed {
    /// The one whose changes come now.
    current: Option<u32>,
    open: HashMap<u32, Open>,
}

#[derive(Default)]
struct Open {
    /// Messages, each with its subtransaction.
    messages: Spool,
    aborted: HashSet<u64>,
}

impl Streamed {
    /// Keeps a message if it belongs to such a transaction. Says whether it was one.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<bool, SqlError> {
        if let Some(current) = self.current
            && let Some((subtransaction, message)) = pgoutput::split_streamed(bytes)
        {
            let open = self.open.entry(current).or_default();
            open.messages.push(u64::from(subtransaction), &message)?;
            return Ok(true);
        }
        let bad = |error: pgoutput::DecodeError| {
            SqlError::new(SqlState::PROTOCOL_VIOLATION, error.to_string())
        };
        if !pgoutput::is_of_streaming(bytes) {
            return Ok(false);
        }
        match pgoutput::decode(bytes).map_err(bad)? {
            Message::StreamStart { xid } => {
                self.open.entry(xid).or_default();
                self.current = Some(xid);
            }
            Message::StreamStop => self.current = None,
            Message::StreamAbort { xid, subtransaction } if xid == subtransaction => {
                self.open.remove(&xid);
            }
            Message::StreamAbort { xid, subtransaction } => {
                if let Some(open) = self.open.get_mut(&xid) {
                    open.aborted.insert(u64::from(subtransaction));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The changes of a transaction that commits.
    pub(crate) fn commit(&mut self, xid: u32) -> Option<StreamedChanges> {
        let open = self.open.remove(&xid)?;
        Some(StreamedChanges { messages: open.messages.read(), aborted: open.aborted })
    }
}

/// What is left of a transaction, in order.
pub(crate) struct StreamedChanges {
    messages: SpoolReader,
    aborted: HashSet<u64>,
}

impl StreamedChanges {
    /// The next message.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, SqlError> {
        // A table that was described in a subtransaction that aborted is not described again.
        let aborted = &self.aborted;
        let kept =
            |number: u64, bytes: &[u8]| !aborted.contains(&number) || bytes.first() == Some(&b'R');
        self.messages.next_where(kept)
    }
}
