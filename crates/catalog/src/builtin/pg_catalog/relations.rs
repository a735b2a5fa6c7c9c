//! `pg_catalog`: schemas, relations, columns, indexes, databases.

use std::sync::LazyLock;

use tidemill_repr::{ColumnType, Row, ScalarType};

use super::super::fill::{Shape, Value, count, oid};
use super::super::{Builtin, Content, DATABASE_COLUMN, roles};
use crate::constraint::Generation;
use crate::item::{Definition, Index, Item};
use crate::role::Securable;
use crate::snapshot::Catalog;

const NAMESPACE: &str = "oid oid, nspname name, nspowner oid, nspacl text[]?, database_name name?";
const CLASS: &str = "oid oid, relname name, relnamespace oid, reltype oid, reloftype oid, \
     relowner oid, relam oid, relfilenode oid, reltablespace oid, relpages int4, \
     reltuples float4, relallvisible int4, reltoastrelid oid, relhasindex bool, \
     relisshared bool, relpersistence char, relkind char, relnatts int2, \
     relchecks int2, relhasrules bool, relhastriggers bool, relhassubclass bool, \
     relrowsecurity bool, relforcerowsecurity bool, relispopulated bool, \
     relreplident char, relispartition bool, relrewrite oid, relfrozenxid int8, \
     relminmxid int8, relacl text[]?, reloptions text[]?, relpartbound text?, \
     database_name name?";
const ATTRIBUTE: &str = "attrelid oid, attname name, atttypid oid, attstattarget int4?, \
     attlen int2, attnum int2, attndims int4, attcacheoff int4, atttypmod int4, attbyval bool, \
     attalign char, attstorage char, attcompression char, attnotnull bool, \
     atthasdef bool, atthasmissing bool, attidentity char, attgenerated char, \
     attisdropped bool, attislocal bool, attinhcount int4, attcollation oid, \
     attacl text[]?, attoptions text[]?, attfdwoptions text[]?, attmissingval text?";
const INDEX: &str = "indexrelid oid, indrelid oid, indnatts int2, indnkeyatts int2, \
     indisunique bool, indnullsnotdistinct bool, indisprimary bool, indisexclusion bool, \
     indimmediate bool, indisclustered bool, indisvalid bool, indcheckxmin bool, \
     indisready bool, indislive bool, indisreplident bool, indkey int2vector, \
     indcollation oidvector, indclass oidvector, indoption int2vector, indexprs text?, indpred text?";
const DATABASE: &str = "oid oid, datname name, datdba oid, encoding int4, datlocprovider char, \
     datistemplate bool, datallowconn bool, datconnlimit int4, datfrozenxid int8, \
     datminmxid int8, dattablespace oid, datcollate text, datctype text, datlocale text?, \
     daticulocale text?, daticurules text?, datcollversion text?, datacl text[]?";
const DEFAULTS: &str = "oid oid, adrelid oid, adnum int2, adbin text";

/// The oid of the access method of tables and of the one of indexes, as in PostgreSQL.
const HEAP: i64 = 2;
const BTREE: i64 = 403;

/// The relations.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 300,
        schema: "pg_catalog",
        name: "pg_namespace",
        columns: NAMESPACE,
        content: Content::Catalog(namespaces),
    },
    Builtin {
        number: 301,
        schema: "pg_catalog",
        name: "pg_class",
        columns: CLASS,
        content: Content::Items(classes),
    },
    Builtin {
        number: 302,
        schema: "pg_catalog",
        name: "pg_attribute",
        columns: ATTRIBUTE,
        content: Content::Items(attributes),
    },
    Builtin {
        number: 304,
        schema: "pg_catalog",
        name: "pg_database",
        columns: DATABASE,
        content: Content::Catalog(databases),
    },
    Builtin {
        number: 305,
        schema: "pg_catalog",
        name: "pg_index",
        columns: INDEX,
        content: Content::Items(indexes),
    },
    Builtin {
        number: 306,
        schema: "pg_catalog",
        name: "pg_attrdef",
        columns: DEFAULTS,
        content: Content::Items(defaults),
    },
];

fn namespaces(catalog: &Catalog) -> Vec<Row> {
    let shape = Shape::of(NAMESPACE);
    let schemas = catalog.schemas().map(|((database, name), schema)| {
        shape.row(&[
            ("oid", oid(schema.oid)),
            ("nspname", Value::Text(name)),
            ("nspowner", Value::Int(roles::oid(&schema.owner))),
            (
                "nspacl",
                Value::Texts(roles::postgres_acl(
                    catalog,
                    &Securable::Schema(database.clone(), name.clone()),
                )),
            ),
            (DATABASE_COLUMN, Value::Optional(database.as_deref())),
        ])
    });
    schemas.collect()
}

