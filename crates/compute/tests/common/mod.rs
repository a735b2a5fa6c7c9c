//! What the tests of compute share: plans by hand, a replica that is fed.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidemill_compute::{Command, IndexReader, Replica};
use tidemill_expr::{AggregateCall, AggregateKind, EvalError, ScalarExpr};
use tidemill_plan::Id;
use tidemill_plan::physical::{
    ArrangementKey, BaseImport, DataflowDescription, Export, IndexImport, MapFilterProject,
    PhysicalPlan, ReducePlan,
};
use tidemill_repr::{Datum, Diff, ObjectId, Row, RowBatch, Tick};

pub const TABLE: ObjectId = ObjectId::User(1);
pub const OTHER: ObjectId = ObjectId::User(2);
pub const VIEW: ObjectId = ObjectId::User(10);
pub const INDEX: ObjectId = ObjectId::User(20);
pub const FLOW: ObjectId = ObjectId::Transient(1);

pub fn ints(values: &[i64]) -> Row {
    Row::pack(values.iter().map(|value| Datum::Int(*value)))
}

pub fn column(position: usize) -> ScalarExpr {
    ScalarExpr::Column(position)
}

pub fn key(columns: &[usize]) -> ArrangementKey {
    ArrangementKey(columns.iter().map(|position| column(*position)).collect())
}

pub fn get(id: ObjectId, arity: usize) -> PhysicalPlan {
    let mfp = MapFilterProject::identity(arity);
    PhysicalPlan::Get { id: Id::Global(id), key: None, literal: None, mfp }
}

pub fn base(id: ObjectId, arity: usize) -> BaseImport {
    BaseImport { id, arity }
}

pub fn index(on: ObjectId, columns: &[usize], arity: usize) -> Export {
    Export::Index { id: INDEX, on, key: key(columns), arity }
}

/// A view over TABLE and OTHER (two columns each), indexed by its first column.
pub fn view(plan: PhysicalPlan, arity: usize) -> DataflowDescription {
    DataflowDescription {
        id: FLOW,
        as_of: Tick(10),
        until: None,
        base_imports: vec![base(TABLE, 2), base(OTHER, 2)],
        followed: Default::default(),
        moved_by: Default::default(),
        every_tick: false,
        index_imports: vec![],
        objects: vec![(VIEW, plan)],
        exports: vec![index(VIEW, &[0], arity)],
    }
}

pub fn import(index: ObjectId, on: ObjectId, columns: &[usize], arity: usize) -> IndexImport {
    IndexImport { index, on, key: key(columns), arity }
}

pub fn aggregate(kind: AggregateKind, argument: usize, distinct: bool) -> AggregateCall {
    AggregateCall { kind, argument: column(argument), distinct, order: vec![] }
}

pub fn reduce(input: PhysicalPlan, arity: usize, aggregates: Vec<AggregateCall>) -> PhysicalPlan {
    PhysicalPlan::Reduce(Box::new(ReducePlan {
        input,
        input_mfp: MapFilterProject::identity(arity),
        key: vec![column(0)],
        mfp: MapFilterProject::identity(1 + aggregates.len()),
        aggregates,
    }))
}

pub fn batch(rows: &[(Row, Diff)]) -> Arc<RowBatch> {
    let mut batch = RowBatch::new();
    for (row, diff) in rows {
        batch.push(row.as_ref(), *diff);
    }
    Arc::new(batch)
}

pub fn create(replica: &Replica, description: DataflowDescription) {
    replica.send(Command::CreateDataflow(Arc::new(description)));
}

pub fn hydrate(replica: &Replica, flow: ObjectId, id: ObjectId, rows: &[(Row, Diff)], last: bool) {
    let rows = batch(rows);
    replica.send(Command::Hydrate { dataflow: flow, collection: id, rows, errors: vec![], last });
}

pub fn update(replica: &Replica, tick: u64, updates: &[(ObjectId, Vec<(Row, Diff)>)]) {
    let updates = updates.iter().map(|(id, rows)| (*id, batch(rows))).collect();
    replica.send(Command::Updates {
        tick: Tick(tick),
        updates: Arc::new(updates),
        errors: Arc::new(vec![]),
    });
}

/// Waits on a runtime of its own; a test that hangs fails.
pub fn wait_for(reader: &IndexReader, tick: u64) -> Result<(), EvalError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime
        .block_on(async {
            tokio::time::timeout(Duration::from_secs(20), reader.wait_for(Tick(tick))).await
        })
        .expect("the index does not get there")
}

pub fn scan(reader: &IndexReader, tick: u64) -> Result<BTreeMap<Row, Diff>, EvalError> {
    wait_for(reader, tick)?;
    scan_now(reader, tick)
}

/// Without waiting.
pub fn scan_now(reader: &IndexReader, tick: u64) -> Result<BTreeMap<Row, Diff>, EvalError> {
    let mut rows = BTreeMap::new();
    for (row, diff) in reader.scan(Tick(tick))? {
        *rows.entry(row).or_default() += diff;
    }
    Ok(rows)
}

pub fn rows(expected: &[&[i64]]) -> BTreeMap<Row, Diff> {
    let mut rows = BTreeMap::new();
    for row in expected {
        *rows.entry(ints(row)).or_default() += 1;
    }
    rows
}
