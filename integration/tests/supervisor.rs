//! `supervisord` and `shim` in other people's places: under Debian's dockerd, under Debian's containerd, below
//! every command of its `ctr`.

use integration::containerd::{
    IMAGE, Peer, containerd, containerd_1_7, containerd_2, containerd_with_cri, supervisord,
};
use integration::image::Image;
use integration::peer::{self, require};
use integration::{Daemon, Invocation, Programs, until};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const OURS: &str = "io.containerd.wherry.v1";

/// `ctr events` in the background, once it listens: what it says is read to the end of the daemon.
fn events(peer: &Peer) -> Events {
    let address = peer.dir.join("c.sock");
    let mut command = Command::new("ctr");
    command.arg("-a").arg(address).args(["-n", &peer.namespace, "events"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It has no way to say that it listens: an event is made again and again until it shows one.
    let listens = std::thread::spawn(move || {
        lines.next();
        lines
    });
    let mut count = 0;
    until("an event", || {
        count += 1;
        peer.ctr(["namespaces", "create", &format!("n{count}")]).expect();
        peer.ctr(["namespaces", "remove", &format!("n{count}")]).expect();
        listens.is_finished().then_some(())
    });
    let lines = listens.join().unwrap();
    let lines = lines.map_while(Result::ok).take_while(|line| !line.contains(LAST));
    let last = ["create", "remove"].map(|verb| peer.ctr(["namespaces", verb, LAST]));
    Events { child, last, lines: std::thread::spawn(move || lines.collect()) }
}

/// The namespace whose making is the last event that is waited for.
const LAST: &str = "the-last";

struct Events {
    child: Child,
    last: [Invocation; 2],
    lines: std::thread::JoinHandle<Vec<String>>,
}

impl Events {
    /// Everything so far: what the daemon tells before an event of ours.
    fn all(mut self) -> Vec<String> {
        for call in self.last {
            call.expect();
        }
        until("the last event", || self.lines.is_finished().then_some(()));
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.lines.join().unwrap()
    }

    /// The topics of what `container` did, in their order; exits with their status.
    fn of(self, container: &str) -> Vec<String> {
        let lines = self.all();
        let id = format!("\"container_id\":\"{container}\"");
        let word = |line: &String| {
            let topic = line.split_whitespace().find(|word| word.starts_with("/tasks/"))?.to_owned();
            let status = line.split("\"exit_status\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
            Some(match (topic.as_str(), status) {
                ("/tasks/exit", Some(status)) => format!("exit {status}"),
                ("/tasks/exit", None) => "exit 0".into(),
                (topic, _) => topic.trim_start_matches("/tasks/").into(),
            })
        };
        lines.iter().filter(|line| line.contains(&id)).filter_map(word).collect()
    }
}

/// The life of a container by `ctr`, the same on any containerd and under any shim.
fn a_life(peer: &mut Peer, runtime: &str) {
    let events = events(peer);
    let run = |arguments: &[&str]| peer.ctr(["run", "--runtime", runtime]).args(arguments.to_vec());
    let once = run(&["--rm", IMAGE, "once", "sh", "-c", "echo out; echo err >&2; exit 4"]);
    let once = once.run().unwrap().expect_code(4);
    assert_eq!((once.stdout.as_str(), once.stderr.lines().next()), ("out\n", Some("err")));
    let terminal = peer.dir.join("terminal.log").display().to_string();
    let address = peer.dir.join("c.sock").display().to_string();
    let namespace = &peer.namespace;
    let line = format!(
        "ctr -a {address} -n {namespace} run --rm -t --runtime {runtime} {IMAGE} tty sh -c 'tty; exit 5'"
    );
    let tty = Invocation::new(Path::new("/usr/bin/script")).args(["-qec", &line, &terminal]).run().unwrap();
    assert!(tty.expect_code(5).stdout.contains("/dev/pts/0"));
    run(&["--rm", IMAGE, "absent", "no-such-program"]).run().unwrap().expect_complaint("no-such-program");

    run(&["-d", IMAGE, "long", "sleep", "1000"]).expect();
    assert!(peer.ctr(["tasks", "ls"]).expect().contains("RUNNING"));
    let exec = peer.ctr(["tasks", "exec", "--exec-id", "e", "long", "sh", "-c", "echo in; exit 7"]);
    assert_eq!(exec.run().unwrap().expect_code(7).stdout, "in\n");
    assert!(peer.ctr(["tasks", "ps", "long"]).expect().lines().count() == 2);
    assert!(peer.ctr(["tasks", "metrics", "long"]).expect().contains("memory.usage_in_bytes"));
    peer.ctr(["tasks", "pause", "long"]).expect();
    assert!(peer.ctr(["tasks", "ls"]).expect().contains("PAUSED"));
    peer.ctr(["tasks", "resume", "long"]).expect();
    peer.ctr(["tasks", "delete", "long"]).run().unwrap().expect_code(1).expect_complaint("must be stopped");
    peer.ctr(["tasks", "kill", "-s", "SIGKILL", "long"]).expect();
    until("its end", || peer.ctr(["tasks", "ls"]).expect().contains("STOPPED").then_some(()));
    peer.ctr(["tasks", "delete", "long"]).run().unwrap();
    peer.ctr(["containers", "delete", "long"]).expect();
    peer.ctr(["tasks", "kill", "long"]).run().unwrap().expect_code(1);
    assert_eq!(
        events.of("long"),
        [
            "create",
            "start",
            "exec-added",
            "exec-started",
            "exit 7",
            "paused",
            "resumed",
            "exit 137",
            "delete"
        ]
    );
}

/// The daemon is killed; what ran goes on, what ended meanwhile is told with its status.
fn a_death(peer: &mut Peer, runtime: &str) {
    let wait = "while [ ! -e /go ]; do sleep 0.01; done; exit 6";
    peer.ctr(["run", "-d", "--runtime", runtime, IMAGE, "still", "sleep", "1000"]).expect();
    peer.ctr(["run", "-d", "--runtime", runtime, IMAGE, "brief", "sh", "-c", wait]).expect();
    let listed = peer.ctr(["tasks", "ls"]).expect();
    let brief = listed.lines().find(|line| line.starts_with("brief")).unwrap();
    let pid: i32 = brief.split_whitespace().nth(1).unwrap().parse().unwrap();
    peer.daemon.take().unwrap().kill().unwrap();
    std::fs::write(format!("/proc/{pid}/root/go"), "").unwrap();
    until("its end", || (!Path::new(&format!("/proc/{pid}/root/go")).exists()).then_some(()));
    peer.up();
    assert!(peer.daemon().is_running());
    let exec = peer.ctr(["tasks", "exec", "--exec-id", "f", "still", "echo", "alive"]);
    assert_eq!(exec.expect(), "alive");
    assert!(peer.ctr(["tasks", "ls"]).expect().contains("STOPPED"));
    let deleted = peer.ctr(["tasks", "delete", "brief"]).run().unwrap();
    assert!(deleted.code == 6 || deleted.stderr.contains("exit code 6"), "{deleted:?}");
    peer.ctr(["tasks", "kill", "-s", "SIGKILL", "still"]).expect();
    until("its end", || (!peer.ctr(["tasks", "ls"]).expect().contains("RUNNING")).then_some(()));
    peer.ctr(["tasks", "delete", "still"]).run().unwrap();
    for name in ["brief", "still"] {
        peer.ctr(["containers", "delete", name]).expect();
    }
    assert_eq!(peer.ctr(["tasks", "ls", "-q"]).expect(), "");
}

#[test]
fn our_shim_serves_under_debians_containerd() {
    if !require("containerd") || !require("ctr") {
        return;
    }
    let mut peer = Peer::start(containerd);
    peer.import();
    a_life(&mut peer, OURS);
    a_death(&mut peer, OURS);
    peer.end();
}

/// Debian 13's, which asks for shims in a newer way.
#[test]
fn our_shim_serves_under_containerd_1_7() {
    if require("ctr") && peer::require_containerd_1_7() {
        under_a_newer_containerd(containerd_1_7);
    }
}

#[test]
fn our_shim_serves_under_containerd_2() {
    if require("ctr") && peer::require_containerd_2() {
        under_a_newer_containerd(containerd_2);
    }
}

fn under_a_newer_containerd(launch: fn(&Path) -> Command) {
    let mut peer = Peer::start(launch);
    peer.import();
    a_life(&mut peer, OURS);
    // Killed and started again it goes on with what runs; a task that ended meanwhile it removes by itself.
    peer.ctr(["run", "-d", "--runtime", OURS, IMAGE, "still", "sleep", "1000"]).expect();
    peer.daemon.take().unwrap().kill().unwrap();
    peer.up();
    let exec = peer.ctr(["tasks", "exec", "--exec-id", "f", "still", "echo", "alive"]);
    assert_eq!(exec.expect(), "alive");
    peer.ctr(["tasks", "kill", "-s", "SIGKILL", "still"]).expect();
    until("its end", || (!peer.ctr(["tasks", "ls"]).expect().contains("RUNNING")).then_some(()));
    let deleted = peer.ctr(["tasks", "delete", "still"]).run().unwrap();
    assert!(deleted.stderr.contains("137"), "{deleted:?}");
    peer.ctr(["containers", "delete", "still"]).expect();
    peer.end();
}

/// The shims of newer containerds, by their paths, under our daemon.
#[test]
fn newer_shims_serve_under_supervisord() {
    let found = [
        (peer::require_containerd_1_7(), peer::containerd_1_7()),
        (peer::require_containerd_2(), peer::containerd_2()),
    ];
    if !require("ctr") || !require("runc") {
        return;
    }
    for programs in found.into_iter().filter_map(|(there, programs)| there.then_some(programs)) {
        let shim = programs.join("containerd-shim-runc-v2").canonicalize().unwrap();
        let mut peer = Peer::start(supervisord);
        peer.import();
        a_life(&mut peer, shim.to_str().unwrap());
        a_death(&mut peer, shim.to_str().unwrap());
        peer.end();
    }
}

/// Kubernetes' service of Debian's containerd makes pods of our shims: one a pod, for all its containers.
#[test]
fn our_shim_serves_pods() {
    if !require("containerd") || !require("ctr") || !require("python3") {
        return;
    }
    let mut peer = Peer::start(containerd_with_cri);
    let mut image = Image::busybox().unwrap();
    // What a pod rests in does nothing.
    image.config = serde_json::json!({"Cmd": ["sleep", "1000000"], "Env": ["PATH=/bin"]});
    let archive = peer.dir.join("pause.tar");
    std::fs::write(&archive, image.docker_archive(IMAGE).unwrap()).unwrap();
    peer.ctr(["-n", "k8s.io", "images", "import", archive.to_str().unwrap()]).expect();
    let at = |name: &str| peer.dir.join(name).display().to_string();
    std::fs::create_dir(at("logs")).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/cri_client.py");
    let client = Invocation::new(Path::new("/usr/bin/python3"));
    let cgroup = format!("/{}", peer.namespace);
    client.args([script, &at("c.sock"), &cgroup, &at("logs"), IMAGE]).expect();
    assert_eq!(peer.ctr(["-n", "k8s.io", "containers", "ls", "-q"]).expect(), "");
    peer.end();
}

#[test]
fn ctr_tells_a_life_and_a_death_on_supervisord() {
    if !require("ctr") {
        return;
    }
    let mut peer = Peer::start(supervisord);
    peer.import();
    a_life(&mut peer, OURS);
    a_death(&mut peer, OURS);
    if require("containerd-shim-runc-v2") && require("runc") {
        a_life(&mut peer, "io.containerd.runc.v2");
        a_death(&mut peer, "io.containerd.runc.v2");
    }
    peer.end();
}

/// Debian's dockerd, on a containerd.
struct Docker {
    peer: Peer,
    dockerd: Option<Daemon>,
}

impl Docker {
    fn start(launch: fn(&Path) -> Command) -> Docker {
        let mut docker = Docker { peer: Peer::start(launch), dockerd: None };
        docker.up();
        let archive = Image::busybox().unwrap().docker_archive("busybox:latest").unwrap();
        docker.call(["load"]).input(archive).expect();
        docker
    }

    fn up(&mut self) {
        let dir = &self.peer.dir;
        let mut command = Command::new("dockerd");
        command.arg("-H").arg(format!("unix://{}/d.sock", dir.display()));
        for (flag, name) in [
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "d.pid"),
            ("--containerd", "c.sock"),
        ] {
            command.arg(flag).arg(dir.join(name));
        }
        command.args(["--bridge=none", "--iptables=false", "--ip-masq=false", "--live-restore"]);
        command.args(["--add-runtime", &format!("rt={}", Programs::find().path("rt").display())]);
        // It refuses to start over the pid file of one that was killed while another process has the number.
        let _ = std::fs::remove_file(dir.join("d.pid"));
        self.dockerd = Some(Daemon::start_ready(command, &dir.join("dockerd.log")).unwrap());
    }

    fn call<const N: usize>(&self, arguments: [&str; N]) -> Invocation {
        let host = format!("unix://{}/d.sock", self.peer.dir.display());
        Invocation::new(Path::new("/usr/bin/docker")).env("DOCKER_HOST", &host).args(arguments)
    }

    /// Ends it and its containerd, and looks at what is left.
    fn end(mut self) {
        self.dockerd.take().unwrap().stop().unwrap();
        // The mount that a dockerd makes of its own directory stays if the one that made it was killed.
        let _ = Command::new("umount").arg(self.peer.dir.join("data")).stderr(Stdio::null()).status();
        // Docker's image store is its own; nothing of it is in the namespace but what it asked for.
        assert_eq!(self.peer.ctr(["-n", "moby", "containers", "ls", "-q"]).expect(), "");
        self.peer.end();
    }

    fn state(&self, name: &str) -> String {
        self.call(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name]).expect()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if let Some(dockerd) = self.dockerd.take() {
            let _ = dockerd.stop();
        }
    }
}

#[test]
fn debians_dockerd_lives_on_supervisord() {
    if !require("dockerd") || !require("containerd-shim-runc-v2") {
        return;
    }
    let mut docker = Docker::start(supervisord);
    let ran = docker.call([
        "run",
        "--rm",
        "--network=none",
        "busybox",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 3",
    ]);
    let ran = ran.run().unwrap().expect_code(3);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
    let cat = docker.call(["run", "--rm", "-i", "--network=none", "busybox", "cat"]).input("through");
    assert_eq!(cat.expect(), "through");
    docker.call(["run", "--rm", "--network=none", "busybox", "nope"]).run().unwrap().expect_code(127);
    docker
        .call([
            "run",
            "-d",
            "--name",
            "box",
            "--network=none",
            "-m",
            "64m",
            "busybox",
            "sh",
            "-c",
            "echo line; sleep 1000",
        ])
        .expect();
    assert_eq!(docker.call(["exec", "box", "echo", "in"]).expect(), "in");
    docker.call(["exec", "box", "sh", "-c", "exit 7"]).run().unwrap().expect_code(7);
    assert_eq!(docker.call(["logs", "box"]).expect(), "line");
    assert!(docker.call(["top", "box"]).expect().contains("sleep"));
    let stats = docker.call(["stats", "--no-stream", "--format", "{{.MemUsage}}", "box"]).expect();
    assert!(stats.ends_with("/ 64MiB"), "{stats}");
    docker.call(["pause", "box"]).expect();
    assert_eq!(docker.state("box"), "paused 0");
    docker.call(["unpause", "box"]).expect();
    docker.call(["update", "-m", "32m", "--memory-swap", "32m", "box"]).expect();
    docker.call(["restart", "-t", "1", "box"]).expect();
    assert_eq!(docker.call(["logs", "box"]).expect(), "line\nline");
    docker.call(["stop", "-t", "1", "box"]).expect();
    assert_eq!(docker.state("box"), "exited 137");
    docker.call(["start", "box"]).expect();
    docker.call(["rm", "-f", "box"]).expect();
    docker
        .call(["run", "-d", "--name", "oom", "--network=none", "-m", "8m", "busybox", "tail", "/dev/zero"])
        .expect();
    assert_eq!(docker.call(["wait", "oom"]).expect(), "137");
    assert_eq!(docker.call(["inspect", "-f", "{{.State.OOMKilled}}", "oom"]).expect(), "true");
    docker.call(["rm", "oom"]).expect();
    // The stock shim with our runtime below it.
    let by_rt = docker.call(["run", "--rm", "--network=none", "--runtime=rt", "busybox", "echo", "by rt"]);
    assert_eq!(by_rt.expect(), "by rt");

    let wait = "while [ ! -e /go ]; do sleep 0.01; done; exit 6";
    docker.call(["run", "-d", "--name", "brief", "--network=none", "busybox", "sh", "-c", wait]).expect();
    docker.call(["run", "-d", "--name", "still", "--network=none", "busybox", "sleep", "1000"]).expect();
    let pid = docker.call(["inspect", "-f", "{{.State.Pid}}", "brief"]).expect();
    docker.dockerd.take().unwrap().kill().unwrap();
    docker.peer.daemon.take().unwrap().kill().unwrap();
    std::fs::write(format!("/proc/{pid}/root/go"), "").unwrap();
    until("its end", || (!Path::new(&format!("/proc/{pid}/root/go")).exists()).then_some(()));
    docker.peer.up();
    docker.up();
    until("the exit that was missed", || (docker.state("brief") == "exited 6").then_some(()));
    assert_eq!(docker.call(["exec", "still", "echo", "alive"]).expect(), "alive");
    // supervisord alone dies, below a dockerd that goes on.
    docker.peer.daemon.take().unwrap().kill().unwrap();
    docker.peer.up();
    until("dockerd to be connected again", || {
        (docker.call(["exec", "still", "echo", "alive"]).run().unwrap().stdout == "alive\n").then_some(())
    });
    docker.call(["run", "--rm", "--network=none", "busybox", "true"]).expect();
    docker.call(["kill", "still"]).expect();
    until("its end", || (docker.state("still") == "exited 137").then_some(()));
    docker.call(["rm", "brief", "still"]).expect();
    docker.end();
}

/// Our shim below Debian's dockerd and Debian's containerd: what nobody else of ours is part of.
#[test]
fn our_shim_serves_debians_dockerd_on_debians_containerd() {
    if !require("dockerd") || !require("containerd") {
        return;
    }
    // It knows no shim but the stock one by name: ours is in its place.
    let launch = |dir: &Path| {
        let command = containerd(dir);
        let stock = dir.join("bin/containerd-shim-runc-v2");
        if !stock.exists() {
            std::os::unix::fs::symlink(Programs::find().path("shim"), stock).unwrap();
        }
        command
    };
    let mut docker = Docker::start(launch);
    let run =
        |docker: &Docker, arguments: &[&str]| docker.call(["run", "--network=none"]).args(arguments.to_vec());
    let ran = run(&docker, &["--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3"]);
    let ran = ran.run().unwrap().expect_code(3);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(run(&docker, &["--rm", "-i", "busybox", "cat"]).input("through").expect(), "through");
    run(&docker, &["--rm", "busybox", "nope"]).run().unwrap().expect_code(127);
    let words = ["-d", "--name", "box", "-m", "64m", "busybox", "sh", "-c", "echo line; sleep 1000"];
    run(&docker, &words).expect();
    assert_eq!(docker.call(["exec", "box", "echo", "in"]).expect(), "in");
    docker.call(["exec", "box", "sh", "-c", "exit 7"]).run().unwrap().expect_code(7);
    assert_eq!(docker.call(["logs", "box"]).expect(), "line");
    assert!(docker.call(["top", "box"]).expect().contains("sleep"));
    let stats = docker.call(["stats", "--no-stream", "--format", "{{.MemUsage}}", "box"]).expect();
    assert!(stats.ends_with("/ 64MiB"), "{stats}");
    docker.call(["pause", "box"]).expect();
    assert_eq!(docker.state("box"), "paused 0");
    docker.call(["unpause", "box"]).expect();
    docker.call(["restart", "-t", "1", "box"]).expect();
    // Both daemons die; the container does not.
    docker.dockerd.take().unwrap().kill().unwrap();
    docker.peer.daemon.take().unwrap().kill().unwrap();
    docker.peer.up();
    docker.up();
    assert_eq!(docker.call(["exec", "box", "echo", "alive"]).expect(), "alive");
    docker.call(["stop", "-t", "1", "box"]).expect();
    assert_eq!(docker.state("box"), "exited 137");
    docker.call(["rm", "box"]).expect();
    run(&docker, &["-d", "--name", "oom", "-m", "8m", "busybox", "tail", "/dev/zero"]).expect();
    assert_eq!(docker.call(["wait", "oom"]).expect(), "137");
    assert_eq!(docker.call(["inspect", "-f", "{{.State.OOMKilled}}", "oom"]).expect(), "true");
    docker.call(["rm", "oom"]).expect();
    docker.end();
}

/// A small generator of numbers for the instants of deaths; its seed is told, so that a run can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The loads that go on while the daemon is killed; a call may fail at any point, and is made good afterwards.
fn burden(peer: &Peer, number: usize, stop: &std::sync::atomic::AtomicBool) {
    let name = |round: usize| format!("load-{number}-{round}");
    let mut round = 0;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        round += 1;
        let id = name(round);
        let archive = peer.dir.join("image.tar").display().to_string();
        let runtime = if round.is_multiple_of(4) { "io.containerd.runc.v2" } else { OURS };
        match number {
            // Content, snapshots, images, and the collection of what was removed.
            0 => {
                let _ = peer
                    .ctr(["images", "import", "--base-name", &format!("docker.io/x/{id}"), &archive])
                    .run();
                let _ = peer.ctr(["images", "tag", "--force", IMAGE, &format!("docker.io/x/{id}:t")]).run();
                let _ = peer.ctr(["images", "rm", "--sync", &format!("docker.io/x/{id}:t")]).run();
            }
            _ => {
                let _ = peer.ctr(["run", "-d", "--runtime", runtime, IMAGE, &id, "sleep", "1000"]).run();
                let _ = peer.ctr(["tasks", "exec", "--exec-id", "e", &id, "true"]).run();
                if round.is_multiple_of(2) {
                    let _ = peer.ctr(["tasks", "delete", "--force", &id]).run();
                    let _ = peer.ctr(["containers", "delete", &id]).run();
                }
            }
        }
    }
}

