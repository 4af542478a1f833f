//! Image names: parsing, Docker normalisation, digests.
//!
//! A name as a person types it (`busybox`, `localhost:5000/a/b:1`, `x@sha256:...`) becomes a
//! [`Reference`] that always has a registry domain and a repository path.

mod digest;
mod grammar;
mod reference;

pub use digest::{Digest, DigestError};
pub use reference::{AnyReference, ParseError, Reference};

/// Registry of names that name none.
pub const DEFAULT_DOMAIN: &str = "docker.io";
/// First path component of Docker Hub's official images.
pub const OFFICIAL_NAMESPACE: &str = "library";
/// Tag of names that carry neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
