//! How far objects are: frontiers, lags, hydration.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use tidemill_catalog::{Definition, Item};
use tidemill_repr::{Datum, Interval, ObjectId, Row, Tick};

use super::Viewer;
use super::replicas::ReplicaHistory;
use crate::clock::{wall_tick, wall_timestamp};

/// How often lags are remembered, in microseconds, and how many at most.
const EVERY: i64 = 60_000_000;
const KEPT: usize = 8192;

/// How far an object is.
#[derive(Clone, Copy)]
struct Frontier {
    /// The first tick that can be read.
    read: Tick,
    /// The first tick that is not complete; None before there is any content.
    write: Option<Tick>,
}

/// The objects that have content of their own, or keep some.
fn has_frontier(item: &Item) -> bool {
    matches!(
        item.definition,
        Definition::Table(_) | Definition::Index(_) | Definition::MaterializedView(_)
    )
}

/// The objects that users made, with how far they are.
fn all(viewer: Viewer<'_>) -> BTreeMap<ObjectId, Frontier> {
    let shared = viewer.shared;
    let snapshot = shared.snapshot();
    let readable = shared.completion.readable();
    let since = *shared.since.borrow();
    let mut found = BTreeMap::new();
    for item in viewer.catalog.items().filter(|item| has_frontier(item) && !item.is_system()) {
        let frontier = match shared.replicas.index(item.id) {
            Some(reader) => {
                let moved_by = shared.dataflows.moved_by(item.id);
                let needed = match shared.dataflows.follows_time(item.id) {
                    true => readable,
                    false => snapshot.must_be_complete(readable, moved_by.iter().copied()),
                };
                let upper = reader.upper();
                let as_of = reader.as_of();
                let write = if snapshot.hydrating.contains(&item.id) {
                    None
                } else if upper > needed.max(as_of) {
                    // Nothing has changed since: it is as far as everything.
                    Some(Tick(readable.0.saturating_add(1)).max(upper))
                } else {
                    (upper > as_of).then_some(upper)
                };
                Frontier { read: since.max(reader.since()), write }
            }
            None if item.is_base() => {
                let waits = snapshot.hydrating.contains(&item.id);
                let write = (!waits).then(|| Tick(readable.0.saturating_add(1)));
                Frontier { read: since, write }
            }
            None => Frontier { read: since, write: None },
        };
        found.insert(item.id, frontier);
    }
    found
}

/// The replicas of an object's cluster; one NULL for an object without any.
fn replicas(viewer: Viewer<'_>, item: &Item) -> Vec<Option<String>> {
    let Some(cluster) = item.cluster().and_then(|name| viewer.catalog.cluster(name)) else {
        return vec![None];
    };
    let scope = if cluster.system { 's' } else { 'u' };
    cluster.replicas.iter().map(|replica| Some(format!("{scope}{}", replica.id))).collect()
}

/// `mz_hydration_statuses`, and without tables `mz_compute_hydration_statuses`
pub(super) fn hydration(viewer: Viewer<'_>, tables: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for (id, frontier) in all(viewer) {
        let Some(item) = viewer.catalog.item(id) else { continue };
        let shown = match item.table() {
            Some(table) => tables && table.source.is_some(),
            None => true,
        };
        if !shown {
            continue;
        }
        for replica in replicas(viewer, item) {
            rows.push(Row::pack([
                Datum::Text(&id.to_string()),
                replica.as_deref().map_or(Datum::Null, Datum::Text),
                Datum::Bool(frontier.write.is_some()),
            ]));
        }
    }
    rows
}

/// `mz_frontiers`
pub(super) fn frontiers(viewer: Viewer<'_>) -> Vec<Row> {
    let row = |(id, frontier): (ObjectId, Frontier)| {
        Row::pack([
            Datum::Text(&id.to_string()),
            Datum::UInt(frontier.read.0),
            Datum::UInt(frontier.write.map_or(0, |tick| tick.0)),
        ])
    };
    all(viewer).into_iter().map(row).collect()
}

