//! Aggregates that look at all values of a group each time it changes.

use tidemill_expr::{AggregateCall, AggregateKind, EvalError};
use tidemill_repr::{Datum, Diff, RowBuilder};

use crate::render::errors::internal;

/// Appends the aggregate of these values (with their counts) to the row.
pub fn evaluate(
    call: &AggregateCall,
    values: Vec<(Datum<'_>, Diff)>,
    builder: &mut RowBuilder,
) -> Result<(), EvalError> {
    match call.kind {
        AggregateKind::SumFloat4 => {
            let sum = float_sum(&values);
            builder.push(sum.map_or(Datum::Null, |sum| Datum::Float4(sum as f32)));
        }
        AggregateKind::SumFloat8 => {
            builder.push(float_sum(&values).map_or(Datum::Null, Datum::Float8));
        }
        _ => return Err(internal("this aggregate is not supported yet")),
    }
    Ok(())
}

fn float_sum(values: &[(Datum<'_>, Diff)]) -> Option<f64> {
    let mut sum = None;
    for (value, count) in values {
        let value = match value {
            Datum::Float4(value) => f64::from(*value),
            Datum::Float8(value) => *value,
            _ => continue,
        };
        *sum.get_or_insert(0.0) += value * (*count as f64);
    }
    sum
}
