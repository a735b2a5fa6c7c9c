//! ALTER .. SET CLUSTER, SET (RETAIN HISTORY ..), APPLY REPLACEMENT: where, how long and by which
//! query something is kept.

use sqlparser::ast::ObjectName;
use tidemill_catalog::{CatalogChange, Definition, Item, ItemKind, MaterializedView};
use tidemill_repr::{SqlError, SqlState};

use super::{renamed, single};
use crate::ast::{NamedOption, Statement};
use crate::plan::{ChangeCatalogPlan, Plan, Planned};
use crate::statements::cluster::on_cluster;
use crate::statements::options::Options;
use crate::statements::{Planning, command};

fn put(item: Item) -> CatalogChange {
    CatalogChange::PutItem(Box::new(item))
}

impl Planning<'_> {
    /// `ALTER .. SET CLUSTER`
    pub(super) fn set_object_cluster(
        &self,
        item: &Item,
        cluster: &str,
        tag: &'static str,
    ) -> Result<Planned, SqlError> {
        let moves = match &item.definition {
            Definition::Index(index) => index.unique.is_none(),
            Definition::MaterializedView(_) | Definition::Source(_) => true,
            _ => false,
        };
        if !moves {
            let message = format!("{} {} is on no cluster", item.kind(), item.name.item);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        self.changeable_cluster(cluster)?;
        let changes = vec![put(on_cluster(item, cluster))];
        let mut planned =
            command(Plan::ChangeCatalog(ChangeCatalogPlan { changes, tag, wait: None }));
        planned.notices.extend(self.idle_cluster(cluster));
        Ok(planned)
    }

    /// `ALTER .. SET (RETAIN HISTORY FOR ..)`, `RESET (RETAIN HISTORY)`
    pub(super) fn set_history(
        &self,
        item: &Item,
        option: Option<&NamedOption>,
        tag: &'static str,
    ) -> Result<Planned, SqlError> {
        let given: Vec<NamedOption> = option.cloned().into_iter().collect();
        let kept = Options::new(tag, &given)?.history()?;
        let mut item = item.clone();
        match &mut item.definition {
            Definition::Table(table) => table.retain_history = kept,
            Definition::MaterializedView(view) => view.retain_history = kept,
            Definition::Index(index) => index.retain_history = kept,
            _ => {
                let what = format_args!("RETAIN HISTORY of a {}", item.kind());
                return Err(SqlError::unsupported(what));
            }
        }
        if let Ok(mut statement) = single(&item.create_sql) {
            let with = match &mut statement {
                Statement::CreateView(create) => Some(&mut create.with),
                Statement::CreateTable(create) => Some(&mut create.with),
                Statement::CreateTableFromSource(create) => Some(&mut create.with),
                Statement::CreateIndex(create) => Some(&mut create.with),
                _ => None,
            };
            if let Some(with) = with {
                with.retain(|option| option.name != "RETAIN HISTORY");
                with.extend(given);
                item.create_sql = statement.to_string();
            }
        }
        let changes = vec![put(item)];
        Ok(command(Plan::ChangeCatalog(ChangeCatalogPlan { changes, tag, wait: None })))
    }

    /// `ALTER MATERIALIZED VIEW .. APPLY REPLACEMENT`
    pub(super) fn apply_replacement(
        &self,
        item: &Item,
        replacement: &ObjectName,
    ) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        let other = self.item(replacement, &[ItemKind::MaterializedView])?;
        let view = match &other.definition {
            Definition::MaterializedView(view) if view.replacement_for == Some(item.id) => view,
            _ => {
                let message = format!(
                    "\"{}\" is not a replacement for \"{}\"",
                    other.name.item, item.name.item
                );
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
        };
        if let Some(id) = catalog.direct_dependants(other.id).next() {
            let dependant = catalog.item(id).map_or_else(String::new, |item| item.name.to_string());
            let message = format!("{dependant} depends on replacement \"{}\"", other.name.item);
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .with_hint("Drop it first: the replacement ends when it is applied."));
        }
        let mut create_sql = renamed(&other.create_sql, &item.name)?;
        if let Ok(mut statement) = single(&create_sql)
            && let Statement::CreateView(create) = &mut statement
        {
            create.replacement_for = None;
            create_sql = statement.to_string();
        }
        let mut new = item.clone();
        new.create_sql = create_sql;
        new.depends_on = other.depends_on.iter().copied().filter(|id| *id != item.id).collect();
        new.definition = Definition::MaterializedView(MaterializedView {
            replacement_for: None,
            ..view.clone()
        });
        let changes = vec![put(new), CatalogChange::DropItem(other.id)];
        let tag = "ALTER MATERIALIZED VIEW";
        Ok(command(Plan::ChangeCatalog(ChangeCatalogPlan { changes, tag, wait: None })))
    }
}
