//! Reads that need no dataflow: known rows, and one arrangement with row-wise work on the way.

use std::ops::Bound;

use tidemill_expr::EvalError;
use tidemill_plan::physical::MapFilterProject;
use tidemill_plan::{Id, RelationExpr};
use tidemill_repr::{Diff, ObjectId, Row};

use crate::definitions::Definitions;
use crate::lowering::{access, row_wise};
use crate::stack::{is_small, with_stack};

/// A read that a session does by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeekPlan {
    /// The rows are known.
    Constant {
        /// The rows, or the error that is the answer.
        rows: Result<Vec<(Row, Diff)>, EvalError>,
        /// Row-wise work that is left to do.
        mfp: MapFilterProject,
    },
    /// Reads an arrangement.
    Index {
        /// The relation.
        on: ObjectId,
        /// The index or materialized view.
        index: ObjectId,
        /// Which keys.
        access: Access,
        /// Row-wise work on the relation's rows.
        mfp: MapFilterProject,
    },
}

/// Which keys of an arrangement are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// These.
    Point(Vec<Row>),
    /// Those between two bounds, which are compared with the bytes of keys; a bound need not be
    /// a whole row.
    Range {
        /// Where to begin.
        lower: Bound<Row>,
        /// Where to end.
        upper: Bound<Row>,
    },
    /// All.
    Scan,
}

/// The read that answers for a relation, if no dataflow is needed.
pub fn peek_plan(relation: &RelationExpr, definitions: &dyn Definitions) -> Option<PeekPlan> {
    with_stack(is_small(relation), || peek(relation, definitions))
}

fn peek(relation: &RelationExpr, definitions: &dyn Definitions) -> Option<PeekPlan> {
    let (mut mfp, base) = row_wise(relation);
    let (on, typ) = match base {
        RelationExpr::Constant { rows, .. } => {
            return Some(PeekPlan::Constant { rows: rows.clone(), mfp });
        }
        RelationExpr::Get { id: Id::Global(id), typ } => (*id, typ),
        _ => return None,
    };
    let indexes = definitions.indexes_on(on);
    let mut best: Option<(ObjectId, access::Points)> = None;
    for info in &indexes {
        if let Some(points) = access::points(&mfp, &typ.columns, &info.key) {
            let better =
                best.as_ref().is_none_or(|(_, before)| points.keys.len() < before.keys.len());
            if better {
                best = Some((info.index, points));
            }
        }
    }
    if let Some((index, points)) = best {
        access::drop_predicates(&mut mfp, &points.predicates);
        return Some(PeekPlan::Index { on, index, access: Access::Point(points.keys), mfp });
    }
    for info in &indexes {
        if let Some((lower, upper)) = access::range(&mfp, &typ.columns, &info.key) {
            let access = Access::Range { lower, upper };
            return Some(PeekPlan::Index { on, index: info.index, access, mfp });
        }
    }
    let index = indexes.first()?.index;
    Some(PeekPlan::Index { on, index, access: Access::Scan, mfp })
}
