//! Relations whose rows the running server computes when they are read: sessions, what they do,
//! how far dataflows are. Where one is maintained, it is sampled about once a second.

use super::{Builtin, Content};

/// `pg_catalog.pg_settings`
pub const SETTINGS: u64 = 313;
/// `pg_catalog.pg_stat_activity`
pub const STAT_ACTIVITY: u64 = 445;
/// `pg_catalog.pg_locks`
pub const LOCKS: u64 = 446;
/// `pg_catalog.pg_cursors`
pub const CURSORS: u64 = 447;
/// `pg_catalog.pg_prepared_statements`
pub const PREPARED_STATEMENTS: u64 = 448;
/// `pg_catalog.pg_stat_database`
pub const STAT_DATABASE: u64 = 456;
/// `pg_catalog.pg_timezone_names`
pub const TIMEZONE_NAMES: u64 = 800;
/// `pg_catalog.pg_stat_ssl`
pub const STAT_SSL: u64 = 801;
/// `mz_internal.mz_sessions`
pub const SESSIONS: u64 = 810;
/// `mz_internal.mz_session_history`
pub const SESSION_HISTORY: u64 = 811;
/// `mz_internal.mz_recent_activity_log`
pub const ACTIVITY_LOG: u64 = 812;
/// `mz_internal.mz_subscriptions`
pub const SUBSCRIPTIONS: u64 = 813;
/// `mz_internal.mz_hydration_statuses`
pub const HYDRATION_STATUSES: u64 = 814;
/// `mz_internal.mz_compute_hydration_statuses`
pub const COMPUTE_HYDRATION_STATUSES: u64 = 815;
/// `mz_internal.mz_frontiers`
pub const FRONTIERS: u64 = 816;
/// `mz_internal.mz_wallclock_global_lag`
pub const WALLCLOCK_LAG: u64 = 817;
/// `mz_internal.mz_materialization_lag`
pub const MATERIALIZATION_LAG: u64 = 818;
/// `mz_internal.mz_cluster_replica_metrics`
pub const REPLICA_METRICS: u64 = 819;
/// `mz_internal.mz_wallclock_global_lag_recent_history`
pub const LAG_HISTORY: u64 = 820;
/// `mz_internal.mz_show_my_object_privileges`
pub const MY_OBJECT_PRIVILEGES: u64 = 830;
/// `mz_internal.mz_show_all_my_privileges`
pub const ALL_MY_PRIVILEGES: u64 = 831;
/// `mz_internal.mz_show_my_role_members`
pub const MY_ROLE_MEMBERS: u64 = 832;
/// `mz_internal.mz_show_my_cluster_privileges`
pub const MY_CLUSTER_PRIVILEGES: u64 = 833;
/// `mz_internal.mz_show_my_database_privileges`
pub const MY_DATABASE_PRIVILEGES: u64 = 834;
/// `mz_internal.mz_show_my_schema_privileges`
pub const MY_SCHEMA_PRIVILEGES: u64 = 835;
/// `mz_internal.mz_show_my_system_privileges`
pub const MY_SYSTEM_PRIVILEGES: u64 = 836;
/// `mz_internal.mz_show_my_default_privileges`
pub const MY_DEFAULT_PRIVILEGES: u64 = 837;

/// `mz_internal.mz_cluster_replica_statuses`
pub const REPLICA_STATUSES: u64 = 260;
/// `mz_internal.mz_cluster_replica_status_history`
pub const REPLICA_STATUS_HISTORY: u64 = 821;
/// `mz_internal.mz_session_settings`
pub const SESSION_SETTINGS: u64 = 838;

/// `mz_internal.mz_materialized_view_refreshes`
pub const REFRESHES: u64 = 1100;

/// Those that are about the session that reads them, and cannot be maintained.
const OF_SESSION: &[u64] = &[
    SETTINGS,
    SESSION_SETTINGS,
    CURSORS,
    PREPARED_STATEMENTS,
    MY_OBJECT_PRIVILEGES,
    ALL_MY_PRIVILEGES,
    MY_ROLE_MEMBERS,
    MY_CLUSTER_PRIVILEGES,
    MY_DATABASE_PRIVILEGES,
    MY_SCHEMA_PRIVILEGES,
    MY_SYSTEM_PRIVILEGES,
    MY_DEFAULT_PRIVILEGES,
];

