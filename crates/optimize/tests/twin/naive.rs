//! A nested-loop reading of queries: subqueries are computed for each outer row.

use std::collections::BTreeMap;

use tidemill_expr::{AggregateCall, ScalarExpr};
use tidemill_plan::query::JoinKind;
use tidemill_plan::{Id, QueryExpr, QueryScalar, RelationExpr, RelationType};
use tidemill_repr::{ColumnType, Datum, Diff, Row, ScalarType};
use tidemill_testkit::evaluator::{Rows, evaluate};

pub type Collections = BTreeMap<Id, Vec<(Row, Diff)>>;

fn collect(rows: impl IntoIterator<Item = (Row, Diff)>) -> Rows {
    let mut counts = Rows::new();
    for (row, diff) in rows {
        *counts.entry(row).or_insert(0) += diff;
    }
    counts.retain(|_, diff| *diff != 0);
    counts
}

fn concat(left: &Row, right: &Row) -> Row {
    Row::from_bytes(&[left.bytes(), right.bytes()].concat())
}

fn constant(rows: Rows) -> Box<RelationExpr> {
    let arity = rows.keys().next().map_or(0, |row| row.iter().count());
    let columns = vec![ColumnType::new(ScalarType::Int8); arity];
    Box::new(RelationExpr::constant(rows.into_iter().collect(), RelationType::new(columns)))
}

/// The rows of a query, where `outer` are the rows of the scopes around it.
pub fn rows(query: &QueryExpr, outer: &mut Vec<Row>, tables: &Collections) -> Rows {
    match query {
        QueryExpr::Get { id, .. } => collect(tables[id].clone()),
        QueryExpr::Map { input, scalars } => {
            collect(rows(input, outer, tables).into_iter().map(|(mut row, diff)| {
                for scalar in scalars {
                    let value = value(scalar, &row, outer, tables);
                    row = concat(&row, &value);
                }
                (row, diff)
            }))
        }
        QueryExpr::Project { input, outputs } => {
            collect(rows(input, outer, tables).into_iter().map(|(row, diff)| {
                let datums: Vec<Datum> = row.iter().collect();
                (Row::pack(outputs.iter().map(|column| datums[*column])), diff)
            }))
        }
        QueryExpr::Filter { input, predicates } => {
            let mut kept = rows(input, outer, tables);
            kept.retain(|row, _| predicates.iter().all(|p| holds(p, row, outer, tables)));
            kept
        }
        QueryExpr::Join { left, right, on, kind, lateral } => {
            let lefts = rows(left, outer, tables);
            let rights = if *lateral { Rows::new() } else { rows(right, outer, tables) };
            let mut all = Vec::new();
            let mut matched = Rows::new();
            let widths = (arity(left), arity(right));
            let nulls = |count: usize| Row::pack(vec![Datum::Null; count]);
            for (row, diff) in &lefts {
                let own = if *lateral {
                    outer.push(row.clone());
                    let own = rows(right, outer, tables);
                    outer.pop();
                    own
                } else {
                    rights.clone()
                };
                let mut any = false;
                for (other, times) in &own {
                    if holds(on, &concat(row, other), outer, tables) {
                        any = true;
                        matched.insert(other.clone(), 1);
                        all.push((concat(row, other), diff * times));
                    }
                }
                if !any && matches!(kind, JoinKind::Left | JoinKind::Full) {
                    all.push((concat(row, &nulls(widths.1)), *diff));
                }
            }
            if matches!(kind, JoinKind::Right | JoinKind::Full) {
                for (row, diff) in rights.iter().filter(|(row, _)| !matched.contains_key(*row)) {
                    all.push((concat(&nulls(widths.0), row), *diff));
                }
            }
            collect(all)
        }
        QueryExpr::Distinct { input } => {
            rows(input, outer, tables).into_keys().map(|row| (row, 1)).collect()
        }
        QueryExpr::Reduce { input, group_key, aggregates } => {
            let input = rows(input, outer, tables);
            let width = input.keys().next().map_or(0, |row| row.iter().count());
            let extended = input.into_iter().map(|(row, diff)| {
                let mut whole = row.clone();
                for aggregate in aggregates {
                    whole = concat(&whole, &value(&aggregate.argument, &row, outer, tables));
                }
                (whole, diff)
            });
            let calls = aggregates.iter().enumerate().map(|(at, aggregate)| AggregateCall {
                kind: aggregate.kind.clone(),
                argument: ScalarExpr::Column(width + at),
                distinct: aggregate.distinct,
                order: Vec::new(),
            });
            let reduce = RelationExpr::Reduce {
                input: constant(collect(extended)),
                group_key: group_key.iter().map(|column| ScalarExpr::Column(*column)).collect(),
                aggregates: calls.collect(),
                typ: aggregates.iter().map(|aggregate| aggregate.typ.clone()).collect(),
            };
            let mut reduced = evaluate(&reduce, tables).unwrap();
            if group_key.is_empty() && reduced.is_empty() {
                let default = aggregates.iter().map(|aggregate| match aggregate.kind {
                    tidemill_expr::AggregateKind::Count => Datum::Int(0),
                    _ => Datum::Null,
                });
                reduced.insert(Row::pack(default), 1);
            }
            reduced
        }
        QueryExpr::TopK { input, group_key, order_by, limit, offset } => {
            let limit = limit.as_ref().map(|limit| match limit {
                QueryScalar::Literal(row, typ) => ScalarExpr::Literal(row.clone(), typ.clone()),
                _ => panic!("only literal limits here"),
            });
            let top = RelationExpr::TopK {
                input: constant(rows(input, outer, tables)),
                group_key: group_key.clone(),
                order_by: order_by.clone(),
                limit,
                offset: *offset,
            };
            evaluate(&top, tables).unwrap()
        }
        QueryExpr::Window { input, partition_by, order_by, calls } => {
            let window = RelationExpr::Window {
                input: constant(rows(input, outer, tables)),
                partition_by: partition_by.clone(),
                order_by: order_by.clone(),
                calls: calls.clone(),
            };
            evaluate(&window, tables).unwrap()
        }
        QueryExpr::Negate { input } => {
            rows(input, outer, tables).into_iter().map(|(row, diff)| (row, -diff)).collect()
        }
        QueryExpr::Threshold { input } => {
            let mut kept = rows(input, outer, tables);
            kept.retain(|_, diff| *diff > 0);
            kept
        }
        QueryExpr::Union { inputs } => {
            collect(inputs.iter().flat_map(|input| rows(input, outer, tables)))
        }
        other => panic!("not read here: {other:?}"),
    }
}

