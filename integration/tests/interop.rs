//! The matrix: other people's programs above and below ours.

use integration::peer::{Dockerd, find, require};
use integration::{Invocation, Story};
use std::path::Path;

/// Debian's runtimes in rt's place.
#[test]
fn foreign_runtimes_serve_under_our_shim() {
    let runtimes: Vec<&str> = ["runc", "crun"].into_iter().filter(|name| require(name)).collect();
    let flags: Vec<String> = runtimes
        .iter()
        .map(|name| format!("--add-runtime={name}={}", find(name).unwrap().display()))
        .collect();
    let story = Story::with(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let client = story.ctl();
    for runtime in runtimes {
        // crun refuses hosts whose cgroups are a mixture of v1 and v2, as it says itself.
        if runtime == "crun" && is_hybrid() {
            eprintln!("NOT RUN: crun on hybrid cgroups");
            continue;
        }
        let ran = client
            .call(["run", "--rm", "--runtime", runtime, "busybox", "sh", "-c", "echo under; exit 3"])
            .run()
            .unwrap()
            .expect_code(3);
        assert_eq!(ran.stdout, "under\n");
        let name = format!("by-{runtime}");
        client
            .call([
                "run",
                "-d",
                "--name",
                &name,
                "--runtime",
                runtime,
                "-m",
                "64m",
                "busybox",
                "sleep",
                "100",
            ])
            .expect();
        assert_eq!(client.call(["exec", &name, "echo", "in"]).expect(), "in");
        client.call(["stop", "-t", "1", &name]).expect();
        client.call(["rm", &name]).expect();
        client.call(["run", "--rm", "--runtime", runtime, "busybox", "nope"]).run().unwrap().expect_code(127);
    }
    client.call(["run", "--rm", "--runtime", "no-such", "busybox", "true"]).run().unwrap().expect_code(125);
    story.end();
}

fn is_hybrid() -> bool {
    Path::new("/sys/fs/cgroup/unified").exists()
}

/// Debian's shim, with Debian's runc, under our supervisord.
#[test]
fn a_foreign_shim_serves_under_our_supervisord() {
    if !require("containerd-shim-runc-v2") || !require("runc") {
        return;
    }
    let story = Story::new();
    let client = story.ctl();
    let ran = client
        .call([
            "run",
            "--rm",
            "--runtime",
            "io.containerd.runc.v2",
            "busybox",
            "sh",
            "-c",
            "echo out; echo err >&2; exit 3",
        ])
        .run()
        .unwrap()
        .expect_code(3);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
    client
        .call([
            "run",
            "-d",
            "--name",
            "fs",
            "--runtime",
            "io.containerd.runc.v2",
            "busybox",
            "sh",
            "-c",
            "echo logged; sleep 100",
        ])
        .expect();
    assert_eq!(client.call(["exec", "fs", "echo", "in"]).expect(), "in");
    assert_eq!(client.call(["logs", "fs"]).expect(), "logged");
    client.call(["rm", "-f", "fs"]).expect();
    story.end();
}

/// Debian's `ctr` on our supervisord.
#[test]
fn ctr_drives_our_supervisord() {
    if !require("ctr") {
        return;
    }
    let story = Story::new();
    let address = story.stack.containerd_address().display().to_string();
    let ctr = |arguments: &[&str]| {
        Invocation::new(&find("ctr").unwrap())
            .args(["-a", &address, "-n", "other"])
            .args(arguments.to_vec())
            .run()
            .unwrap()
    };
    assert!(ctr(&["version"]).expect_code(0).stdout.contains("Server:"));
    let archive = story.path("image.tar");
    let image = integration::image::Image::busybox()
        .unwrap()
        .docker_archive("docker.io/library/boat:latest")
        .unwrap();
    std::fs::write(&archive, image).unwrap();
    ctr(&["images", "import", archive.to_str().unwrap()]).expect_code(0);
    assert!(ctr(&["images", "ls", "-q"]).stdout.contains("docker.io/library/boat:latest"));
    // Runtimes keep their state by namespace and id for the whole host.
    let once = format!("once-{}", story.stack.name);
    let long = format!("long-{}", story.stack.name);
    for runtime in ["io.containerd.wherry.v1", "io.containerd.runc.v2"] {
        let ran = ctr(&[
            "run",
            "--rm",
            "--runtime",
            runtime,
            "docker.io/library/boat:latest",
            &once,
            "sh",
            "-c",
            "echo by ctr; exit 4",
        ]);
        assert_eq!((ran.stdout.as_str(), ran.code), ("by ctr\n", 4), "{runtime}: {}", ran.stderr);
        ctr(&["run", "-d", "--runtime", runtime, "docker.io/library/boat:latest", &long, "sleep", "100"])
            .expect_code(0);
        assert!(ctr(&["tasks", "ls"]).stdout.contains("RUNNING"));
        assert_eq!(
            ctr(&["tasks", "exec", "--exec-id", "e", &long, "echo", "in"]).expect_code(0).stdout,
            "in\n"
        );
        ctr(&["tasks", "kill", "-s", "SIGKILL", &long]).expect_code(0);
        ctr(&["tasks", "delete", &long]).run_code(137);
        ctr(&["containers", "delete", &long]).expect_code(0);
    }
    assert!(!story.ctl().call(["ps", "-a"]).expect().contains("boat"), "namespaces are apart");
    ctr(&["images", "rm", "docker.io/library/boat:latest"]).expect_code(0);
    story.end();
}

trait Ended {
    /// `ctr tasks delete` ends with the task's own status.
    fn run_code(self, code: i32);
}

impl Ended for integration::Outcome {
    fn run_code(self, code: i32) {
        assert!(self.code == code || self.code == 0, "{self:?}");
    }
}

/// docker-py on our engined.
#[test]
fn docker_py_drives_our_engined() {
    if !require("python3") {
        return;
    }
    let story = Story::new();
    let python = Path::new("/usr/bin/python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/docker_py.py");
    story.stack.client(python, [script]).expect();
    story.end();
}

/// A Python client of the containerd API, made from our contracts, on our supervisord.
#[test]
fn a_python_client_drives_our_supervisord() {
    let story = Story::new();
    let python = Path::new("/usr/bin/python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/containerd_client.py");
    let address = story.stack.containerd_address().display().to_string();
    story.stack.client(python, [script, &address]).expect();
    story.end();
}

/// The containerd-client crate on our supervisord.
#[test]
fn the_containerd_client_crate_drives_our_supervisord() {
    let Some(program) = integration::peer::client("cargo/debug/containerd-client-story") else { return };
    let story = Story::new();
    let address = story.stack.containerd_address().display().to_string();
    let (archive, image) = (story.path("image.tar"), "docker.io/library/boat:latest");
    std::fs::write(&archive, integration::image::Image::busybox().unwrap().docker_archive(image).unwrap())
        .unwrap();
    for runtime in ["io.containerd.wherry.v1", "io.containerd.runc.v2"] {
        // Runtimes keep their state by namespace and id for the whole host.
        let name = format!("crate-{}", story.stack.name);
        story.stack.client(&program, [&address, archive.to_str().unwrap(), image, runtime, &name]).expect();
    }
    story.end();
}

/// Our rt, and our shim over it, under Debian's dockerd.
#[test]
fn our_rt_serves_under_dockerd() {
    if !require("dockerd") {
        return;
    }
    let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").unwrap();
    let rt = integration::Programs::find().path("rt").display().to_string();
    let runtime = format!("rt={rt}");
    let dockerd = Dockerd::start(
        &scratch.path().join("d"),
        &[
            "--bridge=none",
            "--iptables=false",
            "--ip-masq=false",
            "--add-runtime",
            &runtime,
            "--default-runtime=rt",
        ],
    )
    .unwrap();
    let host = dockerd.docker_host();
    let docker = |arguments: &[&str]| {
        Invocation::new(Path::new("/usr/bin/docker")).env("DOCKER_HOST", &host).args(arguments.to_vec())
    };
    let archive = integration::image::Image::busybox().unwrap().docker_archive("busybox:latest").unwrap();
    docker(&["load"]).input(archive).expect();
    let ran =
        docker(&["run", "--rm", "busybox", "sh", "-c", "echo by rt; exit 3"]).run().unwrap().expect_code(3);
    assert_eq!(ran.stdout, "by rt\n");
    docker(&["run", "-d", "--name", "long", "-m", "64m", "--cpus", "0.5", "busybox", "sleep", "100"])
        .expect();
    assert_eq!(docker(&["exec", "long", "echo", "in"]).expect(), "in");
    assert!(docker(&["top", "long"]).expect().contains("sleep"));
    docker(&["pause", "long"]).expect();
    docker(&["unpause", "long"]).expect();
    docker(&["stop", "-t", "1", "long"]).expect();
    docker(&["rm", "long"]).expect();
    docker(&["run", "--rm", "busybox", "nope"]).run().unwrap().expect_code(127);
    docker(&["run", "--rm", "--read-only", "--cap-drop", "ALL", "-u", "1000", "busybox", "id", "-u"])
        .expect();
}

/// `ctl` on Debian's dockerd.
#[test]
fn ctl_drives_dockerd() {
    if !require("dockerd") {
        return;
    }
    let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").unwrap();
    let dockerd =
        Dockerd::start(&scratch.path().join("d"), &["--bridge=none", "--iptables=false", "--ip-masq=false"])
            .unwrap();
    let host = dockerd.docker_host();
    let program = integration::Programs::find().path("ctl");
    let ctl =
        |arguments: &[&str]| Invocation::new(&program).env("DOCKER_HOST", &host).args(arguments.to_vec());
    let archive = integration::image::Image::busybox().unwrap().docker_archive("busybox:latest").unwrap();
    assert_eq!(ctl(&["load"]).input(archive).expect(), "Loaded image: busybox:latest");
    ctl(&["run", "--rm", "busybox", "sh", "-c", "exit 5"]).run().unwrap().expect_code(5);
    assert_eq!(
        ctl(&["run", "--rm", "-i", "busybox", "cat"]).input("there and back").expect(),
        "there and back"
    );
    ctl(&["run", "-d", "--name", "long", "busybox", "sleep", "100"]).expect();
    assert_eq!(ctl(&["exec", "long", "echo", "in"]).expect(), "in");
    assert_eq!(ctl(&["ps", "--format", "{{.Names}}"]).expect(), "long");
    ctl(&["rm", "-f", "long"]).expect();
}
