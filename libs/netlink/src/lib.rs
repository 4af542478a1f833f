//! Netlink messages: links, addresses, routes, nftables.
//!
//! Small and synchronous: a request is built, sent, and its answers are read on the same socket.
//! A socket belongs to the network namespace of the thread that opened it, for ever.

mod error;

pub use error::{Error, Result};
