//! The engine's finer points: volumes, archives, settings.

use integration::{Client, Story, until};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// One request on the engine's socket; the whole answer.
fn request(story: &Story, head: &str, body: &[u8]) -> String {
    let host = story.stack.docker_host();
    let mut socket = UnixStream::connect(host.trim_start_matches("unix://")).expect("the engine's socket");
    let head =
        format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    socket.write_all(head.as_bytes()).expect("the request goes out");
    let _ = socket.write_all(body);
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    answer
}

fn sh(client: &Client, arguments: &[&str], script: &str) -> String {
    client
        .call(["run", "--rm"])
        .args(arguments.iter().copied())
        .args(["busybox", "sh", "-c", script])
        .expect()
}

#[test]
fn new_volumes_start_with_the_images_files() {
    let story = Story::new();
    let ctl = story.ctl();
    let script = "mkdir -m 2750 /data /data/sub; echo one >/data/sub/file; ln /data/sub/file /data/hard; \
                  ln -s /etc/passwd /data/link; chown 7:8 /data /data/sub/file; chmod 4711 /data/sub/file";
    ctl.call(["run", "--name", "maker", "busybox", "sh", "-c", script]).expect();
    ctl.call(["commit", "maker", "filled"]).expect();
    let look = "cd /data; stat -c '%n %u:%g %a %F %h' . sub sub/file hard link; readlink link; cat hard";
    let wanted = sh_in(&ctl, "filled", &[], look);
    assert_eq!(sh_in(&ctl, "filled", &["-v", "named:/data"], look), wanted);
    assert_eq!(sh(&ctl, &["-v", "named:/data"], look), wanted, "the volume has them for others, too");
    assert_eq!(sh_in(&ctl, "filled", &["-v", "/data"], look), wanted);
    assert_eq!(sh_in(&ctl, "filled", &["-v", "bare:/data:nocopy"], "ls -A /data"), "");
    ctl.call(["rm", "maker"]).expect();
    ctl.call(["rmi", "filled"]).expect();
    ctl.call(["volume", "rm", "named", "bare"]).expect();
    story.end();
}

fn sh_in(client: &Client, image: &str, arguments: &[&str], script: &str) -> String {
    client.call(["run", "--rm"]).args(arguments.iter().copied()).args([image, "sh", "-c", script]).expect()
}

#[test]
fn archives_keep_names_kinds_and_owners() {
    let story = Story::new();
    let ctl = story.ctl();
    ctl.call(["run", "-d", "--name", "box", "-u", "7:8", "busybox", "sleep", "600"]).expect();
    ctl.call(["exec", "-u", "0", "box", "sh", "-c", "mkdir -p /in/d; touch /in/f; echo old >/in/keep"])
        .expect();
    let tar = |names: &[(&str, bool)]| {
        let dir = tempfile::tempdir().unwrap();
        for (name, is_dir) in names {
            let path = dir.path().join(name);
            if *is_dir { std::fs::create_dir(path).unwrap() } else { std::fs::write(path, "new").unwrap() }
        }
        std::process::Command::new("tar").arg("-cC").arg(dir.path()).arg(".").output().unwrap().stdout
    };
    let put = |query: &str, body: &[u8]| {
        request(&story, &format!("PUT /containers/box/archive?path=/in{query}"), body)
    };
    let answer = put("", &tar(&[(".wh.keep", false)]));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let listed = ctl.call(["exec", "box", "sh", "-c", "cat /in/keep /in/.wh.keep"]).expect();
    assert_eq!(listed, "old\nnew");
    for (name, is_dir) in [("d", false), ("f", true)] {
        let answer = put("&noOverwriteDirNonDir=1", &tar(&[(name, is_dir)]));
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("cannot overwrite"), "{answer}");
    }
    put("&copyUIDGID=1", &tar(&[("mine", false)]));
    assert_eq!(ctl.call(["exec", "box", "stat", "-c", "%u:%g", "/in/mine"]).expect(), "7:8");
    let answer = put("", b"this is no archive");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    ctl.call(["rm", "-f", "box"]).expect();
    story.end();
}

