//! A rendered relation: a stream, arrangements, or both.

use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::Span;
use differential_dataflow::trace::cursor::{Cursor, Navigable};
use differential_dataflow::{AsCollection, Hashable};
use smallvec::SmallVec;
use tidemill_expr::EvalError;
use tidemill_plan::physical::{ArrangementKey, MapFilterProject};
use tidemill_repr::{Diff, Row, RowRef};
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Enter;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::{Scope, Stream};
use timely::progress::operate::FrontierInterest;

use crate::render::Bounds;
use crate::render::errors::{Emit, split_map};
use crate::render::evaluator::{MfpEvaluator, RowEvaluator, has_null};
use crate::render::time::RenderTime;
use crate::typedefs::entered::{AnyBatch, AnyTrace, entered_span, own_span};
use crate::typedefs::{Errors, KeyedRows, RowArranged, RowBatcher, RowSpine, RowTrace, Rows, Time};

/// A rendered relation.
#[derive(Clone)]
pub struct Bundle<'scope, T: RenderTime = Time> {
    /// As a stream, with its errors.
    pub stream: Option<(Rows<'scope, T>, Errors<'scope, T>)>,
    /// By keys.
    pub arrangements: Vec<Arrangement<'scope, T>>,
}

/// A relation arranged by a key; values are the whole rows.
#[derive(Clone)]
pub struct Arrangement<'scope, T: RenderTime = Time> {
    /// The key.
    pub key: ArrangementKey,
    /// The rows.
    pub rows: ArrangedRows<'scope, T>,
    /// The relation's errors, and those of the key.
    pub errors: Errors<'scope, T>,
    /// Another dataflow maintains it.
    pub imported: bool,
}

/// The arrangement itself.
#[derive(Clone)]
pub enum ArrangedRows<'scope, T: RenderTime> {
    /// It is in this scope.
    Own(RowArranged<'scope, T>),
    /// It is around this scope, which is that of a recursion.
    Entered(Stream<'scope, T, Vec<Span<T, AnyBatch<T>>>>, RowTrace<Time>),
}

/// An arrangement wherever it is.
pub type AnyArranged<'scope, T> = Arranged<'scope, AnyTrace<T>>;

impl<'scope, T: RenderTime> ArrangedRows<'scope, T> {
    /// The same in one type for both.
    pub fn any(self) -> AnyArranged<'scope, T> {
        match self {
            ArrangedRows::Own(arranged) => {
                let stream = arranged.stream.map(own_span);
                Arranged { stream, trace: AnyTrace::own(arranged.trace) }
            }
            ArrangedRows::Entered(stream, trace) => {
                Arranged { stream, trace: AnyTrace::entered(trace) }
            }
        }
    }
}

impl<'scope> Arrangement<'scope, Time> {
    /// The same in the scope of a recursion.
    pub fn enter<'inner, T: RenderTime>(&self, inner: Scope<'inner, T>) -> Arrangement<'inner, T> {
        let rows = match &self.rows {
            ArrangedRows::Own(arranged) => ArrangedRows::Entered(
                arranged.stream.clone().enter(inner).map(entered_span),
                arranged.trace.clone(),
            ),
            ArrangedRows::Entered(..) => unreachable!("nothing is around the scope of ticks"),
        };
        let errors = self.errors.clone().enter(inner);
        Arrangement { key: self.key.clone(), rows, errors, imported: true }
    }
}

impl<'scope> Bundle<'scope, Time> {
    /// The same in the scope of a recursion.
    pub fn enter<'inner, T: RenderTime>(&self, inner: Scope<'inner, T>) -> Bundle<'inner, T> {
        let stream = self.stream.clone();
        Bundle {
            stream: stream.map(|(rows, errors)| (rows.enter(inner), errors.enter(inner))),
            arrangements: self.arrangements.iter().map(|part| part.enter(inner)).collect(),
        }
    }
}

impl<'scope, T: RenderTime> Bundle<'scope, T> {
    /// A relation that is there as a stream.
    pub fn from_stream(rows: Rows<'scope, T>, errors: Errors<'scope, T>) -> Bundle<'scope, T> {
        Bundle { stream: Some((rows, errors)), arrangements: Vec::new() }
    }

    /// A relation that is there arranged.
    pub fn from_arrangement(arrangement: Arrangement<'scope, T>) -> Bundle<'scope, T> {
        Bundle { stream: None, arrangements: vec![arrangement] }
    }

    /// The arrangement by this key.
    pub fn arrangement(&self, key: &ArrangementKey) -> Option<&Arrangement<'scope, T>> {
        self.arrangements.iter().find(|arrangement| arrangement.key == *key)
    }

    /// The relation as a stream, after row-wise work.
    pub fn stream(
        &self,
        mfp: &MapFilterProject,
        bounds: Bounds,
    ) -> Option<(Rows<'scope, T>, Errors<'scope, T>)> {
        if let Some((rows, errors)) = &self.stream {
            return Some(apply_mfp(rows.clone(), errors.clone(), mfp));
        }
        let arrangement = self.arrangements.first()?;
        Some(arrangement.read(None, mfp, bounds))
    }

    /// The relation as a stream of its whole rows.
    pub fn whole(&self, bounds: Bounds) -> Option<(Rows<'scope, T>, Errors<'scope, T>)> {
        if let Some(stream) = &self.stream {
            return Some(stream.clone());
        }
        let arrangement = self.arrangements.first()?;
        let logic = |_: RowRef<'_>, row: RowRef<'_>, emit: Emit<'_, Row>| emit(Ok(row.to_owned()));
        let (rows, errors) = arrangement.rows.read(None, bounds, logic);
        Some((rows, arrangement.errors.clone().concat(errors)))
    }
}

