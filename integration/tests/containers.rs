//! Containers as programs ask for them: every field, devices, links, mounts, log drivers, plugins, many at once.

use integration::{Story, image, peer, until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn connect(story: &Story) -> UnixStream {
    let host = story.stack.docker_host();
    let socket = UnixStream::connect(host.trim_start_matches("unix://")).expect("the engine's socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    socket
}

/// One request; status and body.
fn ask(story: &Story, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut socket = connect(story);
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{text}",
        text.len()
    );
    socket.write_all(head.as_bytes()).expect("the request goes out");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Creates a container; its identifier.
#[track_caller]
fn create(story: &Story, wish: &Value) -> String {
    let (status, answer) = ask(story, "POST", "/containers/create", wish);
    assert_eq!(status, 201, "{answer} for {wish}");
    answer["Id"].as_str().expect("an identifier").to_owned()
}

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

#[test]
fn old_versions_of_the_api_are_converted() {
    let story = Story::new();
    let wish = json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Annotations": {"a": "b"}, "PidsLimit": -1,
        "Mounts": [{"Type": "tmpfs", "Target": "/t", "VolumeOptions": {}}]}});
    let host = |version: &str| {
        let (status, answer) = ask(&story, "POST", &format!("{version}/containers/create"), &wish);
        assert_eq!(status, 201, "{version}: {answer}");
        let path = format!("/v1.47/containers/{}/json", answer["Id"].as_str().unwrap());
        ask(&story, "GET", &path, &Value::Null).1["HostConfig"].clone()
    };
    let old = host("/v1.24");
    assert_eq!((&old["IpcMode"], &old["PidsLimit"]), (&json!("shareable"), &Value::Null));
    assert!(old.get("Annotations").is_none(), "{old}");
    let (status, answer) = ask(&story, "POST", "/v1.43/containers/create", &wish);
    assert!(status == 400 && answer["message"].as_str().unwrap().contains("VolumeOptions"), "{answer}");
    ask(&story, "POST", "/containers/prune", &Value::Null);
    story.end();
}

