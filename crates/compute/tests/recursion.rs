//! Recursions follow the changes of what they read: each content is that of a recomputation.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{INDEX, OTHER, TABLE, column, create, get, hydrate, ints, scan, update, view};
use proptest::prelude::*;
use tidemill_compute::Replica;
use tidemill_expr::{AggregateCall, EvalError, ScalarExpr};
use tidemill_plan::physical::{JoinStage, LinearJoin, MapFilterProject, PhysicalPlan, ReducePlan};
use tidemill_plan::{Id, LocalId, RecursionLimit, RecursiveBinding, RelationType};
use tidemill_repr::{ColumnType, Diff, Row, ScalarType};

type Edges = BTreeSet<(i64, i64)>;

fn local(id: u64, arity: usize) -> PhysicalPlan {
    let mfp = MapFilterProject::identity(arity);
    PhysicalPlan::Get { id: Id::Local(LocalId(id)), key: None, literal: None, mfp }
}

fn union(inputs: Vec<PhysicalPlan>) -> PhysicalPlan {
    PhysicalPlan::Union { inputs }
}

fn distinct(input: PhysicalPlan, arity: usize) -> PhysicalPlan {
    PhysicalPlan::Reduce(Box::new(ReducePlan {
        input,
        input_mfp: MapFilterProject::identity(arity),
        key: (0..arity).map(column).collect(),
        mfp: MapFilterProject::identity(arity),
        aggregates: Vec::<AggregateCall>::new(),
    }))
}

/// (a, b) and (b, c) give (a, c).
fn compose(left: PhysicalPlan, right: PhysicalPlan) -> PhysicalPlan {
    PhysicalPlan::Join(Box::new(LinearJoin {
        source: left,
        source_mfp: MapFilterProject::identity(2),
        stages: vec![JoinStage {
            stream_key: vec![column(1)],
            lookup: right,
            lookup_key: vec![column(0)],
            mfp: MapFilterProject::identity(4).project(&[0, 3]),
        }],
    }))
}

fn binding(id: u64, value: PhysicalPlan) -> RecursiveBinding<PhysicalPlan> {
    let (name, typ) = (format!("x{id}"), RelationType::default());
    RecursiveBinding { id: LocalId(id), name, value, typ }
}

fn recursion(
    bindings: Vec<RecursiveBinding<PhysicalPlan>>,
    limit: RecursionLimit,
    body: PhysicalPlan,
) -> PhysicalPlan {
    PhysicalPlan::LetRec { bindings, limit, body: Box::new(body) }
}

/// The transitive closure of TABLE.
fn closure(limit: RecursionLimit) -> PhysicalPlan {
    let step = compose(local(1, 2), get(TABLE, 2));
    let value = distinct(union(vec![get(TABLE, 2), step]), 2);
    recursion(vec![binding(1, value)], limit, local(1, 2))
}

fn closure_of(edges: &Edges, rounds: usize) -> Edges {
    let mut found = Edges::new();
    for _ in 0..rounds {
        let mut next = edges.clone();
        for (a, b) in &found {
            next.extend(edges.iter().filter(|(from, _)| from == b).map(|(_, c)| (*a, *c)));
        }
        if next == found {
            break;
        }
        found = next;
    }
    found
}

fn as_rows(pairs: &Edges) -> BTreeMap<Row, Diff> {
    pairs.iter().map(|(a, b)| (ints(&[*a, *b]), 1)).collect()
}

/// Toggles edges of both tables, commit by commit, and compares each content.
fn check(
    plan: PhysicalPlan,
    commits: &[Vec<(usize, i64, i64)>],
    expected: impl Fn(&Edges, &Edges) -> Edges,
) {
    let replica = Replica::start(2).unwrap();
    create(&replica, view(plan, 2));
    let reader = replica.index(INDEX).unwrap();
    let mut tables = [Edges::new(), Edges::new()];
    for (n, commit) in commits.iter().enumerate() {
        let mut updates = [Vec::new(), Vec::new()];
        for (table, a, b) in commit {
            let diff = if tables[*table].remove(&(*a, *b)) {
                -1
            } else {
                tables[*table].insert((*a, *b));
                1
            };
            updates[*table].push((ints(&[*a, *b]), diff));
        }
        let tick = 10 + n as u64;
        let [rows, others] = updates;
        if n == 0 {
            hydrate(&replica, common::FLOW, TABLE, &rows, true);
            hydrate(&replica, common::FLOW, OTHER, &others, true);
        } else {
            update(&replica, tick, &[(TABLE, rows), (OTHER, others)]);
        }
        let content = scan(&reader, tick).unwrap();
        assert_eq!(content, as_rows(&expected(&tables[0], &tables[1])), "at {tick}: {tables:?}");
    }
}