impl<'scope, T: RenderTime> Arrangement<'scope, T> {
    /// Rows of the arrangement (only those of one key, with `literal`) after row-wise work.
    pub fn read(
        &self,
        literal: Option<Row>,
        mfp: &MapFilterProject,
        bounds: Bounds,
    ) -> (Rows<'scope, T>, Errors<'scope, T>) {
        let mut evaluator = MfpEvaluator::new(mfp);
        let (rows, errors) = self.rows.read(literal, bounds, move |_, row, emit| {
            if let Some(result) = evaluator.evaluate(&[row]) {
                emit(result);
            }
        });
        (rows, self.errors.clone().concat(errors))
    }
}

impl<'scope, T: RenderTime> ArrangedRows<'scope, T> {
    fn read<L>(
        &self,
        literal: Option<Row>,
        bounds: Bounds,
        logic: L,
    ) -> (Rows<'scope, T>, Errors<'scope, T>)
    where
        L: FnMut(RowRef<'_>, RowRef<'_>, Emit<'_, Row>) + 'static,
    {
        match self {
            ArrangedRows::Own(arranged) => {
                read_spans(arranged.stream.clone(), "Read", literal, bounds, logic)
            }
            ArrangedRows::Entered(stream, _) => {
                read_spans(stream.clone(), "Read entered", literal, bounds, logic)
            }
        }
    }
}

/// Row-wise work on a stream.
pub fn apply_mfp<'scope, T: RenderTime>(
    rows: Rows<'scope, T>,
    errors: Errors<'scope, T>,
    mfp: &MapFilterProject,
) -> (Rows<'scope, T>, Errors<'scope, T>) {
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
pub fn key_by<'scope, T: RenderTime>(
    rows: Rows<'scope, T>,
    key: &ArrangementKey,
    skip_null: bool,
) -> (KeyedRows<'scope, T>, Errors<'scope, T>) {
    let mut evaluator = RowEvaluator::new(&key.0);
    split_map(rows, "Key", move |row: Row, emit| match evaluator.evaluate(&[row.as_ref()]) {
        Ok(key) if skip_null && has_null(key.as_ref()) => {}
        Ok(key) => emit(Ok((key, row))),
        Err(error) => emit(Err(error)),
    })
}

/// Arranges (key, value) on the worker the key's hash says.
pub fn arrange<'scope, T: RenderTime>(
    input: KeyedRows<'scope, T>,
    name: &str,
) -> RowArranged<'scope, T> {
    let exchange = Exchange::new(|update: &((Row, Row), T, Diff)| update.0.0.hashed());
    arrange_core::<_, _, RowBatcher<T>, RowSpine<T>>(input.inner, exchange, name, RowBatcher::new)
}

/// Arranges a relation by a key, with the errors of both.
pub fn arrange_by<'scope, T: RenderTime>(
    rows: Rows<'scope, T>,
    errors: Errors<'scope, T>,
    key: &ArrangementKey,
    skip_null: bool,
) -> Arrangement<'scope, T> {
    let (keyed, more) = key_by(rows, key, skip_null);
    Arrangement {
        key: key.clone(),
        rows: ArrangedRows::Own(arrange(keyed, "ArrangeBy")),
        errors: errors.concat(more),
        imported: false,
    }
}

/// Reads the batches of an arrangement as a stream: `logic` gets each key and value. Times are
/// moved up to the dataflow's `as_of`; updates at or after `until` are left out.
pub fn read_spans<'scope, T: RenderTime, B, O, L>(
    stream: Stream<'scope, T, Vec<Span<T, B>>>,
    name: &str,
    literal: Option<Row>,
    bounds: Bounds,
    mut logic: L,
) -> (differential_dataflow::VecCollection<'scope, T, O, Diff>, Errors<'scope, T>)
where
    B: Navigable + Clone + 'static,
    for<'a> B::Cursor: Cursor<
            Key<'a> = RowRef<'a>,
            Val<'a> = RowRef<'a>,
            TimeGat<'a> = &'a T,
            DiffGat<'a> = &'a Diff,
        >,
    O: differential_dataflow::Data,
    L: FnMut(RowRef<'_>, RowRef<'_>, Emit<'_, O>) + 'static,
{
    let mut builder = OperatorBuilder::new(name.to_owned(), stream.scope());
    let mut input = builder.new_input(stream, Pipeline);
    builder.set_notify_for(0, FrontierInterest::Never);
    let (values, value_stream) = builder.new_output::<Vec<(O, T, Diff)>>();
    let (errors, error_stream) = builder.new_output::<Vec<(EvalError, T, Diff)>>();
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
                                bounds.advance(time.clone()).into_iter().for_each(|time| {
                                    times.push((time, *diff));
                                });
                            });
                            differential_dataflow::consolidation::consolidate(&mut times);
                            if !times.is_empty() {
                                logic(key, value, &mut |result| results.push(result));
                            }
                            for result in results.drain(..) {
                                for (time, diff) in &times {
                                    let (time, diff) = (time.clone(), *diff);
                                    match &result {
                                        Ok(value) => values.give((value.clone(), time, diff)),
                                        Err(error) => errors.give((error.clone(), time, diff)),
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
