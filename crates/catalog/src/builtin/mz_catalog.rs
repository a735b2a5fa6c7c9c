//! `mz_catalog`: the objects of the database.

use tidemill_repr::{Datum, ObjectId, Row};

use super::{Builtin, Content};
use crate::item::{Connection, Definition, Item};
use crate::role::Securable;
use crate::snapshot::Catalog;

/// The relations of the schema.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 100,
        schema: "mz_catalog",
        name: "mz_databases",
        columns: "id text, oid oid, name text, owner_id text, privileges text[]",
        content: Content::Catalog(databases),
    },
    Builtin {
        number: 101,
        schema: "mz_catalog",
        name: "mz_schemas",
        columns: "id text, oid oid, database_id text?, name text, owner_id text, privileges text[]",
        content: Content::Catalog(schemas),
    },
    Builtin {
        number: 102,
        schema: "mz_catalog",
        name: "mz_objects",
        columns: "id text, oid oid, schema_id text, name text, type text, owner_id text, \
                  cluster_id text?, privileges text[]",
        content: Content::Items(objects),
    },
    Builtin {
        number: 103,
        schema: "mz_catalog",
        name: "mz_columns",
        columns: "id text, name text, position int8, nullable bool, type text, default text?, \
                  type_oid oid, type_mod int4",
        content: Content::Items(columns),
    },
    Builtin {
        number: 104,
        schema: "mz_catalog",
        name: "mz_tables",
        columns: "id text, oid oid, schema_id text, name text, owner_id text, create_sql text?, \
                  source_id text?, privileges text[]",
        content: Content::Items(tables),
    },
    Builtin {
        number: 105,
        schema: "mz_catalog",
        name: "mz_views",
        columns: "id text, oid oid, schema_id text, name text, definition text, owner_id text, \
                  create_sql text?, privileges text[]",
        content: Content::Items(views),
    },
    Builtin {
        number: 106,
        schema: "mz_catalog",
        name: "mz_materialized_views",
        columns: "id text, oid oid, schema_id text, name text, cluster_id text?, \
                  definition text, owner_id text, create_sql text?, privileges text[]",
        content: Content::Items(materialized_views),
    },
    Builtin {
        number: 107,
        schema: "mz_catalog",
        name: "mz_indexes",
        columns: "id text, oid oid, schema_id text, name text, on_id text, cluster_id text?, \
                  key text, owner_id text, create_sql text?, privileges text[]",
        content: Content::Items(indexes),
    },
    Builtin {
        number: 108,
        schema: "mz_catalog",
        name: "mz_sources",
        columns: "id text, oid oid, schema_id text, name text, type text, connection_id text?, \
                  cluster_id text?, owner_id text, create_sql text?, privileges text[]",
        content: Content::Items(sources),
    },
    Builtin {
        number: 109,
        schema: "mz_catalog",
        name: "mz_connections",
        columns: "id text, oid oid, schema_id text, name text, type text, owner_id text, \
                  create_sql text?, connection_type text, privileges text[]",
        content: Content::Items(connections),
    },
    Builtin {
        number: 110,
        schema: "mz_catalog",
        name: "mz_secrets",
        columns: "id text, oid oid, schema_id text, name text, owner_id text, privileges text[]",
        content: Content::Items(secrets),
    },
    Builtin {
        number: 120,
        schema: "mz_catalog",
        name: "mz_ssh_tunnel_connections",
        columns: "id text, public_key_1 text, public_key_2 text",
        content: Content::Items(ssh_tunnel_connections),
    },
    Builtin {
        number: 121,
        schema: "mz_catalog",
        name: "mz_aws_privatelink_connections",
        columns: "id text, principal text?",
        content: Content::Items(aws_privatelink_connections),
    },
    Builtin {
        number: 112,
        schema: "mz_catalog",
        name: "mz_relations",
        columns: "id text, oid oid, schema_id text, name text, type text, owner_id text, \
                  cluster_id text?, privileges text[]",
        content: Content::View(
            "SELECT id, oid, schema_id, name, type, owner_id, cluster_id, privileges FROM mz_catalog.mz_objects \
             WHERE type IN ('table', 'view', 'materialized-view', 'source')",
        ),
    },
];

/// The identity of an object's schema, as `mz_schemas.id` shows it.
pub(super) fn schema_id(catalog: &Catalog, item: &Item) -> String {
    let key = (item.name.database.clone(), item.name.schema.clone());
    let id = catalog.schemas().find(|(name, _)| **name == key).map_or(0, |(_, schema)| schema.id);
    scoped_id(item.name.database.is_none(), id)
}

pub(super) fn scoped_id(system: bool, id: u64) -> String {
    if system { ObjectId::System(id).to_string() } else { ObjectId::User(id).to_string() }
}

/// The identity of a cluster, as `mz_clusters.id` shows it.
fn cluster_id(catalog: &Catalog, name: Option<&str>) -> Option<String> {
    Some(catalog.cluster(name?)?.id_text())
}

fn optional(text: Option<&str>) -> Datum<'_> {
    text.map_or(Datum::Null, Datum::Text)
}

fn databases(catalog: &Catalog) -> Vec<Row> {
    catalog
        .databases()
        .map(|(name, database)| {
            let id = scoped_id(false, database.id);
            let acl = super::roles::privileges(catalog, &Securable::Database(name.clone()));
            let owner = catalog.role_id(&database.owner);
            let datums = [
                Datum::Text(&id),
                Datum::Int(i64::from(database.oid.0)),
                Datum::Text(name),
                Datum::Text(&owner),
            ];
            Row::pack(datums.into_iter().chain(acl.iter()))
        })
        .collect()
}

