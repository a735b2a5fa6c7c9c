//! EXISTS and IN with plain equalities as their only tie to the rows around: a semijoin.
//!
//! ```text
//! SELECT .. FROM a WHERE EXISTS (SELECT .. FROM b WHERE b.x = a.x AND b.y > 3)
//!
//!   a ── join on x ── distinct x of (b where y > 3)
//! ```
//!
//! The general way computes the subquery for the distinct `x` of `a`, and joins that back. It
//! stays where an index finds the rows of `b` by `x`: then few rows of `a` need few of `b`.

use tidemill_expr::ScalarExpr;
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{Id, QueryExpr, QueryScalar, RelationExpr};
use tidemill_repr::SqlError;

use super::{Decorrelation, Outer, Rows, free};
use crate::equality::{Bytes, canonical, comparable_bytes, is_equality};

/// A query inside an EXISTS, as far as it can be taken apart.
struct Parts<'q> {
    /// What the conjuncts are over.
    core: &'q QueryExpr,
    conjuncts: Vec<QueryScalar>,
}

impl Decorrelation<'_> {
    /// The rows for which a query gives a row, if that is a semijoin.
    pub(super) fn semijoin(
        &mut self,
        rows: &Rows,
        query: &QueryExpr,
        outer: &Outer,
    ) -> Result<Option<RelationExpr>, SqlError> {
        let inside = outer.depth + 1;
        let Parts { core, conjuncts } = peel(query);
        let mut pairs = Vec::new();
        let mut own = Vec::new();
        for conjunct in &conjuncts {
            if let Some(pair) = as_pair(conjunct) {
                pairs.push(pair);
            } else if self.free_of_scalar(conjunct, inside).iter().all(|place| place.0 == inside) {
                own.push(conjunct);
            } else {
                return Ok(None);
            }
        }
        if pairs.is_empty() || !self.free(core, inside).is_empty() || self.is_found(core, &pairs) {
            return Ok(None);
        }
        let inner = Outer::unit(inside);
        let mut found = self.rows(core, &inner)?;
        self.keep_all(&mut found, own, &inner)?;
        let (left, right) = (rows.relation.typ(), found.relation.typ());
        let width = left.arity();
        let mut equivalences = Vec::new();
        let mut keys = Vec::new();
        for (column, inner_column) in pairs {
            let place = match column.level {
                0 => rows.slots.get(column.column),
                level => outer
                    .depth
                    .checked_sub(level)
                    .and_then(|scope| outer.places.get(&(scope, column.column))),
            };
            let (Some(at), Some(slot)) = (place, found.slots.get(inner_column)) else {
                return Err(SqlError::internal("a column of a semijoin is missing"));
            };
            let (left_type, right_type) = (&left.columns[*at], &right.columns[*slot]);
            let Some(bytes) = comparable_bytes(left_type, right_type) else { return Ok(None) };
            let (mut this, mut other) = (ScalarExpr::Column(*at), ScalarExpr::Column(*slot));
            if bytes == Bytes::Canonical {
                this = canonical(this, &left_type.clone().with_typmod(-1));
                other = canonical(other, &right_type.clone().with_typmod(-1));
            }
            equivalences.push(vec![this, ScalarExpr::Column(width + keys.len())]);
            keys.push(other);
        }
        let start = right.arity();
        let outputs = (start..start + keys.len()).collect();
        let keys = found.relation.map(keys).project(outputs).distinct();
        let joined = RelationExpr::join(vec![rows.relation.clone(), keys], equivalences);
        Ok(Some(joined.project((0..width).collect())))
    }

    /// Whether an index finds the rows for known values of these columns, several for each.
    fn is_found(&self, core: &QueryExpr, pairs: &[(ColumnRef, usize)]) -> bool {
        let QueryExpr::Get { id: Id::Global(id), typ } = core else { return false };
        let paired = |column: usize| pairs.iter().any(|(_, inner)| *inner == column);
        let by_them = |part: &ScalarExpr| match part {
            ScalarExpr::Column(column) => paired(*column),
            _ => false,
        };
        let known_keys = self.definitions.keys(*id);
        let mut keys = typ.keys.iter().chain(&known_keys);
        if keys.any(|key| key.iter().all(|column| paired(*column))) {
            return false;
        }
        let indexes = self.definitions.indexes_on(*id);
        indexes.iter().any(|index| index.key.iter().all(by_them))
    }
}

/// Takes off what does not decide whether there is a row, and gathers the conditions.
fn peel(query: &QueryExpr) -> Parts<'_> {
    let mut conjuncts: Vec<QueryScalar> = Vec::new();
    let mut core = query;
    loop {
        match core {
            QueryExpr::Filter { input, predicates } => {
                let mut more = Vec::new();
                predicates.iter().for_each(|predicate| free::conjuncts(predicate, &mut more));
                conjuncts.extend(more.into_iter().cloned());
                core = input;
            }
            QueryExpr::Project { input, outputs } => {
                let renamed: Option<Vec<QueryScalar>> =
                    conjuncts.iter().map(|conjunct| renamed(conjunct, outputs)).collect();
                let Some(renamed) = renamed else { break };
                conjuncts = renamed;
                core = input;
            }
            QueryExpr::Map { input, .. } if conjuncts.is_empty() => core = input,
            QueryExpr::Distinct { input } if conjuncts.is_empty() => core = input,
            _ => break,
        }
    }
    Parts { core, conjuncts }
}

/// A condition over the columns that a projection takes; None if it is no comparison of columns
/// and constants.
fn renamed(conjunct: &QueryScalar, outputs: &[usize]) -> Option<QueryScalar> {
    Some(match conjunct {
        QueryScalar::Column(ColumnRef { level: 0, column }) => {
            QueryScalar::Column(ColumnRef { level: 0, column: *outputs.get(*column)? })
        }
        QueryScalar::Column(_) | QueryScalar::Literal(..) => conjunct.clone(),
        QueryScalar::Call { function, arguments, typ } => QueryScalar::Call {
            function: *function,
            arguments: arguments
                .iter()
                .map(|part| renamed(part, outputs))
                .collect::<Option<_>>()?,
            typ: typ.clone(),
        },
        QueryScalar::Not(inner) => QueryScalar::Not(Box::new(renamed(inner, outputs)?)),
        QueryScalar::IsNull(inner) => QueryScalar::IsNull(Box::new(renamed(inner, outputs)?)),
        _ => return None,
    })
}

/// A column around and a column inside that must be equal. The level of the first counts from
/// the rows around.
fn as_pair(conjunct: &QueryScalar) -> Option<(ColumnRef, usize)> {
    let QueryScalar::Call { function, arguments, .. } = conjunct else { return None };
    if !is_equality(*function) {
        return None;
    }
    match arguments.as_slice() {
        [QueryScalar::Column(a), QueryScalar::Column(b)] if a.level == 0 && b.level > 0 => {
            Some((ColumnRef { level: b.level - 1, column: b.column }, a.column))
        }
        [QueryScalar::Column(a), QueryScalar::Column(b)] if a.level > 0 && b.level == 0 => {
            Some((ColumnRef { level: a.level - 1, column: a.column }, b.column))
        }
        _ => None,
    }
}
