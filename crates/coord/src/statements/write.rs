//! What a transaction will write, kept until COMMIT.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemill_catalog::{Catalog, CatalogChange};
use tidemill_ledger::PartName;
use tidemill_plan::physical::DataflowDescription;
use tidemill_repr::{ObjectId, RowBatch, SqlError, SqlState, Tick};

use super::dml::keys::{OwnKeys, Written};
use super::own::OwnRows;
use crate::sequencer::{CatalogCommit, Commit, KeyClaims, PartRows, checks, serialization_failure};
use crate::sequences::Counter;
use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// How many bytes of a transaction's own rows a read in it takes into memory.
const READ_BACK_BYTES: u64 = 64 << 20;

/// Changes of a transaction that are not committed yet.
#[derive(Default)]
pub(crate) struct PendingWrites {
    /// Changes of tables in the order they were made.
    rows: Vec<(ObjectId, PendingRows)>,
    read: Option<(Tick, Vec<ObjectId>)>,
    catalog: Option<PendingCatalog>,
    /// Unique keys that were looked up, for the clock.
    claims: Option<KeyClaims>,
    /// The rows by their unique keys.
    keys: OwnKeys,
    /// Tables all of whose rows were taken away.
    emptied: BTreeSet<ObjectId>,
    /// Sequences that the transaction made and used.
    counters: BTreeMap<ObjectId, Counter>,
}

/// Changes of one table by one statement.
#[derive(Clone)]
enum PendingRows {
    Batch(Arc<RowBatch>),
    Parts(Arc<UnnamedParts>),
}

#[derive(Clone)]
struct PendingCatalog {
    planned_at: Tick,
    base: Arc<Catalog>,
    changes: Vec<CatalogChange>,
    next: Arc<Catalog>,
    dataflows: Vec<DataflowDescription>,
}

/// How much was written at some moment, to come back to.
pub(crate) struct Mark {
    rows: usize,
    catalog: Option<PendingCatalog>,
    keys: OwnKeys,
    emptied: BTreeSet<ObjectId>,
}

/// Parts that no entry names yet. What is dropped unnamed is removed.
pub(crate) struct UnnamedParts {
    shared: Arc<Shared>,
    names: parking_lot::Mutex<Vec<PartName>>,
}

impl UnnamedParts {
    /// Parts that were just written.
    pub fn new(shared: Arc<Shared>, names: Vec<PartName>) -> UnnamedParts {
        UnnamedParts { shared, names: parking_lot::Mutex::new(names) }
    }

    /// The commit takes care of them now.
    pub fn take(&self) -> Vec<PartName> {
        std::mem::take(&mut *self.names.lock())
    }

    /// The rows, read back piece by piece.
    pub fn batches(&self) -> impl Iterator<Item = Result<Arc<RowBatch>, SqlError>> + use<> {
        let (shared, names) = (Arc::clone(&self.shared), self.names.lock().clone());
        names.into_iter().flat_map(move |part| {
            let batches: Vec<_> = shared.ledger.read_part(&part).collect();
            batches.into_iter().map(|batch| batch.map_err(|error| crate::ledger_error(&error)))
        })
    }

    fn read_back(&self) -> Result<Vec<Arc<RowBatch>>, SqlError> {
        let names = self.names.lock().clone();
        if names.iter().map(|part| part.bytes).sum::<u64>() > READ_BACK_BYTES {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "a transaction cannot read a table into which it has copied so many rows",
            )
            .with_hint("Commit first, or read in a transaction of its own."));
        }
        let mut batches = Vec::new();
        for part in &names {
            for batch in self.shared.ledger.read_part(part) {
                batches.push(batch.map_err(|error| crate::ledger_error(&error))?);
            }
        }
        Ok(batches)
    }
}

impl Drop for UnnamedParts {
    fn drop(&mut self) {
        self.shared.ledger.discard_parts(&self.take());
    }
}

