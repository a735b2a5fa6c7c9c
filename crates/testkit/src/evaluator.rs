//! A slow and obvious evaluator of relations: the oracle for rewrites and rendering.

use std::collections::BTreeMap;

use bumpalo::Bump;
use tidemill_expr::{AggregateCall, AggregateKind, EvalContext, EvalError, ScalarExpr, WindowCall};
use tidemill_plan::{ColumnOrder, Id, RelationExpr};
use tidemill_repr::{Datum, Diff, Row, RowBuilder};

/// A multiset of rows.
pub type Rows = BTreeMap<Row, Diff>;

/// The content of a relation, where Gets read `collections`.
///
/// # Errors
/// An expression has no value for a row that it is evaluated over.
pub fn evaluate(
    relation: &RelationExpr,
    collections: &BTreeMap<Id, Vec<(Row, Diff)>>,
) -> Result<Rows, EvalError> {
    let each = |input: &RelationExpr| evaluate(input, collections);
    match relation {
        RelationExpr::Constant { rows, .. } => Ok(collect(rows.clone()?)),
        RelationExpr::Get { id, .. } => {
            Ok(collect(collections.get(id).cloned().unwrap_or_default()))
        }
        RelationExpr::Let { id, value, body } => {
            let mut inner = collections.clone();
            inner.insert(Id::Local(*id), each(value)?.into_iter().collect());
            evaluate(body, &inner)
        }
        RelationExpr::LetRec { bindings, limit, body } => {
            let mut inner = collections.clone();
            for binding in bindings {
                inner.insert(Id::Local(binding.id), Vec::new());
            }
            let mut round = 0;
            loop {
                let before = inner.clone();
                for binding in bindings {
                    let value = evaluate(&binding.value, &inner)?;
                    inner.insert(Id::Local(binding.id), value.into_iter().collect());
                }
                if inner == before {
                    break;
                }
                if round == limit.rounds {
                    if limit.returns {
                        inner = before;
                        break;
                    }
                    let message = format!("no end after {} rounds", limit.rounds);
                    return Err(EvalError::invalid(
                        tidemill_repr::SqlState::PROGRAM_LIMIT_EXCEEDED,
                        message,
                    ));
                }
                round += 1;
            }
            evaluate(body, &inner)
        }
        RelationExpr::Project { input, outputs } => rows(&each(input)?, |datums, _, out| {
            out.extend(outputs.iter().map(|column| datums[*column]));
            Ok(true)
        }),
        RelationExpr::Map { input, scalars } => rows(&each(input)?, |datums, context, out| {
            let mut datums = datums.to_vec();
            for scalar in scalars {
                let datum = scalar.eval(&datums, context)?;
                datums.push(datum);
            }
            out.extend(datums);
            Ok(true)
        }),
        RelationExpr::Filter { input, predicates } => {
            rows(&each(input)?, |datums, context, out| {
                for predicate in predicates {
                    if !matches!(predicate.eval(datums, context)?, Datum::Bool(true)) {
                        return Ok(false);
                    }
                }
                out.extend(datums.iter().copied());
                Ok(true)
            })
        }
        RelationExpr::FlatMap { input, function, arguments, .. } => {
            let mut all = Vec::new();
            for (row, diff) in each(input)? {
                let arena = Bump::new();
                let context = EvalContext { arena: &arena };
                let datums = row.unpack();
                let arguments: Vec<Datum<'_>> = arguments
                    .iter()
                    .map(|argument| argument.eval(&datums, context))
                    .collect::<Result<_, _>>()?;
                function.call(&arguments, context, &mut |more| {
                    all.push((Row::from_bytes(&[row.bytes(), more.bytes()].concat()), diff));
                })?;
            }
            Ok(collect(all))
        }
        RelationExpr::Join { inputs, equivalences } => join(inputs, equivalences, &each),
        RelationExpr::Reduce { input, group_key, aggregates, .. } => {
            reduce(&each(input)?, group_key, aggregates)
        }
        RelationExpr::TopK { input, group_key, order_by, limit, offset } => {
            top(&each(input)?, group_key, order_by, limit.as_ref(), *offset)
        }
        RelationExpr::Window { input, partition_by, order_by, calls } => {
            window(&each(input)?, partition_by, order_by, calls)
        }
        RelationExpr::Negate { input } => {
            Ok(each(input)?.into_iter().map(|(row, diff)| (row, -diff)).collect())
        }
        RelationExpr::Threshold { input } => {
            Ok(each(input)?.into_iter().filter(|(_, diff)| *diff > 0).collect())
        }
        RelationExpr::Union { inputs, .. } => {
            let mut all = Vec::new();
            for input in inputs {
                all.extend(each(input)?);
            }
            Ok(collect(all))
        }
    }
}

