//! FROM: tables, subqueries, functions, and how they are joined.
//!
//! The items of a FROM are joined from left to right. What stands on the right is planned as if
//! it could see the row on the left, one scope out; where it makes no use of that, the scope is
//! taken away again and the join is a plain one.

mod function;
mod json_table;

use std::rc::Rc;

use sqlparser::ast::{
    Expr, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, Spanned,
    TableAlias, TableFactor, TableWithJoins,
};
use tidemill_plan::query::{ColumnRef, JoinKind};
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, SqlError, SqlState};

use super::cast::{coerce_branch, common_column_type};
use super::error::{name_of, nowhere};
use super::expr::ExprContext;
use super::order::{self, OutputColumn};
use super::scope::{Entry, Missing, Scope, TableName};
use super::session_functions::is_session_keyword;
use super::values::unit;
use super::{QueryContext, TypedScalar, catalog_functions, cte, literal, walk};
use crate::parse_marks::USING_ALIAS;

pub(super) use function::function_columns;

/// Words that sqlparser takes for names and PostgreSQL does not.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "leading",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "references",
    "returning",
    "select",
    "some",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "using",
    "variadic",
    "when",
    "where",
    "window",
    "with",
];

/// A relation and the names of its columns.
struct Item {
    expr: QueryExpr,
    scope: Scope,
}

/// Plans a FROM list; without items it is one row without columns.
pub(super) fn plan_from(
    ctx: &QueryContext<'_>,
    tables: &[TableWithJoins],
    around: &Rc<Scope>,
) -> Result<(QueryExpr, Scope), SqlError> {
    let mut joined: Option<Item> = None;
    for table in tables {
        joined = Some(match joined {
            None => plan_chain(ctx, table, around)?,
            Some(left) => {
                let right = plan_chain(ctx, table, &beside(&left, around))?;
                attach(ctx, left, right, JoinKind::Inner, &JoinConstraint::None, around)
                    .map_err(|error| ctx.locate(error, table.span()))?
            }
        });
    }
    let item = joined.unwrap_or_else(|| Item { expr: unit(), scope: Scope::default() });
    let mut scope = item.scope;
    scope.outer = around.outer.clone();
    scope.ctes = around.ctes.clone();
    Ok((item.expr, scope))
}

/// The surroundings of what is joined to the right of an item.
fn beside(left: &Item, around: &Rc<Scope>) -> Rc<Scope> {
    let sibling = Scope {
        outer: around.outer.clone(),
        ctes: around.ctes.clone(),
        sibling: true,
        from: true,
        ..left.scope.clone()
    };
    Rc::new(Scope { outer: Some(Rc::new(sibling)), ctes: around.ctes.clone(), ..Scope::default() })
}

/// A table with the joins written after it.
fn plan_chain(
    ctx: &QueryContext<'_>,
    table: &TableWithJoins,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    ctx.deeper(|| {
        let mut left = plan_factor(ctx, &table.relation, around)?;
        for join in &table.joins {
            left = plan_join(ctx, left, join, around)?;
        }
        Ok(left)
    })
}

fn plan_join(
    ctx: &QueryContext<'_>,
    left: Item,
    join: &Join,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    let (kind, constraint) = match &join.join_operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
            (JoinKind::Inner, constraint)
        }
        JoinOperator::CrossJoin(constraint) => (JoinKind::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
            (JoinKind::Left, constraint)
        }
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (JoinKind::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (JoinKind::Full, constraint),
        _ => return Err(ctx.unsupported("this kind of join", join.relation.span())),
    };
    let cross = matches!(join.join_operator, JoinOperator::CrossJoin(_));
    if join.global || (cross != matches!(constraint, JoinConstraint::None)) {
        let error = SqlError::new(
            SqlState::SYNTAX_ERROR,
            "a JOIN needs ON, USING or NATURAL, and a CROSS JOIN none of them",
        );
        return Err(ctx.locate(error, join.relation.span()));
    }
    let right = plan_factor(ctx, &join.relation, &beside(&left, around))?;
    attach(ctx, left, right, kind, constraint, around)
        .map_err(|error| ctx.locate(error, join.relation.span()))
}

