//! Verbs of checkpoints.

pub mod create;
pub mod ls;
pub mod rm;

use engine_client::Client;

use crate::grammar::{Failure, Flag};

const DIRECTORY: Flag = Flag::text("checkpoint-dir", "Directory of the checkpoints");

/// Docker offers checkpoints only where the engine says that it is experimental.
///
/// # Errors
/// It is not, or cannot be reached.
async fn require_experimental(engine: &Client, path: &str) -> Result<(), Failure> {
    if engine.ping().await?.experimental {
        return Ok(());
    }
    Err(Failure::new(format!(
        "docker {path} is only supported on a Docker daemon with experimental features enabled"
    )))
}