fn schemas(catalog: &Catalog) -> Vec<Row> {
    catalog
        .schemas()
        .map(|((database, name), schema)| {
            let id = scoped_id(database.is_none(), schema.id);
            let on = Securable::Schema(database.clone(), name.clone());
            let acl = super::roles::privileges(catalog, &on);
            let owner = catalog.role_id(&schema.owner);
            let database = database
                .as_ref()
                .and_then(|name| catalog.database(name))
                .map(|database| scoped_id(false, database.id));
            let datums = [
                Datum::Text(&id),
                Datum::Int(i64::from(schema.oid.0)),
                optional(database.as_deref()),
                Datum::Text(name),
                Datum::Text(&owner),
            ];
            Row::pack(datums.into_iter().chain(acl.iter()))
        })
        .collect()
}

/// A row of an object for each time `rest` gives the columns after (id, oid, schema_id, name).
fn item_row(
    catalog: &Catalog,
    item: &Item,
    rows: &mut Vec<Row>,
    rest: impl Fn(&mut dyn FnMut(&[Datum<'_>])),
) {
    let id = item.id.to_string();
    let schema = schema_id(catalog, item);
    rest(&mut |datums| {
        let first = [
            Datum::Text(&id),
            Datum::Int(i64::from(item.oid.0)),
            Datum::Text(&schema),
            Datum::Text(&item.name.item),
        ];
        let acl = super::roles::privileges(catalog, &Securable::Item(item.id));
        rows.push(Row::pack(first.into_iter().chain(datums.iter().copied()).chain(acl.iter())));
    });
}

fn objects(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    item_row(catalog, item, rows, |push| {
        push(&[
            Datum::Text(item.kind().catalog_name()),
            Datum::Text(&catalog.role_id(&item.owner)),
            optional(cluster_id(catalog, item.cluster()).as_deref()),
        ]);
    });
}

fn columns(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let Some(desc) = item.desc() else { return };
    let id = item.id.to_string();
    for (position, column) in desc.columns.iter().enumerate() {
        let default = item.table().and_then(|table| table.defaults.get(position)?.as_deref());
        rows.push(Row::pack([
            Datum::Text(&id),
            Datum::Text(&column.name),
            Datum::Int(i64::try_from(position + 1).unwrap_or(i64::MAX)),
            Datum::Bool(column.typ.nullable),
            Datum::Text(&column.typ.sql_name()),
            optional(default),
            Datum::Int(i64::from(column.typ.scalar_type.oid().0)),
            Datum::Int(i64::from(column.typ.typmod)),
        ]));
    }
}

fn tables(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    item_row(catalog, item, rows, |push| {
        if let Some(table) = item.table() {
            let source = table.source.as_ref().map(|source| source.source.to_string());
            push(&[
                Datum::Text(&catalog.role_id(&item.owner)),
                Datum::Text(&item.create_sql),
                optional(source.as_deref()),
            ]);
        }
    });
}

fn views(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    item_row(catalog, item, rows, |push| {
        if let Definition::View(view) = &item.definition {
            push(&[
                Datum::Text(&view.query_sql),
                Datum::Text(&catalog.role_id(&item.owner)),
                Datum::Text(&item.create_sql),
            ]);
        }
    });
}

fn materialized_views(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    item_row(catalog, item, rows, |push| {
        if let Definition::MaterializedView(materialized) = &item.definition {
            push(&[
                optional(cluster_id(catalog, Some(&materialized.cluster)).as_deref()),
                Datum::Text(&materialized.view.query_sql),
                Datum::Text(&catalog.role_id(&item.owner)),
                Datum::Text(&item.create_sql),
            ]);
        }
    });
}

fn indexes(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    item_row(catalog, item, rows, |push| {
        if let Definition::Index(index) = &item.definition {
            push(&[
                Datum::Text(&index.on.to_string()),
                optional(cluster_id(catalog, Some(&index.cluster)).as_deref()),
                Datum::Text(&index.key_sql.join(", ")),
                Datum::Text(&catalog.role_id(&item.owner)),
                Datum::Text(&item.create_sql),
            ]);
        }
    });
}

fn sources(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    item_row(catalog, item, rows, |push| {
        if let Definition::Source(source) = &item.definition {
            push(&[
                Datum::Text("postgres"),
                Datum::Text(&source.connection.to_string()),
                optional(cluster_id(catalog, Some(&source.cluster)).as_deref()),
                Datum::Text(&catalog.role_id(&item.owner)),
                Datum::Text(&item.create_sql),
            ]);
        }
    });
}

fn connections(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    item_row(catalog, item, rows, |push| {
        if let Definition::Connection(connection) = &item.definition {
            let owner = catalog.role_id(&item.owner);
            let kind = connection.type_name();
            push(&[
                Datum::Text(kind),
                Datum::Text(&owner),
                Datum::Text(&item.create_sql),
                Datum::Text(kind),
            ]);
        }
    });
}

fn ssh_tunnel_connections(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    if let Definition::Connection(Connection::SshTunnel(tunnel)) = &item.definition {
        let key = |n: usize| tunnel.keys.get(n).map_or("", |key| &key.public);
        rows.push(Row::pack([
            Datum::Text(&item.id.to_string()),
            Datum::Text(key(0)),
            Datum::Text(key(1)),
        ]));
    }
}

/// Outside AWS there is nobody whom a service could let in.
fn aws_privatelink_connections(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    if let Definition::Connection(Connection::AwsPrivatelink(_)) = &item.definition {
        rows.push(Row::pack([Datum::Text(&item.id.to_string()), Datum::Null]));
    }
}

fn secrets(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    item_row(catalog, item, rows, |push| {
        if matches!(item.definition, Definition::Secret(_)) {
            push(&[Datum::Text(&catalog.role_id(&item.owner))]);
        }
    });
}
