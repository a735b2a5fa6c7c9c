//! Whether the user may do what a statement does: asked when it is planned, of the same snapshot
//! of the catalog. Statements about roles themselves ask in [`super::role`].

pub(super) mod denied;

use std::collections::BTreeSet;

use sqlparser::ast::Statement as Standard;
use tidemill_catalog::role::{Privilege, Securable};
use tidemill_catalog::snapshot::TEMPORARY_SCHEMA;
use tidemill_catalog::{Catalog, Definition, Item, QualifiedName};
use tidemill_plan::QueryExpr;
use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::Planning;
use crate::ast::{
    Alter, AlterAction, ClusterStatement, CommentKind, MoveObject, MoveTo, ObjectKind, Statement,
};
use crate::names;
use crate::plan::{InsertPlan, MergeAction, NewItem, Plan, Planned};
use crate::query::relations_read;

impl Planning<'_> {
    /// Refuses what the user may not do.
    pub(super) fn authorize(
        &self,
        statement: &Statement,
        planned: &mut Planned,
    ) -> Result<(), SqlError> {
        let mut check = self.check();
        if check.catalog.is_superuser(check.user) {
            return Ok(());
        }
        check.plan(statement, &mut planned.plan)
    }

    fn check(&self) -> Check<'_> {
        let session = self.planner.session;
        let (user, cluster) = (session.user, session.cluster);
        Check { catalog: self.planner.catalog, user, cluster, seen: BTreeSet::new() }
    }

    /// What ALTER and DROP name must be the user's. Asked before anything else: what depends on
    /// it is no business of others.
    pub(super) fn authorize_named(&self, statement: &Statement) -> Result<(), SqlError> {
        let check = self.check();
        if check.catalog.is_superuser(check.user) {
            return Ok(());
        }
        let session = self.planner.session;
        let catalog = self.planner.catalog;
        if let Statement::Cluster(cluster) = statement {
            return cluster.named().iter().try_for_each(|name| check.owns_cluster(name));
        }
        if let Statement::MoveObject(MoveObject { kind, to: MoveTo::Swap(other), .. }) = statement
            && *kind == ObjectKind::Cluster
        {
            check.owns_cluster(&other.value)?;
        }
        let mut relation;
        let (kind, named) = match statement {
            Statement::MoveObject(moved) => (moved.kind, std::slice::from_ref(&moved.name)),
            Statement::Comment(comment) => match comment.kind {
                CommentKind::Object(kind) => (kind, std::slice::from_ref(&comment.name)),
                CommentKind::Column => {
                    relation = comment.name.clone();
                    relation.0.pop();
                    (ObjectKind::Table, std::slice::from_ref(&relation))
                }
                CommentKind::Constraint => match &comment.table {
                    Some(table) => (ObjectKind::Table, std::slice::from_ref(table)),
                    None => return Ok(()),
                },
                CommentKind::Role => {
                    let system = Securable::System;
                    if catalog.has_privilege(session.user, &system, Privilege::CreateRole) {
                        return Ok(());
                    }
                    return Err(SqlError::new(
                        SqlState::INSUFFICIENT_PRIVILEGE,
                        "permission denied to comment on a role",
                    )
                    .with_hint("Ask for the privilege CREATEROLE on SYSTEM."));
                }
                CommentKind::ClusterReplica => {
                    let parts = names::parts(&comment.name)?;
                    return parts.first().map_or(Ok(()), |name| check.owns_cluster(name));
                }
            },
            Statement::Drop(drop) => (drop.kind, drop.names.as_slice()),
            Statement::Alter(Alter { action: AlterAction::Other(_), .. }) => return Ok(()),
            Statement::Alter(alter) => (alter.kind, std::slice::from_ref(&alter.name)),
            _ => return Ok(()),
        };
        if let Statement::Alter(Alter { action: AlterAction::Swap(other), .. }) = statement {
            let database = Some(session.database.to_owned());
            let other = Securable::Schema(database, other.value.clone());
            if catalog.owner(&other).is_some() {
                check.owns(&other)?;
            }
        }
        for name in named {
            let parts = names::parts(name)?;
            let on = match (kind, parts.as_slice()) {
                (ObjectKind::Database, [name]) => Securable::Database(name.clone()),
                (ObjectKind::Cluster, [name]) => Securable::Cluster(name.clone()),
                (ObjectKind::Schema, [name]) => {
                    Securable::Schema(Some(session.database.to_owned()), name.clone())
                }
                (ObjectKind::Schema, [database, name]) => {
                    Securable::Schema(Some(database.clone()), name.clone())
                }
                _ => match catalog.find_item(session.database, session.search_path, &parts) {
                    Some(item) => Securable::Item(item.id),
                    None => continue,
                },
            };
            // What is not there at all was told, or passed over.
            if catalog.owner(&on).is_some() {
                check.owns(&on)?;
            }
        }
        Ok(())
    }
}

