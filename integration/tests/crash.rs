//! kill -9 of engined at any instant of a mixed load: nothing of anybody's is lost, and nothing stays.

use integration::peer::find;
use integration::{Client, Daemon, Invocation, Story, until};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What the engine says and what the host has, when nothing goes on.
#[derive(Debug, PartialEq)]
struct World {
    containers: BTreeSet<String>,
    networks: BTreeSet<String>,
    volumes: BTreeSet<String>,
    records: BTreeSet<String>,
    snapshots: BTreeSet<String>,
    leases: Vec<String>,
    directories: BTreeMap<&'static str, usize>,
    mounts: usize,
    rules: Vec<String>,
    links: Vec<String>,
}

struct Soak {
    story: Story,
    client: Client,
    /// The keeper as `inspect` shows it.
    keeper: String,
    world: Option<World>,
}

const KEEPER: &str = "{{.Id}} {{.State.Pid}} {{.State.Status}} {{.RestartCount}} {{json .NetworkSettings.Ports}} \
    {{(index .NetworkSettings.Networks \"own\").IPAddress}} {{(index .Mounts 0).Name}}";

impl Soak {
    fn new() -> Soak {
        let story = Story::new();
        let client = story.ctl();
        client.call(["network", "create", "own"]).expect();
        client.call(["volume", "create", "kept"]).expect();
        let run = client.call(["run", "-d", "--name", "keeper", "--network", "own", "-p", "127.0.0.1::80"]);
        run.args(["-v", "kept:/data", "--restart", "always", "busybox", "httpd", "-f", "-p", "80"]).expect();
        let mut soak = Soak { story, client, keeper: String::new(), world: None };
        soak.keeper = soak.inspect("keeper", KEEPER);
        soak.world = Some(soak.look());
        soak
    }

    fn inspect(&self, name: &str, format: &str) -> String {
        self.client.call(["inspect", "-f", format, name]).expect()
    }

    fn words<const N: usize>(&self, arguments: [&str; N]) -> BTreeSet<String> {
        self.client.call(arguments).expect().split_whitespace().map(str::to_owned).collect()
    }

    /// What supervisord has of the engine's: a table's first words.
    fn records(&self, of: &str) -> Vec<String> {
        let address = self.story.stack.containerd_address().display().to_string();
        let ctr = Invocation::new(&find("ctr").expect("ctr")).args(["-a", &address, "-n", "moby", of, "ls"]);
        let table = ctr.expect();
        table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    fn look(&self) -> World {
        let dir = &self.story.stack.dir;
        let count = |path: &'static str| {
            let entries = std::fs::read_dir(dir.join(path)).into_iter().flatten().flatten();
            (path, entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count())
        };
        let own = dir.display().to_string();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        World {
            containers: self.words(["ps", "-a", "--format", "{{.Names}}"]),
            networks: self.words(["network", "ls", "--format", "{{.Name}}"]),
            volumes: self.words(["volume", "ls", "-q"]),
            records: self.records("containers").into_iter().collect(),
            snapshots: self.records("snapshots").into_iter().collect(),
            leases: self.records("leases"),
            directories: ["data/engined/containers", "data/engined/volumes", "run/engined/netns"]
                .map(count)
                .into(),
            mounts: mounts.lines().filter(|line| line.contains(&own)).count(),
            rules: self.story.stack.firewall(),
            links: self.story.stack.links(),
        }
    }

    /// Removes what the loads left, as a person would, and lets supervisord collect.
    fn tidy(&self) {
        let world = self.world.as_ref().unwrap();
        let extra = |now: BTreeSet<String>, then: &BTreeSet<String>| {
            now.difference(then).cloned().collect::<Vec<_>>()
        };
        for name in extra(self.words(["ps", "-a", "--format", "{{.Names}}"]), &world.containers) {
            self.client.call(["rm", "-f", "-v", &name]).expect();
        }
        for name in extra(self.words(["network", "ls", "--format", "{{.Name}}"]), &world.networks) {
            self.client.call(["network", "rm", &name]).expect();
        }
        for name in extra(self.words(["volume", "ls", "-q"]), &world.volumes) {
            self.client.call(["volume", "rm", &name]).expect();
        }
        let address = self.story.stack.containerd_address().display().to_string();
        for verb in [["create", "--id", "last"], ["rm", "--sync", "last"]] {
            let ctr =
                Invocation::new(&find("ctr").expect("ctr")).args(["-a", &address, "-n", "moby", "leases"]);
            ctr.args(verb).expect();
        }
    }

