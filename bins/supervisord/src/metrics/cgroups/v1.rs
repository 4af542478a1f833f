//! Names of what control groups of version 1 count (containerd core/metrics/cgroups/v1).

use super::{Gauge, Sample, one};
use containerd_api::cgroups::v1::{BlkIoEntry, HugetlbStat, Metrics};

/// Every name, and where its values are.
pub const GAUGES: &[Gauge<Metrics>] = &[
    ("container_pids_limit", |m| one(m.pids.as_ref()?.limit)),
    ("container_pids_current", |m| one(m.pids.as_ref()?.current)),
    ("container_cpu_total_nanoseconds", |m| one(m.cpu.as_ref()?.usage.as_ref()?.total)),
    ("container_cpu_kernel_nanoseconds", |m| one(m.cpu.as_ref()?.usage.as_ref()?.kernel)),
    ("container_cpu_user_nanoseconds", |m| one(m.cpu.as_ref()?.usage.as_ref()?.user)),
    ("container_per_cpu_nanoseconds", |m| Some(each_cpu(&m.cpu.as_ref()?.usage.as_ref()?.per_cpu))),
    ("container_cpu_throttle_periods_total", |m| one(m.cpu.as_ref()?.throttling.as_ref()?.periods)),
    ("container_cpu_throttled_periods_total", |m| {
        one(m.cpu.as_ref()?.throttling.as_ref()?.throttled_periods)
    }),
    ("container_cpu_throttled_time_nanoseconds", |m| {
        one(m.cpu.as_ref()?.throttling.as_ref()?.throttled_time)
    }),
    ("container_memory_cache_bytes", |m| one(m.memory.as_ref()?.cache)),
    ("container_memory_rss_bytes", |m| one(m.memory.as_ref()?.rss)),
    ("container_memory_rss_huge_bytes", |m| one(m.memory.as_ref()?.rss_huge)),
    ("container_memory_mapped_file_bytes", |m| one(m.memory.as_ref()?.mapped_file)),
    ("container_memory_dirty_bytes", |m| one(m.memory.as_ref()?.dirty)),
    ("container_memory_writeback_bytes", |m| one(m.memory.as_ref()?.writeback)),
    ("container_memory_pgpgin_bytes", |m| one(m.memory.as_ref()?.pg_pg_in)),
    ("container_memory_pgpgout_bytes", |m| one(m.memory.as_ref()?.pg_pg_out)),
    ("container_memory_pgfault_bytes", |m| one(m.memory.as_ref()?.pg_fault)),
    ("container_memory_pgmajfault_bytes", |m| one(m.memory.as_ref()?.pg_maj_fault)),
    ("container_memory_inactive_anon_bytes", |m| one(m.memory.as_ref()?.inactive_anon)),
    ("container_memory_active_anon_bytes", |m| one(m.memory.as_ref()?.active_anon)),
    ("container_memory_inactive_file_bytes", |m| one(m.memory.as_ref()?.inactive_file)),
    ("container_memory_active_file_bytes", |m| one(m.memory.as_ref()?.active_file)),
    ("container_memory_unevictable_bytes", |m| one(m.memory.as_ref()?.unevictable)),
    ("container_memory_hierarchical_memory_limit_bytes", |m| {
        one(m.memory.as_ref()?.hierarchical_memory_limit)
    }),
    ("container_memory_hierarchical_memsw_limit_bytes", |m| one(m.memory.as_ref()?.hierarchical_swap_limit)),
    ("container_memory_total_cache_bytes", |m| one(m.memory.as_ref()?.total_cache)),
    ("container_memory_total_rss_bytes", |m| one(m.memory.as_ref()?.total_rss)),
    ("container_memory_total_rss_huge_bytes", |m| one(m.memory.as_ref()?.total_rss_huge)),
    ("container_memory_total_mapped_file_bytes", |m| one(m.memory.as_ref()?.total_mapped_file)),
    ("container_memory_total_dirty_bytes", |m| one(m.memory.as_ref()?.total_dirty)),
    ("container_memory_total_writeback_bytes", |m| one(m.memory.as_ref()?.total_writeback)),
    ("container_memory_total_pgpgin_bytes", |m| one(m.memory.as_ref()?.total_pg_pg_in)),
    ("container_memory_total_pgpgout_bytes", |m| one(m.memory.as_ref()?.total_pg_pg_out)),
    ("container_memory_total_pgfault_bytes", |m| one(m.memory.as_ref()?.total_pg_fault)),
    ("container_memory_total_pgmajfault_bytes", |m| one(m.memory.as_ref()?.total_pg_maj_fault)),
    ("container_memory_total_inactive_anon_bytes", |m| one(m.memory.as_ref()?.total_inactive_anon)),
    ("container_memory_total_active_anon_bytes", |m| one(m.memory.as_ref()?.total_active_anon)),
    ("container_memory_total_inactive_file_bytes", |m| one(m.memory.as_ref()?.total_inactive_file)),
    ("container_memory_total_active_file_bytes", |m| one(m.memory.as_ref()?.total_active_file)),
    ("container_memory_total_unevictable_bytes", |m| one(m.memory.as_ref()?.total_unevictable)),
    ("container_memory_usage_failcnt_total", |m| one(m.memory.as_ref()?.usage.as_ref()?.failcnt)),
    ("container_memory_usage_limit_bytes", |m| one(m.memory.as_ref()?.usage.as_ref()?.limit)),
    ("container_memory_usage_max_bytes", |m| one(m.memory.as_ref()?.usage.as_ref()?.max)),
    ("container_memory_usage_usage_bytes", |m| one(m.memory.as_ref()?.usage.as_ref()?.usage)),
    ("container_memory_swap_failcnt_total", |m| one(m.memory.as_ref()?.swap.as_ref()?.failcnt)),
    ("container_memory_swap_limit_bytes", |m| one(m.memory.as_ref()?.swap.as_ref()?.limit)),
    ("container_memory_swap_max_bytes", |m| one(m.memory.as_ref()?.swap.as_ref()?.max)),
    ("container_memory_swap_usage_bytes", |m| one(m.memory.as_ref()?.swap.as_ref()?.usage)),
    ("container_memory_kernel_failcnt_total", |m| one(m.memory.as_ref()?.kernel.as_ref()?.failcnt)),
    ("container_memory_kernel_limit_bytes", |m| one(m.memory.as_ref()?.kernel.as_ref()?.limit)),
    ("container_memory_kernel_max_bytes", |m| one(m.memory.as_ref()?.kernel.as_ref()?.max)),
    ("container_memory_kernel_usage_bytes", |m| one(m.memory.as_ref()?.kernel.as_ref()?.usage)),
    ("container_memory_kerneltcp_failcnt_total", |m| one(m.memory.as_ref()?.kernel_tcp.as_ref()?.failcnt)),
    ("container_memory_kerneltcp_limit_bytes", |m| one(m.memory.as_ref()?.kernel_tcp.as_ref()?.limit)),
    ("container_memory_kerneltcp_max_bytes", |m| one(m.memory.as_ref()?.kernel_tcp.as_ref()?.max)),
    ("container_memory_kerneltcp_usage_bytes", |m| one(m.memory.as_ref()?.kernel_tcp.as_ref()?.usage)),
    ("container_memory_oom_total", |m| one(m.memory_oom_control.as_ref()?.oom_kill)),
    ("container_hugetlb_usage_bytes", |m| pages(&m.hugetlb, |page| page.usage)),
    ("container_hugetlb_failcnt_total", |m| pages(&m.hugetlb, |page| page.failcnt)),
    ("container_hugetlb_max_bytes", |m| pages(&m.hugetlb, |page| page.max)),
    ("container_blkio_io_merged_recursive_total", |m| devices(&m.blkio.as_ref()?.io_merged_recursive)),
    ("container_blkio_io_queued_recursive_total", |m| devices(&m.blkio.as_ref()?.io_queued_recursive)),
    ("container_blkio_io_service_bytes_recursive_bytes", |m| {
        devices(&m.blkio.as_ref()?.io_service_bytes_recursive)
    }),
    ("container_blkio_io_service_time_recursive_total", |m| {
        devices(&m.blkio.as_ref()?.io_service_time_recursive)
    }),
    ("container_blkio_io_serviced_recursive_total", |m| devices(&m.blkio.as_ref()?.io_serviced_recursive)),
    ("container_blkio_io_time_recursive_total", |m| devices(&m.blkio.as_ref()?.io_time_recursive)),
    ("container_blkio_sectors_recursive_total", |m| devices(&m.blkio.as_ref()?.sectors_recursive)),
];

fn each_cpu(times: &[u64]) -> Vec<Sample> {
    times.iter().enumerate().map(|(cpu, time)| (vec![("cpu", cpu.to_string())], *time)).collect()
}

fn pages(pages: &[HugetlbStat], value: fn(&HugetlbStat) -> u64) -> Option<Vec<Sample>> {
    Some(pages.iter().map(|page| (vec![("page", page.pagesize.clone())], value(page))).collect())
}

fn devices(entries: &[BlkIoEntry]) -> Option<Vec<Sample>> {
    let labels = |entry: &BlkIoEntry| {
        vec![
            ("device", entry.device.clone()),
            ("major", entry.major.to_string()),
            ("minor", entry.minor.to_string()),
            ("op", entry.op.clone()),
        ]
    };
    Some(entries.iter().map(|entry| (labels(entry), entry.value)).collect())
}
