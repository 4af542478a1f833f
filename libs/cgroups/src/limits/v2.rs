//! Limits by v2 control files (cgroup-v2.rst of the kernel's documentation).

use std::path::Path;

use runtime_spec::{Cpu, HugepageLimit, Memory, Pids, Rdma, Resources};

use super::convert::{or_max, swap, weight};
use super::v1::{check_usage, pids_max};
use super::{blockio, settle};
use crate::error::{Error, Result};
use crate::file::{read_optional, write};

/// The period of `cpu.max` when nobody chose one, in microseconds.
const PERIOD: &str = "100000";

pub(super) fn apply(dir: &Path, limits: &Resources) -> Result<()> {
    if let Some(wanted) = &limits.cpu {
        cpu(dir, wanted)?;
    }
    if let Some(wanted) = &limits.memory {
        memory(dir, wanted)?;
    }
    if let Some(Pids { limit: Some(limit) }) = limits.pids {
        set("pids", "pids limit", dir, "pids.max", &pids_max(limit))?;
    }
    if let Some(wanted) = &limits.block_io {
        blockio::apply_v2(dir, wanted)?;
    }
    hugepages(dir, &limits.hugepage_limits, "max")?;
    for (device, wanted) in &limits.rdma {
        rdma(dir, device, wanted)?;
    }
    if limits.network.as_ref().is_some_and(|n| n.class_id.unwrap_or(0) != 0 || !n.priorities.is_empty()) {
        return Err(Error::Unsupported("network class or priorities: cgroup v2 has no such controller"));
    }
    Ok(())
}

/// Writes a file that is absent when its controller is off.
fn set(controller: &'static str, field: &'static str, dir: &Path, file: &str, value: &str) -> Result<()> {
    write(controller, dir, file, value).map_err(|e| off(e, controller, field))
}

fn off(error: Error, controller: &'static str, field: &'static str) -> Error {
    if error.is_absent() { Error::NoController { controller, field } } else { error }
}

fn cpu(dir: &Path, cpu: &Cpu) -> Result<()> {
    if cpu.realtime_period.unwrap_or(0) != 0 || cpu.realtime_runtime.unwrap_or(0) != 0 {
        return Err(Error::Unsupported("realtime cpu limits: cgroup v2 has no such control"));
    }
    if let Some(idle) = cpu.idle {
        set("cpu", "cpu idle", dir, "cpu.idle", &idle.to_string())?;
    }
    // An idle group has no weight; the kernel refuses one.
    if let (Some(shares), true) = (cpu.shares.filter(|s| *s > 0), cpu.idle.unwrap_or(0) == 0) {
        set("cpu", "cpu shares", dir, "cpu.weight", &weight(shares).to_string())?;
    }
    let mut times = Vec::new();
    if let Some(burst) = cpu.burst {
        times.push(("cpu.max.burst", burst.to_string()));
    }
    let (quota, period) = (cpu.quota.filter(|q| *q != 0), cpu.period.filter(|p| *p != 0));
    if quota.is_some() || period.is_some() {
        times.push(("cpu.max", cpu_max(dir, quota, period)?));
    }
    settle("cpu", dir, times).map_err(|e| off(e, "cpu", "cpu quota"))?;
    for (file, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if !value.is_empty() {
            set("cpuset", "cpuset", dir, file, value)?;
        }
    }
    Ok(())
}

/// "QUOTA PERIOD"; the half that is not given stays what it is.
fn cpu_max(dir: &Path, quota: Option<i64>, period: Option<u64>) -> Result<String> {
    let now = read_optional(dir, "cpu.max")?.unwrap_or_default();
    let mut now = now.split_whitespace();
    let (quota_now, period_now) = (now.next().unwrap_or("max"), now.next().unwrap_or(PERIOD));
    let quota = quota.map_or(quota_now.to_owned(), or_max);
    let period = period.map_or(period_now.to_owned(), |p| p.to_string());
    Ok(format!("{quota} {period}"))
}

fn memory(dir: &Path, memory: &Memory) -> Result<()> {
    let limit = memory.limit.filter(|l| *l != 0);
    if let (true, Some(limit)) = (memory.check_before_update.unwrap_or(false), limit) {
        check_usage(dir, "memory.current", limit)?;
    }
    if let Some(swap) = swap(memory)? {
        match write("memory", dir, "memory.swap.max", &or_max(swap)) {
            // Without swap accounting there is nothing to lift or to forbid.
            Err(e) if e.is_absent() && swap <= 0 && dir.join("memory.max").exists() => {}
            other => other.map_err(|e| off(e, "memory", "memory swap"))?,
        }
    }
    if let Some(limit) = limit {
        set("memory", "memory limit", dir, "memory.max", &or_max(limit))?;
    }
    if let Some(reservation) = memory.reservation.filter(|r| *r != 0) {
        set("memory", "memory reservation", dir, "memory.low", &or_max(reservation))?;
    }
    if memory.disable_oom_killer == Some(true) {
        return Err(Error::Unsupported("disableOOMKiller: cgroup v2 has no such control"));
    }
    if memory.swappiness.is_some_and(|s| s != u64::MAX) {
        return Err(Error::Unsupported("memory swappiness: cgroup v2 has no such control"));
    }
    Ok(())
}

