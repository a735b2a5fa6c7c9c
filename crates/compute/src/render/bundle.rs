//! A rendered relation: a stream, arrangements, or both.

use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::Span;
use differential_dataflow::trace::cursor::{Cursor, Navigable};
use differential_dataflow::{AsCollection, Hashable};
use smallvec::SmallVec;
use tidemill_expr::EvalError;
use tidemill_plan::physical::{ArrangementKey, MapFilterProject};
use tidemill_repr::{Diff, Row, RowRef};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

use crate::render::Bounds;
use crate::render::errors::{Emit, split_map};
use crate::render::evaluator::{MfpEvaluator, RowEvaluator, has_null};
use crate::typedefs::{
    Errors, KeyedRows, RowArranged, RowBatcher, RowSpine, Rows, SharedBatch, Time,
};

/// A rendered relation.
#[derive(Clone)]
pub struct Bundle<'scope> {
    /// As a stream, with its errors.
    pub stream: Option<(Rows<'scope>, Errors<'scope>)>,
    /// By keys.
    pub arrangements: Vec<Arrangement<'scope>>,
}

/// A relation arranged by a key; values are the whole rows.
#[derive(Clone)]
pub struct Arrangement<'scope> {
    /// The key.
    pub key: ArrangementKey,
    /// The rows.
    pub rows: RowArranged<'scope>,
    /// The relation's errors, and those of the key.
    pub errors: Errors<'scope>,
    /// Another dataflow maintains it.
    pub imported: bool,
}

impl<'scope> Bundle<'scope> {
    /// A relation that is there as a stream.
    pub fn from_stream(rows: Rows<'scope>, errors: Errors<'scope>) -> Bundle<'scope> {
        Bundle { stream: Some((rows, errors)), arrangements: Vec::new() }
    }

    /// A relation that is there arranged.
    pub fn from_arrangement(arrangement: Arrangement<'scope>) -> Bundle<'scope> {
        Bundle { stream: None, arrangements: vec![arrangement] }
    }

    /// The arrangement by this key.
    pub fn arrangement(&self, key: &ArrangementKey) -> Option<&Arrangement<'scope>> {
        self.arrangements.iter().find(|arrangement| arrangement.key == *key)
    }

    /// The relation as a stream, after row-wise work.
    pub fn stream(
        &self,
        mfp: &MapFilterProject,
        bounds: Bounds,
    ) -> Option<(Rows<'scope>, Errors<'scope>)> {
        if let Some((rows, errors)) = &self.stream {
            return Some(apply_mfp(rows.clone(), errors.clone(), mfp));
        }
        let arrangement = self.arrangements.first()?;
        Some(arrangement.read(None, mfp, bounds))
    }

    /// The relation as a stream of its whole rows.
    pub fn whole(&self, bounds: Bounds) -> Option<(Rows<'scope>, Errors<'scope>)> {
        if let Some(stream) = &self.stream {
            return Some(stream.clone());
        }
        let arrangement = self.arrangements.first()?;
        let (rows, errors) =
            read_spans(arrangement.rows.stream.clone(), "Read", None, bounds, |_, row, emit| {
                emit(Ok(row.to_owned()));
            });
        Some((rows, arrangement.errors.clone().concat(errors)))
    }
}

impl<'scope> Arrangement<'scope> {
    /// Rows of the arrangement (only those of one key, with `literal`) after row-wise work.
    pub fn read(
        &self,
        literal: Option<Row>,
        mfp: &MapFilterProject,
        bounds: Bounds,
    ) -> (Rows<'scope>, Errors<'scope>) {
        let mut evaluator = MfpEvaluator::new(mfp);
        let stream = self.rows.stream.clone();
        let (rows, errors) = read_spans(stream, "Read", literal, bounds, move |_, row, emit| {
            if let Some(result) = evaluator.evaluate(&[row]) {
                emit(result);
            }
        });
        (rows, self.errors.clone().concat(errors))
    }
}

/// Row-wise work on a stream.
pub fn apply_mfp<'scope>(
    rows: Rows<'scope>,
    errors: Errors<'scope>,
    mfp: &MapFilterProject,
) -> (Rows<'scope>, Errors<'scope>) {
    if mfp.is_identity() {
        return (rows, errors);
    }
    let mut evaluator = MfpEvaluator::new(mfp);
    let (rows, more) = split_map(rows, "Mfp", move |row: Row, emit| {
        if let Some(result) = evaluator.evaluate(&[row.as_ref()]) {
            emit(result);
        }
    });
    (rows, errors.concat(more))
}

