//! CREATE INDEX.

use std::collections::BTreeSet;

use sqlparser::ast::Expr;
use tidemill_catalog::{Definition, Index, Item, ItemKind, QualifiedName};
use tidemill_expr::ScalarExpr;
use tidemill_repr::{ObjectId, RelationDesc, SqlError, SqlState};

use super::constant::over_columns;
use super::options::Options;
use super::{Planning, command, nothing};
use crate::ast::{Alter, AlterAction, CreateIndex, Statement};
use crate::names;
use crate::plan::{NewItem, Notice, Plan, Planned};
use crate::query;

const STATEMENT: &str = "CREATE INDEX";

/// The parts of a key, each as text and as an expression.
type KeyParts = Vec<(String, ScalarExpr)>;

impl Planning<'_> {
    pub(super) fn create_index(&self, statement: &CreateIndex) -> Result<Planned, SqlError> {
        if let Some(method) = &statement.method
            && !["arrangement", "btree"].contains(&method.value.as_str())
        {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("access method \"{}\" does not exist", method.value),
            ));
        }
        let mut with = Options::new(STATEMENT, &statement.with)?;
        let retain_history = with.history()?;
        with.finish()?;
        let kinds = [ItemKind::Table, ItemKind::View, ItemKind::MaterializedView];
        let on = self.item(&statement.on, &kinds).map_err(|error| match error.code {
            SqlState::UNDEFINED_TABLE => {
                let message = error.message.replacen("table", "relation", 1);
                SqlError { message, ..error }
            }
            _ => error,
        })?;
        let desc = on.desc().ok_or_else(|| SqlError::internal("a relation without columns"))?;
        if on.is_system() {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: \"{}\" is a system relation", on.name.item),
            ));
        }
        let (key, functions) = self.index_key(statement, on, desc)?;
        if let Some(not_distinct) = statement.unique {
            return self.create_unique_index(statement, on, &key, not_distinct);
        }
        let name = match &statement.name {
            Some(name) => {
                names::check_length(&name.value)?;
                QualifiedName { item: name.value.clone(), ..on.name.clone() }
            }
            None => self.chosen_name(statement, on, &key),
        };
        if self.planner.catalog.item_by_name(&name).is_some() {
            let message = format!("relation \"{}\" already exists", name.item);
            if !statement.if_not_exists {
                return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
            }
            let message = format!("{message}, skipping");
            return Ok(nothing(STATEMENT, SqlState::DUPLICATE_TABLE, message));
        }
        let cluster = self.cluster(statement.cluster.as_ref())?;
        let idle = self.idle_cluster(&cluster);
        let key_sql: Vec<String> = key.iter().map(|(sql, _)| sql.clone()).collect();
        let create_sql = format!(
            "CREATE INDEX {} IN CLUSTER {} ON {} ({})",
            names::ident(&name.item),
            names::ident(&cluster),
            on.name,
            key_sql.join(", ")
        );
        let notice = self.twin(on, &key);
        let definition = Definition::Index(Index {
            on: on.id,
            key_sql,
            key: key.into_iter().map(|(_, scalar)| scalar).collect(),
            cluster,
            time_zone: Some(self.planner.session.time_zone.to_owned()),
            unique: None,
            retain_history,
        });
        let mut depends_on = vec![on.id];
        depends_on.extend(functions);
        let item = NewItem { name, create_sql, depends_on, definition, replaces: None };
        let mut planned = command(Plan::CreateIndex(item));
        planned.notices.extend(notice);
        planned.notices.extend(idle);
        Ok(planned)
    }

    /// CREATE UNIQUE INDEX: a unique key of the table, which has an index of that name.
    fn create_unique_index(
        &self,
        statement: &CreateIndex,
        on: &Item,
        key: &[(String, ScalarExpr)],
        not_distinct: bool,
    ) -> Result<Planned, SqlError> {
        let columns: Option<Vec<String>> = statement.key.as_ref().and_then(|exprs| {
            let name = |expr: &Expr| match expr {
                Expr::Identifier(ident) => Some(names::ident(&ident.value).to_string()),
                _ => None,
            };
            exprs.iter().map(name).collect()
        });
        let Some(columns) = columns else {
            return Err(SqlError::unsupported("CREATE UNIQUE INDEX over an expression")
                .with_hint("Add a GENERATED ALWAYS AS (..) STORED column, and make that unique."));
        };
        if on.kind() != ItemKind::Table {
            return Err(SqlError::unsupported("CREATE UNIQUE INDEX on a view")
                .with_hint("Use CREATE INDEX: it is not the index that makes its rows unique."));
        }
        if let Some(cluster) = &statement.cluster {
            let message = format!("IN CLUSTER {cluster} of CREATE UNIQUE INDEX");
            return Err(
                SqlError::unsupported(message).with_hint("A unique index is where the table is.")
            );
        }
        let name = match &statement.name {
            Some(name) => name.value.clone(),
            None => self.chosen_name(statement, on, key).item,
        };
        let taken = QualifiedName { item: name.clone(), ..on.name.clone() };
        if self.planner.catalog.item_by_name(&taken).is_some() {
            let message = format!("relation \"{name}\" already exists");
            if !statement.if_not_exists {
                return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
            }
            let message = format!("{message}, skipping");
            return Ok(nothing(STATEMENT, SqlState::DUPLICATE_TABLE, message));
        }
        let nulls = if not_distinct { "NULLS NOT DISTINCT " } else { "" };
        let text = format!(
            "ALTER TABLE {} ADD CONSTRAINT {} UNIQUE {nulls}({})",
            on.name,
            names::ident(&name),
            columns.join(", ")
        );
        match crate::parse(&text)?.pop().map(|one| one.statement) {
            Some(Statement::Alter(Alter { action: AlterAction::Relation(actions), .. })) => {
                self.alter_relation(on, &actions, &[], STATEMENT)
            }
            _ => Err(SqlError::internal("a rewritten statement that cannot be read")),
        }
    }

    /// A notice if another index on the relation has the same key, in whatever order: both would
    /// serve the same lookups and joins.
    fn twin(&self, on: &Item, key: &[(String, ScalarExpr)]) -> Option<Notice> {
        let parts: BTreeSet<&ScalarExpr> = key.iter().map(|(_, scalar)| scalar).collect();
        let twin = self.planner.catalog.indexes_on(on.id).find(|item| match &item.definition {
            Definition::Index(index) => index.key.iter().collect::<BTreeSet<_>>() == parts,
            _ => false,
        })?;
        let message = format!(
            "index \"{}\" on \"{}\" has the same key already: another one serves nothing more",
            twin.name.item, on.name.item
        );
        Some(Notice::new(SqlState("00000"), message))
    }

    /// The key: each part as text and as an expression. The default one is the relation's key,
    /// or all columns.
    fn index_key(
        &self,
        statement: &CreateIndex,
        on: &Item,
        desc: &RelationDesc,
    ) -> Result<(KeyParts, BTreeSet<ObjectId>), SqlError> {
        let Some(key) = &statement.key else {
            let columns: Vec<usize> = match desc.keys.iter().min_by_key(|key| key.len()) {
                Some(key) => key.clone(),
                None => (0..desc.arity()).collect(),
            };
            let parts = columns.into_iter().filter_map(|column| {
                let name = names::ident(&desc.columns.get(column)?.name);
                Some((name.to_string(), ScalarExpr::Column(column)))
            });
            return Ok((parts.collect(), BTreeSet::new()));
        };
        let context = self.planner.maintained_context(self.text);
        let scope = query::table_scope(desc, &on.name.item);
        let parts = key
            .iter()
            .map(|expr| {
                let planned = query::plan_scalar(&context, &scope, expr)?;
                let mut expr = expr.clone();
                names::qualify_expr(&self.planner, &mut expr)?;
                Ok((key_part_sql(&expr), over_columns(planned.expr)?))
            })
            .collect::<Result<_, SqlError>>()?;
        Ok((parts, context.used_functions.take()))
    }

    /// A name as PostgreSQL chooses it: `table_column_idx`, `v_primary_idx` for a default one.
    fn chosen_name(
        &self,
        statement: &CreateIndex,
        on: &Item,
        key: &[(String, ScalarExpr)],
    ) -> QualifiedName {
        let mut base = on.name.item.clone();
        match &statement.key {
            None => base.push_str("_primary"),
            Some(exprs) => {
                for (expr, (sql, _)) in exprs.iter().zip(key) {
                    base.push('_');
                    match expr {
                        Expr::Identifier(ident) => base.push_str(&ident.value),
                        Expr::CompoundIdentifier(parts) => {
                            base.push_str(parts.last().map_or("", |part| &part.value));
                        }
                        Expr::Function(_) => {
                            let name = sql.split('(').next().unwrap_or("expr");
                            let last = name.rsplit('.').next().unwrap_or(name);
                            base.push_str(last.trim_matches('"'));
                        }
                        _ => base.push_str("expr"),
                    }
                }
            }
        }
        base.push_str("_idx");
        let catalog = self.planner.catalog;
        let mut name = QualifiedName { item: base.clone(), ..on.name.clone() };
        let mut number = 1;
        while catalog.item_by_name(&name).is_some() {
            name.item = format!("{base}{number}");
            number += 1;
        }
        name
    }
}

/// A part of a key as CREATE INDEX reads it again.
pub(super) fn key_part_sql(expr: &Expr) -> String {
    match expr {
        Expr::CompoundIdentifier(parts) => {
            parts.last().map(ToString::to_string).unwrap_or_default()
        }
        other => other.to_string(),
    }
}
