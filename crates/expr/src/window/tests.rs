//! Frames and aggregates against a slow twin that looks at every pair of rows.

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use tidemill_repr::{ColumnType, Datum, Diff, Row, ScalarType};

use crate::aggregate::{AggregateKind, SortDirection};
use crate::window::{
    FrameBound, FrameExclusion, FrameUnits, WindowArgument, WindowCall, WindowFrame,
    WindowFunction, evaluate,
};

/// (sort key, value, id)
type Tuple = (Option<i64>, Option<i64>, i64);

/// Whether the row at `place` is in the frame of the one at `position`, by the definition.
fn inside(rows: &[Tuple], frame: &WindowFrame, position: usize, place: usize) -> bool {
    let groups: Vec<usize> = rows
        .iter()
        .scan((0, None), |(group, last), row| {
            *group += usize::from(last.is_some_and(|last| last != row.0));
            *last = Some(row.0);
            Some(*group)
        })
        .collect();
    let distance = |offset: &WindowArgument| match offset {
        WindowArgument::Literal(row) => match row.first() {
            Some(Datum::Int(offset)) => offset,
            _ => unreachable!(),
        },
        WindowArgument::Column(_) => unreachable!(),
    };
    // Below 0: the row at `place` lies before the point that far from the row at `position`.
    let beside = |offset: i64| match frame.units {
        FrameUnits::Rows => place as i64 - (position as i64 + offset),
        FrameUnits::Groups => groups[place] as i64 - (groups[position] as i64 + offset),
        FrameUnits::Range => match (rows[place].0, rows[position].0) {
            (Some(key), Some(base)) => key - (base + offset),
            // NULLs are peers, after all others.
            (None, None) => 0,
            (None, Some(_)) => 1,
            (Some(_), None) => -1,
        },
    };
    let point = |bound: &FrameBound| match bound {
        FrameBound::UnboundedPreceding => -1000,
        FrameBound::Preceding(offset) => -distance(offset),
        FrameBound::CurrentRow => 0,
        FrameBound::Following(offset) => distance(offset),
        FrameBound::UnboundedFollowing => 1000,
    };
    let after_start =
        frame.start == FrameBound::UnboundedPreceding || beside(point(&frame.start)) >= 0;
    let before_end = frame.end == FrameBound::UnboundedFollowing || beside(point(&frame.end)) <= 0;
    let excluded = match frame.exclusion {
        FrameExclusion::NoOthers => false,
        FrameExclusion::CurrentRow => place == position,
        FrameExclusion::Group => groups[place] == groups[position],
        FrameExclusion::Ties => groups[place] == groups[position] && place != position,
    };
    after_start && before_end && !excluded
}

fn expected(function: &WindowFunction, values: &[Option<i64>]) -> Option<i64> {
    let known = || values.iter().flatten().copied();
    match function {
        WindowFunction::FirstValue => values.first().copied().flatten(),
        WindowFunction::LastValue => values.last().copied().flatten(),
        WindowFunction::NthValue => values.get(1).copied().flatten(),
        WindowFunction::Aggregate(AggregateKind::Count) => Some(known().count() as i64),
        WindowFunction::Aggregate(AggregateKind::SumInt) => {
            known().next().is_some().then(|| known().sum())
        }
        WindowFunction::Aggregate(AggregateKind::Min) => known().min(),
        WindowFunction::Aggregate(AggregateKind::Max) => known().max(),
        other => unreachable!("{other:?}"),
    }
}

fn literal(value: i64) -> WindowArgument {
    WindowArgument::Literal(Row::pack([Datum::Int(value)]))
}

fn bounds() -> impl Strategy<Value = FrameBound> {
    prop_oneof![
        Just(FrameBound::UnboundedPreceding),
        (0..4i64).prop_map(|offset| FrameBound::Preceding(literal(offset))),
        Just(FrameBound::CurrentRow),
        (0..4i64).prop_map(|offset| FrameBound::Following(literal(offset))),
        Just(FrameBound::UnboundedFollowing),
    ]
}

