//! `pg_catalog`: roles, settings, access methods, tablespaces.

use tidemill_repr::Row;

use super::super::fill::{Shape, Value};
use super::super::{Builtin, Content, roles};
use crate::snapshot::Catalog;

const ROLES: &str = "oid oid, rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, \
     rolcreatedb bool, rolcanlogin bool, rolreplication bool, rolconnlimit int4, \
     rolpassword text?, rolvaliduntil timestamptz?, rolbypassrls bool, rolconfig text[]?";
const ACCESS_METHODS: &str = "oid oid, amname name, amhandler regproc, amtype char";
const SETTINGS: &str = "name text, setting text, unit text?, category text?, short_desc text?, \
     extra_desc text?, context text?, vartype text?, source text, min_val text?, \
     max_val text?, enumvals text[]?, boot_val text?, reset_val text?, \
     sourcefile text?, sourceline int4?, pending_restart bool";
const TABLESPACES: &str = "oid oid, spcname name, spcowner oid, spcacl text[]?, spcoptions text[]?";
const LANGUAGES: &str = "oid oid, lanname name, lanowner oid, lanispl bool, lanpltrusted bool, \
     lanplcallfoid oid, laninline oid, lanvalidator oid, lanacl text[]?";

/// The tablespace of all databases, with PostgreSQL's oid.
pub(super) const DEFAULT_TABLESPACE: i64 = 1663;

/// The relations.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 311,
        schema: "pg_catalog",
        name: "pg_roles",
        columns: ROLES,
        content: Content::Catalog(all_roles),
    },
    Builtin {
        number: 312,
        schema: "pg_catalog",
        name: "pg_am",
        columns: ACCESS_METHODS,
        content: Content::Constant(access_methods),
    },
    Builtin {
        number: 313,
        schema: "pg_catalog",
        name: "pg_settings",
        columns: SETTINGS,
        content: Content::Constant(settings),
    },
    Builtin {
        number: 314,
        schema: "pg_catalog",
        name: "pg_tablespace",
        columns: TABLESPACES,
        content: Content::Constant(tablespaces),
    },
    Builtin {
        number: 315,
        schema: "pg_catalog",
        name: "pg_language",
        columns: LANGUAGES,
        content: Content::Constant(languages),
    },
    Builtin {
        number: 316,
        schema: "pg_catalog",
        name: "pg_extension",
        columns: "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable bool, \
                  extversion text, extconfig oid[]?, extcondition text[]?",
        content: Content::Empty,
    },
];

fn all_roles(catalog: &Catalog) -> Vec<Row> {
    let shape = Shape::of(ROLES);
    roles::names(catalog)
        .into_iter()
        .map(|name| {
            let system = name == roles::SYSTEM;
            shape.row(&[
                ("oid", Value::Int(roles::oid(name))),
                ("rolname", Value::Text(name)),
                ("rolsuper", Value::Bool(system)),
                ("rolinherit", Value::Bool(true)),
                ("rolcreaterole", Value::Bool(system)),
                ("rolcreatedb", Value::Bool(true)),
                ("rolcanlogin", Value::Bool(true)),
                ("rolconnlimit", Value::Int(-1)),
            ])
        })
        .collect()
}

fn access_methods() -> Vec<Row> {
    let shape = Shape::of(ACCESS_METHODS);
    [(2, "heap", "t"), (403, "btree", "i")]
        .into_iter()
        .map(|(number, name, kind)| {
            shape.row(&[
                ("oid", Value::Int(number)),
                ("amname", Value::Text(name)),
                ("amtype", Value::Text(kind)),
            ])
        })
        .collect()
}

/// What a session starts with. `SHOW` tells what it has now.
fn settings() -> Vec<Row> {
    let shape = Shape::of(SETTINGS);
    [
        ("application_name", "", "string", "user"),
        ("bytea_output", "hex", "enum", "user"),
        ("client_encoding", "UTF8", "string", "user"),
        ("client_min_messages", "notice", "enum", "user"),
        ("cluster", "quickstart", "string", "user"),
        ("DateStyle", "ISO, MDY", "string", "user"),
        ("default_transaction_isolation", "serializable", "enum", "user"),
        ("extra_float_digits", "1", "integer", "user"),
        ("idle_in_transaction_session_timeout", "120000", "integer", "user"),
        ("integer_datetimes", "on", "bool", "internal"),
        ("IntervalStyle", "postgres", "enum", "user"),
        ("lock_timeout", "0", "integer", "user"),
        ("max_identifier_length", "255", "integer", "internal"),
        ("max_index_keys", "32", "integer", "internal"),
        ("search_path", "public", "string", "user"),
        ("server_encoding", "UTF8", "string", "internal"),
        ("server_version", "17.0", "string", "internal"),
        ("server_version_num", "170000", "integer", "internal"),
        ("standard_conforming_strings", "on", "bool", "user"),
        ("statement_timeout", "0", "integer", "user"),
        ("TimeZone", "UTC", "string", "user"),
        ("transaction_isolation", "serializable", "enum", "user"),
    ]
    .into_iter()
    .map(|(name, value, kind, context)| {
        shape.row(&[
            ("name", Value::Text(name)),
            ("setting", Value::Text(value)),
            ("context", Value::Text(context)),
            ("vartype", Value::Text(kind)),
            ("source", Value::Text("default")),
            ("boot_val", Value::Text(value)),
            ("reset_val", Value::Text(value)),
        ])
    })
    .collect()
}

fn tablespaces() -> Vec<Row> {
    let shape = Shape::of(TABLESPACES);
    let owner = roles::oid(roles::SYSTEM);
    vec![shape.row(&[
        ("oid", Value::Int(DEFAULT_TABLESPACE)),
        ("spcname", Value::Text("pg_default")),
        ("spcowner", Value::Int(owner)),
    ])]
}

fn languages() -> Vec<Row> {
    let shape = Shape::of(LANGUAGES);
    let owner = roles::oid(roles::SYSTEM);
    [(12, "internal"), (14, "sql")]
        .into_iter()
        .map(|(number, name)| {
            shape.row(&[
                ("oid", Value::Int(number)),
                ("lanname", Value::Text(name)),
                ("lanowner", Value::Int(owner)),
            ])
        })
        .collect()
}