/// Removes every container but the keeper, as a person would.
fn tidy(peer: &Peer) {
    for _ in 0..3 {
        for id in peer.ctr(["containers", "ls", "-q"]).expect().lines().filter(|id| *id != "keeper") {
            let _ = peer.ctr(["tasks", "delete", "--force", id]).run();
            let _ = peer.ctr(["containers", "delete", id]).run();
        }
    }
    let tasks = peer.ctr(["tasks", "ls", "-q"]).expect();
    assert_eq!(tasks, "keeper", "tasks without a record:\n{}", peer.ctr(["tasks", "ls"]).expect());
    assert_eq!(peer.ctr(["containers", "ls", "-q"]).expect(), "keeper");
    for image in peer.ctr(["images", "ls", "-q"]).expect().lines().filter(|image| *image != IMAGE) {
        peer.ctr(["images", "rm", "--sync", image]).expect();
    }
    // What was left of calls cut short is under leases of theirs: those end. One more, so that there is a
    // collection in any case.
    peer.ctr(["leases", "create"]).expect();
    for lease in peer.ctr(["leases", "ls", "-q"]).expect().lines() {
        peer.ctr(["leases", "rm", "--sync", lease]).expect();
    }
}

/// What there is of a kind: the first words of `ctr`'s table.
fn listed<const N: usize>(peer: &Peer, arguments: [&str; N]) -> Vec<String> {
    let table = peer.ctr(arguments).expect();
    table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn count_shims(peer: &Peer) -> usize {
    let own = peer.dir.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let shims = processes.filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains(&own) && line.contains("-id") && !line.contains("ctr\0")
    });
    shims.count()
}

