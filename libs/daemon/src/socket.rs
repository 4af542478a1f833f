//! Listening sockets: made here with owner and mode, or passed in by the service manager.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode};

/// First descriptor that a service manager passes (sd_listen_fds(3)).
const LISTEN_FDS_START: i32 = 3;

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A live process answers on the path.
    #[error("cannot listen on {}: another process is already listening there", .0.display())]
    InUse(PathBuf),
    /// The path is taken by something that is no socket.
    #[error("cannot listen on {}: a file of that name exists and is no socket", .0.display())]
    NotASocket(PathBuf),
    /// A step failed.
    #[error("cannot {action} {}: {source}", .path.display())]
    Step {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}

/// Listens on `path` with mode 0660, owned by root and by `group` if the host has it. Missing
/// directories are made (0755); a socket that nobody listens on any more is replaced.
///
/// # Errors
/// The path is in use, or a step failed.
pub fn listen(path: &Path, group: Option<&str>) -> Result<UnixListener, Error> {
    let step = |action| move |source: io::Error| Error::Step { action, path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(step("make directory of"))?;
    }
    clear(path)?;
    // The socket is made under the final mode at once: nobody may connect before the chown.
    let mask = rustix::process::umask(Mode::from_raw_mode(0o117));
    let listener = UnixListener::bind(path);
    rustix::process::umask(mask);
    let listener = listener.map_err(step("listen on"))?;
    if let Some(gid) = group.and_then(group_id) {
        rustix::fs::chown(path, None, Some(Gid::from_raw(gid)))
            .map_err(|e| step("change group of")(e.into()))?;
    }
    listener.set_nonblocking(true).map_err(step("listen on"))?;
    Ok(listener)
}

/// Removes a socket left by a process that is gone.
fn clear(path: &Path) -> Result<(), Error> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(Error::NotASocket(path.to_owned()));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(Error::InUse(path.to_owned()));
    }
    std::fs::remove_file(path).map_err(|source| Error::Step {
        action: "remove",
        path: path.to_owned(),
        source,
    })
}

/// The numeric id of a group named in `/etc/group`, or of a number.
pub fn group_id(name: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let text = std::fs::read_to_string("/etc/group").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// Takes over the sockets passed by the service manager (`LISTEN_PID`, `LISTEN_FDS`). To be
/// called once, early; a second call would own the descriptors twice.
pub fn inherited() -> Vec<OwnedFd> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<i64>().ok());
    if number("LISTEN_PID") != Some(i64::from(std::process::id())) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0).clamp(0, 64) as i32;
    (LISTEN_FDS_START..LISTEN_FDS_START + count)
        // A manager that broke its promise left the number to a file of this process.
        .filter(|descriptor| {
            std::fs::read_link(format!("/proc/self/fd/{descriptor}"))
                .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
        })
        .filter_map(|descriptor| {
            syscalls::descriptors::set_close_on_exec(descriptor, true);
            syscalls::descriptors::inherited(descriptor)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub/daemon.sock");
        let first = listen(&path, None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(listen(&path, None), Err(Error::InUse(_))));
        drop(first);
        listen(&path, None).unwrap();
    }

    #[test]
    fn a_file_is_never_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("precious");
        std::fs::write(&path, "x").unwrap();
        assert!(matches!(listen(&path, None), Err(Error::NotASocket(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
    }

    #[test]
    fn groups_go_by_name_and_by_number() {
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("1234"), Some(1234));
        assert_eq!(group_id("no-such-group-here"), None);
    }
}
