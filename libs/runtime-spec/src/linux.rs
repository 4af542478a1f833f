//! The Linux part of a configuration (config-linux.md).

use std::collections::BTreeMap;

use crate::{Resources, Seccomp};

shape! {
    pub struct Linux {
        pub uid_mappings: Vec<IdMapping>,
        pub gid_mappings: Vec<IdMapping>,
        pub sysctl: BTreeMap<String, String>,
        pub resources: Option<Resources>,
        pub cgroups_path: String,
        pub namespaces: Vec<Namespace>,
        pub devices: Vec<Device>,
        pub net_devices: BTreeMap<String, NetDevice>,
        pub seccomp: Option<Seccomp>,
        pub rootfs_propagation: String,
        pub masked_paths: Vec<String>,
        pub readonly_paths: Vec<String>,
        pub mount_label: String,
        pub intel_rdt: Option<IntelRdt>,
        pub personality: Option<Personality>,
        pub time_offsets: BTreeMap<String, TimeOffset>,
        pub memory_policy: Option<MemoryPolicy>,
    }
}

shape! {
    /// One range of user or group ids.
    pub struct IdMapping {
        #[serde(rename = "containerID")]
        pub container_id: u32,
        #[serde(rename = "hostID")]
        pub host_id: u32,
        pub size: u32,
    }
}

shape! {
    /// A kernel namespace, new or joined by path.
    pub struct Namespace {
        /// `pid mount network ipc uts user cgroup time`.
        #[serde(rename = "type")]
        pub kind: String,
        pub path: String,
    }
}

shape! {
    /// A device node to make (config-linux.md#devices).
    pub struct Device {
        pub path: String,
        /// `c`, `u`, `b` or `p`.
        #[serde(rename = "type")]
        pub kind: String,
        pub major: i64,
        pub minor: i64,
        pub file_mode: Option<u32>,
        pub uid: Option<u32>,
        pub gid: Option<u32>,
    }
}

shape! {
    /// A network device moved into the container.
    pub struct NetDevice {
        pub name: String,
    }
}

shape! {
    pub struct IntelRdt {
        #[serde(rename = "closID")]
        pub clos_id: String,
        pub schemata: Vec<String>,
        pub l3_cache_schema: String,
        pub mem_bw_schema: String,
        #[serde(rename = "enableCMT")]
        pub enable_cmt: bool,
        #[serde(rename = "enableMBM")]
        pub enable_mbm: bool,
        pub enable_monitoring: bool,
    }
}

shape! {
    pub struct Personality {
        /// `LINUX` or `LINUX32`.
        pub domain: String,
        pub flags: Vec<String>,
    }
}

shape! {
    /// Offset of one clock of a time namespace.
    pub struct TimeOffset {
        pub secs: i64,
        pub nanosecs: u32,
    }
}

shape! {
    /// set_mempolicy(2).
    pub struct MemoryPolicy {
        pub mode: String,
        pub nodes: String,
        pub flags: Vec<String>,
    }
}
