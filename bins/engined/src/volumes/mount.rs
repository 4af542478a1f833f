//! Volumes of the local driver that are mounts: a directory of the host, a tmpfs, an NFS share.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

use errdefs::{Error, Result};
use rustix::mount::{MountFlags, UnmountFlags};

use crate::files::failed;

/// What `--opt type=.. --opt device=.. --opt o=..` ask for.
#[derive(Debug, PartialEq)]
pub struct Options {
    kind: String,
    device: String,
    flags: MountFlags,
    data: Vec<String>,
}

impl Options {
    /// Reads a volume's options; `None` for a plain volume.
    ///
    /// # Errors
    /// One is unknown, or one that is needed is missing.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Option<Options>> {
        if options.is_empty() {
            return Ok(None);
        }
        let bad = |text: String| Error::invalid_argument(text);
        if let Some(key) = options.keys().find(|key| !matches!(key.as_str(), "type" | "device" | "o")) {
            return Err(match key.as_str() {
                "size" => bad("quota size requested but no quota support".into()),
                _ => bad(format!("invalid option: {key:?}")),
            });
        }
        let text = |key: &str| options.get(key).cloned().unwrap_or_default();
        let mut read = Options {
            kind: text("type"),
            device: text("device"),
            flags: MountFlags::empty(),
            data: Vec::new(),
        };
        let words = text("o");
        for word in words.split(',').filter(|word| !word.is_empty()) {
            match flag(word) {
                Some(flag) => read.flags |= flag,
                None => read.data.push(word.to_owned()),
            }
        }
        if read.kind.is_empty() && !read.is_bind() {
            return Err(bad("missing required option: \"type\"".into()));
        }
        if read.device.is_empty() {
            return Err(bad("missing required option: \"device\"".into()));
        }
        Ok(Some(read))
    }

    fn is_bind(&self) -> bool {
        self.flags.contains(MountFlags::BIND)
    }

    /// Mounts it at `target`, unless something is mounted there.
    ///
    /// # Errors
    /// The kernel refuses, or a server's name is unknown.
    pub fn mount(&self, target: &Path) -> Result<()> {
        if is_mounted(target) {
            return Ok(());
        }
        let failure = |cause: rustix::io::Errno| {
            Error::internal(format!(
                "failed to mount local volume: mount {}:{}, data: {}: {}",
                self.device,
                target.display(),
                self.data.join(","),
                std::io::Error::from(cause)
            ))
        };
        if self.is_bind() {
            let recursive = MountFlags::BIND | MountFlags::REC;
            mount(&self.device, target, "", self.flags & recursive, "").map_err(failure)?;
            let more = self.flags - recursive;
            if more.is_empty() {
                return Ok(());
            }
            // A bind mount takes its other flags only when it is mounted again.
            let again = more | MountFlags::BIND | MountFlags::from_bits_retain(REMOUNT);
            return mount("", target, "", again, "").map_err(failure);
        }
        let data = self.data.iter().map(|word| self.resolved(word)).collect::<Result<Vec<_>>>()?;
        mount(&self.device, target, &self.kind, self.flags, &data.join(",")).map_err(failure)
    }

    /// The kernel knows no names: an NFS server's is looked up here.
    fn resolved(&self, word: &str) -> Result<String> {
        let Some(server) = word.strip_prefix("addr=").filter(|_| self.kind.starts_with("nfs")) else {
            return Ok(word.to_owned());
        };
        if server.parse::<IpAddr>().is_ok() {
            return Ok(word.to_owned());
        }
        let found = (server, 0).to_socket_addrs().ok().and_then(|mut found| found.next());
        let address = found.ok_or_else(|| {
            Error::invalid_argument(format!("error resolving passed in network volume address: {server}"))
        })?;
        Ok(format!("addr={}", address.ip()))
    }
}

/// `MS_REMOUNT`, which the safe interface keeps for another call.
const REMOUNT: u32 = 32;

fn mount(source: &str, target: &Path, kind: &str, flags: MountFlags, data: &str) -> rustix::io::Result<()> {
    let data = CString::new(data).map_err(|_| rustix::io::Errno::INVAL)?;
    rustix::mount::mount(source, target, kind, flags, Some(data.as_c_str()))
}

/// Takes the mount away; none is success.
///
/// # Errors
/// The kernel refuses.
pub fn unmount(target: &Path) -> Result<()> {
    if !is_mounted(target) {
        return Ok(());
    }
    rustix::mount::unmount(target, UnmountFlags::DETACH)
        .map_err(|cause| failed("unmount", target)(cause.into()))
}

/// Something is mounted on the directory.
fn is_mounted(target: &Path) -> bool {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let target = target.to_string_lossy();
    text.lines().any(|line| line.split(' ').nth(4) == Some(&*target))
}

fn flag(word: &str) -> Option<MountFlags> {
    Some(match word {
        "bind" => MountFlags::BIND,
        "rbind" => MountFlags::BIND | MountFlags::REC,
        "ro" => MountFlags::RDONLY,
        "rw" | "defaults" => MountFlags::empty(),
        "nosuid" => MountFlags::NOSUID,
        "nodev" => MountFlags::NODEV,
        "noexec" => MountFlags::NOEXEC,
        "noatime" => MountFlags::NOATIME,
        "nodiratime" => MountFlags::NODIRATIME,
        "relatime" => MountFlags::RELATIME,
        "strictatime" => MountFlags::STRICTATIME,
        "sync" => MountFlags::SYNCHRONOUS,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<Option<Options>> {
        Options::parse(&options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn options_are_read() {
        assert_eq!(parse(&[]).unwrap(), None);
        let read =
            parse(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m,uid=7,nosuid")]).unwrap().unwrap();
        assert_eq!((read.flags, read.data.join(",").as_str()), (MountFlags::NOSUID, "size=1m,uid=7"));
        assert!(parse(&[("o", "bind"), ("device", "/srv")]).unwrap().unwrap().is_bind());
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        for bad in [&[("colour", "red")][..], &[("type", "nfs")], &[("device", "/x")]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
