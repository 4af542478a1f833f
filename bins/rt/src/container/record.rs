//! What is kept of a container, `ROOT/ID/state.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cgroups::systemd::Scope;
use runtime_spec::{Hook, State, Status};
use serde::{Deserialize, Serialize};

/// The record; names that runc's file also has mean the same there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    pub oci_version: String,
    pub init_process_pid: i32,
    /// Clock ticks since boot.
    pub init_process_start: u64,
    /// RFC 3339.
    pub created: String,
    pub bundle: PathBuf,
    pub rootfs: PathBuf,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Directories by controller.
    pub cgroup_paths: BTreeMap<String, PathBuf>,
    /// The unit that systemd keeps for the container, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeName>,
    /// Kinds of namespaces that the container does not share with the runtime, by the
    /// specification's words.
    pub namespaces: Vec<String>,
    #[serde(default)]
    pub poststart: Vec<Hook>,
    #[serde(default)]
    pub poststop: Vec<Hook>,
    /// The profile in force, which exec applies too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<runtime_spec::Seccomp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personality: Option<runtime_spec::Personality>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<runtime_spec::MemoryPolicy>,
    /// The class of service and the monitoring group (config-linux.md#intelrdt).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<resctrl::Group>,
    /// The mount of the root in a mount namespace that the container shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_mount: Option<u64>,
    #[serde(default)]
    pub no_new_keyring: bool,
    /// Init is on its way: its namespaces and mounts are not complete.
    #[serde(default)]
    pub creating: bool,
    /// The user who made the container.
    #[serde(default)]
    pub owner: u32,
}

/// A systemd scope as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScopeName {
    pub slice: String,
    pub unit: String,
    /// Where the container's group lies below the scope's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subgroup: String,
}

impl ScopeName {
    pub fn scope(&self) -> Scope {
        Scope { slice: self.slice.clone(), unit: self.unit.clone() }
    }
}

impl Record {
    /// The state that hooks get.
    pub fn state(&self, status: Status) -> State {
        State {
            oci_version: self.oci_version.clone(),
            id: self.id.clone(),
            status,
            pid: if status == Status::Stopped { 0 } else { self.init_process_pid },
            bundle: self.bundle.to_string_lossy().into_owned(),
            annotations: self.annotations.clone(),
        }
    }

    pub fn has_namespace(&self, kind: namespaces::Kind) -> bool {
        self.namespaces.iter().any(|word| word == kind.word())
    }
}
