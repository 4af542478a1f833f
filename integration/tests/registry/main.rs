//! Registries: passwords and TLS, wires that break, several platforms, and what is asked of them besides.

mod index;
mod secure;
mod wire;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use integration::image::{Codec, Image, Layer};
use integration::peer::{Registry, require};
use integration::{Story, until};
use secure::{PASSWORD, SecureRegistry, USER};
use serde_json::Value;
use wire::Wire;

/// Asks the engine itself; status and body.
fn ask(story: &Story, method: &str, path: &str, body: &str) -> (u16, Value) {
    let socket = story.stack.docker_host();
    let mut stream = UnixStream::connect(socket.trim_start_matches("unix://")).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    // One chunk, or none: these answers are small.
    let json = rest.find(['{', '[']).map_or("null", |at| &rest[at..=rest.rfind(['}', ']']).unwrap()]);
    (status, serde_json::from_str(json).unwrap_or(Value::Null))
}

/// Copies a layout with all its manifests to a registry.
fn put_all(registry: &Registry, layout: &Path, name: &str, repository: &str) {
    let copied = Command::new("skopeo")
        .args(["copy", "-q", "--all", "--insecure-policy", "--preserve-digests", "--dest-tls-verify=false"])
        .arg(format!("oci:{}:{name}", layout.display()))
        .arg(format!("docker://{}/{repository}", registry.host))
        .output()
        .unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
}

/// A layer of bytes that do not compress, so that sizes mean something.
fn noise(name: &str, bytes: usize) -> Layer {
    let mut x = 0x2545_f491_4f6c_dd1d_u64 ^ name.len() as u64;
    let mut content = Vec::with_capacity(bytes);
    while content.len() < bytes {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        content.extend_from_slice(&x.to_le_bytes());
    }
    Layer::files(&[(name, &content)]).unwrap()
}

