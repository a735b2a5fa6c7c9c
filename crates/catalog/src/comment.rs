//! Comments: what COMMENT ON says of an object or column.

use serde::{Deserialize, Serialize};
use tidemill_repr::ObjectId;

/// What a comment is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Commented {
    /// An object.
    Item(ObjectId),
    /// A column of a relation, by its name.
    Column(ObjectId, String),
    /// A schema: database (None for system schemas) and name.
    Schema(Option<String>, String),
    /// A database.
    Database(String),
    /// A cluster.
    Cluster(String),
    /// A replica of a cluster.
    ClusterReplica(String, String),
    /// A role.
    Role(String),
    /// A constraint of a table, by its name.
    Constraint(ObjectId, String),
}
