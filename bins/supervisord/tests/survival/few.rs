//! Too few descriptors: what cannot be opened is left alone, and nothing that runs ends of it.

use crate::layer;
use crate::scale::used;
use crate::support::{Stage, until};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A restart takes back as many tasks as it can; those whose shims it cannot even connect to go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_few_descriptors_ends_no_task() {
    let mut stage = Stage::new();
    let api = stage.api();
    api.lease("setup").await.unwrap();
    let base = api.under("setup").make_image("base", &layer::busybox()).await.unwrap();
    api.end_lease("setup").await.unwrap();
    let mut running = Vec::new();
    for number in 0..8 {
        let id = format!("few-{number}");
        let pid = api.run(&id, &base, &["sleep", "1000"]).await.unwrap();
        running.push((id, pid));
    }
    stage.kill();
    let ids: Vec<&str> = running.iter().map(|(id, _)| id.as_str()).collect();
    let (mut came_up, mut all) = (0, 0_u32);
    // From too few for the daemon itself to enough for everything; where it changes is the machine's matter.
    let limits = [8, 16, 20, 24, 28, 32, 36, 40, 44, 48, 64, 96];
    for limit in limits {
        if stage.start_with_descriptors(limit) {
            came_up += 1;
            // With so few it may not even take a client.
            let listed = tokio::time::timeout(Duration::from_secs(5), stage.api().list_tasks()).await;
            all += u32::from(matches!(listed, Ok(Ok(tasks)) if tasks.len() == running.len()));
            stage.kill();
        }
        for (id, pid) in &running {
            assert!(Path::new(&format!("/proc/{pid}")).exists(), "{id} has ended with {limit} descriptors");
        }
        stage.expect_on_host(&ids, &format!("{limit} descriptors"));
    }
    assert!(all > 0 && came_up < limits.len(), "{came_up} times up, {all} times with all");
    stage.start();
    let api = stage.api();
    for (id, pid) in &running {
        let found = api.get(id).await.unwrap();
        assert_eq!((found.pid, found.status), (*pid, 2), "{id}");
        assert_eq!(api.exec(id, "e", &["sh", "-c", "exit 5"]).await.unwrap(), 5);
        api.purge(id).await.unwrap();
    }
    stage.expect_on_host(&[], "the end");
}

/// More clients than descriptors: those that are there are served again when others have gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_clients_is_outlived() {
    let mut stage = Stage::idle();
    assert!(stage.start_with_descriptors(64), "{}", stage.log());
    let descriptors = format!("/proc/{}/fd", stage.pid());
    let count = || std::fs::read_dir(&descriptors).unwrap().count();
    let crowd: Vec<UnixStream> =
        (0..100).map(|_| UnixStream::connect(stage.path("s.sock")).unwrap()).collect();
    until("all descriptors to be taken", || (count() >= 63).then_some(()));
    let before = used(stage.pid());
    // Whatever it does about it, it has the time to do it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let busy = used(stage.pid()) - before;
    assert!(busy < Duration::from_millis(200), "it works for {busy:?} at what cannot be done");
    drop(crowd);
    let listed = tokio::time::timeout(Duration::from_secs(20), stage.api().list_tasks()).await;
    assert!(listed.expect("a crowd that has gone is gone").unwrap().is_empty());
    until("the crowd's descriptors to be free", || (count() < 40).then_some(()));
}
