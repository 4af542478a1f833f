//! Annotations that ask the runtime for something: crun's `run.oci.*` as podman and crun's users
//! write them. Those with a meaning in the specification are read as that; those that cannot be
//! honoured here are refused, since who sets one relies on it.

use std::collections::BTreeMap;

use runtime_spec::{Spec, TimeOffset};

/// Sends the seccomp listener to this socket, as `linux.seccomp.listenerPath` does.
const SECCOMP_RECEIVER: &str = "run.oci.seccomp.receiver";
/// Offsets of a new time namespace in the form of /proc/self/timens_offsets.
const TIME_OFFSETS: &str = "run.oci.timens_offset";
const FAIL_UNKNOWN_SYSCALL: &str = "run.oci.seccomp_fail_unknown_syscall";
const MOUNT_CONTEXT_TYPE: &str = "run.oci.mount_context_type";
const KEEP_GROUPS: &str = "run.oci.keep_original_groups";
const PIDFD_RECEIVER: &str = "run.oci.pidfd_receiver";
/// The container's group is this one below systemd's scope.
const SUBGROUP: &str = "run.oci.systemd.subgroup";
/// Init runs in this group below the container's own and has it for its own, on cgroup v2.
pub const DELEGATED: &str = "run.oci.delegate-cgroup";

type Annotations = BTreeMap<String, String>;

/// Refused unless empty: what asks for it, and why it is not to be had.
const REFUSED: &[(&str, &str)] = &[
    ("run.oci.handler", "there is no other handler than the kernel"),
    ("run.oci.seccomp.plugins", "the agent at linux.seccomp.listenerPath loads its own plugins"),
    ("run.oci.seccomp_bpf_data", "a filter is made from linux.seccomp alone"),
    ("run.oci.systemd.force_cgroup_v1", "mount the hierarchy on the host and bind it in mounts"),
];

/// Writes what has a place in the specification there; what the configuration itself says wins.
pub fn translate(spec: &mut Spec) {
    let Some(linux) = &mut spec.linux else { return };
    if let Some(path) = spec.annotations.get(SECCOMP_RECEIVER)
        && let Some(seccomp) = linux.seccomp.as_mut().filter(|seccomp| seccomp.listener_path.is_empty())
    {
        seccomp.listener_path.clone_from(path);
    }
    let offsets = spec.annotations.get(TIME_OFFSETS).and_then(|text| time_offsets(text));
    if linux.time_offsets.is_empty() {
        linux.time_offsets = offsets.unwrap_or_default();
    }
}

/// Annotations that cannot be honoured, each with the reason.
pub fn faults(spec: &Spec) -> Vec<(&'static str, String)> {
    let set = |name: &str| spec.annotations.get(name).filter(|value| !value.is_empty());
    let mut faults: Vec<_> = REFUSED
        .iter()
        .filter(|(name, _)| set(name).is_some())
        .map(|(name, why)| (*name, format!("is not supported: {why}")))
        .collect();
    if let Some(text) = set(TIME_OFFSETS).filter(|text| time_offsets(text).is_none()) {
        faults.push((TIME_OFFSETS, format!("{text:?} is not lines of clock, seconds, nanoseconds")));
    }
    if let Some(word) = set(MOUNT_CONTEXT_TYPE).filter(|word| !CONTEXT_TYPES.contains(&word.as_str())) {
        faults.push((MOUNT_CONTEXT_TYPE, format!("{word:?} is none of {}", CONTEXT_TYPES.join(", "))));
    }
    for name in [SECCOMP_RECEIVER, PIDFD_RECEIVER] {
        if set(name).is_some_and(|path| !path.starts_with('/')) {
            faults.push((name, "must be an absolute path".to_owned()));
        }
    }
    for name in [SUBGROUP, DELEGATED] {
        let parts = || set(name).into_iter().flat_map(|path| path.split('/'));
        if parts().any(|part| part == "..")
            || parts().count() > 0 && parts().all(|part| matches!(part, "" | "."))
        {
            faults.push((name, "names no group below".to_owned()));
        }
    }
    faults
}

