//! Limits by v1 control files (cgroup-v1/*.rst of the kernel's documentation).

use std::path::Path;

use runtime_spec::{Cpu, HugepageLimit, Memory, Network, Pids, Resources};
use rustix::io::Errno;

use super::{blockio, settle, v2};
use crate::cgroup::Cgroup;
use crate::create::pass_controllers_down;
use crate::error::{Error, Result};
use crate::file::{read_u64, read_u64_optional, write};

pub(super) fn apply(group: &Cgroup, limits: &Resources) -> Result<()> {
    if let Some(wanted) = limits.cpu.as_ref().filter(|c| **c != Cpu::default()) {
        cpu(group, wanted)?;
    }
    if let Some(wanted) = limits.memory.as_ref().filter(|m| **m != Memory::default()) {
        memory(group.v1_for("memory", "memory limit")?, wanted)?;
    }
    if let Some(Pids { limit: Some(limit) }) = limits.pids {
        write("pids", group.v1_for("pids", "pids limit")?, "pids.max", &pids_max(limit))?;
    }
    if let Some(wanted) = limits.block_io.as_ref().filter(|b| **b != Default::default()) {
        blockio::apply_v1(group.v1_for("blkio", "blockIO")?, wanted)?;
    }
    hugepages(group, &limits.hugepage_limits)?;
    if let Some(wanted) = &limits.network {
        network(group, wanted)?;
    }
    for (device, wanted) in &limits.rdma {
        v2::rdma(group.v1_for("rdma", "rdma")?, device, wanted)?;
    }
    Ok(())
}

/// `pids.max` for a limit: systemd knows no 0, so all peers make it 1; negative is unlimited.
pub(super) fn pids_max(limit: i64) -> String {
    super::convert::or_max(if limit == 0 { 1 } else { limit })
}

fn cpu(group: &Cgroup, cpu: &Cpu) -> Result<()> {
    let set = |value: Option<String>| value.filter(|v| v != "0");
    let times: Vec<(&str, String)> = [
        ("cpu.cfs_burst_us", cpu.burst.map(|v| v.to_string())),
        ("cpu.cfs_period_us", set(cpu.period.map(|v| v.to_string()))),
        ("cpu.cfs_quota_us", set(cpu.quota.map(|v| v.to_string()))),
        ("cpu.rt_period_us", set(cpu.realtime_period.map(|v| v.to_string()))),
        ("cpu.rt_runtime_us", set(cpu.realtime_runtime.map(|v| v.to_string()))),
    ]
    .into_iter()
    .filter_map(|(file, value)| Some((file, value?)))
    .collect();
    let shares = cpu.shares.filter(|s| *s > 0);
    if shares.is_some() || cpu.idle.is_some() || !times.is_empty() {
        let dir = group.v1_for("cpu", "cpu limit")?;
        if let Some(shares) = shares {
            set_shares(dir, shares)?;
        }
        settle("cpu", dir, times)?;
        if let Some(idle) = cpu.idle {
            write("cpu", dir, "cpu.idle", &idle.to_string())?;
        }
    }
    for (file, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if !value.is_empty() {
            write("cpuset", group.v1_for("cpuset", "cpuset")?, file, value)?;
        }
    }
    Ok(())
}

/// The kernel clips shares without a word; a person should hear of it.
fn set_shares(dir: &Path, shares: u64) -> Result<()> {
    write("cpu", dir, "cpu.shares", &shares.to_string())?;
    match read_u64(dir, "cpu.shares")? {
        kept if shares > kept => {
            Err(Error::invalid("cpu shares", shares, "the maximum allowed cpu-shares is 262144"))
        }
        kept if shares < kept => {
            Err(Error::invalid("cpu shares", shares, "the minimum allowed cpu-shares is 2"))
        }
        _ => Ok(()),
    }
}

const LIMIT: &str = "memory.limit_in_bytes";
const BOTH: &str = "memory.memsw.limit_in_bytes";

