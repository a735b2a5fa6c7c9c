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
             CASE WHEN t.typelem <> 0 THEN 'ARRAY' \
             ELSE pg_catalog.format_type(a.atttypid, NULL) END AS data_type, \
             CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod >= 4 \
             THEN a.atttypmod - 4 END AS character_maximum_length, \
             CASE WHEN a.atttypid IN (25, 1042, 1043) THEN 1073741824 END \
             AS character_octet_length, \
             CASE a.atttypid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 \
             WHEN 701 THEN 53 WHEN 1700 THEN CASE WHEN a.atttypmod >= 4 \
             THEN ((a.atttypmod - 4) >> 16) & 65535 END END AS numeric_precision, \
             CASE WHEN a.atttypid IN (20, 21, 23, 700, 701) THEN 2 WHEN a.atttypid = 1700 \
             THEN 10 END AS numeric_precision_radix, \
             CASE WHEN a.atttypid IN (20, 21, 23) THEN 0 WHEN a.atttypid = 1700 \
             AND a.atttypmod >= 4 THEN (a.atttypmod - 4) & 2047 END AS numeric_scale, \
             CASE WHEN a.atttypid = 1082 THEN 0 WHEN a.atttypid IN (1083, 1114, 1184, 1186) \
             THEN CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE 6 END END \
             AS datetime_precision, \
             NULL::text AS interval_type, NULL::int4 AS interval_precision, \
             NULL::name AS character_set_catalog, NULL::name AS character_set_schema, \
             NULL::name AS character_set_name, NULL::name AS collation_catalog, \
             NULL::name AS collation_schema, NULL::name AS collation_name, \
             NULL::name AS domain_catalog, NULL::name AS domain_schema, \
             NULL::name AS domain_name, c.database_name AS udt_catalog, \
             'pg_catalog'::name AS udt_schema, t.typname AS udt_name, \
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
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
             WHERE c.relkind IN ('r', 'v', 'm')",
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
        content: Content::Empty,
    },
];
