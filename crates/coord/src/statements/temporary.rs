//! Temporary tables and views: objects of one session, in its schema `pg_temp`.
//!
//! They are in no entry of the ledger and in nobody else's catalog: the session's catalog is the
//! committed one with these on top, and the rows of its tables are read as
//! [`super::own::OwnWrites`] are. Who changes them changes a value; the beginning of a
//! transaction, and each savepoint, keeps the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemill_catalog::snapshot::TEMPORARY_SCHEMA;
use tidemill_catalog::{Catalog, CatalogChange, Item, ItemKind};
use tidemill_repr::{ObjectId, RowBatch, SqlError};
use tidemill_sql::plan::{NewItem, OnCommit, renumber};

use super::Execution;
use super::ddl::numbered_item;
use super::own::OwnRows;
use crate::sequences::Counter;
use crate::session::Session;

/// How many batches a table keeps before they are folded.
const FOLD_AT: usize = 32;

/// A session's own objects.
#[derive(Clone, Default)]
pub(crate) struct Temporary {
    items: Vec<Arc<Item>>,
    rows: OwnRows,
    on_commit: BTreeMap<ObjectId, OnCommit>,
    counters: BTreeMap<ObjectId, Counter>,
}

impl Temporary {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether an object is one of these.
    pub fn has(&self, id: ObjectId) -> bool {
        self.items.iter().any(|item| item.id == id)
    }

    /// The tables.
    pub fn tables(&self) -> BTreeSet<ObjectId> {
        let tables = self.items.iter().filter(|item| item.kind() == ItemKind::Table);
        tables.map(|item| item.id).collect()
    }

    /// The rows of the tables.
    pub fn rows(&self) -> &BTreeMap<ObjectId, Vec<Arc<RowBatch>>> {
        &self.rows
    }

    /// A catalog with these on top. A view over something that is gone is gone, too.
    pub fn on_top(&self, catalog: &Arc<Catalog>) -> Arc<Catalog> {
        let mut result = Arc::clone(catalog);
        for item in &self.items {
            let put = CatalogChange::PutItem(Box::new(Item::clone(item)));
            if let Ok(next) = result.apply(&[put]) {
                result = Arc::new(next);
            }
        }
        result
    }

    /// Changes rows.
    pub fn write(&mut self, table: ObjectId, batch: &RowBatch) {
        let batches = self.rows.entry(table).or_default();
        batches.push(Arc::new(batch.clone()));
        if batches.len() > FOLD_AT {
            let folded = crate::volatile::consolidate(batches.iter().map(Arc::as_ref));
            *batches = vec![Arc::new(folded)];
        }
    }

    /// Puts an object in the place of another of the same identity, or beside all others.
    pub fn put(&mut self, item: Item) {
        self.items.retain(|old| old.id != item.id);
        self.items.push(Arc::new(item));
    }

    /// What COMMIT does to a table.
    pub fn on_commit(&mut self, table: ObjectId, what: OnCommit) {
        self.on_commit.insert(table, what);
    }

    /// Where the sequences stand.
    pub fn counters(&mut self) -> &mut BTreeMap<ObjectId, Counter> {
        &mut self.counters
    }

    /// A transaction has committed.
    pub fn committed(&mut self) {
        if self.on_commit.is_empty() {
            return;
        }
        for (id, what) in self.on_commit.clone() {
            match what {
                OnCommit::PreserveRows => {}
                OnCommit::DeleteRows => {
                    self.rows.remove(&id);
                }
                OnCommit::Drop => self.drop(id),
            }
        }
    }

    /// Takes an object away, with the indexes and sequences of a table.
    pub fn drop(&mut self, id: ObjectId) {
        let part = |item: &Item| {
            matches!(item.kind(), ItemKind::Index | ItemKind::Sequence)
                && item.depends_on.contains(&id)
        };
        self.items.retain(|item| item.id != id && !part(item));
        self.rows.remove(&id);
        self.on_commit.remove(&id);
    }
}

/// Whether an object that is to be made is a temporary one.
pub(crate) fn is_temporary(item: &NewItem) -> bool {
    item.name.schema == TEMPORARY_SCHEMA
}

/// Makes a temporary object of an identity; those that the plan gave are others now.
pub(crate) fn create(
    session: &mut Session,
    execution: &Execution<'_>,
    item: &NewItem,
    (id, ids): (ObjectId, &BTreeMap<ObjectId, ObjectId>),
) -> Result<(), SqlError> {
    let catalog = session.catalog(&execution.snapshot);
    let number = session.shared.new_number(&catalog);
    let mut new = Item { id, ..numbered_item(session, item, number) };
    renumber(&mut new.depends_on, &mut new.definition, ids);
    if let Some(old) = item.replaces {
        session.temporary.drop(old);
    }
    session.temporary.put(new);
    Ok(())
}
