//! Aggregates: collecting the calls of a SELECT, and putting its expressions on top of the
//! grouping.
//!
//! While the expressions of a SELECT are planned over its FROM, each aggregate call becomes a
//! column past the end of the row. When all are known, [`Grouping::rewrite`] turns what is equal
//! to a grouped expression, and these columns, into columns of the grouping's result; any other
//! column of the row is the grouping error.

use std::cell::RefCell;
use std::collections::BTreeMap;

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, OrderByExpr, Spanned,
};
use sqlparser::tokenizer::Span;
use tidemill_expr::aggregate::SortDirection;
use tidemill_expr::functions::aggregates::{self, Lowering};
use tidemill_expr::{AggregateKind, resolve};
use tidemill_plan::QueryScalar;
use tidemill_plan::query::{ColumnRef, QueryAggregate};
use tidemill_repr::{ColumnType, Datum, ScalarType, SqlError, SqlState};

use super::cast::{coerce_implicit, resolve_unknown};
use super::expr::{ExprContext, binary, call_by_name};
use super::scope::Scope;
use super::window::{self, WindowPlace};
use super::{QueryContext, TypedScalar, literal, order, walk};

/// The aggregates of one SELECT, as they are met.
pub(super) struct Collector {
    /// How many columns the FROM has; the columns after them stand for aggregates.
    base: usize,
    calls: RefCell<Vec<QueryAggregate>>,
    /// Where each column was first met outside of an aggregate.
    seen: RefCell<BTreeMap<usize, Span>>,
}

impl Collector {
    pub fn new(base: usize) -> Collector {
        Collector { base, calls: RefCell::default(), seen: RefCell::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.calls.borrow().is_empty()
    }

    pub fn into_calls(self) -> Vec<QueryAggregate> {
        self.calls.into_inner()
    }

    pub fn note_column(&self, column: usize, span: Span) {
        self.seen.borrow_mut().entry(column).or_insert(span);
    }

    fn add(&self, call: QueryAggregate) -> TypedScalar {
        let mut calls = self.calls.borrow_mut();
        let typ = call.typ.clone();
        let index = match calls.iter().position(|known| *known == call) {
            Some(index) => index,
            None => {
                calls.push(call);
                calls.len() - 1
            }
        };
        let reference = ColumnRef { level: 0, column: self.base + index };
        TypedScalar { expr: QueryScalar::Column(reference), typ }
    }
}

/// The grouping of one SELECT.
pub(super) struct Grouping<'g> {
    pub scope: &'g Scope,
    pub collector: &'g Collector,
    /// What is grouped by, over the FROM.
    pub keys: &'g [QueryScalar],
}

impl Grouping<'_> {
    /// Puts an expression over the FROM on top of the grouping.
    pub fn rewrite(
        &self,
        ctx: &QueryContext<'_>,
        scalar: &mut QueryScalar,
    ) -> Result<(), SqlError> {
        let base = self.collector.base;
        let mut ungrouped = None;
        walk::walk_scalar(scalar, 0, &mut |part, depth| {
            if let Some(key) = self.key_of(part, depth) {
                *part = QueryScalar::Column(ColumnRef { level: depth, column: key });
                return false;
            }
            if let QueryScalar::Column(reference) = part
                && reference.level == depth
                && !window::is_call(reference.column)
            {
                if reference.column >= base {
                    reference.column = self.keys.len() + reference.column - base;
                } else if ungrouped.is_none() {
                    ungrouped = Some((reference.column, depth));
                }
            }
            true
        });
        match ungrouped {
            None => Ok(()),
            Some((column, depth)) => Err(self.ungrouped(ctx, column, depth)),
        }
    }

    fn key_of(&self, part: &QueryScalar, depth: usize) -> Option<usize> {
        self.keys.iter().position(|key| {
            if depth == 0 {
                return key == part;
            }
            if std::mem::discriminant(key) != std::mem::discriminant(part)
                || walk::has_subquery(key)
            {
                return false;
            }
            let mut key = key.clone();
            walk::shift_scalar(&mut key, 0, isize::try_from(depth).unwrap_or(0));
            key == *part
        })
    }

    fn ungrouped(&self, ctx: &QueryContext<'_>, column: usize, depth: usize) -> SqlError {
        let name = self.scope.describe(column);
        let message = if depth == 0 {
            format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an \
                 aggregate function"
            )
        } else {
            format!("subquery uses ungrouped column \"{name}\" from outer query")
        };
        let span = self.collector.seen.borrow().get(&column).copied();
        ctx.error(SqlState::GROUPING_ERROR, message, span.unwrap_or_else(Span::empty))
    }
}

