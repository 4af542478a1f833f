//! Where a server listens: a socket named by a hash of daemon, namespace and group.

use super::dialect::Request;
use crate::bundle::Bundle;
use errdefs::{Error, Result};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The directory of sockets where the daemon names none.
const SOCKET_DIR: &str = "/run/containerd/s";
/// The longest path that a socket address holds, in bytes.
const MAX_PATH_BYTES: usize = 106;

/// A server's address.
pub(super) struct Address {
    path: PathBuf,
    uri: String,
}

/// Who listens there.
pub(super) enum Claim {
    /// This process, from now on.
    Ours(UnixListener),
    /// A server that answers.
    Taken,
}

impl Address {
    /// The address for a group of containers of a daemon's namespace.
    pub(super) fn new(request: &Request, group: &str) -> Result<Address> {
        let directory = Path::new(request.socket_dir.as_deref().unwrap_or(SOCKET_DIR));
        let named = clean(&format!("{}/{}/{group}", request.grpc_address, request.namespace));
        let mut name = String::with_capacity(64);
        for byte in Sha256::digest(named.as_bytes()) {
            let _ = write!(name, "{byte:02x}");
        }
        let path = directory.join(name);
        if path.as_os_str().len() > MAX_PATH_BYTES {
            let text = format!("{:?}: unix socket path too long (> {MAX_PATH_BYTES})", path.display());
            return Err(Error::unknown(text));
        }
        let uri = format!("unix://{}", path.display());
        Ok(Address { path, uri })
    }

    /// The address as daemons read it.
    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    /// Listens, unless somebody does who answers. A socket that nobody answers on is replaced.
    pub(super) fn claim(&self) -> Result<Claim> {
        if let Some(directory) = self.path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|cause| self.error("make the directory of", cause))?;
        }
        match self.bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            result => return result.map(Claim::Ours).map_err(|cause| self.error("bind", cause)),
        }
        if UnixStream::connect(&self.path).is_ok() {
            return Ok(Claim::Taken);
        }
        self.remove();
        self.bind().map(Claim::Ours).map_err(|cause| self.error("bind", cause))
    }

    fn bind(&self) -> io::Result<UnixListener> {
        let listener = UnixListener::bind(&self.path)?;
        std::fs::set_permissions(&self.path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Removes the socket's file; that it is gone is no failure.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// Leaves the link `s` to a directory of sockets that is not the usual one.
    pub(super) fn link(&self, bundle: &Bundle, request: &Request) -> Result<()> {
        let Some(directory) = &request.socket_dir else { return Ok(()) };
        match std::os::unix::fs::symlink(directory, bundle.path().join("s")) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(self.error("link", error)),
            _ => Ok(()),
        }
    }

    fn error(&self, verb: &str, cause: io::Error) -> Error {
        Error::unknown(format!("cannot {verb} socket {}", self.path.display())).with_source(cause)
    }
}

/// The path without empty and dot components, as Go's filepath.Join leaves it.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if path.starts_with('/') || parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        assert_eq!(clean("/run//c.sock/./ns/a"), "/run/c.sock/ns/a");
        assert_eq!(clean("/a/../../b/c"), "/b/c");
        assert_eq!(clean("//ns/a"), "/ns/a");
    }
}
