//! Bindings: those that are read once or are small go to where they are read, those that are
//! never read go away.

use std::collections::HashMap;

use tidemill_plan::relation::build::grow;
use tidemill_plan::{Id, LocalId, RelationExpr};

/// Inlines and drops bindings.
pub fn inline_bindings(relation: &mut RelationExpr) {
    let mut counts = HashMap::new();
    relation.visit(&mut |relation| {
        if let RelationExpr::Get { id: Id::Local(id), .. } = relation {
            *counts.entry(*id).or_insert(0_usize) += 1;
        }
    });
    inline(relation, &counts, &mut HashMap::new());
}

fn inline(
    relation: &mut RelationExpr,
    counts: &HashMap<LocalId, usize>,
    values: &mut HashMap<LocalId, RelationExpr>,
) {
    grow(|| match relation {
        RelationExpr::Let { id, value, body } => {
            inline(value, counts, values);
            let count = counts.get(id).copied().unwrap_or(0);
            if count <= 1 || is_small(value) {
                values.insert(*id, value.take());
                inline(body, counts, values);
                *relation = body.take();
            } else {
                inline(body, counts, values);
            }
        }
        RelationExpr::Get { id: Id::Local(id), .. } => {
            if let Some(value) = values.get(id) {
                *relation = value.clone();
            }
        }
        other => {
            for child in other.children_mut() {
                inline(child, counts, values);
            }
        }
    });
}

/// Whether computing it again costs no more than keeping it.
fn is_small(relation: &RelationExpr) -> bool {
    match relation {
        RelationExpr::Get { .. } => true,
        RelationExpr::Constant { rows: Ok(rows), .. } => rows.len() <= 1,
        RelationExpr::Project { input, .. } => matches!(**input, RelationExpr::Get { .. }),
        _ => false,
    }
}
