//! The stack that planning runs on.
//!
//! Recursions over plans grow the stack step by step, but the derived ones (clone, comparison,
//! drop) cannot. A large plan therefore gets a large stack at once; that costs several system
//! calls and page faults, more than planning a small query, so small plans do without.

use tidemill_expr::ScalarExpr;
use tidemill_plan::{Id, QueryExpr, QueryScalar, RelationExpr};

use crate::definitions::Definitions;

/// The stack of large plans.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// What must be left of the stack for a small plan.
const SMALL_BYTES: usize = 512 * 1024;

/// How many operators and expressions a small plan has at most: it cannot be deeper.
const SMALL_SIZE: usize = 120;

/// Runs planning where deep plans do not end the stack.
pub(crate) fn with_stack<R>(is_small: bool, work: impl FnOnce() -> R) -> R {
    let needed = if is_small { SMALL_BYTES } else { STACK_BYTES / 4 };
    stacker::maybe_grow(needed, STACK_BYTES, work)
}

/// Whether a relation is small.
pub(crate) fn is_small(relation: &RelationExpr) -> bool {
    Budget(SMALL_SIZE).relation(relation).is_some()
}

/// Whether a query is small, with the views it reads.
pub(crate) fn is_small_query(query: &QueryExpr, definitions: &dyn Definitions) -> bool {
    Budget(SMALL_SIZE).query(query, definitions).is_some()
}

/// How much may still come. Counting ends with None when it is used up, and so never goes deep.
struct Budget(usize);

impl Budget {
    fn take(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }

    fn relation(&mut self, relation: &RelationExpr) -> Option<()> {
        self.take()?;
        match relation {
            RelationExpr::Constant { .. } | RelationExpr::Get { .. } => Some(()),
            RelationExpr::Let { value, body, .. } => {
                self.relation(value)?;
                self.relation(body)
            }
            RelationExpr::LetRec { bindings, body, .. } => {
                bindings.iter().try_for_each(|binding| self.relation(&binding.value))?;
                self.relation(body)
            }
            RelationExpr::Project { input, .. }
            | RelationExpr::Window { input, .. }
            | RelationExpr::Negate { input }
            | RelationExpr::Threshold { input } => self.relation(input),
            RelationExpr::Map { input, scalars: more }
            | RelationExpr::Filter { input, predicates: more }
            | RelationExpr::FlatMap { input, arguments: more, .. } => {
                self.relation(input)?;
                self.scalars(more)
            }
            RelationExpr::Join { inputs, equivalences } => {
                inputs.iter().try_for_each(|input| self.relation(input))?;
                equivalences.iter().try_for_each(|class| self.scalars(class))
            }
            RelationExpr::Reduce { input, group_key, aggregates, .. } => {
                self.relation(input)?;
                self.scalars(group_key)?;
                aggregates.iter().try_for_each(|call| self.scalar(&call.argument))
            }
            RelationExpr::TopK { input, limit, .. } => {
                self.relation(input)?;
                limit.iter().try_for_each(|limit| self.scalar(limit))
            }
            RelationExpr::Union { inputs, .. } => {
                inputs.iter().try_for_each(|input| self.relation(input))
            }
        }
    }

    fn scalars(&mut self, scalars: &[ScalarExpr]) -> Option<()> {
        scalars.iter().try_for_each(|scalar| self.scalar(scalar))
    }

    fn scalar(&mut self, scalar: &ScalarExpr) -> Option<()> {
        self.take()?;
        scalar.children().into_iter().try_for_each(|child| self.scalar(child))
    }

    fn query(&mut self, query: &QueryExpr, definitions: &dyn Definitions) -> Option<()> {
        self.take()?;
        match query {
            QueryExpr::Get { id: Id::Global(id), .. } => match definitions.view(*id) {
                Some(view) => self.query(&view, definitions),
                None => Some(()),
            },
            QueryExpr::Constant { .. } | QueryExpr::Get { .. } => Some(()),
            QueryExpr::Let { value, body, .. } => {
                self.query(value, definitions)?;
                self.query(body, definitions)
            }
            QueryExpr::LetRec { bindings, body, .. } => {
                bindings.iter().try_for_each(|binding| self.query(&binding.value, definitions))?;
                self.query(body, definitions)
            }
            QueryExpr::Project { input, .. }
            | QueryExpr::Window { input, .. }
            | QueryExpr::Distinct { input }
            | QueryExpr::Negate { input }
            | QueryExpr::Threshold { input } => self.query(input, definitions),
            QueryExpr::Map { input, scalars: more }
            | QueryExpr::Filter { input, predicates: more }
            | QueryExpr::FlatMap { input, arguments: more, .. } => {
                self.query(input, definitions)?;
                more.iter().try_for_each(|scalar| self.query_scalar(scalar, definitions))
            }
            QueryExpr::Join { left, right, on, .. } => {
                self.query(left, definitions)?;
                self.query(right, definitions)?;
                self.query_scalar(on, definitions)
            }
            QueryExpr::Reduce { input, aggregates, .. } => {
                self.query(input, definitions)?;
                aggregates
                    .iter()
                    .try_for_each(|aggregate| self.query_scalar(&aggregate.argument, definitions))
            }
            QueryExpr::TopK { input, limit, .. } => {
                self.query(input, definitions)?;
                limit.iter().try_for_each(|limit| self.query_scalar(limit, definitions))
            }
            QueryExpr::Union { inputs } => {
                inputs.iter().try_for_each(|input| self.query(input, definitions))
            }
        }
    }

    fn query_scalar(&mut self, scalar: &QueryScalar, definitions: &dyn Definitions) -> Option<()> {
        self.take()?;
        match scalar {
            QueryScalar::Column(_) | QueryScalar::Parameter(..) | QueryScalar::Literal(..) => {
                Some(())
            }
            QueryScalar::Call { arguments: more, .. }
            | QueryScalar::And(more)
            | QueryScalar::Or(more)
            | QueryScalar::Coalesce(more) => {
                more.iter().try_for_each(|scalar| self.query_scalar(scalar, definitions))
            }
            QueryScalar::Not(inner) | QueryScalar::IsNull(inner) => {
                self.query_scalar(inner, definitions)
            }
            QueryScalar::If(condition, then, otherwise) => {
                self.query_scalar(condition, definitions)?;
                self.query_scalar(then, definitions)?;
                self.query_scalar(otherwise, definitions)
            }
            QueryScalar::Exists(query) | QueryScalar::Subquery(query) => {
                self.query(query, definitions)
            }
        }
    }
}
