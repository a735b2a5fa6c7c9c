//! ALTER TABLE: the table as it will be, how its rows come from those that are there, and what
//! becomes of the objects over it.
//!
//! [`actions`] changes the definition action by action; [`Alteration::finish`] compares it with
//! the old one: if rows change form, or a promise to the planner is taken back (NOT NULL, a
//! unique key), the table gets another identity, and all that is maintained over it is built
//! again ([`dependants`]). Texts of dependent objects go on to mean what they meant ([`retell`]).

mod actions;
mod dependants;
mod followed;
mod retell;

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::AlterTableOperation;
use tidemill_catalog::{
    Constraint, Definition, Generation, Item, ItemKind, QualifiedName, Table, UniqueKey,
};
use tidemill_plan::QueryExpr;
use tidemill_plan::QueryScalar;
use tidemill_plan::query::ColumnRef;
use tidemill_repr::{ObjectId, SqlError, SqlState};

use self::dependants::Successors;
use super::build::{KeyColumns, NewCheck, NewKey, NewTable};
use super::generation::NewGeneration;
use super::like::expr_of;
use crate::ast::NamedOption;
use crate::plan::{
    AlterTablePlan, AlteredContent, NewItem, Notice, NumberedColumn, Plan, Planned, renumber,
};
use crate::session::Planner;
use crate::statements::dml::Target;
use crate::statements::drop::cascade_notice;
use crate::statements::select::get;
use crate::statements::{Planning, command};

/// Where the values of a column come from.
enum Origin {
    /// A column of the rows that are there.
    Old(usize),
    /// An expression over the rows that are there.
    Value(QueryScalar),
    /// The columns of the new row.
    Generated,
    /// A sequence, which has given no numbers yet.
    Sequence,
}

/// A column that goes.
struct Dropped {
    column: usize,
    cascade: bool,
}

/// A table on its way to another form.
struct Alteration<'a> {
    planning: Planning<'a>,
    item: &'a Item,
    old: &'a Table,
    new: NewTable,
    /// For each column of the new table.
    origins: Vec<Origin>,
    dropped: Vec<Dropped>,
    /// Constraints that go with CASCADE.
    cascade: bool,
    /// Columns, as they were, whose type changes.
    retyped: Vec<usize>,
    notices: Vec<Notice>,
}

impl<'a> Planning<'a> {
    /// ALTER TABLE with actions, and RENAME COLUMN of views.
    pub(in crate::statements) fn alter_relation(
        &self,
        item: &'a Item,
        actions: &[AlterTableOperation],
        with: &[NamedOption],
        tag: &'static str,
    ) -> Result<Planned, SqlError> {
        if matches!(item.id, ObjectId::Transient(_)) {
            return Err(SqlError::unsupported(format_args!("{tag} of a temporary object"))
                .with_hint("Make another one with CREATE TEMPORARY TABLE .. AS."));
        }
        let Some(table) = item.table() else {
            return self.alter_view(item, actions, tag);
        };
        if table.source.is_some() {
            return self.alter_followed(item, table, (actions, with));
        }
        if !with.is_empty() {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!(
                    "table \"{}\" follows no source: there is nothing to give WITH for",
                    item.name.item
                ),
            ));
        }
        let mut alteration = Alteration::new(*self, item, table)?;
        // As in PostgreSQL: first what goes, then types, new columns, constraints, and the rest.
        let mut ordered: Vec<&AlterTableOperation> = actions.iter().collect();
        ordered.sort_by_key(|action| actions::pass(action));
        for action in ordered {
            alteration.action(action)?;
        }
        alteration.finish(tag)
    }

    fn alter_view(
        &self,
        item: &'a Item,
        actions: &[AlterTableOperation],
        tag: &'static str,
    ) -> Result<Planned, SqlError> {
        let [AlterTableOperation::RenameColumn { old_column_name, new_column_name }] = actions
        else {
            let words: Vec<String> = actions
                .iter()
                .map(ToString::to_string)
                .map(|text| text.split(' ').take(2).collect::<Vec<_>>().join(" "))
                .collect();
            let (kind, name) = (item.kind(), &item.name.item);
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!(
                    "ALTER action {} cannot be performed on relation \"{name}\"",
                    words.join(", ")
                ),
            )
            .with_detail(format!("This operation is not supported for {kind}s.")));
        };
        let (from, to) = (&old_column_name.value, &new_column_name.value);
        let new = retell::view_with_column(item, from, to)?;
        let number = super::build::PLAN_NUMBER;
        let gone = BTreeSet::new();
        let (planner, ids) = (self.planner, BTreeMap::new());
        let mut successors =
            Successors::new(planner, item, false, gone, ids, (number, number + 1))?;
        let new = successors.put(item.id, Some(item.id), new_item(&new))?;
        let arity = item.desc().map_or(0, tidemill_repr::RelationDesc::arity);
        successors.follow(&new, &(0..arity).map(Some).collect::<Vec<_>>())?;
        let plan = AlterTablePlan {
            number,
            drops: Vec::new(),
            items: successors.items,
            content: None,
            tag,
        };
        Ok(command(Plan::AlterTable(Box::new(plan))))
    }
}

