//! Constant folding: of expressions, of row-wise work on known rows, of empty relations.

use bumpalo::Bump;
use tidemill_expr::{EvalContext, EvalError, ScalarExpr, Volatility};
use tidemill_plan::RelationExpr;
use tidemill_plan::physical::MapFilterProject;
use tidemill_repr::{Datum, Diff, Row, RowBuilder};

/// Rows of a constant beyond which it is not worked on while planning.
const MOST_ROWS: usize = 10_000;

/// Folds everything that is constant.
pub fn fold_constants(relation: &mut RelationExpr) {
    relation.visit_mut(&mut fold_node);
}

fn is_empty(relation: &RelationExpr) -> bool {
    matches!(relation, RelationExpr::Constant { rows: Ok(rows), .. } if rows.is_empty())
}

fn fold_node(relation: &mut RelationExpr) {
    for scalar in relation.scalars_mut() {
        scalar.reduce();
    }
    if let RelationExpr::Filter { predicates, .. } = relation {
        let mut conjuncts = Vec::new();
        for predicate in predicates.drain(..) {
            match predicate {
                ScalarExpr::And(arguments) => conjuncts.extend(arguments),
                other => conjuncts.push(other),
            }
        }
        let mut kept: Vec<ScalarExpr> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for predicate in conjuncts {
            if !predicate.is_literal_true() && seen.insert(predicate.clone()) {
                kept.push(predicate);
            }
        }
        *predicates = kept;
    }
    let empty = match &*relation {
        RelationExpr::Filter { predicates, .. } => {
            predicates.iter().any(|p| p.is_literal_false() || p.is_literal_null())
        }
        RelationExpr::Join { inputs, .. } => inputs.iter().any(is_empty),
        RelationExpr::Union { inputs, .. } => inputs.iter().all(is_empty),
        RelationExpr::LetRec { body, .. } => is_empty(body),
        RelationExpr::Let { .. } | RelationExpr::Constant { .. } | RelationExpr::Get { .. } => {
            false
        }
        RelationExpr::TopK { limit: Some(limit), .. }
            if matches!(limit.as_literal(), Some(Ok(Datum::Int(0)))) =>
        {
            true
        }
        other => other.children().into_iter().all(is_empty),
    };
    if empty {
        let typ = relation.typ();
        *relation = RelationExpr::empty(typ);
        return;
    }
    match relation {
        RelationExpr::Filter { input, predicates } if predicates.is_empty() => {
            *relation = input.take();
        }
        RelationExpr::Join { inputs, equivalences } => {
            inputs.retain(|input| *input != RelationExpr::unit());
            for class in equivalences.iter_mut() {
                let mut seen: Vec<ScalarExpr> = Vec::new();
                for expr in class.drain(..) {
                    // A single expression still says that it is not NULL.
                    if !seen.contains(&expr) {
                        seen.push(expr);
                    }
                }
                *class = seen;
            }
            if inputs.len() <= 1 && equivalences.is_empty() {
                *relation = inputs.pop().unwrap_or_else(RelationExpr::unit);
            }
        }
        RelationExpr::Union { inputs, .. } => {
            inputs.retain(|input| !is_empty(input));
            if inputs.len() == 1
                && let Some(only) = inputs.pop()
            {
                *relation = only;
            } else {
                merge_constants(inputs);
            }
        }
        RelationExpr::Negate { input } => match &mut **input {
            RelationExpr::Negate { input } => *relation = input.take(),
            RelationExpr::Constant { rows: Ok(rows), typ } => {
                let rows = rows.drain(..).map(|(row, diff)| (row, -diff)).collect();
                let mut typ = std::mem::take(typ);
                typ.keys.clear();
                *relation = RelationExpr::constant(rows, typ);
            }
            _ => {}
        },
        _ => {}
    }
    fold_rows(relation);
}

/// Puts several constants of a union into one.
fn merge_constants(inputs: &mut Vec<RelationExpr>) {
    let constant =
        |input: &RelationExpr| matches!(input, RelationExpr::Constant { rows: Ok(_), .. });
    if inputs.iter().filter(|input| constant(input)).count() < 2 {
        return;
    }
    let (constants, others): (Vec<_>, Vec<_>) = inputs.drain(..).partition(constant);
    let mut all: Vec<(Row, Diff)> = Vec::new();
    let mut columns: Vec<tidemill_repr::ColumnType> = Vec::new();
    for input in constants {
        if let RelationExpr::Constant { rows: Ok(rows), typ } = input {
            all.extend(rows);
            if columns.is_empty() {
                columns = typ.columns;
            } else {
                for (column, other) in columns.iter_mut().zip(typ.columns) {
                    column.nullable |= other.nullable;
                }
            }
        }
    }
    *inputs = others;
    inputs
        .push(RelationExpr::constant(consolidated(all), tidemill_plan::RelationType::new(columns)));
}

