//! How a container's processes are scheduled, and where its root and groups are.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::bundle::{Bundle, is_v2};

#[test]
fn policies_are_applied() {
    let bundle =
        Bundle::script("cat /proc/self/stat; busybox ionice; head -n 1 /proc/self/numa_maps").with(|spec| {
            spec["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 5});
            spec["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 6});
            spec["linux"]["memoryPolicy"] = json!({"mode": "MPOL_PREFERRED", "nodes": "0"});
        });
    let answer = bundle.run();
    if answer.stderr.contains("memory policy: function not implemented") {
        return;
    }
    let lines: Vec<&str> = answer.stdout.lines().collect();
    // proc_pid_stat(5): nice is field 19, policy 41.
    let fields: Vec<&str> = lines[0].rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!((fields[19 - 3], fields[41 - 3]), ("5", "3"), "{answer:?}");
    assert_eq!(lines[1], "best-effort: prio 6", "{answer:?}");
    assert!(lines[2].contains("prefer"), "{answer:?}");
}

#[test]
fn a_root_that_cannot_be_pivoted_is_entered_all_the_same() {
    let bundle = Bundle::script("ls / && cat /proc/1/comm");
    let text = bundle.rt(&["run", "--no-pivot", &bundle.id]).ok();
    assert_eq!(text, "bin\ndev\netc\nmnt\nproc\nsys\ntmp\ncat\n");
    bundle.assert_clean();
}

#[test]
fn exec_goes_to_a_group_below() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.run_detached();
    for group in bundle.cgroups() {
        fs::create_dir(group.join("below")).unwrap();
        for name in ["cpuset.cpus", "cpuset.mems"].iter().filter(|_| !is_v2()) {
            if let Ok(text) = fs::read_to_string(group.join(name)) {
                fs::write(group.join("below").join(name), text.trim()).unwrap();
            }
        }
    }
    let text = bundle.rt(&["exec", "--cgroup", "below", &bundle.id, "cat", "/proc/self/cgroup"]).ok();
    assert!(text.lines().all(|line| line.ends_with("/below")), "{text}");
    let answer = bundle.rt(&["exec", "--cgroup", "../..", &bundle.id, "true"]);
    answer.fails(255, "bad sub cgroup path");
}

#[test]
fn events_stream_until_the_end() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.run_detached();
    let mut command = bundle.command(&["events", "--interval", "100ms", &bundle.id]);
    let mut events = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((&line["type"], &line["id"]), (&json!("stats"), &json!(bundle.id)));
    }
    bundle.on("kill", &["KILL"]).ok();
    for line in lines {
        line.unwrap();
    }
    assert!(events.wait().unwrap().success());
}
