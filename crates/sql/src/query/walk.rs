//! Visiting a plan with its scopes: which columns of outer rows it uses, and changing them.
//!
//! `depth` counts the rows between the place where the walk began and the expression at hand: a
//! column whose level equals the depth is one of the starting row.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_plan::query::ColumnRef;
use tidemill_plan::{Id, LocalId, QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, ObjectId, Row, ScalarType};

use super::QueryContext;
use super::subquery::bind_any;

/// Called with each scalar before its parts; says whether to go on into them.
type Visit<'v> = dyn FnMut(&mut QueryScalar, usize) -> bool + 'v;

/// Visits an expression and all within it.
pub(super) fn walk_scalar(scalar: &mut QueryScalar, depth: usize, visit: &mut Visit<'_>) {
    if !visit(scalar, depth) {
        return;
    }
    match scalar {
        QueryScalar::Column(_) | QueryScalar::Parameter(..) | QueryScalar::Literal(..) => {}
        QueryScalar::Call { arguments: parts, .. }
        | QueryScalar::And(parts)
        | QueryScalar::Or(parts)
        | QueryScalar::Coalesce(parts) => {
            for part in parts {
                walk_scalar(part, depth, visit);
            }
        }
        QueryScalar::Not(part) | QueryScalar::IsNull(part) => walk_scalar(part, depth, visit),
        QueryScalar::If(condition, then, otherwise) => {
            walk_scalar(condition, depth, visit);
            walk_scalar(then, depth, visit);
            walk_scalar(otherwise, depth, visit);
        }
        QueryScalar::Exists(query) | QueryScalar::Subquery(query) => {
            walk_query(query, depth + 1, visit);
        }
    }
}

/// Visits all expressions of a relation; `depth` is that of expressions over its own rows.
pub(super) fn walk_query(query: &mut QueryExpr, depth: usize, visit: &mut Visit<'_>) {
    match query {
        QueryExpr::Constant { .. } | QueryExpr::Get { .. } => {}
        QueryExpr::Let { value, body, .. } => {
            walk_query(value, depth, visit);
            walk_query(body, depth, visit);
        }
        QueryExpr::LetRec { bindings, body, .. } => {
            for binding in bindings {
                walk_query(&mut binding.value, depth, visit);
            }
            walk_query(body, depth, visit);
        }
        QueryExpr::Project { input, .. }
        | QueryExpr::Window { input, .. }
        | QueryExpr::Distinct { input }
        | QueryExpr::Negate { input }
        | QueryExpr::Threshold { input } => walk_query(input, depth, visit),
        QueryExpr::Map { input, scalars }
        | QueryExpr::Filter { input, predicates: scalars }
        | QueryExpr::FlatMap { input, arguments: scalars, .. } => {
            walk_query(input, depth, visit);
            for scalar in scalars {
                walk_scalar(scalar, depth, visit);
            }
        }
        QueryExpr::Join { left, right, on, lateral, .. } => {
            walk_query(left, depth, visit);
            walk_query(right, depth + usize::from(*lateral), visit);
            walk_scalar(on, depth, visit);
        }
        QueryExpr::Reduce { input, aggregates, .. } => {
            walk_query(input, depth, visit);
            for aggregate in aggregates {
                walk_scalar(&mut aggregate.argument, depth, visit);
            }
        }
        QueryExpr::TopK { input, limit, .. } => {
            walk_query(input, depth, visit);
            if let Some(limit) = limit {
                walk_scalar(limit, depth, visit);
            }
        }
        QueryExpr::Union { inputs } => {
            for input in inputs {
                walk_query(input, depth, visit);
            }
        }
    }
}

/// The relations of the catalog that a query reads. The query stays as it is.
pub fn relations_read(query: &mut QueryExpr) -> BTreeSet<ObjectId> {
    let mut found = BTreeSet::new();
    walk_relations(query, &mut |relation| {
        if let QueryExpr::Get { id: Id::Global(id), .. } = relation {
            found.insert(*id);
        }
    });
    found
}

/// Visits the relation and all those within it.
pub(super) fn each_relation(query: &mut QueryExpr, visit: &mut dyn FnMut(&mut QueryExpr)) {
    walk_relations(query, visit);
}