/// The keeper's pid and status.
fn keeper_of(peer: &Peer) -> Vec<String> {
    let table = peer.ctr(["tasks", "ls"]).expect();
    let line = table.lines().find(|line| line.starts_with("keeper ")).unwrap_or_default();
    line.split_whitespace().map(str::to_owned).collect()
}

/// kill -9 at random instants of a mixed load; `WHERRY_KILLS` says how many, `WHERRY_SEED` repeats a run.
#[test]
fn supervisord_is_killed_at_any_instant() {
    if !require("ctr") {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let kills = number("WHERRY_KILLS").unwrap_or(16);
    let seed = number("WHERRY_SEED").unwrap_or_else(|| u64::from(std::process::id()) * 0x9e37_79b9 + 1);
    eprintln!("seed {seed}");
    let mut dice = Dice(seed);
    let mut peer = Peer::start(supervisord);
    peer.import();
    peer.ctr(["run", "-d", "--runtime", OURS, IMAGE, "keeper", "sleep", "1000"]).expect();
    let keeper = keeper_of(&peer);
    tidy(&peer);
    let (blobs, snapshots) = (listed(&peer, ["content", "ls"]), listed(&peer, ["snapshots", "ls"]));
    for kill in 0..kills {
        let stop = std::sync::atomic::AtomicBool::new(false);
        let daemon = peer.daemon.take().unwrap();
        let next = std::thread::scope(|scope| {
            for load in 0..3 {
                let (peer, stop) = (&peer, &stop);
                scope.spawn(move || burden(peer, load, stop));
            }
            std::thread::sleep(std::time::Duration::from_millis(dice.below(700)));
            daemon.kill().unwrap();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            // Before the loads have ended: a client that writes content tries again until there is a daemon.
            Daemon::start_ready((peer.launch)(&peer.dir), &peer.dir.join("daemon.log"))
        });
        peer.daemon = Some(next.unwrap());
        assert_eq!(keeper_of(&peer), keeper, "kill {kill}, seed {seed}");
        let exec = format!("x{kill}");
        assert_eq!(peer.ctr(["tasks", "exec", "--exec-id", &exec, "keeper", "echo", "in"]).expect(), "in");
        tidy(&peer);
        let what = format!("kill {kill}, seed {seed}");
        until(&what, || (listed(&peer, ["snapshots", "ls"]) == snapshots).then_some(()));
        assert_eq!(listed(&peer, ["content", "ls"]), blobs, "{what}");
        // An ingest that was cut short waits a day for its resume, by its name: there are never more than blobs.
        let ingests = listed(&peer, ["content", "active"]);
        assert!(ingests.len() <= blobs.len() + 1, "{what}: {ingests:?}");
        let bundles = std::fs::read_dir(peer.bundles()).unwrap();
        let bundles: Vec<_> = bundles.flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(bundles, ["keeper"], "{what}");
        until("orphans to be gone", || (count_shims(&peer) == 1).then_some(()));
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = peer.dir.display().to_string();
        assert_eq!(mounts.lines().filter(|line| line.contains(&own)).count(), 1, "{what}:\n{mounts}");
    }
    peer.ctr(["tasks", "delete", "--force", "keeper"]).run().unwrap();
    peer.ctr(["containers", "delete", "keeper"]).expect();
    peer.end();
}

/// A shim that does not answer holds up nobody else; killed, its task is ended and told, once.
#[test]
fn a_stuck_shim_delays_nobody_and_a_dead_one_is_told_once() {
    if !require("ctr") {
        return;
    }
    let mut peer = Peer::start(supervisord);
    peer.import();
    for name in ["stuck", "free"] {
        peer.ctr(["run", "-d", "--runtime", OURS, IMAGE, name, "sleep", "1000"]).expect();
    }
    let table = peer.ctr(["tasks", "ls"]).expect();
    let stuck = table.lines().find(|line| line.starts_with("stuck")).unwrap();
    let init: i32 = stuck.split_whitespace().nth(1).unwrap().parse().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{init}/stat")).unwrap();
    let shim: i32 = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    let signal = |signal| {
        rustix::process::kill_process(rustix::process::Pid::from_raw(shim).unwrap(), signal).unwrap();
    };
    signal(rustix::process::Signal::STOP);
    let started = std::time::Instant::now();
    peer.ctr(["run", "--rm", "--runtime", OURS, IMAGE, "other", "true"]).expect();
    assert_eq!(peer.ctr(["tasks", "exec", "--exec-id", "e", "free", "echo", "in"]).expect(), "in");
    assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    assert_eq!(peer.ctr(["tasks", "ls"]).expect(), table, "a list goes on with what is known of it");
    // The daemon comes back beside it, too, knows nothing of it then, and keeps it.
    peer.daemon.take().unwrap().kill().unwrap();
    peer.up();
    assert_eq!(peer.ctr(["tasks", "exec", "--exec-id", "f", "free", "echo", "in"]).expect(), "in");
    assert!(peer.ctr(["tasks", "ls"]).expect().contains("UNKNOWN"), "a list goes on without it");
    signal(rustix::process::Signal::CONT);
    until("it is back", || (!peer.ctr(["tasks", "ls"]).expect().contains("UNKNOWN")).then_some(()));
    let events = events(&peer);
    signal(rustix::process::Signal::KILL);
    until("its end", || (!peer.ctr(["tasks", "ls", "-q"]).expect().contains("stuck")).then_some(()));
    until("its process to be gone", || (!Path::new(&format!("/proc/{init}")).exists()).then_some(()));
    peer.ctr(["tasks", "delete", "--force", "free"]).run().unwrap();
    for name in ["stuck", "free"] {
        peer.ctr(["containers", "delete", name]).expect();
    }
    assert_eq!(events.of("stuck"), ["exit 137", "delete"]);
    peer.end();
}

/// The end of a task that nobody listened to is told to who listens then: once, whoever's the shim.
#[test]
fn an_end_that_was_missed_is_told_once() {
    if !require("ctr") || !require("containerd-shim-runc-v2") || !require("runc") {
        return;
    }
    let mut peer = Peer::start(supervisord);
    peer.import();
    let wait = "while [ ! -e /go ]; do sleep 0.01; done; exit 6";
    let tasks = [("ours", OURS), ("theirs", "io.containerd.runc.v2")];
    for (name, runtime) in tasks {
        peer.ctr(["run", "-d", "--runtime", runtime, IMAGE, name, "sh", "-c", wait]).expect();
    }
    let table = peer.ctr(["tasks", "ls"]).expect();
    let pids: Vec<i32> =
        table.lines().skip(1).map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap()).collect();
    peer.daemon.take().unwrap().kill().unwrap();
    for pid in &pids {
        std::fs::write(format!("/proc/{pid}/root/go"), "").unwrap();
    }
    until("their ends", || {
        pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}/root/go")).exists()).then_some(())
    });
    peer.up();
    let events = events(&peer);
    // Twice the time in which a shim may send again what it could not, and the daemon tells it otherwise.
    std::thread::sleep(std::time::Duration::from_secs(5));
    let said = events.all();
    for (name, _) in tasks {
        let ends: Vec<_> =
            said.iter().filter(|line| line.contains("/tasks/exit") && line.contains(name)).collect();
        assert!(ends.len() <= 1, "{ends:?}");
        assert!(name == "ours" || ends.iter().all(|line| line.contains("\"exit_status\":6")), "{said:?}");
        let note = peer.bundles().join(name).join("exit-told");
        assert!(note.exists(), "{name} was told");
    }
    for (name, _) in tasks {
        peer.ctr(["tasks", "delete", name]).run().unwrap();
        peer.ctr(["containers", "delete", name]).expect();
    }
    peer.end();
}