fn arity(query: &QueryExpr) -> usize {
    match query {
        QueryExpr::Get { typ, .. } => typ.arity(),
        QueryExpr::Map { input, scalars } => arity(input) + scalars.len(),
        QueryExpr::Join { left, right, .. } => arity(left) + arity(right),
        QueryExpr::Reduce { group_key, aggregates, .. } => group_key.len() + aggregates.len(),
        QueryExpr::Window { input, calls, .. } => arity(input) + calls.len(),
        QueryExpr::Filter { input, .. }
        | QueryExpr::Distinct { input }
        | QueryExpr::TopK { input, .. }
        | QueryExpr::Negate { input }
        | QueryExpr::Threshold { input } => arity(input),
        QueryExpr::Union { inputs } => arity(&inputs[0]),
        other => panic!("not read here: {other:?}"),
    }
}

fn holds(scalar: &QueryScalar, row: &Row, outer: &mut Vec<Row>, tables: &Collections) -> bool {
    matches!(value(scalar, row, outer, tables).iter().next(), Some(Datum::Bool(true)))
}

/// The value of an expression, as a row of one datum.
fn value(scalar: &QueryScalar, row: &Row, outer: &mut Vec<Row>, tables: &Collections) -> Row {
    let inside = |query: &QueryExpr, outer: &mut Vec<Row>| {
        outer.push(row.clone());
        let found = rows(query, outer, tables);
        outer.pop();
        found
    };
    let mut part = |scalar: &QueryScalar| {
        let row = value(scalar, row, outer, tables);
        ScalarExpr::Literal(Ok(row), ColumnType::new(ScalarType::Int8))
    };
    let expr = match scalar {
        QueryScalar::Column(column) => {
            let row = if column.level == 0 { row } else { &outer[outer.len() - column.level] };
            return Row::pack([row.iter().nth(column.column).unwrap()]);
        }
        QueryScalar::Literal(row, _) => return row.clone().unwrap(),
        QueryScalar::Exists(query) => {
            return Row::pack([Datum::Bool(!inside(query, outer).is_empty())]);
        }
        QueryScalar::Subquery(query) => {
            let found = inside(query, outer);
            assert!(found.len() <= 1);
            return found.into_keys().next().unwrap_or_else(|| Row::pack([Datum::Null]));
        }
        QueryScalar::Call { function, arguments, typ } => ScalarExpr::Call {
            function: *function,
            arguments: arguments.iter().map(part).collect(),
            typ: typ.clone(),
        },
        QueryScalar::And(arguments) => ScalarExpr::And(arguments.iter().map(part).collect()),
        QueryScalar::Or(arguments) => ScalarExpr::Or(arguments.iter().map(part).collect()),
        QueryScalar::Not(argument) => part(argument).not(),
        QueryScalar::IsNull(argument) => part(argument).is_null(),
        other => panic!("not read here: {other:?}"),
    };
    expr.eval_constant().unwrap()
}
