//! `mz_internal`, `mz_catalog`: comments, columns of indexes, dependencies over several steps.

use std::collections::BTreeSet;

use tidemill_repr::{Datum, ObjectId, Oid, Row};

use super::mz_catalog::scoped_id;
use super::{Builtin, Content};
use crate::comment::Commented;
use crate::constraint::constraint_oid;
use crate::item::{Definition, Item, ItemKind};
use crate::name::quote_identifier;
use crate::snapshot::Catalog;

/// The relations.
pub(super) const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 261,
        schema: "mz_internal",
        name: "mz_comments",
        columns: "id text, object_type text, object_sub_id int4?, comment text",
        content: Content::Catalog(comments),
    },
    Builtin {
        number: 262,
        schema: "mz_internal",
        name: "mz_object_transitive_dependencies",
        columns: "object_id text, referenced_object_id text",
        content: Content::Catalog(transitive_dependencies),
    },
    Builtin {
        number: 132,
        schema: "mz_catalog",
        name: "mz_index_columns",
        columns: "index_id text, index_position int8, on_position int8?, on_expression text?, \
                  nullable bool",
        content: Content::Catalog(index_columns),
    },
];

/// `pg_class`, `pg_proc`, `pg_namespace`, `pg_database`: the catalogs that oids of comments are in.
const RELATION_CLASS: i64 = 1259;
const FUNCTION_CLASS: i64 = 1255;
const SCHEMA_CLASS: i64 = 2615;
const DATABASE_CLASS: i64 = 1262;
const TYPE_CLASS: i64 = 1247;
const ROLE_CLASS: i64 = 1260;
const CONSTRAINT_CLASS: i64 = 2606;

/// What has no identity of its own, for `mz_comments`.
const CONSTRAINT: &str = "constraint";

/// Whether comments on such objects are the same in all databases.
fn is_shared(class: i64) -> bool {
    matches!(class, DATABASE_CLASS | ROLE_CLASS)
}

/// A comment with what it is on looked up.
struct Found<'a> {
    id: String,
    kind: &'static str,
    /// Position of the column.
    column: Option<i64>,
    /// For PostgreSQL's catalogs: oid and class.
    oid: Option<(Oid, i64)>,
    text: &'a str,
}

fn found<'a>(catalog: &'a Catalog, on: &Commented, text: &'a str) -> Option<Found<'a>> {
    let of_item = |item: &Item, column: Option<i64>| {
        let oid = match item.kind() {
            ItemKind::Connection | ItemKind::Secret => None,
            ItemKind::Function => Some((item.oid, FUNCTION_CLASS)),
            ItemKind::Type => {
                let created = item.type_of().and_then(|typ| Some(typ.created()?.oid));
                Some((created.unwrap_or(item.oid), TYPE_CLASS))
            }
            _ => Some((item.oid, RELATION_CLASS)),
        };
        Found { id: item.id.to_string(), kind: item.kind().catalog_name(), column, oid, text }
    };
    let plain = |id: String, kind, oid| Found { id, kind, column: None, oid, text };
    Some(match on {
        Commented::Item(id) => of_item(catalog.item(*id)?, None),
        Commented::Column(id, name) => {
            let item = catalog.item(*id)?;
            let columns = &item.desc()?.columns;
            let position = columns.iter().position(|column| column.name == *name)? + 1;
            of_item(item, Some(i64::try_from(position).ok()?))
        }
        Commented::Schema(database, name) => {
            let (_, schema) =
                catalog.schemas().find(|((of, schema), _)| of == database && schema == name)?;
            let oid = Some((schema.oid, SCHEMA_CLASS));
            plain(scoped_id(database.is_none(), schema.id), "schema", oid)
        }
        Commented::Database(name) => {
            let database = catalog.database(name)?;
            plain(scoped_id(false, database.id), "database", Some((database.oid, DATABASE_CLASS)))
        }
        Commented::Cluster(name) => plain(catalog.cluster(name)?.id_text(), "cluster", None),
        Commented::ClusterReplica(cluster, name) => {
            let cluster = catalog.cluster(cluster)?;
            let id = scoped_id(cluster.system, cluster.replica(name)?.id);
            plain(id, "cluster-replica", None)
        }
        Commented::Role(name) => {
            let role = catalog.role(name)?;
            plain(role.id_text(), "role", Some((role.oid(), ROLE_CLASS)))
        }
        Commented::Constraint(id, name) => {
            let item = catalog.item(*id)?;
            let constraints = &item.table()?.constraints;
            let position = constraints.iter().position(|known| known.name == *name)?;
            let oid = constraint_oid(*id, position);
            plain(id.to_string(), CONSTRAINT, Some((oid, CONSTRAINT_CLASS)))
        }
    })
}

