//! Ours beside Debian's dockerd, in one run, turn by turn: medians and ratios.
//!
//! `cargo run --release -p integration --bin bench [ROUNDS]`. dockerd runs in a network namespace of its own so
//! that its bridge and rules stay off this host.

use integration::image::Image;
use integration::peer::{Dockerd, find};
use integration::{Client, Invocation, Story};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn main() {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(20);
    let Some(docker) = find("dockerd").and(Some(PathBuf::from("/usr/bin/docker"))) else {
        eprintln!("bench: dockerd is not installed: run `deploy/needs test`");
        std::process::exit(1);
    };
    let story = Story::new();
    let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").expect("a scratch directory");
    let dockerd = Dockerd::start_in_own_network(&scratch.path().join("d")).expect("dockerd starts");
    let theirs = Peer { program: docker.clone(), host: dockerd.docker_host() };
    let archive =
        Image::busybox().and_then(|image| image.docker_archive("busybox:latest")).expect("an image");
    theirs.call(&["load"]).input(archive).expect();
    let ours = Ours(story.ctl());
    println!("{:<44}{:>10}{:>10}{:>8}", "median of turns, ms (or KiB)", "wherry", "docker", "ratio");
    let contenders = Contenders { ours: &ours, theirs: &theirs };
    contenders.daemons("daemons idle", &story, &dockerd);
    contenders.row("run --rm IMAGE true, bridge", rounds, &["run", "--rm", "busybox", "true"]);
    contenders.row(
        "run --rm --network none IMAGE true",
        rounds,
        &["run", "--rm", "--network", "none", "busybox", "true"],
    );
    let limited = ["run", "--rm", "-m", "64m", "--cpus", ".5", "--pids-limit", "64", "busybox", "true"];
    contenders.row("run --rm -m 64m --cpus .5 --pids-limit 64", rounds, &limited);
    contenders.row(
        "run --rm -p 127.0.0.1::80",
        rounds,
        &["run", "--rm", "-p", "127.0.0.1::80", "busybox", "true"],
    );
    contenders.run_many(50);
    contenders.row("exec true", rounds, &["exec", "b0", "true"]);
    contenders.row("ps with 50 running", rounds, &["ps", "-q"]);
    contenders.memory(&story, &dockerd);
    contenders.remove_many(50);
    let mixed = Peer { program: docker, host: story.stack.docker_host() };
    let (a, _) = (median(rounds, || mixed.call(&["run", "--rm", "busybox", "true"])), ());
    println!("{:<44}{:>10.1}", "stock docker CLI on engined, run --rm", millis(a));
    drop(dockerd);
    story.end();
}

/// A client on an engine.
trait Caller {
    fn call(&self, arguments: &[&str]) -> Invocation;
}

struct Ours(Client);

impl Caller for Ours {
    fn call(&self, arguments: &[&str]) -> Invocation {
        self.0.call([]).args(arguments.to_vec())
    }
}

struct Peer {
    program: PathBuf,
    host: String,
}

impl Caller for Peer {
    fn call(&self, arguments: &[&str]) -> Invocation {
        Invocation::new(&self.program).env("DOCKER_HOST", &self.host).args(arguments.to_vec())
    }
}

struct Contenders<'a> {
    ours: &'a dyn Caller,
    theirs: &'a dyn Caller,
}

impl Contenders<'_> {
    fn row(&self, name: &str, rounds: usize, arguments: &[&str]) {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            a.push(timed(self.ours.call(arguments)));
            b.push(timed(self.theirs.call(arguments)));
        }
        print_row(name, millis(middle(a)), millis(middle(b)));
    }

    fn run_many(&self, count: usize) {
        let start = |caller: &dyn Caller| {
            let started = Instant::now();
            for i in 0..count {
                caller.call(&["run", "-d", "--name", &format!("b{i}"), "busybox", "sleep", "1000"]).expect();
            }
            started.elapsed()
        };
        let (a, b) = (start(self.ours), start(self.theirs));
        print_row(
            &format!("run -d x {count} in sequence, each"),
            millis(a) / count as f64,
            millis(b) / count as f64,
        );
    }

    fn remove_many(&self, count: usize) {
        let names: Vec<String> = (0..count).map(|i| format!("b{i}")).collect();
        let mut arguments = vec!["rm", "-f"];
        arguments.extend(names.iter().map(String::as_str));
        print_row(
            &format!("rm -f of {count}"),
            millis(timed(self.ours.call(&arguments))),
            millis(timed(self.theirs.call(&arguments))),
        );
    }

    fn daemons(&self, when: &str, story: &Story, dockerd: &Dockerd) {
        let ours: Vec<i32> = ["engined", "supervisord"]
            .iter()
            .filter_map(|name| Some(story.stack.daemon(name).ok()?.pid))
            .collect();
        let theirs = [vec![dockerd.pid()], children_named(dockerd.pid(), "containerd")].concat();
        for field in ["Rss", "Pss"] {
            let sum = |pids: &[i32]| pids.iter().map(|pid| memory(*pid, field)).sum::<u64>() as f64;
            print_row(&format!("{when}, {} KiB", field.to_uppercase()), sum(&ours), sum(&theirs));
        }
    }

    fn memory(&self, story: &Story, dockerd: &Dockerd) {
        self.daemons("daemons with 50 running", story, dockerd);
        let shim = |caller: &dyn Caller| {
            let pid: i32 =
                caller.call(&["inspect", "-f", "{{.State.Pid}}", "b0"]).expect().parse().expect("a pid");
            parent(pid)
        };
        let (a, b) = (shim(self.ours), shim(self.theirs));
        print_row("one shim of 50, PSS KiB", memory(a, "Pss") as f64, memory(b, "Pss") as f64);
        let private = |pid| (memory(pid, "Private_Clean") + memory(pid, "Private_Dirty")) as f64;
        print_row("one shim of 50, private KiB", private(a), private(b));
    }
}

fn print_row(name: &str, ours: f64, theirs: f64) {
    println!("{name:<44}{ours:>10.1}{theirs:>10.1}{:>8.1}", theirs / ours);
}

fn timed(invocation: Invocation) -> Duration {
    let started = Instant::now();
    let outcome = invocation.run().expect("the client runs");
    let took = started.elapsed();
    outcome.expect_code(0);
    took
}

fn median(rounds: usize, call: impl Fn() -> Invocation) -> Duration {
    middle((0..rounds).map(|_| timed(call())).collect())
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A field of a process's memory summary, in KiB.
fn memory(pid: i32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok()).expect("a parent")
}

fn children_named(of: i32, name: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok());
    pids.filter(|pid| {
        let comm = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm"))
            .unwrap_or_default();
        comm.trim() == name && parent(*pid) == of
    })
    .collect()
}