#[test]
fn settings_are_read_again_on_a_hangup() {
    let story = Story::new();
    let ctl = story.ctl();
    let pid = std::fs::read_to_string(story.stack.dir.join("run/engined.pid")).unwrap();
    let file = story.stack.dir.join("daemon.json");
    let reload = |text: &str| {
        std::fs::write(&file, text).unwrap();
        std::process::Command::new("kill").args(["-HUP", pid.trim()]).status().unwrap();
    };
    reload(r#"{"labels":["shelf=4"],"runtimes":{"mine":{"path":"/usr/bin/runc"}},"default-runtime":"mine"}"#);
    let info = || ctl.call(["info", "-f", "{{json .}}"]).expect();
    until("the new settings", || info().contains("shelf=4").then_some(()));
    assert!(info().contains("\"DefaultRuntime\":\"mine\""));
    reload("{ broken");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(info().contains("shelf=4"), "what was good stays");
    std::fs::remove_file(&file).unwrap();
    story.end();
}

#[test]
fn containers_check_their_health() {
    let story = Story::new();
    let ctl = story.ctl();
    let flags = [
        "--health-cmd",
        "echo looked; test -e /tmp/well",
        "--health-interval",
        "100ms",
        "--health-retries",
        "2",
    ];
    ctl.call(["run", "-d", "--name", "box"]).args(flags).args(["busybox", "sleep", "600"]).expect();
    let status = || ctl.call(["inspect", "-f", "{{.State.Health.Status}}", "box"]).expect();
    let until_status = |wanted: &str| until(wanted, || (status() == wanted).then_some(()));
    assert!(ctl.call(["ps"]).expect().contains("(health: starting)"));
    until_status("unhealthy");
    assert!(ctl.call(["ps", "--filter", "health=unhealthy"]).expect().contains("(unhealthy)"));
    ctl.call(["exec", "box", "touch", "/tmp/well"]).expect();
    until_status("healthy");
    let log = ctl.call(["inspect", "-f", "{{json .State.Health.Log}}", "box"]).expect();
    assert!(log.contains("looked"), "{log}");
    // The engine dies; its successor goes on checking.
    story.stack.daemon("engined").unwrap().kill().unwrap();
    story.stack.start_engined().unwrap();
    assert_eq!(status(), "healthy");
    ctl.call(["exec", "box", "rm", "/tmp/well"]).expect();
    until_status("unhealthy");
    let events = ctl.call(["events", "--since", "1m", "--until", "0s", "--filter", "container=box"]).expect();
    assert!(events.contains("health_status: unhealthy"), "{events}");
    ctl.call(["rm", "-f", "box"]).expect();
    // A check that does not end is ended.
    ctl.call(["run", "-d", "--name", "slow", "--health-cmd", "sleep 60", "--health-interval", "100ms"])
        .args(["--health-timeout", "200ms", "--health-retries", "1", "busybox", "sleep", "600"])
        .expect();
    until("a slow check", || ctl.call(["ps"]).expect().contains("(unhealthy)").then_some(()));
    ctl.call(["rm", "-f", "slow"]).expect();
    story.end();
}

#[test]
fn networks_have_names_and_walls() {
    let story = Story::new();
    for client in story.clients() {
        let crew = client.own("crew");
        client
            .call([
                "network",
                "create",
                "--subnet",
                "10.213.7.0/24",
                "--gateway",
                "10.213.7.9",
                "--label",
                "a=b",
                &crew,
            ])
            .expect();
        let other = client.own("other");
        client.call(["network", "create", &other]).expect();
        client.call(["network", "create", "--internal", &client.own("island")]).expect();
        let web = client.own("web");
        client
            .call([
                "run",
                "-d",
                "--name",
                &web,
                "--network",
                &crew,
                "--network-alias",
                "www",
                "--ip",
                "10.213.7.77",
            ])
            .args(["busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello"])
            .expect();
        let on = |network: &str, script: &str| {
            client.call(["run", "--rm", "--network", network, "busybox", "sh", "-c", script]).run().unwrap()
        };
        for name in [web.as_str(), "www", &format!("www.{crew}"), "10.213.7.77"] {
            let said = until(name, || {
                Some(on(&crew, &format!("nc -w 2 {name} 80"))).filter(|said| !said.stdout.is_empty())
            });
            assert_eq!(said.stdout.trim(), "hello", "{name}: {}", said.stderr);
        }
        let looked = on(&crew, "cat /etc/resolv.conf; ip route; nslookup 10.213.7.77");
        assert!(
            looked.stdout.contains("nameserver 127.0.0.11") && looked.stdout.contains("via 10.213.7.9"),
            "{looked:?}"
        );
        assert!(looked.stdout.contains(&format!("{web}.{crew}")), "{looked:?}");
        assert!(on(&other, "nc -w 2 10.213.7.77 80").stdout.is_empty(), "bridges are walled off");
        assert!(!on(&other, &format!("nslookup {web}")).stdout.contains("10.213.7.77"), "names, too");
        // Connected while it runs, and disconnected.
        let both = client.own("both");
        client.call(["run", "-d", "--name", &both, "--network", &other, "busybox", "sleep", "600"]).expect();
        client.call(["network", "connect", "--alias", "late", &crew, &both]).expect();
        assert_eq!(client.call(["exec", &both, "nc", "-w", "2", "www", "80"]).expect(), "hello");
        assert!(on(&crew, "nslookup late").stdout.contains("10.213.7."));
        client.call(["network", "rm", &crew]).run().unwrap().expect_complaint("has active endpoints");
        let shown = client.call(["network", "inspect", &crew]).expect();
        assert!(
            shown.contains(&both) && shown.contains("\"a\": \"b\"") && shown.contains("10.213.7.77/24"),
            "{shown}"
        );
        client.call(["network", "disconnect", &crew, &both]).expect();
        assert!(client.call(["exec", &both, "ip", "addr"]).expect().matches("inet 1").count() == 2);
        // A new engine answers again.
        story.stack.daemon("engined").unwrap().kill().unwrap();
        story.stack.start_engined().unwrap();
        client.call(["network", "connect", &crew, &both]).expect();
        assert_eq!(client.call(["exec", &both, "nc", "-w", "2", "www", "80"]).expect(), "hello");
        assert!(
            client.call(["network", "ls", "-q", "--filter", "type=custom"]).expect().lines().count() == 3
        );
        client.call(["rm", "-f", &web, &both]).expect();
        client.call(["network", "prune", "-f"]).expect();
        assert!(client.call(["network", "ls", "-q"]).expect().lines().count() == 3);
    }
    story.end();
}

#[test]
fn volumes_may_be_mounts() {
    let story = Story::new();
    let ctl = story.ctl();
    let shelf = story.path("shelf");
    std::fs::create_dir(&shelf).unwrap();
    std::fs::write(shelf.join("book"), "pages").unwrap();
    let device = format!("device={}", shelf.display());
    ctl.call(["volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", &device, "books"])
        .expect();
    assert_eq!(sh(&ctl, &["-v", "books:/b"], "cat /b/book; echo more >/b/new"), "pages");
    assert_eq!(std::fs::read_to_string(shelf.join("new")).unwrap(), "more\n");
    ctl.call([
        "volume",
        "create",
        "--opt",
        "type=tmpfs",
        "--opt",
        "device=tmpfs",
        "--opt",
        "o=size=1m,mode=700",
        "brief",
    ])
    .expect();
    assert_eq!(sh(&ctl, &["-v", "brief:/b"], "stat -f -c %T /b; stat -c %a /b"), "tmpfs\n700");
    ctl.call(["volume", "create", "--opt", "colour=red", "bad"])
        .run()
        .unwrap()
        .expect_complaint("invalid option");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("volumes/books") && !mounts.contains("volumes/brief"), "nothing stays mounted");
    ctl.call(["volume", "rm", "books", "brief"]).expect();
    assert!(shelf.join("book").exists(), "the host's files are the host's");
    story.end();
}

