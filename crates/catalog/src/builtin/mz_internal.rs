//! `mz_internal`: what the running server reports.

use tidemill_repr::{Datum, Row};

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
        columns: "id text, name text, type text, last_status_change_at timestamptz?, \
                  status text, error text?, details jsonb?",
        content: Content::Status,
    },
    Builtin {
        number: SOURCE_STATISTICS,
        schema: "mz_internal",
        name: "mz_source_statistics",
        columns: "id text, messages_received int8, bytes_received int8, updates_staged int8, \
                  updates_committed int8, snapshot_records_known int8?, \
                  snapshot_records_staged int8?, snapshot_committed bool, offset_known int8?, \
                  offset_committed int8?",
        content: Content::Status,
    },
    Builtin {
        number: SOURCE_STATUS_HISTORY,
        schema: "mz_internal",
        name: "mz_source_status_history",
        columns: "occurred_at timestamptz, source_id text, status text, error text?, \
                  details jsonb?",
        content: Content::Status,
    },
    Builtin {
        number: 203,
        schema: "mz_internal",
        name: "mz_object_dependencies",
        columns: "object_id text, referenced_object_id text",
        content: Content::Catalog(object_dependencies),
    },
    Builtin {
        number: 204,
        schema: "mz_internal",
        name: "mz_postgres_sources",
        columns: "id text, replication_slot text, timeline_id int8?",
        content: Content::Catalog(postgres_sources),
    },
    Builtin {
        number: 205,
        schema: "mz_internal",
        name: "mz_postgres_source_tables",
        columns: "id text, schema_name text, table_name text",
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
