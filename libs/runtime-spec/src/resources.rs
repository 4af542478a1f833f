//! Limits of a container (config-linux.md#control-groups).

use std::collections::BTreeMap;

shape! {
    /// Also what `update` and containerd's Update call send.
    pub struct Resources {
        pub devices: Vec<DeviceRule>,
        pub memory: Option<Memory>,
        pub cpu: Option<Cpu>,
        pub pids: Option<Pids>,
        #[serde(rename = "blockIO")]
        pub block_io: Option<BlockIo>,
        pub hugepage_limits: Vec<HugepageLimit>,
        pub network: Option<Network>,
        pub rdma: BTreeMap<String, Rdma>,
        /// cgroup v2 file name to contents.
        pub unified: BTreeMap<String, String>,
    }
}

shape! {
    /// One rule of the device controller; later rules win.
    pub struct DeviceRule {
        pub allow: bool,
        /// `a`, `c` or `b`; empty means all.
        #[serde(rename = "type")]
        pub kind: String,
        /// None means any.
        pub major: Option<i64>,
        /// None means any.
        pub minor: Option<i64>,
        /// Letters of `rwm`.
        pub access: String,
    }
}

shape! {
    /// Bytes; -1 is unlimited.
    pub struct Memory {
        pub limit: Option<i64>,
        pub reservation: Option<i64>,
        pub swap: Option<i64>,
        pub kernel: Option<i64>,
        #[serde(rename = "kernelTCP")]
        pub kernel_tcp: Option<i64>,
        pub swappiness: Option<u64>,
        #[serde(rename = "disableOOMKiller")]
        pub disable_oom_killer: Option<bool>,
        pub use_hierarchy: Option<bool>,
        pub check_before_update: Option<bool>,
    }
}

shape! {
    /// Times in microseconds.
    pub struct Cpu {
        pub shares: Option<u64>,
        pub quota: Option<i64>,
        pub burst: Option<u64>,
        pub period: Option<u64>,
        pub realtime_runtime: Option<i64>,
        pub realtime_period: Option<u64>,
        pub cpus: String,
        pub mems: String,
        pub idle: Option<i64>,
    }
}

shape! {
    pub struct Pids {
        /// 0 is taken as 1, as no hierarchy has a limit of none; below is unlimited.
        pub limit: Option<i64>,
    }
}

shape! {
    pub struct BlockIo {
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
}

shape! {
    pub struct WeightDevice {
        pub major: i64,
        pub minor: i64,
        pub weight: Option<u16>,
        pub leaf_weight: Option<u16>,
    }
}

shape! {
    pub struct ThrottleDevice {
        pub major: i64,
        pub minor: i64,
        /// Bytes or operations a second.
        pub rate: u64,
    }
}

shape! {
    pub struct HugepageLimit {
        /// Such as `2MB`.
        pub page_size: String,
        /// Bytes.
        pub limit: u64,
    }
}

shape! {
    /// net_cls and net_prio (v1).
    pub struct Network {
        #[serde(rename = "classID")]
        pub class_id: Option<u32>,
        pub priorities: Vec<InterfacePriority>,
    }
}

shape! {
    pub struct InterfacePriority {
        pub name: String,
        pub priority: u32,
    }
}

shape! {
    pub struct Rdma {
        pub hca_handles: Option<u32>,
        pub hca_objects: Option<u32>,
    }
}
