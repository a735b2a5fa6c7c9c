//! The one durable log: entries, segments, checkpoints.
//!
//! Everything that must survive a crash is an [`Entry`] in one totally ordered log: catalog
//! changes, updates of base collections, the upstream positions they reach. One entry is atomic
//! over all that it holds. What flows through:
//!
//! ```text
//!  coord ── append(Entry, done) ──▶ state (in memory, readable at once)
//!                                └▶ queue ──▶ writer thread: encode, write, fdatasync ──▶ done(Ok)
//!                                                  │ segments/<first tick>.log
//!  ingest ── part_writer ──▶ parts/*.parquet ◀─────┼── named by entries and by the manifest
//!                                                  ▼
//!                     checkpoint thread: folds tails into parts, writes `manifest`,
//!                     deletes the segments and parts that nothing needs any more
//! ```
//!
//! * A collection is its *levels* (parts whose sum is its content at the tick `as_of`) and its
//!   *tail* (what entries after `as_of` hold, in memory). [`Ledger::read`] gives both.
//! * [`Ledger::append`] makes an entry readable at once and durable a little later: `done` is
//!   called, and [`Ledger::durable_upper`] moves, only after fdatasync.
//! * After an error of the disk nothing is acknowledged any more (an fdatasync that failed once
//!   says nothing about what a second one promises): the server has to be started again.
//!
//! The ledger gives no ticks (only coord does), knows no SQL, and does not look into catalog
//! changes: they are opaque JSON to it.
//!
//! Formats: `docs/formats/ledger.md` (segments) and `docs/formats/checkpoint.md` (manifest,
//! parts). Start reading at [`ledger`].

pub mod checkpoint;
pub mod directory;
pub mod entry;
pub mod error;
pub mod format;
pub mod ledger;
pub mod manifest;
pub mod part;
pub mod reader;
mod recovery;
pub mod secrets;
pub mod segment;
pub mod state;
pub mod writer;

pub use entry::{Entry, PartName};
pub use error::LedgerError;
pub use ledger::{Done, Ledger, Options, Recovered};
pub use part::writer::PartWriter;
pub use reader::CollectionReader;
pub use secrets::SecretBox;
