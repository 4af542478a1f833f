//! The figures of `events --stats` in runc's shape.

use std::collections::BTreeMap;

use cgroups::stats::{BlkioEntry, MemoryCounter, Stats};
use serde_json::{Value, json};

/// All figures of one group.
pub fn of(stats: &Stats) -> Value {
    json!({
        "cpu": cpu(stats),
        "cpuset": cpuset(stats),
        "memory": memory(stats),
        "pids": pids(stats),
        "blkio": blkio(stats),
        "hugetlb": hugetlb(stats),
        "intel_rdt": {},
        "network_interfaces": null
    })
}

/// Leaves out what runc leaves out: zeros and empty lists.
fn present(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, value)| !is_empty(value)).collect())
        }
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn cpu(stats: &Stats) -> Value {
    let cpu = &stats.cpu;
    let mut usage = present(json!({
        "total": cpu.total,
        "percpu": cpu.per_cpu,
        "percpu_kernel": cpu.per_cpu_kernel,
        "percpu_user": cpu.per_cpu_user
    }));
    usage["kernel"] = json!(cpu.kernel);
    usage["user"] = json!(cpu.user);
    json!({
        "usage": usage,
        "throttling": present(json!({
            "periods": cpu.periods,
            "throttledPeriods": cpu.throttled_periods,
            "throttledTime": cpu.throttled_time
        }))
    })
}

fn cpuset(stats: &Stats) -> Value {
    let set = &stats.cpuset;
    let mut value = present(json!({"cpus": set.cpus, "mems": set.mems}));
    for (name, number) in [
        ("cpu_exclusive", set.cpu_exclusive),
        ("mem_hardwall", set.mem_hardwall),
        ("mem_exclusive", set.mem_exclusive),
        ("memory_migrate", set.memory_migrate),
        ("memory_spread_page", set.memory_spread_page),
        ("memory_spread_slab", set.memory_spread_slab),
        ("memory_pressure", set.memory_pressure),
        ("sched_load_balance", set.sched_load_balance),
    ] {
        value[name] = json!(number);
    }
    value["sched_relax_domain_level"] = json!(set.sched_relax_domain_level);
    value
}

fn counter(counter: &MemoryCounter) -> Value {
    let mut value = present(json!({"usage": counter.usage, "max": counter.max_usage}));
    value["limit"] = json!(counter.limit);
    value["failcnt"] = json!(counter.fail_count);
    value
}

fn memory(stats: &Stats) -> Value {
    let memory = &stats.memory;
    // v1 counts the page cache as `cache`, v2 as `file`.
    let cache = memory.stat.get("cache").or_else(|| memory.stat.get("file")).copied();
    let mut value = present(json!({"cache": cache.unwrap_or(0)}));
    value["usage"] = counter(&memory.usage);
    value["swap"] = counter(&memory.swap);
    value["kernel"] = counter(&memory.kernel);
    value["kernelTCP"] = counter(&memory.kernel_tcp);
    value["raw"] = json!(memory.stat);
    value
}

fn pids(stats: &Stats) -> Value {
    present(json!({"current": stats.pids.current, "limit": stats.pids.limit}))
}

fn blkio(stats: &Stats) -> Value {
    let list = |entries: &[BlkioEntry]| -> Value {
        entries
            .iter()
            .map(|entry| {
                let (major, minor) = (entry.major, entry.minor);
                present(json!({
                    "major": major, "minor": minor, "op": entry.op, "value": entry.value
                }))
            })
            .collect()
    };
    let blkio = &stats.blkio;
    present(json!({
        "ioServiceBytesRecursive": list(&blkio.service_bytes),
        "ioServicedRecursive": list(&blkio.serviced),
        "ioQueueRecursive": list(&blkio.queued),
        "ioServiceTimeRecursive": list(&blkio.service_time),
        "ioWaitTimeRecursive": list(&blkio.wait_time),
        "ioMergedRecursive": list(&blkio.merged),
        "ioTimeRecursive": list(&blkio.time),
        "sectorsRecursive": list(&blkio.sectors)
    }))
}

fn hugetlb(stats: &Stats) -> Value {
    let sizes: BTreeMap<&String, Value> = stats
        .hugetlb
        .iter()
        .map(|(size, usage)| {
            let mut value = present(json!({"usage": usage.usage, "max": usage.max}));
            value["failcnt"] = json!(usage.fail_count);
            (size, value)
        })
        .collect();
    json!(sizes)
}
