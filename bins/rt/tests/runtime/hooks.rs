//! The six kinds of hooks.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;

fn hook(script: &str) -> Value {
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}])
}

#[test]
fn all_run_in_order_with_the_state() {
    let bundle = Bundle::new(&["cat", "/tmp/inside"]).with(|_| {});
    let log = bundle.path().join("log");
    let bundle = bundle.with(|spec| {
        for point in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
            let script = format!("echo {point} $(cat) >> {}", log.display());
            spec["hooks"][point] = hook(&script);
        }
        spec["hooks"]["startContainer"] = hook("cat > /tmp/inside");
    });
    let inside: Value = serde_json::from_str(&bundle.run().ok()).unwrap();
    assert_eq!((inside["status"].as_str(), inside["pid"].as_i64()), (Some("created"), Some(1)));
    let log = fs::read_to_string(log).unwrap();
    let lines: Vec<(&str, Value)> = log
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(point, state)| (point, serde_json::from_str(state).unwrap()))
        .collect();
    let seen: Vec<(&str, &str)> =
        lines.iter().map(|(point, state)| (*point, state["status"].as_str().unwrap())).collect();
    assert_eq!(
        seen,
        [
            ("prestart", "creating"),
            ("createRuntime", "creating"),
            ("createContainer", "creating"),
            ("poststart", "running"),
            ("poststop", "stopped"),
        ]
    );
    assert!(lines.iter().all(|(_, state)| state["id"] == bundle.id.as_str()));
}

#[test]
fn a_failing_hook_ends_it_and_leaves_nothing() {
    for point in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] {
        let bundle =
            Bundle::new(&["sleep", "100"]).with(|spec| spec["hooks"][point] = hook("echo why >&2; exit 9"));
        let answer = bundle.rt(&["run", "-d", &bundle.id]);
        answer.fails(1, &format!("error running {point} hook #0: exit status 9, stdout: , stderr: why"));
        bundle.assert_clean();
    }
}

#[test]
fn a_failing_poststart_hook_ends_a_started_container() {
    let bundle = Bundle::new(&["sleep", "100"]).with(|spec| spec["hooks"]["poststart"] = hook("exit 9"));
    bundle.create();
    bundle.on("start", &[]).fails(1, "error running poststart hook #0: exit status 9");
    bundle.assert_clean();
}

/// As with runc and youki: init is let go, so something has begun, and the state tells how it went.
#[test]
fn poststart_hooks_run_where_a_start_hook_failed() {
    for created in [true, false] {
        let bundle = Bundle::new(&["true"]);
        let log = bundle.path().join("log");
        let bundle = bundle.with(|spec| {
            spec["hooks"]["startContainer"] = hook("echo why >&2; exit 9");
            for point in ["poststart", "poststop"] {
                spec["hooks"][point] = hook(&format!("echo {point} $(cat) >> {}", log.display()));
            }
        });
        let told = "error running startContainer hook #0: exit status 9, stdout: , stderr: why";
        if created {
            bundle.create();
            bundle.on("start", &[]).fails(1, told);
            assert_eq!(bundle.state()["status"], "stopped");
            bundle.on("delete", &[]).ok();
        } else {
            bundle.run().fails(1, told);
        }
        let log = fs::read_to_string(log).unwrap();
        let seen: Vec<(&str, Value)> = log
            .lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(point, state)| (point, serde_json::from_str::<Value>(state).unwrap()["status"].take()))
            .collect();
        assert_eq!(seen, [("poststart", json!("stopped")), ("poststop", json!("stopped"))]);
        bundle.assert_clean();
    }
}

#[test]
fn a_hook_sees_the_runtimes_namespaces() {
    let bundle = Bundle::new(&["true"]);
    let seen = bundle.path().join("seen");
    let script = format!("readlink /proc/self/ns/mnt > {}", seen.display());
    let bundle = bundle.with(|spec| spec["hooks"]["createRuntime"] = hook(&script));
    bundle.run().ok();
    let own = fs::read_link("/proc/self/ns/mnt").unwrap();
    assert_eq!(fs::read_to_string(seen).unwrap().trim(), own.to_str().unwrap());
}

/// Callers know it from runc, and youki's suite asks for it, though the specification would have a warning.
#[test]
fn a_failing_poststop_hook_fails_the_deletion_that_is_done() {
    let bundle = Bundle::new(&["true"]).with(|spec| spec["hooks"]["poststop"] = hook("echo why >&2; exit 9"));
    bundle.run().fails(1, "error running poststop hook #0: exit status 9");
    bundle.assert_clean();
}
