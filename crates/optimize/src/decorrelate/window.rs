//! Window calls: for each outer row on its own, which the partition sees to.

use tidemill_expr::{ScalarExpr, WindowCall};
use tidemill_plan::{ColumnOrder, QueryExpr, RelationExpr};
use tidemill_repr::{ScalarType, SqlError};

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
        let mut fold = |column: usize| {
            let start = relation.arity();
            let folded = canonical(ScalarExpr::Column(column), &types[column]);
            relation = relation.take().map(vec![folded]);
            start
        };
        for column in window.partition_by {
            let column = width + column;
            let folded = needs_canonical(&types[column]);
            partition_by.push(if folded { fold(column) } else { column });
        }
        let mut order_by = Vec::new();
        for key in window.order_by {
            let column = width + key.column;
            // Blanks at the end of character(n) do not count; other types are ordered by value.
            let folded =
                types[column].scalar_type == ScalarType::Bpchar && needs_canonical(&types[column]);
            let column = if folded { fold(column) } else { column };
            order_by.push(ColumnOrder { column, direction: key.direction });
        }
        let shifted = |call: &WindowCall| {
            let mut call = call.clone();
            call.map_columns(&|column| width + column);
            call
        };
        let start = relation.arity();
        let relation = RelationExpr::Window {
            partition_by,
            order_by,
            calls: window.calls.iter().map(shifted).collect(),
            input: Box::new(relation),
        };
        let added = start..start + window.calls.len();
        Ok(relation.project((0..arity).chain(added).collect()))
    }
}