/// Aggregates of PostgreSQL that are missing here: refused by name.
const MISSING: &[&str] = &[
    "corr",
    "covar_pop",
    "covar_samp",
    "bit_and",
    "bit_or",
    "bit_xor",
    "json_agg",
    "json_object_agg",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "any_value",
    "regr_count",
    "regr_slope",
    "regr_intercept",
    "regr_avgx",
    "regr_avgy",
    "regr_r2",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "range_agg",
    "xmlagg",
    "grouping",
];

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

/// Plans an aggregate call.
pub(super) fn plan_aggregate(
    planner: &ExprContext<'_>,
    name: &str,
    function: &Function,
) -> Result<TypedScalar, SqlError> {
    let ctx = planner.ctx;
    let span = function.name.span();
    let Some(collector) = planner.aggregates else {
        return Err(ctx.error(
            SqlState::GROUPING_ERROR,
            if planner.inside_aggregate {
                "aggregate function calls cannot be nested".to_owned()
            } else {
                format!("aggregate functions are not allowed in {}", planner.clause)
            },
            span,
        ));
    };
    if !function.within_group.is_empty() || function.null_treatment.is_some() {
        return Err(ctx.unsupported("WITHIN GROUP or a treatment of NULLs", span));
    }
    let planned = plan_call(&planner.within_aggregate(), collector, name, function, false)?;
    Ok(planned)
}

/// Plans an aggregate call that stands before an OVER: its arguments may hold aggregates of the
/// SELECT's grouping. What it is made of goes to `parts`.
pub(super) fn plan_over(
    planner: &ExprContext<'_>,
    parts: &Collector,
    name: &str,
    function: &Function,
) -> Result<TypedScalar, SqlError> {
    plan_call(planner, parts, name, function, true)
}

fn plan_call(
    inner: &ExprContext<'_>,
    collector: &Collector,
    name: &str,
    function: &Function,
    over: bool,
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
    let filter = match &function.filter {
        Some(filter) => {
            let clause = ExprContext {
                clause: "FILTER",
                aggregates: None,
                windows: WindowPlace::Clause,
                ..inner.clone()
            };
            Some(clause.plan_condition(filter)?)
        }
        None => None,
    };
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
        let call = Call { name, distinct, filter, order };
        let one = literal::literal(Datum::Int(1), ScalarType::Int8);
        return Ok(call.add(collector, AggregateKind::Count, one, count_type()));
    }
    let arguments = arguments
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => inner.plan(expr),
            _ => Err(ctx.unsupported("this kind of argument", span)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if !over {
        refuse_outer(ctx, &arguments, span)?;
    }
    let call = Call { name, distinct, filter, order };
    call.plan(ctx, collector, arguments).map_err(|error| ctx.locate(error, span))
}

fn count_type() -> ColumnType {
    ColumnType::new(ScalarType::Int8).nullable(false)
}

/// An aggregate belongs to the query whose columns it is over, even inside a subquery.
fn refuse_outer(
    ctx: &QueryContext<'_>,
    arguments: &[TypedScalar],
    span: Span,
) -> Result<(), SqlError> {
    let nearest = arguments.iter().filter_map(|argument| walk::nearest_level(&argument.expr)).min();
    match nearest {
        Some(level) if level > 0 => {
            Err(ctx.unsupported("an aggregate over columns of an outer query only", span))
        }
        _ => Ok(()),
    }
}