fn consolidated(rows: Vec<(Row, Diff)>) -> Vec<(Row, Diff)> {
    let mut counts: std::collections::BTreeMap<Row, Diff> = std::collections::BTreeMap::new();
    for (row, diff) in rows {
        *counts.entry(row).or_insert(0) += diff;
    }
    counts.into_iter().filter(|(_, diff)| *diff != 0).collect()
}

/// Does row-wise work, and DISTINCT, on known rows.
fn fold_rows(relation: &mut RelationExpr) {
    let typ = match relation {
        RelationExpr::Map { input, scalars } if known(input).is_some() && immutable(scalars) => {
            relation.typ()
        }
        RelationExpr::Filter { input, predicates }
            if known(input).is_some() && immutable(predicates) =>
        {
            relation.typ()
        }
        RelationExpr::Project { input, .. } if known(input).is_some() => relation.typ(),
        RelationExpr::Reduce { input, group_key, aggregates, .. }
            if aggregates.is_empty() && known(input).is_some() && immutable(group_key) =>
        {
            relation.typ()
        }
        RelationExpr::Join { equivalences, inputs }
            if equivalences.is_empty()
                && inputs.len() == 2
                && inputs.iter().all(|input| known(input).is_some()) =>
        {
            relation.typ()
        }
        _ => return,
    };
    let result = match &*relation {
        RelationExpr::Map { input, scalars } => {
            let work = MapFilterProject::identity(input.arity()).map(scalars.iter().cloned());
            known(input).map(|rows| each(rows, &work))
        }
        RelationExpr::Filter { input, predicates } => {
            let work = MapFilterProject::identity(input.arity()).filter(predicates.iter().cloned());
            known(input).map(|rows| each(rows, &work))
        }
        RelationExpr::Project { input, outputs } => {
            let work = MapFilterProject::identity(input.arity()).project(outputs);
            known(input).map(|rows| each(rows, &work))
        }
        RelationExpr::Reduce { input, group_key, .. } => {
            let arity = input.arity();
            let outputs: Vec<usize> = (arity..arity + group_key.len()).collect();
            let work =
                MapFilterProject::identity(arity).map(group_key.iter().cloned()).project(&outputs);
            known(input).filter(|rows| rows.iter().all(|row| row.1 > 0)).map(|rows| {
                let keys = consolidated(each(rows, &work)?);
                Ok(keys.into_iter().map(|(row, _)| (row, 1)).collect())
            })
        }
        RelationExpr::Join { inputs, .. } => match (known(&inputs[0]), known(&inputs[1])) {
            (Some(left), Some(right)) if left.len() * right.len() <= MOST_ROWS => {
                Some(Ok(product(left, right)))
            }
            _ => None,
        },
        _ => None,
    };
    // An error stays where it is: it may be filtered out by what is above.
    if let Some(Ok(rows)) = result {
        *relation = RelationExpr::constant(consolidated(rows), typ);
    }
}

fn immutable(scalars: &[ScalarExpr]) -> bool {
    scalars.iter().all(|scalar| scalar.volatility() == Volatility::Immutable)
}

fn product(left: &[(Row, Diff)], right: &[(Row, Diff)]) -> Vec<(Row, Diff)> {
    let pairs = left.iter().flat_map(|(left, many)| {
        right.iter().map(move |(right, times)| {
            (Row::from_bytes(&[left.bytes(), right.bytes()].concat()), many * times)
        })
    });
    pairs.collect()
}

fn known(relation: &RelationExpr) -> Option<&[(Row, Diff)]> {
    match relation {
        RelationExpr::Constant { rows: Ok(rows), .. } if rows.len() <= MOST_ROWS => Some(rows),
        _ => None,
    }
}

fn each(rows: &[(Row, Diff)], work: &MapFilterProject) -> Result<Vec<(Row, Diff)>, EvalError> {
    let mut done = Vec::with_capacity(rows.len());
    let mut builder = RowBuilder::new();
    for (row, diff) in rows {
        let arena = Bump::new();
        let mut datums = row.unpack();
        builder.clear();
        if work.evaluate(&mut datums, EvalContext { arena: &arena }, &mut builder)? {
            done.push((builder.finish(), *diff));
        }
    }
    Ok(done)
}