#[test]
fn links_and_vendors_devices_are_given() {
    let story = Story::new();
    let ctl = story.ctl();
    ctl.call([
        "run",
        "-d",
        "--name",
        "db",
        "--expose",
        "6379",
        "-e",
        "COLOUR=red",
        "busybox",
        "sleep",
        "600",
    ])
    .expect();
    let script = "echo $DATA_PORT_6379_TCP_PORT $DATA_ENV_COLOUR $DATA_NAME; grep -c 'data.*db' /etc/hosts; ping -c1 -W2 data >/dev/null && echo there";
    let said = ctl
        .call(["run", "--rm", "--name", "web", "--link", "db:data", "busybox", "sh", "-c", script])
        .expect();
    assert_eq!(said, "6379 red /web/data\n1\nthere");
    ctl.call(["create", "--name", "web", "--link", "db:data", "busybox", "true"]).expect();
    let links = || ctl.call(["inspect", "-f", "{{json .HostConfig.Links}}", "web"]).expect();
    assert_eq!(links(), "[\"/db:/web/data\"]");
    let (status, answer) = ask(&story, "DELETE", "/containers/web/data?link=1", &Value::Null);
    assert_eq!((status, links().as_str()), (204, "null"), "{answer}");
    ctl.call(["rm", "-f", "db", "web"]).expect();
    // What a vendor describes, in a file of this test's own.
    let vendor = format!("wherry{}.test/dev", std::process::id());
    std::fs::create_dir_all("/var/run/cdi").unwrap();
    let file = PathBuf::from(format!("/var/run/cdi/wherry-{}.yaml", std::process::id()));
    let text = format!(
        "cdiVersion: 0.6.0\nkind: {vendor}\ndevices:\n- name: one\n  containerEdits:\n    env: [VENDOR=1]\n    \
         deviceNodes:\n    - path: /dev/ours\n      hostPath: /dev/null\n"
    );
    std::fs::write(&file, text).unwrap();
    let request = |name: &str| {
        json!({"Image": "busybox", "Cmd": ["sh", "-c", "echo $VENDOR; ls -l /dev/ours; echo x > /dev/ours"],
            "HostConfig": {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": [format!("{vendor}={name}")]}]}})
    };
    let id = create(&story, &request("one"));
    assert_eq!(ask(&story, "POST", &format!("/containers/{id}/start"), &Value::Null).0, 204);
    assert_eq!(ctl.call(["wait", &id]).expect(), "0");
    assert!(ctl.call(["logs", &id]).expect().starts_with("1\ncrw"));
    let other = create(&story, &request("two"));
    let (status, answer) = ask(&story, "POST", &format!("/containers/{other}/start"), &Value::Null);
    assert!(status == 400 && answer.to_string().contains("unresolvable CDI devices"), "{status} {answer}");
    std::fs::remove_file(&file).unwrap();
    ctl.call(["rm", &id, &other]).expect();
    story.end();
}

#[test]
fn images_and_parts_of_volumes_are_mounted() {
    let story = Story::new();
    let ctl = story.ctl();
    let run = |mounts: Value, script: &str| {
        let wish = json!({"Image": "busybox", "Cmd": ["sh", "-c", script], "HostConfig": {"Mounts": mounts}});
        let id = create(&story, &wish);
        let (status, answer) = ask(&story, "POST", &format!("/containers/{id}/start"), &Value::Null);
        let said = if status == 204 {
            ctl.call(["wait", &id]).expect();
            ctl.call(["logs", &id]).run().unwrap().stdout
        } else {
            answer.to_string()
        };
        ctl.call(["rm", &id]).expect();
        said
    };
    let volume = |part: &str| json!([{"Type": "volume", "Source": "data", "Target": "/d", "VolumeOptions": {"Subpath": part}}]);
    run(
        json!([{"Type": "volume", "Source": "data", "Target": "/d"}]),
        "mkdir -p /d/a/b; echo one >/d/a/b/f; ln -s /etc /d/out",
    );
    assert_eq!(run(volume("a/b"), "cat /d/f; ls /d"), "one\nf\n");
    assert!(run(volume("out"), "true").contains("cannot access path"), "no link leads out of a volume");
    assert!(run(volume("none"), "true").contains("cannot access path"));
    let image = |part: &str| json!([{"Type": "image", "Source": "busybox", "Target": "/i", "ImageOptions": {"Subpath": part}}]);
    assert_eq!(
        run(image(""), "cat /i/etc/group | head -1; touch /i/x 2>&1 | grep -o Read-only"),
        "root:x:0:\nRead-only\n"
    );
    assert_eq!(run(image("etc"), "head -1 /i/group"), "root:x:0:\n");
    let deep = json!([{"Type": "bind", "Source": "/sys", "Target": "/s", "ReadOnly": true}]);
    assert_eq!(
        run(deep, "grep ' /s' /proc/mounts | grep -vc ' ro[, ]'"),
        "0\n",
        "all below is read-only, too"
    );
    let travels = json!({"Image": "busybox", "HostConfig": {"Binds": ["/tmp:/t:rshared"]}});
    let id = create(&story, &travels);
    ctl.call(["rm", &id]).expect();
    ctl.call(["volume", "rm", "data"]).expect();
    story.end();
}

/// A plugin that keeps volumes as directories below its own, and writes down what it is asked.
const PLUGIN: &str = r#"
import json, os, socketserver, sys
from http.server import BaseHTTPRequestHandler
root, path = sys.argv[1], sys.argv[2]
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers.get('Content-Length', 0))) or '{}')
        method = self.path.strip('/')
        open(root + '/asked', 'a').write(method + ' ' + asked.get('Name', '') + '\n')
        at = os.path.join(root, asked.get('Name', ''))
        answer = {'Err': ''}
        if method == 'Plugin.Activate': answer = {'Implements': ['VolumeDriver']}
        elif method == 'VolumeDriver.Create':
            if (asked.get('Opts') or {}).get('bad'): answer = {'Err': 'no such option'}
            else: os.makedirs(at, exist_ok=True)
        elif method in ('VolumeDriver.Path', 'VolumeDriver.Mount'): answer['Mountpoint'] = at
        elif method == 'VolumeDriver.Get': answer['Volume'] = {'Name': asked['Name'], 'Mountpoint': at, 'Status': {'kept': 'well'}}
        body = json.dumps(answer).encode()
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def address_string(self): return 'engine'
    def log_message(self, *words): pass
class Server(socketserver.ThreadingUnixStreamServer): daemon_threads = True
Server(path, Handler).serve_forever()
"#;

