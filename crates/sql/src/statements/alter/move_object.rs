//! ALTER .. SET SCHEMA and ALTER .. SWAP WITH of all but schemas.

use tidemill_catalog::{Catalog, CatalogChange, Item, ItemKind, QualifiedName};
use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::rename;
use super::{alter_tag, renamed};
use crate::ast::{MoveObject, MoveTo, ObjectKind};
use crate::names;
use crate::plan::{ChangeCatalogPlan, Plan, Planned};
use crate::session::{Planner, SessionView};
use crate::statements::drop::{is_missing, item_kind};
use crate::statements::{Planning, command, nothing};

/// Changes of names that follow each other, and the catalog after them.
struct Renaming<'a> {
    catalog: Catalog,
    session: &'a SessionView<'a>,
    changes: Vec<CatalogChange>,
}

impl Renaming<'_> {
    fn apply(&mut self, changes: Vec<CatalogChange>) -> Result<(), SqlError> {
        self.catalog = self.catalog.apply(&changes)?;
        self.changes.extend(changes);
        Ok(())
    }

    /// Gives an object another full name, in the texts of others too.
    fn rename(&mut self, id: ObjectId, name: QualifiedName) -> Result<(), SqlError> {
        let Some(item) = self.catalog.item(id).cloned() else {
            return Err(SqlError::internal("a name of nothing"));
        };
        if item.name == name {
            return Ok(());
        }
        let new = Item { create_sql: renamed(&item.create_sql, &name)?, name, ..(*item).clone() };
        let planner = Planner { catalog: &self.catalog, session: self.session };
        let Some(dependants) = rename::dependants(&planner, &item, &new)? else {
            let what = format_args!(
                "another name for {} {}, on which objects depend whose text \
                 cannot be changed",
                item.kind(),
                item.name.item
            );
            return Err(SqlError::unsupported(what));
        };
        let put = |item: Item| CatalogChange::PutItem(Box::new(item));
        let changes = std::iter::once(new).chain(dependants).map(put).collect();
        self.apply(changes)
    }

    /// Moves an object and what is always in its schema.
    fn move_to(&mut self, id: ObjectId, schema: &str) -> Result<(), SqlError> {
        let to = |name: &QualifiedName| QualifiedName { schema: schema.to_owned(), ..name.clone() };
        let Some(item) = self.catalog.item(id).cloned() else { return Ok(()) };
        self.rename(id, to(&item.name))?;
        let indexes: Vec<_> = self.catalog.indexes_on(id).cloned().collect();
        for index in indexes {
            let name = to(&index.name);
            let index = Item { name, ..(*index).clone() };
            self.apply(vec![CatalogChange::PutItem(Box::new(index))])?;
        }
        Ok(())
    }
}