    /// The keeper is what it was, obeys, and is reached by its port; the API says so without ctl, too.
    fn check_keeper(&self, what: &str) {
        assert_eq!(self.inspect("keeper", KEEPER), self.keeper, "{what}");
        assert_eq!(self.client.call(["exec", "keeper", "echo", "in"]).expect(), "in", "{what}");
        let port = self.client.call(["port", "keeper", "80"]).expect();
        let mut stream = TcpStream::connect(port.lines().next().unwrap()).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1."), "{what}: {answer:?}");
        let socket = self.story.stack.docker_host();
        let mut stream = UnixStream::connect(socket.strip_prefix("unix://").unwrap()).unwrap();
        stream.write_all(b"GET /containers/keeper/json HTTP/1.0\r\nHost: d\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\"Running\":true"), "{what}: {answer}");
    }

    /// The engine dies, and is back; a container ends meanwhile, and its status is known.
    fn die(&self, kill: u64, after: Duration) {
        let what = format!("kill {kill}");
        let status = 10 + kill % 90;
        let brief = format!("brief-{kill}");
        let words = format!("while [ ! -e /go ]; do sleep 0.02; done; exit {status}");
        self.client.call(["run", "-d", "--name", &brief, "busybox", "sh", "-c", &words]).expect();
        let pid = self.inspect(&brief, "{{.State.Pid}}");
        let (stop, ended) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
        std::thread::scope(|scope| {
            for load in 0..3 {
                let (client, stop, ended) = (&self.client, &stop, &ended);
                scope.spawn(move || burden(client, kill, load, stop, ended));
            }
            std::thread::sleep(after);
            self.story.stack.daemon("engined").unwrap().kill().unwrap();
            stop.store(true, Ordering::Relaxed);
            std::fs::write(format!("/proc/{pid}/root/go"), "").unwrap();
            until("its end", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
            let back: std::io::Result<Daemon> = self.story.stack.start_engined();
            back.unwrap();
        });
        self.check_keeper(&what);
        let wanted = format!("exited {status}");
        until(&what, || {
            (self.inspect(&brief, "{{.State.Status}} {{.State.ExitCode}}") == wanted).then_some(())
        });
        for (name, code) in ended.into_inner().unwrap() {
            assert_eq!(
                self.inspect(&name, "{{.State.Status}} {{.State.ExitCode}}"),
                format!("exited {code}"),
                "{what}"
            );
        }
        self.tidy();
        let world = self.world.as_ref().unwrap();
        let end = std::time::Instant::now() + Duration::from_secs(15);
        let mut now = self.look();
        while now != *world && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
            now = self.look();
        }
        assert_eq!(now, *world, "{what}");
    }
}

/// A load until the engine is gone. What was acknowledged to have ended is noted with its code.
fn burden(client: &Client, kill: u64, load: u32, stop: &AtomicBool, ended: &Mutex<BTreeMap<String, i32>>) {
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("load-{kill}-{load}-{round}");
        match load {
            0 => {
                let _ = client
                    .call(["run", "-d", "--name", &name, "-p", "127.0.0.1::80", "busybox", "sleep", "1000"])
                    .run();
                let _ = client.call(["exec", &name, "true"]).run();
                if round % 2 == 0 {
                    let _ = client.call(["rm", "-f", &name]).run();
                }
            }
            1 => {
                let code = 3 + round % 4;
                let ran = client
                    .call(["run", "--name", &name, "busybox", "sh", "-c", &format!("exit {code}")])
                    .run();
                if ran.is_ok_and(|ran| ran.code == code) {
                    ended.lock().unwrap().insert(name, code);
                }
            }
            _ => {
                let _ = client.call(["network", "create", &name]).run();
                let _ = client.call(["volume", "create", &name]).run();
                let mount = format!("{name}:/v");
                let _ =
                    client.call(["run", "--rm", "--network", &name, "-v", &mount, "busybox", "true"]).run();
                if round % 2 == 0 {
                    let _ = client.call(["volume", "rm", &name]).run();
                    let _ = client.call(["network", "rm", &name]).run();
                }
            }
        }
    }
}

/// `WHERRY_KILLS` says how often, `WHERRY_SEED` repeats the instants.
#[test]
fn engined_is_killed_at_any_instant() {
    let kills = number("WHERRY_KILLS").unwrap_or(4);
    let seed = number("WHERRY_SEED").unwrap_or_else(|| u64::from(std::process::id()) * 0x9e37_79b9 + 1);
    eprintln!("seed {seed}");
    let mut dice = Dice(seed);
    let soak = Soak::new();
    for kill in 0..kills {
        soak.die(kill, Duration::from_millis(dice.below(2500)));
    }
    soak.story.end();
}
