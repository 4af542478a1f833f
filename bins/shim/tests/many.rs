//! Many execs: no exit is lost, none comes before its start, nothing stays behind.

mod support;

use containerd_api::events::{TaskExecStarted, TaskExit};
use containerd_api::task::v3::{ConnectRequest, ConnectResponse};
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::*;

const NONE: [&str; 3] = ["", "", ""];

async fn server_pid(shim: &Shim) -> u32 {
    let request = ConnectRequest { id: shim.id.clone() };
    shim.call::<_, ConnectResponse>("Connect", &request).await.unwrap().shim_pid
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn private_kib(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    // Clean pages are those of the program: with a second shim they are shared. Dirty ones count as shared for the
    // moment between a child's fork and its exec.
    let is_own = |line: &&str| line.starts_with("Private_Dirty") || line.starts_with("Shared_Dirty");
    let private = rollup.lines().filter(is_own);
    private.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum()
}

/// What a shim keeps when it has given back what it does not need: the least that it comes to.
async fn at_rest(pid: u32) -> u64 {
    let (mut least, mut since) = (u64::MAX, Instant::now());
    while since.elapsed() < Duration::from_secs(4) {
        let now = private_kib(pid);
        if now < least {
            (least, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    least
}

#[tokio::test]
async fn parallel_execs_lose_no_exit() {
    let mut daemon = Daemon::start();
    let shim = Arc::new(Shim::start(&daemon, &runtimes()[0], sh(&["/bin/sleep", "1000"])).await);
    shim.create(&daemon, NONE, false).await.unwrap();
    shim.start_process("").await.unwrap();
    let mut starts = tokio::task::JoinSet::new();
    for number in 0..24 {
        let shim = shim.clone();
        starts.spawn(async move {
            let id = format!("e{number}");
            let code = format!("exit {}", number + 1);
            shim.exec(&id, &["/bin/sh", "-c", &code], NONE, false).await.unwrap();
            let pid = shim.start_process(&id).await.unwrap().pid;
            assert_eq!(shim.wait(&id).await, number + 1);
            shim.delete(&id).await.unwrap();
            pid
        });
    }
    let mut pids: Vec<u32> = Vec::new();
    while let Some(pid) = starts.join_next().await {
        pids.push(pid.unwrap());
    }
    let mut started: HashMap<String, u32> = HashMap::new();
    let mut exits = 0;
    while exits < 24 {
        let (topic, payload) = daemon.event().await;
        if topic == "/tasks/exec-started" {
            let event = TaskExecStarted::decode(&payload[..]).unwrap();
            started.insert(event.exec_id, event.pid);
        } else if topic == "/tasks/exit" {
            let event = TaskExit::decode(&payload[..]).unwrap();
            assert_eq!(started.remove(&event.id), Some(event.pid), "one exit, behind its start");
            exits += 1;
        }
    }
    shim.kill("", 9, false).await.unwrap();
    assert_eq!(shim.wait("").await, 137);
    shim.delete("").await.unwrap();
    Arc::into_inner(shim).unwrap().shutdown().await;
}

#[tokio::test]
async fn execs_leave_neither_memory_nor_descriptors() {
    let daemon = Daemon::start();
    let shim = Shim::start(&daemon, &runtimes()[0], sh(&["/bin/sleep", "1000"])).await;
    shim.create(&daemon, NONE, false).await.unwrap();
    shim.start_process("").await.unwrap();
    let pid = server_pid(&shim).await;
    let mut before = (0, 0);
    let count: u32 = std::env::var("WHERRY_TEST_EXECS").map_or(60, |count| count.parse().unwrap());
    for number in 0..count {
        let id = format!("e{number}");
        let out = fifo(&daemon.dir.path().join(&id));
        let text = read_fifo(&out);
        shim.exec(&id, &["/bin/echo", &id], ["", &out, &out], false).await.unwrap();
        shim.start_process(&id).await.unwrap();
        assert_eq!(shim.wait(&id).await, 0);
        shim.delete(&id).await.unwrap();
        assert_eq!(text.await.unwrap(), format!("{id}\n"));
        if number == 9 {
            before = (descriptors(pid), at_rest(pid).await);
        }
    }
    // A page or two of tables that have grown once.
    let most = before.1 + 16;
    let (mut after, end) = ((descriptors(pid), private_kib(pid)), Instant::now() + Duration::from_secs(30));
    while after.1 > most && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
        after = (descriptors(pid), private_kib(pid));
    }
    println!("descriptors {} to {}, private KiB {} to {}", before.0, after.0, before.1, after.1);
    assert_eq!(after.0, before.0);
    assert!(after.1 <= most, "{before:?} {after:?}");
    // Nothing of an exec stays in the bundle.
    let left = std::fs::read_dir(&shim.bundle)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    assert_eq!(left.filter(|name| name.contains("e1")).count(), 0);
    shim.kill("", 9, false).await.unwrap();
    shim.wait("").await;
    shim.delete("").await.unwrap();
    shim.shutdown().await;
}
