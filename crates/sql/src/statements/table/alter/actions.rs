//! The actions of ALTER TABLE, one by one.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AlterColumnOperation, AlterTableOperation, ColumnDef, DataType, DropBehavior, Expr, Ident,
    VisitMut, VisitorMut,
};
use tidemill_catalog::Generation;
use tidemill_repr::{ColumnType, ScalarType, SqlError, SqlState};

use super::super::build::{KeyColumns, NewKey};
use super::super::constraints::{self, columns_of};
use super::super::generation::NewGeneration;
use super::super::like::expr_of;
use super::super::{MAX_COLUMNS, too_many_columns};
use super::{Alteration, Dropped, Origin, column};
use crate::query::{self, Scope, TypedScalar};
use crate::statements::copy::no_column;
use crate::statements::drop::dependants_exist;
use crate::types;

/// When an action has its turn.
pub(super) fn pass(action: &AlterTableOperation) -> u8 {
    match action {
        AlterTableOperation::DropColumn { .. } | AlterTableOperation::DropConstraint { .. } => 0,
        AlterTableOperation::AlterColumn { op, .. } => match op {
            AlterColumnOperation::DropNotNull => 0,
            AlterColumnOperation::SetDataType { .. } => 1,
            _ => 4,
        },
        AlterTableOperation::AddColumn { .. } => 2,
        AlterTableOperation::AddConstraint { .. } => 3,
        _ => 5,
    }
}

/// Gives a column of the table another name in an expression over it.
struct RenameColumn<'a> {
    from: &'a str,
    to: &'a Ident,
}

impl VisitorMut for RenameColumn<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let name = match expr {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(parts) => parts.last_mut(),
            _ => None,
        };
        if let Some(name) = name.filter(|name| name.value == self.from) {
            *name = self.to.clone();
        }
        ControlFlow::Continue(())
    }
}

/// Gives a column another name in an expression that knows no other relation.
pub(super) fn rename_in(expr: &mut Expr, from: &str, to: &str) {
    let to = crate::names::ident(to);
    let _ = expr.visit(&mut RenameColumn { from, to: &to });
}

fn cascades(behavior: Option<&DropBehavior>) -> bool {
    behavior == Some(&DropBehavior::Cascade)
}

fn syntax(message: String) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