#[test]
fn compose_brings_a_project_up_and_down() {
    let Some(compose) = integration::peer::find("docker-compose") else {
        assert!(!integration::peer::require("docker-compose"), "docker-compose");
        return;
    };
    let story = Story::new();
    let project = story.path("project");
    std::fs::create_dir(&project).unwrap();
    let file = project.join("docker-compose.yml");
    let text = r#"
version: "2.4"
services:
  web:
    image: busybox
    command: ["nc", "-ll", "-p", "80", "-e", "echo", "hello"]
    healthcheck: {test: ["CMD", "true"], interval: 100ms}
    volumes: ["data:/data"]
  probe:
    image: busybox
    command: ["sh", "-c", "until nc -w 3 web 80; do sleep 0.1; done"]
    depends_on: {web: {condition: service_healthy}}
volumes: {data: {}}
"#;
    std::fs::write(&file, text).unwrap();
    let run = |arguments: &[&str]| {
        let file = file.display().to_string();
        story.stack.client(&compose, ["-f", &file, "-p", "crew"]).args(arguments.iter().copied()).expect()
    };
    run(&["up", "-d"]);
    until("the probe's word", || run(&["logs", "--no-color", "probe"]).contains("hello").then_some(()));
    run(&["down", "-v", "-t", "0"]);
    assert_eq!(story.ctl().call(["ps", "-aq"]).expect(), "");
    assert_eq!(story.ctl().call(["volume", "ls", "-q"]).expect(), "");
    story.end();
}

