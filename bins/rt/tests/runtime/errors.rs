//! Texts and codes that callers match.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::json;

use crate::bundle::{Bundle, answer};

#[test]
fn programs_that_cannot_run_are_told_at_create() {
    for (program, text) in [
        ("nope", "exec: \\\"nope\\\": executable file not found in $PATH"),
        ("/nope", "exec: \\\"/nope\\\": stat /nope: no such file or directory"),
        ("/etc", "exec: \\\"/etc\\\": is a directory"),
        ("/etc/plain", "exec: \\\"/etc/plain\\\": permission denied"),
    ] {
        let bundle = Bundle::new(&[program]);
        fs::write(bundle.rootfs().join("etc/plain"), "").unwrap();
        let start = "unable to start container process: error during container init: ";
        bundle.on("create", &[]).fails(1, &format!("{start}{text}"));
        bundle.run().fails(1, &format!("{start}{text}"));
        bundle.assert_clean();
    }
}

#[test]
fn what_exec_refuses_is_told_by_start() {
    let bundle = Bundle::new(&["/bin/garbage"]);
    let path = bundle.rootfs().join("bin/garbage");
    fs::write(&path, [0x7f_u8, b'E', b'L', b'F', 0]).unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    bundle.create();
    bundle.on("start", &[]).fails(1, "exec format error");
    bundle.on("delete", &["-f"]).ok();
    bundle.run().fails(1, "exec format error");
    bundle.assert_clean();
}

#[test]
fn the_log_has_json_lines() {
    let bundle = Bundle::new(&["nope"]);
    let log = bundle.path().join("log.json");
    let words = ["--log", log.to_str().unwrap(), "--log-format", "json", "create", &bundle.id];
    let answer = bundle.rt(&words);
    let line: serde_json::Value = serde_json::from_str(fs::read_to_string(log).unwrap().trim()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(line["msg"].as_str().unwrap().contains("executable file not found"));
    // conmon reads stderr.
    assert_eq!(answer.stderr.trim(), line["msg"].as_str().unwrap());
}

#[test]
fn names_are_taken_once_and_checked() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.create();
    bundle.on("create", &[]).fails(1, "container with given ID already exists");
    bundle.rt(&["create", ""]).fails(1, "container id cannot be empty");
    bundle.rt(&["--root", "/", "list"]).fails(1, "Option --root argument should not be set to /");
    for id in ["a/b", "..", ".hidden"] {
        bundle.rt(&["create", id]).fails(1, "invalid container ID format");
        bundle.rt(&["state", id]).fails(1, "invalid container ID format");
    }
}

#[test]
fn every_fault_of_a_configuration_is_named_and_nothing_made() {
    let bundle = Bundle::new(&["true"]).with(|spec| {
        spec["process"]["cwd"] = json!("relative");
        spec["linux"]["namespaces"][0]["type"] = json!("pidd");
        spec["linux"]["sysctl"] = json!({"vm.swappiness": "1"});
    });
    let answer = bundle.run();
    for path in ["/process/cwd", "/linux/namespaces/0/type", "/linux/sysctl/vm.swappiness"] {
        assert!(answer.stderr.contains(path), "{path} is not in {answer:?}");
    }
    assert!(!bundle.root().exists());
}

#[test]
fn wrong_usage_is_told() {
    let bundle = Bundle::new(&["true"]);
    bundle.rt(&["run"]).fails(1, "requires exactly 1 argument(s)");
    assert_eq!(bundle.rt(&["frobnicate"]).code, 3);
    bundle.rt(&["run", "--frobnicate", "x"]).fails(1, "flag provided but not defined: -frobnicate");
    bundle.rt(&["run", "--detach=maybe", "x"]).fails(1, "for -detach: parse error");
    let mut strange = bundle.command(&["state"]);
    strange.arg(std::ffi::OsStr::from_bytes(b"x\xff"));
    answer(strange.output().unwrap()).fails(1, "is not UTF-8");
    assert!(bundle.rt(&["help", "exec"]).ok().contains("--ignore-paused"));
    assert!(bundle.rt(&["--version"]).ok().starts_with("runc version "));
}

#[test]
fn a_bundle_must_be_there_and_readable() {
    let bundle = Bundle::new(&["true"]);
    bundle.rt(&["run", "-b", "/nonexistent", "x"]).fails(1, "no such file or directory");
    fs::write(bundle.path().join("config.json"), "{").unwrap();
    bundle.run().fails(1, "config.json");
    fs::remove_file(bundle.path().join("config.json")).unwrap();
    bundle.run().fails(1, "config.json not found");
}

/// What this kernel or this user cannot do is refused by the field's place in the configuration.
#[test]
fn a_field_that_cannot_be_honoured_is_named() {
    use serde_json::{Value, json};
    let cases: [(&str, Value); 15] = [
        ("/linux/intelRdt", json!({"closID": "x"})),
        ("/linux/mountLabel", json!("system_u:object_r:t:s0")),
        ("/process/selinuxLabel", json!("system_u:system_r:t:s0")),
        ("/process/apparmorProfile", json!("no-such-profile")),
        ("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 1, "hard": u64::MAX}])),
        ("/process/scheduler", json!({"policy": "SCHED_FIFO", "priority": 1000})),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 9})),
        ("/process/execCPUAffinity", json!({"initial": "none"})),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "700"})),
        ("/linux/personality", json!({"domain": "SOLARIS"})),
        ("/linux/timeOffsets", json!({"realtime": {"secs": 1}})),
        ("/linux/intelRdt/closID", json!({"closID": "../x"})),
        ("/linux/intelRdt/memBwSchema", json!({"memBwSchema": "L3:0=f"})),
        ("/mounts/0/options", json!(["bind", "size=4k"])),
        ("/linux/resources", json!({"hugepageLimits": [{"pageSize": "3KB", "limit": 1}]})),
    ];
    for (path, value) in cases {
        let bundle = Bundle::new(&["true"]).with(|spec| {
            spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
            let field = match path {
                "/linux/intelRdt/closID" | "/linux/intelRdt/memBwSchema" => "/linux/intelRdt",
                other => other,
            };
            let (parent, name) = field.rsplit_once('/').unwrap();
            spec.pointer_mut(parent).unwrap()[name] = value;
        });
        let answer = bundle.run();
        assert!(answer.code == 1 && answer.stderr.contains(path), "{path}: {answer:?}");
        bundle.assert_clean();
    }
}

/// What goes into a frozen group would stay there without a word.
#[test]
fn a_frozen_group_takes_nobody() {
    let bundle = Bundle::new(&["true"]);
    let (top, file, value) = match crate::bundle::is_v2() {
        true => ("/sys/fs/cgroup", "cgroup.freeze", "1"),
        false => ("/sys/fs/cgroup/freezer", "freezer.state", "FROZEN"),
    };
    let group = std::path::Path::new(top).join(&bundle.id);
    fs::create_dir(&group).unwrap();
    fs::write(group.join(file), value).unwrap();
    let path = format!("/{}", bundle.id);
    let bundle = bundle.with(|spec| spec["linux"]["cgroupsPath"] = json!(path));
    let systemd = std::env::var("WHERRY_RT_FLAGS").is_ok_and(|flags| flags.contains("systemd"));
    let answer = bundle.run();
    fs::remove_dir(&group).unwrap();
    if !systemd {
        answer.fails(1, "container's cgroup unexpectedly frozen");
    }
    bundle.assert_clean();
}
