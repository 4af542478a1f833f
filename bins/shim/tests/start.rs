//! What `start` is told: whose shim to share, where the server belongs, whom to tell of events.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::*;

const NONE: [&str; 3] = ["", "", ""];
const LIMIT: Duration = Duration::from_secs(20);

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn containers_of_a_sandbox_share_a_server() {
    let (daemon, runtime) = (Daemon::start(), &runtimes()[0]);
    let start = async |sandbox| {
        let bundle = Bundle { sandbox: Some(sandbox), ..sh(&["/bin/sleep", "1000"]) };
        Shim::start(&daemon, runtime, bundle).await
    };
    let (first, second, other) = (start("one").await, start("one").await, start("two").await);
    assert_eq!((first.pid, &first.address), (second.pid, &second.address));
    assert_ne!(first.pid, other.pid);
    for shim in [&first, &second] {
        shim.create(&daemon, NONE, false).await.unwrap();
        shim.start_process("").await.unwrap();
    }
    // The end of one is not the end of the other, nor of the server.
    second.kill("", 9, false).await.unwrap();
    assert_eq!(second.wait("").await, 137);
    second.delete("").await.unwrap();
    assert_eq!(first.state("").await.unwrap().status, 2, "running");
    second.forget();
    first.kill("", 9, false).await.unwrap();
    assert_eq!(first.wait("").await, 137);
    first.delete("").await.unwrap();
    first.shutdown().await;
    other.shutdown().await;
}

#[tokio::test]
async fn the_server_is_in_the_cgroup_that_the_options_name() {
    let (daemon, runtime) = (Daemon::start(), &runtimes()[0]);
    let name = format!("/wherry-shim-test-server-{}", std::process::id());
    let directories: Vec<PathBuf> = std::fs::read_to_string("/proc/self/cgroup")
        .unwrap()
        .lines()
        .map(|line| match line.split(':').nth(1).unwrap() {
            "" if Path::new("/sys/fs/cgroup/unified").exists() => "/sys/fs/cgroup/unified".into(),
            "" => "/sys/fs/cgroup".into(),
            names => Path::new("/sys/fs/cgroup").join(names.trim_start_matches("name=")),
        })
        .map(|top| top.join(name.trim_start_matches('/')))
        .collect();
    for directory in &directories {
        std::fs::create_dir(directory).unwrap();
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(above) = std::fs::read(directory.parent().unwrap().join(file)) {
                std::fs::write(directory.join(file), above).unwrap();
            }
        }
    }
    let start = Start { shim_cgroup: &name, ..Start::default() };
    let shim = Shim::try_start(&daemon, runtime, sh(&["/bin/true"]), &start).await.unwrap();
    let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", shim.pid)).unwrap();
    assert!(groups.lines().all(|line| line.ends_with(&format!(":{name}"))), "{groups}");
    shim.shutdown().await;
    for directory in &directories {
        until("the server's cgroup is in use", || std::fs::remove_dir(directory).is_ok());
    }
    let start = Start { shim_cgroup: "/wherry-shim-test-no-such-group", ..Start::default() };
    let refused = Shim::try_start(&daemon, runtime, sh(&["/bin/true"]), &start).await.err().unwrap();
    assert!(refused.contains("failed to join cgroup /wherry-shim-test-no-such-group"), "{refused}");
    let left = std::fs::read_dir(daemon.dir.path().join("s")).unwrap().count();
    assert_eq!(left, 0, "a socket is left");
}

#[tokio::test]
async fn core_scheduling_is_asked_of_the_kernel_or_refused() {
    let (daemon, runtime) = (Daemon::start(), &runtimes()[0]);
    let start = Start { env: &[("SCHED_CORE", "1")], ..Start::default() };
    match Shim::try_start(&daemon, runtime, sh(&["/bin/true"]), &start).await {
        Ok(shim) => shim.shutdown().await,
        // Cores of one thread have nothing to share.
        Err(text) => assert!(text.contains("cannot enable core scheduling"), "{text}"),
    }
    let start = Start { env: &[("SCHED_CORE", "")], ..Start::default() };
    Shim::try_start(&daemon, runtime, sh(&["/bin/true"]), &start).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn events_go_through_the_publish_program() {
    let (daemon, runtime) = (Daemon::start(), &runtimes()[0]);
    let (program, told) = (daemon.dir.path().join("publish"), daemon.dir.path().join("told"));
    let script = format!("#!/bin/sh\nbytes=$(wc -c)\necho \"$@ $bytes\" >> {}\n", told.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let start = Start { publish_binary: Some(&program), ..Start::default() };
    let shim = Shim::try_start(&daemon, runtime, sh(&["/bin/true"]), &start).await.unwrap();
    shim.create(&daemon, NONE, false).await.unwrap();
    shim.start_process("").await.unwrap();
    assert_eq!(shim.wait("").await, 0);
    shim.delete("").await.unwrap();
    shim.shutdown().await;
    let told = std::fs::read_to_string(told).unwrap();
    let address = daemon.dir.path().join("grpc");
    let lines: Vec<&str> = told.lines().collect();
    for (line, topic) in lines.iter().zip(["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]) {
        let start = format!("-address {} publish --topic {topic} --namespace test ", address.display());
        let bytes = line.strip_prefix(&start).unwrap_or_else(|| panic!("{told}"));
        assert!(bytes.trim().parse::<u32>().unwrap() > 0, "{told}");
    }
    assert_eq!(lines.len(), 4, "{told}");
}

/// SIGUSR1 asks a shim what it is about; it goes on.
#[tokio::test]
async fn a_report_is_logged_on_a_signal() {
    let (daemon, runtime) = (Daemon::start(), &runtimes()[0]);
    let shim = Shim::start(&daemon, runtime, sh(&["/bin/sleep", "1000"])).await;
    shim.create(&daemon, NONE, false).await.unwrap();
    shim.start_process("").await.unwrap();
    let log = std::fs::read_link(format!("/proc/{}/fd/2", shim.pid)).unwrap();
    assert_eq!(log, shim.bundle.join("log"));
    let lines = tokio::net::unix::pipe::OpenOptions::new().read_write(true).open_receiver(&log).unwrap();
    let pid = rustix::process::Pid::from_raw(shim.pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(lines));
    let line = tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(line.contains(&format!("{} init: Running, pid ", shim.id)), "{line}");
    shim.kill("", 9, false).await.unwrap();
    assert_eq!(shim.wait("").await, 137);
    shim.delete("").await.unwrap();
    shim.shutdown().await;
}
