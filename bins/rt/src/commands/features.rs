//! `features`: what this runtime can do (features.md of the runtime specification).

use serde_json::json;

use super::{Command, Context};
use crate::failure::Failure;
use crate::words::{Grammar, Words};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "features",
        arguments: "",
        about: "print what the runtime can do",
        least: 0,
        most: 0,
        options: &[],
        ends_at_argument: false,
    },
    runs_foreign_code: false,
    run,
};

fn run(_context: &Context<'_>, _words: &Words) -> Result<i32, Failure> {
    let namespaces: Vec<&str> = namespaces::Kind::ALL.iter().map(|kind| kind.word()).collect();
    let capabilities: Vec<String> = process::capabilities::names().collect();
    let architectures: Vec<&str> =
        seccomp::Arch::ALL.iter().map(|architecture| architecture.spec_name()).collect();
    let features = json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": runtime_spec::VERSION,
        "hooks": [
            "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"
        ],
        "mountOptions": mount::known_options(),
        "linux": {
            "namespaces": namespaces,
            "capabilities": capabilities,
            "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true},
            "seccomp": {
                "enabled": seccomp::is_available(),
                "actions": seccomp::ACTIONS,
                "operators": seccomp::OPERATORS,
                "archs": architectures,
                "knownFlags": seccomp::known_flags().collect::<Vec<_>>(),
                "supportedFlags": seccomp::supported_flags().collect::<Vec<_>>()
            },
            // Whatever this kernel has of these.
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": true, "schemata": true, "monitoring": true},
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": true},
            "memoryPolicy": {
                "modes": ["MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE",
                    "MPOL_LOCAL", "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE"],
                "flags": ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"]
            }
        },
        "annotations": {
            "org.opencontainers.runc.checkpoint.enabled": "true",
            "org.opencontainers.runc.version": env!("CARGO_PKG_VERSION"),
            "org.opencontainers.runc.commit": option_env!("WHERRY_COMMIT").unwrap_or("unknown")
        },
        "potentiallyUnsafeConfigAnnotations": ["org.criu.config", "org.systemd.property.", "run.oci."]
    });
    let text = serde_json::to_string_pretty(&features).map_err(|error| Failure::new(error.to_string()))?;
    println!("{text}");
    Ok(0)
}
