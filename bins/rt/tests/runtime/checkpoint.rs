//! Checkpoint and restore, where criu runs (in the guest).

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bundle::Bundle;

fn criu_runs() -> bool {
    let check = Command::new("criu").arg("check").output();
    let runs = check.is_ok_and(|output| output.status.success());
    if !runs {
        eprintln!("criu does not run here");
    }
    runs
}

fn counter() -> Bundle {
    let script = "n=0; while true; do n=$((n+1)); echo $n > /tmp/n; sleep 0.2; done";
    let bundle = Bundle::script(script).with(|spec| {
        // criu locks a network namespace with iptables.
        if !std::path::Path::new("/usr/sbin/iptables-restore").exists() {
            let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "network");
        }
    });
    bundle.run_detached();
    bundle
}

fn count(bundle: &Bundle) -> u64 {
    let text = fs::read_to_string(bundle.rootfs().join("tmp/n")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

fn await_more_than(bundle: &Bundle, least: u64) {
    let end = Instant::now() + Duration::from_secs(60);
    while count(bundle) <= least {
        assert!(Instant::now() < end, "the count stays at {}", count(bundle));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn quietly(bundle: &Bundle, words: &[&str]) {
    let mut command = bundle.command(words);
    let stderr = fs::File::create(bundle.path().join("stderr")).unwrap();
    let status = command.stdout(Stdio::null()).stderr(stderr).status().unwrap();
    let log = |name: &str| fs::read_to_string(bundle.path().join("images").join(name)).unwrap_or_default();
    let tail = |text: String| text.lines().rev().take(12).map(|line| format!("{line}\n")).collect::<String>();
    assert!(
        status.success(),
        "{words:?}: {}\n{}\n{}",
        fs::read_to_string(bundle.path().join("stderr")).unwrap(),
        tail(log("dump.log")),
        tail(log("restore.log"))
    );
}

#[test]
fn a_container_goes_on_where_it_was() {
    if !criu_runs() {
        return;
    }
    let bundle = counter();
    await_more_than(&bundle, 2);
    quietly(&bundle, &["checkpoint", "--image-path", "images", &bundle.id]);
    bundle.assert_clean();
    let before = count(&bundle);
    quietly(&bundle, &["restore", "--detach", "--image-path", "images", &bundle.id]);
    assert_eq!(bundle.state()["status"], "running");
    await_more_than(&bundle, before);
    assert!(count(&bundle) < before + 100, "it began anew");
    assert!(!bundle.cgroups().is_empty());
    bundle.on("exec", &["true"]).ok();
    bundle.on("delete", &["--force"]).ok();
    bundle.assert_clean();
}

#[test]
fn a_copy_leaves_the_container_running() {
    if !criu_runs() {
        return;
    }
    let bundle = counter();
    await_more_than(&bundle, 2);
    quietly(&bundle, &["checkpoint", "--leave-running", "--image-path", "images", &bundle.id]);
    let before = count(&bundle);
    await_more_than(&bundle, before);
    assert_eq!(bundle.state()["status"], "running");
}

#[test]
fn what_does_not_run_is_not_checkpointed() {
    let bundle = Bundle::new(&["true"]);
    bundle.create();
    let answer = bundle.on("checkpoint", &[]);
    answer.fails(1, "Container cannot be checkpointed in created state");
    bundle.rt(&["restore", "--image-path", "none", "other"]).fails(1, "cannot open none");
    bundle.rt(&["checkpoint", "nobody"]).fails(1, "container does not exist");
}