/// Puts keys before rows. With `skip_null`, rows with a NULL in the key are left out: they
/// never join.
pub fn key_by<'scope>(
    rows: Rows<'scope>,
    key: &ArrangementKey,
    skip_null: bool,
) -> (KeyedRows<'scope>, Errors<'scope>) {
    let mut evaluator = RowEvaluator::new(&key.0);
    split_map(rows, "Key", move |row: Row, emit| match evaluator.evaluate(&[row.as_ref()]) {
        Ok(key) if skip_null && has_null(key.as_ref()) => {}
        Ok(key) => emit(Ok((key, row))),
        Err(error) => emit(Err(error)),
    })
}

/// Arranges (key, value) on the worker the key's hash says.
pub fn arrange<'scope>(input: KeyedRows<'scope>, name: &str) -> RowArranged<'scope> {
    let exchange = Exchange::new(|update: &((Row, Row), Time, Diff)| update.0.0.hashed());
    arrange_core::<_, _, RowBatcher, RowSpine>(input.inner, exchange, name, RowBatcher::new)
}

/// Arranges a relation by a key, with the errors of both.
pub fn arrange_by<'scope>(
    rows: Rows<'scope>,
    errors: Errors<'scope>,
    key: &ArrangementKey,
    skip_null: bool,
) -> Arrangement<'scope> {
    let (keyed, more) = key_by(rows, key, skip_null);
    Arrangement {
        key: key.clone(),
        rows: arrange(keyed, "ArrangeBy"),
        errors: errors.concat(more),
        imported: false,
    }
}

/// Reads the batches of an arrangement as a stream: `logic` gets each key and value. Times are
/// moved up to the dataflow's `as_of`; updates at or after `until` are left out.
pub fn read_spans<'scope, O, L>(
    stream: Stream<'scope, Time, Vec<Span<Time, SharedBatch>>>,
    name: &str,
    literal: Option<Row>,
    bounds: Bounds,
    mut logic: L,
) -> (differential_dataflow::VecCollection<'scope, Time, O, Diff>, Errors<'scope>)
where
    O: differential_dataflow::Data,
    L: FnMut(RowRef<'_>, RowRef<'_>, Emit<'_, O>) + 'static,
{
    let mut builder = OperatorBuilder::new(name.to_owned(), stream.scope());
    let mut input = builder.new_input(stream, Pipeline);
    builder.set_notify_for(0, FrontierInterest::Never);
    let (values, value_stream) = builder.new_output::<Vec<(O, Time, Diff)>>();
    let (errors, error_stream) = builder.new_output::<Vec<(EvalError, Time, Diff)>>();
    builder.build(move |_capabilities| {
        let mut values = OutputBuilder::from(values);
        let mut errors = OutputBuilder::from(errors);
        let mut times = Vec::new();
        let mut results: SmallVec<[Result<O, EvalError>; 2]> = SmallVec::new();
        move |_frontiers| {
            let mut values = values.activate();
            let mut errors = errors.activate();
            input.for_each(|capability, spans| {
                let mut values = values.session(&capability);
                let mut errors = errors.session(&capability);
                for batch in spans.drain(..).filter_map(|span| span.inner) {
                    let mut cursor = batch.cursor();
                    if let Some(literal) = &literal {
                        cursor.seek_key(&batch, literal.as_ref());
                    }
                    while let Some(key) = cursor.get_key(&batch) {
                        if literal.as_ref().is_some_and(|literal| literal.as_ref() != key) {
                            break;
                        }
                        while let Some(value) = cursor.get_val(&batch) {
                            times.clear();
                            cursor.map_times(&batch, |time, diff| {
                                bounds.advance(*time).into_iter().for_each(|time| {
                                    times.push((time, *diff));
                                });
                            });
                            differential_dataflow::consolidation::consolidate(&mut times);
                            if !times.is_empty() {
                                logic(key, value, &mut |result| results.push(result));
                            }
                            for result in results.drain(..) {
                                for (time, diff) in &times {
                                    match &result {
                                        Ok(value) => values.give((value.clone(), *time, *diff)),
                                        Err(error) => errors.give((error.clone(), *time, *diff)),
                                    }
                                }
                            }
                            cursor.step_val(&batch);
                        }
                        cursor.step_key(&batch);
                    }
                }
            });
        }
    });
    (value_stream.as_collection(), error_stream.as_collection())
}
