//! Rows that are padded with NULLs go away where all that is done with them drops them: a
//! comparison with a scalar subquery, a join by its value, a filter above an outer join.
//!
//! Goes down with the columns that must not be NULL, through bindings too, where all who read them
//! agree. Nothing is asked of rows that way: only a `Map` of NULL into such a column is found out.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_expr::ScalarExpr;
use tidemill_plan::relation::build::grow;
use tidemill_plan::{Id, LocalId, RelationExpr};

/// Drops what gives only rows that are dropped for their NULLs.
pub fn drop_padded(relation: &mut RelationExpr) {
    if pads(relation) {
        Walk::default().walk(relation, BTreeSet::new());
    }
}

/// Whether NULL is put into a column anywhere.
fn pads(relation: &RelationExpr) -> bool {
    let mut found = false;
    relation.visit(&mut |relation| {
        if let RelationExpr::Map { scalars, .. } = relation {
            found |= scalars.iter().any(ScalarExpr::is_literal_null);
        }
    });
    found
}

/// The columns of bindings that all who read them so far want not to be NULL.
#[derive(Default)]
struct Walk {
    bindings: BTreeMap<LocalId, BTreeSet<usize>>,
}

impl Walk {
    /// `wanted`: rows with NULL in one of these columns are dropped above.
    fn walk(&mut self, relation: &mut RelationExpr, wanted: BTreeSet<usize>) {
        grow(|| self.walk_here(relation, wanted));
    }

    fn walk_here(&mut self, relation: &mut RelationExpr, mut wanted: BTreeSet<usize>) {
        match relation {
            RelationExpr::Constant { .. } | RelationExpr::Get { id: Id::Global(_), .. } => {}
            RelationExpr::Get { id: Id::Local(id), .. } => {
                self.bindings
                    .entry(*id)
                    .and_modify(|all| all.retain(|column| wanted.contains(column)))
                    .or_insert(wanted);
            }
            RelationExpr::Let { id, value, body } => {
                self.walk(body, wanted);
                let wanted = self.bindings.remove(id).unwrap_or_default();
                self.walk(value, wanted);
            }
            RelationExpr::LetRec { bindings, body, .. } => {
                self.walk(body, wanted);
                for binding in bindings {
                    self.walk(&mut binding.value, BTreeSet::new());
                }
            }
            RelationExpr::Project { input, outputs } => {
                let wanted = wanted.iter().filter_map(|column| outputs.get(*column).copied());
                self.walk(input, wanted.collect());
            }
            RelationExpr::Map { input, scalars } => {
                let arity = input.arity();
                for (at, scalar) in scalars.iter().enumerate().rev() {
                    if wanted.remove(&(arity + at)) {
                        if scalar.is_literal_null() {
                            let typ = relation.typ();
                            *relation = RelationExpr::empty(typ);
                            return;
                        }
                        with_value(scalar, &mut wanted);
                    }
                }
                self.walk(input, wanted);
            }
            RelationExpr::Filter { input, predicates } => {
                predicates.iter().for_each(|predicate| where_true(predicate, &mut wanted));
                self.walk(input, wanted);
            }
            RelationExpr::Join { inputs, equivalences } => {
                equivalences.iter().flatten().for_each(|expr| with_value(expr, &mut wanted));
                let mut start = 0;
                for input in inputs {
                    let end = start + input.arity();
                    let own = wanted.range(start..end).map(|column| column - start).collect();
                    self.walk(input, own);
                    start = end;
                }
            }
            RelationExpr::Reduce { input, group_key, .. } => {
                let mut below = BTreeSet::new();
                for key in wanted.iter().filter_map(|column| group_key.get(*column)) {
                    with_value(key, &mut below);
                }
                self.walk(input, below);
            }
            RelationExpr::TopK { input, group_key: whole, .. }
            | RelationExpr::Window { input, partition_by: whole, .. } => {
                // Only whole groups may be missing.
                wanted.retain(|column| whole.contains(column));
                self.walk(input, wanted);
            }
            RelationExpr::FlatMap { input, .. } => {
                let arity = input.arity();
                wanted.retain(|column| *column < arity);
                self.walk(input, wanted);
            }
            RelationExpr::Negate { input } | RelationExpr::Threshold { input } => {
                self.walk(input, wanted);
            }
            RelationExpr::Union { inputs, .. } => {
                for input in inputs {
                    self.walk(input, wanted.clone());
                }
            }
        }
    }
}

