//! What Prometheus finds at `/v1/metrics`: calls of the services, what tasks use, this process; under the names
//! that containerd gives them.

mod calls;
mod cgroups;
mod endpoint;
mod exposition;
mod messages;
mod process;

pub use calls::Calls;
pub use endpoint::{Endpoint, serve};
