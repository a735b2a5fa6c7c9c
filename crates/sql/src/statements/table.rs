//! CREATE TABLE, CREATE SCHEMA, CREATE DATABASE.

pub(super) mod alter;
mod build;
mod constraints;
pub(super) mod generation;
mod like;

use sqlparser::ast::{ColumnDef, ColumnOption, Expr, NullsDistinctOption, Spanned};
use tidemill_repr::{Column, ColumnType, ScalarType, SqlError, SqlState};

pub(super) use self::like::expr_of;

use self::build::{NewCheck, NewKey, NewTable};
use self::constraints::refuse_characteristics;
use self::generation::NewGeneration;
use super::options::Options;
use super::{Planning, command, nothing};
use crate::ast::{CreateNamespace, CreateTable};
use crate::names;
use crate::plan::{Plan, Planned};
use crate::query::{self, Scope};

/// The most columns of a table.
const MAX_COLUMNS: usize = 1600;

impl Planning<'_> {
    pub(super) fn create_table(&self, statement: &CreateTable) -> Result<Planned, SqlError> {
        let name = if statement.temporary || Self::is_temporary_name(&statement.name) {
            self.temporary_name(&statement.name)?
        } else {
            self.new_name(&statement.name)?
        };
        if statement.on_commit.is_some() && !super::is_temporary_schema(&name.schema) {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                "ON COMMIT can only be used on temporary tables",
            ));
        }
        let tag = match &statement.query {
            None => "CREATE TABLE",
            Some(created) if created.select_into => "SELECT INTO",
            Some(_) => "CREATE TABLE AS",
        };
        if let Some(planned) = self.check_free(&name, statement.if_not_exists, tag)? {
            return Ok(planned);
        }
        if let Some(created) = &statement.query {
            return self.create_table_as(name, created);
        }
        let mut with = Options::new(tag, &statement.with)?;
        let mut table = NewTable::new(name);
        table.retain_history = with.history()?;
        with.finish()?;
        if table.retain_history.is_some() && super::is_temporary_schema(&table.name.schema) {
            return Err(SqlError::unsupported("RETAIN HISTORY of a temporary table"));
        }
        let mut likes = statement.likes.iter().peekable();
        for (position, column) in statement.columns.iter().enumerate() {
            while let Some(like) = likes.next_if(|like| like.position <= position) {
                self.take_columns(&mut table, like)?;
            }
            self.column(&mut table, column)?;
        }
        for like in likes {
            self.take_columns(&mut table, like)?;
        }
        for constraint in &statement.constraints {
            table.table_constraint(constraint)?;
        }
        if table.desc.arity() > MAX_COLUMNS {
            return Err(too_many_columns());
        }
        let mut plan = self.finish_table(table)?;
        plan.on_commit = statement.on_commit;
        Ok(command(Plan::CreateTable(Box::new(plan))))
    }

    /// One column, with the constraints that stand with it.
    fn column(&self, table: &mut NewTable, column: &ColumnDef) -> Result<(), SqlError> {
        let name = column.name.value.clone();
        let owner = table.name.item.clone();
        if table.desc.position(&name).is_some() {
            return Err(duplicate_column(&name));
        }
        let serial = generation::serial_type(&column.data_type);
        let mut typ = match &serial {
            Some(scalar_type) => ColumnType::new(scalar_type.clone()),
            None => self.planner.data_type(&column.data_type)?,
        };
        let position = table.desc.arity();
        let mut options = ColumnOptions::default();
        if serial.is_some() {
            options.generation = Some(NewGeneration::Serial);
            options.set_null(false, &name, &owner)?;
        }
        for option in &column.options {
            let constraint = option.name.as_ref().map(|name| name.value.clone());
            match &option.option {
                ColumnOption::NotNull => options.set_null(false, &name, &owner)?,
                ColumnOption::Null => options.set_null(true, &name, &owner)?,
                ColumnOption::Default(expr) => {
                    if options.default.is_some() || serial.is_some() {
                        return Err(SqlError::new(
                            SqlState::SYNTAX_ERROR,
                            format!(
                                "multiple default values specified for column \"{name}\" of table \"{owner}\""
                            ),
                        ));
                    }
                    options.default = Some(self.default(table, expr, &typ, &name)?);
                }
                ColumnOption::PrimaryKey(key) => {
                    refuse_characteristics(key.characteristics.as_ref())?;
                    table.keys.push(NewKey::of_column(constraint, position, true, false));
                }
                ColumnOption::Unique(key) => {
                    refuse_characteristics(key.characteristics.as_ref())?;
                    let not_distinct = key.nulls_distinct == NullsDistinctOption::NotDistinct;
                    table.keys.push(NewKey::of_column(constraint, position, false, not_distinct));
                }
                ColumnOption::Check(check) => table.checks.push(NewCheck {
                    name: constraint.or_else(|| check.name.as_ref().map(|n| n.value.clone())),
                    expr: (*check.expr).clone(),
                }),
                ColumnOption::Generated { .. } => {
                    options.generate(&option.option, &name, &owner)?;
                }
                other => return Err(unsupported_option(other)),
            }
        }
        let identity = matches!(options.generation, Some(NewGeneration::Identity { .. }));
        if identity && options.null == Some(true) {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!(
                    "conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{owner}\""
                ),
            ));
        }
        typ.nullable = options.null.unwrap_or(true) && !identity;
        table.desc.columns.push(Column { name, typ });
        table.defaults.push(options.default);
        table.generation.push(options.generation);
        Ok(())
    }

    /// The text of a default, with full names of the sequences in it.
    fn default(
        &self,
        table: &mut NewTable,
        expr: &Expr,
        typ: &ColumnType,
        name: &str,
    ) -> Result<String, SqlError> {
        let context = self.context();
        let planned =
            query::plan_scalar_in(&context, &Scope::default(), expr, "DEFAULT expressions")
                .map_err(in_default)?;
        let unknown = planned.typ.scalar_type == ScalarType::Unknown;
        let planned = query::coerce_assignment(&context, planned, typ, name).map_err(|error| {
            let message = error.message.replace("expression is", "default expression is");
            let error = SqlError { message, ..error };
            if unknown { names::locate(error, expr.span()) } else { error }
        })?;
        super::constant::without_columns(planned.expr).map_err(in_default)?;
        let mut expr = expr.clone();
        table.depends_on.extend(generation::qualify_sequences(&self.planner, &mut expr)?);
        table.depends_on.extend(names::qualify_expr(&self.planner, &mut expr)?);
        Ok(expr.to_string())
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
        if let Some(name) = parts.last() {
            names::check_length(name)?;
        }
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

/// PostgreSQL's words for a default that uses what it must not.
fn in_default(error: SqlError) -> SqlError {
    match error.code {
        SqlState::UNDEFINED_COLUMN | SqlState::INVALID_COLUMN_REFERENCE => SqlError {
            code: SqlState::FEATURE_NOT_SUPPORTED,
            message: "cannot use column reference in DEFAULT expression".to_owned(),
            ..error
        },
        _ => error,
    }
}

fn too_many_columns() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("tables can have at most {MAX_COLUMNS} columns"),
    )
}

