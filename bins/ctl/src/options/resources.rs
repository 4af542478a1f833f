//! What a container may use: memory, processors, devices, input and output.

use engine_api::host_config::{DeviceRequest, Resources};

use crate::grammar::Matches;
use crate::options::{device, size, some_list, ulimit};

/// The limits and devices that the flags ask for.
///
/// # Errors
/// What is wrong with a flag's value, in Docker's words.
pub fn resources(matches: &Matches) -> Result<Resources, String> {
    let devices = device::devices(matches.list("device"))?;
    let mut requests = Vec::new();
    if let Some(gpus) = matches.text("gpus") {
        requests.push(device::gpus(gpus)?);
    }
    if !devices.cdi_names.is_empty() {
        requests.push(DeviceRequest {
            driver: "cdi".into(),
            device_ids: Some(devices.cdi_names),
            ..DeviceRequest::default()
        });
    }
    let swappiness = matches.int("memory-swappiness").unwrap_or(-1);
    if swappiness != -1 && !(0..=100).contains(&swappiness) {
        return Err(format!("invalid value: {swappiness}. Valid memory swappiness range is 0-100"));
    }
    let ulimits: Result<Vec<_>, String> =
        matches.list("ulimit").iter().map(|text| ulimit::parse(text)).collect();
    let int = |name: &str| matches.int(name).unwrap_or(0);
    let bytes = |name: &str| matches.bytes(name).unwrap_or(0);
    Ok(Resources {
        cpu_shares: int("cpu-shares"),
        memory: bytes("memory"),
        nano_cpus: matches.text("cpus").map_or(Ok(0), size::parse_cpus)?,
        cgroup_parent: matches.string("cgroup-parent"),
        blkio_weight: u16::try_from(int("blkio-weight"))
            .map_err(|_| "invalid block I/O weight".to_owned())?,
        blkio_weight_device: some_list(device::weights(matches.list("blkio-weight-device"))?),
        blkio_device_read_bps: some_list(device::throttle_bytes(matches.list("device-read-bps"))?),
        blkio_device_write_bps: some_list(device::throttle_bytes(matches.list("device-write-bps"))?),
        blkio_device_read_iops: some_list(device::throttle_count(matches.list("device-read-iops"))?),
        blkio_device_write_iops: some_list(device::throttle_count(matches.list("device-write-iops"))?),
        cpu_period: int("cpu-period"),
        cpu_quota: int("cpu-quota"),
        cpu_realtime_period: int("cpu-rt-period"),
        cpu_realtime_runtime: int("cpu-rt-runtime"),
        cpuset_cpus: matches.string("cpuset-cpus"),
        cpuset_mems: matches.string("cpuset-mems"),
        devices: Some(devices.mappings),
        device_cgroup_rules: some_list(matches.list("device-cgroup-rule").to_vec()),
        device_requests: some_list(requests),
        kernel_memory: bytes("kernel-memory"),
        memory_reservation: bytes("memory-reservation"),
        memory_swap: bytes("memory-swap"),
        memory_swappiness: Some(swappiness),
        oom_kill_disable: Some(matches.flag("oom-kill-disable")),
        pids_limit: Some(int("pids-limit")),
        ulimits: some_list(ulimits?),
        cpu_count: int("cpu-count"),
        cpu_percent: int("cpu-percent"),
        io_maximum_iops: matches.text("io-maxiops").and_then(|text| text.parse().ok()).unwrap_or(0),
        io_maximum_bandwidth: u64::try_from(bytes("io-maxbandwidth")).unwrap_or(0),
        ..Resources::default()
    })
}
