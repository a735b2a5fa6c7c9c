//! From physical plans to timely dataflows, one file an operator.
//!
//! A rendered relation is a [`Bundle`]: a stream of rows with its errors, or arrangements of it.
//! Plans say which arrangements they use; here nothing is decided. Inside a dataflow all times
//! of streams lie between `as_of` and `until` ([`Bounds`]); history that imported arrangements
//! have from before is moved up to `as_of`.
//!
//! Operators are written for any [`time::RenderTime`]: inside a recursion times are rounds.

pub mod accumulation;
pub mod bundle;
mod constant;
pub mod errors;
pub mod evaluator;
mod extreme;
mod flat_map;
mod join;
mod recursion;
mod reduce;
pub mod subscribe;
mod temporal;
mod threshold;
pub mod time;
mod topk;
mod window;

use std::collections::BTreeMap;

use tidemill_plan::physical::{ArrangementKey, MapFilterProject, PhysicalPlan};
use tidemill_plan::{Id, LocalId};
use tidemill_repr::ObjectId;
use timely::dataflow::Scope;

use crate::render::bundle::{Arrangement, Bundle, arrange_by};
use crate::render::time::RenderTime;
use crate::typedefs::{Errors, Rows, Time};

/// The ticks a dataflow speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The first.
    pub as_of: Time,
    /// The first that is not wanted any more.
    pub until: Option<Time>,
}

impl Bounds {
    /// The time at which the dataflow sees what happened at `time`.
    pub fn advance<T: RenderTime>(self, time: T) -> Option<T> {
        let tick = time.tick().max(self.as_of);
        self.until.is_none_or(|until| tick < until).then(|| time.with_tick(tick))
    }
}

/// What rendering knows: where it renders, and what is bound.
pub struct Context<'scope, T: RenderTime = Time> {
    /// The scope of the dataflow, or of the recursion.
    pub scope: Scope<'scope, T>,
    /// How many recursions are around.
    pub level: usize,
    /// Its ticks.
    pub bounds: Bounds,
    /// Imports, earlier objects and Let bindings.
    pub bindings: BTreeMap<Id, Bundle<'scope, T>>,
}

