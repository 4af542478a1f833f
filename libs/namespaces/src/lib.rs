//! Linux namespaces: which are made, which are joined, and how ids map.

mod kind;
mod mapping;
mod plan;

pub use kind::{Kind, UnknownKind};
pub use mapping::{MapError, maps_itself, user_namespace_with, write_mappings};
pub use plan::{JoinError, Plan};
