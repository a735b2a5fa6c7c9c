//! Operators against a plain recomputation, over random updates with retractions.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::collections::BTreeMap;

use common::*;
use proptest::prelude::{ProptestConfig, Strategy, prop, proptest};
use tidemill_compute::Replica;
use tidemill_expr::{AggregateKind, ScalarExpr};
use tidemill_plan::physical::{MapFilterProject, PhysicalPlan};
use tidemill_plan::{ColumnOrder, Id, LocalId};
use tidemill_repr::{ColumnType, Datum, Diff, ObjectId, Row, ScalarType};

/// Content of the two tables: (table, first column, second column) as a multiset.
type Content = BTreeMap<(usize, i64, i64), Diff>;
type Pairs = Vec<(i64, i64)>;

/// Adds, or takes one away that is there.
#[derive(Clone, Debug)]
enum Change {
    Add(usize, i64, i64),
    Take(usize),
}

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let add = (0..2usize, 0..4i64, -20..20i64).prop_map(|(table, a, b)| Change::Add(table, a, b));
    let take = (0..1000usize).prop_map(Change::Take);
    prop::collection::vec(
        prop::collection::vec(prop::strategy::Union::new([add.boxed(), take.boxed()]), 1..8),
        1..6,
    )
}

fn apply(content: &mut Content, commit: &[Change]) -> Vec<(ObjectId, Vec<(Row, Diff)>)> {
    let mut rows = [Vec::new(), Vec::new()];
    for change in commit {
        let (row, diff) = match change {
            Change::Add(table, a, b) => ((*table, *a, *b), 1),
            Change::Take(_) if content.is_empty() => continue,
            Change::Take(n) => (*content.keys().nth(n % content.len()).unwrap(), -1),
        };
        let count = content.entry(row).or_default();
        *count += diff;
        if *count == 0 {
            content.remove(&row);
        }
        rows[row.0].push((ints(&[row.1, row.2]), diff));
    }
    let [table, other] = rows;
    vec![(TABLE, table), (OTHER, other)]
}

fn table(content: &Content, table: usize) -> Pairs {
    let of_table = content.iter().filter(|((t, _, _), _)| *t == table);
    of_table.flat_map(|((_, a, b), n)| std::iter::repeat_n((*a, *b), *n as usize)).collect()
}

fn groups(pairs: &Pairs) -> BTreeMap<i64, Vec<i64>> {
    let mut groups: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (a, b) in pairs {
        groups.entry(*a).or_default().push(*b);
    }
    groups
}

fn counted(rows: impl IntoIterator<Item = Row>) -> BTreeMap<Row, Diff> {
    let mut counted = BTreeMap::new();
    for row in rows {
        *counted.entry(row).or_default() += 1;
    }
    counted
}

/// Runs the plan over the commits and compares its content at each tick with `expected`.
fn check(
    replica: &Replica,
    flow: u64,
    (plan, arity): (PhysicalPlan, usize),
    commits: &[Vec<Change>],
    expected: impl Fn(&Pairs, &Pairs) -> Vec<Row>,
) {
    let mut description = view(plan, arity);
    description.id = ObjectId::Transient(flow);
    create(replica, description);
    let reader = replica.index(INDEX).unwrap();
    let mut content = Content::new();
    let initial = apply(&mut content, &commits[0]);
    for (id, rows) in &initial {
        hydrate(replica, ObjectId::Transient(flow), *id, rows, true);
    }
    let mut contents = vec![content.clone()];
    for (n, commit) in commits.iter().enumerate().skip(1) {
        update(replica, 10 + n as u64, &apply(&mut content, commit));
        contents.push(content.clone());
    }
    for (n, content) in contents.iter().enumerate() {
        let read = scan(&reader, 10 + n as u64).unwrap();
        let wanted = counted(expected(&table(content, 0), &table(content, 1)));
        assert_eq!(read, wanted, "at tick {}", 10 + n);
    }
    replica.send(tidemill_compute::Command::Drop { dataflow: ObjectId::Transient(flow) });
}

