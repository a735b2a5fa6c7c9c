//! `information_schema`: the same objects as the SQL standard shows them.

mod constraints;
mod empty;

use super::{Builtin, Content};

/// The relations of the schema.
pub fn all() -> impl Iterator<Item = &'static Builtin> {
    constraints::RELATIONS.iter().chain(empty::RELATIONS).chain(RELATIONS)
}

/// The relations with rows.
const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 700,
        schema: "information_schema",
        name: "schemata",
        columns: "catalog_name name?, schema_name name, schema_owner name?, \
                  default_character_set_catalog name?, default_character_set_schema name?, \
                  default_character_set_name name?, sql_path text?, database_name name?",
        content: Content::View(
            "SELECT n.database_name AS catalog_name, n.nspname AS schema_name, \
             r.rolname AS schema_owner, NULL::name AS default_character_set_catalog, \
             NULL::name AS default_character_set_schema, \
             NULL::name AS default_character_set_name, NULL::text AS sql_path, n.database_name \
             FROM pg_catalog.pg_namespace n \
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner",
        ),
    },
    Builtin {
        number: 701,
        schema: "information_schema",
        name: "tables",
        columns: "table_catalog name?, table_schema name?, table_name name, table_type text, \
                  self_referencing_column_name name?, reference_generation text?, \
                  user_defined_type_catalog name?, user_defined_type_schema name?, \
                  user_defined_type_name name?, is_insertable_into text, is_typed text, \
                  commit_action text?, database_name name?",
        content: Content::View(
            "SELECT c.database_name AS table_catalog, n.nspname AS table_schema, \
             c.relname AS table_name, \
             CASE c.relkind WHEN 'r' THEN 'BASE TABLE' WHEN 'v' THEN 'VIEW' \
             ELSE 'MATERIALIZED VIEW' END AS table_type, \
             NULL::name AS self_referencing_column_name, NULL::text AS reference_generation, \
             NULL::name AS user_defined_type_catalog, NULL::name AS user_defined_type_schema, \
             NULL::name AS user_defined_type_name, \
             CASE WHEN c.relkind = 'r' AND c.database_name IS NOT NULL THEN 'YES' ELSE 'NO' END \
             AS is_insertable_into, \
             'NO' AS is_typed, NULL::text AS commit_action, c.database_name \
             FROM pg_catalog.pg_class c \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'v', 'm')",
        ),
    },
    Builtin {
        number: 702,
        schema: "information_schema",
        name: "columns",
        columns: "table_catalog name?, table_schema name?, table_name name, column_name name, \
                  ordinal_position int4, column_default text?, is_nullable text, \
                  data_type text?, character_maximum_length int4?, \
                  character_octet_length int4?, numeric_precision int4?, \
                  numeric_precision_radix int4?, numeric_scale int4?, datetime_precision int4?, \
                  interval_type text?, interval_precision int4?, character_set_catalog name?, \
                  character_set_schema name?, character_set_name name?, \
                  collation_catalog name?, collation_schema name?, collation_name name?, \
                  domain_catalog name?, domain_schema name?, domain_name name?, \
                  udt_catalog name?, udt_schema name, udt_name name, scope_catalog name?, \
                  scope_schema name?, scope_name name?, maximum_cardinality int4?, \
                  dtd_identifier name, is_self_referencing text, is_identity text, \
                  identity_generation text?, identity_start text?, identity_increment text?, \
                  identity_maximum text?, identity_minimum text?, identity_cycle text, \
                  is_generated text, generation_expression text?, is_updatable text, \
                  database_name name?",
        content: Content::View(
            "SELECT c.database_name AS table_catalog, n.nspname AS table_schema, \
             c.relname AS table_name, a.attname AS column_name, \
             a.attnum::int4 AS ordinal_position, \
             CASE WHEN a.attgenerated = 's' THEN NULL ELSE d.adbin END AS column_default, \
             CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable, \
             CASE WHEN coalesce(bt.typelem, t.typelem) <> 0 THEN 'ARRAY' WHEN \
             coalesce(bt.typnamespace, t.typnamespace) <> 11 THEN 'USER-DEFINED' ELSE \
             pg_catalog.format_type(coalesce(bt.oid, a.atttypid), NULL) END AS data_type, CASE \
             WHEN coalesce(bt.oid, a.atttypid) IN (1042, 1043) AND coalesce(nullif(t.typtypmod, \
             -1), a.atttypmod) >= 4 THEN coalesce(nullif(t.typtypmod, -1), a.atttypmod) - 4 END \
             AS character_maximum_length, CASE WHEN coalesce(bt.oid, a.atttypid) IN (25, 1042, \
             1043) THEN 1073741824 END AS character_octet_length, CASE coalesce(bt.oid, \
             a.atttypid) WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN \
             701 THEN 53 WHEN 1700 THEN CASE WHEN coalesce(nullif(t.typtypmod, -1), a.atttypmod) \
             >= 4 THEN ((coalesce(nullif(t.typtypmod, -1), a.atttypmod) - 4) >> 16) & 65535 END \
             END AS numeric_precision, CASE WHEN coalesce(bt.oid, a.atttypid) IN (20, 21, 23, \
             700, 701) THEN 2 WHEN coalesce(bt.oid, a.atttypid) = 1700 THEN 10 END AS \
             numeric_precision_radix, CASE WHEN coalesce(bt.oid, a.atttypid) IN (20, 21, 23) THEN \
             0 WHEN coalesce(bt.oid, a.atttypid) = 1700 AND coalesce(nullif(t.typtypmod, -1), \
             a.atttypmod) >= 4 THEN (coalesce(nullif(t.typtypmod, -1), a.atttypmod) - 4) & 2047 \
             END AS numeric_scale, CASE WHEN coalesce(bt.oid, a.atttypid) = 1082 THEN 0 WHEN \
             coalesce(bt.oid, a.atttypid) IN (1083, 1114, 1184, 1186) THEN CASE WHEN \
             coalesce(nullif(t.typtypmod, -1), a.atttypmod) >= 0 THEN \
             coalesce(nullif(t.typtypmod, -1), a.atttypmod) ELSE 6 END END AS datetime_precision, \
             NULL::text AS interval_type, NULL::int4 AS interval_precision, \
             NULL::name AS character_set_catalog, NULL::name AS character_set_schema, \
             NULL::name AS character_set_name, NULL::name AS collation_catalog, \
             NULL::name AS collation_schema, NULL::name AS collation_name, \
             CASE WHEN bt.oid IS NOT NULL THEN c.database_name END AS domain_catalog, \
             CASE WHEN bt.oid IS NOT NULL THEN tn.nspname END AS domain_schema, \
             CASE WHEN bt.oid IS NOT NULL THEN t.typname END AS domain_name, \
             c.database_name AS udt_catalog, coalesce(bn.nspname, tn.nspname) AS udt_schema, \
             coalesce(bt.typname, t.typname) AS udt_name, \
             NULL::name AS scope_catalog, NULL::name AS scope_schema, NULL::name AS scope_name, \
             NULL::int4 AS maximum_cardinality, a.attnum::text::name AS dtd_identifier, \
             'NO' AS is_self_referencing, \
             CASE WHEN a.attidentity IN ('a', 'd') THEN 'YES' ELSE 'NO' END AS is_identity, \
             CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END \
             AS identity_generation, NULL::text AS identity_start, \
             NULL::text AS identity_increment, NULL::text AS identity_maximum, \
             NULL::text AS identity_minimum, 'NO' AS identity_cycle, \
             CASE WHEN a.attgenerated = 's' THEN 'ALWAYS' ELSE 'NEVER' END AS is_generated, \
             CASE WHEN a.attgenerated = 's' THEN d.adbin END AS generation_expression, \
             CASE WHEN c.relkind = 'r' AND c.database_name IS NOT NULL THEN 'YES' ELSE 'NO' END \
             AS is_updatable, c.database_name \
             FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
             JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
             LEFT JOIN pg_catalog.pg_type bt ON bt.oid = t.typbasetype \
             LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace \
             LEFT JOIN pg_catalog.pg_namespace bn ON bn.oid = bt.typnamespace \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
             WHERE c.relkind IN ('r', 'v', 'm')",
        ),
    },
    Builtin {
        number: 611,
        schema: "information_schema",
        name: "domains",
        columns: "domain_catalog name?, domain_schema name?, domain_name name?, data_type text?, \
         character_maximum_length int4?, character_octet_length int4?, \
         character_set_catalog name?, character_set_schema name?, \
         character_set_name name?, collation_catalog name?, collation_schema name?, \
         collation_name name?, numeric_precision int4?, numeric_precision_radix int4?, \
         numeric_scale int4?, datetime_precision int4?, interval_type text?, \
         interval_precision int4?, domain_default text?, udt_catalog name?, \
         udt_schema name?, udt_name name?, scope_catalog name?, scope_schema name?, \
         scope_name name?, maximum_cardinality int4?, dtd_identifier name?, \
         database_name name?",
        content: Content::View(
            "SELECT t.database_name AS domain_catalog, n.nspname AS domain_schema, \
             t.typname AS domain_name, CASE WHEN bt.typelem <> 0 THEN 'ARRAY' \
             WHEN bt.typnamespace <> 11 THEN 'USER-DEFINED' \
             ELSE pg_catalog.format_type(bt.oid, NULL) END AS data_type, \
             CASE WHEN bt.oid IN (1042, 1043) AND t.typtypmod >= 4 THEN t.typtypmod - 4 END \
             AS character_maximum_length, \
             CASE WHEN bt.oid IN (25, 1042, 1043) THEN 1073741824 END \
             AS character_octet_length, NULL::name AS character_set_catalog, \
             NULL::name AS character_set_schema, NULL::name AS character_set_name, \
             NULL::name AS collation_catalog, NULL::name AS collation_schema, \
             NULL::name AS collation_name, \
             CASE bt.oid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 \
             WHEN 701 THEN 53 WHEN 1700 THEN CASE WHEN t.typtypmod >= 4 \
             THEN ((t.typtypmod - 4) >> 16) & 65535 END END AS numeric_precision, \
             CASE WHEN bt.oid IN (20, 21, 23, 700, 701) THEN 2 WHEN bt.oid = 1700 THEN 10 END \
             AS numeric_precision_radix, \
             CASE WHEN bt.oid IN (20, 21, 23) THEN 0 WHEN bt.oid = 1700 \
             AND t.typtypmod >= 4 THEN (t.typtypmod - 4) & 2047 END AS numeric_scale, \
             CASE WHEN bt.oid = 1082 THEN 0 WHEN bt.oid IN (1083, 1114, 1184, 1186) \
             THEN CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE 6 END END \
             AS datetime_precision, NULL::text AS interval_type, \
             NULL::int4 AS interval_precision, t.typdefault AS domain_default, \
             t.database_name AS udt_catalog, bn.nspname AS udt_schema, \
             bt.typname AS udt_name, NULL::name AS scope_catalog, NULL::name AS scope_schema, \
             NULL::name AS scope_name, NULL::int4 AS maximum_cardinality, \
             '1'::name AS dtd_identifier, t.database_name \
             FROM pg_catalog.pg_type t \
             JOIN pg_catalog.pg_type bt ON bt.oid = t.typbasetype \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
             LEFT JOIN pg_catalog.pg_namespace bn ON bn.oid = bt.typnamespace \
             WHERE t.typtype = 'd'",
        ),
    },
    Builtin {
        number: 703,
        schema: "information_schema",
        name: "views",
        columns: "table_catalog name?, table_schema name?, table_name name, \
                  view_definition text?, check_option text, is_updatable text, \
                  is_insertable_into text, is_trigger_updatable text, \
                  is_trigger_deletable text, is_trigger_insertable_into text, \
                  database_name name?",
        content: Content::View(
            "SELECT c.database_name AS table_catalog, n.nspname AS table_schema, \
             c.relname AS table_name, d.definition AS view_definition, \
             'NONE' AS check_option, 'NO' AS is_updatable, 'NO' AS is_insertable_into, \
             'NO' AS is_trigger_updatable, 'NO' AS is_trigger_deletable, \
             'NO' AS is_trigger_insertable_into, c.database_name \
             FROM pg_catalog.pg_class c \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN mz_internal.mz_definitions d ON d.oid = c.oid AND d.position = 0 \
             WHERE c.relkind = 'v'",
        ),
    },
    Builtin {
        number: 710,
        schema: "information_schema",
        name: "information_schema_catalog_name",
        columns: "catalog_name name?, database_name name?",
        content: Content::View(
            "SELECT datname AS catalog_name, datname AS database_name \
             FROM pg_catalog.pg_database",
        ),
    },
    Builtin {
        number: 711,
        schema: "information_schema",
        name: "character_sets",
        columns: "character_set_catalog name?, character_set_schema name?, \
                  character_set_name name, character_repertoire name, form_of_use name, \
                  default_collate_catalog name?, default_collate_schema name, \
                  default_collate_name name, database_name name?",
        content: Content::View(
            "SELECT NULL::name AS character_set_catalog, NULL::name AS character_set_schema, \
             'UTF8'::name AS character_set_name, 'UCS'::name AS character_repertoire, \
             'UTF8'::name AS form_of_use, datname AS default_collate_catalog, \
             'pg_catalog'::name AS default_collate_schema, 'C'::name AS default_collate_name, \
             datname AS database_name FROM pg_catalog.pg_database",
        ),
    },
    Builtin {
        number: 712,
        schema: "information_schema",
        name: "collations",
        columns: "collation_catalog name?, collation_schema name?, collation_name name, \
                  pad_attribute text, database_name name?",
        content: Content::View(
            "SELECT d.datname AS collation_catalog, n.nspname AS collation_schema, \
             c.collname AS collation_name, 'NO PAD' AS pad_attribute, \
             d.datname AS database_name FROM pg_catalog.pg_collation c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace, \
             pg_catalog.pg_database d",
        ),
    },
    Builtin {
        number: 713,
        schema: "information_schema",
        name: "administrable_role_authorizations",
        columns: "grantee name, role_name name, is_grantable text",
        content: Content::View(
            "SELECT m.rolname AS grantee, r.rolname AS role_name, 'YES' AS is_grantable \
             FROM pg_catalog.pg_auth_members a \
             JOIN pg_catalog.pg_roles m ON m.oid = a.member \
             JOIN pg_catalog.pg_roles r ON r.oid = a.roleid WHERE a.admin_option",
        ),
    },
    Builtin {
        number: 704,
        schema: "information_schema",
        name: "enabled_roles",
        columns: "role_name name",
        content: Content::View("SELECT rolname AS role_name FROM pg_catalog.pg_roles"),
    },
    Builtin {
        number: 705,
        schema: "information_schema",
        name: "applicable_roles",
        columns: "grantee name, role_name name, is_grantable text",
        content: Content::View(
            "SELECT m.rolname AS grantee, r.rolname AS role_name, \
             CASE WHEN a.admin_option THEN 'YES' ELSE 'NO' END AS is_grantable \
             FROM pg_catalog.pg_auth_members a \
             JOIN pg_catalog.pg_roles m ON m.oid = a.member \
             JOIN pg_catalog.pg_roles r ON r.oid = a.roleid",
        ),
    },
    Builtin {
        number: 616,
        schema: "information_schema",
        name: "table_privileges",
        columns: "grantor name?, grantee name?, table_catalog name?, table_schema name?, \
                  table_name name?, privilege_type text?, is_grantable text?, \
                  with_hierarchy text?, database_name name?",
        content: Content::View(
            "SELECT p.grantor::name AS grantor, p.grantee::name AS grantee, \
             p.database::name AS table_catalog, p.schema::name AS table_schema, \
             p.name::name AS table_name, p.privilege_type, 'NO' AS is_grantable, \
             CASE p.privilege_type WHEN 'SELECT' THEN 'YES' ELSE 'NO' END AS with_hierarchy, \
             p.database::name AS database_name \
             FROM mz_internal.mz_object_privileges p \
             JOIN pg_catalog.pg_class c ON c.oid = p.oid \
             WHERE c.relkind IN ('r', 'v', 'm')",
        ),
    },
    Builtin {
        number: 620,
        schema: "information_schema",
        name: "role_table_grants",
        columns: "grantor name?, grantee name?, table_catalog name?, table_schema name?, \
                  table_name name?, privilege_type text?, is_grantable text?, \
                  with_hierarchy text?, database_name name?",
        content: Content::View(
            "SELECT p.grantor::name AS grantor, p.grantee::name AS grantee, \
             p.database::name AS table_catalog, p.schema::name AS table_schema, \
             p.name::name AS table_name, p.privilege_type, 'NO' AS is_grantable, \
             CASE p.privilege_type WHEN 'SELECT' THEN 'YES' ELSE 'NO' END AS with_hierarchy, \
             p.database::name AS database_name \
             FROM mz_internal.mz_object_privileges p \
             JOIN pg_catalog.pg_class c ON c.oid = p.oid \
             WHERE c.relkind IN ('r', 'v', 'm')",
        ),
    },
];
