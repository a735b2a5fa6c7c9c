//! `pg_catalog`: statistics and parts of a server that Tidemill does not have.

use super::super::{Builtin, Content};

/// Relations without rows.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 840,
        schema: "pg_catalog",
        name: "pg_stat_all_indexes",
        columns: "relid oid?, indexrelid oid?, schemaname name?, relname name?, indexrelname \
         name?, idx_scan int8?, idx_tup_read int8?, idx_tup_fetch int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 841,
        schema: "pg_catalog",
        name: "pg_stat_sys_indexes",
        columns: "relid oid?, indexrelid oid?, schemaname name?, relname name?, indexrelname \
         name?, idx_scan int8?, idx_tup_read int8?, idx_tup_fetch int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 842,
        schema: "pg_catalog",
        name: "pg_stat_sys_tables",
        columns: "relid oid?, schemaname name?, relname name?, seq_scan int8?, seq_tup_read int8?, \
         idx_scan int8?, idx_tup_fetch int8?, n_tup_ins int8?, n_tup_upd int8?, n_tup_del \
         int8?, n_tup_hot_upd int8?, n_live_tup int8?, n_dead_tup int8?, \
         n_mod_since_analyze int8?, n_ins_since_vacuum int8?, last_vacuum timestamptz?, \
         last_autovacuum timestamptz?, last_analyze timestamptz?, last_autoanalyze \
         timestamptz?, vacuum_count int8?, autovacuum_count int8?, analyze_count int8?, \
         autoanalyze_count int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 843,
        schema: "pg_catalog",
        name: "pg_statio_all_tables",
        columns: "relid oid?, schemaname name?, relname name?, heap_blks_read int8?, heap_blks_hit \
         int8?, idx_blks_read int8?, idx_blks_hit int8?, toast_blks_read int8?, \
         toast_blks_hit int8?, tidx_blks_read int8?, tidx_blks_hit int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 844,
        schema: "pg_catalog",
        name: "pg_statio_user_tables",
        columns: "relid oid?, schemaname name?, relname name?, heap_blks_read int8?, heap_blks_hit \
         int8?, idx_blks_read int8?, idx_blks_hit int8?, toast_blks_read int8?, \
         toast_blks_hit int8?, tidx_blks_read int8?, tidx_blks_hit int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 845,
        schema: "pg_catalog",
        name: "pg_statio_sys_tables",
        columns: "relid oid?, schemaname name?, relname name?, heap_blks_read int8?, heap_blks_hit \
         int8?, idx_blks_read int8?, idx_blks_hit int8?, toast_blks_read int8?, \
         toast_blks_hit int8?, tidx_blks_read int8?, tidx_blks_hit int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 846,
        schema: "pg_catalog",
        name: "pg_statio_all_indexes",
        columns: "relid oid?, indexrelid oid?, schemaname name?, relname name?, indexrelname \
         name?, idx_blks_read int8?, idx_blks_hit int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 847,
        schema: "pg_catalog",
        name: "pg_statio_user_indexes",
        columns: "relid oid?, indexrelid oid?, schemaname name?, relname name?, indexrelname \
         name?, idx_blks_read int8?, idx_blks_hit int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 848,
        schema: "pg_catalog",
        name: "pg_statio_sys_indexes",
        columns: "relid oid?, indexrelid oid?, schemaname name?, relname name?, indexrelname \
         name?, idx_blks_read int8?, idx_blks_hit int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 849,
        schema: "pg_catalog",
        name: "pg_statio_all_sequences",
        columns: "relid oid?, schemaname name?, relname name?, blks_read int8?, blks_hit int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 850,
        schema: "pg_catalog",
        name: "pg_statio_user_sequences",
        columns: "relid oid?, schemaname name?, relname name?, blks_read int8?, blks_hit int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 851,
        schema: "pg_catalog",
        name: "pg_stat_bgwriter",
        columns: "checkpoints_timed int8?, checkpoints_req int8?, checkpoint_write_time float8?, \
         checkpoint_sync_time float8?, buffers_checkpoint int8?, buffers_clean int8?, \
         maxwritten_clean int8?, buffers_backend int8?, buffers_backend_fsync int8?, \
         buffers_alloc int8?, stats_reset timestamptz?",
        content: Content::Empty,
    },
    Builtin {
        number: 852,
        schema: "pg_catalog",
        name: "pg_stat_archiver",
        columns: "archived_count int8?, last_archived_wal text?, last_archived_time timestamptz?, \
         failed_count int8?, last_failed_wal text?, last_failed_time timestamptz?, \
         stats_reset timestamptz?",
        content: Content::Empty,
    },
    Builtin {
        number: 853,
        schema: "pg_catalog",
        name: "pg_stat_database_conflicts",
        columns: "datid oid?, datname name?, confl_tablespace int8?, confl_lock int8?, \
         confl_snapshot int8?, confl_bufferpin int8?, confl_deadlock int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 854,
        schema: "pg_catalog",
        name: "pg_stat_gssapi",
        columns: "pid int4?, gss_authenticated bool?, principal text?, encrypted bool?",
        content: Content::Empty,
    },
    Builtin {
        number: 855,
        schema: "pg_catalog",
        name: "pg_stat_progress_vacuum",
        columns: "pid int4?, datid oid?, datname name?, relid oid?, phase text?, heap_blks_total \
         int8?, heap_blks_scanned int8?, heap_blks_vacuumed int8?, index_vacuum_count \
         int8?, max_dead_tuples int8?, num_dead_tuples int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 856,
        schema: "pg_catalog",
        name: "pg_stat_progress_analyze",
        columns: "pid int4?, datid oid?, datname name?, relid oid?, phase text?, sample_blks_total \
         int8?, sample_blks_scanned int8?, ext_stats_total int8?, ext_stats_computed \
         int8?, child_tables_total int8?, child_tables_done int8?, \
         current_child_table_relid oid?",
        content: Content::Empty,
    },
    Builtin {
        number: 857,
        schema: "pg_catalog",
        name: "pg_stat_progress_create_index",
        columns: "pid int4?, datid oid?, datname name?, relid oid?, index_relid oid?, command \
         text?, phase text?, lockers_total int8?, lockers_done int8?, current_locker_pid \
         int8?, blocks_total int8?, blocks_done int8?, tuples_total int8?, tuples_done \
         int8?, partitions_total int8?, partitions_done int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 858,
        schema: "pg_catalog",
        name: "pg_stat_progress_copy",
        columns: "pid int4?, datid oid?, datname name?, relid oid?, command text?, type text?, \
         bytes_processed int8?, bytes_total int8?, tuples_processed int8?, \
         tuples_excluded int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 859,
        schema: "pg_catalog",
        name: "pg_stat_replication_slots",
        columns: "slot_name text?, spill_txns int8?, spill_count int8?, spill_bytes int8?, \
         stream_txns int8?, stream_count int8?, stream_bytes int8?, total_txns int8?, \
         total_bytes int8?, stats_reset timestamptz?",
        content: Content::Empty,
    },
    Builtin {
        number: 860,
        schema: "pg_catalog",
        name: "pg_stat_slru",
        columns: "name text?, blks_zeroed int8?, blks_hit int8?, blks_read int8?, blks_written \
         int8?, blks_exists int8?, flushes int8?, truncates int8?, stats_reset \
         timestamptz?",
        content: Content::Empty,
    },
    Builtin {
        number: 861,
        schema: "pg_catalog",
        name: "pg_stat_subscription",
        columns: "subid oid?, subname name?, pid int4?, relid oid?, received_lsn pg_lsn?, \
         last_msg_send_time timestamptz?, last_msg_receipt_time timestamptz?, \
         latest_end_lsn pg_lsn?, latest_end_time timestamptz?",
        content: Content::Empty,
    },
    Builtin {
        number: 862,
        schema: "pg_catalog",
        name: "pg_stat_user_functions",
        columns: "funcid oid?, schemaname name?, funcname name?, calls int8?, total_time float8?, \
         self_time float8?",
        content: Content::Empty,
    },
    Builtin {
        number: 863,
        schema: "pg_catalog",
        name: "pg_stat_wal",
        columns: "wal_records int8?, wal_fpi int8?, wal_bytes numeric?, wal_buffers_full int8?, \
         wal_write int8?, wal_sync int8?, wal_write_time float8?, wal_sync_time float8?, \
         stats_reset timestamptz?",
        content: Content::Empty,
    },
    Builtin {
        number: 864,
        schema: "pg_catalog",
        name: "pg_stat_wal_receiver",
        columns: "pid int4?, status text?, receive_start_lsn pg_lsn?, receive_start_tli int4?, \
         written_lsn pg_lsn?, flushed_lsn pg_lsn?, received_tli int4?, last_msg_send_time \
         timestamptz?, last_msg_receipt_time timestamptz?, latest_end_lsn pg_lsn?, \
         latest_end_time timestamptz?, slot_name text?, sender_host text?, sender_port \
         int4?, conninfo text?",
        content: Content::Empty,
    },
    Builtin {
        number: 865,
        schema: "pg_catalog",
        name: "pg_stat_xact_user_tables",
        columns: "relid oid?, schemaname name?, relname name?, seq_scan int8?, seq_tup_read int8?, \
         idx_scan int8?, idx_tup_fetch int8?, n_tup_ins int8?, n_tup_upd int8?, n_tup_del \
         int8?, n_tup_hot_upd int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 866,
        schema: "pg_catalog",
        name: "pg_stat_xact_all_tables",
        columns: "relid oid?, schemaname name?, relname name?, seq_scan int8?, seq_tup_read int8?, \
         idx_scan int8?, idx_tup_fetch int8?, n_tup_ins int8?, n_tup_upd int8?, n_tup_del \
         int8?, n_tup_hot_upd int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 867,
        schema: "pg_catalog",
        name: "pg_available_extension_versions",
        columns: "name name?, version text?, installed bool?, superuser bool?, trusted bool?, \
         relocatable bool?, schema name?, requires name[]?, comment text?",
        content: Content::Empty,
    },
    Builtin {
        number: 868,
        schema: "pg_catalog",
        name: "pg_config",
        columns: "name text?, setting text?",
        content: Content::Empty,
    },
    Builtin {
        number: 869,
        schema: "pg_catalog",
        name: "pg_file_settings",
        columns: "sourcefile text?, sourceline int4?, seqno int4?, name text?, setting text?, \
         applied bool?, error text?",
        content: Content::Empty,
    },
    Builtin {
        number: 870,
        schema: "pg_catalog",
        name: "pg_hba_file_rules",
        columns: "line_number int4?, type text?, database text[]?, user_name text[]?, address \
         text?, netmask text?, auth_method text?, options text[]?, error text?",
        content: Content::Empty,
    },
    Builtin {
        number: 871,
        schema: "pg_catalog",
        name: "pg_ident_file_mappings",
        columns: "line_number int4?, map_name text?, sys_name text?, pg_username text?, error \
         text?",
        content: Content::Empty,
    },
    Builtin {
        number: 872,
        schema: "pg_catalog",
        name: "pg_init_privs",
        columns: "objoid oid, classoid oid, objsubid int4, privtype char, initprivs text[]",
        content: Content::Empty,
    },
    Builtin {
        number: 873,
        schema: "pg_catalog",
        name: "pg_largeobject",
        columns: "loid oid, pageno int4, data bytea",
        content: Content::Empty,
    },
    Builtin {
        number: 874,
        schema: "pg_catalog",
        name: "pg_replication_origin",
        columns: "roident oid, roname text",
        content: Content::Empty,
    },
    Builtin {
        number: 875,
        schema: "pg_catalog",
        name: "pg_replication_origin_status",
        columns: "local_id oid?, external_id text?, remote_lsn pg_lsn?, local_lsn pg_lsn?",
        content: Content::Empty,
    },
    Builtin {
        number: 876,
        schema: "pg_catalog",
        name: "pg_shmem_allocations",
        columns: "name text?, off int8?, size int8?, allocated_size int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 877,
        schema: "pg_catalog",
        name: "pg_shseclabel",
        columns: "objoid oid, classoid oid, provider text, label text",
        content: Content::Empty,
    },
    Builtin {
        number: 878,
        schema: "pg_catalog",
        name: "pg_subscription_rel",
        columns: "srsubid oid, srrelid oid, srsubstate char, srsublsn pg_lsn?",
        content: Content::Empty,
    },
    Builtin {
        number: 879,
        schema: "pg_catalog",
        name: "pg_transform",
        columns: "oid oid, trftype oid, trflang oid, trffromsql regproc, trftosql regproc",
        content: Content::Empty,
    },
    Builtin {
        number: 880,
        schema: "pg_catalog",
        name: "pg_ts_config_map",
        columns: "mapcfg oid, maptokentype int4, mapseqno int4, mapdict oid",
        content: Content::Empty,
    },
    Builtin {
        number: 881,
        schema: "pg_catalog",
        name: "pg_stats_ext_exprs",
        columns: "schemaname name?, tablename name?, statistics_schemaname name?, statistics_name \
         name?, statistics_owner name?, expr text?, inherited bool?, null_frac float4?, \
         avg_width int4?, n_distinct float4?, most_common_vals text?, most_common_freqs \
         float4[]?, histogram_bounds text?, correlation float4?, most_common_elems text?, \
         most_common_elem_freqs float4[]?, elem_count_histogram float4[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 882,
        schema: "pg_catalog",
        name: "pg_parameter_acl",
        columns: "oid oid, parname text, paracl text[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 883,
        schema: "pg_catalog",
        name: "pg_backend_memory_contexts",
        columns: "name text?, ident text?, parent text?, level int4?, total_bytes int8?, \
         total_nblocks int8?, free_bytes int8?, free_chunks int8?, used_bytes int8?",
        content: Content::Empty,
    },
];
