//! One container's keeper: serves the shim task API, drives an OCI runtime.

fn main() {}
