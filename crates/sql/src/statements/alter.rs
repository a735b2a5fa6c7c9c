//! ALTER: renaming, new values of secrets, and RESYNC. What is done to sources and connections
//! alone is beside their CREATE.

mod maintenance;
mod move_object;
mod rename;
mod schema;

pub(super) use rename::single;

use tidemill_catalog::{Item, ItemKind, QualifiedName};
use tidemill_repr::{SqlError, SqlState};

use super::drop::{dependants_exist, is_missing, item_kind};
use super::{Planning, command, nothing};
use crate::ast::{Alter, AlterAction, FunctionStatement, ObjectKind, Statement};
use crate::names;
use crate::plan::{Plan, Planned, RenamePlan};

impl Planning<'_> {
    pub(super) fn alter(&self, statement: &Alter) -> Result<Planned, SqlError> {
        if statement.kind == ObjectKind::Schema {
            return self.alter_schema(statement);
        }
        if let (None, AlterAction::Rename(to)) = (item_kind(statement.kind), &statement.action) {
            let (kind, if_exists) = (statement.kind, statement.if_exists);
            return self.rename_container(kind, if_exists, &statement.name, &to.value);
        }
        let Some((kind, _)) = item_kind(statement.kind) else {
            return Err(SqlError::unsupported(format_args!("ALTER {}", statement.kind)));
        };
        if let AlterAction::Other(words) = &statement.action {
            return Err(SqlError::unsupported(format_args!("ALTER {} .. {words}", statement.kind)));
        }
        let tag = alter_tag(kind);
        // As in PostgreSQL, ALTER TABLE renames whatever is like a table.
        let table_like = [
            ItemKind::Table,
            ItemKind::View,
            ItemKind::MaterializedView,
            ItemKind::Index,
            ItemKind::Sequence,
        ];
        let kinds = match (&statement.action, kind) {
            (AlterAction::Rename(_), ItemKind::Table) => &table_like[..],
            _ => std::slice::from_ref(&kind),
        };
        let item = match self.item(&statement.name, kinds) {
            Ok(item) => item,
            Err(error) if statement.if_exists && is_missing(&error) => {
                let error = no_relation(error, kind);
                let message = format!("{}, skipping", error.message);
                return Ok(nothing(tag, SqlState("00000"), message));
            }
            Err(error) => return Err(no_relation(error, kind)),
        };
        if item.is_system() {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("cannot alter {kind} {} because it is built in", item.name.item),
            ));
        }
        match &statement.action {
            AlterAction::SecretValue(value) => {
                let value = self.secret_value(value)?;
                Ok(command(Plan::AlterSecret { id: item.id, value }))
            }
            AlterAction::Resync => {
                if item.table().is_some_and(|table| table.source.is_none()) {
                    let message = format!("table {} follows no source", item.name.item);
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
                }
                Ok(command(Plan::Resync(item.id)))
            }
            AlterAction::Rename(name) if kind == ItemKind::Type => {
                self.rename_type(item, &name.value, statement.kind == ObjectKind::Domain)
            }
            AlterAction::Rename(name) => self.rename(item, &name.value, tag),
            AlterAction::Relation(actions) => self.alter_relation(item, actions, &[], tag),
            AlterAction::Followed { actions, with } => {
                self.alter_relation(item, actions, with, tag)
            }
            AlterAction::Source(action) => self.alter_source(item, action),
            AlterAction::Connection(action) => self.alter_connection(item, action),
            AlterAction::Cluster(name) => self.set_object_cluster(item, &name.value, tag),
            AlterAction::RetainHistory(option) => self.set_history(item, option.as_ref(), tag),
            AlterAction::ApplyReplacement(name) => self.apply_replacement(item, name),
            AlterAction::Swap(_) | AlterAction::Other(_) => Err(SqlError::internal("ALTER")),
        }
    }

    fn rename(&self, item: &Item, name: &str, tag: &'static str) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        names::check_length(name)?;
        let name = QualifiedName { item: name.to_owned(), ..item.name.clone() };
        if catalog.item_by_name(&name).is_some() {
            return Err(tidemill_catalog::snapshot::already_exists(&name.item));
        }
        self.rename_item(item, name, tag)
    }

    /// Gives an object another full name that is free.
    pub(super) fn rename_item(
        &self,
        item: &Item,
        name: QualifiedName,
        tag: &'static str,
    ) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        let create_sql = renamed(&item.create_sql, &name)?;
        let new = Item { name, create_sql, ..item.clone() };
        // The texts of dependent objects hold the name.
        let dependants = rename::dependants(&self.planner, item, &new)?;
        let Some(dependants) = dependants else {
            let first = catalog.direct_dependants(item.id).next().and_then(|id| catalog.item(id));
            let Some(dependant) = first else { return Err(SqlError::internal("ALTER")) };
            let line = format!(
                "{} {} depends on {} {}",
                dependant.kind(),
                dependant.name.item,
                item.kind(),
                item.name.item
            );
            return Err(dependants_exist(
                format!("cannot rename {} {}", item.kind(), item.name.item),
                &[line],
            ));
        };
        let Item { name, create_sql, .. } = new;
        Ok(command(Plan::Rename(RenamePlan { id: item.id, name, create_sql, dependants, tag })))
    }
}

/// As in PostgreSQL, what is not there at all is no relation.
fn no_relation(error: SqlError, kind: ItemKind) -> SqlError {
    let relations = [
        ItemKind::Table,
        ItemKind::View,
        ItemKind::MaterializedView,
        ItemKind::Index,
        ItemKind::Sequence,
    ];
    let missing = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_OBJECT].contains(&error.code);
    if !missing || !relations.contains(&kind) {
        return error;
    }
    let message = error.message.replacen(&kind.to_string(), "relation", 1);
    SqlError { code: SqlState::UNDEFINED_TABLE, message, ..error }
}

fn alter_tag(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Table => "ALTER TABLE",
        ItemKind::View => "ALTER VIEW",
        ItemKind::MaterializedView => "ALTER MATERIALIZED VIEW",
        ItemKind::Index => "ALTER INDEX",
        ItemKind::Source => "ALTER SOURCE",
        ItemKind::Connection => "ALTER CONNECTION",
        ItemKind::Secret => "ALTER SECRET",
        ItemKind::Sequence => "ALTER SEQUENCE",
        ItemKind::Type => "ALTER TYPE",
        ItemKind::Function => "ALTER FUNCTION",
    }
}

/// The statement that makes an object, with another name.
fn renamed(create_sql: &str, name: &QualifiedName) -> Result<String, SqlError> {
    let mut statement = single(create_sql)?;
    let full = names::object_name(name);
    match &mut statement {
        Statement::Function(function) => match &mut **function {
            FunctionStatement::Create(create) => create.name = full,
            _ => return Err(SqlError::internal("a definition that is no CREATE statement")),
        },
        Statement::CreateSecret(create) => create.name = full,
        Statement::CreateConnection(create) => create.name = full,
        Statement::CreateSource(create) => create.name = full,
        Statement::CreateTable(create) => create.name = full,
        Statement::CreateTableFromSource(create) => create.name = full,
        Statement::CreateView(create) => create.name = full,
        Statement::Sequence(create) => create.name = full,
        Statement::CreateIndex(create) => create.name = Some(names::ident(&name.item)),
        _ => return Err(SqlError::internal("a definition that is no CREATE statement")),
    }
    Ok(statement.to_string())
}