/// Usage limits and, where the kernel has them (5.7), the same for reservations. `suffix` is "max"
/// on v2 and "limit_in_bytes" on v1.
pub(super) fn hugepages(dir: &Path, limits: &[HugepageLimit], suffix: &str) -> Result<()> {
    for limit in limits {
        if !limit.page_size.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Error::invalid("hugepageLimits", &limit.page_size, "it is no page size"));
        }
        let value = limit.limit.to_string();
        let file = |middle: &str| format!("hugetlb.{}.{middle}{suffix}", limit.page_size);
        set("hugetlb", "hugepageLimits", dir, &file(""), &value)?;
        match write("hugetlb", dir, &file("rsvd."), &value) {
            Err(e) if e.is_absent() => {}
            other => other?,
        }
    }
    Ok(())
}

/// The same file and words on v1 and v2.
pub(super) fn rdma(dir: &Path, device: &str, rdma: &Rdma) -> Result<()> {
    let mut line = device.to_owned();
    if let Some(handles) = rdma.hca_handles {
        line.push_str(&format!(" hca_handle={handles}"));
    }
    if let Some(objects) = rdma.hca_objects {
        line.push_str(&format!(" hca_object={objects}"));
    }
    set("rdma", "rdma", dir, "rdma.max", &line)
}

/// The raw files of `unified`, after everything else so that they have the last word.
pub(super) fn apply_unified(dir: &Path, limits: &Resources) -> Result<()> {
    for (file, value) in &limits.unified {
        let name_is_plain = file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_'));
        if !name_is_plain || !file.contains('.') || file.starts_with('.') || file.starts_with("cgroup.procs")
        {
            return Err(Error::invalid("unified", file, "it is not the name of a control file"));
        }
        write("unified", dir, file, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|f| fs::write(dir.path().join(f), "").unwrap());
        dir
    }

    fn limits(json: &str) -> Resources {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn specification_values_become_v2_values() {
        let dir = tree(&[
            "cpu.weight",
            "cpu.max",
            "cpu.max.burst",
            "cpuset.cpus",
            "memory.max",
            "memory.swap.max",
            "memory.low",
            "pids.max",
            "io.max",
            "io.weight",
            "hugetlb.2MB.max",
            "hugetlb.2MB.rsvd.max",
            "rdma.max",
            "memory.high",
        ]);
        apply(
            dir.path(),
            &limits(
                r#"{"cpu":{"shares":1024,"quota":5000,"burst":10,"cpus":"0-1"},
                "memory":{"limit":1000,"swap":3000,"reservation":500,"kernel":1,"swappiness":18446744073709551615},
                "pids":{"limit":0},"hugepageLimits":[{"pageSize":"2MB","limit":9}],
                "blockIO":{"weight":500,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":7}]},
                "rdma":{"mlx5_1":{"hcaHandles":3}}}"#,
            ),
        )
        .unwrap();
        apply_unified(dir.path(), &limits(r#"{"unified":{"memory.high":"77"}}"#)).unwrap();
        for (file, expected) in [
            ("cpu.weight", "100"),
            ("cpu.max", "5000 100000"),
            ("cpu.max.burst", "10"),
            ("cpuset.cpus", "0-1"),
            ("memory.max", "1000"),
            ("memory.swap.max", "2000"),
            ("memory.low", "500"),
            ("pids.max", "1"),
            ("io.max", "8:0 rbps=7"),
            ("io.weight", "4950"),
            ("hugetlb.2MB.max", "9"),
            ("hugetlb.2MB.rsvd.max", "9"),
            ("rdma.max", "mlx5_1 hca_handle=3"),
            ("memory.high", "77"),
        ] {
            assert_eq!(fs::read_to_string(dir.path().join(file)).unwrap(), expected, "{file}");
        }
    }

    #[test]
    fn half_of_cpu_max_stays() {
        let dir = tree(&["cpu.max"]);
        fs::write(dir.path().join("cpu.max"), "7000 50000\n").unwrap();
        apply(dir.path(), &limits(r#"{"cpu":{"period":20000}}"#)).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("cpu.max")).unwrap(), "7000 20000");
        apply(dir.path(), &limits(r#"{"cpu":{"quota":-1}}"#)).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("cpu.max")).unwrap(), "max 20000");
    }

    #[test]
    fn what_v2_cannot_do_is_refused() {
        let dir = tree(&["cpu.max", "memory.max"]);
        for json in [
            r#"{"cpu":{"realtimeRuntime":5}}"#,
            r#"{"memory":{"swappiness":5}}"#,
            r#"{"memory":{"disableOOMKiller":true}}"#,
            r#"{"network":{"classID":5}}"#,
        ] {
            assert!(matches!(apply(dir.path(), &limits(json)), Err(Error::Unsupported(_))), "{json}");
        }
        let error = apply(dir.path(), &limits(r#"{"pids":{"limit":5}}"#)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot set pids limit: the pids cgroup controller is not available on this host"
        );
    }

    #[test]
    fn unified_names_cannot_leave_the_group() {
        let dir = tree(&["cgroup.procs"]);
        for name in ["../x.y", "cgroup.procs", "a/b.c", ".x", "nodot", "cgroup.procs.x", ""] {
            let limits =
                Resources { unified: [(name.to_owned(), "1".to_owned())].into(), ..Resources::default() };
            assert!(matches!(apply_unified(dir.path(), &limits), Err(Error::Invalid { .. })), "{name}");
        }
    }

    #[test]
    fn a_limit_below_usage_is_refused_when_asked() {
        let dir = tree(&["memory.max"]);
        fs::write(dir.path().join("memory.current"), "5000\n").unwrap();
        let wanted = limits(r#"{"memory":{"limit":4000,"checkBeforeUpdate":true}}"#);
        assert!(matches!(apply(dir.path(), &wanted), Err(Error::MemoryInUse { usage: 5000, .. })));
    }
}
