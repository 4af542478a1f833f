//! A container's own user namespace, kept by a file while its network lives: that network belongs to it.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use errdefs::{Error, Result};
use network::Netns;

use super::Remap;
use crate::engine::Engine;
use crate::files::failed;

/// Where it is kept.
pub fn path(engine: &Engine, id: &str) -> PathBuf {
    engine.config.run("userns").join(id)
}

/// Makes a network namespace for a container and keeps it at `netns`: one of its own user namespace, or of that of
/// process `joined`, whose other namespaces it shares.
///
/// # Errors
/// The kernel refuses, or a file cannot be made.
pub fn keep(engine: &Engine, id: &str, remap: &Remap, joined: Option<u32>, netns: &Path) -> Result<()> {
    let refused =
        |cause| Error::internal(format!("cannot make a user namespace for {id}")).with_source(cause);
    let network = match joined {
        Some(pid) => {
            let path = format!("/proc/{pid}/ns/user");
            let user = File::open(&path).map_err(failed("open", Path::new(&path)))?;
            namespaces::network_of(user.as_fd())
                .map_err(|cause| Error::internal("cannot make a network namespace").with_source(cause))?
        }
        None => {
            let (user, network) =
                namespaces::user_and_network_with(&remap.uids, &remap.gids).map_err(refused)?;
            bind(&user, &path(engine, id))?;
            network
        }
    };
    Netns::adopt(network, netns).map(drop).map_err(|cause| {
        let _ = drop_kept(engine, id);
        Error::new(cause.kind(), cause.to_string())
    })
}

fn bind(namespace: &OwnedFd, at: &Path) -> Result<()> {
    if let Some(directory) = at.parent() {
        std::fs::create_dir_all(directory).map_err(failed("make directory", directory))?;
    }
    File::create(at).map_err(failed("make", at))?;
    rustix::mount::mount_bind(format!("/proc/self/fd/{}", namespace.as_raw_fd()), at).map_err(|cause| {
        let _ = std::fs::remove_file(at);
        failed("keep a user namespace at", at)(cause.into())
    })
}

/// Takes the file away; absent is gone.
///
/// # Errors
/// It cannot be unmounted or removed.
pub fn drop_kept(engine: &Engine, id: &str) -> network::Result<()> {
    // It is kept as a network namespace is.
    Netns::remove(&path(engine, id))
}
