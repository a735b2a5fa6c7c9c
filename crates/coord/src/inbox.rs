//! What a dataflow has made for a subscription and its client has not taken yet: bounded.
//!
//! The dataflow never waits for a client. A client that does not keep up loses its subscription,
//! with an error, when more than [`LIMIT`] has gathered; others are not touched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tidemill_compute::protocol::SubscribeBatch;
use tidemill_repr::{Diff, Row, SqlError, SqlState, Tick};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

/// How many bytes of updates may wait for a client. The first content does not count: it is as
/// large as the relation.
const LIMIT: usize = 128 << 20;

/// The batches that wait.
pub(crate) struct Inbox {
    batches: UnboundedReceiver<(SubscribeBatch, usize)>,
    queued: Arc<AtomicUsize>,
    overflowed: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Inbox {
    /// Takes over a dataflow's channel. Updates up to `first` are the first content.
    pub(crate) fn new(source: UnboundedReceiver<SubscribeBatch>, first: Tick) -> Inbox {
        Inbox::with_limit(source, first, LIMIT)
    }

    fn with_limit(
        mut source: UnboundedReceiver<SubscribeBatch>,
        first: Tick,
        limit: usize,
    ) -> Inbox {
        let (sender, batches) = unbounded_channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let overflowed = Arc::new(AtomicBool::new(false));
        let (counter, flag) = (Arc::clone(&queued), Arc::clone(&overflowed));
        let task = tokio::spawn(async move {
            while let Some(batch) = source.recv().await {
                let bytes = size(&batch, first);
                if counter.fetch_add(bytes, Ordering::SeqCst) + bytes > limit {
                    flag.store(true, Ordering::SeqCst);
                    return;
                }
                if sender.send((batch, bytes)).is_err() {
                    return;
                }
            }
        });
        Inbox { batches, queued, overflowed, task }
    }

    fn taken(&self, (batch, bytes): (SubscribeBatch, usize)) -> SubscribeBatch {
        self.queued.fetch_sub(bytes, Ordering::SeqCst);
        batch
    }

    /// The next batch; None when there will be none.
    pub(crate) async fn recv(&mut self) -> Option<SubscribeBatch> {
        let next = self.batches.recv().await?;
        Some(self.taken(next))
    }

    /// The next batch, if it is there.
    pub(crate) fn try_recv(&mut self) -> Option<SubscribeBatch> {
        let next = self.batches.try_recv().ok()?;
        Some(self.taken(next))
    }

    /// Why no more batches come, if that is because the client was too slow.
    pub(crate) fn failure(&self) -> Option<SqlError> {
        self.overflowed.load(Ordering::SeqCst).then(|| {
            SqlError::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                format!("the client is too slow: more than {LIMIT} bytes of updates wait for it"),
            )
            .with_hint("Read faster, follow a smaller relation, or subscribe again.")
        })
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a batch counts.
fn size(batch: &SubscribeBatch, first: Tick) -> usize {
    let later = batch.updates.iter().filter(|(_, tick, _)| *tick > first);
    later.map(|(row, _, _)| row.bytes().len() + size_of::<(Row, Tick, Diff)>()).sum()
}

#[cfg(test)]
mod tests {
    use tidemill_repr::Datum;

    use super::*;

    fn batch(tick: u64) -> SubscribeBatch {
        let row = Row::pack([Datum::Text(&"x".repeat(1000))]);
        SubscribeBatch { upper: Tick(tick + 1), updates: vec![(row, Tick(tick), 1)], error: None }
    }

    #[tokio::test]
    async fn a_slow_reader_loses_and_a_quick_one_does_not() {
        for quick in [true, false] {
            let (sender, receiver) = unbounded_channel();
            let mut inbox = Inbox::with_limit(receiver, Tick(5), 10_000);
            // The first content does not count.
            for _ in 0..50 {
                sender.send(batch(5)).unwrap();
            }
            let mut taken = 0;
            for tick in 6..60 {
                let _ = sender.send(batch(tick));
                tokio::task::yield_now().await;
                while quick && inbox.try_recv().is_some() {
                    taken += 1;
                }
            }
            drop(sender);
            while inbox.recv().await.is_some() {
                taken += 1;
            }
            assert_eq!(inbox.failure().is_none(), quick);
            assert_eq!(taken == 104, quick, "{taken}");
        }
    }
}
