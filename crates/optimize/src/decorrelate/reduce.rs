//! Grouping: by canonical keys, for each outer row on its own.

use tidemill_expr::{AggregateCall, AggregateKind, ScalarExpr};
use tidemill_plan::query::QueryAggregate;
use tidemill_plan::{ColumnOrder, QueryExpr, QueryScalar, RelationExpr};
use tidemill_repr::{ColumnType, SqlError};

use super::subqueries::with_key;
use super::{Decorrelation, Outer};
use crate::equality::{canonical, needs_canonical};

/// What a TopK orders by and keeps.
pub(super) struct Order<'q> {
    pub(super) group_key: &'q [usize],
    pub(super) order_by: &'q [ColumnOrder],
    pub(super) limit: Option<&'q QueryScalar>,
    pub(super) offset: u64,
}

impl Decorrelation<'_> {
    pub(super) fn reduce(
        &mut self,
        input: &QueryExpr,
        group_key: &[usize],
        aggregates: &[QueryAggregate],
        outer: &Outer,
    ) -> Result<RelationExpr, SqlError> {
        let width = outer.arity();
        let mut rows = self.rows(input, outer)?;
        let mut calls = Vec::new();
        for aggregate in aggregates {
            let argument = self.scalar(&aggregate.argument, &mut rows, outer)?;
            calls.push((argument, aggregate));
        }
        let columns = rows.relation.typ().columns;
        let calls = calls
            .into_iter()
            .map(|(argument, aggregate)| {
                let typ = argument.typ(&columns);
                // Equal values count once; min and max show one of them as it is.
                // What shows the values as they are compares them by itself.
                let fold = aggregate.distinct
                    && aggregate.kind != AggregateKind::SumInterval
                    && !aggregate.kind.takes_record()
                    && needs_canonical(&typ);
                AggregateCall {
                    kind: aggregate.kind.clone(),
                    argument: if fold { canonical(argument, &typ) } else { argument },
                    distinct: aggregate.distinct,
                    order: aggregate.order.clone(),
                }
            })
            .collect();
        let key = (0..width).chain(group_key.iter().map(|column| rows.slots[*column]));
        let types = aggregates.iter().map(|aggregate| aggregate.typ.clone()).collect();
        let reduced = grouped(rows.relation, key.collect(), width, calls, types);
        if !group_key.is_empty() {
            return Ok(reduced);
        }
        // Without a group key there is one row even over nothing.
        let id = self.fresh();
        let get = RelationExpr::local(id, reduced.typ());
        let found = get.clone().project((0..width).collect());
        let missing = RelationExpr::union(vec![outer.relation.clone(), found.negate()]);
        let defaults = aggregates.iter().map(over_nothing).collect();
        let all = RelationExpr::union(vec![get, missing.map(defaults)]);
        Ok(RelationExpr::bind(id, reduced, with_key(all, width)))
    }

    pub(super) fn top(
        &mut self,
        input: &QueryExpr,
        order: &Order<'_>,
        outer: &Outer,
    ) -> Result<RelationExpr, SqlError> {
        let width = outer.arity();
        let mut rows = self.rows(input, outer)?;
        let limit = match order.limit {
            Some(limit) => Some(self.scalar(limit, &mut rows, outer)?),
            None => None,
        };
        let mut group_key: Vec<usize> = (0..width).collect();
        for column in order.group_key {
            let column = rows.slots[*column];
            let typ = rows.relation.typ().columns.swap_remove(column);
            if needs_canonical(&typ) {
                group_key.push(rows.relation.arity());
                let folded = canonical(ScalarExpr::Column(column), &typ);
                rows.relation = rows.relation.map(vec![folded]);
            } else {
                group_key.push(column);
            }
        }
        // A limit is the same for the whole group: its columns may be part of the key.
        for column in limit.iter().flat_map(ScalarExpr::support) {
            if !group_key.contains(&column) {
                group_key.push(column);
            }
        }
        let slot = |key: &ColumnOrder| ColumnOrder { column: rows.slots[key.column], ..*key };
        let top = RelationExpr::TopK {
            group_key,
            order_by: order.order_by.iter().map(slot).collect(),
            limit,
            offset: order.offset,
            input: Box::new(rows.relation),
        };
        Ok(top.project((0..width).chain(rows.slots).collect()))
    }

    /// Positive counts. Where equal rows may have different bytes they are counted together,
    /// and one of those that add to the count is shown.
    pub(super) fn threshold(&mut self, input: RelationExpr, width: usize) -> RelationExpr {
        let typ = input.typ();
        if !typ.columns.iter().skip(width).any(needs_canonical) {
            return RelationExpr::Threshold { input: Box::new(input) };
        }
        let fold = |relation: RelationExpr| {
            let arity = relation.arity();
            let folded = typ.columns.iter().enumerate().map(|(column, typ)| {
                let expr = ScalarExpr::Column(column);
                if column < width { expr } else { canonical(expr, typ) }
            });
            relation.map(folded.collect()).project((arity..2 * arity).collect())
        };
        let parts = match input {
            RelationExpr::Union { inputs, .. } => inputs,
            other => vec![other],
        };
        let (negative, positive): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| matches!(part, RelationExpr::Negate { .. }));
        let id = self.fresh();
        let positive = RelationExpr::union(positive);
        let get = RelationExpr::local(id, typ.clone());
        let mut parts = vec![fold(get.clone())];
        parts.extend(negative.into_iter().map(fold));
        let kept = RelationExpr::Threshold { input: Box::new(RelationExpr::union(parts)) };
        // Key and shown form of each row, side by side.
        let arity = typ.arity();
        let shown = shown_forms(get, &typ.columns, width);
        let equivalences = (0..arity)
            .map(|column| {
                let typ = &typ.columns[column];
                crate::equality::pair(
                    (ScalarExpr::Column(column), typ),
                    (ScalarExpr::Column(arity + column), typ),
                )
            })
            .collect();
        let joined = RelationExpr::join(vec![kept, shown], equivalences)
            .project((2 * arity..3 * arity).collect());
        RelationExpr::bind(id, positive, joined)
    }
}