fn plan_order(
    planner: &ExprContext<'_>,
    keys: &[OrderByExpr],
) -> Result<Vec<(TypedScalar, SortDirection)>, SqlError> {
    keys.iter()
        .map(|key| {
            let planned = planner.plan(&key.expr)?;
            Ok((resolve_unknown(planner.ctx, planned)?, order::direction(key)?))
        })
        .collect()
}

impl Call<'_> {
    fn plan(
        &self,
        ctx: &QueryContext<'_>,
        collector: &Collector,
        arguments: Vec<TypedScalar>,
    ) -> Result<TypedScalar, SqlError> {
        let types: Vec<ScalarType> =
            arguments.iter().map(|argument| argument.typ.scalar_type.clone()).collect();
        if let ("sum" | "avg", [ScalarType::Interval]) = (self.name, types.as_slice()) {
            return Err(SqlError::unsupported(format!("{}(interval)", self.name)));
        }
        if let [ScalarType::Float4 | ScalarType::Float8] = types.as_slice()
            && (self.name.starts_with("var") || self.name.starts_with("stddev"))
        {
            return Err(SqlError::unsupported(format!("{}({})", self.name, types[0]))
                .with_hint("Cast the argument to numeric."));
        }
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
        if let Lowering::Average(sum) = &resolved.definition.lowering {
            return self.average(ctx, collector, sum.clone(), values, typ);
        }
        if let Lowering::Spread { population, root } = resolved.definition.lowering {
            return self.spread(ctx, collector, values, population, root);
        }
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
        let count = super::cast::coerce_explicit(ctx, count, &typ)?;
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
        if self.distinct {
            return Err(SqlError::unsupported(format!("{}(DISTINCT)", self.name)));
        }
        let numeric = ColumnType::new(ScalarType::Numeric);
        let Some(value) = values.into_iter().next() else {
            return Err(SqlError::internal(format!("{} without argument", self.name)));
        };
        let value = super::cast::coerce_explicit(ctx, value, &numeric)?;
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
        if self.distinct {
            let known = |key: &TypedScalar| fields.iter().any(|field| field.expr == key.expr);
            if !self.order.iter().all(|(key, _)| known(key)) {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    "in an aggregate with DISTINCT, ORDER BY expressions must appear in \
                     argument list",
                ));
            }
        }
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

fn to_jsonb(ctx: &QueryContext<'_>, value: TypedScalar) -> Result<TypedScalar, SqlError> {
    if value.typ.scalar_type == ScalarType::Jsonb {
        return Ok(value);
    }
    let value = resolve_unknown(ctx, value)?;
    call_by_name(ctx, "to_jsonb", vec![value])
}

/// Refuses aggregates where an expression must have none, for the keys of GROUP BY.
pub(super) fn refuse_in_group_by(
    ctx: &QueryContext<'_>,
    collector_base: usize,
    scalar: &QueryScalar,
    expr: &Expr,
) -> Result<(), SqlError> {
    let (mut found, mut windowed) = (false, false);
    walk::walk_scalar(&mut scalar.clone(), 0, &mut |part, depth| {
        if let QueryScalar::Column(reference) = part
            && reference.level == depth
        {
            windowed |= window::is_call(reference.column);
            found |= reference.column >= collector_base;
        }
        !found
    });
    if windowed {
        return Err(ctx.error(
            SqlState::WINDOWING_ERROR,
            "window functions are not allowed in GROUP BY",
            expr.span(),
        ));
    }
    if found {
        return Err(ctx.error(
            SqlState::GROUPING_ERROR,
            "aggregate functions are not allowed in GROUP BY",
            expr.span(),
        ));
    }
    Ok(())
}
