//! A container's root directory, opened so that no path leads out of it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use containerd_api::services::snapshots::v1::MountsRequest;
use containerd_api::types::Mount;
use errdefs::{Error, Result};
use mount::MappedLowers;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use super::Container;
use super::user::Accounts;
use crate::engine::Engine;
use crate::files::failed;
use crate::remap::Remap;
use crate::supervisor;

/// Account files are small; a hostile image gets no more memory than this.
const ACCOUNTS_LIMIT_BYTES: u64 = 4 << 20;

/// Whether the view may be written to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// A directory that is the root of everything below it. Its mount ends with it.
pub struct Root(pub OwnedFd);

impl Root {
    /// The root of a container with its mounts: the live one's own, or what the next start would show.
    ///
    /// # Errors
    /// The snapshot or a mount's source is gone, or cannot be mounted.
    pub async fn of(engine: &Engine, container: &Container, access: Access) -> Result<Root> {
        if let Some(root) = Root::of_live(container) {
            return root;
        }
        // Nobody starts or removes it meanwhile, nor lets go of its volumes.
        let _moving = container.moving.lock().await;
        match Root::of_live(container) {
            Some(root) => root,
            None => super::whole::of(engine, container, access).await,
        }
    }

    fn of_live(container: &Container) -> Option<Result<Root>> {
        let state = &container.record().state;
        let is_live = state.phase.is_live() && state.pid != 0;
        is_live.then(|| open(Path::new(&format!("/proc/{}/root", state.pid))))
    }

    /// The root that a process of the container sees: the live one's own. Of one that rests, without its mounts.
    ///
    /// # Errors
    /// As [`Self::bare`].
    pub async fn seen(engine: &Engine, container: &Container) -> Result<Root> {
        match Root::of_live(container) {
            Some(root) => root,
            None => Root::bare(engine, container).await,
        }
    }

    /// The root of a container as it is to be read without its mounts. The live one's own would show them, `/proc`
    /// among them.
    ///
    /// # Errors
    /// The snapshot is gone or cannot be mounted.
    pub async fn bare(engine: &Engine, container: &Container) -> Result<Root> {
        let (mounts, remap) = (mounts(engine, container).await?, container.record().remap.clone());
        let at = engine.config.run("mounts").join(crate::identity::short(&crate::identity::new_id()));
        tokio::task::spawn_blocking(move || mounted(&mounts, remap.as_ref(), &at, Access::Read))
            .await
            .map_err(|cause| Error::internal("cannot mount a root").with_source(cause))?
    }

