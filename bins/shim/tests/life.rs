//! A container's life under the shim, with every runtime that is there.

mod support;

use containerd_api::events::{TaskExit, TaskOom};
use containerd_api::task::v3::*;
use containerd_api::{cgroups, unpack};
use errdefs::Kind;
use prost::Message;
use std::time::Duration;
use support::*;

const NONE: [&str; 3] = ["", "", ""];

#[tokio::test]
async fn create_start_exit_delete() {
    for runtime in runtimes() {
        let mut daemon = Daemon::start();
        let shim =
            Shim::start(&daemon, &runtime, sh(&["/bin/sh", "-c", "echo out; echo err >&2; exit 7"])).await;
        assert_eq!(status(shim.state("").await), (Kind::NotFound, "container not created: not found".into()));
        let (out, err) = (fifo(&daemon.dir.path().join("out")), fifo(&daemon.dir.path().join("err")));
        let (out_text, err_text) = (read_fifo(&out), read_fifo(&err));
        let created = shim.create(&daemon, ["", &out, &err], false).await.unwrap();
        assert_eq!(shim.state("").await.unwrap().status, 1, "created");
        assert_eq!(status(shim.create(&daemon, NONE, false).await).0, Kind::AlreadyExists);
        let (code, started) = tokio::join!(shim.wait(""), shim.start_process(""));
        assert_eq!((code, started.unwrap().pid), (7, created.pid));
        let state = shim.state("").await.unwrap();
        assert_eq!((state.status, state.exit_status, state.pid), (3, 7, created.pid));
        assert_eq!(
            status(shim.kill("", 9, false).await),
            (Kind::NotFound, "process already finished: not found".into())
        );
        assert_eq!(status(shim.start_process("").await).1, "cannot start a stopped process");
        let deleted = shim.delete("").await.unwrap();
        assert_eq!((deleted.exit_status, deleted.pid), (7, created.pid));
        assert_eq!(status(shim.delete("").await).0, Kind::NotFound);
        assert_eq!((out_text.await.unwrap().as_str(), err_text.await.unwrap().as_str()), ("out\n", "err\n"));
        for topic in ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"] {
            assert_eq!(daemon.topic().await, topic, "{runtime}");
        }
        shim.shutdown().await;
    }
}

#[tokio::test]
async fn execs_stdin_and_signals() {
    for runtime in runtimes() {
        let mut daemon = Daemon::start();
        let shim = Shim::start(&daemon, &runtime, sh(&["/bin/sleep", "1000"])).await;
        shim.create(&daemon, NONE, false).await.unwrap();
        shim.start_process("").await.unwrap();
        let (input, out) = (fifo(&daemon.dir.path().join("in")), fifo(&daemon.dir.path().join("out")));
        let text = read_fifo(&out);
        shim.exec("e1", &["/bin/sh", "-c", "cat; exit 3"], [&input, &out, ""], false).await.unwrap();
        assert_eq!(status(shim.exec("e1", &["/bin/true"], NONE, false).await).0, Kind::AlreadyExists);
        assert_eq!(status(shim.exec("../e", &["/bin/true"], NONE, false).await).0, Kind::InvalidArgument);
        assert_eq!(
            status(shim.kill("e1", 9, false).await),
            (Kind::FailedPrecondition, "process not created: failed precondition".into())
        );
        let pid = shim.start_process("e1").await.unwrap().pid;
        let pids: PidsResponse = shim.call("Pids", &PidsRequest { id: shim.id.clone() }).await.unwrap();
        let named = pids.processes.iter().find(|process| process.pid == pid).unwrap();
        let details: containerd_api::runc::v1::ProcessDetails = unpack(named.info.as_ref().unwrap()).unwrap();
        assert_eq!(details.exec_id, "e1");
        std::fs::write(&input, "hello\n").unwrap();
        std::fs::write(&input, "again\n").unwrap();
        let close = CloseIoRequest { id: shim.id.clone(), exec_id: "e1".into(), stdin: true };
        shim.call::<_, ()>("CloseIO", &close).await.unwrap();
        assert_eq!(shim.wait("e1").await, 3);
        assert_eq!(text.await.unwrap(), "hello\nagain\n");
        assert_eq!(shim.delete("e1").await.unwrap().exit_status, 3);
        assert_eq!(
            status(shim.state("e1").await),
            (Kind::NotFound, "process does not exist e1: not found".into())
        );
        // A program that does not exist leaves nothing but the exec to delete.
        shim.exec("e2", &["/no/such"], NONE, false).await.unwrap();
        let (_, text) = status(shim.start_process("e2").await);
        assert!(text.starts_with("OCI runtime exec failed: ") && text.contains("/no/such"), "{text}");
        shim.delete("e2").await.unwrap();
        assert_eq!(status(shim.delete("").await).1, "cannot delete a running process");
        shim.kill("", 9, false).await.unwrap();
        assert_eq!(shim.wait("").await, 137);
        assert_eq!(
            status(shim.exec("e3", &["/bin/true"], NONE, false).await).1,
            "cannot exec in a stopped state"
        );
        shim.delete("").await.unwrap();
        let expected =
            ["create", "start", "exec-added", "exec-started", "exit", "exec-added", "exit", "delete"];
        for topic in expected {
            assert_eq!(daemon.topic().await, format!("/tasks/{topic}"), "{runtime}");
        }
        shim.shutdown().await;
    }
}

