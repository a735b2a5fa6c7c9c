//! `information_schema`: what Tidemill has nothing of, or does not report yet.

use super::super::{Builtin, Content};

/// Relations without rows.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 603,
        schema: "information_schema",
        name: "constraint_table_usage",
        columns: "table_catalog name?, table_schema name?, table_name name?, \
         constraint_catalog name?, constraint_schema name?, constraint_name name?",
        content: Content::Empty,
    },
    Builtin {
        number: 604,
        schema: "information_schema",
        name: "referential_constraints",
        columns: "constraint_catalog name?, constraint_schema name?, constraint_name name?, \
         unique_constraint_catalog name?, unique_constraint_schema name?, \
         unique_constraint_name name?, match_option text?, update_rule text?, \
         delete_rule text?",
        content: Content::Empty,
    },
    Builtin {
        number: 606,
        schema: "information_schema",
        name: "triggers",
        columns: "trigger_catalog name?, trigger_schema name?, trigger_name name?, \
         event_manipulation text?, event_object_catalog name?, event_object_schema name?, \
         event_object_table name?, action_order int4?, action_condition text?, \
         action_statement text?, action_orientation text?, action_timing text?, \
         action_reference_old_table name?, action_reference_new_table name?, \
         action_reference_old_row name?, action_reference_new_row name?, \
         created timestamptz?",
        content: Content::Empty,
    },
    Builtin {
        number: 607,
        schema: "information_schema",
        name: "triggered_update_columns",
        columns: "trigger_catalog name?, trigger_schema name?, trigger_name name?, \
         event_object_catalog name?, event_object_schema name?, event_object_table name?, \
         event_object_column name?",
        content: Content::Empty,
    },
    Builtin {
        number: 608,
        schema: "information_schema",
        name: "routines",
        columns: "specific_catalog name?, specific_schema name?, specific_name name?, \
         routine_catalog name?, routine_schema name?, routine_name name?, \
         routine_type text?, module_catalog name?, module_schema name?, module_name name?, \
         udt_catalog name?, udt_schema name?, udt_name name?, data_type text?, \
         character_maximum_length int4?, character_octet_length int4?, \
         character_set_catalog name?, character_set_schema name?, \
         character_set_name name?, collation_catalog name?, collation_schema name?, \
         collation_name name?, numeric_precision int4?, numeric_precision_radix int4?, \
         numeric_scale int4?, datetime_precision int4?, interval_type text?, \
         interval_precision int4?, type_udt_catalog name?, type_udt_schema name?, \
         type_udt_name name?, scope_catalog name?, scope_schema name?, scope_name name?, \
         maximum_cardinality int4?, dtd_identifier name?, routine_body text?, \
         routine_definition text?, external_name text?, external_language text?, \
         parameter_style text?, is_deterministic text?, sql_data_access text?, \
         is_null_call text?, sql_path text?, schema_level_routine text?, \
         max_dynamic_result_sets int4?, is_user_defined_cast text?, \
         is_implicitly_invocable text?, security_type text?, \
         to_sql_specific_catalog name?, to_sql_specific_schema name?, \
         to_sql_specific_name name?, as_locator text?, created timestamptz?, \
         last_altered timestamptz?, new_savepoint_level text?, is_udt_dependent text?, \
         result_cast_from_data_type text?, result_cast_as_locator text?, \
         result_cast_char_max_length int4?, result_cast_char_octet_length int4?, \
         result_cast_char_set_catalog name?, result_cast_char_set_schema name?, \
         result_cast_char_set_name name?, result_cast_collation_catalog name?, \
         result_cast_collation_schema name?, result_cast_collation_name name?, \
         result_cast_numeric_precision int4?, result_cast_numeric_precision_radix int4?, \
         result_cast_numeric_scale int4?, result_cast_datetime_precision int4?, \
         result_cast_interval_type text?, result_cast_interval_precision int4?, \
         result_cast_type_udt_catalog name?, result_cast_type_udt_schema name?, \
         result_cast_type_udt_name name?, result_cast_scope_catalog name?, \
         result_cast_scope_schema name?, result_cast_scope_name name?, \
         result_cast_maximum_cardinality int4?, result_cast_dtd_identifier name?",
        content: Content::Empty,
    },
    Builtin {
        number: 609,
        schema: "information_schema",
        name: "parameters",
        columns: "specific_catalog name?, specific_schema name?, specific_name name?, \
         ordinal_position int4?, parameter_mode text?, is_result text?, as_locator text?, \
         parameter_name name?, data_type text?, character_maximum_length int4?, \
         character_octet_length int4?, character_set_catalog name?, \
         character_set_schema name?, character_set_name name?, collation_catalog name?, \
         collation_schema name?, collation_name name?, numeric_precision int4?, \
         numeric_precision_radix int4?, numeric_scale int4?, datetime_precision int4?, \
         interval_type text?, interval_precision int4?, udt_catalog name?, \
         udt_schema name?, udt_name name?, scope_catalog name?, scope_schema name?, \
         scope_name name?, maximum_cardinality int4?, dtd_identifier name?, \
         parameter_default text?",
        content: Content::Empty,
    },
    Builtin {
        number: 612,
        schema: "information_schema",
        name: "domain_constraints",
        columns: "constraint_catalog name?, constraint_schema name?, constraint_name name?, \
         domain_catalog name?, domain_schema name?, domain_name name?, \
         is_deferrable text?, initially_deferred text?",
        content: Content::Empty,
    },
    Builtin {
        number: 613,
        schema: "information_schema",
        name: "element_types",
        columns: "object_catalog name?, object_schema name?, object_name name?, object_type text?, \
         collection_type_identifier name?, data_type text?, \
         character_maximum_length int4?, character_octet_length int4?, \
         character_set_catalog name?, character_set_schema name?, \
         character_set_name name?, collation_catalog name?, collation_schema name?, \
         collation_name name?, numeric_precision int4?, numeric_precision_radix int4?, \
         numeric_scale int4?, datetime_precision int4?, interval_type text?, \
         interval_precision int4?, domain_default text?, udt_catalog name?, \
         udt_schema name?, udt_name name?, scope_catalog name?, scope_schema name?, \
         scope_name name?, maximum_cardinality int4?, dtd_identifier name?",
        content: Content::Empty,
    },
    Builtin {
        number: 614,
        schema: "information_schema",
        name: "view_table_usage",
        columns: "view_catalog name?, view_schema name?, view_name name?, table_catalog name?, \
         table_schema name?, table_name name?",
        content: Content::Empty,
    },
    Builtin {
        number: 615,
        schema: "information_schema",
        name: "view_column_usage",
        columns: "view_catalog name?, view_schema name?, view_name name?, table_catalog name?, \
         table_schema name?, table_name name?, column_name name?",
        content: Content::Empty,
    },
    Builtin {
        number: 617,
        schema: "information_schema",
        name: "column_privileges",
        columns: "grantor name?, grantee name?, table_catalog name?, table_schema name?, \
         table_name name?, column_name name?, privilege_type text?, is_grantable text?",
        content: Content::Empty,
    },
    Builtin {
        number: 618,
        schema: "information_schema",
        name: "usage_privileges",
        columns: "grantor name?, grantee name?, object_catalog name?, object_schema name?, \
         object_name name?, object_type text?, privilege_type text?, is_grantable text?",
        content: Content::Empty,
    },
    Builtin {
        number: 619,
        schema: "information_schema",
        name: "routine_privileges",
        columns: "grantor name?, grantee name?, specific_catalog name?, specific_schema name?, \
         specific_name name?, routine_catalog name?, routine_schema name?, \
         routine_name name?, privilege_type text?, is_grantable text?",
        content: Content::Empty,
    },
    Builtin {
        number: 621,
        schema: "information_schema",
        name: "attributes",
        columns: "udt_catalog name?, udt_schema name?, udt_name name?, attribute_name name?, \
         ordinal_position int4?, attribute_default text?, is_nullable text?, \
         data_type text?, character_maximum_length int4?, character_octet_length int4?, \
         character_set_catalog name?, character_set_schema name?, \
         character_set_name name?, collation_catalog name?, collation_schema name?, \
         collation_name name?, numeric_precision int4?, numeric_precision_radix int4?, \
         numeric_scale int4?, datetime_precision int4?, interval_type text?, \
         interval_precision int4?, attribute_udt_catalog name?, \
         attribute_udt_schema name?, attribute_udt_name name?, scope_catalog name?, \
         scope_schema name?, scope_name name?, maximum_cardinality int4?, \
         dtd_identifier name?, is_derived_reference_attribute text?",
        content: Content::Empty,
    },
    Builtin {
        number: 622,
        schema: "information_schema",
        name: "user_defined_types",
        columns: "user_defined_type_catalog name?, user_defined_type_schema name?, \
         user_defined_type_name name?, user_defined_type_category text?, \
         is_instantiable text?, is_final text?, ordering_form text?, \
         ordering_category text?, ordering_routine_catalog name?, \
         ordering_routine_schema name?, ordering_routine_name name?, reference_type text?, \
         data_type text?, character_maximum_length int4?, character_octet_length int4?, \
         character_set_catalog name?, character_set_schema name?, \
         character_set_name name?, collation_catalog name?, collation_schema name?, \
         collation_name name?, numeric_precision int4?, numeric_precision_radix int4?, \
         numeric_scale int4?, datetime_precision int4?, interval_type text?, \
         interval_precision int4?, source_dtd_identifier name?, ref_dtd_identifier name?",
        content: Content::Empty,
    },
    Builtin {
        number: 623,
        schema: "information_schema",
        name: "column_options",
        columns: "table_catalog name?, table_schema name?, table_name name?, column_name name?, \
         option_name name?, option_value text?",
        content: Content::Empty,
    },
    Builtin {
        number: 624,
        schema: "information_schema",
        name: "foreign_tables",
        columns: "foreign_table_catalog name?, foreign_table_schema name?, \
         foreign_table_name name?, foreign_server_catalog name?, foreign_server_name name?",
        content: Content::Empty,
    },
    Builtin {
        number: 625,
        schema: "information_schema",
        name: "foreign_servers",
        columns: "foreign_server_catalog name?, foreign_server_name name?, \
         foreign_data_wrapper_catalog name?, foreign_data_wrapper_name name?, \
         foreign_server_type text?, foreign_server_version text?, \
         authorization_identifier name?",
        content: Content::Empty,
    },
];
