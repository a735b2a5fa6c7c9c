//! A relation joined with itself by a key of its rows is read once: views over the same table,
//! joined by its primary key, need it only once.

use std::collections::BTreeSet;

use tidemill_expr::ScalarExpr;
use tidemill_plan::{Id, RelationExpr};
use tidemill_repr::ColumnType;

/// Puts reads of one object into one, where a join pairs each row with itself.
pub fn drop_self_joins(relation: &mut RelationExpr) {
    relation.visit_mut(&mut |relation| {
        while let RelationExpr::Join { inputs, equivalences } = relation
            && let Some((keep, drop)) = pair(inputs, equivalences)
        {
            *relation = without(std::mem::take(inputs), std::mem::take(equivalences), keep, drop);
            if !matches!(relation, RelationExpr::Join { .. }) {
                break;
            }
        }
    });
}

/// Filters and projections on a read.
struct Read<'r> {
    id: Id,
    keys: &'r [Vec<usize>],
    arity: usize,
    predicates: Vec<ScalarExpr>,
    outputs: Vec<usize>,
}

fn as_read(relation: &RelationExpr) -> Option<Read<'_>> {
    match relation {
        RelationExpr::Get { id: id @ Id::Global(_), typ } => Some(Read {
            id: *id,
            keys: &typ.keys,
            arity: typ.arity(),
            predicates: Vec::new(),
            outputs: (0..typ.arity()).collect(),
        }),
        RelationExpr::Filter { input, predicates } => {
            let mut read = as_read(input)?;
            for predicate in predicates {
                let mut predicate = predicate.clone();
                predicate.permute(&read.outputs);
                read.predicates.push(predicate);
            }
            Some(read)
        }
        RelationExpr::Project { input, outputs } => {
            let mut read = as_read(input)?;
            read.outputs =
                outputs.iter().filter_map(|column| read.outputs.get(*column).copied()).collect();
            Some(read)
        }
        _ => None,
    }
}

/// Two inputs that read one object, and whose rows are equal in a key of it.
fn pair(inputs: &[RelationExpr], classes: &[Vec<ScalarExpr>]) -> Option<(usize, usize)> {
    let mut reads = Vec::new();
    let mut start = 0;
    for (at, input) in inputs.iter().enumerate() {
        if let Some(read) = as_read(input) {
            reads.push((at, start, read));
        }
        start += input.arity();
    }
    for (position, (first, first_start, one)) in reads.iter().enumerate() {
        for (second, second_start, two) in &reads[position + 1..] {
            if one.id != two.id {
                continue;
            }
            let equal = |column: &usize| {
                let place = |read: &Read<'_>, start: usize| {
                    let at = read.outputs.iter().position(|output| output == column)?;
                    Some(ScalarExpr::Column(start + at))
                };
                let (Some(a), Some(b)) = (place(one, *first_start), place(two, *second_start))
                else {
                    return false;
                };
                classes.iter().any(|class| class.contains(&a) && class.contains(&b))
            };
            if one.keys.iter().any(|key| !key.is_empty() && key.iter().all(equal)) {
                return Some((*first, *second));
            }
        }
    }
    None
}