/// Joins an item to what was planned beside it.
fn attach(
    ctx: &QueryContext<'_>,
    left: Item,
    mut right: Item,
    kind: JoinKind,
    constraint: &JoinConstraint,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    let lateral = walk::query_uses(&right.expr, 1);
    if lateral && matches!(kind, JoinKind::Right | JoinKind::Full) {
        let table = left.scope.tables.iter().find(|table| !table.covered);
        let table = table.map_or("", |table| &table.name);
        return Err(SqlError::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            format!("invalid reference to FROM-clause entry for table \"{table}\""),
        )
        .with_detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference."));
    }
    if !lateral {
        walk::shift_query(&mut right.expr, 2, -1);
    }
    let (left_arity, left_scope) = (left.scope.arity, left.scope.clone());
    let mut joined = side_by_side(&left.scope, &right.scope, kind)?;
    joined.outer = around.without_siblings().outer.clone();
    joined.ctes = around.ctes.clone();
    let mut alias = None;
    let (on, merged) = match constraint {
        JoinConstraint::None => (literal::boolean(true), Vec::new()),
        JoinConstraint::On(condition) => {
            let scope = Rc::new(joined.clone());
            let planner = ExprContext::new(ctx, &scope, "JOIN conditions");
            (planner.plan_on(condition)?, Vec::new())
        }
        JoinConstraint::Using(names) => {
            let mut names =
                names.iter().map(|name| single_name(ctx, name)).collect::<Result<Vec<_>, _>>()?;
            alias = names.last().and_then(|name| name.strip_prefix(USING_ALIAS)).map(str::to_owned);
            if alias.is_some() {
                names.pop();
            }
            using(ctx, &left_scope, &right.scope, left_arity, kind, &names)?
        }
        JoinConstraint::Natural => {
            let names: Vec<String> = left_scope
                .visible()
                .map(|entry| entry.name.clone())
                .filter(|name| right.scope.visible().any(|entry| entry.name == *name))
                .collect();
            using(ctx, &left_scope, &right.scope, left_arity, kind, &names)?
        }
    };
    let expr = join_relations(left.expr, right.expr, on, kind, lateral);
    let columns: Vec<String> = merged.iter().map(|column| column.name.clone()).collect();
    let mut item = merge_columns(expr, joined, merged);
    if let Some(alias) = alias {
        name_merged(&mut item.scope, alias, &columns)?;
    }
    Ok(item)
}

/// `USING (..) AS name`: the merged columns, in the order of the list, are a table of this name.
fn name_merged(scope: &mut Scope, name: String, columns: &[String]) -> Result<(), SqlError> {
    if scope.tables.iter().any(|table| !table.covered && table.name == name) {
        return Err(nowhere(SqlError::new(
            SqlState::DUPLICATE_ALIAS,
            format!("table name \"{name}\" specified more than once"),
        )));
    }
    let table = scope.tables.len();
    scope.tables.push(table_name(&name));
    let merged: Vec<Entry> = columns
        .iter()
        .filter_map(|column| {
            scope.entries.iter().find(|entry| entry.table.is_none() && entry.name == *column)
        })
        .map(|entry| Entry { table: Some(table), hidden: true, ..entry.clone() })
        .collect();
    scope.entries.extend(merged);
    Ok(())
}

fn join_relations(
    left: QueryExpr,
    right: QueryExpr,
    on: QueryScalar,
    kind: JoinKind,
    lateral: bool,
) -> QueryExpr {
    // A function joined to all rows is applied to each of them.
    if kind == JoinKind::Inner
        && on == literal::boolean(true)
        && let QueryExpr::FlatMap { input, function, arguments, typ } = &right
        && **input == unit()
    {
        let mut arguments = arguments.clone();
        for argument in &mut arguments {
            if lateral {
                walk::shift_scalar(argument, 1, -1);
            }
        }
        let (function, typ) = (*function, typ.clone());
        return QueryExpr::FlatMap { input: Box::new(left), function, arguments, typ };
    }
    QueryExpr::Join { left: Box::new(left), right: Box::new(right), on, kind, lateral }
}

fn side_by_side(left: &Scope, right: &Scope, kind: JoinKind) -> Result<Scope, SqlError> {
    let (mut left, mut right) = (left.clone(), right.clone());
    if matches!(kind, JoinKind::Right | JoinKind::Full) {
        left.nullable();
    }
    if matches!(kind, JoinKind::Left | JoinKind::Full) {
        right.nullable();
    }
    left.join(right)
}

/// A column that USING makes of two.
struct Merged {
    name: String,
    left: usize,
    right: usize,
    value: QueryScalar,
    typ: ColumnType,
}

