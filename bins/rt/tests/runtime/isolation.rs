//! Namespaces, mounts, users.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn every_namespace_is_its_own() {
    let kinds = ["pid", "net", "ipc", "uts", "mnt", "cgroup"];
    let bundle = Bundle::script("for n in pid net ipc uts mnt cgroup; do readlink /proc/self/ns/$n; done");
    let text = bundle.run().ok();
    for (line, kind) in text.lines().zip(kinds) {
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert!(line.starts_with(&format!("{kind}:[")), "{text}");
        assert_ne!(line, own.to_str().unwrap());
    }
    assert_eq!(text.lines().count(), kinds.len());
}

#[test]
fn a_user_namespace_maps_ids() {
    let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    let script = "id; cat /proc/self/uid_map; touch /tmp/made && ls -ln /tmp";
    let bundle = Bundle::script(script).with(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        spec["linux"]["uidMappings"] = map.clone();
        spec["linux"]["gidMappings"] = map;
    });
    fs::set_permissions(bundle.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(bundle.rootfs().join("tmp"), fs::Permissions::from_mode(0o777)).unwrap();
    let text = bundle.run().ok();
    assert!(text.starts_with("uid=0 gid=0"), "{text}");
    assert!(text.contains("100000      65536"), "{text}");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(bundle.rootfs().join("tmp/made")).unwrap().uid(), 100_000);
    bundle.assert_clean();
}

#[test]
fn a_mapped_user_need_not_reach_the_root_from_outside() {
    let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    let bundle = Bundle::script("id -u; ls /bin/sh").with(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        spec["linux"]["uidMappings"] = map.clone();
        spec["linux"]["gidMappings"] = map;
    });
    fs::set_permissions(bundle.path(), fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(bundle.path(), Some(100_000), Some(100_000)).unwrap();
    assert_eq!(bundle.run().ok(), "0\n/bin/sh\n");
    bundle.assert_clean();
}

#[test]
fn the_root_propagates_as_told() {
    let script = "grep ' / r[wo]' /proc/self/mountinfo";
    for (word, shown) in [("shared", " shared:"), ("rslave", " - "), ("private", " - ")] {
        let bundle = Bundle::script(script).with(|spec| spec["linux"]["rootfsPropagation"] = json!(word));
        let text = bundle.run().ok();
        assert!(text.contains(shown) && (word == "shared" || !text.contains("shared:")), "{word}: {text}");
        bundle.assert_clean();
    }
}

#[test]
fn namespaces_are_joined_by_path() {
    let first = Bundle::new(&["sleep", "100"]);
    first.run_detached();
    let pid = first.state()["pid"].as_i64().unwrap();
    let second = Bundle::script("readlink /proc/self/ns/net; ps").with(|spec| {
        for namespace in spec["linux"]["namespaces"].as_array_mut().unwrap() {
            let file = match namespace["type"].as_str().unwrap() {
                "network" => "net",
                "pid" => "pid",
                _ => continue,
            };
            namespace["path"] = json!(format!("/proc/{pid}/ns/{file}"));
        }
    });
    let text = second.run().ok();
    let net = fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert!(text.starts_with(net.to_str().unwrap()), "{text}");
    assert!(text.contains("sleep 100"), "{text}");
}

#[test]
fn a_clock_can_be_moved() {
    let bundle = Bundle::new(&["cat", "/proc/uptime"]).with(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
        spec["linux"]["timeOffsets"] = json!({"boottime": {"secs": 10_000_000}});
    });
    let uptime: f64 = bundle.run().ok().split_whitespace().next().unwrap().parse().unwrap();
    assert!(uptime > 10_000_000.0);
}