fn all_comments(catalog: &Catalog) -> impl Iterator<Item = Found<'_>> {
    catalog.comments().filter_map(|(on, text)| found(catalog, on, text))
}

fn comments(catalog: &Catalog) -> Vec<Row> {
    all_comments(catalog)
        .filter(|comment| comment.kind != CONSTRAINT)
        .map(|comment| {
            Row::pack([
                Datum::Text(&comment.id),
                Datum::Text(comment.kind),
                comment.column.map_or(Datum::Null, Datum::Int),
                Datum::Text(comment.text),
            ])
        })
        .collect()
}

/// The rows of `pg_description`.
pub(super) fn descriptions(catalog: &Catalog) -> Vec<Row> {
    let row = |comment: Found<'_>| {
        let (oid, class) = comment.oid.filter(|(_, class)| !is_shared(*class))?;
        Some(Row::pack([
            Datum::Int(i64::from(oid.0)),
            Datum::Int(class),
            Datum::Int(comment.column.unwrap_or(0)),
            Datum::Text(comment.text),
        ]))
    };
    all_comments(catalog).filter_map(row).collect()
}

/// The rows of `pg_shdescription`.
pub(super) fn shared_descriptions(catalog: &Catalog) -> Vec<Row> {
    let row = |comment: Found<'_>| {
        let (oid, class) = comment.oid.filter(|(_, class)| is_shared(*class))?;
        let oid = Datum::Int(i64::from(oid.0));
        Some(Row::pack([oid, Datum::Int(class), Datum::Text(comment.text)]))
    };
    all_comments(catalog).filter_map(row).collect()
}

fn transitive_dependencies(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for item in catalog.items().filter(|item| !item.is_system()) {
        let mut seen: BTreeSet<ObjectId> = BTreeSet::new();
        let mut todo = item.depends_on.clone();
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                todo.extend(catalog.item(id).into_iter().flat_map(|item| &item.depends_on));
            }
        }
        let id = item.id.to_string();
        let row = |other: &ObjectId| Row::pack([Datum::Text(&id), Datum::Text(&other.to_string())]);
        rows.extend(seen.iter().map(row));
    }
    rows
}

fn index_columns(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for item in catalog.items() {
        let Definition::Index(index) = &item.definition else { continue };
        let Some(desc) = catalog.item(index.on).and_then(|on| on.desc()) else { continue };
        let id = item.id.to_string();
        for (sql, position) in index.key_sql.iter().zip(1..) {
            let named =
                desc.columns.iter().position(|column| quote_identifier(&column.name) == *sql);
            let column = named.and_then(|column| desc.columns.get(column));
            let on = named.and_then(|column| i64::try_from(column + 1).ok());
            rows.push(Row::pack([
                Datum::Text(&id),
                Datum::Int(position),
                on.map_or(Datum::Null, Datum::Int),
                if on.is_some() { Datum::Null } else { Datum::Text(sql) },
                Datum::Bool(column.is_none_or(|column| column.typ.nullable)),
            ]));
        }
    }
    rows
}