fn time_offsets(text: &str) -> Option<BTreeMap<String, TimeOffset>> {
    let mut offsets = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [clock, secs, nanosecs] = words[..] else { return None };
        let clock = match clock {
            "1" => "monotonic",
            "7" => "boottime",
            word => word,
        };
        let offset = TimeOffset { secs: secs.parse().ok()?, nanosecs: nanosecs.parse().ok()? };
        offsets.insert(clock.to_owned(), offset);
    }
    Some(offsets)
}

fn is_on(annotations: &Annotations, name: &str) -> bool {
    annotations.get(name).is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Whether a rootless container goes on with the caller's supplementary groups.
pub fn keeps_groups(annotations: &Annotations) -> bool {
    is_on(annotations, KEEP_GROUPS)
}

/// Whether a call that no architecture has is an error, rather than passed over.
pub fn fails_unknown_syscalls(annotations: &Annotations) -> bool {
    is_on(annotations, FAIL_UNKNOWN_SYSCALL)
}

/// The socket that takes init's pidfd.
pub fn pidfd_receiver(annotations: &Annotations) -> Option<&str> {
    annotations.get(PIDFD_RECEIVER).map(String::as_str)
}

/// The group below systemd's scope that is the container's; none where that is the scope's own.
pub fn subgroup(annotations: &Annotations) -> Option<&str> {
    annotations.get(SUBGROUP).map(String::as_str).filter(|path| !path.is_empty())
}

/// The group below the container's that its processes manage.
pub fn delegated(annotations: &Annotations) -> Option<&str> {
    annotations.get(DELEGATED).map(String::as_str).filter(|path| !path.is_empty())
}

/// What mount(8) knows of SELinux, the usual one first.
const CONTEXT_TYPES: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

/// The mount option by which a new filesystem gets its SELinux label.
pub fn mount_context_type(annotations: &Annotations) -> &str {
    annotations.get(MOUNT_CONTEXT_TYPE).map_or(CONTEXT_TYPES[0], String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(annotations: &[(&str, &str)]) -> Spec {
        let text = r#"{"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}}"#;
        let mut spec: Spec = serde_json::from_str(text).unwrap();
        spec.annotations = annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        spec
    }

    #[test]
    fn what_has_a_place_in_the_specification_goes_there() {
        let mut spec = spec(&[(SECCOMP_RECEIVER, "/s"), (TIME_OFFSETS, "monotonic 5 6\n7 -1 0")]);
        translate(&mut spec);
        let linux = spec.linux.as_ref().unwrap();
        assert_eq!(linux.seccomp.as_ref().unwrap().listener_path, "/s");
        assert_eq!(linux.time_offsets["monotonic"], TimeOffset { secs: 5, nanosecs: 6 });
        assert_eq!(linux.time_offsets["boottime"], TimeOffset { secs: -1, nanosecs: 0 });
        assert_eq!(faults(&spec), []);
    }

    #[test]
    fn each_annotation_of_crun_is_honoured_or_refused_by_name() {
        for (name, _) in REFUSED {
            let found = faults(&spec(&[(name, "x")]));
            assert!(matches!(&found[..], [(found, _)] if found == name), "{name}: {found:?}");
            assert_eq!(faults(&spec(&[(name, "")])), []);
        }
        for (name, wrong) in [
            (SECCOMP_RECEIVER, "relative"),
            (PIDFD_RECEIVER, "relative"),
            (TIME_OFFSETS, "monotonic 5"),
            (MOUNT_CONTEXT_TYPE, "other"),
            (SUBGROUP, "../other"),
            (DELEGATED, "a/.."),
            (DELEGATED, "/"),
        ] {
            assert_eq!(faults(&spec(&[(name, wrong)])).len(), 1, "{name}");
        }
    }

    #[test]
    fn switches_are_off_by_the_usual_words() {
        for (value, on) in [("1", true), ("true", true), ("0", false), ("false", false), ("", false)] {
            assert_eq!(keeps_groups(&spec(&[(KEEP_GROUPS, value)]).annotations), on, "{value}");
        }
        assert_eq!(mount_context_type(&Annotations::new()), "context");
    }
}