#[test]
fn a_plugin_keeps_volumes() {
    let story = Story::new();
    let ctl = story.ctl();
    let name = format!("wherrytest{}", std::process::id());
    std::fs::create_dir_all("/run/docker/plugins").unwrap();
    let socket = PathBuf::from(format!("/run/docker/plugins/{name}.sock"));
    let root = story.path("plugin");
    std::fs::create_dir(&root).unwrap();
    let mut plugin =
        std::process::Command::new("python3").args(["-c", PLUGIN]).arg(&root).arg(&socket).spawn().unwrap();
    until("the plugin", || socket.exists().then_some(()));
    ctl.call(["volume", "create", "-d", &name, "-o", "bad=1", "kept"])
        .run()
        .unwrap()
        .expect_code(1)
        .expect_complaint("no such option");
    ctl.call(["volume", "create", "-d", &name, "kept"]).expect();
    let shown = ctl
        .call(["volume", "inspect", "-f", "{{.Driver}} {{.Mountpoint}} {{.Status.kept}}", "kept"])
        .expect();
    assert_eq!(shown, format!("{name} {}/kept well", root.display()));
    ctl.call(["run", "--rm", "-v", "kept:/d", "busybox", "sh", "-c", "echo through >/d/f"]).expect();
    assert_eq!(std::fs::read_to_string(root.join("kept/f")).unwrap(), "through\n");
    ctl.call(["run", "--rm", "--volume-driver", &name, "-v", "other:/d", "busybox", "touch", "/d/g"])
        .expect();
    assert!(root.join("other/g").exists());
    ctl.call(["volume", "rm", "kept", "other"]).expect();
    let asked = std::fs::read_to_string(root.join("asked")).unwrap();
    for method in ["Mount", "Unmount", "Remove"] {
        assert!(asked.contains(&format!("VolumeDriver.{method} kept")), "{method} in {asked}");
    }
    ctl.call(["volume", "create", "-d", "surelynot", "x"])
        .run()
        .unwrap()
        .expect_code(1)
        .expect_complaint("error looking up volume plugin");
    plugin.kill().unwrap();
    plugin.wait().unwrap();
    std::fs::remove_file(&socket).unwrap();
    story.end();
}

#[test]
fn logs_are_sent_on_and_kept() {
    let story = Story::new();
    let ctl = story.ctl();
    let run = |flags: &[&str]| {
        let lines = ["busybox", "sh", "-c", "echo hello; echo trouble >&2"];
        let call = ctl
            .call(["run", "--name", "talker", "--label", "shelf=4"])
            .args(flags.iter().copied())
            .args(lines);
        call.run().unwrap().expect_code(0);
        let outcome = ctl.call(["logs", "talker"]).run().unwrap().expect_code(0);
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("hello\n", "trouble\n"), "{flags:?}");
        ctl.call(["rm", "talker"]).expect();
    };
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = format!("udp://{}", server.local_addr().unwrap());
    let mut buffer = vec![0; 9000];
    let mut two = || {
        let mut texts: Vec<Vec<u8>> = (0..2)
            .map(|_| server.recv(&mut buffer).map(|length| buffer[..length].to_vec()).unwrap())
            .collect();
        texts.sort();
        texts
    };
    let syslog = format!("syslog-address={address}");
    run(&[
        "--log-driver",
        "syslog",
        "--log-opt",
        &syslog,
        "--log-opt",
        "syslog-format=rfc3164",
        "--log-opt",
        "tag={{.Name}}/{{.ImageName}}",
    ]);
    let texts = two().into_iter().map(|text| String::from_utf8(text).unwrap()).collect::<Vec<_>>();
    assert!(texts[0].starts_with("<27>") && texts[0].ends_with("]: trouble\n"), "{texts:?}");
    assert!(texts[1].starts_with("<30>") && texts[1].contains(" talker/busybox["), "{texts:?}");
    let gelf = format!("gelf-address={address}");
    run(&[
        "--log-driver",
        "gelf",
        "--log-opt",
        &gelf,
        "--log-opt",
        "gelf-compression-type=none",
        "--log-opt",
        "labels=shelf",
    ]);
    let message: Value = serde_json::from_slice(&two()[0]).unwrap();
    assert_eq!(
        (&message["_shelf"], &message["_container_name"]),
        (&json!("4"), &json!("talker")),
        "{message}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let fluentd = format!("fluentd-address={}", listener.local_addr().unwrap());
    let received = std::thread::spawn(move || {
        let mut all = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
        String::from_utf8_lossy(&all).into_owned()
    });
    run(&[
        "--log-driver",
        "fluentd",
        "--log-opt",
        &fluentd,
        "--log-opt",
        "mode=non-blocking",
        "--log-opt",
        "max-buffer-size=2m",
    ]);
    let all = received.join().unwrap();
    assert!(all.contains("hello") && all.contains("trouble") && all.contains("/talker"), "{all:?}");
    let refused = |flags: &[&str], words: &str| {
        let call = ctl.call(["create"]).args(flags.iter().copied()).args(["busybox"]);
        call.run().unwrap().expect_code(1).expect_complaint(words);
    };
    refused(&["--log-driver", "gelf"], "gelf-address is a required parameter");
    refused(&["--log-driver", "syslog", "--log-opt", "syslog-facility=x"], "invalid syslog facility");
    refused(&["--log-opt", "foo=bar"], "unknown log opt 'foo' for json-file log driver");
    story.end();
}

