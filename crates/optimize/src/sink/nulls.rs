//! Whether a predicate drops the rows that an outer join pads with NULLs.

use tidemill_plan::QueryScalar;
use tidemill_plan::query::ColumnRef;
use tidemill_repr::Datum;

/// What is known of a value where some columns are NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Null,
    /// False or NULL.
    NotTrue,
    Nothing,
}

/// Whether a plain predicate is not true wherever all columns that `padded` tells are NULL.
pub(super) fn drops(predicate: &QueryScalar, padded: impl Fn(usize) -> bool) -> bool {
    known(predicate, &padded) != Known::Nothing
}

fn known(expr: &QueryScalar, padded: &dyn Fn(usize) -> bool) -> Known {
    let is_null = |expr: &QueryScalar| known(expr, padded) == Known::Null;
    let not_true = |expr: &QueryScalar| known(expr, padded) != Known::Nothing;
    match expr {
        QueryScalar::Column(ColumnRef { level: 0, column }) if padded(*column) => Known::Null,
        QueryScalar::Literal(Ok(row), _) => match row.iter().next() {
            None | Some(Datum::Null) => Known::Null,
            Some(Datum::Bool(false)) => Known::NotTrue,
            _ => Known::Nothing,
        },
        QueryScalar::Call { function, arguments, .. }
            if function.strict && arguments.iter().any(is_null) =>
        {
            Known::Null
        }
        QueryScalar::And(parts) if parts.iter().any(not_true) => Known::NotTrue,
        QueryScalar::Or(parts) if !parts.is_empty() && parts.iter().all(not_true) => Known::NotTrue,
        QueryScalar::Not(inner) if is_null(inner) => Known::Null,
        QueryScalar::Not(inner) => match &**inner {
            QueryScalar::IsNull(inner) if is_null(inner) => Known::NotTrue,
            _ => Known::Nothing,
        },
        QueryScalar::Coalesce(parts) if !parts.is_empty() && parts.iter().all(is_null) => {
            Known::Null
        }
        _ => Known::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use tidemill_expr::FunctionRef;
    use tidemill_repr::{ColumnType, ScalarType};

    use super::*;

    #[test]
    fn null_drops_comparisons_and_not_null_but_not_coalesce() {
        let column = |column| QueryScalar::Column(ColumnRef { level: 0, column });
        let equal = |left, right| QueryScalar::Call {
            function: FunctionRef::by_id("int8eq").unwrap(),
            arguments: vec![left, right],
            typ: ColumnType::new(ScalarType::Bool),
        };
        let padded = |column: usize| column >= 2;
        assert!(drops(&equal(column(0), column(2)), padded));
        assert!(!drops(&equal(column(0), column(1)), padded));
        let null = |expr| QueryScalar::IsNull(Box::new(expr));
        assert!(drops(&QueryScalar::Not(Box::new(null(column(2)))), padded));
        assert!(!drops(&null(column(2)), padded));
        assert!(!drops(&QueryScalar::Coalesce(vec![column(2), column(0)]), padded));
        let either = |other| QueryScalar::Or(vec![equal(column(0), column(2)), other]);
        assert!(!drops(&either(equal(column(0), column(1))), padded));
        assert!(drops(&either(equal(column(3), column(1))), padded));
    }
}
