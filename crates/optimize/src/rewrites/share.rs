//! Sharing: a subplan that is there twice is computed once, and bound.
//!
//! Only what takes an operator with state, or is joined: row-wise work on a read costs less than
//! keeping its result, and reads must stay where an index may serve them. Bindings are made around
//! the whole plan, and around the body of each binding for what reads that; nothing is taken out
//! of recursions.

use std::collections::{BTreeSet, HashMap};

use tidemill_expr::{ScalarExpr, Volatility};
use tidemill_plan::relation::build::grow;
use tidemill_plan::{Id, LocalId, RelationExpr};

use super::bindings::inline_bindings;

/// More operators than this: the plan stays as it is.
const MOST_OPERATORS: usize = 500;

/// Binds what is there several times.
pub fn share(relation: &mut RelationExpr) {
    let (mut operators, mut stateful, mut next) = (0, 0, 0);
    relation.visit(&mut |part| {
        operators += 1;
        stateful += usize::from(is_stateful(part));
        match part {
            RelationExpr::Let { id, .. } => next = next.max(id.0),
            RelationExpr::LetRec { bindings, .. } => {
                bindings.iter().for_each(|binding| next = next.max(binding.id.0));
            }
            _ => {}
        }
    });
    if stateful >= 2 && operators <= MOST_OPERATORS {
        Sharing { next }.region(relation);
        // What was there twice only because it is part of what was.
        inline_bindings(relation);
    }
}

fn is_stateful(relation: &RelationExpr) -> bool {
    matches!(
        relation,
        RelationExpr::Join { .. }
            | RelationExpr::Reduce { .. }
            | RelationExpr::TopK { .. }
            | RelationExpr::Window { .. }
            | RelationExpr::Threshold { .. }
    )
}

/// Whether it may stand for another of its kind. (Scalars are only given to be changed.)
fn is_sharable(relation: &RelationExpr) -> bool {
    let mut stable = true;
    let mut copy = relation.clone();
    copy.visit_mut(&mut |part| {
        let volatile = |scalar: &mut ScalarExpr| scalar.volatility() == Volatility::Volatile;
        stable &= !part.scalars_mut().into_iter().any(volatile);
    });
    stable
}

struct Sharing {
    next: u64,
}

impl Sharing {
    /// Shares what a relation holds several times, then what the bodies of its bindings do.
    fn region(&mut self, relation: &mut RelationExpr) {
        grow(|| {
            let mut counts: HashMap<&RelationExpr, usize> = HashMap::new();
            count(relation, &mut BTreeSet::new(), &mut counts);
            let several: Vec<RelationExpr> = counts
                .into_iter()
                .filter(|(part, count)| *count > 1 && is_sharable(part))
                .map(|(part, _)| part.clone())
                .collect();
            let mut several: HashMap<RelationExpr, Option<LocalId>> =
                several.into_iter().map(|part| (part, None)).collect();
            let mut bound = Vec::new();
            if !several.is_empty() {
                self.replace(relation, &mut several, &mut bound);
            }
            self.bodies(relation);
            // Those that were finished first are read by those after them.
            for (id, value) in bound.into_iter().rev() {
                *relation = RelationExpr::bind(id, value, relation.take());
            }
        });
    }

    fn bodies(&mut self, relation: &mut RelationExpr) {
        grow(|| match relation {
            RelationExpr::Let { value, body, .. } => {
                self.bodies(value);
                self.region(body);
            }
            RelationExpr::LetRec { body, .. } => self.region(body),
            other => {
                for child in other.children_mut() {
                    self.bodies(child);
                }
            }
        });
    }

    /// Puts reads in the places of what is there several times, the largest first.
    fn replace(
        &mut self,
        relation: &mut RelationExpr,
        several: &mut HashMap<RelationExpr, Option<LocalId>>,
        bound: &mut Vec<(LocalId, RelationExpr)>,
    ) {
        grow(|| {
            if let Some(known) = several.get(relation) {
                let typ = relation.typ();
                let id = match known {
                    Some(id) => *id,
                    None => {
                        self.next += 1;
                        let id = LocalId(self.next);
                        several.insert(relation.clone(), Some(id));
                        let mut value = relation.take();
                        for child in value.children_mut() {
                            self.replace(child, several, bound);
                        }
                        bound.push((id, value));
                        id
                    }
                };
                *relation = RelationExpr::local(id, typ);
                return;
            }
            if let RelationExpr::LetRec { body, .. } = relation {
                self.replace(body, several, bound);
                return;
            }
            for child in relation.children_mut() {
                self.replace(child, several, bound);
            }
        });
    }
}

/// Counts the parts that read no binding made in the region itself (those in `inside`). Gives the
/// bindings that a part reads.
fn count<'r>(
    relation: &'r RelationExpr,
    inside: &mut BTreeSet<LocalId>,
    counts: &mut HashMap<&'r RelationExpr, usize>,
) -> BTreeSet<LocalId> {
    grow(|| {
        let reads = match relation {
            RelationExpr::Get { id: Id::Local(id), .. } => BTreeSet::from([*id]),
            RelationExpr::Let { id, value, body } => {
                let mut reads = count(value, inside, counts);
                inside.insert(*id);
                reads.extend(count(body, inside, counts));
                reads
            }
            RelationExpr::LetRec { bindings, body, .. } => {
                inside.extend(bindings.iter().map(|binding| binding.id));
                let mut reads: BTreeSet<LocalId> =
                    bindings.iter().map(|binding| binding.id).collect();
                reads.extend(count(body, inside, counts));
                reads
            }
            other => {
                let children = other.children().into_iter();
                children.flat_map(|child| count(child, inside, counts)).collect()
            }
        };
        if is_stateful(relation) && reads.is_disjoint(inside) {
            *counts.entry(relation).or_insert(0) += 1;
        }
        reads
    })
}

#[cfg(test)]
mod tests {
    use tidemill_plan::relation::RelationType;
    use tidemill_repr::{ColumnType, ObjectId, ScalarType};

    use super::*;

    fn table(number: u64) -> RelationExpr {
        let typ = RelationType::new(vec![ColumnType::new(ScalarType::Int8)]);
        RelationExpr::Get { id: Id::Global(ObjectId::User(number)), typ }
    }

    #[test]
    fn what_is_there_twice_is_bound_once() {
        let joined = || {
            let classes = vec![vec![ScalarExpr::Column(0), ScalarExpr::Column(1)]];
            RelationExpr::join(vec![table(1), table(2).distinct()], classes)
        };
        let mut shared =
            RelationExpr::union(vec![joined(), joined().distinct(), joined().distinct()]);
        share(&mut shared);
        let RelationExpr::Let { id: outer, value, body } = &shared else { panic!("{shared:?}") };
        let RelationExpr::Let { id: inner, value: distinct, body } = &**body else {
            panic!("{shared:?}")
        };
        assert_eq!(**value, joined());
        assert_eq!(distinct.uses().get(&Id::Local(*outer)), Some(&1));
        assert_eq!(body.uses().get(&Id::Local(*outer)), Some(&1));
        assert_eq!(body.uses().get(&Id::Local(*inner)), Some(&2));
    }

    #[test]
    fn what_is_there_once_stays() {
        let mut relation = RelationExpr::union(vec![table(1).distinct(), table(2).distinct()]);
        let before = relation.clone();
        share(&mut relation);
        assert_eq!(relation, before);
    }
}
