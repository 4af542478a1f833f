//! Usage as containerd's two Metrics messages tell it.

use cgroups::stats::{BlkioEntry, MemoryCounter, Pressure, PressureLine, RdmaEntry, Stats};
use containerd_api::cgroups::{v1, v2};

/// `io.containerd.cgroups.v1.Metrics`.
pub(super) fn v1(stats: &Stats) -> v1::Metrics {
    let io = &stats.blkio;
    v1::Metrics {
        hugetlb: stats
            .hugetlb
            .iter()
            .map(|(size, pages)| v1::HugetlbStat {
                usage: pages.usage,
                max: pages.max,
                failcnt: pages.fail_count,
                pagesize: size.clone(),
            })
            .collect(),
        pids: Some(v1::PidsStat { current: stats.pids.current, limit: stats.pids.limit }),
        cpu: Some(v1::CpuStat {
            usage: Some(v1::CpuUsage {
                total: stats.cpu.total,
                kernel: stats.cpu.kernel,
                user: stats.cpu.user,
                per_cpu: stats.cpu.per_cpu.clone(),
            }),
            throttling: Some(v1::Throttle {
                periods: stats.cpu.periods,
                throttled_periods: stats.cpu.throttled_periods,
                throttled_time: stats.cpu.throttled_time,
            }),
        }),
        memory: Some(v1_memory(stats)),
        blkio: Some(v1::BlkIoStat {
            io_service_bytes_recursive: v1_io(&io.service_bytes),
            io_serviced_recursive: v1_io(&io.serviced),
            io_queued_recursive: v1_io(&io.queued),
            io_service_time_recursive: v1_io(&io.service_time),
            io_wait_time_recursive: v1_io(&io.wait_time),
            io_merged_recursive: v1_io(&io.merged),
            io_time_recursive: v1_io(&io.time),
            sectors_recursive: v1_io(&io.sectors),
        }),
        rdma: Some(v1::RdmaStat {
            current: stats.rdma.current.iter().map(v1_rdma).collect(),
            limit: stats.rdma.limit.iter().map(v1_rdma).collect(),
        }),
        network: Vec::new(),
        cgroup_stats: None,
        memory_oom_control: Some(v1::MemoryOomControl {
            oom_kill_disable: u64::from(stats.memory.oom_kill_disabled),
            under_oom: u64::from(stats.memory.under_oom),
            oom_kill: count(&stats.memory.events, "oom_kill"),
        }),
    }
}

fn v1_memory(stats: &Stats) -> v1::MemoryStat {
    let of = |name: &str| count(&stats.memory.stat, name);
    v1::MemoryStat {
        cache: of("cache"),
        rss: of("rss"),
        rss_huge: of("rss_huge"),
        mapped_file: of("mapped_file"),
        dirty: of("dirty"),
        writeback: of("writeback"),
        pg_pg_in: of("pgpgin"),
        pg_pg_out: of("pgpgout"),
        pg_fault: of("pgfault"),
        pg_maj_fault: of("pgmajfault"),
        inactive_anon: of("inactive_anon"),
        active_anon: of("active_anon"),
        inactive_file: of("inactive_file"),
        active_file: of("active_file"),
        unevictable: of("unevictable"),
        hierarchical_memory_limit: of("hierarchical_memory_limit"),
        hierarchical_swap_limit: of("hierarchical_memsw_limit"),
        total_cache: of("total_cache"),
        total_rss: of("total_rss"),
        total_rss_huge: of("total_rss_huge"),
        total_mapped_file: of("total_mapped_file"),
        total_dirty: of("total_dirty"),
        total_writeback: of("total_writeback"),
        total_pg_pg_in: of("total_pgpgin"),
        total_pg_pg_out: of("total_pgpgout"),
        total_pg_fault: of("total_pgfault"),
        total_pg_maj_fault: of("total_pgmajfault"),
        total_inactive_anon: of("total_inactive_anon"),
        total_active_anon: of("total_active_anon"),
        total_inactive_file: of("total_inactive_file"),
        total_active_file: of("total_active_file"),
        total_unevictable: of("total_unevictable"),
        usage: Some(v1_counter(&stats.memory.usage)),
        swap: Some(v1_counter(&stats.memory.swap)),
        kernel: Some(v1_counter(&stats.memory.kernel)),
        kernel_tcp: Some(v1_counter(&stats.memory.kernel_tcp)),
    }
}

fn v1_counter(counter: &MemoryCounter) -> v1::MemoryEntry {
    v1::MemoryEntry {
        limit: counter.limit,
        usage: counter.usage,
        max: counter.max_usage,
        failcnt: counter.fail_count,
    }
}

fn v1_io(entries: &[BlkioEntry]) -> Vec<v1::BlkIoEntry> {
    let entry = |entry: &BlkioEntry| v1::BlkIoEntry {
        op: entry.op.clone(),
        device: String::new(),
        major: entry.major,
        minor: entry.minor,
        value: entry.value,
    };
    entries.iter().map(entry).collect()
}

