//! One mount: made detached, changed, attached.

use super::ids::{Mapping, map_lowers};
use super::source::Source;
use containerd_api::types::Mount;
use errdefs::{Error, Result};
use mount::{Options, Tree};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

/// The longest value that fsconfig(2) takes, in bytes.
const MAX_VALUE_BYTES: usize = 255;

/// Makes one mount and attaches it below `rootfs`.
pub(super) fn attach(mount: &Mount, rootfs: &Path) -> Result<()> {
    let cannot = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::unknown(format!("cannot mount {} on {}", mount.source, rootfs.display())).with_source(cause)
    };
    if let Some(word) = mount.options.iter().find(|word| word.starts_with("X-containerd.")) {
        return Err(Error::unimplemented(format!("cannot use mount option {word:?} here")));
    }
    let (mapping, words) = Mapping::take(&mount.options)?;
    let mut source = Source::open(mount, words).map_err(|e| cannot(e.into()))?;
    let namespace = mapping.as_ref().map(Mapping::namespace).transpose()?;
    let target = rootfs.join(relative(&mount.target)?);
    let target = rustix::fs::open(&target, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| cannot(std::io::Error::from(e).into()))?;
    let mut options = Options::parse(&source.words).map_err(|e| cannot(e.into()))?;
    let is_bind = options.bind || matches!(mount.r#type.as_str(), "bind" | "rbind");
    // Held until the overlay has taken its own hold of them.
    let mut lowers = None;
    let tree = if is_bind {
        let recursive = options.bind_recursive || mount.r#type == "rbind";
        let tree = Tree::copy(&source.path, recursive, true).map_err(|e| cannot(e.into()))?;
        tree.change(options.change, false).map_err(|e| cannot(e.into()))?;
        tree
    } else {
        if mount.r#type == "overlay" {
            if let Some(namespace) = &namespace {
                lowers = Some(map_lowers(&mut source.words, namespace.as_fd(), rootfs)?);
                options = Options::parse(&source.words).map_err(|e| cannot(e.into()))?;
            }
            split_lower(&mut options);
        }
        if options.data.iter().any(|(_, value)| value.as_ref().is_some_and(|v| v.len() > MAX_VALUE_BYTES)) {
            return mount_by_string(&source, &mount.r#type, &target).map_err(|e| cannot(e.into()));
        }
        match Tree::filesystem(&mount.r#type, &source.text(), &options) {
            Ok(tree) => tree,
            // Older kernels do not know `lowerdir+`.
            Err(error)
                if mount.r#type == "overlay"
                    && error.cause.raw_os_error() == Some(Errno::INVAL.raw_os_error()) =>
            {
                return mount_by_string(&source, &mount.r#type, &target).map_err(|_| cannot(error.into()));
            }
            Err(error) => return Err(cannot(error.into())),
        }
    };
    if let (Some(namespace), true) = (&namespace, mount.r#type != "overlay") {
        tree.map_ids(namespace.as_fd(), options.bind_recursive).map_err(|e| cannot(e.into()))?;
    }
    for propagation in &options.propagation {
        let change = syscalls::mount_attr::Change { propagation: propagation.kind, ..Default::default() };
        tree.change(change, propagation.recursive).map_err(|e| cannot(e.into()))?;
    }
    tree.attach(&target).map_err(|e| cannot(e.into()))?;
    drop(lowers);
    Ok(())
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
fn mount_by_string(source: &Source, kind: &str, target: &impl AsRawFd) -> std::io::Result<()> {
    let mut flags = MountFlags::empty();
    let mut words = Vec::new();
    for word in &source.words {
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
    rustix::mount::mount(source.text().as_ref(), target.as_str(), kind, flags, data.as_c_str())?;
    Ok(())
}
