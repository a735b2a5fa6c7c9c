//! Relations that dashboards and tools know, made of others here; and those about what there is
//! nothing of yet.

use super::{Builtin, Content};

const fn view(
    number: u64,
    schema: &'static str,
    name: &'static str,
    columns: &'static str,
    query: &'static str,
) -> Builtin {
    Builtin { number, schema, name, columns, content: Content::View(query) }
}

const fn empty(
    number: u64,
    schema: &'static str,
    name: &'static str,
    columns: &'static str,
) -> Builtin {
    Builtin { number, schema, name, columns, content: Content::Empty }
}

/// The relations.
pub(super) const RELATIONS: &[Builtin] = &[
    view(
        1110,
        "mz_catalog",
        "mz_timezone_abbreviations",
        "abbreviation text, utc_offset interval?, dst bool?, timezone_name text?",
        "SELECT abbrev AS abbreviation, utc_offset, is_dst AS dst, NULL::text AS timezone_name \
         FROM pg_catalog.pg_timezone_abbrevs",
    ),
    view(
        1111,
        "mz_catalog",
        "mz_cluster_replica_frontiers",
        "object_id text, replica_id text, write_frontier mz_timestamp?",
        "SELECT f.object_id, r.id AS replica_id, f.write_frontier \
         FROM mz_internal.mz_frontiers f \
         JOIN mz_catalog.mz_objects o ON o.id = f.object_id \
         JOIN mz_catalog.mz_cluster_replicas r ON r.cluster_id = o.cluster_id",
    ),
    // A replica has no memory or disk of its own that it could use up.
    view(
        1112,
        "mz_internal",
        "mz_cluster_replica_utilization",
        "replica_id text, process_id uint8, cpu_percent float8?, memory_percent float8?, \
         disk_percent float8?",
        "SELECT m.replica_id, m.process_id, \
         m.cpu_nano_cores::float8 / s.cpu_nano_cores::float8 * 100 AS cpu_percent, \
         m.memory_bytes::float8 / s.memory_bytes::float8 * 100 AS memory_percent, \
         m.disk_bytes::float8 / s.disk_bytes::float8 * 100 AS disk_percent \
         FROM mz_internal.mz_cluster_replica_metrics m \
         JOIN mz_catalog.mz_cluster_replicas r ON r.id = m.replica_id \
         JOIN mz_catalog.mz_cluster_replica_sizes s ON s.size = r.size",
    ),
    view(
        1113,
        "mz_internal",
        "mz_cluster_workload_classes",
        "id text, workload_class text?",
        "SELECT id, NULL::text AS workload_class FROM mz_catalog.mz_clusters",
    ),
    view(
        1114,
        "mz_internal",
        "mz_wallclock_global_lag_history",
        "object_id text, lag interval?, occurred_at timestamptz",
        "SELECT object_id, lag, occurred_at \
         FROM mz_internal.mz_wallclock_global_lag_recent_history",
    ),
    view(
        1115,
        "mz_internal",
        "mz_source_statistics_with_history",
        "id text, replica_id text?, messages_received int8, bytes_received int8, \
         updates_staged int8, updates_committed int8, records_indexed int8?, \
         bytes_indexed int8?, rehydration_latency interval?, \
         snapshot_records_known int8?, snapshot_records_staged int8?, \
         snapshot_committed bool, offset_known int8?, offset_committed int8?",
        "SELECT * FROM mz_internal.mz_source_statistics",
    ),
    view(
        1116,
        "mz_catalog",
        "mz_pseudo_types",
        "id text",
        "SELECT id FROM mz_catalog.mz_types WHERE category = 'pseudo'",
    ),
    empty(1120, "mz_catalog", "mz_kafka_sinks", "id text, topic text"),
    empty(
        1121,
        "mz_internal",
        "mz_sink_statuses",
        "id text, name text, type text, last_status_change_at timestamptz?, status text, \
         error text?, details jsonb?",
    ),
    empty(
        1122,
        "mz_internal",
        "mz_sink_status_history",
        "occurred_at timestamptz, sink_id text, status text, error text?, details jsonb?, \
         replica_id text?",
    ),
    empty(
        1123,
        "mz_internal",
        "mz_sink_statistics",
        "id text, replica_id text?, messages_staged uint8, messages_committed uint8, \
         bytes_staged uint8, bytes_committed uint8",
    ),
];
