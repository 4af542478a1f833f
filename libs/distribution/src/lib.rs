//! The registry client (distribution-spec 1.1, Docker Hub and token authentication).
//!
//! [`hosts`](HostsConfig) says where a repository is looked for; [`Repository`] talks to those hosts:
//! it resolves, fetches with resume, and pushes.

mod auth;
mod challenge;
mod connect;
mod fetch;
mod host;
mod hosts;
mod login;
mod proxies;
mod push;
mod repository;
mod request;
mod resolve;
mod response;
mod search;
mod tags;
mod tls;
mod transport;
mod upload;
pub mod url;

pub use auth::{Anonymous, Credential, Credentials};
pub use challenge::Challenge;
pub use fetch::Blob;
pub use host::{Capabilities, Host, Schemes};
pub use hosts::HostsConfig;
pub use proxies::Proxies;
pub use push::{BlobSource, Pushed};
pub use repository::{Limits, Repository};
pub use request::{Body, body_of};
pub use search::{Found, search};
pub use transport::Transport;

/// What a client needs to know of a blob or manifest to ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub media_type: String,
    pub digest: reference::Digest,
    /// Bytes.
    pub size: u64,
    /// Places outside the registry that have it, of foreign layers.
    pub urls: Vec<String>,
}

/// Greatest manifest or index taken (CVE-2023-25153 and its kin): 8 MiB, as containerd has it.
pub const MANIFEST_LIMIT: u64 = 8 << 20;
