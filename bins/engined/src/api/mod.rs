//! The Docker Engine API: its routes, versions, bodies and errors.

mod accept;
mod authorization;
mod body;
mod call;
mod containers;
mod documented;
mod errors;
mod execs;
pub mod fields;
pub mod hijack;
mod images;
mod lenient;
pub mod listeners;
mod networks;
pub mod plugin;
mod query;
pub mod rate;
mod routes;
pub mod serve;
mod socket;
mod system;
mod tls;
pub mod versions;
mod volumes;
