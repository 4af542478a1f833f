//! Running containers: what they see, what limits them, how they end.

use integration::Story;
use serde_json::Value;

#[test]
fn exit_codes_are_dockers() {
    let story = Story::new();
    for client in story.clients() {
        let run =
            |command: &[&str]| client.call(["run", "--rm", "busybox"]).args(command.to_vec()).run().unwrap();
        run(&["true"]).expect_code(0);
        run(&["sh", "-c", "exit 42"]).expect_code(42);
        run(&["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).expect_code(137);
        run(&["no-such-command"]).expect_code(127).expect_complaint("executable file not found");
        run(&["/etc/passwd"]).expect_code(126).expect_complaint("permission denied");
        client.call(["run", "--rm", "--no-such-flag", "busybox"]).run().unwrap().expect_code(125);
        client.call(["run", "--rm", "no/such/image:here", "true"]).run().unwrap().expect_code(125);
    }
    story.end();
}

#[test]
fn output_and_input_go_through() {
    let story = Story::new();
    for client in story.clients() {
        let both = client
            .call(["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2"])
            .run()
            .unwrap()
            .expect_code(0);
        assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"), "{}", client.name);
        let mebibytes = "0123456789abcde\n".repeat(4 * 65536);
        let echoed = client
            .call(["run", "--rm", "-i", "busybox", "cat"])
            .input(mebibytes.clone())
            .run()
            .unwrap()
            .expect_code(0);
        assert!(echoed.stdout == mebibytes, "{}: {} bytes came back", client.name, echoed.stdout.len());
    }
    story.end();
}

#[test]
fn options_shape_what_a_container_sees() {
    let story = Story::new();
    std::fs::create_dir(story.path("shared")).unwrap();
    std::fs::write(story.path("shared/file"), "from the host\n").unwrap();
    let shared = story.path("shared").display().to_string();
    for client in story.clients() {
        let sh = |options: &[&str], script: &str| {
            client.call(["run", "--rm"]).args(options.to_vec()).args(["busybox", "sh", "-c", script]).expect()
        };
        assert_eq!(
            sh(&["-e", "A=b c", "-w", "/var", "-u", "1000:2000"], "echo $A; pwd; id -u; id -g"),
            "b c\n/var\n1000\n2000"
        );
        assert_eq!(sh(&["-u", "boat"], "id -un; id -Gn; echo $HOME"), "boat\nboat crew\n/home");
        assert_eq!(
            sh(&["-h", "ship", "--add-host", "far:10.1.2.3"], "hostname; grep -c far /etc/hosts"),
            "ship\n1"
        );
        assert_eq!(
            sh(&["-v", &format!("{shared}:/data")], "cat /data/file; echo new > /data/new; ls /data"),
            "from the host\nfile\nnew"
        );
        let read_only = format!("type=bind,source={shared},target=/data,readonly");
        assert_eq!(sh(&["--mount", &read_only], "touch /data/x 2>/dev/null || echo refused"), "refused");
        assert_eq!(
            sh(&["--tmpfs", "/scratch:size=1m,mode=700"], "stat -f -c %T /scratch; stat -c %a /scratch"),
            "tmpfs\n700"
        );
        assert_eq!(
            sh(&["--read-only"], "touch /x 2>/dev/null || echo refused; touch /dev/shm/y && echo allowed"),
            "refused\nallowed"
        );
        assert_eq!(sh(&["--entrypoint", "echo"], "x"), "sh -c x");
        assert_eq!(sh(&["--init"], "cat /proc/1/comm"), "docker-init");
        let quiet = client.own("quiet");
        client.call(["run", "-d", "--name", &quiet, "busybox", "sleep", "100"]).expect();
        assert_eq!(
            client.call(["exec", &quiet, "ls", "/proc/1/fd"]).expect(),
            "0\n1\n2",
            "no descriptor leaks in"
        );
        std::fs::remove_file(story.path("shared/new")).unwrap();
    }
    story.end();
}

#[test]
fn capabilities_and_seccomp_are_dockers_defaults() {
    let story = Story::new();
    for client in story.clients() {
        let status = |options: &[&str], field: &str| {
            let script = format!("awk '/^{field}:/ {{print $2}}' /proc/self/status");
            client
                .call(["run", "--rm"])
                .args(options.to_vec())
                .args(["busybox", "sh", "-c", &script])
                .expect()
        };
        assert_eq!(status(&[], "CapEff"), "00000000a80425fb");
        assert_eq!(status(&[], "CapInh"), "0000000000000000");
        assert_eq!(status(&["--cap-drop", "ALL"], "CapEff"), "0000000000000000");
        assert_eq!(status(&["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"], "CapEff"), "0000000000001000");
        assert_eq!(status(&[], "Seccomp"), "2");
        assert_eq!(status(&["--security-opt", "seccomp=unconfined"], "Seccomp"), "0");
        assert_eq!(status(&["--privileged"], "Seccomp"), "0");
        assert_eq!(status(&["--security-opt", "no-new-privileges"], "NoNewPrivs"), "1");
        let masked = client.call(["run", "--rm", "busybox", "sh", "-c", "cat /proc/kcore | wc -c; ls /proc/scsi /sys/firmware | wc -l; echo x > /proc/sys/kernel/domainname || echo ro"]);
        assert!(masked.run().unwrap().expect_code(0).stdout.ends_with("ro\n"));
        let mounts = client
            .call([
                "run",
                "--rm",
                "busybox",
                "sh",
                "-c",
                "mount -t tmpfs none /tmp 2>&1 || true; unshare -U true 2>&1 || true",
            ])
            .expect();
        assert_eq!(
            mounts.matches("not permitted").count() + mounts.matches("permission denied").count(),
            2,
            "{mounts}"
        );
    }
    story.end();
}

#[test]
fn limits_are_in_the_cgroup() {
    let story = Story::new();
    for client in story.clients() {
        let name = client.own("limited");
        client
            .call([
                "run",
                "-d",
                "--name",
                &name,
                "-m",
                "64m",
                "--cpus",
                "0.5",
                "--pids-limit",
                "40",
                "busybox",
                "sleep",
                "100",
            ])
            .expect();
        let pid = client.call(["inspect", "-f", "{{.State.Pid}}", &name]).expect();
        let value = |controller: &str, v1: &str, v2: &str| cgroup_value(&pid, controller, v1, v2);
        assert_eq!(value("memory", "memory.limit_in_bytes", "memory.max"), "67108864");
        assert_eq!(value("pids", "pids.max", "pids.max"), "40");
        let quota = value("cpu", "cpu.cfs_quota_us", "cpu.max");
        assert!(quota == "50000" || quota == "50000 100000", "{quota}");
        client.call(["rm", "-f", &name]).expect();
        // Twice the limit, all of it touched: the kernel ends it and the engine says so.
        let hog = client.own("hog");
        let ran = client.call([
            "run",
            "--name",
            &hog,
            "-m",
            "16m",
            "--memory-swap",
            "16m",
            "busybox",
            "sh",
            "-c",
            "x=$(head -c 33554432 /dev/zero | tr '\\0' x); echo ${#x}",
        ]);
        ran.run().unwrap().expect_code(137);
        assert_eq!(client.call(["inspect", "-f", "{{.State.OOMKilled}}", &hog]).expect(), "true");
    }
    story.end();
}

/// A value of the cgroup that `pid` is in, on v1 and v2 alike.
fn cgroup_value(pid: &str, controller: &str, v1: &str, v2: &str) -> String {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let line = groups
        .lines()
        .find(|line| line.split(':').nth(1).is_some_and(|names| names.split(',').any(|n| n == controller)));
    let path = match line {
        Some(line) => format!("/sys/fs/cgroup/{controller}{}/{v1}", line.splitn(3, ':').nth(2).unwrap()),
        None => format!(
            "/sys/fs/cgroup{}/{v2}",
            groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap()
        ),
    };
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn namespaces_are_the_containers_own() {
    let story = Story::new();
    let client = story.ctl();
    let script = "for n in pid mnt net ipc uts cgroup; do readlink /proc/self/ns/$n; done";
    let inside = client.call(["run", "--rm", "busybox", "sh", "-c", script]).expect();
    for link in inside.lines() {
        let kind = link.split(':').next().unwrap();
        let host = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_ne!(link, host.to_string_lossy(), "{kind}");
    }
    assert_eq!(inside.lines().count(), 6);
    assert_eq!(client.call(["run", "--rm", "busybox", "sh", "-c", "echo $$"]).expect(), "1");
    let host_uts =
        client.call(["run", "--rm", "--pid", "host", "busybox", "readlink", "/proc/self/ns/pid"]).expect();
    assert_eq!(host_uts, std::fs::read_link("/proc/self/ns/pid").unwrap().to_string_lossy());
    story.end();
}

#[test]
fn writes_stay_in_the_container_that_made_them() {
    let story = Story::new();
    for client in story.clients() {
        let (a, b) = (client.own("a"), client.own("b"));
        client
            .call(["run", "--name", &a, "busybox", "sh", "-c", "echo mine > /file; rm /etc/group"])
            .expect();
        let seen = client
            .call(["run", "--name", &b, "busybox", "sh", "-c", "ls /file 2>/dev/null; ls /etc/group"])
            .expect();
        assert_eq!(seen, "/etc/group");
        let changed = client.call(["diff", &a]).expect();
        let mut lines: Vec<&str> = changed.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["A /file", "C /etc", "D /etc/group"]);
        let again = client.call(["start", "-a", &a]).run().unwrap();
        assert_eq!(again.code, 1, "rm finds nothing to remove: {}", again.stderr);
    }
    story.end();
}

#[test]
fn a_terminal_is_a_terminal() {
    let story = Story::new();
    for client in story.clients() {
        let under = |arguments: &[&str]| {
            let line = arguments.iter().map(|a| format!("'{a}'")).collect::<Vec<_>>().join(" ");
            let command = client.call([]).command();
            let mut script = std::process::Command::new("script");
            let line = format!("stty rows 33 cols 77; {} {line}", command.get_program().to_string_lossy());
            script
                .args(["-qec", &line, "/dev/null"])
                .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
            script.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
            let mut child = script.spawn().unwrap();
            // Held open to the end: what `script` sends at the end of its input would be echoed.
            let _stdin = child.stdin.take();
            let output = child.wait_with_output().unwrap();
            String::from_utf8_lossy(&output.stdout).replace(['\r', '\0'], "").trim().to_owned()
        };
        assert_eq!(
            under(&["run", "--rm", "-it", "busybox", "sh", "-c", "tty; sleep 0.2; stty size"]),
            "/dev/pts/0\n33 77"
        );
    }
    story.end();
}

#[test]
fn inspect_has_what_scripts_read() {
    let story = Story::new();
    let client = story.ctl();
    let id = client
        .call([
            "run",
            "-d",
            "--name",
            "seen",
            "-e",
            "K=v",
            "-l",
            "a=b",
            "-p",
            "127.0.0.1::80",
            "busybox",
            "sleep",
            "100",
        ])
        .expect();
    let all: Value = serde_json::from_str(&client.call(["inspect", "seen"]).expect()).unwrap();
    let one = &all[0];
    assert_eq!(one["Id"], id.as_str());
    assert_eq!(one["Name"], "/seen");
    assert_eq!(one["State"]["Status"], "running");
    assert_eq!(one["Config"]["Labels"]["a"], "b");
    assert_eq!(one["Config"]["Image"], "busybox");
    assert_eq!(one["NetworkSettings"]["Ports"]["80/tcp"][0]["HostIp"], "127.0.0.1");
    assert!(
        one["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].as_str().is_some_and(|ip| !ip.is_empty())
    );
    assert!(one["LogPath"].as_str().is_some_and(|path| std::path::Path::new(path).exists()));
    story.end();
}
