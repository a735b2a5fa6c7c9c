//! What changes nothing goes away: DISTINCT of distinct rows, first rows of groups of one.

use tidemill_expr::{AggregateCall, AggregateKind, ScalarExpr};
use tidemill_plan::RelationExpr;
use tidemill_repr::ColumnType;

/// Drops what keys show to be redundant.
pub fn drop_redundant(relation: &mut RelationExpr) {
    relation.visit_mut(&mut drop_node);
}

fn drop_node(relation: &mut RelationExpr) {
    match relation {
        RelationExpr::Reduce { input, group_key, aggregates, .. } if aggregates.is_empty() => {
            let typ = input.typ();
            let grouped = |column: &usize| group_key.contains(&ScalarExpr::Column(*column));
            if !typ.keys.iter().any(|key| key.iter().all(grouped)) {
                return;
            }
            let arity = typ.arity();
            let outputs = (arity..arity + group_key.len()).collect();
            *relation = as_columns(input.take(), std::mem::take(group_key), outputs, arity);
        }
        RelationExpr::Reduce { input, group_key, aggregates, .. } => {
            let typ = input.typ();
            let grouped = |column: &usize| group_key.contains(&ScalarExpr::Column(*column));
            if !typ.keys.iter().any(|key| key.iter().all(grouped)) {
                return;
            }
            let values: Option<Vec<ScalarExpr>> =
                aggregates.iter().map(|call| of_one_row(call, &typ.columns)).collect();
            let Some(values) = values else { return };
            let arity = typ.arity();
            let scalars: Vec<ScalarExpr> = group_key.drain(..).chain(values).collect();
            let outputs = (arity..arity + scalars.len()).collect();
            *relation = as_columns(input.take(), scalars, outputs, arity);
        }
        RelationExpr::TopK { input, group_key, limit, offset: 0, .. } => {
            let keeps_one = match limit {
                None => true,
                Some(limit) => matches!(
                    limit.as_literal(),
                    Some(Ok(tidemill_repr::Datum::Int(1..) | tidemill_repr::Datum::Null))
                ),
            };
            let unlimited = limit.as_ref().is_none_or(ScalarExpr::is_literal_null);
            let unique = input
                .typ()
                .keys
                .iter()
                .any(|key| key.iter().all(|column| group_key.contains(column)));
            if unlimited || (keeps_one && unique) {
                *relation = input.take();
            }
        }
        RelationExpr::Threshold { input } if never_negative(input) => {
            *relation = input.take();
        }
        _ => {}
    }
}

/// What an aggregate gives for a group of one row, if that is the value of an expression.
fn of_one_row(call: &AggregateCall, columns: &[ColumnType]) -> Option<ScalarExpr> {
    let argument = call.argument.clone();
    match call.kind {
        AggregateKind::Min | AggregateKind::Max => Some(argument),
        AggregateKind::Count if !argument.could_error() => {
            let one = ScalarExpr::literal_int(1);
            if !argument.typ(columns).nullable {
                return Some(one);
            }
            let (asked, none) = (argument.is_null(), ScalarExpr::literal_int(0));
            Some(ScalarExpr::If(Box::new(asked), Box::new(none), Box::new(one)))
        }
        _ => None,
    }
}

/// Expressions as columns, without computing plain columns anew.
fn as_columns(
    input: RelationExpr,
    scalars: Vec<ScalarExpr>,
    mut outputs: Vec<usize>,
    arity: usize,
) -> RelationExpr {
    let mut computed = Vec::new();
    for (at, scalar) in scalars.into_iter().enumerate() {
        match scalar {
            ScalarExpr::Column(column) => outputs[at] = column,
            other => {
                outputs[at] = arity + computed.len();
                computed.push(other);
            }
        }
    }
    input.map(computed).project(outputs)
}

/// Whether no row can have a negative count.
fn never_negative(relation: &RelationExpr) -> bool {
    match relation {
        RelationExpr::Constant { rows, .. } => {
            rows.as_ref().is_ok_and(|rows| rows.iter().all(|(_, diff)| *diff > 0))
        }
        RelationExpr::Get { id: tidemill_plan::Id::Global(_), .. }
        | RelationExpr::Reduce { .. }
        | RelationExpr::TopK { .. }
        | RelationExpr::Window { .. }
        | RelationExpr::Threshold { .. } => true,
        RelationExpr::Get { .. } | RelationExpr::Negate { .. } | RelationExpr::Let { .. } => false,
        RelationExpr::LetRec { .. } => false,
        other => other.children().into_iter().all(never_negative),
    }
}
