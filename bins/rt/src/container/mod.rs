//! Containers as they are kept between invocations.

mod id;
mod liveness;
mod record;
mod store;

pub use id::Id;
pub use liveness::{Liveness, start_time};
pub use record::{Record, ScopeName};
pub use store::{Container, Store};