struct Check<'a> {
    catalog: &'a Catalog,
    user: &'a str,
    cluster: &'a str,
    /// Which relations were found to be readable, and by whom.
    seen: BTreeSet<(String, ObjectId)>,
}

impl Check<'_> {
    fn plan(&mut self, statement: &Statement, plan: &mut Plan) -> Result<(), SqlError> {
        match plan {
            Plan::Select(select) => self.reads(&mut select.query, None),
            Plan::Subscribe(subscribe) => self.reads(&mut subscribe.query, None),
            Plan::Copy(copy) => self.plan(statement, &mut copy.source),
            Plan::Declare(declare) => self.plan(statement, &mut declare.source.plan),
            Plan::Explain(explain) => match &mut *explain.explainee {
                crate::plan::Explained::Select(select) => self.reads(&mut select.query, None),
                crate::plan::Explained::Relation(query, _) => self.reads(query, None),
                crate::plan::Explained::Object(id) => self.usage_of_place(*id),
                crate::plan::Explained::NewIndex(_) => Ok(()),
            },
            Plan::Insert(insert) => self.insert(insert),
            Plan::CopyFrom(copy) => self.insert(&mut copy.insert),
            Plan::Update(update) => {
                self.may(update.table, Privilege::Update)?;
                if needs_old_rows(statement) {
                    self.may(update.table, Privilege::Select)?;
                }
                self.reads(&mut update.query, Some(update.table))
            }
            Plan::Delete(delete) => {
                self.may(delete.table, Privilege::Delete)?;
                if needs_old_rows(statement) {
                    self.may(delete.table, Privilege::Select)?;
                }
                self.reads(&mut delete.query, Some(delete.table))
            }
            Plan::WithWrites(with) => {
                for part in &mut with.writes {
                    self.plan(statement, &mut part.plan)?;
                }
                self.plan(statement, &mut with.main)
            }
            Plan::Merge(merge) => {
                for action in &merge.actions {
                    match action {
                        MergeAction::Insert => self.may(merge.table, Privilege::Insert)?,
                        MergeAction::Update => self.may(merge.table, Privilege::Update)?,
                        MergeAction::Delete => self.may(merge.table, Privilege::Delete)?,
                        MergeAction::Nothing => {}
                    }
                }
                self.reads(&mut merge.query, None)
            }
            Plan::Truncate(truncate) => truncate
                .tables
                .iter()
                .try_for_each(|(table, _)| self.may(*table, Privilege::Delete)),
            Plan::CreateDatabase { .. } => self.needs(&Securable::System, Privilege::CreateDb),
            Plan::CreateSchema { database, .. } => {
                self.needs(&Securable::Database(database.clone()), Privilege::Create)
            }
            Plan::ChangeCatalog(_)
                if matches!(statement, Statement::Cluster(ClusterStatement::Create { .. })) =>
            {
                self.needs(&Securable::System, Privilege::CreateCluster)
            }
            Plan::CreateSecret(secret) => self.creates_in(&secret.name),
            Plan::CreateType { item, .. } | Plan::CreateFunction(item) => self.creates(item),
            Plan::CreateSource(source) => {
                self.creates_in(&source.name)?;
                self.creates_on(&source.cluster)?;
                match &source.connection {
                    crate::plan::SourceConnection::Existing(id) => self.uses(*id),
                    crate::plan::SourceConnection::Made { .. } => Ok(()),
                }
            }
            Plan::CreateTableFromSource(table) => {
                self.creates_in(&table.name)?;
                self.owns_or_reads(table.source)
            }
            Plan::CreateTable(table) => {
                self.creates_in(&table.table.name)?;
                match table.rows.as_mut().and_then(|rows| rows.query.as_mut()) {
                    Some(query) => self.reads(query, None),
                    None => Ok(()),
                }
            }
            Plan::CreateConnection { item, .. }
            | Plan::CreateSequence(item)
            | Plan::CreateView(item)
            | Plan::CreateMaterializedView(item)
            | Plan::CreateIndex(item) => self.creates(item),
            Plan::AlterType(alter) => match alter.items.first() {
                Some(item) => self.owns(&Securable::Item(item.id)),
                None => Ok(()),
            },
            Plan::AlterSequence(alter) => self.owns(&Securable::Item(alter.id)),
            Plan::ValidateConnection(id) => self.uses(*id),
            _ => Ok(()),
        }
    }

    fn insert(&mut self, insert: &mut InsertPlan) -> Result<(), SqlError> {
        self.may(insert.table, Privilege::Insert)?;
        if insert.returning.is_some() {
            self.may(insert.table, Privilege::Select)?;
        }
        if let Some(conflict) = &insert.conflict
            && conflict.update.is_some()
        {
            self.may(insert.table, Privilege::Update)?;
            self.may(insert.table, Privilege::Select)?;
        }
        self.reads(&mut insert.query, None)
    }

    fn creates(&mut self, item: &NewItem) -> Result<(), SqlError> {
        if let Some(replaced) = item.replaces {
            self.owns(&Securable::Item(replaced))?;
        }
        self.creates_in(&item.name)?;
        match &item.definition {
            Definition::Index(index) => {
                self.owns(&Securable::Item(index.on))?;
                self.creates_on(&index.cluster)
            }
            Definition::MaterializedView(materialized) => {
                self.creates_on(&materialized.cluster)?;
                match &materialized.view.query {
                    Some(query) => self.reads(&mut QueryExpr::clone(query), None),
                    None => Ok(()),
                }
            }
            Definition::View(_) => {
                item.depends_on.iter().try_for_each(|id| self.usage_of_place(*id))
            }
            Definition::Connection(_) => item.depends_on.iter().try_for_each(|id| self.uses(*id)),
            _ => Ok(()),
        }
    }

    fn needs(&self, on: &Securable, privilege: Privilege) -> Result<(), SqlError> {
        self.needs_for(self.user, on, privilege)
    }

    fn needs_for(&self, role: &str, on: &Securable, privilege: Privilege) -> Result<(), SqlError> {
        if self.catalog.has_privilege(role, on, privilege) {
            return Ok(());
        }
        Err(denied::privilege(self.catalog, role, on, privilege))
    }

    fn owns(&self, on: &Securable) -> Result<(), SqlError> {
        let owner = self.catalog.is_owner(self.user, on);
        // Who owns a schema may take away what is in it.
        let inside = match on {
            Securable::Item(id) => self.catalog.item(*id).is_some_and(|item| {
                let key = Securable::Schema(item.name.database.clone(), item.name.schema.clone());
                !item.is_system()
                    && item.name.schema != "public"
                    && self.catalog.is_owner(self.user, &key)
            }),
            _ => false,
        };
        if owner || inside { Ok(()) } else { Err(denied::not_owner(self.catalog, on)) }
    }

    fn creates_in(&self, name: &QualifiedName) -> Result<(), SqlError> {
        if name.schema == TEMPORARY_SCHEMA {
            return Ok(());
        }
        let schema = Securable::Schema(name.database.clone(), name.schema.clone());
        self.usage_of_schema(self.user, &name.database, &name.schema)?;
        self.needs(&schema, Privilege::Create)
    }

    fn owns_cluster(&self, name: &str) -> Result<(), SqlError> {
        let on = Securable::Cluster(name.to_owned());
        if self.catalog.owner(&on).is_some() { self.owns(&on) } else { Ok(()) }
    }

    fn creates_on(&self, cluster: &str) -> Result<(), SqlError> {
        self.needs(&Securable::Cluster(cluster.to_owned()), Privilege::Create)
    }

    fn usage_of_schema(
        &self,
        role: &str,
        database: &Option<String>,
        schema: &str,
    ) -> Result<(), SqlError> {
        if schema == TEMPORARY_SCHEMA {
            return Ok(());
        }
        if let Some(database) = database {
            self.needs_for(role, &Securable::Database(database.clone()), Privilege::Usage)?;
        }
        let schema = Securable::Schema(database.clone(), schema.to_owned());
        self.needs_for(role, &schema, Privilege::Usage)
    }

    fn item(&self, id: ObjectId) -> Option<&Item> {
        self.catalog.item(id).map(|item| &**item)
    }

    fn usage_of_place(&self, id: ObjectId) -> Result<(), SqlError> {
        match self.item(id) {
            Some(item) => self.usage_of_schema(self.user, &item.name.database, &item.name.schema),
            None => Ok(()),
        }
    }

    fn uses(&self, id: ObjectId) -> Result<(), SqlError> {
        self.usage_of_place(id)?;
        self.needs(&Securable::Item(id), Privilege::Usage)
    }

    fn owns_or_reads(&self, id: ObjectId) -> Result<(), SqlError> {
        if self.catalog.is_owner(self.user, &Securable::Item(id)) {
            return Ok(());
        }
        self.may(id, Privilege::Select)
    }

    /// A privilege on a table of the user's or granted.
    fn may(&self, id: ObjectId, privilege: Privilege) -> Result<(), SqlError> {
        self.usage_of_place(id)?;
        self.needs(&Securable::Item(id), privilege)
    }

    /// All that a query reads, but for one relation that was asked for already.
    fn reads(&mut self, query: &mut QueryExpr, but: Option<ObjectId>) -> Result<(), SqlError> {
        let user = self.user.to_owned();
        let mut computes = false;
        for id in relations_read(query) {
            computes |= !matches!(id, ObjectId::System(_) | ObjectId::Transient(_));
            if Some(id) != but {
                self.read(&user, id)?;
            }
        }
        if computes && self.catalog.cluster(self.cluster).is_some() {
            let cluster = Securable::Cluster(self.cluster.to_owned());
            self.needs(&cluster, Privilege::Usage)?;
        }
        Ok(())
    }

    /// A relation that a role reads. What a view reads is read with its owner's rights; a
    /// materialized view holds its rows itself.
    fn read(&mut self, role: &str, id: ObjectId) -> Result<(), SqlError> {
        let mut todo = vec![(role.to_owned(), id)];
        while let Some((role, id)) = todo.pop() {
            if matches!(id, ObjectId::System(_)) || !self.seen.insert((role.clone(), id)) {
                continue;
            }
            let Some(item) = self.catalog.item(id) else { continue };
            if item.desc().is_none() {
                continue;
            }
            self.usage_of_schema(&role, &item.name.database, &item.name.schema)?;
            self.needs_for(&role, &Securable::Item(id), Privilege::Select)?;
            if matches!(item.definition, Definition::View(_)) {
                todo.extend(item.depends_on.iter().map(|read| (item.owner.clone(), *read)));
            }
        }
        Ok(())
    }
}

/// Whether a statement that changes rows looks at them, or shows them.
fn needs_old_rows(statement: &Statement) -> bool {
    let Statement::Standard(statement) = statement else { return true };
    match &**statement {
        Standard::Update(update) => {
            let constant =
                |expr: &sqlparser::ast::Expr| matches!(expr, sqlparser::ast::Expr::Value(_));
            update.selection.is_some()
                || update.from.is_some()
                || update.returning.is_some()
                || !update.assignments.iter().all(|assignment| constant(&assignment.value))
        }
        Standard::Delete(delete) => {
            delete.selection.is_some() || delete.using.is_some() || delete.returning.is_some()
        }
        _ => true,
    }
}
