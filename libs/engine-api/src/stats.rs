//! `GET /containers/{id}/stats`.

use std::collections::BTreeMap;

record! {
    "snake_case";

    /// One sample; `pre*` is the sample before it.
    pub struct Stats {
        name[omitempty]: String,
        id[omitempty]: String,
        /// Since 1.52.
        os_type[omitempty]: String,
        read: String,
        preread: String,
        pids_stats: PidsStats,
        blkio_stats: BlkioStats,
        num_procs: u32,
        storage_stats: Storage,
        cpu_stats: CpuStats,
        precpu_stats: CpuStats,
        memory_stats: MemoryStats,
        networks[omitempty]: BTreeMap<String, NetworkStats>,
    }

    pub struct PidsStats {
        current[omitempty]: u64,
        limit[omitempty]: u64,
    }

    pub struct BlkioStats {
        io_service_bytes_recursive: Option<Vec<BlkioRow>>,
        io_serviced_recursive: Option<Vec<BlkioRow>>,
        io_queue_recursive: Option<Vec<BlkioRow>>,
        io_service_time_recursive: Option<Vec<BlkioRow>>,
        io_wait_time_recursive: Option<Vec<BlkioRow>>,
        io_merged_recursive: Option<Vec<BlkioRow>>,
        io_time_recursive: Option<Vec<BlkioRow>>,
        sectors_recursive: Option<Vec<BlkioRow>>,
    }

    pub struct BlkioRow {
        major: u64,
        minor: u64,
        /// `Read`, `Write` (cgroup v1) or `read`, `write` (v2).
        op: String,
        value: u64,
    }

    /// Windows only.
    pub struct Storage {
        read_count_normalized[omitempty]: u64,
    }

    pub struct CpuStats {
        cpu_usage: CpuUsage,
        system_cpu_usage[omitempty]: u64,
        online_cpus[omitempty]: u32,
        throttling_data: Throttling,
    }

    /// Nanoseconds.
    pub struct CpuUsage {
        total_usage: u64,
        percpu_usage[omitempty]: Vec<u64>,
        usage_in_kernelmode: u64,
        usage_in_usermode: u64,
    }

    pub struct Throttling {
        periods: u64,
        throttled_periods: u64,
        throttled_time: u64,
    }

    /// Bytes.
    pub struct MemoryStats {
        usage[omitempty]: u64,
        max_usage[omitempty]: u64,
        stats[omitempty]: BTreeMap<String, u64>,
        failcnt[omitempty]: u64,
        limit[omitempty]: u64,
    }

    pub struct NetworkStats {
        rx_bytes: u64,
        rx_packets: u64,
        rx_errors: u64,
        rx_dropped: u64,
        tx_bytes: u64,
        tx_packets: u64,
        tx_errors: u64,
        tx_dropped: u64,
    }
}