/// What a service manager does: a listening socket as descriptor 3, and a place for messages.
const SERVICE_MANAGER: &str = r#"
import os, socket, sys
directory, program = sys.argv[1], sys.argv[2:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(directory + "/given.sock")
listener.listen()
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(directory + "/notify")
manager.settimeout(20)
pid = os.fork()
if pid == 0:
    os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", NOTIFY_SOCKET=directory + "/notify")
    os.execv(program[0], program)
print(manager.recv(100).decode().split("\n")[0])
client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
client.connect(directory + "/given.sock")
client.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
print(client.recv(100).decode().split("\r\n")[0])
os.kill(pid, 15)
print(manager.recv(100).decode().split("\n")[0])
os.waitpid(pid, 0)
print("socket kept" if os.path.exists(directory + "/given.sock") else "socket gone")
"#;

#[test]
fn a_service_manager_gives_the_socket_and_hears_of_readiness() {
    let story = Story::new();
    let directory = story.path("managed");
    std::fs::create_dir(&directory).unwrap();
    let root = |name: &str| directory.join(name).display().to_string();
    let output = std::process::Command::new("python3")
        .args(["-c", SERVICE_MANAGER, &directory.display().to_string()])
        .arg(story.stack.programs().path("engined"))
        .args(["-H", "fd://", "--bridge", "none", "--containerd-namespace", "managed"])
        .args(["--data-root", &root("data"), "--exec-root", &root("run"), "--config-file", "/dev/null"])
        .arg("--containerd")
        .arg(story.stack.containerd_address())
        .output()
        .unwrap();
    integration::remove_network_of(&directory.join("data"), &directory.join("run")).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "READY=1\nHTTP/1.1 200 OK\nSTOPPING=1\nsocket kept\n", "{output:?}");
    story.end();
}

#[test]
fn terminals_are_resized_and_left_by_keys() {
    let story = Story::new();
    let ctl = story.ctl();
    ctl.call(["run", "-dit", "--name", "box", "--detach-keys", "ctrl-x,y", "busybox", "sh"]).expect();
    assert!(request(&story, "POST /containers/box/resize?h=33&w=99", b"").starts_with("HTTP/1.1 200"));
    until("the size", || {
        (ctl.call(["exec", "box", "stty", "-F", "/proc/1/fd/0", "size"]).run().unwrap().stdout.trim()
            == "33 99")
            .then_some(())
    });
    let socket = story.stack.docker_host();
    let mut stream = UnixStream::connect(socket.trim_start_matches("unix://")).unwrap();
    let head = "POST /containers/box/attach?stream=1&stdin=1&stdout=1&detachKeys=ctrl-x,y HTTP/1.1\r\nHost: x\r\n\
                Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"echo $((6*7))\n").unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 512];
    while !String::from_utf8_lossy(&seen).contains("\n42") {
        let length = stream.read(&mut buffer).expect("the terminal's words");
        assert!(length > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..length]);
    }
    stream.write_all(b"\x18y").unwrap();
    while stream.read(&mut buffer).expect("the end of the stream") > 0 {}
    assert_eq!(ctl.call(["inspect", "-f", "{{.State.Running}}", "box"]).expect(), "true");
    ctl.call(["rm", "-f", "box"]).expect();
    story.end();
}
