//! More attacks that other runtimes fell to: from inside a container, by what an image or a volume
//! holds, and by what a caller writes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::bundle::{Bundle, is_v2};

fn add_mount(spec: &mut Value, mount: Value) {
    spec["mounts"].as_array_mut().unwrap().push(mount);
}

/// CVE-2016-9962: a process of the container looks into one that is on its way in.
#[test]
fn nobody_sees_into_an_exec_on_its_way() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.run_detached();
    let script = "i=0; while [ $i -lt 150 ]; do i=$((i+1)); for p in /proc/[0-9]*; do \
        ls -l $p/fd 2>/dev/null | grep -E 'state|cgroup|memfd|socket' ; readlink $p/exe | grep -v busybox; done; done; true";
    let mut watcher = bundle.command(&["exec", &bundle.id, "sh", "-c", script]);
    let child = watcher.stdout(Stdio::piped()).spawn().unwrap();
    for _ in 0..15 {
        let _ = bundle.on("exec", &["true"]);
    }
    assert_eq!(String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout), "");
}

/// CVE-2025-31133: the container's null device is a link when paths are masked.
#[test]
fn a_false_null_device_masks_nothing_else() {
    let bundle = Bundle::script("wc -c < /proc/keys; readlink /dev/null; cat /mnt/secret");
    let device = bundle.path().join("dev");
    fs::create_dir(&device).unwrap();
    symlink("/proc/sys/kernel/core_pattern", device.join("null")).unwrap();
    fs::write(bundle.rootfs().join("mnt/secret"), "secret").unwrap();
    let bundle = bundle.with(|spec| {
        spec["mounts"]
            .as_array_mut()
            .unwrap()
            .retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        add_mount(spec, json!({"destination": "/dev", "type": "bind", "source": "dev", "options": ["bind"]}));
        spec["linux"]["maskedPaths"] = json!(["/proc/keys", "/mnt/secret"]);
    });
    assert_eq!(bundle.run().ok(), "0\n/proc/sys/kernel/core_pattern\n");
    bundle.assert_clean();
}

/// CVE-2025-52565: /dev/console leads elsewhere.
#[test]
fn a_console_is_not_put_on_what_a_link_names() {
    let outside = tempfile::tempdir().unwrap();
    let canary = outside.path().join("canary");
    fs::write(&canary, "safe").unwrap();
    let bundle = Bundle::script("echo gone >/dev/console; true");
    fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
    fs::create_dir(bundle.rootfs().join("dev")).unwrap();
    symlink(&canary, bundle.rootfs().join("dev/console")).unwrap();
    let bundle = bundle.with(|spec| {
        spec["process"]["terminal"] = json!(true);
        // The image's own /dev, with no fresh one over it.
        spec["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/dev");
    });
    let _ = bundle.run();
    assert_eq!(fs::read_to_string(&canary).unwrap(), "safe");
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains("canary"));
    bundle.assert_clean();
}

/// CVE-2025-52881: what the runtime writes below /proc goes where somebody else has mounted.
#[test]
fn nothing_stands_between_the_runtime_and_procfs() {
    for place in ["/proc/sys", "/proc/sys/net/ipv4", "/proc/self", "/proc/self/attr", "/proc/thread-self"] {
        let bundle = Bundle::new(&["true"]).with(|spec| {
            spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
            add_mount(spec, json!({"destination": place, "type": "tmpfs", "source": "tmpfs"}));
        });
        let answer = bundle.run();
        assert_ne!(answer.code, 0, "{place}: {answer:?}");
        bundle.assert_clean();
    }
    // By a link of the image's, too.
    let bundle = Bundle::new(&["true"]).with(|spec| {
        add_mount(spec, json!({"destination": "/way/sys", "type": "tmpfs", "source": "tmpfs"}));
    });
    symlink("/proc", bundle.rootfs().join("way")).unwrap();
    bundle.run().fails(1, "inside /proc");
    bundle.assert_clean();
}

/// CVE-2019-18837: every directory that the runtime touches is a link to the host.
#[test]
fn links_in_the_places_of_directories_stay_inside() {
    for name in ["dev", "etc", "tmp", "mnt"] {
        let outside = tempfile::tempdir().unwrap();
        let bundle = Bundle::new(&["true"]).with(|spec| {
            add_mount(spec, json!({"destination": "/etc/a/b", "type": "tmpfs", "source": "t"}));
            add_mount(spec, json!({"destination": "/mnt/a/b", "type": "tmpfs", "source": "t"}));
            spec["process"]["cwd"] = json!("/tmp/new/place");
        });
        fs::remove_dir_all(bundle.rootfs().join(name)).unwrap();
        symlink(outside.path(), bundle.rootfs().join(name)).unwrap();
        let _ = bundle.run();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{name}");
        bundle.assert_clean();
    }
}