#[test]
fn a_password_and_tls() {
    if !require("docker-registry") || !require("openssl") {
        return;
    }
    let story = Story::new();
    let registry = SecureRegistry::start(&story.path("secure")).unwrap();
    for client in story.clients() {
        let host = registry.host.as_str();
        let name = format!("{host}/{}:v1", client.own("boat").to_lowercase());
        client.call(["tag", "busybox", &name]).expect();
        client.call(["push", &name]).run().unwrap().expect_code(1);
        client
            .call(["login", "-u", USER, "-p", "wrong", host])
            .run()
            .unwrap()
            .expect_code(1)
            .expect_complaint("unauthorized");
        let login = client.call(["login", "-u", USER, "-p", PASSWORD, host]).expect();
        assert!(login.contains("Login Succeeded"), "{login}");
        assert!(client.call(["push", &name]).expect().contains("digest: sha256:"));
        client.call(["rmi", &name]).expect();
        client.call(["pull", &name]).expect();
        assert_eq!(client.call(["run", "--rm", &name, "echo", "aboard"]).expect(), "aboard");
        client.call(["logout", host]).expect();
        client.call(["rmi", &name]).expect();
        client.call(["pull", &name]).run().unwrap().expect_code(1).expect_complaint("pull access denied");
    }
    let (status, answer) = ask(
        &story,
        "POST",
        "/auth",
        &format!(r#"{{"username":"{USER}","password":"x","serveraddress":"{}"}}"#, registry.host),
    );
    assert_eq!(status, 401, "{answer}");
    drop(registry);
    // The clients' configuration, which a login makes.
    std::fs::remove_dir_all(story.stack.dir.join("docker-config")).unwrap();
    story.end();
}

#[test]
fn a_pull_cut_anywhere_goes_on() {
    if !require("docker-registry") || !require("skopeo") {
        return;
    }
    let story = Story::new();
    let registry = Registry::start(&story.path("")).unwrap();
    let mut image = Image::busybox().unwrap();
    image.layers.extend([noise("a", 1 << 20), noise("bb", 2 << 20)]);
    image.write_oci_layout(&story.path("layout"), "cut", Codec::Gzip).unwrap();
    registry.put(&story.path("layout"), "cut", "boat:cut").unwrap();
    let wire = Wire::to(&registry.host);
    let name = format!("{}/boat:cut", wire.host);
    let rounds: u64 = std::env::var("WHERRY_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    for round in 0..rounds {
        wire.cut_within((256 << 10) << (round % 4));
        let mut tries = 0;
        while story.ctl().call(["pull", &name]).run().unwrap().code != 0 {
            // A pull that failed leaves no image, whole or broken.
            story.ctl().call(["image", "inspect", &name]).run().unwrap().expect_code(1);
            tries += 1;
            assert!(tries < 200, "no progress");
        }
        assert_eq!(
            story.ctl().call(["run", "--rm", &name, "stat", "-c", "%s", "/a", "/bb"]).expect(),
            "1048576\n2097152"
        );
        assert_eq!(story.ctl().call(["image", "inspect", "-f", "{{.Id}}", &name]).expect(), image.id());
        wire.cut_within(0);
        story.ctl().call(["rmi", &name]).expect();
    }
    drop(registry);
    story.end();
}

#[test]
fn a_pull_that_was_left_is_taken_up_after_a_restart() {
    if !require("docker-registry") || !require("skopeo") {
        return;
    }
    let story = Story::new();
    let registry = Registry::start(&story.path("")).unwrap();
    let size = 6 << 20;
    let mut image = Image::busybox().unwrap();
    image.layers.push(noise("cargo", size));
    image.write_oci_layout(&story.path("layout"), "left", Codec::Plain).unwrap();
    registry.put(&story.path("layout"), "left", "boat:left").unwrap();
    let wire = Wire::to(&registry.host);
    let name = format!("{}/boat:left", wire.host);
    for kills in [false, true] {
        let before = wire.carried();
        wire.slow(Duration::from_millis(4));
        let mut pulling = story.ctl().call(["pull", &name]).spawn().unwrap();
        until("half of it", || (wire.carried() - before > size as u64 / 2).then_some(()));
        if kills {
            // Nobody says goodbye.
            story.stack.daemon("supervisord").unwrap().kill().unwrap();
            story.stack.start_supervisord().unwrap();
        }
        pulling.kill().unwrap();
        pulling.wait().unwrap();
        wire.slow(Duration::ZERO);
        story.ctl().call(["image", "inspect", &name]).run().unwrap().expect_code(1);
        let half = wire.carried();
        until("a pull", || (story.ctl().call(["pull", &name]).run().unwrap().code == 0).then_some(()));
        let rest = wire.carried() - half;
        // Busybox's layer is here already. What the wire and the pipes held when it was cut is asked for again.
        assert!(rest < size as u64 * 3 / 4, "{rest} of {size} bytes were fetched again (kill: {kills})");
        assert_eq!(
            story.ctl().call(["run", "--rm", &name, "stat", "-c", "%s", "/cargo"]).expect(),
            size.to_string()
        );
        story.ctl().call(["rmi", &name]).expect();
    }
    drop(registry);
    story.end();
}

#[test]
fn clients_that_leave_hold_nothing_up() {
    if !require("docker-registry") {
        return;
    }
    let story = Story::new();
    let registry = Registry::start(&story.path("")).unwrap();
    let mut image = Image::busybox().unwrap();
    image.layers.push(noise("heavy", 8 << 20));
    story.ctl().call(["load"]).input(image.docker_archive("heavy:1").unwrap()).expect();
    let wire = Wire::to(&registry.host);
    let name = format!("{}/heavy:1", wire.host);
    story.ctl().call(["tag", "heavy:1", &name]).expect();
    let ended = |mut child: std::process::Child| {
        child.kill().unwrap();
        child.wait().unwrap();
    };
    // In the middle of a push, a save that nobody reads, and a load that gives half.
    let pushing = story.ctl().call(["push", &name]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(150));
    ended(pushing);
    // It reads no more than a pipe holds.
    let mut saving = story.ctl().call(["save", "heavy:1"]).spawn().unwrap();
    saving.stdout.take().unwrap().read_exact(&mut [0; 4096]).unwrap();
    ended(saving);
    let mut loading = story.ctl().call(["load"]).spawn().unwrap();
    let archive = image.docker_archive("half:1").unwrap();
    let mut stdin = loading.stdin.take().unwrap();
    stdin.write_all(&archive[..archive.len() / 2]).unwrap();
    ended(loading);
    drop(stdin);
    // Everything can be done again, and at once.
    story.ctl().call(["image", "inspect", "half:1"]).run().unwrap().expect_code(1);
    assert!(story.ctl().call(["push", &name]).expect().contains("digest: sha256:"));
    let saved = story.path("saved.tar");
    story.ctl().call(["save", "-o", saved.to_str().unwrap(), "heavy:1"]).expect();
    assert!(story.ctl().call(["load"]).input(archive).expect().contains("half:1"));
    let leases = Command::new("ctr")
        .arg("-a")
        .arg(story.stack.containerd_address())
        .args(["-n", "moby", "leases", "ls", "-q"])
        .output();
    if let Ok(leases) = leases {
        assert_eq!(String::from_utf8_lossy(&leases.stdout).trim(), "", "leases of those that left");
    }
    drop(registry);
    story.end();
}

#[test]
fn one_name_for_several_platforms() {
    if !require("docker-registry") || !require("skopeo") {
        return;
    }
    let story = Story::new();
    let registry = Registry::start(&story.path("")).unwrap();
    let layout = story.path("layout");
    let [top, amd64, arm64] = index::write(&layout, "both").unwrap();
    put_all(&registry, &layout, "both", "boat:both");
    let name = format!("{}/boat:both", registry.host);
    let ctl = story.ctl();
    ctl.call(["pull", "--platform", "linux/s390x", &name])
        .run()
        .unwrap()
        .expect_code(1)
        .expect_complaint("no matching manifest for linux/s390x");
    ctl.call(["pull", "--platform", "linux/arm64", &name]).expect();
    assert_eq!(ctl.call(["image", "inspect", "-f", "{{.Architecture}}", &name]).expect(), "arm64");
    ctl.call(["pull", &name]).expect();
    assert_eq!(ctl.call(["image", "inspect", "-f", "{{.Architecture}}", &name]).expect(), "amd64");
    assert_eq!(ctl.call(["run", "--rm", &name, "echo", "here"]).expect(), "here");
    let path = |what: &str| format!("/images/{name}/{what}");
    let (_, listed) = ask(&story, "GET", "/images/json?manifests=1", "");
    let row =
        listed.as_array().unwrap().iter().find(|row| row["Descriptor"]["digest"] == *top).expect("the image");
    let kinds: Vec<_> = row["Manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["Kind"].as_str().unwrap(), one["Available"] == true))
        .collect();
    assert_eq!(kinds, [("image", true), ("image", true), ("attestation", false)]);
    let (_, inspected) = ask(&story, "GET", &path("json?manifests=1"), "");
    assert_eq!(inspected["Manifests"][1]["ImageData"]["Platform"]["architecture"], "arm64");
    let arm = "%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm64%22%7D";
    let (_, inspected) = ask(&story, "GET", &path(&format!("json?platform={arm}")), "");
    assert_eq!(inspected["Architecture"], "arm64");
    let (_, rows) = ask(&story, "GET", &path(&format!("history?platform={arm}")), "");
    assert_eq!(rows[0]["CreatedBy"], "made for arm64");
    let (status, answer) = ask(&story, "GET", &path(&format!("json?manifests=1&platform={arm}")), "");
    assert_eq!(
        (status, answer["message"].as_str()),
        (400, Some("conflicting options: manifests and platform options cannot both be set"))
    );
    let (status, _) = ask(
        &story,
        "GET",
        &path("json?platform=%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22riscv64%22%7D"),
        "",
    );
    assert_eq!(status, 404);
    assert_eq!(
        ask(&story, "GET", &path("attestations"), "").1.as_array().map(Vec::len),
        Some(0),
        "it was not pulled"
    );
    // Without a pull: what the registry has.
    let (status, found) = ask(&story, "GET", &format!("/distribution/{name}/json"), "");
    assert_eq!((status, &found["Descriptor"]["digest"]), (200, &Value::from(top.as_str())));
    assert_eq!(found["Platforms"][1]["architecture"], "arm64");
    let (_, found) = ask(&story, "GET", &format!("/distribution/{}/boat@{amd64}/json", registry.host), "");
    assert_eq!(found["Platforms"][0]["architecture"], "amd64");
    assert_eq!(ask(&story, "GET", &format!("/distribution/{}/none:x/json", registry.host), "").0, 404);
    // One platform saved and loaded alone.
    let saved = story.path("arm64.tar");
    for client in story
        .clients()
        .iter()
        .filter(|client| client.call(["save", "--help"]).expect().contains("--platform"))
    {
        client.call(["save", "--platform", "linux/arm64", "-o", saved.to_str().unwrap(), &name]).expect();
    }
    ctl.call(["rmi", &name]).expect();
    ctl.call(["load", "-i", saved.to_str().unwrap()]).expect();
    let (_, inspected) = ask(&story, "GET", &path("json"), "");
    assert_eq!(inspected["Architecture"], "arm64");
    assert!(!arm64.is_empty());
    drop(registry);
    story.end();
}

#[test]
fn an_archive_keeps_attestations() {
    let story = Story::new();
    let layout = story.path("layout");
    let [_, amd64, _] = index::write(&layout, "docker.io/library/attested:1").unwrap();
    let tar = Command::new("tar").arg("-C").arg(&layout).args(["-c", "."]).output().unwrap().stdout;
    assert!(story.ctl().call(["load"]).input(tar).expect().contains("attested:1"));
    let (status, rows) = ask(&story, "GET", "/images/attested:1/attestations?statement=1", "");
    assert_eq!((status, rows[0]["PredicateType"].as_str()), (200, Some(index::PREDICATE)));
    assert_eq!(rows[0]["Statement"]["_type"], "https://in-toto.io/Statement/v0.1");
    assert_eq!(
        ask(&story, "GET", "/images/attested:1/attestations?type=other", "").1.as_array().map(Vec::len),
        Some(0)
    );
    let (_, inspected) = ask(&story, "GET", "/images/attested:1/json?manifests=1", "");
    assert_eq!(inspected["Manifests"][2]["AttestationData"]["For"], Value::from(amd64));
    assert_eq!(ask(&story, "GET", "/images/busybox/attestations", "").1.as_array().map(Vec::len), Some(0));
    story.end();
}

#[test]
fn all_tags_of_a_repository() {
    if !require("docker-registry") || !require("skopeo") {
        return;
    }
    let story = Story::new();
    let registry = Registry::start(&story.path("")).unwrap();
    let image = Image::busybox().unwrap();
    image.write_oci_layout(&story.path("layout"), "x", Codec::Gzip).unwrap();
    for tag in ["one", "two", "three"] {
        registry.put(&story.path("layout"), "x", &format!("fleet:{tag}")).unwrap();
    }
    let repository = format!("{}/fleet", registry.host);
    for client in story.clients() {
        client.call(["pull", "-a", &repository]).expect();
        let tags = client.call(["images", "--format", "{{.Tag}}", &repository]).expect();
        assert_eq!(tags.lines().count(), 3, "{tags}");
        for tag in ["one", "two", "three"] {
            client.call(["rmi", &format!("{repository}:{tag}")]).expect();
        }
    }
    drop(registry);
    story.end();
}

/// Answers every request with one document; what was asked.
fn index_server(body: &'static [u8]) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("localhost:{}", listener.local_addr().unwrap().port());
    let (told, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            // A record of TLS begins with 22: this server does not speak it.
            while !head.ends_with(b"\r\n\r\n")
                && head.first() != Some(&22)
                && matches!(stream.read(&mut byte), Ok(1))
            {
                head.push(byte[0]);
            }
            let text = String::from_utf8_lossy(&head).into_owned();
            if text.starts_with("GET ") {
                let _ = told.send(text.lines().next().unwrap_or_default().to_owned());
            }
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
            );
            if text.starts_with("GET ") {
                let _ = stream.write_all(body);
            }
        }
    });
    (host, asked)
}

