//! What is known not to be NULL is not asked: IS NULL of it is false, and COALESCE ends with it.
//!
//! `a LEFT JOIN b .. WHERE b.id IS NULL` loses its pairs this way: only the rows of `a` without a
//! partner are left.

use tidemill_expr::{EvalError, ScalarExpr};
use tidemill_plan::RelationExpr;
use tidemill_plan::relation::build::grow;
use tidemill_repr::ColumnType;

/// Folds what the nullability of columns decides.
pub fn fold_nullability(relation: &mut RelationExpr) {
    fold(relation);
}

/// Folds a relation; the types of its columns are only computed where there is something to fold.
fn fold(relation: &mut RelationExpr) {
    grow(|| {
        for child in relation.children_mut() {
            fold(child);
        }
        if !relation.scalars_mut().into_iter().any(|scalar| asks(scalar)) {
            return;
        }
        match relation {
            RelationExpr::Map { input, scalars } => {
                let mut columns = input.typ().columns;
                for scalar in scalars {
                    fold_scalar(scalar, &columns);
                    columns.push(scalar.typ(&columns));
                }
            }
            RelationExpr::Filter { input, predicates } => {
                let columns = input.typ().columns;
                predicates.iter_mut().for_each(|predicate| fold_scalar(predicate, &columns));
            }
            RelationExpr::Reduce { input, aggregates, .. } => {
                let columns = input.typ().columns;
                for call in aggregates {
                    fold_scalar(&mut call.argument, &columns);
                }
            }
            _ => {}
        }
    });
}

/// Whether NULL is asked for anywhere in an expression.
fn asks(scalar: &ScalarExpr) -> bool {
    let mut found = false;
    scalar.visit(&mut |part| {
        found |= matches!(part, ScalarExpr::IsNull(_) | ScalarExpr::Coalesce(_));
    });
    found
}

fn fold_scalar(scalar: &mut ScalarExpr, columns: &[ColumnType]) {
    let mut changed = false;
    scalar.visit_mut(&mut |part| match part {
        ScalarExpr::IsNull(inner) if never_null(inner, columns) => {
            *part = ScalarExpr::literal_false();
            changed = true;
        }
        ScalarExpr::Coalesce(arguments) => {
            let decides = arguments.iter().position(|argument| never_null(argument, columns));
            match decides {
                Some(0) => {
                    *part = arguments.swap_remove(0);
                    changed = true;
                }
                Some(last) if last + 1 < arguments.len() => {
                    arguments.truncate(last + 1);
                    changed = true;
                }
                _ => {}
            }
        }
        _ => {}
    });
    if changed {
        scalar.reduce();
    }
}

/// Whether a column, or what is computed from such without a doubt, cannot be NULL.
fn never_null(expr: &ScalarExpr, columns: &[ColumnType]) -> bool {
    match expr {
        ScalarExpr::Column(column) => columns.get(*column).is_some_and(|typ| !typ.nullable),
        ScalarExpr::Literal(Ok::<_, EvalError>(_), typ) => !typ.nullable && !expr.is_literal_null(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tidemill_plan::relation::RelationType;
    use tidemill_plan::{Id, RelationExpr};
    use tidemill_repr::{ObjectId, ScalarType};

    use super::*;

    #[test]
    fn a_column_without_nulls_decides() {
        let columns = vec![
            ColumnType::new(ScalarType::Int8).nullable(false),
            ColumnType::new(ScalarType::Int8),
        ];
        let typ = RelationType::new(columns);
        let get = RelationExpr::Get { id: Id::Global(ObjectId::User(1)), typ };
        let column = ScalarExpr::Column;
        let mut relation = get.clone().map(vec![
            column(0).is_null(),
            column(1).is_null(),
            ScalarExpr::Coalesce(vec![column(1), column(0), column(1)]),
        ]);
        fold_nullability(&mut relation);
        let expected = get.map(vec![
            ScalarExpr::literal_false(),
            column(1).is_null(),
            ScalarExpr::Coalesce(vec![column(1), column(0)]),
        ]);
        assert_eq!(relation, expected);
    }
}
