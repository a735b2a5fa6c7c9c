//! Sources: a database upstream, followed as whole transactions.
//!
//! A source task ([`postgres::start`]) owns one replication slot and one position. What it reads
//! flows through [`IngestSink`], which the coordinator implements: row bytes of a snapshot go to
//! a [`BulkWriter`], each upstream transaction becomes one [`IngestCommit`] that holds the changes
//! of all tables and the position they reach, and that position is confirmed to the upstream when
//! the coordinator says that it is durable. Nothing here keeps state on disk: a task is started
//! with the position that the ledger holds, and may be killed at any instant.
//!
//! What an upstream looks like (for planning) is told by [`postgres::describe`]. This crate knows
//! neither SQL statements nor ticks.
//!
//! Start reading at [`postgres`], which tells the life of an upstream commit.

pub mod postgres;
pub mod sink;
pub mod ssh;

pub use sink::{
    BulkWriter, IngestCommit, IngestSink, Rows, SourceStatistics, SourceStatus, TableStatistics,
};
