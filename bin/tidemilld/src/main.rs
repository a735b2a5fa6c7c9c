//! The Tidemill server.
fn main() {}
