//! Replication slots that dropped sources leave upstream. A slot that nobody reads keeps the
//! upstream's log from being removed, so each is known, durably, until it is gone.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tidemill_catalog::{Catalog, CatalogChange, Item, OrphanedSlot, Source};
use tidemill_ingest::postgres::{self, PostgresConnection};
use tidemill_repr::{SqlError, SqlState};

use crate::clock::wall_timestamp;
use crate::sequencer::{CatalogCommit, Commit};
use crate::shared::{Shared, shutting_down};
use crate::sources::{decrypted, upstream_connection};

/// How often slots are tried again.
const RETRY_EVERY: Duration = Duration::from_secs(10);

/// How often a slot is tried to be dropped: its own connection may still hold it.
const SLOT_RETRIES: u32 = 20;

/// Why nothing could be kept of a slot: the source, the slot, and the error.
pub type Unknown = Box<(String, String, SqlError)>;

/// What is kept of the slot of a source that is dropped.
///
/// # Errors
/// Its connection cannot be opened, so there is no way to the upstream.
pub fn orphan(
    shared: &Shared,
    catalog: &Catalog,
    item: &Item,
    source: &Source,
) -> Result<OrphanedSlot, Unknown> {
    let sealed = || {
        let connection = upstream_connection(shared, catalog, source.connection)?;
        let text = serde_json::to_vec(&connection).map_err(SqlError::internal)?;
        let sealed = shared.secrets.encrypt(&text);
        Ok((connection, sealed.map_err(|error| crate::ledger_error(&error))?))
    };
    match sealed() {
        Ok((connection, sealed)) => Ok(OrphanedSlot {
            slot: source.slot.clone(),
            source: item.name.item.clone(),
            host: connection.host,
            port: connection.port,
            database: connection.database,
            connection: sealed,
            dropped_at: wall_timestamp(),
            error: None,
        }),
        Err(error) => Err(Box::new((item.name.item.clone(), source.slot.clone(), error))),
    }
}

/// Drops a slot upstream; the task that held it is just being stopped.
///
/// # Errors
/// The upstream cannot be reached, or another holds the slot.
pub async fn drop_slot(connection: &PostgresConnection, slot: &str) -> Result<(), SqlError> {
    let mut result = Ok(());
    for _ in 0..SLOT_RETRIES {
        result = postgres::drop_slot(connection, slot).await;
        match &result {
            Err(error) if error.code == SqlState::OBJECT_IN_USE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            _ => break,
        }
    }
    result
}

/// Drops a slot upstream and forgets it; notes why that cannot be done.
///
/// # Errors
/// The upstream cannot be reached, or another holds the slot.
pub async fn drop_orphan(shared: &Arc<Shared>, orphan: &OrphanedSlot) -> Result<(), SqlError> {
    let dropped = async {
        let what = format!("the connection of slot \"{}\"", orphan.slot);
        let text = decrypted(shared, &orphan.connection, &what)?;
        let connection: PostgresConnection =
            serde_json::from_str(&text).map_err(SqlError::internal)?;
        drop_slot(&connection, &orphan.slot).await
    };
    let dropped = dropped.await;
    let change = match &dropped {
        Ok(()) => CatalogChange::DropOrphanedSlot(orphan.slot.clone()),
        Err(error) if orphan.error.as_ref() == Some(&error.message) => return dropped,
        Err(error) => {
            let error = Some(error.message.clone());
            CatalogChange::PutOrphanedSlot(OrphanedSlot { error, ..orphan.clone() })
        }
    };
    commit(shared, change).await?;
    dropped
}

async fn commit(shared: &Arc<Shared>, change: CatalogChange) -> Result<(), SqlError> {
    loop {
        let snapshot = shared.snapshot();
        let changes = vec![change.clone()];
        let catalog = CatalogCommit {
            planned_at: snapshot.catalog_tick,
            base: Arc::clone(&snapshot.catalog),
            next: Arc::new(snapshot.catalog.apply(&changes)?),
            changes,
            dataflows: Vec::new(),
        };
        let commit = Commit { catalog: Some(catalog), ..Commit::default() };
        match shared.commit(commit).await {
            Err(error) if error.code == SqlState::SERIALIZATION_FAILURE => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(()),
        }
    }
}

/// Tries the slots that are left, now and then, until the server is gone.
pub async fn run(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let orphans: Vec<OrphanedSlot> =
            strong.snapshot().catalog.orphaned_slots().cloned().collect();
        for orphan in orphans {
            match drop_orphan(&strong, &orphan).await {
                Ok(()) => tracing::info!(slot = orphan.slot, "an orphaned slot was dropped"),
                Err(error) if error.code == shutting_down().code => return,
                Err(error) => {
                    tracing::warn!(%error, slot = orphan.slot, "a replication slot is left behind");
                }
            }
        }
        drop(strong);
        tokio::time::sleep(RETRY_EVERY).await;
    }
}
