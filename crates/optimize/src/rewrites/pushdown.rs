//! Predicate pushdown: a filter goes below whatever gives the same rows without those that it
//! drops; an equality across the inputs of a join becomes an equivalence of the join.

use tidemill_expr::{FunctionRef, ScalarExpr, WindowCall, WindowFunction};
use tidemill_plan::RelationExpr;
use tidemill_plan::relation::build::grow;
use tidemill_repr::{ColumnType, Datum, Row, ScalarType};

use crate::equality::{Bytes, Comparison, as_comparison, canonical, comparable_bytes};
use crate::rewrites::joins::merge_classes;

/// Moves all predicates as far down as they go.
pub fn push_predicates(relation: &mut RelationExpr) {
    let whole = relation.take();
    *relation = push(whole, Vec::new());
}

/// `relation` filtered by `predicates`.
fn push(relation: RelationExpr, predicates: Vec<ScalarExpr>) -> RelationExpr {
    grow(|| push_here(relation, predicates))
}

fn push_here(relation: RelationExpr, mut predicates: Vec<ScalarExpr>) -> RelationExpr {
    match relation {
        RelationExpr::Filter { input, predicates: own } => {
            let mut all = own;
            all.append(&mut predicates);
            push(*input, all)
        }
        RelationExpr::Project { input, outputs } => {
            predicates.iter_mut().for_each(|predicate| predicate.permute(&outputs));
            push(*input, predicates).project(outputs)
        }
        RelationExpr::Map { input, scalars } => push_map(*input, scalars, predicates),
        RelationExpr::FlatMap { input, function, arguments, typ } => {
            let arity = input.arity();
            let (below, above) = split(predicates, |column| column < arity);
            let input = Box::new(push(*input, below));
            RelationExpr::FlatMap { input, function, arguments, typ }.filter(above)
        }
        RelationExpr::Join { inputs, equivalences } => push_join(inputs, equivalences, predicates),
        RelationExpr::Reduce { input, group_key, aggregates, typ } => {
            let (mut below, above) = split(predicates, |column| column < group_key.len());
            below.iter_mut().for_each(|predicate| predicate.substitute(&group_key));
            // A predicate on no column would change an empty group key's one row to none: the
            // same as no input rows give.
            let input = Box::new(push(*input, below));
            RelationExpr::Reduce { input, group_key, aggregates, typ }.filter(above)
        }
        RelationExpr::TopK { input, group_key, order_by, limit, offset } => {
            let (below, above) = split(predicates, |column| group_key.contains(&column));
            let input = Box::new(push(*input, below));
            RelationExpr::TopK { input, group_key, order_by, limit, offset }.filter(above)
        }
        RelationExpr::Window { input, partition_by, order_by, calls } => {
            // What drops whole partitions does not change the others.
            let (below, above) = split(predicates, |column| partition_by.contains(&column));
            let mut input = Box::new(push(*input, below));
            if let Some(limit) = first_rows(&above, input.arity(), &calls)
                && !matches!(&*input, RelationExpr::TopK { group_key, order_by: keys, .. }
                    if *group_key == partition_by && *keys == order_by)
            {
                let (group_key, order_by) = (partition_by.clone(), order_by.clone());
                let limit = Some(limit);
                let top = RelationExpr::TopK { input, group_key, order_by, limit, offset: 0 };
                input = Box::new(top);
            }
            RelationExpr::Window { input, partition_by, order_by, calls }.filter(above)
        }
        RelationExpr::Negate { input } => push(*input, predicates).negate(),
        RelationExpr::Threshold { input } => {
            RelationExpr::Threshold { input: Box::new(push(*input, predicates)) }
        }
        RelationExpr::Union { inputs, typ } => {
            let inputs = inputs.into_iter().map(|input| push(input, predicates.clone())).collect();
            RelationExpr::Union { inputs, typ }
        }
        RelationExpr::Let { id, value, body } => {
            RelationExpr::bind(id, push(*value, Vec::new()), push(*body, predicates))
        }
        // What the recursion goes through is not what it gives: nothing is pushed into it.
        RelationExpr::LetRec { mut bindings, limit, body } => {
            for binding in &mut bindings {
                binding.value = push(binding.value.take(), Vec::new());
            }
            let body = Box::new(push(*body, predicates));
            RelationExpr::LetRec { bindings, limit, body }
        }
        leaf @ (RelationExpr::Constant { .. } | RelationExpr::Get { .. }) => {
            leaf.filter(predicates)
        }
    }
}

