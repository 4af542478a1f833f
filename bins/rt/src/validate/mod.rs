//! The rules of a configuration, checked before anything is touched: every fault is named by its
//! JSON path.

mod linux;
mod mounts;
mod process;

use runtime_spec::Spec;

use crate::failure::Failure;

/// Faults found so far.
#[derive(Debug, Default)]
pub struct Faults {
    found: Vec<String>,
}

impl Faults {
    /// Notes a fault at a JSON path such as `/linux/namespaces/0/type`.
    pub fn add(&mut self, path: &str, what: impl std::fmt::Display) {
        self.found.push(format!("{path}: {what}"));
    }

    /// Notes a fault unless `holds`.
    pub fn unless(&mut self, holds: bool, path: &str, what: impl std::fmt::Display) {
        if !holds {
            self.add(path, what);
        }
    }
}

/// Checks a whole configuration.
pub fn check(spec: &Spec) -> Result<(), Failure> {
    let faults = faults(spec);
    if faults.found.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("invalid config.json: {}", faults.found.join("; "))))
}

fn faults(spec: &Spec) -> Faults {
    let mut faults = Faults::default();
    version(spec, &mut faults);
    match &spec.root {
        Some(root) => faults.unless(!root.path.is_empty(), "/root/path", "must not be empty"),
        None => faults.add("/root", "is missing"),
    }
    match &spec.process {
        Some(found) => process::check(found, "/process", &mut faults),
        None => faults.add("/process", "is missing"),
    }
    match &spec.linux {
        Some(found) => linux::check(spec, found, &mut faults),
        None => faults.add("/linux", "is missing"),
    }
    mounts::check(spec, &mut faults);
    hooks(spec, &mut faults);
    let linux = spec.linux.as_ref();
    if let Some(profile) = linux.and_then(|linux| linux.seccomp.as_ref())
        && let Err(error) = seccomp::Filter::compile(profile)
    {
        faults.add("/linux/seccomp", error);
    }
    faults
}

/// Also checks a process given to exec by itself.
pub fn check_process(found: &runtime_spec::Process) -> Result<(), Failure> {
    let mut faults = Faults::default();
    process::check(found, "", &mut faults);
    match faults.found.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!("invalid process: {}", faults.found.join("; ")))),
    }
}

/// Any 1.x is understood; other versions may mean other things.
fn version(spec: &Spec, faults: &mut Faults) {
    let known = spec.oci_version.strip_prefix("1.").is_some_and(|rest| {
        rest.split(['.', '-', '+']).next().is_some_and(|minor| minor.parse::<u32>().is_ok())
    });
    faults.unless(known, "/ociVersion", format_args!("{:?} is not a 1.x version", spec.oci_version));
}

fn hooks(spec: &Spec, faults: &mut Faults) {
    let Some(hooks) = &spec.hooks else { return };
    let points = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    for (point, list) in points {
        for (index, hook) in list.iter().enumerate() {
            let at = format!("/hooks/{point}/{index}");
            faults.unless(hook.path.starts_with('/'), &format!("{at}/path"), "must be absolute");
            let positive = hook.timeout.is_none_or(|seconds| seconds > 0);
            faults.unless(positive, &format!("{at}/timeout"), "must be greater than zero");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str) -> Vec<String> {
        faults(&serde_json::from_str(json).unwrap()).found
    }

    #[test]
    fn a_plain_configuration_has_no_fault() {
        let json = r#"{"ociVersion":"1.3.0","root":{"path":"r"},
            "process":{"args":["sh"],"cwd":"/","rlimits":[{"type":"RLIMIT_CPU","hard":2,"soft":1}]},
            "linux":{"namespaces":[{"type":"mount"},{"type":"pid"}]}}"#;
        assert_eq!(found(json), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_named() {
        let json = r#"{"ociVersion":"2.0.0",
            "process":{"args":[],"cwd":"x","rlimits":[{"type":"RLIMIT_X"}]},
            "mounts":[{"destination":""}],
            "hooks":{"poststop":[{"path":"x","timeout":-1}]},
            "linux":{"namespaces":[{"type":"mount"},{"type":"mount"},{"type":"net"}],
                     "sysctl":{"net.ipv4.ip_forward":"1","vm.swappiness":"1"},
                     "devices":[{"path":"dev","type":"x"}],
                     "rootfsPropagation":"odd"}}"#;
        let found = found(json).join("\n");
        for path in [
            "/ociVersion",
            "/root",
            "/process/args",
            "/process/cwd",
            "/process/rlimits/0/type",
            "/mounts/0/destination",
            "/hooks/poststop/0/path",
            "/hooks/poststop/0/timeout",
            "/linux/namespaces/1",
            "/linux/namespaces/2/type",
            "/linux/sysctl/net.ipv4.ip_forward",
            "/linux/sysctl/vm.swappiness",
            "/linux/devices/0/path",
            "/linux/devices/0/type",
            "/linux/rootfsPropagation",
        ] {
            assert!(found.contains(&format!("{path}: ")), "{path} not in\n{found}");
        }
    }
}
