//! What is known of a relation's rows without running it: types, NULLs, keys.

use std::collections::BTreeSet;

use tidemill_expr::{ScalarExpr, WindowFunction};
use tidemill_repr::ColumnType;

use crate::relation::build::grow;
use crate::relation::{RelationExpr, RelationType};

impl RelationExpr {
    /// How many columns there are.
    pub fn arity(&self) -> usize {
        match self {
            RelationExpr::Constant { typ, .. }
            | RelationExpr::Get { typ, .. }
            | RelationExpr::Union { typ, .. } => typ.arity(),
            RelationExpr::Let { body, .. } | RelationExpr::LetRec { body, .. } => {
                grow(|| body.arity())
            }
            RelationExpr::Project { outputs, .. } => outputs.len(),
            RelationExpr::Map { input, scalars } => grow(|| input.arity()) + scalars.len(),
            RelationExpr::FlatMap { input, typ, .. } => grow(|| input.arity()) + typ.len(),
            RelationExpr::Join { inputs, .. } => {
                inputs.iter().map(|input| grow(|| input.arity())).sum()
            }
            RelationExpr::Reduce { group_key, aggregates, .. } => {
                group_key.len() + aggregates.len()
            }
            RelationExpr::Window { input, calls, .. } => grow(|| input.arity()) + calls.len(),
            RelationExpr::Filter { input, .. }
            | RelationExpr::TopK { input, .. }
            | RelationExpr::Negate { input }
            | RelationExpr::Threshold { input } => grow(|| input.arity()),
        }
    }

    /// Types of the columns, and the keys that are known.
    pub fn typ(&self) -> RelationType {
        grow(|| self.typ_here())
    }

    fn typ_here(&self) -> RelationType {
        match self {
            RelationExpr::Constant { rows, typ } => {
                let mut typ = typ.clone();
                if let Ok(rows) = rows
                    && (rows.is_empty() || (rows.len() == 1 && rows[0].1 == 1))
                {
                    typ.keys = vec![Vec::new()];
                }
                typ
            }
            RelationExpr::Get { typ, .. } | RelationExpr::Union { typ, .. } => typ.clone(),
            RelationExpr::Let { body, .. } | RelationExpr::LetRec { body, .. } => body.typ(),
            RelationExpr::Project { input, outputs } => project_type(&input.typ(), outputs),
            RelationExpr::Map { input, scalars } => {
                let mut typ = input.typ();
                for scalar in scalars {
                    let column = scalar.typ(&typ.columns);
                    typ.columns.push(column);
                }
                typ
            }
            RelationExpr::Filter { input, predicates } => {
                let mut typ = input.typ();
                for predicate in predicates {
                    exclude_nulls(predicate, &mut typ.columns);
                }
                typ
            }
            RelationExpr::FlatMap { input, typ: more, .. } => {
                let mut typ = input.typ();
                typ.columns.extend(more.iter().cloned());
                typ.keys.clear();
                typ
            }
            RelationExpr::Join { inputs, equivalences } => {
                let types: Vec<RelationType> = inputs.iter().map(RelationExpr::typ).collect();
                join_type(&types, equivalences)
            }
            RelationExpr::Reduce { input, group_key, typ: results, .. } => {
                let input = input.typ();
                let mut columns: Vec<ColumnType> =
                    group_key.iter().map(|key| key.typ(&input.columns)).collect();
                columns.extend(results.iter().cloned());
                let mut keys = vec![(0..group_key.len()).collect()];
                for key in &input.keys {
                    let find = |column: &usize| {
                        group_key.iter().position(|k| *k == ScalarExpr::Column(*column))
                    };
                    keys.extend(key.iter().map(find).collect::<Option<Vec<usize>>>());
                }
                RelationType { columns, keys: tidy_keys(keys) }
            }
            RelationExpr::TopK { input, group_key, limit, .. } => {
                let mut typ = input.typ();
                if limit.as_ref().is_some_and(|limit| *limit == one(limit)) {
                    typ.keys.push(group_key.clone());
                    typ.keys = tidy_keys(std::mem::take(&mut typ.keys));
                }
                typ
            }
            RelationExpr::Window { input, partition_by, calls, .. } => {
                let mut typ = input.typ();
                for call in calls {
                    if call.function == WindowFunction::RowNumber {
                        let mut key = partition_by.clone();
                        key.push(typ.columns.len());
                        typ.keys.push(key);
                    }
                    typ.columns.push(call.typ.clone());
                }
                typ.keys = tidy_keys(std::mem::take(&mut typ.keys));
                typ
            }
            RelationExpr::Negate { input } => {
                let mut typ = input.typ();
                typ.keys.clear();
                typ
            }
            RelationExpr::Threshold { input } => {
                let mut typ = input.typ();
                if let RelationExpr::Union { inputs, .. } = &**input {
                    // What is left of one relation has its keys.
                    let mut positive =
                        inputs.iter().filter(|i| !matches!(i, RelationExpr::Negate { .. }));
                    if let (Some(only), None) = (positive.next(), positive.next()) {
                        typ.keys = only.typ().keys;
                    }
                }
                typ
            }
        }
    }
}

