//! Errors beside rows: operators with two outputs, and errors as bytes.

use differential_dataflow::{AsCollection, Data, VecCollection};
use tidemill_expr::EvalError;
use tidemill_repr::{Diff, Row, RowRef, SqlState};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

use crate::render::time::RenderTime;
use crate::typedefs::Errors;

/// Where an operator's logic puts what it makes of one input: values and errors.
pub type Emit<'a, O> = &'a mut dyn FnMut(Result<O, EvalError>);

/// Applies `logic` to each update and sends values and errors separate ways.
pub fn split_map<'scope, T: RenderTime, D, O, L>(
    input: VecCollection<'scope, T, D, Diff>,
    name: &str,
    mut logic: L,
) -> (VecCollection<'scope, T, O, Diff>, Errors<'scope, T>)
where
    D: Data,
    O: Data,
    L: FnMut(D, Emit<'_, O>) + 'static,
{
    split_map_at(input, name, move |item, time: T, emit| {
        logic(item, &mut |result| emit(result, time.clone(), 1));
    })
}

/// As [`Emit`], with the time and how often.
pub type EmitAt<'a, T, O> = &'a mut dyn FnMut(Result<O, EvalError>, T, Diff);

/// As [`split_map`]; `logic` says at which times, from that of the update on, and how often.
pub fn split_map_at<'scope, T: RenderTime, D, O, L>(
    input: VecCollection<'scope, T, D, Diff>,
    name: &str,
    mut logic: L,
) -> (VecCollection<'scope, T, O, Diff>, Errors<'scope, T>)
where
    D: Data,
    O: Data,
    L: FnMut(D, T, EmitAt<'_, T, O>) + 'static,
{
    let mut builder = OperatorBuilder::new(name.to_owned(), input.inner.scope());
    let mut input = builder.new_input(input.inner, Pipeline);
    builder.set_notify_for(0, FrontierInterest::Never);
    let (values, value_stream) = builder.new_output::<Vec<(O, T, Diff)>>();
    let (errors, error_stream) = builder.new_output::<Vec<(EvalError, T, Diff)>>();
    builder.build(move |_capabilities| {
        let mut values = OutputBuilder::from(values);
        let mut errors = OutputBuilder::from(errors);
        move |_frontiers| {
            let mut values = values.activate();
            let mut errors = errors.activate();
            input.for_each(|capability, updates| {
                let mut values = values.session(&capability);
                let mut errors = errors.session(&capability);
                for (item, time, diff) in updates.drain(..) {
                    logic(item, time, &mut |result, time, count| match result {
                        Ok(value) => values.give((value, time, diff * count)),
                        Err(error) => errors.give((error, time, diff * count)),
                    });
                }
            });
        }
    });
    (value_stream.as_collection(), error_stream.as_collection())
}

/// Splits results into values and errors.
pub fn split<'scope, T: RenderTime, O: Data>(
    input: VecCollection<'scope, T, Result<O, EvalError>, Diff>,
) -> (VecCollection<'scope, T, O, Diff>, Errors<'scope, T>) {
    split_map(input, "Split", |result, emit| emit(result))
}

/// An error as a key of an arrangement.
pub fn encode_error(error: &EvalError) -> Row {
    Row::from_bytes(&serde_json::to_vec(error).unwrap_or_default())
}

/// What [`encode_error`] wrote.
pub fn decode_error(key: RowRef<'_>) -> EvalError {
    serde_json::from_slice(key.bytes())
        .unwrap_or_else(|_| internal("an error could not be decoded"))
}

/// Something that must not happen, as an error of the collection.
pub fn internal(what: &str) -> EvalError {
    EvalError::invalid(SqlState::INTERNAL_ERROR, format!("internal error: {what}"))
}

const VALUE: u8 = 0;
const ERROR: u8 = 1;

/// A reduction's result as one value: a row or an error, told apart by the first byte.
pub fn tag(result: &Result<Row, EvalError>) -> Row {
    let mut bytes = Vec::with_capacity(32);
    match result {
        Ok(row) => {
            bytes.push(VALUE);
            bytes.extend_from_slice(row.bytes());
        }
        Err(error) => {
            bytes.push(ERROR);
            bytes.extend_from_slice(encode_error(error).bytes());
        }
    }
    Row::from_bytes(&bytes)
}

/// What [`tag`] wrote.
pub fn untag(value: RowRef<'_>) -> Result<RowRef<'_>, EvalError> {
    match value.bytes().split_first() {
        Some((&VALUE, row)) => Ok(RowRef::from_bytes(row)),
        Some((&ERROR, error)) => Err(decode_error(RowRef::from_bytes(error))),
        _ => Err(internal("a reduced value has no tag")),
    }
}
