//! ALTER SCHEMA: other names for schemas, and with them for all objects inside. Every text that
//! holds one of the names is told the new one; views go on reading what they read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, ObjectName, Query, TableFactor, VisitMut, VisitorMut};
use tidemill_catalog::snapshot::SYSTEM_SCHEMAS;
use tidemill_catalog::{CatalogChange, Definition, Item, ItemKind, QualifiedName};
use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::rename::{each_used_name, single};
use super::{Planning, command, nothing, renamed};
use crate::ast::{Alter, AlterAction, SequenceOption, SourceTables, Statement};
use crate::names;
use crate::plan::{Plan, Planned, RenameSchemasPlan};
use crate::rebuild::rebuild;
use crate::session::Planner;
use crate::statements::function::with_body;

const TAG: &str = "ALTER SCHEMA";

impl Planning<'_> {
    pub(super) fn alter_schema(&self, statement: &Alter) -> Result<Planned, SqlError> {
        let parts = names::parts(&statement.name)?;
        let (database, schema) = match parts.as_slice() {
            [schema] => (self.planner.session.database, schema),
            [database, schema] => (database.as_str(), schema),
            _ => {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("improper schema name: {}", parts.join(".")),
                ));
            }
        };
        let names = match &statement.action {
            AlterAction::Rename(to) => vec![(schema.clone(), to.value.clone())],
            AlterAction::Swap(other) => {
                vec![(schema.clone(), other.value.clone()), (other.value.clone(), schema.clone())]
            }
            AlterAction::Other(words) => {
                return Err(SqlError::unsupported(format_args!("ALTER SCHEMA .. {words}")));
            }
            _ => return Err(SqlError::internal(TAG)),
        };
        let missing = |name: &String| self.planner.catalog.schema(database, name).is_none();
        if missing(schema) && statement.if_exists {
            let message = format!("schema \"{schema}\" does not exist, skipping");
            return Ok(nothing(TAG, SqlState("00000"), message));
        }
        for (from, _) in &names {
            if SYSTEM_SCHEMAS.contains(&from.as_str()) {
                return Err(SqlError::new(
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    format!("cannot alter schema {from} because it is built in"),
                ));
            }
            if missing(from) {
                return Err(SqlError::new(
                    SqlState::INVALID_SCHEMA_NAME,
                    format!("schema \"{from}\" does not exist"),
                ));
            }
        }
        let swap = names.len() == 2;
        if swap && names[0].0 == names[0].1 {
            return Ok(command(Plan::Nothing { tag: TAG }));
        }
        if !swap {
            self.check_schema_name(database, &names[0].1)?;
        }
        self.rename_schemas(database, names)
    }

    fn check_schema_name(&self, database: &str, to: &str) -> Result<(), SqlError> {
        if to.starts_with("pg_") || to.starts_with("mz_") {
            return Err(SqlError::new(
                SqlState::RESERVED_NAME,
                format!("unacceptable schema name \"{to}\""),
            )
            .with_detail("The prefixes \"mz_\" and \"pg_\" are reserved for system schemas."));
        }
        if self.planner.catalog.schema(database, to).is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_SCHEMA,
                format!("schema \"{to}\" already exists"),
            ));
        }
        Ok(())
    }

    fn rename_schemas(
        &self,
        database: &str,
        names: Vec<(String, String)>,
    ) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        let mut retelling = Retelling { objects: BTreeMap::new() };
        let mut touched: BTreeSet<ObjectId> = BTreeSet::new();
        for (from, to) in &names {
            for item in catalog.items_in_schema(Some(database), from) {
                let used = catalog.direct_dependants(item.id).next().is_some();
                if item.kind() == ItemKind::Type && used {
                    return Err(SqlError::unsupported(format_args!(
                        "another name for a schema with a type that objects use (\"{}\")",
                        item.name.item
                    )));
                }
                let new = QualifiedName { schema: to.clone(), ..item.name.clone() };
                retelling.objects.insert(full_parts(&item.name), new);
                touched.insert(item.id);
                touched.extend(catalog.direct_dependants(item.id));
            }
        }
        let mut items = Vec::with_capacity(touched.len());
        for id in touched {
            let Some(item) = catalog.item(id).filter(|item| !item.is_system()) else { continue };
            items.push(retelling.item(item)?);
        }
        let change = CatalogChange::RenameSchemas {
            database: database.to_owned(),
            names: names.clone(),
            items: items.clone(),
        };
        // What cannot be planned from its new text must not get it.
        let next = catalog.apply(std::slice::from_ref(&change))?;
        let after = Planner { catalog: &next, session: self.planner.session };
        for item in &items {
            rebuild(after.catalog, after.session, item).map_err(|error| {
                let message = format!(
                    "cannot rename the schema: the text of {} {} would not mean the same",
                    item.kind(),
                    item.name.item
                );
                SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_detail(error.message)
            })?;
        }
        let database = database.to_owned();
        Ok(command(Plan::RenameSchemas(Box::new(RenameSchemasPlan { database, names, items }))))
    }
}

