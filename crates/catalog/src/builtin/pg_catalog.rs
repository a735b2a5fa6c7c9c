//! `pg_catalog`: the same objects as PostgreSQL shows them.

use tidemill_repr::{Datum, Row, ScalarType};

use super::{Builtin, Content};
use crate::item::{Definition, Item};
use crate::snapshot::Catalog;

/// The relations of the schema.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 300,
        schema: "pg_catalog",
        name: "pg_namespace",
        columns: &[
            ("oid", ScalarType::Oid, false),
            ("nspname", ScalarType::Name, false),
            ("nspowner", ScalarType::Oid, false),
        ],
        content: Content::Catalog(namespaces),
    },
    Builtin {
        number: 301,
        schema: "pg_catalog",
        name: "pg_class",
        columns: &[
            ("oid", ScalarType::Oid, false),
            ("relname", ScalarType::Name, false),
            ("relnamespace", ScalarType::Oid, false),
            ("relowner", ScalarType::Oid, false),
            ("relkind", ScalarType::InternalChar, false),
            ("relnatts", ScalarType::Int2, false),
            ("relpersistence", ScalarType::InternalChar, false),
        ],
        content: Content::Catalog(classes),
    },
    Builtin {
        number: 302,
        schema: "pg_catalog",
        name: "pg_attribute",
        columns: &[
            ("attrelid", ScalarType::Oid, false),
            ("attname", ScalarType::Name, false),
            ("atttypid", ScalarType::Oid, false),
            ("attlen", ScalarType::Int2, false),
            ("attnum", ScalarType::Int2, false),
            ("atttypmod", ScalarType::Int4, false),
            ("attnotnull", ScalarType::Bool, false),
            ("atthasdef", ScalarType::Bool, false),
            ("attisdropped", ScalarType::Bool, false),
        ],
        content: Content::Catalog(attributes),
    },
    Builtin {
        number: 303,
        schema: "pg_catalog",
        name: "pg_type",
        columns: &[
            ("oid", ScalarType::Oid, false),
            ("typname", ScalarType::Name, false),
            ("typnamespace", ScalarType::Oid, false),
            ("typlen", ScalarType::Int2, false),
            ("typtype", ScalarType::InternalChar, false),
            ("typcategory", ScalarType::InternalChar, false),
            ("typrelid", ScalarType::Oid, false),
            ("typelem", ScalarType::Oid, false),
            ("typarray", ScalarType::Oid, false),
            ("typbasetype", ScalarType::Oid, false),
            ("typtypmod", ScalarType::Int4, false),
        ],
        content: Content::Catalog(types),
    },
    Builtin {
        number: 304,
        schema: "pg_catalog",
        name: "pg_database",
        columns: &[
            ("oid", ScalarType::Oid, false),
            ("datname", ScalarType::Name, false),
            ("encoding", ScalarType::Int4, false),
            ("datcollate", ScalarType::Name, false),
            ("datctype", ScalarType::Name, false),
            ("datistemplate", ScalarType::Bool, false),
            ("datallowconn", ScalarType::Bool, false),
        ],
        content: Content::Catalog(databases),
    },
];

/// The oid that stands for any role until roles are objects: PostgreSQL's bootstrap role.
const OWNER_OID: i64 = 10;

fn namespaces(catalog: &Catalog) -> Vec<Row> {
    catalog
        .schemas()
        .map(|((_, name), schema)| {
            Row::pack([
                Datum::Int(i64::from(schema.oid.0)),
                Datum::Text(name),
                Datum::Int(OWNER_OID),
            ])
        })
        .collect()
}

fn relation_kind(item: &Item) -> Option<&'static str> {
    match &item.definition {
        Definition::Table(_) | Definition::Source(_) => Some("r"),
        Definition::View(_) => Some("v"),
        Definition::MaterializedView(_) => Some("m"),
        Definition::Index(_) => Some("i"),
        Definition::Connection(_) | Definition::Secret(_) => None,
    }
}

fn classes(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for item in catalog.items() {
        let Some(kind) = relation_kind(item) else { continue };
        let namespace = catalog
            .schemas()
            .find(|((database, name), _)| {
                *database == item.name.database && *name == item.name.schema
            })
            .map_or(0, |(_, schema)| schema.oid.0);
        let columns = item.desc().map_or(0, |desc| desc.arity());
        rows.push(Row::pack([
            Datum::Int(i64::from(item.oid.0)),
            Datum::Text(&item.name.item),
            Datum::Int(i64::from(namespace)),
            Datum::Int(OWNER_OID),
            Datum::Text(kind),
            Datum::Int(i64::try_from(columns).unwrap_or(i64::MAX)),
            Datum::Text("p"),
        ]));
    }
    rows
}

fn attributes(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for item in catalog.items() {
        let Some(desc) = item.desc() else { continue };
        for (position, column) in desc.columns.iter().enumerate() {
            let has_default = item
                .table()
                .and_then(|table| table.defaults.get(position))
                .is_some_and(Option::is_some);
            rows.push(Row::pack([
                Datum::Int(i64::from(item.oid.0)),
                Datum::Text(&column.name),
                Datum::Int(i64::from(column.typ.scalar_type.oid().0)),
                Datum::Int(i64::from(column.typ.scalar_type.type_length())),
                Datum::Int(i64::try_from(position + 1).unwrap_or(i64::MAX)),
                Datum::Int(i64::from(column.typ.typmod)),
                Datum::Bool(!column.typ.nullable),
                Datum::Bool(has_default),
                Datum::Bool(false),
            ]));
        }
    }
    rows
}

fn category(typ: &ScalarType) -> &'static str {
    use tidemill_repr::types::TypeCategory;
    match typ.category() {
        TypeCategory::Array => "A",
        TypeCategory::Boolean => "B",
        TypeCategory::DateTime => "D",
        TypeCategory::Numeric => "N",
        TypeCategory::Pseudo => "P",
        TypeCategory::String => "S",
        TypeCategory::Timespan => "T",
        TypeCategory::User => "U",
        TypeCategory::Unknown => "X",
        TypeCategory::InternalUse => "Z",
    }
}

fn types(_: &Catalog) -> Vec<Row> {
    let arrays = ScalarType::ALL
        .iter()
        .filter(|typ| **typ != ScalarType::Unknown)
        .map(|typ| ScalarType::Array(Box::new(typ.clone())));
    ScalarType::ALL
        .iter()
        .cloned()
        .chain(arrays)
        .map(|typ| {
            let (element, array) = match &typ {
                ScalarType::Array(element) => (element.oid().0, 0),
                ScalarType::Unknown => (0, 0),
                other => (0, other.array_oid().0),
            };
            let kind = if typ == ScalarType::Unknown { "p" } else { "b" };
            Row::pack([
                Datum::Int(i64::from(typ.oid().0)),
                Datum::Text(&typ.pg_name()),
                Datum::Int(11),
                Datum::Int(i64::from(typ.type_length())),
                Datum::Text(kind),
                Datum::Text(category(&typ)),
                Datum::Int(0),
                Datum::Int(i64::from(element)),
                Datum::Int(i64::from(array)),
                Datum::Int(0),
                Datum::Int(-1),
            ])
        })
        .collect()
}

fn databases(catalog: &Catalog) -> Vec<Row> {
    catalog
        .databases()
        .map(|(name, database)| {
            Row::pack([
                Datum::Int(i64::from(database.oid.0)),
                Datum::Text(name),
                Datum::Int(6),
                Datum::Text("C"),
                Datum::Text("C"),
                Datum::Bool(false),
                Datum::Bool(true),
            ])
        })
        .collect()
}
