//! From a runtime's name to the shim binary that serves it.

use errdefs::{Error, Result};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The runtime whose shim is our own.
pub const WHERRY_RUNTIME: &str = "io.containerd.wherry.v1";
/// What our own shim is called where it lies beside this daemon, not installed.
const OWN_SHIM: &str = "shim";

/// Where shim binaries are looked for.
#[derive(Clone, Debug)]
pub struct SearchPath {
    /// As in `PATH`.
    pub path: std::ffi::OsString,
    /// The directory of the daemon's executable.
    pub beside: PathBuf,
}

impl SearchPath {
    /// The directories of `path`, then that of this process's executable.
    pub fn new(path: std::ffi::OsString) -> SearchPath {
        let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
        SearchPath { path, beside: beside.unwrap_or_default() }
    }

    fn find(&self, binary: &str) -> Option<PathBuf> {
        let on_path = std::env::split_paths(&self.path).map(|dir| dir.join(binary));
        on_path.chain([self.beside.join(binary)]).find(|candidate| is_executable(candidate))
    }
}

/// The shim binary of `runtime`: a path as it is, a name `io.containerd.NAME.VERSION` as the program
/// `containerd-shim-NAME-VERSION` (containerd's runtime v2 naming). Failures are of kind Unknown, as clients
/// know them: NotFound would be a container that is not there.
pub fn resolve(runtime: &str, search: &SearchPath) -> Result<PathBuf> {
    if runtime.is_empty() {
        return Err(Error::unknown("no runtime name"));
    }
    let as_path = Path::new(runtime);
    if as_path.is_absolute() {
        return if is_executable(as_path) {
            Ok(as_path.to_owned())
        } else {
            let why = match as_path.exists() {
                true => format!("{runtime} is no executable file"),
                false => format!("stat {runtime}: no such file or directory"),
            };
            Err(Error::unknown(format!("invalid custom binary path: {why}")))
        };
    }
    let binary = binary_name(runtime)?;
    if let Some(found) = search.find(&binary) {
        return Ok(found);
    }
    if runtime == WHERRY_RUNTIME {
        let own = search.beside.join(OWN_SHIM);
        if is_executable(&own) {
            return Ok(own);
        }
    }
    Err(Error::unknown(format!("runtime {runtime:?} binary not installed {binary:?}: file does not exist"))
        .with_hint(format!("Install {binary} in a directory of the daemon's PATH.")))
}

fn binary_name(runtime: &str) -> Result<String> {
    let mut parts = runtime.rsplit('.');
    let (version, name, first) = (parts.next(), parts.next(), runtime.split('.').next());
    match (name, version, first) {
        (Some(name), Some(version), Some(first))
            if !name.is_empty() && !version.is_empty() && !first.is_empty() && !runtime.contains('/') =>
        {
            Ok(format!("containerd-shim-{name}-{version}"))
        }
        _ => Err(Error::unknown(format!(
            "invalid runtime name {runtime}, correct runtime name should be either format like \
             `io.containerd.runc.v2` or a full path to the binary"
        ))),
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.file_name() != Some(OsStr::new(""))
        && std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn program(dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn names_become_programs_on_path_then_beside_the_daemon() {
        let (on_path, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let search = SearchPath { path: on_path.path().into(), beside: beside.path().into() };
        assert_eq!(resolve("io.containerd.runc.v2", &search).unwrap_err().kind(), errdefs::Kind::Unknown);
        let own = program(beside.path(), "shim");
        assert_eq!(resolve(WHERRY_RUNTIME, &search).unwrap(), own);
        let runc = program(on_path.path(), "containerd-shim-runc-v2");
        assert_eq!(resolve("io.containerd.runc.v2", &search).unwrap(), runc);
        assert_eq!(resolve(runc.to_str().unwrap(), &search).unwrap(), runc);
    }

    #[test]
    fn names_that_are_neither_are_refused() {
        let search = SearchPath { path: Default::default(), beside: "/nonexistent".into() };
        for bad in ["", "runc", "a/b", "./containerd-shim-runc-v2", "io.containerd.", ".runc.v2", "..v2"] {
            let error = resolve(bad, &search).unwrap_err();
            assert_eq!(error.kind(), errdefs::Kind::Unknown, "{bad}: {}", error.chain());
        }
    }
}
