//! Reductions.
//!
//! Aggregates are put into classes by how they are maintained; each class is a reduction of its
//! own, from `(key, arguments)` to `(key, results)`:
//!
//! ```text
//! sums      counts and exact sums, in the diff            `accumulation`
//! extreme   one minimum or maximum, in a tree of buckets  `extreme`
//! basic     the rest: all values of the group are kept
//! ```
//!
//! A DISTINCT aggregate goes through a distinct step over (key, argument) and then into its
//! class. With more than one class a last reduction puts the results side by side; each class
//! has a result for just the same keys, because NULL arguments go everywhere too.

use differential_dataflow::AsCollection;
use differential_dataflow::Hashable;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use tidemill_expr::{AggregateCall, AggregateKind, EvalError, FunctionRef, ScalarExpr};
use tidemill_plan::physical::ReducePlan;
use tidemill_repr::{ColumnType, Datum, Diff, Row, RowBuilder, RowRef, ScalarType};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::vec::Map;

use crate::render::accumulation::{Accumulation, is_accumulable, results};
use crate::render::bundle::{Bundle, arrange, read_spans};
use crate::render::errors::{split_map, tag, untag};
use crate::render::evaluator::{MfpEvaluator, RowEvaluator, guard};
use crate::render::time::RenderTime;
use crate::render::{Context, extreme};
use crate::typedefs::{
    Errors, KeyedRows, RowArranged, RowContainer, RowSpine, RowValBuilder, SumBatcher, SumSpine,
};

/// Aggregates that are maintained together, by their positions in the plan.
enum Class {
    Sums(Vec<usize>),
    Extreme(usize),
    Basic(Vec<usize>),
}

/// Groups, aggregates, and row-wise work over (key, aggregates).
pub fn render<'scope, T: RenderTime>(
    context: &mut Context<'scope, T>,
    plan: &ReducePlan,
) -> Bundle<'scope, T> {
    let input = context.render(&plan.input);
    let (rows, mut errors) = context.stream_with(&input, &plan.input_mfp);
    let mut key = RowEvaluator::new(&plan.key);
    let arguments: Vec<_> = plan.aggregates.iter().map(kept_argument).collect();
    let mut arguments = RowEvaluator::new(&arguments);
    let (keyed, more) = split_map(rows, "Reduce: key and arguments", move |row: Row, emit| {
        let parts = [row.as_ref()];
        let pair = key.evaluate(&parts).and_then(|key| Ok((key, arguments.evaluate(&parts)?)));
        emit(pair);
    });
    errors = errors.concat(more);
    let reduced = reduce_classes(context, keyed, plan, &mut errors);
    let mut mfp = MfpEvaluator::new(&plan.mfp);
    let (rows, more) = read_spans(
        reduced.stream,
        "Reduce: rows",
        None,
        context.bounds,
        move |key, value, emit| match untag(value) {
            Ok(aggregates) => {
                if let Some(result) = mfp.evaluate(&[key, aggregates]) {
                    emit(result);
                }
            }
            Err(error) => emit(Err(error)),
        },
    );
    Bundle::from_stream(rows, errors.concat(more))
}

fn reduce_classes<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    keyed: KeyedRows<'scope, T>,
    plan: &ReducePlan,
    errors: &mut Errors<'scope, T>,
) -> RowArranged<'scope, T> {
    if plan.aggregates.is_empty() {
        return distinct(keyed, "Distinct");
    }
    let mut parts = Vec::new();
    for call_position in 0..plan.aggregates.len() {
        // Distinct aggregates one by one, each over its own distinct arguments.
        let call = &plan.aggregates[call_position];
        if is_distinct(call) {
            let pairs = distinct_pairs(context, &keyed, plan, call_position, errors);
            let class = single_class(call_position, call);
            parts.push((vec![call_position], render_class(context, pairs, plan, &class)));
        }
    }
    for class in classes(&plan.aggregates) {
        let positions = match &class {
            Class::Sums(positions) | Class::Basic(positions) => positions.clone(),
            Class::Extreme(position) => vec![*position],
        };
        let arguments = select(&keyed, &positions, plan.aggregates.len());
        parts.push((positions, render_class(context, arguments, plan, &class)));
    }
    if parts.len() == 1 {
        // One class has all aggregates, in order.
        if let Some((_, reduced)) = parts.pop() {
            return reduced;
        }
    }
    combine(context, parts, plan.aggregates.len())
}

fn is_extreme(kind: &AggregateKind) -> bool {
    matches!(kind, AggregateKind::Min | AggregateKind::Max)
}

/// Whether it matters that each value is taken once.
fn is_distinct(call: &AggregateCall) -> bool {
    use AggregateKind::{All, Any, Max, Min};
    call.distinct && !matches!(call.kind, All | Any | Max | Min)
}

