//! `pg_catalog`: what Tidemill's relations never have: constraints, triggers, policies, inheritance.

use super::super::{Builtin, Content};

/// Relations without rows.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 400,
        schema: "pg_catalog",
        name: "pg_constraint",
        columns: "oid oid, conname name, connamespace oid, contype char, condeferrable bool, \
         condeferred bool, convalidated bool, conrelid oid, contypid oid, conindid oid, \
         conparentid oid, confrelid oid, confupdtype char, confdeltype char, \
         confmatchtype char, conislocal bool, coninhcount int4, connoinherit bool, \
         conkey int2[]?, confkey int2[]?, conpfeqop oid[]?, conppeqop oid[]?, \
         conffeqop oid[]?, confdelsetcols int2[]?, conexclop oid[]?, conbin text?",
        content: Content::Empty,
    },
    Builtin {
        number: 401,
        schema: "pg_catalog",
        name: "pg_inherits",
        columns: "inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool",
        content: Content::Empty,
    },
    Builtin {
        number: 402,
        schema: "pg_catalog",
        name: "pg_policy",
        columns: "oid oid, polname name, polrelid oid, polcmd char, polpermissive bool, \
         polroles oid[], polqual text?, polwithcheck text?",
        content: Content::Empty,
    },
    Builtin {
        number: 403,
        schema: "pg_catalog",
        name: "pg_policies",
        columns: "schemaname name?, tablename name?, policyname name?, permissive text?, \
         roles name[]?, cmd text?, qual text?, with_check text?",
        content: Content::Empty,
    },
    Builtin {
        number: 404,
        schema: "pg_catalog",
        name: "pg_trigger",
        columns: "oid oid, tgrelid oid, tgparentid oid, tgname name, tgfoid oid, tgtype int2, \
         tgenabled char, tgisinternal bool, tgconstrrelid oid, tgconstrindid oid, \
         tgconstraint oid, tgdeferrable bool, tginitdeferred bool, tgnargs int2, \
         tgattr int2[], tgargs bytea, tgqual text?, tgoldtable name?, tgnewtable name?",
        content: Content::Empty,
    },
    Builtin {
        number: 405,
        schema: "pg_catalog",
        name: "pg_rewrite",
        columns: "oid oid, rulename name, ev_class oid, ev_type char, ev_enabled char, \
         is_instead bool, ev_qual text, ev_action text",
        content: Content::Empty,
    },
    Builtin {
        number: 406,
        schema: "pg_catalog",
        name: "pg_rules",
        columns: "schemaname name?, tablename name?, rulename name?, definition text?",
        content: Content::Empty,
    },
    Builtin {
        number: 407,
        schema: "pg_catalog",
        name: "pg_sequence",
        columns: "seqrelid oid, seqtypid oid, seqstart int8, seqincrement int8, seqmax int8, \
         seqmin int8, seqcache int8, seqcycle bool",
        content: Content::Empty,
    },
    Builtin {
        number: 408,
        schema: "pg_catalog",
        name: "pg_sequences",
        columns: "schemaname name?, sequencename name?, sequenceowner name?, data_type regtype?, \
         start_value int8?, min_value int8?, max_value int8?, increment_by int8?, \
         cycle bool?, cache_size int8?, last_value int8?",
        content: Content::Empty,
    },
    Builtin {
        number: 409,
        schema: "pg_catalog",
        name: "pg_partitioned_table",
        columns: "partrelid oid, partstrat char, partnatts int2, partdefid oid, partattrs int2[], \
         partclass oid[], partcollation oid[], partexprs text?",
        content: Content::Empty,
    },
    Builtin {
        number: 410,
        schema: "pg_catalog",
        name: "pg_statistic_ext",
        columns: "oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, \
         stxstattarget int4, stxkeys int2[], stxkind char[], stxexprs text?",
        content: Content::Empty,
    },
    Builtin {
        number: 411,
        schema: "pg_catalog",
        name: "pg_stats_ext",
        columns: "schemaname name?, tablename name?, statistics_schemaname name?, \
         statistics_name name?, statistics_owner name?, attnames name[]?, exprs text[]?, \
         kinds char[]?, inherited bool?, n_distinct text?, dependencies text?, \
         most_common_vals text[]?, most_common_val_nulls bool[]?, \
         most_common_freqs float8[]?, most_common_base_freqs float8[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 412,
        schema: "pg_catalog",
        name: "pg_stats",
        columns: "schemaname name?, tablename name?, attname name?, inherited bool?, \
         null_frac float4?, avg_width int4?, n_distinct float4?, most_common_vals text?, \
         most_common_freqs float4[]?, histogram_bounds text?, correlation float4?, \
         most_common_elems text?, most_common_elem_freqs float4[]?, \
         elem_count_histogram float4[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 413,
        schema: "pg_catalog",
        name: "pg_depend",
        columns: "classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, \
         refobjsubid int4, deptype char",
        content: Content::Empty,
    },
    Builtin {
        number: 414,
        schema: "pg_catalog",
        name: "pg_shdepend",
        columns: "dbid oid, classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, \
         deptype char",
        content: Content::Empty,
    },
    Builtin {
        number: 415,
        schema: "pg_catalog",
        name: "pg_description",
        columns: "objoid oid, classoid oid, objsubid int4, description text",
        content: Content::Empty,
    },
    Builtin {
        number: 416,
        schema: "pg_catalog",
        name: "pg_shdescription",
        columns: "objoid oid, classoid oid, description text",
        content: Content::Empty,
    },
    Builtin {
        number: 417,
        schema: "pg_catalog",
        name: "pg_seclabel",
        columns: "objoid oid, classoid oid, objsubid int4, provider text, label text",
        content: Content::Empty,
    },
    Builtin {
        number: 418,
        schema: "pg_catalog",
        name: "pg_seclabels",
        columns: "objoid oid?, classoid oid?, objsubid int4?, objtype text?, objnamespace oid?, \
         objname text?, provider text?, label text?",
        content: Content::Empty,
    },
];
