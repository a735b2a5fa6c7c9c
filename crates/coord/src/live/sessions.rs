//! Sessions, what they do and did, and the memory they share.

use tidemill_catalog::role::oid as role_oid;
use tidemill_repr::network::Inet;
use tidemill_repr::{Datum, Row, RowBuilder};

use super::Viewer;
use crate::activity::{Backend, Doing, LoggedStatement, Now};
use crate::advisory::Listed;
use crate::settings::MZ_VERSION;

/// What is shown of a statement to those who may not see it.
const HIDDEN: &str = "<insufficient privilege>";

fn time(at: Option<i64>) -> Datum<'static> {
    at.map_or(Datum::Null, Datum::TimestampTz)
}

fn address(backend: &Backend) -> Option<Inet> {
    let address = backend.client?.ip().to_canonical();
    let bits = if address.is_ipv4() { 32 } else { 128 };
    Some(Inet { address, bits })
}

fn database_oid(viewer: Viewer<'_>, name: &str) -> Datum<'static> {
    let oid = viewer.catalog.database(name).map(|database| i64::from(database.oid.0));
    oid.map_or(Datum::Null, Datum::Int)
}

/// `pg_stat_activity`
pub(super) fn stat_activity(viewer: Viewer<'_>) -> Vec<Row> {
    let row = |backend: &Backend| {
        let Now { doing, application, query, statement_at, transaction_at, changed_at } =
            backend.now();
        let visible = viewer.may_see(&backend.user);
        let if_visible = |datum| if visible { datum } else { Datum::Null };
        let address = address(backend).map_or(Datum::Null, Datum::Inet);
        let port = backend.client.map_or(Datum::Int(-1), |client| Datum::Int(client.port().into()));
        let waits = visible && doing != Doing::Active;
        let datums = [
            database_oid(viewer, &backend.database),
            Datum::Text(&backend.database),
            Datum::Int(i64::from(backend.pid)),
            Datum::Null,
            Datum::Int(role_oid(&backend.user)),
            Datum::Text(&backend.user),
            Datum::Text(&application),
            if_visible(address),
            Datum::Null,
            if_visible(port),
            if_visible(Datum::TimestampTz(backend.connected_at)),
            if_visible(time(transaction_at)),
            if_visible(time(statement_at)),
            if_visible(Datum::TimestampTz(changed_at)),
            if waits { Datum::Text("Client") } else { Datum::Null },
            if waits { Datum::Text("ClientRead") } else { Datum::Null },
            if_visible(Datum::Text(doing.word())),
            Datum::Null,
            Datum::Null,
            Datum::Null,
            Datum::Text(if visible { &query } else { HIDDEN }),
            if_visible(Datum::Text("client backend")),
        ];
        Row::pack(datums)
    };
    viewer.shared.activity.backends().iter().map(|backend| row(backend)).collect()
}

/// `pg_stat_database`: how many sessions there are; nothing else is counted.
pub(super) fn stat_database(viewer: Viewer<'_>) -> Vec<Row> {
    let backends = viewer.shared.activity.backends();
    let row = |name: &str| {
        let count = backends.iter().filter(|backend| backend.database == *name).count();
        let mut row = RowBuilder::new();
        row.push(database_oid(viewer, name));
        row.push(Datum::Text(name));
        row.push(Datum::Int(i64::try_from(count).unwrap_or(i64::MAX)));
        row.extend([Datum::Null; 25]);
        row.finish()
    };
    viewer.catalog.databases().map(|(name, _)| row(name)).collect()
}

/// `pg_locks`
pub(super) fn locks(viewer: Viewer<'_>) -> Vec<Row> {
    let row = |lock: &Listed| {
        let mode = if lock.shared { "ShareLock" } else { "ExclusiveLock" };
        let mut row = RowBuilder::new();
        row.extend([Datum::Text("advisory"), Datum::Int(i64::from(lock.database))]);
        row.extend([Datum::Null; 5]);
        row.push(Datum::Int(i64::from(lock.key.class)));
        row.push(Datum::Int(i64::from(lock.key.object)));
        row.push(Datum::Int(if lock.key.pair { 2 } else { 1 }));
        row.push(Datum::Null);
        row.push(Datum::Int(i64::from(lock.session)));
        row.push(Datum::Text(mode));
        row.push(Datum::Bool(lock.granted));
        row.push(Datum::Bool(false));
        row.push(Datum::Null);
        row.finish()
    };
    viewer.shared.advisory.list().iter().map(row).collect()
}

/// `pg_stat_ssl`
pub(super) fn stat_ssl(viewer: Viewer<'_>) -> Vec<Row> {
    let row = |backend: &Backend| {
        let mut row = RowBuilder::new();
        row.push(Datum::Int(i64::from(backend.pid)));
        row.push(Datum::Bool(backend.encrypted));
        row.extend([Datum::Null; 6]);
        row.finish()
    };
    viewer.shared.activity.backends().iter().map(|backend| row(backend)).collect()
}

/// `mz_sessions`
pub(super) fn sessions(viewer: Viewer<'_>) -> Vec<Row> {
    let row = |backend: &Backend| {
        let address = backend.client.map(|client| client.ip().to_canonical().to_string());
        Row::pack([
            Datum::Uuid(backend.session),
            Datum::Int(i64::from(backend.pid)),
            Datum::Text(&viewer.catalog.role_id(&backend.user)),
            address.as_deref().map_or(Datum::Null, Datum::Text),
            Datum::TimestampTz(backend.connected_at),
        ])
    };
    viewer.shared.activity.backends().iter().map(|backend| row(backend)).collect()
}

/// `mz_session_history`
pub(super) fn session_history(viewer: Viewer<'_>) -> Vec<Row> {
    let row = |backend: &Backend| {
        Row::pack([
            Datum::Uuid(backend.session),
            Datum::TimestampTz(backend.connected_at),
            Datum::Text(&backend.first_application),
            Datum::Text(&backend.user),
        ])
    };
    viewer.shared.activity.session_history().iter().map(|backend| row(backend)).collect()
}

fn push_texts<'a>(row: &mut RowBuilder, texts: impl ExactSizeIterator<Item = &'a String>) {
    let length = i32::try_from(texts.len()).unwrap_or(i32::MAX);
    let dimensions = if length == 0 { Vec::new() } else { vec![(length, 1)] };
    row.push_array(&dimensions, texts.map(|text| Datum::Text(text)));
}

