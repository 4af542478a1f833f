//! A new name.

use std::sync::Arc;

use errdefs::{Error, Result};

use super::Container;
use crate::engine::Engine;
use crate::files::Promise;
use crate::identity::is_name;

/// Renames a container.
///
/// # Errors
/// The name is none, or somebody's.
pub fn rename(engine: &Arc<Engine>, container: &Arc<Container>, name: &str) -> Result<()> {
    let name = name.strip_prefix('/').unwrap_or(name);
    if name.is_empty() {
        return Err(Error::invalid_argument("Neither old nor new names may be empty"));
    }
    if !is_name(name) {
        return Err(Error::invalid_argument(format!(
            "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )));
    }
    let old = container.record().name.clone();
    if old == name {
        return Err(Error::invalid_argument("Renaming a container with the same name as its current name"));
    }
    engine.containers.reserve(name, &container.id)?;
    if let Err(error) = container.try_update(Promise::Durable, |record| record.name = name.to_owned()) {
        engine.containers.release(name);
        return Err(error);
    }
    engine.containers.release(&old);
    engine.tell_container("rename", container, &[("oldName", format!("/{old}"))]);
    Ok(())
}
