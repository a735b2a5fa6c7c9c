//! Changes of the catalog: what DDL commits and the ledger keeps.

use serde::{Deserialize, Serialize};
use tidemill_repr::{ObjectId, Oid};

use crate::cluster::Cluster;
use crate::comment::Commented;
use crate::item::Item;
use crate::role::{AclItem, DefaultPrivilege, Membership, NetworkPolicy, Role, Securable};

/// A replication slot that a dropped source left upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanedSlot {
    /// Its name.
    pub slot: String,
    /// The name of the source.
    pub source: String,
    /// The host of the upstream.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// How to get there, encrypted: the connection may be gone, too.
    pub connection: Vec<u8>,
    /// When the source was dropped, in microseconds since 2000.
    pub dropped_at: i64,
    /// Why it could not be dropped, last.
    pub error: Option<String>,
}

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
    /// Schemas have other names, all at once, and so have their objects. `items` are those whose
    /// names or texts change, as they will be.
    RenameSchemas {
        /// Their database.
        database: String,
        /// Old and new name of each.
        names: Vec<(String, String)>,
        /// The objects.
        items: Vec<Item>,
    },
    /// A replication slot upstream that nobody uses any more, to be dropped.
    PutOrphanedSlot(OrphanedSlot),
    /// It was dropped.
    DropOrphanedSlot(String),
    /// The database, which has no schemas, is gone.
    DropDatabase {
        /// Its name.
        name: String,
    },
    /// A new role, or another of the same name.
    PutRole(Box<Role>),
    /// The role is gone, and its memberships with it.
    DropRole(String),
    /// A role is a member of another.
    PutMember(Membership),
    /// It is no more.
    DropMember {
        /// The role whose privileges it had.
        role: String,
        /// The member.
        member: String,
    },
    /// Something has another access list.
    SetPrivileges {
        /// What.
        on: Securable,
        /// All of the list.
        acl: Vec<AclItem>,
    },
    /// Something has another owner.
    SetOwner {
        /// What.
        on: Securable,
        /// The owner.
        owner: String,
    },
    /// What is granted on objects as they are made: all of it.
    SetDefaultPrivileges(Vec<DefaultPrivilege>),
    /// A new network policy, or another of the same name.
    PutNetworkPolicy(NetworkPolicy),
    /// The network policy is gone.
    DropNetworkPolicy(String),
    /// `ALTER SYSTEM`
    SetSystemSetting {
        /// The setting.
        name: String,
        /// Its values; None: what it is by default.
        values: Option<Vec<String>>,
    },
    /// A new cluster, or a new state of the one with this identity.
    PutCluster(Cluster),
    /// The cluster of this name, on which nothing is, is gone.
    DropCluster {
        /// Its name.
        name: String,
    },
    /// Something has a comment, or (None) has it no more.
    Comment {
        /// What.
        on: Commented,
        /// The comment.
        text: Option<String>,
    },
}
