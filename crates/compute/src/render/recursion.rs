//! Recursions: bindings that are computed from one another, round by round, until nothing
//! changes.
//!
//! ```text
//!        ┌────────────────────── feedback: round + 1 ──────────────────────┐
//!        ▼                                                                 │
//!   x, y, errors ──▶ value of x ──consolidate──▶ cut at the limit ──┬──────┤
//!                    value of y (sees this x) ──  ..                ├──────┤
//!                    all errors so far, each once ──────────────────┼──────┘
//!                                                                   └──▶ leave: the sum of all
//! ```
//!
//! Times are (tick, round), and a change at a tick only computes what it changes of each round.
//! The values are consolidated because what cancels out must not go round for ever.
//!
//! An error in any round stays: rows that it kept away could have led to others.
//!
//! All recursions within one share one timely scope; how deep they are in one another is said by
//! the number of rounds in their times.

use std::collections::{BTreeMap, BTreeSet};

use differential_dataflow::AsCollection;
use differential_dataflow::dynamic::feedback_summary;
use differential_dataflow::operators::iterate::VecVariable;
use tidemill_expr::EvalError;
use tidemill_plan::physical::PhysicalPlan;
use tidemill_plan::{Id, RecursionLimit, RecursiveBinding};
use tidemill_repr::{Diff, Row, SqlState};
use timely::dataflow::operators::vec::Filter;
use timely::order::Product;

use crate::render::Context;
use crate::render::bundle::{Bundle, arrange, read_spans};
use crate::render::errors::{decode_error, encode_error};
use crate::render::reduce::reduce_rows;
use crate::render::time::RenderTime;
use crate::typedefs::{Errors, Round, Rows, Time};

/// The bindings' values inside of the recursion.
struct Values<'scope> {
    /// Their rows up to the limit.
    within: Vec<Rows<'scope, Round>>,
    /// How they still change after the limit, if that is an error.
    beyond: Option<Rows<'scope, Round>>,
    /// All errors of any round.
    errors: Errors<'scope, Round>,
}

/// A recursion among ticks.
pub fn render_outermost<'scope>(
    context: &mut Context<'scope, Time>,
    bindings: &[RecursiveBinding<PhysicalPlan>],
    limit: RecursionLimit,
) -> Vec<Bundle<'scope, Time>> {
    let mut used = BTreeSet::new();
    bindings.iter().for_each(|binding| binding.value.reads(&mut used));
    let (outer, bounds) = (context.scope, context.bounds);
    let bound = &context.bindings;
    let (rows, beyond, errors) = outer.scoped::<Round, _, _>("Recursion", |scope| {
        let entered: BTreeMap<_, _> = bound
            .iter()
            .filter(|(id, _)| used.contains(id))
            .map(|(id, bundle)| (*id, bundle.enter(scope)))
            .collect();
        let mut inner = Context { scope, level: 1, bounds, bindings: entered };
        let values = render_values(&mut inner, bindings, limit);
        let rows: Vec<_> = values.within.into_iter().map(|rows| rows.leave(outer)).collect();
        (rows, values.beyond.map(|rows| rows.leave(outer)), values.errors.leave(outer))
    });
    finish(context, rows, beyond, errors, limit)
}

/// A recursion inside another.
pub fn render_inner<'scope>(
    context: &mut Context<'scope, Round>,
    bindings: &[RecursiveBinding<PhysicalPlan>],
    limit: RecursionLimit,
) -> Vec<Bundle<'scope, Round>> {
    context.level += 1;
    let level = context.level;
    let values = render_values(context, bindings, limit);
    context.level -= 1;
    let rows = values.within.into_iter().map(|rows| rows.leave_dynamic(level)).collect();
    let beyond = values.beyond.map(|rows| rows.leave_dynamic(level));
    finish(context, rows, beyond, values.errors.leave_dynamic(level), limit)
}

/// Puts the errors, and the one that says that there were too many rounds, beside each value.
fn finish<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    rows: Vec<Rows<'scope, T>>,
    beyond: Option<Rows<'scope, T>>,
    mut errors: Errors<'scope, T>,
    limit: RecursionLimit,
) -> Vec<Bundle<'scope, T>> {
    if let Some(beyond) = beyond {
        let arranged = arrange(beyond.map(|row| (row, Row::default())), "Arrange: too many rounds");
        let counted = reduce_rows(arranged, "Too many rounds", |_, _, output| {
            output.push((Row::default(), 1));
        });
        let (_, too_many) = read_spans(
            counted.stream,
            "Too many rounds",
            None,
            context.bounds,
            move |_, _, emit| emit(Err::<Row, _>(exceeded(limit))),
        );
        errors = errors.concat(too_many);
    }
    rows.into_iter().map(|rows| Bundle::from_stream(rows, errors.clone())).collect()
}

