//! Development only: oracles, and the test that checks the code's own rules.

pub mod postgres;

pub mod evaluator;
