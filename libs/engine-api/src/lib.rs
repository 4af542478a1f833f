//! Types of the Docker Engine API.
//!
//! Field names are Docker's. Reading is tolerant: unknown fields are skipped, missing ones and
//! `null` are the default. Writing follows Go's habits: a field marked `[omitempty]` is left out
//! when it is the default; an `Option` that is not so marked is written as `null`.

#[macro_use]
mod record;

pub mod auth;
pub mod container;
pub mod error;
pub mod event;
pub mod exec;
pub mod host_config;
pub mod image;
pub mod mount;
pub mod network;
pub mod progress;
pub mod stats;
pub mod system;
pub mod volume;
mod words;

pub use record::{Empty, is_default, null_is_default};
pub use words::Words;
