//! Aggregates: collecting the calls of a SELECT, and putting its expressions on top of the
//! grouping.
//!
//! While the expressions of a SELECT are planned over its FROM, each aggregate call becomes a
//! column past the end of the row. When all are known, [`Grouping::rewrite`] turns what is equal
//! to a grouped expression, and these columns, into columns of the grouping's result; any other
//! column of the row is the grouping error.

mod collector;
mod ordered;
mod sets;

pub(super) use collector::{Collector, Grouping, refuse_in_group_by, returns_set};
pub(super) use ordered::plan_ordered_set;
pub(super) use sets::{Sets, cross, cube, reduce, rollup};

use std::rc::Rc;

use sqlparser::ast::{
    DuplicateTreatment, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, OrderByExpr, Spanned,
};
use sqlparser::tokenizer::Span;
use tidemill_expr::aggregate::{SortDirection, Statistic};
use tidemill_expr::functions::aggregates::{self, Lowering};
use tidemill_expr::{AggregateKind, resolve};
use tidemill_plan::QueryScalar;
use tidemill_plan::query::QueryAggregate;
use tidemill_repr::{ColumnType, Datum, ScalarType, SqlError, SqlState};

use super::cast::{coerce_implicit, resolve_unknown};
use super::comparable::{require_equality, require_order};
use super::expr::{ExprContext, binary, call_by_name};
use super::scope::Place;
use super::window::WindowPlace;
use super::{QueryContext, TypedScalar, literal, order, walk};

/// Aggregates of PostgreSQL that are missing here: refused by name.
const MISSING: &[&str] = &["xmlagg"];

/// Whether a function of this name is an aggregate.
pub(super) fn is_aggregate(name: &str) -> bool {
    aggregates::all().any(|aggregate| aggregate.name == name)
}

/// Whether PostgreSQL has an aggregate or window function of this name, and Tidemill has not.
pub(super) fn is_missing(name: &str) -> bool {
    MISSING.contains(&name)
}

/// The parts of an aggregate call that all aggregates share.
struct Call<'c> {
    name: &'c str,
    distinct: bool,
    filter: Option<QueryScalar>,
    order: Vec<(TypedScalar, SortDirection)>,
}

/// Where the aggregate belongs whose arguments use these columns: the nearest query that has one
/// of them, or the one it stands in. Gives how many scopes out that is, and its collector.
fn home(
    planner: &ExprContext<'_>,
    parts: &[&QueryScalar],
    span: Span,
) -> Result<(usize, Rc<Collector>), SqlError> {
    let level = parts.iter().filter_map(|part| walk::nearest_level(part)).min().unwrap_or(0);
    let place = if level == 0 {
        Place {
            collector: planner.aggregates.map(Rc::clone),
            inside_aggregate: planner.inside_aggregate,
            clause: planner.clause,
        }
    } else {
        let scope = planner.scope.at_level(level);
        let scope = scope.ok_or_else(|| SqlError::internal("an aggregate of no query"))?;
        if scope.from {
            return Err(planner.ctx.error(
                SqlState::GROUPING_ERROR,
                "aggregate functions are not allowed in FROM clause of their own query level",
                span,
            ));
        }
        scope.place.clone()
    };
    match place.collector {
        Some(collector) => Ok((level, collector)),
        None => Err(planner.ctx.error(
            SqlState::GROUPING_ERROR,
            if place.inside_aggregate && place.clause != "FILTER" {
                "aggregate function calls cannot be nested".to_owned()
            } else {
                format!("aggregate functions are not allowed in {}", place.clause)
            },
            span,
        )),
    }
}

