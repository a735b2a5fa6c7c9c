//! What a disjunction says of one input alone: `(a.x = 1 AND b.y = 2) OR (a.x = 3 AND b.y = 4)`
//! over a join of `a` and `b` says `a.x = 1 OR a.x = 3`, and that can be asked of `a` before the
//! join. The disjunction itself stays.

use tidemill_expr::ScalarExpr;
use tidemill_plan::RelationExpr;

/// More branches than this: the work is not worth it.
const MOST_BRANCHES: usize = 64;

/// Adds to filters over joins what their disjunctions imply for single inputs.
pub fn imply(relation: &mut RelationExpr) {
    relation.visit_mut(&mut |relation| {
        let RelationExpr::Filter { input, predicates } = relation else { return };
        let RelationExpr::Join { inputs, .. } = &mut **input else { return };
        if !predicates.iter().any(|predicate| matches!(predicate, ScalarExpr::Or(_))) {
            return;
        }
        let mut start = 0;
        for input in inputs {
            let end = start + input.arity();
            let mut implied: Vec<ScalarExpr> =
                predicates.iter().filter_map(|predicate| implied(predicate, start..end)).collect();
            implied.iter_mut().for_each(|p| p.map_columns(&|column| column - start));
            implied.retain(|predicate| !is_asked(input, predicate));
            if !implied.is_empty() {
                *input = input.take().filter(implied);
            }
            start = end;
        }
    });
}

/// Whether a relation is filtered by a predicate already, as far down as it could have gone.
fn is_asked(relation: &RelationExpr, predicate: &ScalarExpr) -> bool {
    match relation {
        RelationExpr::Filter { input, predicates } => {
            predicates.contains(predicate) || is_asked(input, predicate)
        }
        RelationExpr::Project { input, outputs } => {
            let mut predicate = predicate.clone();
            predicate.permute(outputs);
            is_asked(input, &predicate)
        }
        RelationExpr::Map { input, scalars } => {
            let arity = input.arity();
            let mut columns: Vec<ScalarExpr> = (0..arity).map(ScalarExpr::Column).collect();
            for scalar in scalars {
                let mut scalar = scalar.clone();
                scalar.substitute(&columns);
                columns.push(scalar);
            }
            let mut predicate = predicate.clone();
            predicate.substitute(&columns);
            predicate.reduce();
            is_asked(input, &predicate)
        }
        // Nothing is asked of less than a plain read: the disjunction above is enough.
        RelationExpr::Get { .. } => false,
        _ => true,
    }
}

/// What a disjunction says of the columns in a range; None if it says nothing.
fn implied(predicate: &ScalarExpr, columns: std::ops::Range<usize>) -> Option<ScalarExpr> {
    let ScalarExpr::Or(branches) = predicate else { return None };
    if branches.len() > MOST_BRANCHES {
        return None;
    }
    let own = |expr: &ScalarExpr| {
        let support = expr.support();
        !support.is_empty()
            && support.into_iter().all(|column| columns.contains(&column))
            && !expr.could_error()
    };
    let mut said = Vec::with_capacity(branches.len());
    for branch in branches {
        let parts: Vec<ScalarExpr> = match branch {
            ScalarExpr::And(parts) => parts.iter().filter(|part| own(part)).cloned().collect(),
            other if own(other) => vec![other.clone()],
            _ => Vec::new(),
        };
        if parts.is_empty() {
            return None;
        }
        let part = ScalarExpr::and(parts);
        if !said.contains(&part) {
            said.push(part);
        }
    }
    let mut implied = ScalarExpr::Or(said);
    implied.reduce();
    Some(implied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disjunction_says_something_of_an_input_if_every_branch_does() {
        let column = ScalarExpr::Column;
        let and = |parts: &[usize]| ScalarExpr::And(parts.iter().copied().map(column).collect());
        let either = ScalarExpr::Or(vec![and(&[0, 2]), and(&[1, 3])]);
        let left = ScalarExpr::Or(vec![column(0), column(1)]);
        assert_eq!(implied(&either, 0..2), Some(left));
        let right = ScalarExpr::Or(vec![column(2), column(3)]);
        assert_eq!(implied(&either, 2..4), Some(right));
        let loose = ScalarExpr::Or(vec![and(&[0, 2]), column(3)]);
        assert_eq!(implied(&loose, 0..2), None);
    }
}
