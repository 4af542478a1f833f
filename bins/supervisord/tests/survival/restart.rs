//! Containers whose labels say that they are to run, or are not to.

use crate::layer;
use crate::support::{Api, Stage, until};
use containerd_api::v1::types::Status as Phase;
use std::time::Duration;

/// Waits until `look` finds something.
async fn soon<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, looking)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// A task of `id` that runs and is not `old`; its pid.
async fn another(api: &Api, id: &str, old: u32) -> u32 {
    soon(&format!("another task of {id}"), || async {
        let found = api.get(id).await.ok()?;
        (found.pid != old && found.status == Phase::Running as i32).then_some(found.pid)
    })
    .await
}

async fn count(api: &Api, id: &str) -> String {
    api.container(id).await.unwrap().labels.get("containerd.io/restart.count").cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_run_runs_again_and_what_is_to_stop_ends() {
    let mut stage = Stage::idle();
    let config = "version = 4\n[plugins.'io.containerd.monitor.container.v1.restart']\ninterval = '50ms'\n";
    std::fs::write(stage.path("config.toml"), config).unwrap();
    stage.start();
    let api = stage.api();
    api.lease("setup").await.unwrap();
    let base = api.under("setup").make_image("base", &layer::busybox()).await.unwrap();
    api.end_lease("setup").await.unwrap();
    let log = stage.path("out");

    let first = api.run("always", &base, &["sh", "-c", "echo said; exec sleep 1000"]).await.unwrap();
    let uri = format!("file://{}", log.display());
    let wanted = ("containerd.io/restart.status", "running");
    api.label("always", &[wanted, ("containerd.io/restart.loguri", &uri)]).await.unwrap();
    api.run("paused", &base, &["sleep", "1000"]).await.unwrap();
    api.label("paused", &[wanted]).await.unwrap();
    api.pause("paused").await.unwrap();
    api.run("twice", &base, &["sh", "-c", "exit 3"]).await.unwrap();
    api.label("twice", &[wanted, ("containerd.io/restart.policy", "on-failure:2")]).await.unwrap();
    api.run("well", &base, &["true"]).await.unwrap();
    api.label("well", &[wanted, ("containerd.io/restart.policy", "on-failure")]).await.unwrap();
    api.run("left", &base, &["true"]).await.unwrap();
    let stopped = ("containerd.io/restart.explicitly-stopped", "true");
    api.label("left", &[wanted, stopped, ("containerd.io/restart.policy", "unless-stopped")]).await.unwrap();

    // One that ends runs again, and its output goes where the label says.
    api.kill("always").await.unwrap();
    let second = another(&api, "always", first).await;
    until("its output", || (std::fs::read_to_string(&log).ok()? == "said\n").then_some(()));
    // Its task may be gone altogether.
    api.kill("always").await.unwrap();
    let third = another(&api, "always", second).await;
    // So it goes on under a daemon that was killed.
    stage.kill();
    crate::support::signal(third as i32, rustix::process::Signal::KILL);
    stage.start();
    let api = stage.api();
    let fourth = another(&api, "always", third).await;

    soon("two tries", || async { (count(&api, "twice").await == "2").then_some(()) }).await;
    let ended = soon("the end of the last", || async {
        let task = api.get("twice").await.ok()?;
        (task.status == Phase::Stopped as i32).then_some(task)
    })
    .await;
    assert_eq!(ended.exit_status, 3);

    // What is to stop is ended, and its task is gone.
    api.label("always", &[("containerd.io/restart.status", "stopped")]).await.unwrap();
    soon("its end", || async { api.get("always").await.is_err().then_some(()) }).await;
    assert_eq!(count(&api, "always").await, "3", "pids {first} {second} {third} {fourth}");
    // By now everything was looked at many times.
    assert_eq!(api.get("paused").await.unwrap().status, Phase::Paused as i32);
    for id in ["well", "left"] {
        assert_eq!(api.get(id).await.unwrap().status, Phase::Stopped as i32, "{id}");
        assert_eq!(count(&api, id).await, "", "{id}");
    }
    assert_eq!(count(&api, "twice").await, "2");
    api.resume("paused").await.unwrap();
    for id in ["always", "paused", "twice", "well", "left"] {
        api.label(id, &[("containerd.io/restart.status", "")]).await.unwrap();
        api.purge(id).await.unwrap();
    }
    stage.expect_on_host(&[], "the end");
}