fn v1_rdma(entry: &RdmaEntry) -> v1::RdmaEntry {
    v1::RdmaEntry {
        device: entry.device.clone(),
        hca_handles: entry.hca_handles,
        hca_objects: entry.hca_objects,
    }
}

/// `io.containerd.cgroups.v2.Metrics`.
pub(super) fn v2(stats: &Stats) -> v2::Metrics {
    let event = |name: &str| count(&stats.memory.events, name);
    v2::Metrics {
        pids: Some(v2::PidsStat { current: stats.pids.current, limit: stats.pids.limit }),
        cpu: Some(v2::CpuStat {
            usage_usec: stats.cpu.total / 1000,
            user_usec: stats.cpu.user / 1000,
            system_usec: stats.cpu.kernel / 1000,
            nr_periods: stats.cpu.periods,
            nr_throttled: stats.cpu.throttled_periods,
            throttled_usec: stats.cpu.throttled_time / 1000,
            psi: stats.cpu.pressure.as_ref().map(psi),
            nr_bursts: stats.cpu.bursts,
            burst_usec: stats.cpu.burst_time / 1000,
        }),
        memory: Some(v2_memory(stats)),
        rdma: Some(v2::RdmaStat {
            current: stats.rdma.current.iter().map(v2_rdma).collect(),
            limit: stats.rdma.limit.iter().map(v2_rdma).collect(),
        }),
        io: Some(v2::IoStat {
            usage: stats
                .blkio
                .devices
                .iter()
                .map(|device| v2::IoEntry {
                    major: device.major,
                    minor: device.minor,
                    rbytes: device.read_bytes,
                    wbytes: device.write_bytes,
                    rios: device.reads,
                    wios: device.writes,
                })
                .collect(),
            psi: stats.blkio.pressure.as_ref().map(psi),
        }),
        hugetlb: stats
            .hugetlb
            .iter()
            .map(|(size, pages)| v2::HugeTlbStat {
                current: pages.usage,
                max: pages.max,
                pagesize: size.clone(),
                failcnt: pages.fail_count,
            })
            .collect(),
        memory_events: Some(v2::MemoryEvents {
            low: event("low"),
            high: event("high"),
            max: event("max"),
            oom: event("oom"),
            oom_kill: event("oom_kill"),
            oom_group_kill: event("oom_group_kill"),
        }),
        network: Vec::new(),
    }
}

fn v2_memory(stats: &Stats) -> v2::MemoryStat {
    let of = |name: &str| count(&stats.memory.stat, name);
    v2::MemoryStat {
        anon: of("anon"),
        file: of("file"),
        kernel_stack: of("kernel_stack"),
        slab: of("slab"),
        sock: of("sock"),
        shmem: of("shmem"),
        file_mapped: of("file_mapped"),
        file_dirty: of("file_dirty"),
        file_writeback: of("file_writeback"),
        anon_thp: of("anon_thp"),
        inactive_anon: of("inactive_anon"),
        active_anon: of("active_anon"),
        inactive_file: of("inactive_file"),
        active_file: of("active_file"),
        unevictable: of("unevictable"),
        slab_reclaimable: of("slab_reclaimable"),
        slab_unreclaimable: of("slab_unreclaimable"),
        pgfault: of("pgfault"),
        pgmajfault: of("pgmajfault"),
        workingset_refault: of("workingset_refault_anon")
            + of("workingset_refault_file")
            + of("workingset_refault"),
        workingset_activate: of("workingset_activate_anon")
            + of("workingset_activate_file")
            + of("workingset_activate"),
        workingset_nodereclaim: of("workingset_nodereclaim"),
        pgrefill: of("pgrefill"),
        pgscan: of("pgscan"),
        pgsteal: of("pgsteal"),
        pgactivate: of("pgactivate"),
        pgdeactivate: of("pgdeactivate"),
        pglazyfree: of("pglazyfree"),
        pglazyfreed: of("pglazyfreed"),
        thp_fault_alloc: of("thp_fault_alloc"),
        thp_collapse_alloc: of("thp_collapse_alloc"),
        usage: stats.memory.usage.usage,
        usage_limit: stats.memory.usage.limit,
        swap_usage: stats.memory.swap.usage,
        swap_limit: stats.memory.swap.limit,
        max_usage: stats.memory.usage.max_usage,
        swap_max_usage: stats.memory.swap.max_usage,
        psi: stats.memory.pressure.as_ref().map(psi),
    }
}

fn v2_rdma(entry: &RdmaEntry) -> v2::RdmaEntry {
    v2::RdmaEntry {
        device: entry.device.clone(),
        hca_handles: entry.hca_handles,
        hca_objects: entry.hca_objects,
    }
}

fn psi(pressure: &Pressure) -> v2::PsiStats {
    let line = |line: &PressureLine| v2::PsiData {
        avg10: line.avg10,
        avg60: line.avg60,
        avg300: line.avg300,
        total: line.total,
    };
    v2::PsiStats { some: Some(line(&pressure.some)), full: Some(line(&pressure.full)) }
}

fn count(counts: &std::collections::BTreeMap<String, u64>, name: &str) -> u64 {
    counts.get(name).copied().unwrap_or(0)
}
