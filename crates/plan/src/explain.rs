//! EXPLAIN's texts of plans.
