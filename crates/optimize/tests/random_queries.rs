//! Random correlated queries give the same rows by a nested-loop reading of the query, after
//! decorrelation, after the rewrites, and after lowering.
#![allow(clippy::unwrap_used, reason = "helpers of tests end the test")]

#[path = "twin/naive.rs"]
mod naive;
#[path = "twin/undo.rs"]
mod undo;

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_expr::aggregate::SortDirection;
use tidemill_expr::window::{FrameUnits, WindowArgument, WindowFrame};
use tidemill_expr::{AggregateKind, FunctionRef, ScalarExpr};
use tidemill_expr::{WindowCall, WindowFunction};
use tidemill_optimize::{Definitions, IndexInfo, decorrelate, physical, rewrite};
use tidemill_plan::query::{ColumnRef, JoinKind, QueryAggregate};
use tidemill_plan::{ColumnOrder, Id, QueryExpr, QueryScalar, RelationType};
use tidemill_repr::{ColumnType, Datum, Diff, ObjectId, Row, ScalarType};
use tidemill_testkit::evaluator::evaluate;

/// The first column of this table is its key.
const KEYED: ObjectId = ObjectId::User(1);

struct Tables;

impl Definitions for Tables {
    fn view(&self, _id: ObjectId) -> Option<Arc<QueryExpr>> {
        None
    }
    fn indexes_on(&self, id: ObjectId) -> Vec<IndexInfo> {
        match id {
            ObjectId::User(1) => {
                vec![IndexInfo { index: ObjectId::User(11), key: vec![ScalarExpr::Column(0)] }]
            }
            _ => Vec::new(),
        }
    }
    fn is_base(&self, _id: ObjectId) -> bool {
        true
    }
    fn arity(&self, _id: ObjectId) -> usize {
        2
    }
    fn keys(&self, id: ObjectId) -> Vec<Vec<usize>> {
        if id == KEYED { vec![vec![0]] } else { Vec::new() }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 16) % limit as u64) as usize
    }
}

fn int() -> ColumnType {
    ColumnType::new(ScalarType::Int8)
}

fn call(id: &str, arguments: Vec<QueryScalar>) -> QueryScalar {
    let function = FunctionRef::by_id(id).unwrap();
    QueryScalar::Call { function, arguments, typ: ColumnType::new(ScalarType::Bool) }
}

/// A column of some scope; `scopes` holds the arity of each, innermost last.
fn operand(random: &mut Random, scopes: &[usize]) -> QueryScalar {
    let level = random.below(scopes.len()).min(random.below(scopes.len()));
    let arity = scopes[scopes.len() - 1 - level];
    if arity == 0 || random.below(5) == 0 {
        let literal = Row::pack([Datum::Int(random.below(4) as i64)]);
        return QueryScalar::Literal(Ok(literal), int().nullable(false));
    }
    QueryScalar::Column(ColumnRef { level, column: random.below(arity) })
}

fn predicate(random: &mut Random, scopes: &[usize], fuel: usize) -> QueryScalar {
    match random.below(if fuel == 0 { 6 } else { 10 }) {
        0..=2 => call("int8eq", vec![operand(random, scopes), operand(random, scopes)]),
        3 => call("int8lt", vec![operand(random, scopes), operand(random, scopes)]),
        4 => QueryScalar::IsNull(Box::new(operand(random, scopes))),
        5 => QueryScalar::Or(vec![
            call("int8eq", vec![operand(random, scopes), operand(random, scopes)]),
            call("int8eq", vec![operand(random, scopes), operand(random, scopes)]),
        ]),
        6 => QueryScalar::Exists(Box::new(query(random, scopes, fuel - 1).0)),
        7 => tied(random, scopes, fuel - 1),
        8 => QueryScalar::Not(Box::new(predicate(random, scopes, fuel - 1))),
        _ => {
            let left = scalar(random, scopes, fuel - 1);
            call("int8eq", vec![left, operand(random, scopes)])
        }
    }
}