impl PendingWrites {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.catalog.is_none()
    }

    /// Whether rows were written.
    pub fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    /// The catalog as the transaction sees it, if it changed it.
    pub fn catalog(&self) -> Option<&Arc<Catalog>> {
        self.catalog.as_ref().map(|pending| &pending.next)
    }

    /// Puts the changes of the catalog on top of what others have changed since.
    ///
    /// # Errors
    /// Others changed the same objects (`40001`).
    pub fn rebase(&mut self, snapshot: &Snapshot) -> Result<(), SqlError> {
        let Some(pending) = &mut self.catalog else { return Ok(()) };
        if pending.planned_at == snapshot.catalog_tick {
            return Ok(());
        }
        let PendingCatalog { base, changes, dataflows, .. } = &*pending;
        let next = checks::rebased(base, &snapshot.catalog, changes, dataflows)
            .ok_or_else(serialization_failure)?;
        pending.planned_at = snapshot.catalog_tick;
        pending.base = Arc::clone(&snapshot.catalog);
        pending.next = next;
        Ok(())
    }

    /// Where the transaction is now.
    pub fn mark(&self) -> Mark {
        Mark {
            rows: self.rows.len(),
            catalog: self.catalog.clone(),
            keys: self.keys.clone(),
            emptied: self.emptied.clone(),
        }
    }

    /// Undoes all since a mark. What was read stays read: the client has seen it.
    pub fn return_to(&mut self, mark: &Mark) {
        self.rows.truncate(mark.rows);
        self.catalog.clone_from(&mark.catalog);
        self.keys.clone_from(&mark.keys);
        self.emptied.clone_from(&mark.emptied);
    }

    /// Adds changes of a table. `read` names the tables that were read for them, and when.
    pub fn add(&mut self, table: ObjectId, batch: &RowBatch, read: Option<(Tick, Vec<ObjectId>)>) {
        if !batch.is_empty() {
            self.rows.push((table, PendingRows::Batch(Arc::new(batch.clone()))));
        }
        if let Some((tick, tables)) = read {
            self.add_read(tick, tables);
        }
    }

    /// Adds rows of a table that lie in parts.
    pub fn add_parts(&mut self, table: ObjectId, parts: UnnamedParts) {
        self.rows.push((table, PendingRows::Parts(Arc::new(parts))));
    }

    /// Adds unique keys that were looked up and are written.
    pub fn add_keys(&mut self, keys: Option<Written>) {
        let Some(keys) = keys else { return };
        match &mut self.claims {
            None => self.claims = Some(keys.claims),
            Some(known) => known.add(keys.claims),
        }
        for (key, row, diff) in keys.rows {
            self.keys.entry(key).or_default().push((row, diff));
        }
    }

    /// The transaction took all rows of a table away.
    pub fn empty_keys(&mut self, table: ObjectId, indexes: &[ObjectId]) {
        self.keys.retain(|(index, _), _| !indexes.contains(index));
        self.emptied.insert(table);
    }

    /// Whether what is committed of a table is gone for the transaction.
    pub fn is_emptied(&self, table: ObjectId) -> bool {
        self.emptied.contains(&table)
    }

    /// The rows written so far, by their unique keys.
    pub fn own_keys(&self) -> OwnKeys {
        self.keys.clone()
    }

    /// Sequences that the transaction made and used.
    pub fn counters(&mut self) -> &mut BTreeMap<ObjectId, Counter> {
        &mut self.counters
    }

    /// Makes changes of tables, if there are any, depend on other tables as they were at a tick.
    pub fn depend_on(&mut self, tick: Tick, tables: impl IntoIterator<Item = ObjectId>) {
        if !self.rows.is_empty() {
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
                    base: Arc::clone(&snapshot.catalog),
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
        tables.into_iter().any(|table| self.rows.iter().any(|(written, _)| *written == table))
    }

    /// The tables that the transaction has made: there is nothing of them but what it wrote.
    pub fn new_tables(&self) -> BTreeSet<ObjectId> {
        let Some(pending) = &self.catalog else { return BTreeSet::new() };
        pending
            .next
            .items_not_in(&pending.base)
            .filter(|item| item.table().is_some() && pending.base.item(item.id).is_none())
            .map(|item| item.id)
            .collect()
    }

    /// The rows written, by table.
    ///
    /// # Errors
    /// They are too many to be read before they are committed.
    pub fn own_rows(&self) -> Result<OwnRows, SqlError> {
        let mut own = OwnRows::new();
        for (table, rows) in &self.rows {
            let batches = own.entry(*table).or_default();
            match rows {
                PendingRows::Batch(batch) => batches.push(Arc::clone(batch)),
                PendingRows::Parts(parts) => batches.extend(parts.read_back()?),
            }
        }
        Ok(own)
    }

    /// Commits all this. Gives the tick, or None if nothing is left of it.
    ///
    /// # Errors
    /// Something that was read has changed since, or it cannot be written.
    pub async fn commit(self, session: &crate::session::Session) -> Result<Option<Tick>, SqlError> {
        let parts: Vec<Arc<UnnamedParts>> = self
            .rows
            .iter()
            .filter_map(|(_, rows)| match rows {
                PendingRows::Parts(parts) => Some(Arc::clone(parts)),
                PendingRows::Batch(_) => None,
            })
            .collect();
        let mut commit = self.into_commit();
        commit.loaded = load_parts(&session.shared, &commit.parts).await?;
        let named: Vec<PartName> = parts.iter().flat_map(|parts| parts.take()).collect();
        match session.commit(commit).await {
            Ok(tick) => Ok(Some(tick)),
            Err(error) => {
                // Other errors may come after the entry that names them was written.
                if error.code == SqlState::SERIALIZATION_FAILURE
                    || error.code == SqlState::PROGRAM_LIMIT_EXCEEDED
                {
                    session.shared.ledger.discard_parts(&named);
                }
                Err(error)
            }
        }
    }

    /// The commit that makes all this part of the log. Of tables that the transaction itself
    /// dropped nothing is left.
    fn into_commit(self) -> Commit {
        let next = self.catalog.as_ref().map(|pending| Arc::clone(&pending.next));
        let is_there =
            |table: &ObjectId| next.as_ref().is_none_or(|next| next.item(*table).is_some());
        let counters: Vec<(ObjectId, Counter)> =
            self.counters.into_iter().filter(|(id, _)| is_there(id)).collect();
        let mut updates: BTreeMap<ObjectId, Vec<Arc<RowBatch>>> = BTreeMap::new();
        let mut parts = Vec::new();
        for (table, rows) in self.rows.into_iter().filter(|(table, _)| is_there(table)) {
            match rows {
                PendingRows::Batch(batch) => updates.entry(table).or_default().push(batch),
                PendingRows::Parts(unnamed) => {
                    parts.extend(unnamed.names.lock().iter().map(|name| (table, name.clone())));
                }
            }
        }
        Commit {
            updates: updates
                .into_iter()
                .map(|(table, batches)| (table, join(batches)))
                .filter(|(_, batch)| !batch.is_empty())
                .collect(),
            parts,
            read: self.read,
            keys: self.claims,
            sequences: counters
                .iter()
                .map(|(id, counter)| (*id, counter.wanted().encode()))
                .collect(),
            counters,
            catalog: self.catalog.map(|pending| CatalogCommit {
                planned_at: pending.planned_at,
                base: pending.base,
                changes: pending.changes,
                next: pending.next,
                dataflows: pending.dataflows,
            }),
            ..Commit::default()
        }
    }
}