/// How many rows of each partition can be kept by these predicates, where they ask for the first
/// row numbers, and nothing that is computed depends on later rows.
fn first_rows(predicates: &[ScalarExpr], arity: usize, calls: &[WindowCall]) -> Option<ScalarExpr> {
    use WindowFunction::{DenseRank, Rank, RowNumber};
    if !calls.iter().all(|call| matches!(call.function, RowNumber | Rank | DenseRank)) {
        return None;
    }
    let numbered = |expr: &ScalarExpr| match expr {
        ScalarExpr::Column(column) => column
            .checked_sub(arity)
            .and_then(|call| calls.get(call))
            .is_some_and(|call| call.function == RowNumber),
        _ => false,
    };
    let limit_of = |predicate: &ScalarExpr| {
        let (comparison, left, right) = as_comparison(predicate)?;
        let (comparison, limit) = match (numbered(left), numbered(right)) {
            (true, false) => (comparison, right),
            (false, true) => (comparison.flipped(), left),
            _ => return None,
        };
        let Some(Ok(Datum::Int(limit))) = limit.as_literal() else { return None };
        match comparison {
            Comparison::Equal | Comparison::LessOrEqual => Some(limit),
            Comparison::Less => limit.checked_sub(1),
            Comparison::Greater | Comparison::GreaterOrEqual => None,
        }
    };
    let limit = predicates.iter().filter_map(limit_of).min()?;
    let typ = ColumnType::new(ScalarType::Int8).nullable(false);
    Some(ScalarExpr::Literal(Ok(Row::pack([Datum::Int(limit.max(0))])), typ))
}

/// Predicates on these columns only, and the others.
fn split(
    predicates: Vec<ScalarExpr>,
    below: impl Fn(usize) -> bool,
) -> (Vec<ScalarExpr>, Vec<ScalarExpr>) {
    predicates.into_iter().partition(|predicate| predicate.support().into_iter().all(&below))
}

fn push_map(
    input: RelationExpr,
    scalars: Vec<ScalarExpr>,
    predicates: Vec<ScalarExpr>,
) -> RelationExpr {
    let arity = input.arity();
    let mut columns: Vec<ScalarExpr> = (0..arity).map(ScalarExpr::Column).collect();
    for scalar in &scalars {
        let mut scalar = scalar.clone();
        scalar.substitute(&columns);
        columns.push(scalar);
    }
    // Expressions that are small are written out; others are not computed twice. A constant
    // error stays: it must be raised only for rows that come this far.
    let cheap = |column: usize| {
        columns.get(column).is_some_and(|expr| size(expr) <= 8 && !holds_error(expr))
    };
    let mut above = Vec::new();
    let mut below = Vec::new();
    for mut predicate in predicates {
        if predicate.support().into_iter().all(cheap) {
            predicate.substitute(&columns);
            below.push(predicate);
        } else {
            above.push(predicate);
        }
    }
    push(input, below).map(scalars).filter(above)
}

fn holds_error(expr: &ScalarExpr) -> bool {
    let mut found = false;
    expr.visit(&mut |part| found |= matches!(part, ScalarExpr::Literal(Err(_), _)));
    found
}

fn size(expr: &ScalarExpr) -> usize {
    let mut size = 0;
    expr.visit(&mut |_| size += 1);
    size
}

