//! The clock: sessions plan and read, the sequencer commits.
