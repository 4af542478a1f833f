//! The rules of a configuration, checked before anything is touched: every fault is named by its
//! JSON path.

mod linux;
mod mounts;
mod process;
pub mod sysctl;

use runtime_spec::Spec;
use seccomp::Filter;

use crate::annotations;
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

/// Checks a whole configuration, and gives its system call filter, which was compiled for that.
pub fn check(spec: &Spec) -> Result<Option<Filter>, Failure> {
    let mut faults = faults(spec);
    let filter = filter(spec, &mut faults);
    if faults.found.is_empty() {
        return Ok(filter);
    }
    Err(Failure::new(format!("invalid config.json: {}", faults.found.join("; "))))
}

fn filter(spec: &Spec, faults: &mut Faults) -> Option<Filter> {
    let profile = spec.linux.as_ref()?.seccomp.as_ref()?;
    if annotations::fails_unknown_syscalls(&spec.annotations) {
        for name in seccomp::unknown_calls(profile) {
            faults.add("/linux/seccomp/syscalls", format_args!("{name:?} is no system call"));
        }
    }
    Filter::compile(profile).map_err(|error| faults.add("/linux/seccomp", error)).ok()
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
    for (name, why) in annotations::faults(spec) {
        faults.add(&format!("/annotations/{name}"), why);
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
            let whole = hook.args.iter().chain([&hook.path]).all(|word| !word.contains('\0'));
            faults.unless(whole, &at, "has a nul byte in its path or arguments");
            process::environment(&hook.env, &at, faults);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

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

    proptest! {
        #[test]
        fn any_value_anywhere_is_survived(place in 0_usize..80, value in value()) {
            let mut config = whole();
            let mut left = place;
            replace(&mut config, &mut left, &value);
            if let Ok(spec) = serde_json::from_value::<Spec>(config) {
                let _ = check(&spec);
            }
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "[-/.:a-zA-Z0-9_=,]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from))
    }

    /// Something in every part that is checked.
    fn whole() -> Value {
        json!({
            "ociVersion": "1.3.0", "root": {"path": "r"}, "hostname": "h",
            "process": {"args": ["sh"], "cwd": "/", "env": ["A=b"], "user": {"uid": 1, "gid": 2},
                "rlimits": [{"type": "RLIMIT_CPU", "hard": 2, "soft": 1}], "oomScoreAdj": 3,
                "capabilities": {"bounding": ["CAP_KILL"]}, "scheduler": {"policy": "SCHED_OTHER"},
                "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 1},
                "execCPUAffinity": {"initial": "0-1", "final": "0"}},
            "mounts": [{"destination": "/a", "type": "bind", "source": "b", "options": ["rro", "idmap"]}],
            "hooks": {"poststop": [{"path": "/x", "timeout": 1}]},
            "linux": {"namespaces": [{"type": "mount"}, {"type": "user"}, {"type": "time"}, {"type": "uts"},
                    {"type": "ipc"}, {"type": "network"}],
                "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
                "gidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
                "timeOffsets": {"monotonic": {"secs": 1, "nanosecs": 2}},
                "sysctl": {"kernel.msgmax": "1"}, "maskedPaths": ["/p"], "readonlyPaths": ["/p"],
                "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 2}],
                "netDevices": {"eth0": {"name": "e"}}, "personality": {"domain": "LINUX"},
                "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0"}, "rootfsPropagation": "slave",
                "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"],
                    "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                    "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}}
        })
    }

    /// Replaces the value that is `left` values further on.
    fn replace(at: &mut Value, left: &mut usize, with: &Value) {
        if *left == 0 {
            *at = with.clone();
        }
        *left = left.wrapping_sub(1);
        match at {
            Value::Array(items) => items.iter_mut().for_each(|item| replace(item, left, with)),
            Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, left, with)),
            _ => {}
        }
    }

    #[test]
    fn the_whole_of_it_has_no_fault() {
        check(&serde_json::from_value(whole()).unwrap()).unwrap();
    }

    #[test]
    fn every_fault_is_named() {
        let json = r#"{"ociVersion":"2.0.0",
            "process":{"args":[],"cwd":"x","env":["A=b","=x","x","A=\u0000"],"rlimits":[{"type":"RLIMIT_X"}]},
            "mounts":[{"destination":""}],
            "hooks":{"poststop":[{"path":"x","timeout":-1,"env":["x"]},{"path":"/x","args":["\u0000"]}]},
            "linux":{"namespaces":[{"type":"mount"},{"type":"mount"},{"type":"net"}],
                     "sysctl":{"net.ipv4.ip_forward":"1","vm.swappiness":"1"},
                     "devices":[{"path":"dev","type":"x"}],
                     "resources":{"devices":[{"access":"rwma"},{"type":"c","access":"rwx"}]},
                     "rootfsPropagation":"odd"}}"#;
        let found = found(json).join("\n");
        for path in [
            "/ociVersion",
            "/root",
            "/process/args",
            "/process/cwd",
            "/process/env/1",
            "/process/env/2",
            "/process/env/3",
            "/process/rlimits/0/type",
            "/mounts/0/destination",
            "/hooks/poststop/0/path",
            "/hooks/poststop/0/timeout",
            "/hooks/poststop/0/env/0",
            "/hooks/poststop/1",
            "/linux/namespaces/1",
            "/linux/namespaces/2/type",
            "/linux/sysctl/net.ipv4.ip_forward",
            "/linux/sysctl/vm.swappiness",
            "/linux/devices/0/path",
            "/linux/devices/0/type",
            "/linux/resources/devices/1",
            "/linux/rootfsPropagation",
        ] {
            assert!(found.contains(&format!("{path}: ")), "{path} not in\n{found}");
        }
    }
}
