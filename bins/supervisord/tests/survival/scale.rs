//! Many containers: what a question, a start of the daemon and one more container cost then.

use crate::layer;
use crate::support::{Api, Stage, number};
use std::time::{Duration, Instant};

/// Processor time that a process has used.
pub fn used(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let own = text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let of = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
    };
    Duration::from_nanos(threads.map(|entry| of(entry.path())).sum::<u64>().max(own))
}

/// The processor time of the daemon for one of `calls` calls, the least of three series.
async fn cost<F: Future<Output = ()>>(pid: u32, calls: u32, call: impl Fn() -> F) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let before = used(pid);
        for _ in 0..calls {
            call().await;
        }
        least = least.min((used(pid) - before) / calls);
    }
    least
}

async fn costs(stage: &Stage, api: &Api, base: &str) -> [Duration; 3] {
    let pid = stage.pid();
    let get = cost(pid, 100, async || drop(api.get("first").await.unwrap())).await;
    let records = cost(pid, 10, async || drop(api.prepare("none", "no-parent").await.unwrap_err())).await;
    let life = cost(pid, 4, async || {
        api.run("one-more", base, &["true"]).await.unwrap();
        api.wait("one-more").await.unwrap();
        api.purge("one-more").await.unwrap();
    })
    .await;
    [get, records, life]
}

/// `WHERRY_SCALE` says how many; with `WHERRY_BUDGET` set the times are demanded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_containers_cost_no_more_a_call() {
    let count = number("WHERRY_SCALE").unwrap_or(24);
    let mut stage = Stage::new();
    let api = stage.api();
    api.lease("setup").await.unwrap();
    let base = api.under("setup").make_image("base", &layer::busybox()).await.unwrap();
    api.end_lease("setup").await.unwrap();
    api.run("first", &base, &["sleep", "100000"]).await.unwrap();
    let few = costs(&stage, &api, &base).await;
    let started = Instant::now();
    for number in 1..count {
        api.run(&format!("many-{number}"), &base, &["sleep", "100000"]).await.unwrap();
    }
    let made = started.elapsed();
    let many = costs(&stage, &api, &base).await;
    let mut list = Duration::MAX;
    for _ in 0..10 {
        let started = Instant::now();
        assert_eq!(api.list_tasks().await.unwrap().len() as u64, count);
        list = list.min(started.elapsed());
    }
    let (mut restart, mut working) = (Duration::MAX, Duration::MAX);
    for _ in 0..3 {
        stage.kill();
        restart = restart.min(stage.start());
        working = working.min(used(stage.pid()));
        let api = stage.api();
        assert_eq!(api.list_tasks().await.unwrap().len() as u64, count);
        assert_eq!(api.exec("first", "e", &["true"]).await.unwrap(), 0);
    }
    eprintln!(
        "{count} containers, made in {made:?}: list {list:?}, restart {restart:?} ({working:?} of processor); \
         get, refused prepare, life: {few:?} with 1, {many:?} with all"
    );
    if number("WHERRY_BUDGET").is_some() {
        assert!(list < Duration::from_millis(20) && restart < Duration::from_millis(300));
    }
    for (few, many) in few.iter().zip(&many) {
        assert!(*many < *few * 3 + Duration::from_millis(2), "{few:?} became {many:?}");
    }
    let api = stage.api();
    for id in api.containers().await.unwrap() {
        api.purge(&id).await.unwrap();
    }
    stage.expect_on_host(&[], "the end");
}
