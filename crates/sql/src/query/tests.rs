//! Tests of query planning.
