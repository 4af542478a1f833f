//! Habits of runc that its callers and its own test suite rely on.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use crate::bundle::Bundle;

fn bind(source: impl serde::Serialize, destination: impl serde::Serialize) -> serde_json::Value {
    json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", "rprivate"]})
}

#[test]
fn an_execd_process_has_the_containers_personality() {
    let bundle = Bundle::new(&["sleep", "100"])
        .with(|spec| spec["linux"]["personality"] = json!({"domain": "LINUX32"}));
    bundle.run_detached();
    let answer = bundle.on("exec", &["busybox", "uname", "-m"]);
    assert_eq!(answer.ok(), "i686\n");
}

#[test]
fn a_start_hook_has_the_programs_environment() {
    let bundle = Bundle::new(&["cat", "/tmp/env"]).with(|spec| {
        spec["process"]["env"] = json!(["PATH=/bin", "ONE=two"]);
        spec["hooks"] = json!({"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo $ONE $HOME >/tmp/env"]}]});
    });
    assert_eq!(bundle.run().ok(), "two /\n");
}

#[test]
fn a_path_masked_twice_is_covered_once() {
    let bundle = Bundle::script("grep -c ' /mnt ' /proc/self/mounts")
        .with(|spec| spec["linux"]["maskedPaths"] = json!(["/mnt", "/mnt"]));
    assert_eq!(bundle.run().ok(), "1\n");
}

#[test]
fn a_tmpfs_is_as_open_as_what_it_covers() {
    let bundle = Bundle::script("busybox stat -c %a /tmp/there /tmp/new").with(|spec| {
        for place in ["/tmp/there", "/tmp/new"] {
            let mount = json!({"destination": place, "type": "tmpfs", "source": "tmpfs"});
            spec["mounts"].as_array_mut().unwrap().push(mount);
        }
    });
    fs::create_dir(bundle.rootfs().join("tmp/there")).unwrap();
    fs::set_permissions(bundle.rootfs().join("tmp/there"), fs::Permissions::from_mode(0o710)).unwrap();
    assert_eq!(bundle.run().ok(), "710\n1777\n");
}

#[test]
fn a_mount_can_take_what_earlier_ones_made() {
    for mapped in [false, true] {
        let bundle = Bundle::new(&["cat", "/final/x/f"]);
        fs::create_dir_all(bundle.path().join("a/x")).unwrap();
        fs::create_dir_all(bundle.path().join("b")).unwrap();
        fs::write(bundle.path().join("b/f"), "b\n").unwrap();
        let rootfs = bundle.rootfs();
        let (mnt, end) = (rootfs.join("mnt"), rootfs.join("final"));
        let bundle = bundle.with(|spec| {
            let mut last = bind(mnt, end);
            if mapped {
                let map = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
                last["uidMappings"] = map.clone();
                last["gidMappings"] = map;
                last["options"] = json!(["rbind", "ridmap"]);
            }
            spec["mounts"].as_array_mut().unwrap().extend([bind("a", "/mnt"), bind("b", "/mnt/x"), last]);
        });
        assert_eq!(bundle.run().ok(), "b\n");
        bundle.assert_clean();
    }
}

#[test]
fn a_dangling_link_is_no_obstacle_to_a_mount() {
    let bundle = Bundle::new(&["cat", "/tmp/foo/bar/hosts"])
        .with(|spec| spec["mounts"].as_array_mut().unwrap().push(bind("hosts", "/etc/hosts")));
    fs::write(bundle.path().join("hosts"), "names\n").unwrap();
    symlink("/tmp/foo", bundle.rootfs().join("jump")).unwrap();
    symlink("/jump/bar/hosts", bundle.rootfs().join("etc/hosts")).unwrap();
    assert_eq!(bundle.run().ok(), "names\n");
}

#[test]
fn a_created_container_can_be_asked_to_end() {
    let bundle = Bundle::new(&["true"]);
    bundle.create();
    bundle.on("kill", &["TERM"]).ok();
    bundle.await_status("stopped");
}

#[test]
fn all_cpus_of_the_group_are_there_whatever_the_caller_had() {
    let mut one = rustix::thread::CpuSet::new();
    one.set(0);
    let bundle = Bundle::script("grep Cpus_allowed_list /proc/self/status");
    let before = bundle.run().ok();
    // Of this thread, and with it of its children.
    rustix::thread::sched_setaffinity(None, &one).unwrap();
    assert_eq!(bundle.run().ok(), before);
}

#[test]
fn lines_of_a_terminal_stay_as_they_were_written() {
    let bundle = Bundle::new(&["echo", "line"]).with(|spec| spec["process"]["terminal"] = json!(true));
    assert_eq!(bundle.run().ok(), "line\n");
}

#[test]
fn ambient_capabilities_go_along_with_inheritable_ones() {
    let bundle = Bundle::new(&["sleep", "100"]).with(|spec| {
        let sets = &mut spec["process"]["capabilities"];
        sets["bounding"] = json!(["CAP_KILL", "CAP_CHOWN"]);
        sets["inheritable"] = json!(["CAP_KILL", "CAP_CHOWN"]);
        sets["ambient"] = json!(["CAP_KILL", "CAP_SYS_TIME"]);
    });
    bundle.run_detached();
    let pid = bundle.state()["pid"].to_string();
    let ambient = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().find_map(|line| line.strip_prefix("CapAmb:\t")).unwrap().to_owned()
    };
    assert_eq!(ambient(&pid), "0000000000000020");
    let text = bundle.rt(&["exec", "--cap", "CAP_CHOWN", &bundle.id, "grep", "CapAmb", "/proc/self/status"]);
    assert_eq!(text.ok(), "CapAmb:\t0000000000000021\n");
}

#[test]
fn debug_tells_what_is_done() {
    let bundle = Bundle::new(&["true"]).with(|spec| {
        spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]});
    });
    let answer = bundle.rt(&["--debug", "run", &bundle.id]);
    assert!(answer.stderr.contains("level=debug") && answer.stderr.contains(&bundle.id), "{answer:?}");
    assert!(answer.stderr.contains("seccomp filter flags: 6"), "{answer:?}");
}

#[test]
fn a_mount_namespace_can_be_shared() {
    let bundle = Bundle::script("readlink /proc/self/ns/mnt; ls -d /bin /home; sleep 100").with(|spec| {
        let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "mount");
    });
    bundle.run_detached();
    let own = fs::read_link("/proc/self/ns/mnt").unwrap();
    let answer = bundle.on("exec", &["sh", "-c", "readlink /proc/self/ns/mnt; ls /"]).ok();
    assert!(answer.starts_with(own.to_str().unwrap()), "{answer}");
    assert!(answer.contains("mnt") && !answer.contains("home"), "{answer}");
    bundle.on("delete", &["--force"]).ok();
    bundle.assert_clean();
}

#[test]
fn a_root_can_be_unbindable() {
    let bundle = Bundle::script("grep ' / / ' /proc/self/mountinfo || cat /proc/self/mountinfo")
        .with(|spec| spec["linux"]["rootfsPropagation"] = json!("unbindable"));
    let text = bundle.run().ok();
    assert!(text.lines().next().unwrap().contains("unbindable"), "{text}");
}