/// `ctr`'s command groups on supervisord, one after the other.
#[test]
fn every_command_group_of_ctr_is_served() {
    if !require("ctr") {
        return;
    }
    let mut peer = Peer::start(supervisord);
    peer.import();
    let says = |arguments: &[&str], what: &str| {
        let said = peer.ctr([]).args(arguments.to_vec()).expect();
        assert!(said.contains(what), "ctr {arguments:?} does not say {what:?} but\n{said}");
        said
    };
    // namespaces
    says(&["namespaces", "create", "apart", "a=b"], "");
    says(&["namespaces", "label", "apart", "c=d"], "");
    says(&["namespaces", "ls"], "a=b,c=d");
    says(&["namespaces", "rm", "apart"], "apart");
    // images
    says(&["images", "label", IMAGE, "x=y"], "x=y");
    says(&["images", "check"], "complete");
    says(&["images", "tag", IMAGE, "docker.io/library/other:1"], "docker.io/library/other:1");
    let (archive, mounted) = (peer.dir.join("out.tar"), peer.dir.join("mnt"));
    let (archive, mounted) = (archive.to_str().unwrap(), mounted.to_str().unwrap());
    says(&["images", "export", archive, IMAGE], "");
    std::fs::create_dir(mounted).unwrap();
    says(&["images", "mount", IMAGE, mounted], "");
    assert!(Path::new(mounted).join("bin/busybox").exists());
    says(&["images", "unmount", "--rm", mounted], "");
    // content
    let digest = says(&["content", "ls", "-q"], "sha256:").lines().next().unwrap().to_owned();
    says(&["content", "get", &digest], "{");
    says(&["content", "label", &digest, "l=m"], "l=m");
    let ingested = peer.ctr(["content", "ingest", "--expected-size", "5", "ref"]).input("data\n");
    ingested.expect();
    let data = "sha256:6667b2d1aab6a00caa5aee5af8ad9f1465e567abf1c209d15727d57b3e8f6e5f";
    assert_eq!(says(&["content", "get", data], "data"), "data");
    says(&["content", "rm", data], "");
    peer.ctr(["content", "get", data]).run().unwrap().expect_code(1).expect_complaint("not found");
    // snapshots
    let chain = says(&["snapshots", "ls"], "Committed");
    let chain = chain.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    says(&["snapshots", "prepare", "active", chain], "");
    says(&["snapshots", "mounts", "/m", "active"], "mount -t overlay");
    says(&["snapshots", "view", "view", chain], "");
    says(&["snapshots", "tree"], "\\_ active");
    says(&["snapshots", "usage"], "active");
    says(&["snapshots", "label", "active", "z=w"], "z=w");
    says(&["snapshots", "info", "active"], "\"Kind\": \"Active\"");
    says(&["snapshots", "commit", "made", "active"], "");
    says(&["snapshots", "info", "made"], "\"Kind\": \"Committed\"");
    peer.ctr(["snapshots", "rm", chain]).run().unwrap().expect_code(1).expect_complaint("cannot remove");
    for key in ["view", "made"] {
        says(&["snapshots", "rm", key], "");
    }
    // containers, leases, plugins, version
    says(&["containers", "create", "--runtime", OURS, IMAGE, "record"], "");
    says(&["containers", "label", "record", "q=r"], "q=r");
    says(&["containers", "info", "record"], "\"ID\": \"record\"");
    says(&["containers", "rm", "record"], "");
    says(&["leases", "create", "--id", "held", "a=b"], "held");
    says(&["leases", "ls"], "a=b");
    says(&["leases", "rm", "--sync", "held"], "held");
    says(&["plugins", "ls", "-d", "id==overlayfs"], "Capabilities:     remap-ids,rebase");
    says(&["version"], "Server:");
    for image in [IMAGE, "docker.io/library/other:1"] {
        says(&["images", "rm", "--sync", image], image);
    }
    assert_eq!(peer.ctr(["content", "ls", "-q"]).expect(), "");
    peer.end();
}