/// The condition of USING and the columns it merges.
fn using(
    ctx: &QueryContext<'_>,
    left: &Scope,
    right: &Scope,
    left_arity: usize,
    kind: JoinKind,
    names: &[String],
) -> Result<(QueryScalar, Vec<Merged>), SqlError> {
    let mut equalities = Vec::new();
    let mut merged: Vec<Merged> = Vec::new();
    for name in names {
        if merged.iter().any(|column| column.name == *name) {
            return Err(nowhere(SqlError::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column name \"{name}\" appears more than once in USING clause"),
            )));
        }
        let one = using_column(left, name, "left")?;
        let two = using_column(right, name, "right")?;
        let at = |entry: &Entry, base: usize| TypedScalar {
            expr: QueryScalar::Column(ColumnRef { level: 0, column: entry.column + base }),
            typ: entry.typ.clone(),
        };
        let (left_value, right_value) = (at(one, 0), at(two, left_arity));
        let common = common_column_type("JOIN/USING", &[one.typ.clone(), two.typ.clone()])?;
        let equal = super::expr::binary(ctx, "=", left_value.clone(), right_value.clone())?;
        equalities.push(equal.expr);
        let convert = |value| coerce_branch(ctx, "JOIN/USING", value, &common);
        let value = match kind {
            JoinKind::Inner | JoinKind::Left => convert(left_value)?.expr,
            JoinKind::Right => convert(right_value)?.expr,
            JoinKind::Full => {
                QueryScalar::Coalesce(vec![convert(left_value)?.expr, convert(right_value)?.expr])
            }
        };
        merged.push(Merged {
            name: name.clone(),
            left: one.column,
            right: two.column + left_arity,
            value,
            typ: common,
        });
    }
    let on = match equalities.len() {
        0 => literal::boolean(true),
        _ => QueryScalar::And(equalities),
    };
    Ok((on, merged))
}

fn using_column<'s>(scope: &'s Scope, name: &str, side: &str) -> Result<&'s Entry, SqlError> {
    match scope.own_column(name) {
        Ok(Some(entry)) => Ok(entry),
        Ok(None) => Err(nowhere(SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
        ))),
        Err(_) => Err(nowhere(SqlError::new(
            SqlState::AMBIGUOUS_COLUMN,
            format!("common column name \"{name}\" appears more than once in {side} table"),
        ))),
    }
}

/// Puts merged columns first among the names; those they were made of are hidden.
fn merge_columns(expr: QueryExpr, mut scope: Scope, merged: Vec<Merged>) -> Item {
    let mut computed = Vec::new();
    let mut entries = Vec::new();
    let arity = scope.arity;
    for column in merged {
        // Of a merged column on one side, the entry to hide is a merged one too.
        for entry in &mut scope.entries {
            if entry.name == column.name
                && !entry.hidden
                && (entry.column == column.left || entry.column == column.right)
            {
                entry.hidden = true;
            }
        }
        let position = match &column.value {
            QueryScalar::Column(ColumnRef { level: 0, column }) => *column,
            _ => {
                computed.push(column.value);
                arity + computed.len() - 1
            }
        };
        entries.push(Entry {
            table: None,
            name: column.name,
            column: position,
            typ: column.typ,
            hidden: false,
            unlisted: false,
        });
    }
    entries.append(&mut scope.entries);
    scope.entries = entries;
    if computed.is_empty() {
        return Item { expr, scope };
    }
    scope.arity += computed.len();
    Item { expr: QueryExpr::Map { input: Box::new(expr), scalars: computed }, scope }
}

fn single_name(ctx: &QueryContext<'_>, name: &ObjectName) -> Result<String, SqlError> {
    match name.0.as_slice() {
        [part] => {
            part.as_ident().map(name_of).ok_or_else(|| ctx.unsupported("this name", name.span()))
        }
        _ => Err(ctx.unsupported("a qualified name in USING", name.span())),
    }
}

/// The parts of an object's name.
pub(super) fn name_parts(
    ctx: &QueryContext<'_>,
    name: &ObjectName,
) -> Result<Vec<String>, SqlError> {
    name.0
        .iter()
        .map(|part| {
            part.as_ident().map(name_of).ok_or_else(|| ctx.unsupported("this name", name.span()))
        })
        .collect()
}

