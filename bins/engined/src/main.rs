//! The engine: serves the Docker Engine API, drives the containerd API.

fn main() {}
