//! The cgroup filesystem inside a container.

use std::path::{Path, PathBuf};

use mount::{Options, Tree};
use rustix::fs::Mode;

use crate::error::{At, Error};
use crate::walk::Root;

/// A v1 hierarchy of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// The name of its directory under `/sys/fs/cgroup`.
    pub name: String,
    /// The container's own directory in it, which is the root of its cgroup namespace, if any.
    pub directory: PathBuf,
}

/// Binds the container's own directory of every v1 hierarchy below `destination`, on a tmpfs of
/// its own. A new mount of the hierarchy would show the same.
pub(crate) fn mount_v1(
    root: &Root,
    destination: &Path,
    options: &Options,
    hierarchies: &[Hierarchy],
) -> Result<(), Error> {
    let step = || format!("error mounting \"cgroup\" to rootfs at {destination:?}");
    let base = Options::parse(&["nosuid", "nodev", "noexec", "mode=755"]).unwrap_or_default();
    let tmpfs = Tree::filesystem("tmpfs", "tmpfs", &base).at(step)?;
    tmpfs.attach(root.make_directory(destination).at(step)?).at(step)?;
    for hierarchy in hierarchies {
        rustix::fs::mkdirat(&tmpfs, hierarchy.name.as_str(), Mode::from_raw_mode(0o755)).at(step)?;
        let tree = Tree::copy(&hierarchy.directory, false, true).at(step)?;
        tree.attach_at(&tmpfs, &hierarchy.name).at(step)?;
        // Controllers mounted together are also found by each name.
        for name in hierarchy.name.split(',').filter(|_| hierarchy.name.contains(',')) {
            rustix::fs::symlinkat(hierarchy.name.as_str(), &tmpfs, name).at(step)?;
        }
    }
    // All at once, below what nobody else can reach yet.
    tmpfs.change(options.change, true).at(step)
}
