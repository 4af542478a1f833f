//! Ours beside Debian's dockerd, in one run, turn by turn: medians and ratios.
//!
//! `cargo run --release -p integration --bin bench [ROUNDS]`. dockerd runs in a network namespace of its own so
//! that its bridge and rules stay off this host. `ROWS=word,word` measures only rows whose names contain a word.

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
    let rows = std::env::var("ROWS").unwrap_or_default();
    let rows = rows.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let contenders = Contenders { ours: &ours, theirs: &theirs, rows };
    if contenders.wants("daemons idle") {
        contenders.daemons("daemons idle", &story, &dockerd);
    }
    contenders.short_lives(rounds);
    contenders.one_that_runs(rounds);
    contenders.bytes(rounds.min(3), scratch.path());
    if contenders.wants("fifty") {
        contenders.run_many(50);
        contenders.row("fifty: exec true", rounds, &["exec", "b0", "true"]);
        contenders.row("fifty: ps", rounds, &["ps", "-q"]);
        contenders.row("fifty: stats --no-stream", 1, &["stats", "--no-stream"]);
        contenders.memory(&story, &dockerd);
        contenders.remove_many(50);
    }
    contenders.parallel(20);
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
    ours: &'a (dyn Caller + Sync),
    theirs: &'a (dyn Caller + Sync),
    /// Words of the rows that are wanted; none is all.
    rows: Vec<String>,
}

impl Contenders<'_> {
    fn wants(&self, name: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|word| name.contains(word.as_str()))
    }

    /// Containers that end at once.
    fn short_lives(&self, rounds: usize) {
        let run = |name: &str, more: &[&str]| {
            let words = [["run", "--rm"].as_slice(), more, &["busybox", "true"]].concat();
            self.row(&format!("run --rm {name}"), rounds, &words);
        };
        run("IMAGE true, bridge", &[]);
        run("--network none", &["--network", "none"]);
        run("--network host", &["--network", "host"]);
        run("-p 127.0.0.1::80", &["-p", "127.0.0.1::80"]);
        run("-m 64m --cpus .5 --pids-limit 64", &["-m", "64m", "--cpus", ".5", "--pids-limit", "64"]);
        self.steps("create + rm", rounds, &[&["create", "--name", "c0", "busybox"], &["rm", "c0"]]);
    }

    /// What is done to a container that runs.
    fn one_that_runs(&self, rounds: usize) {
        if !["exec", "restart", "stop", "API", "cp", "export", "commit"].iter().any(|row| self.wants(row)) {
            return;
        }
        let obedient = "trap 'exit 0' TERM; while :; do sleep 1 & wait; done";
        self.both(&["run", "-d", "--name", "one", "busybox", "sh", "-c", obedient]);
        self.row("exec true", rounds, &["exec", "one", "true"]);
        self.row("restart -t 0", rounds, &["restart", "-t", "0", "one"]);
        self.steps("stop + start", rounds, &[&["stop", "one"], &["start", "one"]]);
        self.row("API version", rounds, &["version"]);
        self.row("API info", rounds, &["info"]);
        self.row("API inspect", rounds, &["inspect", "one"]);
        self.row("API images", rounds, &["images", "-q"]);
        self.both(&["rm", "-f", "one"]);
    }

    /// Work that is mostly bytes: 64 MiB each.
    fn bytes(&self, rounds: usize, scratch: &Path) {
        let file = scratch.join("bytes");
        let path = file.display().to_string();
        let make = || std::fs::write(&file, vec![7u8; 64 << 20]).expect("a file of bytes");
        let out = scratch.join("out").display().to_string();
        let lines =
            "yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 67108864";
        self.row("logs: write 64 MiB", rounds, &["run", "--rm", "busybox", "sh", "-c", lines]);
        if self.wants("logs: read 64 MiB") {
            self.both(&["run", "--name", "talker", "-d", "busybox", "sh", "-c", lines]);
            self.both(&["wait", "talker"]);
            self.row("logs: read 64 MiB", rounds, &["logs", "talker"]);
            self.row("logs: tail 10 of 64 MiB", rounds, &["logs", "--tail", "10", "talker"]);
            self.both(&["rm", "talker"]);
        }
        if !["cp", "export", "commit", "save", "load"].iter().any(|row| self.wants(row)) {
            return;
        }
        make();
        self.both(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
        self.row("cp in, 64 MiB", rounds, &["cp", &path, "box:/bytes"]);
        self.both(&["cp", &path, "box:/bytes"]);
        self.row("cp out, 64 MiB", rounds, &["cp", "box:/bytes", &out]);
        self.row("export, 64 MiB", rounds, &["export", "-o", &out, "box"]);
        self.row("commit, 64 MiB", rounds, &["commit", "box", "big"]);
        self.both(&["commit", "box", "big"]);
        self.row("save, 64 MiB", rounds, &["save", "-o", &out, "big"]);
        for (caller, name) in [(self.ours, "ours.tar"), (self.theirs, "theirs.tar")] {
            caller.call(&["save", "-o", &scratch.join(name).display().to_string(), "big"]).expect();
        }
        self.both(&["rm", "-f", "box"]);
        if self.wants("load, 64 MiB") {
            let load = |caller: &dyn Caller, name: &str| {
                let archive = scratch.join(name).display().to_string();
                let turn = || {
                    caller.call(&["rmi", "big"]).run().expect("the client runs");
                    timed(caller.call(&["load", "-i", &archive]))
                };
                middle((0..rounds).map(|_| turn()).collect())
            };
            print_row(
                "load, 64 MiB",
                millis(load(self.ours, "ours.tar")),
                millis(load(self.theirs, "theirs.tar")),
            );
        }
        self.both(&["rmi", "big"]);
        for name in ["bytes", "out", "ours.tar", "theirs.tar"] {
            let _ = std::fs::remove_file(scratch.join(name));
        }
    }

    fn both(&self, arguments: &[&str]) {
        self.ours.call(arguments).expect();
        self.theirs.call(arguments).expect();
    }

    /// Several calls as one row.
    fn steps(&self, name: &str, rounds: usize, calls: &[&[&str]]) {
        if !self.wants(name) {
            return;
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let all = |caller: &dyn Caller| calls.iter().map(|call| timed(caller.call(call))).sum::<Duration>();
        for _ in 0..rounds {
            a.push(all(self.ours));
            b.push(all(self.theirs));
        }
        print_row(name, millis(middle(a)), millis(middle(b)));
    }

    /// Starts and removals by clients of their own, at once.
    fn parallel(&self, count: usize) {
        let name = format!("run -d x {count} in parallel, all");
        if !self.wants(&name) {
            return;
        }
        let at_once = |caller: &(dyn Caller + Sync), words: &(dyn Fn(usize) -> Vec<String> + Sync)| {
            let started = Instant::now();
            std::thread::scope(|scope| {
                for number in 0..count {
                    scope.spawn(move || {
                        let words = words(number);
                        caller.call(&words.iter().map(String::as_str).collect::<Vec<_>>()).expect();
                    });
                }
            });
            millis(started.elapsed())
        };
        let words = |text: String| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let run = move |number: usize| words(format!("run -d --name p{number} busybox sleep 1000"));
        print_row(&name, at_once(self.ours, &run), at_once(self.theirs, &run));
        let remove = move |number: usize| words(format!("rm -f p{number}"));
        let name = format!("rm -f x {count} in parallel, all");
        print_row(&name, at_once(self.ours, &remove), at_once(self.theirs, &remove));
    }

    fn row(&self, name: &str, rounds: usize, arguments: &[&str]) {
        if !self.wants(name) {
            return;
        }
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