fn relation_kind(item: &Item) -> Option<&'static str> {
    match &item.definition {
        // What can be selected from is a table; sources are shown by `SHOW SOURCES`.
        Definition::Table(_) => Some("r"),
        Definition::View(_) => Some("v"),
        Definition::MaterializedView(_) => Some("m"),
        Definition::Index(_) => Some("i"),
        Definition::Sequence(_) => Some("S"),
        Definition::Type(created) => matches!(created.typ, ScalarType::Composite(_)).then_some("c"),
        Definition::Source(_)
        | Definition::Connection(_)
        | Definition::Secret(_)
        | Definition::Function(_) => None,
    }
}

fn classes(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(CLASS));
    let Some(kind) = relation_kind(item) else { return };
    let (columns, method) = match &item.definition {
        Definition::Index(index) => (index.key_sql.len(), BTREE),
        Definition::View(_) | Definition::Sequence(_) => (visible_columns(item), 0),
        Definition::Type(created) => match &created.typ {
            ScalarType::Composite(definition) => (definition.fields.len(), 0),
            _ => (0, 0),
        },
        _ => (visible_columns(item), HEAP),
    };
    let constraints = item.table().map_or(&[][..], |table| &table.constraints);
    let checks = constraints.iter().filter(|constraint| constraint.key().is_none()).count();
    rows.push(SHAPE.row(&[
        ("oid", oid(item.oid)),
        ("relname", Value::Text(&item.name.item)),
        ("relnamespace", oid(catalog.schema_oid(&item.name))),
        ("reltype", oid(row_type(item))),
        ("relowner", Value::Int(roles::oid(&item.owner))),
        ("relacl", Value::Texts(roles::postgres_acl(catalog, &Securable::Item(item.id)))),
        ("relam", Value::Int(method)),
        ("reltuples", Value::Float4(-1.0)),
        // Clients ask for the indexes of a relation if this says so.
        ("relhasindex", Value::Bool(kind == "r" || kind == "m" || kind == "v")),
        ("relpersistence", Value::Text("p")),
        ("relkind", Value::Text(kind)),
        ("relnatts", count(columns)),
        ("relchecks", count(checks)),
        ("relispopulated", Value::Bool(true)),
        ("relreplident", Value::Text(if kind == "r" { "d" } else { "n" })),
        (DATABASE_COLUMN, Value::Optional(item.name.database.as_deref())),
    ]));
}

/// The type of a relation's rows; 0 if it has none.
fn row_type(item: &Item) -> tidemill_repr::Oid {
    item.type_of().map_or(tidemill_repr::Oid(0), |typ| typ.oid())
}

/// How many columns a session sees.
fn visible_columns(item: &Item) -> usize {
    item.desc().map_or(0, |desc| {
        desc.columns.iter().filter(|column| !is_hidden(item, &column.name)).count()
    })
}

fn is_hidden(item: &Item, column: &str) -> bool {
    item.is_system() && column == DATABASE_COLUMN
}

fn attributes(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    if let Definition::Index(index) = &item.definition {
        index_attributes(catalog, item, index, rows);
        return;
    }
    if let Definition::Type(created) = &item.definition
        && let ScalarType::Composite(definition) = &created.typ
    {
        for (position, (name, typ)) in definition.fields.iter().enumerate() {
            let none = Filled { default: false, identity: "", generated: "" };
            rows.push(attribute(item, position, name, typ, &none));
        }
    }
    let Some(desc) = item.desc() else { return };
    for (position, column) in desc.columns.iter().enumerate() {
        if is_hidden(item, &column.name) {
            continue;
        }
        let table = item.table();
        let default = table.and_then(|table| table.defaults.get(position));
        let generation = table.and_then(|table| table.generation(position));
        // PostgreSQL knows NOT NULL of tables only.
        let typ = match table {
            Some(_) => column.typ.clone(),
            None => column.typ.clone().nullable(true),
        };
        let filled = Filled {
            default: default.is_some_and(|default| is_shown(default.as_deref()))
                || matches!(generation, Some(Generation::Stored(_))),
            identity: match generation {
                Some(Generation::Identity { always: true, .. }) => "a",
                Some(Generation::Identity { always: false, .. }) => "d",
                _ => "",
            },
            generated: if matches!(generation, Some(Generation::Stored(_))) { "s" } else { "" },
        };
        rows.push(attribute(item, position, &column.name, &typ, &filled));
    }
}

