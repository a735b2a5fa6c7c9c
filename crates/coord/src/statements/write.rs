//! What a transaction will write, kept until COMMIT.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_catalog::{Catalog, CatalogChange};
use tidemill_plan::physical::DataflowDescription;
use tidemill_repr::{ObjectId, RowBatch, SqlError, SqlState, Tick};

use crate::sequencer::{CatalogCommit, Commit};
use crate::snapshot::Snapshot;

/// Changes of a transaction that are not committed yet.
#[derive(Default)]
pub(crate) struct PendingWrites {
    updates: BTreeMap<ObjectId, RowBatch>,
    read: Option<(Tick, Vec<ObjectId>)>,
    catalog: Option<PendingCatalog>,
}

struct PendingCatalog {
    planned_at: Tick,
    changes: Vec<CatalogChange>,
    next: Arc<Catalog>,
    dataflows: Vec<DataflowDescription>,
}

impl PendingWrites {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.updates.is_empty() && self.catalog.is_none()
    }

    /// The catalog as the transaction sees it, if it changed it.
    pub fn catalog(&self) -> Option<&Arc<Catalog>> {
        self.catalog.as_ref().map(|pending| &pending.next)
    }

    /// Whether it changed a catalog that others have changed since.
    pub fn is_outdated(&self, catalog_tick: Tick) -> bool {
        self.catalog.as_ref().is_some_and(|pending| pending.planned_at != catalog_tick)
    }

    /// Adds changes of a table. `read` names the tables that were read for them, and when.
    pub fn add(&mut self, table: ObjectId, batch: &RowBatch, read: Option<(Tick, Vec<ObjectId>)>) {
        self.updates.entry(table).or_default().append(batch);
        if let Some((tick, tables)) = read {
            self.add_read(tick, tables);
        }
    }

    /// Makes changes of tables, if there are any, depend on other tables as they were at a tick.
    pub fn depend_on(&mut self, tick: Tick, tables: impl IntoIterator<Item = ObjectId>) {
        if !self.updates.is_empty() {
            self.add_read(tick, tables.into_iter().collect());
        }
    }

    fn add_read(&mut self, tick: Tick, tables: Vec<ObjectId>) {
        match &mut self.read {
            Some((first, all)) => {
                *first = tick.min(*first);
                all.extend(tables);
            }
            None => self.read = Some((tick, tables)),
        }
    }

    /// Adds changes of the catalog.
    ///
    /// # Errors
    /// They do not fit it.
    pub fn add_catalog(
        &mut self,
        snapshot: &Snapshot,
        changes: Vec<CatalogChange>,
        dataflows: Vec<DataflowDescription>,
    ) -> Result<(), SqlError> {
        match &mut self.catalog {
            Some(pending) => {
                pending.next = Arc::new(pending.next.apply(&changes)?);
                pending.changes.extend(changes);
                // A new index that is renamed at once is still one index.
                pending.dataflows.retain(|old| dataflows.iter().all(|new| new.id != old.id));
                pending.dataflows.extend(dataflows);
                let next = &pending.next;
                pending.dataflows.retain(|dataflow| next.item(dataflow.id).is_some());
            }
            None => {
                self.catalog = Some(PendingCatalog {
                    planned_at: snapshot.catalog_tick,
                    next: Arc::new(snapshot.catalog.apply(&changes)?),
                    changes,
                    dataflows,
                });
            }
        }
        Ok(())
    }

    /// Whether a table was written by the transaction.
    pub fn touches(&self, tables: impl IntoIterator<Item = ObjectId>) -> bool {
        tables.into_iter().any(|table| self.updates.contains_key(&table))
    }

    /// The commit that makes all this part of the log.
    pub fn into_commit(self) -> Commit {
        Commit {
            updates: self
                .updates
                .into_iter()
                .filter(|(_, batch)| !batch.is_empty())
                .map(|(table, batch)| (table, Arc::new(batch)))
                .collect(),
            read: self.read,
            catalog: self.catalog.map(|pending| CatalogCommit {
                planned_at: pending.planned_at,
                changes: pending.changes,
                next: pending.next,
                dataflows: pending.dataflows,
            }),
            ..Commit::default()
        }
    }
}

/// The error for a read of what the transaction itself has written.
pub(crate) fn read_own_write() -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "a transaction cannot read a table that it has written",
    )
    .with_hint("Commit first, or read in a transaction of its own.")
}
