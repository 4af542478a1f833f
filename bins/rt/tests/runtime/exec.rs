//! More processes in a running container.

use std::fs;
use std::process::Stdio;

use serde_json::json;

use crate::bundle::Bundle;

fn running() -> Bundle {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.run_detached();
    bundle
}

#[test]
fn it_runs_inside_and_tells_its_code() {
    let bundle = running();
    let answer = bundle.on("exec", &["sh", "-c", "hostname; readlink /proc/self/ns/pid; exit 5"]);
    assert_eq!(answer.code, 5);
    let pid = bundle.state()["pid"].as_i64().unwrap();
    let namespace = fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    assert_eq!(answer.stdout, format!("runc\n{}\n", namespace.display()));
    // In every one of the container's cgroups.
    let own = bundle.on("exec", &["cat", "/proc/self/cgroup"]).ok();
    assert_eq!(own, bundle.on("exec", &["cat", "/proc/1/cgroup"]).ok());
}

#[test]
fn options_change_the_process() {
    let bundle = running();
    let words = ["exec", "-u", "5:6", "-g", "7", "-e", "A=b", "--cwd", "/tmp", &bundle.id];
    let mut all = words.to_vec();
    all.extend(["sh", "-c", "id; pwd; echo $A"]);
    let text = bundle.rt(&all).ok();
    assert_eq!(text, "uid=5 gid=6 groups=7\n/tmp\nb\n");
    for user in ["0x0", "1:", "+1", ":1", "4294967296", "2147483648", "-1"] {
        let user = format!("--user={user}");
        bundle.rt(&["exec", &user, &bundle.id, "true"]).fails(255, "invalid user");
    }
}

#[test]
fn a_capability_more_is_not_inheritable() {
    let bundle = running();
    let text =
        bundle.rt(&["exec", "--cap", "CAP_NET_RAW", &bundle.id, "grep", "Cap", "/proc/self/status"]).ok();
    assert!(text.contains("CapInh:\t0000000000000000"), "{text}");
    assert!(text.contains("CapAmb:\t0000000000000000"), "{text}");
    assert!(text.contains("CapEff:\t0000000020002420"), "{text}");
}

#[test]
fn a_process_file_is_all_there_is() {
    let bundle = running();
    let process = json!({"args": ["sh", "-c", "echo $HOME $X"], "env": ["PATH=/bin", "X=y"], "cwd": "/",
        "user": {"uid": 9, "gid": 9}});
    fs::write(bundle.path().join("p.json"), process.to_string()).unwrap();
    let text = bundle.rt(&["exec", "--process", "p.json", &bundle.id]).ok();
    assert_eq!(text, "/ y\n");
}

#[test]
fn detached_it_leaves_a_pid() {
    let bundle = running();
    let status = bundle
        .command(&["exec", "-d", "--pid-file", "epid", &bundle.id, "sleep", "90"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let pid = fs::read_to_string(bundle.path().join("epid")).unwrap();
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(command, "sleep\090\0");
    let pids: Vec<i64> = serde_json::from_str(&bundle.rt(&["ps", "-f", "json", &bundle.id]).ok()).unwrap();
    assert!(pids.contains(&pid.parse().unwrap()));
}

#[test]
fn it_refuses_what_does_not_run() {
    let bundle = running();
    bundle.on("exec", &["nope"]).fails(255, "executable file not found in $PATH");
    bundle.on("pause", &[]).ok();
    bundle.on("exec", &["true"]).fails(255, "cannot exec in a paused container");
    bundle.on("resume", &[]).ok();
    bundle.on("kill", &["KILL"]).ok();
    bundle.await_status("stopped");
    bundle.on("exec", &["true"]).fails(255, "cannot exec in a stopped container");
}
