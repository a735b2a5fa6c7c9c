//! Joins: inner, lateral, and those that keep rows without a partner.

use std::collections::BTreeSet;

use tidemill_expr::ScalarExpr;
use tidemill_plan::query::JoinKind;
use tidemill_plan::{QueryExpr, QueryScalar, RelationExpr};
use tidemill_repr::{ColumnType, Datum, Row, SqlError};

use super::{Decorrelation, Outer, Rows, free};
use crate::equality::pair;

/// A join of a query.
#[derive(Clone, Copy)]
pub(super) struct Join<'q> {
    pub(super) left: &'q QueryExpr,
    pub(super) right: &'q QueryExpr,
    pub(super) on: &'q QueryScalar,
    pub(super) kind: JoinKind,
    pub(super) lateral: bool,
}

impl Decorrelation<'_> {
    pub(super) fn join(&mut self, join: Join<'_>, outer: &Outer) -> Result<RelationExpr, SqlError> {
        match (join.kind, join.lateral) {
            (JoinKind::Inner, false) => self.inner_join(join, outer),
            (_, false) => self.outer_join(join, outer),
            (_, true) => self.lateral_join(join, outer),
        }
    }

    fn inner_join(&mut self, join: Join<'_>, outer: &Outer) -> Result<RelationExpr, SqlError> {
        let left_uses = !self.free(join.left, outer.depth).is_empty();
        let right_uses = !self.free(join.right, outer.depth).is_empty();
        let unit = Outer::unit(outer.depth);
        let right = self.apply(join.right, if right_uses { outer } else { &unit })?;
        let joined = if right_uses && !left_uses {
            let left = self.apply(join.left, &unit)?;
            let (width, middle) = (outer.arity(), left.arity());
            let arity = middle + right.arity();
            let outputs = (middle..middle + width).chain(0..middle).chain(middle + width..arity);
            let outputs = outputs.collect();
            RelationExpr::join(vec![left, right], Vec::new()).project(outputs)
        } else {
            let left = self.apply(join.left, outer)?;
            paired(left, right, if right_uses { &outer.columns } else { &[] })
        };
        self.joined_rows(joined, join.on, outer)
    }

    /// Applies the condition to the pairs: (outer, left, right).
    fn joined_rows(
        &mut self,
        joined: RelationExpr,
        on: &QueryScalar,
        outer: &Outer,
    ) -> Result<RelationExpr, SqlError> {
        let slots: Vec<usize> = (outer.arity()..joined.arity()).collect();
        let arity = joined.arity();
        let mut rows = Rows { relation: joined, slots };
        let mut conjuncts = Vec::new();
        free::conjuncts(on, &mut conjuncts);
        for predicate in conjuncts {
            let predicate = self.scalar(predicate, &mut rows, outer)?;
            if !predicate.is_literal_true() {
                rows.relation = rows.relation.filter(vec![predicate]);
            }
        }
        Ok(rows.relation.project((0..arity).collect()))
    }

    /// LEFT, RIGHT, FULL: both sides are bound; the pairs are bound; rows of a side without a
    /// partner are those whose columns in the condition occur in no pair.
    fn outer_join(&mut self, join: Join<'_>, outer: &Outer) -> Result<RelationExpr, SqlError> {
        let width = outer.arity();
        let left = self.apply(join.left, outer)?;
        let right = self.apply(join.right, outer)?;
        let (left_id, right_id) = (self.fresh(), self.fresh());
        let left_get = RelationExpr::local(left_id, left.typ());
        let right_get = RelationExpr::local(right_id, right.typ());
        let pairs = paired(left_get.clone(), right_get.clone(), &outer.columns);
        let pairs = self.joined_rows(pairs, join.on, outer)?;
        let pairs_id = self.fresh();
        let pairs_get = RelationExpr::local(pairs_id, pairs.typ());
        let used = self.free_of_scalar(join.on, outer.depth);
        let left_width = left_get.arity() - width;
        let right_width = right_get.arity() - width;
        let mut parts = vec![pairs_get.clone()];
        if matches!(join.kind, JoinKind::Left | JoinKind::Full) {
            let columns: Vec<usize> = (0..width)
                .chain(
                    (0..left_width)
                        .filter(|c| used.contains(&(outer.depth, *c)))
                        .map(|c| width + c),
                )
                .collect();
            let matched = pairs_get.clone().project(columns.clone()).distinct();
            let alone = self.without(left_get.clone(), &columns, matched);
            parts.push(alone.map(nulls(&right_get.typ().columns[width..])));
        }
        if matches!(join.kind, JoinKind::Right | JoinKind::Full) {
            let own = (0..right_width)
                .filter(|column| used.contains(&(outer.depth, left_width + column)));
            let columns: Vec<usize> = (0..width).chain(own.map(|column| width + column)).collect();
            let in_pairs = columns
                .iter()
                .map(|column| if *column < width { *column } else { column + left_width })
                .collect();
            let matched = pairs_get.clone().project(in_pairs).distinct();
            let alone = self.without(right_get.clone(), &columns, matched);
            let padded = alone.map(nulls(&left_get.typ().columns[width..]));
            let arity = width + right_width;
            let outputs = (0..width).chain(arity..arity + left_width).chain(width..arity).collect();
            parts.push(padded.project(outputs));
        }
        let all = RelationExpr::bind(pairs_id, pairs, RelationExpr::union(parts));
        let all = RelationExpr::bind(right_id, right, all);
        Ok(RelationExpr::bind(left_id, left, all))
    }

    /// The right side is computed for each row of the left one.
    fn lateral_join(&mut self, join: Join<'_>, outer: &Outer) -> Result<RelationExpr, SqlError> {
        let width = outer.arity();
        let left = self.apply(join.left, outer)?;
        if join.kind == JoinKind::Inner {
            let slots = (width..left.arity()).collect();
            let rows = Rows { relation: left, slots };
            let joined = self.branch(&rows, join.right, outer, |_, result, _| Ok(result))?;
            return self.joined_rows(joined, join.on, outer);
        }
        if join.kind != JoinKind::Left {
            return Err(SqlError::internal("a lateral join that keeps rows of its right side"));
        }
        let left_arity = left.arity();
        let left_id = self.fresh();
        let left_get = RelationExpr::local(left_id, left.typ());
        let rows = Rows { relation: left_get.clone(), slots: (width..left_arity).collect() };
        let pairs = self.branch(&rows, join.right, outer, |_, result, _| Ok(result))?;
        let right_columns: Vec<ColumnType> = pairs.typ().columns.split_off(left_arity);
        let pairs = self.joined_rows(pairs, join.on, outer)?;
        let pairs_id = self.fresh();
        let pairs_get = RelationExpr::local(pairs_id, pairs.typ());
        let mut used = self.free_of_scalar(join.on, outer.depth);
        used.extend(self.free(join.right, outer.depth + 1));
        let columns: BTreeSet<usize> = (0..width)
            .chain(
                (0..left_arity - width)
                    .filter(|c| used.contains(&(outer.depth, *c)))
                    .map(|c| width + c),
            )
            .collect();
        let columns: Vec<usize> = columns.into_iter().collect();
        let matched = pairs_get.clone().project(columns.clone()).distinct();
        let alone = self.without(left_get, &columns, matched).map(nulls(&right_columns));
        let all = RelationExpr::union(vec![pairs_get, alone]);
        let all = RelationExpr::bind(pairs_id, pairs, all);
        Ok(RelationExpr::bind(left_id, left, all))
    }
}

/// All pairs of rows that agree on their first columns (which are outer ones); those once.
fn paired(left: RelationExpr, right: RelationExpr, shared: &[ColumnType]) -> RelationExpr {
    let (width, middle) = (shared.len(), left.arity());
    let arity = middle + right.arity();
    let equivalences = shared
        .iter()
        .enumerate()
        .map(|(column, typ)| {
            pair((ScalarExpr::Column(column), typ), (ScalarExpr::Column(middle + column), typ))
        })
        .collect();
    RelationExpr::join(vec![left, right], equivalences)
        .project((0..middle).chain(middle + width..arity).collect())
}

/// NULL for each of these columns.
fn nulls(columns: &[ColumnType]) -> Vec<ScalarExpr> {
    columns
        .iter()
        .map(|typ| ScalarExpr::Literal(Ok(Row::pack([Datum::Null])), typ.clone().nullable(true)))
        .collect()
}