#[test]
fn mounts_have_their_options() {
    let script = "touch /mnt/ro/x; touch /mnt/rec/sub/x; cat /mnt/file; mount | grep /mnt; ls /etc/up";
    let bundle = Bundle::script(script);
    fs::create_dir_all(bundle.path().join("data/sub")).unwrap();
    fs::write(bundle.path().join("one"), "one\n").unwrap();
    fs::create_dir_all(bundle.rootfs().join("etc/up")).unwrap();
    fs::write(bundle.rootfs().join("etc/up/kept"), "").unwrap();
    let bundle = bundle.with(|spec| {
        spec["mounts"].as_array_mut().unwrap().extend([
            json!({"destination": "/mnt/ro", "type": "bind", "source": "data", "options": ["bind", "ro", "nosuid"]}),
            json!({"destination": "/mnt/rec", "type": "bind", "source": "data", "options": ["rbind", "rro"]}),
            json!({"destination": "mnt/file", "type": "bind", "source": "one", "options": ["bind"]}),
            json!({"destination": "/mnt/t", "type": "tmpfs", "source": "t", "options": ["size=64k", "noexec", "mode=1770"]}),
            json!({"destination": "/etc/up", "type": "tmpfs", "source": "t", "options": ["tmpcopyup", "ro"]}),
        ]);
    });
    let answer = bundle.run();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.stderr.matches("Read-only file system").count(), 2, "{answer:?}");
    assert!(answer.stdout.starts_with("one\n"), "{answer:?}");
    assert!(answer.stdout.contains("on /mnt/ro type ext4 (ro,nosuid"), "{answer:?}");
    assert!(answer.stdout.contains("(rw,noexec,relatime,size=64k,mode=1770"), "{answer:?}");
    assert!(answer.stdout.ends_with("kept\n"), "{answer:?}");
    bundle.assert_clean();
}

#[test]
fn ids_of_a_bind_are_mapped() {
    let map = json!([{"containerID": 0, "hostID": 4000, "size": 100}]);
    let bundle = Bundle::new(&["ls", "-ln", "/mnt/d"]);
    fs::create_dir(bundle.path().join("d")).unwrap();
    fs::write(bundle.path().join("d/f"), "").unwrap();
    let bundle = bundle.with(|spec| {
        spec["mounts"].as_array_mut().unwrap().push(json!({
            "destination": "/mnt/d", "type": "bind", "source": "d", "options": ["bind"],
            "uidMappings": map, "gidMappings": map
        }));
    });
    let answer = bundle.run();
    assert!(answer.stdout.contains("4000     4000"), "{answer:?}");
}

#[test]
fn paths_are_masked_and_readonly() {
    let script = "wc -c < /proc/keys; ls /proc/acpi | wc -l; touch /proc/sys/kernel/hostname; touch /etc/x";
    let bundle = Bundle::script(script).with(|spec| spec["root"]["readonly"] = json!(true));
    let answer = bundle.run();
    assert_eq!(answer.stdout, "0\n0\n");
    assert_eq!(answer.stderr.matches("Read-only file system").count(), 2, "{answer:?}");
}

#[test]
fn links_on_the_way_stay_inside() {
    let bundle = Bundle::script("cat /link/f");
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), bundle.rootfs().join("link")).unwrap();
    fs::write(bundle.path().join("f"), "in\n").unwrap();
    let bundle = bundle.with(|spec| {
        spec["mounts"]
            .as_array_mut()
            .unwrap()
            .push(json!({"destination": "/link/f", "type": "bind", "source": "f", "options": ["bind"]}));
    });
    assert_eq!(bundle.run().ok(), "in\n");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn seccomp_filters_calls() {
    let bundle = Bundle::script("mkdir /tmp/no || grep Seccomp: /proc/self/status").with(|spec| {
        spec["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]
        });
    });
    let answer = bundle.run();
    assert!(answer.stderr.contains("No space left on device"), "{answer:?}");
    assert_eq!(answer.stdout, "Seccomp:\t2\n");
}

#[test]
fn sysctl_and_names_are_set() {
    let bundle = Bundle::script("hostname; cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward")
        .with(|spec| {
            spec["hostname"] = json!("box");
            spec["domainname"] = json!("dom");
            spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
        });
    assert_eq!(bundle.run().ok(), "box\ndom\n1\n");
}

