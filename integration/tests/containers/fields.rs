//! Every field of a create request: its effect, or its refusal.

use super::{ask, create};
use integration::Story;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The spec that a running container was made by.
fn spec_of(story: &Story, id: &str) -> Value {
    fn find(directory: &Path, id: &str) -> Option<PathBuf> {
        let entries: Vec<PathBuf> =
            std::fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()).collect();
        entries.into_iter().filter(|path| path.is_dir() && !path.is_symlink()).find_map(|path| {
            let own = path.join("config.json");
            if path.ends_with(id) && own.is_file() { Some(own) } else { find(&path, id) }
        })
    }
    let path = find(&story.stack.dir.join("run/supervisord"), id).expect("a bundle");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What a field of a create request comes to.
enum Effect {
    /// It stands at this place of the runtime's spec.
    Spec(&'static str, Value),
    /// Some entry of a list in the spec has it.
    Among(&'static str, Value),
    /// `inspect` shows it; what it does is told in other stories, or is the client's affair.
    Shown,
    /// It is refused with this status and these words.
    Refused(u16, &'static str),
    /// The container is made without it, and the answer says these words.
    Warned(&'static str),
}

/// Every field of API 1.56's ContainerConfig, with a value that no default has.
fn config_fields() -> Vec<(&'static str, Value, Effect)> {
    use Effect::{Among, Shown, Spec};
    vec![
        ("Hostname", json!("box"), Spec("/hostname", json!("box"))),
        ("Domainname", json!("example"), Spec("/domainname", json!("example"))),
        ("User", json!("boat"), Spec("/process/user/uid", json!(1000))),
        ("AttachStdin", json!(true), Shown),
        ("AttachStdout", json!(true), Shown),
        ("AttachStderr", json!(true), Shown),
        ("ExposedPorts", json!({"81/tcp": {}}), Shown),
        ("Tty", json!(true), Spec("/process/terminal", json!(true))),
        ("OpenStdin", json!(true), Shown),
        ("StdinOnce", json!(true), Shown),
        ("Env", json!(["COLOUR=red"]), Among("/process/env", json!("COLOUR=red"))),
        ("Cmd", json!(["600"]), Spec("/process/args", json!(["/sbin/docker-init", "--", "sleep", "600"]))),
        ("Healthcheck", json!({"Test": ["CMD", "true"], "Interval": 3_000_000_000_i64}), Shown),
        ("ArgsEscaped", json!(true), Shown),
        ("Image", json!("busybox"), Shown),
        ("Volumes", json!({"/anonymous": {}}), Among("/mounts/*/destination", json!("/anonymous"))),
        ("WorkingDir", json!("/tmp"), Spec("/process/cwd", json!("/tmp"))),
        ("Entrypoint", json!(["sleep"]), Among("/process/args", json!("sleep"))),
        ("NetworkDisabled", json!(false), Shown),
        ("OnBuild", json!(["RUN true"]), Shown),
        ("Labels", json!({"a": "b"}), Shown),
        ("StopSignal", json!("SIGUSR1"), Shown),
        ("StopTimeout", json!(7), Shown),
        ("Shell", json!(["/bin/ash"]), Shown),
    ]
}

/// Every field of API 1.56's HostConfig.
fn host_fields() -> Vec<(&'static str, Value, Effect)> {
    use Effect::{Among, Refused, Shown, Spec, Warned};
    let rate = |rate: u64| json!([{"Path": "/dev/vda", "Rate": rate}]);
    let has_disk = Path::new("/dev/vda").exists();
    let throttled = |place: &'static str, number: u64| {
        if has_disk { Spec(place, json!(number)) } else { Refused(400, "cannot find device") }
    };
    vec![
        ("CpuShares", json!(77), Spec("/linux/resources/cpu/shares", json!(77))),
        ("Memory", json!(64 << 20), Spec("/linux/resources/memory/limit", json!(64 << 20))),
        ("CgroupParent", json!("PARENT/own"), Shown),
        ("BlkioWeight", json!(5000), Refused(400, "Range of blkio weight is from 10 to 1000")),
        ("BlkioWeightDevice", json!([]), Shown),
        (
            "BlkioDeviceReadBps",
            rate(1 << 20),
            throttled("/linux/resources/blockIO/throttleReadBpsDevice/0/rate", 1 << 20),
        ),
        (
            "BlkioDeviceWriteBps",
            rate(2 << 20),
            throttled("/linux/resources/blockIO/throttleWriteBpsDevice/0/rate", 2 << 20),
        ),
        (
            "BlkioDeviceReadIOps",
            rate(300),
            throttled("/linux/resources/blockIO/throttleReadIOPSDevice/0/rate", 300),
        ),
        (
            "BlkioDeviceWriteIOps",
            rate(400),
            throttled("/linux/resources/blockIO/throttleWriteIOPSDevice/0/rate", 400),
        ),
        ("CpuPeriod", json!(50_000), Spec("/linux/resources/cpu/period", json!(50_000))),
        ("CpuQuota", json!(25_000), Spec("/linux/resources/cpu/quota", json!(25_000))),
        ("CpuRealtimePeriod", json!(0), Shown),
        ("CpuRealtimeRuntime", json!(0), Shown),
        ("CpusetCpus", json!("0"), Spec("/linux/resources/cpu/cpus", json!("0"))),
        ("CpusetMems", json!("0"), Spec("/linux/resources/cpu/mems", json!("0"))),
        (
            "Devices",
            json!([{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/nought", "CgroupPermissions": "r"}]),
            Among("/linux/devices/*/path", json!("/dev/nought")),
        ),
        ("DeviceCgroupRules", json!(["c 42:* rwm"]), Among("/linux/resources/devices/*/major", json!(42))),
        ("DeviceRequests", json!([]), Shown),
        ("MemoryReservation", json!(32 << 20), Spec("/linux/resources/memory/reservation", json!(32 << 20))),
        ("MemorySwap", json!(96 << 20), Spec("/linux/resources/memory/swap", json!(96 << 20))),
        ("MemorySwappiness", json!(101), Refused(400, "valid memory swappiness range is 0-100")),
        ("NanoCpus", json!(100_000_000_000_000_i64), Refused(400, "ange of CPUs is from 0.01 to")),
        ("OomKillDisable", json!(false), Shown),
        ("Init", json!(true), Among("/mounts/*/destination", json!("/sbin/docker-init"))),
        ("PidsLimit", json!(99), Spec("/linux/resources/pids/limit", json!(99))),
        (
            "Ulimits",
            json!([{"Name": "nofile", "Soft": 10, "Hard": 20}]),
            Spec("/process/rlimits/0", json!({"type": "RLIMIT_NOFILE", "hard": 20, "soft": 10})),
        ),
        ("CpuCount", json!(2), Warned("does not support CPU count")),
        ("CpuPercent", json!(50), Warned("does not support CPU percent")),
        ("IOMaximumIOps", json!(1), Refused(400, "Invalid QoS settings")),
        ("IOMaximumBandwidth", json!(1), Refused(400, "Invalid QoS settings")),
        ("Binds", json!(["/tmp:/bound:ro"]), Among("/mounts/*/destination", json!("/bound"))),
        ("ContainerIDFile", json!("/tmp/id"), Shown),
        ("LogConfig", json!({"Type": "local", "Config": {"max-size": "1m"}}), Shown),
        ("NetworkMode", json!("bridge"), Shown),
        ("PortBindings", json!({"81/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}), Shown),
        ("RestartPolicy", json!({"Name": "on-failure", "MaximumRetryCount": 3}), Shown),
        ("AutoRemove", json!(false), Shown),
        ("VolumeDriver", json!("local"), Shown),
        ("VolumesFrom", json!(["nobody"]), Refused(400, "No such container: nobody")),
        (
            "Mounts",
            json!([{"Type": "tmpfs", "Target": "/quick", "TmpfsOptions": {"SizeBytes": 4096}}]),
            Among("/mounts/*/destination", json!("/quick")),
        ),
        ("ConsoleSize", json!([20, 70]), Spec("/process/consoleSize", json!({"height": 20, "width": 70}))),
        ("Annotations", json!({"org.example": "x"}), Spec("/annotations/org.example", json!("x"))),
        ("CapAdd", json!(["NET_ADMIN"]), Among("/process/capabilities/bounding", json!("CAP_NET_ADMIN"))),
        ("CapDrop", json!(["FLY"]), Refused(400, "invalid CapDrop: unknown capability: \"CAP_FLY\"")),
        ("CgroupnsMode", json!("private"), Among("/linux/namespaces/*/type", json!("cgroup"))),
        ("Dns", json!(["9.9.9.9"]), Shown),
        ("DnsOptions", json!(["ndots:3"]), Shown),
        ("DnsSearch", json!(["example.org"]), Shown),
        ("ExtraHosts", json!(["gate:1.2.3.4"]), Shown),
        ("GroupAdd", json!(["crew"]), Among("/process/user/additionalGids", json!(2000))),
        ("IpcMode", json!("private"), Among("/linux/namespaces/*/type", json!("ipc"))),
        ("Cgroup", json!("container:x"), Refused(400, "HostConfig.Cgroup")),
        ("Links", json!(["nobody:x"]), Refused(400, "could not get container for nobody")),
        ("OomScoreAdj", json!(321), Spec("/process/oomScoreAdj", json!(321))),
        ("PidMode", json!("what"), Refused(400, "invalid PID mode: what")),
        ("Privileged", json!(false), Shown),
        ("PublishAllPorts", json!(true), Shown),
        ("ReadonlyRootfs", json!(true), Spec("/root/readonly", json!(true))),
        ("SecurityOpt", json!(["no-new-privileges"]), Spec("/process/noNewPrivileges", json!(true))),
        (
            "StorageOpt",
            json!({"size": "1g"}),
            Refused(400, "--storage-opt is supported only for overlay over xfs"),
        ),
        ("Tmpfs", json!({"/fleeting": "size=1m"}), Among("/mounts/*/destination", json!("/fleeting"))),
        ("UTSMode", json!("what"), Refused(400, "invalid UTS mode: what")),
        ("UsernsMode", json!("what"), Refused(400, "invalid USER mode: what")),
        ("ShmSize", json!(1 << 20), Among("/mounts/*/options/*", json!("size=1048576"))),
        (
            "Sysctls",
            json!({"net.core.somaxconn": "200"}),
            Spec("/linux/sysctl/net.core.somaxconn", json!("200")),
        ),
        ("Runtime", json!("nothing"), Refused(400, "unknown or invalid runtime name: nothing")),
        ("Isolation", json!("hyperv"), Refused(400, "invalid isolation 'hyperv' on linux")),
        ("MaskedPaths", json!(["/proc/kcore"]), Spec("/linux/maskedPaths", json!(["/proc/kcore"]))),
        ("ReadonlyPaths", json!(["/proc/bus"]), Spec("/linux/readonlyPaths", json!(["/proc/bus"]))),
    ]
}

/// The values at a place, `*` being every entry of a list.
fn at<'a>(value: &'a Value, place: &str) -> Vec<&'a Value> {
    match place.split_once("/*") {
        None => value.pointer(place).into_iter().collect(),
        Some((list, rest)) => {
            let entries = value.pointer(list).and_then(Value::as_array).into_iter().flatten();
            entries.flat_map(|entry| if rest.is_empty() { vec![entry] } else { at(entry, rest) }).collect()
        }
    }
}

#[test]
fn every_field_of_a_create_request_has_its_effect_or_a_refusal() {
    let story = Story::new();
    let parent = story.stack.cgroup_parent();
    let mut whole = json!({"HostConfig": {}});
    let mut effects = Vec::new();
    let fields = config_fields().into_iter().map(|field| (false, field));
    for (is_host, (name, value, effect)) in fields.chain(host_fields().into_iter().map(|field| (true, field)))
    {
        let value: Value = serde_json::from_str(&value.to_string().replace("PARENT", &parent)).unwrap();
        if let Effect::Refused(..) | Effect::Warned(_) = effect {
            let mut wish = json!({"Image": "busybox", "HostConfig": {}});
            if is_host {
                wish["HostConfig"][name] = value
            } else {
                wish[name] = value
            }
            let (status, answer) = ask(&story, "POST", "/containers/create", &wish);
            let text = answer.to_string().replace("\\\"", "\"");
            match effect {
                Effect::Refused(wanted, words) => {
                    assert!(status == wanted && text.contains(words), "{name}: {status} {text}");
                }
                Effect::Warned(words) => {
                    assert!(status == 201 && text.contains(words), "{name}: {status} {text}")
                }
                _ => {}
            }
            continue;
        }
        if is_host {
            whole["HostConfig"][name] = value.clone()
        } else {
            whole[name] = value.clone()
        }
        effects.push((is_host, name, value, effect));
    }
    let id = create(&story, &whole);
    let (status, answer) = ask(&story, "POST", &format!("/containers/{id}/start"), &Value::Null);
    assert_eq!(status, 204, "{answer}");
    let spec = spec_of(&story, &id);
    let (_, shown) = ask(&story, "GET", &format!("/containers/{id}/json"), &Value::Null);
    for (is_host, name, value, effect) in effects {
        match effect {
            Effect::Spec(place, wanted) => {
                assert_eq!(spec.pointer(place), Some(&wanted), "{name} at {place} in {spec}")
            }
            Effect::Among(place, wanted) => {
                let found = at(&spec, place);
                let is_there = found.iter().any(|found| {
                    **found == wanted || found.as_array().is_some_and(|list| list.contains(&wanted))
                });
                assert!(is_there, "{name}: {wanted} at {place} in {found:?}");
            }
            _ => {
                let own = if is_host { &shown["HostConfig"][name] } else { &shown["Config"][name] };
                let is_default = value == json!(false) || value == json!([]) || value == json!(0);
                assert!(*own == value || (is_default && own.is_null()), "{name}: {own} for {value}");
            }
        }
    }
    for (method, path) in
        [("DELETE", format!("/containers/{id}?force=1&v=1")), ("POST", "/containers/prune".into())]
    {
        ask(&story, method, &path, &Value::Null);
    }
    story.end();
}