impl<'a> Planning<'a> {
    fn renaming(&self) -> Renaming<'a> {
        Renaming {
            catalog: self.planner.catalog.clone(),
            session: self.planner.session,
            changes: Vec::new(),
        }
    }

    /// Database and name of a schema that may be changed.
    pub(in crate::statements) fn named_schema(
        &self,
        parts: &[String],
    ) -> Result<(String, String), SqlError> {
        let (database, schema) = match parts {
            [schema] => (self.planner.session.database, schema),
            [database, schema] => (database.as_str(), schema),
            _ => {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("improper schema name: {}", parts.join(".")),
                ));
            }
        };
        if tidemill_catalog::snapshot::SYSTEM_SCHEMAS.contains(&schema.as_str()) {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("cannot alter schema {schema} because it is built in"),
            ));
        }
        if self.planner.catalog.schema(database, schema).is_none() {
            return Err(SqlError::new(
                SqlState::INVALID_SCHEMA_NAME,
                format!("schema \"{schema}\" does not exist"),
            ));
        }
        Ok((database.to_owned(), schema.clone()))
    }

    /// `ALTER CLUSTER .. RENAME TO`: what has no item.
    pub(in crate::statements) fn rename_container(
        &self,
        kind: ObjectKind,
        if_exists: bool,
        name: &sqlparser::ast::ObjectName,
        to: &str,
    ) -> Result<Planned, SqlError> {
        match kind {
            ObjectKind::Cluster => {
                self.rename_cluster(if_exists, &names::parts(name)?.join("."), to)
            }
            other => Err(SqlError::unsupported(format_args!("ALTER {other} .. RENAME TO"))),
        }
    }

    pub(in crate::statements) fn move_object(
        &self,
        statement: &MoveObject,
    ) -> Result<Planned, SqlError> {
        let other = |to: &MoveTo| match to {
            MoveTo::Swap(other) => Some(other.value.clone()),
            MoveTo::Schema(_) => None,
        };
        if let (ObjectKind::Cluster, Some(other)) = (statement.kind, other(&statement.to)) {
            let name = names::parts(&statement.name)?.join(".");
            return self.swap_clusters(statement.if_exists, &name, &other);
        }
        let Some((kind, _)) = item_kind(statement.kind) else {
            let (kind, to) = (statement.kind, &statement.to);
            let what = if matches!(to, MoveTo::Swap(_)) { "SWAP WITH" } else { "SET SCHEMA" };
            return Err(SqlError::unsupported(format_args!("ALTER {kind} .. {what}")));
        };
        let tag = alter_tag(kind);
        let item = match self.item(&statement.name, &[kind]) {
            Ok(item) => item,
            Err(error) if statement.if_exists && is_missing(&error) => {
                return Ok(nothing(tag, SqlState("00000"), format!("{}, skipping", error.message)));
            }
            Err(error) => return Err(error),
        };
        self.check_movable(item)?;
        let mut renaming = self.renaming();
        match &statement.to {
            MoveTo::Schema(schema) => {
                let (database, schema) = self.named_schema(&names::parts(schema)?)?;
                if item.name.database.as_deref() != Some(&database) {
                    return Err(SqlError::unsupported("SET SCHEMA to another database"));
                }
                if item.name.schema != schema {
                    self.check_free_in_schema(item, &schema)?;
                    renaming.move_to(item.id, &schema)?;
                }
            }
            MoveTo::Swap(other) => {
                let name = QualifiedName { item: other.value.clone(), ..item.name.clone() };
                let other = self.item(&names::object_name(&name), &[kind])?;
                self.check_movable(other)?;
                if other.id != item.id {
                    let between = format!("mz_swap_{}", item.id);
                    let between = QualifiedName { item: between, ..item.name.clone() };
                    renaming.rename(item.id, between)?;
                    renaming.rename(other.id, item.name.clone())?;
                    renaming.rename(item.id, other.name.clone())?;
                }
            }
        }
        Ok(changed(renaming, tag))
    }

    fn check_movable(&self, item: &Item) -> Result<(), SqlError> {
        let (kind, name) = (item.kind(), &item.name.item);
        if item.is_system() {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("cannot alter {kind} {name} because it is built in"),
            ));
        }
        if matches!(item.id, ObjectId::Transient(_)) {
            return Err(SqlError::unsupported("this statement for temporary tables and views"));
        }
        Ok(())
    }

    fn check_free_in_schema(&self, item: &Item, schema: &str) -> Result<(), SqlError> {
        let (kind, name) = (item.kind(), &item.name.item);
        if kind == ItemKind::Index {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot change the schema of index \"{name}\""),
            )
            .with_hint("Change the schema of the table instead."));
        }
        let catalog = self.planner.catalog;
        let to = QualifiedName { schema: schema.to_owned(), ..item.name.clone() };
        if catalog.item_by_name(&to).is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_TABLE,
                format!("relation \"{name}\" already exists in schema \"{schema}\""),
            ));
        }
        let sequences = catalog.direct_dependants(item.id).chain(item.depends_on.iter().copied());
        let mut kinds = sequences.filter_map(|id| catalog.item(id)).map(|item| item.kind());
        if kinds.any(|kind| kind == ItemKind::Sequence) {
            return Err(SqlError::unsupported("SET SCHEMA of a table with sequences"));
        }
        Ok(())
    }
}

fn changed(renaming: Renaming<'_>, tag: &'static str) -> Planned {
    command(Plan::ChangeCatalog(ChangeCatalogPlan { changes: renaming.changes, tag, wait: None }))
}
