//! Resource limits, setrlimit(2).

use rustix::process::{Resource, Rlimit, setrlimit};

/// The kernel's word for "no limit".
const INFINITY: u64 = u64::MAX;

const RESOURCES: &[(&str, Resource)] = &[
    ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_FSIZE", Resource::Fsize),
    ("RLIMIT_DATA", Resource::Data),
    ("RLIMIT_STACK", Resource::Stack),
    ("RLIMIT_CORE", Resource::Core),
    ("RLIMIT_RSS", Resource::Rss),
    ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_NOFILE", Resource::Nofile),
    ("RLIMIT_MEMLOCK", Resource::Memlock),
    ("RLIMIT_AS", Resource::As),
    ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_SIGPENDING", Resource::Sigpending),
    ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice),
    ("RLIMIT_RTPRIO", Resource::Rtprio),
    ("RLIMIT_RTTIME", Resource::Rttime),
];

/// Whether the kernel has a limit of this name.
pub fn is_known(name: &str) -> bool {
    RESOURCES.iter().any(|(known, _)| *known == name)
}

/// Sets one limit of this process. EINVAL for an unknown name.
pub fn set(limit: &runtime_spec::Rlimit) -> std::io::Result<()> {
    let (_, resource) = RESOURCES
        .iter()
        .find(|(known, _)| *known == limit.kind)
        .ok_or_else(|| std::io::Error::from_raw_os_error(libc::EINVAL))?;
    let value = |number| (number != INFINITY).then_some(number);
    setrlimit(*resource, Rlimit { current: value(limit.soft), maximum: value(limit.hard) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(is_known("RLIMIT_NOFILE"));
        assert!(!is_known("RLIMIT_nofile"));
    }
}
