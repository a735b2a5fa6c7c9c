//! What clients connect to: the PostgreSQL wire protocol, and HTTP ([`http`]) for SQL as JSON,
//! health and metrics.
//!
//! [`listener::serve`] accepts; each connection is one task: [`startup`] agrees on who talks,
//! then [`connection`] takes one message after the other. Simple queries lie in [`simple`], the
//! extended protocol in [`extended`]; both send what [`rows`] makes of a `coord` response.
//! Bytes are read by [`frontend`] and written by [`backend`], [`values`] and [`copy`].
//!
//! Everything a packet of messages gives goes into one buffer, which is written once: at Sync,
//! at Flush, when it passes 64 KB, and before a wait for rows that come as time passes. So a
//! prepared lookup (Bind, Describe, Execute, Sync) costs one read and one write.
//!
//! The messages are decoded here and not by the crate `pgwire`: its decoders panic on short
//! bodies and read on into the next message, and its handlers flush after each message.

mod authenticate;
pub mod backend;
mod client;
pub mod connection;
pub mod copy;
mod copy_in;
mod extended;
pub mod frontend;
pub mod http;
pub mod listener;
pub mod metrics;
mod rows;
mod scram;
mod simple;
mod startup;
mod tls;
pub mod values;

pub use authenticate::Authentication;
pub use listener::{ServerOptions, serve};
pub use metrics::Metrics;
pub use tls::Tls;