/// The argument as it is kept: distinct values are counted by what they have in common.
fn kept_argument(call: &AggregateCall) -> ScalarExpr {
    match FunctionRef::by_id("canonical") {
        Some(function) if is_distinct(call) && call.kind == AggregateKind::Count => {
            ScalarExpr::Call {
                function,
                arguments: vec![call.argument.clone()],
                // Nobody asks for the type of an argument here.
                typ: ColumnType::new(ScalarType::Text),
            }
        }
        _ => call.argument.clone(),
    }
}

fn single_class(position: usize, call: &AggregateCall) -> Class {
    // Equal decimals may differ in scale, and equal intervals in their fields, so that their bytes
    // do not say how many there are.
    let loose = matches!(call.kind, AggregateKind::SumNumeric | AggregateKind::SumInterval);
    if is_accumulable(&call.kind) && !loose {
        Class::Sums(vec![position])
    } else {
        Class::Basic(vec![position])
    }
}

/// The classes of all aggregates that are not distinct.
fn classes(aggregates: &[AggregateCall]) -> Vec<Class> {
    let mut sums = Vec::new();
    let mut basic = Vec::new();
    let mut classes = Vec::new();
    for (position, call) in aggregates.iter().enumerate() {
        if is_extreme(&call.kind) {
            classes.push(Class::Extreme(position));
        } else if is_distinct(call) {
            // Rendered apart.
        } else if is_accumulable(&call.kind) {
            sums.push(position);
        } else {
            basic.push(position);
        }
    }
    if !sums.is_empty() {
        classes.push(Class::Sums(sums));
    }
    if !basic.is_empty() {
        classes.push(Class::Basic(basic));
    }
    classes
}

fn render_class<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    input: KeyedRows<'scope, T>,
    plan: &ReducePlan,
    class: &Class,
) -> RowArranged<'scope, T> {
    let calls = |positions: &[usize]| {
        positions.iter().map(|position| plan.aggregates[*position].clone()).collect::<Vec<_>>()
    };
    match class {
        Class::Sums(positions) => {
            let kinds = calls(positions).into_iter().map(|call| call.kind).collect();
            sums(input, kinds)
        }
        Class::Extreme(position) => {
            let greatest = plan.aggregates[*position].kind == AggregateKind::Max;
            extreme::render(context, input, greatest)
        }
        Class::Basic(positions) => basic(input, calls(positions)),
    }
}

/// The arguments at these positions.
fn select<'scope, T: RenderTime>(
    keyed: &KeyedRows<'scope, T>,
    positions: &[usize],
    all: usize,
) -> KeyedRows<'scope, T> {
    if positions.len() == all {
        return keyed.clone();
    }
    let positions = positions.to_vec();
    let mut builder = RowBuilder::new();
    keyed.clone().map(move |(key, arguments)| {
        let mut datums = arguments.as_ref().iter();
        let mut position = 0;
        while let Some(bytes) = datums.next_bytes() {
            if positions.contains(&position) {
                builder.push_encoded(bytes);
            }
            position += 1;
        }
        (key, builder.finish())
    })
}

/// Keys that are there, once each; the value is an empty row.
fn distinct<'scope, T: RenderTime>(
    keyed: KeyedRows<'scope, T>,
    name: &str,
) -> RowArranged<'scope, T> {
    let keys = keyed.map(|(key, _)| (key, Row::default()));
    reduce_rows(arrange(keys, name), name, |_, input, output| {
        let count: Diff = input.iter().map(|(_, count)| count).sum();
        if count > 0 {
            output.push((tag(&Ok(Row::default())), 1));
        } else if count < 0 {
            output.push((tag(&Err(EvalError::NegativeMultiplicity)), 1));
        }
    })
}

/// Each (key, argument) that is there, once.
fn distinct_pairs<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    keyed: &KeyedRows<'scope, T>,
    plan: &ReducePlan,
    position: usize,
    errors: &mut Errors<'scope, T>,
) -> KeyedRows<'scope, T> {
    let key_columns = plan.key.len();
    let mut builder = RowBuilder::new();
    let pairs = select(keyed, &[position], plan.aggregates.len()).map(move |(key, argument)| {
        builder.push_encoded(key.bytes());
        builder.push_encoded(argument.bytes());
        (builder.finish(), Row::default())
    });
    let once = distinct(pairs, "Distinct arguments");
    let (pairs, more) = read_spans(
        once.stream,
        "Distinct arguments",
        None,
        context.bounds,
        move |pair, value, emit| {
            emit(untag(value).map(|_| split_row(pair, key_columns)));
        },
    );
    *errors = errors.clone().concat(more);
    pairs
}

/// The first columns of a row, and the others.
pub fn split_row(row: RowRef<'_>, columns: usize) -> (Row, Row) {
    let mut datums = row.iter();
    for _ in 0..columns {
        datums.next();
    }
    let rest = datums.rest();
    let first = &row.bytes()[..row.bytes().len() - rest.len()];
    (Row::from_bytes(first), Row::from_bytes(rest))
}

