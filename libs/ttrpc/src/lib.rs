//! The ttrpc protocol, client and server: unary calls over unix sockets.
//!
//! Frames are a 10-byte header and at most 4 MiB of data; requests and responses are protobuf
//! messages; many calls are in flight on one connection and are answered in any order
//! (github.com/containerd/ttrpc PROTOCOL.md). Both sides run on any tokio runtime.

mod client;
mod connection;
mod frame;
mod message;
mod server;
mod status;

pub use client::{CallOptions, Client};
pub use frame::{Decoder, Header, MAX_DATA_BYTES, MessageType, Received, encode};
pub use message::{KeyValue, Request, Response};
pub use server::{Context, Reply, Server, Service, respond};
pub use status::{Error, Status};