/// EXISTS with equalities to columns around: mostly a semijoin.
fn tied(random: &mut Random, scopes: &[usize], fuel: usize) -> QueryScalar {
    let (mut relation, arity) = query(random, scopes, fuel);
    let mut inner = scopes.to_vec();
    inner.push(arity);
    let mut predicates = Vec::new();
    for _ in 0..1 + random.below(2) {
        let level = 1 + random.below(scopes.len()).min(random.below(scopes.len()));
        let around = inner[inner.len() - 1 - level];
        if around > 0 {
            let column = ColumnRef { level: 0, column: random.below(arity) };
            let outer = ColumnRef { level, column: random.below(around) };
            let (column, outer) = (QueryScalar::Column(column), QueryScalar::Column(outer));
            let sides = if random.below(2) == 0 { [column, outer] } else { [outer, column] };
            predicates.push(call("int8eq", sides.to_vec()));
        }
    }
    if random.below(2) == 0 {
        predicates.push(predicate(random, &inner, fuel));
    }
    if random.below(2) == 0 {
        let outputs = (0..arity).map(|_| random.below(arity)).collect();
        relation = QueryExpr::Project { input: Box::new(relation), outputs };
    }
    relation = QueryExpr::Filter { input: Box::new(relation), predicates };
    if random.below(3) == 0 {
        let literal = QueryScalar::Literal(Ok(Row::pack([Datum::Int(1)])), int().nullable(false));
        relation = QueryExpr::Map { input: Box::new(relation), scalars: vec![literal] };
        relation = QueryExpr::Project { input: Box::new(relation), outputs: vec![arity] };
    }
    let exists = QueryScalar::Exists(Box::new(relation));
    if random.below(2) == 0 { exists } else { QueryScalar::Not(Box::new(exists)) }
}

fn scalar(random: &mut Random, scopes: &[usize], fuel: usize) -> QueryScalar {
    if fuel == 0 || random.below(2) == 0 {
        return operand(random, scopes);
    }
    // One row for sure: an aggregate without key.
    let (input, arity) = query(random, scopes, fuel - 1);
    QueryScalar::Subquery(Box::new(total(random, input, arity, scopes)))
}

fn total(random: &mut Random, input: QueryExpr, arity: usize, scopes: &[usize]) -> QueryExpr {
    let kinds = [AggregateKind::Count, AggregateKind::Min, AggregateKind::Max];
    let mut inner = scopes.to_vec();
    inner.push(arity);
    let argument = operand(random, &inner);
    let kind = kinds[random.below(3)].clone();
    let aggregates =
        vec![QueryAggregate { kind, argument, distinct: false, order: Vec::new(), typ: int() }];
    QueryExpr::Reduce { input: Box::new(input), group_key: Vec::new(), aggregates }
}

/// A window over a query, with two calls: one tells ties apart, the other has a frame.
fn window(random: &mut Random, input: Box<QueryExpr>, arity: usize) -> QueryExpr {
    let direction =
        SortDirection { descending: random.below(2) == 0, nulls_first: random.below(2) == 0 };
    let order_by = vec![ColumnOrder { column: random.below(arity), direction }];
    let partition_by = if random.below(2) == 0 { vec![random.below(arity)] } else { Vec::new() };
    let units = [FrameUnits::Rows, FrameUnits::Range, FrameUnits::Groups][random.below(3)];
    let functions = [
        WindowFunction::RowNumber,
        WindowFunction::Lag,
        WindowFunction::Aggregate(AggregateKind::SumInt),
        WindowFunction::Aggregate(AggregateKind::Count),
    ];
    let mut call = || {
        let function = functions[random.below(4)].clone();
        let arguments = match function {
            WindowFunction::RowNumber => Vec::new(),
            _ => vec![WindowArgument::Column(random.below(arity))],
        };
        let frame = WindowFrame { units, ..WindowFrame::unspecified() };
        WindowCall { function, arguments, ignore_nulls: false, frame, typ: int() }
    };
    let calls = vec![call(), call()];
    QueryExpr::Window { input, partition_by, order_by, calls }
}

