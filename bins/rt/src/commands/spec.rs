//! `spec`: a configuration to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::{Command, Context};
use crate::failure::{Failure, Tried};
use crate::words::{Grammar, Words, switch, value};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "spec",
        arguments: "",
        about: "write a new configuration",
        least: 0,
        most: 0,
        options: &[&[
            value("bundle", Some('b'), "DIR", "the bundle (default: current directory)"),
            value("file", Some('f'), "FILE", "where it goes (default: config.json of the bundle)"),
            switch("rootless", None, "for a user without privileges"),
        ]],
        ends_at_argument: false,
    },
    runs_foreign_code: false,
    run,
};

fn run(_context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let directory = words.value("bundle").filter(|text| !text.is_empty()).unwrap_or(".");
    let path = match words.value("file").filter(|text| !text.is_empty()) {
        Some(file) => Path::new(file).to_owned(),
        None => Path::new(directory).join("config.json"),
    };
    let mut spec = if words.has("rootless") { rootless() } else { plain() };
    if cgroups::Host::detect()?.mode != cgroups::Mode::V2
        && let Some(namespaces) = spec["linux"]["namespaces"].as_array_mut()
    {
        // As runc writes it: on v1 containers see the host's groups, read-only.
        namespaces.retain(|namespace| namespace["type"] != "cgroup");
    }
    let text = serde_json::to_string_pretty(&spec).map_err(|error| Failure::new(error.to_string()))?;
    let opened = OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = match opened {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let name = path.file_name().unwrap_or_default().display();
            return Err(Failure::new(format!("File {name} exists. Remove it first")));
        }
        other => other.tried(format!("open {}", path.display()))?,
    };
    file.write_all(text.as_bytes()).tried(format!("write {}", path.display()))?;
    Ok(0)
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    let mut mount = json!({"destination": destination, "type": kind, "source": source});
    if !options.is_empty() {
        mount["options"] = json!(options);
    }
    mount
}

fn plain() -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": runtime_spec::VERSION,
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "runc",
        "mounts": [
            mount("/proc", "proc", "proc", &[]),
            mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", "devpts",
                &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"])
        ],
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                {"type": "mount"}, {"type": "cgroup"}
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
                "/proc/scsi"
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"
            ]
        }
    })
}

/// The host's network and sysfs, the caller as root, no limits.
fn rootless() -> Value {
    let mut spec = plain();
    let map = |id: u32| json!([{"containerID": 0, "hostID": id, "size": 1}]);
    let linux = &mut spec["linux"];
    linux["uidMappings"] = map(rustix::process::geteuid().as_raw());
    linux["gidMappings"] = map(rustix::process::getegid().as_raw());
    linux["namespaces"] = json!([
        {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"},
        {"type": "user"}
    ]);
    if let Some(linux) = linux.as_object_mut() {
        linux.remove("resources");
    }
    if let Some(mounts) = spec["mounts"].as_array_mut() {
        for entry in mounts.iter_mut() {
            if entry["destination"] == "/sys" {
                *entry = mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]);
            }
            if let Some(options) = entry["options"].as_array_mut() {
                options.retain(|option| option != "gid=5");
            }
        }
    }
    spec
}
