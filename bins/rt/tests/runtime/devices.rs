//! Network devices moved into a container.

use std::process::Command;

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn a_network_device_keeps_its_addresses() {
    let ip = |words: &[&str]| Command::new("ip").args(words).status().unwrap().success();
    let name = format!("rtt{}", std::process::id() % 1_000_000);
    let peer = format!("{name}p");
    assert!(ip(&["link", "add", &name, "type", "veth", "peer", "name", &peer]));
    assert!(ip(&["address", "add", "198.51.100.7/24", "dev", &name]));
    let bundle = Bundle::script("ip address show dev inside; grep -c inside /proc/net/dev")
        .with(|spec| spec["linux"]["netDevices"] = json!({name.clone(): {"name": "inside"}}));
    let _ = std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin/ip"));
    let answer = bundle.run();
    // The other end goes with it, when the namespace does.
    let _ = Command::new("ip").args(["link", "delete", &peer]).output();
    let text = answer.ok();
    assert!(text.contains("198.51.100.7/24") && text.contains("UP") && text.ends_with("1\n"), "{text}");
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let bundle = Bundle::new(&["true"]).with(|spec| spec["linux"]["netDevices"] = json!({"nope0": {}}));
    bundle.run().fails(1, "nope0");
    bundle.assert_clean();
    let bundle = Bundle::new(&["true"]).with(|spec| spec["linux"]["netDevices"] = json!({"a/b": {}}));
    bundle.run().fails(1, "/linux/netDevices/a/b");
}
