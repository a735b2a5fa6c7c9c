//! One SELECT: FROM, WHERE, GROUP BY, HAVING, the output columns, DISTINCT, and the columns that
//! it is sorted by.

mod group;

use std::rc::Rc;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderByExpr, Select, SelectItem, SelectItemQualifiedWildcardKind,
    Spanned, WildcardAdditionalOptions,
};
use sqlparser::tokenizer::Span;
use tidemill_expr::aggregate::SortDirection;
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{ColumnOrder, QueryExpr, QueryScalar};
use tidemill_repr::{Datum, RelationDesc, ScalarType, SqlError, SqlState};

use super::aggregate::{Collector, Grouping};
use super::cast::resolve_unknown;
use super::comparable::{require_equality, require_order};
use super::error::name_of;
use super::expr::{ExprContext, all_fields, output_name};
use super::order::{OutputColumn, QueryParts, direction, position_key};
use super::scope::Scope;
use super::window::{WindowPlace, Windows};
use super::{QueryContext, TypedScalar, from, literal};

/// An output column while it is planned.
struct Output {
    name: String,
    scalar: TypedScalar,
}

/// A sort key: an output column, or an expression that is not put out.
struct SortKey {
    value: SortValue,
    direction: SortDirection,
    span: Span,
}

enum SortValue {
    Output(usize),
    Extra(TypedScalar),
}

impl SortValue {
    fn scalar_type<'s>(&'s self, outputs: &'s [Output]) -> &'s ScalarType {
        match self {
            SortValue::Output(position) => &outputs[*position].scalar.typ.scalar_type,
            SortValue::Extra(scalar) => &scalar.typ.scalar_type,
        }
    }
}

/// Plans a SELECT and the keys it is sorted by.
pub(super) fn plan_select(
    ctx: &QueryContext<'_>,
    select: &Select,
    order_by: &[OrderByExpr],
    around: &Rc<Scope>,
) -> Result<QueryParts, SqlError> {
    refuse_foreign_clauses(ctx, select)?;
    let (mut relation, mut scope) = from::plan_from(ctx, &select.from, around)?;
    // A key is NULL in the rows of a grouping set without it.
    if group::may_leave_out_keys(select) {
        scope.nullable();
    }
    let scope = Rc::new(scope);
    if let Some(condition) = &select.selection {
        let predicate = ExprContext::new(ctx, &scope, "WHERE").plan_condition(condition)?;
        relation = filter(relation, predicate);
    }
    let collector = Rc::new(Collector::new(scope.arity));
    let mut windows = Windows::default();
    let plain = ExprContext::with_aggregates(ctx, &scope, &collector);
    windows.define(&plain, &select.named_window)?;
    let planner = ExprContext { windows: WindowPlace::Allowed(&windows), ..plain };
    let mut outputs = plan_outputs(&planner, &select.projection)?;
    let (mut keys, mut sets) = group::plan_group_by(&planner, select, &outputs)?;
    if let [all] = sets.as_mut_slice() {
        add_dependent_columns(&scope, &mut keys);
        all.extend(0..keys.len());
    }
    let mut having = match &select.having {
        Some(condition) => {
            let windows = WindowPlace::Clause;
            let planner = ExprContext { clause: "HAVING", sets: None, windows, ..planner.clone() };
            Some(planner.plan_condition(condition)?)
        }
        None => None,
    };
    let mut qualify = match &select.qualify {
        Some(condition) => {
            let planner = ExprContext { clause: "QUALIFY", sets: None, ..planner.clone() };
            Some(planner.plan_condition(condition)?)
        }
        None => None,
    };
    let mut sort = plan_sort(&planner, order_by, &outputs)?;
    let mut distinct_on = plan_distinct_on(&planner, select, &outputs)?;
    if !collector.is_empty() && scope.tables.iter().any(|table| table.recursive) {
        return Err(SqlError::new(
            SqlState::INVALID_RECURSION,
            "aggregate functions are not allowed in a recursive query's recursive term",
        ));
    }
    let grouped = has_group_by(select) || having.is_some() || !collector.is_empty();
    let grouping = Grouping { scope: &scope, collector: &collector, keys: &keys };
    let mut arity = scope.arity;
    if grouped {
        let mut scalars = over_rows(&mut outputs, &mut sort, &mut distinct_on, &mut qualify);
        scalars.extend(having.as_mut());
        scalars.extend(windows.scalars_mut());
        for scalar in scalars {
            grouping.rewrite(ctx, scalar)?;
        }
        relation = group::reduce(ctx, relation, &mut arity, &grouping, &sets)?;
        if let Some(condition) = having {
            relation = filter(relation, condition);
        }
    }
    let mut placed = None;
    if !windows.is_empty() {
        let (computed, places) = windows.apply(relation, arity);
        relation = computed;
        arity = places.arity;
        for scalar in over_rows(&mut outputs, &mut sort, &mut distinct_on, &mut qualify) {
            places.settle(scalar);
        }
        placed = Some(places);
    }
    if let Some(condition) = qualify {
        relation = filter(relation, condition);
    }
    let mut none = None;
    let mut values = over_rows(&mut outputs, &mut sort, &mut distinct_on, &mut none);
    let relation = collector.spread(relation, &mut arity, &mut values, &mut |argument| {
        if grouped {
            grouping.rewrite(ctx, argument)?;
        }
        if let Some(placed) = &placed {
            placed.settle(argument);
        }
        Ok(())
    })?;
    let parts = finish(ctx, select, relation, arity, outputs, sort, distinct_on)?;
    Ok(QueryParts { from: Some(scope), ..parts })
}

