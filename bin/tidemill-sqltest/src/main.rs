//! Runs sql-tests/ against a real server with a real upstream PostgreSQL.
fn main() {}
