//! Annotations of crun's users: honoured, or refused by name before anything is made.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use serde_json::json;

use crate::bundle::{Bundle, is_v2};

fn annotated(args: &[&str], name: &str, value: &str) -> Bundle {
    Bundle::new(args).with(|spec| spec["annotations"] = json!({name: value}))
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    for name in [
        "run.oci.handler",
        "run.oci.seccomp.plugins",
        "run.oci.seccomp_bpf_data",
        "run.oci.systemd.force_cgroup_v1",
    ] {
        let bundle = annotated(&["true"], name, "x");
        bundle.run().fails(1, &format!("/annotations/{name}: is not supported"));
        bundle.assert_clean();
    }
    annotated(&["true"], "run.oci.mount_context_type", "other").run().fails(1, "none of context, fscontext");
    annotated(&["true"], "run.oci.seccomp.receiver", "here").run().fails(1, "must be an absolute path");
    annotated(&["true"], "run.oci.systemd.subgroup", "../x").run().fails(1, "names no group below");
    // Whoever writes none of ours is none of our business.
    annotated(&["true"], "run.oci.systemd.subgroup", "").run().ok();
    annotated(&["true"], "io.podman.annotations.autoremove", "TRUE").run().ok();
}

fn with_writable_cgroup(bundle: Bundle) -> Bundle {
    bundle.with(|spec| {
        let mounts = spec["mounts"].as_array_mut().unwrap();
        let mount = mounts.iter_mut().find(|mount| mount["destination"] == "/sys/fs/cgroup").unwrap();
        mount["options"].as_array_mut().unwrap().retain(|option| option != "ro");
    })
}

fn with_mapped_ids(bundle: Bundle) -> Bundle {
    use std::os::unix::fs::PermissionsExt;
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    std::fs::set_permissions(bundle.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    bundle.with(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        spec["linux"]["uidMappings"] = map.clone();
        spec["linux"]["gidMappings"] = map;
    })
}

/// Whose the container's group is, and what of it, as the container itself sees it.
const OWNERS: &str = "cd /sys/fs/cgroup; busybox stat -c %u . cgroup.procs cgroup.subtree_control memory.max";

#[test]
fn a_writable_group_is_the_users_on_v2() {
    for (writable, owners) in [(true, "0\n0\n0\n65534\n"), (false, "65534\n65534\n65534\n65534\n")] {
        let bundle = with_mapped_ids(Bundle::script(OWNERS));
        let bundle = if writable { with_writable_cgroup(bundle) } else { bundle };
        if is_v2() {
            assert_eq!(bundle.run().ok(), owners, "{writable}");
        } else {
            // Not safe there, so nothing is given.
            bundle.create();
            let owner = |group: &PathBuf| std::fs::metadata(group.join("cgroup.procs")).unwrap().uid();
            assert!(bundle.cgroups().iter().all(|group| owner(group) == 0));
            bundle.on("delete", &["--force"]).ok();
        }
        bundle.assert_clean();
    }
}

#[test]
fn a_group_below_its_own_is_the_containers_on_v2() {
    let script = "cat /proc/self/cgroup; cd /sys/fs/cgroup/mine/deep && mkdir sub && echo 0 >sub/cgroup.procs &&
        echo +pids >cgroup.subtree_control && cat cgroup.subtree_control; busybox stat -c %u ../../memory.max";
    let bundle = with_writable_cgroup(with_mapped_ids(Bundle::script(script)))
        .with(|spec| spec["annotations"] = json!({"run.oci.delegate-cgroup": "mine/deep"}));
    match is_v2() {
        true => assert_eq!(bundle.run().ok(), "0::/mine/deep\npids\n65534\n"),
        false => bundle.run().fails(1, "/annotations/run.oci.delegate-cgroup: needs cgroup v2"),
    }
    bundle.assert_clean();
}

