//! Advice: reads that an index would serve, or that an index just fails to serve.
//!
//! Nothing here changes a plan. EXPLAIN shows it to who asks why an index is not used.

use tidemill_expr::ScalarExpr;
use tidemill_plan::relation::build::grow;
use tidemill_plan::{Id, RelationExpr};
use tidemill_repr::{Datum, ObjectId};

use crate::definitions::{Definitions, IndexInfo};
use crate::equality::{Comparison, as_comparison};
use crate::lowering::{access, row_wise};

/// What could be better about a read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Advice {
    /// Rows are asked for by these expressions, and no index has them as its key.
    Missing {
        /// The relation.
        on: ObjectId,
        /// What an index should have as its key.
        key: Vec<ScalarExpr>,
    },
    /// An index has more in its key than is asked for.
    Wide {
        /// The relation.
        on: ObjectId,
        /// The index.
        index: ObjectId,
        /// What is asked for.
        key: Vec<ScalarExpr>,
    },
    /// What is compared is computed from the key of an index, so that its keys do not tell.
    Computed {
        /// The relation.
        on: ObjectId,
        /// The index.
        index: ObjectId,
        /// What is compared.
        expr: ScalarExpr,
    },
}

/// All advice about a relation's reads.
pub fn advice(relation: &RelationExpr, definitions: &dyn Definitions) -> Vec<Advice> {
    let mut found = Vec::new();
    walk(relation, definitions, &mut found);
    found.sort();
    found.dedup();
    found
}

fn walk(relation: &RelationExpr, definitions: &dyn Definitions, found: &mut Vec<Advice>) {
    grow(|| {
        let (mfp, base) = row_wise(relation);
        if let RelationExpr::Get { id: Id::Global(on), typ } = base {
            let indexes = definitions.indexes_on(*on);
            let fixed = access::fixed(&mfp, &typ.columns);
            let predicates = mfp.predicates.iter().map(|(_, predicate)| predicate);
            found.extend(about(*on, &indexes, &fixed));
            found.extend(predicates.filter_map(|predicate| computed(*on, &indexes, predicate)));
        }
        for child in base.children() {
            walk(child, definitions, found);
        }
    });
}

/// Advice about a read of the rows in which these expressions have given values.
fn about(on: ObjectId, indexes: &[IndexInfo], fixed: &[ScalarExpr]) -> Option<Advice> {
    let served =
        |info: &IndexInfo| !info.key.is_empty() && info.key.iter().all(|expr| fixed.contains(expr));
    if fixed.is_empty() || indexes.iter().any(served) {
        return None;
    }
    let wide = |info: &&IndexInfo| fixed.iter().all(|expr| info.key.contains(expr));
    let key = fixed.to_vec();
    Some(match indexes.iter().find(wide) {
        Some(info) => Advice::Wide { on, index: info.index, key },
        None => Advice::Missing { on, key },
    })
}

/// Advice about `f(key) = literal`.
fn computed(on: ObjectId, indexes: &[IndexInfo], predicate: &ScalarExpr) -> Option<Advice> {
    let (Comparison::Equal, left, right) = as_comparison(predicate)? else { return None };
    let is_value = |expr: &ScalarExpr| matches!(expr.as_literal(), Some(Ok(datum)) if !matches!(datum, Datum::Null));
    let expr = match (is_value(left), is_value(right)) {
        (true, false) => right,
        (false, true) => left,
        _ => return None,
    };
    let ScalarExpr::Call { arguments, .. } = expr else { return None };
    if indexes.iter().any(|info| info.key.contains(expr)) {
        return None;
    }
    let over = |info: &&IndexInfo| matches!(info.key.as_slice(), [key] if arguments.contains(key));
    let index = indexes.iter().find(over)?.index;
    Some(Advice::Computed { on, index, expr: expr.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: ObjectId = ObjectId::User(1);

    fn index(number: u64, key: &[usize]) -> IndexInfo {
        let key = key.iter().copied().map(ScalarExpr::Column).collect();
        IndexInfo { index: ObjectId::User(number), key }
    }

    #[test]
    fn an_index_serves_a_read_of_just_its_key() {
        let (a, b) = (ScalarExpr::Column(0), ScalarExpr::Column(1));
        let indexes = [index(2, &[0, 1]), index(3, &[2])];
        assert_eq!(about(ON, &indexes, &[a.clone(), b.clone()]), None);
        assert_eq!(about(ON, &indexes, &[]), None);
        let wide = Advice::Wide { on: ON, index: ObjectId::User(2), key: vec![b.clone()] };
        assert_eq!(about(ON, &indexes, std::slice::from_ref(&b)), Some(wide));
        let missing = Advice::Missing { on: ON, key: vec![b.clone()] };
        assert_eq!(about(ON, &indexes[1..], &[b]), Some(missing));
    }
}