/// The join with one input for two; its columns are those of before.
fn without(
    inputs: Vec<RelationExpr>,
    mut classes: Vec<Vec<ScalarExpr>>,
    keep: usize,
    drop: usize,
) -> RelationExpr {
    let arities: Vec<usize> = inputs.iter().map(RelationExpr::arity).collect();
    let both = match (inputs.get(keep).and_then(as_read), inputs.get(drop).and_then(as_read)) {
        (Some(one), Some(two)) => {
            let typ = match base(&inputs[keep]) {
                RelationExpr::Get { typ, .. } => typ.clone(),
                other => other.typ(),
            };
            debug_assert_eq!(typ.arity(), one.arity);
            let mut predicates = one.predicates;
            let more = two.predicates.into_iter().filter(|p| !predicates.contains(p));
            predicates.extend(more.collect::<Vec<_>>());
            let outputs = one.outputs.into_iter().chain(two.outputs).collect();
            RelationExpr::Get { id: one.id, typ }.filter(predicates).project(outputs)
        }
        _ => return RelationExpr::join(inputs, classes),
    };
    // Where the columns of each input are now.
    let mut places = Vec::new();
    let mut next = 0;
    let mut kept_at = 0;
    for (at, arity) in arities.iter().enumerate() {
        if at == drop {
            let start = kept_at + arities[keep];
            places.extend(start..start + arity);
            continue;
        }
        if at == keep {
            kept_at = next;
        }
        places.extend(next..next + arity);
        next += arity + if at == keep { arities[drop] } else { 0 };
    }
    let inputs: Vec<RelationExpr> = inputs
        .into_iter()
        .enumerate()
        .filter(|(at, _)| *at != drop)
        .map(|(at, input)| if at == keep { both.clone() } else { input })
        .collect();
    // Two columns of one row that are the same are equal; a class of one says "not NULL".
    let same: Vec<usize> = {
        let read = as_read(&both);
        let start = places.get(arities[..keep].iter().sum::<usize>()).copied().unwrap_or(0);
        let outputs = read.map(|read| read.outputs).unwrap_or_default();
        let first = |at: usize| outputs.iter().position(|o| Some(o) == outputs.get(at));
        (0..next)
            .map(|column| match column.checked_sub(start) {
                Some(at) if at < outputs.len() => first(at).map_or(column, |at| start + at),
                _ => column,
            })
            .collect()
    };
    for class in &mut classes {
        class.iter_mut().for_each(|expr| {
            expr.permute(&places);
            expr.permute(&same);
        });
        let mut seen = BTreeSet::new();
        class.retain(|expr| seen.insert(expr.clone()));
    }
    drop_certain(&inputs, &mut classes);
    RelationExpr::join(inputs, classes).project(places)
}

/// Drops the classes of one column that cannot be NULL: they ask for nothing.
fn drop_certain(inputs: &[RelationExpr], classes: &mut Vec<Vec<ScalarExpr>>) {
    let columns: Vec<ColumnType> = inputs.iter().flat_map(|input| input.typ().columns).collect();
    classes.retain(|class| match class.as_slice() {
        [ScalarExpr::Column(column)] => columns.get(*column).is_none_or(|typ| typ.nullable),
        _ => true,
    });
}

fn base(relation: &RelationExpr) -> &RelationExpr {
    match relation {
        RelationExpr::Filter { input, .. } | RelationExpr::Project { input, .. } => base(input),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use tidemill_plan::relation::RelationType;
    use tidemill_repr::{ObjectId, ScalarType};

    use super::*;

    fn table(keys: Vec<Vec<usize>>) -> RelationExpr {
        let columns = vec![ColumnType::new(ScalarType::Int8); 3];
        RelationExpr::Get { id: Id::Global(ObjectId::User(1)), typ: RelationType { columns, keys } }
    }

    #[test]
    fn a_table_joined_with_itself_by_its_key_is_read_once() {
        let column = ScalarExpr::Column;
        let reads = |relation: &RelationExpr| relation.uses()[&Id::Global(ObjectId::User(1))];
        let by = |left: usize, right: usize, keys: Vec<Vec<usize>>| {
            let inputs = vec![
                table(keys.clone()).project(vec![0, 1]),
                table(keys).filter(vec![column(2).is_null()]).project(vec![2, 0]),
            ];
            RelationExpr::join(inputs, vec![vec![column(left), column(right)]])
        };
        let mut joined = by(0, 3, vec![vec![0]]);
        let arity = joined.arity();
        drop_self_joins(&mut joined);
        assert_eq!(reads(&joined), 1);
        assert_eq!(joined.arity(), arity);
        for mut other in [by(1, 3, vec![vec![0]]), by(0, 3, Vec::new())] {
            drop_self_joins(&mut other);
            assert_eq!(reads(&other), 2);
        }
    }
}
