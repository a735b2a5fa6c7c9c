//! Join fusion: joins of joins become one join of many, so that their order is free.

use tidemill_expr::ScalarExpr;
use tidemill_plan::RelationExpr;

/// Lifts what is between two joins above the outer one, and puts the joins together.
pub fn fuse_joins(relation: &mut RelationExpr) {
    relation.visit_mut(&mut |relation| {
        if let RelationExpr::Join { inputs, .. } = relation
            && inputs.iter().any(over_join)
        {
            flatten(relation);
        }
    });
}

/// Whether a join is under row-wise work only.
fn over_join(relation: &RelationExpr) -> bool {
    match relation {
        RelationExpr::Join { .. } => true,
        RelationExpr::Project { input, .. }
        | RelationExpr::Map { input, .. }
        | RelationExpr::Filter { input, .. } => over_join(input),
        _ => false,
    }
}

/// A relation taken apart: inputs of a join, what must be equal and true, and what each column
/// is, all over the columns of the inputs (from `start` on).
struct Parts {
    inputs: Vec<RelationExpr>,
    equivalences: Vec<Vec<ScalarExpr>>,
    predicates: Vec<ScalarExpr>,
    columns: Vec<ScalarExpr>,
}

fn flatten(relation: &mut RelationExpr) {
    let parts = take_apart(relation.take(), 0);
    let arity: usize = parts.inputs.iter().map(RelationExpr::arity).sum();
    let mut outputs = Vec::new();
    let mut scalars = Vec::new();
    for column in parts.columns {
        match column {
            ScalarExpr::Column(column) => outputs.push(column),
            other => {
                outputs.push(arity + scalars.len());
                scalars.push(other);
            }
        }
    }
    *relation = RelationExpr::join(parts.inputs, parts.equivalences)
        .filter(parts.predicates)
        .map(scalars)
        .project(outputs);
}

fn take_apart(relation: RelationExpr, start: usize) -> Parts {
    match relation {
        RelationExpr::Join { inputs, equivalences } => {
            let mut all = Parts {
                inputs: Vec::new(),
                equivalences: Vec::new(),
                predicates: Vec::new(),
                columns: Vec::new(),
            };
            let mut next = start;
            for input in inputs {
                let parts =
                    if over_join(&input) { take_apart(input, next) } else { leaf(input, next) };
                next += parts.inputs.iter().map(RelationExpr::arity).sum::<usize>();
                all.inputs.extend(parts.inputs);
                all.equivalences.extend(parts.equivalences);
                all.predicates.extend(parts.predicates);
                all.columns.extend(parts.columns);
            }
            for mut class in equivalences {
                class.iter_mut().for_each(|expr| expr.substitute(&all.columns));
                all.equivalences.push(class);
            }
            all
        }
        RelationExpr::Project { input, outputs } => {
            let mut parts = take_apart(*input, start);
            parts.columns =
                outputs.iter().filter_map(|column| parts.columns.get(*column).cloned()).collect();
            parts
        }
        RelationExpr::Map { input, scalars } => {
            let mut parts = take_apart(*input, start);
            for mut scalar in scalars {
                scalar.substitute(&parts.columns);
                parts.columns.push(scalar);
            }
            parts
        }
        RelationExpr::Filter { input, predicates } => {
            let mut parts = take_apart(*input, start);
            for mut predicate in predicates {
                predicate.substitute(&parts.columns);
                parts.predicates.push(predicate);
            }
            parts
        }
        other => leaf(other, start),
    }
}

fn leaf(relation: RelationExpr, start: usize) -> Parts {
    let columns = (start..start + relation.arity()).map(ScalarExpr::Column).collect();
    Parts { inputs: vec![relation], equivalences: Vec::new(), predicates: Vec::new(), columns }
}

/// Puts classes that share an expression together.
pub fn merge_classes(equivalences: &mut Vec<Vec<ScalarExpr>>) {
    let mut merged: Vec<Vec<ScalarExpr>> = Vec::new();
    for class in equivalences.drain(..) {
        let mut whole = class;
        let mut at = 0;
        while at < merged.len() {
            if merged[at].iter().any(|expr| whole.contains(expr)) {
                let other = merged.swap_remove(at);
                whole.extend(other);
            } else {
                at += 1;
            }
        }
        whole.sort();
        whole.dedup();
        if !whole.is_empty() {
            merged.push(whole);
        }
    }
    merged.sort();
    *equivalences = merged;
}
