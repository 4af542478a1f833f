//! Sandboxes by our shim: one shim for a sandbox and the tasks in it, through every death.

use crate::layer;
use crate::support::{Api, Stage, signal, until};
use containerd_api::services::sandbox::v1::*;
use containerd_api::task::v3::{ConnectRequest, ConnectResponse};
use containerd_api::types::Sandbox;
use containerd_api::v1::types::Status as Phase;
use containerd_api::{Any, types};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use tonic::{Code, Status};

const OURS: &str = "io.containerd.wherry.v1";
const SANDBOXER: &str = "shim";

fn word() -> String {
    SANDBOXER.to_owned()
}

/// A sandbox as `Client.NewSandbox` of containerd's Go client makes one: the record first, then the thing.
async fn make(api: &Api, id: &str, spec: Option<Any>, netns: &str) -> Result<(), Status> {
    let runtime = types::sandbox::Runtime { name: OURS.to_owned(), options: None };
    let sandbox = Sandbox { sandbox_id: id.into(), runtime: Some(runtime), spec, ..Default::default() };
    let store = StoreCreateRequest { sandbox: Some(sandbox.clone()) };
    api.sandbox_records().create(api.ask(store)).await?;
    let create = ControllerCreateRequest {
        sandbox_id: id.into(),
        sandbox: Some(sandbox),
        netns_path: netns.into(),
        sandboxer: word(),
        ..Default::default()
    };
    api.sandboxes().create(api.ask(create)).await.map(drop)
}

async fn begin(api: &Api, id: &str) -> Result<ControllerStartResponse, Status> {
    let start = ControllerStartRequest { sandbox_id: id.into(), sandboxer: word() };
    api.sandboxes().start(api.ask(start)).await.map(tonic::Response::into_inner)
}

async fn status(api: &Api, id: &str) -> ControllerStatusResponse {
    let status = ControllerStatusRequest { sandbox_id: id.into(), verbose: true, sandboxer: word() };
    api.sandboxes().status(api.ask(status)).await.unwrap().into_inner()
}

async fn stop(api: &Api, id: &str) {
    let stop = ControllerStopRequest { sandbox_id: id.into(), timeout_secs: 0, sandboxer: word() };
    api.sandboxes().stop(api.ask(stop)).await.unwrap();
}

async fn wait(api: &Api, id: &str) -> Result<u32, Status> {
    let wait = ControllerWaitRequest { sandbox_id: id.into(), sandboxer: word() };
    api.sandboxes().wait(api.ask(wait)).await.map(|ended| ended.into_inner().exit_status)
}

async fn end(api: &Api, id: &str) -> Result<(), Status> {
    let shutdown = ControllerShutdownRequest { sandbox_id: id.into(), sandboxer: word() };
    api.sandboxes().shutdown(api.ask(shutdown)).await?;
    let delete = StoreDeleteRequest { sandbox_id: id.into() };
    api.sandbox_records().delete(api.ask(delete)).await.map(drop)
}

/// The pid of the shim that has a task, asked at the address in its bundle.
async fn shim_of(stage: &Stage, task: &str) -> u32 {
    let path = stage.bundles().join(task).join("bootstrap.json");
    let bootstrap: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let socket = bootstrap["address"].as_str().unwrap().trim_start_matches("unix://").to_owned();
    let client = ttrpc::Client::new(tokio::net::UnixStream::connect(socket).await.unwrap()).unwrap();
    let request = ConnectRequest { id: task.to_owned() };
    let answer: ConnectResponse = client
        .call("containerd.task.v3.Task", "Connect", &request, ttrpc::CallOptions::default())
        .await
        .unwrap();
    answer.shim_pid
}

fn namespace(pid: u32, kind: &str) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
}

fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z")
}

