//! Fusion: neighbours of one kind become one, projections of projections one projection.

use tidemill_expr::ScalarExpr;
use tidemill_plan::RelationExpr;

/// Puts neighbours of one kind together.
pub fn fuse(relation: &mut RelationExpr) {
    relation.visit_mut(&mut fuse_node);
}

fn fuse_node(relation: &mut RelationExpr) {
    match relation {
        RelationExpr::Map { input, scalars }
            if (scalars.is_empty() || matches!(**input, RelationExpr::Map { .. })) =>
        {
            *relation = input.take().map(std::mem::take(scalars));
        }
        RelationExpr::Map { input, scalars }
            if scalars.iter().any(|scalar| matches!(scalar, ScalarExpr::Column(_))) =>
        {
            *relation = with_plain_columns(input.take(), std::mem::take(scalars));
        }
        RelationExpr::Filter { input, predicates }
            if (predicates.is_empty() || matches!(**input, RelationExpr::Filter { .. })) =>
        {
            *relation = input.take().filter(std::mem::take(predicates));
        }
        RelationExpr::Project { input, outputs } => {
            *relation = input.take().project(std::mem::take(outputs));
        }
        RelationExpr::Union { inputs, .. }
            if inputs.iter().any(|input| matches!(input, RelationExpr::Union { .. })) =>
        {
            let mut flat = Vec::with_capacity(inputs.len());
            for input in inputs.drain(..) {
                match input {
                    RelationExpr::Union { inputs, .. } => flat.extend(inputs),
                    other => flat.push(other),
                }
            }
            *inputs = flat;
        }
        _ => {}
    }
}

/// More columns, where those that are there already are only projected: keys are known of them.
fn with_plain_columns(input: RelationExpr, scalars: Vec<ScalarExpr>) -> RelationExpr {
    let arity = input.arity();
    let mut places: Vec<usize> = (0..arity).collect();
    let mut computed = Vec::new();
    for mut scalar in scalars {
        scalar.permute(&places);
        match scalar {
            ScalarExpr::Column(column) => places.push(column),
            scalar => {
                places.push(arity + computed.len());
                computed.push(scalar);
            }
        }
    }
    input.map(computed).project(places)
}

#[cfg(test)]
mod tests {
    use tidemill_plan::Id;
    use tidemill_plan::relation::RelationType;
    use tidemill_repr::{ColumnType, ObjectId, ScalarType};

    use super::*;

    #[test]
    fn a_column_again_is_a_projection() {
        let typ = RelationType::new(vec![ColumnType::new(ScalarType::Int8); 2]);
        let get = RelationExpr::Get { id: Id::Global(ObjectId::User(1)), typ };
        let column = ScalarExpr::Column;
        let scalars = vec![column(1), column(2).is_null(), column(3).not()];
        let mut relation = get.clone().map(scalars);
        fuse(&mut relation);
        let computed = vec![column(1).is_null(), column(2).not()];
        assert_eq!(relation, get.map(computed).project(vec![0, 1, 1, 2, 3]));
    }
}
