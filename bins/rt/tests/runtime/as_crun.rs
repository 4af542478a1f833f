//! Options that crun's callers give.

use std::fs;

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn containers_are_found_by_a_regular_expression() {
    let bundle = Bundle::new(&["sleep", "100"]);
    let names = ["pod1-a", "pod1-b", "pod2-a"];
    for name in names {
        let mut command = bundle.command(&["run", "--detach", name]);
        // Each in a group of its own, by its name.
        assert!(
            command
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .status()
                .unwrap()
                .success()
        );
    }
    let status = |name: &str| -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(&bundle.rt(&["state", name]).ok()).unwrap()["status"]
            .clone()
    };
    bundle.rt(&["kill", "--regex", "^pod1-", "KILL"]).ok();
    for _ in 0..500 {
        if status("pod1-a") == "stopped" && status("pod1-b") == "stopped" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!((status("pod1-a"), status("pod2-a")), (json!("stopped"), json!("running")));
    bundle.rt(&["delete", "--regex", "pod"]).fails(1, "cannot delete container pod2-a that is not stopped");
    // What could be deleted was.
    assert_eq!(bundle.rt(&["list", "-q"]).ok(), "pod2-a\n");
    bundle.rt(&["delete", "--force", "-r", "^nobody$"]).ok();
    bundle.rt(&["delete", "--force", "-r", "^pod"]).ok();
    assert_eq!(bundle.rt(&["list", "-q"]).ok(), "");
    bundle.rt(&["kill", "--regex", "(", "KILL"]).fails(1, "invalid regular expression");
}

#[test]
fn a_configuration_may_lie_anywhere() {
    let bundle = Bundle::new(&["true"]);
    let path = bundle.path().join("other.json");
    bundle.rt(&["spec", "--file", path.to_str().unwrap()]).ok();
    bundle.rt(&["spec", "-f", path.to_str().unwrap()]).fails(1, "File other.json exists. Remove it first");
    let mut spec: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["echo", "other"]);
    fs::write(&path, spec.to_string()).unwrap();
    let words =
        ["--log-level", "error", "run", &bundle.id, "--no-subreaper", "--config", path.to_str().unwrap()];
    assert_eq!(bundle.rt(&words).ok(), "other\n");
    let mut create = bundle.command(&["create", "--no-subreaper", &bundle.id]);
    let quiet = std::process::Stdio::null;
    assert!(create.stdout(quiet()).stderr(quiet()).status().unwrap().success());
}
