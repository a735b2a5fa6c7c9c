//! The thread that writes: group commit.
//!
//! While one group of entries is written and synced, the next ones queue up; they are the next
//! group. So a busy disk makes groups larger, not queues longer.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::entry::Entry;
use crate::error::LedgerError;
use crate::ledger::{Done, Shared};
use crate::segment::{self, Segment};

/// A group is not grown beyond about this many bytes.
const GROUP_BYTES: usize = 32 << 20;

/// Entries that wait for the disk.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    entries: VecDeque<(Entry, Done)>,
    closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Queue({})", self.inner.lock().entries.len())
    }
}

impl Queue {
    /// Adds an entry to the next group.
    pub fn push(&self, entry: Entry, done: Done) {
        self.inner.lock().entries.push_back((entry, done));
        self.changed.notify_one();
    }

    /// Lets the writer end when it has written all.
    pub fn close(&self) {
        self.inner.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for entries. None when the queue is closed and empty.
    fn next_group(&self) -> Option<Vec<(Entry, Done)>> {
        let mut inner = self.inner.lock();
        while inner.entries.is_empty() {
            if inner.closed {
                return None;
            }
            self.changed.wait(&mut inner);
        }
        let mut bytes = 0;
        let mut group = Vec::new();
        while bytes < GROUP_BYTES {
            let Some((entry, done)) = inner.entries.pop_front() else { break };
            bytes += entry.size_estimate();
            group.push((entry, done));
        }
        Some(group)
    }
}

/// Writes groups until the queue is closed.
pub(crate) fn run(shared: &Shared, mut segment: Option<Segment>) {
    let mut records = Vec::new();
    while let Some(group) = shared.queue.next_group() {
        let poisoned = shared.state.lock().poisoned.clone();
        let result = match poisoned {
            Some(error) => Err(LedgerError::Poisoned(error)),
            None => write(shared, &mut segment, &group, &mut records),
        };
        match result {
            Ok(()) => acknowledge(shared, group),
            Err(error) => refuse(shared, group, &error),
        }
        if segment.as_ref().is_some_and(|open| open.length() >= shared.options.segment_bytes) {
            segment = None;
            shared.checkpoint.wake_all();
        }
    }
}

fn write(
    shared: &Shared,
    segment: &mut Option<Segment>,
    group: &[(Entry, Done)],
    records: &mut Vec<u8>,
) -> Result<(), LedgerError> {
    let Some((first, _)) = group.first() else { return Ok(()) };
    let open = match segment {
        Some(open) => open,
        None => segment.insert(Segment::create(&shared.directory, first.tick)?),
    };
    records.clear();
    let mut last = shared.state.lock().durable;
    for (entry, _) in group {
        if entry.tick <= last {
            return Err(LedgerError::TickOrder { tick: entry.tick, last });
        }
        last = entry.tick;
        segment::encode_record(entry, open.length(), records);
    }
    open.write(records)?;
    records.shrink_to(GROUP_BYTES);
    Ok(())
}

fn acknowledge(shared: &Shared, group: Vec<(Entry, Done)>) {
    if let Some((last, _)) = group.last() {
        shared.state.lock().made_durable(last.tick);
        shared.durable_changed.notify_all();
        shared.durable.send_replace(last.tick);
    }
    for (_, done) in group {
        done(Ok(()));
    }
}

fn refuse(shared: &Shared, group: Vec<(Entry, Done)>, error: &LedgerError) {
    {
        let mut state = shared.state.lock();
        if state.poisoned.is_none() {
            tracing::error!(%error, "the ledger cannot be written");
            state.poisoned = Some(Arc::new(error.clone()));
        }
    }
    shared.durable_changed.notify_all();
    for (_, done) in group {
        done(Err(error.clone()));
    }
}
