//! The objects over a table that is altered: which go, which come back, and in what order.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_catalog::{Catalog, CatalogChange, Definition, Item};
use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::{Alteration, new_item, renumber_item, retell};
use crate::plan::{AlteredItem, NewItem};
use crate::rebuild::{Rebuilt, rebuild};
use crate::session::Planner;
use crate::statements::drop::dependants_exist;

/// The objects that follow those of today, put into a catalog of their own one after the other.
pub(super) struct Successors<'a> {
    planner: Planner<'a>,
    relation: &'a Item,
    renewed: bool,
    /// Other identities of objects: of the plan's, and of those that come back.
    pub ids: BTreeMap<ObjectId, ObjectId>,
    next_number: u64,
    /// All over the relation, dependants first; what goes for good is among them.
    order: Vec<ObjectId>,
    gone: BTreeSet<ObjectId>,
    pub drops: Vec<ObjectId>,
    pub items: Vec<AlteredItem>,
    next: Catalog,
}

fn put(item: &Item) -> CatalogChange {
    CatalogChange::PutItem(Box::new(item.clone()))
}

/// All that is computed from a relation, dependants first, with its sequences.
fn over(catalog: &Catalog, relation: ObjectId) -> Vec<ObjectId> {
    let mut reached = BTreeSet::from([relation]);
    let mut todo = vec![relation];
    while let Some(id) = todo.pop() {
        for dependant in catalog.direct_dependants(id) {
            let Some(item) = catalog.item(dependant) else { continue };
            // A default that uses a sequence goes on to use it.
            if item.table().is_none() && reached.insert(dependant) && item.sequence().is_none() {
                todo.push(dependant);
            }
        }
    }
    let all = catalog.dependants(relation).into_iter();
    all.filter(|id| reached.contains(id)).collect()
}

/// What a function gives is settled when it is made: it does not follow other columns.
fn refuse_functions(catalog: &Catalog, relation: &Item, over: &[ObjectId]) -> Result<(), SqlError> {
    let (kind, name) = (relation.kind(), &relation.name.item);
    let functions = over.iter().filter_map(|id| catalog.item(*id));
    let lines: Vec<String> = functions
        .filter(|item| item.function().is_some())
        .map(|item| format!("function {} depends on {kind} {name}", item.described_name()))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(dependants_exist(format!("cannot alter {kind} {name}"), &lines)
        .with_hint("Drop the functions first, and make them again after the change."))
}

