//! The end of a dataflow that streams its changes to a subscriber.

use std::collections::BTreeMap;

use differential_dataflow::consolidation::consolidate_updates;
use tidemill_expr::EvalError;
use tidemill_repr::{Diff, ObjectId, Row, Tick};
use timely::PartialOrder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;
use timely::progress::Antichain;
use tokio::sync::mpsc::UnboundedSender;

use crate::protocol::SubscribeBatch;
use crate::render::Bounds;
use crate::typedefs::{Errors, Rows, Time};

type Update = (Result<Row, EvalError>, Time, Diff);

/// Which worker collects the updates of a subscription.
pub fn collector(id: ObjectId, peers: usize) -> usize {
    let number = match id {
        ObjectId::System(n) | ObjectId::User(n) | ObjectId::Transient(n) => n,
    };
    (number % peers as u64) as usize
}

/// Sends the relation's updates to the subscriber, a batch each time the frontier moves. Only
/// the collecting worker has a `sender`. The channel is closed when all is said.
pub fn render<'scope>(
    (rows, errors): (Rows<'scope>, Errors<'scope>),
    id: ObjectId,
    snapshot: bool,
    bounds: Bounds,
    sender: Option<UnboundedSender<SubscribeBatch>>,
) {
    let peers = rows.inner.scope().peers();
    let collector = collector(id, peers) as u64;
    let updates = rows.map(Ok).concat(errors.map(Err)).inner;
    let exchange = Exchange::new(move |_: &Update| collector);
    let mut sink = Sink { sender, snapshot, bounds, pending: Vec::new(), errors: BTreeMap::new() };
    let mut known = Antichain::from_elem(0);
    updates.sink(exchange, "Subscribe", move |(input, frontier)| {
        input.for_each(|_, updates| sink.pending.append(updates));
        let frontier = frontier.frontier();
        if PartialOrder::less_than(&known.borrow(), &frontier) {
            known = frontier.to_owned();
            sink.complete(frontier.first().copied().unwrap_or(Time::MAX));
        }
    });
}

/// What the collecting worker keeps.
struct Sink {
    sender: Option<UnboundedSender<SubscribeBatch>>,
    snapshot: bool,
    bounds: Bounds,
    /// Updates at times that are not complete.
    pending: Vec<Update>,
    /// The errors there are now.
    errors: BTreeMap<EvalError, Diff>,
}

impl Sink {
    /// All times before `upper` are complete: says so, with their updates.
    fn complete(&mut self, upper: Time) {
        let Some(sender) = &self.sender else {
            self.pending.clear();
            return;
        };
        if upper <= self.bounds.as_of {
            return;
        }
        let (done, rest) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, time, _)| *time < upper);
        self.pending = rest;
        let mut updates = Vec::with_capacity(done.len());
        for (result, time, diff) in done {
            let Some(time) = self.bounds.advance(time) else { continue };
            match result {
                Ok(_) if !self.snapshot && time == self.bounds.as_of => {}
                Ok(row) => updates.push((row, time, diff)),
                Err(error) => *self.errors.entry(error).or_default() += diff,
            }
        }
        self.errors.retain(|_, count| *count != 0);
        consolidate_updates(&mut updates);
        updates.sort_by(|(row, time, _), (other_row, other_time, _)| {
            (time, row).cmp(&(other_time, other_row))
        });
        let batch = SubscribeBatch {
            upper: Tick(upper),
            updates: updates.into_iter().map(|(row, time, diff)| (row, Tick(time), diff)).collect(),
            error: self.errors.keys().next().cloned(),
        };
        // Nobody listens any more: the dataflow will be dropped.
        let _ = sender.send(batch);
        if upper == Time::MAX || self.bounds.until.is_some_and(|until| upper >= until) {
            self.sender = None;
        }
    }
}