/// The bundles of sandboxes.
fn sandbox_bundles(stage: &Stage) -> Vec<String> {
    let dir = stage.path("state/io.containerd.sandbox.controller.v1.shim").join(&stage.name);
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

async fn base(api: &Api) -> String {
    api.lease("setup").await.unwrap();
    let base = api.under("setup").make_image("base", &layer::busybox()).await.unwrap();
    api.end_lease("setup").await.unwrap();
    base
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_keeps_its_tasks_in_one_shim_through_the_daemons_death() {
    let mut stage = Stage::new();
    let api = stage.api();
    let base = base(&api).await;
    make(&api, "pod", None, "").await.unwrap();
    let again = make(&api, "pod", None, "").await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    assert_eq!(status(&api, "pod").await.state, "SANDBOX_NOTREADY");
    let started = begin(&api, "pod").await.unwrap();
    let found = status(&api, "pod").await;
    assert_eq!((found.state.as_str(), found.pid), ("SANDBOX_READY", started.pid));
    assert!(started.address.starts_with("ttrpc+unix://") && started.version == 3, "{started:?}");
    // What keeps the namespaces does so for others to enter.
    for kind in ["ipc", "uts", "pid"] {
        assert_ne!(namespace(started.pid, kind), namespace(std::process::id(), kind), "{kind}");
    }
    api.run_in("pod", "one", &base, &["sleep", "1000"]).await.unwrap();
    api.run_in("pod", "two", &base, &["sh", "-c", "while [ ! -e /go ]; do sleep 0.01; done; exit 6"])
        .await
        .unwrap();
    let shim = shim_of(&stage, "one").await;
    assert_eq!(shim, shim_of(&stage, "two").await);
    assert_eq!(std::fs::read_to_string(stage.bundles().join("one/sandbox")).unwrap(), "pod");
    assert_eq!(api.exec("one", "e", &["sh", "-c", "exit 7"]).await.unwrap(), 7);

    // The end of a task is not the sandbox's, whoever looks: here the daemon dies meanwhile.
    let two = api.get("two").await.unwrap().pid;
    stage.kill();
    std::fs::write(format!("/proc/{two}/root/go"), "").unwrap();
    until("its end", || is_gone(two).then_some(()));
    stage.start();
    let api = stage.api();
    assert_eq!(api.wait("two").await.unwrap().status, 6);
    assert_eq!(api.delete_task("two").await.unwrap().status, 6);
    assert_eq!(api.get("one").await.unwrap().status, Phase::Running as i32);
    assert_eq!(status(&api, "pod").await.info["tasks"], "one");
    api.start_task("two").await.unwrap();
    assert_eq!(shim_of(&stage, "two").await, shim);

    // Stopped, nothing runs in it; its tasks and it say how they ended, and are deleted in any order.
    stop(&api, "pod").await;
    assert_eq!(wait(&api, "pod").await.unwrap(), 137);
    assert_eq!(status(&api, "pod").await.state, "SANDBOX_NOTREADY");
    // What the other waited for is there still.
    for (task, status) in [("one", 137), ("two", 6)] {
        assert_eq!(api.wait(task).await.unwrap().status, status, "{task}");
    }
    api.purge("one").await.unwrap();
    end(&api, "pod").await.unwrap();
    until("the shim's end", || is_gone(shim).then_some(()));
    api.purge("two").await.unwrap();
    assert_eq!(sandbox_bundles(&stage), Vec::<String>::new());
    assert_eq!(end(&api, "pod").await.unwrap_err().code(), Code::NotFound);
    stage.expect_on_host(&[], "the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_whose_shim_dies_takes_its_tasks_with_it_and_their_ends_are_told_once() {
    let stage = Stage::new();
    let api = stage.api();
    let base = base(&api).await;
    let (sender, ends) = std::sync::mpsc::channel();
    api.hear_ends(move |exit| drop(sender.send((exit.container_id, exit.exit_status)))).await.unwrap();
    // A sandbox may be a container of the client's own.
    std::fs::create_dir_all(stage.path("rest/bin")).unwrap();
    std::fs::copy("/bin/busybox", stage.path("rest/bin/sleep")).unwrap();
    let mut spec = api.spec("pod", &["sleep", "1000"]);
    let mut value: serde_json::Value = serde_json::from_slice(&spec.value).unwrap();
    value["root"]["path"] = stage.path("rest").to_str().unwrap().into();
    value["root"]["readonly"] = true.into();
    value["mounts"] = serde_json::json!([]);
    spec.value = value.to_string().into_bytes();
    make(&api, "pod", Some(spec), "").await.unwrap();
    let started = begin(&api, "pod").await.unwrap();
    // One that runs is no start that failed.
    assert_eq!(begin(&api, "pod").await.unwrap_err().message(), "cannot start a running process");
    let metrics = ControllerMetricsRequest { sandbox_id: "pod".into(), sandboxer: word() };
    assert!(api.sandboxes().metrics(api.ask(metrics)).await.unwrap().into_inner().metrics.is_some());
    let tasks = ["one", "two"];
    for task in tasks {
        api.run_in("pod", task, &base, &["sleep", "1000"]).await.unwrap();
    }
    let shim = shim_of(&stage, "one").await;
    let pids = [api.get("one").await.unwrap().pid, api.get("two").await.unwrap().pid, started.pid];
    signal(shim as i32, Signal::KILL);
    until("the end of what it kept", || pids.iter().all(|pid| is_gone(*pid)).then_some(()));
    let mut told: Vec<_> = (0..2).map(|_| ends.recv_timeout(crate::support::PATIENCE).unwrap()).collect();
    told.sort();
    assert_eq!(told, tasks.map(|task| (task.to_owned(), 137)));
    until("the bundles' end", || sandbox_bundles(&stage).is_empty().then_some(()));
    assert_eq!(status(&api, "pod").await.state, "SANDBOX_NOTREADY");
    // Without the shim there is nothing that a task could be made in.
    let refused = api.run_in("pod", "three", &base, &["true"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert!(refused.message().contains("can't find shim for sandbox pod"), "{refused:?}");
    for task in ["one", "two", "three"] {
        api.purge(task).await.unwrap();
    }
    assert!(ends.try_recv().is_err(), "an end is told twice");
    stage.expect_on_host(&[], "the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_that_cannot_be_made_leaves_nothing() {
    let stage = Stage::new();
    let api = stage.api();
    let refused = make(&api, "pod", None, "/no/such/namespace").await.unwrap_err();
    assert!(refused.message().contains("/no/such/namespace"), "{refused:?}");
    let broken = make(&api, "box", Some(api.spec("box", &["absent"])), "").await.unwrap_err();
    assert!(broken.message().contains("cannot run a sandbox"), "{broken:?}");
    assert_eq!(sandbox_bundles(&stage), Vec::<String>::new());
    // The network is the one that the client made.
    make(&api, "net", None, "/proc/self/ns/net").await.unwrap();
    let started = begin(&api, "net").await.unwrap();
    assert_eq!(namespace(started.pid, "net"), namespace(std::process::id(), "net"));
    end(&api, "net").await.unwrap();
    until("its end", || is_gone(started.pid).then_some(()));
    stage.expect_on_host(&[], "the end");
}

/// A daemon dies between the deletion of a task and its bundle's: the shim, which has other tasks, lives on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shim_of_a_group_is_spared_for_those_that_are_left() {
    let mut stage = Stage::new();
    let api = stage.api();
    let base = base(&api).await;
    api.run_grouped("both", "one", &base, &["sleep", "1000"]).await.unwrap();
    api.run_grouped("both", "two", &base, &["sleep", "1000"]).await.unwrap();
    let shim = shim_of(&stage, "one").await;
    assert_eq!(shim, shim_of(&stage, "two").await);
    let two = api.get("two").await.unwrap().pid;
    // As a daemon leaves it: the shim has no such task any more, its bundle is there.
    let left = stage.path("left");
    assert!(copy(&stage.bundles().join("one"), &left));
    api.kill("one").await.unwrap();
    api.wait("one").await.unwrap();
    api.delete_task("one").await.unwrap();
    stage.kill();
    assert!(copy(&left, &stage.bundles().join("one")));
    stage.start();
    let api = stage.api();
    until("the left bundle's end", || (!stage.bundles().join("one").exists()).then_some(()));
    assert_eq!(api.get("two").await.unwrap().pid, two);
    assert!(!is_gone(two) && !is_gone(shim));
    api.start_task("one").await.unwrap();
    assert_eq!(shim_of(&stage, "one").await, shim);
    for task in ["one", "two"] {
        api.purge(task).await.unwrap();
    }
    until("the shim's end", || is_gone(shim).then_some(()));
    stage.expect_on_host(&[], "the end");
}

fn copy(from: &Path, to: &Path) -> bool {
    let mut command = std::process::Command::new("cp");
    command.args(["-a", "--one-file-system"]).args([from, to]).status().is_ok_and(|status| status.success())
}
