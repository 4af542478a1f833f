//! Kernel parameters: only what belongs to a namespace of the container may be set, the rest is the
//! host's.

use std::path::Path;

use namespaces::Kind;
use runtime_spec::Linux;

use super::Faults;

const IPC: &[&str] = &[
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

/// The file of a parameter below `/proc/sys`. The first separator says which one a name uses, the
/// other stands for the dots within its parts, as in `net.ipv4.conf.eth0/100.forwarding` (sysctl.d(5)).
pub fn path(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(at) if key.as_bytes()[at] == b'.' => {
            let swap = |letter| match letter {
                '.' => '/',
                '/' => '.',
                other => other,
            };
            key.chars().map(swap).collect()
        }
        _ => key.to_owned(),
    }
}

/// The kind of namespace that a parameter belongs to.
fn owner(path: &str) -> Option<Kind> {
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    match path.split('/').next()? {
        _ if IPC.contains(&path) || path.starts_with("fs/mqueue/") => Some(Kind::Ipc),
        "net" => Some(Kind::Network),
        "kernel" if matches!(path, "kernel/hostname" | "kernel/domainname") => Some(Kind::Uts),
        // How many namespaces and the like a user may have.
        "user" => Some(Kind::User),
        _ => None,
    }
}

pub fn check(key: &str, linux: &Linux, faults: &mut Faults) {
    let at = format!("/linux/sysctl/{key}");
    match owner(&path(key)) {
        None => faults.add(&at, format_args!("sysctl {key:?} is not in a separate kernel namespace")),
        Some(kind) => faults.unless(
            has_own(linux, kind),
            &at,
            format_args!("sysctl {key:?} is not allowed in the hosts {} namespace", kind.word()),
        ),
    }
}

/// Whether the container has a namespace that is not this process's own, which a path may lead to.
fn has_own(linux: &Linux, kind: Kind) -> bool {
    use std::os::unix::fs::MetadataExt;
    let listed = linux.namespaces.iter().find(|namespace| namespace.kind == kind.word());
    let Some(path) = listed.map(|namespace| namespace.path.as_str()) else { return false };
    let identity = |path: &Path| path.metadata().map(|meta| (meta.dev(), meta.ino()));
    let ours = identity(&Path::new("/proc/self/ns").join(kind.file_name()));
    match (identity(Path::new(path)), ours) {
        (Ok(theirs), Ok(ours)) if !path.is_empty() => theirs != ours,
        // A path that leads nowhere fails where it is joined.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators_lead_to_the_same_file() {
        for (key, file) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
            ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
            ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ] {
            assert_eq!(path(key), file);
            assert_eq!(owner(&path(key)), Some(Kind::Network));
        }
    }

    #[test]
    fn no_name_climbs_out_of_its_namespace() {
        for key in [
            "net/../kernel/panic",
            "net.//.kernel.panic",
            "net..ipv4",
            "net.",
            "",
            "net/./x",
            "vm.swappiness",
        ] {
            assert_eq!(owner(&path(key)), None, "{key:?}");
        }
    }

    #[test]
    fn a_path_to_ones_own_namespace_makes_none() {
        let linux = |path: &str| -> Linux {
            let json = serde_json::json!({"namespaces": [{"type": "network", "path": path}]});
            serde_json::from_value(json).unwrap()
        };
        assert!(!has_own(&linux("/proc/self/ns/net"), Kind::Network));
        assert!(has_own(&linux(""), Kind::Network));
        assert!(!has_own(&linux(""), Kind::Ipc));
    }
}
