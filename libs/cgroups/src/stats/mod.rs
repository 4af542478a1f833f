//! What a group has used, as `runc events --stats` and containerd's Metrics tell it.

mod v1;
mod v2;

pub(crate) use v1::list;

use std::collections::BTreeMap;

use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::host::Mode;

/// Usage of one group and the groups below it. Parts whose controller is off are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    pub cpu: CpuStats,
    pub cpuset: CpusetStats,
    pub memory: MemoryStats,
    pub pids: PidsStats,
    pub blkio: BlkioStats,
    /// By page size, "2MB".
    pub hugetlb: BTreeMap<String, HugetlbStats>,
    pub rdma: RdmaStats,
}

/// CPU time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuStats {
    pub total: u64,
    pub user: u64,
    pub kernel: u64,
    /// By CPU; v1 only.
    pub per_cpu: Vec<u64>,
    pub per_cpu_user: Vec<u64>,
    pub per_cpu_kernel: Vec<u64>,
    pub periods: u64,
    pub throttled_periods: u64,
    /// Nanoseconds.
    pub throttled_time: u64,
    pub bursts: u64,
    /// Nanoseconds.
    pub burst_time: u64,
    pub pressure: Option<Pressure>,
}

/// v1 cpuset files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpusetStats {
    pub cpus: Vec<u16>,
    pub mems: Vec<u16>,
    pub cpu_exclusive: u64,
    pub mem_exclusive: u64,
    pub mem_hardwall: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// Memory in bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryStats {
    pub usage: MemoryCounter,
    /// Memory plus swap on v1; swap alone on v2.
    pub swap: MemoryCounter,
    pub kernel: MemoryCounter,
    pub kernel_tcp: MemoryCounter,
    /// All of memory.stat.
    pub stat: BTreeMap<String, u64>,
    /// memory.events of v2; on v1 `oom_kill` of memory.oom_control.
    pub events: BTreeMap<String, u64>,
    /// v1: the kernel does not kill here.
    pub oom_kill_disabled: bool,
    /// v1: processes are stopped for want of memory right now.
    pub under_oom: bool,
    pub use_hierarchy: bool,
    pub pressure: Option<Pressure>,
}

/// One memory counter; an absent limit is `u64::MAX` (v2) or the kernel's largest number (v1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryCounter {
    pub usage: u64,
    pub limit: u64,
    /// The highest usage seen.
    pub max_usage: u64,
    /// How often the limit was hit.
    pub fail_count: u64,
}

/// Tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PidsStats {
    pub current: u64,
    /// 0 means none.
    pub limit: u64,
}

/// Block devices; v2's io.stat is told in v1's tables as well as in `devices`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlkioStats {
    pub service_bytes: Vec<BlkioEntry>,
    pub serviced: Vec<BlkioEntry>,
    pub queued: Vec<BlkioEntry>,
    pub service_time: Vec<BlkioEntry>,
    pub wait_time: Vec<BlkioEntry>,
    pub merged: Vec<BlkioEntry>,
    pub time: Vec<BlkioEntry>,
    pub sectors: Vec<BlkioEntry>,
    /// io.stat of v2, a line each.
    pub devices: Vec<IoDevice>,
    pub pressure: Option<Pressure>,
}

/// One number of one device and operation ("Read", "Write", "Sync", "Async", "Discard", "Total").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlkioEntry {
    pub major: u64,
    pub minor: u64,
    pub op: String,
    pub value: u64,
}

/// One device of io.stat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoDevice {
    pub major: u64,
    pub minor: u64,
    pub read_bytes: u64,
    pub write_bytes: u64,
    pub reads: u64,
    pub writes: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugetlbStats {
    pub usage: u64,
    /// v1: the highest usage; v2: the limit.
    pub max: u64,
    pub fail_count: u64,
}

/// RDMA devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RdmaStats {
    pub current: Vec<RdmaEntry>,
    pub limit: Vec<RdmaEntry>,
}

/// Resources of one RDMA device; "max" is `u32::MAX`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RdmaEntry {
    pub device: String,
    pub hca_handles: u32,
    pub hca_objects: u32,
}

/// Pressure stall information (accounting/psi.rst).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    pub some: PressureLine,
    pub full: PressureLine,
}

/// Shares of time in percent over the last 10, 60, 300 seconds, and microseconds in total.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PressureLine {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    pub total: u64,
}

impl Cgroup {
    /// Reads all that the kernel counts for this group.
    ///
    /// Errors: [`Error::Path`] with `NotFound` when the group is gone.
    pub fn stats(&self) -> Result<Stats> {
        if !self.exists() {
            let path = self.process_dir().unwrap_or("".as_ref());
            return Err(Error::path("read", path, rustix::io::Errno::NOENT));
        }
        match self.mode() {
            Mode::V2 => self.unified.as_deref().map_or(Ok(Stats::default()), v2::read),
            Mode::V1 | Mode::Hybrid => v1::read(self),
        }
    }
}

/// The lines of rdma.current and rdma.max: "mlx5_1 hca_handle=2 hca_object=max".
fn rdma(text: &str) -> Vec<RdmaEntry> {
    let mut all = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(device) = words.next() else { continue };
        let mut entry = RdmaEntry { device: device.to_owned(), ..RdmaEntry::default() };
        for (key, value) in words.filter_map(|w| w.split_once('=')) {
            let value = if value == "max" { u32::MAX } else { value.parse().unwrap_or(0) };
            match key {
                "hca_handle" => entry.hca_handles = value,
                "hca_object" => entry.hca_objects = value,
                _ => {}
            }
        }
        all.push(entry);
    }
    all
}

/// The sizes of huge pages that a directory has control files for: what stands between "hugetlb."
/// and `suffix` in a file's name.
fn page_sizes(dir: &std::path::Path, suffix: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let size = |name: String| {
        let size = name.strip_prefix("hugetlb.")?.strip_suffix(suffix)?;
        (!size.contains('.')).then(|| size.to_owned())
    };
    entries.flatten().filter_map(|e| size(e.file_name().into_string().ok()?)).collect()
}
