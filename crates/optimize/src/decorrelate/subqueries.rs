//! Subqueries in expressions: whether there is a row, and the one value.

use tidemill_expr::{AggregateCall, AggregateKind, EvalError, FunctionRef, ScalarExpr};
use tidemill_plan::{QueryExpr, RelationExpr};
use tidemill_repr::{ColumnType, ScalarType, SqlError};

use super::{Decorrelation, Outer, Rows};
use crate::equality::pair;

impl Decorrelation<'_> {
    /// For each outer row: itself, and whether the query gives a row for it.
    pub(super) fn existence(&mut self, result: RelationExpr, inner: &Outer) -> RelationExpr {
        let found = result.project((0..inner.arity()).collect()).distinct();
        let id = self.fresh();
        let get = RelationExpr::local(id, found.typ());
        let missing = RelationExpr::union(vec![inner.relation.clone(), get.clone().negate()]);
        let both = RelationExpr::union(vec![
            get.map(vec![ScalarExpr::literal_true()]),
            missing.map(vec![ScalarExpr::literal_false()]),
        ]);
        RelationExpr::bind(id, found, with_key(both, inner.arity()))
    }

    /// For each outer row: itself, and the query's one value for it; NULL if there is none, an
    /// error if there are several.
    pub(super) fn single_value(&mut self, result: RelationExpr, inner: &Outer) -> RelationExpr {
        let width = inner.arity();
        let typ = result.typ();
        let Some(value_type) = typ.columns.get(width).cloned() else { return result };
        let unique = typ.keys.iter().any(|key| key.iter().all(|column| *column < width));
        let id = self.fresh();
        let get = RelationExpr::local(id, typ);
        let keys: Vec<usize> = (0..width).collect();
        let mut parts = vec![get.clone()];
        let mut found = get.clone().project(keys);
        if !unique {
            found = found.distinct();
            let error = ScalarExpr::literal_error(
                EvalError::MultipleRowsFromSubquery,
                value_type.clone().nullable(true),
            );
            parts.push(several(get, width).map(vec![error]));
        }
        let missing = RelationExpr::union(vec![inner.relation.clone(), found.negate()]);
        let null = ScalarExpr::Literal(
            Ok(tidemill_repr::Row::pack([tidemill_repr::Datum::Null])),
            value_type.nullable(true),
        );
        parts.push(missing.map(vec![null]));
        let all = RelationExpr::union(parts);
        RelationExpr::bind(id, result, with_key(all, width))
    }

    /// Keeps the rows for which a query gives a row (or none, if not `wanted`).
    pub(super) fn keep_existing(
        &mut self,
        rows: &mut Rows,
        query: &QueryExpr,
        wanted: bool,
        outer: &Outer,
    ) -> Result<(), SqlError> {
        let keys_only = |_: &mut Self, result: RelationExpr, inner: &Outer| {
            Ok(result.project((0..inner.arity()).collect()).distinct())
        };
        if wanted {
            rows.relation = match self.semijoin(rows, query, outer)? {
                Some(kept) => kept,
                None => self.branch(rows, query, outer, keys_only)?,
            };
            return Ok(());
        }
        // All rows, less those that have a match.
        let typ = rows.relation.typ();
        let id = self.fresh();
        let get = RelationExpr::local(id, typ);
        let bound = Rows { relation: get.clone(), slots: rows.slots.clone() };
        let matched = match self.semijoin(&bound, query, outer)? {
            Some(matched) => matched,
            None => self.branch(&bound, query, outer, keys_only)?,
        };
        let left = RelationExpr::union(vec![get, matched.negate()]);
        rows.relation = RelationExpr::bind(id, rows.relation.take(), left);
        Ok(())
    }

    /// The rows of a relation that have no partner among the distinct rows `matched`, whose
    /// columns are paired with `columns` of the relation.
    pub(super) fn without(
        &mut self,
        get: RelationExpr,
        columns: &[usize],
        matched: RelationExpr,
    ) -> RelationExpr {
        let (typ, matched_type) = (get.typ(), matched.typ());
        let width = typ.arity();
        let equivalences = columns
            .iter()
            .enumerate()
            .map(|(position, column)| {
                pair(
                    (ScalarExpr::Column(*column), &typ.columns[*column]),
                    (ScalarExpr::Column(width + position), &matched_type.columns[position]),
                )
            })
            .collect();
        let partnered = RelationExpr::join(vec![get.clone(), matched], equivalences)
            .project((0..width).collect());
        RelationExpr::union(vec![get, partnered.negate()])
    }
}

/// Tells a union that its first columns are unique, which cannot be seen from its parts.
pub(super) fn with_key(mut union: RelationExpr, width: usize) -> RelationExpr {
    if let RelationExpr::Union { typ, .. } = &mut union {
        typ.keys = vec![(0..width).collect()];
    }
    union
}

/// The values of the first columns that more than one row has.
fn several(relation: RelationExpr, width: usize) -> RelationExpr {
    let Some(greater) = FunctionRef::by_id("int8gt") else {
        // The rows behind the first one.
        let keys = RelationExpr::TopK {
            input: Box::new(relation.project((0..width).collect())),
            group_key: (0..width).collect(),
            order_by: Vec::new(),
            limit: None,
            offset: 1,
        };
        return keys;
    };
    let count = AggregateCall {
        kind: AggregateKind::Count,
        argument: ScalarExpr::literal_true(),
        distinct: false,
        order: Vec::new(),
    };
    let counts = RelationExpr::Reduce {
        input: Box::new(relation.project((0..width).collect())),
        group_key: (0..width).map(ScalarExpr::Column).collect(),
        aggregates: vec![count],
        typ: vec![ColumnType::new(ScalarType::Int8).nullable(false)],
    };
    let more_than_one = ScalarExpr::Call {
        function: greater,
        arguments: vec![ScalarExpr::Column(width), ScalarExpr::literal_int(1)],
        typ: ColumnType::new(ScalarType::Bool).nullable(false),
    };
    counts.filter(vec![more_than_one]).project((0..width).collect())
}