fn milliseconds(count: u64) -> Interval {
    let micros = i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(1000);
    Interval { months: 0, days: 0, micros }
}

fn interval(count: Option<u64>) -> Datum<'static> {
    count.map_or(Datum::Null, |count| Datum::Interval(milliseconds(count)))
}

/// How far each object is behind the clock, in milliseconds; None before it has content.
fn lags(viewer: Viewer<'_>) -> impl Iterator<Item = (ObjectId, Option<u64>)> {
    let now = wall_tick();
    all(viewer)
        .into_iter()
        .map(move |(id, frontier)| (id, frontier.write.map(|tick| now.0.saturating_sub(tick.0))))
}

/// `mz_wallclock_global_lag`
pub(super) fn wallclock_lag(viewer: Viewer<'_>) -> Vec<Row> {
    lags(viewer).map(|(id, lag)| Row::pack([Datum::Text(&id.to_string()), interval(lag)])).collect()
}

/// The lags of the last hours.
#[derive(Default)]
pub(crate) struct LagHistory {
    noted: Mutex<Noted>,
    /// How replicas were.
    pub(crate) replicas: ReplicaHistory,
}

#[derive(Default)]
struct Noted {
    at: i64,
    lags: VecDeque<(i64, ObjectId, Option<u64>)>,
}

impl LagHistory {
    /// Notes the lags, once a minute.
    pub(crate) fn note(&self, viewer: Viewer<'_>) {
        let now = wall_timestamp();
        let mut noted = self.noted.lock();
        if now - noted.at < EVERY {
            return;
        }
        noted.at = now;
        noted.lags.extend(lags(viewer).map(|(id, lag)| (now, id, lag)));
        let outdated = noted.lags.len().saturating_sub(KEPT);
        noted.lags.drain(..outdated);
    }

    /// `mz_wallclock_global_lag_recent_history`
    pub(crate) fn rows(&self) -> Vec<Row> {
        let row = |(at, id, lag): &(i64, ObjectId, Option<u64>)| {
            Row::pack([Datum::Text(&id.to_string()), interval(*lag), Datum::TimestampTz(*at)])
        };
        self.noted.lock().lags.iter().map(row).collect()
    }
}

/// How far an object is behind the one of these that is the furthest ahead, and the slowest of
/// them.
fn behind(
    own: Frontier,
    inputs: impl Iterator<Item = ObjectId>,
    all: &BTreeMap<ObjectId, Frontier>,
) -> (Option<u64>, Option<ObjectId>) {
    let ticks: Vec<(Tick, ObjectId)> =
        inputs.filter_map(|id| Some((all.get(&id)?.write?, id))).collect();
    let slowest = ticks.iter().min().map(|(_, id)| *id);
    let furthest = ticks.iter().max().map(|(tick, _)| *tick);
    let lag = own.write.map(|own| furthest.map_or(0, |tick| tick.0.saturating_sub(own.0)));
    (lag, slowest)
}

/// `mz_materialization_lag`
pub(super) fn materialization_lag(viewer: Viewer<'_>) -> Vec<Row> {
    let all = all(viewer);
    let mut rows = Vec::new();
    for (id, frontier) in &all {
        let Some(item) = viewer.catalog.item(*id).filter(|item| item.table().is_none()) else {
            continue;
        };
        let direct = item.depends_on.iter().copied();
        let (local, nearest) = behind(*frontier, direct, &all);
        let (global, furthest) =
            behind(*frontier, viewer.catalog.base_collections(*id).into_iter(), &all);
        let text = |id: Option<ObjectId>| id.map(|id| id.to_string());
        rows.push(Row::pack([
            Datum::Text(&id.to_string()),
            interval(local),
            interval(global),
            text(nearest).as_deref().map_or(Datum::Null, Datum::Text),
            text(furthest).as_deref().map_or(Datum::Null, Datum::Text),
        ]));
    }
    rows
}