/// An object as the plan carries it.
fn new_item(item: &Item) -> NewItem {
    NewItem {
        name: item.name.clone(),
        create_sql: item.create_sql.clone(),
        depends_on: item.depends_on.clone(),
        definition: item.definition.clone(),
        replaces: None,
    }
}

impl<'a> Alteration<'a> {
    fn new(planning: Planning<'a>, item: &'a Item, old: &'a Table) -> Result<Self, SqlError> {
        let mut new = NewTable::new(item.name.clone());
        new.retain_history = item.retain_history();
        new.desc = old.desc.clone();
        new.desc.keys = Vec::new();
        new.defaults = old.defaults.clone();
        for column in 0..old.desc.arity() {
            new.generation.push(match old.generation(column) {
                None => None,
                Some(Generation::Stored(text)) => Some(NewGeneration::Stored(expr_of(text)?)),
                Some(kept) => Some(NewGeneration::Kept(kept.clone())),
            });
        }
        for constraint in &old.constraints {
            let name = Some(constraint.name.clone());
            match &constraint.kind {
                tidemill_catalog::ConstraintKind::Check { expr } => {
                    new.checks.push(NewCheck { name, expr: expr_of(expr)? });
                }
                tidemill_catalog::ConstraintKind::Key { key, .. } => new.keys.push(NewKey {
                    name,
                    columns: KeyColumns::Names(
                        key.columns.iter().map(|c| old.desc.columns[*c].name.clone()).collect(),
                    ),
                    primary: key.primary,
                    nulls_not_distinct: key.nulls_not_distinct,
                }),
            }
        }
        Ok(Alteration {
            planning,
            item,
            old,
            new,
            origins: (0..old.desc.arity()).map(Origin::Old).collect(),
            dropped: Vec::new(),
            cascade: false,
            retyped: Vec::new(),
            notices: Vec::new(),
        })
    }