/// What several statements did to one table; what one took back of another is left out.
fn join(mut batches: Vec<Arc<RowBatch>>) -> Arc<RowBatch> {
    if batches.len() == 1
        && let Some(only) = batches.pop()
    {
        return only;
    }
    if batches.iter().all(|batch| batch.iter().all(|(_, diff)| diff > 0)) {
        let mut all = RowBatch::new();
        batches.iter().for_each(|batch| all.append(batch));
        return Arc::new(all);
    }
    Arc::new(crate::volatile::consolidate(batches.iter().map(Arc::as_ref)))
}

/// Reads the parts that running dataflows follow, on a blocking thread.
///
/// # Errors
/// One cannot be read.
pub(crate) async fn load_parts(
    shared: &Arc<Shared>,
    parts: &[(ObjectId, PartName)],
) -> Result<PartRows, SqlError> {
    let followed = parts.iter().filter(|(id, _)| shared.dataflows.reads(*id));
    let followed: Vec<PartName> = followed.map(|(_, part)| part.clone()).collect();
    if followed.is_empty() {
        return Ok(PartRows::new());
    }
    let shared = Arc::clone(shared);
    let reading = tokio::task::spawn_blocking(move || {
        let mut loaded = PartRows::new();
        for part in followed {
            let batches: Result<Vec<_>, tidemill_ledger::LedgerError> =
                shared.ledger.read_part(&part).collect();
            loaded.insert(part, batches?);
        }
        Ok(loaded)
    });
    let loaded = reading.await.map_err(SqlError::internal)?;
    loaded.map_err(|error: tidemill_ledger::LedgerError| crate::ledger_error(&error))
}

/// The error for following what the transaction itself has written.
pub(crate) fn follow_own_write() -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "a transaction cannot SUBSCRIBE to what it has written",
    )
    .with_hint("Commit first, or subscribe in a transaction of its own.")
}
