//! Statistics of v1 control files.

use std::path::Path;

use super::{
    BlkioEntry, BlkioStats, CpuStats, CpusetStats, HugetlbStats, MemoryCounter, MemoryStats, PidsStats,
    RdmaStats, Stats,
};
use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::file::{flat_keyed, read_optional, read_u64_optional};

/// What cpuacct.stat counts in: USER_HZ is 100 on every Linux.
const TICK: u64 = 10_000_000;

pub(super) fn read(group: &Cgroup) -> Result<Stats> {
    let mut stats = Stats::default();
    if let Some(dir) = group.v1_path("cpuacct") {
        usage(dir, &mut stats.cpu)?;
    }
    if let Some(dir) = group.v1_path("cpu") {
        throttling(dir, &mut stats.cpu)?;
    }
    if let Some(dir) = group.v1_path("cpuset") {
        stats.cpuset = cpuset(dir)?;
    }
    if let Some(dir) = group.v1_path("memory") {
        stats.memory = memory(dir)?;
    }
    if let Some(dir) = group.v1_path("pids") {
        stats.pids = pids(dir)?;
    }
    if let Some(dir) = group.v1_path("blkio") {
        stats.blkio = blkio(dir)?;
    }
    if let Some(dir) = group.v1_path("hugetlb") {
        hugetlb(dir, &mut stats)?;
    }
    if let Some(dir) = group.v1_path("rdma") {
        stats.rdma = RdmaStats {
            current: super::rdma(&read_optional(dir, "rdma.current")?.unwrap_or_default()),
            limit: super::rdma(&read_optional(dir, "rdma.max")?.unwrap_or_default()),
        };
    }
    Ok(stats)
}

fn usage(dir: &Path, cpu: &mut CpuStats) -> Result<()> {
    cpu.total = read_u64_optional(dir, "cpuacct.usage")?.unwrap_or(0);
    let text = read_optional(dir, "cpuacct.stat")?.unwrap_or_default();
    for (key, value) in flat_keyed(&text) {
        match key {
            "user" => cpu.user = value.saturating_mul(TICK),
            "system" => cpu.kernel = value.saturating_mul(TICK),
            _ => {}
        }
    }
    if let Some(text) = read_optional(dir, "cpuacct.usage_all")? {
        // "cpu user system", then a line a CPU.
        for line in text.lines().skip(1) {
            let mut words = line.split_whitespace().skip(1).filter_map(|w| w.parse::<u64>().ok());
            if let (Some(user), Some(system)) = (words.next(), words.next()) {
                cpu.per_cpu_user.push(user);
                cpu.per_cpu_kernel.push(system);
            }
        }
    }
    let text = read_optional(dir, "cpuacct.usage_percpu")?.unwrap_or_default();
    cpu.per_cpu = text.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    Ok(())
}

fn throttling(dir: &Path, cpu: &mut CpuStats) -> Result<()> {
    let text = read_optional(dir, "cpu.stat")?.unwrap_or_default();
    for (key, value) in flat_keyed(&text) {
        match key {
            "nr_periods" => cpu.periods = value,
            "nr_throttled" => cpu.throttled_periods = value,
            "throttled_time" => cpu.throttled_time = value,
            "nr_bursts" => cpu.bursts = value,
            "burst_time" => cpu.burst_time = value,
            _ => {}
        }
    }
    Ok(())
}

fn cpuset(dir: &Path) -> Result<CpusetStats> {
    let number = |file: &str| Ok::<_, Error>(read_u64_optional(dir, &format!("cpuset.{file}"))?.unwrap_or(0));
    let list = |file: &str| {
        Ok::<_, Error>(list(&read_optional(dir, &format!("cpuset.{file}"))?.unwrap_or_default()))
    };
    let level = read_optional(dir, "cpuset.sched_relax_domain_level")?.unwrap_or_default();
    Ok(CpusetStats {
        cpus: list("cpus")?,
        mems: list("mems")?,
        cpu_exclusive: number("cpu_exclusive")?,
        mem_exclusive: number("mem_exclusive")?,
        mem_hardwall: number("mem_hardwall")?,
        memory_migrate: number("memory_migrate")?,
        memory_spread_page: number("memory_spread_page")?,
        memory_spread_slab: number("memory_spread_slab")?,
        memory_pressure: number("memory_pressure")?,
        sched_load_balance: number("sched_load_balance")?,
        sched_relax_domain_level: level.trim().parse().unwrap_or(0),
    })
}

/// The members of a list such as "0-3,7"; what is no list reads as empty.
pub(crate) fn list(text: &str) -> Vec<u16> {
    let mut all = Vec::new();
    for part in text.trim().split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(from), Ok(to)) = (from.parse::<u16>(), to.parse::<u16>()) {
            all.extend(from..=to);
        }
    }
    all
}

