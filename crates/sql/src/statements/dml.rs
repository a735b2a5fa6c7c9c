//! INSERT, UPDATE, DELETE: as queries for the rows concerned.

mod conflict;
mod merge;
mod target;
mod with;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Ident, Insert, ObjectName, Query,
    SelectItem, SetExpr, Spanned, TableObject, TableWithJoins, Update, UpdateTableFromKind, Value,
    Values,
};
use sqlparser::tokenizer::Span;
use tidemill_catalog::{Generation, Table};
use tidemill_expr::AggregateKind;
use tidemill_plan::query::{ColumnRef, JoinKind, QueryAggregate};
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, Datum, RelationDesc, Row, ScalarType, SqlError, SqlState};

pub(super) use self::target::Target;
pub use self::with::put_rows;
pub(super) use self::with::writes;
use super::copy::no_column;
use super::select::get;
use super::table::{duplicate_column, expr_of};
use super::{Planning, command};
use crate::names;
use crate::plan::{DeletePlan, InsertPlan, Plan, Planned, ReturningPlan, RowProgram, UpdatePlan};
use crate::query::{self, InsertTarget, QueryContext, Relations, Scope, TypedScalar};

/// The new values of columns, by position.
type NewValues = Vec<(usize, QueryScalar)>;

impl Planning<'_> {
    /// `overriding`: whether values of identity columns are taken (SYSTEM) or passed over (USER).
    pub(super) fn insert(
        &self,
        insert: &Insert,
        overriding: Option<bool>,
    ) -> Result<Planned, SqlError> {
        refuse_insert_parts(insert)?;
        let TableObject::TableName(name) = &insert.table else {
            return Err(SqlError::unsupported("INSERT INTO a function or query"));
        };
        let alias = insert.table_alias.as_ref().map(|alias| &alias.alias);
        let target = self
            .target(name, "insert into", alias)
            .map_err(|error| names::locate(error, name.span()))?;
        let desc = &target.table.desc;
        let columns = insert_columns(insert, desc, &target.item.name.item)?;
        let context = self.context();
        let targets = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let named = insert.columns.get(at).map_or_else(Span::empty, Spanned::span);
                Ok(InsertTarget { span: named, ..self.insert_target(&target, *column)? })
            })
            .collect::<Result<Vec<_>, SqlError>>()?;
        let defaults = default_values(targets.len());
        // DEFAULT VALUES: one row in which each column is DEFAULT.
        let source = insert.source.as_deref().unwrap_or(&defaults);
        let fill = insert.source.is_none() || insert.columns.is_empty();
        let source = target.given_values(source, &columns, overriding)?;
        let query = query::plan_insert_source(&context, &source, &targets, fill)?;
        let ignored: Vec<usize> = match overriding {
            // In VALUES they are DEFAULT by now.
            Some(false) if !matches!(*source.body, SetExpr::Values(_)) => {
                columns.iter().copied().filter(|c| target.is_identity(*c)).collect()
            }
            _ => Vec::new(),
        };
        let query = self.in_table_order(&context, query, &columns, &ignored, &target)?;
        let query = target.with_stored(self, query, 0)?;
        let conflict = self.conflict(&context, insert.on.as_ref(), &target)?;
        let scope = target.scope();
        let returning =
            self.returning(&context, &scope, &desc.types(), insert.returning.as_ref())?;
        let parameters = context.parameter_types()?;
        let check = self.row_check(&target)?;
        let plan = InsertPlan { table: target.item.id, query, check, conflict, returning };
        let desc = plan.returning.as_ref().map(|returning| returning.desc.clone());
        Ok(Planned { desc, parameters, ..command(Plan::Insert(plan)) })
    }

    pub(super) fn update(&self, update: &Update) -> Result<Planned, SqlError> {
        let Update {
            update_token: _,
            optimizer_hints: _,
            table,
            assignments,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
        } = update;
        refuse("OUTPUT", output.is_some())?;
        refuse("UPDATE OR", or.is_some())?;
        refuse("ORDER BY of UPDATE", !order_by.is_empty())?;
        refuse("LIMIT of UPDATE", limit.is_some())?;
        let from = match from {
            None => None,
            Some(UpdateTableFromKind::AfterSet(from)) => Some(from.as_slice()),
            Some(UpdateTableFromKind::BeforeSet(_)) => {
                return Err(SqlError::unsupported("FROM before SET"));
            }
        };
        let target = self.table_target(table, "update")?;
        let context = self.context();
        let concerned = self.rows_concerned(&context, &target, from, selection.as_ref())?;
        let values = self.assignments(&context, &concerned.scope, assignments, &target)?;
        let returning = concerned.returning(self, &context, &target, returning.as_ref())?;
        let query = target.with_new_values(self, concerned.query, concerned.width, values)?;
        let mut query = query;
        query::settle_query_parameters(&context, &mut query);
        let parameters = context.parameter_types()?;
        let check = self.row_check(&target)?;
        let (table, beside) = (target.item.id, concerned.beside);
        let plan = UpdatePlan { table, query, beside, check, returning };
        let desc = plan.returning.as_ref().map(|returning| returning.desc.clone());
        Ok(Planned { desc, parameters, ..command(Plan::Update(plan)) })
    }

    pub(super) fn delete(&self, delete: &Delete) -> Result<Planned, SqlError> {
        let Delete {
            delete_token: _,
            optimizer_hints: _,
            tables,
            from,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
        } = delete;
        refuse("DELETE of several tables", !tables.is_empty())?;
        refuse("OUTPUT", output.is_some())?;
        refuse("ORDER BY of DELETE", !order_by.is_empty())?;
        refuse("LIMIT of DELETE", limit.is_some())?;
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = from;
        let [table] = from.as_slice() else {
            return Err(SqlError::unsupported("DELETE of several tables"));
        };
        let target = self.table_target(table, "delete from")?;
        let context = self.context();
        let concerned =
            self.rows_concerned(&context, &target, using.as_deref(), selection.as_ref())?;
        let returning = concerned.returning(self, &context, &target, returning.as_ref())?;
        let mut query = concerned.query;
        query::settle_query_parameters(&context, &mut query);
        let parameters = context.parameter_types()?;
        let check = self.row_check(&target)?;
        let (table, beside) = (target.item.id, concerned.beside);
        let plan = DeletePlan { table, query, beside, check, returning };
        let desc = plan.returning.as_ref().map(|returning| returning.desc.clone());
        Ok(Planned { desc, parameters, ..command(Plan::Delete(plan)) })
    }

    /// The rows that WHERE finds, with what stands beside them.
    fn rows_concerned(
        &self,
        context: &QueryContext<'_>,
        target: &Target<'_>,
        beside: Option<&[TableWithJoins]>,
        selection: Option<&Expr>,
    ) -> Result<Concerned, SqlError> {
        let desc = &target.table.desc;
        let mut scope = target.scope();
        let mut query = get(target.item.id, desc);
        let mut width = None;
        if let Some(tables) = beside {
            let (more, names) = query::plan_from_items(context, tables)?;
            scope = scope.with_unnamed(1).join(names)?;
            let (left, right) = (Box::new(counted(query, desc)), Box::new(more));
            let on = boolean(true);
            query = QueryExpr::Join { left, right, on, kind: JoinKind::Inner, lateral: false };
            width = Some(scope.width() - desc.arity());
        }
        if let Some(selection) = selection {
            let predicate = query::plan_condition(context, &scope, selection, "WHERE")?;
            query = QueryExpr::Filter { input: Box::new(query), predicates: vec![predicate] };
        }
        Ok(Concerned { query, width: scope.width(), scope, beside: width })
    }

    /// The values of SET, coerced to their columns.
    fn assignments(
        &self,
        context: &QueryContext<'_>,
        scope: &Scope,
        assignments: &[Assignment],
        target: &Target<'_>,
    ) -> Result<NewValues, SqlError> {
        let desc = &target.table.desc;
        let table = &target.item.name.item;
        let mut values: NewValues = Vec::new();
        let mut add = |index: usize, value: Option<TypedScalar>| -> Result<(), SqlError> {
            let name = &desc.columns[index].name;
            if values.iter().any(|(known, _)| *known == index) {
                // Told without a place.
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("multiple assignments to same column \"{name}\""),
                )
                .at(0));
            }
            target.check_assigned(index, value.is_some())?;
            let scalar = match value {
                None => self.default_value(context, target, index)?,
                Some(value) => {
                    query::coerce_assignment(context, value, &desc.columns[index].typ, name)?.expr
                }
            };
            values.push((index, scalar));
            Ok(())
        };
        let plan = |expr: &Expr| match is_default(expr) {
            true => Ok(None),
            false => query::plan_scalar_in(context, scope, expr, "UPDATE").map(Some),
        };
        let mut fields = Vec::new();
        for assignment in assignments {
            match &assignment.target {
                AssignmentTarget::ColumnName(name) if name.0.len() > 1 => {
                    let parts = names::parts(name)?;
                    let (index, path) = field_position(&parts, desc, table)?;
                    let value = query::plan_scalar_in(context, scope, &assignment.value, "UPDATE")?;
                    fields.push((index, path.to_vec(), value));
                }
                AssignmentTarget::ColumnName(name) => {
                    let index = column_position(name, desc, table)?;
                    add(index, plan(&assignment.value)?)
                        .map_err(|error| names::locate(error, assignment.value.span()))?;
                }
                AssignmentTarget::Tuple(names) => {
                    let columns = names
                        .iter()
                        .map(|name| column_position(name, desc, table))
                        .collect::<Result<Vec<_>, _>>()?;
                    let planned = match row_of(&assignment.value) {
                        RowValue::Values(exprs) => {
                            exprs.iter().map(&plan).collect::<Result<Vec<_>, _>>()?
                        }
                        RowValue::Query(query) => {
                            let values = query::plan_row_subquery(context, scope, query)?;
                            values.into_iter().map(Some).collect()
                        }
                        RowValue::Other => {
                            let error = SqlError::new(
                                SqlState::FEATURE_NOT_SUPPORTED,
                                "source for a multiple-column UPDATE item must be a sub-SELECT \
                                 or ROW() expression",
                            );
                            return Err(names::locate(error, assignment.value.span()));
                        }
                    };
                    if planned.len() != columns.len() {
                        return Err(SqlError::new(
                            SqlState::SYNTAX_ERROR,
                            "number of columns does not match number of values",
                        ));
                    }
                    for (index, value) in columns.into_iter().zip(planned) {
                        add(index, value)?;
                    }
                }
            }
        }
        for (index, path, value) in fields {
            let column = &desc.columns[index];
            let known = values.iter_mut().find(|(known, _)| *known == index);
            let expr = match &known {
                Some((_, expr)) => expr.clone(),
                None => QueryScalar::Column(ColumnRef { level: 0, column: index }),
            };
            let old = TypedScalar { expr, typ: column.typ.clone() };
            let new = query::with_field(context, old, &path, value, &column.name)?.expr;
            match known {
                Some((_, expr)) => *expr = new,
                None => values.push((index, new)),
            }
        }
        Ok(values)
    }

    /// RETURNING over rows of these columns.
    fn returning(
        &self,
        context: &QueryContext<'_>,
        scope: &Scope,
        types: &[ColumnType],
        items: Option<&Vec<SelectItem>>,
    ) -> Result<Option<ReturningPlan>, SqlError> {
        let Some(items) = items else { return Ok(None) };
        let (mut scalars, desc) = query::plan_returning(context, scope, items)?;
        for scalar in &mut scalars {
            query::settle_scalar_parameters(context, scalar);
        }
        let outputs = (types.len()..types.len() + scalars.len()).collect();
        let program = RowProgram { input: types.to_vec(), filter: None, scalars, outputs };
        Ok(Some(ReturningPlan { program, desc }))
    }

    fn insert_target(&self, target: &Target<'_>, column: usize) -> Result<InsertTarget, SqlError> {
        let known = &target.table.desc.columns[column];
        Ok(InsertTarget {
            name: known.name.clone(),
            typ: known.typ.clone().nullable(true),
            default: self.default_expr(target.table, column)?,
            span: Span::empty(),
        })
    }

    /// The default of a column, read from its text.
    fn default_expr(&self, table: &Table, column: usize) -> Result<Option<Expr>, SqlError> {
        if let Some(sequence) = table.generation(column).and_then(Generation::sequence) {
            let gone = || SqlError::internal("a column without its sequence");
            let oid = self.planner.catalog.item(sequence).ok_or_else(gone)?.oid.0;
            return expr_of(&format!("pg_catalog.nextval({oid}::oid::regclass)")).map(Some);
        }
        if let Some(Some(text)) = table.defaults.get(column) {
            return expr_of(text).map(Some);
        }
        // That of its domain, or of the one under that.
        let mut typ = table.desc.columns.get(column).map(|column| &column.typ.scalar_type);
        while let Some(ScalarType::Domain(domain)) = typ {
            let rules = self.planner.domain_rules(domain);
            if let Some(text) = rules.and_then(|rules| rules.default.as_ref()) {
                return expr_of(text).map(Some);
            }
            typ = Some(&domain.base.scalar_type);
        }
        Ok(None)
    }

    fn default_value(
        &self,
        context: &QueryContext<'_>,
        target: &Target<'_>,
        column: usize,
    ) -> Result<QueryScalar, SqlError> {
        let known = &target.table.desc.columns[column];
        let null = Expr::value(Value::Null);
        let expr = self.default_expr(target.table, column)?.unwrap_or(null);
        let planned = query::plan_scalar(context, &Scope::default(), &expr)?;
        let typ = known.typ.clone().nullable(true);
        Ok(query::coerce_assignment(context, planned, &typ, &known.name)?.expr)
    }

    /// Adds the columns that the rows have not, and puts all in the table's order.
    pub(super) fn in_table_order(
        &self,
        context: &QueryContext<'_>,
        query: QueryExpr,
        columns: &[usize],
        ignored: &[usize],
        target: &Target<'_>,
    ) -> Result<QueryExpr, SqlError> {
        let arity = target.table.desc.arity();
        if columns.len() == arity && columns.is_sorted() && ignored.is_empty() {
            return Ok(query);
        }
        let mut scalars = Vec::new();
        let mut outputs = Vec::with_capacity(arity);
        for column in 0..arity {
            let given = columns.iter().position(|given| *given == column);
            match given.filter(|_| !ignored.contains(&column)) {
                Some(position) => outputs.push(position),
                None => {
                    outputs.push(columns.len() + scalars.len());
                    scalars.push(self.default_value(context, target, column)?);
                }
            }
        }
        let input = match scalars.is_empty() {
            true => query,
            false => QueryExpr::Map { input: Box::new(query), scalars },
        };
        Ok(QueryExpr::Project { input: Box::new(input), outputs })
    }
}

