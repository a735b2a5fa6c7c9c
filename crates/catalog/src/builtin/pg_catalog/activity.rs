//! `pg_catalog`: locks, of which there are only advisory ones, and statistics that nobody keeps.

use super::super::{Builtin, Content};

/// Relations without rows.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 446,
        schema: "pg_catalog",
        name: "pg_locks",
        columns: "locktype text?, database oid?, relation oid?, page int4?, tuple int2?, \
         virtualxid text?, transactionid int8?, classid oid?, objid oid?, objsubid int2?, \
         virtualtransaction text?, pid int4?, mode text?, granted bool?, fastpath bool?, \
         waitstart timestamptz?",
        content: Content::Live,
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
        number: 457,
        schema: "pg_catalog",
        name: "pg_available_extensions",
        columns: "name name?, default_version text?, installed_version text?, comment text?",
        content: Content::Empty,
    },
];
