//! Linux namespaces: which are made, which are joined, and how ids map.

mod kind;
mod mapping;
mod plan;

pub use kind::{Kind, UnknownKind};
pub use mapping::{
    IdKind, MapError, maps_itself, network_of, outer_id, user_and_network_with, user_namespace_with,
    write_mappings,
};
pub use plan::{JoinError, Plan};
