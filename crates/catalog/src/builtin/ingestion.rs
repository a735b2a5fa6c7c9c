//! Relations about sources and connections that clients and dashboards ask for beside those of
//! [`super::mz_internal`]: other forms of the same, and kinds of upstream that are not here.

use super::{Builtin, Content};

/// The relations.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 970,
        schema: "mz_internal",
        name: "mz_source_statistics_raw",
        columns: "id text, replica_id text?, messages_received int8, bytes_received int8, \
                  updates_staged int8, updates_committed int8, records_indexed int8?, \
                  bytes_indexed int8?, rehydration_latency interval?, \
                  snapshot_records_known int8?, snapshot_records_staged int8?, \
                  snapshot_committed bool, offset_known int8?, offset_committed int8?",
        content: Content::View("SELECT * FROM mz_internal.mz_source_statistics"),
    },
    Builtin {
        number: 971,
        schema: "mz_catalog",
        name: "mz_egress_ips",
        // Which addresses others see is not known to the server.
        columns: "egress_ip text, prefix_length int4, cidr text",
        content: Content::Empty,
    },
    Builtin {
        number: 972,
        schema: "mz_internal",
        name: "mz_aws_connections",
        columns: "id text, endpoint text?, region text?, access_key_id text?, \
                  access_key_id_secret_id text?, secret_access_key_secret_id text?, \
                  session_token text?, session_token_secret_id text?, assume_role_arn text?, \
                  assume_role_session_name text?, principal text?, external_id text?, \
                  example_trust_policy jsonb?",
        content: Content::Empty,
    },
    Builtin {
        number: 973,
        schema: "mz_internal",
        name: "mz_aws_privatelink_connection_statuses",
        columns: "id text, name text, last_status_change_at timestamptz?, status text?",
        content: Content::Empty,
    },
    Builtin {
        number: 974,
        schema: "mz_internal",
        name: "mz_aws_privatelink_connection_status_history",
        columns: "occurred_at timestamptz, connection_id text, status text",
        content: Content::Empty,
    },
    Builtin {
        number: 975,
        schema: "mz_catalog",
        name: "mz_kafka_connections",
        columns: "id text, brokers text[], sink_progress_topic text?",
        content: Content::Empty,
    },
    Builtin {
        number: 976,
        schema: "mz_catalog",
        name: "mz_kafka_sources",
        columns: "id text, group_id_prefix text?, topic text?",
        content: Content::Empty,
    },
    Builtin {
        number: 977,
        schema: "mz_internal",
        name: "mz_kafka_source_tables",
        columns: "id text, topic text, envelope_type text?, key_format text?, value_format text?",
        content: Content::Empty,
    },
    Builtin {
        number: 978,
        schema: "mz_internal",
        name: "mz_mysql_source_tables",
        columns: "id text, schema_name text, table_name text",
        content: Content::Empty,
    },
    Builtin {
        number: 979,
        schema: "mz_internal",
        name: "mz_sql_server_source_tables",
        columns: "id text, schema_name text, table_name text",
        content: Content::Empty,
    },
    Builtin {
        number: 980,
        schema: "mz_internal",
        name: "mz_webhook_sources",
        columns: "id text, name text, url text",
        content: Content::Empty,
    },
];
