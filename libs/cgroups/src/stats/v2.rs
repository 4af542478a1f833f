//! Statistics of v2 control files.

use std::path::Path;

use super::{
    BlkioEntry, BlkioStats, CpuStats, HugetlbStats, IoDevice, MemoryCounter, MemoryStats, PidsStats,
    Pressure, PressureLine, RdmaStats, Stats,
};
use crate::error::{Error, Result};
use crate::file::{flat_keyed, read_optional, read_u64_optional};
use crate::processes::list;

pub(super) fn read(dir: &Path) -> Result<Stats> {
    let mut stats = Stats {
        cpu: cpu(dir)?,
        memory: memory(dir)?,
        pids: super::v1::pids(dir)?,
        blkio: io(dir)?,
        rdma: RdmaStats {
            current: super::rdma(&read_optional(dir, "rdma.current")?.unwrap_or_default()),
            limit: super::rdma(&read_optional(dir, "rdma.max")?.unwrap_or_default()),
        },
        ..Stats::default()
    };
    if stats.pids == PidsStats::default() {
        // Without the controller the list tells the number.
        stats.pids.current = list(dir)?.len() as u64;
    }
    hugetlb(dir, &mut stats)?;
    Ok(stats)
}

fn cpu(dir: &Path) -> Result<CpuStats> {
    let mut cpu = CpuStats { pressure: pressure(dir, "cpu.pressure")?, ..CpuStats::default() };
    let text = read_optional(dir, "cpu.stat")?.unwrap_or_default();
    for (key, value) in flat_keyed(&text) {
        let nanoseconds = value.saturating_mul(1000);
        match key {
            "usage_usec" => cpu.total = nanoseconds,
            "user_usec" => cpu.user = nanoseconds,
            "system_usec" => cpu.kernel = nanoseconds,
            "nr_periods" => cpu.periods = value,
            "nr_throttled" => cpu.throttled_periods = value,
            "throttled_usec" => cpu.throttled_time = nanoseconds,
            "nr_bursts" => cpu.bursts = value,
            "burst_usec" => cpu.burst_time = nanoseconds,
            _ => {}
        }
    }
    Ok(cpu)
}

fn memory(dir: &Path) -> Result<MemoryStats> {
    let map = |file: &str| {
        let text = read_optional(dir, file)?.unwrap_or_default();
        Ok::<_, Error>(flat_keyed(&text).map(|(k, v)| (k.to_owned(), v)).collect())
    };
    Ok(MemoryStats {
        usage: counter(dir, "memory")?,
        swap: counter(dir, "memory.swap")?,
        stat: map("memory.stat")?,
        events: map("memory.events")?,
        use_hierarchy: true,
        pressure: pressure(dir, "memory.pressure")?,
        ..MemoryStats::default()
    })
}

fn counter(dir: &Path, prefix: &str) -> Result<MemoryCounter> {
    let number = |name: &str| read_u64_optional(dir, &format!("{prefix}.{name}"));
    let events = read_optional(dir, &format!("{prefix}.events"))?.unwrap_or_default();
    Ok(MemoryCounter {
        usage: number("current")?.unwrap_or(0),
        limit: number("max")?.unwrap_or(0),
        // Since Linux 5.19 (memory) and 6.5 (swap).
        max_usage: number("peak")?.unwrap_or(0),
        fail_count: flat_keyed(&events).find(|(k, _)| *k == "max").map_or(0, |(_, v)| v),
    })
}

fn io(dir: &Path) -> Result<BlkioStats> {
    let mut io = BlkioStats { pressure: pressure(dir, "io.pressure")?, ..BlkioStats::default() };
    let text = read_optional(dir, "io.stat")?.unwrap_or_default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|d| d.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        let mut device = IoDevice { major, minor, ..IoDevice::default() };
        for (key, value) in words.filter_map(|w| w.split_once('=')) {
            let value = value.parse().unwrap_or(0);
            let entry = |op: &str| BlkioEntry { major, minor, op: op.to_owned(), value };
            match key {
                "rbytes" => {
                    device.read_bytes = value;
                    io.service_bytes.push(entry("Read"));
                }
                "wbytes" => {
                    device.write_bytes = value;
                    io.service_bytes.push(entry("Write"));
                }
                "rios" => {
                    device.reads = value;
                    io.serviced.push(entry("Read"));
                }
                "wios" => {
                    device.writes = value;
                    io.serviced.push(entry("Write"));
                }
                _ => {}
            }
        }
        io.devices.push(device);
    }
    Ok(io)
}

