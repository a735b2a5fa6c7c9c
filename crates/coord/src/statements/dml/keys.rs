//! Unique keys: looked up in the index behind the constraint, at the tick the statement reads.
//!
//! The commit carries the keys ([`KeyClaims`]): if another commit wrote one of them after that
//! tick, the statement is tried again, and finds the key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bumpalo::Bump;
use tidemill_compute::IndexReader;
use tidemill_expr::{EvalContext, ScalarExpr};
use tidemill_repr::{Datum, Diff, ObjectId, Row, RowBatch, RowBuilder, RowRef, SqlError, Tick};
use tidemill_sql::plan::{KeyCheck, RowCheck};

use super::super::Execution;
use crate::holds::Hold;
use crate::read::ready_reader;
use crate::sequencer::KeyClaims;
use crate::session::{Session, Transaction};
use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// Rows of a transaction that is not committed yet, by index and key.
pub(crate) type OwnKeys = imbl::HashMap<(ObjectId, Row), Vec<(Row, Diff)>>;

/// The keys that a statement looked up and writes.
#[derive(Default)]
pub(crate) struct Written {
    /// What the clock is told.
    pub claims: KeyClaims,
    /// The changed rows by their keys.
    pub rows: Vec<((ObjectId, Row), Row, Diff)>,
}

/// Looks keys of one table up.
pub(super) struct KeyReader<'c> {
    shared: Arc<Shared>,
    table: ObjectId,
    check: &'c RowCheck,
    tick: Tick,
    snapshot: Arc<Snapshot>,
    readers: HashMap<ObjectId, Option<IndexReader>>,
    own: OwnKeys,
    /// Keys on which the statement depends.
    looked_up: Vec<(ObjectId, Row)>,
    _hold: Option<Hold>,
}

impl<'c> KeyReader<'c> {
    /// A reader at the statement's tick. Without keys in the table it does nothing.
    pub async fn new(
        session: &mut Session,
        execution: &Execution<'_>,
        table: ObjectId,
        check: &'c RowCheck,
    ) -> Result<KeyReader<'c>, SqlError> {
        let shared = Arc::clone(&session.shared);
        let none = check.keys.is_empty();
        let (tick, snapshot, hold) = match none {
            true => (Tick::MIN, Arc::clone(&execution.snapshot), None),
            false => session.pick_tick(None).await?,
        };
        if !none {
            session.check_catalog(execution.snapshot.catalog_tick, &snapshot)?;
        }
        let own = match &session.transaction {
            _ if session.temporary.has(table) => temporary_keys(session, table, check)?,
            Transaction::Open(open) if !none => open.writes.own_keys(),
            _ => OwnKeys::new(),
        };
        let (mut readers, looked_up) = (HashMap::new(), Vec::new());
        if let Transaction::Open(open) = &session.transaction
            && open.writes.is_emptied(table)
        {
            readers.extend(check.keys.iter().map(|key| (key.index, None)));
        }
        Ok(KeyReader { shared, table, check, tick, snapshot, readers, own, looked_up, _hold: hold })
    }

    /// The row that has a key, if there is one.
    pub async fn existing(&mut self, key: &KeyCheck, value: &Row) -> Result<Option<Row>, SqlError> {
        self.looked_up.push((key.index, value.clone()));
        let mut rows: Vec<(Row, Diff)> = match self.reader(key.index).await? {
            Some(reader) => reader.lookup(self.tick, value.as_ref())?,
            None => Vec::new(),
        };
        let own = self.own.get(&(key.index, value.clone()));
        rows.extend(own.into_iter().flatten().cloned());
        let mut counts: HashMap<Row, Diff> = HashMap::new();
        for (row, diff) in rows {
            *counts.entry(row).or_default() += diff;
        }
        Ok(counts.into_iter().find(|(_, count)| *count > 0).map(|(row, _)| row))
    }

    /// The reader of an index; None if the transaction made it: nothing is in it yet.
    async fn reader(&mut self, index: ObjectId) -> Result<Option<IndexReader>, SqlError> {
        if let Some(reader) = self.readers.get(&index) {
            return Ok(reader.clone());
        }
        let reader = match self.snapshot.catalog.item(index) {
            None => None,
            Some(_) => Some(ready_reader(&self.shared, &self.snapshot, index, self.tick).await?),
        };
        self.readers.insert(index, reader.clone());
        Ok(reader)
    }

    /// Checks that no key is there twice after these changes.
    pub async fn check(&mut self, changes: &[(Row, Diff)]) -> Result<(), SqlError> {
        let check = self.check;
        for key in &check.keys {
            let mut added: HashMap<Row, (Diff, usize)> = HashMap::new();
            for (position, (row, diff)) in changes.iter().enumerate() {
                if let Some(value) = key_of(key, row.as_ref())? {
                    let entry = added.entry(value).or_insert((0, position));
                    entry.0 += diff;
                    if *diff > 0 {
                        entry.1 = position;
                    }
                }
            }
            let mut more: Vec<(usize, Row, Diff)> = added
                .into_iter()
                .filter(|(_, (diff, _))| *diff > 0)
                .map(|(value, (diff, position))| (position, value, diff))
                .collect();
            more.sort_unstable_by_key(|(position, ..)| *position);
            for (position, value, diff) in more {
                if diff > 1 || self.existing(key, &value).await?.is_some() {
                    let (row, _) = &changes[position];
                    return Err(check.duplicate(key, row.as_ref()));
                }
            }
        }
        Ok(())
    }

    /// Whether the last key that was looked up is one that the statement had looked up before.
    pub fn ended_at_one_of(&self, before: &KeyClaims) -> bool {
        self.looked_up.last().is_some_and(|last| before.keys.contains(last))
    }

    /// The keys that were looked up.
    pub fn into_looked_up(self) -> Option<KeyClaims> {
        if matches!(self.table, ObjectId::Transient(_)) {
            return None;
        }
        let tables = vec![self.table];
        Some(KeyClaims { tick: self.tick, keys: self.looked_up, tables, more: false })
    }

    /// What the commit and the rest of the transaction must know of these changes.
    pub fn into_claims(self, changes: &[(Row, Diff)]) -> Result<Option<Written>, SqlError> {
        // Nobody else writes a temporary table.
        if self.check.keys.is_empty() || matches!(self.table, ObjectId::Transient(_)) {
            return Ok(None);
        }
        let mut rows = Vec::new();
        let mut keys = self.looked_up;
        for key in &self.check.keys {
            for (row, diff) in changes {
                if let Some(value) = key_of(key, row.as_ref())? {
                    keys.push((key.index, value.clone()));
                    rows.push(((key.index, value), row.clone(), *diff));
                }
            }
        }
        let claims = KeyClaims { tick: self.tick, keys, tables: vec![self.table], more: false };
        Ok(Some(Written { claims, rows }))
    }
}