/// A query inside these scopes, and its arity.
fn query(random: &mut Random, scopes: &[usize], fuel: usize) -> (QueryExpr, usize) {
    if fuel == 0 {
        let id = Id::Global(ObjectId::User(random.below(2) as u64));
        return (QueryExpr::Get { id, typ: RelationType::new(vec![int(), int()]) }, 2);
    }
    let (input, arity) = query(random, scopes, fuel - 1);
    let mut inner = scopes.to_vec();
    inner.push(arity);
    let boxed = Box::new(input);
    match random.below(11) {
        10 => (window(random, boxed, arity), arity + 2),
        0 | 1 => {
            let predicates = vec![predicate(random, &inner, fuel - 1)];
            (QueryExpr::Filter { input: boxed, predicates }, arity)
        }
        2 => {
            let scalars = vec![scalar(random, &inner, fuel - 1)];
            (QueryExpr::Map { input: boxed, scalars }, arity + 1)
        }
        3..=5 => {
            let lateral = random.below(3) == 0;
            let (right, more) = match lateral {
                true => query(random, &inner, fuel - 1),
                false => query(random, scopes, fuel - 1),
            };
            let kinds = [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full];
            let kind = kinds[random.below(if lateral { 2 } else { 4 })];
            inner.pop();
            inner.push(arity + more);
            let on = predicate(random, &inner, (fuel - 1).min(1));
            let right = Box::new(right);
            (QueryExpr::Join { left: boxed, right, on, kind, lateral }, arity + more)
        }
        6 => (QueryExpr::Distinct { input: boxed }, arity),
        7 => match *boxed {
            input if random.below(2) == 0 => (total(random, input, arity, scopes), 1),
            input => {
                let mut reduced = total(random, input, arity, scopes);
                if let QueryExpr::Reduce { group_key, .. } = &mut reduced {
                    group_key.push(random.below(arity));
                }
                (reduced, 2)
            }
        },
        8 => {
            let direction = SortDirection {
                descending: random.below(2) == 0,
                nulls_first: random.below(2) == 0,
            };
            let order_by = vec![ColumnOrder { column: random.below(arity), direction }];
            let limit = Row::pack([Datum::Int(1 + random.below(2) as i64)]);
            let limit = Some(QueryScalar::Literal(Ok(limit), int().nullable(false)));
            let group_key = if random.below(2) == 0 { vec![0] } else { Vec::new() };
            let offset = random.below(2) as u64;
            (QueryExpr::TopK { input: boxed, group_key, order_by, limit, offset }, arity)
        }
        _ => {
            let other = QueryExpr::Filter {
                predicates: vec![predicate(random, &inner, 0)],
                input: boxed.clone(),
            };
            if random.below(2) == 0 {
                return (QueryExpr::Union { inputs: vec![*boxed, other] }, arity);
            }
            let negated = QueryExpr::Negate { input: Box::new(other) };
            let union = QueryExpr::Union { inputs: vec![*boxed, negated] };
            (QueryExpr::Threshold { input: Box::new(union) }, arity)
        }
    }
}

fn table(random: &mut Random, keyed: bool) -> Vec<(Row, Diff)> {
    (0..random.below(5))
        .map(|number| {
            let mut value = || match random.below(4) {
                3 => Datum::Null,
                number => Datum::Int(number as i64),
            };
            let (first, second) = (value(), value());
            (Row::pack([if keyed { Datum::Int(number as i64) } else { first }, second]), 1)
        })
        .collect()
}

#[test]
fn all_forms_agree() {
    for seed in 1..600_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let fuel = 1 + random.below(3);
        let (query, arity) = query(&mut random, &[], fuel);
        check(seed, &mut random, &query, arity);
    }
}

#[test]
fn semijoins_agree() {
    for seed in 1..600_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let fuel = random.below(2);
        let (input, arity) = query(&mut random, &[], fuel);
        let fuel = random.below(2);
        let predicates = vec![tied(&mut random, &[arity], fuel)];
        let query = QueryExpr::Filter { input: Box::new(input), predicates };
        check(seed, &mut random, &query, arity);
    }
}

/// All forms of a query give the same rows.
fn check(seed: u64, random: &mut Random, query: &QueryExpr, arity: usize) {
    let mut collections = BTreeMap::new();
    for id in 0..2 {
        let id = ObjectId::User(id);
        collections.insert(Id::Global(id), table(random, id == KEYED));
    }
    let expected = naive::rows(query, &mut Vec::new(), &collections);
    if let Some(sunk) = tidemill_optimize::sink::sink(query, &Tables) {
        let found = naive::rows(&sunk, &mut Vec::new(), &collections);
        assert_eq!(found, expected, "sinking, seed {seed}: {query:#?}\n{sunk:#?}");
    }
    let flat = decorrelate::decorrelate(query, &Tables).unwrap();
    assert_eq!(flat.arity(), arity, "seed {seed}: {query:?}");
    let text = |r: &_| tidemill_plan::explain::explain_relation(r, &tidemill_plan::explain::by_id);
    let found = evaluate(&flat, &collections).unwrap();
    assert_eq!(found, expected, "decorrelation, seed {seed}: {query:#?}\n{}", text(&flat));
    for (name, step) in tidemill_optimize::REWRITES.iter().chain(tidemill_optimize::LAST) {
        let mut changed = flat.clone();
        step(&mut changed);
        let found = evaluate(&changed, &collections).unwrap();
        assert_eq!(found, expected, "{name}, seed {seed}\n{}\n{}", text(&flat), text(&changed));
    }
    let mut best = flat.clone();
    rewrite(&mut best);
    let found = evaluate(&best, &collections).unwrap();
    assert_eq!(found, expected, "rewrites, seed {seed}\n{}\n{}", text(&flat), text(&best));
    let id = ObjectId::Transient(1);
    let dataflow = physical(&[(id, best.clone())], &Tables).unwrap();
    let plan = &dataflow.objects[0].1;
    let found = evaluate(&undo::relation(plan), &collections).unwrap();
    let plan_text = tidemill_plan::explain::explain_physical(plan, &tidemill_plan::explain::by_id);
    assert_eq!(found, expected, "lowering, seed {seed}\n{}\n{plan_text}", text(&best));
}