fn exceeded(limit: RecursionLimit) -> EvalError {
    let rounds = limit.rounds;
    let message = if limit == RecursionLimit::DEFAULT {
        format!("recursive query did not end after {rounds} rounds")
    } else {
        format!(
            "recursive query exceeded the recursion limit {rounds}: use RETURN AT RECURSION \
             LIMIT to take what is there at the limit as the result"
        )
    };
    EvalError::invalid(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}

/// Renders the bindings inside of the scope of their recursion, at `context.level`.
fn render_values<'scope>(
    context: &mut Context<'scope, Round>,
    bindings: &[RecursiveBinding<PhysicalPlan>],
    limit: RecursionLimit,
) -> Values<'scope> {
    let level = context.level;
    let next_round = || Product::new(Default::default(), feedback_summary::<u64>(level, 1));
    let (known_errors, errors) = VecVariable::new(context.scope, next_round());
    let nothing: Errors<'scope, Round> = crate::render::constant::nothing(context).1;
    let mut variables = Vec::new();
    let mut shadowed = Vec::new();
    for binding in bindings {
        let (variable, rows) = VecVariable::new(context.scope, next_round());
        variables.push(variable);
        let bundle = Bundle::from_stream(rows, nothing.clone());
        shadowed.push((binding.id, context.bindings.insert(Id::Local(binding.id), bundle)));
    }
    let mut within = Vec::new();
    let mut beyond = Vec::new();
    let mut all_errors = vec![errors];
    for (binding, variable) in bindings.iter().zip(variables) {
        let (rows, errors) = context.stream(&binding.value);
        all_errors.push(errors);
        let rows = consolidate(context, rows);
        let is_within = move |time: &Round| round_of(time, level) < limit.rounds;
        let kept = keep(&rows, is_within);
        if !limit.returns {
            beyond.push(keep(&rows, move |time| !is_within(time)));
        }
        variable.set(kept.clone());
        let bundle = Bundle::from_stream(kept.clone(), nothing.clone());
        context.bindings.insert(Id::Local(binding.id), bundle);
        within.push(kept);
    }
    for (id, before) in shadowed {
        context.restore(id, before);
    }
    let errors = each_once(context, nothing.concatenate(all_errors));
    known_errors.set(errors.clone());
    let mut beyond = beyond.into_iter();
    let beyond = beyond.next().map(|first| first.concatenate(beyond));
    Values { within, beyond, errors }
}

/// Which round of the recursion at a level it is.
fn round_of(time: &Round, level: usize) -> u64 {
    time.inner.get(level - 1).copied().unwrap_or(0)
}

/// The updates at some times only.
fn keep<'scope>(
    rows: &Rows<'scope, Round>,
    wanted: impl Fn(&Round) -> bool + 'static,
) -> Rows<'scope, Round> {
    let stream = rows.inner.clone();
    stream.filter(move |(_, time, _): &(Row, Round, Diff)| wanted(time)).as_collection()
}

/// The same rows, with no updates that cancel out.
fn consolidate<'scope>(
    context: &Context<'scope, Round>,
    rows: Rows<'scope, Round>,
) -> Rows<'scope, Round> {
    let arranged = arrange(rows.map(|row| (row, Row::default())), "Consolidate");
    read_spans(arranged.stream, "Consolidate", None, context.bounds, |row, _, emit| {
        emit(Ok(row.to_owned()));
    })
    .0
}

/// Each error that is there, once.
fn each_once<'scope>(
    context: &Context<'scope, Round>,
    errors: Errors<'scope, Round>,
) -> Errors<'scope, Round> {
    let keyed = errors.map(|error| (encode_error(&error), Row::default()));
    let arranged = arrange(keyed, "Arrange: recursive errors");
    let once = reduce_rows(arranged, "Recursive errors", |_, input, output| {
        if input.iter().map(|(_, count)| count).sum::<Diff>() > 0 {
            output.push((Row::default(), 1));
        }
    });
    read_spans(once.stream, "Recursive errors", None, context.bounds, |error, _, emit| {
        emit(Err::<Row, _>(decode_error(error)));
    })
    .1
}
