//! `pg_catalog`: sessions, locks and statistics, which are not reported yet.

use super::super::{Builtin, Content};

/// Relations without rows.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 445,
        schema: "pg_catalog",
        name: "pg_stat_activity",
        columns: "datid oid?, datname name?, pid int4?, leader_pid int4?, usesysid oid?, \
         usename name?, application_name text?, client_addr text?, client_hostname text?, \
         client_port int4?, backend_start timestamptz?, xact_start timestamptz?, \
         query_start timestamptz?, state_change timestamptz?, wait_event_type text?, \
         wait_event text?, state text?, backend_xid int8?, backend_xmin int8?, \
         query_id int8?, query text?, backend_type text?",
        content: Content::Empty,
    },
    Builtin {
        number: 446,
        schema: "pg_catalog",
        name: "pg_locks",
        columns: "locktype text?, database oid?, relation oid?, page int4?, tuple int2?, \
         virtualxid text?, transactionid int8?, classid oid?, objid oid?, objsubid int2?, \
         virtualtransaction text?, pid int4?, mode text?, granted bool?, fastpath bool?, \
         waitstart timestamptz?",
        content: Content::Empty,
    },
    Builtin {
        number: 447,
        schema: "pg_catalog",
        name: "pg_cursors",
        columns: "name text?, statement text?, is_holdable bool?, is_binary bool?, \
         is_scrollable bool?, creation_time timestamptz?",
        content: Content::Empty,
    },
    Builtin {
        number: 448,
        schema: "pg_catalog",
        name: "pg_prepared_statements",
        columns: "name text?, statement text?, prepare_time timestamptz?, \
         parameter_types regtype[]?, from_sql bool?, generic_plans int8?, \
         custom_plans int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 449,
        schema: "pg_catalog",
        name: "pg_prepared_xacts",
        columns: "transaction int8?, gid text?, prepared timestamptz?, owner name?, database name?",
        content: Content::Empty,
    },
    Builtin {
        number: 452,
        schema: "pg_catalog",
        name: "pg_db_role_setting",
        columns: "setdatabase oid, setrole oid, setconfig text[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 453,
        schema: "pg_catalog",
        name: "pg_stat_user_tables",
        columns: "relid oid?, schemaname name?, relname name?, seq_scan int8?, seq_tup_read int8?, \
         idx_scan int8?, idx_tup_fetch int8?, n_tup_ins int8?, n_tup_upd int8?, \
         n_tup_del int8?, n_tup_hot_upd int8?, n_live_tup int8?, n_dead_tup int8?, \
         n_mod_since_analyze int8?, n_ins_since_vacuum int8?, last_vacuum timestamptz?, \
         last_autovacuum timestamptz?, last_analyze timestamptz?, \
         last_autoanalyze timestamptz?, vacuum_count int8?, autovacuum_count int8?, \
         analyze_count int8?, autoanalyze_count int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 454,
        schema: "pg_catalog",
        name: "pg_stat_all_tables",
        columns: "relid oid?, schemaname name?, relname name?, seq_scan int8?, seq_tup_read int8?, \
         idx_scan int8?, idx_tup_fetch int8?, n_tup_ins int8?, n_tup_upd int8?, \
         n_tup_del int8?, n_tup_hot_upd int8?, n_live_tup int8?, n_dead_tup int8?, \
         n_mod_since_analyze int8?, n_ins_since_vacuum int8?, last_vacuum timestamptz?, \
         last_autovacuum timestamptz?, last_analyze timestamptz?, \
         last_autoanalyze timestamptz?, vacuum_count int8?, autovacuum_count int8?, \
         analyze_count int8?, autoanalyze_count int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 455,
        schema: "pg_catalog",
        name: "pg_stat_user_indexes",
        columns: "relid oid?, indexrelid oid?, schemaname name?, relname name?, indexrelname name?, \
         idx_scan int8?, idx_tup_read int8?, idx_tup_fetch int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 456,
        schema: "pg_catalog",
        name: "pg_stat_database",
        columns: "datid oid?, datname name?, numbackends int4?, xact_commit int8?, \
         xact_rollback int8?, blks_read int8?, blks_hit int8?, tup_returned int8?, \
         tup_fetched int8?, tup_inserted int8?, tup_updated int8?, tup_deleted int8?, \
         conflicts int8?, temp_files int8?, temp_bytes int8?, deadlocks int8?, \
         checksum_failures int8?, checksum_last_failure timestamptz?, \
         blk_read_time float8?, blk_write_time float8?, session_time float8?, \
         active_time float8?, idle_in_transaction_time float8?, sessions int8?, \
         sessions_abandoned int8?, sessions_fatal int8?, sessions_killed int8?, \
         stats_reset timestamptz?",
        content: Content::Empty,
    },
    Builtin {
        number: 457,
        schema: "pg_catalog",
        name: "pg_available_extensions",
        columns: "name name?, default_version text?, installed_version text?, comment text?",
        content: Content::Empty,
    },
];
