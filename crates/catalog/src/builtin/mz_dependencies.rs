//! `mz_internal`: which objects read which, their full names, who may do what; and what clients
//! ask for that Tidemill has nothing of.

use tidemill_repr::{Datum, Row};

use super::{Builtin, Content};
use crate::item::{Definition, Item};
use crate::snapshot::Catalog;

const fn empty(
    number: u64,
    schema: &'static str,
    name: &'static str,
    columns: &'static str,
) -> Builtin {
    Builtin { number, schema, name, columns, content: Content::Empty }
}

const fn view(
    number: u64,
    name: &'static str,
    columns: &'static str,
    query: &'static str,
) -> Builtin {
    Builtin { number, schema: "mz_internal", name, columns, content: Content::View(query) }
}

/// The relations.
pub(super) const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 920,
        schema: "mz_internal",
        name: "mz_compute_dependencies",
        columns: "object_id text, dependency_id text",
        content: Content::Items(compute_dependencies),
    },
    Builtin {
        number: 921,
        schema: "mz_internal",
        name: "mz_materialization_dependencies",
        columns: "object_id text, dependency_id text",
        content: Content::Items(compute_dependencies),
    },
    Builtin {
        number: 922,
        schema: "mz_internal",
        name: "mz_object_global_ids",
        columns: "id text, global_id text",
        content: Content::Items(|_, item, rows| {
            let id = item.id.to_string();
            rows.push(Row::pack([Datum::Text(&id), Datum::Text(&id)]));
        }),
    },
    Builtin {
        number: 923,
        schema: "mz_internal",
        name: "mz_cluster_schedules",
        columns: "cluster_id text, type text, refresh_hydration_time_estimate interval?",
        content: Content::Catalog(schedules),
    },
    view(
        924,
        "mz_object_fully_qualified_names",
        "id text, name text, object_type text, schema_id text, schema_name text, \
         database_id text?, database_name text?, cluster_id text?",
        "SELECT o.id, o.name, o.type AS object_type, s.id AS schema_id, s.name AS schema_name, \
         d.id AS database_id, d.name AS database_name, o.cluster_id \
         FROM mz_catalog.mz_objects o JOIN mz_catalog.mz_schemas s ON s.id = o.schema_id \
         LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id",
    ),
    view(
        925,
        "mz_show_role_members",
        "role text, member text, grantor text",
        "SELECT r.name AS role, m.name AS member, g.name AS grantor \
         FROM mz_catalog.mz_role_members x JOIN mz_catalog.mz_roles r ON r.id = x.role_id \
         JOIN mz_catalog.mz_roles m ON m.id = x.member \
         JOIN mz_catalog.mz_roles g ON g.id = x.grantor",
    ),
    view(
        926,
        "mz_show_cluster_privileges",
        "grantor text, grantee text, name text?, privilege_type text",
        "SELECT grantor, grantee, name, privilege_type FROM mz_internal.mz_other_privileges \
         WHERE object_type = 'cluster'",
    ),
    view(
        927,
        "mz_show_database_privileges",
        "grantor text, grantee text, name text?, privilege_type text",
        "SELECT grantor, grantee, name, privilege_type FROM mz_internal.mz_other_privileges \
         WHERE object_type = 'database'",
    ),
    view(
        928,
        "mz_show_schema_privileges",
        "grantor text, grantee text, database text?, name text?, privilege_type text",
        "SELECT grantor, grantee, database, name, privilege_type \
         FROM mz_internal.mz_other_privileges WHERE object_type = 'schema'",
    ),
    view(
        929,
        "mz_show_system_privileges",
        "grantor text, grantee text, privilege_type text",
        "SELECT grantor, grantee, privilege_type FROM mz_internal.mz_other_privileges \
         WHERE object_type = 'system'",
    ),
    view(
        930,
        "mz_show_object_privileges",
        "grantor text, grantee text, database text?, schema text?, name text, \
         object_type text, privilege_type text",
        "SELECT grantor, grantee, database, schema, name, object_type, privilege_type \
         FROM mz_internal.mz_object_privileges WHERE database IS NOT NULL",
    ),
    empty(
        940,
        "mz_catalog",
        "mz_sinks",
        "id text, oid oid, schema_id text, name text, type text, connection_id text?, \
         size text?, envelope_type text?, format text?, cluster_id text, owner_id text, \
         create_sql text, privileges text[]",
    ),
    empty(
        942,
        "mz_catalog",
        "mz_license_keys",
        "id text, organization text, environment_id text, expiration timestamptz, \
         not_before timestamptz",
    ),
    empty(
        943,
        "mz_internal",
        "mz_notices",
        "id text, notice_type text, message text, hint text, action text?, action_type text?, \
         object_id text?, created_at timestamptz",
    ),
];

/// What a dataflow reads: the objects whose content it is made of.
fn compute_dependencies(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    if !matches!(item.definition, Definition::Index(_) | Definition::MaterializedView(_)) {
        return;
    }
    let id = item.id.to_string();
    for read in catalog.base_collections(item.id) {
        rows.push(Row::pack([Datum::Text(&id), Datum::Text(&read.to_string())]));
    }
}

/// Clusters run as long as they are there.
fn schedules(catalog: &Catalog) -> Vec<Row> {
    catalog
        .clusters()
        .map(|cluster| {
            let kind = if cluster.on_refresh.is_some() { "on-refresh" } else { "manual" };
            let estimate = cluster.on_refresh.map_or(Datum::Null, super::maintenance::span);
            Row::pack([Datum::Text(&cluster.id_text()), Datum::Text(kind), estimate])
        })
        .collect()
}
