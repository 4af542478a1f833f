//! The supervisor: serves the containerd API, drives shims.

fn main() {}