/// Each row once; equal ones with different bytes are one row.
pub(super) fn distinct(relation: RelationExpr, width: usize) -> RelationExpr {
    let key = (0..relation.arity()).collect();
    grouped(relation, key, width, Vec::new(), Vec::new())
}

/// For each canonical row: it, and one of the rows with this canonical form.
fn shown_forms(relation: RelationExpr, columns: &[ColumnType], width: usize) -> RelationExpr {
    let arity = columns.len();
    let keys: Vec<ScalarExpr> = columns
        .iter()
        .enumerate()
        .map(|(column, typ)| match column < width {
            true => ScalarExpr::Column(column),
            false => canonical(ScalarExpr::Column(column), typ),
        })
        .collect();
    let folded: Vec<usize> =
        (0..arity).filter(|column| !matches!(keys[*column], ScalarExpr::Column(_))).collect();
    let relation = RelationExpr::Reduce {
        input: Box::new(relation),
        group_key: keys,
        aggregates: folded.iter().map(|column| least(*column)).collect(),
        typ: folded.iter().map(|column| columns[*column].clone()).collect(),
    };
    let shown = (0..arity).map(|column| {
        folded.iter().position(|folded| *folded == column).map_or(column, |at| arity + at)
    });
    relation.project((0..arity).chain(shown).collect())
}

/// Groups by columns (those from `width` on by their canonical form).
fn grouped(
    relation: RelationExpr,
    key: Vec<usize>,
    width: usize,
    mut aggregates: Vec<AggregateCall>,
    mut types: Vec<ColumnType>,
) -> RelationExpr {
    let columns = relation.typ().columns;
    let (keys, calls) = (key.len(), aggregates.len());
    let mut outputs: Vec<usize> = (0..keys + calls).collect();
    let mut group_key = Vec::new();
    for (position, column) in key.into_iter().enumerate() {
        let typ = &columns[column];
        let expr = ScalarExpr::Column(column);
        if position < width || !needs_canonical(typ) {
            group_key.push(expr);
            continue;
        }
        group_key.push(canonical(expr, typ));
        outputs[position] = keys + aggregates.len();
        aggregates.push(least(column));
        types.push(typ.clone());
    }
    let reduced =
        RelationExpr::Reduce { input: Box::new(relation), group_key, aggregates, typ: types };
    reduced.project(outputs)
}

/// One of the values of a column that SQL calls equal.
fn least(column: usize) -> AggregateCall {
    AggregateCall {
        kind: AggregateKind::Min,
        argument: ScalarExpr::Column(column),
        distinct: false,
        order: Vec::new(),
    }
}

/// What an aggregate gives over no rows.
fn over_nothing(aggregate: &QueryAggregate) -> ScalarExpr {
    let datum = aggregate.kind.empty_value();
    let typ = aggregate.typ.clone().nullable(datum.is_null());
    ScalarExpr::Literal(Ok(tidemill_repr::Row::pack([datum])), typ)
}
