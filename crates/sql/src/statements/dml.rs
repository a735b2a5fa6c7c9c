//! INSERT, UPDATE, DELETE: as queries for the rows concerned.

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Ident, Insert, ObjectName, Query,
    SetExpr, TableFactor, TableObject, TableWithJoins, Update, Value, Values,
};
use tidemill_catalog::{Item, ItemKind, Table};
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{RelationDesc, SqlError, SqlState};

use super::copy::no_column;
use super::select::get;
use super::table::duplicate_column;
use super::{Planning, command};
use crate::ast::Statement;
use crate::names;
use crate::parse::parse;
use crate::plan::{DeletePlan, InsertPlan, Plan, Planned, RowCheck, UpdatePlan};
use crate::query::{self, InsertTarget, QueryContext, Scope};

/// A table that is written to.
pub(super) struct Target<'a> {
    pub(super) item: &'a Item,
    pub(super) table: &'a Table,
    pub(super) alias: String,
}

impl<'a> Planning<'a> {
    pub(super) fn insert(&self, insert: &Insert) -> Result<Planned, SqlError> {
        refuse_insert_parts(insert)?;
        let TableObject::TableName(name) = &insert.table else {
            return Err(SqlError::unsupported("INSERT INTO a function or query"));
        };
        let target = self.target(name, "insert into", None)?;
        let desc = &target.table.desc;
        let columns = insert_columns(insert, desc, &target.item.name.item)?;
        let context = self.context();
        let targets = columns
            .iter()
            .map(|column| insert_target(&target, *column))
            .collect::<Result<Vec<_>, _>>()?;
        let query = match &insert.source {
            Some(source) => {
                query::plan_insert_source(&context, source, &targets, insert.columns.is_empty())?
            }
            // DEFAULT VALUES: one row in which each column is DEFAULT.
            None => {
                let defaults = default_values(targets.len());
                query::plan_insert_source(&context, &defaults, &targets, true)?
            }
        };
        let query = in_table_order(&context, query, &columns, &target)?;
        let parameters = context.parameter_types()?;
        let plan = InsertPlan { table: target.item.id, query, check: target.check() };
        Ok(Planned { parameters, ..command(Plan::Insert(plan)) })
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
        refuse("UPDATE .. FROM", from.is_some())?;
        refuse("RETURNING", returning.is_some())?;
        refuse("OUTPUT", output.is_some())?;
        refuse("UPDATE OR", or.is_some())?;
        refuse("ORDER BY of UPDATE", !order_by.is_empty())?;
        refuse("LIMIT of UPDATE", limit.is_some())?;
        let target = self.table_target(table, "update")?;
        let desc = &target.table.desc;
        let context = self.context();
        let scope = query::table_scope(desc, &target.alias);
        let input = self.rows_concerned(&context, &scope, &target, selection.as_ref())?;
        let mut scalars: Vec<QueryScalar> = (0..desc.arity()).map(column).collect();
        let mut assigned = Vec::new();
        for assignment in assignments {
            let index = assigned_column(assignment, desc, &target.item.name.item)?;
            let name = &desc.columns[index].name;
            if assigned.contains(&index) {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("multiple assignments to same column \"{name}\""),
                ));
            }
            assigned.push(index);
            scalars[index] = if is_default(&assignment.value) {
                default_value(&context, &target, index)?
            } else {
                let planned = query::plan_scalar(&context, &scope, &assignment.value)?;
                let typ = &desc.columns[index].typ;
                query::coerce_assignment(&context, planned, typ, name)?.expr
            };
        }
        for scalar in &mut scalars {
            query::settle_scalar_parameters(&context, scalar);
        }
        let query = QueryExpr::Map { input: Box::new(input), scalars };
        let parameters = context.parameter_types()?;
        let plan = UpdatePlan { table: target.item.id, query, check: target.check() };
        Ok(Planned { parameters, ..command(Plan::Update(plan)) })
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
        refuse("DELETE .. USING", using.is_some())?;
        refuse("RETURNING", returning.is_some())?;
        refuse("OUTPUT", output.is_some())?;
        refuse("ORDER BY of DELETE", !order_by.is_empty())?;
        refuse("LIMIT of DELETE", limit.is_some())?;
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = from;
        let [table] = from.as_slice() else {
            return Err(SqlError::unsupported("DELETE of several tables"));
        };
        let target = self.table_target(table, "delete from")?;
        let context = self.context();
        let scope = query::table_scope(&target.table.desc, &target.alias);
        let query = self.rows_concerned(&context, &scope, &target, selection.as_ref())?;
        let parameters = context.parameter_types()?;
        let plan = DeletePlan { table: target.item.id, query };
        Ok(Planned { parameters, ..command(Plan::Delete(plan)) })
    }

    fn rows_concerned(
        &self,
        context: &QueryContext<'_>,
        scope: &Scope,
        target: &Target<'_>,
        selection: Option<&Expr>,
    ) -> Result<QueryExpr, SqlError> {
        let input = get(target.item.id, &target.table.desc);
        let Some(selection) = selection else { return Ok(input) };
        let mut predicate = query::plan_condition(context, scope, selection, "WHERE")?;
        query::settle_scalar_parameters(context, &mut predicate);
        Ok(QueryExpr::Filter { input: Box::new(input), predicates: vec![predicate] })
    }

    fn table_target(&self, table: &TableWithJoins, verb: &str) -> Result<Target<'a>, SqlError> {
        refuse("a join as the target of a statement that writes", !table.joins.is_empty())?;
        let TableFactor::Table { name, alias, args: None, .. } = &table.relation else {
            return Err(SqlError::unsupported("writing to anything but a table"));
        };
        let plain = TableWithJoins {
            relation: TableFactor::Table {
                name: name.clone(),
                alias: alias.clone(),
                args: None,
                with_hints: Vec::new(),
                version: None,
                with_ordinality: false,
                partitions: Vec::new(),
                json_path: None,
                sample: None,
                index_hints: Vec::new(),
            },
            joins: Vec::new(),
        };
        refuse("an option of the target of a statement that writes", plain != *table)?;
        if let Some(alias) = alias {
            refuse("names of columns in the alias of a target", !alias.columns.is_empty())?;
        }
        self.target(name, verb, alias.as_ref().map(|alias| &alias.name))
    }

    pub(super) fn target(
        &self,
        name: &ObjectName,
        verb: &str,
        alias: Option<&Ident>,
    ) -> Result<Target<'a>, SqlError> {
        let session = self.planner.session;
        let parts = names::parts(name)?;
        let catalog = self.planner.catalog;
        let item: &'a Item = catalog.resolve_item(session.database, session.search_path, &parts)?;
        let refused = |code, detail: &str| {
            let kind = item.kind();
            let name = &item.name.item;
            SqlError::new(code, format!("cannot {verb} {kind} \"{name}\"")).with_detail(detail)
        };
        match item.table() {
            Some(table) if item.kind() == ItemKind::Table => {
                if item.is_system() {
                    return Err(refused(
                        SqlState::INSUFFICIENT_PRIVILEGE,
                        "System relations cannot be changed.",
                    ));
                }
                if table.source.is_some() {
                    return Err(refused(
                        SqlState::WRONG_OBJECT_TYPE,
                        "The table follows a source and can only be read.",
                    ));
                }
                let alias = alias.map_or_else(|| item.name.item.clone(), |name| name.value.clone());
                Ok(Target { item, table, alias })
            }
            _ => Err(refused(SqlState::WRONG_OBJECT_TYPE, "Only tables can be written to.")),
        }
    }
}