/// `GROUPING(..)`: which of its arguments are not grouped by.
pub(super) fn plan_grouping(
    planner: &ExprContext<'_>,
    function: &Function,
) -> Result<TypedScalar, SqlError> {
    let ctx = planner.ctx;
    let span = function.name.span();
    let inner = planner.within_aggregate();
    let FunctionArguments::List(list) = &function.args else {
        return Err(ctx.unsupported("this form of arguments", span));
    };
    let mut arguments = list
        .args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(inner.plan(expr)?.expr),
            _ => Err(ctx.unsupported("this kind of argument", span)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if arguments.len() > 31 {
        return Err(ctx.error(
            SqlState::TOO_MANY_ARGUMENTS,
            "GROUPING must have fewer than 32 arguments",
            span,
        ));
    }
    let parts: Vec<&QueryScalar> = arguments.iter().collect();
    let (level, collector) = home(planner, &parts, span).map_err(|mut error| {
        error.message = error.message.replace("aggregate functions", "grouping operations");
        error
    })?;
    let at = list.args.first().map_or(span, Spanned::span);
    let out = isize::try_from(level).unwrap_or(0);
    arguments.iter_mut().for_each(|argument| walk::shift_scalar(argument, 0, -out));
    let mut value = collector.add_grouping(arguments, at);
    walk::shift_scalar(&mut value.expr, 0, out);
    Ok(value)
}

/// Plans an aggregate call.
pub(super) fn plan_aggregate(
    planner: &ExprContext<'_>,
    name: &str,
    function: &Function,
) -> Result<TypedScalar, SqlError> {
    let ctx = planner.ctx;
    let span = function.name.span();
    if function.null_treatment.is_some() {
        return Err(ctx.unsupported("a treatment of NULLs", span));
    }
    if ordered::is_ordered_set(name) {
        ordered::without_group(planner, name, function)?;
        return Err(ctx.error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("WITHIN GROUP is required for ordered-set aggregate {name}"),
            span,
        ));
    }
    plan_call(&planner.within_aggregate(), Target::Select(planner), name, function)
}

/// Plans an aggregate call that stands before an OVER: its arguments may hold aggregates of the
/// SELECT's grouping. What it is made of goes to `parts`.
pub(super) fn plan_over(
    planner: &ExprContext<'_>,
    parts: &Rc<Collector>,
    name: &str,
    function: &Function,
) -> Result<TypedScalar, SqlError> {
    plan_call(planner, Target::Window(parts), name, function)
}

/// Where an aggregate call goes.
#[derive(Clone, Copy)]
enum Target<'t> {
    /// To the SELECT that its arguments belong to.
    Select(&'t ExprContext<'t>),
    /// To the parts of a window call.
    Window(&'t Rc<Collector>),
}

impl Target<'_> {
    fn home(
        self,
        call: &mut Call<'_>,
        arguments: &[&QueryScalar],
        span: Span,
    ) -> Result<(isize, Rc<Collector>), SqlError> {
        match self {
            Target::Select(planner) => call.home(planner, arguments, span),
            Target::Window(parts) => Ok((0, Rc::clone(parts))),
        }
    }
}

fn plan_call(
    inner: &ExprContext<'_>,
    target: Target<'_>,
    name: &str,
    function: &Function,
) -> Result<TypedScalar, SqlError> {
    let ctx = inner.ctx;
    let span = function.name.span();
    let (distinct, clauses, arguments) = match &function.args {
        FunctionArguments::List(list) => (
            matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)),
            list.clauses.as_slice(),
            list.args.as_slice(),
        ),
        _ => return Err(ctx.unsupported("this form of arguments", span)),
    };
    let filter = plan_filter(inner, function)?;
    let mut order = Vec::new();
    for clause in clauses {
        match clause {
            FunctionArgumentClause::OrderBy(keys) => order = plan_order(inner, keys)?,
            _ => return Err(ctx.unsupported("this clause in an aggregate call", span)),
        }
    }
    if let [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] = arguments {
        if name != "count" || distinct {
            return Err(ctx.error(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {name}() does not exist"),
                span,
            ));
        }
        let mut call = Call { name, distinct, filter, order };
        let (level, collector) = target.home(&mut call, &[], span)?;
        let one = literal::literal(Datum::Int(1), ScalarType::Int8);
        let mut value = call.add(&collector, AggregateKind::Count, one, count_type());
        walk::shift_scalar(&mut value.expr, 0, level);
        return Ok(value);
    }
    let mut arguments = arguments
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                if name.starts_with("json")
                    && let Some(row) = inner.named_row(expr)?
                {
                    return Ok(row);
                }
                inner.plan(expr)
            }
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(table)) => {
                let parts = super::from::name_parts(ctx, table)?;
                let name = parts.last().cloned().unwrap_or_default();
                let row = inner.whole_row(None, &name, table.span())?;
                row.ok_or_else(|| inner.scope.no_table(ctx, &name, table.span()))
            }
            _ => Err(ctx.unsupported("this kind of argument", span)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut call = Call { name, distinct, filter, order };
    let exprs: Vec<&QueryScalar> = arguments.iter().map(|argument| &argument.expr).collect();
    let (level, collector) = target.home(&mut call, &exprs, span)?;
    for argument in &mut arguments {
        walk::shift_scalar(&mut argument.expr, 0, -level);
    }
    let mut value =
        call.plan(ctx, &collector, arguments).map_err(|error| ctx.locate(error, span))?;
    walk::shift_scalar(&mut value.expr, 0, level);
    Ok(value)
}