/// The expressions over the rows that are put out, to change.
fn over_rows<'s>(
    outputs: &'s mut [Output],
    sort: &'s mut [SortKey],
    distinct_on: &'s mut Option<Vec<SortValue>>,
    qualify: &'s mut Option<QueryScalar>,
) -> Vec<&'s mut QueryScalar> {
    let sorted = sort.iter_mut().map(|key| &mut key.value);
    let extras = sorted.chain(distinct_on.iter_mut().flatten()).filter_map(|value| match value {
        SortValue::Extra(scalar) => Some(&mut scalar.expr),
        SortValue::Output(_) => None,
    });
    let outputs = outputs.iter_mut().map(|output| &mut output.scalar.expr);
    outputs.chain(extras).chain(qualify.as_mut()).collect()
}

/// Who groups by the primary key of a table groups by its other columns too.
fn add_dependent_columns(scope: &Scope, keys: &mut Vec<TypedScalar>) {
    for (table, name) in scope.tables.iter().enumerate() {
        if name.primary_key.is_empty() {
            continue;
        }
        let column = |entry: &super::scope::Entry| TypedScalar {
            expr: QueryScalar::Column(ColumnRef { level: 0, column: entry.column }),
            typ: entry.typ.clone(),
        };
        let columns: Vec<TypedScalar> = scope.entries_of(table).map(column).collect();
        let is_key = |column: &TypedScalar| keys.iter().any(|key| key.expr == column.expr);
        let mut primary = name.primary_key.iter().map(|position| columns.get(*position));
        if primary.all(|column| column.is_some_and(is_key)) {
            let more: Vec<_> = columns.into_iter().filter(|column| !is_key(column)).collect();
            keys.extend(more);
        }
    }
}

/// Plans the output columns of RETURNING.
pub(super) fn plan_returning(
    ctx: &QueryContext<'_>,
    scope: &Rc<Scope>,
    items: &[SelectItem],
) -> Result<(Vec<QueryScalar>, RelationDesc), SqlError> {
    let planner = ExprContext::new(ctx, scope, "RETURNING");
    let mut scalars = Vec::new();
    let mut columns = Vec::new();
    for output in plan_outputs(&planner, items)? {
        let scalar = resolve_unknown(ctx, output.scalar)?;
        columns.push((output.name, scalar.typ));
        scalars.push(scalar.expr);
    }
    Ok((scalars, RelationDesc::new(columns)))
}

fn has_group_by(select: &Select) -> bool {
    match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(keys, _) => !keys.is_empty(),
    }
}