fn all_aggregates() -> (PhysicalPlan, usize) {
    let aggregates = vec![
        aggregate(AggregateKind::Max, 1, false),
        aggregate(AggregateKind::Count, 1, false),
        aggregate(AggregateKind::Count, 1, true),
        aggregate(AggregateKind::Min, 1, false),
        aggregate(AggregateKind::SumInt, 1, false),
        aggregate(AggregateKind::SumInt, 1, true),
    ];
    (reduce(get(TABLE, 2), 2, aggregates), 7)
}

fn all_aggregates_plainly(pairs: &Pairs) -> Vec<Row> {
    let mut rows = Vec::new();
    for (key, values) in groups(pairs) {
        let mut once = values.clone();
        once.sort_unstable();
        once.dedup();
        rows.push(ints(&[
            key,
            *once.last().unwrap(),
            values.len() as i64,
            once.len() as i64,
            once[0],
            values.iter().sum(),
            once.iter().sum(),
        ]));
    }
    rows
}

fn top_two() -> (PhysicalPlan, usize) {
    let direction = tidemill_expr::aggregate::SortDirection { descending: true, nulls_first: true };
    let limit =
        ScalarExpr::Literal(Ok(Row::pack([Datum::Int(2)])), ColumnType::new(ScalarType::Int8));
    let plan = PhysicalPlan::TopK {
        input: Box::new(get(TABLE, 2)),
        arity: 2,
        group_key: vec![0],
        order_by: vec![ColumnOrder { column: 1, direction }],
        limit: Some(limit),
        offset: 1,
    };
    (plan, 2)
}

fn top_two_plainly(pairs: &Pairs) -> Vec<Row> {
    let mut rows = Vec::new();
    for (key, mut values) in groups(pairs) {
        values.sort_unstable_by(|a, b| b.cmp(a));
        rows.extend(values.iter().skip(1).take(2).map(|value| ints(&[key, *value])));
    }
    rows
}

/// TABLE EXCEPT ALL OTHER.
fn except_all() -> (PhysicalPlan, usize) {
    let negated = PhysicalPlan::Negate { input: Box::new(get(OTHER, 2)) };
    let union = PhysicalPlan::Union { inputs: vec![get(TABLE, 2), negated] };
    (PhysicalPlan::Threshold { input: Box::new(union), arity: 2 }, 2)
}

fn except_all_plainly(left: &Pairs, right: &Pairs) -> Vec<Row> {
    let mut left = left.clone();
    for pair in right {
        if let Some(position) = left.iter().position(|other| other == pair) {
            left.remove(position);
        }
    }
    left.iter().map(|(a, b)| ints(&[*a, *b])).collect()
}

/// Rows of TABLE whose first column is 2, read from an arrangement under a Let, and distinct.
fn literal() -> (PhysicalPlan, usize) {
    let id = LocalId(1);
    let arranged =
        PhysicalPlan::ArrangeBy { input: Box::new(get(TABLE, 2)), keys: vec![key(&[0])], arity: 2 };
    let read = PhysicalPlan::Get {
        id: Id::Local(id),
        key: Some(key(&[0])),
        literal: Some(ints(&[2])),
        mfp: MapFilterProject { projection: vec![1], ..MapFilterProject::identity(2) },
    };
    let body = reduce(read, 1, vec![]);
    (PhysicalPlan::Let { id, value: Box::new(arranged), body: Box::new(body) }, 1)
}

fn literal_plainly(pairs: &Pairs) -> Vec<Row> {
    let mut values: Vec<i64> = pairs.iter().filter(|(a, _)| *a == 2).map(|(_, b)| *b).collect();
    values.sort_unstable();
    values.dedup();
    values.iter().map(|value| ints(&[*value])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn operators_agree_with_recomputation(commits in changes(), workers in 1..3usize) {
        let replica = Replica::start(workers).unwrap();
        check(&replica, 1, all_aggregates(), &commits, |t, _| all_aggregates_plainly(t));
        check(&replica, 2, top_two(), &commits, |t, _| top_two_plainly(t));
        check(&replica, 3, except_all(), &commits, except_all_plainly);
        check(&replica, 4, literal(), &commits, |t, _| literal_plainly(t));
    }
}
