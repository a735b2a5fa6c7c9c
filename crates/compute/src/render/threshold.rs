//! Rows with positive counts.

use tidemill_repr::Row;

use crate::render::Context;
use crate::render::bundle::{Bundle, arrange, read_spans};
use crate::render::reduce::reduce_rows;
use crate::render::time::RenderTime;
use crate::typedefs::{Errors, Rows};

/// Keeps each row as often as its count says, if that is positive.
pub fn render<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    (rows, errors): (Rows<'scope, T>, Errors<'scope, T>),
) -> Bundle<'scope, T> {
    let arranged = arrange(rows.map(|row| (row, Row::default())), "Arrange: threshold");
    let counted = reduce_rows(arranged, "Threshold", |_, input, output| {
        let count: i64 = input.iter().map(|(_, count)| count).sum();
        if count > 0 {
            output.push((Row::default(), count));
        }
    });
    let (rows, more) =
        read_spans(counted.stream, "Threshold rows", None, context.bounds, |row, _, emit| {
            emit(Ok(row.to_owned()))
        });
    Bundle::from_stream(rows, errors.concat(more))
}
