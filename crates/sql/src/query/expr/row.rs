//! Rows as values: constructors, whole rows of tables, and fields.

use std::sync::Arc;

use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectNamePart, Spanned,
};
use sqlparser::tokenizer::Span;
use tidemill_expr::{FunctionRef, functions};
use tidemill_plan::QueryScalar;
use tidemill_plan::query::ColumnRef;
use tidemill_repr::{ColumnType, CompositeType, Datum, ScalarType, SqlError, SqlState, TypeName};

use super::{ExprContext, bare, function_name, record};
use crate::parse_marks::ALL_FIELDS;
use crate::query::error::name_of;
use crate::query::from::name_parts;
use crate::query::scope::{Missing, Scope};
use crate::query::{TypedScalar, literal};

impl ExprContext<'_> {
    /// `(a, b)`, `ROW(a, b)` as a value.
    pub(super) fn row(&self, expr: &Expr) -> Result<TypedScalar, SqlError> {
        let fields = self.row_values(expr)?.unwrap_or_default();
        record(self.ctx, fields)
    }

    /// The fields of a row constructor: `(a, b)` or `ROW(a, b)`; None if it is something else.
    pub(super) fn row_values(&self, expr: &Expr) -> Result<Option<Vec<TypedScalar>>, SqlError> {
        match bare(expr) {
            Expr::Tuple(parts) => {
                let mut values = Vec::new();
                for part in parts {
                    self.row_item(part, &mut values)?;
                }
                Ok(Some(values))
            }
            Expr::Function(function) if is_row(function) => {
                let FunctionArguments::List(list) = &function.args else { return Ok(None) };
                let mut values = Vec::new();
                for argument in &list.args {
                    match argument {
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                            self.row_item(expr, &mut values)?;
                        }
                        FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => {
                            let parts = name_parts(self.ctx, name)?;
                            values.extend(self.table_columns(&parts, name.span())?);
                        }
                        _ => {
                            let span = function.name.span();
                            return Err(self.ctx.unsupported("this kind of field", span));
                        }
                    }
                }
                Ok(Some(values))
            }
            _ => Ok(None),
        }
    }

    /// A field of a row, or all fields of `x.*`.
    fn row_item(&self, expr: &Expr, values: &mut Vec<TypedScalar>) -> Result<(), SqlError> {
        match all_fields(expr) {
            Some((root, chain)) => {
                values.extend(self.fields_of(root, chain)?.into_iter().map(|(_, value)| value));
            }
            None => values.push(self.plan(expr)?),
        }
        Ok(())
    }

    /// The columns of a table by the parts of its name.
    fn table_columns(&self, parts: &[String], span: Span) -> Result<Vec<TypedScalar>, SqlError> {
        let (schema, table) = match parts {
            [table] => (None, table),
            [schema, table] | [_, schema, table] => (Some(schema.as_str()), table),
            _ => return Err(self.ctx.unsupported("this name", span)),
        };
        match self.columns_of(schema, table, span)? {
            Some(columns) => Ok(columns.into_iter().map(|(_, value)| value).collect()),
            None => Err(self.scope.no_table(self.ctx, table, span)),
        }
    }

    fn columns_of(
        &self,
        schema: Option<&str>,
        table: &str,
        span: Span,
    ) -> Result<Option<Vec<(String, TypedScalar)>>, SqlError> {
        let found = self.scope.find_table(schema, table);
        let Some((level, scope, index)) = found.map_err(|error| self.ctx.locate(error, span))?
        else {
            return Ok(None);
        };
        let listed = scope.entries_of(index).filter(|entry| !entry.unlisted);
        let columns = listed.map(|entry| {
            if let (0, Some(collector)) = (level, self.aggregates) {
                collector.note_column(entry.column, span);
            }
            let reference = ColumnRef { level, column: entry.column };
            let expr = QueryScalar::Column(reference);
            (entry.name.clone(), TypedScalar { expr, typ: entry.typ.clone() })
        });
        Ok(Some(columns.collect()))
    }

    /// The row of a table as a value; None if there is no such table.
    pub(in crate::query) fn whole_row(
        &self,
        schema: Option<&str>,
        table: &str,
        span: Span,
    ) -> Result<Option<TypedScalar>, SqlError> {
        let Some(columns) = self.columns_of(schema, table, span)? else { return Ok(None) };
        let Some((level, scope, index)) = self.scope.find_table(schema, table)? else {
            return Ok(None);
        };
        let is_null = |scalar: QueryScalar| QueryScalar::IsNull(Box::new(scalar));
        let missing = match scope.tables[index].missing {
            Missing::Never => None,
            Missing::Where(column) => {
                Some(is_null(QueryScalar::Column(ColumnRef { level, column })))
            }
            Missing::WhereAllNull => Some(QueryScalar::And(
                columns.iter().map(|(_, value)| is_null(value.expr.clone())).collect(),
            )),
        };
        let row = record(self.ctx, columns.into_iter().map(|(_, value)| value).collect())?;
        Ok(Some(match missing {
            None => row,
            Some(missing) => {
                let null = Box::new(literal::null(row.typ.scalar_type.clone()).expr);
                let expr = QueryScalar::If(Box::new(missing), null, Box::new(row.expr));
                TypedScalar { expr, typ: row.typ.nullable(true) }
            }
        }))
    }

    /// `tableoid`: the oid of the table that a row is of; None if that is not what is named.
    pub(super) fn table_oid(&self, parts: &[Ident]) -> Result<Option<TypedScalar>, SqlError> {
        let Some((column, before)) = parts.split_last() else { return Ok(None) };
        if name_of(column) != "tableoid" {
            return Ok(None);
        }
        let Some((level, scope, index)) = self.scope.real_table(before.last().map(name_of))? else {
            return Ok(None);
        };
        let table = &scope.tables[index];
        let oid = table.relation.and_then(|id| self.ctx.relations.catalog()?.item(id));
        let Some(oid) = oid.map(|item| i64::from(item.oid.0)) else { return Ok(None) };
        let oid = literal::literal(Datum::Int(oid), ScalarType::Oid);
        let Some(missing) = self.is_missing(level, scope, index) else { return Ok(Some(oid)) };
        let null = Box::new(literal::null(ScalarType::Oid).expr);
        let expr = QueryScalar::If(Box::new(missing), null, Box::new(oid.expr));
        Ok(Some(TypedScalar { expr, typ: oid.typ.nullable(true) }))
    }

    /// Whether the row of a table is missing in that of a join; None if it never is.
    fn is_missing(&self, level: usize, scope: &Scope, index: usize) -> Option<QueryScalar> {
        let is_null = |column: usize| {
            let column = QueryScalar::Column(ColumnRef { level, column });
            QueryScalar::IsNull(Box::new(column))
        };
        match scope.tables[index].missing {
            Missing::Never => None,
            Missing::Where(column) => Some(is_null(column)),
            Missing::WhereAllNull => Some(QueryScalar::And(
                scope.entries_of(index).map(|entry| is_null(entry.column)).collect(),
            )),
        }
    }

    /// The row of a table as a value whose type names its fields, for json; None if the
    /// expression is no name of a table.
    pub(in crate::query) fn named_row(&self, expr: &Expr) -> Result<Option<TypedScalar>, SqlError> {
        let Expr::Identifier(ident) = bare(expr) else { return Ok(None) };
        let name = name_of(ident);
        if self.scope.find_column(&name).unwrap_or_default().is_some() {
            return Ok(None);
        }
        let (Some(mut row), Some(columns)) =
            (self.whole_row(None, &name, ident.span)?, self.columns_of(None, &name, ident.span)?)
        else {
            return Ok(None);
        };
        let fields = columns.into_iter().map(|(name, value)| (name, value.typ)).collect();
        let typ = named_record(fields);
        row.typ = ColumnType::new(typ).nullable(row.typ.nullable);
        Ok(Some(row))
    }

    /// `(x).f`: the fields of a value with their names.
    fn named_fields(&self, root: &Expr) -> Result<Vec<(String, TypedScalar)>, SqlError> {
        let span = root.span();
        match bare(root) {
            Expr::Identifier(ident) if self.scope.find_column(&name_of(ident))?.is_none() => {
                if let Some(columns) = self.columns_of(None, &name_of(ident), ident.span)? {
                    return Ok(columns);
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                if let Some((AccessExpr::Dot(field), [])) = access_chain.split_last()
                    && is_all(field)
                {
                    return self.named_fields(root);
                }
            }
            Expr::Function(function) => {
                let value = self.plan(root)?;
                let name = function_name(self.ctx, &function.name)?;
                let columns = functions::all_tables().find(|table| {
                    table.name == name
                        && matches!(&value.typ.scalar_type,
                            ScalarType::Record(types) if types.len() == table.columns.len())
                });
                let mut fields = self.fields(value, span)?;
                if let Some(table) = columns {
                    for ((name, _), (known, _)) in fields.iter_mut().zip(table.columns) {
                        (*known).clone_into(name);
                    }
                }
                return Ok(fields);
            }
            _ => {}
        }
        let value = self.plan(root)?;
        self.fields(value, span)
    }

    /// The fields of a value; those of an anonymous row are f1, f2, ..
    fn fields(
        &self,
        value: TypedScalar,
        span: Span,
    ) -> Result<Vec<(String, TypedScalar)>, SqlError> {
        let types: Vec<(String, ColumnType)> = match value.typ.scalar_type.base() {
            ScalarType::Record(types) => types
                .iter()
                .enumerate()
                .map(|(at, typ)| (format!("f{}", at + 1), ColumnType::new(typ.clone())))
                .collect(),
            ScalarType::Composite(composite) => composite.fields.clone(),
            other => {
                return Err(self.ctx.error(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("type {other} is not composite"),
                    span,
                ));
            }
        };
        Ok(types
            .into_iter()
            .enumerate()
            .map(|(at, (name, typ))| (name, field(&value, at, typ)))
            .collect())
    }

    /// The fields of `x.*` with their names.
    pub(in crate::query) fn fields_of(
        &self,
        root: &Expr,
        chain: &[AccessExpr],
    ) -> Result<Vec<(String, TypedScalar)>, SqlError> {
        if chain.is_empty() {
            return self.named_fields(root);
        }
        let value = self.access(root, chain)?;
        self.fields(value, root.span())
    }

    /// The first fields of an access, where the root is a table or a call; None elsewhere.
    pub(super) fn first_field(
        &self,
        root: &Expr,
        name: &Ident,
    ) -> Result<Option<TypedScalar>, SqlError> {
        let table = match bare(root) {
            Expr::Identifier(ident) => {
                let known = self.scope.find_column(&name_of(ident)).unwrap_or_default();
                let table = self.scope.find_table(None, &name_of(ident)).unwrap_or_default();
                (known.is_none() && table.is_some()).then_some(ident)
            }
            Expr::Function(_) | Expr::CompoundFieldAccess { .. } => None,
            _ => return Ok(None),
        };
        if let Some(table) = table {
            return self.qualified(&[table.clone(), name.clone()]).map(Some);
        }
        let wanted = name_of(name);
        let fields = match bare(root) {
            Expr::Function(_) | Expr::CompoundFieldAccess { .. } => self.named_fields(root),
            _ => return Ok(None),
        };
        let Ok(fields) = fields else { return Ok(None) };
        Ok(fields.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value))
    }

    /// A field of a value by its name.
    pub(super) fn field_by_name(
        &self,
        value: TypedScalar,
        name: &Ident,
        root: &Expr,
    ) -> Result<TypedScalar, SqlError> {
        let wanted = name_of(name);
        let typ = value.typ.scalar_type.clone();
        if !matches!(typ.base(), ScalarType::Record(_) | ScalarType::Composite(_)) {
            return Err(self.ctx.error(
                SqlState::WRONG_OBJECT_TYPE,
                format!(
                    "column notation .{wanted} applied to type {typ}, which is not a composite \
                     type"
                ),
                root.span(),
            ));
        }
        let fields = self.fields(value, root.span())?;
        match fields.into_iter().find(|(name, _)| *name == wanted) {
            Some((_, field)) => Ok(field),
            None => Err(self.ctx.error(
                SqlState::UNDEFINED_COLUMN,
                match typ.base() {
                    ScalarType::Record(_) => {
                        format!("could not identify column \"{wanted}\" in record data type")
                    }
                    typ => format!("column \"{wanted}\" not found in data type {typ}"),
                },
                root.span(),
            )),
        }
    }
}

