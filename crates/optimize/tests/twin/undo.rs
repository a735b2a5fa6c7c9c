//! Physical plans as relations again, so that the oracle can run them.

use tidemill_expr::ScalarExpr;
use tidemill_plan::physical::{MapFilterProject, PhysicalPlan};
use tidemill_plan::{RelationExpr, RelationType};
use tidemill_repr::{ColumnType, ScalarType};

fn columns(arity: usize) -> Vec<ColumnType> {
    vec![ColumnType::new(ScalarType::Int8); arity]
}

fn work(input: RelationExpr, mfp: &MapFilterProject) -> RelationExpr {
    // Not through the constructors: they compose, and would hide a wrong arity.
    let map = RelationExpr::Map { input: Box::new(input), scalars: mfp.scalars.clone() };
    let predicates = mfp.predicates.iter().map(|(_, predicate)| predicate.clone()).collect();
    let filter = RelationExpr::Filter { input: Box::new(map), predicates };
    RelationExpr::Project { input: Box::new(filter), outputs: mfp.projection.clone() }
}

pub fn relation(plan: &PhysicalPlan) -> RelationExpr {
    let boxed = |plan: &PhysicalPlan| Box::new(relation(plan));
    match plan {
        PhysicalPlan::Constant { rows } => {
            RelationExpr::Constant { rows: rows.clone(), typ: RelationType::default() }
        }
        PhysicalPlan::Get { id, key, literal, mfp } => {
            let get =
                RelationExpr::Get { id: *id, typ: RelationType::new(columns(mfp.input_arity)) };
            let Some(row) = literal else { return work(get, mfp) };
            let key = key.as_ref().unwrap().0[0].clone();
            let literal = ScalarExpr::Literal(Ok(row.clone()), ColumnType::new(ScalarType::Int8));
            let found =
                RelationExpr::Join { inputs: vec![get], equivalences: vec![vec![key, literal]] };
            work(found, mfp)
        }
        PhysicalPlan::Let { id, value, body } => {
            RelationExpr::Let { id: *id, value: boxed(value), body: boxed(body) }
        }
        PhysicalPlan::LetRec { .. } => panic!("no recursions here"),
        PhysicalPlan::Mfp { input, mfp } => work(relation(input), mfp),
        PhysicalPlan::TemporalFilter { .. } => panic!("no time here"),
        PhysicalPlan::FlatMap { .. } => panic!("no table functions here"),
        PhysicalPlan::Join(join) => {
            let mut stream = work(relation(&join.source), &join.source_mfp);
            let mut arity = join.source_mfp.projection.len();
            for stage in &join.stages {
                let equivalences = stage
                    .stream_key
                    .iter()
                    .zip(&stage.lookup_key)
                    .map(|(left, right)| {
                        let mut right = right.clone();
                        right.map_columns(&|column| column + arity);
                        vec![left.clone(), right]
                    })
                    .collect();
                assert_eq!(stage.stream_key.len(), stage.lookup_key.len());
                let inputs = vec![stream, relation(&stage.lookup)];
                stream = work(RelationExpr::Join { inputs, equivalences }, &stage.mfp);
                arity = stage.mfp.projection.len();
            }
            stream
        }
        PhysicalPlan::Reduce(reduce) => {
            let input = Box::new(work(relation(&reduce.input), &reduce.input_mfp));
            let reduced = RelationExpr::Reduce {
                input,
                group_key: reduce.key.clone(),
                aggregates: reduce.aggregates.clone(),
                typ: columns(reduce.aggregates.len()),
            };
            work(reduced, &reduce.mfp)
        }
        PhysicalPlan::TopK { input, group_key, order_by, limit, offset, .. } => {
            RelationExpr::TopK {
                input: boxed(input),
                group_key: group_key.clone(),
                order_by: order_by.clone(),
                limit: limit.clone(),
                offset: *offset,
            }
        }
        PhysicalPlan::Window { input, partition_by, order_by, calls, .. } => RelationExpr::Window {
            input: boxed(input),
            partition_by: partition_by.clone(),
            order_by: order_by.clone(),
            calls: calls.clone(),
        },
        PhysicalPlan::Negate { input } => RelationExpr::Negate { input: boxed(input) },
        PhysicalPlan::Threshold { input, .. } => RelationExpr::Threshold { input: boxed(input) },
        PhysicalPlan::Union { inputs } => RelationExpr::Union {
            inputs: inputs.iter().map(relation).collect(),
            typ: RelationType::default(),
        },
        PhysicalPlan::ArrangeBy { input, .. } => relation(input),
    }
}