fn filter(input: QueryExpr, predicate: QueryScalar) -> QueryExpr {
    let predicates = match predicate {
        QueryScalar::And(parts) => parts,
        single => vec![single],
    };
    QueryExpr::Filter { input: Box::new(input), predicates }
}

fn refuse_foreign_clauses(ctx: &QueryContext<'_>, select: &Select) -> Result<(), SqlError> {
    let what = if select.into.is_some() {
        "SELECT INTO"
    } else if select.top.is_some() {
        "TOP"
    } else if select.exclude.is_some()
        || !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.value_table_mode.is_some()
        || select.select_modifiers.as_ref().is_some_and(|modifiers| modifiers.is_any_set())
    {
        "a clause of another SQL dialect in SELECT"
    } else {
        return Ok(());
    };
    Err(ctx.unsupported(what, select.select_token.0.span))
}

fn plan_outputs(planner: &ExprContext<'_>, items: &[SelectItem]) -> Result<Vec<Output>, SqlError> {
    let mut outputs = Vec::new();
    for item in items {
        match item {
            SelectItem::UnnamedExpr(expr) if let Some((root, chain)) = all_fields(expr) => {
                let fields = planner.fields_of(root, chain)?;
                outputs.extend(fields.into_iter().map(|(name, scalar)| Output { name, scalar }));
            }
            SelectItem::UnnamedExpr(expr) => {
                let scalar = planner.plan(expr)?;
                outputs.push(Output { name: output_name(expr), scalar });
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let scalar = planner.plan(expr)?;
                outputs.push(Output { name: name_of(alias), scalar });
            }
            SelectItem::ExprWithAliases { expr, .. } => {
                return Err(planner.ctx.unsupported("several aliases", expr.span()));
            }
            SelectItem::Wildcard(options) => {
                refuse_wildcard_options(planner.ctx, options)?;
                let before = outputs.len();
                let entries = planner.scope.visible().filter(|entry| !entry.unlisted);
                outputs.extend(entries.map(|entry| column_output(planner, entry, options)));
                if outputs.len() == before && planner.scope.tables.is_empty() {
                    return Err(planner.ctx.error(
                        SqlState::SYNTAX_ERROR,
                        "SELECT * with no tables specified is not valid",
                        options.wildcard_token.0.span,
                    ));
                }
            }
            SelectItem::QualifiedWildcard(kind, options) => {
                plan_qualified_wildcard(planner, kind, options, &mut outputs)?;
            }
        }
    }
    Ok(outputs)
}

fn column_output(
    planner: &ExprContext<'_>,
    entry: &super::scope::Entry,
    options: &WildcardAdditionalOptions,
) -> Output {
    if let Some(collector) = planner.aggregates {
        collector.note_column(entry.column, options.wildcard_token.0.span);
    }
    let reference = ColumnRef { level: 0, column: entry.column };
    let scalar = TypedScalar { expr: QueryScalar::Column(reference), typ: entry.typ.clone() };
    Output { name: entry.name.clone(), scalar }
}

fn plan_qualified_wildcard(
    planner: &ExprContext<'_>,
    kind: &SelectItemQualifiedWildcardKind,
    options: &WildcardAdditionalOptions,
    outputs: &mut Vec<Output>,
) -> Result<(), SqlError> {
    let ctx = planner.ctx;
    refuse_wildcard_options(ctx, options)?;
    let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
        return Err(ctx.unsupported("* on an expression", options.wildcard_token.0.span));
    };
    let parts = from::name_parts(ctx, name)?;
    let (schema, table) = match parts.as_slice() {
        [table] => (None, table),
        [schema, table] | [_, schema, table] => (Some(schema.as_str()), table),
        _ => return Err(ctx.unsupported("this name", name.span())),
    };
    let found =
        planner.scope.find_table(schema, table).map_err(|error| ctx.locate(error, name.span()))?;
    let Some((level, scope, index)) = found else {
        return Err(planner.scope.no_table(ctx, table, name.span()));
    };
    for entry in scope.entries_of(index).filter(|entry| !entry.unlisted) {
        if level == 0 {
            outputs.push(column_output(planner, entry, options));
        } else {
            let reference = ColumnRef { level, column: entry.column };
            let expr = QueryScalar::Column(reference);
            let scalar = TypedScalar { expr, typ: entry.typ.clone() };
            outputs.push(Output { name: entry.name.clone(), scalar });
        }
    }
    Ok(())
}

