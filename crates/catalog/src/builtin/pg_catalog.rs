//! `pg_catalog`: the same objects as PostgreSQL shows them.

mod activity;
mod class_oids;
mod classes;
mod constraints;
pub(crate) mod functions;
mod pseudo_types;
mod relations;
mod replication;
mod server;
mod statistics;
mod type_functions;
mod types;
mod views;

use super::Builtin;
pub(super) use class_oids::class_oid;
pub use pseudo_types::pseudo_type;
pub(crate) use pseudo_types::pseudo_type_name;

/// The oid of the schema `pg_catalog`.
const PG_CATALOG: i64 = 11;

/// The relations of the schema; views last.
pub fn all() -> impl Iterator<Item = &'static Builtin> {
    relations::RELATIONS
        .iter()
        .chain(types::RELATIONS)
        .chain(functions::RELATIONS)
        .chain(server::RELATIONS)
        .chain(constraints::RELATIONS)
        .chain(replication::RELATIONS)
        .chain(classes::RELATIONS)
        .chain(activity::RELATIONS)
        .chain(statistics::RELATIONS)
        .chain(views::RELATIONS)
}