/// The columns of an index: those of its key.
fn index_attributes(catalog: &Catalog, item: &Item, index: &Index, rows: &mut Vec<Row>) {
    let relation = catalog.item(index.on).and_then(|on| on.desc());
    let none = Filled { default: false, identity: "", generated: "" };
    for (position, sql) in index.key_sql.iter().enumerate() {
        let column = key_column(catalog, index, sql)
            .and_then(|at| relation?.columns.get(usize::try_from(at - 1).ok()?));
        let unknown = ColumnType::new(ScalarType::Text);
        let (name, typ) = match column {
            Some(column) => (column.name.as_str(), &column.typ),
            None => (called_name(sql).unwrap_or("expr"), &unknown),
        };
        rows.push(attribute(item, position, name, &typ.clone().nullable(true), &none));
    }
}

/// How a column's values come by themselves.
struct Filled {
    default: bool,
    identity: &'static str,
    generated: &'static str,
}

fn attribute(item: &Item, position: usize, name: &str, typ: &ColumnType, filled: &Filled) -> Row {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(ATTRIBUTE));
    let scalar_type = &typ.scalar_type;
    let length = scalar_type.type_length();
    SHAPE.row(&[
        ("attrelid", oid(item.oid)),
        ("attname", Value::Text(name)),
        ("atttypid", oid(scalar_type.oid())),
        ("attlen", Value::Int(i64::from(length))),
        ("attnum", count(position + 1)),
        ("attndims", Value::Int(i64::from(matches!(scalar_type, ScalarType::Array(_))))),
        ("attcacheoff", Value::Int(-1)),
        ("atttypmod", Value::Int(i64::from(typ.typmod))),
        ("attbyval", Value::Bool(super::types::by_value(scalar_type))),
        ("attalign", Value::Text(super::types::alignment(scalar_type))),
        ("attstorage", Value::Text(super::types::storage(scalar_type))),
        ("attnotnull", Value::Bool(!typ.nullable)),
        ("atthasdef", Value::Bool(filled.default)),
        ("attidentity", Value::Text(filled.identity)),
        ("attgenerated", Value::Text(filled.generated)),
        ("attislocal", Value::Bool(true)),
        ("attcollation", Value::Int(super::types::collation(scalar_type))),
    ])
}

/// The position, from 1, of the column that a key's expression is; None for another expression.
fn key_column(catalog: &Catalog, index: &Index, sql: &str) -> Option<i64> {
    let desc = catalog.item(index.on)?.desc()?;
    let quoted = sql.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let name = quoted.map_or_else(|| sql.to_owned(), |name| name.replace("\"\"", "\""));
    let column = desc.columns.iter().position(|column| column.name == name)?;
    i64::try_from(column + 1).ok()
}

fn indexes(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(INDEX));
    let Definition::Index(index) = &item.definition else { return };
    let Some(on) = catalog.item(index.on) else { return };
    let key: Vec<i64> =
        index.key_sql.iter().map(|sql| key_column(catalog, index, sql).unwrap_or(0)).collect();
    let expressions: Vec<&str> = index
        .key_sql
        .iter()
        .zip(&key)
        .filter(|(_, column)| **column == 0)
        .map(|(sql, _)| sql.as_str())
        .collect();
    let zeros = vec![0; key.len()];
    let unique = index.unique.as_ref();
    rows.push(SHAPE.row(&[
        ("indisunique", Value::Bool(unique.is_some())),
        ("indisprimary", Value::Bool(unique.is_some_and(|key| key.primary))),
        ("indnullsnotdistinct", Value::Bool(unique.is_some_and(|key| key.nulls_not_distinct))),
        ("indexrelid", oid(item.oid)),
        ("indrelid", oid(on.oid)),
        ("indnatts", count(key.len())),
        ("indnkeyatts", count(key.len())),
        ("indimmediate", Value::Bool(true)),
        ("indisvalid", Value::Bool(true)),
        ("indisready", Value::Bool(true)),
        ("indislive", Value::Bool(true)),
        ("indkey", Value::Ints(key)),
        ("indcollation", Value::Ints(zeros.clone())),
        ("indclass", Value::Ints(zeros.clone())),
        ("indoption", Value::Ints(zeros)),
        (
            "indexprs",
            Value::Optional((!expressions.is_empty()).then(|| expressions.join(", ")).as_deref()),
        ),
    ]));
}

