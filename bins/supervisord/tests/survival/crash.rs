//! kill -9 at any instant: of the daemon, of shims, of runtimes.

use crate::layer;
use crate::support::{Api, Dice, Stage, number, program, signal, until};
use containerd_api::Timestamp;
use containerd_api::events::TaskExit;
use containerd_api::task::v3::{DeleteRequest, DeleteResponse};
use containerd_api::types::Platform;
use containerd_api::types::transfer::{ImageStore, OciRegistry, UnpackConfiguration};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tonic::{Code, Status};

/// Containers that live through everything.
const KEEPERS: usize = 2;

type Heard = Arc<Mutex<Vec<TaskExit>>>;

/// A container that goes on until it is told to end, with a status of its own.
struct Keeper {
    id: String,
    pid: u32,
    status: u32,
}

impl Keeper {
    async fn start(api: &Api, base: &str, number: usize) -> Keeper {
        let (id, status) = (format!("keeper-{number}"), 10 + number as u32 % 100);
        let words = format!("while [ ! -e /go ]; do sleep 0.02; done; exit {status}");
        let pid = api.run(&id, base, &["sh", "-c", &words]).await.unwrap();
        Keeper { id, pid, status }
    }

    /// Ends it, by what it waits for, and says between which moments that was.
    fn end(&self) -> (SystemTime, SystemTime) {
        let before = SystemTime::now();
        std::fs::write(format!("/proc/{}/root/go", self.pid), "").unwrap();
        // Its shim has seen it when it is gone altogether.
        until("a keeper's end", || (!Path::new(&format!("/proc/{}", self.pid)).exists()).then_some(()));
        (before, SystemTime::now())
    }
}

fn time(stamp: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(stamp.seconds as u64, stamp.nanos as u32)
}

/// A registry with an image that is nowhere else.
struct Registry {
    process: Child,
    image: String,
}

