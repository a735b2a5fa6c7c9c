//! Reads that wait for an upstream: `real_time_recency` and `tidemill.wait_for_lsn`.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tidemill_catalog::Definition;
use tidemill_ingest::postgres;
use tidemill_repr::{Lsn, ObjectId, SqlError, SqlState};

use crate::session::Session;
use crate::shared::{Shared, shutting_down};
use crate::snapshot::Snapshot;
use crate::sources::upstream_connection;

/// Waits until the sources of these tables are where the session wants them.
///
/// # Errors
/// A source has failed, its upstream cannot be asked, or it takes too long.
pub(crate) async fn wait_for_upstreams(
    session: &Session,
    snapshot: &Snapshot,
    bases: &BTreeSet<ObjectId>,
) -> Result<(), SqlError> {
    if !session.waits_for_upstreams() {
        return Ok(());
    }
    let sources: BTreeSet<ObjectId> = bases
        .iter()
        .filter_map(|id| Some(snapshot.catalog.item(*id)?.table()?.source.as_ref()?.source))
        .collect();
    if sources.is_empty() {
        return Ok(());
    }
    let shared = &session.shared;
    if let Some(lsn) = session.settings.quick().wait_for_lsn {
        let wanted = sources.iter().map(|source| (*source, lsn)).collect();
        let reached = reach(shared, snapshot, wanted);
        within(session, "tidemill.wait_for_lsn_timeout", reached, || {
            format!("timed out before the sources of the query reached {lsn}")
        })
        .await?;
    }
    if session.settings.quick().real_time_recency {
        let reached = async {
            let wanted = upstream_positions(shared, snapshot, &sources).await?;
            reach(shared, snapshot, wanted).await
        };
        within(session, "real_time_recency_timeout", reached, || {
            "timed out before the sources of the query reached what their upstreams had committed"
                .to_owned()
        })
        .await?;
    }
    Ok(())
}

impl Session {
    /// Whether reads wait for upstreams.
    pub(crate) fn waits_for_upstreams(&self) -> bool {
        let quick = self.settings.quick();
        quick.real_time_recency || quick.wait_for_lsn.is_some()
    }
}

async fn within(
    session: &Session,
    setting: &str,
    reached: impl Future<Output = Result<(), SqlError>>,
    message: impl Fn() -> String,
) -> Result<(), SqlError> {
    let Some(limit) = session.settings.milliseconds(setting) else { return reached.await };
    let timed_out = || {
        SqlError::new(SqlState::QUERY_CANCELED, message())
            .with_hint(format!("Look at mz_internal.mz_source_statuses, or raise {setting}."))
    };
    let waited = tokio::time::timeout(Duration::from_millis(limit), reached).await;
    waited.unwrap_or_else(|_| Err(timed_out()))
}

/// Where the upstreams of these sources are now.
async fn upstream_positions(
    shared: &Arc<Shared>,
    snapshot: &Snapshot,
    sources: &BTreeSet<ObjectId>,
) -> Result<Vec<(ObjectId, Lsn)>, SqlError> {
    let mut asked: Vec<(ObjectId, Lsn)> = Vec::new();
    let mut positions = Vec::new();
    for id in sources {
        let Some(item) = snapshot.catalog.item(*id) else { continue };
        let Definition::Source(source) = &item.definition else { continue };
        let known = asked.iter().find(|(connection, _)| *connection == source.connection);
        let position = match known {
            Some((_, position)) => *position,
            None => {
                let connection = upstream_connection(shared, &snapshot.catalog, source.connection)?;
                let position = postgres::current_position(&connection).await?;
                asked.push((source.connection, position));
                position
            }
        };
        positions.push((*id, position));
    }
    Ok(positions)
}

/// Waits until each source is durable up to its position.
async fn reach(
    shared: &Arc<Shared>,
    snapshot: &Snapshot,
    wanted: Vec<(ObjectId, Lsn)>,
) -> Result<(), SqlError> {
    for (source, position) in &wanted {
        shared.sources.hurry(*source, *position);
    }
    for (source, position) in wanted {
        let Some(mut durable) = shared.sources.watch_position(source) else { continue };
        loop {
            if *durable.borrow_and_update() >= position {
                break;
            }
            if let Some(error) = shared.sources.board.failure(source) {
                let name = crate::read::item_name(&snapshot.catalog, source);
                return Err(SqlError::new(
                    SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("source {name} has failed and does not reach {position}"),
                )
                .with_detail(error.message));
            }
            // A source that fails says so on the board, not here.
            let changed = tokio::time::timeout(Duration::from_millis(500), durable.changed());
            if matches!(changed.await, Ok(Err(_))) {
                return Err(shutting_down());
            }
        }
    }
    Ok(())
}
