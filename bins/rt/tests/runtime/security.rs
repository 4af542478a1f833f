//! Attacks that other runtimes fell to; each must fail here.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::bundle::{Bundle, runtime};

/// CVE-2019-5736: the image makes the runtime execute itself and writes to its file.
#[test]
fn the_runtimes_file_cannot_be_written() {
    attack_the_runtimes_file(Bundle::new(&["sleep", "100"]));
}

/// The same with a user namespace whose root is the host's.
#[test]
fn the_runtimes_file_cannot_be_written_by_a_mapped_root() {
    let map = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    attack_the_runtimes_file(Bundle::new(&["sleep", "100"]).with(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        spec["linux"]["uidMappings"] = map.clone();
        spec["linux"]["gidMappings"] = map;
    }));
}

fn attack_the_runtimes_file(bundle: Bundle) {
    let before = fs::read(runtime()).unwrap();
    bundle.run_detached();
    symlink("/proc/self/exe", bundle.rootfs().join("bin/evil")).unwrap();
    // Whatever runs from /proc/self/exe has a file that refuses writers.
    let script = "for i in 1 2 3 4 5 6 7 8; do for p in /proc/[0-9]*; do \
        ( exec 9>>$p/exe ) 2>/dev/null && readlink $p/exe | grep -v busybox; done; done; true";
    let mut loopers = bundle.command(&["exec", &bundle.id, "sh", "-c", script]);
    let child = loopers.stdout(std::process::Stdio::piped()).spawn().unwrap();
    for _ in 0..10 {
        let _ = bundle.on("exec", &["/bin/evil", "--version"]);
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(before == fs::read(runtime()).unwrap());
}

/// CVE-2024-21626: a leaked descriptor as working directory.
#[test]
fn no_descriptor_leads_to_the_host() {
    for number in 3..12 {
        let bundle = Bundle::new(&["ls", "."]);
        let bundle = bundle.with(|spec| spec["process"]["cwd"] = json!(format!("/proc/self/fd/{number}")));
        let answer = bundle.run();
        assert_ne!(answer.code, 0, "fd {number}: {answer:?}");
        bundle.assert_clean();
    }
    let bundle = Bundle::script("cd /proc/self/fd && echo *");
    // The fourth is the shell's own view of the directory.
    assert_eq!(bundle.run().ok(), "0 1 2 3\n");
}

#[test]
fn exec_cannot_start_outside_either() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.run_detached();
    for number in 3..12 {
        let cwd = format!("/proc/self/fd/{number}");
        let answer = bundle.rt(&["exec", "--cwd", &cwd, &bundle.id, "ls", "."]);
        assert_eq!(answer.code, 255, "fd {number}: {answer:?}");
    }
}

/// CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2023-28642: something else in the place of procfs.
#[test]
fn procfs_and_sysfs_stand_where_they_are_told() {
    let on_proc = json!({"destination": "/proc", "type": "tmpfs", "source": "tmpfs"});
    let below = json!({"destination": "/proc/self/attr", "type": "tmpfs", "source": "tmpfs"});
    for mount in [on_proc, below] {
        let bundle = Bundle::new(&["true"]).with(|spec| {
            spec["mounts"].as_array_mut().unwrap().push(mount);
        });
        bundle.run().fails(1, "cannot be mounted because it is inside /proc");
        bundle.assert_clean();
    }
    for name in ["proc", "sys"] {
        let bundle = Bundle::new(&["true"]);
        fs::remove_dir(bundle.rootfs().join(name)).unwrap();
        symlink("tmp", bundle.rootfs().join(name)).unwrap();
        bundle.run().fails(1, "must be mounted on ordinary directory");
        bundle.assert_clean();
    }
}

/// CVE-2026-41579 and its kin: the image's /dev leads to the host.
#[test]
fn an_images_dev_link_stays_inside() {
    let outside = tempfile::tempdir().unwrap();
    let bundle = Bundle::new(&["true"]);
    fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
    symlink(outside.path(), bundle.rootfs().join("dev")).unwrap();
    let _ = bundle.run();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    bundle.assert_clean();
}

