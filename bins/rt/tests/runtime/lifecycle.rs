//! From create to delete.

use std::fs;

use serde_json::json;

use crate::bundle::{Bundle, answer};

#[test]
fn a_container_lives_through_its_states() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.create();
    let state = bundle.state();
    assert_eq!(state["status"], "created");
    assert_eq!(state["bundle"], bundle.path().canonicalize().unwrap().to_str().unwrap());
    assert!(state["pid"].as_i64().unwrap() > 0);
    bundle.on("start", &[]).ok();
    assert_eq!(bundle.state()["status"], "running");
    bundle.on("start", &[]).fails(1, "cannot start an already running container");
    bundle.on("delete", &[]).fails(1, "that is not stopped: running");
    bundle.on("pause", &[]).ok();
    assert_eq!(bundle.state()["status"], "paused");
    bundle.on("resume", &[]).ok();
    bundle.on("resume", &[]).fails(1, "container not paused");
    bundle.on("kill", &["KILL"]).ok();
    bundle.await_status("stopped");
    assert_eq!(bundle.state()["pid"], 0);
    bundle.on("start", &[]).fails(1, "cannot start a container that has stopped");
    bundle.on("kill", &["TERM"]).fails(1, "container not running");
    bundle.on("kill", &["--all", "9"]).ok();
    bundle.on("delete", &[]).ok();
    bundle.assert_clean();
    bundle.on("state", &[]).fails(1, "container does not exist");
    bundle.on("delete", &["--force"]).ok();
}

#[test]
fn exit_codes_come_through_and_nothing_is_left() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exec no-such-program", 127)] {
        let bundle = Bundle::script(script);
        assert_eq!(bundle.run().code, code, "{script}");
        bundle.assert_clean();
    }
}

#[test]
fn force_deletes_in_every_state() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.create();
    bundle.on("delete", &["-f"]).ok();
    bundle.assert_clean();
    bundle.run_detached();
    bundle.on("delete", &["-f"]).ok();
    bundle.assert_clean();
    bundle.run_detached();
    bundle.on("pause", &[]).ok();
    bundle.on("delete", &["-f"]).ok();
    bundle.assert_clean();
}

#[test]
fn the_pid_file_names_init() {
    let bundle = Bundle::new(&["sleep", "100"]);
    let status = bundle
        .command(&["run", "-d", "--pid-file", "pid", &bundle.id])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let pid: i64 = fs::read_to_string(bundle.path().join("pid")).unwrap().parse().unwrap();
    assert_eq!(bundle.state()["pid"], pid);
}

#[test]
fn a_killed_program_gives_128_and_its_signal() {
    let bundle = Bundle::new(&["sleep", "100"]);
    let child = bundle.command(&["run", &bundle.id]).spawn().unwrap();
    while bundle.on("state", &[]).code != 0 {
        std::thread::yield_now();
    }
    bundle.await_status("running");
    bundle.on("kill", &["KILL"]).ok();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(137));
    bundle.assert_clean();
}

/// Callers ignore signals, and what they ignore stays so in what they start.
#[test]
fn signals_that_the_caller_ignores_are_heeded() {
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "exit 0"]});
    let bundle = Bundle::new(&["grep", "SigIgn", "/proc/self/status"])
        .with(|spec| spec["hooks"] = json!({"poststart": [hook], "poststop": [hook]}));
    let plain = bundle.command(&["run", &bundle.id]);
    let mut command = std::process::Command::new("env");
    command.args(["--ignore-signal=CHLD", "--ignore-signal=TERM", "--ignore-signal=HUP"]);
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(bundle.path());
    let told = answer(command.output().unwrap()).ok();
    let ignored = u64::from_str_radix(told.trim_start_matches("SigIgn:").trim(), 16).unwrap();
    // SIGHUP alone stays, as nohup(1) wants it. The C library knows the signals above 31.
    assert_eq!(ignored & 0x7fff_ffff, 1, "{told}");
    bundle.assert_clean();
}

#[test]
fn orphans_are_buried_as_long_as_the_runtime_stays() {
    let bundle = Bundle::script("(true &); (true &); touch /made; exec sleep 100").with(|spec| {
        let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "pid");
    });
    let mut child = bundle.command(&["run", &bundle.id]).spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let alone = || {
        let listed = fs::read_to_string(&children).unwrap();
        bundle.rootfs().join("made").exists() && listed.split_whitespace().count() == 1
    };
    for _ in 0..1000 {
        if alone() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(alone(), "{:?}", fs::read_to_string(&children));
    bundle.on("kill", &["KILL"]).ok();
    assert_eq!(child.wait().unwrap().code(), Some(137));
    bundle.assert_clean();
}

#[test]
fn keep_leaves_a_stopped_container() {
    let bundle = Bundle::new(&["true"]);
    bundle.rt(&["run", "--keep", &bundle.id]).ok();
    assert_eq!(bundle.state()["status"], "stopped");
    bundle.on("delete", &[]).ok();
    bundle.assert_clean();
}

#[test]
fn lists_have_runcs_shapes() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.rt(&["list"]).fails(1, "no such file or directory");
    bundle.create();
    assert_eq!(bundle.rt(&["list", "-q"]).ok().trim(), bundle.id);
    let list: serde_json::Value = serde_json::from_str(&bundle.rt(&["list", "-f", "json"]).ok()).unwrap();
    assert_eq!(list[0]["id"], bundle.id.as_str());
    assert_eq!(list[0]["owner"], "root");
    assert!(bundle.rt(&["list"]).ok().starts_with("ID "));
    bundle.on("delete", &["-f"]).ok();
    assert_eq!(bundle.rt(&["list", "-f", "json"]).ok(), "null");
}

#[test]
fn a_created_container_holds_nothing_of_its_caller() {
    let bundle = Bundle::new(&["true"]);
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let mut command = bundle.command(&["create", &bundle.id]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    // The pipe goes along as any descriptor does that a caller forgot.
    rustix::io::fcntl_setfd(&writer, rustix::io::FdFlags::empty()).unwrap();
    assert!(command.status().unwrap().success());
    drop(writer);
    assert_eq!(rustix::io::read(&reader, &mut [0_u8; 1]).unwrap(), 0);
    let pid = bundle.state()["pid"].as_i64().unwrap();
    let open: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap().display().to_string())
        .filter(|path| path.starts_with("/sys/fs/cgroup"))
        .collect();
    assert_eq!(open, Vec::<String>::new());
}

/// Many short lives at once: none hangs, and each tells its own code. WHERRY_RUNS says how many.
#[test]
fn many_short_lives_end_with_their_codes() {
    let runs: usize = std::env::var("WHERRY_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(48);
    std::thread::scope(|scope| {
        for code in 0..8 {
            scope.spawn(move || {
                let bundle = Bundle::script(&format!("exit {code}"));
                for _ in 0..runs / 8 {
                    assert_eq!(bundle.run().code, code);
                }
                bundle.assert_clean();
            });
        }
    });
}

#[test]
fn a_program_that_is_about_to_end_can_be_deleted() {
    for _ in 0..10 {
        let bundle = Bundle::new(&["true"]);
        bundle.create();
        bundle.on("start", &[]).ok();
        let answer = bundle.on("delete", &[]);
        // A machine under load may take longer than anybody waits.
        if answer.code == 0 {
            return bundle.assert_clean();
        }
        assert!(answer.stderr.contains("that is not stopped: running"), "{answer:?}");
    }
    panic!("none of ten had ended");
}
