//! What is checked before a commit gets its tick: afterwards it must not fail.

use std::sync::Arc;

use tidemill_catalog::{Catalog, CatalogChange};
use tidemill_plan::physical::DataflowDescription;
use tidemill_repr::{ObjectId, SqlError, SqlState, Tick};

use super::{Commit, Group, serialization_failure};
use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// How many bytes of rows one commit may have: less than the ledger takes, with what may share
/// its tick.
const COMMIT_BYTES: usize = 1 << 29;

/// Takes out what a source says of tables that were dropped while it said it: the ledger would
/// take it for new collections.
pub(super) fn leave_out_dropped(shared: &Shared, commit: &mut Commit) {
    let catalog = Arc::clone(&shared.snapshot().catalog);
    commit.sequences.retain(|(id, _)| catalog.item(*id).is_some());
    let Some((source, ..)) = &commit.position else { return };
    let known = |id: &ObjectId| catalog.item(*id).is_some();
    if !known(source) {
        commit.position = None;
    }
    commit.updates.retain(|(id, _)| known(id));
    commit.snapshot_done.retain(known);
    commit.table_errors.retain(|(id, _)| known(id));
    commit.resynced.retain(|(id, _)| known(id));
    for (_, part) in commit.parts.extract_if(.., |(id, _)| !known(id)) {
        shared.ledger.discard_parts(&[part]);
    }
}

/// A commit that the ledger would refuse must not get a tick: all later ones would wait for it.
pub(super) fn check_size(commit: &Commit) -> Result<(), SqlError> {
    let bytes: usize =
        commit.updates.iter().map(|(_, batch)| batch.byte_len() + batch.len() * 12).sum();
    if bytes <= COMMIT_BYTES {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("a transaction of {bytes} bytes is too large: the limit is {COMMIT_BYTES} bytes"),
    )
    .with_hint("Write in several transactions."))
}

/// A base collection is followed from now on only: its changes before are in no dataflow. Past
/// ticks are served where nothing changed since, and by indexes.
pub(super) fn check_history(
    snapshot: &Snapshot,
    dataflow: &DataflowDescription,
) -> Result<(), SqlError> {
    let tick = dataflow.as_of;
    let last_change = |id| snapshot.last_change.get(&id).copied().unwrap_or(Tick::MIN);
    if dataflow.base_imports.iter().all(|import| last_change(import.id) <= tick) {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("cannot SUBSCRIBE as of {tick}: a table that it reads changed since"),
    )
    .with_hint("Subscribe to an index or a materialized view, or leave AS OF out."))
}

/// The catalog after changes that were planned on an older one, if nothing that they are about
/// has changed since.
pub(crate) fn rebased(
    base: &Catalog,
    current: &Catalog,
    changes: &[CatalogChange],
    dataflows: &[DataflowDescription],
) -> Option<Arc<Catalog>> {
    // What the changes make themselves is in neither.
    let same = |id: ObjectId| match (base.item(id), current.item(id)) {
        (Some(base), Some(current)) => Arc::ptr_eq(base, current),
        (None, None) => true,
        _ => false,
    };
    for change in changes {
        let fits = match change {
            CatalogChange::PutItem(item) => {
                same(item.id) && item.depends_on.iter().all(|id| same(*id))
            }
            CatalogChange::DropItem(id) => {
                same(*id) && base.direct_dependants(*id).eq(current.direct_dependants(*id))
            }
            // Numbers, names and what is on a cluster were looked up in the old catalog.
            CatalogChange::PutCluster(_)
            | CatalogChange::DropCluster { .. }
            | CatalogChange::RenameSchemas { .. }
            | CatalogChange::Comment { .. } => false,
            _ => true,
        };
        if !fits {
            return None;
        }
    }
    let next = current.apply(changes).ok()?;
    for change in changes {
        let fits = match change {
            CatalogChange::PutItem(item) => {
                let name = &item.name;
                next.item(item.id).is_none()
                    || item.cluster().is_none_or(|cluster| next.cluster(cluster).is_some())
                        && next
                            .schema(name.database.as_deref().unwrap_or(""), &name.schema)
                            .is_some()
            }
            CatalogChange::DropSchema { database, name } => {
                next.items_in_schema(Some(database), name).next().is_none()
            }
            CatalogChange::DropDatabase { name } => {
                next.schemas().all(|((database, _), _)| database.as_deref() != Some(name))
            }
            _ => true,
        };
        if !fits {
            return None;
        }
    }
    let mut imports = dataflows.iter().flat_map(|dataflow| &dataflow.index_imports);
    imports.all(|import| next.item(import.index).is_some()).then(|| Arc::new(next))
}

/// The tables must be there, and those that were read must not have changed since.
pub(super) fn check_read(
    snapshot: &Snapshot,
    group: &Group,
    commit: &Commit,
) -> Result<(), SqlError> {
    let is_gone = |id: &ObjectId| snapshot.catalog.item(*id).is_none();
    let read = commit.read.iter().flat_map(|(_, tables)| tables);
    let parts = commit.parts.iter().map(|(id, _)| id);
    let written = commit.updates.iter().map(|(id, _)| id).chain(parts);
    if commit.catalog.is_none() && read.chain(written).any(is_gone) {
        return Err(serialization_failure());
    }
    let Some((tick, tables)) = &commit.read else { return Ok(()) };
    for table in tables {
        let changed = snapshot.last_change.get(table).is_some_and(|last| last > tick);
        if changed || group.changes(*table) {
            return Err(serialization_failure());
        }
    }
    Ok(())
}