fn full_parts(name: &QualifiedName) -> Vec<String> {
    let database = name.database.iter().cloned();
    database.chain([name.schema.clone(), name.item.clone()]).collect()
}

/// Puts new names into texts.
struct Retelling {
    /// The new name of each object, by the parts of its full name.
    objects: BTreeMap<Vec<String>, QualifiedName>,
}

impl Retelling {
    fn name(&self, name: &mut ObjectName) {
        if let Ok(parts) = names::parts(name)
            && let Some(new) = self.objects.get(&parts)
        {
            *name = names::object_name(new);
        }
    }

    fn query(&self, query: &mut Query) -> String {
        let mut visitor = NamesInQuery { retelling: self };
        let _ = query.visit(&mut visitor);
        crate::ast::query_text(query)
    }

    /// An object with all that is renamed in its text and name.
    fn item(&self, item: &Item) -> Result<Item, SqlError> {
        let mut new = item.clone();
        if let Some(name) = self.objects.get(&full_parts(&item.name)) {
            new.name = name.clone();
            new.create_sql = renamed(&item.create_sql, name)?;
        }
        if let Definition::Function(function) = &new.definition {
            let Statement::Query(mut body) = single(&function.body)? else {
                return Err(SqlError::internal("a body that is no query"));
            };
            let text = self.query(&mut body.query);
            return with_body(&new, text)
                .ok_or_else(|| SqlError::internal("a function that is none"));
        }
        let mut statement = single(&new.create_sql)?;
        match (&mut statement, &mut new.definition) {
            (Statement::CreateView(create), Definition::View(view)) => {
                view.query_sql = self.query(&mut create.query);
            }
            (Statement::CreateView(create), Definition::MaterializedView(materialized)) => {
                materialized.view.query_sql = self.query(&mut create.query);
            }
            (Statement::CreateIndex(create), _) => self.name(&mut create.on),
            (Statement::CreateSource(create), _) => {
                if let Some(SourceTables::Tables(tables)) = &mut create.tables {
                    tables.iter_mut().filter_map(|table| table.alias.as_mut()).for_each(|alias| {
                        self.name(alias);
                    });
                }
                if let Some(progress) = &mut create.progress {
                    self.name(progress);
                }
                each_used_name(&mut statement, |name| self.name(name));
            }
            (Statement::Sequence(create), _) => {
                for option in &mut create.options {
                    if let SequenceOption::OwnedBy(Some(column)) = option {
                        self.column(column);
                    }
                }
            }
            _ => {
                each_used_name(&mut statement, |name| self.name(name));
            }
        }
        new.create_sql = statement.to_string();
        Ok(new)
    }

    /// `database.schema.table.column`
    fn column(&self, column: &mut ObjectName) {
        let Ok(mut parts) = names::parts(column) else { return };
        let Some(last) = parts.pop() else { return };
        if let Some(new) = self.objects.get(&parts) {
            let mut full = full_parts(new);
            full.push(last);
            *column =
                ObjectName::from(full.iter().map(|part| names::ident(part)).collect::<Vec<_>>());
        }
    }
}

/// Relations, and columns whose names begin with the schema.
struct NamesInQuery<'a> {
    retelling: &'a Retelling,
}

impl VisitorMut for NamesInQuery<'_> {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, .. } | TableFactor::Function { name, .. } = factor {
            self.retelling.name(name);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.retelling.name(&mut function.name);
        }
        let Expr::CompoundIdentifier(idents) = expr else { return ControlFlow::Continue(()) };
        let parts: Vec<&str> = idents.iter().map(|ident: &Ident| ident.value.as_str()).collect();
        let table = match parts.as_slice() {
            [table @ .., _] if table.len() >= 2 => table,
            _ => return ControlFlow::Continue(()),
        };
        let fits = |full: &&Vec<String>| {
            full.len() >= table.len()
                && full[full.len() - table.len()..]
                    .iter()
                    .map(String::as_str)
                    .eq(table.iter().copied())
        };
        let mut found = self.retelling.objects.keys().filter(fits);
        if let (Some(full), None) = (found.next(), found.next())
            && let Some(new) = self.retelling.objects.get(full)
            && let Some(schema) = idents.len().checked_sub(3).and_then(|n| idents.get_mut(n))
        {
            *schema = names::ident(&new.schema);
        }
        ControlFlow::Continue(())
    }
}