/// The literal 1 in the shape of `like`, to compare with.
fn one(like: &ScalarExpr) -> ScalarExpr {
    use tidemill_repr::{Datum, Row};
    match like {
        ScalarExpr::Literal(Ok(_), typ) => {
            ScalarExpr::Literal(Ok(Row::pack([Datum::Int(1)])), typ.clone())
        }
        _ => ScalarExpr::literal_int(1),
    }
}

/// Drops keys that hold another key, and sorts the columns of each.
pub fn tidy_keys(keys: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let mut sets: Vec<BTreeSet<usize>> =
        keys.into_iter().map(|key| key.into_iter().collect()).collect();
    sets.sort_by_key(|set| (set.len(), set.iter().copied().collect::<Vec<_>>()));
    let mut kept: Vec<BTreeSet<usize>> = Vec::new();
    for set in sets {
        if kept.len() < 8 && !kept.iter().any(|before| before.is_subset(&set)) {
            kept.push(set);
        }
    }
    kept.into_iter().map(|set| set.into_iter().collect()).collect()
}

/// The type of a relation's columns at positions.
pub fn project_type(typ: &RelationType, outputs: &[usize]) -> RelationType {
    let unknown = || ColumnType::new(tidemill_repr::ScalarType::Unknown);
    let columns = outputs
        .iter()
        .map(|column| typ.columns.get(*column).cloned().unwrap_or_else(unknown))
        .collect();
    let find = |column: &usize| outputs.iter().position(|output| output == column);
    let keys = typ
        .keys
        .iter()
        .filter_map(|key| key.iter().map(find).collect::<Option<Vec<usize>>>())
        .collect();
    RelationType { columns, keys: tidy_keys(keys) }
}

/// Marks the columns that cannot be NULL where a predicate is true.
fn exclude_nulls(predicate: &ScalarExpr, columns: &mut [ColumnType]) {
    match predicate {
        ScalarExpr::And(arguments) => {
            for argument in arguments {
                exclude_nulls(argument, columns);
            }
        }
        ScalarExpr::Not(argument) => match &**argument {
            ScalarExpr::IsNull(argument) => strict_columns(argument, columns),
            argument => strict_columns(argument, columns),
        },
        predicate => strict_columns(predicate, columns),
    }
}

/// Marks the columns that make an expression NULL if they are: it is known not to be NULL.
fn strict_columns(expr: &ScalarExpr, columns: &mut [ColumnType]) {
    match expr {
        ScalarExpr::Column(column) => {
            if let Some(typ) = columns.get_mut(*column) {
                typ.nullable = false;
            }
        }
        ScalarExpr::Call { function, arguments, .. } if function.strict => {
            for argument in arguments {
                strict_columns(argument, columns);
            }
        }
        _ => {}
    }
}

fn join_type(types: &[RelationType], equivalences: &[Vec<ScalarExpr>]) -> RelationType {
    let mut columns: Vec<ColumnType> = Vec::new();
    // (first column, last column + 1, keys in columns of the product)
    let mut parts: Vec<(usize, usize, Vec<Vec<usize>>)> = Vec::new();
    for typ in types {
        let start = columns.len();
        columns.extend(typ.columns.iter().cloned());
        let shift = |key: &Vec<usize>| key.iter().map(|column| column + start).collect();
        parts.push((start, columns.len(), typ.keys.iter().map(shift).collect()));
    }
    for class in equivalences {
        for expr in class {
            strict_columns(expr, &mut columns);
        }
    }
    // An input whose key is bound by the others adds no rows: the others' keys stay.
    let bound_elsewhere = |column: usize, start: usize, end: usize| {
        equivalences.iter().any(|class| {
            class.contains(&ScalarExpr::Column(column))
                && class
                    .iter()
                    .any(|expr| expr.support().iter().all(|other| *other < start || *other >= end))
        })
    };
    let mut keys: Vec<Vec<usize>> = vec![Vec::new()];
    for (position, (_, _, own)) in parts.iter().enumerate() {
        if own.is_empty() {
            keys.clear();
            break;
        }
        let _ = position;
        let mut next = Vec::new();
        for left in &keys {
            for right in own.iter().take(3) {
                next.push(left.iter().chain(right).copied().collect());
            }
        }
        keys = tidy_keys(next);
    }
    if parts.len() == 2 {
        for (keeper, other) in [(0, 1), (1, 0)] {
            let (start, end, own) = &parts[other];
            let unique = own
                .iter()
                .any(|key| key.iter().all(|column| bound_elsewhere(*column, *start, *end)));
            if unique {
                keys.extend(parts[keeper].2.iter().cloned());
            }
        }
    }
    RelationType { columns, keys: tidy_keys(keys) }
}
