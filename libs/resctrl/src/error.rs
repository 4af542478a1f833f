//! What can go wrong with a group: the file, the value, and what the kernel said of it.

use std::fmt;
use std::io;
use std::path::PathBuf;

#[derive(Debug)]
pub enum Error {
    /// No resctrl filesystem is mounted on this host.
    NotMounted,
    /// A class that has to be there before, since nothing says what should be in it.
    NoClass { class: String },
    /// A class of this name is there and has other shares.
    Differs { class: String, wanted: String, found: String },
    /// A file or directory refused the operation named by `verb`.
    Path { verb: &'static str, path: PathBuf, source: io::Error },
    /// A file refused a value; `status` is the kernel's word in `info/last_cmd_status`.
    Write { path: PathBuf, value: String, status: String, source: io::Error },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotMounted => f.write_str("no resctrl filesystem is mounted: mount it at /sys/fs/resctrl"),
            Error::NoClass { class } => {
                write!(f, "class of service {class:?} does not exist: make it, or give its schemata")
            }
            Error::Differs { class, wanted, found } => {
                write!(f, "class of service {class:?} has {found:?}, not {wanted:?}")
            }
            Error::Path { verb, path, source } => {
                write!(f, "cannot {verb} {}: {}", path.display(), reason(source))
            }
            Error::Write { path, value, status, source } => {
                write!(f, "cannot write {value:?} to {}: {}", path.display(), reason(source))?;
                match status.as_str() {
                    "" | "ok" => Ok(()),
                    status => write!(f, " ({status})"),
                }
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Path { source, .. } | Error::Write { source, .. } => Some(source),
            _ => None,
        }
    }
}

fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}