fn collect(rows: impl IntoIterator<Item = (Row, Diff)>) -> Rows {
    let mut counts = Rows::new();
    for (row, diff) in rows {
        *counts.entry(row).or_insert(0) += diff;
    }
    counts.retain(|_, diff| *diff != 0);
    counts
}

fn rows(
    input: &Rows,
    work: impl for<'a> Fn(&[Datum<'a>], EvalContext<'a>, &mut RowBuilder) -> Result<bool, EvalError>,
) -> Result<Rows, EvalError> {
    let mut all = Vec::new();
    for (row, diff) in input {
        let arena = Bump::new();
        let mut out = RowBuilder::new();
        if work_on(row, &arena, &work, &mut out)? {
            all.push((out.finish(), *diff));
        }
    }
    Ok(collect(all))
}

fn work_on<'a>(
    row: &'a Row,
    arena: &'a Bump,
    work: &impl Fn(&[Datum<'a>], EvalContext<'a>, &mut RowBuilder) -> Result<bool, EvalError>,
    out: &mut RowBuilder,
) -> Result<bool, EvalError> {
    work(&row.unpack(), EvalContext { arena }, out)
}

/// Members of a group, with their counts.
type Groups = BTreeMap<Row, Vec<(Row, Diff)>>;

fn reduce(
    input: &Rows,
    group_key: &[ScalarExpr],
    aggregates: &[AggregateCall],
) -> Result<Rows, EvalError> {
    let mut groups = Groups::new();
    for (row, diff) in input {
        let arena = Bump::new();
        let context = EvalContext { arena: &arena };
        let datums = row.unpack();
        let mut key = RowBuilder::new();
        for expr in group_key {
            key.push(expr.eval(&datums, context)?);
        }
        groups.entry(key.finish()).or_default().push((row.clone(), *diff));
    }
    let mut all = Vec::new();
    for (key, members) in groups {
        let mut out = RowBuilder::new();
        out.push_encoded(key.bytes());
        for call in aggregates {
            let mut values = Rows::new();
            for (row, diff) in &members {
                let arena = Bump::new();
                let datums = row.unpack();
                let value = call.argument.eval(&datums, EvalContext { arena: &arena })?;
                *values.entry(Row::pack([value])).or_insert(0) += diff;
            }
            if call.distinct {
                values.values_mut().for_each(|count| *count = 1);
            }
            let result = aggregate(&call.kind, &values)?;
            out.push_encoded(result.bytes());
        }
        all.push((out.finish(), 1));
    }
    Ok(collect(all))
}

fn aggregate(kind: &AggregateKind, values: &Rows) -> Result<Row, EvalError> {
    let present: Vec<(Datum<'_>, Diff)> = values
        .iter()
        .filter_map(|(row, diff)| Some((row.iter().next()?, *diff)))
        .filter(|(datum, _)| !datum.is_null())
        .collect();
    let best = |wanted: std::cmp::Ordering| {
        let mut best: Option<Datum<'_>> = None;
        for (datum, _) in &present {
            if best.is_none_or(|best| datum.sql_cmp(&best) == wanted) {
                best = Some(*datum);
            }
        }
        best.unwrap_or(Datum::Null)
    };
    let truth = |wanted: bool| {
        let is = |datum: &Datum<'_>| matches!(datum, Datum::Bool(value) if *value == wanted);
        match present.is_empty() {
            true => Datum::Null,
            false => Datum::Bool(present.iter().any(|(datum, _)| is(datum)) == wanted),
        }
    };
    let result = match kind {
        AggregateKind::Count => Datum::Int(present.iter().map(|(_, diff)| diff).sum()),
        AggregateKind::SumInt if present.is_empty() => Datum::Null,
        AggregateKind::SumInt => {
            let sum: i128 = present
                .iter()
                .map(|(datum, diff)| match datum {
                    Datum::Int(value) => i128::from(*value) * i128::from(*diff),
                    _ => 0,
                })
                .sum();
            let out_of_range = |_| EvalError::OutOfRange("bigint".to_owned());
            Datum::Int(i64::try_from(sum).map_err(out_of_range)?)
        }
        AggregateKind::Min => best(std::cmp::Ordering::Less),
        AggregateKind::Max => best(std::cmp::Ordering::Greater),
        AggregateKind::All => truth(false),
        AggregateKind::Any => truth(true),
        other => {
            let message = format!("the evaluator has no {other:?}");
            return Err(EvalError::invalid(
                tidemill_repr::SqlState::FEATURE_NOT_SUPPORTED,
                message,
            ));
        }
    };
    Ok(Row::pack([result]))
}

/// SQL's order of two rows by columns, ties by bytes.
pub fn compare(order_by: &[ColumnOrder], left: &Row, right: &Row) -> std::cmp::Ordering {
    let (a, b) = (left.unpack(), right.unpack());
    for key in order_by {
        let (x, y) = (&a[key.column], &b[key.column]);
        let order = match (x.is_null(), y.is_null()) {
            (true, true) => continue,
            (true, false) if key.direction.nulls_first => std::cmp::Ordering::Less,
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) if key.direction.nulls_first => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            (false, false) if key.direction.descending => y.sql_cmp(x),
            (false, false) => x.sql_cmp(y),
        };
        if order.is_ne() {
            return order;
        }
    }
    left.cmp(right)
}

