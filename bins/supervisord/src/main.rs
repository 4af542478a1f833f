//! The supervisor: serves the containerd API, drives shims.

mod payload;
mod services;
mod shims;
mod tasks;

fn main() {}
