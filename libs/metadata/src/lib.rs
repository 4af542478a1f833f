//! The supervisor's records: containers, images, content, snapshots, leases, sandboxes by namespace,
//! and the garbage collection that follows their references.
//!
//! All records live in memory; each change is written to one redb file by group commit, and a call returns
//! when its change is durable. Reads never wait. Every call is synchronous and may block on the disk:
//! from async code use `spawn_blocking` for calls that change something.

mod account;
mod backend;
mod collect;
mod condition;
mod containers;
mod content_store;
mod core;
mod database;
mod group;
mod identifier;
mod images;
mod labels;
mod leases;
mod mark;
mod mask;
mod namespaces;
mod pins;
mod reserve;
mod row;
mod sandboxes;
mod schedule;
mod snapshot_store;
mod state;
mod writer;

pub use account::Object;
pub use collect::GcStats;
pub use containers::Containers;
pub use content_store::Content;
pub use database::{Config, Db, Namespace, SharingPolicy, SnapshotterOpener};
pub use identifier::validate_identifier;
pub use images::Images;
pub use labels::validate_labels;
pub use leases::Leases;
pub use namespaces::Namespaces;
pub use sandboxes::Sandboxes;
pub use schedule::GcConfig;
pub use snapshot_store::Snapshots;
pub use writer::{CommitOptions, ContentWriter};

pub use snapshots::{Labels, Mount, Usage, Whiteouts};
