//! HostConfig: what of the host a container gets.

use std::collections::BTreeMap;

use crate::Words;
use crate::mount::Mount;

/// Host ports of each container port (`80/tcp`).
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

record! {
    /// Host part of a create request; every field of API 1.24 to current is kept.
    pub struct HostConfig {
        binds: Option<Vec<String>>,
        #[serde(rename = "ContainerIDFile")]
        container_id_file: String,
        log_config: LogConfig,
        network_mode: String,
        port_bindings: PortMap,
        restart_policy: RestartPolicy,
        auto_remove: bool,
        volume_driver: String,
        volumes_from: Option<Vec<String>>,
        console_size: [u64; 2],
        annotations[omitempty]: BTreeMap<String, String>,
        cap_add: Option<Words>,
        cap_drop: Option<Words>,
        cgroupns_mode: String,
        dns: Vec<String>,
        dns_options: Vec<String>,
        dns_search: Vec<String>,
        extra_hosts: Option<Vec<String>>,
        group_add: Option<Vec<String>>,
        ipc_mode: String,
        cgroup: String,
        links: Option<Vec<String>>,
        oom_score_adj: i64,
        pid_mode: String,
        privileged: bool,
        publish_all_ports: bool,
        readonly_rootfs: bool,
        security_opt: Option<Vec<String>>,
        storage_opt[omitempty]: BTreeMap<String, String>,
        tmpfs[omitempty]: BTreeMap<String, String>,
        #[serde(rename = "UTSMode")]
        uts_mode: String,
        userns_mode: String,
        /// Bytes.
        shm_size: i64,
        sysctls[omitempty]: BTreeMap<String, String>,
        runtime[omitempty]: String,
        isolation: String,
        mounts[omitempty]: Vec<Mount>,
        masked_paths: Option<Vec<String>>,
        readonly_paths: Option<Vec<String>>,
        init[omitempty]: Option<bool>;
        flatten resources: Resources
    }

    /// Limits; also the body of `POST /containers/{id}/update`.
    pub struct Resources {
        cpu_shares: i64,
        /// Bytes.
        memory: i64,
        /// Billionths of a CPU.
        nano_cpus: i64,
        cgroup_parent: String,
        blkio_weight: u16,
        blkio_weight_device: Option<Vec<WeightDevice>>,
        blkio_device_read_bps: Option<Vec<ThrottleDevice>>,
        blkio_device_write_bps: Option<Vec<ThrottleDevice>>,
        #[serde(rename = "BlkioDeviceReadIOps")]
        blkio_device_read_iops: Option<Vec<ThrottleDevice>>,
        #[serde(rename = "BlkioDeviceWriteIOps")]
        blkio_device_write_iops: Option<Vec<ThrottleDevice>>,
        /// Microseconds.
        cpu_period: i64,
        cpu_quota: i64,
        cpu_realtime_period: i64,
        cpu_realtime_runtime: i64,
        cpuset_cpus: String,
        cpuset_mems: String,
        devices: Option<Vec<DeviceMapping>>,
        device_cgroup_rules: Option<Vec<String>>,
        device_requests: Option<Vec<DeviceRequest>>,
        kernel_memory[omitempty]: i64,
        #[serde(rename = "KernelMemoryTCP")]
        kernel_memory_tcp[omitempty]: i64,
        memory_reservation: i64,
        /// Memory and swap together; -1 is no limit.
        memory_swap: i64,
        memory_swappiness: Option<i64>,
        oom_kill_disable: Option<bool>,
        pids_limit: Option<i64>,
        ulimits: Option<Vec<Ulimit>>,
        cpu_count: i64,
        cpu_percent: i64,
        #[serde(rename = "IOMaximumIOps")]
        io_maximum_iops: u64,
        #[serde(rename = "IOMaximumBandwidth")]
        io_maximum_bandwidth: u64,
    }

    pub struct LogConfig {
        #[serde(rename = "Type")]
        kind: String,
        config: BTreeMap<String, String>,
    }

    pub struct RestartPolicy {
        /// Empty or `no`, `always`, `unless-stopped`, `on-failure`.
        name: String,
        maximum_retry_count: i64,
    }

    pub struct PortBinding {
        host_ip: String,
        host_port: String,
    }

    pub struct WeightDevice {
        path: String,
        weight: u16,
    }

    pub struct ThrottleDevice {
        path: String,
        rate: u64,
    }

    pub struct DeviceMapping {
        path_on_host: String,
        path_in_container: String,
        cgroup_permissions: String,
    }

    /// A request to a device driver (`--gpus`, CDI names).
    pub struct DeviceRequest {
        driver: String,
        count: i64,
        #[serde(rename = "DeviceIDs")]
        device_ids: Option<Vec<String>>,
        capabilities: Option<Vec<Vec<String>>>,
        options: BTreeMap<String, String>,
    }

    pub struct Ulimit {
        name: String,
        hard: i64,
        soft: i64,
    }

    /// `POST /containers/{id}/update`.
    pub struct UpdateRequest {
        restart_policy: RestartPolicy;
        flatten resources: Resources
    }

    /// Its answer.
    pub struct Updated {
        warnings: Option<Vec<String>>,
    }
}