fn refuse_wildcard_options(
    ctx: &QueryContext<'_>,
    options: &WildcardAdditionalOptions,
) -> Result<(), SqlError> {
    let any = options.opt_ilike.is_some()
        || options.opt_exclude.is_some()
        || options.opt_except.is_some()
        || options.opt_replace.is_some()
        || options.opt_rename.is_some()
        || options.opt_alias.is_some();
    if any {
        return Err(ctx.unsupported("an option of *", options.wildcard_token.0.span));
    }
    Ok(())
}

/// The output column of a name; ambiguous where two different ones have it.
fn named_output(
    ctx: &QueryContext<'_>,
    name: &str,
    outputs: &[Output],
    clause: &str,
    span: Span,
) -> Result<Option<usize>, SqlError> {
    let mut found = outputs.iter().enumerate().filter(|(_, output)| output.name == name);
    let Some((first, output)) = found.next() else { return Ok(None) };
    if found.any(|(_, other)| other.scalar.expr != output.scalar.expr) {
        return Err(ctx.error(
            SqlState::AMBIGUOUS_COLUMN,
            format!("{clause} \"{name}\" is ambiguous"),
            span,
        ));
    }
    Ok(Some(first))
}

/// A sort key or a key of DISTINCT ON: an output name, a position, or an expression.
fn plan_sort_value(
    planner: &ExprContext<'_>,
    expr: &Expr,
    outputs: &[Output],
    clause: &'static str,
) -> Result<SortValue, SqlError> {
    let ctx = planner.ctx;
    if let Some(position) = position_key(ctx, expr, clause, outputs.len())? {
        return Ok(SortValue::Output(position));
    }
    if let Expr::Identifier(ident) = expr
        && let Some(position) = named_output(ctx, &name_of(ident), outputs, clause, ident.span)?
    {
        return Ok(SortValue::Output(position));
    }
    let planned = ExprContext { clause, ..planner.clone() }.plan(expr)?;
    let planned = resolve_unknown(ctx, planned)?;
    Ok(match outputs.iter().position(|output| output.scalar.expr == planned.expr) {
        Some(position) => SortValue::Output(position),
        None => SortValue::Extra(planned),
    })
}

fn plan_sort(
    planner: &ExprContext<'_>,
    order_by: &[OrderByExpr],
    outputs: &[Output],
) -> Result<Vec<SortKey>, SqlError> {
    order_by
        .iter()
        .map(|key| {
            let value = plan_sort_value(planner, &key.expr, outputs, "ORDER BY")?;
            require_order(value.scalar_type(outputs))
                .map_err(|error| planner.ctx.locate(error, key.expr.span()))?;
            Ok(SortKey { value, direction: direction(key)?, span: key.expr.span() })
        })
        .collect()
}

fn plan_distinct_on(
    planner: &ExprContext<'_>,
    select: &Select,
    outputs: &[Output],
) -> Result<Option<Vec<SortValue>>, SqlError> {
    match &select.distinct {
        Some(Distinct::On(exprs)) => exprs
            .iter()
            .map(|expr| {
                let value = plan_sort_value(planner, expr, outputs, "SELECT DISTINCT ON")?;
                require_equality(value.scalar_type(outputs))
                    .map_err(|error| planner.ctx.locate(error, expr.span()))?;
                Ok(value)
            })
            .collect::<Result<_, _>>()
            .map(Some),
        _ => Ok(None),
    }
}

/// Columns added to a relation, each expression once.
pub(super) struct RowPlan {
    arity: usize,
    scalars: Vec<QueryScalar>,
}

impl RowPlan {
    pub fn new(arity: usize) -> RowPlan {
        RowPlan { arity, scalars: Vec::new() }
    }

