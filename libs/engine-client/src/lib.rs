//! A client of the Docker Engine API: endpoints, version negotiation, streams, hijacking.

mod api_version;
mod client;
mod config_file;
mod connection;
mod context_archive;
mod contexts;
mod credentials;
mod endpoint;
mod error;
mod hijack;
mod request;
mod response;
mod tls;

pub use self::tls::{Tls, TlsError, TlsMaterial};
pub use api_version::ApiVersion;
pub use client::{Client, Ping};
pub use config_file::{ConfigFile, ConfigFileError};
pub use connection::Stream;
pub use context_archive::{pack_context, unpack_context};
pub use contexts::{Context, ContextError, Contexts, DEFAULT_CONTEXT};
pub use credentials::{CredentialError, Credentials, HUB_SERVER, auth_header, registry_server};
pub use endpoint::{DEFAULT_HOST, Endpoint, EndpointError};
pub use error::Error;
pub use hijack::{Hijacked, ReadHalf, WriteHalf};
pub use hyper::Method;
pub use request::Request;
pub use response::{JsonLines, Response};
