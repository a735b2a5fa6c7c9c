//! `json`: values kept as the text they were written in; and json and jsonb made of other values.
//!
//! What a value looks like in json depends on its type, so that the functions here are given the
//! types of their arguments (see [`types`]).

mod build;
mod constructors;
mod parts;
mod read;
mod records;
mod tables;
pub(super) mod types;
mod write;

pub(super) use records::populate;
pub(super) use tables::define_tables;
pub use types::argument_types;

use crate::functions::Definitions;

pub(super) fn define(d: &mut Definitions) {
    parts::define(d);
    build::define(d);
    constructors::define(d);
    records::define(d);
}