impl Alteration<'_> {
    pub(super) fn action(&mut self, action: &AlterTableOperation) -> Result<(), SqlError> {
        match action {
            AlterTableOperation::AddColumn { if_not_exists, column_def, .. } => {
                self.add_column(column_def, *if_not_exists)
            }
            AlterTableOperation::DropColumn { column_names, if_exists, drop_behavior, .. } => {
                column_names.iter().try_for_each(|name| {
                    self.drop_column(&name.value, *if_exists, cascades(drop_behavior.as_ref()))
                })
            }
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                self.rename_column(&old_column_name.value, &new_column_name.value)
            }
            AlterTableOperation::AlterColumn { column_name, op } => {
                self.alter_column(&column_name.value, op)
            }
            AlterTableOperation::AddConstraint { constraint, not_valid } => {
                if *not_valid {
                    return Err(SqlError::unsupported("NOT VALID")
                        .with_hint("Leave it out: the rows that are there are checked."));
                }
                self.new.table_constraint(constraint)
            }
            AlterTableOperation::DropConstraint { if_exists, name, drop_behavior } => {
                self.cascade |= cascades(drop_behavior.as_ref());
                self.drop_constraint(&name.value, *if_exists)
            }
            AlterTableOperation::RenameConstraint { old_name, new_name } => {
                self.rename_constraint(&old_name.value, &new_name.value)
            }
            other => {
                let text = other.to_string();
                let words: Vec<&str> = text.split(' ').take(2).collect();
                Err(SqlError::unsupported(format_args!("ALTER TABLE .. {}", words.join(" "))))
            }
        }
    }

    fn position(&self, name: &str) -> Result<usize, SqlError> {
        self.new.desc.position(name).ok_or_else(|| no_column(name, self.table_name()))
    }

    fn exists(&self, name: &str) -> SqlError {
        let table = self.table_name();
        SqlError::new(
            SqlState::DUPLICATE_COLUMN,
            format!("column \"{name}\" of relation \"{table}\" already exists"),
        )
    }

    fn add_column(&mut self, column: &ColumnDef, if_not_exists: bool) -> Result<(), SqlError> {
        let name = &column.name.value;
        if column.data_type == DataType::Unspecified {
            return Err(syntax("syntax error at end of input".to_owned())
                .with_hint("Give the column a type."));
        }
        if self.new.desc.position(name).is_some() {
            let error = self.exists(name);
            if !if_not_exists {
                return Err(error);
            }
            self.notice(format!("{}, skipping", error.message));
            return Ok(());
        }
        if self.new.desc.arity() >= MAX_COLUMNS {
            return Err(too_many_columns());
        }
        let planning = self.planning;
        planning.column(&mut self.new, column)?;
        let position = self.new.desc.arity() - 1;
        let origin = match &self.new.generation[position] {
            Some(NewGeneration::Stored(_)) => Origin::Generated,
            Some(_) => Origin::Sequence,
            None => {
                let text = self.new.defaults[position].clone();
                let typ = self.new.desc.columns[position].typ.clone().nullable(true);
                let text = text.as_deref().unwrap_or("NULL");
                Origin::Value(self.default_value(text, &typ, name)?.expr)
            }
        };
        self.origins.push(origin);
        Ok(())
    }

    fn default_value(
        &self,
        text: &str,
        typ: &ColumnType,
        name: &str,
    ) -> Result<TypedScalar, SqlError> {
        let context = self.planning.context();
        let value = query::plan_scalar(&context, &Scope::default(), &expr_of(text)?)?;
        query::coerce_assignment(&context, value, typ, name)
    }

    fn drop_column(&mut self, name: &str, if_exists: bool, cascade: bool) -> Result<(), SqlError> {
        let position = match self.position(name) {
            Ok(position) => position,
            Err(error) if if_exists => {
                self.notice(format!("{}, skipping", error.message));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let generated = self.generated_from(name);
        if let Some(other) = generated.first()
            && !cascade
        {
            let table = self.table_name();
            let line = format!(
                "column {other} of table {table} depends on column {name} of table {table}"
            );
            return Err(dependants_exist(
                format!("cannot drop column {name} of table {table}"),
                &[line],
            )
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        self.take_column(position, cascade);
        for other in generated {
            self.notice(format!("drop cascades to column {other} of table {}", self.table_name()));
            let position = self.position(&other)?;
            self.take_column(position, cascade);
        }
        Ok(())
    }

    /// The generated columns whose expressions name a column.
    fn generated_from(&self, name: &str) -> Vec<String> {
        let columns = self.new.desc.columns.iter().zip(&self.new.generation);
        columns
            .filter(|(column, generation)| {
                matches!(generation, Some(NewGeneration::Stored(expr))
                    if columns_of(expr, &self.new).iter().any(|used| used == name))
                    && column.name != name
            })
            .map(|(column, _)| column.name.clone())
            .collect()
    }

    /// Takes a column away, with the constraints over it.
    fn take_column(&mut self, position: usize, cascade: bool) {
        let name = self.new.desc.columns[position].name.clone();
        let checks = std::mem::take(&mut self.new.checks);
        let kept = |expr: &Expr| !columns_of(expr, &self.new).contains(&name);
        let checks = checks.into_iter().filter(|check| kept(&check.expr)).collect();
        self.new.checks = checks;
        self.new.keys.retain(|key| match &key.columns {
            KeyColumns::Names(names) => !names.contains(&name),
            KeyColumns::Position(at) => *at != position,
        });
        for key in &mut self.new.keys {
            if let KeyColumns::Position(at) = &mut key.columns
                && *at > position
            {
                *at -= 1;
            }
        }
        self.new.desc.columns.remove(position);
        self.new.defaults.remove(position);
        self.new.generation.remove(position);
        if let Origin::Old(column) = self.origins.remove(position) {
            self.dropped.push(Dropped { column, cascade });
        }
    }

    fn rename_column(&mut self, from: &str, to: &str) -> Result<(), SqlError> {
        let position = self.new.desc.position(from).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{from}\" does not exist"))
        })?;
        if self.new.desc.position(to).is_some() {
            return Err(self.exists(to));
        }
        self.new.desc.columns[position].name = to.to_owned();
        for key in &mut self.new.keys {
            if let KeyColumns::Names(names) = &mut key.columns {
                names.iter_mut().filter(|name| *name == from).for_each(|name| to.clone_into(name));
            }
        }
        for check in &mut self.new.checks {
            rename_in(&mut check.expr, from, to);
        }
        for generation in self.new.generation.iter_mut().flatten() {
            if let NewGeneration::Stored(expr) = generation {
                rename_in(expr, from, to);
            }
        }
        Ok(())
    }

    fn alter_column(&mut self, name: &str, op: &AlterColumnOperation) -> Result<(), SqlError> {
        let position = self.position(name)?;
        match op {
            AlterColumnOperation::SetNotNull => {
                self.new.desc.columns[position].typ.nullable = false;
                Ok(())
            }
            AlterColumnOperation::DropNotNull => self.drop_not_null(position, name),
            AlterColumnOperation::SetDefault { value } => {
                self.refuse_generated(position, name)?;
                let typ = self.new.desc.columns[position].typ.clone();
                let planning = self.planning;
                let text = planning.default(&mut self.new, value, &typ, name)?;
                self.new.defaults[position] = Some(text);
                self.new.generation[position] = None;
                Ok(())
            }
            AlterColumnOperation::DropDefault => {
                self.refuse_generated(position, name)?;
                self.new.defaults[position] = None;
                self.new.generation[position] = None;
                Ok(())
            }
            AlterColumnOperation::SetDataType { data_type, using, .. } => {
                self.set_type(position, name, data_type, using.as_ref())
            }
            AlterColumnOperation::AddGenerated { generated_as, sequence_options } => {
                let option = sqlparser::ast::ColumnOption::Generated {
                    generated_as: generated_as.unwrap_or(sqlparser::ast::GeneratedAs::ByDefault),
                    sequence_options: sequence_options.clone(),
                    generation_expr: None,
                    generation_expr_mode: None,
                    generated_keyword: true,
                };
                self.add_identity(position, name, &option)
            }
        }
    }

    fn add_identity(
        &mut self,
        position: usize,
        name: &str,
        option: &sqlparser::ast::ColumnOption,
    ) -> Result<(), SqlError> {
        let table = self.table_name();
        let state = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
        if self.new.desc.columns[position].typ.nullable {
            return Err(SqlError::new(
                state,
                format!(
                    "column \"{name}\" of relation \"{table}\" must be declared NOT NULL before \
                     identity can be added"
                ),
            ));
        }
        if let Some(NewGeneration::Kept(Generation::Identity { .. })) =
            self.new.generation[position]
        {
            let message =
                format!("column \"{name}\" of relation \"{table}\" is already an identity column");
            return Err(SqlError::new(state, message));
        }
        if self.new.generation[position].is_some() || self.new.defaults[position].is_some() {
            let message =
                format!("column \"{name}\" of relation \"{table}\" already has a default value");
            return Err(SqlError::new(state, message));
        }
        self.new.generation[position] = Some(super::super::generation::of_option(option)?);
        Ok(())
    }

    fn drop_not_null(&mut self, position: usize, name: &str) -> Result<(), SqlError> {
        let table = self.table_name();
        let in_key = |key: &NewKey| match &key.columns {
            KeyColumns::Names(names) => names.iter().any(|part| part == name),
            KeyColumns::Position(part) => *part == position,
        };
        if self.new.keys.iter().any(|key| key.primary && in_key(key)) {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("column \"{name}\" is in a primary key"),
            ));
        }
        if let Some(NewGeneration::Kept(Generation::Identity { .. })) =
            self.new.generation[position]
        {
            return Err(syntax(format!(
                "column \"{name}\" of relation \"{table}\" is an identity column"
            )));
        }
        self.new.desc.columns[position].typ.nullable = true;
        Ok(())
    }

    fn refuse_generated(&self, position: usize, name: &str) -> Result<(), SqlError> {
        let table = self.table_name();
        match &self.new.generation[position] {
            Some(NewGeneration::Stored(_)) => Err(syntax(format!(
                "column \"{name}\" of relation \"{table}\" is a generated column"
            ))),
            Some(
                NewGeneration::Kept(Generation::Identity { .. }) | NewGeneration::Identity { .. },
            ) => Err(syntax(format!(
                "column \"{name}\" of relation \"{table}\" is an identity column"
            ))),
            _ => Ok(()),
        }
    }

    fn set_type(
        &mut self,
        position: usize,
        name: &str,
        data_type: &DataType,
        using: Option<&Expr>,
    ) -> Result<(), SqlError> {
        let old_typ = self.new.desc.columns[position].typ.clone();
        let mut typ = self.planning.planner.data_type(data_type)?;
        typ.nullable = old_typ.nullable;
        let Origin::Old(old) = self.origins[position] else {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot alter type of column \"{name}\" twice"),
            ));
        };
        if let Some(generated) = self.generated_from(name).first() {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot alter type of a column used by a generated column",
            )
            .with_detail(format!(
                "Column \"{name}\" is used by generated column \"{generated}\"."
            )));
        }
        if let Some(NewGeneration::Kept(Generation::Identity { .. })) =
            self.new.generation[position]
            && ![ScalarType::Int2, ScalarType::Int4, ScalarType::Int8].contains(&typ.scalar_type)
        {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "identity column type must be smallint, integer, or bigint",
            ));
        }
        if matches!(self.new.generation[position], Some(NewGeneration::Stored(_))) {
            if using.is_some() {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_DEFINITION,
                    "cannot specify USING when altering type of generated column",
                )
                .with_detail(format!("Column \"{name}\" is a generated column.")));
            }
            self.origins[position] = Origin::Generated;
        } else {
            let value = self.converted(old, &old_typ, &typ, name, using)?;
            self.origins[position] = Origin::Value(value.expr);
            self.check_default(position, &old_typ, &typ, name)?;
        }
        self.retyped.push(old);
        self.new.desc.columns[position].typ = typ;
        Ok(())
    }

    /// A value of the old type as one of the new type.
    fn converted(
        &self,
        old: usize,
        old_typ: &ColumnType,
        typ: &ColumnType,
        name: &str,
        using: Option<&Expr>,
    ) -> Result<TypedScalar, SqlError> {
        let context = self.planning.context();
        let value = match using {
            None => TypedScalar { expr: column(old), typ: old_typ.clone() },
            Some(expr) => {
                let scope = query::table_scope(&self.old.desc, self.table_name());
                let value = query::plan_scalar(&context, &scope, expr)?;
                if query::scalar_has_subquery(&value.expr) {
                    return Err(SqlError::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "cannot use subquery in transform expression",
                    ));
                }
                value
            }
        };
        let target = typ.clone().nullable(true);
        query::coerce_assignment(&context, value, &target, name).map_err(|error| {
            if error.code != SqlState::DATATYPE_MISMATCH {
                return error;
            }
            let shown = types::data_type_sql(&target);
            let error = |message: String| SqlError::new(SqlState::DATATYPE_MISMATCH, message);
            match using {
                None => {
                    error(format!("column \"{name}\" cannot be cast automatically to type {shown}"))
                        .with_hint(format!("You might need to specify \"USING {name}::{shown}\"."))
                }
                Some(_) => error(format!(
                    "result of USING clause for column \"{name}\" cannot be cast automatically to \
                     type {shown}"
                ))
                .with_hint("You might need to add an explicit cast."),
            }
        })
    }

    /// The default must be one of the new type, too.
    fn check_default(
        &self,
        position: usize,
        old_typ: &ColumnType,
        typ: &ColumnType,
        name: &str,
    ) -> Result<(), SqlError> {
        let Some(text) = self.new.defaults[position].as_deref() else { return Ok(()) };
        if self.new.generation[position].is_some() {
            return Ok(());
        }
        let value = self.default_value(text, &old_typ.clone().nullable(true), name)?;
        let context = self.planning.context();
        match query::coerce_assignment(&context, value, &typ.clone().nullable(true), name) {
            Err(error) if error.code == SqlState::DATATYPE_MISMATCH => Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "default for column \"{name}\" cannot be cast automatically to type {}",
                    types::data_type_sql(typ)
                ),
            )),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    fn drop_constraint(&mut self, name: &str, if_exists: bool) -> Result<(), SqlError> {
        let before = self.new.keys.len() + self.new.checks.len();
        self.new.keys.retain(|key| key.name.as_deref() != Some(name));
        self.new.checks.retain(|check| check.name.as_deref() != Some(name));
        if self.new.keys.len() + self.new.checks.len() < before {
            return Ok(());
        }
        let table = self.table_name();
        let message = format!("constraint \"{name}\" of relation \"{table}\" does not exist");
        if !if_exists {
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        self.notice(format!("{message}, skipping"));
        Ok(())
    }

    fn rename_constraint(&mut self, from: &str, to: &str) -> Result<(), SqlError> {
        let table = self.table_name();
        let taken = |name: &Option<String>| name.as_deref() == Some(to);
        if self.new.checks.iter().any(|check| taken(&check.name))
            || self.new.keys.iter().any(|key| taken(&key.name))
        {
            return Err(constraints::already_exists(to, table));
        }
        let checks = self.new.checks.iter_mut().map(|check| &mut check.name);
        let mut names = checks.chain(self.new.keys.iter_mut().map(|key| &mut key.name));
        let found = names.find(|name| name.as_deref() == Some(from)).ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("constraint \"{from}\" for table \"{table}\" does not exist"),
            )
        })?;
        *found = Some(to.to_owned());
        Ok(())
    }
}
