//! From a correlated query to a physical plan.
//!
//! ```text
//! QueryExpr ─ sink ─ decorrelate ─▶ RelationExpr ─ REWRITES ─▶ RelationExpr ─ lowering ─▶ PhysicalPlan
//!                                                             └─ peek_plan ─▶ PeekPlan
//! ```
//!
//! [`optimize`] does the first two steps, [`physical`] the third; [`peek_plan`] says whether a
//! relation can be read from one arrangement without a dataflow. What the optimiser knows of the
//! catalog it asks of [`Definitions`]. Start reading at [`decorrelate`].

pub mod advice;
pub mod decorrelate;
pub mod definitions;
pub mod equality;
pub mod lowering;
pub mod peek;
pub mod rewrites;
pub mod sink;
mod stack;
pub mod temporal;

pub use definitions::{Definitions, IndexInfo, NoDefinitions};
pub use lowering::{PhysicalDataflow, physical};
pub use peek::{Access, KeyOrder, PeekPlan, peek_plan};

use tidemill_plan::{QueryExpr, RelationExpr};
use tidemill_repr::SqlError;

use crate::rewrites::{
    bindings, demand, factor, fold, fuse, imply, joins, not_null, nullability, pushdown, redundant,
    self_joins, share,
};
use crate::stack::with_stack;

/// One rewrite: its name, and what it does.
pub type Rewrite = (&'static str, fn(&mut RelationExpr));

/// The rewrites, in the order in which they are done, again and again until nothing changes.
pub const REWRITES: &[Rewrite] = &[
    // Bindings hide what is behind them from all others.
    ("inline bindings", bindings::inline_bindings),
    // Less to look at.
    ("fold constants", fold::fold_constants),
    ("fold nullability", nullability::fold_nullability),
    // Before fusion, which puts what is left of a union into its place.
    ("drop padded", not_null::drop_padded),
    ("fuse", fuse::fuse),
    // Before pushdown: predicates between two joins become predicates of the one join.
    ("fuse joins", joins::fuse_joins),
    // Before pushdown, which makes equalities across inputs conditions of the join.
    ("factor disjunctions", factor::factor),
    // After factoring, so that a disjunction says only what differs between its branches.
    ("imply", imply::imply),
    ("push predicates", pushdown::push_predicates),
    // Pushdown has made equalities conditions of the join; demand has not cut the keys off yet.
    ("drop self joins", self_joins::drop_self_joins),
    // Keys are best known when predicates are at their places.
    ("drop redundant", redundant::drop_redundant),
    // Last: it leaves projections behind that the next round's fusion takes up.
    ("push demand", demand::push_demand),
];

/// What is done once, when nothing else changes any more: bindings hide what is behind them.
pub const LAST: &[Rewrite] = &[("share", share::share)];

/// How often the list is gone through at most. Two or three times is usual.
const MOST_ROUNDS: usize = 12;

/// The best relation for a query, with the views it reads in their places.
///
/// # Errors
/// The query uses something that has no meaning in a relation.
pub fn optimize(
    query: &QueryExpr,
    definitions: &dyn Definitions,
) -> Result<RelationExpr, SqlError> {
    with_stack(stack::is_small_query(query, definitions), || {
        let sunk = sink::sink(query, definitions);
        let query = sunk.as_ref().unwrap_or(query);
        let mut relation = decorrelate::decorrelate(query, definitions)?;
        rewrite(&mut relation);
        Ok(relation)
    })
}

/// Does all rewrites until nothing changes.
pub fn rewrite(relation: &mut RelationExpr) {
    with_stack(stack::is_small(relation), || {
        for _ in 0..MOST_ROUNDS {
            let before = relation.clone();
            for (name, rewrite) in REWRITES {
                rewrite(relation);
                tracing::trace!(name, ?relation, "rewritten");
            }
            if *relation == before {
                break;
            }
        }
        for (name, rewrite) in LAST {
            rewrite(relation);
            tracing::trace!(name, ?relation, "rewritten");
        }
    });
}
