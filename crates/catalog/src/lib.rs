//! The immutable snapshot of all objects, and the built-in relations.
