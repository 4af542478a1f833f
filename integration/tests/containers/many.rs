//! Many containers at once.

use super::{ask, create};
use integration::Story;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often the list is asked for.
const CALLS: u32 = 10;

#[test]
fn many_containers_are_listed_from_memory() {
    let count: usize = std::env::var("WHERRY_MANY").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let story = Story::new();
    let wish = json!({"Image": "busybox", "Cmd": ["true"], "Labels": {"a": "b"}});
    for _ in 0..count {
        create(&story, &wish);
    }
    // The supervisor stands still: whoever asked it would wait.
    let supervisor = story.stack.daemon("supervisord").unwrap();
    let signal = |name: &str| {
        let status = std::process::Command::new("kill").args([name, &supervisor.pid.to_string()]).status();
        assert!(status.unwrap().success());
    };
    signal("-STOP");
    let pid = story.stack.daemon("engined").unwrap().pid;
    // Processor time: what else the machine does is not the engine's.
    let used = || {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    };
    let before = used();
    for _ in 0..CALLS {
        let (status, rows) = ask(&story, "GET", "/containers/json?all=1", &Value::Null);
        assert_eq!((status, rows.as_array().map(Vec::len)), (200, Some(count)));
    }
    let each = (used() - before) / CALLS;
    signal("-CONT");
    eprintln!("{count} containers listed in {each:?} of processor time");
    assert!(each <= Duration::from_millis(30).max(Duration::from_micros(200 * count as u64)), "{each:?}");
    let (_, pruned) = ask(&story, "POST", "/containers/prune", &Value::Null);
    assert_eq!(pruned["ContainersDeleted"].as_array().map(Vec::len), Some(count));
    story.end();
}

#[test]
fn starts_at_once_are_no_slower_than_one_by_one() {
    const COUNT: usize = 8;
    let story = Story::new();
    let wish = json!({"Image": "busybox", "Cmd": ["sleep", "600"]});
    let ids: Vec<String> = (0..2 * COUNT).map(|_| create(&story, &wish)).collect();
    let start = |id: &String| {
        let (status, answer) = ask(&story, "POST", &format!("/containers/{id}/start"), &Value::Null);
        assert_eq!(status, 204, "{answer}");
    };
    let began = Instant::now();
    ids[..COUNT].iter().for_each(start);
    let one_by_one = began.elapsed();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for id in &ids[COUNT..] {
            scope.spawn(move || start(id));
        }
    });
    let at_once = began.elapsed();
    eprintln!("{COUNT} starts: {one_by_one:?} one by one, {at_once:?} at once");
    // On a machine that does other things, too, more than half as long again would be a lock.
    assert!(at_once < one_by_one * 3 / 2, "{at_once:?} against {one_by_one:?}");
    for id in &ids {
        ask(&story, "DELETE", &format!("/containers/{id}?force=1"), &Value::Null);
    }
    story.end();
}