#[test]
fn a_websocket_attaches() {
    let story = Story::new();
    let ctl = story.ctl();
    ctl.call(["run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", "echo before; cat"]).expect();
    until("the first line", || (ctl.call(["logs", "box"]).expect() == "before").then_some(()));
    let mut socket = connect(&story);
    socket
        .write_all(
            b"GET /containers/box/attach/ws?stream=1&stdin=1&stdout=1&logs=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
              Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    let mut frame = || {
        let mut head = [0; 2];
        reader.read_exact(&mut head).unwrap();
        let mut payload = vec![0; usize::from(head[1])];
        reader.read_exact(&mut payload).unwrap();
        (head[0] & 15, String::from_utf8_lossy(&payload).into_owned())
    };
    assert_eq!(frame(), (2, "before\n".to_owned()));
    let mask = [1, 2, 3, 4];
    let masked: Vec<u8> =
        b"hello\n".iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    socket.write_all(&[&[0x82, 0x86][..], &mask, &masked].concat()).unwrap();
    assert_eq!(frame(), (2, "hello\n".to_owned()));
    ctl.call(["kill", "box"]).expect();
    assert_eq!(frame().0, 8, "the end is told");
    ctl.call(["rm", "box"]).expect();
    story.end();
}

#[test]
fn clients_that_leave_leave_nothing() {
    let story = Story::new();
    let ctl = story.ctl();
    let script = "while :; do echo line; sleep 0.01; done";
    ctl.call(["run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", script]).expect();
    ctl.call(["exec", "box", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=24"]).expect();
    let pid = story.stack.daemon("engined").unwrap().pid;
    let descriptors = || std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let (_, exec) = ask(
        &story,
        "POST",
        "/containers/box/exec",
        &json!({"Cmd": ["cat"], "AttachStdin": true, "AttachStdout": true}),
    );
    let exec_path = format!("/exec/{}/start", exec["Id"].as_str().unwrap());
    let before = descriptors();
    let calls = [
        ("POST", "/containers/box/attach?stream=1&stdin=1&stdout=1&logs=1".to_owned()),
        ("GET", "/containers/box/logs?follow=1&stdout=1".to_owned()),
        ("GET", "/containers/box/stats".to_owned()),
        ("POST", "/containers/box/wait".to_owned()),
        ("GET", "/containers/box/export".to_owned()),
        ("GET", "/containers/box/archive?path=/big".to_owned()),
        ("PUT", "/containers/box/archive?path=/tmp".to_owned()),
        ("GET", "/events".to_owned()),
        ("POST", "/commit?container=box&repo=left&pause=0".to_owned()),
    ];
    for round in 0..3 {
        for (method, path) in &calls {
            let mut socket = connect(&story);
            let upgrade =
                if path.contains("attach?") { "Connection: Upgrade\r\nUpgrade: tcp\r\n" } else { "" };
            let length = if *method == "PUT" { 1 << 20 } else { 0 };
            let head =
                format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{upgrade}Content-Length: {length}\r\n\r\n");
            socket.write_all(head.as_bytes()).unwrap();
            if *method == "PUT" {
                socket.write_all(&[b'x'; 700]).unwrap();
            }
            if round > 0 && !path.contains("wait") && !path.contains("commit") && *method != "PUT" {
                // In the middle: an answer has begun.
                let _ = socket.read(&mut [0; 200]);
            }
        }
    }
    let mut socket = connect(&story);
    let body = "{\"Detach\":false}";
    let head = format!(
        "POST {exec_path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    let _ = socket.read(&mut [0; 200]);
    drop(socket);
    until("every descriptor to be given back", || (descriptors() <= before + 4).then_some(()));
    // A client's place is free: the next one gets all, and the container has not noticed.
    assert_eq!(ctl.call(["inspect", "-f", "{{.State.Running}}", "box"]).expect(), "true");
    let mounts = std::fs::read_dir(story.stack.dir.join("run/engined/mounts")).unwrap().count();
    assert_eq!(mounts, 0, "no root stays mounted");
    ctl.call(["rm", "-f", "box"]).expect();
    let _ = ctl.call(["rmi", "left"]).run();
    story.end();
}

#[test]
fn many_containers_are_listed_from_memory() {
    let count: usize = std::env::var("WHERRY_MANY").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let story = Story::new();
    let wish = json!({"Image": "busybox", "Cmd": ["true"], "Labels": {"a": "b"}});
    for _ in 0..count {
        create(&story, &wish);
    }
    // The supervisor stands still: whoever asked it would wait.
    let supervisor = story.stack.daemon("supervisord").unwrap();
    let signal = |name: &str| {
        let status = std::process::Command::new("kill").args([name, &supervisor.pid.to_string()]).status();
        assert!(status.unwrap().success());
    };
    signal("-STOP");
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        let (status, rows) = ask(&story, "GET", "/containers/json?all=1", &Value::Null);
        assert_eq!((status, rows.as_array().map(Vec::len)), (200, Some(count)));
        best = best.min(began.elapsed());
    }
    signal("-CONT");
    eprintln!("{count} containers listed in {best:?}");
    assert!(best < Duration::from_millis(30).max(Duration::from_micros(200 * count as u64)), "{best:?}");
    let (_, pruned) = ask(&story, "POST", "/containers/prune", &Value::Null);
    assert_eq!(pruned["ContainersDeleted"].as_array().map(Vec::len), Some(count));
    story.end();
}

#[test]
fn starts_at_once_are_no_slower_than_one_by_one() {
    const COUNT: usize = 8;
    let story = Story::new();
    let wish = json!({"Image": "busybox", "Cmd": ["sleep", "600"]});
    let ids: Vec<String> = (0..2 * COUNT).map(|_| create(&story, &wish)).collect();
    let start = |id: &String| {
        let (status, answer) = ask(&story, "POST", &format!("/containers/{id}/start"), &Value::Null);
        assert_eq!(status, 204, "{answer}");
    };
    let began = Instant::now();
    ids[..COUNT].iter().for_each(start);
    let one_by_one = began.elapsed();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for id in &ids[COUNT..] {
            scope.spawn(move || start(id));
        }
    });
    let at_once = began.elapsed();
    eprintln!("{COUNT} starts: {one_by_one:?} one by one, {at_once:?} at once");
    // On a machine that does other things, too, more than half as long again would be a lock.
    assert!(at_once < one_by_one * 3 / 2, "{at_once:?} against {one_by_one:?}");
    for id in &ids {
        ask(&story, "DELETE", &format!("/containers/{id}?force=1"), &Value::Null);
    }
    story.end();
}

/// One shell line on an engine: exit code, what it printed, what it complained of.
fn shell(host: &str, line: &str) -> (i32, String, String) {
    let output = std::process::Command::new("sh")
        .args(["-c", line])
        .env("DOCKER_HOST", host)
        // What both speak, so that the version makes no difference.
        .env("DOCKER_API_VERSION", "1.41")
        .env("DOCKER_CONFIG", "/nonexistent")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Without what no two engines have in common.
fn normalised(text: &str) -> String {
    let mut words = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_id = matches!(bare.len(), 12 | 64) && bare.bytes().all(|b| b.is_ascii_hexdigit());
        words.push_str(if is_id { "ID" } else { bare });
        words.push_str(&word[bare.len()..]);
    }
    // Docker has changed the first letters of its complaints between the versions.
    words.to_lowercase()
}

/// An engine's container and volume events as lines; what an end is made of comes in any order.
fn events(host: &str, since: &str) -> Vec<String> {
    let (_, text, _) = shell(
        host,
        &format!("docker events --since {since} --until $(date +%s.%N) --format '{{{{json .}}}}'"),
    );
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).expect("an event");
        let mut attributes = event["Actor"]["Attributes"].clone();
        let fields = attributes.as_object_mut().expect("attributes");
        // Newer engines tell how long it ran.
        fields.remove("execDuration");
        lines.push(normalised(&format!("{} {} {attributes}", event["Type"], event["Action"])));
    }
    let is_end =
        |line: &String| ["\"die\"", "\"disconnect\"", "\"unmount\""].iter().any(|word| line.contains(word));
    let mut sorted: Vec<String> = Vec::new();
    for run in lines.chunk_by(|a, b| is_end(a) && is_end(b)) {
        let mut run = run.to_vec();
        if is_end(&run[0]) {
            run.sort();
        }
        sorted.extend(run);
    }
    sorted
}

