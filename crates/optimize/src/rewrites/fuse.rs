//! Fusion: neighbours of one kind become one, projections of projections one projection.

use tidemill_plan::RelationExpr;

/// Puts neighbours of one kind together.
pub fn fuse(relation: &mut RelationExpr) {
    relation.visit_mut(&mut fuse_node);
}

fn fuse_node(relation: &mut RelationExpr) {
    match relation {
        RelationExpr::Map { input, scalars }
            if (scalars.is_empty() || matches!(**input, RelationExpr::Map { .. })) =>
        {
            *relation = input.take().map(std::mem::take(scalars));
        }
        RelationExpr::Filter { input, predicates }
            if (predicates.is_empty() || matches!(**input, RelationExpr::Filter { .. })) =>
        {
            *relation = input.take().filter(std::mem::take(predicates));
        }
        RelationExpr::Project { input, outputs } => {
            *relation = input.take().project(std::mem::take(outputs));
        }
        RelationExpr::Union { inputs, .. }
            if inputs.iter().any(|input| matches!(input, RelationExpr::Union { .. })) =>
        {
            let mut flat = Vec::with_capacity(inputs.len());
            for input in inputs.drain(..) {
                match input {
                    RelationExpr::Union { inputs, .. } => flat.extend(inputs),
                    other => flat.push(other),
                }
            }
            *inputs = flat;
        }
        _ => {}
    }
}
