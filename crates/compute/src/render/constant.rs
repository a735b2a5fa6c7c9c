//! Rows that are known.

use differential_dataflow::AsCollection;
use tidemill_expr::EvalError;
use tidemill_plan::Id;
use tidemill_repr::{Diff, Row};
use timely::dataflow::operators::ToStream;

use crate::render::Context;
use crate::render::bundle::Bundle;
use crate::render::errors::internal;
use crate::render::time::RenderTime;
use crate::typedefs::{Errors, Rows};

/// Rows, or an error, from `as_of` on. Only the first worker gives them.
pub fn render<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    rows: &Result<Vec<(Row, Diff)>, EvalError>,
) -> Bundle<'scope, T> {
    let time = T::at_tick(context.bounds.as_of);
    let first = context.scope.index() == 0;
    let mut row_updates: Vec<(Row, T, Diff)> = Vec::new();
    let mut error_updates: Vec<(EvalError, T, Diff)> = Vec::new();
    match rows {
        _ if !first => {}
        Ok(rows) => {
            row_updates.extend(rows.iter().map(|(row, diff)| (row.clone(), time.clone(), *diff)))
        }
        Err(error) => error_updates.push((error.clone(), time, 1)),
    }
    let rows: timely::dataflow::Stream<'scope, T, Vec<_>> = row_updates.to_stream(context.scope);
    let errors: timely::dataflow::Stream<'scope, T, Vec<_>> =
        error_updates.to_stream(context.scope);
    Bundle::from_stream(rows.as_collection(), errors.as_collection())
}

/// No rows.
pub fn nothing<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
) -> (Rows<'scope, T>, Errors<'scope, T>) {
    let bundle = render(context, &Ok(Vec::new()));
    // `render` gives a stream.
    bundle.stream.unwrap_or_else(|| unreachable!("a constant is a stream"))
}

/// A Get of what is not there: a bad plan shows as an error of the relation.
pub fn missing<'scope, T: RenderTime>(context: &Context<'scope, T>, id: Id) -> Bundle<'scope, T> {
    render(context, &Err(internal(&format!("{id} is not in the dataflow"))))
}
