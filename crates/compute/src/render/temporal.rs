//! Temporal filters: each row comes and goes at times that its columns say.
//!
//! ```text
//! (row, t, +1)   bounds say: from a until before b
//!      ├──▶ (row, max(t, a), +1)
//!      └──▶ (row, max(t, b), -1)      (none of both if that is the same time)
//! ```
//!
//! Updates at times to come are held back until their time is complete ([`hold`]), so that the
//! operators behind do not look at them again and again.

use std::collections::BTreeMap;

use bumpalo::Bump;
use differential_dataflow::AsCollection;
use tidemill_expr::{EvalContext, EvalError};
use tidemill_plan::physical::{TemporalBound, TemporalComparison};
use tidemill_repr::{Datum, Diff, Row, SqlState};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

use crate::render::bundle::Bundle;
use crate::render::errors::split_map_at;
use crate::render::evaluator::{decode, guard};
use crate::render::time::RenderTime;
use crate::render::{Bounds, Context};
use crate::typedefs::{Errors, Rows, Time};

/// Lets rows come and go at the times of their bounds.
pub fn render<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    (rows, errors): (Rows<'scope, T>, Errors<'scope, T>),
    bounds: &[TemporalBound],
) -> Bundle<'scope, T> {
    let (bounds, ticks) = (bounds.to_vec(), context.bounds);
    let mut arena = Bump::new();
    let (rows, more) = split_map_at(rows, "Temporal filter", move |row: Row, time: T, emit| {
        arena.reset();
        match guard(|| interval(&bounds, &row, &arena)) {
            Err(error) => emit(Err(error), time, 1),
            Ok(None) => {}
            Ok(Some((from, before))) => {
                for (time, diff) in changes(time, from, before, ticks) {
                    emit(Ok(row.clone()), time, diff);
                }
            }
        }
    });
    Bundle::from_stream(T::hold(rows), errors.concat(more))
}

/// When a row comes and goes that is there from `time` on.
fn changes<T: RenderTime>(
    time: T,
    from: Time,
    before: Option<Time>,
    bounds: Bounds,
) -> Vec<(T, Diff)> {
    let now = time.tick().max(bounds.as_of);
    let come = now.max(from);
    let go = before.map(|before| now.max(before));
    if go.is_some_and(|go| go <= come) {
        return Vec::new();
    }
    let at = |tick: Time| bounds.advance(time.clone().with_tick(tick));
    let come = at(come).map(|time| (time, 1));
    let go = go.and_then(at).map(|time| (time, -1));
    come.into_iter().chain(go).collect()
}

/// From which tick on, and until before which, all bounds hold; None for never.
fn interval(
    bounds: &[TemporalBound],
    row: &Row,
    arena: &Bump,
) -> Result<Option<(Time, Option<Time>)>, EvalError> {
    let datums = decode(&[row.as_ref()]);
    let (mut from, mut before) = (0, None::<Time>);
    for bound in bounds {
        let tick = match bound.expr.eval(&datums, EvalContext { arena })? {
            Datum::UInt(tick) => tick,
            Datum::Null => return Ok(None),
            _ => {
                let message = "internal error: a temporal bound that is no tick";
                return Err(EvalError::invalid(SqlState::INTERNAL_ERROR, message));
            }
        };
        // No tick is as late as the last number.
        let after = tick.saturating_add(1);
        match bound.comparison {
            TemporalComparison::From => from = from.max(tick),
            TemporalComparison::After => from = from.max(after),
            TemporalComparison::Before => before = Some(before.map_or(tick, |b| b.min(tick))),
            TemporalComparison::UpTo => before = Some(before.map_or(after, |b| b.min(after))),
        }
    }
    Ok(Some((from, before)))
}

/// Holds updates back until their times are complete.
pub fn hold<'scope>(rows: Rows<'scope, Time>) -> Rows<'scope, Time> {
    let stream = rows.inner;
    let held = stream.unary_frontier(Pipeline, "Hold", |_, _| {
        let mut waiting: BTreeMap<(Time, Row), Diff> = BTreeMap::new();
        let mut capability: Option<Capability<Time>> = None;
        move |(input, frontier), output| {
            input.for_each(|here, updates| {
                let Some(here) = here.retain_least(0) else { return };
                if capability.as_ref().is_none_or(|held| here.time() < held.time()) {
                    capability = Some(here);
                }
                for (row, time, diff) in updates.drain(..) {
                    let count = waiting.entry((time, row)).or_default();
                    *count += diff;
                }
            });
            let upper = frontier.frontier().first().copied();
            let later = match upper {
                Some(upper) => waiting.split_off(&(upper, Row::default())),
                None => BTreeMap::new(),
            };
            let due = std::mem::replace(&mut waiting, later);
            if let Some(held) = &capability {
                let mut session = output.session(held);
                for ((time, row), diff) in due {
                    if diff != 0 {
                        session.give((row, time, diff));
                    }
                }
            }
            match waiting.first_key_value() {
                Some(((first, _), _)) => {
                    if let Some(held) = &mut capability {
                        held.downgrade(first);
                    }
                }
                None => capability = None,
            }
        }
    });
    held.as_collection()
}