/// The rows that a statement is about.
struct Concerned {
    query: QueryExpr,
    scope: Scope,
    /// How many columns they have.
    width: usize,
    /// How many of them are not the table's.
    beside: Option<usize>,
}

impl Concerned {
    /// RETURNING sees the table's row and what stands beside it.
    fn returning(
        &self,
        planning: &Planning<'_>,
        context: &QueryContext<'_>,
        target: &Target<'_>,
        items: Option<&Vec<SelectItem>>,
    ) -> Result<Option<ReturningPlan>, SqlError> {
        let mut types = target.table.desc.types();
        if self.beside.is_some() {
            types.push(ColumnType::new(ScalarType::Int8));
        }
        types.extend(self.scope.types_from(types.len()));
        planning.returning(context, &self.scope, &types, items)
    }
}

/// The rows of a table with one more column: how many like this there are.
fn counted(input: QueryExpr, desc: &RelationDesc) -> QueryExpr {
    let typ = ColumnType::new(ScalarType::Int8).nullable(false);
    let one = QueryScalar::Literal(Ok(Row::pack([Datum::Int(1)])), typ.clone());
    let input = Box::new(input);
    if !desc.keys.is_empty() {
        return QueryExpr::Map { input, scalars: vec![one] };
    }
    let count = QueryAggregate {
        kind: AggregateKind::Count,
        argument: one,
        distinct: false,
        order: Vec::new(),
        typ,
    };
    let group_key = (0..desc.arity()).collect();
    QueryExpr::Reduce { input, group_key, aggregates: vec![count] }
}

