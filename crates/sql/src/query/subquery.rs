//! Subqueries in expressions: EXISTS, scalar, ARRAY(..), and IN, ANY and ALL with their three
//! values.
//!
//! `x op ANY (q)` is true if `x op y` is for some y of q, else NULL if it is NULL for some y, else
//! false. Each of the questions is an EXISTS. Where only truth counts (a conjunct of WHERE), the
//! first one is enough.

use sqlparser::ast::{Expr, Query, Spanned};
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, ScalarType, SqlError, SqlState};

use super::expr::{ExprContext, compare_rows};
use super::order::{self, OutputColumn};
use super::{QueryContext, TypedScalar, literal, walk};

mod quantified;

pub(super) use quantified::bind_any;

/// ANY or ALL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantifier {
    Any,
    All,
}

/// Plans a subquery over the rows of a scope.
pub(super) fn plan_subquery(
    planner: &ExprContext<'_>,
    query: &Query,
) -> Result<(QueryExpr, Vec<OutputColumn>), SqlError> {
    let parts = order::plan_query(planner.ctx, query, &planner.inside())?;
    order::into_subquery(planner.ctx, parts)
}

/// `EXISTS (..)`
pub(super) fn plan_exists(
    planner: &ExprContext<'_>,
    query: &Query,
) -> Result<QueryScalar, SqlError> {
    let parts = order::plan_query(planner.ctx, query, &planner.inside())?;
    let relation = order::into_subquery(planner.ctx, parts)?.0;
    Ok(QueryScalar::Exists(Box::new(relation)))
}

/// `(SELECT ..)` as a value.
pub(super) fn plan_scalar_subquery(
    planner: &ExprContext<'_>,
    query: &Query,
) -> Result<TypedScalar, SqlError> {
    let (relation, columns) = plan_subquery(planner, query)?;
    let [column] = columns.as_slice() else {
        let error = SqlError::new(SqlState::SYNTAX_ERROR, "subquery must return only one column");
        return Err(planner.ctx.locate_before(error, query.span(), "("));
    };
    let typ = column.typ.clone().nullable(true);
    Ok(TypedScalar { expr: QueryScalar::Subquery(Box::new(relation)), typ })
}

/// The value of `x op ANY|ALL (q)`.
pub(super) fn plan_quantified(
    planner: &ExprContext<'_>,
    left: &[TypedScalar],
    operator: &str,
    quantifier: Quantifier,
    query: &Query,
) -> Result<QueryScalar, SqlError> {
    let comparison = Comparison::plan(planner, left, operator, query)?;
    Ok(match quantifier {
        Quantifier::Any => comparison.any_value(planner.ctx),
        Quantifier::All => comparison.all_value(planner.ctx),
    })
}

/// `(a, b) op (SELECT ..)`: with the one row of the subquery; NULL if there is none.
pub(super) fn compare_with_row(
    planner: &ExprContext<'_>,
    left: &[TypedScalar],
    operator: &str,
    query: &Query,
) -> Result<QueryScalar, SqlError> {
    let ctx = planner.ctx;
    let (relation, columns) = plan_subquery(planner, query)?;
    check_width(columns.len(), left.len())?;
    let width = columns.len();
    let comparison = Comparison::with_relation(ctx, relation, &columns, left, operator)?;
    let input = Box::new(comparison.relation);
    let mapped = QueryExpr::Map { input, scalars: vec![comparison.predicate] };
    let value = QueryExpr::Project { input: Box::new(mapped), outputs: vec![width] };
    Ok(QueryScalar::Subquery(Box::new(value)))
}

fn check_width(columns: usize, wanted: usize) -> Result<(), SqlError> {
    let message = match columns.cmp(&wanted) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Greater => "subquery has too many columns",
        std::cmp::Ordering::Less => "subquery has too few columns",
    };
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
}