#[tokio::test]
async fn terminals() {
    for runtime in runtimes() {
        let daemon = Daemon::start();
        let shim = Shim::start(&daemon, &runtime, Bundle { terminal: true, ..sh(&["/bin/sh"]) }).await;
        let (input, out) = (fifo(&daemon.dir.path().join("in")), fifo(&daemon.dir.path().join("out")));
        let text = read_fifo(&out);
        shim.create(&daemon, [&input, &out, ""], true).await.unwrap();
        let resize = ResizePtyRequest { id: shim.id.clone(), exec_id: String::new(), width: 91, height: 23 };
        shim.call::<_, ()>("ResizePty", &resize).await.unwrap();
        shim.start_process("").await.unwrap();
        std::fs::write(&input, "tty; stty size; exit 4\n").unwrap();
        assert_eq!(shim.wait("").await, 4);
        shim.delete("").await.unwrap();
        let text = text.await.unwrap();
        assert!(text.contains("/dev/pts/0") || text.contains("/dev/console"), "{runtime}: {text}");
        assert!(text.contains("23 91"), "{runtime}: {text}");
        shim.shutdown().await;
    }
}

#[tokio::test]
async fn failures_leave_nothing() {
    for runtime in runtimes() {
        let mut daemon = Daemon::start();
        let shim = Shim::start(&daemon, &runtime, sh(&["/no/such"])).await;
        // crun looks for the program at the creation, as runc does.
        let failed = match shim.create(&daemon, NONE, false).await {
            Ok(_) => shim.start_process("").await.map(drop),
            Err(error) => Err(error),
        };
        let (_, text) = status(failed);
        assert!(
            text.starts_with("OCI runtime ") && text.to_lowercase().contains("no such file"),
            "{runtime}: {text}"
        );
        let _ = shim.delete("").await;
        assert_eq!(status(shim.state("").await).0, Kind::NotFound);
        assert!(!mounted(&shim.bundle.join("rootfs")));
        shim.shutdown().await;
        daemon.events.close();
    }
    let daemon = Daemon::start();
    let shim = Shim::start(&daemon, "/no/runtime", sh(&["/bin/true"])).await;
    let (_, text) = status(shim.create(&daemon, NONE, false).await);
    assert!(text.contains("executable file not found in $PATH"), "{text}");
    shim.shutdown().await;
}