fn push_join(
    inputs: Vec<RelationExpr>,
    mut equivalences: Vec<Vec<ScalarExpr>>,
    predicates: Vec<ScalarExpr>,
) -> RelationExpr {
    let mut starts = Vec::new();
    let mut columns = Vec::new();
    for input in &inputs {
        starts.push(columns.len());
        columns.extend(input.typ().columns);
    }
    let input_of = |column: usize| starts.partition_point(|start| *start <= column) - 1;
    let inputs_of = |expr: &ScalarExpr| {
        let mut used: Vec<usize> = expr.support().into_iter().map(input_of).collect();
        used.dedup();
        used
    };
    let mut below: Vec<Vec<ScalarExpr>> = vec![Vec::new(); inputs.len()];
    let mut above = Vec::new();
    let mut single = Vec::new();
    for predicate in predicates {
        let used = inputs_of(&predicate);
        match used.as_slice() {
            [_] => single.push(predicate),
            [] => above.push(predicate),
            _ => match as_equivalence(&predicate, &columns, &inputs_of) {
                Some(class) => equivalences.push(class),
                None => above.push(predicate),
            },
        }
    }
    merge_classes(&mut equivalences);
    for predicate in single {
        for other in transferred(&predicate, &equivalences, &columns) {
            if let [only] = inputs_of(&other).as_slice()
                && !below[*only].contains(&other)
            {
                below[*only].push(other);
            }
        }
        if let [only] = inputs_of(&predicate).as_slice() {
            below[*only].push(predicate);
        }
    }
    let inputs = inputs
        .into_iter()
        .zip(below)
        .zip(&starts)
        .map(|((input, mut below), start)| {
            let shift = |column: usize| column - start;
            below.iter_mut().for_each(|predicate| predicate.map_columns(&shift));
            push(input, below)
        })
        .collect();
    RelationExpr::Join { inputs, equivalences }.filter(above)
}

/// What must have equal bytes for an equality of two expressions of different inputs.
fn as_equivalence(
    predicate: &ScalarExpr,
    columns: &[ColumnType],
    inputs_of: &dyn Fn(&ScalarExpr) -> Vec<usize>,
) -> Option<Vec<ScalarExpr>> {
    let (Comparison::Equal, left, right) = as_comparison(predicate)? else { return None };
    let (left_inputs, right_inputs) = (inputs_of(left), inputs_of(right));
    if left_inputs.is_empty()
        || right_inputs.is_empty()
        || left_inputs.iter().any(|input| right_inputs.contains(input))
    {
        return None;
    }
    let (left_type, right_type) = (left.typ(columns), right.typ(columns));
    if let Some(class) = mixed(predicate, (left, &left_type), (right, &right_type)) {
        return Some(class);
    }
    Some(match comparable_bytes(&left_type, &right_type)? {
        Bytes::Plain => vec![left.clone(), right.clone()],
        Bytes::Canonical => {
            let loose = |typ: &ColumnType| typ.clone().with_typmod(-1);
            vec![
                canonical(left.clone(), &loose(&left_type)),
                canonical(right.clone(), &loose(&right_type)),
            ]
        }
    })
}

/// What must have equal bytes for an equality that compares values of unlike types by itself.
fn mixed(
    predicate: &ScalarExpr,
    (left, left_type): (&ScalarExpr, &ColumnType),
    (right, right_type): (&ScalarExpr, &ColumnType),
) -> Option<Vec<ScalarExpr>> {
    let ScalarExpr::Call { function, .. } = predicate else { return None };
    let brought = |expr: &ScalarExpr, typ: &ColumnType, to: ScalarType| {
        let nullable = typ.nullable;
        let to = ColumnType::new(to).nullable(nullable);
        let mut expr = expr.clone();
        if typ.scalar_type == ScalarType::Float4 && to.scalar_type == ScalarType::Float8 {
            let function = FunctionRef::by_id("ftod")?;
            expr = ScalarExpr::Call { function, arguments: vec![expr], typ: to.clone() };
        }
        Some(canonical(expr, &to))
    };
    let to = match function.id {
        "float48eq" | "float84eq" => ScalarType::Float8,
        "bpchareq" if left_type.scalar_type != right_type.scalar_type => ScalarType::Bpchar,
        _ => return None,
    };
    Some(vec![brought(left, left_type, to.clone())?, brought(right, right_type, to)?])
}

/// The same predicate on the columns that are equal to its one column.
fn transferred(
    predicate: &ScalarExpr,
    equivalences: &[Vec<ScalarExpr>],
    columns: &[ColumnType],
) -> Vec<ScalarExpr> {
    let [column] = predicate.support()[..] else { return Vec::new() };
    let this = ScalarExpr::Column(column);
    let Some(class) = equivalences.iter().find(|class| class.contains(&this)) else {
        return Vec::new();
    };
    let mut transferred = Vec::new();
    for other in class {
        let ScalarExpr::Column(position) = other else { continue };
        // Equal bytes of one type mean the same to every function.
        if *position != column && columns[*position].scalar_type == columns[column].scalar_type {
            let mut predicate = predicate.clone();
            predicate.map_columns(&|_| *position);
            transferred.push(predicate);
        }
    }
    transferred
}