/// CVE-2021-30465, CVE-2024-45310: the destination of a mount is exchanged for a link while containers start.
#[test]
fn an_exchanged_destination_does_not_lead_out() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("canary"), "safe").unwrap();
    let bundle = Bundle::new(&["true"]).with(|spec| {
        spec["mounts"]
            .as_array_mut()
            .unwrap()
            .push(json!({"destination": "/mnt/a/b", "type": "tmpfs", "source": "tmpfs"}));
    });
    let (place, link) = (bundle.rootfs().join("mnt/a"), bundle.rootfs().join("mnt/link"));
    fs::create_dir_all(place.join("b")).unwrap();
    let target = std::path::Path::new("../../../../../../..").join(outside.path().strip_prefix("/").unwrap());
    symlink(target, &link).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let _ = rustix::fs::renameat_with(rustix::fs::CWD, &place, rustix::fs::CWD, &link, flags);
            }
        });
        for _ in 0..30 {
            let _ = bundle.run();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let names: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["canary"]);
}

/// Ids that wrap around to root.
#[test]
fn ids_out_of_range_are_refused() {
    let bundle = Bundle::new(&["id"]).with(|spec| spec["process"]["user"]["uid"] = json!(4294967296_u64));
    assert_ne!(bundle.run().code, 0);
    let bundle = Bundle::new(&["id"]).with(|spec| spec["process"]["user"]["uid"] = json!(4294967295_u64));
    bundle.run().fails(1, "/process/user/uid");
}

/// CVE-2022-24769: nothing is inheritable by default, for init as for exec.
#[test]
fn nothing_is_inheritable_by_default() {
    let bundle = Bundle::new(&["grep", "-E", "CapInh|CapAmb", "/proc/self/status"]);
    assert_eq!(bundle.run().ok(), "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n");
}

/// CVE-2025-31133, CVE-2025-52565: what masks a path and what the console is are exchanged for links in a shared
/// /dev while containers start; nothing of the host's procfs comes within reach.
#[test]
fn an_exchanged_dev_gives_nothing_of_the_host() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let script = "for f in /proc/keys /proc/timer_list; do test -s $f && cat $f | head -c 1 | grep -q . && echo open $f; done; \
        for f in /proc/sysrq-trigger /proc/sys/kernel/core_pattern; do ( : >> $f ) 2>/dev/null && echo writable $f; done; true";
    let bundle = Bundle::script(script);
    let device = bundle.path().join("dev");
    fs::create_dir(&device).unwrap();
    let (null, link) = (device.join("null"), device.join("link"));
    assert!(std::process::Command::new("mknod").arg(&null).args(["c", "1", "3"]).status().unwrap().success());
    symlink("/proc/sys/kernel/core_pattern", &link).unwrap();
    let bundle = bundle.with(|spec| {
        let mounts = spec["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        mounts.push(json!({"destination": "/dev", "type": "bind", "source": "dev", "options": ["bind"]}));
    });
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let _ = rustix::fs::renameat_with(rustix::fs::CWD, &null, rustix::fs::CWD, &link, flags);
            }
        });
        for _ in 0..20 {
            let answer = bundle.run();
            assert!(answer.stdout.is_empty(), "{answer:?}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    bundle.assert_clean();
}

/// Without pivot_root the host's tree stays below: no procfs in it may vouch for a bare one of the container's own.
#[test]
fn a_root_without_pivot_gives_no_bare_procfs() {
    let script = "busybox unshare -mrpf sh -c 'mount -t proc none /tmp && echo bare'; true";
    for words in [&["run"][..], &["run", "--no-pivot"]] {
        let bundle = Bundle::script(script).with(|spec| {
            for set in ["bounding", "permitted", "effective"] {
                spec["process"]["capabilities"][set].as_array_mut().unwrap().push(json!("CAP_SETFCAP"));
            }
        });
        // One more on the host, out of the way.
        let host = "mkdir -p mount && mount -t proc proc mount && exec \"$@\"";
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "sh", "-c", host, "sh"]).arg(runtime()).arg("--root").arg(bundle.root());
        let output = command.args(words).arg(&bundle.id).current_dir(bundle.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{words:?}: {output:?}");
        bundle.assert_clean();
    }
}
