//! The rows of built-in relations that are computed when they are read
//! ([`tidemill_catalog::builtin::live`]).
//!
//! A SELECT gets what is so now. For a query that is maintained the relation is a collection as
//! any other, which is sampled as long as somebody follows it ([`Sampler`]); it shows what
//! everybody may see.

mod frontiers;
mod replicas;
mod sessions;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_catalog::builtin::{self, Content, live};
use tidemill_catalog::{Catalog, Definition};
use tidemill_plan::QueryExpr;
use tidemill_repr::{ObjectId, Row, RowBatch};

pub(crate) use frontiers::LagHistory;

use crate::session::Session;
use crate::shared::Shared;
use crate::volatile::difference;

/// Who looks: nobody in particular where the relation is maintained.
#[derive(Clone, Copy)]
pub(crate) struct Viewer<'a> {
    shared: &'a Shared,
    catalog: &'a Catalog,
    session: Option<&'a Session>,
}

impl Viewer<'_> {
    /// The role that looks.
    fn user(&self) -> Option<String> {
        self.session.map(Session::current_user)
    }

    /// Whether what a user's sessions do may be seen.
    fn may_see(&self, user: &str) -> bool {
        let monitor = tidemill_catalog::role::MONITOR;
        self.user().is_some_and(|viewer| {
            self.catalog.is_member(&viewer, user) || self.catalog.is_member(&viewer, monitor)
        })
    }
}

/// Whether a relation is one of these.
fn is_live(id: ObjectId) -> bool {
    matches!(id, ObjectId::System(_))
        && builtin::all()
            .any(|relation| relation.id() == id && matches!(relation.content, Content::Live))
}

/// The rows of these relations as far as a query reads them, itself or through views.
pub(crate) fn rows_for(
    session: &Session,
    catalog: &Catalog,
    query: &QueryExpr,
) -> BTreeMap<ObjectId, Vec<Row>> {
    let read = tidemill_sql::query::relations_read(&mut query.clone());
    let mut found = BTreeMap::new();
    for id in read {
        let is_table =
            catalog.item(id).is_some_and(|item| matches!(item.definition, Definition::Table(_)));
        if matches!(id, ObjectId::User(_)) && is_table {
            continue;
        }
        for base in catalog.base_collections(id).into_iter().filter(|base| is_live(*base)) {
            let viewer = Viewer { shared: &session.shared, catalog, session: Some(session) };
            found.entry(base).or_insert_with(|| rows(viewer, base));
        }
    }
    found
}

/// The same for a query that nobody's session asks.
pub(crate) fn rows_for_anybody(
    shared: &Shared,
    catalog: &Catalog,
    query: &QueryExpr,
) -> BTreeMap<ObjectId, Vec<Row>> {
    let read = tidemill_sql::query::relations_read(&mut query.clone());
    let bases = read.into_iter().flat_map(|id| catalog.base_collections(id));
    let viewer = Viewer { shared, catalog, session: None };
    bases.filter(|base| is_live(*base)).map(|base| (base, rows(viewer, base))).collect()
}

fn rows(viewer: Viewer<'_>, id: ObjectId) -> Vec<Row> {
    let ObjectId::System(number) = id else { return Vec::new() };
    match number {
        live::STAT_ACTIVITY => sessions::stat_activity(viewer),
        live::LOCKS => sessions::locks(viewer),
        live::STAT_DATABASE => sessions::stat_database(viewer),
        live::STAT_SSL => sessions::stat_ssl(viewer),
        live::SESSIONS => sessions::sessions(viewer),
        live::SESSION_HISTORY => sessions::session_history(viewer),
        live::ACTIVITY_LOG => sessions::activity_log(viewer),
        live::SUBSCRIPTIONS => sessions::subscriptions(viewer),
        live::REPLICA_STATUSES => viewer.shared.lag_history.replicas.statuses(viewer),
        live::REPLICA_STATUS_HISTORY => viewer.shared.lag_history.replicas.changes(viewer),
        live::REPLICA_METRICS => sessions::replica_metrics(viewer),
        live::HYDRATION_STATUSES => frontiers::hydration(viewer, true),
        live::COMPUTE_HYDRATION_STATUSES => frontiers::hydration(viewer, false),
        live::FRONTIERS => frontiers::frontiers(viewer),
        live::WALLCLOCK_LAG => frontiers::wallclock_lag(viewer),
        live::LAG_HISTORY => viewer.shared.lag_history.rows(),
        live::MATERIALIZATION_LAG => frontiers::materialization_lag(viewer),
        live::REFRESHES => viewer.shared.refreshes.rows(viewer.catalog),
        live::TIMEZONE_NAMES => settings::time_zones(),
        _ => match viewer.session {
            Some(session) => settings::of_session(session, viewer.catalog, number),
            None => Vec::new(),
        },
    }
}

/// The rows of relations that are maintained, as they were the last time.
#[derive(Default)]
pub(crate) struct Sampler {
    last: BTreeMap<ObjectId, Vec<Row>>,
}

impl Sampler {
    /// What changed since the last time, in the relations that somebody follows.
    pub(crate) fn sample(&mut self, shared: &Shared) -> Vec<(ObjectId, Arc<RowBatch>)> {
        let snapshot = shared.snapshot();
        let anybody = Viewer { shared, catalog: &snapshot.catalog, session: None };
        shared.lag_history.note(anybody);
        shared.lag_history.replicas.note(anybody);
        let mut changes = Vec::new();
        let live = builtin::all().filter(|relation| matches!(relation.content, Content::Live));
        for id in live.map(builtin::Builtin::id) {
            let followed = shared.dataflows.reads(id);
            if !followed && !self.last.contains_key(&id) {
                continue;
            }
            let viewer = Viewer { shared, catalog: &snapshot.catalog, session: None };
            let new = if followed { rows(viewer, id) } else { Vec::new() };
            let old = self.last.remove(&id).unwrap_or_default();
            let change = difference(&old, &new);
            if followed {
                self.last.insert(id, new);
            }
            if !change.is_empty() {
                changes.push((id, Arc::new(change)));
            }
        }
        changes
    }
}
