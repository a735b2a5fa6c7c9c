//! From SQL text to statements and plans.
//!
//! [`parse()`] reads a text into [`ParsedStatement`]s: sqlparser's grammar, and our own
//! statements on its tokenizer ([`ast`]). [`statements::plan`] resolves names against a catalog
//! snapshot, checks options and types, and makes a [`Plan`]: plain data that says all that
//! `coord` needs to run the statement. Queries are planned in [`query`], everything else has one
//! file a statement in [`statements`]. What an upstream's tables look like is handed to
//! [`sources`]; no I/O happens in this crate.
//!
//! Start reading at [`parse`](mod@parse), then [`statements`], then [`plan`](mod@plan).

#![allow(clippy::large_enum_variant, reason = "one a statement, never in bulk")]

pub mod ast;
pub mod names;
mod origins;
pub mod parse;
mod parse_marks;
pub mod plan;
pub mod query;
pub mod rebuild;
pub mod session;
pub mod sources;
pub mod statements;
pub mod types;

pub use parse::{ParsedStatement, parse};
pub use plan::{Notice, Plan, Planned};
pub use session::{Planner, SessionView};
pub use statements::{over_columns, plan, put_rows};