fn frames() -> impl Strategy<Value = WindowFrame> {
    let units =
        prop_oneof![Just(FrameUnits::Rows), Just(FrameUnits::Range), Just(FrameUnits::Groups)];
    let exclusions = prop_oneof![
        Just(FrameExclusion::NoOthers),
        Just(FrameExclusion::CurrentRow),
        Just(FrameExclusion::Group),
        Just(FrameExclusion::Ties),
    ];
    (units, bounds(), bounds(), exclusions)
        .prop_map(|(units, start, end, exclusion)| WindowFrame { units, start, end, exclusion })
        .prop_filter("what the planner refuses", |frame| {
            frame.start != FrameBound::UnboundedFollowing
                && frame.end != FrameBound::UnboundedPreceding
        })
}

fn call(function: WindowFunction, frame: WindowFrame, ignore_nulls: bool) -> WindowCall {
    let arguments = match function {
        WindowFunction::NthValue => vec![WindowArgument::Column(1), literal(2)],
        _ => vec![WindowArgument::Column(1)],
    };
    let typ = ColumnType::new(ScalarType::Int8);
    WindowCall { function, arguments, ignore_nulls, frame, typ }
}

proptest! {
    #[test]
    fn frames_hold_what_the_definition_says(
        keys in proptest::collection::vec((proptest::option::of(0..6i64), proptest::option::of(-9..9i64)), 1..12),
        frame in frames(),
        ignore_nulls in any::<bool>(),
    ) {
        let mut rows: Vec<Tuple> =
            keys.iter().enumerate().map(|(id, (key, value))| (*key, *value, id as i64)).collect();
        // NULLs last; ties by bytes: by value, then by id.
        let as_row = |row: &Tuple| {
            let datum = |value: Option<i64>| value.map_or(Datum::Null, Datum::Int);
            Row::pack([datum(row.0), datum(row.1), Datum::Int(row.2)])
        };
        rows.sort_by_key(|row| (row.0.is_none(), row.0, as_row(row)));
        let functions = [
            WindowFunction::FirstValue,
            WindowFunction::LastValue,
            WindowFunction::NthValue,
            WindowFunction::Aggregate(AggregateKind::Count),
            WindowFunction::Aggregate(AggregateKind::SumInt),
            WindowFunction::Aggregate(AggregateKind::Min),
            WindowFunction::Aggregate(AggregateKind::Max),
        ];
        let calls: Vec<WindowCall> = functions
            .iter()
            .map(|function| {
                let aggregate = matches!(function, WindowFunction::Aggregate(_));
                call(function.clone(), frame.clone(), ignore_nulls && !aggregate)
            })
            .collect();
        let encoded: Vec<Row> = rows.iter().map(as_row).collect();
        let mut input: Vec<_> = encoded.iter().map(|row| (row.as_ref(), 1 as Diff)).collect();
        input.reverse();
        let order = [(0, SortDirection { descending: false, nulls_first: false })];
        let results = evaluate(&input, &order, &calls).unwrap();
        for (position, (result, count)) in results.iter().enumerate() {
            assert_eq!(*count, 1);
            let mut wanted = as_row(&rows[position]).bytes().to_vec();
            for call in &calls {
                let values: Vec<Option<i64>> = (0..rows.len())
                    .filter(|place| inside(&rows, &frame, position, *place))
                    .map(|place| rows[place].1)
                    .filter(|value| !call.ignore_nulls || value.is_some())
                    .collect();
                let value = expected(&call.function, &values);
                let value = Row::pack([value.map_or(Datum::Null, Datum::Int)]);
                wanted.extend_from_slice(value.bytes());
            }
            assert_eq!(result.bytes(), wanted, "{rows:?} {frame:?} at {position}");
        }
    }
}

#[test]
fn copies_of_a_row_are_rows() {
    let row = Row::pack([Datum::Int(1)]);
    let count = WindowFunction::Aggregate(AggregateKind::Count);
    let frame = WindowFrame { units: FrameUnits::Rows, ..WindowFrame::unspecified() };
    let typ = ColumnType::new(ScalarType::Int8);
    let arguments = vec![WindowArgument::Column(0)];
    let call = WindowCall { function: count, arguments, ignore_nulls: false, frame, typ };
    let results = evaluate(&[(row.as_ref(), 3)], &[], &[call]).unwrap();
    let numbers: Vec<Row> = (1..4).map(|n| Row::pack([Datum::Int(1), Datum::Int(n)])).collect();
    assert_eq!(results, numbers.into_iter().map(|row| (row, 1)).collect::<Vec<_>>());
}