/// Checks the keys of rows that COPY brings, and says what the commit must know of them.
pub(crate) async fn check_copied(
    session: &mut Session,
    execution: &Execution<'_>,
    table: ObjectId,
    check: &RowCheck,
    batches: impl Iterator<Item = Result<Arc<RowBatch>, SqlError>>,
) -> Result<Option<Written>, SqlError> {
    if check.keys.is_empty() {
        return Ok(None);
    }
    let in_block = matches!(session.transaction, Transaction::Open(_));
    let mut reader = KeyReader::new(session, execution, table, check).await?;
    let mut seen: Vec<HashSet<Row>> = vec![HashSet::new(); check.keys.len()];
    let mut written = Written::default();
    for batch in batches {
        for (row, diff) in batch?.iter() {
            for (key, seen) in check.keys.iter().zip(&mut seen) {
                let Some(value) = key_of(key, row)? else { continue };
                if diff > 1
                    || reader.existing(key, &value).await?.is_some()
                    || !seen.insert(value.clone())
                {
                    return Err(check.duplicate(key, row));
                }
                reader.looked_up.clear();
                if in_block {
                    written.rows.push(((key.index, value), row.to_owned(), diff));
                }
            }
        }
    }
    if matches!(table, ObjectId::Transient(_)) {
        return Ok(None);
    }
    written.claims =
        KeyClaims { tick: reader.tick, keys: Vec::new(), tables: vec![table], more: true };
    Ok(Some(written))
}

/// The rows of a temporary table by their keys.
fn temporary_keys(
    session: &Session,
    table: ObjectId,
    check: &RowCheck,
) -> Result<OwnKeys, SqlError> {
    let mut found = OwnKeys::new();
    let batches = session.temporary.rows().get(&table).map_or(&[][..], Vec::as_slice);
    for (row, diff) in batches.iter().flat_map(|batch| batch.iter()) {
        for key in &check.keys {
            if let Some(value) = key_of(key, row)? {
                found.entry((key.index, value)).or_default().push((row.to_owned(), diff));
            }
        }
    }
    Ok(found)
}

/// The key of a row, as the index has it; None if a part is NULL and so equal to nothing.
pub(crate) fn key_of(key: &KeyCheck, row: RowRef<'_>) -> Result<Option<Row>, SqlError> {
    let arena = Bump::new();
    let datums: Vec<Datum<'_>> = row.iter().collect();
    let mut builder = RowBuilder::new();
    for part in &key.key {
        let value = match part {
            ScalarExpr::Column(column) => datums.get(*column).copied().unwrap_or(Datum::Null),
            part => part.eval(&datums, EvalContext { arena: &arena })?,
        };
        if value.is_null() && !key.nulls_not_distinct {
            return Ok(None);
        }
        builder.push(value);
    }
    Ok(Some(builder.finish()))
}
