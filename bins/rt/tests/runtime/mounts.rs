//! Mounts of a container that runs.

use std::fs;

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn mounts_come_and_go() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.run_detached();
    fs::create_dir(bundle.path().join("given")).unwrap();
    fs::write(bundle.path().join("given/file"), "here").unwrap();
    let list = bundle.path().join("mounts.json");
    let mounts = json!([
        {"destination": "/mnt/bound", "type": "bind", "source": "given", "options": ["ro"]},
        {"destination": "/mnt/memory", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]}
    ]);
    fs::write(&list, mounts.to_string()).unwrap();
    let change = |verb| bundle.rt(&["mounts", verb, &bundle.id, list.to_str().unwrap()]);
    change("add").ok();
    let inside = |script: &str| bundle.on("exec", &["sh", "-c", script]);
    assert_eq!(inside("cat /mnt/bound/file; touch /mnt/memory/x && echo ' written'").ok(), "here written\n");
    inside("touch /mnt/bound/x").fails(1, "Read-only file system");
    change("remove").ok();
    assert_eq!(inside("ls /mnt/bound /mnt/memory").ok(), "/mnt/bound:\n\n/mnt/memory:\n");
    change("remove").fails(1, "cannot unmount");
    change("turn").fails(1, "mounts has no command");
}

#[test]
fn the_root_and_procfs_stay() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.run_detached();
    let list = bundle.path().join("mounts.json");
    for (verb, destination) in [("remove", "/"), ("remove", "/mnt/.."), ("add", "/proc"), ("add", "/")] {
        let mounts = json!([{"destination": destination, "type": "tmpfs", "source": "tmpfs"}]);
        fs::write(&list, mounts.to_string()).unwrap();
        let answer = bundle.rt(&["mounts", verb, &bundle.id, list.to_str().unwrap()]);
        assert_eq!(answer.code, 1, "{verb} {destination}: {answer:?}");
    }
}
