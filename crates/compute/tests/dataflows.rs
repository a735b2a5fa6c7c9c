//! Dataflows from creation to drop, on one and two workers.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::time::{Duration, Instant};

use common::*;
use tidemill_compute::{Command, Replica};
use tidemill_expr::{AggregateKind, EvalError};
use tidemill_plan::physical::{Export, JoinStage, LinearJoin, MapFilterProject, PhysicalPlan};
use tidemill_repr::{ObjectId, Tick};

fn join_plan() -> PhysicalPlan {
    PhysicalPlan::Join(Box::new(LinearJoin {
        source: get(TABLE, 2),
        source_mfp: MapFilterProject::identity(2),
        stages: vec![JoinStage {
            stream_key: vec![column(0)],
            lookup: get(OTHER, 2),
            lookup_key: vec![column(0)],
            mfp: MapFilterProject {
                input_arity: 4,
                scalars: vec![],
                predicates: vec![],
                projection: vec![0, 1, 3],
            },
        }],
    }))
}

fn each_worker_count(test: impl Fn(Replica)) {
    for workers in [1, 2] {
        test(Replica::start(workers).unwrap());
    }
}

#[test]
fn a_join_is_hydrated_and_follows_updates() {
    each_worker_count(|replica| {
        create(&replica, view(join_plan(), 3));
        let reader = replica.index(INDEX).unwrap();
        hydrate(&replica, FLOW, TABLE, &[(ints(&[1, 10]), 1)], false);
        update(&replica, 11, &[(TABLE, vec![(ints(&[2, 20]), 1)])]);
        hydrate(&replica, FLOW, TABLE, &[(ints(&[3, 30]), 1)], true);
        hydrate(&replica, FLOW, OTHER, &[(ints(&[1, 100]), 1), (ints(&[2, 200]), 1)], true);
        assert_eq!(scan(&replica.index(INDEX).unwrap(), 10).unwrap(), rows(&[&[1, 10, 100]]));
        assert_eq!(scan(&reader, 11).unwrap(), rows(&[&[1, 10, 100], &[2, 20, 200]]));
        update(
            &replica,
            15,
            &[(TABLE, vec![(ints(&[1, 10]), -1)]), (OTHER, vec![(ints(&[3, 300]), 1)])],
        );
        assert_eq!(scan(&reader, 15).unwrap(), rows(&[&[2, 20, 200], &[3, 30, 300]]));
        // Ticks between are readable as they were.
        assert_eq!(scan(&reader, 14).unwrap(), rows(&[&[1, 10, 100], &[2, 20, 200]]));
        let found = reader.lookup(Tick(15), ints(&[3]).as_ref()).unwrap();
        assert_eq!(found, vec![(ints(&[3, 30, 300]), 1)]);
        assert!(reader.lookup(Tick(15), ints(&[1]).as_ref()).unwrap().is_empty());
    });
}

#[test]
fn counts_and_sums_follow_retractions() {
    each_worker_count(|replica| {
        let aggregates = vec![
            aggregate(AggregateKind::Count, 1, false),
            aggregate(AggregateKind::SumInt, 1, false),
        ];
        create(&replica, view(reduce(get(TABLE, 2), 2, aggregates), 3));
        let reader = replica.index(INDEX).unwrap();
        let content = [(ints(&[1, 10]), 1), (ints(&[1, 5]), 2), (ints(&[2, 7]), 1)];
        hydrate(&replica, FLOW, TABLE, &content, true);
        hydrate(&replica, FLOW, OTHER, &[], true);
        assert_eq!(scan(&reader, 10).unwrap(), rows(&[&[1, 3, 20], &[2, 1, 7]]));
        update(&replica, 12, &[(TABLE, vec![(ints(&[1, 5]), -1), (ints(&[2, 7]), -1)])]);
        assert_eq!(scan(&reader, 12).unwrap(), rows(&[&[1, 2, 15]]));
    });
}