const KEPT: &str = "docker.io/library/kept:1";

/// Our daemon, where our shim is in the stock one's place.
fn our_shim_alone(dir: &Path) -> Command {
    let shim = dir.join("bin/containerd-shim-runc-v2");
    if !shim.exists() {
        std::fs::create_dir_all(dir.join("bin")).unwrap();
        std::os::unix::fs::symlink(Programs::find().path("shim"), &shim).unwrap();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(dir.join("bin")).chain(std::env::split_paths(&path));
    let mut command = supervisord(dir);
    command.env("PATH", std::env::join_paths(dirs).unwrap());
    command
}

/// A checkpoint goes into the content store and a container comes out of it again. The runtime is the host's runc,
/// but for what CRIU would do: its images are a file, and restored is started anew.
#[test]
fn checkpoints_are_content() {
    if !require("ctr") || !require("runc") {
        return;
    }
    let mut peer = Peer::start(our_shim_alone);
    peer.import();
    let (text, runtime) = (peer.dir.join("text"), peer.dir.join("runtime"));
    let script = r#"#!/bin/bash
images= kept=() verb=
while [ $# -gt 0 ]; do
    case $1 in
    checkpoint | restore) verb=$1 ;;
    --image-path) images=$2; shift ;;
    --work-path) work=$2; shift ;;
    *) kept+=("$1") ;;
    esac
    shift
