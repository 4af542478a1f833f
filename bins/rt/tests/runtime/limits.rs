//! Limits in cgroups and of the process.

use serde_json::{Value, json};

use crate::bundle::{Bundle, limits_memory};

#[test]
fn limits_are_set_updated_and_read() {
    let bundle = Bundle::new(&["sleep", "100"]).with(|spec| {
        spec["linux"]["resources"]["memory"] = json!({"limit": 33554432});
        spec["linux"]["resources"]["pids"] = json!({"limit": 50});
        spec["linux"]["resources"]["cpu"] = json!({"shares": 512, "quota": 50000, "period": 100000});
    });
    if !limits_memory() {
        return bundle.run().fails(1, "memory cgroup controller is not available");
    }
    bundle.create();
    assert_eq!(bundle.limit("memory", "memory.limit_in_bytes", "memory.max"), "33554432");
    assert_eq!(bundle.limit("pids", "pids.max", "pids.max"), "50");
    assert!(bundle.limit("cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("50000"));
    bundle.on("start", &[]).ok();
    bundle.on("update", &["--memory", "64m", "--pids-limit", "60"]).ok();
    assert_eq!(bundle.limit("memory", "memory.limit_in_bytes", "memory.max"), "67108864");
    assert_eq!(bundle.limit("pids", "pids.max", "pids.max"), "60");
    let stats: Value = serde_json::from_str(&bundle.on("events", &["--stats"]).ok()).unwrap();
    assert_eq!(stats["type"], "stats");
    assert_eq!(stats["data"]["memory"]["usage"]["limit"], 67108864);
    assert_eq!(stats["data"]["pids"], json!({"current": 1, "limit": 60}));
    assert!(stats["data"]["cpu"]["usage"]["total"].as_u64().unwrap() > 0);
}

#[test]
fn update_reads_json_from_stdin() {
    use std::io::Write;
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.run_detached();
    let mut command = bundle.command(&["update", "--resources", "-", &bundle.id]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(br#"{"pids":{"limit":33}}"#).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(bundle.limit("pids", "pids.max", "pids.max"), "33");
}

#[test]
fn a_limit_that_kernels_have_no_more_is_warned_of() {
    let text = "Kernel memory settings are ignored";
    let limited =
        Bundle::new(&["true"]).with(|spec| spec["linux"]["resources"]["memory"] = json!({"kernel": 1 << 25}));
    assert!(limited.run().stderr.contains(text));
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.run_detached();
    let answer = bundle.on("update", &["--kernel-memory", "64m"]);
    assert!(answer.stderr.contains(text), "{answer:?}");
    answer.ok();
}

#[test]
fn a_small_memory_limit_is_enough_to_start() {
    let bundle = Bundle::new(&["true"])
        .with(|spec| spec["linux"]["resources"]["memory"] = json!({"limit": 6 << 20, "swap": 6 << 20}));
    match limits_memory() {
        true => drop(bundle.run().ok()),
        false => bundle.run().fails(1, "memory cgroup controller is not available"),
    }
}

#[test]
fn devices_are_denied_by_default() {
    let bundle = Bundle::script(
        "head -c 1 /dev/zero >/dev/null && echo zero; head -c 1 /dev/vda && echo disk",
    )
    .with(|spec| {
        spec["linux"]["devices"] = json!([{"path": "/dev/vda", "type": "b", "major": 254, "minor": 0}]);
    });
    let answer = bundle.run();
    assert_eq!(answer.stdout, "zero\n", "{answer:?}");
    assert!(answer.stderr.contains("Operation not permitted"), "{answer:?}");
}

#[test]
fn process_attributes_are_applied() {
    let bundle =
        Bundle::script("ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; umask; id").with(|spec| {
            spec["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]);
            spec["process"]["oomScoreAdj"] = json!(321);
            spec["process"]["user"] = json!({"uid": 3, "gid": 4, "umask": 0o27, "additionalGids": [5, 6]});
        });
    assert_eq!(bundle.run().ok(), "77\n88\n321\n0027\nuid=3 gid=4 groups=5,6\n");
}