#[test]
fn a_subscription_gets_complete_ticks_and_ends_at_until() {
    each_worker_count(|replica| {
        for snapshot in [true, false] {
            let flow = ObjectId::Transient(if snapshot { 5 } else { 6 });
            let mut description = view(get(TABLE, 2), 2);
            description.id = flow;
            description.until = Some(Tick(13));
            description.exports = vec![Export::Subscribe { id: flow, on: VIEW, snapshot }];
            let mut receiver = replica.subscribe(flow);
            create(&replica, description);
            hydrate(&replica, flow, TABLE, &[(ints(&[1, 1]), 1)], true);
            hydrate(&replica, flow, OTHER, &[], true);
            update(&replica, 11, &[(TABLE, vec![(ints(&[2, 2]), 1)])]);
            update(&replica, 12, &[(TABLE, vec![(ints(&[1, 1]), -1)])]);
            let mut updates = Vec::new();
            let mut upper = Tick(0);
            while let Some(batch) = receiver.blocking_recv() {
                assert!(batch.upper > upper);
                upper = batch.upper;
                assert_eq!(batch.error, None);
                updates.extend(batch.updates);
            }
            assert!(upper >= Tick(13));
            let mut expected = vec![
                (ints(&[1, 1]), Tick(10), 1),
                (ints(&[2, 2]), Tick(11), 1),
                (ints(&[1, 1]), Tick(12), -1),
            ];
            if !snapshot {
                expected.remove(0);
            }
            assert_eq!(updates, expected);
            replica.send(Command::Drop { dataflow: flow });
        }
    });
}

#[test]
fn a_dataflow_reads_the_index_of_another() {
    each_worker_count(|replica| {
        create(&replica, view(get(TABLE, 2), 2));
        hydrate(&replica, FLOW, TABLE, &[(ints(&[1, 10]), 1)], true);
        hydrate(&replica, FLOW, OTHER, &[], true);
        update(&replica, 12, &[(TABLE, vec![(ints(&[2, 20]), 1)])]);
        // The second one starts later, at a tick the first has not heard of.
        let second = ObjectId::Transient(2);
        let second_index = ObjectId::User(21);
        let mut description = view(join_plan(), 3);
        description.id = second;
        description.as_of = Tick(14);
        description.base_imports = vec![base(OTHER, 2)];
        description.index_imports = vec![import(INDEX, VIEW, &[0], 2)];
        let PhysicalPlan::Join(mut join) = join_plan() else { unreachable!() };
        join.source = PhysicalPlan::Get {
            id: tidemill_plan::Id::Global(VIEW),
            key: Some(key(&[0])),
            literal: None,
            mfp: MapFilterProject::identity(2),
        };
        description.objects = vec![(ObjectId::User(11), PhysicalPlan::Join(join))];
        description.exports = vec![Export::Index {
            id: second_index,
            on: ObjectId::User(11),
            key: key(&[0]),
            arity: 3,
        }];
        create(&replica, description);
        hydrate(&replica, second, OTHER, &[(ints(&[1, 100]), 1), (ints(&[2, 200]), 1)], true);
        let reader = replica.index(second_index).unwrap();
        assert_eq!(scan(&reader, 14).unwrap(), rows(&[&[1, 10, 100], &[2, 20, 200]]));
        update(&replica, 15, &[(TABLE, vec![(ints(&[1, 10]), -1)])]);
        assert_eq!(scan(&reader, 15).unwrap(), rows(&[&[2, 20, 200]]));
        update(&replica, 16, &[(OTHER, vec![(ints(&[2, 201]), 1)])]);
        assert_eq!(scan(&reader, 16).unwrap(), rows(&[&[2, 20, 200], &[2, 20, 201]]));
        replica.send(Command::Drop { dataflow: second });
        replica.send(Command::Drop { dataflow: FLOW });
        assert!(replica.index(INDEX).is_none());
        assert!(wait_for(&reader, 100).is_err());
    });
}

#[test]
fn a_collections_error_is_read_until_it_is_gone() {
    each_worker_count(|replica| {
        create(&replica, view(get(TABLE, 2), 2));
        let reader = replica.index(INDEX).unwrap();
        hydrate(&replica, FLOW, TABLE, &[(ints(&[1, 10]), 1)], true);
        hydrate(&replica, FLOW, OTHER, &[], true);
        for (tick, diff) in [(11, 1), (12, -1)] {
            replica.send(Command::Updates {
                tick: Tick(tick),
                updates: Default::default(),
                errors: std::sync::Arc::new(vec![(TABLE, EvalError::DivisionByZero, diff)]),
            });
        }
        assert_eq!(scan(&reader, 12).unwrap(), rows(&[&[1, 10]]));
        assert_eq!(scan(&reader, 11), Err(EvalError::DivisionByZero));
        assert_eq!(scan(&reader, 10).unwrap(), rows(&[&[1, 10]]));
    });
}