impl<'a> Successors<'a> {
    /// `gone` objects do not come back; with `renewed` the relation has another identity, and so
    /// has all that is maintained over it.
    pub fn new(
        planner: Planner<'a>,
        relation: &'a Item,
        renewed: bool,
        gone: BTreeSet<ObjectId>,
        mut ids: BTreeMap<ObjectId, ObjectId>,
        (first, next_number): (u64, u64),
    ) -> Result<Successors<'a>, SqlError> {
        let catalog = planner.catalog;
        let order = over(catalog, relation.id);
        refuse_functions(catalog, relation, &order)?;
        let returns = |id: &ObjectId| {
            renewed
                && catalog.item(*id).is_some_and(|item| {
                    matches!(
                        item.definition,
                        Definition::Index(_) | Definition::MaterializedView(_)
                    )
                })
        };
        let mut drops: Vec<ObjectId> =
            order.iter().copied().filter(|id| gone.contains(id) || returns(id)).collect();
        if renewed {
            drops.push(relation.id);
            ids.insert(relation.id, ObjectId::User(first));
        } else {
            ids.insert(ObjectId::User(first), relation.id);
        }
        let changes: Vec<_> = drops.iter().copied().map(CatalogChange::DropItem).collect();
        let next = catalog.apply(&changes)?;
        let items = Vec::new();
        Ok(Successors {
            planner,
            relation,
            renewed,
            ids,
            next_number,
            order,
            gone,
            drops,
            items,
            next,
        })
    }

    /// Puts an object whose identity is a number of the plan.
    pub fn put(
        &mut self,
        id: ObjectId,
        old: Option<ObjectId>,
        mut item: NewItem,
    ) -> Result<Item, SqlError> {
        renumber_item(&mut item, &self.ids);
        let id = self.ids.get(&id).copied().unwrap_or(id);
        let model = old.and_then(|old| self.planner.catalog.item(old));
        let whole = Item {
            id,
            oid: model.map_or(tidemill_repr::Oid(u32::MAX), |model| model.oid),
            owner: model.map_or_else(String::new, |model| model.owner.clone()),
            name: item.name.clone(),
            create_sql: item.create_sql.clone(),
            depends_on: item.depends_on.clone(),
            definition: item.definition.clone(),
        };
        self.next = self.next.apply(&[put(&whole)])?;
        self.items.push(AlteredItem { id, old, item });
        Ok(whole)
    }

    /// Goes on with all that is over the relation: `new` is as it will be, `positions` tells
    /// where each of its columns will be.
    pub fn follow(&mut self, new: &Item, positions: &[Option<usize>]) -> Result<(), SqlError> {
        for id in self.order.clone().into_iter().rev() {
            if self.gone.contains(&id) {
                continue;
            }
            let Some(old) = self.planner.catalog.item(id).cloned() else { continue };
            let direct = old.depends_on.contains(&self.relation.id);
            let mut item = Item::clone(&old);
            match &mut item.definition {
                Definition::Sequence(sequence) if direct => {
                    let Some((_, column)) = &mut sequence.owned_by else { continue };
                    let Some(Some(position)) = positions.get(*column) else { continue };
                    let same = *column == *position;
                    *column = *position;
                    if self.renewed || !same {
                        self.put(id, Some(id), new_item(&item))?;
                    }
                }
                Definition::Index(index) if direct && index.on == self.relation.id => {
                    if index.unique.is_some() {
                        continue;
                    }
                    let retold = retell::index(&old, self.relation, new, positions)?;
                    self.follow_one(&old, retold)?;
                }
                Definition::View(_) | Definition::MaterializedView(_) if direct => {
                    let retold = self.retold(&old, new, positions)?;
                    self.follow_one(&old, retold)?;
                }
                _ => self.follow_one(&old, item)?,
            }
        }
        Ok(())
    }

    /// Puts an object over the relation as it will be.
    fn follow_one(&mut self, old: &Item, mut item: Item) -> Result<(), SqlError> {
        if !self.renewed && old.create_sql == item.create_sql {
            return Ok(());
        }
        let maintained =
            matches!(item.definition, Definition::Index(_) | Definition::MaterializedView(_));
        if self.renewed && maintained {
            self.ids.insert(old.id, ObjectId::User(self.next_number));
            self.next_number += 1;
        }
        // What may be NULL may be otherwise.
        if let Some(view) = match &mut item.definition {
            Definition::View(view) => Some(view),
            Definition::MaterializedView(materialized) => Some(&mut materialized.view),
            _ => None,
        } {
            let query_sql = view.query_sql.clone();
            let rebuilt = rebuild(&self.next, self.planner.session, &with_text(old, query_sql));
            let Rebuilt::Query(_, _, desc) = rebuilt.map_err(|error| self.refused(old, &error))?
            else {
                return Err(SqlError::internal("a view that is none"));
            };
            for (column, new) in view.desc.columns.iter_mut().zip(desc.columns) {
                column.typ = new.typ;
            }
            view.desc.keys = desc.keys;
            view.query = None;
        }
        self.put(old.id, Some(old.id), new_item(&item))?;
        Ok(())
    }

    fn refused(&self, dependant: &Item, error: &SqlError) -> SqlError {
        let (kind, name) = (self.relation.kind(), &self.relation.name.item);
        let line = format!("{} {} depends on {kind} {name}", dependant.kind(), dependant.name.item);
        let mut refused = dependants_exist(format!("cannot alter {kind} {name}"), &[line]);
        refused.hint = Some(format!("Drop {} first: {}.", dependant.name.item, error.message));
        refused
    }

    /// A view over the relation, with the text that means the same as before.
    fn retold(
        &self,
        item: &Item,
        new: &Item,
        positions: &[Option<usize>],
    ) -> Result<Item, SqlError> {
        let (Some(before), Some(after)) = (self.relation.desc(), new.desc()) else {
            return Ok(item.clone());
        };
        let renamed: Vec<usize> = before
            .columns
            .iter()
            .zip(positions)
            .enumerate()
            .filter(|(_, (column, position))| {
                position.is_some_and(|position| after.columns[position].name != column.name)
            })
            .map(|(column, _)| column)
            .collect();
        let kept: BTreeSet<usize> = positions.iter().flatten().copied().collect();
        let news = renamed.iter().filter_map(|column| positions[*column]);
        let fresh: Vec<usize> =
            (0..after.arity()).filter(|column| !kept.contains(column)).chain(news).collect();
        if fresh.is_empty() {
            return Ok(item.clone());
        }
        let takes_all = retell::takes_all(item, self.relation)?;
        let plain = !takes_all
            && !uses(&self.planner, self.relation, item, &renamed)?
            && self.is_blind_to(item, new, &fresh)?;
        if plain {
            return Ok(item.clone());
        }
        let mut wanted = Vec::new();
        for column in 0..before.arity() {
            wanted.push(takes_all || uses(&self.planner, self.relation, item, &[column])?);
        }
        retell::over_old_columns(item, self.relation, new, positions, &wanted)
    }

    /// Whether a text means the same whatever the names of these columns.
    fn is_blind_to(&self, item: &Item, new: &Item, columns: &[usize]) -> Result<bool, SqlError> {
        let id = self.ids.get(&new.id).copied().unwrap_or(new.id);
        let Some(relation) = self.next.item(id) else { return Ok(false) };
        let hidden = self.next.apply(&[put(&with_hidden(relation, columns))])?;
        let session = self.planner.session;
        match (rebuild(&self.next, session, item), rebuild(&hidden, session, item)) {
            (Ok(Rebuilt::Query(one, ..)), Ok(Rebuilt::Query(other, ..))) => Ok(one == other),
            _ => Ok(false),
        }
    }
}

