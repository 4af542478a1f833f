//! The Docker Engine API: its routes, versions, bodies and errors.

mod body;
mod call;
mod containers;
mod errors;
mod execs;
pub mod hijack;
mod images;
mod networks;
pub mod plugin;
mod query;
mod routes;
pub mod serve;
mod system;
pub mod versions;
mod volumes;
