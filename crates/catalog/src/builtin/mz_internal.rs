//! `mz_internal`: what the running server reports.

use tidemill_repr::{Datum, Row, RowBuilder, ScalarType};

use super::{Builtin, Content};
use crate::constraint::{constraint_oid, definition_sql};
use crate::item::{Item, ItemKind};
use crate::name::quote_identifier;
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
        columns: "id text, replica_id text?, messages_received int8, bytes_received int8, \
                  updates_staged int8, updates_committed int8, records_indexed int8?, \
                  bytes_indexed int8?, rehydration_latency interval?, \
                  snapshot_records_known int8?, snapshot_records_staged int8?, \
                  snapshot_committed bool, offset_known int8?, offset_committed int8?",
        content: Content::Status,
    },
    Builtin {
        number: SOURCE_STATUS_HISTORY,
        schema: "mz_internal",
        name: "mz_source_status_history",
        columns: "occurred_at timestamptz, source_id text, status text, error text?, \
                  details jsonb?, replica_id text?",
        content: Content::Status,
    },
    Builtin {
        number: 203,
        schema: "mz_internal",
        name: "mz_object_dependencies",
        columns: "object_id text, referenced_object_id text",
        content: Content::Items(object_dependencies),
    },
    Builtin {
        number: 204,
        schema: "mz_internal",
        name: "mz_postgres_sources",
        columns: "id text, replication_slot text, timeline_id int8?",
        content: Content::Items(postgres_sources),
    },
    Builtin {
        number: 205,
        schema: "mz_internal",
        name: "mz_postgres_source_tables",
        columns: "id text, schema_name text, table_name text",
        content: Content::Items(postgres_source_tables),
    },
    Builtin {
        number: 220,
        schema: "mz_internal",
        name: "mz_source_references",
        columns: "source_id text, namespace text?, name text, updated_at timestamptz, \
                  columns text[]",
        content: Content::Items(source_references),
    },
    Builtin {
        number: 221,
        schema: "mz_internal",
        name: "mz_postgres_orphaned_slots",
        columns: "replication_slot text, source_name text, host text, port int4, \
                  database text, dropped_at timestamptz, error text?",
        content: Content::Catalog(orphaned_slots),
    },
    Builtin {
        number: 207,
        schema: "mz_internal",
        name: "mz_definitions",
        columns: "position int4, oid oid, definition text",
        content: Content::Items(definitions),
    },
    Builtin {
        number: 208,
        schema: "mz_internal",
        name: "mz_relation_names",
        columns: "oid oid, namespace oid, name text, full_name text",
        content: Content::Items(relation_names),
    },
];

/// What `pg_get_viewdef` and `pg_get_indexdef` say: the query of a view, the statement of an
/// index at position 0 and its key from 1.
fn definitions(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    for (position, constraint) in
        item.table().map_or(&[][..], |table| &table.constraints).iter().enumerate()
    {
        let Some(table) = item.table() else { continue };
        rows.push(Row::pack([
            Datum::Int(0),
            Datum::Int(i64::from(constraint_oid(item.id, position).0)),
            Datum::Text(&definition_sql(&table.desc, constraint)),
        ]));
    }
    let mut push = |position: usize, text: &str| {
        rows.push(Row::pack([
            Datum::Int(i64::try_from(position).unwrap_or(i64::MAX)),
            Datum::Int(i64::from(item.oid.0)),
            Datum::Text(text),
        ]));
    };
    if let Some(view) = item.view() {
        push(0, &format!(" {};", view.query_sql.trim().trim_end_matches(';')));
    }
    if let crate::Definition::Index(index) = &item.definition {
        let on = catalog.item(index.on).map(|on| &on.name);
        let (schema, relation) =
            on.map_or(("", ""), |name| (name.schema.as_str(), name.item.as_str()));
        let statement = format!(
            "CREATE {}INDEX {} ON {}.{} USING btree ({}){}",
            if index.unique.is_some() { "UNIQUE " } else { "" },
            quote_identifier(&item.name.item),
            quote_identifier(schema),
            quote_identifier(relation),
            index.key_sql.join(", "),
            match &index.unique {
                Some(key) if key.nulls_not_distinct => " NULLS NOT DISTINCT",
                _ => "",
            }
        );
        push(0, &statement);
        for (key, position) in index.key_sql.iter().zip(1..) {
            push(position, key);
        }
    }
}

/// The text of a `regclass`: without schema where the name is found without.
fn relation_names(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let composite = item.type_of().is_some_and(|typ| matches!(typ, ScalarType::Composite(_)));
    let is_type = item.kind() == ItemKind::Type && !composite;
    let no_relation = [ItemKind::Connection, ItemKind::Secret, ItemKind::Function];
    if is_type || no_relation.contains(&item.kind()) {
        return;
    }
    let name = quote_identifier(&item.name.item);
    rows.push(Row::pack([
        Datum::Int(i64::from(item.oid.0)),
        Datum::Int(i64::from(catalog.schema_oid(&item.name).0)),
        Datum::Text(&name),
        Datum::Text(&format!("{}.{name}", quote_identifier(&item.name.schema))),
    ]));
}

fn object_dependencies(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let id = item.id.to_string();
    for dependency in &item.depends_on {
        rows.push(Row::pack([Datum::Text(&id), Datum::Text(&dependency.to_string())]));
    }
    // A table that was made with its source belongs to it: who asks for a source's parts finds it.
    let made_with = item.table().and_then(|table| table.source.as_ref());
    if let Some(source) = made_with.filter(|source| source.subsource) {
        rows.push(Row::pack([Datum::Text(&source.source.to_string()), Datum::Text(&id)]));
    }
}

fn postgres_sources(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    if let crate::Definition::Source(source) = &item.definition {
        let timeline = source
            .timeline
            .and_then(|timeline| i64::try_from(timeline).ok())
            .map_or(Datum::Null, Datum::Int);
        let id = item.id.to_string();
        rows.push(Row::pack([Datum::Text(&id), Datum::Text(&source.slot), timeline]));
    }
}

fn source_references(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let crate::Definition::Source(source) = &item.definition else { return };
    let id = item.id.to_string();
    for reference in &source.references {
        let mut row = RowBuilder::new();
        row.push(Datum::Text(&id));
        row.push(Datum::Text(&reference.schema));
        row.push(Datum::Text(&reference.name));
        row.push(Datum::TimestampTz(source.references_at));
        let length = i32::try_from(reference.columns.len()).unwrap_or(i32::MAX);
        let dimensions = if length == 0 { Vec::new() } else { vec![(length, 1)] };
        row.push_array(&dimensions, reference.columns.iter().map(|name| Datum::Text(name)));
        rows.push(row.finish());
    }
}

fn orphaned_slots(catalog: &Catalog) -> Vec<Row> {
    catalog
        .orphaned_slots()
        .map(|slot| {
            Row::pack([
                Datum::Text(&slot.slot),
                Datum::Text(&slot.source),
                Datum::Text(&slot.host),
                Datum::Int(i64::from(slot.port)),
                Datum::Text(&slot.database),
                Datum::TimestampTz(slot.dropped_at),
                slot.error.as_deref().map_or(Datum::Null, Datum::Text),
            ])
        })
        .collect()
}

fn postgres_source_tables(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    if let Some(source) = item.table().and_then(|table| table.source.as_ref()) {
        rows.push(Row::pack([
            Datum::Text(&item.id.to_string()),
            Datum::Text(&source.upstream.schema),
            Datum::Text(&source.upstream.name),
        ]));
    }
}
