//! Reads that need no dataflow: known rows, and one arrangement with row-wise work on the way.

use std::ops::Bound;

use tidemill_expr::{EvalError, ScalarExpr};
use tidemill_plan::physical::MapFilterProject;
use tidemill_plan::{Finishing, Id, RelationExpr};
use tidemill_repr::{ColumnType, Diff, ObjectId, Row};

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
        /// How the order of the keys is the order that is wanted.
        order: Option<KeyOrder>,
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

/// A wanted order that the keys of an arrangement have: a reader that wants the first rows only
/// need not read all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyOrder {
    /// How many of the columns of the wanted order the keys are ordered by, one or more.
    pub columns: usize,
    /// Whether it is their order from the last to the first.
    pub descending: bool,
}

/// The read that answers for a relation whose rows are then finished, if no dataflow is needed.
pub fn peek_plan(
    relation: &RelationExpr,
    finishing: &Finishing,
    definitions: &dyn Definitions,
) -> Option<PeekPlan> {
    with_stack(is_small(relation), || peek(relation, finishing, definitions))
}

fn peek(
    relation: &RelationExpr,
    finishing: &Finishing,
    definitions: &dyn Definitions,
) -> Option<PeekPlan> {
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
        let access = Access::Point(points.keys);
        return Some(PeekPlan::Index { on, index, access, order: None, mfp });
    }
    let ranges = indexes.iter().filter_map(|info| {
        let (lower, upper) = access::range(&mfp, &typ.columns, &info.key)?;
        Some((info, Access::Range { lower, upper }))
    });
    let scans = indexes.iter().map(|info| (info, Access::Scan));
    let mut choice: Option<(ObjectId, Access, Option<KeyOrder>)> = None;
    for (info, access) in ranges.chain(scans) {
        let order = key_order(&mfp, finishing, &typ.columns, &info.key);
        let is_better = match &choice {
            None => true,
            Some((_, Access::Range { .. }, _)) if access == Access::Scan => false,
            Some((.., before)) => before.is_none() && order.is_some(),
        };
        if is_better {
            choice = Some((info.index, access, order));
        }
    }
    let (index, access, order) = choice?;
    Some(PeekPlan::Index { on, index, access, order, mfp })
}

/// How the order of keys is the one that is wanted of the first rows.
fn key_order(
    mfp: &MapFilterProject,
    finishing: &Finishing,
    columns: &[ColumnType],
    key: &[ScalarExpr],
) -> Option<KeyOrder> {
    finishing.limit.as_ref()?;
    let descending = finishing.order_by.first()?.direction.descending;
    let single = access::single(mfp, columns);
    let mut wanted = finishing.order_by.iter().peekable();
    let mut found = 0;
    for expr in key {
        let Some(next) = wanted.peek() else { break };
        let typ = &expr.typ(columns).scalar_type;
        let direction = next.direction;
        // The bytes of NULL are the greatest.
        let fits = direction.descending == descending
            && direction.nulls_first == descending
            && typ.is_byte_ordered()
            && output(mfp, next.column).as_ref() == Some(expr);
        if fits {
            wanted.next();
            found += 1;
            // Values that are equal but differ in bytes would part what follows.
            if typ.has_equal_representations() {
                break;
            }
        } else if !single.contains(expr) {
            break;
        }
    }
    (found > 0).then_some(KeyOrder { columns: found, descending })
}

/// A column of the result as an expression over the input, unless it is over computed columns.
fn output(mfp: &MapFilterProject, column: usize) -> Option<ScalarExpr> {
    let column = *mfp.projection.get(column)?;
    match column.checked_sub(mfp.input_arity) {
        None => Some(ScalarExpr::Column(column)),
        Some(computed) => {
            let expr = mfp.scalars.get(computed)?;
            let is_direct = expr.support().into_iter().all(|column| column < mfp.input_arity);
            is_direct.then(|| expr.clone())
        }
    }
}