/// Visits the relation and all those within it, those of subqueries included.
fn walk_relations(query: &mut QueryExpr, visit: &mut dyn FnMut(&mut QueryExpr)) {
    visit(query);
    match query {
        QueryExpr::Constant { .. } | QueryExpr::Get { .. } => {}
        QueryExpr::Let { value, body, .. } => {
            walk_relations(value, visit);
            walk_relations(body, visit);
        }
        QueryExpr::LetRec { bindings, body, .. } => {
            for binding in bindings {
                walk_relations(&mut binding.value, visit);
            }
            walk_relations(body, visit);
        }
        QueryExpr::Project { input, .. }
        | QueryExpr::Window { input, .. }
        | QueryExpr::Distinct { input }
        | QueryExpr::Negate { input }
        | QueryExpr::Threshold { input } => walk_relations(input, visit),
        QueryExpr::Map { input, scalars }
        | QueryExpr::Filter { input, predicates: scalars }
        | QueryExpr::FlatMap { input, arguments: scalars, .. } => {
            walk_relations(input, visit);
            for scalar in scalars {
                walk_scalar_relations(scalar, visit);
            }
        }
        QueryExpr::Join { left, right, on, .. } => {
            walk_relations(left, visit);
            walk_relations(right, visit);
            walk_scalar_relations(on, visit);
        }
        QueryExpr::Reduce { input, aggregates, .. } => {
            walk_relations(input, visit);
            for aggregate in aggregates {
                walk_scalar_relations(&mut aggregate.argument, visit);
            }
        }
        QueryExpr::TopK { input, limit, .. } => {
            walk_relations(input, visit);
            if let Some(limit) = limit {
                walk_scalar_relations(limit, visit);
            }
        }
        QueryExpr::Union { inputs } => {
            for input in inputs {
                walk_relations(input, visit);
            }
        }
    }
}

fn walk_scalar_relations(scalar: &mut QueryScalar, visit: &mut dyn FnMut(&mut QueryExpr)) {
    walk_scalar(scalar, 0, &mut |scalar, _| match scalar {
        QueryScalar::Exists(query) | QueryScalar::Subquery(query) => {
            walk_relations(query, visit);
            false
        }
        _ => true,
    });
}

/// How many columns a relation has.
pub(super) fn arity(query: &QueryExpr) -> usize {
    match query {
        QueryExpr::Constant { typ, .. } | QueryExpr::Get { typ, .. } => typ.arity(),
        QueryExpr::Let { body, .. } | QueryExpr::LetRec { body, .. } => arity(body),
        QueryExpr::Project { outputs, .. } => outputs.len(),
        QueryExpr::Map { input, scalars } => arity(input) + scalars.len(),
        QueryExpr::FlatMap { input, typ, .. } => arity(input) + typ.len(),
        QueryExpr::Join { left, right, .. } => arity(left) + arity(right),
        QueryExpr::Reduce { group_key, aggregates, .. } => group_key.len() + aggregates.len(),
        QueryExpr::Window { input, calls, .. } => arity(input) + calls.len(),
        QueryExpr::Filter { input, .. }
        | QueryExpr::Distinct { input }
        | QueryExpr::TopK { input, .. }
        | QueryExpr::Negate { input }
        | QueryExpr::Threshold { input } => arity(input),
        QueryExpr::Union { inputs } => inputs.first().map_or(0, arity),
    }
}

/// The nearest scope the expression uses a column of; None if it uses none.
pub(super) fn nearest_level(scalar: &QueryScalar) -> Option<usize> {
    let mut nearest = None;
    walk_scalar(&mut scalar.clone(), 0, &mut |scalar, depth| {
        if let QueryScalar::Column(reference) = scalar
            && reference.level >= depth
        {
            let level = reference.level - depth;
            nearest = Some(nearest.map_or(level, |least: usize| least.min(level)));
        }
        true
    });
    nearest
}

/// Whether the expression holds a subquery.
pub(super) fn has_subquery(scalar: &QueryScalar) -> bool {
    let mut found = false;
    walk_scalar(&mut scalar.clone(), 0, &mut |scalar, _| {
        found |= matches!(scalar, QueryScalar::Exists(_) | QueryScalar::Subquery(_));
        !found
    });
    found
}

/// Whether a relation uses the row `at` scopes out (1 is the nearest).
pub(super) fn query_uses(query: &QueryExpr, at: usize) -> bool {
    let mut found = false;
    walk_query(&mut query.clone(), 0, &mut |scalar, depth| {
        if let QueryScalar::Column(reference) = scalar {
            found |= reference.level == depth + at;
        }
        !found
    });
    found
}