/// One item of FROM.
fn plan_factor(
    ctx: &QueryContext<'_>,
    factor: &TableFactor,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            refuse_table_options(ctx, factor)?;
            plan_table(ctx, name, alias.as_ref(), around)
        }
        TableFactor::Table { name, alias, args: Some(arguments), .. } => {
            refuse_table_options(ctx, factor)?;
            if arguments.settings.is_some() {
                return Err(ctx.unsupported("SETTINGS", factor.span()));
            }
            if is_json_table(name) {
                let alias = alias.as_ref();
                return json_table::plan_json_table(
                    ctx,
                    &arguments.args,
                    alias,
                    name.span(),
                    around,
                );
            }
            let TableFactor::Table { with_ordinality, .. } = factor else {
                return Err(SqlError::internal("a table that is none"));
            };
            let written = function::Written {
                ordinality: *with_ordinality,
                alias: alias.as_ref(),
                span: name.span(),
            };
            function::plan_function(ctx, name, &arguments.args, written, around)
        }
        TableFactor::Function { name, args, alias, .. } if is_json_table(name) => {
            json_table::plan_json_table(ctx, args, alias.as_ref(), name.span(), around)
        }
        TableFactor::Function { name, args, with_ordinality, alias, .. } => {
            let written = function::Written {
                ordinality: *with_ordinality,
                alias: alias.as_ref(),
                span: name.span(),
            };
            function::plan_function(ctx, name, args, written, around)
        }
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_offset: false,
            with_offset_alias: None,
            with_ordinality,
        } => {
            let written = function::Written {
                ordinality: *with_ordinality,
                alias: alias.as_ref(),
                span: factor.span(),
            };
            function::plan_unnest(ctx, array_exprs, written, around)
        }
        TableFactor::UNNEST { .. } => Err(ctx.unsupported("unnest WITH OFFSET", factor.span())),
        TableFactor::Derived { lateral, subquery, alias, sample: None } => {
            let around =
                if *lateral { around.entered() } else { around.without_siblings().entered() };
            plan_derived(ctx, subquery, alias.as_ref(), &around)
        }
        TableFactor::NestedJoin { table_with_joins, alias } => {
            let item = plan_chain(ctx, table_with_joins, around)?;
            match alias {
                Some(alias) => cover(ctx, item, alias),
                None => Ok(item),
            }
        }
        _ => Err(ctx.unsupported("this kind of FROM item", factor.span())),
    }
}

fn is_json_table(name: &ObjectName) -> bool {
    matches!(name.0.as_slice(), [part] if part.as_ident()
        .is_some_and(|ident| ident.quote_style.is_none() && ident.value == "json_table"))
}

fn refuse_table_options(ctx: &QueryContext<'_>, factor: &TableFactor) -> Result<(), SqlError> {
    let TableFactor::Table {
        with_hints,
        version,
        with_ordinality,
        partitions,
        json_path,
        sample,
        index_hints,
        name,
        ..
    } = factor
    else {
        return Ok(());
    };
    let what = if sample.is_some() {
        "TABLESAMPLE"
    } else if *with_ordinality && matches!(factor, TableFactor::Table { args: None, .. }) {
        "WITH ORDINALITY of a table"
    } else if version.is_some() {
        "a version of a table"
    } else if !with_hints.is_empty()
        || !partitions.is_empty()
        || json_path.is_some()
        || !index_hints.is_empty()
    {
        "an option of a table in FROM"
    } else {
        return Ok(());
    };
    Err(ctx.unsupported(what, name.span()))
}

fn plan_table(
    ctx: &QueryContext<'_>,
    name: &ObjectName,
    alias: Option<&TableAlias>,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    let parts = name_parts(ctx, name)?;
    if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
        && ident.quote_style.is_none()
        && RESERVED.contains(&ident.value.as_str())
    {
        let written = &ident.value;
        let message =
            format!("syntax error at or near \"{}\"", ctx.as_written(ident.span, written));
        return Err(ctx.error(SqlState::SYNTAX_ERROR, message, ident.span));
    }
    if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
        && ident.quote_style.is_none()
        && is_session_keyword(&ident.value)
    {
        let written = function::Written { ordinality: false, alias, span: ident.span };
        let expr = Expr::Identifier(ident.clone());
        return function::plan_keyword(ctx, &expr, &ident.value, written, around);
    }
    let (expr, mut scope) =
        plan_named(ctx, &parts, around).map_err(|error| ctx.locate(error, name.span()))?;
    if let Some(alias) = alias {
        scope = aliased(ctx, scope, alias)?;
    }
    Ok(Item { expr, scope })
}

