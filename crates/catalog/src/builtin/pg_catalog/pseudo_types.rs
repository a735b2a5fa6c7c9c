//! `pg_catalog`: types that stand in signatures only.

use tidemill_repr::Row;

use super::super::fill::{Shape, Value};
use super::super::roles;
use super::PG_CATALOG;

/// Oid, name, oid of the array type, length.
const PSEUDO_TYPES: &[(u32, &str, u32, i64)] = &[
    (2249, "record", 2287, -1),
    (2275, "cstring", 1263, -2),
    (2276, "any", 0, 4),
    (2277, "anyarray", 0, -1),
    (2278, "void", 0, 4),
    (2279, "trigger", 0, 4),
    (2280, "language_handler", 0, 4),
    (2281, "internal", 0, 8),
    (2283, "anyelement", 0, 4),
    (2776, "anynonarray", 0, 4),
    (3500, "anyenum", 0, 4),
    (3831, "anyrange", 0, -1),
    (3838, "event_trigger", 0, 4),
    (4537, "anymultirange", 0, -1),
    (5077, "anycompatible", 0, 4),
    (5078, "anycompatiblearray", 0, -1),
    (5079, "anycompatiblenonarray", 0, 4),
    (5080, "anycompatiblerange", 0, -1),
];

/// The oid of a type that stands in signatures only.
pub fn pseudo_type(name: &str) -> Option<u32> {
    let found = PSEUDO_TYPES.iter().find(|(_, known, ..)| *known == name);
    found.map(|(oid, ..)| *oid)
}

/// The name of such a type.
pub(crate) fn pseudo_type_name(oid: u32) -> Option<&'static str> {
    let found = PSEUDO_TYPES.iter().find(|(known, ..)| *known == oid);
    found.map(|(_, name, ..)| *name)
}

/// Their rows in `pg_type`.
pub(super) fn rows(shape: &Shape) -> impl Iterator<Item = Row> {
    PSEUDO_TYPES.iter().map(move |(number, name, array, length)| {
        shape.row(&[
            ("oid", Value::Int(i64::from(*number))),
            ("typname", Value::Text(name)),
            ("typnamespace", Value::Int(PG_CATALOG)),
            ("typowner", Value::Int(roles::oid(roles::SYSTEM))),
            ("typlen", Value::Int(*length)),
            ("typtype", Value::Text("p")),
            ("typcategory", Value::Text("P")),
            ("typisdefined", Value::Bool(true)),
            ("typdelim", Value::Text(",")),
            ("typarray", Value::Int(i64::from(*array))),
            ("typalign", Value::Text("i")),
            ("typstorage", Value::Text("p")),
            ("typtypmod", Value::Int(-1)),
        ])
    })
}