/// Whether a relation tells of the session that reads it.
pub fn is_of_session(id: tidemill_repr::ObjectId) -> bool {
    matches!(id, tidemill_repr::ObjectId::System(number) if OF_SESSION.contains(&number))
}

const fn live(
    number: u64,
    schema: &'static str,
    name: &'static str,
    columns: &'static str,
) -> Builtin {
    Builtin { number, schema, name, columns, content: Content::Live }
}

/// The relations.
pub(super) const RELATIONS: &[Builtin] = &[
    live(
        SETTINGS,
        "pg_catalog",
        "pg_settings",
        "name text, setting text?, unit text?, category text?, short_desc text?, \
         extra_desc text?, context text?, vartype text?, source text, min_val text?, \
         max_val text?, enumvals text[]?, boot_val text?, reset_val text?, \
         sourcefile text?, sourceline int4?, pending_restart bool",
    ),
    live(SESSION_SETTINGS, "mz_internal", "mz_session_settings", "name text, value text"),
    live(
        STAT_ACTIVITY,
        "pg_catalog",
        "pg_stat_activity",
        "datid oid?, datname name?, pid int4, leader_pid int4?, usesysid oid?, \
         usename name?, application_name text?, client_addr inet?, client_hostname text?, \
         client_port int4?, backend_start timestamptz?, xact_start timestamptz?, \
         query_start timestamptz?, state_change timestamptz?, wait_event_type text?, \
         wait_event text?, state text?, backend_xid xid?, backend_xmin xid?, \
         query_id int8?, query text?, backend_type text?",
    ),
    live(
        CURSORS,
        "pg_catalog",
        "pg_cursors",
        "name text, statement text?, is_holdable bool, is_binary bool, \
         is_scrollable bool, creation_time timestamptz?",
    ),
    live(
        PREPARED_STATEMENTS,
        "pg_catalog",
        "pg_prepared_statements",
        "name text, statement text, prepare_time timestamptz?, \
         parameter_types regtype[], result_types regtype[]?, from_sql bool?, \
         generic_plans int8?, custom_plans int8?",
    ),
    live(
        STAT_DATABASE,
        "pg_catalog",
        "pg_stat_database",
        "datid oid, datname name, numbackends int4, xact_commit int8?, \
         xact_rollback int8?, blks_read int8?, blks_hit int8?, tup_returned int8?, \
         tup_fetched int8?, tup_inserted int8?, tup_updated int8?, tup_deleted int8?, \
         conflicts int8?, temp_files int8?, temp_bytes int8?, deadlocks int8?, \
         checksum_failures int8?, checksum_last_failure timestamptz?, \
         blk_read_time float8?, blk_write_time float8?, session_time float8?, \
         active_time float8?, idle_in_transaction_time float8?, sessions int8?, \
         sessions_abandoned int8?, sessions_fatal int8?, sessions_killed int8?, \
         stats_reset timestamptz?",
    ),
    live(
        TIMEZONE_NAMES,
        "pg_catalog",
        "pg_timezone_names",
        "name text, abbrev text, utc_offset interval, is_dst bool",
    ),
    live(
        STAT_SSL,
        "pg_catalog",
        "pg_stat_ssl",
        "pid int4, ssl bool, version text?, cipher text?, bits int4?, client_dn text?, \
         client_serial numeric?, issuer_dn text?",
    ),
    live(
        SESSIONS,
        "mz_internal",
        "mz_sessions",
        "id uuid, connection_id uint4, role_id text, client_ip text?, connected_at timestamptz",
    ),
    live(
        REFRESHES,
        "mz_internal",
        "mz_materialized_view_refreshes",
        "materialized_view_id text, last_completed_refresh mz_timestamp?, \
         next_refresh mz_timestamp?",
    ),
    live(
        SESSION_HISTORY,
        "mz_internal",
        "mz_session_history",
        "session_id uuid, connected_at timestamptz, initial_application_name text, \
         authenticated_user text",
    ),
    live(
        ACTIVITY_LOG,
        "mz_internal",
        "mz_recent_activity_log",
        "execution_id uuid, sample_rate float8, cluster_id text?, application_name text, \
         cluster_name text, database_name text, search_path text[], \
         transaction_isolation text, mz_version text, began_at timestamptz, \
         finished_at timestamptz, finished_status text, error_message text?, \
         rows_returned int8?, session_id uuid, statement_type text, throttled_count uint8, \
         connected_at timestamptz, initial_application_name text, authenticated_user text, \
         sql text",
    ),
    live(
        SUBSCRIPTIONS,
        "mz_internal",
        "mz_subscriptions",
        "id text, session_id uuid, cluster_id text?, created_at timestamptz, \
         referenced_object_ids text[]",
    ),
    live(
        HYDRATION_STATUSES,
        "mz_internal",
        "mz_hydration_statuses",
        "object_id text, replica_id text?, hydrated bool",
    ),
    live(
        COMPUTE_HYDRATION_STATUSES,
        "mz_internal",
        "mz_compute_hydration_statuses",
        "object_id text, replica_id text?, hydrated bool",
    ),
    live(
        FRONTIERS,
        "mz_internal",
        "mz_frontiers",
        "object_id text, read_frontier mz_timestamp?, write_frontier mz_timestamp?",
    ),
    live(WALLCLOCK_LAG, "mz_internal", "mz_wallclock_global_lag", "object_id text, lag interval?"),
    live(
        LAG_HISTORY,
        "mz_internal",
        "mz_wallclock_global_lag_recent_history",
        "object_id text, lag interval?, occurred_at timestamptz",
    ),
    live(
        MATERIALIZATION_LAG,
        "mz_internal",
        "mz_materialization_lag",
        "object_id text, local_lag interval?, global_lag interval?, \
         slowest_local_input_id text?, slowest_global_input_id text?",
    ),
    live(
        REPLICA_METRICS,
        "mz_internal",
        "mz_cluster_replica_metrics",
        "replica_id text, process_id uint8, cpu_nano_cores uint8?, memory_bytes uint8?, \
         disk_bytes uint8?",
    ),
    live(
        REPLICA_STATUSES,
        "mz_internal",
        "mz_cluster_replica_statuses",
        "replica_id text, process_id uint8, status text, reason text?, updated_at timestamptz",
    ),
    live(
        REPLICA_STATUS_HISTORY,
        "mz_internal",
        "mz_cluster_replica_status_history",
        "replica_id text, process_id uint8, status text, reason text?, occurred_at timestamptz",
    ),
    live(
        MY_OBJECT_PRIVILEGES,
        "mz_internal",
        "mz_show_my_object_privileges",
        "grantor text, grantee text, database text?, schema text?, name text?, \
         object_type text, privilege_type text",
    ),
    live(
        ALL_MY_PRIVILEGES,
        "mz_internal",
        "mz_show_all_my_privileges",
        "grantor text, grantee text, database text?, schema text?, name text?, \
         object_type text, privilege_type text",
    ),
    live(
        MY_ROLE_MEMBERS,
        "mz_internal",
        "mz_show_my_role_members",
        "role text, member text, grantor text",
    ),
    live(
        MY_CLUSTER_PRIVILEGES,
        "mz_internal",
        "mz_show_my_cluster_privileges",
        "grantor text, grantee text, name text?, privilege_type text",
    ),
    live(
        MY_DATABASE_PRIVILEGES,
        "mz_internal",
        "mz_show_my_database_privileges",
        "grantor text, grantee text, name text?, privilege_type text",
    ),
    live(
        MY_SCHEMA_PRIVILEGES,
        "mz_internal",
        "mz_show_my_schema_privileges",
        "grantor text, grantee text, database text?, name text?, privilege_type text",
    ),
    live(
        MY_SYSTEM_PRIVILEGES,
        "mz_internal",
        "mz_show_my_system_privileges",
        "grantor text, grantee text, privilege_type text",
    ),
    live(
        MY_DEFAULT_PRIVILEGES,
        "mz_internal",
        "mz_show_my_default_privileges",
        "object_owner text, database text?, schema text?, object_type text, \
         grantee text, privilege_type text",
    ),
];