#[test]
fn a_count_below_zero_is_an_error_of_a_reduction() {
    each_worker_count(|replica| {
        let aggregates = vec![aggregate(AggregateKind::Count, 1, false)];
        create(&replica, view(reduce(get(TABLE, 2), 2, aggregates), 2));
        let reader = replica.index(INDEX).unwrap();
        hydrate(&replica, FLOW, TABLE, &[], true);
        hydrate(&replica, FLOW, OTHER, &[], true);
        update(&replica, 11, &[(TABLE, vec![(ints(&[1, 10]), -1)])]);
        assert_eq!(scan(&reader, 11), Err(EvalError::NegativeMultiplicity));
        update(&replica, 12, &[(TABLE, vec![(ints(&[1, 10]), 2)])]);
        assert_eq!(scan(&reader, 12).unwrap(), rows(&[&[1, 1]]));
    });
}

#[test]
fn a_dataflow_is_dropped_while_it_hydrates() {
    each_worker_count(|replica| {
        create(&replica, view(join_plan(), 3));
        let many: Vec<_> = (0..10_000).map(|n| (ints(&[n % 10, n]), 1)).collect();
        hydrate(&replica, FLOW, TABLE, &many, true);
        hydrate(&replica, FLOW, OTHER, &many, true);
        let reader = replica.index(INDEX).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        replica.send(Command::Drop { dataflow: FLOW });
        assert!(wait_for(&reader, 10).is_err());
        // The replica goes on.
        let mut next = view(get(TABLE, 2), 2);
        next.id = ObjectId::Transient(77);
        create(&replica, next);
        hydrate(&replica, ObjectId::Transient(77), TABLE, &[(ints(&[1, 10]), 1)], true);
        hydrate(&replica, ObjectId::Transient(77), OTHER, &[], true);
        assert_eq!(scan(&replica.index(INDEX).unwrap(), 10).unwrap(), rows(&[&[1, 10]]));
    });
}

