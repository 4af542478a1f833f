//! What processes hold, from proc(5).

use crate::side::Side;
use std::path::Path;

/// A field of a process's memory summary, in KiB; nothing for one that is gone.
pub fn field(pid: i32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The sum of a field over processes.
pub fn sum(pids: &[i32], name: &str) -> f64 {
    pids.iter().map(|pid| field(*pid, name)).sum::<u64>() as f64
}

/// The shims of all running containers.
pub fn shims(side: &Side) -> Vec<i32> {
    let ids = side.call(&["ps", "-q"]).expect();
    let ids: Vec<&str> = ids.split_whitespace().collect();
    if ids.is_empty() {
        return Vec::new();
    }
    let pids = side.call(&[&["inspect", "-f", "{{.State.Pid}}"], &ids[..]].concat()).expect();
    let mut shims: Vec<i32> =
        pids.split_whitespace().map(|pid| parent(pid.parse().expect("a pid"))).collect();
    shims.sort_unstable();
    shims.dedup();
    shims
}

/// Every process that an engine needs for what runs now, the containers' own left out.
pub fn all(side: &Side) -> Vec<i32> {
    let proxies = children_named(side.daemons[0], "docker-proxy");
    [side.daemons.clone(), shims(side), proxies].concat()
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok()).expect("a parent")
}

/// The processes called `name` whose parent is `of`.
pub fn children_named(of: i32, name: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok());
    pids.filter(|pid| {
        let comm = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm"))
            .unwrap_or_default();
        comm.trim() == name && parent(*pid) == of
    })
    .collect()
}