/// Whether a relation uses any row around it.
pub(super) fn is_correlated(query: &QueryExpr) -> bool {
    let mut found = false;
    walk_query(&mut query.clone(), 0, &mut |scalar, depth| {
        if let QueryScalar::Column(reference) = scalar {
            found |= reference.level > depth;
        }
        !found
    });
    found
}

/// Adds `by` to the levels of columns that lie outside of the relation, from `from` scopes out.
pub(super) fn shift_query(query: &mut QueryExpr, from: usize, by: isize) {
    walk_query(query, 0, &mut |scalar, depth| shift_column(scalar, depth + from, by));
}

/// The same for an expression, whose own row is `from` 0.
pub(super) fn shift_scalar(scalar: &mut QueryScalar, from: usize, by: isize) {
    walk_scalar(scalar, 0, &mut |scalar, depth| shift_column(scalar, depth + from, by));
}

fn shift_column(scalar: &mut QueryScalar, least: usize, by: isize) -> bool {
    if let QueryScalar::Column(ColumnRef { level, .. }) = scalar
        && *level >= least
    {
        *level = level.saturating_add_signed(by);
    }
    true
}

/// A copy of a relation in which what it binds has fresh names.
pub(super) fn copy(ctx: &QueryContext<'_>, query: &QueryExpr) -> QueryExpr {
    let mut copy = query.clone();
    let mut renamed: BTreeMap<LocalId, LocalId> = BTreeMap::new();
    walk_relations(&mut copy, &mut |relation| match relation {
        QueryExpr::Let { id, .. } => {
            let fresh = ctx.fresh_local();
            renamed.insert(*id, fresh);
            *id = fresh;
        }
        QueryExpr::LetRec { bindings, .. } => {
            for binding in bindings {
                let fresh = ctx.fresh_local();
                renamed.insert(binding.id, fresh);
                binding.id = fresh;
            }
        }
        QueryExpr::Get { id: Id::Local(id), .. } => {
            if let Some(fresh) = renamed.get(id) {
                *id = *fresh;
            }
        }
        _ => {}
    });
    copy
}

/// Whether a relation reads a binding.
pub(super) fn reads_local(query: &QueryExpr, wanted: LocalId) -> bool {
    let mut found = false;
    walk_relations(&mut query.clone(), &mut |relation| {
        found |= matches!(relation, QueryExpr::Get { id: Id::Local(id), .. } if *id == wanted);
    });
    found
}

/// Replaces each parameter by the literal bound to it: `values[n - 1]` is a row of one datum.
/// Parameters that have no value stay.
pub fn bind_parameters(query: &mut QueryExpr, values: &[Row]) {
    walk_query(query, 0, &mut |scalar, _| bind(scalar, values));
}

/// The same in an expression.
pub fn bind_scalar_parameters(scalar: &mut QueryScalar, values: &[Row]) {
    walk_scalar(scalar, 0, &mut |scalar, _| bind(scalar, values));
}

fn bind(scalar: &mut QueryScalar, values: &[Row]) -> bool {
    if let Some(listed) = bind_any(scalar, values) {
        *scalar = listed;
        return true;
    }
    if let QueryScalar::Parameter(number, typ) = scalar
        && let Some(value) = number.checked_sub(1).and_then(|index| values.get(index))
    {
        let nullable = value.iter().next().is_none_or(|datum| datum.is_null());
        let typ = typ.clone().nullable(nullable);
        *scalar = QueryScalar::Literal(Ok(value.clone()), typ);
    }
    true
}

/// Gives parameters the types that were inferred after they were met.
pub(super) fn settle_parameters(query: &mut QueryExpr, types: &[Option<ScalarType>]) {
    walk_query(query, 0, &mut |scalar, _| settle(scalar, types));
}

/// The same in an expression.
pub(super) fn settle_scalar_parameters(scalar: &mut QueryScalar, types: &[Option<ScalarType>]) {
    walk_scalar(scalar, 0, &mut |scalar, _| settle(scalar, types));
}

fn settle(scalar: &mut QueryScalar, types: &[Option<ScalarType>]) -> bool {
    if let QueryScalar::Literal(_, typ) = scalar
        && typ.scalar_type == ScalarType::Unknown
    {
        typ.scalar_type = ScalarType::Text;
    }
    if let QueryScalar::Parameter(number, typ) = scalar
        && typ.scalar_type == ScalarType::Unknown
        && let Some(Some(known)) = number.checked_sub(1).and_then(|index| types.get(index))
    {
        *typ = ColumnType::new(known.clone());
    }
    true
}