/// What the options of a column say.
#[derive(Default)]
struct ColumnOptions {
    null: Option<bool>,
    default: Option<String>,
    generation: Option<NewGeneration>,
}

impl ColumnOptions {
    fn set_null(&mut self, nullable: bool, name: &str, table: &str) -> Result<(), SqlError> {
        if self.null.is_some_and(|known| known != nullable) {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!(
                    "conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{table}\""
                ),
            ));
        }
        self.null = Some(nullable);
        Ok(())
    }

    fn generate(&mut self, option: &ColumnOption, name: &str, table: &str) -> Result<(), SqlError> {
        let conflict = |what: &str| {
            let message = format!("{what} specified for column \"{name}\" of table \"{table}\"");
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
        };
        let generation = generation::of_option(option)?;
        let identity = matches!(generation, NewGeneration::Identity { .. });
        match (&self.generation, identity) {
            (Some(NewGeneration::Identity { .. }), true) => {
                return conflict("multiple identity specifications");
            }
            (Some(NewGeneration::Stored(_)), false) => {
                return conflict("multiple generation clauses");
            }
            (Some(NewGeneration::Serial), true) => {
                return conflict("both default and identity");
            }
            (Some(_), _) => return conflict("both identity and generation expression"),
            (None, true) if self.default.is_some() => return conflict("both default and identity"),
            (None, false) if self.default.is_some() => {
                return conflict("both default and generation expression");
            }
            (None, _) => {}
        }
        self.generation = Some(generation);
        Ok(())
    }
}

fn unsupported_option(option: &ColumnOption) -> SqlError {
    let what = match option {
        ColumnOption::ForeignKey(_) => return constraints::foreign_key(),
        ColumnOption::Collation(_) => "COLLATE".to_owned(),
        other => other.to_string(),
    };
    SqlError::unsupported(format_args!("constraint {what} of a column"))
}
