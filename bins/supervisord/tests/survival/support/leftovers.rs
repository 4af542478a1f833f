//! What containers leave on a host, named by the container it is of.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where shims let runtimes keep their state.
const RUNTIME_ROOT: &str = "/run/containerd/runc";

/// The ids of containers that have something on the host, by what it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub bundles: BTreeSet<String>,
    pub mounts: BTreeSet<String>,
    pub cgroups: BTreeSet<String>,
    pub runtime_states: BTreeSet<String>,
    pub shims: Vec<String>,
}

impl Found {
    /// What there is of the containers of a stage.
    pub fn look(top: &Path, namespace: &str) -> Found {
        let state = top.join("state/io.containerd.runtime.v2.task").join(namespace);
        let cgroups = cgroups(namespace).into_iter().flat_map(|path| names(&path)).collect();
        Found {
            bundles: names(&state).into_iter().collect(),
            mounts: mounts(top).into_iter().map(|path| last_but_one(&path)).collect(),
            cgroups,
            runtime_states: names(&Path::new(RUNTIME_ROOT).join(namespace)).into_iter().collect(),
            shims: shims(top),
        }
    }

    /// What there is when exactly these containers live.
    pub fn of(ids: &[&str]) -> Found {
        let ids: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        Found {
            bundles: ids.clone(),
            mounts: ids.clone(),
            cgroups: ids.clone(),
            runtime_states: ids.clone(),
            shims: ids.into_iter().collect(),
        }
    }
}

fn last_but_one(path: &Path) -> String {
    let word = path.parent().and_then(Path::file_name).unwrap_or_default();
    word.to_string_lossy().into_owned()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn mounts(top: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = text.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(top)).collect()
}

fn cgroups(name: &str) -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from("/sys/fs/cgroup")];
    roots.extend(names(&roots[0]).iter().map(|root| Path::new("/sys/fs/cgroup").join(root)));
    roots.into_iter().map(|root| root.join(name)).filter(|path| path.is_dir()).collect()
}

/// Processes that name the directory in their words, by the id after `-id`; the daemon has none.
fn shims(top: &Path) -> Vec<String> {
    let mut ids: Vec<String> = processes(top)
        .into_iter()
        .filter_map(|(_, words)| words.iter().skip_while(|word| *word != "-id").nth(1).cloned())
        .collect();
    ids.sort();
    ids
}

fn processes(top: &Path) -> Vec<(i32, Vec<String>)> {
    let top = top.to_str().unwrap();
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != std::process::id() as i32)
        .filter_map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains(top).then(|| (pid, line.split('\0').map(str::to_owned).collect()))
        })
        .collect()
}

/// Ends and removes whatever there is of a stage.
pub fn end(top: &Path, namespace: &str) {
    for path in cgroups(namespace) {
        for name in names(&path) {
            let text = fs::read_to_string(path.join(&name).join("cgroup.procs")).unwrap_or_default();
            for pid in text.lines().filter_map(|line| line.parse().ok()) {
                super::signal(pid, rustix::process::Signal::KILL);
            }
        }
    }
    for (pid, _) in processes(top) {
        super::signal(pid, rustix::process::Signal::KILL);
    }
    for _ in 0..200 {
        let paths: Vec<PathBuf> = cgroups(namespace)
            .into_iter()
            .flat_map(|path| {
                names(&path).into_iter().map(|name| path.join(name)).chain([path.clone()]).collect::<Vec<_>>()
            })
            .collect();
        if paths.is_empty() {
            break;
        }
        paths.iter().for_each(|path| drop(fs::remove_dir(path)));
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    for point in mounts(top).iter().rev() {
        let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
    }
    let _ = fs::remove_dir_all(Path::new(RUNTIME_ROOT).join(namespace));
}
