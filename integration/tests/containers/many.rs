//! Many containers at once.

use super::{ask, create};
use integration::Story;
use serde_json::{Value, json};

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
    let (status, rows) = ask(&story, "GET", "/containers/json?all=1", &Value::Null);
    signal("-CONT");
    assert_eq!((status, rows.as_array().map(Vec::len)), (200, Some(count)));
    let (_, pruned) = ask(&story, "POST", "/containers/prune", &Value::Null);
    assert_eq!(pruned["ContainersDeleted"].as_array().map(Vec::len), Some(count));
    story.end();
}

#[test]
fn all_of_many_starts_at_once_succeed() {
    const COUNT: usize = 16;
    let story = Story::new();
    let wish = json!({"Image": "busybox", "Cmd": ["sleep", "600"]});
    let ids: Vec<String> = (0..COUNT).map(|_| create(&story, &wish)).collect();
    std::thread::scope(|scope| {
        for id in &ids {
            let story = &story;
            scope.spawn(move || {
                let (status, answer) = ask(story, "POST", &format!("/containers/{id}/start"), &Value::Null);
                assert_eq!(status, 204, "{answer}");
            });
        }
    });
    let (_, rows) = ask(&story, "GET", "/containers/json", &Value::Null);
    assert_eq!(rows.as_array().map(Vec::len), Some(COUNT), "all run");
    for id in &ids {
        ask(&story, "DELETE", &format!("/containers/{id}?force=1"), &Value::Null);
    }
    story.end();
}