/// CVE-2023-25809: without a cgroup namespace the host's groups are in sight, and read-only.
#[test]
fn the_hosts_groups_cannot_be_written() {
    let script = "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/evil 2>/dev/null && echo $d; done; \
        echo 1 2>/dev/null >/sys/fs/cgroup/memory/release_agent && echo agent; true";
    let bundle = Bundle::script(script).with(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != "cgroup");
    });
    assert_eq!(bundle.run().ok(), "");
    assert!(is_v2() || bundle.cgroups().is_empty());
}

/// CVE-2021-43784: lengths beyond what a message to the child holds.
#[test]
fn endless_lists_and_names_are_refused() {
    let many: Vec<Value> =
        (0..10_000).map(|id| json!({"containerID": id, "hostID": 100_000 + id, "size": 1})).collect();
    let bundle = Bundle::new(&["true"]).with(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        spec["linux"]["uidMappings"] = json!(many);
        spec["linux"]["gidMappings"] = json!(many);
    });
    bundle.run().fails(1, "has more than 340 entries");
    let long = format!("/{}", "x".repeat(100_000));
    for (place, name) in [("/linux/namespaces/0/path", "namespace"), ("/process/cwd", "directory")] {
        let bundle = Bundle::new(&["true"]).with(|spec| match name {
            "namespace" => spec["linux"]["namespaces"][0]["path"] = json!(long),
            _ => spec["process"]["cwd"] = json!(long),
        });
        assert_eq!(bundle.run().code, 1, "{place}");
        bundle.assert_clean();
    }
}

/// Users that other parsers took for root or for somebody else.
#[test]
fn a_user_that_is_none_is_refused() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.run_detached();
    for user in ["0x0", "1:", ":1", "+1", "-1", "4294967296", "4294967295", "root", "1:2:3", " 1", ""] {
        let answer = bundle.rt(&["exec", "--user", user, &bundle.id, "id", "-u"]);
        assert_eq!(answer.code, 255, "{user:?}: {answer:?}");
    }
    for group in ["..", "/../x", "a/../../.."] {
        let answer = bundle.rt(&["exec", "--cgroup", group, &bundle.id, "true"]);
        assert_eq!(answer.code, 255, "{group:?}: {answer:?}");
    }
}

/// CVE-2021-41103: what is kept of a container is its owner's alone.
#[test]
fn others_see_nothing_of_the_state() {
    let bundle = Bundle::new(&["true"]);
    bundle.create();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&bundle.root().join(&bundle.id)), 0);
    assert_eq!(mode(&bundle.root().join(&bundle.id).join("state.json")), 0);
}

/// A profile of one architecture is got around by the calls of another: those kill.
#[test]
fn calls_of_a_foreign_architecture_do_not_pass() {
    let bundle = Bundle::new(&["true"]).with(|spec| {
        spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]});
    });
    // getpid by int 0x80, then exit(0): 32-bit code in a 64-bit program without any library.
    let code: &[u8] = &[0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];
    fs::write(bundle.rootfs().join("bin/foreign"), program(code)).unwrap();
    fs::set_permissions(bundle.rootfs().join("bin/foreign"), fs::Permissions::from_mode(0o755)).unwrap();
    let bundle = bundle.with(|spec| spec["process"]["args"] = json!(["/bin/foreign"]));
    assert_eq!(bundle.run().code, 128 + 31);
    let bundle = bundle.with(|spec| spec["linux"]["seccomp"] = Value::Null);
    // A kernel without 32-bit calls answers with a fault instead.
    assert!([0, 128 + 11].contains(&bundle.run().code));
}

/// The smallest ELF program with this code.
fn program(code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x400000;
    const HEADERS: u64 = 64 + 56;
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([2_u16, 62].iter().flat_map(|half| half.to_le_bytes()));
    file.extend(1_u32.to_le_bytes());
    file.extend([BASE + HEADERS, 64, 0].iter().flat_map(|long| long.to_le_bytes()));
    file.extend(0_u32.to_le_bytes());
    file.extend([64_u16, 56, 1, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    file.extend([1_u32, 5].iter().flat_map(|word| word.to_le_bytes()));
    let size = HEADERS + code.len() as u64;
    file.extend([0, BASE, BASE, size, size, 0x1000].iter().flat_map(|long| long.to_le_bytes()));
    file.extend(code);
    file
}