impl Registry {
    async fn start(stage: &Stage, api: &Api) -> Registry {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = stage.path("registry.yml");
        let storage = stage.path("registry").display().to_string();
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {storage}\nhttp:\n  addr: 127.0.0.1:{port}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        let registry =
            Registry { process: command.spawn().unwrap(), image: format!("127.0.0.1:{port}/far/away:1") };
        until("a registry", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        let noise: Vec<u8> =
            (0..3_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        api.lease("push").await.unwrap();
        api.under("push").make_image(&registry.image, &layer::tar(&[("noise", &noise)])).await.unwrap();
        api.transfer(store(&registry.image), registry.reference()).await.unwrap();
        api.end_lease("push").await.unwrap();
        api.delete_image(&registry.image).await.unwrap();
        registry
    }

    fn reference(&self) -> OciRegistry {
        OciRegistry { reference: self.image.clone(), resolver: None }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn store(name: &str) -> ImageStore {
    let platform = Platform { os: "linux".into(), architecture: "amd64".into(), ..Platform::default() };
    let unpack = UnpackConfiguration { platform: Some(platform.clone()), snapshotter: "overlayfs".into() };
    ImageStore { name: name.into(), platforms: vec![platform], unpacks: vec![unpack], ..Default::default() }
}

/// What goes on while the daemon is killed.
#[derive(Clone)]
struct Load {
    api: Api,
    base: String,
    pull: (ImageStore, OciRegistry),
    /// No two loads make the same names.
    name: String,
    stop: Arc<AtomicBool>,
}

impl Load {
    async fn content(&self, round: usize) -> Result<(), Status> {
        let name = format!("{}-{round}", self.name);
        self.api.lease(&name).await?;
        let leased = self.api.under(&name);
        leased.write(&name, name.repeat(20_000).as_bytes(), Default::default()).await?;
        leased.make_image(&name, &layer::tar(&[("name", name.as_bytes())])).await?;
        self.api.end_lease(&name).await?;
        self.api.delete_image(&name).await
    }

    async fn pull(&self) -> Result<(), Status> {
        let (store, registry) = self.pull.clone();
        let name = store.name.clone();
        self.api.transfer(registry, store).await?;
        self.api.delete_image(&name).await
    }

    async fn life(&self, round: usize) -> Result<(), Status> {
        let id = format!("{}-{round}", self.name);
        if round.is_multiple_of(3) {
            self.api.run(&id, &self.base, &["sh", "-c", "exit 7"]).await?;
            assert_eq!(self.api.wait(&id).await?.status, 7);
            assert_eq!(self.api.delete_task(&id).await?.status, 7);
        } else {
            self.api.run(&id, &self.base, &["sleep", "1000"]).await?;
            assert_eq!(self.api.exec(&id, "e", &["sh", "-c", "exit 3"]).await?, 3);
        }
        // Every fifth is left to whoever tidies up.
        if round % 5 == 4 { Ok(()) } else { self.api.purge(&id).await }
    }

    /// Works until it is told to stop or its calls fail. A failure that is not the daemon's death is told.
    async fn work(self, kind: usize) -> Option<String> {
        for round in 0.. {
            let done = match kind {
                0 => self.content(round).await,
                1 => self.pull().await,
                _ => self.life(round).await,
            };
            match done {
                Err(status) if !is_death(&status) => {
                    return Some(format!("{} {round}: {status:?}", self.name));
                }
                Err(_) => return None,
                Ok(()) if self.stop.load(Ordering::Relaxed) => return None,
                Ok(()) => {}
            }
        }
        None
    }
}

fn is_death(status: &Status) -> bool {
    let cut = ["transport", "h2 protocol", "connection", "stream"];
    let source = std::error::Error::source(status);
    status.code() == Code::Unavailable
        // This client's own words for a connection that is gone.
        || source.is_some_and(|source| source.is::<tonic::transport::Error>())
        || matches!(status.code(), Code::Unknown | Code::Cancelled | Code::Internal)
            && cut.iter().any(|word| status.message().contains(word))
}

/// What is there before any load, to be there after each.
#[derive(Debug, PartialEq)]
struct Stock {
    images: BTreeSet<String>,
    blobs: BTreeSet<String>,
    snapshots: BTreeSet<String>,
    containers: BTreeSet<String>,
    leases: BTreeSet<String>,
}

impl Stock {
    async fn take(api: &Api) -> Stock {
        let set = |names: Vec<String>| names.into_iter().collect();
        Stock {
            images: set(api.images().await.unwrap()),
            blobs: set(api.blobs().await.unwrap()),
            snapshots: set(api.snapshot_names().await.unwrap()),
            containers: set(api.containers().await.unwrap()),
            leases: set(api.leases().await.unwrap()),
        }
    }

    /// Removes what is in no stock, as a person would, and collects.
    async fn tidy(&self, api: &Api) {
        for id in api.containers().await.unwrap().into_iter().filter(|id| !self.containers.contains(id)) {
            api.purge(&id).await.unwrap();
        }
        for image in api.images().await.unwrap().into_iter().filter(|image| !self.images.contains(image)) {
            api.delete_image(&image).await.unwrap();
        }
        // One more, so that there is a collection in any case.
        api.lease("last").await.unwrap();
        for lease in api.leases().await.unwrap() {
            api.end_lease(&lease).await.unwrap();
        }
    }
}

struct Soak {
    stage: Stage,
    api: Api,
    base: String,
    keepers: Vec<Keeper>,
    made: usize,
    heard: Heard,
    registry: Registry,
    stock: Stock,
}

impl Soak {
    async fn new() -> Soak {
        let stage = Stage::new();
        let api = stage.api();
        api.lease("setup").await.unwrap();
        let base = api.under("setup").make_image("base", &layer::busybox()).await.unwrap();
        api.end_lease("setup").await.unwrap();
        let registry = Registry::start(&stage, &api).await;
        let mut keepers = Vec::new();
        for number in 0..KEEPERS {
            keepers.push(Keeper::start(&api, &base, number).await);
        }
        let heard = Heard::default();
        let stock = Stock::take(&api).await;
        let mut soak = Soak { stage, api, base, keepers, made: KEEPERS, heard, registry, stock };
        soak.listen().await;
        soak
    }

    async fn listen(&mut self) {
        let heard = self.heard.clone();
        self.api.hear_ends(move |exit| heard.lock().unwrap().push(exit)).await.unwrap();
    }

    fn loads(&self, kill: u64, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<Option<String>>> {
        let load = |kind: usize| {
            let load = Load {
                api: self.stage.api(),
                base: self.base.clone(),
                pull: (store(&self.registry.image), self.registry.reference()),
                name: format!("load-{kill}-{kind}"),
                stop: stop.clone(),
            };
            tokio::spawn(load.work(kind))
        };
        (0..4).map(load).collect()
    }

    /// The daemon dies under load and comes back; by turns a keeper ends while there is none.
    async fn die(&mut self, kill: u64, after: Duration) {
        let stop = Arc::new(AtomicBool::new(false));
        let loads = self.loads(kill, &stop);
        tokio::time::sleep(after).await;
        self.stage.kill();
        stop.store(true, Ordering::Relaxed);
        let window = kill.is_multiple_of(3).then(|| self.keepers[0].end());
        self.stage.start();
        self.api = self.stage.api();
        self.listen().await;
        for load in loads {
            let fault = load.await.unwrap();
            assert_eq!(fault, None, "kill {kill}");
        }
        if let Some(window) = window {
            self.was_told(window).await;
        }
    }

    /// The end of the first keeper comes to be heard, is what it was, and makes room for a new one.
    async fn was_told(&mut self, window: (SystemTime, SystemTime)) {
        let keeper = self.keepers.remove(0);
        let ends = || {
            let heard = self.heard.lock().unwrap();
            heard.iter().filter(|exit| exit.id == keeper.id).cloned().collect::<Vec<_>>()
        };
        let end = Instant::now() + Duration::from_secs(15);
        while ends().is_empty() {
            assert!(Instant::now() < end, "the end of {} is not told", keeper.id);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let end = ends().remove(0);
        assert_eq!((end.exit_status, end.pid), (keeper.status, keeper.pid));
        let at = time(end.exited_at.unwrap());
        // A shim that was not let run between the end and its note of it is a little late.
        let latest = window.1 + Duration::from_secs(1);
        assert!(window.0 <= at && at <= latest, "{at:?} in {window:?}");
        let waited = self.api.wait(&keeper.id).await.unwrap();
        assert_eq!((waited.status, waited.at), (keeper.status, end.exited_at));
        let deleted = self.api.delete_task(&keeper.id).await.unwrap();
        assert_eq!((deleted.status, deleted.at), (keeper.status, end.exited_at));
        self.api.purge(&keeper.id).await.unwrap();
        let next = Keeper::start(&self.api, &self.base, self.made).await;
        self.made += 1;
        self.stock.containers = [&self.keepers[0].id, &next.id].map(Clone::clone).into();
        self.stock.snapshots.retain(|name| name != &keeper.id);
        self.stock.snapshots.insert(next.id.clone());
        self.keepers.push(next);
    }

    /// Who lived lives and obeys; after tidying nothing is there that was not before.
    async fn check(&self, kill: u64) {
        for keeper in &self.keepers {
            let process = self.api.get(&keeper.id).await.unwrap();
            assert_eq!((process.pid, process.status), (keeper.pid, 2), "{} after kill {kill}", keeper.id);
            let exec = format!("x{kill}");
            assert_eq!(self.api.exec(&keeper.id, &exec, &["sh", "-c", "exit 5"]).await.unwrap(), 5);
        }
        self.stock.tidy(&self.api).await;
        let mut found = Stock::take(&self.api).await;
        let end = Instant::now() + Duration::from_secs(10);
        while found != self.stock && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
            found = Stock::take(&self.api).await;
        }
        assert_eq!(found, self.stock, "kill {kill}");
        let tasks: BTreeSet<_> =
            self.api.list_tasks().await.unwrap().into_iter().map(|task| task.id).collect();
        assert_eq!(tasks, self.stock.containers, "kill {kill}");
        // Leases held every one.
        assert_eq!(self.api.ingests().await.unwrap(), Vec::<String>::new(), "kill {kill}");
        self.check_host(kill);
    }

    fn check_host(&self, kill: u64) {
        let ids: Vec<&str> = self.keepers.iter().map(|keeper| keeper.id.as_str()).collect();
        self.stage.expect_on_host(&ids, &format!("kill {kill}"));
        let count = |path: &str| std::fs::read_dir(self.stage.path(path)).unwrap().count();
        let snapshots = "root/io.containerd.snapshotter.v1.overlayfs/snapshots";
        until("snapshots' directories", || (count(snapshots) == self.stock.snapshots.len()).then_some(()));
        let blobs = "root/io.containerd.content.v1.content/blobs/sha256";
        until("blobs' files", || (count(blobs) == self.stock.blobs.len()).then_some(()));
        assert_eq!(count("root/io.containerd.content.v1.content/ingest"), 0, "kill {kill}");
    }
}

/// `WHERRY_KILLS` says how often, `WHERRY_SEED` repeats the instants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supervisord_is_killed_at_any_instant() {
    let mut dice = Dice::new();
    let kills = number("WHERRY_KILLS").unwrap_or(8);
    let mut soak = Soak::new().await;
    for kill in 0..kills {
        soak.die(kill, Duration::from_millis(dice.below(900))).await;
        soak.check(kill).await;
    }
    // Those that ended while there was no daemon were told once each, in whatever life.
    let heard = soak.heard.lock().unwrap().clone();
    for number in 0..soak.made - KEEPERS {
        let id = format!("keeper-{number}");
        assert_eq!(heard.iter().filter(|exit| exit.id == id).count(), 1, "{id}");
    }
    for keeper in &soak.keepers {
        soak.api.purge(&keeper.id).await.unwrap();
    }
    soak.stage.expect_on_host(&[], "the end");
}

/// A former life of the daemon asked for a deletion and did not live to let the shim go: its task is gone, and the
/// shim, its bundle and its name go too, whether anybody asks for them or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_a_former_life_asked_for_is_finished() {
    let mut stage = Stage::new();
    let api = stage.api();
    api.lease("setup").await.unwrap();
    let base = api.under("setup").make_image("base", &layer::busybox()).await.unwrap();
    api.end_lease("setup").await.unwrap();
    for id in ["asked", "forgotten"] {
        api.run(id, &base, &["sleep", "1000"]).await.unwrap();
    }
    stage.kill();
    stage.start();
    let api = stage.api();
    for id in ["asked", "forgotten"] {
        api.kill(id).await.unwrap();
        assert_eq!(api.wait(id).await.unwrap().status, 137);
        let bootstrap = std::fs::read(stage.bundles().join(id).join("bootstrap.json")).unwrap();
        let bootstrap: serde_json::Value = serde_json::from_slice(&bootstrap).unwrap();
        let socket = bootstrap["address"].as_str().unwrap().trim_start_matches("unix://").to_owned();
        let shim = ttrpc::Client::new(tokio::net::UnixStream::connect(socket).await.unwrap()).unwrap();
        let request = DeleteRequest { id: id.into(), exec_id: String::new() };
        let options = ttrpc::CallOptions::default();
        let deleted: DeleteResponse =
            shim.call("containerd.task.v3.Task", "Delete", &request, options).await.unwrap();
        assert_eq!(deleted.exit_status, 137);
        if id == "asked" {
            assert_eq!(api.get(id).await.unwrap_err().code(), Code::NotFound);
        }
    }
    stage.expect_on_host(&[], "nobody's task");
    for id in ["asked", "forgotten"] {
        api.purge(id).await.unwrap();
        api.run(id, &base, &["true"]).await.unwrap();
        assert_eq!(api.wait(id).await.unwrap().status, 0);
        api.purge(id).await.unwrap();
    }
    stage.expect_on_host(&[], "the end");
}

/// Kills what works for a container while it is made: its shim, or the runtime that the shim runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shims_and_runtimes_are_killed_while_they_make_containers() {
    let mut dice = Dice::new();
    let rounds = number("WHERRY_KILLS").unwrap_or(12);
    let stage = Stage::new();
    let api = stage.api();
    api.lease("setup").await.unwrap();
    let base = api.under("setup").make_image("base", &layer::busybox()).await.unwrap();
    let (rt, mut cut) = (program("rt").canonicalize().unwrap(), 0);
    for round in 0..rounds {
        let id = format!("made-{round}");
        let victim = if round % 2 == 0 { None } else { Some(rt.clone()) };
        let (bundle, delay) = (stage.bundles().join(&id), Duration::from_micros(dice.below(30_000)));
        let stop = Arc::new(AtomicBool::new(false));
        let killer = std::thread::spawn({
            let stop = stop.clone();
            move || kill_worker(&bundle, victim.as_deref(), delay, &stop)
        });
        let made = async {
            api.run(&id, &base, &["sleep", "1000"]).await?;
            api.exec(&id, "e", &["true"]).await
        };
        let made = made.await;
        stop.store(true, Ordering::Relaxed);
        let killed = killer.join().unwrap();
        cut += u32::from(made.is_err());
        assert!(killed || made.as_ref().map_or(true, |code| *code == 0), "{made:?}");
        // Whatever became of it, it can be removed, its name used again, and nothing stays.
        tokio::time::timeout(Duration::from_secs(20), api.purge(&id))
            .await
            .expect("a purge that ends")
            .unwrap();
        stage.expect_on_host(&[], &format!("{id} {killed} {:?}", made.as_ref().err()));
        api.run(&id, &base, &["true"]).await.unwrap();
        assert_eq!(api.wait(&id).await.unwrap().status, 0);
        api.purge(&id).await.unwrap();
    }
    eprintln!("{cut} of {rounds} creations were cut");
    stage.expect_on_host(&[], "the end");
}

/// Kills the process that works in the bundle, after a while: a runtime's by its program, else a shim's.
fn kill_worker(bundle: &Path, runtime: Option<&Path>, delay: Duration, stop: &AtomicBool) -> bool {
    let is_victim = |pid: i32| {
        let proc = Path::new("/proc").join(pid.to_string());
        let Ok(program) = std::fs::read_link(proc.join("exe")) else { return false };
        let line = std::fs::read(proc.join("cmdline")).unwrap_or_default();
        let id = bundle.file_name().unwrap().to_str().unwrap();
        let names = String::from_utf8_lossy(&line).contains(id);
        names
            && match runtime {
                Some(runtime) => program == runtime,
                None => program.file_name().is_some_and(|name| name.to_string_lossy().contains("shim")),
            }
    };
    while !stop.load(Ordering::Relaxed) {
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        if let Some(pid) = pids.find(|pid| is_victim(*pid)) {
            std::thread::sleep(delay);
            signal(pid, Signal::KILL);
            return true;
        }
    }
    false
}
