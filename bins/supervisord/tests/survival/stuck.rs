//! Who does not answer delays nobody else: a shim, a disk, a reader, a logger, a client.

use crate::layer;
use crate::support::{Api, Dice, Stage, signal, until};
use containerd_api::pack;
use containerd_api::runc::v1::Options;
use containerd_api::services::tasks::v1::CreateTaskRequest;
use rustix::process::Signal;
use std::collections::HashMap;
use std::future::Future;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tonic::{Code, Status};

/// How long what nobody holds up may take on a machine with much else to do.
const SOON: Duration = Duration::from_secs(4);

/// The outcome of a call that must not hang.
async fn soon<T>(what: &str, call: impl Future<Output = T>) -> T {
    let answer = tokio::time::timeout(SOON, call).await;
    answer.unwrap_or_else(|_| panic!("{what} hangs"))
}

async fn stage() -> (Stage, Api, String) {
    let stage = Stage::new();
    let (api, base) = with_image(&stage).await;
    (stage, api, base)
}

async fn with_image(stage: &Stage) -> (Api, String) {
    let api = stage.api();
    api.lease("setup").await.unwrap();
    let base = api.under("setup").make_image("base", &layer::busybox()).await.unwrap();
    api.end_lease("setup").await.unwrap();
    (api, base)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_shim_delays_nobody() {
    let (mut stage, api, base) = stage().await;
    let stuck = api.run("stuck", &base, &["sleep", "1000"]).await.unwrap();
    let free = api.run("free", &base, &["sleep", "1000"]).await.unwrap();
    let shim = stage.shim_of(stuck);
    signal(shim, Signal::STOP);
    let asking = tokio::spawn({
        let api = api.clone();
        async move { api.get("stuck").await }
    });
    soon("another's state", api.get("free")).await.unwrap();
    soon("another's exec", api.exec("free", "e", &["true"])).await.unwrap();
    soon("another's life", async {
        api.run("other", &base, &["true"]).await?;
        api.wait("other").await?;
        api.purge("other").await
    })
    .await
    .unwrap();
    let tasks = soon("the list", api.list_tasks()).await.unwrap();
    assert_eq!(
        tasks.iter().map(|task| (task.id.as_str(), task.status)).collect::<Vec<_>>(),
        [("free", 2), ("stuck", 0)]
    );
    // Known to be stuck, it costs the next list little.
    let started = Instant::now();
    api.list_tasks().await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    assert!(asking.await.unwrap().is_err());

    stage.kill();
    let took = stage.start();
    assert!(took < SOON, "the start takes {took:?} beside a stopped shim");
    let api = stage.api();
    assert_eq!(soon("a state after the restart", api.get("free")).await.unwrap().pid, free);
    signal(shim, Signal::CONT);
    until("the shim to be back", || (stage.shim_of(stuck) == shim).then_some(()));
    assert_eq!(soon("its state", api.get("stuck")).await.unwrap().pid, stuck);
    for id in ["stuck", "free"] {
        soon("a purge", api.purge(id)).await.unwrap();
    }
    stage.expect_on_host(&[], "the end");
}

/// A file system in a file, frozen and thawed at will.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(stage: &Stage, name: &str, megabytes: u32) -> Disk {
        let (image, point) = (stage.path("disk.img"), stage.path(name));
        std::fs::create_dir(&point).unwrap();
        std::fs::File::create(&image).unwrap().set_len(u64::from(megabytes) << 20).unwrap();
        let run = |program: &str, words: &[&std::ffi::OsStr]| {
            assert!(Command::new(program).args(words).status().unwrap().success(), "{program}");
        };
        run("mkfs.ext4", &["-q".as_ref(), image.as_ref()]);
        run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), point.as_ref()]);
        Disk(point)
    }

    fn set(&self, flag: &str) {
        assert!(Command::new("fsfreeze").arg(flag).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.0).stderr(std::process::Stdio::null()).status();
        for _ in 0..2 {
            let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_disk_holds_up_only_what_writes_to_it() {
    let mut stage = Stage::idle();
    let disk = Disk::mount(&stage, "root", 256);
    stage.start();
    let (api, base) = with_image(&stage).await;
    api.run("box", &base, &["sleep", "1000"]).await.unwrap();
    disk.set("-f");
    let writing: Vec<_> = (0..40)
        .map(|number| {
            let api = api.clone();
            tokio::spawn(async move { api.lease(&format!("l{number}")).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    soon("a state", api.get("box")).await.unwrap();
    soon("the tasks", api.list_tasks()).await.unwrap();
    soon("the records", api.containers()).await.unwrap();
    soon("the images", api.images()).await.unwrap();
    soon("the snapshots", api.snapshot_names()).await.unwrap();
    soon("an exec", api.exec("box", "e", &["true"])).await.unwrap();
    soon("a kill", api.kill("box")).await.unwrap();
    assert_eq!(soon("an end", api.wait("box")).await.unwrap().status, 137);
    assert!(writing.iter().all(|call| !call.is_finished()), "what is not durable is not acknowledged");
    disk.set("-u");
    for call in writing {
        soon("a write to the thawed disk", call).await.unwrap().unwrap();
    }
    assert_eq!(api.leases().await.unwrap().len(), 40);
    soon("a purge", api.purge("box")).await.unwrap();
    stage.kill();
    drop(disk);
}

/// What a process says waits for its disk; that it has ended does not, and what never gets there is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_on_a_stuck_disk_holds_up_no_end() {
    let mut stage = Stage::idle();
    let disk = Disk::mount(&stage, "logs", 32);
    stage.start();
    let (api, base) = with_image(&stage).await;
    let log = disk.0.join("log");
    let stdout = format!("file://{}", log.display());
    let streams = CreateTaskRequest { stderr: stdout.clone(), stdout, ..Default::default() };
    let words = "while [ ! -e /go ]; do echo a line; sleep 0.01; done; exit 6";
    let pid = api.create_with("talker", &base, &["sh", "-c", words], streams).await.unwrap();
    api.start("talker").await.unwrap();
    let size = || std::fs::metadata(&log).map_or(0, |log| log.len());
    until("its first line", || (size() > 0).then_some(()));
    disk.set("-f");
    // Some of its lines are under way to the disk.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(soon("a state", api.get("talker")).await.unwrap().status, 2);
    assert_eq!(soon("an exec", api.exec("talker", "e", &["sh", "-c", "exit 3"])).await.unwrap(), 3);
    std::fs::write(format!("/proc/{pid}/root/go"), "").unwrap();
    let ended = tokio::time::timeout(SOON * 3, api.wait("talker")).await.expect("its end is told").unwrap();
    assert_eq!(ended.status, 6);
    let deleted =
        tokio::time::timeout(SOON * 3, api.delete_task("talker")).await.expect("it is deleted").unwrap();
    assert_eq!(deleted.status, 6);
    until("the loss to be told", || stage.log().contains("the end of the output is lost").then_some(()));
    disk.set("-u");
    api.purge("talker").await.unwrap();
    drop(disk);
    stage.expect_on_host(&[], "the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_nobody_takes_hold_up_nothing() {
    let (stage, api, base) = stage().await;
    let fifo = |name: &str| {
        let path = stage.path(name);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        path.display().to_string()
    };
    // Nobody ever opens the other ends.
    let streams = CreateTaskRequest {
        stdin: fifo("in"),
        stdout: fifo("out"),
        stderr: fifo("err"),
        ..Default::default()
    };
    soon("a creation", api.create_with("mute", &base, &["yes"], streams)).await.unwrap();
    soon("a start", api.start("mute")).await.unwrap();
    soon("an exec", api.exec("mute", "e", &["true"])).await.unwrap();
    soon("a state", api.get("mute")).await.unwrap();
    // What it said is offered for a while to a reader that may come yet.
    let purge = tokio::time::timeout(SOON * 5, api.purge("mute"));
    purge.await.expect("a purge that ends").unwrap();
    // A logger that ends at once, and one that is killed while it is written to.
    for (name, words) in [
        ("brief", "printf x >&5; exec 5>&-; exit 0"),
        ("killed", "printf x >&5; exec 5>&-; sleep 0.2; kill -9 $$"),
    ] {
        let logger = stage.path(name);
        std::fs::write(stage.path("text"), format!("#!/bin/sh\n{words}\n")).unwrap();
        // By a child process: no other child has it open for writing when it is run.
        assert!(
            Command::new("install")
                .args(["-m", "755"])
                .arg(stage.path("text"))
                .arg(&logger)
                .status()
                .unwrap()
                .success()
        );
        let stdout = format!("binary://{}", logger.display());
        let streams = CreateTaskRequest { stderr: stdout.clone(), stdout, ..Default::default() };
        soon("a creation", api.create_with(name, &base, &["yes"], streams)).await.unwrap();
        soon("a start", api.start(name)).await.unwrap();
        // Who writes to a pipe that nobody reads any more is told so.
        assert_ne!(soon("an end", api.wait(name)).await.unwrap().status, 0);
        soon("a purge", api.purge(name)).await.unwrap();
    }
    stage.expect_on_host(&[], "the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_go_away_leave_nothing_behind() {
    let (stage, api, base) = stage().await;
    let mut dice = Dice::new();
    for round in 0..12 {
        let id = format!("left-{round}");
        let patience = Duration::from_micros(dice.below(40_000));
        let life = async {
            api.run(&id, &base, &["sleep", "1000"]).await?;
            api.exec(&id, "e", &["true"]).await
        };
        let _ = tokio::time::timeout(patience, life).await;
        // Whatever was begun goes on to its end; then it is there whole, or not at all.
        let removed = async {
            loop {
                match api.purge(&id).await {
                    Ok(()) if !stage.bundles().join(&id).exists() => return,
                    Ok(()) => {}
                    Err(status) => assert!(is_passing(&status), "{status:?}"),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon("a removal", removed).await;
        soon("the same name again", async {
            loop {
                // A creation that its client left may end just now.
                match api.run(&id, &base, &["true"]).await {
                    Ok(_) => break,
                    Err(status) => assert!(is_passing(&status), "{status:?}"),
                }
                let _ = api.purge(&id).await;
            }
            api.wait(&id).await.unwrap();
            api.purge(&id).await.unwrap();
        })
        .await;
    }
    let data = vec![7; 4 << 20];
    for round in 0..8 {
        let patience = Duration::from_micros(dice.below(20_000));
        let _ = tokio::time::timeout(patience, api.write("ref", &data, HashMap::new())).await;
        soon("the reference to be free", async {
            loop {
                match api.write("ref", &data, HashMap::new()).await {
                    Ok(_) => break,
                    Err(status) => assert_eq!(status.code(), Code::Unavailable, "{round}: {status:?}"),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    stage.expect_on_host(&[], "the end");
}

/// A creation that hangs ends with its client: what hangs is killed, and the name is free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_that_hangs_ends_with_its_client() {
    let (stage, api, base) = stage().await;
    let hanging = stage.path("hanging");
    std::fs::write(stage.path("text"), "#!/bin/sh\ncase \"$*\" in *create*) exec sleep 1000 ;; esac\n")
        .unwrap();
    let installed =
        Command::new("install").args(["-m", "755"]).arg(stage.path("text")).arg(&hanging).status().unwrap();
    assert!(installed.success());
    let options = Options { binary_name: hanging.display().to_string(), ..Options::default() };
    let create = CreateTaskRequest { options: Some(pack(&options)), ..Default::default() };
    let creating = api.create_with("hung", &base, &["true"], create);
    assert!(tokio::time::timeout(Duration::from_millis(500), creating).await.is_err());
    // The name is its as long as something may come of it.
    let end = Instant::now() + SOON * 5;
    while api.start_task("hung").await.is_err_and(|status| is_passing(&status)) {
        assert!(Instant::now() < end, "the name is not free");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(api.wait("hung").await.unwrap().status, 0);
    api.purge("hung").await.unwrap();
    stage.expect_on_host(&[], "the end");
}

/// A call met something that another one, of a client that is gone, is about to finish.
fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::AlreadyExists | Code::FailedPrecondition | Code::NotFound)
        || status.message().contains("file exists")
}

/// Ends come after starts, each once, and init's comes last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_come_once_and_in_order() {
    let (stage, api, base) = stage().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = told.clone();
    api.hear(move |topic, container, process| hear.lock().unwrap().push((topic, container, process)))
        .await
        .unwrap();
    let mut lives = Vec::new();
    for number in 0..6 {
        let (api, base, id) = (api.clone(), base.clone(), format!("order-{number}"));
        lives.push(tokio::spawn(async move {
            api.run(&id, &base, &["sh", "-c", "sleep 0.2; exit 4"]).await.unwrap();
            let execs = (0..4).map(|exec| {
                let (api, id) = (api.clone(), id.clone());
                // Some end by themselves, some with init.
                let words = if exec % 2 == 0 { "true" } else { "sleep 1000" };
                tokio::spawn(async move { api.exec(&id, &format!("e{exec}"), &["sh", "-c", words]).await })
            });
            let execs: Vec<_> = execs.collect();
            assert_eq!(api.wait(&id).await.unwrap().status, 4);
            for exec in execs {
                let _ = exec.await.unwrap();
            }
            api.purge(&id).await.unwrap();
        }));
    }
    for life in lives {
        life.await.unwrap();
    }
    until("the last event", || {
        let told = told.lock().unwrap();
        (told.iter().filter(|(topic, ..)| topic == "/tasks/delete").count() >= 6).then_some(())
    });
    let told = told.lock().unwrap();
    for number in 0..6 {
        let id = format!("order-{number}");
        let of: Vec<_> = told.iter().filter(|(_, container, _)| *container == id).collect();
        let at = |topic: &str, process: &str| {
            let found = of.iter().enumerate().filter(|(_, (t, _, p))| t == topic && p == process);
            found.map(|(at, _)| at).collect::<Vec<_>>()
        };
        let (start, end) = (at("/tasks/start", &id), at("/tasks/exit", &id));
        assert!(start.len() == 1 && end.len() == 1 && start < end, "{of:?}");
        for exec in (0..4).map(|exec| format!("e{exec}")) {
            let (started, ended) = (at("/tasks/exec-started", &exec), at("/tasks/exit", &exec));
            assert_eq!(started.len(), ended.len(), "{exec} of {of:?}");
            assert!(
                started.iter().zip(&ended).all(|(start, exit)| start < exit && exit < &end[0]),
                "{exec} of {of:?}"
            );
        }
    }
    stage.expect_on_host(&[], "the end");
}