/// A relation, or a query of a WITH, by its name.
pub(super) fn plan_named(
    ctx: &QueryContext<'_>,
    parts: &[String],
    around: &Rc<Scope>,
) -> Result<(QueryExpr, Scope), SqlError> {
    if let [name] = parts
        && let Some(cte) = cte::find(&around.ctes, name).or_else(|| ctx.root_cte(name))
    {
        cte.check_read()?;
        let (expr, columns) = cte.read(ctx, around.depth());
        let columns = columns.into_iter().map(|column| (column.name, column.typ));
        let table = TableName { recursive: cte.recursive, ..table_name(name) };
        let mut scope = Scope::of_table(table, columns);
        let listed = scope.entries.len().saturating_sub(cte.unlisted);
        scope.entries.iter_mut().skip(listed).for_each(|entry| entry.unlisted = true);
        return Ok((expr, scope));
    }
    let relation = ctx.relations.relation(parts)?;
    let (expr, relation) = catalog_functions::of_database(ctx, relation)?;
    let table = TableName {
        schema: Some(relation.schema),
        object: Some(relation.id),
        relation: Some(relation.id),
        primary_key: relation.primary_key,
        ..table_name(&relation.name)
    };
    let columns = relation.desc.columns.into_iter().map(|column| (column.name, column.typ));
    Ok((expr, Scope::of_table(table, columns)))
}

fn table_name(name: &str) -> TableName {
    TableName {
        schema: None,
        name: name.to_owned(),
        object: None,
        relation: None,
        original: None,
        covered: false,
        function: false,
        recursive: false,
        missing: Missing::Never,
        primary_key: Vec::new(),
    }
}

/// Gives the one table of a scope another name, and names to its first columns.
fn aliased(
    ctx: &QueryContext<'_>,
    mut scope: Scope,
    alias: &TableAlias,
) -> Result<Scope, SqlError> {
    let name = name_of(&alias.name);
    let columns = scope
        .entries
        .iter()
        .map(|entry| OutputColumn { name: entry.name.clone(), typ: entry.typ.clone(), raw: None })
        .collect();
    let columns = rename_columns(ctx, columns, alias, &format!("table \"{name}\""))?;
    for (entry, column) in scope.entries.iter_mut().zip(columns) {
        entry.name = column.name;
    }
    for table in &mut scope.tables {
        if table.object.is_some() && table.name != name {
            table.original = Some(table.name.clone());
        }
        table.name.clone_from(&name);
        table.schema = None;
        table.object = None;
    }
    Ok(scope)
}

/// Names of the first columns by an alias's column list.
pub(super) fn rename_columns(
    ctx: &QueryContext<'_>,
    mut columns: Vec<OutputColumn>,
    alias: &TableAlias,
    what: &str,
) -> Result<Vec<OutputColumn>, SqlError> {
    if alias.at.is_some() {
        return Err(ctx.unsupported("AT in an alias", alias.name.span));
    }
    if alias.columns.len() > columns.len() {
        return Err(nowhere(SqlError::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            format!(
                "{what} has {} columns available but {} columns specified",
                columns.len(),
                alias.columns.len()
            ),
        )));
    }
    for (column, new) in columns.iter_mut().zip(&alias.columns) {
        if new.data_type.is_some() {
            return Err(ctx.unsupported("a type in an alias's column list", new.name.span));
        }
        column.name = name_of(&new.name);
    }
    Ok(columns)
}

/// An alias for a join covers the names within.
fn cover(ctx: &QueryContext<'_>, item: Item, alias: &TableAlias) -> Result<Item, SqlError> {
    let mut scope = item.scope;
    for table in &mut scope.tables {
        table.covered = true;
    }
    let table = scope.tables.len();
    scope.tables.push(table_name(&name_of(&alias.name)));
    scope.entries.retain(|entry| !entry.hidden);
    let columns = scope
        .entries
        .iter()
        .map(|entry| OutputColumn { name: entry.name.clone(), typ: entry.typ.clone(), raw: None })
        .collect();
    let what = format!("join expression \"{}\"", name_of(&alias.name));
    let columns = rename_columns(ctx, columns, alias, &what)?;
    for (entry, column) in scope.entries.iter_mut().zip(columns) {
        entry.table = Some(table);
        entry.name = column.name;
    }
    Ok(Item { expr: item.expr, scope })
}

fn plan_derived(
    ctx: &QueryContext<'_>,
    subquery: &Query,
    alias: Option<&TableAlias>,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    let parts = order::plan_query(ctx, subquery, around)?;
    let (expr, columns) = order::into_subquery(ctx, parts)?;
    let columns: Vec<_> = columns.into_iter().map(|column| (column.name, column.typ)).collect();
    let scope = match alias {
        Some(alias) => {
            let scope = Scope::of_table(table_name(&name_of(&alias.name)), columns);
            aliased(ctx, scope, alias)?
        }
        None => {
            let table = TableName { covered: true, ..table_name("unnamed_subquery") };
            Scope::of_table(table, columns)
        }
    };
    Ok(Item { expr, scope })
}
