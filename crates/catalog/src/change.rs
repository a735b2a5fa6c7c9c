//! Changes of the catalog: what DDL commits and the ledger keeps.

use serde::{Deserialize, Serialize};
use tidemill_repr::{ObjectId, Oid};

use crate::item::Item;

/// One change. A statement may make several; they are committed at one tick.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum CatalogChange {
    /// A new database.
    CreateDatabase {
        /// Identity, apart from objects' ids.
        id: u64,
        /// For `pg_database`.
        oid: Oid,
        /// The name.
        name: String,
        /// The role that owns it.
        owner: String,
    },
    /// A new schema.
    CreateSchema {
        /// Identity, apart from objects' ids.
        id: u64,
        /// For `pg_namespace`.
        oid: Oid,
        /// The database it is in.
        database: String,
        /// The name.
        name: String,
        /// The role that owns it.
        owner: String,
    },
    /// A new object, or a new definition under the same identity.
    PutItem(Box<Item>),
    /// The object is gone.
    DropItem(ObjectId),
    /// The schema, which is empty, is gone.
    DropSchema {
        /// Its database.
        database: String,
        /// Its name.
        name: String,
    },
    /// The database, which has no schemas, is gone.
    DropDatabase {
        /// Its name.
        name: String,
    },
}
