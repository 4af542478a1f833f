//! Annotations of crun's users: honoured, or refused by name before anything is made.

use std::io::Read;
use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::bundle::Bundle;

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
        "run.oci.systemd.subgroup",
        "run.oci.delegate-cgroup",
    ] {
        let bundle = annotated(&["true"], name, "x");
        bundle.run().fails(1, &format!("/annotations/{name}: is not supported"));
        bundle.assert_clean();
    }
    annotated(&["true"], "run.oci.mount_context_type", "other").run().fails(1, "none of context, fscontext");
    annotated(&["true"], "run.oci.seccomp.receiver", "here").run().fails(1, "must be an absolute path");
    // Whoever writes none of ours is none of our business.
    annotated(&["true"], "run.oci.systemd.subgroup", "").run().ok();
    annotated(&["true"], "io.podman.annotations.autoremove", "TRUE").run().ok();
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
