//! What this process uses, under the names of Prometheus' process collector.

use super::exposition::Page;
use std::fs;

/// Clock ticks a second: the kernel shows all times so (proc(5)).
const TICKS: f64 = 100.0;

/// Writes what proc(5) says of this process; what it does not say is left out.
pub fn write(page: &mut Page) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in brackets, may hold anything.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    // Numbered from the state, field 3.
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok());
    let mut gauge = |name: &str, kind: &str, value: Option<f64>| {
        if let Some(value) = value {
            page.metric(name, kind);
            page.sample(name, &[], value);
        }
    };
    let cpu = field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS);
    gauge("process_cpu_seconds_total", "counter", cpu);
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    gauge("process_open_fds", "gauge", open);
    gauge("process_max_fds", "gauge", open_limit());
    gauge("process_virtual_memory_bytes", "gauge", field(23));
    let page_bytes = rustix::param::page_size() as f64;
    gauge("process_resident_memory_bytes", "gauge", field(24).map(|pages| pages * page_bytes));
    let start = field(22).zip(boot_time()).map(|(ticks, boot)| boot + ticks / TICKS);
    gauge("process_start_time_seconds", "gauge", start);
}

fn open_limit() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// When the host was booted, seconds since 1970.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}
