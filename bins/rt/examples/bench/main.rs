//! Runtimes side by side on a container that runs `true`, and the floor under all of them: the same
//! namespaces, mounts, cgroups and change of root with no runtime around.
//!
//! `cargo run --release -p rt --example bench -- [ROUNDS] RUNTIME...`, as root, with a static
//! /bin/busybox. A RUNTIME is a path or a name on PATH; those that fail are left out and named.

mod floor;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use syscalls::usage::{children_cpu, own_cpu};

/// Wall and CPU time of one step of one runtime, round by round.
struct Spent<'a> {
    name: &'a str,
    step: &'static str,
    times: Vec<(Duration, Duration)>,
}

/// What is measured, and whether it went well.
type Step<'a> = (&'static str, Box<dyn Fn() -> bool + 'a>);

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let rounds = match words.first().map(|word| word.parse()) {
        Some(Ok(rounds)) => {
            words.remove(0);
            rounds
        }
        _ => 30_usize,
    };
    let scratch = tempfile::tempdir().expect("a directory");
    bundle(scratch.path());
    let mut names: Vec<(String, Vec<Step<'_>>)> = Vec::new();
    for runtime in &words {
        names.push((runtime.clone(), steps(runtime, scratch.path())));
    }
    names.push(("floor".to_owned(), vec![("run", Box::new(|| floor::run(&scratch.path().join("rootfs"))))]));
    // Minima are what a machine with other work to do still tells the truth by.
    println!("{:<28} {:<22} {:^17} {:^17}", "", "", "wall, ms", "cpu, ms");
    println!("{:<28} {:<22} {:>8} {:>8} {:>8} {:>8}", "", "", "min", "median", "min", "median");
    let mut results: Vec<Spent<'_>> = Vec::new();
    for round in 0..rounds {
        let mut at = 0;
        for (name, steps) in &names {
            for (step, run) in steps {
                if round == 0 {
                    results.push(Spent { name, step, times: Vec::new() });
                }
                let (cpu, start) = (all_cpu(), Instant::now());
                let worked = run();
                let spent = (start.elapsed(), all_cpu() - cpu);
                if worked {
                    results[at].times.push(spent);
                }
                at += 1;
                // Real containers do not start back to back: the kernel is cold.
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    for Spent { name, step, times: mut spent } in results {
        let name = Path::new(name).file_name().unwrap_or_default().to_string_lossy();
        if spent.len() < rounds {
            println!("{name:<28} {step:<22} failed {} of {rounds}", rounds - spent.len());
            continue;
        }
        spent.sort();
        let mut cpus: Vec<Duration> = spent.iter().map(|one| one.1).collect();
        cpus.sort();
        let times = [spent[0].0, spent[rounds / 2].0, cpus[0], cpus[rounds / 2]];
        let [min, median, cpu_min, cpu] = times.map(|time| time.as_secs_f64() * 1000.0);
        println!("{name:<28} {step:<22} {min:>8.2} {median:>8.2} {cpu_min:>8.2} {cpu:>8.2}");
    }
}

/// What was used here and by ended children: the floor does its work in this very process.
fn all_cpu() -> Duration {
    children_cpu() + own_cpu()
}

fn steps<'a>(runtime: &'a str, scratch: &'a Path) -> Vec<Step<'a>> {
    let call = move |words: &[&str]| {
        let mut command = Command::new(runtime);
        command.arg("--root").arg(scratch.join("state")).args(words).current_dir(scratch);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    // Deleted as soon as `true` has ended: that is the program's time, not the runtime's.
    let delete = move || (0..200).any(|_| call(&["delete", "bench"]));
    vec![
        ("version", Box::new(move || call(&["--version"]))),
        ("run", Box::new(move || call(&["run", "bench"]))),
        ("create", Box::new(move || call(&["create", "bench"]))),
        ("delete --force, created", Box::new(move || call(&["delete", "--force", "bench"]))),
        (
            "create+start+delete",
            Box::new(move || call(&["create", "bench"]) && call(&["start", "bench"]) && delete()),
        ),
    ]
}

fn bundle(directory: &Path) {
    let rootfs = directory.join("rootfs");
    for name in ["bin", "proc", "sys", "dev"] {
        fs::create_dir_all(rootfs.join(name)).expect("a directory");
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).expect("a static /bin/busybox");
    symlink("busybox", rootfs.join("bin/true")).expect("a link");
    let (mounts, namespaces) = (floor::mounts(), ["pid", "network", "ipc", "uts", "mount", "cgroup"]);
    let spec = serde_json::json!({
        "ociVersion": "1.0.2",
        "process": {"args": ["/bin/true"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "hostname": "bench",
        "mounts": mounts,
        "linux": {
            "namespaces": namespaces.map(|kind| serde_json::json!({"type": kind})),
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
        },
    });
    fs::write(directory.join("config.json"), spec.to_string()).expect("a configuration");
}
