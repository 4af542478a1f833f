//! A full disk: every call that needs space says so, what is there stays whole, and all works again when there is
//! space.

use crate::layer;
use crate::support::Stage;
use containerd_api::services::tasks::v1::CreateTaskRequest;
use rustix::mount::{MountFlags, UnmountFlags};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use tonic::{Code, Status};

/// A small file system in memory.
struct Small(PathBuf);

impl Small {
    fn mount(path: PathBuf, options: &std::ffi::CStr) -> Small {
        std::fs::create_dir_all(&path).unwrap();
        rustix::mount::mount("none", &path, "tmpfs", MountFlags::empty(), options).unwrap();
        Small(path)
    }

    /// Takes all the space there is.
    fn fill(&self) {
        let mut ballast = File::create(self.0.join("ballast")).unwrap();
        while ballast.write_all(&[1; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, UnmountFlags::DETACH);
    }
}

fn is_full<T: std::fmt::Debug>(what: &str, outcome: Result<T, Status>) {
    let status = outcome.expect_err(what);
    assert_eq!(status.code(), Code::ResourceExhausted, "{what}: {status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_root_is_told_and_nothing_is_lost() {
    let mut stage = Stage::idle();
    let root = Small::mount(stage.path("root"), c"size=48m");
    stage.start();
    let api = stage.api();
    api.lease("setup").await.unwrap();
    let base = api.under("setup").make_image("base", &layer::busybox()).await.unwrap();
    api.end_lease("setup").await.unwrap();
    api.run("box", &base, &["sleep", "1000"]).await.unwrap();
    let (blobs, snapshots) = (api.blobs().await.unwrap(), api.snapshot_names().await.unwrap());

    root.fill();
    api.lease("l").await.err();
    let leased = api.under("l");
    is_full("content", api.write("big", &vec![7; 1 << 20], HashMap::new()).await);
    is_full("an image", leased.make_image("more", &layer::tar(&[("f", &vec![1; 1 << 20])])).await);
    // The records' own reserve lasts for some: by then each says that there is no space.
    let mut refused = None;
    for number in 0..400 {
        let created = api.create(&format!("full-{number}"), &base, &["true"]).await;
        if let Err(status) = created {
            refused = Some(status);
            break;
        }
    }
    is_full("containers", Err::<(), _>(refused.expect("space has an end")));
    // What runs goes on, what is there is read, and everything can be removed.
    assert_eq!(api.exec("box", "e", &["true"]).await.unwrap(), 0);
    for id in api.containers().await.unwrap().into_iter().filter(|id| id != "box") {
        api.purge(&id).await.unwrap();
    }
    // The daemon comes back on a disk that is still full.
    stage.kill();
    stage.start();
    let api = stage.api();
    assert_eq!(api.exec("box", "f", &["true"]).await.unwrap(), 0);

    root.free();
    api.lease("last").await.unwrap();
    for lease in api.leases().await.unwrap() {
        api.end_lease(&lease).await.unwrap();
    }
    assert_eq!(api.blobs().await.unwrap(), blobs);
    assert_eq!(api.snapshot_names().await.unwrap(), snapshots);
    api.run("after", &base, &["true"]).await.unwrap();
    assert_eq!(api.wait("after").await.unwrap().status, 0);
    api.lease("again").await.unwrap();
    api.under("again").make_image("more", &layer::tar(&[("f", &vec![1; 1 << 20])])).await.unwrap();
    for id in ["after", "box"] {
        api.purge(id).await.unwrap();
    }
    stage.kill();
    drop(root);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_state_refuses_tasks_and_a_full_log_stops_none() {
    let mut stage = Stage::idle();
    let (state, logs) =
        (Small::mount(stage.path("state"), c"size=4m"), Small::mount(stage.path("logs"), c"size=1m"));
    stage.start();
    let api = stage.api();
    api.lease("setup").await.unwrap();
    let base = api.under("setup").make_image("base", &layer::busybox()).await.unwrap();
    api.end_lease("setup").await.unwrap();
    // A log that cannot be written stops nobody who writes.
    let log = logs.0.join("log");
    let stdout = format!("file://{}", log.display());
    let streams = CreateTaskRequest { stderr: stdout.clone(), stdout, ..Default::default() };
    let words = "dd if=/dev/zero bs=64k count=100; echo done >/done; sleep 1000";
    let pid = api.create_with("talker", &base, &["sh", "-c", words], streams).await.unwrap();
    api.start("talker").await.unwrap();
    let done = format!("/proc/{pid}/root/done");
    crate::support::until("it to have said all", || Path::new(&done).exists().then_some(()));
    let told = format!("output is lost: cannot write {}: No space left on device", log.display());
    crate::support::until("the loss to be told", || stage.log().contains(&told).then_some(()));

    state.fill();
    is_full("a task", api.create("none", &base, &["true"]).await);
    assert_eq!(api.get("talker").await.unwrap().pid, pid);
    state.free();
    api.purge("none").await.unwrap();
    api.run("some", &base, &["true"]).await.unwrap();
    assert_eq!(api.wait("some").await.unwrap().status, 0);
    for id in ["some", "talker"] {
        api.purge(id).await.unwrap();
    }
    stage.kill();
    drop((state, logs));
}
