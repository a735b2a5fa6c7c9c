//! The rewrites, one a file. Each keeps the multiset that a relation stands for.

pub mod bindings;
pub mod demand;
pub mod factor;
pub mod fold;
pub mod fuse;
pub mod imply;
pub mod joins;
pub mod not_null;
pub mod nullability;
pub mod pushdown;
pub mod redundant;
pub mod self_joins;
pub mod share;
