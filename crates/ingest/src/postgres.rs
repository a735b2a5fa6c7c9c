//! PostgreSQL as a source: a consistent snapshot of each table, joined without gap or overlap to
//! the logical replication stream.
//!
//! The life of an upstream commit:
//!
//! 1. [`source`]: the task connects ([`connection`]), creates its slot if it has no position yet,
//!    and starts the stream at its position ([`replication`]).
//! 2. [`pgoutput`]: each message of the stream is read without copying.
//! 3. [`table`]: `Relation` messages are held against what the table was when it was created;
//!    tuples become row bytes.
//! 4. [`follower`], [`transaction`]: the changes between Begin and Commit are gathered, a batch a table; at
//!    Commit they become one [`crate::IngestCommit`], with the end of the commit as position.
//! 5. The coordinator says what is durable, and only that is confirmed ([`replication`]).
//!
//! The life of a new table: [`snapshot`] makes a temporary slot, which gives a snapshot to read
//! from and the position `p` that it belongs to. The stream goes on meanwhile. It leaves out the
//! table's changes that were committed up to `p` (they are in the snapshot) and keeps the later
//! ones back; when the snapshot is read and the stream has reached `p`, snapshot and kept changes
//! are committed together, at one tick.

pub mod source;

pub mod connection;
pub mod describe;
mod follower;
pub mod pgoutput;
mod replication;
mod snapshot;
mod table;
mod tls;
mod transaction;

pub use connection::{PostgresConnection, SslMode, drop_slot, validate};
pub use describe::{
    ReplicaIdentity, TypeKind, UpstreamColumn, UpstreamDescription, UpstreamKey, UpstreamTable,
    describe,
};
pub use source::{
    IngestColumn, SourceConfig, SourceHandle, TableConfig, TableSnapshot, new_slot_name, start,
};
