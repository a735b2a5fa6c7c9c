//! Window functions: the rows of a partition are kept together, and all of its results are
//! computed anew when one of its rows changes. Only what differs goes on.

use tidemill_expr::aggregate::SortDirection;
use tidemill_expr::{EvalError, ScalarExpr, WindowCall, window};
use tidemill_plan::ColumnOrder;
use tidemill_repr::{Diff, Row, RowRef};

use crate::render::Context;
use crate::render::bundle::{Bundle, arrange, read_spans};
use crate::render::errors::{split_map, tag, untag};
use crate::render::evaluator::{RowEvaluator, guard};
use crate::render::reduce::reduce_rows;
use crate::render::time::RenderTime;
use crate::typedefs::{Errors, Rows};

/// The window of a plan.
#[derive(Clone)]
pub struct Shape {
    partition_by: Vec<usize>,
    order_by: Vec<(usize, SortDirection)>,
    calls: Vec<WindowCall>,
}

impl Shape {
    /// The parts of a plan's Window.
    pub fn new(partition_by: &[usize], order_by: &[ColumnOrder], calls: &[WindowCall]) -> Shape {
        Shape {
            partition_by: partition_by.to_vec(),
            order_by: order_by.iter().map(|key| (key.column, key.direction)).collect(),
            calls: calls.to_vec(),
        }
    }

    fn evaluate(&self, rows: &[(RowRef<'_>, Diff)]) -> Result<Vec<(Row, Diff)>, EvalError> {
        if rows.iter().any(|(_, count)| *count < 0) {
            return Err(EvalError::NegativeMultiplicity);
        }
        guard(|| window::evaluate(rows, &self.order_by, &self.calls))
    }
}

/// Puts the results of window calls behind the columns of each row.
pub fn render<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    (rows, errors): (Rows<'scope, T>, Errors<'scope, T>),
    shape: Shape,
) -> Bundle<'scope, T> {
    let columns: Vec<_> =
        shape.partition_by.iter().map(|column| ScalarExpr::Column(*column)).collect();
    let mut partition = RowEvaluator::new(&columns);
    let (keyed, more) = split_map(rows, "Window: partition", move |row: Row, emit| {
        emit(partition.evaluate(&[row.as_ref()]).map(|key| (key, row)));
    });
    let arranged = arrange(keyed, "Arrange: Window");
    let results =
        reduce_rows(arranged, "Window", move |_, input, output| match shape.evaluate(input) {
            Ok(rows) => {
                output.extend(rows.into_iter().map(|(row, count)| (tag(&Ok(row)), count)));
            }
            Err(error) => output.push((tag(&Err(error)), 1)),
        });
    let (rows, late) =
        read_spans(results.stream, "Window: rows", None, context.bounds, |_, row, emit| {
            emit(untag(row).map(|row| row.to_owned()));
        });
    Bundle::from_stream(rows, errors.concat(more).concat(late))
}
