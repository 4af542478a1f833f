//! The death of daemons: containers, exit codes and log lines outlive them.

use integration::{Story, until};
use std::io::{BufRead, BufReader};

const TALKER: &str = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo $i; sleep 0.01; done; exit 5";

/// Starts talkers, one that ends while the daemon is dead among them, kills the daemon, starts it again.
fn kill_and_check(daemon: &str) {
    let story = Story::new();
    let client = story.ctl();
    client.call(["run", "-d", "--name", "talker", "busybox", "sh", "-c", TALKER]).expect();
    client
        .call([
            "run",
            "-d",
            "--name",
            "brief",
            "busybox",
            "sh",
            "-c",
            "while [ ! -e /go ]; do sleep 0.01; done; echo last words; exit 6",
        ])
        .expect();
    client.call(["run", "-d", "-i", "--name", "still", "busybox", "sleep", "1000"]).expect();
    let pid = client.call(["inspect", "-f", "{{.State.Pid}}", "brief"]).expect();
    until("the talker", || client.call(["logs", "talker"]).expect().lines().count().gt(&5).then_some(()));
    let mut exits = client.call(["wait", "talker"]).spawn().unwrap();

    story.stack.daemon(daemon).unwrap().kill().unwrap();
    std::fs::write(format!("/proc/{pid}/root/go"), "").unwrap();
    until("the end of the brief one", || {
        (!std::path::Path::new(&format!("/proc/{pid}/root/go")).exists()).then_some(())
    });
    match daemon {
        "engined" => story.stack.start_engined(),
        _ => story.stack.start_supervisord(),
    }
    .unwrap();

    until("the exit that was missed", || {
        let ended =
            client.call(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "brief"]).run().unwrap();
        (ended.stdout.trim() == "exited 6").then_some(())
    });
    assert_eq!(client.call(["logs", "brief"]).expect(), "last words");
    let running = client.call(["ps", "--format", "{{.Names}}"]).expect();
    assert!(running.contains("talker") && running.contains("still"), "{running}");
    assert_eq!(client.call(["exec", "still", "echo", "alive"]).expect(), "alive");
    let mut follow = client.call(["logs", "-f", "talker"]).spawn().unwrap();
    let lines: Vec<String> =
        BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    let expected: Vec<String> = (1..=400).map(|i| i.to_string()).collect();
    assert_eq!(lines, expected, "every line, once, in order");
    assert!(follow.wait().unwrap().success());
    assert_eq!(client.call(["wait", "talker"]).expect(), "5");
    client.call(["stop", "-t", "1", "still"]).expect();
    assert_eq!(client.call(["inspect", "-f", "{{.State.ExitCode}}", "still"]).expect(), "137");
    client.call(["start", "brief"]).run().unwrap().expect_code(0);
    let _ = exits.kill();
    let _ = exits.wait();
    story.end();
}

#[test]
fn engined_dies_and_nothing_is_lost() {
    kill_and_check("engined");
}

#[test]
fn supervisord_dies_and_nothing_is_lost() {
    kill_and_check("supervisord");
}

#[test]
fn both_die_and_the_exit_code_is_known_after() {
    let story = Story::new();
    let client = story.ctl();
    client
        .call([
            "run",
            "-d",
            "--name",
            "brief",
            "busybox",
            "sh",
            "-c",
            "while [ ! -e /go ]; do sleep 0.01; done; exit 4",
        ])
        .expect();
    let pid = client.call(["inspect", "-f", "{{.State.Pid}}", "brief"]).expect();
    for daemon in ["engined", "supervisord"] {
        story.stack.daemon(daemon).unwrap().kill().unwrap();
    }
    std::fs::write(format!("/proc/{pid}/root/go"), "").unwrap();
    until("its end", || (!std::path::Path::new(&format!("/proc/{pid}/root/go")).exists()).then_some(()));
    story.stack.up().unwrap();
    until("its exit code", || {
        (client
            .call(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "brief"])
            .run()
            .unwrap()
            .stdout
            .trim()
            == "exited 4")
            .then_some(())
    });
    story.end();
}

#[test]
fn a_killed_shim_ends_its_container() {
    let story = Story::new();
    let client = story.ctl();
    client.call(["run", "-d", "--name", "orphan", "busybox", "sleep", "1000"]).expect();
    let pid: i32 = client.call(["inspect", "-f", "{{.State.Pid}}", "orphan"]).expect().parse().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let shim: i32 = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(shim).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    assert_eq!(client.call(["wait", "orphan"]).expect(), "137");
    until("the end of its process", || {
        (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
    story.end();
}
