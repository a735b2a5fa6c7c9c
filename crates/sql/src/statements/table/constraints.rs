//! Constraints of tables: PRIMARY KEY, UNIQUE, CHECK, and the names PostgreSQL gives them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    ConstraintCharacteristics, Expr, IndexColumn, NullsDistinctOption, TableConstraint, Visit,
    Visitor,
};
use tidemill_catalog::{Constraint, ConstraintKind};
use tidemill_repr::{SqlError, SqlState};

use super::build::{KeyColumns, NewCheck, NewKey, NewTable};
use crate::query;
use crate::statements::Planning;

/// The most bytes a name has.
const NAME_BYTES: usize = 63;

impl NewTable {
    /// A constraint that stands on its own.
    pub fn table_constraint(&mut self, constraint: &TableConstraint) -> Result<(), SqlError> {
        let value = |name: &Option<sqlparser::ast::Ident>| name.as_ref().map(|n| n.value.clone());
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                refuse_characteristics(key.characteristics.as_ref())?;
                refuse_index_parts(&key.include)?;
                self.keys.push(NewKey {
                    name: value(&key.name),
                    columns: KeyColumns::Names(column_names(&key.columns)?),
                    primary: true,
                    nulls_not_distinct: false,
                });
            }
            TableConstraint::Unique(key) => {
                refuse_characteristics(key.characteristics.as_ref())?;
                refuse_index_parts(&key.include)?;
                self.keys.push(NewKey {
                    name: value(&key.name),
                    columns: KeyColumns::Names(column_names(&key.columns)?),
                    primary: false,
                    nulls_not_distinct: key.nulls_distinct == NullsDistinctOption::NotDistinct,
                });
            }
            TableConstraint::Check(check) => {
                self.checks.push(NewCheck { name: value(&check.name), expr: (*check.expr).clone() })
            }
            TableConstraint::ForeignKey(_) => return Err(foreign_key()),
            other => {
                return Err(SqlError::unsupported(format_args!("constraint {other}")));
            }
        }
        Ok(())
    }

    /// The positions of a key's columns.
    pub fn key_columns(&self, key: &NewKey) -> Result<Vec<usize>, SqlError> {
        let names = match &key.columns {
            KeyColumns::Position(position) => return Ok(vec![*position]),
            KeyColumns::Names(names) => names,
        };
        let mut columns = Vec::new();
        for name in names {
            let position = self.desc.position(name).ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{name}\" named in key does not exist"),
                )
            })?;
            if columns.contains(&position) {
                let kind = if key.primary { "primary key" } else { "unique" };
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{name}\" appears twice in {kind} constraint"),
                ));
            }
            columns.push(position);
        }
        Ok(columns)
    }
}

impl Planning<'_> {
    /// The CHECKs, planned once to find what is wrong with them.
    pub(super) fn checks(&self, table: &NewTable) -> Result<Vec<Constraint>, SqlError> {
        let context = self.context();
        let scope = query::table_scope(&table.desc, &table.name.item);
        let mut constraints: Vec<Constraint> = Vec::new();
        let given: BTreeSet<&str> =
            table.checks.iter().filter_map(|check| check.name.as_deref()).collect();
        for check in &table.checks {
            let planned = query::plan_condition(&context, &scope, &check.expr, "CHECK")?;
            if query::scalar_has_subquery(&planned) {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "cannot use subquery in check constraint",
                ));
            }
            crate::statements::over_columns(planned)?;
            let known = |name: &str| constraints.iter().any(|other| other.name == name);
            let name = match &check.name {
                Some(name) if known(name) => {
                    return Err(already_exists(name, &table.name.item));
                }
                Some(name) => name.clone(),
                None => {
                    let columns = columns_of(&check.expr, table);
                    let column = match columns.as_slice() {
                        [only] => only.as_str(),
                        _ => "",
                    };
                    let free = |name: &str| !known(name) && !given.contains(name);
                    choose_name(&table.name.item, column, "check", free)
                }
            };
            let expr = check.expr.to_string();
            constraints.push(Constraint { name, kind: ConstraintKind::Check { expr } });
        }
        Ok(constraints)
    }
}

/// The columns of the table that an expression names.
pub(super) fn columns_of(expr: &Expr, table: &NewTable) -> Vec<String> {
    struct Names<'t>(&'t NewTable, Vec<String>);
    impl Visitor for Names<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let name = match expr {
                Expr::Identifier(ident) => Some(ident),
                Expr::CompoundIdentifier(parts) => parts.last(),
                _ => None,
            };
            if let Some(name) = name
                && self.0.desc.position(&name.value).is_some()
                && !self.1.contains(&name.value)
            {
                self.1.push(name.value.clone());
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(table, Vec::new());
    let _ = expr.visit(&mut names);
    names.1
}

fn column_names(columns: &[IndexColumn]) -> Result<Vec<String>, SqlError> {
    columns
        .iter()
        .map(|column| match &column.column.expr {
            Expr::Identifier(ident) => Ok(ident.value.clone()),
            other => Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("syntax error at or near \"{other}\""),
            )),
        })
        .collect()
}

fn refuse_index_parts(include: &[sqlparser::ast::Ident]) -> Result<(), SqlError> {
    if include.is_empty() { Ok(()) } else { Err(SqlError::unsupported("INCLUDE of a key")) }
}

/// Constraints hold at the end of each statement.
pub(super) fn refuse_characteristics(
    characteristics: Option<&ConstraintCharacteristics>,
) -> Result<(), SqlError> {
    let Some(said) = characteristics else { return Ok(()) };
    let deferred = said.deferrable == Some(true)
        || matches!(said.initially, Some(sqlparser::ast::DeferrableInitial::Deferred));
    if deferred {
        return Err(SqlError::unsupported("a DEFERRABLE constraint"));
    }
    if said.enforced == Some(false) {
        return Err(SqlError::unsupported("NOT ENFORCED"));
    }
    Ok(())
}

/// A constraint that does not hold is worse than none.
pub(super) fn foreign_key() -> SqlError {
    SqlError::unsupported("a FOREIGN KEY constraint")
        .with_hint("Leave REFERENCES and FOREIGN KEY out: nothing checks them here.")
}

pub(super) fn multiple_primary_keys(table: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TABLE_DEFINITION,
        format!("multiple primary keys for table \"{table}\" are not allowed"),
    )
}

pub(super) fn already_exists(name: &str, table: &str) -> SqlError {
    SqlError::new(
        SqlState::DUPLICATE_OBJECT,
        format!("constraint \"{name}\" for relation \"{table}\" already exists"),
    )
}

/// A name as PostgreSQL makes it: `table_column_label`, shortened, with a number if needed.
pub(super) fn choose_name(
    table: &str,
    column: &str,
    label: &str,
    is_free: impl Fn(&str) -> bool,
) -> String {
    let mut number = 0;
    loop {
        let label = if number == 0 { label.to_owned() } else { format!("{label}{number}") };
        let name = object_name(table, column, &label);
        if is_free(&name) {
            return name;
        }
        number += 1;
    }
}

fn object_name(table: &str, column: &str, label: &str) -> String {
    let separators = if column.is_empty() { 1 } else { 2 };
    let room = NAME_BYTES.saturating_sub(label.len() + separators);
    let (mut first, mut second) = (table.len(), column.len());
    while first + second > room {
        if first > second {
            first -= 1;
        } else {
            second -= 1;
        }
    }
    let cut = |text: &str, mut length: usize| {
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        text[..length].to_owned()
    };
    let table = cut(table, first);
    if column.is_empty() {
        return format!("{table}_{label}");
    }
    format!("{table}_{}_{label}", cut(column, second))
}
