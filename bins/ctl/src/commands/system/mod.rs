//! Verbs of the engine as a whole, and of registries.

pub mod df;
pub mod dial_stdio;
pub mod events;
pub mod info;
pub mod inspect;
pub mod login;
pub mod logout;
pub mod prune;
pub mod search;
pub mod version;
