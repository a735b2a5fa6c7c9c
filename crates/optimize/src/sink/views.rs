//! Views that a query reads: whether there is an outer join behind it, and their queries in the
//! places of those that are read once.

use std::collections::HashMap;

use tidemill_plan::query::JoinKind;
use tidemill_plan::relation::build::grow;
use tidemill_plan::{Id, QueryExpr, QueryScalar};
use tidemill_repr::ObjectId;

use crate::definitions::Definitions;

/// Whether a query, or a view that it reads, has an outer join.
pub(super) fn holds_outer_join(query: &QueryExpr, definitions: &dyn Definitions) -> bool {
    let mut found = false;
    each(query, definitions, &mut HashMap::new(), &mut |query| {
        found |= matches!(query, QueryExpr::Join { kind, .. } if *kind != JoinKind::Inner);
    });
    found
}

/// The query with the queries of views in their places, where they are read once.
pub(super) fn inlined(query: &QueryExpr, definitions: &dyn Definitions) -> QueryExpr {
    let mut counts = HashMap::new();
    each(query, definitions, &mut counts, &mut |_| {});
    let mut query = query.clone();
    inline(&mut query, definitions, &counts);
    query
}

/// The query that is computed where an object is read.
fn view_of(id: Id, definitions: &dyn Definitions) -> Option<(ObjectId, std::sync::Arc<QueryExpr>)> {
    let Id::Global(id) = id else { return None };
    let view = definitions.view(id)?;
    (!definitions.is_base(id) && definitions.indexes_on(id).is_empty()).then_some((id, view))
}

/// Calls `visitor` for all of a query and of the views it reads, each view once; counts how often
/// views are read.
fn each(
    query: &QueryExpr,
    definitions: &dyn Definitions,
    counts: &mut HashMap<ObjectId, usize>,
    visitor: &mut dyn FnMut(&QueryExpr),
) {
    grow(|| {
        visitor(query);
        if let QueryExpr::Get { id, .. } = query
            && let Some((id, view)) = view_of(*id, definitions)
        {
            let count = counts.entry(id).or_insert(0);
            *count += 1;
            if *count == 1 {
                each(&view, definitions, counts, visitor);
            }
        }
        for input in inputs(query) {
            each(input, definitions, counts, visitor);
        }
        for scalar in scalars(query) {
            each_in(scalar, definitions, counts, visitor);
        }
    });
}

fn each_in(
    scalar: &QueryScalar,
    definitions: &dyn Definitions,
    counts: &mut HashMap<ObjectId, usize>,
    visitor: &mut dyn FnMut(&QueryExpr),
) {
    match scalar {
        QueryScalar::Exists(query) | QueryScalar::Subquery(query) => {
            each(query, definitions, counts, visitor);
        }
        other => {
            for child in super::children(other) {
                each_in(child, definitions, counts, visitor);
            }
        }
    }
}

fn inline(query: &mut QueryExpr, definitions: &dyn Definitions, counts: &HashMap<ObjectId, usize>) {
    grow(|| {
        if let QueryExpr::Get { id, .. } = query
            && let Some((id, view)) = view_of(*id, definitions)
            && counts.get(&id) == Some(&1)
        {
            *query = (*view).clone();
        }
        for input in inputs_mut(query) {
            inline(input, definitions, counts);
        }
    });
}

fn scalars(query: &QueryExpr) -> Vec<&QueryScalar> {
    match query {
        QueryExpr::Map { scalars, .. } => scalars.iter().collect(),
        QueryExpr::Filter { predicates, .. } => predicates.iter().collect(),
        QueryExpr::FlatMap { arguments, .. } => arguments.iter().collect(),
        QueryExpr::Join { on, .. } => vec![on],
        QueryExpr::Reduce { aggregates, .. } => {
            aggregates.iter().map(|aggregate| &aggregate.argument).collect()
        }
        QueryExpr::TopK { limit, .. } => limit.iter().collect(),
        _ => Vec::new(),
    }
}

fn inputs(query: &QueryExpr) -> Vec<&QueryExpr> {
    match query {
        QueryExpr::Constant { .. } | QueryExpr::Get { .. } => Vec::new(),
        QueryExpr::Let { value, body, .. } => vec![value, body],
        QueryExpr::LetRec { bindings, body, .. } => {
            bindings.iter().map(|binding| &binding.value).chain([&**body]).collect()
        }
        QueryExpr::Project { input, .. }
        | QueryExpr::Map { input, .. }
        | QueryExpr::Filter { input, .. }
        | QueryExpr::FlatMap { input, .. }
        | QueryExpr::Reduce { input, .. }
        | QueryExpr::Distinct { input }
        | QueryExpr::TopK { input, .. }
        | QueryExpr::Window { input, .. }
        | QueryExpr::Negate { input }
        | QueryExpr::Threshold { input } => vec![input],
        QueryExpr::Join { left, right, .. } => vec![left, right],
        QueryExpr::Union { inputs } => inputs.iter().collect(),
    }
}

fn inputs_mut(query: &mut QueryExpr) -> Vec<&mut QueryExpr> {
    match query {
        QueryExpr::Constant { .. } | QueryExpr::Get { .. } => Vec::new(),
        QueryExpr::Let { value, body, .. } => vec![value, body],
        // A binding of a recursion is read again and again: its views stay bound outside.
        QueryExpr::LetRec { body, .. } => vec![body],
        QueryExpr::Project { input, .. }
        | QueryExpr::Map { input, .. }
        | QueryExpr::Filter { input, .. }
        | QueryExpr::FlatMap { input, .. }
        | QueryExpr::Reduce { input, .. }
        | QueryExpr::Distinct { input }
        | QueryExpr::TopK { input, .. }
        | QueryExpr::Window { input, .. }
        | QueryExpr::Negate { input }
        | QueryExpr::Threshold { input } => vec![input],
        QueryExpr::Join { left, right, .. } => vec![left, right],
        QueryExpr::Union { inputs } => inputs.iter_mut().collect(),
    }
}