#[test]
fn a_group_below_systemds_scope_is_the_containers() {
    let bundle = annotated(&["sleep", "100"], "run.oci.systemd.subgroup", "inner")
        .with(|spec| spec["linux"]["resources"]["pids"] = json!({"limit": 40}));
    bundle.run_detached();
    let groups = bundle.cgroups();
    let is_systemd = std::env::var("WHERRY_RT_FLAGS").is_ok_and(|flags| flags.contains("--systemd-cgroup"));
    for group in &groups {
        // Without systemd there is no scope, and nothing to be below.
        assert_eq!(group.join("inner").exists(), is_systemd, "{groups:?}");
    }
    if is_systemd {
        let pids = groups.iter().find(|group| group.join("inner/pids.max").exists()).unwrap();
        assert_eq!(std::fs::read_to_string(pids.join("inner/pids.max")).unwrap(), "40\n");
        bundle.on("update", &["--pids-limit", "50"]).ok();
        assert_eq!(std::fs::read_to_string(pids.join("inner/pids.max")).unwrap(), "50\n");
        assert_eq!(bundle.on("exec", &["echo", "in"]).ok(), "in\n");
    }
    bundle.on("delete", &["--force"]).ok();
    bundle.assert_clean();
}

#[test]
fn a_misspelt_call_is_an_error_when_asked() {
    let with_profile = |bundle: Bundle| {
        bundle.with(|spec| {
            spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir", "mkdri"], "action": "SCMP_ACT_ERRNO"}]});
        })
    };
    with_profile(Bundle::new(&["true"])).run().ok();
    let strict = with_profile(annotated(&["true"], "run.oci.seccomp_fail_unknown_syscall", "1"));
    strict.run().fails(1, "is no system call");
}

#[test]
fn a_clock_is_moved_by_annotation() {
    let bundle = annotated(&["cat", "/proc/uptime"], "run.oci.timens_offset", "boottime 10000000 0")
        .with(|spec| spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"})));
    let uptime: f64 = bundle.run().ok().split_whitespace().next().unwrap().parse().unwrap();
    assert!(uptime > 10_000_000.0);
}

#[test]
fn a_pidfd_goes_to_its_receiver() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let bundle = annotated(&["true"], "run.oci.pidfd_receiver", path.to_str().unwrap());
    let waiting = std::thread::spawn(move || {
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    bundle.run().ok();
    assert_eq!(waiting.join().unwrap(), "pidfd");
}

#[test]
fn a_seccomp_listener_goes_to_its_receiver() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    // A call that nobody makes.
    let bundle = annotated(&["true"], "run.oci.seccomp.receiver", path.to_str().unwrap()).with(|spec| {
        spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["swapoff"], "action": "SCMP_ACT_NOTIFY"}]});
    });
    let waiting = std::thread::spawn(move || {
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    bundle.run().ok();
    assert!(waiting.join().unwrap().contains("\"fds\":[\"seccompFd\"]"));
}

#[test]
fn a_hooks_output_goes_to_files() {
    let bundle = Bundle::new(&["true"]);
    let (out, err) = (bundle.path().join("out"), bundle.path().join("err"));
    let bundle = bundle.with(|spec| {
        spec["annotations"] = json!({"run.oci.hooks.stdout": out, "run.oci.hooks.stderr": err});
        spec["hooks"] =
            json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "echo a; echo b >&2"]}]});
    });
    bundle.run().ok();
    assert_eq!(std::fs::read_to_string(out).unwrap(), "a\n");
    assert_eq!(std::fs::read_to_string(err).unwrap(), "b\n");
}

#[test]
fn callers_groups_stay_when_asked() {
    let mut own: Vec<u32> =
        rustix::process::getgroups().unwrap().into_iter().map(|group| group.as_raw()).collect();
    own.extend([0]);
    let bundle = annotated(&["id", "-G"], "run.oci.keep_original_groups", "1")
        .with(|spec| spec["process"]["user"] = json!({"uid": 0, "gid": 0, "additionalGids": [77]}));
    let text = bundle.run().ok();
    for group in text.split_whitespace() {
        assert!(own.contains(&group.parse().unwrap()), "{text}");
    }
}
