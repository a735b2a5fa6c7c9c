//! Roles, as far as there are any: those that own objects.

use std::collections::BTreeSet;

use crate::snapshot::Catalog;

/// The role that owns what is built in.
pub const SYSTEM: &str = "mz_system";

/// The role that users are by default.
pub const DEFAULT: &str = "materialize";

/// The oid of a role: fixed for those that are always there, made from the name for others.
pub fn oid(name: &str) -> i64 {
    match name {
        SYSTEM => 10,
        DEFAULT => 15_001,
        // FNV, so that it is the same on every start, in the upper half of all oids.
        other => {
            let hash = other.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
            i64::from(hash | 0x8000_0000)
        }
    }
}

/// The names of all roles.
pub(super) fn names(catalog: &Catalog) -> BTreeSet<&str> {
    let owners = catalog.items().map(|item| item.owner.as_str());
    let schemas = catalog.schemas().map(|(_, schema)| schema.owner.as_str());
    let databases = catalog.databases().map(|(_, database)| database.owner.as_str());
    owners.chain(schemas).chain(databases).chain([SYSTEM, DEFAULT]).collect()
}