    /// Opens a path below the root; links are followed as the container would.
    ///
    /// # Errors
    /// As openat2(2).
    pub fn open(&self, path: &str, flags: OFlags) -> std::io::Result<OwnedFd> {
        let relative = path.trim_start_matches('/');
        let relative = if relative.is_empty() { "." } else { relative };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(rustix::fs::openat2(&self.0, relative, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
    }

    /// The root's account files; absent ones are empty.
    pub fn accounts(&self) -> Accounts {
        let read = |path: &str| {
            let mut text = String::new();
            // A fifo or device in their place must neither block nor act.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            if let Ok(file) = self.open(path, flags).map(File::from)
                && file.metadata().is_ok_and(|found| found.is_file())
            {
                // Not UTF-8 is as good as absent.
                let _ = file.take(ACCOUNTS_LIMIT_BYTES).read_to_string(&mut text);
            }
            text
        };
        Accounts { passwd: read("/etc/passwd"), group: read("/etc/group") }
    }
}

/// The mounts that make up a container's root, asked for once.
///
/// # Errors
/// The snapshot is gone.
pub async fn mounts(engine: &Engine, container: &Container) -> Result<Vec<Mount>> {
    if let Some(mounts) = container.live().rootfs.clone() {
        return Ok(mounts);
    }
    let request =
        MountsRequest { snapshotter: engine.supervisor.snapshotter.clone(), key: container.id.clone() };
    let mounts = engine
        .supervisor
        .snapshots()
        .mounts(request)
        .await
        .map_err(supervisor::failed(format!("find the root of container {}", container.id)))?
        .into_inner()
        .mounts;
    container.live().rootfs = Some(mounts.clone());
    Ok(mounts)
}

/// Mounts, opens, and unmounts at once: the descriptor alone keeps the mount alive.
///
/// # Errors
/// A step failed; nothing stays mounted.
pub fn mounted(mounts: &[Mount], remap: Option<&Remap>, at: &Path, access: Access) -> Result<Root> {
    with_mounted(mounts, remap, at, access, Ok)
}

/// Mounts, opens, does something while the mount stands, and unmounts. With `remap` the container's ids are seen as
/// they are on the host.
///
/// # Errors
/// A step failed; nothing stays mounted.
pub fn with_mounted<T>(
    mounts: &[Mount],
    remap: Option<&Remap>,
    at: &Path,
    access: Access,
    work: impl FnOnce(Root) -> Result<T>,
) -> Result<T> {
    let [mount] = mounts else {
        return Err(Error::unimplemented(format!("cannot mount a root of {} mounts", mounts.len())));
    };
    std::fs::create_dir_all(at).map_err(failed("make directory", at))?;
    let mut mount = mount.clone();
    // Held until the overlay has taken its own hold of them.
    let lowers = match remap {
        Some(remap) if mount.r#type == "overlay" => {
            let (namespace, beside) = (remap.namespace()?, at.with_extension("lowers"));
            let mapped = MappedLowers::map(&mut mount.options, namespace.as_fd(), beside);
            Some(mapped.map_err(|cause| Error::internal("cannot map the ids of a root").with_source(cause))?)
        }
        _ => None,
    };
    let (flags, data) = options(&mount, access);
    let step = |action: &str| {
        let text = format!("cannot {action} {}", at.display());
        move |cause: rustix::io::Errno| Error::internal(text).with_source(std::io::Error::from(cause))
    };
    let data = std::ffi::CString::new(data)
        .map_err(|_| Error::internal("cannot mount a root: an option holds a zero byte"))?;
    let made = if mount.r#type == "bind" {
        rustix::mount::mount_bind(mount.source.as_str(), at)
    } else {
        rustix::mount::mount(mount.source.as_str(), at, mount.r#type.as_str(), flags, Some(data.as_c_str()))
    };
    drop(lowers);
    let result = made.map_err(step("mount")).and_then(|()| {
        let done = open(at).and_then(work);
        rustix::mount::unmount(at, UnmountFlags::DETACH).map_err(step("unmount"))?;
        done
    });
    let _ = std::fs::remove_dir(at);
    result
}

fn open(path: &Path) -> Result<Root> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map(Root)
        .map_err(|cause| failed("open", path)(cause.into()))
}

/// Flags and data of mount(2). A reader gets an overlay of lower layers only, so that it never
/// touches the writable one.
fn options(mount: &Mount, access: Access) -> (MountFlags, String) {
    let value =
        |name: &str| mount.options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let is_read = access == Access::Read;
    let mut flags = if is_read { MountFlags::RDONLY } else { MountFlags::empty() };
    let mut data = Vec::new();
    for option in &mount.options {
        match option.split('=').next().unwrap_or_default() {
            "ro" => flags |= MountFlags::RDONLY,
            "rw" | "rbind" | "bind" | "uidmap" | "gidmap" => {}
            "upperdir" | "workdir" | "index" | "volatile" if is_read => {}
            "lowerdir" if is_read => {
                let upper = value("upperdir").map(|upper| format!("{upper}:")).unwrap_or_default();
                data.push(format!("lowerdir={upper}{}", value("lowerdir").unwrap_or_default()));
            }
            _ => data.push(option.clone()),
        }
    }
    (flags, data.join(","))
}

/// Removes what a killed engine left of its short-lived mounts.
pub fn sweep(directory: &Path) {
    let entries: Vec<PathBuf> =
        std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    for path in entries {
        if path.extension().is_some_and(|extension| extension == "lowers") {
            MappedLowers::clean(&path);
        }
        let _ = rustix::mount::unmount(&path, UnmountFlags::DETACH);
        let _ = std::fs::remove_dir(&path).or_else(|_| std::fs::remove_file(&path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_never_touches_the_upper_layer() {
        let mount = Mount {
            r#type: "overlay".into(),
            source: "overlay".into(),
            options: ["index=off", "workdir=/w", "upperdir=/u", "lowerdir=/b:/a"].map(str::to_owned).to_vec(),
            ..Mount::default()
        };
        assert_eq!(options(&mount, Access::Read), (MountFlags::RDONLY, "lowerdir=/u:/b:/a".into()));
        assert_eq!(
            options(&mount, Access::Write),
            (MountFlags::empty(), "index=off,workdir=/w,upperdir=/u,lowerdir=/b:/a".into())
        );
    }
}