fn plan_filter(
    inner: &ExprContext<'_>,
    function: &Function,
) -> Result<Option<QueryScalar>, SqlError> {
    let Some(filter) = &function.filter else { return Ok(None) };
    let clause = ExprContext {
        clause: "FILTER",
        aggregates: None,
        windows: WindowPlace::Clause,
        ..inner.clone()
    };
    Ok(Some(clause.plan_condition(filter)?))
}

fn count_type() -> ColumnType {
    ColumnType::new(ScalarType::Int8).nullable(false)
}

fn plan_order(
    planner: &ExprContext<'_>,
    keys: &[OrderByExpr],
) -> Result<Vec<(TypedScalar, SortDirection)>, SqlError> {
    keys.iter()
        .map(|key| {
            let planned = resolve_unknown(planner.ctx, planner.plan(&key.expr)?)?;
            require_order(&planned.typ.scalar_type)
                .map_err(|error| planner.ctx.locate(error, key.expr.span()))?;
            Ok((planned, order::direction(key)?))
        })
        .collect()
}

impl Call<'_> {
    /// Finds the query it belongs to, and puts what it has beside its arguments there.
    fn home(
        &mut self,
        planner: &ExprContext<'_>,
        arguments: &[&QueryScalar],
        span: Span,
    ) -> Result<(isize, Rc<Collector>), SqlError> {
        let mut parts = arguments.to_vec();
        parts.extend(&self.filter);
        parts.extend(self.order.iter().map(|(key, _)| &key.expr));
        let (level, collector) = home(planner, &parts, span)?;
        let level = isize::try_from(level).unwrap_or(0);
        self.filter.iter_mut().for_each(|filter| walk::shift_scalar(filter, 0, -level));
        for (key, _) in &mut self.order {
            walk::shift_scalar(&mut key.expr, 0, -level);
        }
        Ok((level, collector))
    }

    fn plan(
        &self,
        ctx: &QueryContext<'_>,
        collector: &Collector,
        arguments: Vec<TypedScalar>,
    ) -> Result<TypedScalar, SqlError> {
        let types: Vec<ScalarType> =
            arguments.iter().map(|argument| argument.typ.scalar_type.clone()).collect();
        let resolved = resolve::aggregate(self.name, &types)
            .unwrap_or_else(|| Err(SqlError::internal(format!("no aggregate {}", self.name))))?;
        let values = arguments
            .into_iter()
            .zip(&resolved.arguments)
            .map(|(argument, typ)| resolve_unknown(ctx, coerce_implicit(ctx, argument, typ)?))
            .collect::<Result<Vec<_>, _>>()?;
        let typ = ColumnType::new(resolved.returns.clone());
        let types: Vec<ScalarType> =
            values.iter().map(|value| value.typ.scalar_type.clone()).collect();
        let kind = resolved.definition.kind(&types);
        if self.distinct {
            types.iter().try_for_each(require_equality)?;
        }
        if kind.takes_record() && self.distinct {
            let known = |key: &TypedScalar| values.iter().any(|value| value.expr == key.expr);
            if !self.order.iter().all(|(key, _)| known(key)) {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    "in an aggregate with DISTINCT, ORDER BY expressions must appear in \
                     argument list",
                ));
            }
            // What is told apart is in order.
            if self.order.is_empty() && !matches!(kind, AggregateKind::Statistic(_)) {
                let ascending = SortDirection { descending: false, nulls_first: false };
                let order = values.iter().map(|value| (value.clone(), ascending)).collect();
                let call = Call { order, filter: self.filter.clone(), ..*self };
                return call.plan_kind(ctx, collector, kind, values, typ);
            }
        }
        if let Lowering::Average(sum) = &resolved.definition.lowering {
            return self.average(ctx, collector, sum.clone(), values, typ);
        }
        if let Lowering::Spread { population, root } = resolved.definition.lowering {
            return self.spread(ctx, collector, values, population, root);
        }
        self.plan_kind(ctx, collector, kind, values, typ)
    }

    fn plan_kind(
        &self,
        ctx: &QueryContext<'_>,
        collector: &Collector,
        kind: AggregateKind,
        values: Vec<TypedScalar>,
        typ: ColumnType,
    ) -> Result<TypedScalar, SqlError> {
        let types: Vec<ScalarType> =
            values.iter().map(|value| value.typ.scalar_type.clone()).collect();
        match kind {
            AggregateKind::Count => self.add_one(collector, kind, values, count_type()),
            AggregateKind::StringAgg => self.add_record(ctx, collector, kind, values, typ),
            AggregateKind::ArrayAgg(element) => {
                let typ = match &element {
                    ScalarType::Array(_) => element.clone(),
                    other => ScalarType::Array(Box::new(other.clone())),
                };
                let kind = AggregateKind::ArrayAgg(element);
                self.add_record(ctx, collector, kind, values, ColumnType::new(typ))
            }
            kind @ (AggregateKind::ListAgg(_) | AggregateKind::MapAgg(_)) => {
                self.add_record(ctx, collector, kind, values, typ)
            }
            AggregateKind::JsonbAgg => {
                let values = values
                    .into_iter()
                    .map(|value| to_jsonb(ctx, value))
                    .collect::<Result<_, _>>()?;
                self.add_record(ctx, collector, kind, values, typ)
            }
            AggregateKind::JsonbObjectAgg => {
                let mut values = values.into_iter();
                let (Some(key), Some(value)) = (values.next(), values.next()) else {
                    return Err(SqlError::internal("jsonb_object_agg without arguments"));
                };
                let text = ColumnType::new(ScalarType::Text);
                let key = super::cast::coerce_explicit(ctx, key, &text)?;
                let fields = vec![key, to_jsonb(ctx, value)?];
                self.add_record(ctx, collector, kind, fields, typ)
            }
            AggregateKind::JsonAgg { .. } => {
                let lines = types.iter().any(|typ| {
                    matches!(
                        typ,
                        ScalarType::Array(_) | ScalarType::Record(_) | ScalarType::Composite(_)
                    )
                });
                let values = values
                    .into_iter()
                    .map(|value| to_json(ctx, value))
                    .collect::<Result<_, _>>()?;
                self.add_record(ctx, collector, AggregateKind::JsonAgg { lines }, values, typ)
            }
            AggregateKind::JsonObjectAgg => {
                let mut values = values.into_iter();
                let (Some(key), Some(value)) = (values.next(), values.next()) else {
                    return Err(SqlError::internal("json_object_agg without arguments"));
                };
                let text = ColumnType::new(ScalarType::Text);
                let key = super::cast::coerce_explicit(ctx, key, &text)?;
                let fields = vec![key, to_json(ctx, value)?];
                self.add_record(ctx, collector, kind, fields, typ)
            }
            AggregateKind::Statistic(statistic) if statistic.takes_pairs() => {
                let nullable = statistic != Statistic::Count;
                let pair = present_record(ctx, values)?;
                Ok(self.add(collector, kind, pair, typ.nullable(nullable)))
            }
            kind => self.add_one(collector, kind, values, typ),
        }
    }

    fn add_one(
        &self,
        collector: &Collector,
        kind: AggregateKind,
        values: Vec<TypedScalar>,
        typ: ColumnType,
    ) -> Result<TypedScalar, SqlError> {
        match values.into_iter().next() {
            Some(value) => Ok(self.add(collector, kind, value, typ)),
            None => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{}(*) must be used to call a parameterless aggregate function", self.name),
            )),
        }
    }

    /// The sum divided by the count.
    fn average(
        &self,
        ctx: &QueryContext<'_>,
        collector: &Collector,
        kind: AggregateKind,
        values: Vec<TypedScalar>,
        typ: ColumnType,
    ) -> Result<TypedScalar, SqlError> {
        let sum = self.add_one(collector, kind, values.clone(), typ.clone())?;
        let count = self.add_one(collector, AggregateKind::Count, values, count_type())?;
        let divisor = match typ.scalar_type {
            ScalarType::Interval => ColumnType::new(ScalarType::Float8),
            _ => typ,
        };
        let count = super::cast::coerce_explicit(ctx, count, &divisor)?;
        binary(ctx, "/", sum, count)
    }

    /// `(n * sum(x * x) - sum(x) * sum(x)) / (n * (n - 1))`, or by `n * n` for a population; the
    /// same steps as in PostgreSQL, so that the result has as many digits.
    fn spread(
        &self,
        ctx: &QueryContext<'_>,
        collector: &Collector,
        values: Vec<TypedScalar>,
        population: bool,
        root: bool,
    ) -> Result<TypedScalar, SqlError> {
        let numeric = ColumnType::new(ScalarType::Numeric);
        let Some(value) = values.into_iter().next() else {
            return Err(SqlError::internal(format!("{} without argument", self.name)));
        };
        let value = super::cast::coerce_explicit(ctx, value, &numeric)?;
        if self.distinct {
            let kind = AggregateKind::Spread { population, root };
            return Ok(self.add(collector, kind, value, numeric));
        }
        let square = binary(ctx, "*", value.clone(), value.clone())?;
        let sum = self.add(collector, AggregateKind::SumNumeric, value.clone(), numeric.clone());
        let squares = self.add(collector, AggregateKind::SumNumeric, square, numeric.clone());
        let count = self.add(collector, AggregateKind::Count, value, count_type());
        let count = super::cast::coerce_explicit(ctx, count, &numeric)?;
        let number = |value: i64| {
            literal::parse(ctx, &value.to_string(), &ColumnType::new(ScalarType::Numeric))
        };
        let of_squares = binary(ctx, "*", count.clone(), squares)?;
        let of_sum = binary(ctx, "*", sum.clone(), sum)?;
        let above = binary(ctx, "-", of_squares, of_sum)?;
        let less = if population { 0 } else { 1 };
        let below = binary(ctx, "-", count.clone(), number(less)?)?;
        let below = binary(ctx, "*", count.clone(), below)?;
        let mut quotient = binary(ctx, "/", above.clone(), below)?;
        if root {
            // As many digits as the quotient has.
            let digits = call_by_name(ctx, "scale", vec![quotient.clone()])?;
            let exact = call_by_name(ctx, "sqrt", vec![quotient])?;
            quotient = call_by_name(ctx, "round", vec![exact, digits])?;
        }
        let too_few = binary(ctx, "<=", count, number(less)?)?;
        let none = binary(ctx, "=", above, number(0)?)?;
        let choose = |condition: TypedScalar, then: TypedScalar, other: QueryScalar| {
            QueryScalar::If(Box::new(condition.expr), Box::new(then.expr), Box::new(other))
        };
        let expr = choose(none, number(0)?, quotient.expr);
        let expr = choose(too_few, literal::null(ScalarType::Numeric), expr);
        Ok(TypedScalar { expr, typ: numeric })
    }

    fn filtered(&self, value: TypedScalar) -> QueryScalar {
        match &self.filter {
            None => value.expr,
            Some(filter) => QueryScalar::If(
                Box::new(filter.clone()),
                Box::new(value.expr),
                Box::new(literal::null(value.typ.scalar_type).expr),
            ),
        }
    }

    fn add(
        &self,
        collector: &Collector,
        kind: AggregateKind,
        value: TypedScalar,
        typ: ColumnType,
    ) -> TypedScalar {
        collector.add(QueryAggregate {
            kind,
            argument: self.filtered(value),
            distinct: self.distinct,
            order: Vec::new(),
            typ,
        })
    }

    /// For the kinds that take a record: the values, then the keys of the order.
    fn add_record(
        &self,
        ctx: &QueryContext<'_>,
        collector: &Collector,
        kind: AggregateKind,
        mut fields: Vec<TypedScalar>,
        typ: ColumnType,
    ) -> Result<TypedScalar, SqlError> {
        fields.extend(self.order.iter().map(|(key, _)| key.clone()));
        let record = super::expr::record(ctx, fields)?;
        Ok(collector.add(QueryAggregate {
            kind,
            argument: self.filtered(record),
            distinct: self.distinct,
            order: self.order.iter().map(|(_, direction)| *direction).collect(),
            typ,
        }))
    }
}