fn commits() -> impl Strategy<Value = Vec<Vec<(usize, i64, i64)>>> {
    let edge = (0..2usize, 0..5i64, 0..5i64);
    prop::collection::vec(prop::collection::vec(edge, 1..6), 1..6)
}

const NEVER: RecursionLimit = RecursionLimit::DEFAULT;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_transitive_closure_follows_its_edges(commits in commits()) {
        check(closure(NEVER), &commits, |edges, _| closure_of(edges, usize::MAX));
    }

    #[test]
    fn a_limit_takes_what_is_there(commits in commits()) {
        let limit = RecursionLimit { rounds: 2, returns: true };
        check(closure(limit), &commits, |edges, _| closure_of(edges, 2));
    }

    #[test]
    fn a_recursion_runs_within_another(commits in commits()) {
        // y = closure(TABLE + step over OTHER from y): the inner one starts anew in each round.
        let inner_step = compose(local(2, 2), get(TABLE, 2));
        let start = union(vec![get(TABLE, 2), compose(local(1, 2), get(OTHER, 2))]);
        let inner = recursion(
            vec![binding(2, distinct(union(vec![start, inner_step]), 2))],
            NEVER,
            local(2, 2),
        );
        let plan = recursion(vec![binding(1, inner)], NEVER, local(1, 2));
        check(plan, &commits, |table, other| {
            let mut outer = Edges::new();
            loop {
                let mut inner = table.clone();
                for (a, b) in &outer {
                    inner.extend(other.iter().filter(|(f, _)| f == b).map(|(_, c)| (*a, *c)));
                }
                loop {
                    let mut next = inner.clone();
                    for (a, b) in &inner {
                        next.extend(table.iter().filter(|(f, _)| f == b).map(|(_, c)| (*a, *c)));
                    }
                    if next == inner {
                        break;
                    }
                    inner = next;
                }
                if inner == outer {
                    return outer;
                }
                outer = inner;
            }
        });
    }
}

fn one_error(plan: PhysicalPlan) -> EvalError {
    let replica = Replica::start(2).unwrap();
    create(&replica, view(plan, 2));
    let reader = replica.index(INDEX).unwrap();
    hydrate(&replica, common::FLOW, TABLE, &[(ints(&[1, 2]), 1), (ints(&[2, 3]), 1)], true);
    hydrate(&replica, common::FLOW, OTHER, &[], true);
    let error = scan(&reader, 10).unwrap_err();
    // Without the second edge there is no second round.
    update(&replica, 11, &[(TABLE, vec![(ints(&[2, 3]), -1)])]);
    assert_eq!(scan(&reader, 11).unwrap(), BTreeMap::from([(ints(&[1, 2]), 1)]));
    error
}

#[test]
fn too_many_rounds_are_an_error_until_there_are_fewer() {
    let error = one_error(closure(RecursionLimit { rounds: 1, returns: false }));
    assert!(error.to_string().contains("recursion limit 1"), "{error}");
}

#[test]
fn an_error_in_a_round_comes_out() {
    // Each pair that a round finds fails.
    let step = compose(local(1, 2), get(TABLE, 2));
    let failing = PhysicalPlan::Mfp {
        input: Box::new(step),
        mfp: MapFilterProject::identity(2)
            .map([ScalarExpr::literal_error(
                EvalError::DivisionByZero,
                ColumnType::new(ScalarType::Int8),
            )])
            .project(&[0, 2]),
    };
    let value = distinct(union(vec![get(TABLE, 2), failing]), 2);
    let error = one_error(recursion(vec![binding(1, value)], NEVER, local(1, 2)));
    assert_eq!(error, EvalError::DivisionByZero);
}