fn sums<'scope, T: RenderTime>(
    input: KeyedRows<'scope, T>,
    kinds: Vec<AggregateKind>,
) -> RowArranged<'scope, T> {
    let slots = kinds.clone();
    let accumulated = input.inner.flat_map(move |((key, arguments), time, diff)| {
        let accumulation = Accumulation::of(&slots, arguments.iter(), diff);
        Some(((key, Row::default()), time, accumulation))
    });
    let exchange = Exchange::new(|update: &((Row, Row), T, Accumulation)| update.0.0.hashed());
    let arranged = arrange_core::<_, _, SumBatcher<T>, SumSpine<T>>(
        accumulated.as_collection().inner,
        exchange,
        "Arrange: sums",
        SumBatcher::new,
    );
    arranged.reduce_abelian::<_, RowValBuilder<T>, RowSpine<T>, RowContainer, _>(
        "Reduce: sums",
        move |_, input, output| {
            let Some((_, accumulation)) = input.first() else { return };
            let result = results(accumulation, &kinds).map(Row::pack);
            output.push((tag(&result), 1));
        },
        push_updates,
    )
}

fn basic<'scope, T: RenderTime>(
    input: KeyedRows<'scope, T>,
    calls: Vec<AggregateCall>,
) -> RowArranged<'scope, T> {
    reduce_rows(arrange(input, "Arrange: basic"), "Reduce: basic", move |_, input, output| {
        let result = guard(|| evaluate_basic(&calls, input));
        output.push((tag(&result), 1));
    })
}

fn evaluate_basic(calls: &[AggregateCall], input: &[(RowRef<'_>, Diff)]) -> Result<Row, EvalError> {
    if input.iter().any(|(_, count)| *count < 0) {
        return Err(EvalError::NegativeMultiplicity);
    }
    let arguments: Vec<(Vec<Datum<'_>>, Diff)> =
        input.iter().map(|(row, count)| (row.iter().collect(), *count)).collect();
    let mut builder = RowBuilder::new();
    for (position, call) in calls.iter().enumerate() {
        let values = arguments
            .iter()
            .map(|(datums, count)| (datums.get(position).copied().unwrap_or(Datum::Null), *count));
        builder.push_encoded(call.evaluate_basic(values)?.bytes());
    }
    Ok(builder.finish())
}

/// Puts the results of classes side by side, in the order of the plan.
fn combine<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    parts: Vec<(Vec<usize>, RowArranged<'scope, T>)>,
    aggregates: usize,
) -> RowArranged<'scope, T> {
    let positions: Vec<Vec<usize>> = parts.iter().map(|(positions, _)| positions.clone()).collect();
    let mut streams = Vec::new();
    for (class, (_, reduced)) in parts.into_iter().enumerate() {
        // Fewer classes than columns in a table.
        let class = (class as u16).to_be_bytes();
        let (stream, _) = read_spans(
            reduced.stream,
            "Reduce: class",
            None,
            context.bounds,
            move |key, value, emit| {
                let mut bytes = class.to_vec();
                bytes.extend_from_slice(value.bytes());
                emit(Ok((key.to_owned(), Row::from_bytes(&bytes))));
            },
        );
        streams.push(stream);
    }
    let first = streams.remove(0);
    let all = arrange(first.concatenate(streams), "Arrange: classes");
    reduce_rows(all, "Reduce: classes", move |_, input, output| {
        output.push((tag(&side_by_side(&positions, aggregates, input)), 1));
    })
}

fn side_by_side(
    positions: &[Vec<usize>],
    aggregates: usize,
    input: &[(RowRef<'_>, Diff)],
) -> Result<Row, EvalError> {
    let mut columns: Vec<&[u8]> = vec![&[]; aggregates];
    for (value, _) in input {
        let Some((class, value)) = value.bytes().split_first_chunk::<2>() else { continue };
        let row = untag(RowRef::from_bytes(value))?;
        let mut datums = row.iter();
        for position in positions.get(usize::from(u16::from_be_bytes(*class))).into_iter().flatten()
        {
            columns[*position] = datums.next_bytes().unwrap_or_default();
        }
    }
    let mut builder = RowBuilder::new();
    for bytes in columns {
        if bytes.is_empty() {
            builder.push(Datum::Null);
        } else {
            builder.push_encoded(bytes);
        }
    }
    Ok(builder.finish())
}

/// Reduces the values of each key; `logic` is given those that are there, in order of bytes.
pub fn reduce_rows<'scope, T: RenderTime, L>(
    input: RowArranged<'scope, T>,
    name: &str,
    logic: L,
) -> RowArranged<'scope, T>
where
    L: FnMut(RowRef<'_>, &[(RowRef<'_>, Diff)], &mut Vec<(Row, Diff)>) + 'static,
{
    input.reduce_abelian::<_, RowValBuilder<T>, RowSpine<T>, RowContainer, _>(
        name,
        logic,
        push_updates,
    )
}

type Chunk<T> = Vec<((Row, Row), T, Diff)>;

fn push_updates<T>(chunk: &mut Chunk<T>, key: RowRef<'_>, updates: &mut Vec<(Row, T, Diff)>) {
    chunk.clear();
    let updates = updates.drain(..);
    chunk.extend(updates.map(|(value, time, diff)| ((key.to_owned(), value), time, diff)));
}
