//! What a container uses, once a second.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use containerd_api::cgroups::{v1, v2};
use containerd_api::services::tasks::v1::MetricsRequest;
use containerd_api::unpack;
use engine_api::stats::{
    BlkioRow, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, Throttling,
};
use errdefs::Result;
use tokio::sync::mpsc;

use super::Container;
use super::export::Pieces;
use crate::engine::Engine;
use crate::time::Time;

const INTERVAL: Duration = Duration::from_secs(1);
/// Jiffies of /proc/stat in nanoseconds.
const TICK_NANOS: u64 = 10_000_000;

/// How often.
#[derive(Clone, Copy)]
pub struct Wish {
    pub is_stream: bool,
    /// One sample at once, without the one before it.
    pub is_one_shot: bool,
    /// Samples say which system they are of.
    pub has_os_type: bool,
}

/// `GET /containers/{id}/stats`.
///
/// # Errors
/// The first sample cannot be had.
pub async fn stats(engine: &Arc<Engine>, container: &Arc<Container>, wish: Wish) -> Result<Pieces> {
    let (send, receive) = mpsc::channel(2);
    let mut before = sample(engine, container, wish).await?;
    let (engine, container) = (engine.clone(), container.clone());
    tokio::spawn(async move {
        if wish.is_stream || wish.is_one_shot || !container.record().state.phase.is_live() {
            let sent = send.send(Ok(line(&before))).await;
            if sent.is_err() || !wish.is_stream {
                return;
            }
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = send.closed() => return,
            }
            if container.progress.borrow().is_removed {
                return;
            }
            let Ok(mut now) = sample(&engine, &container, wish).await else { return };
            now.precpu_stats = before.cpu_stats.clone();
            now.preread.clone_from(&before.read);
            if send.send(Ok(line(&now))).await.is_err() || !wish.is_stream {
                return;
            }
            before = now;
        }
    });
    Ok(receive)
}

fn line(stats: &Stats) -> Bytes {
    let mut line = serde_json::to_vec(stats).unwrap_or_default();
    line.push(b'\n');
    Bytes::from(line)
}

/// One sample; a container that does not run uses nothing.
async fn sample(engine: &Engine, container: &Container, wish: Wish) -> Result<Stats> {
    let record = container.record();
    let mut stats = Stats {
        os_type: if wish.has_os_type { "linux".into() } else { String::new() },
        name: format!("/{}", record.name),
        id: container.id.clone(),
        read: Time::now().rfc3339(),
        preread: Time(0).rfc3339(),
        ..Stats::default()
    };
    if !record.state.phase.is_live() {
        return Ok(stats);
    }
    let request = MetricsRequest { filters: vec![format!("id=={}", container.id)] };
    let answer = engine
        .supervisor
        .tasks()
        .metrics(request)
        .await
        .map_err(crate::supervisor::failed("measure a container"))?;
    if let Some(data) = answer.into_inner().metrics.into_iter().next().and_then(|metric| metric.data) {
        if let Ok(metrics) = unpack::<v1::Metrics>(&data) {
            of_v1(&mut stats, &metrics);
        } else if let Ok(metrics) = unpack::<v2::Metrics>(&data) {
            of_v2(&mut stats, &metrics);
        }
    }
    if stats.memory_stats.limit == 0 || stats.memory_stats.limit > host_memory() {
        stats.memory_stats.limit = host_memory();
    }
    stats.cpu_stats.system_cpu_usage = host_cpu_nanos();
    stats.cpu_stats.online_cpus = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
    if !record.is_host_network() {
        stats.networks = networks(record.state.pid);
    }
    Ok(stats)
}

