//! Replicas: timely workers, rendering, arrangements, publication, and the protocol.
//!
//! [`Command`]s go in through [`Replica::send`]; each worker thread ([`worker`]) builds timely
//! dataflows from physical plans ([`render`], one file an operator) and feeds them the commits.
//! Each dataflow carries rows and errors side by side. What it maintains comes out as published
//! batches that sessions read by themselves ([`IndexReader`]) or as a stream of changes
//! ([`SubscribeBatch`]).
//!
//! Only `coord` gives ticks; nothing here reads a clock. A session that reads an index sends no
//! message to a worker.
//!
//! Start reading at [`protocol`], then `worker`, then `render`.

pub mod protocol;
mod publish;
mod reader;
mod render;
mod replica;
mod typedefs;
mod worker;

pub use protocol::{Command, SubscribeBatch};
pub use reader::{BackwardScan, IndexReader, IndexScan};
pub use replica::{Replica, StartError};