fn memory(dir: &Path, memory: &Memory) -> Result<()> {
    let limit = memory.limit.filter(|l| *l != 0);
    let mut both = memory.swap.filter(|s| *s != 0);
    if let (true, Some(limit)) = (memory.check_before_update.unwrap_or(false), limit) {
        check_usage(dir, "memory.usage_in_bytes", limit)?;
    }
    // No limit of memory and nothing said of swap means no limit of either.
    if limit == Some(-1) && both.is_none() && dir.join(BOTH).exists() {
        both = Some(-1);
    }
    // The kernel keeps memory <= memory+swap at every moment: raise the sum first, lower it last.
    let raises = match (limit, both) {
        (Some(_), Some(-1)) => true,
        (Some(_), Some(both)) => read_u64_optional(dir, BOTH)?.is_some_and(|now| now < both as u64),
        _ => false,
    };
    let set_both = || both.map_or(Ok(()), |value| write("memory", dir, BOTH, &value.to_string()));
    if raises {
        set_both()?;
    }
    if let Some(limit) = limit {
        set_limit(dir, limit)?;
    }
    if !raises {
        set_both()?;
    }
    if let Some(reservation) = memory.reservation.filter(|r| *r != 0) {
        write("memory", dir, "memory.soft_limit_in_bytes", &reservation.to_string())?;
    }
    if memory.disable_oom_killer == Some(true) {
        write("memory", dir, "memory.oom_control", "1")?;
    }
    match memory.swappiness {
        // Go writers put -1 into an unsigned field to say "unset".
        None | Some(u64::MAX) => Ok(()),
        Some(value @ 0..=100) => write("memory", dir, "memory.swappiness", &value.to_string()),
        Some(value) => Err(Error::invalid("memory swappiness", value, "valid range is 0-100")),
    }
}

fn set_limit(dir: &Path, limit: i64) -> Result<()> {
    match write("memory", dir, LIMIT, &limit.to_string()) {
        Err(e) if e.is(Errno::BUSY) => Err(Error::MemoryInUse {
            limit,
            usage: read_u64(dir, "memory.usage_in_bytes")?,
            peak: read_u64_optional(dir, "memory.max_usage_in_bytes")?,
        }),
        other => other,
    }
}

/// Refuses a limit below what is in use (`memory.checkBeforeUpdate`).
pub(super) fn check_usage(dir: &Path, file: &str, limit: i64) -> Result<()> {
    let Some(usage) = read_u64_optional(dir, file)? else { return Ok(()) };
    if limit >= 0 && usage > limit as u64 {
        return Err(Error::MemoryInUse { limit, usage, peak: None });
    }
    Ok(())
}

fn hugepages(group: &Cgroup, limits: &[HugepageLimit]) -> Result<()> {
    if limits.is_empty() {
        return Ok(());
    }
    match (group.v1_path("hugetlb"), &group.unified) {
        (Some(dir), _) => v2::hugepages(dir, limits, "limit_in_bytes"),
        // A hybrid host may keep this controller in the unified hierarchy.
        (None, Some(dir)) => {
            pass_controllers_down(dir, Some("hugetlb"))?;
            v2::hugepages(dir, limits, "max")
        }
        (None, None) => Err(Error::NoController { controller: "hugetlb", field: "hugepageLimits" }),
    }
}

fn network(group: &Cgroup, network: &Network) -> Result<()> {
    if let Some(class) = network.class_id.filter(|c| *c != 0) {
        write("net_cls", group.v1_for("net_cls", "network.classID")?, "net_cls.classid", &class.to_string())?;
    }
    for interface in &network.priorities {
        let line = format!("{} {}", interface.name, interface.priority);
        write("net_prio", group.v1_for("net_prio", "network.priorities")?, "net_prio.ifpriomap", &line)?;
    }
    Ok(())
}
