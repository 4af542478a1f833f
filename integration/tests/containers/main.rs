//! Containers as programs ask for them: every field, devices, links, mounts, log drivers, plugins, many at once.

mod fields;
mod log_drivers;
mod many;
mod remap;
mod resting;
mod side_by_side;
mod volume_plugin;

use integration::{Story, until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

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
    let links =
        || ask(&story, "GET", "/v1.41/containers/web/json", &Value::Null).1["HostConfig"]["Links"].clone();
    assert_eq!(links(), json!(["/db:/web/data"]));
    let (status, answer) = ask(&story, "DELETE", "/containers/web/data?link=1", &Value::Null);
    assert!(status == 204 && links().as_array().is_none_or(Vec::is_empty), "{status} {answer} {}", links());
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
    ctl.call(["rm", "-f", "box"]).expect();
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