    fn table_name(&self) -> &'a str {
        &self.item.name.item
    }

    fn notice(&mut self, message: String) {
        self.notices.push(Notice::new(SqlState("00000"), message));
    }

    /// The plan from the old table to the new one.
    fn finish(mut self, tag: &'static str) -> Result<Planned, SqlError> {
        self.settle_dependencies()?;
        let catalog = self.planning.planner.catalog;
        // The names of the constraints are free for those that take their place.
        let free: Vec<_> = self
            .old
            .constraints
            .iter()
            .filter_map(Constraint::key)
            .map(|(_, index)| tidemill_catalog::CatalogChange::DropItem(index))
            .collect();
        let reduced = catalog.apply(&free)?;
        let planner = Planner { catalog: &reduced, session: self.planning.planner.session };
        let planning = Planning { planner, ..self.planning };
        let number = self.new.number;
        let new = std::mem::replace(&mut self.new, NewTable::new(self.item.name.clone()));
        let plan = planning.finish_table(new)?;
        let Definition::Table(table) = &plan.table.definition else {
            return Err(SqlError::internal("a table that is none"));
        };
        let renewed = self.is_renewed(table);
        let mut content = self.content(&plan.table, table, renewed)?;
        if let Some(content) = &mut content {
            let parts: Vec<(ObjectId, &NewItem)> =
                (number + 1..).map(ObjectId::User).zip(&plan.parts).collect();
            content.numbered = self.numbered(&parts);
        }
        let drops = self.drops(table, renewed)?;
        if self.dropped.iter().any(|dropped| dropped.cascade) || self.cascade {
            self.notice_cascade(&drops);
        }
        let positions = self.positions();
        let (kept, fresh) = self.kept_parts(&plan.parts, renewed);
        let numbers = (number, number + 1 + plan.parts.len() as u64);
        let planner = self.planning.planner;
        let mut successors = Successors::new(planner, self.item, renewed, drops, kept, numbers)?;
        let new = successors.put(ObjectId::User(number), Some(self.item.id), plan.table)?;
        for (part, id) in plan.parts.into_iter().zip(number + 1..) {
            if fresh.contains(&part.name) {
                let old = self.old_part(&part.name);
                successors.put(ObjectId::User(id), old, part)?;
            }
        }
        successors.follow(&new, &positions)?;
        if let Some(content) = &mut content {
            content.check.keys.iter_mut().for_each(|key| {
                if let Some(id) = successors.ids.get(&key.index) {
                    key.index = *id;
                }
            });
        }
        let items = successors.items;
        let plan = AlterTablePlan { number, drops: successors.drops, items, content, tag };
        let mut planned = command(Plan::AlterTable(Box::new(plan)));
        planned.notices = self.notices;
        Ok(planned)
    }

    /// What defaults name stays as long as the table.
    fn settle_dependencies(&mut self) -> Result<(), SqlError> {
        self.new.depends_on.clear();
        for (default, generation) in self.new.defaults.iter().zip(&self.new.generation) {
            let (Some(default), None) = (default, generation) else { continue };
            let mut expr = expr_of(default)?;
            let found = super::generation::qualify_sequences(&self.planning.planner, &mut expr)?;
            self.new.depends_on.extend(found);
            let named = crate::names::qualify_expr(&self.planning.planner, &mut expr)?;
            self.new.depends_on.extend(named);
        }
        self.new.depends_on.sort_unstable();
        self.new.depends_on.dedup();
        Ok(())
    }

    /// Whether rows change form, or keys and NULLs are otherwise than before.
    fn is_renewed(&self, table: &Table) -> bool {
        let same_rows = self.origins.len() == self.old.desc.arity()
            && self.origins.iter().enumerate().all(|(column, origin)| {
                matches!(origin, Origin::Old(old) if *old == column)
                    && self.old.desc.columns[column].typ == table.desc.columns[column].typ
            });
        let keys = |table: &Table| -> Vec<UniqueKey> {
            table
                .constraints
                .iter()
                .filter_map(Constraint::key)
                .map(|(key, _)| key.clone())
                .collect()
        };
        let (old, new) = (keys(self.old), keys(table));
        !same_rows || old.len() != new.len() || !old.iter().all(|key| new.contains(key))
    }

    /// For each old column, its new position.
    fn positions(&self) -> Vec<Option<usize>> {
        (0..self.old.desc.arity())
            .map(|old| {
                let same = |origin: &Origin| matches!(origin, Origin::Old(from) if *from == old);
                let found = self.origins.iter().position(same);
                found.or_else(|| self.retyped_position(old))
            })
            .collect()
    }

    fn retyped_position(&self, old: usize) -> Option<usize> {
        if !self.retyped.contains(&old) {
            return None;
        }
        // Columns keep their order, and new ones come last.
        let gone = self.dropped.iter().filter(|dropped| dropped.column < old).count();
        Some(old - gone)
    }

    /// The rows as they will be, or those that are there, to be checked.
    fn content(
        &self,
        item: &NewItem,
        table: &Table,
        renewed: bool,
    ) -> Result<Option<AlteredContent>, SqlError> {
        let new_checks = table.constraints.iter().any(|constraint| {
            constraint.key().is_none()
                && !self.old.constraints.iter().any(|old| old.kind == constraint.kind)
        });
        if !renewed && !new_checks {
            return Ok(None);
        }
        let checked = Item {
            id: self.item.id,
            oid: self.item.oid,
            name: item.name.clone(),
            owner: self.item.owner.clone(),
            create_sql: item.create_sql.clone(),
            depends_on: Vec::new(),
            definition: item.definition.clone(),
        };
        let check = self.planning.checks_of(&checked, table)?;
        let mut query = get(self.item.id, &self.old.desc);
        if renewed {
            let arity = self.old.desc.arity();
            let mut scalars = Vec::new();
            let mut outputs = Vec::new();
            for (column, origin) in self.origins.iter().enumerate() {
                if let Origin::Old(old) = origin {
                    outputs.push(*old);
                    continue;
                }
                outputs.push(arity + scalars.len());
                scalars.push(match origin {
                    Origin::Value(value) => value.clone(),
                    _ => self.null(column, table)?,
                });
            }
            query = QueryExpr::Map { input: Box::new(query), scalars };
            query = QueryExpr::Project { input: Box::new(query), outputs };
            let alias = item.name.item.clone();
            query =
                Target { item: &checked, table, alias }.with_stored(&self.planning, query, 0)?;
        }
        let into = renewed.then_some(ObjectId::User(super::build::PLAN_NUMBER));
        Ok(Some(AlteredContent { table: self.item.id, into, query, check, numbered: Vec::new() }))
    }

    /// The new columns that get numbers, of the sequences among the parts of the new table.
    fn numbered(&self, parts: &[(ObjectId, &NewItem)]) -> Vec<NumberedColumn> {
        let of_sequence = |(column, origin): (usize, &Origin)| {
            if !matches!(origin, Origin::Sequence) {
                return None;
            }
            parts.iter().find_map(|(id, part)| match &part.definition {
                Definition::Sequence(sequence)
                    if sequence.owned_by.is_some_and(|(_, owner)| owner == column) =>
                {
                    let definition = sequence.clone();
                    Some(NumberedColumn { column, sequence: *id, definition })
                }
                _ => None,
            })
        };
        self.origins.iter().enumerate().filter_map(of_sequence).collect()
    }

    fn null(&self, column: usize, table: &Table) -> Result<QueryScalar, SqlError> {
        let column = &table.desc.columns[column];
        let context = self.planning.context();
        let scope = crate::query::Scope::default();
        let null = crate::query::plan_scalar(&context, &scope, &expr_of("NULL")?)?;
        let typ = column.typ.clone().nullable(true);
        Ok(crate::query::coerce_assignment(&context, null, &typ, &column.name)?.expr)
    }

    /// What goes with the old table: its key indexes, if they are not kept, and what dropped
    /// columns take with them.
    fn drops(&self, table: &Table, renewed: bool) -> Result<BTreeSet<ObjectId>, SqlError> {
        let catalog = self.planning.planner.catalog;
        let mut drops = BTreeSet::new();
        for (key, index) in self.old.constraints.iter().filter_map(Constraint::key) {
            let kept = table.constraints.iter().filter_map(Constraint::key);
            if renewed || !kept.into_iter().any(|(other, _)| other == key) {
                drops.insert(index);
            }
        }
        for id in catalog.direct_dependants(self.item.id) {
            let Some(item) = catalog.item(id) else { continue };
            let sequence = item.sequence().and_then(|sequence| sequence.owned_by);
            let owner_goes = sequence.is_some_and(|(_, column)| {
                self.dropped.iter().any(|dropped| dropped.column == column)
            });
            if owner_goes {
                drops.insert(id);
            }
        }
        self.dropped_dependants(&mut drops)?;
        Ok(drops)
    }

    /// The key indexes that stay, by the numbers of the plan, and the names of the parts that
    /// are new or otherwise.
    fn kept_parts(
        &self,
        parts: &[NewItem],
        renewed: bool,
    ) -> (BTreeMap<ObjectId, ObjectId>, BTreeSet<QualifiedName>) {
        let catalog = self.planning.planner.catalog;
        let mut kept = BTreeMap::new();
        let mut fresh = BTreeSet::new();
        for (part, id) in parts.iter().zip(super::build::PLAN_NUMBER + 1..) {
            let old = match &part.definition {
                Definition::Index(index) if !renewed => {
                    let mut keys = self.old.constraints.iter().filter_map(Constraint::key);
                    keys.find(|(key, _)| Some(*key) == index.unique.as_ref())
                }
                _ => None,
            };
            let same = old
                .and_then(|(_, old)| catalog.item(old))
                .is_some_and(|old| old.name == part.name && old.create_sql == part.create_sql);
            kept.extend(old.map(|(_, old)| (ObjectId::User(id), old)));
            if !same {
                fresh.insert(part.name.clone());
            }
        }
        (kept, fresh)
    }

    fn notice_cascade(&mut self, drops: &BTreeSet<ObjectId>) {
        let catalog = self.planning.planner.catalog;
        let views: Vec<&Item> = drops
            .iter()
            .filter_map(|id| catalog.item(*id))
            .filter(|item| item.view().is_some())
            .map(|item| &**item)
            .collect();
        self.notices.extend(cascade_notice(self.planning.naming(), views));
    }

    fn old_part(&self, name: &QualifiedName) -> Option<ObjectId> {
        let item = self.planning.planner.catalog.item_by_name(name)?;
        (item.kind() == ItemKind::Index && item.depends_on.contains(&self.item.id))
            .then_some(item.id)
    }
}

fn column(column: usize) -> QueryScalar {
    QueryScalar::Column(ColumnRef { level: 0, column })
}

/// [`renumber`] for an object of the catalog.
fn renumber_item(item: &mut NewItem, ids: &BTreeMap<ObjectId, ObjectId>) {
    renumber(&mut item.depends_on, &mut item.definition, ids);
}
