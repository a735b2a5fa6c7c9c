//! COMMENT ON.

use sqlparser::ast::ObjectName;
use tidemill_catalog::{CatalogChange, Commented, Item, ItemKind};
use tidemill_repr::{SqlError, SqlState};

use super::drop::item_kind;
use super::{Planning, command};
use crate::ast::{Comment, CommentKind, ObjectKind};
use crate::names;
use crate::plan::{ChangeCatalogPlan, Plan, Planned};

impl Planning<'_> {
    pub(super) fn comment(&self, statement: &Comment) -> Result<Planned, SqlError> {
        let on = match statement.kind {
            CommentKind::Column => self.commented_column(&statement.name)?,
            CommentKind::ClusterReplica => {
                let parts = names::parts(&statement.name)?;
                let [cluster, name] = parts.as_slice() else { return Err(improper(&parts)) };
                self.replica(cluster, name)?;
                Commented::ClusterReplica(cluster.clone(), name.clone())
            }
            CommentKind::Role => {
                let parts = names::parts(&statement.name)?;
                let [role] = parts.as_slice() else { return Err(improper(&parts)) };
                Commented::Role(self.planner.catalog.require_role(role)?.name.clone())
            }
            CommentKind::Constraint => self.commented_constraint(statement)?,
            CommentKind::Object(kind) => self.commented_object(kind, &statement.name)?,
        };
        let changes = vec![CatalogChange::Comment { on, text: statement.text.clone() }];
        Ok(command(Plan::ChangeCatalog(ChangeCatalogPlan { changes, tag: "COMMENT", wait: None })))
    }

    fn commented_object(&self, kind: ObjectKind, name: &ObjectName) -> Result<Commented, SqlError> {
        let catalog = self.planner.catalog;
        if let Some((kind, _)) = item_kind(kind) {
            let item = self.item(name, &[kind])?;
            refuse_system(item)?;
            return Ok(Commented::Item(item.id));
        }
        let parts = names::parts(name)?;
        match kind {
            ObjectKind::Schema => {
                let (database, schema) = self.named_schema(&parts)?;
                Ok(Commented::Schema(Some(database), schema))
            }
            ObjectKind::Database => {
                let [database] = parts.as_slice() else { return Err(improper(&parts)) };
                if catalog.database(database).is_none() {
                    return Err(SqlError::new(
                        SqlState::INVALID_CATALOG_NAME,
                        format!("database \"{database}\" does not exist"),
                    ));
                }
                Ok(Commented::Database(database.clone()))
            }
            ObjectKind::Cluster => {
                let [cluster] = parts.as_slice() else { return Err(improper(&parts)) };
                self.changeable_cluster(cluster)?;
                Ok(Commented::Cluster(cluster.clone()))
            }
            other => Err(SqlError::unsupported(format_args!("COMMENT ON {other}"))),
        }
    }

    fn commented_constraint(&self, statement: &Comment) -> Result<Commented, SqlError> {
        let parts = names::parts(&statement.name)?;
        let ([name], Some(table)) = (parts.as_slice(), &statement.table) else {
            return Err(improper(&parts));
        };
        let item = self.item(table, &[ItemKind::Table])?;
        refuse_system(item)?;
        let constraints = item.table().map_or(&[][..], |table| &table.constraints);
        if !constraints.iter().any(|constraint| constraint.name == *name) {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("constraint \"{name}\" for table \"{}\" does not exist", item.name.item),
            ));
        }
        Ok(Commented::Constraint(item.id, name.clone()))
    }

    fn commented_column(&self, name: &ObjectName) -> Result<Commented, SqlError> {
        let mut relation = name.clone();
        let column = relation.0.pop();
        let column = column.as_ref().and_then(|part| part.as_ident()).map(|part| &part.value);
        let (Some(column), false) = (column, relation.0.is_empty()) else {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "column name must be qualified".to_owned(),
            ));
        };
        let session = self.planner.session;
        let parts = names::parts(&relation)?;
        let item =
            self.planner.catalog.resolve_relation(session.database, session.search_path, &parts)?;
        refuse_system(item)?;
        let known =
            item.desc().is_some_and(|desc| desc.columns.iter().any(|known| known.name == *column));
        if !known {
            return Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{column}\" of relation \"{}\" does not exist", item.name.item),
            ));
        }
        Ok(Commented::Column(item.id, column.clone()))
    }
}

fn refuse_system(item: &Item) -> Result<(), SqlError> {
    if item.is_system() {
        let kind: ItemKind = item.kind();
        return Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("cannot comment on {kind} {} because it is built in", item.name.item),
        ));
    }
    if matches!(item.id, tidemill_repr::ObjectId::Transient(_)) {
        return Err(SqlError::unsupported("COMMENT ON a temporary object"));
    }
    Ok(())
}

fn improper(parts: &[String]) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, format!("improper qualified name: {}", parts.join(".")))
}
