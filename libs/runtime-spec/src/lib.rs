//! The OCI runtime specification as small serde types for rt and shim.
