//! `mz_internal`: what the running server reports.

use tidemill_repr::{Datum, Row, ScalarType};

use super::{Builtin, Content};
use crate::snapshot::Catalog;

/// `mz_internal.mz_source_statuses`
pub const SOURCE_STATUSES: u64 = 200;
/// `mz_internal.mz_source_statistics`
pub const SOURCE_STATISTICS: u64 = 201;
/// `mz_internal.mz_source_status_history`
pub const SOURCE_STATUS_HISTORY: u64 = 202;

/// The relations of the schema.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: SOURCE_STATUSES,
        schema: "mz_internal",
        name: "mz_source_statuses",
        columns: &[
            ("id", ScalarType::Text, false),
            ("name", ScalarType::Text, false),
            ("type", ScalarType::Text, false),
            ("last_status_change_at", ScalarType::TimestampTz, true),
            ("status", ScalarType::Text, false),
            ("error", ScalarType::Text, true),
            ("details", ScalarType::Jsonb, true),
        ],
        content: Content::Status,
    },
    Builtin {
        number: SOURCE_STATISTICS,
        schema: "mz_internal",
        name: "mz_source_statistics",
        columns: &[
            ("id", ScalarType::Text, false),
            ("messages_received", ScalarType::Int8, false),
            ("bytes_received", ScalarType::Int8, false),
            ("updates_staged", ScalarType::Int8, false),
            ("updates_committed", ScalarType::Int8, false),
            ("snapshot_records_known", ScalarType::Int8, true),
            ("snapshot_records_staged", ScalarType::Int8, true),
            ("snapshot_committed", ScalarType::Bool, false),
            ("offset_known", ScalarType::Int8, true),
            ("offset_committed", ScalarType::Int8, true),
        ],
        content: Content::Status,
    },
    Builtin {
        number: SOURCE_STATUS_HISTORY,
        schema: "mz_internal",
        name: "mz_source_status_history",
        columns: &[
            ("occurred_at", ScalarType::TimestampTz, false),
            ("source_id", ScalarType::Text, false),
            ("status", ScalarType::Text, false),
            ("error", ScalarType::Text, true),
            ("details", ScalarType::Jsonb, true),
        ],
        content: Content::Status,
    },
    Builtin {
        number: 203,
        schema: "mz_internal",
        name: "mz_object_dependencies",
        columns: &[
            ("object_id", ScalarType::Text, false),
            ("referenced_object_id", ScalarType::Text, false),
        ],
        content: Content::Catalog(object_dependencies),
    },
    Builtin {
        number: 204,
        schema: "mz_internal",
        name: "mz_postgres_sources",
        columns: &[
            ("id", ScalarType::Text, false),
            ("replication_slot", ScalarType::Text, false),
            ("timeline_id", ScalarType::Int8, true),
        ],
        content: Content::Catalog(postgres_sources),
    },
    Builtin {
        number: 205,
        schema: "mz_internal",
        name: "mz_postgres_source_tables",
        columns: &[
            ("id", ScalarType::Text, false),
            ("schema_name", ScalarType::Text, false),
            ("table_name", ScalarType::Text, false),
        ],
        content: Content::Catalog(postgres_source_tables),
    },
];

fn object_dependencies(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for item in catalog.items() {
        let id = item.id.to_string();
        for dependency in &item.depends_on {
            rows.push(Row::pack([Datum::Text(&id), Datum::Text(&dependency.to_string())]));
        }
    }
    rows
}

fn postgres_sources(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for item in catalog.items() {
        if let crate::Definition::Source(source) = &item.definition {
            let timeline = source
                .timeline
                .and_then(|timeline| i64::try_from(timeline).ok())
                .map_or(Datum::Null, Datum::Int);
            let id = item.id.to_string();
            rows.push(Row::pack([Datum::Text(&id), Datum::Text(&source.slot), timeline]));
        }
    }
    rows
}

fn postgres_source_tables(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for item in catalog.items() {
        if let Some(source) = item.table().and_then(|table| table.source.as_ref()) {
            rows.push(Row::pack([
                Datum::Text(&item.id.to_string()),
                Datum::Text(&source.upstream.schema),
                Datum::Text(&source.upstream.name),
            ]));
        }
    }
    rows
}
