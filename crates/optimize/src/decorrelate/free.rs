//! Which columns of outer scopes a query uses.

use std::collections::BTreeSet;

use tidemill_plan::relation::build::grow;
use tidemill_plan::{Id, QueryExpr, QueryScalar};

use super::{Decorrelation, Place};

impl Decorrelation<'_> {
    /// The columns of scopes less deep than `depth` that a query at that depth uses, by itself
    /// or through bindings.
    pub(super) fn free(&self, query: &QueryExpr, depth: usize) -> BTreeSet<Place> {
        let mut found = BTreeSet::new();
        self.in_query(query, depth, depth, &mut found);
        found
    }

    /// The columns of scopes up to `depth` (that of the expression's own row) that an expression
    /// uses.
    pub(super) fn free_of_scalar(&self, scalar: &QueryScalar, depth: usize) -> BTreeSet<Place> {
        let mut found = BTreeSet::new();
        self.in_scalar(scalar, depth, depth + 1, &mut found);
        found
    }

    fn in_query(&self, query: &QueryExpr, depth: usize, limit: usize, found: &mut BTreeSet<Place>) {
        grow(|| self.in_query_here(query, depth, limit, found));
    }

    fn in_query_here(
        &self,
        query: &QueryExpr,
        depth: usize,
        limit: usize,
        found: &mut BTreeSet<Place>,
    ) {
        match query {
            QueryExpr::Constant { .. } | QueryExpr::Get { id: Id::Global(_), .. } => {}
            QueryExpr::Get { id: Id::Local(name), .. } => {
                if let Some(binding) = self.bindings.get(name) {
                    found.extend(binding.places.iter().filter(|place| place.0 < limit));
                }
            }
            QueryExpr::Let { value, body, .. } => {
                self.in_query(value, depth, limit, found);
                self.in_query(body, depth, limit, found);
            }
            QueryExpr::LetRec { bindings, body, .. } => {
                for binding in bindings {
                    self.in_query(&binding.value, depth, limit, found);
                }
                self.in_query(body, depth, limit, found);
            }
            QueryExpr::Project { input, .. }
            | QueryExpr::Window { input, .. }
            | QueryExpr::Distinct { input }
            | QueryExpr::Negate { input }
            | QueryExpr::Threshold { input } => self.in_query(input, depth, limit, found),
            QueryExpr::Map { input, scalars: expressions }
            | QueryExpr::Filter { input, predicates: expressions }
            | QueryExpr::FlatMap { input, arguments: expressions, .. } => {
                self.in_query(input, depth, limit, found);
                for expression in expressions {
                    self.in_scalar(expression, depth, limit, found);
                }
            }
            QueryExpr::Join { left, right, on, lateral, .. } => {
                self.in_query(left, depth, limit, found);
                self.in_query(right, depth + usize::from(*lateral), limit, found);
                self.in_scalar(on, depth, limit, found);
            }
            QueryExpr::Reduce { input, aggregates, .. } => {
                self.in_query(input, depth, limit, found);
                for aggregate in aggregates {
                    self.in_scalar(&aggregate.argument, depth, limit, found);
                }
            }
            QueryExpr::TopK { input, limit: rows, .. } => {
                self.in_query(input, depth, limit, found);
                if let Some(rows) = rows {
                    self.in_scalar(rows, depth, limit, found);
                }
            }
            QueryExpr::Union { inputs } => {
                for input in inputs {
                    self.in_query(input, depth, limit, found);
                }
            }
        }
    }

    fn in_scalar(
        &self,
        scalar: &QueryScalar,
        depth: usize,
        limit: usize,
        found: &mut BTreeSet<Place>,
    ) {
        grow(|| match scalar {
            QueryScalar::Column(column) => {
                if let Some(scope) = depth.checked_sub(column.level)
                    && scope < limit
                {
                    found.insert((scope, column.column));
                }
            }
            QueryScalar::Exists(query) | QueryScalar::Subquery(query) => {
                self.in_query(query, depth + 1, limit, found);
            }
            other => {
                for child in children(other) {
                    self.in_scalar(child, depth, limit, found);
                }
            }
        });
    }
}

/// The direct arguments of an expression.
pub(super) fn children(scalar: &QueryScalar) -> Vec<&QueryScalar> {
    match scalar {
        QueryScalar::Column(_)
        | QueryScalar::Parameter(..)
        | QueryScalar::Literal(..)
        | QueryScalar::Exists(_)
        | QueryScalar::Subquery(_) => Vec::new(),
        QueryScalar::Call { arguments, .. }
        | QueryScalar::And(arguments)
        | QueryScalar::Or(arguments)
        | QueryScalar::Coalesce(arguments) => arguments.iter().collect(),
        QueryScalar::Not(argument) | QueryScalar::IsNull(argument) => vec![argument],
        QueryScalar::If(condition, then, otherwise) => vec![condition, then, otherwise],
    }
}

/// Whether an expression holds a query.
pub(super) fn has_subquery(scalar: &QueryScalar) -> bool {
    matches!(scalar, QueryScalar::Exists(_) | QueryScalar::Subquery(_))
        || children(scalar).into_iter().any(|child| grow(|| has_subquery(child)))
}

/// The parts of a conjunction.
pub(super) fn conjuncts<'q>(predicate: &'q QueryScalar, into: &mut Vec<&'q QueryScalar>) {
    match predicate {
        QueryScalar::And(arguments) => {
            arguments.iter().for_each(|argument| conjuncts(argument, into));
        }
        other => into.push(other),
    }
}