/// Whether a value is NULL, or a row of NULLs alone; with `null` false, whether it is a row without
/// NULLs.
pub(super) fn row_null_test(value: &TypedScalar, null: bool) -> Option<QueryScalar> {
    let types = match value.typ.scalar_type.base() {
        ScalarType::Record(types) => types.clone(),
        ScalarType::Composite(definition) => definition.field_types(),
        _ => return None,
    };
    let is_null = |scalar: QueryScalar| QueryScalar::IsNull(Box::new(scalar));
    let test = |scalar: QueryScalar| match null {
        true => is_null(scalar),
        false => QueryScalar::Not(Box::new(is_null(scalar))),
    };
    let fields = types
        .iter()
        .enumerate()
        .map(|(at, typ)| test(field(value, at, ColumnType::new(typ.clone())).expr));
    Some(if null {
        let all = QueryScalar::And(fields.collect());
        match value.typ.nullable {
            true => QueryScalar::Or(vec![is_null(value.expr.clone()), all]),
            false => all,
        }
    } else {
        QueryScalar::And(std::iter::once(test(value.expr.clone())).chain(fields).collect())
    })
}

/// The field of a row at a place.
pub(in crate::query) fn field(value: &TypedScalar, at: usize, typ: ColumnType) -> TypedScalar {
    if let QueryScalar::Call { function, arguments, .. } = &value.expr
        && function.id == "record_build"
        && let Some(expr) = arguments.get(at)
    {
        return TypedScalar { expr: expr.clone(), typ };
    }
    let typ = typ.nullable(true);
    let place = literal::literal(Datum::Int(i64::try_from(at).unwrap_or(-1)), ScalarType::Int4);
    let expr = match FunctionRef::by_id("record_field") {
        Some(function) => QueryScalar::Call {
            function,
            arguments: vec![value.expr.clone(), place.expr],
            typ: typ.clone(),
        },
        None => literal::null(typ.scalar_type.clone()).expr,
    };
    TypedScalar { expr, typ }
}

/// The type of records whose fields have names.
pub(super) fn named_record(fields: Vec<(String, ColumnType)>) -> ScalarType {
    let record = ScalarType::Record(Vec::new());
    let name = TypeName {
        oid: record.oid(),
        array_oid: record.array_oid(),
        schema: "pg_catalog".to_owned(),
        name: "record".to_owned(),
    };
    ScalarType::Composite(Arc::new(CompositeType { name, fields }))
}

fn is_all(field: &Expr) -> bool {
    matches!(field, Expr::Identifier(ident) if ident.value == ALL_FIELDS)
}

/// What `x.*` is of, if the expression is one.
pub(in crate::query) fn all_fields(expr: &Expr) -> Option<(&Expr, &[AccessExpr])> {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return None };
    match access_chain.split_last() {
        Some((AccessExpr::Dot(field), before)) if is_all(field) => Some((root, before)),
        _ => None,
    }
}

/// Whether a call is `ROW(..)`.
fn is_row(function: &Function) -> bool {
    match function.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => {
            name.quote_style.is_none() && name.value.eq_ignore_ascii_case("row")
        }
        _ => false,
    }
}
