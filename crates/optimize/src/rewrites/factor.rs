//! What all branches of a disjunction demand is demanded once: `(a AND b) OR (a AND c)` is
//! `a AND (b OR c)`. Equalities that were hidden in branches become join conditions this way.

use tidemill_expr::ScalarExpr;
use tidemill_plan::RelationExpr;

/// Takes common conjuncts out of the disjunctions in filters.
pub fn factor(relation: &mut RelationExpr) {
    relation.visit_mut(&mut |relation| {
        let RelationExpr::Filter { predicates, .. } = relation else { return };
        if predicates.iter().any(|predicate| matches!(predicate, ScalarExpr::Or(_))) {
            *predicates = predicates.drain(..).flat_map(factor_predicate).collect();
        }
    });
}

/// The conjuncts that are together the same as a predicate.
fn factor_predicate(predicate: ScalarExpr) -> Vec<ScalarExpr> {
    let ScalarExpr::Or(branches) = predicate else { return vec![predicate] };
    let mut branches: Vec<Vec<ScalarExpr>> = branches.into_iter().map(conjuncts).collect();
    let Some((first, others)) = branches.split_first() else { return vec![ScalarExpr::Or(vec![])] };
    let common: Vec<ScalarExpr> = first
        .iter()
        .filter(|conjunct| others.iter().all(|branch| branch.contains(conjunct)))
        .cloned()
        .collect();
    for branch in &mut branches {
        branch.retain(|conjunct| !common.contains(conjunct));
    }
    let mut result = common;
    // A branch that demands nothing more makes the others idle.
    if !branches.iter().any(Vec::is_empty) {
        let branches = branches.into_iter().map(|mut branch| match branch.pop() {
            Some(only) if branch.is_empty() => only,
            Some(last) => {
                branch.push(last);
                ScalarExpr::And(branch)
            }
            None => ScalarExpr::And(branch),
        });
        result.push(ScalarExpr::Or(branches.collect()));
    }
    result
}

fn conjuncts(expr: ScalarExpr) -> Vec<ScalarExpr> {
    match expr {
        ScalarExpr::And(parts) => parts.into_iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(position: usize) -> ScalarExpr {
        ScalarExpr::Column(position)
    }

    #[test]
    fn what_all_branches_demand_is_demanded_once() {
        let and = |parts: &[usize]| ScalarExpr::And(parts.iter().copied().map(column).collect());
        let or = ScalarExpr::Or(vec![and(&[0, 1]), and(&[2, 0]), and(&[3, 0, 4])]);
        let rest = ScalarExpr::Or(vec![column(1), column(2), and(&[3, 4])]);
        assert_eq!(factor_predicate(or), vec![column(0), rest]);
        let idle = ScalarExpr::Or(vec![and(&[0, 1]), column(0)]);
        assert_eq!(factor_predicate(idle), vec![column(0)]);
        let nothing = ScalarExpr::Or(vec![column(0), column(1)]);
        assert_eq!(factor_predicate(nothing.clone()), vec![nothing]);
    }
}
