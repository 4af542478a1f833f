//! Lists tell what is known without asking: it must be what a shim would say.

use crate::layer;
use crate::support::{Stage, signal, until};
use containerd_api::v1::types::Status as Phase;
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_true_though_nobody_is_asked() {
    let mut stage = Stage::new();
    let api = stage.api();
    api.lease("setup").await.unwrap();
    let base = api.under("setup").make_image("base", &layer::busybox()).await.unwrap();
    api.end_lease("setup").await.unwrap();
    let listed = async |stage: &Stage| {
        let tasks = stage.api().list_tasks().await.unwrap();
        tasks.into_iter().map(|task| (task.id, task.status, task.exit_status)).collect::<Vec<_>>()
    };
    let one = |status: Phase, exit| vec![("one".to_owned(), status as i32, exit)];
    api.create("one", &base, &["sleep", "1000"]).await.unwrap();
    assert_eq!(listed(&stage).await, one(Phase::Created, 0));
    let pid = api.start("one").await.unwrap();
    assert_eq!(listed(&stage).await, one(Phase::Running, 0));
    // A shim that does not answer is not asked again.
    let shim = stage.shim_of(pid);
    signal(shim, Signal::STOP);
    assert_eq!(listed(&stage).await, one(Phase::Running, 0));
    signal(shim, Signal::CONT);
    api.pause("one").await.unwrap();
    assert_eq!(listed(&stage).await, one(Phase::Paused, 0));
    api.resume("one").await.unwrap();
    assert_eq!(listed(&stage).await, one(Phase::Running, 0));
    // Its end is nobody's call.
    signal(pid as i32, Signal::KILL);
    until("its end in a list", || {
        let listed =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(listed(&stage)));
        (listed == one(Phase::Stopped, 137)).then_some(())
    });
    // Who was told of an end finds it in the next list.
    for round in 0..50 {
        api.delete_task("one").await.unwrap();
        assert_eq!(listed(&stage).await, []);
        let pid = api.start_task("one").await.unwrap();
        assert_eq!(listed(&stage).await, one(Phase::Running, 0), "{round}");
        signal(pid as i32, Signal::KILL);
        assert_eq!(api.wait("one").await.unwrap().status, 137);
        assert_eq!(listed(&stage).await, one(Phase::Stopped, 137), "{round}");
    }
    stage.kill();
    stage.start();
    assert_eq!(listed(&stage).await, one(Phase::Stopped, 137));
    stage.api().purge("one").await.unwrap();
    stage.expect_on_host(&[], "the end");
}
