//! CREATE TABLE, CREATE SCHEMA, CREATE DATABASE.

use sqlparser::ast::{ColumnDef, ColumnOption, Expr};
use tidemill_catalog::{Definition, Table};
use tidemill_repr::{Column, ColumnType, RelationDesc, SqlError, SqlState};

use super::{Planning, command, nothing};
use crate::ast::{CreateNamespace, CreateTable};
use crate::names;
use crate::plan::{NewItem, Plan, Planned};
use crate::query::{self, Scope};
use crate::types;

/// The most columns of a table.
const MAX_COLUMNS: usize = 1600;

impl Planning<'_> {
    pub(super) fn create_table(&self, statement: &CreateTable) -> Result<Planned, SqlError> {
        if let Some(constraint) = statement.constraints.first() {
            let shown = constraint.to_string();
            return Err(SqlError::unsupported(format_args!("constraint {shown}")));
        }
        let name = if statement.temporary || Self::is_temporary_name(&statement.name) {
            self.temporary_name(&statement.name)?
        } else {
            self.new_name(&statement.name)?
        };
        if let Some(planned) = self.check_free(&name, statement.if_not_exists, "CREATE TABLE")? {
            return Ok(planned);
        }
        if statement.columns.len() > MAX_COLUMNS {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("tables can have at most {MAX_COLUMNS} columns"),
            ));
        }
        let mut desc = RelationDesc::default();
        let mut defaults = Vec::new();
        let mut shown = Vec::new();
        for column in &statement.columns {
            let (column, default) = self.column(column)?;
            if desc.position(&column.name).is_some() {
                return Err(duplicate_column(&column.name));
            }
            shown.push(column_sql(&column, default.as_deref()));
            desc.columns.push(column);
            defaults.push(default);
        }
        let item = NewItem {
            create_sql: format!("CREATE TABLE {name} ({})", shown.join(", ")),
            name,
            depends_on: Vec::new(),
            definition: Definition::Table(Table { desc, defaults, source: None }),
            replaces: None,
        };
        Ok(command(Plan::CreateTable(item)))
    }

    fn column(&self, column: &ColumnDef) -> Result<(Column, Option<String>), SqlError> {
        let name = column.name.value.clone();
        let mut typ = types::resolve_data_type(&column.data_type)?;
        let mut null = None;
        let mut default = None;
        for option in &column.options {
            match &option.option {
                ColumnOption::NotNull | ColumnOption::Null => {
                    let nullable = matches!(option.option, ColumnOption::Null);
                    if null.is_some_and(|known| known != nullable) {
                        return Err(SqlError::new(
                            SqlState::SYNTAX_ERROR,
                            format!("conflicting NULL/NOT NULL declarations for column \"{name}\""),
                        ));
                    }
                    null = Some(nullable);
                }
                ColumnOption::Default(expr) => {
                    if default.is_some() {
                        return Err(SqlError::new(
                            SqlState::SYNTAX_ERROR,
                            format!("multiple default values specified for column \"{name}\""),
                        ));
                    }
                    self.check_default(expr, &typ, &name)?;
                    default = Some(expr.to_string());
                }
                other => return Err(unsupported_option(other)),
            }
        }
        typ.nullable = null.unwrap_or(true);
        Ok((Column { name, typ }, default))
    }

    fn check_default(&self, expr: &Expr, typ: &ColumnType, name: &str) -> Result<(), SqlError> {
        let context = self.context();
        let planned = query::plan_scalar(&context, &Scope::default(), expr)?;
        let planned = query::coerce_assignment(&context, planned, typ, name).map_err(|error| {
            let message = error.message.replace("expression is", "default expression is");
            SqlError { message, ..error }
        })?;
        super::constant::without_columns(planned.expr).map(drop)
    }

    pub(super) fn create_namespace(
        &self,
        statement: &CreateNamespace,
    ) -> Result<Planned, SqlError> {
        let parts = names::parts(&statement.name)?;
        let catalog = self.planner.catalog;
        let too_many = || {
            SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("improper qualified name (too many dotted names): {}", parts.join(".")),
            )
        };
        if statement.database {
            let [name] = parts.as_slice() else { return Err(too_many()) };
            if catalog.database(name).is_none() {
                return Ok(command(Plan::CreateDatabase { name: name.clone() }));
            }
            let message = format!("database \"{name}\" already exists");
            let code = SqlState::DUPLICATE_DATABASE;
            return existing(statement.if_not_exists, "CREATE DATABASE", code, message);
        }
        let (database, name) = match parts.as_slice() {
            [name] => (self.planner.session.database, name),
            [database, name] => (database.as_str(), name),
            _ => return Err(too_many()),
        };
        if catalog.database(database).is_none() {
            return Err(SqlError::new(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{database}\" does not exist"),
            ));
        }
        if catalog.schema(database, name).is_some() {
            let message = format!("schema \"{name}\" already exists");
            let code = SqlState::DUPLICATE_SCHEMA;
            return existing(statement.if_not_exists, "CREATE SCHEMA", code, message);
        }
        if name.starts_with("pg_") || name.starts_with("mz_") {
            return Err(SqlError::new(
                SqlState::RESERVED_NAME,
                format!("unacceptable schema name \"{name}\""),
            )
            .with_detail("The prefixes \"pg_\" and \"mz_\" are reserved for system schemas."));
        }
        let (database, name) = (database.to_owned(), name.clone());
        Ok(command(Plan::CreateSchema { database, name }))
    }
}

fn existing(
    if_not_exists: bool,
    tag: &'static str,
    code: SqlState,
    message: String,
) -> Result<Planned, SqlError> {
    if if_not_exists {
        Ok(nothing(tag, code, format!("{message}, skipping")))
    } else {
        Err(SqlError::new(code, message))
    }
}

/// The error for a column that is named twice.
pub(super) fn duplicate_column(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once"))
}

/// A column as CREATE TABLE writes it.
fn column_sql(column: &Column, default: Option<&str>) -> String {
    let name = tidemill_catalog::name::quote_identifier(&column.name);
    let mut text = format!("{name} {}", types::data_type_sql(&column.typ));
    if !column.typ.nullable {
        text.push_str(" NOT NULL");
    }
    if let Some(default) = default {
        text.push_str(" DEFAULT ");
        text.push_str(default);
    }
    text
}

fn unsupported_option(option: &ColumnOption) -> SqlError {
    let what = match option {
        ColumnOption::PrimaryKey(_) => "PRIMARY KEY".to_owned(),
        ColumnOption::Unique(_) => "UNIQUE".to_owned(),
        ColumnOption::ForeignKey(_) => "REFERENCES".to_owned(),
        ColumnOption::Check(_) => "CHECK".to_owned(),
        ColumnOption::Generated { .. } => "GENERATED".to_owned(),
        ColumnOption::Collation(_) => "COLLATE".to_owned(),
        other => other.to_string(),
    };
    SqlError::unsupported(format_args!("constraint {what} of a column"))
}
