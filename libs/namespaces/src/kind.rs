//! The eight kinds of namespace, namespaces(7).

use std::fmt;

/// A kind of kernel namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    User,
    Mount,
    Network,
    Ipc,
    Uts,
    Pid,
    Cgroup,
    Time,
}

/// A word that names no kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind(pub String);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "namespace {:?} does not exist", self.0)
    }
}

impl std::error::Error for UnknownKind {}

impl Kind {
    pub const ALL: [Kind; 8] =
        [Kind::User, Kind::Mount, Kind::Network, Kind::Ipc, Kind::Uts, Kind::Pid, Kind::Cgroup, Kind::Time];

    /// Reads the specification's word (config-linux.md#namespaces).
    pub fn parse(word: &str) -> Result<Kind, UnknownKind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| UnknownKind(word.to_owned()))
    }

    /// The specification's word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Mount => "mount",
            Kind::Network => "network",
            Kind::Ipc => "ipc",
            Kind::Uts => "uts",
            Kind::Pid => "pid",
            Kind::Cgroup => "cgroup",
            Kind::Time => "time",
        }
    }

    /// The name of its file under `/proc/PID/ns`.
    pub fn file_name(self) -> &'static str {
        match self {
            Kind::Mount => "mnt",
            Kind::Network => "net",
            other => other.word(),
        }
    }

    /// The `CLONE_NEW*` flag.
    pub fn flag(self) -> u64 {
        (match self {
            Kind::User => libc::CLONE_NEWUSER,
            Kind::Mount => libc::CLONE_NEWNS,
            Kind::Network => libc::CLONE_NEWNET,
            Kind::Ipc => libc::CLONE_NEWIPC,
            Kind::Uts => libc::CLONE_NEWUTS,
            Kind::Pid => libc::CLONE_NEWPID,
            Kind::Cgroup => libc::CLONE_NEWCGROUP,
            Kind::Time => 0x80,
        }) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.word()), Ok(kind));
        }
        assert!(Kind::parse("net").is_err());
    }

    #[test]
    fn the_kernel_has_a_file_for_each() {
        for kind in Kind::ALL {
            assert!(std::path::Path::new("/proc/self/ns").join(kind.file_name()).exists());
        }
    }
}
