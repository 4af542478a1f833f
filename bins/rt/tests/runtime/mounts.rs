//! Mounts: whom they propagate to, whose ids they show, changes while the container runs.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::bundle::{Bundle, answer};

/// The container's mounts as it sees them, below `/mnt`.
const SHOW: &str = "grep ' /mnt' /proc/self/mountinfo";

fn bind(source: &str, options: &[&str]) -> serde_json::Value {
    json!({"destination": "/mnt", "type": "bind", "source": source, "options": options})
}

#[test]
fn a_shared_mount_stays_shared_whatever_the_root_is() {
    for root in ["", "shared", "rslave", "private"] {
        let bundle = Bundle::script(SHOW).with(|spec| {
            spec["linux"]["rootfsPropagation"] = json!(root);
            spec["mounts"].as_array_mut().unwrap().push(bind("given", &["bind", "shared"]));
        });
        fs::create_dir(bundle.path().join("given")).unwrap();
        let text = bundle.run().ok();
        // Told of the whole tree, the root's word comes last.
        assert_eq!(text.contains(" shared:"), root != "rslave", "{root:?}: {text}");
    }
}

/// On a host whose mounts are all shared, as systemd leaves them.
#[test]
fn the_hosts_mounts_outlive_the_old_root() {
    for root in ["", "shared", "rshared", "slave", "private"] {
        let bundle = Bundle::new(&["true"]).with(|spec| spec["linux"]["rootfsPropagation"] = json!(root));
        let outer = bundle.path().join("outer");
        fs::create_dir(&outer).unwrap();
        let script = r#"mount --make-rshared / && mount -t tmpfs outer "$OUTER" && mkdir "$OUTER/inner" &&
            mount -t tmpfs inner "$OUTER/inner" && before=$(cat /proc/self/mountinfo) && "$@" &&
            test "$before" = "$(cat /proc/self/mountinfo)""#;
        let runtime = bundle.command(&["run", &bundle.id]);
        let mut host = Command::new("unshare");
        host.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
        host.arg(runtime.get_program()).args(runtime.get_args());
        host.env("OUTER", &outer).current_dir(bundle.path());
        answer(host.output().unwrap()).ok();
        bundle.assert_clean();
    }
}

#[test]
fn ids_of_the_containers_own_tree_are_mapped_in_a_user_namespace_too() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    for (options, shown) in [(&["rbind", "idmap"], "0:0\n"), (&["rbind", "rprivate"], "65534:65534\n")] {
        let bundle = Bundle::script("busybox stat -c %u:%g /mnt/file").with(|spec| {
            spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
            spec["linux"]["uidMappings"] = map.clone();
            spec["linux"]["gidMappings"] = map.clone();
        });
        let inside = bundle.rootfs().join("tmp/own");
        let bundle = bundle.with(|spec| {
            let mount = bind(inside.to_str().unwrap(), options);
            spec["mounts"].as_array_mut().unwrap().push(mount);
        });
        fs::set_permissions(bundle.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("file"), "").unwrap();
        chown(inside.join("file"), Some(0), Some(0)).unwrap();
        assert_eq!(bundle.run().ok(), shown, "{options:?}");
        bundle.assert_clean();
    }
}

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