fn with_text(item: &Item, query_sql: String) -> Item {
    let mut item = item.clone();
    match &mut item.definition {
        Definition::View(view) => view.query_sql = query_sql,
        Definition::MaterializedView(materialized) => materialized.view.query_sql = query_sql,
        _ => {}
    }
    item
}

/// A relation some columns of which have names that nobody writes.
fn with_hidden(relation: &Item, columns: &[usize]) -> Item {
    let mut hidden = relation.clone();
    if let Some(desc) = retell::desc_mut(&mut hidden) {
        for column in columns {
            if let Some(column_desc) = desc.columns.get_mut(*column) {
                column_desc.name = format!("\u{1}{column}");
            }
        }
    }
    hidden
}

/// Whether a view's text names one of these columns of a relation.
fn uses(
    planner: &Planner<'_>,
    relation: &Item,
    dependant: &Item,
    columns: &[usize],
) -> Result<bool, SqlError> {
    if columns.is_empty() {
        return Ok(false);
    }
    let hidden = planner.catalog.apply(&[put(&with_hidden(relation, columns))])?;
    let before = rebuild(planner.catalog, planner.session, dependant)?;
    match (before, rebuild(&hidden, planner.session, dependant)) {
        (Rebuilt::Query(one, ..), Ok(Rebuilt::Query(other, ..))) => Ok(one != other),
        _ => Ok(true),
    }
}

impl Alteration<'_> {
    /// What goes with the columns that go: indexes, and with CASCADE views. A view over a column
    /// whose type changes is in the way.
    pub(super) fn dropped_dependants(
        &self,
        drops: &mut BTreeSet<ObjectId>,
    ) -> Result<(), SqlError> {
        let planner = self.planning.planner;
        let catalog = planner.catalog;
        let table = self.table_name();
        let column_name = |column: usize| self.old.desc.columns[column].name.as_str();
        let mut lines = Vec::new();
        let mut first = None;
        for id in catalog.direct_dependants(self.item.id) {
            let Some(item) = catalog.item(id) else { continue };
            if let Definition::Index(index) = &item.definition {
                let goes = |column: &usize| self.dropped.iter().any(|one| one.column == *column);
                if index.key.iter().any(|part| part.support().iter().any(goes)) {
                    drops.insert(id);
                }
                continue;
            }
            if item.view().is_none() {
                continue;
            }
            let takes_all = retell::takes_all(item, self.item)?;
            for column in &self.retyped {
                if takes_all || uses(&planner, self.item, item, &[*column])? {
                    return Err(type_is_used(item, column_name(*column)));
                }
            }
            for dropped in &self.dropped {
                let column = dropped.column;
                if !takes_all && !uses(&planner, self.item, item, &[column])? {
                    continue;
                }
                let over_it = catalog.dependants(id);
                if dropped.cascade {
                    drops.insert(id);
                    drops.extend(over_it);
                    break;
                }
                first.get_or_insert(column);
                lines.push(format!(
                    "{} {} depends on column {} of table {table}",
                    item.kind(),
                    item.name.item,
                    column_name(column)
                ));
                lines.extend(over_it.iter().rev().filter_map(|id| catalog.item(*id)).map(|over| {
                    format!(
                        "{} {} depends on {} {}",
                        over.kind(),
                        over.name.item,
                        item.kind(),
                        item.name.item
                    )
                }));
            }
        }
        if let Some(column) = first {
            let column = column_name(column);
            let what = format!("cannot drop column {column} of table {table}");
            return Err(dependants_exist(what, &lines)
                .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        self.dropped_sequences(drops)
    }

    /// A sequence goes with its column, unless another table takes numbers from it.
    fn dropped_sequences(&self, drops: &BTreeSet<ObjectId>) -> Result<(), SqlError> {
        let catalog = self.planning.planner.catalog;
        for id in drops {
            let Some(sequence) = catalog.item(*id).filter(|item| item.sequence().is_some()) else {
                continue;
            };
            let other = catalog.direct_dependants(*id).find(|other| *other != self.item.id);
            if let Some(other) = other.and_then(|other| catalog.item(other)) {
                let name = &sequence.name.item;
                let line = format!(
                    "default value of a column of table {} depends on sequence {name}",
                    other.name.item
                );
                return Err(dependants_exist(
                    format!("cannot drop sequence {name} with its column"),
                    &[line],
                ));
            }
        }
        Ok(())
    }
}

fn type_is_used(view: &Item, column: &str) -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "cannot alter type of a column used by a view or rule",
    )
    .with_detail(format!(
        "rule _RETURN on {} {} depends on column \"{column}\"",
        view.kind(),
        view.name.item
    ))
}
