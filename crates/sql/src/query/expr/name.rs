//! Names of output columns, as PostgreSQL chooses them.

use sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, DataType, Expr, Function, FunctionArguments, ObjectName, Query,
    SelectItem, SetExpr,
};

use super::function::trim_name;
use crate::query::error::name_of;
use crate::types::resolve_data_type;

/// The name of an output column without an alias.
pub(in crate::query) fn output_name(expr: &Expr) -> String {
    match chosen(expr) {
        Some((name, _)) => name,
        None => "?column?".to_owned(),
    }
}

/// A name and whether it is more than that of a type or of CASE.
fn chosen(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match expr {
        Expr::Identifier(ident) => strong(&name_of(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| (name_of(ident), true)),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(field)) => Some(name_of(field)),
                _ => None,
            });
            field.map(|name| (name, true)).or_else(|| chosen(root))
        }
        Expr::Nested(inner) => chosen(inner),
        Expr::Collate { expr, .. } => chosen(expr),
        Expr::Function(function) => function_column(function),
        Expr::Cast { expr, data_type, .. } => match chosen(expr) {
            Some((name, true)) => Some((name, true)),
            _ => type_name(data_type).map(|name| (name, false)),
        },
        Expr::TypedString(typed) => type_name(&typed.data_type).map(|name| (name, false)),
        Expr::Interval(_) => Some(("interval".to_owned(), false)),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(chosen) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        Expr::Exists { negated: false, .. } => strong("exists"),
        Expr::Subquery(query) => subquery_column(query),
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        Expr::BinaryOp { op: sqlparser::ast::BinaryOperator::Overlaps, .. } => strong("overlaps"),
        Expr::IsNormalized { negated: false, .. } => strong("is_normalized"),
        Expr::Extract { .. } => strong("extract"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::Position { .. } => strong("position"),
        Expr::Substring { shorthand: true, .. } => strong("substr"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Trim { trim_where, .. } => strong(trim_name(*trim_where)),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        _ => None,
    }
}

fn function_column(function: &Function) -> Option<(String, bool)> {
    if matches!(function.args, FunctionArguments::Subquery(_)) {
        return Some(("array".to_owned(), true));
    }
    last_part(&function.name).map(|name| (name, true))
}

fn last_part(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(|part| part.as_ident()).map(name_of)
}

/// The name in `pg_type` of a type; of an array that of its elements.
fn type_name(data_type: &DataType) -> Option<String> {
    if let Ok(typ) = resolve_data_type(&|_| None, data_type) {
        return Some(typ.scalar_type.pg_name().trim_start_matches('_').to_owned());
    }
    match data_type {
        DataType::Custom(name, _) => last_part(name),
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::Qualified(element, _),
        ) => type_name(element),
        _ => None,
    }
}

/// A scalar subquery is named after its column.
fn subquery_column(query: &Query) -> Option<(String, bool)> {
    let mut body = &*query.body;
    loop {
        match body {
            SetExpr::Select(select) => {
                return match select.projection.first()? {
                    SelectItem::UnnamedExpr(expr) => Some((output_name(expr), true)),
                    SelectItem::ExprWithAlias { alias, .. } => Some((name_of(alias), true)),
                    _ => None,
                };
            }
            SetExpr::Query(inner) => body = &inner.body,
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Values(_) => return Some(("column1".to_owned(), true)),
            _ => return None,
        }
    }
}
