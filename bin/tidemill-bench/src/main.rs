//! Benchmarks, each with its reference in the same run.
fn main() {}