/// A condition that is true where `x IN (q)`, or `x NOT IN (q)`, is true.
pub(super) fn plan_in_truth(
    planner: &ExprContext<'_>,
    left: &[TypedScalar],
    query: &Query,
    negated: bool,
) -> Result<QueryScalar, SqlError> {
    let comparison = Comparison::plan(planner, left, "=", query)?;
    if !negated {
        return Ok(comparison.exists_true());
    }
    let ctx = planner.ctx;
    let mut parts = vec![QueryScalar::Not(Box::new(comparison.exists_true()))];
    if let Some(unknown) = comparison.exists_unknown(ctx) {
        parts.push(QueryScalar::Not(Box::new(unknown)));
    }
    Ok(QueryScalar::And(parts))
}

/// A comparison with each row of a subquery.
struct Comparison {
    relation: QueryExpr,
    /// Over a row of the relation; the row around is one scope out.
    predicate: QueryScalar,
    /// The left side over the row around, if it is one value compared by a strict operator.
    left: Option<TypedScalar>,
    /// The type of the column it is compared with.
    right: Option<ColumnType>,
}

impl Comparison {
    fn plan(
        planner: &ExprContext<'_>,
        left: &[TypedScalar],
        operator: &str,
        query: &Query,
    ) -> Result<Comparison, SqlError> {
        let ctx = planner.ctx;
        let (relation, columns) = plan_subquery(planner, query)?;
        check_width(columns.len(), left.len())?;
        Comparison::with_relation(ctx, relation, &columns, left, operator)
    }

    fn with_relation(
        ctx: &QueryContext<'_>,
        relation: QueryExpr,
        columns: &[OutputColumn],
        left: &[TypedScalar],
        operator: &str,
    ) -> Result<Comparison, SqlError> {
        let right: Vec<TypedScalar> = columns
            .iter()
            .enumerate()
            .map(|(column, output)| TypedScalar {
                expr: QueryScalar::Column(ColumnRef { level: 0, column }),
                typ: output.typ.clone(),
            })
            .collect();
        let shifted: Vec<TypedScalar> = left
            .iter()
            .map(|scalar| {
                let mut scalar = scalar.clone();
                walk::shift_scalar(&mut scalar.expr, 0, 1);
                scalar
            })
            .collect();
        let predicate = compare_rows(ctx, operator, shifted, right)?;
        let simple = left.len() == 1
            && matches!(&predicate, QueryScalar::Call { function, .. } if function.strict)
            && !matches!(left[0].typ.scalar_type, ScalarType::Record(_) | ScalarType::Array(_));
        let (left, right) = match (simple, columns) {
            (true, [column]) => (Some(left[0].clone()), Some(column.typ.clone())),
            _ => (None, None),
        };
        Ok(Comparison { relation, predicate, left, right })
    }

    fn exists_where(&self, relation: QueryExpr, predicate: QueryScalar) -> QueryScalar {
        QueryScalar::Exists(Box::new(QueryExpr::Filter {
            input: Box::new(relation),
            predicates: vec![predicate],
        }))
    }

    fn exists_true(&self) -> QueryScalar {
        self.exists_where(self.relation.clone(), self.predicate.clone())
    }

    /// Whether the comparison is NULL for some row; None if it never can be.
    fn exists_unknown(&self, ctx: &QueryContext<'_>) -> Option<QueryScalar> {
        let (Some(left), Some(right)) = (&self.left, &self.right) else {
            let unknown = QueryScalar::IsNull(Box::new(self.predicate.clone()));
            return Some(self.exists_where(walk::copy(ctx, &self.relation), unknown));
        };
        // A strict comparison is NULL exactly where one of its sides is.
        let mut ways = Vec::new();
        if left.typ.nullable {
            let any = QueryScalar::Exists(Box::new(walk::copy(ctx, &self.relation)));
            ways.push(QueryScalar::And(vec![
                QueryScalar::IsNull(Box::new(left.expr.clone())),
                any,
            ]));
        }
        if right.nullable {
            let column = QueryScalar::Column(ColumnRef { level: 0, column: 0 });
            let unknown = QueryScalar::IsNull(Box::new(column));
            ways.push(self.exists_where(walk::copy(ctx, &self.relation), unknown));
        }
        match ways.len() {
            0 => None,
            1 => ways.pop(),
            _ => Some(QueryScalar::Or(ways)),
        }
    }

