//! A container's life, verb by verb, through every client.

use integration::{Client, Story, until};
use std::io::{BufRead, BufReader, Write};

fn state(client: &Client, name: &str) -> String {
    client.call(["inspect", "-f", "{{.State.Status}}", name]).expect()
}

#[test]
fn every_verb_moves_a_container() {
    let story = Story::new();
    for client in story.clients() {
        let name = client.own("boat");
        let id = client
            .call([
                "create",
                "--name",
                &name,
                "busybox",
                "sh",
                "-c",
                "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done",
            ])
            .expect();
        assert_eq!((id.len(), state(&client, &name).as_str()), (64, "created"));
        client
            .call(["create", "--name", &name, "busybox"])
            .run()
            .unwrap()
            .expect_complaint("is already in use by container");
        client.call(["start", &name]).expect();
        assert_eq!(state(&client, &name), "running");
        until("the first line", || (client.call(["logs", &name]).expect() == "up").then_some(()));
        client.call(["pause", &name]).expect();
        assert_eq!(state(&client, &name), "paused");
        client.call(["unpause", &name]).expect();
        client.call(["stop", &name]).expect();
        assert_eq!(
            client.call(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", &name]).expect(),
            "exited 3"
        );
        client.call(["restart", &name]).expect();
        assert_eq!(state(&client, &name), "running");
        client.call(["kill", "-s", "KILL", &name]).expect();
        assert_eq!(client.call(["wait", &name]).expect(), "137");
        let renamed = format!("{name}-renamed");
        client.call(["rename", &name, &renamed]).expect();
        client.call(["inspect", &name]).run().unwrap().expect_code(1);
        client.call(["start", &renamed]).expect();
        client.call(["rm", &renamed]).run().unwrap().expect_code(1).expect_complaint("container is running");
        client.call(["rm", "-f", &renamed]).expect();
        client.call(["rm", &renamed]).run().unwrap().expect_code(1).expect_complaint("No such container");
    }
    story.end();
}

#[test]
fn a_stop_that_is_not_obeyed_kills() {
    let story = Story::new();
    for client in story.clients() {
        let name = client.own("deaf");
        client
            .call([
                "run",
                "-d",
                "--name",
                &name,
                "busybox",
                "sh",
                "-c",
                "trap '' TERM; echo deaf; while :; do sleep 0.1; done",
            ])
            .expect();
        until("the trap", || (client.call(["logs", &name]).expect() == "deaf").then_some(()));
        client.call(["stop", "-t", "1", &name]).expect();
        assert_eq!(client.call(["inspect", "-f", "{{.State.ExitCode}}", &name]).expect(), "137");
    }
    story.end();
}

#[test]
fn ps_lists_and_filters() {
    let story = Story::new();
    for client in story.clients() {
        let (runs, ended) = (client.own("runs"), client.own("ended"));
        client
            .call(["run", "-d", "--name", &runs, "--label", "kind=boat", "busybox", "sleep", "100"])
            .expect();
        client.call(["run", "--name", &ended, "busybox", "true"]).expect();
        let names = |arguments: &[&str]| {
            client.call(["ps", "--format", "{{.Names}}"]).args(arguments.to_vec()).expect()
        };
        assert!(names(&[]).lines().any(|name| name == runs) && !names(&[]).contains(&ended));
        assert!(names(&["-a"]).contains(&ended));
        assert_eq!(names(&["-a", "--filter", &format!("name={ended}")]), ended);
        assert!(names(&["--filter", "label=kind=boat"]).contains(&runs));
        assert!(names(&["-a", "--filter", "status=exited"]).contains(&ended));
        let table = client.call(["ps", "-a"]).expect();
        assert!(table.starts_with("CONTAINER ID   IMAGE     COMMAND"), "{table}");
        client.call(["rm", "-f", &runs, &ended]).expect();
    }
    story.end();
}

#[test]
fn logs_are_kept_followed_and_cut() {
    let story = Story::new();
    for client in story.clients() {
        let name = client.own("talker");
        client
            .call([
                "run",
                "--name",
                &name,
                "busybox",
                "sh",
                "-c",
                "for i in 1 2 3 4 5; do echo line $i; done; echo bad >&2",
            ])
            .run()
            .unwrap()
            .expect_code(0);
        let logs = client.call(["logs", &name]).run().unwrap().expect_code(0);
        assert_eq!((logs.stdout.lines().count(), logs.stderr.as_str()), (5, "bad\n"), "{}", client.name);
        assert_eq!(client.call(["logs", "--tail", "2", &name]).run().unwrap().stdout, "line 5\n");
        let stamped = client.call(["logs", "-t", "--tail", "6", &name]).run().unwrap().stdout;
        assert!(stamped.lines().all(|line| line.contains("T") && line.contains("Z line ")), "{stamped}");
        let later = client.call(["logs", "--since", "2099-01-01T00:00:00Z", &name]).run().unwrap();
        assert_eq!(later.stdout, "");
        let follower = client.own("followed");
        client
            .call([
                "run",
                "-d",
                "--name",
                &follower,
                "-i",
                "busybox",
                "sh",
                "-c",
                "while read line; do echo got $line; done",
            ])
            .expect();
        let mut logs = client.call(["logs", "-f", &follower]).spawn().unwrap();
        let mut attached = client.call(["attach", "--sig-proxy=false", &follower]).spawn().unwrap();
        let mut stdin = attached.stdin.take().unwrap();
        let mut lines = BufReader::new(logs.stdout.take().unwrap()).lines();
        for word in ["one", "two"] {
            writeln!(stdin, "{word}").unwrap();
            assert_eq!(lines.next().unwrap().unwrap(), format!("got {word}"));
        }
        client.call(["kill", &follower]).expect();
        assert!(logs.wait().unwrap().success(), "follow ends with the container");
        attached.wait().unwrap();
    }
    story.end();
}

#[test]
fn exec_runs_in_a_running_container() {
    let story = Story::new();
    for client in story.clients() {
        let name = client.own("host");
        client.call(["run", "-d", "--name", &name, "busybox", "sleep", "100"]).expect();
        assert_eq!(
            client
                .call(["exec", &name, "sh", "-c", "echo $$ in $(hostname)"])
                .expect()
                .split(' ')
                .next_back()
                .unwrap()
                .len(),
            12
        );
        client.call(["exec", &name, "sh", "-c", "exit 7"]).run().unwrap().expect_code(7);
        client.call(["exec", &name, "no-such-command"]).run().unwrap().expect_code(127);
        let echoed = client.call(["exec", "-i", &name, "cat"]).input("through").expect();
        assert_eq!(echoed, "through");
        assert_eq!(
            client
                .call([
                    "exec",
                    "-u",
                    "boat",
                    "-e",
                    "A=b",
                    "-w",
                    "/tmp",
                    &name,
                    "sh",
                    "-c",
                    "id -un; echo $A; pwd"
                ])
                .expect(),
            "boat\nb\n/tmp"
        );
        client.call(["exec", "-d", &name, "touch", "/made"]).expect();
        until("the detached exec", || {
            client.call(["exec", &name, "test", "-e", "/made"]).run().unwrap().code.eq(&0).then_some(())
        });
        client.call(["stop", "-t", "0", &name]).expect();
        client.call(["exec", &name, "true"]).run().unwrap().expect_code(1).expect_complaint("is not running");
    }
    story.end();
}

#[test]
fn top_stats_events_and_the_system() {
    let story = Story::new();
    for client in story.clients() {
        let name = client.own("watched");
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        client.call(["run", "-d", "--name", &name, "busybox", "sleep", "100"]).expect();
        assert!(client.call(["top", &name]).expect().contains("sleep 100"));
        let stats = client.call(["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", &name]).expect();
        assert_eq!(stats, format!("{name} 1"));
        client.call(["rm", "-f", &name]).expect();
        let until_now = (since + 100)
            .min(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 1)
            .to_string();
        let events = client
            .call([
                "events",
                "--since",
                &since.to_string(),
                "--until",
                &until_now,
                "--filter",
                &format!("container={name}"),
                "--format",
                "{{.Action}}",
            ])
            .expect();
        let actions: Vec<&str> = events.lines().collect();
        for action in ["create", "start", "kill", "die", "destroy"] {
            assert!(actions.contains(&action), "{}: {actions:?}", client.name);
        }
        assert!(client.call(["version"]).expect().contains("API version"));
        assert!(client.call(["info"]).expect().contains("Storage Driver: overlay"));
        assert!(client.call(["system", "df"]).expect().contains("Containers"));
    }
    story.end();
}

#[test]
fn signals_go_through_and_rm_removes() {
    let story = Story::new();
    for client in story.clients() {
        let name = client.own("proxied");
        let mut run = client
            .call([
                "run",
                "--rm",
                "--name",
                &name,
                "busybox",
                "sh",
                "-c",
                "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done",
            ])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        rustix::process::kill_process(rustix::process::Pid::from_child(&run), rustix::process::Signal::INT)
            .unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "caught");
        assert_eq!(run.wait().unwrap().code(), Some(9), "{}", client.name);
        until("removal", || client.call(["inspect", &name]).run().unwrap().code.eq(&1).then_some(()));
    }
    story.end();
}

#[test]
fn restart_policies_restart() {
    let story = Story::new();
    let client = story.ctl();
    client
        .call([
            "run",
            "-d",
            "--name",
            "again",
            "--restart",
            "on-failure:2",
            "busybox",
            "sh",
            "-c",
            "echo try; exit 1",
        ])
        .expect();
    until("two restarts", || {
        (client.call(["inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "again"]).expect()
            == "2 exited")
            .then_some(())
    });
    assert_eq!(client.call(["logs", "again"]).expect().lines().count(), 3);
    story.end();
}