    /// How many columns there are with those added.
    pub fn width(&self) -> usize {
        self.arity + self.scalars.len()
    }

    pub fn position(&mut self, scalar: QueryScalar) -> usize {
        if let QueryScalar::Column(ColumnRef { level: 0, column }) = scalar {
            return column;
        }
        let volatile = super::cast::is_volatile(&scalar);
        let known = |known: &QueryScalar| !volatile && *known == scalar;
        let index = match self.scalars.iter().position(known) {
            Some(index) => index,
            None => {
                self.scalars.push(scalar);
                self.scalars.len() - 1
            }
        };
        self.arity + index
    }

    pub fn apply(self, input: QueryExpr) -> QueryExpr {
        match self.scalars.is_empty() {
            true => input,
            false => QueryExpr::Map { input: Box::new(input), scalars: self.scalars },
        }
    }
}

/// Output columns, DISTINCT, and the columns sorted by.
fn finish(
    ctx: &QueryContext<'_>,
    select: &Select,
    relation: QueryExpr,
    arity: usize,
    outputs: Vec<Output>,
    sort: Vec<SortKey>,
    distinct_on: Option<Vec<SortValue>>,
) -> Result<QueryParts, SqlError> {
    let mut row = RowPlan::new(arity);
    let mut project: Vec<usize> = Vec::new();
    let mut columns = Vec::new();
    for Output { name, scalar } in outputs {
        let unknown = scalar.typ.scalar_type == ScalarType::Unknown;
        let raw = unknown.then(|| scalar.expr.clone());
        columns.push(OutputColumn { name, typ: scalar.typ, raw });
        project.push(row.position(scalar.expr));
    }
    let width = project.len();
    let distinct = matches!(select.distinct, Some(Distinct::Distinct));
    if distinct {
        columns.iter().try_for_each(|column| require_equality(&column.typ.scalar_type))?;
    }
    let mut place = |value: SortValue, span: Span| match value {
        SortValue::Output(position) => Ok(position),
        SortValue::Extra(_) if distinct => Err(ctx.error(
            SqlState::INVALID_COLUMN_REFERENCE,
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            span,
        )),
        SortValue::Extra(scalar) => {
            let column = row.position(scalar.expr);
            match project[width..].iter().position(|known| *known == column) {
                Some(extra) => Ok(width + extra),
                None => {
                    project.push(column);
                    Ok(project.len() - 1)
                }
            }
        }
    };
    let mut order_by = Vec::new();
    for key in sort {
        let column = place(key.value, key.span)?;
        order_by.push(ColumnOrder { column, direction: key.direction });
    }
    let mut group_key = Vec::new();
    for value in distinct_on.into_iter().flatten() {
        let column = place(value, Span::empty())?;
        if !group_key.contains(&column) {
            group_key.push(column);
        }
    }
    let expr = QueryExpr::Project { input: Box::new(row.apply(relation)), outputs: project };
    let expr = match &select.distinct {
        Some(Distinct::Distinct) => QueryExpr::Distinct { input: Box::new(expr) },
        Some(Distinct::On(_)) => first_of_each(expr, group_key, &order_by)?,
        Some(Distinct::All) | None => expr,
    };
    Ok(QueryParts { expr, outputs: columns, order_by, limit: None, offset: None, from: None })
}

/// `DISTINCT ON`: of each group the first row.
fn first_of_each(
    input: QueryExpr,
    group_key: Vec<usize>,
    order_by: &[ColumnOrder],
) -> Result<QueryExpr, SqlError> {
    let mut leading: Vec<usize> = Vec::new();
    for key in order_by {
        if leading.len() == group_key.len() {
            break;
        }
        if !group_key.contains(&key.column) {
            return Err(SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
            ));
        }
        if !leading.contains(&key.column) {
            leading.push(key.column);
        }
    }
    let order_by = order_by.to_vec();
    let limit = Some(literal::literal(Datum::Int(1), ScalarType::Int8).expr);
    Ok(QueryExpr::TopK { input: Box::new(input), group_key, order_by, limit, offset: 0 })
}
