//! The container's root file system: mounts that the daemon asks for, made detached and attached
//! at the bundle's `rootfs`.

use containerd_api::types::Mount;
use errdefs::{Error, Result};
use mount::{Options, Tree};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use std::path::Path;
use std::time::Duration;

/// The longest value that fsconfig(2) takes, in bytes.
const MAX_VALUE_BYTES: usize = 255;
const BUSY_TRIES: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Makes the mounts, each on top of the one before. On failure none is left.
pub(crate) fn mount(mounts: &[Mount], rootfs: &Path) -> Result<()> {
    for mount in mounts {
        if let Err(cause) = mount_one(mount, rootfs) {
            let _ = unmount(rootfs);
            let text = format!("failed to mount rootfs component: {} {}", mount.r#type, mount.source);
            return Err(Error::unknown(text).with_source(cause));
        }
    }
    Ok(())
}

fn mount_one(mount: &Mount, rootfs: &Path) -> Result<()> {
    let cannot = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::unknown(format!("cannot mount {} on {}", mount.source, rootfs.display())).with_source(cause)
    };
    let refused = mount.options.iter().find(|word| {
        *word == "loop" || ["uidmap=", "gidmap=", "X-containerd."].iter().any(|start| word.starts_with(start))
    });
    if let Some(word) = refused {
        return Err(Error::unimplemented(format!("cannot use mount option {word:?} here")));
    }
    let target = rootfs.join(relative(&mount.target)?);
    let target = rustix::fs::open(&target, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| cannot(std::io::Error::from(e).into()))?;
    let mut options = Options::parse(&mount.options).map_err(|e| cannot(e.into()))?;
    let is_bind = options.bind || matches!(mount.r#type.as_str(), "bind" | "rbind");
    let tree = if is_bind {
        let recursive = options.bind_recursive || mount.r#type == "rbind";
        let tree = Tree::copy(Path::new(&mount.source), recursive, true).map_err(|e| cannot(e.into()))?;
        tree.change(options.change, false).map_err(|e| cannot(e.into()))?;
        tree
    } else {
        if mount.r#type == "overlay" {
            split_lower(&mut options);
        }
        if options.data.iter().any(|(_, value)| value.as_ref().is_some_and(|v| v.len() > MAX_VALUE_BYTES)) {
            return mount_by_string(mount, &target).map_err(|e| cannot(e.into()));
        }
        match Tree::filesystem(&mount.r#type, &mount.source, &options) {
            Ok(tree) => tree,
            // Older kernels do not know `lowerdir+`.
            Err(error)
                if mount.r#type == "overlay"
                    && error.cause.raw_os_error() == Some(Errno::INVAL.raw_os_error()) =>
            {
                return mount_by_string(mount, &target).map_err(|_| cannot(error.into()));
            }
            Err(error) => return Err(cannot(error.into())),
        }
    };
    for propagation in &options.propagation {
        let change = syscalls::mount_attr::Change { propagation: propagation.kind, ..Default::default() };
        tree.change(change, propagation.recursive).map_err(|e| cannot(e.into()))?;
    }
    tree.attach(&target).map_err(|e| cannot(e.into()))
}

/// A target below the root, without steps upwards.
fn relative(target: &str) -> Result<&str> {
    let relative = target.trim_start_matches('/');
    if relative.split('/').any(|part| part == "..") {
        return Err(Error::invalid_argument(format!("cannot mount on {target:?}: it leaves the root")));
    }
    Ok(relative)
}

/// Gives the kernel one lower directory at a time (since Linux 6.5): a value is short, and with
/// many layers the whole list is not.
fn split_lower(options: &mut Options) {
    let mut data = Vec::new();
    for (key, value) in options.data.drain(..) {
        match value {
            Some(list) if key == "lowerdir" && !list.contains('\\') => {
                data.extend(list.split(':').map(|dir| ("lowerdir+".to_owned(), Some(dir.to_owned()))));
            }
            value => data.push((key, value)),
        }
    }
    options.data = data;
}