    fn any_value(&self, ctx: &QueryContext<'_>) -> QueryScalar {
        let matched = self.exists_true();
        let Some(unknown) = self.exists_unknown(ctx) else { return matched };
        choose(matched, true, choose_null(unknown, false))
    }

    fn all_value(&self, ctx: &QueryContext<'_>) -> QueryScalar {
        let refuted = QueryScalar::Not(Box::new(self.predicate.clone()));
        let refuted = self.exists_where(self.relation.clone(), refuted);
        match self.exists_unknown(ctx) {
            Some(unknown) => choose(refuted, false, choose_null(unknown, true)),
            None => QueryScalar::Not(Box::new(refuted)),
        }
    }
}

fn choose(condition: QueryScalar, then: bool, otherwise: QueryScalar) -> QueryScalar {
    let then = Box::new(literal::boolean(then));
    QueryScalar::If(Box::new(condition), then, Box::new(otherwise))
}

fn choose_null(condition: QueryScalar, otherwise: bool) -> QueryScalar {
    let null = literal::null(ScalarType::Bool).expr;
    let otherwise = literal::boolean(otherwise);
    QueryScalar::If(Box::new(condition), Box::new(null), Box::new(otherwise))
}

/// `x op ANY|ALL (array)`, where the array is any expression: its elements become rows.
pub(super) fn plan_quantified_array(
    planner: &ExprContext<'_>,
    left: &Expr,
    operator: &str,
    quantifier: Quantifier,
    right: &Expr,
) -> Result<QueryScalar, SqlError> {
    let ctx = planner.ctx;
    let left = planner.plan(left)?;
    let array = plan_array_operand(planner, &left, right)?;
    let ScalarType::Array(element) = array.typ.scalar_type.clone() else {
        let message = "op ANY/ALL (array) requires array on right side";
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
    };
    if let Some(value) = quantified::with_array(ctx, &left, operator, quantifier, &array, &element)?
    {
        return Ok(value);
    }
    let resolved = tidemill_expr::resolve::table_function(
        "unnest",
        std::slice::from_ref(&array.typ.scalar_type),
    )
    .ok_or_else(|| SqlError::internal("there is no unnest"))??;
    let mut argument = array.expr.clone();
    walk::shift_scalar(&mut argument, 0, 1);
    let typ = ColumnType::new(*element);
    let relation = QueryExpr::FlatMap {
        input: Box::new(super::values::unit()),
        function: resolved.definition,
        arguments: vec![argument],
        typ: vec![typ.clone()],
    };
    let columns = [OutputColumn { name: "unnest".to_owned(), typ, raw: None }];
    let comparison = Comparison::with_relation(ctx, relation, &columns, &[left], operator)?;
    let value = match quantifier {
        Quantifier::Any => comparison.any_value(ctx),
        Quantifier::All => comparison.all_value(ctx),
    };
    if !array.typ.nullable {
        return Ok(value);
    }
    let missing = QueryScalar::IsNull(Box::new(array.expr));
    let null = literal::null(ScalarType::Bool).expr;
    Ok(QueryScalar::If(Box::new(missing), Box::new(null), Box::new(value)))
}

/// The array; without a type of its own it is one of the left side's type.
fn plan_array_operand(
    planner: &ExprContext<'_>,
    left: &TypedScalar,
    right: &Expr,
) -> Result<TypedScalar, SqlError> {
    let mut array = planner.plan(right)?;
    if let ScalarType::Int2Vector | ScalarType::OidVector = array.typ.scalar_type {
        let element = tidemill_expr::resolve::element_of(
            &tidemill_expr::function::TypePattern::AnyArray,
            &array.typ.scalar_type,
        );
        let target = ScalarType::Array(Box::new(element.unwrap_or(ScalarType::Text)));
        array = super::cast::coerce_implicit(planner.ctx, array, &target)?;
    }
    if array.typ.scalar_type != ScalarType::Unknown {
        return Ok(array);
    }
    let element = match &left.typ.scalar_type {
        ScalarType::Unknown => ScalarType::Text,
        other => other.clone(),
    };
    let target = ScalarType::Array(Box::new(element));
    super::cast::coerce_implicit(planner.ctx, array, &target)
        .map_err(|error| planner.ctx.locate(error, right.span()))
}
