//! Images: manifests, indexes and configs, platforms, archives in and out, unpacking into snapshots.
//!
//! Docker's schema 2 and OCI's types both; schema 1 is refused. Everything here is synchronous.

pub mod chain;
pub mod document;
pub mod export;
pub mod import;
pub mod labels;
pub mod media_type;
pub mod platform;
pub mod spec;
pub mod tree;
pub mod unpack;

pub use document::Document;
pub use platform::Matcher;
pub use spec::{Config, Descriptor, Index, Manifest, Platform};

/// Greatest manifest, index or config that is read into memory.
pub const DOCUMENT_LIMIT: u64 = 8 << 20;
