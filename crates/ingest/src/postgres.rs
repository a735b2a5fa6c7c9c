//! PostgreSQL as a source: a consistent snapshot of each table, joined without gap or overlap to
//! the logical replication stream.
//!
//! The life of an upstream commit:
//!
//! 1. [`source`]: the task connects ([`connection`]), creates its slot if it has no position yet,
//!    and starts the stream at its position ([`replication`]).
//! 2. [`pgoutput`]: each message of the stream is read without copying. Those of a transaction
//!    that has not committed yet wait ([`streamed`]).
//! 3. [`table`]: `Relation` messages are held against what the table was when it was created;
//!    tuples become row bytes. Where the stream does not tell the old row ([`keyed`]) it comes
//!    from the table's own content ([`work`]).
//! 4. [`follower`], [`transaction`]: the changes between Begin and Commit are gathered, a batch a
//!    table, in parts when they are many; at Commit they become one [`crate::IngestCommit`], with
//!    the end of the commit as position.
//! 5. The coordinator says what is durable, and only that is confirmed ([`replication`]).
//!
//! The life of a new table: [`snapshot`] makes a temporary slot, which gives a snapshot to read
//! from and the position `p` that it belongs to. The stream goes on meanwhile. The table's changes
//! are kept ([`catching`], on disk when they are many); when the snapshot is read and the stream
//! has reached `p`, those that were committed after `p` are added to it, and all is committed at
//! one tick. A table that is read once more (RESYNC) goes the same way, and only the differences
//! to what it holds are committed.
//!
//! A table that is to have more columns of the upstream's than another one has takes its first
//! content from that one, if it is sure what old rows have in them ([`adopted`]).
//!
//! What the stream does not tell is looked up in the upstream's catalog now and then ([`watch`]).

pub mod source;

mod adopted;
mod catching;
pub mod connection;
pub mod describe;
mod difference;
mod follower;
mod keyed;
mod labels;
pub mod pgoutput;
mod replication;
mod slot_wait;
mod snapshot;
mod spool;
mod streamed;
mod table;
mod tls;
mod transaction;
mod watch;
mod work;

pub use connection::{
    PostgresConnection, SslMode, check_slots, current_position, drop_slot, validate,
};
pub use describe::{
    ReplicaIdentity, TypeKind, UpstreamColumn, UpstreamDescription, UpstreamEnum, UpstreamKey,
    UpstreamTable, describe,
};
pub use source::{
    IngestColumn, SourceConfig, SourceHandle, TableConfig, TableSnapshot, new_slot_name, start,
};
