//! A running SUBSCRIBE: updates of a relation as they become durable.

mod form;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use tidemill_compute::protocol::SubscribeBatch;
use tidemill_repr::{Datum, Numeric, ObjectId, Row, RowBuilder, SqlError, Tick};
use tidemill_sql::plan::SubscribeForm;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use crate::inbox::Inbox;
use crate::shared::{Shared, shutting_down};

/// How a subscription's rows look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionStyle {
    /// What the changes of one tick look like.
    pub form: SubscribeForm,
    /// Rows that say how far everything is complete, too.
    pub progress: bool,
    /// How many columns they have.
    pub arity: usize,
}

/// A subscription; dropping it ends its dataflow.
pub struct Subscription {
    shared: Arc<Shared>,
    dataflow: ObjectId,
    batches: Inbox,
    readable: watch::Receiver<Tick>,
    style: SubscriptionStyle,
    /// The base collections whose changes move its dataflow.
    bases: Arc<BTreeSet<ObjectId>>,
    /// The tick of the first content, to be told of by a first progress row.
    as_of: Tick,
    until: Option<Tick>,
    /// Rows to give.
    pending: VecDeque<Row>,
    /// A batch that is not durable yet.
    waiting: VecDeque<SubscribeBatch>,
    /// All ticks below are complete in the dataflow.
    upper: Tick,
    /// All ticks below were told of.
    told: Tick,
    ended: bool,
}

/// What a subscription needs to know of its dataflow.
pub struct SubscriptionSource {
    /// The dataflow.
    pub dataflow: ObjectId,
    /// Its channel.
    pub batches: UnboundedReceiver<SubscribeBatch>,
    /// The tick of the first content.
    pub as_of: Tick,
    /// The tick at which it ends.
    pub until: Option<Tick>,
}

impl Subscription {
    /// Follows a dataflow that was created.
    pub fn new(
        shared: Arc<Shared>,
        source: SubscriptionSource,
        style: SubscriptionStyle,
    ) -> Subscription {
        let readable = shared.completion.watch();
        let bases = shared.dataflows.moved_by(source.dataflow);
        let mut subscription = Subscription {
            shared,
            dataflow: source.dataflow,
            batches: Inbox::new(source.batches, source.as_of),
            readable,
            style,
            bases,
            as_of: source.as_of,
            until: source.until,
            pending: VecDeque::new(),
            waiting: VecDeque::new(),
            upper: source.as_of,
            told: source.as_of,
            ended: false,
        };
        if subscription.style.progress {
            let row = subscription.progress_row(subscription.as_of);
            subscription.pending.push_back(row);
        }
        subscription
    }

    /// Up to `limit` rows; waits for one. None at the end.
    ///
    /// # Errors
    /// The relation has an error.
    pub async fn next_rows(&mut self, limit: usize) -> Result<Option<Vec<Row>>, SqlError> {
        loop {
            // What is counted as waiting is not taken before the client has what it was given.
            if self.pending.is_empty() {
                self.collect()?;
            }
            if !self.pending.is_empty() {
                let count = limit.min(self.pending.len());
                return Ok(Some(self.pending.drain(..count).collect()));
            }
            if let Some(error) = self.batches.failure().filter(|_| self.ended) {
                return Err(error);
            }
            if self.ended && self.waiting.is_empty() {
                let upper = self.upper.max(self.told);
                if upper < self.until.unwrap_or(Tick::MAX) {
                    return Err(SqlError::internal("the subscription's dataflow has ended"));
                }
                return Ok(None);
            }
            if let Some(error) = self.shared.completion.failure() {
                return Err(error);
            }
            tokio::select! {
                batch = self.batches.recv(), if !self.ended => self.take(batch),
                changed = self.readable.changed() => changed.map_err(|_| shutting_down())?,
            }
        }
    }

    fn take(&mut self, batch: Option<SubscribeBatch>) {
        match batch {
            Some(batch) => self.waiting.push_back(batch),
            None => self.ended = true,
        }
    }

    /// Turns the batches that are durable into rows.
    fn collect(&mut self) -> Result<(), SqlError> {
        while let Some(batch) = self.batches.try_recv() {
            self.waiting.push_back(batch);
        }
        let readable = *self.readable.borrow_and_update();
        while let Some(batch) = self.waiting.front() {
            // Everything below `upper` must be durable; the updates say which ticks there are.
            let mut last = batch.updates.last().map_or(Tick::MIN, |(_, tick, _)| *tick);
            if batch.error.is_some() && batch.upper < Tick::MAX {
                last = last.max(Tick(batch.upper.0.saturating_sub(1)));
            }
            if last > readable {
                return Ok(());
            }
            let Some(batch) = self.waiting.pop_front() else { return Ok(()) };
            if let Some(error) = batch.error {
                self.ended = true;
                return Err(error.into());
            }
            // A batch has all changes of its ticks.
            let progress = self.style.progress.then_some(false);
            for changes in batch.updates.chunk_by(|(_, a, _), (_, b, _)| a == b) {
                if let Some((_, tick, _)) = changes.first() {
                    self.pending.extend(form::rows(&self.style.form, *tick, progress, changes));
                }
            }
            self.upper = self.upper.max(batch.upper);
            if self.until.is_some_and(|until| batch.upper >= until) {
                self.ended = true;
            }
        }
        self.tell_progress(readable);
        Ok(())
    }

    /// Says how far everything is complete: quiet inputs count as complete.
    fn tell_progress(&mut self, readable: Tick) {
        let snapshot = self.shared.snapshot();
        // Nothing is complete before the first content is there.
        let needed = if self.shared.dataflows.follows_time(self.dataflow) {
            readable
        } else {
            snapshot.must_be_complete(readable, self.bases.iter().copied())
        };
        let needed = needed.max(self.as_of);
        let complete = if self.upper > needed { readable.next() } else { self.upper };
        let complete = self.until.map_or(complete, |until| complete.min(until));
        if complete > self.told {
            self.told = complete;
            if self.style.progress {
                let row = self.progress_row(complete);
                self.pending.push_back(row);
            }
        }
        if self.until.is_some_and(|until| self.told >= until) && self.waiting.is_empty() {
            self.ended = true;
        }
    }

    fn progress_row(&self, tick: Tick) -> Row {
        let mut builder = RowBuilder::new();
        form::begin(&mut builder, tick, Some(true));
        builder.extend(std::iter::repeat_n(Datum::Null, self.style.arity.saturating_sub(2)));
        builder.finish()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.activity.unsubscribe(self.dataflow);
        self.shared.dataflows.drop(&self.shared.replicas, self.dataflow);
    }
}

/// A tick as SQL sees it: `numeric`.
pub fn tick_datum(tick: Tick) -> Datum<'static> {
    Datum::Numeric(Numeric::from(i128::from(tick.0)))
}