impl<'scope, T: RenderTime> Context<'scope, T> {
    /// Renders a plan.
    pub fn render(&mut self, plan: &PhysicalPlan) -> Bundle<'scope, T> {
        match plan {
            PhysicalPlan::Constant { rows } => constant::render(self, rows),
            PhysicalPlan::Get { id, key, literal, mfp } => {
                let bundle = self.bindings.get(id).cloned();
                let bundle = bundle.unwrap_or_else(|| constant::missing(self, *id));
                let arrangement = key.as_ref().and_then(|key| bundle.arrangement(key)).cloned();
                match arrangement {
                    Some(arrangement) if literal.is_none() && mfp.is_identity() => {
                        Bundle::from_arrangement(arrangement)
                    }
                    Some(arrangement) => {
                        let (rows, errors) = arrangement.read(literal.clone(), mfp, self.bounds);
                        Bundle::from_stream(rows, errors)
                    }
                    None if mfp.is_identity() => bundle,
                    None => {
                        let (rows, errors) = self.stream_with(&bundle, mfp);
                        Bundle::from_stream(rows, errors)
                    }
                }
            }
            PhysicalPlan::Let { id, value, body } => {
                let value = self.render(value);
                let shadowed = self.bindings.insert(Id::Local(*id), value);
                let body = self.render(body);
                self.restore(*id, shadowed);
                body
            }
            PhysicalPlan::LetRec { bindings, limit, body } => {
                let values = T::render_recursion(self, bindings, *limit);
                let ids = bindings.iter().map(|binding| binding.id);
                let shadowed: Vec<_> = ids
                    .zip(values)
                    .map(|(id, value)| (id, self.bindings.insert(Id::Local(id), value)))
                    .collect();
                let body = self.render(body);
                for (id, shadowed) in shadowed {
                    self.restore(id, shadowed);
                }
                body
            }
            PhysicalPlan::Mfp { input, mfp } => {
                let input = self.render(input);
                let (rows, errors) = self.stream_with(&input, mfp);
                Bundle::from_stream(rows, errors)
            }
            PhysicalPlan::TemporalFilter { input, bounds } => {
                let input = self.stream(input);
                temporal::render(self, input, bounds)
            }
            PhysicalPlan::FlatMap { input, function, arguments, mfp } => {
                let input = self.stream(input);
                flat_map::render(input, *function, arguments, mfp)
            }
            PhysicalPlan::Join(join) => join::render(self, join),
            PhysicalPlan::Reduce(reduce) => reduce::render(self, reduce),
            PhysicalPlan::TopK { input, group_key, order_by, limit, offset, .. } => {
                let input = self.stream(input);
                let shape = topk::Shape::new(group_key, order_by, limit.as_ref(), *offset);
                topk::render(self, input, &shape)
            }
            PhysicalPlan::Window { input, partition_by, order_by, calls, .. } => {
                let input = self.stream(input);
                let shape = window::Shape::new(partition_by, order_by, calls);
                window::render(self, input, shape)
            }
            PhysicalPlan::Negate { input } => {
                let (rows, errors) = self.stream(input);
                Bundle::from_stream(rows.negate(), errors)
            }
            PhysicalPlan::Threshold { input, .. } => {
                let input = self.stream(input);
                threshold::render(self, input)
            }
            PhysicalPlan::Union { inputs } => self.render_union(inputs),
            PhysicalPlan::ArrangeBy { input, keys, .. } => {
                let mut bundle = self.render(input);
                let (rows, errors) = self.stream_of(&bundle);
                for key in keys {
                    if bundle.arrangement(key).is_none() {
                        let arranged = arrange_by(rows.clone(), errors.clone(), key, false);
                        bundle.arrangements.push(arranged);
                    }
                }
                bundle
            }
        }
    }

    /// Ends a binding; what it shadowed is there again.
    fn restore(&mut self, id: LocalId, shadowed: Option<Bundle<'scope, T>>) {
        match shadowed {
            Some(bundle) => self.bindings.insert(Id::Local(id), bundle),
            None => self.bindings.remove(&Id::Local(id)),
        };
    }

    /// Renders a plan and gives it as a stream.
    pub fn stream(&mut self, plan: &PhysicalPlan) -> (Rows<'scope, T>, Errors<'scope, T>) {
        let bundle = self.render(plan);
        self.stream_of(&bundle)
    }

    /// A rendered relation as a stream.
    pub fn stream_of(&self, bundle: &Bundle<'scope, T>) -> (Rows<'scope, T>, Errors<'scope, T>) {
        bundle.whole(self.bounds).unwrap_or_else(|| constant::nothing(self))
    }

    /// A rendered relation as a stream after row-wise work.
    pub fn stream_with(
        &self,
        bundle: &Bundle<'scope, T>,
        mfp: &MapFilterProject,
    ) -> (Rows<'scope, T>, Errors<'scope, T>) {
        if mfp.is_identity() {
            return self.stream_of(bundle);
        }
        bundle.stream(mfp, self.bounds).unwrap_or_else(|| constant::nothing(self))
    }

    /// The arrangement of a relation by a key: the one that is there, or a new one.
    pub fn arranged(
        &self,
        bundle: &Bundle<'scope, T>,
        key: &ArrangementKey,
        skip_null: bool,
    ) -> Arrangement<'scope, T> {
        match bundle.arrangement(key) {
            Some(arrangement) => arrangement.clone(),
            None => {
                let (rows, errors) = self.stream_of(bundle);
                arrange_by(rows, errors, key, skip_null)
            }
        }
    }

    /// What is bound to an object.
    pub fn bound(&self, id: ObjectId) -> Bundle<'scope, T> {
        let bundle = self.bindings.get(&Id::Global(id)).cloned();
        bundle.unwrap_or_else(|| constant::missing(self, Id::Global(id)))
    }

    /// A new arrangement of a relation by a key.
    pub fn arrange_anew(
        &self,
        bundle: &Bundle<'scope, T>,
        key: &ArrangementKey,
    ) -> Arrangement<'scope, T> {
        let (rows, errors) = self.stream_of(bundle);
        arrange_by(rows, errors, key, false)
    }

    fn render_union(&mut self, inputs: &[PhysicalPlan]) -> Bundle<'scope, T> {
        let mut streams =
            inputs.iter().map(|input| self.stream(input)).collect::<Vec<_>>().into_iter();
        let Some((rows, errors)) = streams.next() else {
            let (rows, errors) = constant::nothing(self);
            return Bundle::from_stream(rows, errors);
        };
        let (more_rows, more_errors): (Vec<_>, Vec<_>) = streams.unzip();
        if more_rows.is_empty() {
            return Bundle::from_stream(rows, errors);
        }
        Bundle::from_stream(rows.concatenate(more_rows), errors.concatenate(more_errors))
    }
}
