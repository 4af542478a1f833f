//! Programs that call an OCI runtime by its command line, with rt in runc's place: podman, buildah, dockerd,
//! containerd's own shim.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use integration::containerd::{IMAGE, Peer, containerd};
use integration::peer::{Dockerd, require};
use integration::{Invocation, Programs};

/// This machine has no CAP_SYS_RESOURCE to raise limits with, as podman would.
const LIMITS: [&str; 4] = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

/// Storage of one's own for podman and buildah.
struct Containers {
    scratch: tempfile::TempDir,
}

impl Containers {
    /// With an image called `boat`.
    fn new() -> Containers {
        let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").unwrap();
        let containers = Containers { scratch };
        let archive = integration::image::Image::busybox().unwrap().docker_archive("boat:latest").unwrap();
        let path = containers.path("boat.tar");
        fs::write(&path, archive).unwrap();
        containers.podman(&["load", "-i", path.to_str().unwrap()]).expect();
        containers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn storage(&self, program: &str) -> Invocation {
        let (root, run) = (self.path("root"), self.path("run"));
        Invocation::new(Path::new(program))
            .args(["--root".into(), root.into_os_string(), "--runroot".into(), run.into_os_string()])
            .args(["--storage-driver", "vfs", "--log-level", "error"])
    }

    fn podman(&self, words: &[&str]) -> Invocation {
        let rt = Programs::find().path("rt").display().to_string();
        let tmp = self.path("tmp").display().to_string();
        self.storage("/usr/bin/podman")
            .args(["--tmpdir", &tmp, "--runtime", &rt, "--cgroup-manager", "cgroupfs"])
            .args(["--events-backend", "file"])
            .args(words.to_vec())
    }

    /// `podman run` with limits that can be set here.
    fn run(&self, words: &[&str]) -> Invocation {
        self.podman(&[&["run"], &LIMITS[..], words].concat())
    }

    fn buildah(&self, words: &[&str]) -> Invocation {
        self.storage("/usr/bin/buildah").args(words.to_vec())
    }

    fn end(self) {
        self.podman(&["rm", "-f", "-a", "-t", "0"]).expect();
        let place = self.scratch.path().display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        for path in
            mounts.lines().filter_map(|line| line.split(' ').nth(4)).filter(|at| at.starts_with(&place))
        {
            // podman's own storage, which it keeps mounted until a reboot.
            let _ = rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

#[test]
fn podman_runs_execs_limits_and_stops() {
    if !require("podman") {
        return;
    }
    let host = Containers::new();
    let ran = host
        .run(&["--rm", "--network", "none", "boat", "sh", "-c", "echo by rt; exit 7"])
        .run()
        .unwrap()
        .expect_code(7);
    assert_eq!(ran.stdout, "by rt\n");
    host.run(&["--rm", "--network", "none", "boat", "/nope"]).run().unwrap().expect_code(127);
    assert_eq!(host.run(&["--rm", "-t", "--network", "none", "boat", "tty"]).expect().trim(), "/dev/pts/0");
    let limits = ["-m", "64m", "--cpus", "0.5", "--pids-limit", "40"];
    let healthy = ["--health-cmd", "true", "--health-interval", "disable"];
    let command = ["-d", "--name", "long", "--network", "host", "boat", "sleep", "100"];
    host.run(&[&limits[..], &healthy[..], &command[..]].concat()).expect();
    if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        let limit = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
        assert_eq!(host.podman(&["exec", "long", "cat", limit]).expect(), "67108864");
    }
    assert_eq!(host.podman(&["exec", "-t", "long", "tty"]).expect().trim(), "/dev/pts/0");
    host.podman(&["exec", "long", "sh", "-c", "exit 5"]).run().unwrap().expect_code(5);
    assert!(host.podman(&["stats", "--no-stream", "long"]).expect().contains("67.11MB"));
    host.podman(&["healthcheck", "run", "long"]).expect();
    host.podman(&["pause", "long"]).expect();
    host.podman(&["unpause", "long"]).expect();
    assert!(host.podman(&["top", "long"]).expect().contains("sleep 100"));
    host.podman(&["stop", "-t", "1", "long"]).expect();
    assert_eq!(host.podman(&["inspect", "-f", "{{.State.ExitCode}}", "long"]).expect(), "137");
    host.end();
}

#[test]
fn podman_protects_and_groups() {
    if !require("podman") {
        return;
    }
    let host = Containers::new();
    let privileged =
        ["--rm", "--network", "none", "--privileged", "boat", "grep", "CapEff", "/proc/self/status"];
    assert!(host.run(&privileged).expect().starts_with("CapEff:\t000001ff"));
    let options =
        ["--rm", "--network", "none", "--read-only", "--userns=host", "--security-opt", "no-new-privileges"];
    let script = "grep NoNewPrivs /proc/self/status; touch /x || echo sealed";
    let told = host.run(&[&options[..], &["boat", "sh", "-c", script]].concat()).expect();
    assert!(told.contains("NoNewPrivs:\t1") && told.contains("sealed"), "{told}");
    let hog = "x=$(head -c 33554432 /dev/zero | tr '\\0' x)";
    let small = ["--rm", "--network", "none", "-m", "16m", "--memory-swap", "16m", "boat", "sh", "-c", hog];
    host.run(&small).run().unwrap().expect_code(137);
    host.podman(&["pod", "create", "--infra=false", "--name", "crew"]).expect();
    let hand = ["-d", "--pod", "crew", "--network", "none", "--name", "hand", "boat", "sleep", "100"];
    host.run(&hand).expect();
    assert!(host.podman(&["pod", "ps"]).expect().contains("Running"));
    host.podman(&["pod", "rm", "-f", "-t", "0", "crew"]).expect();
    host.end();
}

#[test]
fn buildah_builds() {
    if !require("podman") || !require("buildah") {
        return;
    }
    let host = Containers::new();
    let rt = Programs::find().path("rt").display().to_string();
    let own = ["--runtime", &rt, "--isolation", "oci", "--network", "none"];
    let name = host.buildah(&["from", "--pull-never", "boat"]).expect();
    let run = |words: &[&str]| host.buildah(&[&["run"], &own[..], &[name.as_str()], words].concat());
    run(&["sh", "-c", "echo kept > /made"]).expect();
    assert_eq!(run(&["cat", "/made"]).expect(), "kept");
    let tty = [&["run", "-t"], &own[..], &[name.as_str(), "tty"]].concat();
    assert_eq!(host.buildah(&tty).expect().trim(), "/dev/pts/0");
    let context = host.path("context");
    fs::create_dir(&context).unwrap();
    fs::write(context.join("Dockerfile"), "FROM boat\nRUN echo x > /y\nRUN test $(cat /y) = x\n").unwrap();
    let end = ["--pull-never", "-t", "made", context.to_str().unwrap()];
    host.buildah(&[&["bud"], &own[..], &end[..]].concat()).expect();
    host.buildah(&["rm", "-a"]).expect();
    host.end();
}

/// What dockerd asks of a runtime beside the plain life that `interop.rs` shows.
#[test]
fn dockerd_protects_kills_and_checks() {
    if !require("dockerd") {
        return;
    }
    let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").unwrap();
    let runtime = format!("rt={}", Programs::find().path("rt").display());
    // As one runtime beside the default one: `our_rt_serves_under_dockerd` has it as the default.
    let flags = ["--bridge=none", "--iptables=false", "--ip-masq=false"];
    let flags = [&flags[..], &["--add-runtime", &runtime]].concat();
    let dockerd = Dockerd::start(&scratch.path().join("d"), &flags).unwrap();
    let docker = |words: &[&str]| {
        Invocation::new(Path::new("/usr/bin/docker"))
            .env("DOCKER_HOST", &dockerd.docker_host())
            .args(words.to_vec())
    };
    let run = |words: &[&str]| docker(&[&["run", "--runtime", "rt"], words].concat());
    let archive = integration::image::Image::busybox().unwrap().docker_archive("boat:latest").unwrap();
    docker(&["load"]).input(archive).expect();
    let options =
        ["--rm", "--privileged", "--userns=host", "--read-only", "--security-opt", "no-new-privileges"];
    let script = "grep -E 'NoNewPrivs|CapEff' /proc/self/status; touch /x || echo sealed";
    let told = run(&[&options[..], &["boat", "sh", "-c", script]].concat()).expect();
    assert!(told.contains("NoNewPrivs:\t1") && told.contains("feffffff"), "{told}");
    assert!(told.contains("sealed"), "{told}");
    let filtered = |options: &[&str]| {
        run(&[&["--rm"], options, &["boat", "grep", "Seccomp:", "/proc/self/status"]].concat()).expect()
    };
    assert_eq!(filtered(&["--security-opt", "seccomp=unconfined"]), "Seccomp:\t0");
    assert_eq!(filtered(&[]), "Seccomp:\t2");
    assert_eq!(run(&["--rm", "-t", "boat", "tty"]).expect().trim(), "/dev/pts/0");
    let hog = "x=$(head -c 33554432 /dev/zero | tr '\\0' x)";
    run(&["--name", "hog", "-m", "16m", "--memory-swap", "16m", "boat", "sh", "-c", hog])
        .run()
        .unwrap()
        .expect_code(137);
    assert_eq!(docker(&["inspect", "-f", "{{.State.OOMKilled}}", "hog"]).expect(), "true");
    let checked = ["--health-cmd", "test -e /ok", "--health-interval", "1s", "--health-retries", "1"];
    run(&[&["-d", "--name", "well"], &checked[..], &["boat", "sh", "-c", "touch /ok; sleep 100"]].concat())
        .expect();
    assert_eq!(docker(&["inspect", "-f", "{{.HostConfig.Runtime}}", "well"]).expect(), "rt");
    assert_eq!(docker(&["exec", "-t", "well", "tty"]).expect().trim(), "/dev/pts/0");
    integration::until("the container is healthy", || {
        (docker(&["inspect", "-f", "{{.State.Health.Status}}", "well"]).expect() == "healthy").then_some(())
    });
    docker(&["update", "-m", "48m", "--memory-swap", "48m", "well"]).expect();
    assert!(docker(&["stats", "--no-stream", "well"]).expect().contains("48MiB"));
    docker(&["rm", "-f", "well", "hog"]).expect();
}

/// containerd's own shim, told of rt by `BinaryName` in its runtime's options, which ctr's flag sets.
#[test]
fn containerds_own_shim_runs_it_by_binary_name() {
    if !require("containerd") || !require("ctr") {
        return;
    }
    let mut peer = Peer::start(containerd);
    peer.import();
    // Every call is written down: nothing else tells one runtime from another here.
    let (binary, calls) = (peer.dir.join("runtime"), peer.dir.join("calls"));
    let rt = Programs::find().path("rt").display().to_string();
    let script = format!("#!/bin/sh\necho \"$@\" >> {}\nexec {rt} \"$@\"\n", calls.display());
    fs::write(&binary, script).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let binary = binary.display().to_string();
    let by = ["--runtime", "io.containerd.runc.v2", "--runc-binary", &binary];
    let run = |words: &[&str]| peer.ctr(["run"]).args([&by[..], words].concat());
    let once = run(&["--rm", IMAGE, "once", "sh", "-c", "echo out; echo err >&2; exit 4"]);
    let once = once.run().unwrap().expect_code(4);
    assert_eq!((once.stdout.as_str(), once.stderr.lines().next()), ("out\n", Some("err")));
    run(&["--rm", IMAGE, "absent", "no-such-program"]).run().unwrap().expect_complaint("no-such-program");
    let shown = "grep -E 'CapEff|Seccomp:|NoNewPrivs' /proc/self/status; touch /x || echo sealed";
    let told = run(&["--rm", "--read-only", "--seccomp", IMAGE, "sealed", "sh", "-c", shown]).expect();
    assert!(told.contains("NoNewPrivs:\t1") && told.contains("Seccomp:\t2"), "{told}");
    assert!(told.contains("sealed"), "{told}");
    let told =
        run(&["--rm", "--privileged", "--allow-new-privs", IMAGE, "strong", "sh", "-c", shown]).expect();
    assert!(told.contains("feffffff") && told.contains("NoNewPrivs:\t0"), "{told}");
    let hog = "x=$(head -c 33554432 /dev/zero | tr '\\0' x)";
    let small = ["--rm", "--memory-limit", "16777216", IMAGE, "hog", "sh", "-c", hog];
    run(&small).run().unwrap().expect_code(137);

    run(&["-d", "--memory-limit", "67108864", "--cpus", "0.5", IMAGE, "long", "sleep", "1000"]).expect();
    let exec = |words: &[&str]| peer.ctr(["tasks", "exec", "--exec-id", "e"]).args(words.to_vec());
    let listed = peer.ctr(["tasks", "ls"]).expect();
    let long = listed.lines().find(|line| line.starts_with("long")).unwrap();
    let pid = long.split_whitespace().nth(1).unwrap();
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    // On v1; on v2 rt's own tests look at the same.
    if let Some((_, group)) = groups.lines().find_map(|line| line.split_once(":memory:")) {
        let limit = fs::read_to_string(format!("/sys/fs/cgroup/memory{group}/memory.limit_in_bytes"));
        assert_eq!(limit.unwrap().trim(), "67108864");
    }
    assert_eq!(exec(&["long", "sh", "-c", "echo in; exit 7"]).run().unwrap().expect_code(7).stdout, "in\n");
    let terminal = |words: &str| {
        let (address, log) = (peer.dir.join("c.sock"), peer.dir.join("terminal.log"));
        let line = format!("ctr -a {} -n {} {words}", address.display(), peer.namespace);
        let log = log.display().to_string();
        Invocation::new(Path::new("/usr/bin/script")).args(["-qec", &line, &log]).run().unwrap()
    };
    let words = format!("run --rm -t {} {IMAGE} tty sh -c 'tty; exit 5'", by.join(" "));
    assert!(terminal(&words).expect_code(5).stdout.contains("/dev/pts/0"));
    assert!(terminal("tasks exec -t --exec-id t long tty").expect_code(0).stdout.contains("/dev/pts/0"));
    assert!(peer.ctr(["tasks", "metrics", "long"]).expect().contains("memory.usage_in_bytes"));
    assert_eq!(peer.ctr(["tasks", "ps", "long"]).expect().lines().count(), 2);
    peer.ctr(["tasks", "pause", "long"]).expect();
    assert!(peer.ctr(["tasks", "ls"]).expect().contains("PAUSED"));
    peer.ctr(["tasks", "resume", "long"]).expect();
    peer.ctr(["tasks", "kill", "-s", "SIGKILL", "long"]).expect();
    integration::until("its end", || peer.ctr(["tasks", "ls"]).expect().contains("STOPPED").then_some(()));
    let deleted = peer.ctr(["tasks", "delete", "long"]).run().unwrap();
    assert!(deleted.stderr.contains("137"), "{deleted:?}");
    peer.ctr(["containers", "delete", "long"]).expect();
    let calls = fs::read_to_string(calls).unwrap();
    for command in ["create", "start", "exec", "ps", "pause", "resume", "kill", "delete"] {
        assert!(calls.contains(&format!(" {command} ")), "{command} in\n{calls}");
    }
    peer.end();
}