/// mount(2) with all options in one string of at most a page.
fn mount_by_string(mount: &Mount, target: &impl std::os::fd::AsRawFd) -> std::io::Result<()> {
    let mut flags = MountFlags::empty();
    let mut words = Vec::new();
    for word in &mount.options {
        match word.as_str() {
            "ro" => flags |= MountFlags::RDONLY,
            "nosuid" => flags |= MountFlags::NOSUID,
            "nodev" => flags |= MountFlags::NODEV,
            "noexec" => flags |= MountFlags::NOEXEC,
            "noatime" => flags |= MountFlags::NOATIME,
            "relatime" => flags |= MountFlags::RELATIME,
            "rw" => {}
            word => words.push(word),
        }
    }
    let target = format!("/proc/self/fd/{}", target.as_raw_fd());
    let data = std::ffi::CString::new(words.join(","))?;
    rustix::mount::mount(
        mount.source.as_str(),
        target.as_str(),
        mount.r#type.as_str(),
        flags,
        data.as_c_str(),
    )?;
    Ok(())
}

/// Takes every mount off the directory. It may take long: a file system writes back what it holds.
pub(crate) fn unmount(rootfs: &Path) -> Result<()> {
    let mut tries = 0;
    loop {
        match rustix::mount::unmount(rootfs, UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // Nothing is mounted there (any more).
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) if tries < BUSY_TRIES => {
                tries += 1;
                std::thread::sleep(BUSY_PAUSE);
            }
            Err(Errno::BUSY) => {
                let flags = UnmountFlags::NOFOLLOW | UnmountFlags::DETACH;
                rustix::mount::unmount(rootfs, flags).map_err(|cause| error(rootfs, cause))?;
            }
            Err(cause) => return Err(error(rootfs, cause)),
        }
    }
}

fn error(rootfs: &Path, cause: Errno) -> Error {
    Error::unknown(format!("cannot unmount {}", rootfs.display())).with_source(std::io::Error::from(cause))
}

/// Whether something is mounted on the directory.
pub(crate) fn is_mounted(rootfs: &Path) -> bool {
    let Some(parent) = rootfs.parent() else { return false };
    let id = |path| {
        rustix::fs::statx(CWD, path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW, rustix::fs::StatxFlags::MNT_ID)
    };
    match (id(rootfs), id(parent)) {
        (Ok(own), Ok(parent)) => own.stx_mnt_id != parent.stx_mnt_id,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(layers: usize, dir: &Path) -> Mount {
        let lower: Vec<String> = (0..layers)
            .map(|n| {
                let path = dir.join(format!("layer-with-a-long-name-{n}"));
                std::fs::create_dir(&path).unwrap();
                std::fs::write(path.join(format!("f{n}")), "").unwrap();
                path.display().to_string()
            })
            .collect();
        let option = format!("lowerdir={}", lower.join(":"));
        Mount {
            r#type: "overlay".into(),
            source: "overlay".into(),
            target: String::new(),
            options: vec![option, "ro".into()],
        }
    }

    #[test]
    fn many_layers_are_mounted_and_gone_again() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let rootfs = dir.path().join("rootfs");
        std::fs::create_dir(&rootfs).unwrap();
        let mount = overlay(120, dir.path());
        super::mount(&[mount], &rootfs).unwrap();
        assert!(is_mounted(&rootfs));
        assert!(rootfs.join("f0").exists() && rootfs.join("f119").exists());
        assert!(std::fs::write(rootfs.join("x"), "").is_err());
        unmount(&rootfs).unwrap();
        assert!(!is_mounted(&rootfs) && !rootfs.join("f0").exists());
    }

    #[test]
    fn a_bind_is_read_only_when_asked_and_a_failure_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (source, rootfs) = (dir.path().join("source"), dir.path().join("rootfs"));
        for path in [&source, &rootfs] {
            std::fs::create_dir(path).unwrap();
        }
        let bind = |options: &[&str]| Mount {
            r#type: "bind".into(),
            source: source.display().to_string(),
            target: String::new(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
        };
        super::mount(&[bind(&["rbind", "ro"])], &rootfs).unwrap();
        assert!(std::fs::write(rootfs.join("x"), "").is_err());
        unmount(&rootfs).unwrap();
        let broken = Mount { r#type: "nonsense".into(), ..bind(&[]) };
        assert!(super::mount(&[bind(&["bind"]), broken], &rootfs).is_err());
        assert!(!is_mounted(&rootfs));
        let outside = Mount { target: "../x".into(), ..bind(&["bind"]) };
        assert!(super::mount(&[outside], &rootfs).is_err());
    }
}