/// A profile older than the calls by which the runtime does its work.
#[test]
fn a_filter_need_not_allow_the_runtimes_own_calls() {
    let denied = [
        "close_range",
        "rt_sigaction",
        "faccessat2",
        "getcwd",
        "setresuid",
        "setresgid",
        "setgroups",
        "chdir",
        "statx",
        "fchown",
    ];
    for (nnp, uid) in [(true, 0), (false, 0), (false, 7)] {
        let bundle =
            Bundle::script("grep -E '^(Uid|CapEff|CapPrm|Seccomp):' /proc/self/status").with(|spec| {
                spec["process"]["noNewPrivileges"] = json!(nnp);
                spec["process"]["user"] = json!({"uid": uid, "gid": uid, "additionalGids": [5]});
                spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": denied, "action": "SCMP_ACT_ERRNO"}]});
            });
        bundle.create();
        bundle.on("start", &[]).ok();
        bundle.await_status("stopped");
        bundle.on("delete", &[]).ok();
        let text = bundle.run().ok();
        let capabilities = if uid == 0 { "20000420" } else { "00000000" };
        assert!(
            text.contains("Seccomp:\t2") && text.contains(&format!("CapEff:\t00000000{capabilities}")),
            "{text}"
        );
        assert!(!text.contains("CapPrm:\t0000000000200000"), "{text}");
    }
}

#[test]
fn a_sysctl_needs_a_namespace_that_is_not_the_hosts() {
    let own = |kind: &str| json!(format!("/proc/self/ns/{kind}"));
    for (kind, file, key) in [
        ("network", "net", "net.ipv4.ip_forward"),
        ("ipc", "ipc", "kernel.msgmax"),
        ("uts", "uts", "kernel.domainname"),
    ] {
        let bundle = Bundle::new(&["true"]).with(|spec| {
            for namespace in spec["linux"]["namespaces"].as_array_mut().unwrap() {
                if namespace["type"] == kind {
                    namespace["path"] = own(file);
                }
            }
            spec["linux"]["sysctl"] = json!({key: "1"});
        });
        bundle.run().fails(1, &format!("/linux/sysctl/{key}"));
    }
    let bundle = Bundle::new(&["true"])
        .with(|spec| spec["linux"]["sysctl"] = json!({"user.max_user_namespaces": "7"}));
    bundle.run().fails(1, "is not allowed in the hosts user namespace");
    let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    let bundle = Bundle::new(&["cat", "/proc/sys/user/max_user_namespaces"]).with(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        spec["linux"]["uidMappings"] = map.clone();
        spec["linux"]["gidMappings"] = map;
        spec["linux"]["sysctl"] = json!({"user.max_user_namespaces": "7"});
        // Files of a process with other ids are not its own in /proc.
        spec["process"]["oomScoreAdj"] = json!(7);
    });
    fs::set_permissions(bundle.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(bundle.run().ok(), "7\n");
}

/// A runtime within a container finds `/proc/sys` mounted over by parts of itself (LXC).
#[test]
fn sysctls_are_set_where_the_host_is_a_container() {
    let bundle = Bundle::new(&["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"])
        .with(|spec| spec["linux"]["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "7"}));
    let nested = |cover: &str| {
        let script = format!(
            "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && {cover} && exec \"$@\""
        );
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(crate::bundle::runtime());
        command.arg("--root").arg(bundle.root()).args(["run", &bundle.id]).current_dir(bundle.path());
        command.output().unwrap()
    };
    let output = nested("mount --bind /proc/sys/net /proc/sys/net && mount -o remount,rw,bind /proc/sys/net");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "7\n", "{output:?}");
    // What is no procfs is not written to.
    let output = nested(
        "mount -t tmpfs tmpfs /proc/sys/net && mkdir /proc/sys/net/ipv4 && \
        touch /proc/sys/net/ipv4/ip_unprivileged_port_start",
    );
    assert!(!output.status.success(), "{output:?}");
    bundle.assert_clean();
}
