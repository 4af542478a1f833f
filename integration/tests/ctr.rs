//! `ctr` on supervisord and on the host's containerd, side by side: each line of `interop/ctr.txt` is run on both,
//! and what they print, complain and end with has to be the same.

use integration::containerd::{Peer, containerd, supervisord};
use integration::peer::{Registry, containerd_1_7, find, require, require_containerd_1_7};
use integration::{Invocation, image};
use std::path::Path;
use std::process::{Command, Stdio};

/// The lines under these headings of the list, on a fresh pair of daemons.
fn compare(headings: &[&str]) {
    if ["ctr", "containerd", "containerd-shim-runc-v2", "jq", "docker-registry", "skopeo"]
        .iter()
        .any(|name| !require(name))
    {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let registry = Registry::start(scratch.path()).unwrap();
    let layout = scratch.path().join("layout");
    image::Image::busybox().unwrap().write_oci_layout(&layout, "boat", image::Codec::Gzip).unwrap();
    registry.put(&layout, "boat", "boat:1").unwrap();
    let mut sides = [Side::start(containerd, &registry.host), Side::start(supervisord, &registry.host)];
    let list = include_str!("../interop/ctr.txt");
    let mut differences = Vec::new();
    let mut heading = "";
    let mut compared = 0;
    for line in list.lines() {
        if let Some(text) = line.strip_prefix('#') {
            heading = text.trim();
        }
        if line.is_empty() || line.starts_with('#') || !(heading.is_empty() || headings.contains(&heading)) {
            continue;
        }
        let [theirs, ours] = std::thread::scope(|scope| {
            sides.each_ref().map(|side| scope.spawn(|| side.says(line))).map(|side| side.join().unwrap())
        });
        compared += 1;
        if theirs != ours {
            differences.push(format!("{line}\n--- containerd\n{theirs}\n--- supervisord\n{ours}\n"));
        }
    }
    sides.iter_mut().for_each(Side::end);
    assert!(compared > 5, "{compared} lines under {headings:?}");
    assert!(
        differences.is_empty(),
        "{} of {compared} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// One of the two.
struct Side {
    peer: Peer,
    registry: String,
}

impl Side {
    fn start(launch: fn(&Path) -> Command, registry: &str) -> Side {
        let peer = Peer::start(launch);
        peer.import();
        let bin = peer.dir.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let (ctr, address) = (find("ctr").unwrap(), peer.dir.join("c.sock"));
        // A line may name a namespace of its own.
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = -n ] || set -- -n {} \"$@\"\nexec {} -a {} \"$@\"\n",
            peer.namespace,
            ctr.display(),
            address.display()
        );
        let script_path = bin.join("ctr");
        std::fs::write(&script_path, script).unwrap();
        assert!(Command::new("chmod").arg("755").arg(&script_path).status().unwrap().success());
        Side { peer, registry: registry.to_owned() }
    }

    fn says(&self, line: &str) -> String {
        let path = format!("{}:{}", self.peer.dir.join("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new("timeout")
            .args(["-k", "1", "60", "sh", "-c", line])
            .current_dir(&self.peer.dir)
            .env("PATH", path)
            .env("RUNTIME", "io.containerd.runc.v2")
            .env("REGISTRY", &self.registry)
            .env("NAMESPACE", &self.peer.namespace)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said =
            format!("{}{}ended with {:?}", text(&output.stdout), text(&output.stderr), output.status.code());
        said.lines().map(|line| self.plain(line)).collect::<Vec<_>>().join("\n")
    }

    /// A line without what is this side's alone: paths, times, keys, the order of labels and options.
    fn plain(&self, line: &str) -> String {
        let line =
            line.replace(&self.peer.dir.display().to_string(), "DIR").replace(&self.peer.namespace, "NS");
        line.split_whitespace().map(plain_word).collect::<Vec<_>>().join(" ")
    }

    fn end(&mut self) {
        self.peer.end();
    }
}

fn plain_word(word: &str) -> String {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if digits >= 14 && word.contains('T') && word.contains(':') {
        return "TIME".into();
    }
    // Snapshots are numbered by each in its own way.
    if let Some((head, tail)) = word.split_once("/snapshots/") {
        let rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        return sorted(&format!("{head}/snapshots/N{}", rest.replace(|c: char| c.is_ascii_digit(), "")));
    }
    if let Some(numbered) = word.strip_prefix("\"NS/").or_else(|| word.strip_prefix("NS/")) {
        return format!("NS/{}", numbered.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    sorted(word)
}

/// The order of what commas part is that of a map.
fn sorted(word: &str) -> String {
    if !word.contains('=') || !word.contains(',') {
        return word.to_owned();
    }
    let mut parts: Vec<&str> = word.split(',').collect();
    parts.sort_unstable();
    parts.join(",")
}

#[test]
fn namespaces_images_and_content() {
    compare(&["namespaces", "images", "content", "leases"]);
}

#[test]
fn snapshots_and_containers() {
    compare(&["snapshots", "containers"]);
}

#[test]
fn tasks() {
    compare(&["tasks"]);
}

#[test]
fn run_and_registry() {
    compare(&["run", "checkpoint", "registry", "what is left to ask"]);
}

/// The client of Debian 13, whose images go by the Transfer service when told to.
#[test]
fn a_newer_client_transfers_images() {
    if !require_containerd_1_7() || !require("docker-registry") || !require("skopeo") {
        return;
    }
    let mut peer = Peer::start(supervisord);
    let registry = Registry::start(&peer.dir).unwrap();
    let layout = peer.dir.join("layout");
    image::Image::busybox().unwrap().write_oci_layout(&layout, "boat", image::Codec::Gzip).unwrap();
    registry.put(&layout, "boat", "boat:1").unwrap();
    let socket = peer.dir.join("c.sock").display().to_string();
    let namespace = peer.namespace.clone();
    let ctr = |arguments: &[&str]| {
        let program = containerd_1_7().join("ctr");
        Invocation::new(&program).args(["-a", &socket, "-n", &namespace]).args(arguments.to_vec())
    };
    let (from, to) = (format!("{}/boat:1", registry.host), format!("{}/other/boat:2", registry.host));
    let archive = peer.dir.join("out.tar").display().to_string();
    ctr(&["images", "pull", "--local=false", "--plain-http", &from]).expect();
    ctr(&["images", "push", "--local=false", "--plain-http", &to, &from]).expect();
    ctr(&["images", "export", "--local=false", &archive, &from]).expect();
    ctr(&["images", "rm", "--sync", &from]).expect();
    assert_eq!(ctr(&["content", "ls", "-q"]).expect(), "");
    ctr(&["images", "import", "--local=false", &archive]).expect();
    ctr(&["images", "tag", "--local=false", &from, "tagged:1"]).expect();
    assert_eq!(
        ctr(&["images", "ls", "-q"]).expect().lines().collect::<Vec<_>>(),
        [from.as_str(), "tagged:1"]
    );
    ctr(&["images", "pull", "--local=false", "--plain-http", &to]).expect();
    // Its groups that the older client has not.
    assert!(ctr(&["info"]).expect().contains("\"uuid\""));
    assert_eq!(ctr(&["deprecations", "list"]).expect(), "");
    assert!(ctr(&["sandboxes", "ls"]).expect().starts_with("ID"));
    drop(registry);
    peer.end();
}
