//! A function that gives rows, in the SELECT list: it becomes the last item of FROM.

use sqlparser::ast::{
    Expr, FunctionArguments, GroupByExpr, Ident, Select, SelectItem, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins,
};
use tidemill_expr::functions;

use super::super::QueryContext;
use super::super::error::name_of;
use super::super::expr::{function_name, output_name};

/// The name of the item; no name that is written can be the same by accident.
const NAME: &str = " rows of a function";

/// The SELECT with its one call of a function that gives rows in FROM. None where there is no
/// such call, or where it would mean something else there: calls on top of a grouping, several
/// calls, and calls inside of expressions stay and are refused.
pub(super) fn in_from(ctx: &QueryContext<'_>, select: &Select) -> Option<Select> {
    let ungrouped =
        matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    if !ungrouped || select.having.is_some() {
        return None;
    }
    let mut found = None;
    for (position, item) in select.projection.iter().enumerate() {
        let (expr, alias) = match item {
            SelectItem::UnnamedExpr(expr) => (expr, None),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias)),
            // The item would be one of the columns.
            SelectItem::Wildcard(_) => return None,
            _ => continue,
        };
        let Expr::Function(function) = expr else { continue };
        let Ok(name) = function_name(ctx, &function.name) else { continue };
        let mut tables = functions::all_tables().filter(|table| table.name == name).peekable();
        if tables.peek().is_none() || !tables.all(|table| table.columns.len() == 1) {
            continue;
        }
        let FunctionArguments::List(list) = &function.args else { continue };
        let plain = function.over.is_none()
            && function.filter.is_none()
            && list.clauses.is_empty()
            && list.duplicate_treatment.is_none();
        if !plain || found.is_some() {
            return None;
        }
        let shown = alias.map_or_else(|| output_name(expr), name_of);
        found = Some((position, function.name.clone(), list.args.clone(), shown));
    }
    let (position, name, args, shown) = found?;
    let alias = TableAlias {
        explicit: true,
        name: Ident::with_quote('"', NAME),
        columns: vec![TableAliasColumnDef { name: Ident::with_quote('"', NAME), data_type: None }],
        at: None,
    };
    let mut select = select.clone();
    let value =
        Expr::CompoundIdentifier(vec![Ident::with_quote('"', NAME), Ident::with_quote('"', NAME)]);
    select.projection[position] =
        SelectItem::ExprWithAlias { expr: value, alias: Ident::with_quote('"', shown) };
    select.from.push(TableWithJoins {
        relation: TableFactor::Function {
            lateral: true,
            name,
            args,
            with_ordinality: false,
            alias: Some(alias),
        },
        joins: Vec::new(),
    });
    Some(select)
}