#[test]
fn side_by_side_with_dockerd() {
    if !peer::require("dockerd") || !peer::require("docker") {
        return;
    }
    let story = Story::new();
    let dockerd = peer::Dockerd::start_in_own_network(&story.path("dockerd")).expect("a dockerd");
    let archive =
        image::Image::busybox().and_then(|image| image.docker_archive("busybox:latest")).expect("an image");
    std::fs::write(story.path("busybox.tar"), archive).unwrap();
    let hosts = [dockerd.docker_host(), story.stack.docker_host()];
    let (code, _, said) =
        shell(&hosts[0], &format!("docker load -i {}", story.path("busybox.tar").display()));
    assert_eq!(code, 0, "{said}");
    let script = [
        "docker run --name a busybox sh -c 'echo out; echo err >&2; exit 3'",
        "docker run -d --name b --label x=y -e A=1 -v data:/data -v /tmp:/t:ro --tmpfs /q busybox sleep 600",
        "docker inspect -f '{{json .Mounts}}' b | tr '{' '\\n' | sed 's/\"Source\":\"[^\"]*\"//' | sort",
        "docker inspect -f '{{json .Config}}' b",
        "docker inspect -f '{{.HostConfig.RestartPolicy}} {{.HostConfig.Binds}} {{.HostConfig.Tmpfs}} {{.HostConfig.PidsLimit}} {{.HostConfig.MemorySwappiness}}' b",
        "docker inspect -f '{{.Path}} {{.Args}} {{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}' a b",
        "docker ps -a --format '{{.Names}} {{.Image}} {{.Command}} {{.Labels}} {{.State}} {{.Networks}} {{.LocalVolumes}}'",
        "docker exec -e B=2 -w /tmp b sh -c 'echo $A $B; pwd'; docker exec b sh -c 'exit 9'; echo $?",
        "docker exec b true; docker exec a true",
        "docker top b -o pid,comm | wc -l",
        "docker pause b; docker pause b; docker unpause b; docker unpause b",
        "docker rename b a; docker rename b c; docker kill -s USR1 c; docker kill -s NONE c",
        "docker update --restart on-failure:3 --memory 64m --memory-swap 128m c; docker update --memory 1m c",
        "docker stop -t 0 c; docker stop c; docker kill c 2>&1 | grep -o 'is not running'; docker start c; docker restart -t 0 c",
        "docker rm c 2>/dev/null; docker rm -f c; docker rm nobody; docker wait a; docker logs a",
        "docker cp /etc/hostname a:/x/y/z; docker cp a:/nothing -; docker cp /etc/hostname a:/tmp/h; docker diff a",
        "docker volume create data; docker volume create data2 --label a=b; docker volume inspect -f '{{.Driver}} {{.Labels}} {{.Options}} {{.Scope}}' data2",
        "docker volume create -d nothing data3; docker volume create -o foo=1 data3; docker volume rm data data2 data3",
        "docker create --cpuset-cpus 99 busybox; docker create --cap-add FLY busybox; docker create -v /a:/b:foo busybox",
        "docker create --security-opt foo busybox; docker create --mount type=bind,source=/nothing,target=/x busybox; docker create -w rel busybox",
        "docker run --rm --gpus all busybox true; docker run --rm --link nobody:x busybox true; docker create --volumes-from nobody busybox",
        "docker rm a; docker volume prune -f; docker container prune -f --filter until=nonsense",
    ];
    let since = shell("", "date +%s.%N").1.trim().to_owned();
    let mut differences = String::new();
    for line in script {
        let [theirs, ours] = [&hosts[0], &hosts[1]].map(|host| {
            let (code, said, complained) = shell(host, line);
            (code, normalised(&said), normalised(&complained))
        });
        if theirs != ours {
            differences.push_str(&format!("\n$ {line}\n  docker: {theirs:?}\n  ours:   {ours:?}"));
        }
    }
    let [theirs, ours] = [&hosts[0], &hosts[1]].map(|host| events(host, &since));
    for (theirs, ours) in theirs.iter().zip(&ours).filter(|(theirs, ours)| theirs != ours).take(4) {
        differences.push_str(&format!("\nevent\n  docker: {theirs}\n  ours:   {ours}"));
    }
    assert!(differences.is_empty(), "{differences}");
    assert_eq!(theirs.len(), ours.len(), "as many events");
    drop(dockerd);
    story.end();
}