fn boolean(value: bool) -> QueryScalar {
    let typ = ColumnType::new(ScalarType::Bool).nullable(false);
    QueryScalar::Literal(Ok(Row::pack([Datum::Bool(value)])), typ)
}

/// What a row of columns is set to.
enum RowValue<'e> {
    Values(&'e [Expr]),
    Query(&'e Query),
    Other,
}

fn row_of(expr: &Expr) -> RowValue<'_> {
    match expr {
        Expr::Tuple(exprs) => RowValue::Values(exprs),
        Expr::Subquery(query) => RowValue::Query(query),
        _ => RowValue::Other,
    }
}

fn refuse(what: &str, there: bool) -> Result<(), SqlError> {
    if there { Err(SqlError::unsupported(what)) } else { Ok(()) }
}

fn refuse_insert_parts(insert: &Insert) -> Result<(), SqlError> {
    let Insert {
        insert_token: _,
        optimizer_hints: _,
        or,
        ignore,
        into,
        table: _,
        table_alias: _,
        columns: _,
        overwrite,
        source: _,
        assignments,
        partitioned,
        after_columns,
        has_table_keyword,
        on: _,
        returning: _,
        output,
        replace_into,
        priority,
        insert_alias,
        settings,
        format_clause,
        multi_table_insert_type,
        ..
    } = insert;
    if !*into {
        let message = format!("syntax error at or near \"{}\"", insert.table);
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    refuse("an alias of the rows of INSERT", insert_alias.is_some())?;
    let foreign = or.is_some()
        || *ignore
        || *overwrite
        || !assignments.is_empty()
        || partitioned.is_some()
        || !after_columns.is_empty()
        || *has_table_keyword
        || output.is_some()
        || *replace_into
        || priority.is_some()
        || settings.is_some()
        || format_clause.is_some()
        || multi_table_insert_type.is_some();
    refuse("this form of INSERT", foreign)
}

/// The positions of the columns that the rows have, in their order.
fn insert_columns(
    insert: &Insert,
    desc: &RelationDesc,
    table: &str,
) -> Result<Vec<usize>, SqlError> {
    if insert.columns.is_empty() {
        return Ok((0..desc.arity()).collect());
    }
    let mut columns = Vec::new();
    for name in &insert.columns {
        let index = column_position(name, desc, table)?;
        if columns.contains(&index) {
            let error = duplicate_column(&desc.columns[index].name);
            return Err(names::locate(error, name.span()));
        }
        columns.push(index);
    }
    Ok(columns)
}

/// The column that a name of several parts begins with, and the fields that the rest names.
fn field_position<'n>(
    parts: &'n [String],
    desc: &RelationDesc,
    table: &str,
) -> Result<(usize, &'n [String]), SqlError> {
    let (first, rest) = parts.split_first().ok_or_else(|| no_column("", table))?;
    match desc.position(first) {
        Some(position) => Ok((position, rest)),
        None => Err(no_column(first, table)),
    }
}

fn column_position(name: &ObjectName, desc: &RelationDesc, table: &str) -> Result<usize, SqlError> {
    let parts = names::parts(name)?;
    let [column] = parts.as_slice() else {
        return Err(no_column(&parts.join("."), table));
    };
    desc.position(column).ok_or_else(|| {
        let error = no_column(column, table);
        match name.0.first().and_then(|part| part.as_ident()) {
            Some(ident) if ident.span.start.line != 0 => {
                error.at(u32::try_from(ident.span.start.column).unwrap_or(u32::MAX))
            }
            _ => error,
        }
    })
}

/// `VALUES (DEFAULT, ..)`
fn default_values(width: usize) -> Query {
    let default = || Expr::Identifier(Ident::new("default"));
    let row = sqlparser::ast::Parens {
        opening_token: sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
        content: (0..width).map(|_| default()).collect(),
        closing_token: sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
    };
    let values = Values { explicit_row: false, value_keyword: false, rows: vec![row] };
    Query {
        with: None,
        body: Box::new(SetExpr::Values(values)),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident)
        if ident.quote_style.is_none() && ident.value == "default")
}

fn column(column: usize) -> QueryScalar {
    QueryScalar::Column(ColumnRef { level: 0, column })
}
