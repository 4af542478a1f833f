//! Limits as the runtime specification words them (runtime-spec 1.3 config-linux.md, "Control groups").
//!
//! Plain structs with the specification's own JSON names; every field is optional, and an absent
//! field means "leave as it is". `Resources` therefore reads `linux.resources` of a config.json
//! and what `update --resources` takes alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `linux.resources`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Device access rules, in order; the last match wins.
    pub devices: Vec<DeviceRule>,
    pub memory: Option<Memory>,
    pub cpu: Option<Cpu>,
    pub pids: Option<Pids>,
    #[serde(rename = "blockIO")]
    pub block_io: Option<BlockIo>,
    pub hugepage_limits: Vec<HugepageLimit>,
    pub network: Option<Network>,
    /// RDMA limits by device name.
    pub rdma: BTreeMap<String, Rdma>,
    /// Raw cgroup v2 files and their values; refused on v1.
    pub unified: BTreeMap<String, String>,
}

/// One device access rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRule {
    pub allow: bool,
    /// "a" (all), "c", "u" (as "c"), "b"; absent means "a".
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Absent or -1 means every major number.
    pub major: Option<i64>,
    /// Absent or -1 means every minor number.
    pub minor: Option<i64>,
    /// Letters of "rwm"; absent means all three.
    pub access: Option<String>,
}

/// `memory`: sizes in bytes, -1 means unlimited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    pub limit: Option<i64>,
    pub reservation: Option<i64>,
    /// Memory plus swap.
    pub swap: Option<i64>,
    /// Accepted and ignored: the kernel dropped it.
    pub kernel: Option<i64>,
    /// Accepted and ignored: the kernel dropped it.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Option<i64>,
    /// 0 to 100; -1 as Docker writes for "unset" is accepted.
    pub swappiness: Option<i64>,
    #[serde(rename = "disableOOMKiller")]
    pub disable_oom_killer: Option<bool>,
    /// Accepted; the kernel accounts hierarchically always.
    pub use_hierarchy: Option<bool>,
    /// Refuse a new limit that is below the present usage.
    pub check_before_update: Option<bool>,
}

/// `cpu`: times in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cpu {
    pub shares: Option<u64>,
    /// -1 means unlimited.
    pub quota: Option<i64>,
    pub burst: Option<u64>,
    pub period: Option<u64>,
    pub realtime_runtime: Option<i64>,
    pub realtime_period: Option<u64>,
    /// List of CPUs such as "0-3,7".
    pub cpus: Option<String>,
    /// List of memory nodes.
    pub mems: Option<String>,
    /// 1 makes the whole group SCHED_IDLE.
    pub idle: Option<i64>,
}

/// `pids`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pids {
    /// Tasks at most; -1 means unlimited, 0 is written as 1 (as peers do).
    pub limit: Option<i64>,
}

/// `blockIO`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockIo {
    /// 10 to 1000.
    pub weight: Option<u16>,
    pub leaf_weight: Option<u16>,
    pub weight_device: Vec<WeightDevice>,
    pub throttle_read_bps_device: Vec<ThrottleDevice>,
    pub throttle_write_bps_device: Vec<ThrottleDevice>,
    #[serde(rename = "throttleReadIOPSDevice")]
    pub throttle_read_iops_device: Vec<ThrottleDevice>,
    #[serde(rename = "throttleWriteIOPSDevice")]
    pub throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// The weight of one block device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightDevice {
    pub major: i64,
    pub minor: i64,
    pub weight: Option<u16>,
    pub leaf_weight: Option<u16>,
}

/// Bytes or operations a second of one block device; 0 lifts the limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThrottleDevice {
    pub major: i64,
    pub minor: i64,
    pub rate: u64,
}

/// One entry of `hugepageLimits`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HugepageLimit {
    /// "2MB", "64KB", "1GB".
    pub page_size: String,
    /// Bytes.
    pub limit: u64,
}

/// `network` (v1 only: net_cls and net_prio).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    #[serde(rename = "classID")]
    pub class_id: Option<u32>,
    pub priorities: Vec<InterfacePriority>,
}

/// The priority of traffic on one interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InterfacePriority {
    pub name: String,
    pub priority: u32,
}

/// Limits of one RDMA device; an absent one is lifted ("max").
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rdma {
    pub hca_handles: Option<u32>,
    pub hca_objects: Option<u32>,
}
