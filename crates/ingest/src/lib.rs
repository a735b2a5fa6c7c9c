//! Sources: PostgreSQL's snapshot and logical replication stream, as whole transactions.
