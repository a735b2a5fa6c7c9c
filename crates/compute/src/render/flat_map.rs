//! Table functions.

use bumpalo::Bump;
use tidemill_expr::{EvalContext, EvalError, ScalarExpr, TableFunctionRef};
use tidemill_plan::physical::MapFilterProject;
use tidemill_repr::{Row, RowBuilder};

use crate::render::bundle::Bundle;
use crate::render::errors::split_map;
use crate::render::evaluator::{MfpEvaluator, decode, guard};
use crate::render::time::RenderTime;
use crate::typedefs::{Errors, Rows};

/// For each input row the function's rows, then row-wise work over both.
pub fn render<'scope, T: RenderTime>(
    (rows, errors): (Rows<'scope, T>, Errors<'scope, T>),
    function: TableFunctionRef,
    arguments: &[ScalarExpr],
    mfp: &MapFilterProject,
) -> Bundle<'scope, T> {
    let arguments = arguments.to_vec();
    let mut evaluator = MfpEvaluator::new(mfp);
    let mut arena = Bump::new();
    let (rows, more) = split_map(rows, "FlatMap", move |row: Row, emit| {
        arena.reset();
        let result = call(function, &arguments, &row, &arena, &mut |output| {
            if let Some(result) = evaluator.evaluate(&[row.as_ref(), output.as_ref()]) {
                emit(result);
            }
        });
        if let Err(error) = result {
            emit(Err(error));
        }
    });
    Bundle::from_stream(rows, errors.concat(more))
}

fn call(
    function: TableFunctionRef,
    arguments: &[ScalarExpr],
    row: &Row,
    arena: &Bump,
    output: &mut dyn FnMut(&RowBuilder),
) -> Result<(), EvalError> {
    guard(|| {
        let context = EvalContext { arena };
        let columns = decode(&[row.as_ref()]);
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(argument.eval(&columns, context)?);
        }
        function.call(&values, context, output)
    })
}