fn of_v1(stats: &mut Stats, metrics: &v1::Metrics) {
    if let Some(pids) = &metrics.pids {
        stats.pids_stats = PidsStats { current: pids.current, limit: pids.limit };
    }
    if let Some(cpu) = &metrics.cpu {
        let usage = cpu.usage.clone().unwrap_or_default();
        let throttling = cpu.throttling.unwrap_or_default();
        stats.cpu_stats = CpuStats {
            cpu_usage: CpuUsage {
                total_usage: usage.total,
                percpu_usage: usage.per_cpu,
                usage_in_kernelmode: usage.kernel,
                usage_in_usermode: usage.user,
            },
            throttling_data: Throttling {
                periods: throttling.periods,
                throttled_periods: throttling.throttled_periods,
                throttled_time: throttling.throttled_time,
            },
            ..CpuStats::default()
        };
    }
    if let Some(memory) = &metrics.memory {
        let usage = memory.usage.unwrap_or_default();
        stats.memory_stats = MemoryStats {
            usage: usage.usage,
            max_usage: usage.max,
            failcnt: usage.failcnt,
            limit: usage.limit,
            stats: [
                ("active_anon", memory.active_anon),
                ("active_file", memory.active_file),
                ("cache", memory.cache),
                ("dirty", memory.dirty),
                ("hierarchical_memory_limit", memory.hierarchical_memory_limit),
                ("hierarchical_memsw_limit", memory.hierarchical_swap_limit),
                ("inactive_anon", memory.inactive_anon),
                ("inactive_file", memory.inactive_file),
                ("mapped_file", memory.mapped_file),
                ("pgfault", memory.pg_fault),
                ("pgmajfault", memory.pg_maj_fault),
                ("pgpgin", memory.pg_pg_in),
                ("pgpgout", memory.pg_pg_out),
                ("rss", memory.rss),
                ("rss_huge", memory.rss_huge),
                ("total_active_anon", memory.total_active_anon),
                ("total_active_file", memory.total_active_file),
                ("total_cache", memory.total_cache),
                ("total_dirty", memory.total_dirty),
                ("total_inactive_anon", memory.total_inactive_anon),
                ("total_inactive_file", memory.total_inactive_file),
                ("total_mapped_file", memory.total_mapped_file),
                ("total_pgfault", memory.total_pg_fault),
                ("total_pgmajfault", memory.total_pg_maj_fault),
                ("total_pgpgin", memory.total_pg_pg_in),
                ("total_pgpgout", memory.total_pg_pg_out),
                ("total_rss", memory.total_rss),
                ("total_rss_huge", memory.total_rss_huge),
                ("total_unevictable", memory.total_unevictable),
                ("total_writeback", memory.total_writeback),
                ("unevictable", memory.unevictable),
                ("writeback", memory.writeback),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        };
    }
    if let Some(blkio) = &metrics.blkio {
        let rows = |list: &[v1::BlkIoEntry]| {
            Some(
                list.iter()
                    .map(|row| BlkioRow {
                        major: row.major,
                        minor: row.minor,
                        op: row.op.clone(),
                        value: row.value,
                    })
                    .collect(),
            )
        };
        stats.blkio_stats = BlkioStats {
            io_service_bytes_recursive: rows(&blkio.io_service_bytes_recursive),
            io_serviced_recursive: rows(&blkio.io_serviced_recursive),
            io_queue_recursive: rows(&blkio.io_queued_recursive),
            io_service_time_recursive: rows(&blkio.io_service_time_recursive),
            io_wait_time_recursive: rows(&blkio.io_wait_time_recursive),
            io_merged_recursive: rows(&blkio.io_merged_recursive),
            io_time_recursive: rows(&blkio.io_time_recursive),
            sectors_recursive: rows(&blkio.sectors_recursive),
        };
    }
}

fn of_v2(stats: &mut Stats, metrics: &v2::Metrics) {
    if let Some(pids) = &metrics.pids {
        stats.pids_stats = PidsStats { current: pids.current, limit: pids.limit };
    }
    if let Some(cpu) = &metrics.cpu {
        stats.cpu_stats = CpuStats {
            cpu_usage: CpuUsage {
                total_usage: cpu.usage_usec * 1000,
                usage_in_kernelmode: cpu.system_usec * 1000,
                usage_in_usermode: cpu.user_usec * 1000,
                ..CpuUsage::default()
            },
            throttling_data: Throttling {
                periods: cpu.nr_periods,
                throttled_periods: cpu.nr_throttled,
                throttled_time: cpu.throttled_usec * 1000,
            },
            ..CpuStats::default()
        };
    }
    if let Some(memory) = &metrics.memory {
        stats.memory_stats = MemoryStats {
            usage: memory.usage,
            limit: memory.usage_limit,
            stats: [
                ("anon", memory.anon),
                ("file", memory.file),
                ("kernel_stack", memory.kernel_stack),
                ("slab", memory.slab),
                ("sock", memory.sock),
                ("shmem", memory.shmem),
                ("file_mapped", memory.file_mapped),
                ("file_dirty", memory.file_dirty),
                ("file_writeback", memory.file_writeback),
                ("anon_thp", memory.anon_thp),
                ("inactive_anon", memory.inactive_anon),
                ("active_anon", memory.active_anon),
                ("inactive_file", memory.inactive_file),
                ("active_file", memory.active_file),
                ("unevictable", memory.unevictable),
                ("slab_reclaimable", memory.slab_reclaimable),
                ("slab_unreclaimable", memory.slab_unreclaimable),
                ("pgfault", memory.pgfault),
                ("pgmajfault", memory.pgmajfault),
                ("workingset_refault", memory.workingset_refault),
                ("workingset_activate", memory.workingset_activate),
                ("workingset_nodereclaim", memory.workingset_nodereclaim),
                ("pgrefill", memory.pgrefill),
                ("pgscan", memory.pgscan),
                ("pgsteal", memory.pgsteal),
                ("pgactivate", memory.pgactivate),
                ("pgdeactivate", memory.pgdeactivate),
                ("pglazyfree", memory.pglazyfree),
                ("pglazyfreed", memory.pglazyfreed),
                ("thp_fault_alloc", memory.thp_fault_alloc),
                ("thp_collapse_alloc", memory.thp_collapse_alloc),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            ..MemoryStats::default()
        };
    }
    if let Some(io) = &metrics.io {
        let rows = io.usage.iter().flat_map(|row| {
            [("read", row.rbytes), ("write", row.wbytes)].map(|(op, value)| BlkioRow {
                major: row.major,
                minor: row.minor,
                op: op.to_owned(),
                value,
            })
        });
        stats.blkio_stats.io_service_bytes_recursive = Some(rows.collect());
    }
}

/// Processor time of the whole host.
fn host_cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    // user, nice, system, idle, iowait, irq, softirq: what comes after is counted in these.
    let ticks: u64 =
        line.split_whitespace().skip(1).take(7).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks * TICK_NANOS
}

fn host_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    text.lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0)
        * 1024
}

/// Counters of a process's network links, the loopback left out.
fn networks(pid: u32) -> std::collections::BTreeMap<String, NetworkStats> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    text.lines().skip(2).filter_map(link).filter(|(name, _)| name != "lo").collect()
}

fn link(line: &str) -> Option<(String, NetworkStats)> {
    let (name, counters) = line.split_once(':')?;
    let numbers: Vec<u64> = counters.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
    let stats = NetworkStats {
        rx_bytes: at(0),
        rx_packets: at(1),
        rx_errors: at(2),
        rx_dropped: at(3),
        tx_bytes: at(8),
        tx_packets: at(9),
        tx_errors: at(10),
        tx_dropped: at(11),
    };
    Some((name.trim().to_owned(), stats))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_a_link() {
        let (name, stats) = link("  eth0:  100 2 0 0 0 0 0 0  300 4 0 1 0 0 0 0").unwrap();
        assert_eq!((name.as_str(), stats.rx_bytes, stats.tx_bytes, stats.tx_dropped), ("eth0", 100, 300, 1));
    }
}
