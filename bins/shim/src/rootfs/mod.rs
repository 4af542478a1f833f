//! The container's root file system: mounts that the daemon asks for, made detached and attached
//! at the bundle's `rootfs`.

mod attach;
mod ids;
mod source;

use attach::attach;
use containerd_api::types::Mount;
use errdefs::{Error, Result};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use std::path::Path;
use std::time::Duration;

const BUSY_TRIES: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Makes the mounts, each on top of the one before. On failure none is left.
pub(crate) fn mount(mounts: &[Mount], rootfs: &Path) -> Result<()> {
    for mount in mounts {
        if let Err(cause) = attach(mount, rootfs) {
            let _ = unmount(rootfs);
            let text = format!("failed to mount rootfs component: {} {}", mount.r#type, mount.source);
            return Err(Error::unknown(text).with_source(cause));
        }
    }
    Ok(())
}

/// Takes every mount off the directory. It may take long: a file system writes back what it holds.
pub(crate) fn unmount(rootfs: &Path) -> Result<()> {
    ids::clean_beside(rootfs);
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

    #[test]
    fn a_file_is_mounted_by_a_loop_device_that_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let (image, rootfs) = (dir.path().join("image"), dir.path().join("rootfs"));
        std::fs::create_dir(&rootfs).unwrap();
        std::fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
        let made = std::process::Command::new("mkfs.ext2").arg("-q").arg(&image).status().unwrap();
        assert!(made.success());
        let loops = || {
            let backing = |entry: std::fs::DirEntry| {
                std::fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default()
            };
            let all = std::fs::read_dir("/sys/block").unwrap().flatten().map(backing);
            all.filter(|file| file.trim() == image.to_str().unwrap()).count()
        };
        for (options, writable) in [(&["loop"][..], true), (&["loop", "ro"], false)] {
            let mount = Mount {
                r#type: "ext2".into(),
                source: image.display().to_string(),
                target: String::new(),
                options: options.iter().map(|o| (*o).to_owned()).collect(),
            };
            super::mount(&[mount], &rootfs).unwrap();
            assert!(rootfs.join("lost+found").exists());
            assert_eq!(std::fs::write(rootfs.join("x"), "").is_ok(), writable);
            assert_eq!(loops(), 1);
            unmount(&rootfs).unwrap();
            let deadline = std::time::Instant::now() + Duration::from_secs(5);
            while loops() > 0 {
                assert!(std::time::Instant::now() < deadline, "the loop device is left");
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn ids_are_mapped_in_binds_and_overlays() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let (lower, upper, work, rootfs) = (path("lower"), path("upper"), path("work"), path("rootfs"));
        std::fs::write(lower.join("file"), "").unwrap();
        let ids = ["uidmap=0:1000:10".to_owned(), "gidmap=0:2000:10".to_owned()];
        let bind = Mount {
            r#type: "bind".into(),
            source: lower.display().to_string(),
            target: String::new(),
            options: [&ids[..], &["rbind".to_owned()]].concat(),
        };
        let layers = format!("lowerdir={}", lower.display());
        let own = [layers, format!("upperdir={}", upper.display()), format!("workdir={}", work.display())];
        let overlay = Mount {
            r#type: "overlay".into(),
            source: "overlay".into(),
            target: String::new(),
            options: [&ids[..], &own].concat(),
        };
        for mount in [bind, overlay] {
            super::mount(&[mount], &rootfs).unwrap();
            let meta = rootfs.join("file").metadata().unwrap();
            assert_eq!((meta.uid(), meta.gid()), (1000, 2000));
            assert!(!dir.path().join(".lowers").exists());
            unmount(&rootfs).unwrap();
        }
        let meta = lower.join("file").metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (0, 0));
    }
}