#[tokio::test]
async fn pause_resume_update_stats_and_kill_all() {
    for runtime in runtimes() {
        let mut daemon = Daemon::start();
        let shim = Shim::start(&daemon, &runtime, sh(&["/bin/sh", "-c", "sleep 1000 & wait"])).await;
        shim.create(&daemon, NONE, false).await.unwrap();
        assert_eq!(
            status(shim.call::<_, ()>("Pause", &PauseRequest { id: shim.id.clone() }).await).1,
            "cannot pause task in created state"
        );
        shim.start_process("").await.unwrap();
        shim.call::<_, ()>("Pause", &PauseRequest { id: shim.id.clone() }).await.unwrap();
        assert_eq!(shim.state("").await.unwrap().status, 4);
        assert_eq!(
            status(shim.exec("e", &["/bin/true"], NONE, false).await).1,
            "cannot exec in a paused state"
        );
        shim.call::<_, ()>("Resume", &ResumeRequest { id: shim.id.clone() }).await.unwrap();
        let resources =
            containerd_api::pack_json(containerd_api::RESOURCES_URL, br#"{"pids":{"limit":77}}"#.to_vec());
        let update =
            UpdateTaskRequest { id: shim.id.clone(), resources: Some(resources), ..Default::default() };
        shim.call::<_, ()>("Update", &update).await.unwrap();
        let stats: StatsResponse = shim.call("Stats", &StatsRequest { id: shim.id.clone() }).await.unwrap();
        let stats = stats.stats.unwrap();
        if let Ok(v1) = unpack::<cgroups::v1::Metrics>(&stats) {
            assert_eq!(v1.pids.unwrap().limit, 77, "{runtime}");
            assert!(v1.memory.unwrap().usage.unwrap().usage > 0);
        } else {
            assert_eq!(unpack::<cgroups::v2::Metrics>(&stats).unwrap().pids.unwrap().limit, 77);
        }
        shim.kill("", 9, true).await.unwrap();
        assert_eq!(shim.wait("").await, 137);
        let stats = shim.call::<_, StatsResponse>("Stats", &StatsRequest { id: shim.id.clone() }).await;
        assert_eq!(status(stats), (Kind::NotFound, "cgroup does not exist: not found".into()));
        shim.delete("").await.unwrap();
        for topic in ["create", "start", "paused", "resumed", "exit", "delete"] {
            assert_eq!(daemon.topic().await, format!("/tasks/{topic}"));
        }
        shim.shutdown().await;
    }
}

#[tokio::test]
async fn init_ends_last_and_takes_all_along_without_a_pid_namespace() {
    for runtime in runtimes() {
        for own_pids in [true, false] {
            let mut daemon = Daemon::start();
            let shim =
                Shim::start(&daemon, &runtime, Bundle { own_pids, ..sh(&["/bin/sleep", "1000"]) }).await;
            shim.create(&daemon, NONE, false).await.unwrap();
            shim.start_process("").await.unwrap();
            for number in 0..5 {
                let id = format!("e{number}");
                shim.exec(&id, &["/bin/sleep", "1000"], NONE, false).await.unwrap();
                shim.start_process(&id).await.unwrap();
            }
            shim.kill("", 9, false).await.unwrap();
            let mut exits = Vec::new();
            while exits.len() < 6 {
                let (topic, payload) = daemon.event().await;
                if topic == "/tasks/exit" {
                    let exit = TaskExit::decode(&payload[..]).unwrap();
                    assert_eq!(exit.exit_status, 137);
                    exits.push(exit.id);
                }
            }
            assert_eq!(exits[5], shim.id, "{runtime}: {exits:?}");
            for number in 0..5 {
                shim.delete(&format!("e{number}")).await.unwrap();
            }
            shim.delete("").await.unwrap();
            shim.shutdown().await;
        }
    }
}

#[tokio::test]
async fn an_exit_outlives_the_daemon() {
    let mut daemon = Daemon::start();
    let shim = Shim::start(&daemon, &runtimes()[0], sh(&["/bin/sh", "-c", "sleep 0.3; exit 9"])).await;
    shim.create(&daemon, NONE, false).await.unwrap();
    shim.start_process("").await.unwrap();
    assert_eq!(
        (daemon.topic().await.as_str(), daemon.topic().await.as_str()),
        ("/tasks/create", "/tasks/start")
    );
    daemon.die();
    assert_eq!(shim.wait("").await, 9);
    tokio::time::sleep(Duration::from_millis(200)).await;
    daemon.live_again();
    let (topic, payload) = daemon.event().await;
    assert_eq!((topic.as_str(), TaskExit::decode(&payload[..]).unwrap().exit_status), ("/tasks/exit", 9));
    assert_eq!(shim.wait("").await, 9);
    shim.delete("").await.unwrap();
    assert_eq!(daemon.topic().await, "/tasks/delete");
    shim.shutdown().await;
}

#[tokio::test]
async fn output_that_nobody_reads_holds_up_nobody_else() {
    let daemon = Daemon::start();
    let shim = Shim::start(&daemon, &runtimes()[0], sh(&["/bin/yes"])).await;
    let out = fifo(&daemon.dir.path().join("out"));
    shim.create(&daemon, ["", &out, ""], false).await.unwrap();
    shim.start_process("").await.unwrap();
    // The fifo and the pipe fill up; another process comes and goes meanwhile.
    shim.exec("e", &["/bin/true"], NONE, false).await.unwrap();
    shim.start_process("e").await.unwrap();
    assert_eq!(shim.wait("e").await, 0);
    shim.delete("e").await.unwrap();
    assert_eq!(shim.state("").await.unwrap().status, 2, "running");
    shim.kill("", 9, false).await.unwrap();
    assert_eq!(shim.wait("").await, 137);
    assert_eq!(shim.delete("").await.unwrap().exit_status, 137);
    shim.shutdown().await;
}

#[tokio::test]
async fn want_of_memory_is_told_before_the_exit() {
    for runtime in runtimes() {
        let mut daemon = Daemon::start();
        let bundle = Bundle {
            memory: Some(12 << 20),
            ..sh(&["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"])
        };
        let shim = Shim::start(&daemon, &runtime, bundle).await;
        // /dev is a fresh tmpfs with the default devices.
        shim.create(&daemon, NONE, false).await.unwrap();
        shim.start_process("").await.unwrap();
        assert_eq!(shim.wait("").await, 137, "{runtime}");
        shim.delete("").await.unwrap();
        let mut topics = Vec::new();
        while topics.last().map(String::as_str) != Some("/tasks/delete") {
            let (topic, payload) = daemon.event().await;
            if topic == "/tasks/oom" {
                assert_eq!(TaskOom::decode(&payload[..]).unwrap().container_id, shim.id);
            }
            topics.push(topic);
        }
        let oom = topics.iter().position(|topic| topic == "/tasks/oom").expect("no event of it");
        let exit = topics.iter().position(|topic| topic == "/tasks/exit").unwrap();
        assert!(oom < exit, "{topics:?}");
        shim.shutdown().await;
    }
}

/// Once for each process that is killed, and before its end is told.
#[tokio::test]
async fn want_of_memory_is_told_once() {
    for runtime in runtimes() {
        let mut daemon = Daemon::start();
        let bundle = Bundle { memory: Some(12 << 20), ..sh(&["/bin/sleep", "1000"]) };
        let shim = Shim::start(&daemon, &runtime, bundle).await;
        shim.create(&daemon, NONE, false).await.unwrap();
        shim.start_process("").await.unwrap();
        for round in 0..3 {
            let (exec, mut told) = (format!("e{round}"), 0);
            let hog = ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"];
            shim.exec(&exec, &hog, NONE, false).await.unwrap();
            shim.start_process(&exec).await.unwrap();
            assert_eq!(shim.wait(&exec).await, 137, "{runtime}");
            shim.delete(&exec).await.unwrap();
            loop {
                match daemon.topic().await.as_str() {
                    "/tasks/oom" => told += 1,
                    "/tasks/exit" => break,
                    _ => {}
                }
            }
            assert_eq!(told, 1, "{runtime}, round {round}");
        }
        shim.kill("", 9, false).await.unwrap();
        assert_eq!(shim.wait("").await, 137);
        shim.delete("").await.unwrap();
        for topic in ["/tasks/exit", "/tasks/delete"] {
            assert_eq!(daemon.topic().await, topic, "{runtime}");
        }
        shim.shutdown().await;
    }
}
