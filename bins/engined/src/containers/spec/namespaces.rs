//! Kernel namespaces: new, joined, or the host's.

use runtime_spec::Namespace;

use super::Inputs;

pub fn of(inputs: &Inputs<'_>) -> Vec<Namespace> {
    let host = &inputs.record.host_config;
    let new = |kind: &str| Namespace { kind: kind.into(), path: String::new() };
    let at = |kind: &str, path: String| Namespace { kind: kind.into(), path };
    let mut all = vec![new("mount")];
    if let Some((_, path)) = &inputs.remap {
        all.push(at("user", path.clone()));
    }
    if let Some(path) = &inputs.network {
        all.push(at("network", path.clone()));
    }
    if host.uts_mode != "host" {
        all.push(new("uts"));
    }
    match (host.pid_mode.as_str(), inputs.pid_pid) {
        ("host", _) => {}
        (_, Some(pid)) => all.push(at("pid", format!("/proc/{pid}/ns/pid"))),
        _ => all.push(new("pid")),
    }
    match (host.ipc_mode.as_str(), inputs.ipc_pid) {
        ("host", _) => {}
        (_, Some(pid)) => all.push(at("ipc", format!("/proc/{pid}/ns/ipc"))),
        _ => all.push(new("ipc")),
    }
    let asked = host.cgroupns_mode.as_str();
    let cgroup = if asked.is_empty() { inputs.default_cgroupns } else { asked };
    // A privileged container manages the host's cgroups unless it asks for its own.
    if cgroup == "private" && !(asked.is_empty() && host.privileged) {
        all.push(new("cgroup"));
    }
    all
}