fn top(
    input: &Rows,
    group_key: &[usize],
    order_by: &[ColumnOrder],
    limit: Option<&ScalarExpr>,
    offset: u64,
) -> Result<Rows, EvalError> {
    let mut groups = Groups::new();
    for (row, diff) in input {
        let datums = row.unpack();
        let key = Row::pack(group_key.iter().map(|column| datums[*column]));
        groups.entry(key).or_default().push((row.clone(), *diff));
    }
    let mut all = Vec::new();
    for (_, mut members) in groups {
        members.sort_by(|a, b| compare(order_by, &a.0, &b.0));
        let arena = Bump::new();
        let first = members[0].0.clone();
        let mut left = match limit {
            None => Diff::MAX,
            Some(limit) => match limit.eval(&first.unpack(), EvalContext { arena: &arena })? {
                Datum::Int(rows) => rows,
                _ => Diff::MAX,
            },
        };
        let mut skip = Diff::try_from(offset).unwrap_or(Diff::MAX);
        for (row, diff) in members {
            let skipped = diff.min(skip);
            skip -= skipped;
            let taken = (diff - skipped).min(left);
            left -= taken;
            all.push((row, taken));
        }
    }
    Ok(collect(all))
}

/// The product of relations, where the expressions of each class are equal in bytes.
fn join(
    inputs: &[RelationExpr],
    equivalences: &[Vec<ScalarExpr>],
    each: &dyn Fn(&RelationExpr) -> Result<Rows, EvalError>,
) -> Result<Rows, EvalError> {
    let mut product: Rows = [(Row::default(), 1)].into();
    for input in inputs {
        let right = each(input)?;
        product = collect(product.iter().flat_map(|(row, diff)| {
            right.iter().map(move |(more, times)| {
                (Row::from_bytes(&[row.bytes(), more.bytes()].concat()), diff * times)
            })
        }));
    }
    rows(&product, |datums, context, out| {
        out.extend(datums.iter().copied());
        for class in equivalences {
            let mut values = Vec::new();
            for expr in class {
                values.push(expr.eval(datums, context)?);
            }
            let bytes: Vec<Row> = values.iter().map(|value| Row::pack([*value])).collect();
            if values.iter().any(Datum::is_null) || bytes.windows(2).any(|w| w[0] != w[1]) {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// Window calls, by the same evaluation as in dataflows: it has its own slow twin in its tests.
fn window(
    input: &Rows,
    partition_by: &[usize],
    order_by: &[ColumnOrder],
    calls: &[WindowCall],
) -> Result<Rows, EvalError> {
    let mut partitions = Groups::new();
    for (row, diff) in input {
        let datums = row.unpack();
        let key = Row::pack(partition_by.iter().map(|column| datums[*column]));
        partitions.entry(key).or_default().push((row.clone(), *diff));
    }
    let order_by: Vec<_> = order_by.iter().map(|key| (key.column, key.direction)).collect();
    let mut all = Vec::new();
    for members in partitions.values() {
        let members: Vec<_> = members.iter().map(|(row, diff)| (row.as_ref(), *diff)).collect();
        all.extend(tidemill_expr::window::evaluate(&members, &order_by, calls)?);
    }
    Ok(collect(all))
}
