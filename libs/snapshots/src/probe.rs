//! What the kernel and the file system can do for overlays.

use errdefs::{Error, Result};
use rustix::fs::{Dir, FileType, Mode, OFlags};
use std::fs;
use std::path::Path;

/// Options that this host's overlayfs wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abilities {
    /// `index=off` is understood, and wanted: an index would tie layers to one mount.
    pub index_off: bool,
    /// Extended attributes must be in `user.`: we are root in a user namespace only.
    pub userxattr: bool,
    /// Whiteouts can be made, so that layers can be unpacked apart and given a parent later.
    pub rebase: bool,
    /// Mounts can be id-mapped.
    pub remap_ids: bool,
}

/// Asks the kernel; refuses a file system that does not say the type of directory entries.
pub(crate) fn abilities(root: &Path) -> Result<Abilities> {
    if !has_d_type(root).map_err(|cause| crate::base::failed("probe", root, cause))? {
        return Err(Error::unimplemented(format!(
            "{} does not support d_type. If the backing filesystem is xfs, please reformat with ftype=1 to enable d_type support",
            root.display()
        )));
    }
    let user_namespace = in_user_namespace();
    Ok(Abilities {
        index_off: Path::new("/sys/module/overlay/parameters/index").exists(),
        userxattr: user_namespace && kernel_at_least(5, 11),
        rebase: !user_namespace,
        remap_ids: !user_namespace && kernel_at_least(5, 19),
    })
}

/// Whether directory entries carry their type: a fresh directory's file must.
fn has_d_type(root: &Path) -> std::io::Result<bool> {
    let probe = root.join(format!("d_type-{}", std::process::id()));
    fs::create_dir_all(&probe)?;
    let check = || -> std::io::Result<bool> {
        fs::write(probe.join("file"), "")?;
        let directory =
            rustix::fs::open(&probe, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        for entry in Dir::new(directory)? {
            if entry?.file_type() == FileType::Unknown {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let answer = check();
    fs::remove_dir_all(&probe)?;
    answer
}

/// The initial user namespace maps all ids onto themselves.
fn in_user_namespace() -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else { return false };
    map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
}

fn kernel_at_least(major: u32, minor: u32) -> bool {
    let release = rustix::system::uname();
    let text = release.release().to_string_lossy();
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}
