//! The one durable log: entries, segments, checkpoints.
