//! `pg_catalog`: views over its tables.

use super::super::{Builtin, Content};

/// The relations.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 330,
        schema: "pg_catalog",
        name: "pg_tables",
        columns: "schemaname name?, tablename name, tableowner name?, tablespace name?, \
                  hasindexes bool, hasrules bool, hastriggers bool, rowsecurity bool, \
                  database_name name?",
        content: Content::View(
            "SELECT n.nspname AS schemaname, c.relname AS tablename, r.rolname AS tableowner, \
             NULL::name AS tablespace, c.relhasindex AS hasindexes, c.relhasrules AS hasrules, \
             c.relhastriggers AS hastriggers, c.relrowsecurity AS rowsecurity, c.database_name \
             FROM pg_catalog.pg_class c \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = c.relowner \
             WHERE c.relkind = 'r'",
        ),
    },
    Builtin {
        number: 331,
        schema: "pg_catalog",
        name: "pg_views",
        columns: "schemaname name?, viewname name, viewowner name?, definition text?, \
                  database_name name?",
        content: Content::View(
            "SELECT n.nspname AS schemaname, c.relname AS viewname, r.rolname AS viewowner, \
             d.definition, c.database_name \
             FROM pg_catalog.pg_class c \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = c.relowner \
             LEFT JOIN mz_internal.mz_definitions d ON d.oid = c.oid AND d.position = 0 \
             WHERE c.relkind = 'v'",
        ),
    },
    Builtin {
        number: 332,
        schema: "pg_catalog",
        name: "pg_matviews",
        columns: "schemaname name?, matviewname name, matviewowner name?, tablespace name?, \
                  hasindexes bool, ispopulated bool, definition text?, database_name name?",
        content: Content::View(
            "SELECT n.nspname AS schemaname, c.relname AS matviewname, \
             r.rolname AS matviewowner, NULL::name AS tablespace, c.relhasindex AS hasindexes, \
             c.relispopulated AS ispopulated, d.definition, c.database_name \
             FROM pg_catalog.pg_class c \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = c.relowner \
             LEFT JOIN mz_internal.mz_definitions d ON d.oid = c.oid AND d.position = 0 \
             WHERE c.relkind = 'm'",
        ),
    },
    Builtin {
        number: 333,
        schema: "pg_catalog",
        name: "pg_indexes",
        columns: "schemaname name?, tablename name, indexname name, tablespace name?, \
                  indexdef text?, database_name name?",
        content: Content::View(
            "SELECT n.nspname AS schemaname, c.relname AS tablename, i.relname AS indexname, \
             NULL::name AS tablespace, d.definition AS indexdef, i.database_name \
             FROM pg_catalog.pg_index x \
             JOIN pg_catalog.pg_class c ON c.oid = x.indrelid \
             JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN mz_internal.mz_definitions d ON d.oid = i.oid AND d.position = 0",
        ),
    },
    Builtin {
        number: 334,
        schema: "pg_catalog",
        name: "pg_authid",
        columns: "oid oid, rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, \
                  rolcreatedb bool, rolcanlogin bool, rolreplication bool, rolbypassrls bool, \
                  rolconnlimit int4, rolpassword text?, rolvaliduntil timestamptz?",
        content: Content::View(
            "SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, \
             rolreplication, rolbypassrls, rolconnlimit, rolpassword, rolvaliduntil \
             FROM pg_catalog.pg_roles",
        ),
    },
    Builtin {
        number: 335,
        schema: "pg_catalog",
        name: "pg_user",
        columns: "usename name, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, \
                  usebypassrls bool, passwd text?, valuntil timestamptz?, useconfig text[]?",
        content: Content::View(
            "SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb, \
             rolsuper AS usesuper, rolreplication AS userepl, rolbypassrls AS usebypassrls, \
             rolpassword AS passwd, rolvaliduntil AS valuntil, rolconfig AS useconfig \
             FROM pg_catalog.pg_roles WHERE rolcanlogin",
        ),
    },
    Builtin {
        number: 337,
        schema: "pg_catalog",
        name: "pg_shadow",
        columns: "usename name, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, \
                  usebypassrls bool, passwd text?, valuntil timestamptz?, useconfig text[]?",
        content: Content::View("SELECT * FROM pg_catalog.pg_user"),
    },
    Builtin {
        number: 338,
        schema: "pg_catalog",
        name: "pg_group",
        columns: "groname name, grosysid oid, grolist oid[]?",
        content: Content::View(
            "SELECT r.rolname AS groname, r.oid AS grosysid, \
             (SELECT array_agg(m.member ORDER BY m.member) FROM pg_catalog.pg_auth_members m \
             WHERE m.roleid = r.oid) AS grolist \
             FROM pg_catalog.pg_roles r WHERE NOT r.rolcanlogin",
        ),
    },
    Builtin {
        number: 408,
        schema: "pg_catalog",
        name: "pg_sequences",
        columns: "schemaname name?, sequencename name?, sequenceowner name?, data_type regtype?, \
         start_value int8?, min_value int8?, max_value int8?, increment_by int8?, \
         cycle bool?, cache_size int8?, last_value int8?, database_name name?",
        // Where a sequence stands is in no relation.
        content: Content::View(
            "SELECT n.nspname AS schemaname, c.relname AS sequencename, \
             r.rolname AS sequenceowner, s.seqtypid::regtype AS data_type, \
             s.seqstart AS start_value, s.seqmin AS min_value, s.seqmax AS max_value, \
             s.seqincrement AS increment_by, s.seqcycle AS cycle, s.seqcache AS cache_size, \
             NULL::int8 AS last_value, c.database_name \
             FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = c.relowner",
        ),
    },
];
