//! Window calls: for each outer row on its own, which the partition sees to.

use tidemill_expr::{ScalarExpr, WindowCall};
use tidemill_plan::{ColumnOrder, QueryExpr, RelationExpr};
use tidemill_repr::SqlError;

use super::{Decorrelation, Outer};
use crate::equality::{canonical, needs_canonical};

/// The parts of a query's Window.
pub(super) struct Window<'q> {
    pub(super) partition_by: &'q [usize],
    pub(super) order_by: &'q [ColumnOrder],
    pub(super) calls: &'q [WindowCall],
}

impl Decorrelation<'_> {
    pub(super) fn window(
        &mut self,
        input: &QueryExpr,
        window: &Window<'_>,
        outer: &Outer,
    ) -> Result<RelationExpr, SqlError> {
        let width = outer.arity();
        let mut relation = self.apply(input, outer)?;
        let arity = relation.arity();
        let types = relation.typ().columns;
        let mut partition_by: Vec<usize> = (0..width).collect();
        for column in window.partition_by {
            let column = width + column;
            let typ = &types[column];
            if needs_canonical(typ) {
                partition_by.push(relation.arity());
                let folded = canonical(ScalarExpr::Column(column), typ);
                relation = relation.map(vec![folded]);
            } else {
                partition_by.push(column);
            }
        }
        let shifted = |call: &WindowCall| {
            let mut call = call.clone();
            call.map_columns(&|column| width + column);
            call
        };
        let start = relation.arity();
        let order = |key: &ColumnOrder| ColumnOrder {
            column: width + key.column,
            direction: key.direction,
        };
        let relation = RelationExpr::Window {
            partition_by,
            order_by: window.order_by.iter().map(order).collect(),
            calls: window.calls.iter().map(shifted).collect(),
            input: Box::new(relation),
        };
        let added = start..start + window.calls.len();
        Ok(relation.project((0..arity).chain(added).collect()))
    }
}
