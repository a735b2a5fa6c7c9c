//! From a correlated query to a physical plan: decorrelation, rewrites, lowering.
