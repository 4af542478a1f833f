//! Generated gRPC and ttrpc types of the containerd API.
//!
//! Modules follow the packages: `containerd.services.tasks.v1` is [`services::tasks::v1`]. The source is
//! `proto/`; `cargo run --manifest-path proto/codegen/Cargo.toml` writes `src/generated` anew. Stubs are
//! behind the features `client` and `server`; a shim needs neither.

mod any;
#[cfg(feature = "client")]
mod dial;
mod duration;
#[allow(missing_docs, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
mod packages;

pub use any::{UnpackError, is, pack, pack_json, unpack};
#[cfg(feature = "client")]
pub use dial::Dial;
pub use duration::parse_duration;
pub use packages::containerd::*;
pub use packages::google;
pub use packages::grpc;
pub use packages::io::containerd::cgroups;
pub use packages::runtimeoptions;
pub use prost_types::{Any, FieldMask, Timestamp};

/// Descriptors of every contract, as a `google.protobuf.FileDescriptorSet`: what server reflection tells.
#[cfg(feature = "server")]
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");

/// The type URL of an OCI runtime spec, JSON, in a container record.
pub const SPEC_URL: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
/// The type URL of an OCI process, JSON, in an exec request.
pub const PROCESS_URL: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
/// The type URL of OCI Linux resources, JSON, in an update request.
pub const RESOURCES_URL: &str = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
/// The type URL of an OCI runtime's features, JSON, in a shim's runtime info.
pub const FEATURES_URL: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";