impl Target<'_> {
    pub(super) fn check(&self) -> RowCheck {
        RowCheck { table: self.item.name.item.clone(), desc: self.table.desc.clone() }
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
        table_alias,
        columns: _,
        overwrite,
        source: _,
        assignments,
        partitioned,
        after_columns,
        has_table_keyword,
        on,
        returning,
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
    refuse("ON CONFLICT", on.is_some())?;
    refuse("RETURNING", returning.is_some())?;
    refuse("an alias of the target of INSERT", table_alias.is_some() || insert_alias.is_some())?;
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
            return Err(duplicate_column(&desc.columns[index].name));
        }
        columns.push(index);
    }
    Ok(columns)
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

fn insert_target(target: &Target<'_>, column: usize) -> Result<InsertTarget, SqlError> {
    let known = &target.table.desc.columns[column];
    Ok(InsertTarget {
        name: known.name.clone(),
        typ: known.typ.clone().nullable(true),
        default: default_expr(target.table, column)?,
    })
}

/// The default of a column, read from its text.
fn default_expr(table: &Table, column: usize) -> Result<Option<Expr>, SqlError> {
    let Some(Some(text)) = table.defaults.get(column) else { return Ok(None) };
    let mut statements = parse(&format!("SELECT {text}"))?;
    let broken = || SqlError::internal("a default that is no expression");
    let Some(Statement::Query(statement)) = statements.pop().map(|one| one.statement) else {
        return Err(broken());
    };
    let SetExpr::Select(select) = *statement.query.body else { return Err(broken()) };
    match select.projection.into_iter().next() {
        Some(sqlparser::ast::SelectItem::UnnamedExpr(expr)) => Ok(Some(expr)),
        _ => Err(broken()),
    }
}

fn default_value(
    context: &QueryContext<'_>,
    target: &Target<'_>,
    column: usize,
) -> Result<QueryScalar, SqlError> {
    let known = &target.table.desc.columns[column];
    let null = Expr::value(Value::Null);
    let expr = default_expr(target.table, column)?.unwrap_or(null);
    let planned = query::plan_scalar(context, &Scope::default(), &expr)?;
    let typ = known.typ.clone().nullable(true);
    Ok(query::coerce_assignment(context, planned, &typ, &known.name)?.expr)
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

/// Adds the columns that the rows have not, and puts all in the table's order.
pub(super) fn in_table_order(
    context: &QueryContext<'_>,
    query: QueryExpr,
    columns: &[usize],
    target: &Target<'_>,
) -> Result<QueryExpr, SqlError> {
    let arity = target.table.desc.arity();
    if columns.len() == arity && columns.is_sorted() {
        return Ok(query);
    }
    let mut scalars = Vec::new();
    let mut outputs = Vec::with_capacity(arity);
    for column in 0..arity {
        match columns.iter().position(|given| *given == column) {
            Some(position) => outputs.push(position),
            None => {
                outputs.push(columns.len() + scalars.len());
                scalars.push(default_value(context, target, column)?);
            }
        }
    }
    let input =
        if scalars.is_empty() { query } else { QueryExpr::Map { input: Box::new(query), scalars } };
    Ok(QueryExpr::Project { input: Box::new(input), outputs })
}

fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident)
        if ident.quote_style.is_none() && ident.value == "default")
}

fn assigned_column(
    assignment: &Assignment,
    desc: &RelationDesc,
    table: &str,
) -> Result<usize, SqlError> {
    match &assignment.target {
        AssignmentTarget::ColumnName(name) => column_position(name, desc, table),
        AssignmentTarget::Tuple(_) => {
            Err(SqlError::unsupported("UPDATE .. SET of several columns at once"))
        }
    }
}

fn column(column: usize) -> QueryScalar {
    QueryScalar::Column(ColumnRef { level: 0, column })
}