#[test]
fn an_index_is_searched() {
    let (host, asked) = index_server(
        br#"{"num_results":2,"results":[{"name":"boat","description":"floats","star_count":7,"is_official":true},{"name":"raft","star_count":1}]}"#,
    );
    let story = Story::new();
    for client in story.clients() {
        let found = client
            .call(["search", "--format", "{{.Name}} {{.StarCount}}", &format!("{host}/bo at")])
            .expect();
        assert_eq!(found, "boat 7\nraft 1");
        assert!(asked.recv().unwrap().starts_with("GET /v1/search?q=bo%20at&n=25 "));
        let found = client
            .call([
                "search",
                "--format",
                "{{.Name}}",
                "--filter",
                "stars=3",
                "--limit",
                "5",
                &format!("{host}/x"),
            ])
            .expect();
        assert_eq!(found, "boat");
        assert!(asked.recv().unwrap().contains("n=5 "));
    }
    let (status, answer) = ask(&story, "GET", &format!("/images/search?term={host}/x&limit=101"), "");
    assert_eq!(
        (status, answer["message"].as_str()),
        (400, Some("Limit 101 is outside the range of [1, 100]"))
    );
    story.end();
}

#[test]
fn archives_from_a_url_and_in_every_compression() {
    let story = Story::new();
    let tree = story.path("tree");
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::write(tree.join("letter"), "hello").unwrap();
    let tar = Command::new("tar").arg("-C").arg(&tree).args(["-c", "."]).output().unwrap().stdout;
    let (host, _asked) = index_server(Box::leak(tar.into_boxed_slice()));
    let id = story
        .ctl()
        .call(["import", "-c", "CMD /letter", &format!("http://{host}/rootfs.tar"), "post:1"])
        .expect();
    assert!(id.contains("sha256:"), "{id}");
    let made = story.ctl().call(["create", "--name", "postman", "post:1"]).expect();
    assert!(!made.is_empty());
    let copied = story.ctl().call(["cp", "postman:/letter", "-"]).run().unwrap().expect_code(0);
    assert!(copied.stdout.contains("hello"));
    let archive = story.path("crew.tar");
    std::fs::write(&archive, Image::busybox().unwrap().docker_archive("crew:1").unwrap()).unwrap();
    for program in ["gzip", "bzip2", "xz", "zstd"] {
        if !require(program) {
            continue;
        }
        let packed = Command::new(program).arg("-c").arg("-1").arg(&archive).output().unwrap().stdout;
        assert_eq!(
            story.ctl().call(["load"]).input(packed.clone()).expect(),
            "Loaded image: crew:1",
            "{program}"
        );
        story.ctl().call(["rmi", "crew:1"]).expect();
        let torn = packed[..packed.len() / 2].to_vec();
        story.ctl().call(["load"]).input(torn).run().unwrap().expect_code(1);
        story.ctl().call(["image", "inspect", "crew:1"]).run().unwrap().expect_code(1);
    }
    story.end();
}