done
case $verb in
checkpoint) [ -d "$work" ] && echo 'made by nobody' >"$images/pages-1.img" ;;
restore) grep -q 'made by nobody' "$images/pages-1.img" && exec runc "${kept[@]:0:6}" run "${kept[@]:6}" ;;
*) exec runc "${kept[@]}" ;;
esac
"#;
    std::fs::write(&text, script).unwrap();
    let install = Invocation::new(Path::new("/usr/bin/install"));
    install.args(["-m", "755", text.to_str().unwrap(), runtime.to_str().unwrap()]).expect();
    let words = "[ ! -e /marked ] || exit 9; sleep 1000";
    let run = peer.ctr(["run", "-d", "--runc-binary", runtime.to_str().unwrap(), IMAGE, "first"]);
    run.args(["sh", "-c", words]).expect();
    peer.ctr(["tasks", "exec", "--exec-id", "e", "first", "touch", "/marked"]).expect();
    peer.ctr(["containers", "checkpoint", "--task", "--rw", "--image", "first", KEPT]).expect();
    let index = peer.ctr(["images", "ls", &format!("name=={KEPT}")]).expect();
    let digest = index.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap().to_owned();
    let index = peer.ctr(["content", "get", &digest]).expect();
    for kind in ["criu.checkpoint.criu.tar", "checkpoint.config.v1+proto"] {
        assert!(index.contains(kind), "{index}");
    }
    peer.ctr(["tasks", "delete", "--force", "first"]).run().unwrap();
    peer.ctr(["containers", "delete", "first"]).expect();
    peer.ctr(["containers", "restore", "--live", "--rw", "second", KEPT]).expect();
    until("its end", || peer.ctr(["tasks", "ls"]).expect().contains("STOPPED").then_some(()));
    let deleted = peer.ctr(["tasks", "delete", "second"]).run().unwrap();
    assert!(deleted.code == 9 || deleted.stderr.contains("exit code 9"), "{deleted:?}");
    peer.ctr(["containers", "delete", "second"]).expect();
    peer.ctr(["images", "rm", "--sync", KEPT]).expect();
    assert_eq!(peer.ctr(["tasks", "ls", "-q"]).expect(), "");
    peer.end();
}

