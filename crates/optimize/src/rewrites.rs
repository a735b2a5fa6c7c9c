//! The rewrites, one a file. Each keeps the multiset that a relation stands for.

pub mod bindings;
pub mod demand;
pub mod factor;
pub mod fold;
pub mod fuse;
pub mod joins;
pub mod pushdown;
pub mod redundant;