fn databases(catalog: &Catalog) -> Vec<Row> {
    let shape = Shape::of(DATABASE);
    let databases = catalog.databases().map(|(name, database)| {
        shape.row(&[
            ("oid", oid(database.oid)),
            ("datname", Value::Text(name)),
            ("datdba", Value::Int(roles::oid(&database.owner))),
            (
                "datacl",
                Value::Texts(roles::postgres_acl(catalog, &Securable::Database(name.clone()))),
            ),
            // UTF8
            ("encoding", Value::Int(6)),
            ("datlocprovider", Value::Text("c")),
            ("datallowconn", Value::Bool(true)),
            ("datconnlimit", Value::Int(-1)),
            ("dattablespace", Value::Int(super::server::DEFAULT_TABLESPACE)),
            ("datcollate", Value::Text("C")),
            ("datctype", Value::Text("C")),
        ])
    });
    databases.collect()
}

/// Whether a default is one: NULL is as good as none.
fn is_shown(default: Option<&str>) -> bool {
    default.is_some_and(|default| !default.eq_ignore_ascii_case("null"))
}

/// The default as PostgreSQL shows it, if it is a constant: with its type. None if it stays as it was written.
fn typed_default(default: &str, typ: &ScalarType) -> Option<String> {
    let inner = default.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let quoted = inner.is_some_and(|inner| !inner.replace("''", "").contains('\''));
    let negative = default.starts_with('-') && default.parse::<f64>().is_ok();
    match (quoted, negative) {
        (true, _) => Some(format!("{default}::{}", type_shown(typ))),
        (_, true) => {
            let typ = if default.parse::<i32>().is_ok() { "integer" } else { "numeric" };
            Some(format!("'{default}'::{typ}"))
        }
        _ => None,
    }
}

/// A type as a cast to it is shown: one of a user with its schema, unless that is `public`.
fn type_shown(typ: &ScalarType) -> String {
    let named = match typ {
        ScalarType::Array(element) => return format!("{}[]", type_shown(element)),
        ScalarType::Bpchar => return "bpchar".to_owned(),
        ScalarType::Enum(definition) => &definition.name,
        ScalarType::Domain(definition) => return type_shown(&definition.base.scalar_type),
        ScalarType::Composite(definition) => &definition.name,
        other => return other.to_string(),
    };
    let name = crate::name::quote_identifier(&named.name);
    match named.schema.as_str() {
        "public" => name.to_string(),
        schema => format!("{}.{name}", crate::name::quote_identifier(schema)),
    }
}

/// The function that an expression of an index calls, by which its column is named.
fn called_name(sql: &str) -> Option<&str> {
    let (name, _) = sql.split_once('(')?;
    let letter = |c: char| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit();
    (!name.is_empty() && name.chars().all(letter)).then_some(name)
}

/// The default of a `serial`: its sequence with the schema, unless that is `public`.
fn next_of(catalog: &Catalog, generation: Option<&Generation>) -> Option<String> {
    let Some(Generation::Serial(sequence)) = generation else { return None };
    let name = &catalog.item(*sequence)?.name;
    let item = crate::name::quote_identifier(&name.item).replace('\'', "''");
    Some(match name.schema.as_str() {
        "public" => format!("nextval('{item}'::regclass)"),
        schema => {
            let schema = crate::name::quote_identifier(schema).replace('\'', "''");
            format!("nextval('{schema}.{item}'::regclass)")
        }
    })
}

fn defaults(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(DEFAULTS));
    let Some(table) = item.table() else { return };
    for (position, default) in table.defaults.iter().enumerate() {
        let stored = match table.generation(position) {
            Some(Generation::Stored(expr)) => Some(expr),
            _ => None,
        };
        let default = default.as_deref().filter(|default| is_shown(Some(default)));
        let taken = next_of(catalog, table.generation(position));
        let column = table.desc.columns.get(position);
        let shown = taken.or_else(|| typed_default(default?, &column?.typ.scalar_type));
        let Some(default) = shown.as_deref().or(default).or(stored.map(String::as_str)) else {
            continue;
        };
        // An oid of its own: clients only need it to differ within the relation.
        let own = u64::from(item.oid.0) * 2048 + position as u64;
        let own = i64::try_from(0x8000_0000 | (own & 0x7fff_ffff)).unwrap_or(0);
        rows.push(SHAPE.row(&[
            ("oid", Value::Int(own)),
            ("adrelid", oid(item.oid)),
            ("adnum", count(position + 1)),
            ("adbin", Value::Text(default)),
        ]));
    }
}
