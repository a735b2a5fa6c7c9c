//! The times that operators are rendered for: ticks, and inside recursions rounds.

use differential_dataflow::lattice::Lattice;
use tidemill_plan::physical::PhysicalPlan;
use tidemill_plan::{RecursionLimit, RecursiveBinding};
use timely::progress::Timestamp;
use timely::progress::timestamp::Refines;

use crate::render::bundle::Bundle;
use crate::render::{Context, recursion, temporal};
use crate::typedefs::{Round, Rows, Time};

/// A time of a dataflow's streams.
pub trait RenderTime: Timestamp + Lattice + Refines<Time> {
    /// The tick it belongs to.
    fn tick(&self) -> Time;

    /// The same at another tick.
    #[must_use]
    fn with_tick(self, tick: Time) -> Self;

    /// The first time of a tick.
    fn at_tick(tick: Time) -> Self;

    /// Holds updates of times to come back until then, where that can be done.
    fn hold<'scope>(rows: Rows<'scope, Self>) -> Rows<'scope, Self>;

    /// Renders a recursion at streams of such times; gives the bindings' values.
    fn render_recursion<'scope>(
        context: &mut Context<'scope, Self>,
        bindings: &[RecursiveBinding<PhysicalPlan>],
        limit: RecursionLimit,
    ) -> Vec<Bundle<'scope, Self>>;
}

impl RenderTime for Time {
    fn tick(&self) -> Time {
        *self
    }

    fn with_tick(self, tick: Time) -> Time {
        tick
    }

    fn at_tick(tick: Time) -> Time {
        tick
    }

    fn hold<'scope>(rows: Rows<'scope, Time>) -> Rows<'scope, Time> {
        temporal::hold(rows)
    }

    fn render_recursion<'scope>(
        context: &mut Context<'scope, Time>,
        bindings: &[RecursiveBinding<PhysicalPlan>],
        limit: RecursionLimit,
    ) -> Vec<Bundle<'scope, Time>> {
        recursion::render_outermost(context, bindings, limit)
    }
}

impl RenderTime for Round {
    fn tick(&self) -> Time {
        self.outer
    }

    fn with_tick(self, tick: Time) -> Round {
        Round { outer: tick, inner: self.inner }
    }

    fn at_tick(tick: Time) -> Round {
        Round { outer: tick, inner: Default::default() }
    }

    fn hold<'scope>(rows: Rows<'scope, Round>) -> Rows<'scope, Round> {
        rows
    }

    fn render_recursion<'scope>(
        context: &mut Context<'scope, Round>,
        bindings: &[RecursiveBinding<PhysicalPlan>],
        limit: RecursionLimit,
    ) -> Vec<Bundle<'scope, Round>> {
        recursion::render_inner(context, bindings, limit)
    }
}
