//! Arguments in the place of the names of a body.

use tidemill_expr::Volatility;
use tidemill_plan::query::{ColumnRef, JoinKind};
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, Row};

use crate::query::values::unit;
use crate::query::{TypedScalar, literal, walk};

/// Parts of an argument that may be computed more than once.
const LIGHT: usize = 12;

/// The values of a relation of one row that is computed of nothing but what is around; None if it
/// is something else.
pub(super) fn single_row(relation: &QueryExpr) -> Option<Vec<QueryScalar>> {
    match relation {
        QueryExpr::Constant { rows, typ } => {
            let [(row, 1)] = rows.as_slice() else { return None };
            let values = row
                .iter()
                .zip(&typ.columns)
                .map(|(datum, typ)| QueryScalar::Literal(Ok(Row::pack([datum])), typ.clone()));
            Some(values.collect())
        }
        QueryExpr::Map { input, scalars } => {
            let mut columns = single_row(input)?;
            for scalar in scalars {
                let mut scalar = scalar.clone();
                walk::walk_scalar(&mut scalar, 0, &mut |part, depth| put(part, depth, &columns));
                columns.push(scalar);
            }
            Some(columns)
        }
        QueryExpr::Project { input, outputs } => {
            let columns = single_row(input)?;
            outputs.iter().map(|output| columns.get(*output).cloned()).collect()
        }
        _ => None,
    }
}

/// Whether a relation has one row, whatever it is computed of.
pub(super) fn has_one_row(relation: &QueryExpr) -> bool {
    match relation {
        QueryExpr::Map { input, .. } | QueryExpr::Project { input, .. } => has_one_row(input),
        QueryExpr::Constant { rows, .. } => matches!(rows.as_slice(), [(_, 1)]),
        _ => false,
    }
}

/// Puts a value in the place of a column; says whether to go on into the part.
fn put(part: &mut QueryScalar, depth: usize, values: &[QueryScalar]) -> bool {
    if let QueryScalar::Column(reference) = part
        && reference.level == depth
        && let Some(value) = values.get(reference.column)
    {
        let mut value = value.clone();
        walk::shift_scalar(&mut value, 0, isize::try_from(depth).unwrap_or(0));
        *part = value;
        return false;
    }
    true
}

/// A value over the row of the arguments that is NULL where one of them is.
pub(super) fn strict(
    value: QueryScalar,
    arguments: &[TypedScalar],
    typ: &ColumnType,
) -> QueryScalar {
    let missing: Vec<QueryScalar> = arguments
        .iter()
        .enumerate()
        .filter(|(_, argument)| argument.typ.nullable)
        .map(|(column, _)| {
            QueryScalar::IsNull(Box::new(QueryScalar::Column(ColumnRef { level: 0, column })))
        })
        .collect();
    if missing.is_empty() {
        return value;
    }
    let null = Box::new(super::null(typ));
    QueryScalar::If(Box::new(QueryScalar::Or(missing)), null, Box::new(value))
}

/// Whether an argument must be computed once, if it is used so often.
fn is_heavy(argument: &QueryScalar, uses: usize) -> bool {
    if matches!(
        argument,
        QueryScalar::Column(_) | QueryScalar::Literal(..) | QueryScalar::Parameter(..)
    ) {
        return false;
    }
    let (mut parts, mut subquery, mut volatile) = (0, false, false);
    walk::walk_scalar(&mut argument.clone(), 0, &mut |part, _| {
        parts += 1;
        match part {
            QueryScalar::Exists(_) | QueryScalar::Subquery(_) => subquery = true,
            QueryScalar::Call { function, .. } => {
                volatile |= function.volatility == Volatility::Volatile;
            }
            _ => {}
        }
        true
    });
    volatile && uses != 1 || uses > 1 && (subquery || parts > LIGHT)
}

fn any_heavy(arguments: &[TypedScalar], uses: &[usize]) -> bool {
    arguments.iter().zip(uses).any(|(argument, uses)| is_heavy(&argument.expr, *uses))
}

/// A value over the row of the arguments as one over the row of the call.
pub(super) fn bind(mut value: QueryScalar, arguments: &[TypedScalar]) -> QueryScalar {
    let mut uses = vec![0; arguments.len()];
    walk::walk_scalar(&mut value, 0, &mut |part, depth| {
        count(part, depth, &mut uses);
        true
    });
    if any_heavy(arguments, &uses) {
        let outer = arguments.iter().map(|argument| {
            let mut expr = argument.expr.clone();
            walk::shift_scalar(&mut expr, 0, 1);
            expr
        });
        let row = QueryExpr::Map { input: Box::new(unit()), scalars: outer.collect() };
        let mapped = QueryExpr::Map { input: Box::new(row), scalars: vec![value] };
        let outputs = vec![arguments.len()];
        return QueryScalar::Subquery(Box::new(QueryExpr::Project {
            input: Box::new(mapped),
            outputs,
        }));
    }
    let values: Vec<QueryScalar> = arguments.iter().map(|argument| argument.expr.clone()).collect();
    walk::walk_scalar(&mut value, 0, &mut |part, depth| put(part, depth, &values));
    value
}

/// Rows over the row of the arguments, which is one scope out, as rows of an item of FROM: the
/// arguments see what stands to the left one scope out.
pub(super) fn bind_rows(relation: &mut QueryExpr, arguments: &[TypedScalar]) {
    let mut uses = vec![0; arguments.len()];
    walk::walk_query(relation, 0, &mut |part, depth| {
        count(part, depth + 1, &mut uses);
        true
    });
    if any_heavy(arguments, &uses) {
        let scalars = arguments.iter().map(|argument| argument.expr.clone()).collect();
        let width = walk::arity(relation);
        let right = std::mem::replace(relation, unit());
        let joined = QueryExpr::Join {
            left: Box::new(QueryExpr::Map { input: Box::new(unit()), scalars }),
            right: Box::new(right),
            on: literal::boolean(true),
            kind: JoinKind::Inner,
            lateral: true,
        };
        let outputs = (arguments.len()..arguments.len() + width).collect();
        *relation = QueryExpr::Project { input: Box::new(joined), outputs };
        return;
    }
    walk::walk_query(relation, 0, &mut |part, depth| {
        if let QueryScalar::Column(reference) = part
            && reference.level == depth + 1
            && let Some(argument) = arguments.get(reference.column)
        {
            let mut value = argument.expr.clone();
            walk::shift_scalar(&mut value, 1, isize::try_from(depth).unwrap_or(0));
            *part = value;
            return false;
        }
        true
    });
}

fn count(part: &QueryScalar, depth: usize, uses: &mut [usize]) {
    if let QueryScalar::Column(reference) = part
        && reference.level == depth
        && let Some(uses) = uses.get_mut(reference.column)
    {
        *uses += 1;
    }
}
