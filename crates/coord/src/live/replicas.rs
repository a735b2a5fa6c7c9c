//! How the replicas of clusters are, and were.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use tidemill_catalog::Cluster;
use tidemill_repr::{Datum, Row};

use super::Viewer;
use crate::clock::wall_timestamp;
use crate::replicas::PoolId;

/// How many changes are remembered.
const KEPT: usize = 2048;

/// How replicas are, and since when.
#[derive(Default)]
pub(crate) struct ReplicaHistory {
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    /// By identity: whether it works, and since when that is known.
    now: BTreeMap<String, (bool, i64)>,
    changes: VecDeque<(i64, String, bool)>,
}

/// Whether a replica has worker threads that work. Those of the system have those of the default
/// cluster.
fn is_online(viewer: Viewer<'_>, cluster: &Cluster, replica: u64) -> bool {
    let running = viewer.shared.replicas.of_pool(PoolId::of(cluster));
    let mut its = running.iter().filter(|one| cluster.system || one.replica_id == replica);
    its.any(|one| !one.replica.has_failed())
}

fn word(online: bool) -> Datum<'static> {
    Datum::Text(if online { "online" } else { "offline" })
}

/// Why, as far as that is known.
fn reason(online: bool) -> Datum<'static> {
    if online { Datum::Null } else { Datum::Text("not running: it begins anew in a moment") }
}

impl ReplicaHistory {
    /// Notes how replicas are.
    pub(crate) fn note(&self, viewer: Viewer<'_>) {
        let at = wall_timestamp();
        let mut noted = self.noted.lock();
        let before = std::mem::take(&mut noted.now);
        for cluster in viewer.catalog.clusters() {
            let scope = if cluster.system { 's' } else { 'u' };
            for replica in &cluster.replicas {
                let id = format!("{scope}{}", replica.id);
                let online = is_online(viewer, cluster, replica.id);
                let since = match before.get(&id) {
                    Some((was, since)) if *was == online => *since,
                    _ => {
                        noted.changes.push_back((at, id.clone(), online));
                        at
                    }
                };
                noted.now.insert(id, (online, since));
            }
        }
        let outdated = noted.changes.len().saturating_sub(KEPT);
        noted.changes.drain(..outdated);
    }

    /// `mz_cluster_replica_statuses`
    pub(crate) fn statuses(&self, viewer: Viewer<'_>) -> Vec<Row> {
        self.note(viewer);
        let row = |(id, (online, since)): (&String, &(bool, i64))| {
            Row::pack([
                Datum::Text(id),
                Datum::UInt(0),
                word(*online),
                reason(*online),
                Datum::TimestampTz(*since),
            ])
        };
        self.noted.lock().now.iter().map(row).collect()
    }

    /// `mz_cluster_replica_status_history`
    pub(crate) fn changes(&self, viewer: Viewer<'_>) -> Vec<Row> {
        self.note(viewer);
        let row = |(at, id, online): &(i64, String, bool)| {
            Row::pack([
                Datum::Text(id),
                Datum::UInt(0),
                word(*online),
                reason(*online),
                Datum::TimestampTz(*at),
            ])
        };
        self.noted.lock().changes.iter().map(row).collect()
    }
}