fn hugetlb(dir: &Path, stats: &mut Stats) -> Result<()> {
    for size in super::page_sizes(dir, ".current") {
        let rsvd = if dir.join(format!("hugetlb.{size}.rsvd.current")).exists() { "rsvd." } else { "" };
        let events = read_optional(dir, &format!("hugetlb.{size}.events"))?.unwrap_or_default();
        let one = HugetlbStats {
            usage: read_u64_optional(dir, &format!("hugetlb.{size}.{rsvd}current"))?.unwrap_or(0),
            max: read_u64_optional(dir, &format!("hugetlb.{size}.{rsvd}max"))?.unwrap_or(0),
            fail_count: flat_keyed(&events).find(|(k, _)| *k == "max").map_or(0, |(_, v)| v),
        };
        stats.hugetlb.insert(size, one);
    }
    Ok(())
}

/// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", then "full ...". Absent when the kernel does
/// not count it.
fn pressure(dir: &Path, file: &str) -> Result<Option<Pressure>> {
    let Some(text) = read_optional(dir, file)? else { return Ok(None) };
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let target = match words.next() {
            Some("some") => &mut pressure.some,
            Some("full") => &mut pressure.full,
            _ => continue,
        };
        *target = pressure_line(words);
    }
    Ok(Some(pressure))
}

fn pressure_line<'a>(words: impl Iterator<Item = &'a str>) -> PressureLine {
    let mut line = PressureLine::default();
    for (key, value) in words.filter_map(|w| w.split_once('=')) {
        match key {
            "avg10" => line.avg10 = value.parse().unwrap_or(0.0),
            "avg60" => line.avg60 = value.parse().unwrap_or(0.0),
            "avg300" => line.avg300 = value.parse().unwrap_or(0.0),
            "total" => line.total = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_tree_of_files_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("cgroup.procs", "1\n2\n3\n"),
            ("cpu.stat", "usage_usec 7\nuser_usec 4\nsystem_usec 3\nnr_periods 2\nthrottled_usec 9\n"),
            ("cpu.pressure", "some avg10=1.50 avg60=0.00 avg300=0.00 total=12\n"),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("memory.events", "low 0\nmax 3\noom_kill 1\n"),
            ("memory.stat", "anon 10\nfile 20\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:16\n"),
            ("hugetlb.2MB.current", "5\n"),
            ("hugetlb.2MB.max", "6\n"),
            ("hugetlb.2MB.events", "max 7\n"),
            ("rdma.current", "mlx4_0 hca_handle=2 hca_object=max\n"),
        ] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        let stats = read(dir.path()).unwrap();
        assert_eq!((stats.cpu.total, stats.cpu.user, stats.cpu.throttled_time), (7000, 4000, 9000));
        assert_eq!(
            stats.cpu.pressure.unwrap().some,
            PressureLine { avg10: 1.5, total: 12, ..Default::default() }
        );
        assert_eq!(
            stats.memory.usage,
            MemoryCounter { usage: 4096, limit: u64::MAX, max_usage: 0, fail_count: 3 }
        );
        assert_eq!(stats.memory.events["oom_kill"], 1);
        assert_eq!(stats.pids.current, 3);
        assert_eq!(stats.blkio.devices[0].writes, 4);
        assert_eq!(stats.blkio.service_bytes.len(), 2);
        assert_eq!(stats.hugetlb["2MB"], HugetlbStats { usage: 5, max: 6, fail_count: 7 });
        assert_eq!(stats.rdma.current[0].hca_objects, u32::MAX);
        assert!(stats.memory.pressure.is_none());
    }
}
