//! `pg_catalog`: publications, subscriptions, foreign data and event triggers, none of which Tidemill has.

use super::super::{Builtin, Content};

/// Relations without rows.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 419,
        schema: "pg_catalog",
        name: "pg_publication",
        columns: "oid oid, pubname name, pubowner oid, puballtables bool, pubinsert bool, \
         pubupdate bool, pubdelete bool, pubtruncate bool, pubviaroot bool",
        content: Content::Empty,
    },
    Builtin {
        number: 420,
        schema: "pg_catalog",
        name: "pg_publication_rel",
        columns: "oid oid, prpubid oid, prrelid oid, prqual text?, prattrs int2[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 421,
        schema: "pg_catalog",
        name: "pg_publication_namespace",
        columns: "oid oid, pnpubid oid, pnnspid oid",
        content: Content::Empty,
    },
    Builtin {
        number: 422,
        schema: "pg_catalog",
        name: "pg_publication_tables",
        columns: "pubname name?, schemaname name?, tablename name?, attnames name[]?, \
         rowfilter text?",
        content: Content::Empty,
    },
    Builtin {
        number: 423,
        schema: "pg_catalog",
        name: "pg_subscription",
        columns: "oid oid, subdbid oid, subskiplsn text, subname name, subowner oid, \
         subenabled bool, subbinary bool, substream bool, subtwophasestate char, \
         subdisableonerr bool, subconninfo text, subslotname name?, subsynccommit text, \
         subpublications text[]",
        content: Content::Empty,
    },
    Builtin {
        number: 424,
        schema: "pg_catalog",
        name: "pg_replication_slots",
        columns: "slot_name name?, plugin name?, slot_type text?, datoid oid?, database name?, \
         temporary bool?, active bool?, active_pid int4?, xmin int8?, catalog_xmin int8?, \
         restart_lsn text?, confirmed_flush_lsn text?, wal_status text?, \
         safe_wal_size int8?, two_phase bool?",
        content: Content::Empty,
    },
    Builtin {
        number: 425,
        schema: "pg_catalog",
        name: "pg_stat_replication",
        columns: "pid int4?, usesysid oid?, usename name?, application_name text?, \
         client_addr text?, client_hostname text?, client_port int4?, \
         backend_start timestamptz?, backend_xmin int8?, state text?, sent_lsn text?, \
         write_lsn text?, flush_lsn text?, replay_lsn text?, write_lag interval?, \
         flush_lag interval?, replay_lag interval?, sync_priority int4?, sync_state text?, \
         reply_time timestamptz?",
        content: Content::Empty,
    },
    Builtin {
        number: 426,
        schema: "pg_catalog",
        name: "pg_foreign_table",
        columns: "ftrelid oid, ftserver oid, ftoptions text[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 427,
        schema: "pg_catalog",
        name: "pg_foreign_server",
        columns: "oid oid, srvname name, srvowner oid, srvfdw oid, srvtype text?, srvversion text?, \
         srvacl text[]?, srvoptions text[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 428,
        schema: "pg_catalog",
        name: "pg_foreign_data_wrapper",
        columns: "oid oid, fdwname name, fdwowner oid, fdwhandler oid, fdwvalidator oid, \
         fdwacl text[]?, fdwoptions text[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 429,
        schema: "pg_catalog",
        name: "pg_user_mapping",
        columns: "oid oid, umuser oid, umserver oid, umoptions text[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 430,
        schema: "pg_catalog",
        name: "pg_user_mappings",
        columns: "umid oid?, srvid oid?, srvname name?, umuser oid?, usename name?, \
         umoptions text[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 431,
        schema: "pg_catalog",
        name: "pg_event_trigger",
        columns: "oid oid, evtname name, evtevent name, evtowner oid, evtfoid oid, evtenabled char, \
         evttags text[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 432,
        schema: "pg_catalog",
        name: "pg_largeobject_metadata",
        columns: "oid oid, lomowner oid, lomacl text[]?",
        content: Content::Empty,
    },
];
