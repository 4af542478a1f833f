//! What can fail on the way to a container's tree.

use std::fmt;
use std::io;

/// A step on one object, and why it failed.
#[derive(Debug)]
pub struct Error {
    /// Such as `mount "proc" to rootfs at "/proc"`, in words that callers know from runc.
    pub step: String,
    pub cause: Cause,
}

/// What stopped a step.
#[derive(Debug)]
pub enum Cause {
    Io(io::Error),
    Mount(mount::Error),
    /// A rule of ours or of the specification.
    Refused(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Io(error) => {
                let text = error.to_string();
                let end = text.find(" (os error").unwrap_or(text.len());
                f.write_str(&text[..end].to_lowercase())?;
                if error.raw_os_error() == Some(libc::ENOTDIR) {
                    // Docker's clients know this question.
                    f.write_str(": Are you trying to mount a directory onto a file (or vice-versa)?")?;
                }
                Ok(())
            }
            Cause::Mount(error) => error.fmt(f),
            Cause::Refused(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Cause {
        Cause::Io(error)
    }
}

impl From<rustix::io::Errno> for Cause {
    fn from(errno: rustix::io::Errno) -> Cause {
        Cause::Io(errno.into())
    }
}

impl From<mount::Error> for Cause {
    fn from(error: mount::Error) -> Cause {
        Cause::Mount(error)
    }
}

/// Names the step that a failure belongs to.
pub(crate) trait At<T> {
    fn at(self, step: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<Cause>> At<T> for Result<T, E> {
    fn at(self, step: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|cause| Error { step: step(), cause: cause.into() })
    }
}
