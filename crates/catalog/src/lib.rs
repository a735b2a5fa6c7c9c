//! The catalog: an immutable snapshot of all objects, their names and dependencies.
//!
//! A [`Catalog`] is never changed: DDL makes a new one from [`CatalogChange`]s (persistent maps
//! share what stays the same) and the sequencer swaps it whole, so planning takes no lock. The
//! changes, as JSON, are what the ledger keeps: names, types and SQL text, never plans; plans
//! are put back ([`Catalog::with_plan`]) when the server starts.
//!
//! Built-in relations are one definition each, under [`builtin`].
//!
//! Start reading at [`snapshot`].

pub mod builtin;
pub mod change;
pub mod cluster;
pub mod comment;
pub mod constraint;
pub mod function;
pub mod item;
pub mod name;
pub mod refresh;
pub mod registered;
pub mod role;
pub mod snapshot;

pub use change::{CatalogChange, OrphanedSlot};
pub use cluster::{Cluster, ClusterReplica};
pub use comment::Commented;
pub use constraint::{Constraint, ConstraintKind, Generation, Sequence, UniqueKey};
pub use function::{Function, Parameter, ParameterMode, ParameterType, Returns};
pub use item::{
    AwsPrivatelinkOptions, Connection, Definition, DomainRules, Index, Item, ItemKind,
    MaterializedView, PostgresConnectionOptions, Secret, Source, SourceReference, SourceTable,
    SshKey, SshTunnelOptions, Succession, Table, UpstreamColumn, UpstreamEnum, UpstreamTable,
    UserType, View,
};
pub use name::QualifiedName;
pub use role::{Privilege, Role, Securable};
pub use snapshot::{Catalog, Database, Schema};