fn memory(dir: &Path) -> Result<MemoryStats> {
    let mut memory = MemoryStats {
        usage: counter(dir, "memory")?,
        swap: counter(dir, "memory.memsw")?,
        kernel: counter(dir, "memory.kmem")?,
        kernel_tcp: counter(dir, "memory.kmem.tcp")?,
        use_hierarchy: read_u64_optional(dir, "memory.use_hierarchy")? == Some(1),
        ..MemoryStats::default()
    };
    let text = read_optional(dir, "memory.stat")?.unwrap_or_default();
    memory.stat = flat_keyed(&text).map(|(k, v)| (k.to_owned(), v)).collect();
    let text = read_optional(dir, "memory.oom_control")?.unwrap_or_default();
    for (key, value) in flat_keyed(&text) {
        match key {
            "oom_kill_disable" => memory.oom_kill_disabled = value != 0,
            "under_oom" => memory.under_oom = value != 0,
            "oom_kill" => {
                memory.events.insert(key.to_owned(), value);
            }
            _ => {}
        }
    }
    Ok(memory)
}

fn counter(dir: &Path, prefix: &str) -> Result<MemoryCounter> {
    let number =
        |name: &str| Ok::<_, Error>(read_u64_optional(dir, &format!("{prefix}.{name}"))?.unwrap_or(0));
    Ok(MemoryCounter {
        usage: number("usage_in_bytes")?,
        limit: number("limit_in_bytes")?,
        max_usage: number("max_usage_in_bytes")?,
        fail_count: number("failcnt")?,
    })
}

pub(super) fn pids(dir: &Path) -> Result<PidsStats> {
    let Some(current) = read_u64_optional(dir, "pids.current")? else {
        return Ok(PidsStats::default());
    };
    let limit = read_u64_optional(dir, "pids.max")?.filter(|l| *l != u64::MAX);
    Ok(PidsStats { current, limit: limit.unwrap_or(0) })
}

/// Prefixes and suffixes of one set of files: BFQ's, the old CFQ's, and the throttling layer's.
/// The first set that is there and not empty tells.
const SETS: [(&str, &str); 4] = [
    ("blkio.bfq.", "_recursive"),
    ("blkio.", "_recursive"),
    ("blkio.throttle.", "_recursive"),
    ("blkio.throttle.", ""),
];

fn blkio(dir: &Path) -> Result<BlkioStats> {
    let mut stats = BlkioStats::default();
    for (prefix, suffix) in SETS {
        let table = |name: &str| {
            let text = read_optional(dir, &format!("{prefix}{name}{suffix}"))?;
            Ok::<_, Error>(entries(&text.unwrap_or_default()))
        };
        stats = BlkioStats {
            service_bytes: table("io_service_bytes")?,
            serviced: table("io_serviced")?,
            queued: table("io_queued")?,
            service_time: table("io_service_time")?,
            wait_time: table("io_wait_time")?,
            merged: table("io_merged")?,
            time: table("time")?,
            sectors: table("sectors")?,
            ..BlkioStats::default()
        };
        if !stats.serviced.is_empty() || !stats.service_bytes.is_empty() {
            break;
        }
    }
    Ok(stats)
}

/// "8:0 Read 1282048", "8:0 6792"; the closing "Total N" is left out.
fn entries(text: &str) -> Vec<BlkioEntry> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let second = words.next()?;
        let (op, value) = match words.next() {
            Some(value) => (second.to_owned(), value),
            None => (String::new(), second),
        };
        Some(BlkioEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op,
            value: value.parse().ok()?,
        })
    };
    text.lines().filter_map(entry).collect()
}

fn hugetlb(dir: &Path, stats: &mut Stats) -> Result<()> {
    for size in super::page_sizes(dir, ".usage_in_bytes") {
        // Reservations are what limits act on where the kernel counts them (5.7).
        let rsvd =
            if dir.join(format!("hugetlb.{size}.rsvd.usage_in_bytes")).exists() { "rsvd." } else { "" };
        let number = |name: &str| {
            Ok::<_, Error>(read_u64_optional(dir, &format!("hugetlb.{size}.{rsvd}{name}"))?.unwrap_or(0))
        };
        let one = HugetlbStats {
            usage: number("usage_in_bytes")?,
            max: number("max_usage_in_bytes")?,
            fail_count: number("failcnt")?,
        };
        stats.hugetlb.insert(size, one);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_tables_are_read() {
        assert_eq!(list("0-2,7\n"), [0, 1, 2, 7]);
        assert_eq!(list("\n"), Vec::<u16>::new());
        let table = entries("8:0 Read 5\n8:16 9\nTotal 14\n");
        assert_eq!(table.len(), 2);
        assert_eq!(table[0], BlkioEntry { major: 8, minor: 0, op: "Read".into(), value: 5 });
        assert_eq!(table[1], BlkioEntry { major: 8, minor: 16, op: String::new(), value: 9 });
    }
}
