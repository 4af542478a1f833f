//! Names of what control groups of version 2 count (containerd core/metrics/cgroups/v2).

use super::{Gauge, Sample, one};
use containerd_api::cgroups::v2::{IoEntry, Metrics};

/// Every name, and where its values are.
pub const GAUGES: &[Gauge<Metrics>] = &[
    ("container_pids_limit", |m| one(m.pids.as_ref()?.limit)),
    ("container_pids_current", |m| one(m.pids.as_ref()?.current)),
    ("container_cpu_usage_usec_microseconds", |m| one(m.cpu.as_ref()?.usage_usec)),
    ("container_cpu_user_usec_microseconds", |m| one(m.cpu.as_ref()?.user_usec)),
    ("container_cpu_system_usec_microseconds", |m| one(m.cpu.as_ref()?.system_usec)),
    ("container_cpu_nr_periods_total", |m| one(m.cpu.as_ref()?.nr_periods)),
    ("container_cpu_nr_throttled_total", |m| one(m.cpu.as_ref()?.nr_throttled)),
    ("container_cpu_throttled_usec_microseconds", |m| one(m.cpu.as_ref()?.throttled_usec)),
    ("container_memory_usage_bytes", |m| one(m.memory.as_ref()?.usage)),
    ("container_memory_usage_limit_bytes", |m| one(m.memory.as_ref()?.usage_limit)),
    ("container_memory_swap_usage_bytes", |m| one(m.memory.as_ref()?.swap_usage)),
    ("container_memory_swap_limit_bytes", |m| one(m.memory.as_ref()?.swap_limit)),
    ("container_memory_file_mapped_bytes", |m| one(m.memory.as_ref()?.file_mapped)),
    ("container_memory_file_dirty_bytes", |m| one(m.memory.as_ref()?.file_dirty)),
    ("container_memory_file_writeback_bytes", |m| one(m.memory.as_ref()?.file_writeback)),
    ("container_memory_pgactivate_bytes", |m| one(m.memory.as_ref()?.pgactivate)),
    ("container_memory_pgdeactivate_bytes", |m| one(m.memory.as_ref()?.pgdeactivate)),
    ("container_memory_pgfault_bytes", |m| one(m.memory.as_ref()?.pgfault)),
    ("container_memory_pgmajfault_bytes", |m| one(m.memory.as_ref()?.pgmajfault)),
    ("container_memory_pglazyfree_bytes", |m| one(m.memory.as_ref()?.pglazyfree)),
    ("container_memory_pgrefill_bytes", |m| one(m.memory.as_ref()?.pgrefill)),
    ("container_memory_pglazyfreed_bytes", |m| one(m.memory.as_ref()?.pglazyfreed)),
    ("container_memory_pgscan_bytes", |m| one(m.memory.as_ref()?.pgscan)),
    ("container_memory_pgsteal_bytes", |m| one(m.memory.as_ref()?.pgsteal)),
    ("container_memory_inactive_anon_bytes", |m| one(m.memory.as_ref()?.inactive_anon)),
    ("container_memory_active_anon_bytes", |m| one(m.memory.as_ref()?.active_anon)),
    ("container_memory_inactive_file_bytes", |m| one(m.memory.as_ref()?.inactive_file)),
    ("container_memory_active_file_bytes", |m| one(m.memory.as_ref()?.active_file)),
    ("container_memory_unevictable_bytes", |m| one(m.memory.as_ref()?.unevictable)),
    ("container_memory_anon_bytes", |m| one(m.memory.as_ref()?.anon)),
    ("container_memory_file_bytes", |m| one(m.memory.as_ref()?.file)),
    ("container_memory_kernel_stack_bytes", |m| one(m.memory.as_ref()?.kernel_stack)),
    ("container_memory_slab_bytes", |m| one(m.memory.as_ref()?.slab)),
    ("container_memory_sock_bytes", |m| one(m.memory.as_ref()?.sock)),
    ("container_memory_shmem_bytes", |m| one(m.memory.as_ref()?.shmem)),
    ("container_memory_anon_thp_bytes", |m| one(m.memory.as_ref()?.anon_thp)),
    ("container_memory_slab_reclaimable_bytes", |m| one(m.memory.as_ref()?.slab_reclaimable)),
    ("container_memory_slab_unreclaimable_bytes", |m| one(m.memory.as_ref()?.slab_unreclaimable)),
    ("container_memory_workingset_refault_bytes", |m| one(m.memory.as_ref()?.workingset_refault)),
    ("container_memory_workingset_activate_bytes", |m| one(m.memory.as_ref()?.workingset_activate)),
    ("container_memory_workingset_nodereclaim_bytes", |m| one(m.memory.as_ref()?.workingset_nodereclaim)),
    ("container_memory_thp_fault_alloc_bytes", |m| one(m.memory.as_ref()?.thp_fault_alloc)),
    ("container_memory_thp_collapse_alloc_bytes", |m| one(m.memory.as_ref()?.thp_collapse_alloc)),
    ("container_memory_oom_total", |m| one(m.memory_events.as_ref()?.oom)),
    ("container_io_rbytes_bytes", |m| devices(&m.io.as_ref()?.usage, |entry| entry.rbytes)),
    ("container_io_wbytes_bytes", |m| devices(&m.io.as_ref()?.usage, |entry| entry.wbytes)),
    ("container_io_rios_total", |m| devices(&m.io.as_ref()?.usage, |entry| entry.rios)),
    ("container_io_wios_total", |m| devices(&m.io.as_ref()?.usage, |entry| entry.wios)),
];

fn devices(entries: &[IoEntry], value: fn(&IoEntry) -> u64) -> Option<Vec<Sample>> {
    let labels =
        |entry: &IoEntry| vec![("major", entry.major.to_string()), ("minor", entry.minor.to_string())];
    Some(entries.iter().map(|entry| (labels(entry), value(entry))).collect())
}