/// Adds the columns that are not NULL where a predicate is true.
fn where_true(predicate: &ScalarExpr, found: &mut BTreeSet<usize>) {
    match predicate {
        ScalarExpr::And(parts) => parts.iter().for_each(|part| where_true(part, found)),
        ScalarExpr::Or(parts) => {
            let mut parts = parts.iter().map(|part| {
                let mut own = BTreeSet::new();
                where_true(part, &mut own);
                own
            });
            if let Some(first) = parts.next() {
                found.extend(parts.fold(first, |all, own| &all & &own));
            }
        }
        ScalarExpr::Not(inner) => match &**inner {
            ScalarExpr::IsNull(inner) => with_value(inner, found),
            inner => with_value(inner, found),
        },
        other => with_value(other, found),
    }
}

/// Adds the columns that are not NULL where an expression is not.
fn with_value(expr: &ScalarExpr, found: &mut BTreeSet<usize>) {
    match expr {
        ScalarExpr::Column(column) => {
            found.insert(*column);
        }
        ScalarExpr::Call { function, arguments, .. } if function.strict => {
            arguments.iter().for_each(|argument| with_value(argument, found));
        }
        ScalarExpr::Not(inner) => with_value(inner, found),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use tidemill_plan::relation::RelationType;
    use tidemill_repr::{ColumnType, ObjectId, ScalarType};

    use super::*;

    fn table() -> RelationExpr {
        let typ = RelationType::new(vec![ColumnType::new(ScalarType::Int8)]);
        RelationExpr::Get { id: Id::Global(ObjectId::User(1)), typ }
    }

    fn padded() -> RelationExpr {
        let pairs = RelationExpr::join(vec![table(), table()], Vec::new());
        let alone = table().map(vec![ScalarExpr::null(ScalarType::Int8)]);
        RelationExpr::union(vec![pairs, alone])
    }

    fn holds_map(relation: &RelationExpr) -> bool {
        pads(relation)
    }

    #[test]
    fn padded_rows_go_where_their_column_is_asked_for() {
        let column = ScalarExpr::Column;
        let asks = |of: usize| vec![ScalarExpr::Not(Box::new(column(of).is_null()))];
        let mut dropped = padded().filter(asks(1));
        drop_padded(&mut dropped);
        assert!(!holds_map(&dropped));
        let mut kept = padded().filter(asks(0));
        drop_padded(&mut kept);
        assert!(holds_map(&kept));
        // A join by the column asks too.
        let classes = vec![vec![column(0), column(2)]];
        let mut joined = RelationExpr::join(vec![table(), padded()], classes);
        drop_padded(&mut joined);
        assert!(!holds_map(&joined));
    }

    #[test]
    fn a_binding_keeps_what_one_of_its_readers_wants() {
        let id = LocalId(1);
        let get = || RelationExpr::local(id, padded().typ());
        let asks = || vec![ScalarExpr::Not(Box::new(ScalarExpr::Column(1).is_null()))];
        let both = RelationExpr::union(vec![get().filter(asks()), get()]);
        let mut kept = RelationExpr::bind(id, padded(), both);
        drop_padded(&mut kept);
        assert!(holds_map(&kept));
        let both = RelationExpr::union(vec![get().filter(asks()), get().filter(asks())]);
        let mut dropped = RelationExpr::bind(id, padded(), both);
        drop_padded(&mut dropped);
        assert!(!holds_map(&dropped));
    }
}
