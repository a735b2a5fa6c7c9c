//! The PostgreSQL wire protocol and HTTP.