#[test]
fn compaction_bounds_what_an_index_keeps() {
    each_worker_count(|replica| {
        create(&replica, view(get(TABLE, 2), 2));
        let reader = replica.index(INDEX).unwrap();
        hydrate(&replica, FLOW, TABLE, &[(ints(&[1, 0]), 1)], true);
        hydrate(&replica, FLOW, OTHER, &[], true);
        let last = 2000;
        for n in 1..=last {
            let change = vec![(ints(&[1, n - 1]), -1), (ints(&[1, n]), 1)];
            update(&replica, 10 + n as u64, &[(TABLE, change)]);
            if n % 100 == 0 {
                let since = Tick(10 + n as u64 - 1);
                replica.send(Command::AllowCompaction { index: INDEX, since });
            }
        }
        let tick = 10 + last as u64;
        assert_eq!(scan(&reader, tick).unwrap(), rows(&[&[1, last]]));
        let deadline = Instant::now() + Duration::from_secs(20);
        while reader.update_count() >= 50 {
            assert!(Instant::now() < deadline, "{} updates are kept", reader.update_count());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(reader.scan(Tick(11)).is_err());
    });
}

#[test]
fn keys_are_read_by_range() {
    each_worker_count(|replica| {
        create(&replica, view(get(TABLE, 2), 2));
        let reader = replica.index(INDEX).unwrap();
        let content: Vec<_> = (-50..50).map(|n| (ints(&[n, n * n]), 1)).collect();
        hydrate(&replica, FLOW, TABLE, &content, true);
        hydrate(&replica, FLOW, OTHER, &[], true);
        wait_for(&reader, 10).unwrap();
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let (low, high) = (ints(&[-3]), ints(&[2]));
        let read: Vec<_> = reader
            .range(Tick(10), Excluded(low.bytes()), Included(high.bytes()))
            .unwrap()
            .map(|(row, _)| row)
            .collect();
        let expected: Vec<_> = (-2..=2).map(|n| ints(&[n, n * n])).collect();
        assert_eq!(read, expected);
        update(&replica, 11, &[(TABLE, vec![(ints(&[1, 1]), -1)])]);
        wait_for(&reader, 11).unwrap();
        let bounds = [
            (Excluded(low.bytes()), Included(high.bytes()), -2..=2),
            (Included(low.bytes()), Excluded(high.bytes()), -3..=1),
            (Unbounded, Unbounded, -50..=49),
        ];
        for (lower, upper, expected) in bounds {
            let mut scan = reader.range_backward(Tick(11), lower, upper).unwrap();
            let read: Vec<_> = std::iter::from_fn(|| scan.next_key()).flatten().collect();
            let expected = expected.rev().filter(|n| *n != 1).map(|n| (ints(&[n, n * n]), 1));
            assert_eq!(read, expected.collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_division_by_zero_lives_as_long_as_its_row() {
    let function = tidemill_expr::FunctionRef::by_id("int8div").unwrap();
    let int8 = tidemill_repr::ColumnType::new(tidemill_repr::ScalarType::Int8);
    let divided = tidemill_expr::ScalarExpr::Call {
        function,
        arguments: vec![column(0), column(1)],
        typ: int8,
    };
    each_worker_count(|replica| {
        let mfp = MapFilterProject {
            scalars: vec![divided.clone()],
            projection: vec![0, 2],
            ..MapFilterProject::identity(2)
        };
        let plan = PhysicalPlan::Mfp { input: Box::new(get(TABLE, 2)), mfp };
        create(&replica, view(plan, 2));
        let reader = replica.index(INDEX).unwrap();
        hydrate(&replica, FLOW, TABLE, &[(ints(&[8, 2]), 1)], true);
        hydrate(&replica, FLOW, OTHER, &[], true);
        assert_eq!(scan(&reader, 10).unwrap(), rows(&[&[8, 4]]));
        update(&replica, 11, &[(TABLE, vec![(ints(&[7, 0]), 1)])]);
        assert_eq!(scan(&reader, 11), Err(EvalError::DivisionByZero));
        update(&replica, 12, &[(TABLE, vec![(ints(&[7, 0]), -1)])]);
        assert_eq!(scan(&reader, 12).unwrap(), rows(&[&[8, 4]]));
    });
}

#[test]
fn a_table_function_gives_rows_for_each_row() {
    let function = tidemill_expr::functions::table_by_id("generate_series_int8").unwrap();
    each_worker_count(|replica| {
        let plan = PhysicalPlan::FlatMap {
            input: Box::new(get(TABLE, 2)),
            function: tidemill_expr::TableFunctionRef(function),
            arguments: vec![column(0), column(1)],
            mfp: MapFilterProject { projection: vec![0, 2], ..MapFilterProject::identity(3) },
        };
        create(&replica, view(plan, 2));
        let reader = replica.index(INDEX).unwrap();
        hydrate(&replica, FLOW, TABLE, &[(ints(&[1, 3]), 1)], true);
        hydrate(&replica, FLOW, OTHER, &[], true);
        assert_eq!(scan(&reader, 10).unwrap(), rows(&[&[1, 1], &[1, 2], &[1, 3]]));
        update(&replica, 11, &[(TABLE, vec![(ints(&[1, 3]), -1)])]);
        assert_eq!(scan(&reader, 11).unwrap(), rows(&[]));
    });
}

/// Prints what a commit and a lookup take; run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn latency_of_commits_and_lookups() {
    each_worker_count(|replica| {
        let aggregates = vec![aggregate(AggregateKind::SumInt, 1, false)];
        create(&replica, view(reduce(get(TABLE, 2), 2, aggregates), 2));
        let reader = replica.index(INDEX).unwrap();
        let content: Vec<_> = (0..100_000).map(|n| (ints(&[n % 10_000, n]), 1)).collect();
        let begun = Instant::now();
        hydrate(&replica, FLOW, TABLE, &content, true);
        hydrate(&replica, FLOW, OTHER, &[], true);
        wait_for(&reader, 10).unwrap();
        println!("hydrated in {:?}", begun.elapsed());
        let mut commits = Vec::new();
        for n in 0..1000 {
            let begun = Instant::now();
            update(&replica, 11 + n, &[(TABLE, vec![(ints(&[n as i64, 1]), 1)])]);
            wait_for(&reader, 11 + n).unwrap();
            commits.push(begun.elapsed());
            std::thread::sleep(Duration::from_millis(1));
        }
        commits.sort();
        println!("commit p50 {:?} p99 {:?}", commits[500], commits[990]);
        let begun = Instant::now();
        for n in 0..10_000 {
            let key = ints(&[n]);
            assert_eq!(reader.lookup(Tick(1010), key.as_ref()).unwrap().len(), 1);
        }
        println!("a lookup takes {:?}", begun.elapsed() / 10_000);
    });
}
