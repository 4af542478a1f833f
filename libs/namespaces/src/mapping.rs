//! User and group id mappings, user_namespaces(7).

use std::fmt;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use runtime_spec::IdMapping;
use rustix::process::Pid;
use syscalls::clone::{Request, Side, clone3, exit_now};

use crate::Kind;

/// A mapping file that could not be written.
#[derive(Debug)]
pub struct MapError {
    pub file: String,
    pub cause: io::Error,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write {}: {}", self.file, self.cause)
    }
}

impl std::error::Error for MapError {}

/// Writes the mappings of the user namespace that process `pid` is in.
///
/// The kernel takes each file once, in one write of at most a page; a caller without privilege
/// must give up setgroups(2) first.
pub fn write_mappings(pid: Pid, uids: &[IdMapping], gids: &[IdMapping]) -> Result<(), MapError> {
    let directory = format!("/proc/{}", pid.as_raw_nonzero());
    if !rustix::process::geteuid().is_root() {
        write(&format!("{directory}/setgroups"), "deny")?;
    }
    write(&format!("{directory}/uid_map"), &lines(uids))?;
    write(&format!("{directory}/gid_map"), &lines(gids))
}

fn write(file: &str, text: &str) -> Result<(), MapError> {
    std::fs::write(file, text).map_err(|cause| MapError { file: file.to_owned(), cause })
}

fn lines(mappings: &[IdMapping]) -> String {
    let mut text = String::new();
    for mapping in mappings {
        let _ = writeln!(text, "{} {} {}", mapping.container_id, mapping.host_id, mapping.size);
    }
    text
}

/// Makes a user namespace with these mappings and returns its file, for idmapped mounts.
///
/// A process is made in it for the moment of writing the mappings.
pub fn user_namespace_with(uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd, MapError> {
    let failed = |cause| MapError { file: "user namespace".to_owned(), cause };
    let (held, hold) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
    match clone3(&Request { flags: Kind::User.flag(), ..Request::default() }).map_err(failed)? {
        Side::Child => {
            drop(hold);
            // Waits until the caller lets go, or dies.
            let _ = rustix::io::read(&held, &mut [0_u8; 1]);
            exit_now(0)
        }
        Side::Parent { pid, .. } => {
            let namespace = write_mappings(pid, uids, gids)
                .and_then(|()| File::open(format!("/proc/{}/ns/user", pid.as_raw_nonzero())).map_err(failed));
            drop(hold);
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            Ok(namespace?.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_with_mappings_is_made() {
        let map = [IdMapping { container_id: 0, host_id: 100_000, size: 10 }];
        let fd = user_namespace_with(&map, &map).unwrap();
        let link = rustix::fs::readlinkat(
            rustix::fs::CWD,
            format!("/proc/self/fd/{}", {
                use std::os::fd::AsRawFd;
                fd.as_raw_fd()
            }),
            Vec::new(),
        )
        .unwrap();
        assert!(link.to_str().unwrap().starts_with("user:["));
    }

    #[test]
    fn overlapping_mappings_are_an_error() {
        let map = [
            IdMapping { container_id: 0, host_id: 100_000, size: 10 },
            IdMapping { container_id: 5, host_id: 200_000, size: 10 },
        ];
        assert!(user_namespace_with(&map, &map).is_err());
    }
}
