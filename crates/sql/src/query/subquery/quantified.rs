//! `x op ANY|ALL (array)` without a subquery: a list of comparisons where the array is known, a
//! function of both where it is not.

use tidemill_expr::FunctionRef;
use tidemill_expr::resolve;
use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, Datum, Row, ScalarType, SqlError};

use super::Quantifier;
use crate::query::expr::binary;
use crate::query::{QueryContext, TypedScalar, literal, walk};

/// So many elements become comparisons of their own.
const MOST_ELEMENTS: usize = 10_000;

/// The elements of an array that is known; None in place of the list is NULL.
fn elements(array: &QueryScalar) -> Option<Option<Vec<Row>>> {
    let QueryScalar::Literal(Ok(row), _) = array else { return None };
    elements_of(row)
}

fn elements_of(row: &Row) -> Option<Option<Vec<Row>>> {
    match row.iter().next() {
        Some(Datum::Array(array)) => {
            let rows: Vec<Row> = array.elements().map(|datum| Row::pack([datum])).collect();
            (rows.len() <= MOST_ELEMENTS).then_some(Some(rows))
        }
        Some(Datum::Null) | None => Some(None),
        Some(_) => None,
    }
}

/// The comparison with an array; None where each element has to be looked at by a subquery.
pub(super) fn with_array(
    ctx: &QueryContext<'_>,
    left: &TypedScalar,
    operator: &str,
    quantifier: Quantifier,
    array: &TypedScalar,
    element: &ScalarType,
) -> Result<Option<QueryScalar>, SqlError> {
    if !walk::has_subquery(&left.expr)
        && let Some(known) = elements(&array.expr)
    {
        let Some(rows) = known else { return Ok(Some(literal::null(ScalarType::Bool).expr)) };
        let typ = ColumnType::new(element.clone());
        let parts = rows
            .into_iter()
            .map(|row| {
                let null = row.iter().next().is_none_or(|datum| datum.is_null());
                let typ = typ.clone().nullable(null);
                let expr = QueryScalar::Literal(Ok(row), typ.clone());
                let compared = binary(ctx, operator, left.clone(), TypedScalar { expr, typ })?;
                Ok(compared.expr)
            })
            .collect::<Result<Vec<_>, SqlError>>()?;
        if !parts.is_empty() {
            return Ok(Some(joined(parts, quantifier)));
        }
    }
    by_function(left, operator, quantifier, array, element)
}

fn joined(parts: Vec<QueryScalar>, quantifier: Quantifier) -> QueryScalar {
    match quantifier {
        Quantifier::Any => QueryScalar::Or(parts),
        Quantifier::All => QueryScalar::And(parts),
    }
}

/// By one of the functions `array_any_..`, which compare by the order of the type.
fn by_function(
    left: &TypedScalar,
    operator: &str,
    quantifier: Quantifier,
    array: &TypedScalar,
    element: &ScalarType,
) -> Result<Option<QueryScalar>, SqlError> {
    let integer =
        |typ: &ScalarType| matches!(typ, ScalarType::Int2 | ScalarType::Int4 | ScalarType::Int8);
    let from = &left.typ.scalar_type;
    let alike = from == element || (integer(from) && integer(element));
    let compared_otherwise = matches!(
        element,
        ScalarType::Bpchar
            | ScalarType::Unknown
            | ScalarType::Array(_)
            | ScalarType::Record(_)
            | ScalarType::Composite(_)
            | ScalarType::Json
            | ScalarType::Jsonpath
    );
    let names = [
        ("=", "eq", "ne"),
        ("<>", "ne", "eq"),
        ("<", "lt", "ge"),
        ("<=", "le", "gt"),
        (">", "gt", "le"),
        (">=", "ge", "lt"),
    ];
    let found = names.iter().find(|(name, _, _)| *name == operator);
    let (true, false, Some((_, own, opposite))) = (alike, compared_otherwise, found) else {
        return Ok(None);
    };
    let all = quantifier == Quantifier::All;
    let suffix = if all { opposite } else { own };
    let Some(function) = FunctionRef::by_id(&format!("array_any_{suffix}")) else {
        return Ok(None);
    };
    let Ok(comparison) = resolve::operator(operator, Some(from), element) else {
        return Ok(None);
    };
    let arguments =
        vec![left.expr.clone(), array.expr.clone(), literal::text(comparison.definition.id).expr];
    let typ = ColumnType::new(ScalarType::Bool);
    let call = QueryScalar::Call { function, arguments, typ };
    Ok(Some(if all { QueryScalar::Not(Box::new(call)) } else { call }))
}

/// `x = ANY ($n)` with a value for the parameter: what an index can look up.
pub(in crate::query) fn bind_any(scalar: &QueryScalar, values: &[Row]) -> Option<QueryScalar> {
    let QueryScalar::Call { function, arguments, typ } = scalar else { return None };
    let [left, QueryScalar::Parameter(number, array), QueryScalar::Literal(Ok(id), _)] =
        arguments.as_slice()
    else {
        return None;
    };
    let ScalarType::Array(element) = &array.scalar_type else { return None };
    if function.id != "array_any_eq" || walk::has_subquery(left) {
        return None;
    }
    let Some(Datum::Text(id)) = id.iter().next() else { return None };
    let equal = FunctionRef::by_id(id)?;
    let value = values.get(number.checked_sub(1)?)?;
    let Some(rows) = elements_of(value)? else {
        return Some(literal::null(ScalarType::Bool).expr);
    };
    let parts: Vec<QueryScalar> = rows
        .into_iter()
        .map(|row| {
            let null = row.iter().next().is_none_or(|datum| datum.is_null());
            let element = ColumnType::new((**element).clone()).nullable(null);
            let element = QueryScalar::Literal(Ok(row), element);
            let arguments = vec![left.clone(), element];
            QueryScalar::Call { function: equal, arguments, typ: typ.clone() }
        })
        .collect();
    (!parts.is_empty()).then_some(QueryScalar::Or(parts))
}
