//! What can go wrong with a cgroup: always the controller or file, the path and the value.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use errdefs::Kind;

/// A failure while working on a cgroup.
#[derive(Debug)]
pub enum Error {
    /// No cgroup file system is mounted on this host.
    NotMounted,
    /// A file or directory refused the operation named by `verb` ("read", "open", "create",
    /// "remove", "watch", "give away").
    Path { verb: &'static str, path: PathBuf, source: io::Error },
    /// A control file refused a value.
    Write { controller: &'static str, path: PathBuf, value: String, source: io::Error },
    /// A control file holds something that this version does not understand.
    Malformed { path: PathBuf, text: String },
    /// The request needs a controller that the host does not offer to this cgroup.
    NoController { controller: &'static str, field: &'static str },
    /// The request cannot be expressed on this host's cgroup version.
    Unsupported(&'static str),
    /// A value in the request makes no sense.
    Invalid { field: &'static str, value: String, reason: &'static str },
    /// A memory limit below what is in use now. Bytes.
    MemoryInUse { limit: i64, usage: u64, peak: Option<u64> },
    /// The kernel refused an eBPF operation on the device filter.
    Bpf { verb: &'static str, path: PathBuf, source: io::Error },
    /// The cgroup still holds processes or sub-groups after all retries.
    Busy { path: PathBuf, pids: Vec<i32> },
    /// Freezing or thawing did not finish in the time given.
    Timeout { verb: &'static str, path: PathBuf },
    /// systemd refused a unit operation, or could not be reached.
    Systemd { verb: &'static str, unit: String, reason: String },
    /// Several hierarchies failed during a teardown that went on regardless.
    Several(Vec<Error>),
}

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn path(verb: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Error::Path { verb, path: path.into(), source: source.into() }
    }

    pub(crate) fn malformed(path: &Path, text: &str) -> Self {
        Error::Malformed { path: path.to_owned(), text: text.trim_end().chars().take(80).collect() }
    }

    pub(crate) fn invalid(field: &'static str, value: impl fmt::Display, reason: &'static str) -> Self {
        Error::Invalid { field, value: value.to_string(), reason }
    }

    /// The operating system's error number, if one is at the root.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Path { source, .. } | Error::Write { source, .. } | Error::Bpf { source, .. } => {
                source.raw_os_error()
            }
            _ => None,
        }
    }

    pub(crate) fn is(&self, errno: rustix::io::Errno) -> bool {
        self.errno() == Some(errno.raw_os_error())
    }

    /// True when a file or directory is absent: the controller is off, or the cgroup is gone.
    pub fn is_absent(&self) -> bool {
        self.is(rustix::io::Errno::NOENT) || self.is(rustix::io::Errno::NODEV)
    }

    /// True when the caller lacks the right, or the hierarchy is mounted read-only.
    pub fn is_refused(&self) -> bool {
        self.kind() == Kind::PermissionDenied
    }

    /// The class of this failure.
    pub fn kind(&self) -> Kind {
        match self {
            Error::NotMounted | Error::NoController { .. } => Kind::FailedPrecondition,
            Error::Unsupported(_) => Kind::Unimplemented,
            Error::Invalid { .. } => Kind::InvalidArgument,
            Error::Malformed { .. } => Kind::DataLoss,
            Error::MemoryInUse { .. } => Kind::FailedPrecondition,
            Error::Busy { .. } => Kind::Unavailable,
            Error::Timeout { .. } => Kind::DeadlineExceeded,
            Error::Systemd { .. } => Kind::Internal,
            Error::Several(all) => all.first().map_or(Kind::Internal, Error::kind),
            Error::Path { source, .. } | Error::Write { source, .. } | Error::Bpf { source, .. } => {
                match source.kind() {
                    io::ErrorKind::NotFound => Kind::NotFound,
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                        Kind::PermissionDenied
                    }
                    io::ErrorKind::ResourceBusy => Kind::Unavailable,
                    io::ErrorKind::InvalidInput => Kind::InvalidArgument,
                    _ => Kind::Internal,
                }
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotMounted => f.write_str(
                "cannot find cgroups: no cgroup file system is mounted (mount one on /sys/fs/cgroup)",
            ),
            Error::Path { verb, path, source } => {
                write!(f, "cannot {verb} {}: {}", path.display(), reason(source))
            }
            Error::Write { controller, path, value, source } => {
                let (path, why) = (path.display(), reason(source));
                write!(f, "cannot set {controller} limit: write {value:?} to {path}: {why}")
            }
            Error::Malformed { path, text } => {
                write!(f, "cannot read {}: unexpected content {text:?}", path.display())
            }
            Error::NoController { controller, field } => write!(
                f,
                "cannot set {field}: the {controller} cgroup controller is not available on this host"
            ),
            Error::Unsupported(what) => write!(f, "cannot set {what}"),
            Error::Invalid { field, value, reason } => {
                write!(f, "cannot set {field} to {value}: {reason}")
            }
            Error::MemoryInUse { limit, usage, peak } => {
                write!(f, "unable to set memory limit to {limit} (current usage: {usage}")?;
                peak.map_or(Ok(()), |peak| write!(f, ", peak usage: {peak}"))?;
                f.write_str(")")
            }
            Error::Bpf { verb, path, source } => {
                write!(f, "cannot {verb} device filter of {}: {}", path.display(), reason(source))
            }
            Error::Busy { path, pids } => {
                write!(f, "cannot remove {}: cgroup is busy (pids {pids:?})", path.display())
            }
            Error::Timeout { verb, path } => {
                write!(f, "cannot {verb} {}: timed out", path.display())
            }
            Error::Systemd { verb, unit, reason } => {
                write!(f, "cannot {verb} systemd unit {unit}: {reason}")
            }
            Error::Several(all) => {
                for (i, e) in all.iter().enumerate() {
                    if i > 0 {
                        f.write_str("; ")?;
                    }
                    write!(f, "{e}")?;
                }
                Ok(())
            }
        }
    }
}

/// The kernel's text as other runtimes print it, which callers match: lower case, no number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Path { source, .. } | Error::Write { source, .. } | Error::Bpf { source, .. } => {
                Some(source)
            }
            _ => None,
        }
    }
}
