//! Finding the program that a process runs, execvp(3), with the texts of Go's os/exec that
//! callers match.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why a program cannot be run.
#[derive(Debug)]
pub enum NotFound {
    /// No directory of PATH has it.
    InPath { name: String },
    /// The path given leads nowhere.
    At { name: String, cause: io::Error },
    /// The path given is a directory.
    Directory { name: String },
    /// The file may not be executed.
    Denied { name: String },
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotFound::InPath { name } => {
                write!(f, "exec: {name:?}: executable file not found in $PATH")
            }
            NotFound::At { name, cause } => {
                let text = cause.to_string();
                let end = text.find(" (os error").unwrap_or(text.len());
                write!(f, "exec: {name:?}: stat {name}: {}", text[..end].to_lowercase())
            }
            NotFound::Directory { name } => write!(f, "exec: {name:?}: is a directory"),
            NotFound::Denied { name } => write!(f, "exec: {name:?}: permission denied"),
        }
    }
}

impl std::error::Error for NotFound {}

/// Whether an entry of an environment names a variable and can be passed to a program.
pub fn is_variable(entry: &str) -> bool {
    entry.find('=').is_some_and(|at| at > 0) && !entry.contains('\0')
}

/// The value of `key` in an environment; the last one counts.
pub fn variable<'a>(env: &'a [String], key: &str) -> Option<&'a str> {
    env.iter().rev().find_map(|entry| entry.strip_prefix(key)?.strip_prefix('='))
}

/// Resolves `name` as the process would see it now: as a path when it holds a slash, else along
/// the `PATH` of `env`.
pub fn find(name: &str, env: &[String]) -> Result<PathBuf, NotFound> {
    if name.contains('/') {
        let path = Path::new(name);
        return match executable(path) {
            Ok(()) => Ok(path.to_owned()),
            Err(Refusal::Missing(cause)) => Err(NotFound::At { name: name.to_owned(), cause }),
            Err(Refusal::Directory) => Err(NotFound::Directory { name: name.to_owned() }),
            Err(Refusal::Denied) => Err(NotFound::Denied { name: name.to_owned() }),
        };
    }
    let mut denied = false;
    for directory in variable(env, "PATH").unwrap_or_default().split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        let path = Path::new(directory).join(name);
        match executable(&path) {
            Ok(()) => return Ok(path),
            Err(Refusal::Denied) => denied = true,
            Err(_) => {}
        }
    }
    if denied && !name.is_empty() {
        return Err(NotFound::Denied { name: name.to_owned() });
    }
    Err(NotFound::InPath { name: name.to_owned() })
}

enum Refusal {
    Missing(io::Error),
    Directory,
    Denied,
}

fn executable(path: &Path) -> Result<(), Refusal> {
    let meta = path.metadata().map_err(Refusal::Missing)?;
    if meta.is_dir() {
        return Err(Refusal::Directory);
    }
    if meta.permissions().mode() & 0o111 == 0 {
        return Err(Refusal::Denied);
    }
    rustix::fs::accessat(rustix::fs::CWD, path, rustix::fs::Access::EXEC_OK, rustix::fs::AtFlags::EACCESS)
        .map_err(|_| Refusal::Denied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_that_callers_match() {
        let env = ["PATH=/bin:/usr/bin".to_owned()];
        let text = |name| find(name, &env).unwrap_err().to_string();
        assert_eq!(text("nope"), "exec: \"nope\": executable file not found in $PATH");
        assert_eq!(text("/nope"), "exec: \"/nope\": stat /nope: no such file or directory");
        assert_eq!(text("/etc"), "exec: \"/etc\": is a directory");
        assert_eq!(text("/etc/passwd"), "exec: \"/etc/passwd\": permission denied");
        assert_eq!(find("sh", &env).unwrap(), Path::new("/bin/sh"));
    }

    #[test]
    fn the_last_value_of_a_variable_counts() {
        let env = ["A=1".to_owned(), "AB=2".to_owned(), "A=3".to_owned()];
        assert_eq!(variable(&env, "A"), Some("3"));
        assert_eq!(variable(&env, "B"), None);
    }
}
