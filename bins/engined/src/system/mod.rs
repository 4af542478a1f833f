//! The engine as a whole.

pub mod df;
pub mod info;
pub mod registries;
pub mod version;
pub mod versions;