/// `mz_recent_activity_log`
pub(super) fn activity_log(viewer: Viewer<'_>) -> Vec<Row> {
    let row = |logged: &LoggedStatement| {
        let visible = viewer.may_see(&logged.backend.user);
        let cluster = viewer.catalog.cluster(&logged.cluster).map(|cluster| cluster.id_text());
        let kind = logged.query.split_whitespace().next().unwrap_or_default().to_lowercase();
        let rows = logged.rows.and_then(|rows| i64::try_from(rows).ok());
        let error = logged.error.as_deref().filter(|_| visible);
        let mut row = RowBuilder::new();
        row.push(Datum::Uuid(logged.id));
        row.push(Datum::Float8(1.0));
        row.push(cluster.as_deref().map_or(Datum::Null, Datum::Text));
        row.push(Datum::Text(&logged.application));
        row.push(Datum::Text(&logged.cluster));
        row.push(Datum::Text(&logged.backend.database));
        push_texts(&mut row, logged.search_path.iter());
        row.push(Datum::Text("strict serializable"));
        row.push(Datum::Text(MZ_VERSION));
        row.push(Datum::TimestampTz(logged.began_at));
        row.push(Datum::TimestampTz(logged.finished_at));
        row.push(Datum::Text(if logged.error.is_some() { "error" } else { "success" }));
        row.push(error.map_or(Datum::Null, Datum::Text));
        row.push(rows.map_or(Datum::Null, Datum::Int));
        row.push(Datum::Uuid(logged.backend.session));
        row.push(Datum::Text(&kind));
        row.push(Datum::UInt(logged.throttled));
        row.push(Datum::TimestampTz(logged.backend.connected_at));
        row.push(Datum::Text(&logged.backend.first_application));
        row.push(Datum::Text(&logged.backend.user));
        row.push(Datum::Text(if visible { &logged.query } else { HIDDEN }));
        row.finish()
    };
    viewer.shared.activity.statements().iter().map(|logged| row(logged)).collect()
}

/// `mz_subscriptions`
pub(super) fn subscriptions(viewer: Viewer<'_>) -> Vec<Row> {
    let subscriptions = viewer.shared.activity.subscriptions();
    let rows = subscriptions.iter().map(|(id, listed)| {
        let cluster = viewer.catalog.cluster(&listed.cluster).map(|cluster| cluster.id_text());
        let bases: Vec<String> = listed.bases.iter().map(ToString::to_string).collect();
        let mut row = RowBuilder::new();
        row.push(Datum::Text(&id.to_string()));
        row.push(Datum::Uuid(listed.session));
        row.push(cluster.as_deref().map_or(Datum::Null, Datum::Text));
        row.push(Datum::TimestampTz(listed.created_at));
        push_texts(&mut row, bases.iter());
        row.finish()
    });
    rows.collect()
}

/// `mz_cluster_replica_metrics`: replicas are parts of one process and share its memory.
pub(super) fn replica_metrics(viewer: Viewer<'_>) -> Vec<Row> {
    let memory = crate::gauges::resident_bytes().map_or(Datum::Null, Datum::UInt);
    let disk = viewer.shared.ledger.bytes_on_disk().map_or(Datum::Null, Datum::UInt);
    let row = |id: &str| Row::pack([Datum::Text(id), Datum::UInt(0), Datum::Null, memory, disk]);
    let replicas = viewer.catalog.clusters().flat_map(|cluster| {
        let scope = if cluster.system { 's' } else { 'u' };
        cluster.replicas.iter().map(move |replica| format!("{scope}{}", replica.id))
    });
    replicas.map(|id| row(&id)).collect()
}
