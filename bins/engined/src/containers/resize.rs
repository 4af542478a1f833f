//! The size of a container's terminal.

use containerd_api::services::tasks::v1::ResizePtyRequest;
use errdefs::{Error, Result};

use super::Container;
use crate::engine::Engine;
use crate::supervisor::failed;

/// Tells a container's terminal its size in characters.
///
/// # Errors
/// The container does not run.
pub async fn resize(engine: &Engine, container: &Container, height: u32, width: u32) -> Result<()> {
    if !container.record().state.phase.is_live() {
        return Err(Error::failed_precondition(format!("container {} is not running", container.id)));
    }
    let request =
        ResizePtyRequest { container_id: container.id.clone(), exec_id: String::new(), width, height };
    engine.supervisor.tasks().resize_pty(request).await.map_err(failed("resize the terminal"))?;
    engine.tell_container(
        "resize",
        container,
        &[("height", height.to_string()), ("width", width.to_string())],
    );
    Ok(())
}