fn to_json(ctx: &QueryContext<'_>, value: TypedScalar) -> Result<TypedScalar, SqlError> {
    if value.typ.scalar_type == ScalarType::Json {
        return Ok(value);
    }
    let value = resolve_unknown(ctx, value)?;
    call_by_name(ctx, "to_json", vec![value])
}

/// A record of values; NULL if one of them is.
fn present_record(
    ctx: &QueryContext<'_>,
    values: Vec<TypedScalar>,
) -> Result<TypedScalar, SqlError> {
    let missing: Vec<QueryScalar> =
        values.iter().map(|value| QueryScalar::IsNull(Box::new(value.expr.clone()))).collect();
    let record = super::expr::record(ctx, values)?;
    let null = literal::null(record.typ.scalar_type.clone()).expr;
    let missing = Box::new(QueryScalar::Or(missing));
    let expr = QueryScalar::If(missing, Box::new(null), Box::new(record.expr));
    Ok(TypedScalar { expr, typ: record.typ.nullable(true) })
}

fn to_jsonb(ctx: &QueryContext<'_>, value: TypedScalar) -> Result<TypedScalar, SqlError> {
    if value.typ.scalar_type == ScalarType::Jsonb {
        return Ok(value);
    }
    let value = resolve_unknown(ctx, value)?;
    call_by_name(ctx, "to_jsonb", vec![value])
}