/// Our engine needs of a containerd what Debian 13's has: images by Transfer, tasks by our shim.
#[test]
fn engined_lives_on_containerd_1_7() {
    if !peer::require_containerd_1_7() {
        return;
    }
    let mut peer = Peer::start(containerd_1_7);
    let at = |name: &str| peer.dir.join(name).display().to_string();
    std::fs::write(at("daemon.json"), "{}").unwrap();
    let mut command = Command::new(Programs::find().path("engined"));
    command.args(["-H", &format!("unix://{}", at("e.sock")), "--bridge", "none"]);
    for (flag, name) in [
        ("--data-root", "e"),
        ("--exec-root", "er"),
        ("--pidfile", "e.pid"),
        ("--config-file", "daemon.json"),
        ("--containerd", "c.sock"),
    ] {
        command.arg(flag).arg(at(name));
    }
    command.args(["--cgroup-parent", &format!("/{}", peer.namespace)]);
    let engined = Daemon::start_ready(command, &peer.dir.join("engined.log")).unwrap();
    let ctl = |arguments: &[&str]| {
        Invocation::new(&Programs::find().path("ctl"))
            .env("DOCKER_HOST", &format!("unix://{}", at("e.sock")))
            .args(arguments.to_vec())
    };
    assert!(ctl(&["version"]).expect().contains("1.7"));
    let archive = Image::busybox().unwrap().docker_archive("busybox:latest").unwrap();
    ctl(&["load"]).input(archive).expect();
    let once = ctl(&["run", "--rm", "--network=none", "busybox", "sh", "-c", "echo out; exit 3"]);
    assert_eq!(once.run().unwrap().expect_code(3).stdout, "out\n");
    ctl(&["run", "-d", "--name", "long", "--network=none", "busybox", "sleep", "1000"]).expect();
    assert_eq!(ctl(&["exec", "long", "echo", "in"]).expect(), "in");
    ctl(&["exec", "long", "touch", "/tmp/made"]).expect();
    ctl(&["commit", "long", "changed"]).expect();
    ctl(&["rm", "-f", "long"]).expect();
    assert_eq!(ctl(&["run", "--rm", "--network=none", "changed", "ls", "/tmp"]).expect(), "made");
    for image in ["changed", "busybox"] {
        ctl(&["rmi", image]).expect();
    }
    engined.stop().unwrap();
    integration::remove_network_of(&peer.dir.join("e"), &peer.dir.join("er")).unwrap();
    peer.end();
}
