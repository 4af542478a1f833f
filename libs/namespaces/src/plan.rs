//! Which namespaces a container gets new and which it joins.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use syscalls::clone::setns;

use crate::Kind;

/// The namespaces of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Made with the process.
    pub new: Vec<Kind>,
    /// Joined by file.
    pub joined: Vec<(Kind, PathBuf)>,
}

/// A namespace that could not be joined.
#[derive(Debug)]
pub struct JoinError {
    pub kind: Kind,
    pub path: PathBuf,
    pub cause: io::Error,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, path) = (self.kind.word(), self.path.display());
        write!(f, "cannot join {kind} namespace {path}: {}", self.cause)
    }
}

impl std::error::Error for JoinError {}

impl Plan {
    /// Whether the container does not share the runtime's namespace of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.is_new(kind) || self.joins(kind)
    }

    pub fn is_new(&self, kind: Kind) -> bool {
        self.new.contains(&kind)
    }

    pub fn joins(&self, kind: Kind) -> bool {
        self.joined.iter().any(|(joined, _)| *joined == kind)
    }

    /// The `CLONE_NEW*` flags of the new namespaces that `wanted` picks.
    pub fn new_flags(&self, wanted: impl Fn(Kind) -> bool) -> u64 {
        self.new.iter().filter(|kind| wanted(**kind)).fold(0, |flags, kind| flags | kind.flag())
    }

    /// Whether a process between the runtime and init is needed: pid and time namespaces reach
    /// only children, and a caller who has entered a user namespace cannot join what that
    /// namespace does not own.
    pub fn needs_intermediate(&self) -> bool {
        self.joins(Kind::Pid)
            || self.joins(Kind::User)
            || self.has(Kind::Time)
            || (self.is_new(Kind::User) && !self.joined.is_empty())
    }

    /// Joins all namespaces to be joined: the user namespace last, while the caller still has
    /// its rights over the others; first where it has none.
    pub fn join(&self) -> Result<(), JoinError> {
        let opened = self
            .joined
            .iter()
            .map(|(kind, path)| match File::open(path) {
                Ok(file) => Ok((*kind, path, file)),
                Err(cause) => Err(JoinError { kind: *kind, path: path.clone(), cause }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let enter = |(kind, path, file): &(Kind, &PathBuf, File)| {
            setns(file.as_fd(), kind.flag()).map_err(|cause| JoinError {
                kind: *kind,
                path: (*path).clone(),
                cause,
            })
        };
        let (user, others): (Vec<_>, Vec<_>) = opened.iter().partition(|(kind, _, _)| *kind == Kind::User);
        let mut later = Vec::new();
        for namespace in others {
            match enter(namespace) {
                Err(error) if !user.is_empty() && error.cause.raw_os_error() == Some(libc::EPERM) => {
                    later.push(namespace);
                }
                other => other?,
            }
        }
        for namespace in user.into_iter().chain(later) {
            enter(namespace)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intermediate_is_made_only_where_needed() {
        let mut plan = Plan { new: vec![Kind::Pid, Kind::Mount, Kind::User], joined: vec![] };
        assert!(!plan.needs_intermediate());
        plan.joined.push((Kind::Network, "/proc/1/ns/net".into()));
        assert!(plan.needs_intermediate());
        assert_eq!(plan.new_flags(|kind| kind != Kind::User), Kind::Pid.flag() | Kind::Mount.flag());
    }
}
