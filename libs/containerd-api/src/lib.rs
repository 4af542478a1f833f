//! Generated gRPC and ttrpc types of the containerd API.
