//! What a stack may leave on a host: mounts, cgroups, links, firewall tables, processes, files.

use crate::Daemon;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything of one stack that is still there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leftovers(Vec<String>);

impl Leftovers {
    /// Looks for whatever belongs to the stack in `dir` whose short name is `name` and whose
    /// network is marked `network`.
    pub fn find(dir: &Path, name: &str, network: &str) -> Leftovers {
        let mut found = Vec::new();
        let text = dir.to_string_lossy();
        found.extend(lines("/proc/self/mountinfo", &text).into_iter().map(|line| format!("mount: {line}")));
        found.extend(cgroups(name).into_iter().map(|path| format!("cgroup: {}", path.display())));
        found.extend(links(&[name, network]).into_iter().map(|line| format!("link: {line}")));
        found.extend(tables(&[name, network]).into_iter().map(|line| format!("firewall: {line}")));
        found.extend(processes(&text).into_iter().map(|line| format!("process: {line}")));
        Leftovers(found)
    }

    /// Whether the host is clean.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Panics with the list unless the host is clean.
    #[track_caller]
    pub fn expect_none(&self) {
        assert!(self.is_empty(), "left on the host:\n{self}");
    }

    /// Ends what daemons that died could not: processes in the stack's cgroups, and its shims.
    pub fn end_processes(dir: &Path, name: &str) {
        let in_cgroups = cgroups(name).into_iter().flat_map(|path| {
            let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
            text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<u32>>()
        });
        let of_dir = processes(&dir.to_string_lossy())
            .into_iter()
            .filter_map(|line| line.split(' ').next()?.parse().ok());
        for pid in in_cgroups.chain(of_dir) {
            let _ = Daemon { pid: pid as i32, log: PathBuf::new() }.kill();
        }
    }

    /// Unmounts whatever is mounted below the stack's directory, the last mounted first.
    pub fn unmount(dir: &Path) {
        let mounts = lines("/proc/self/mountinfo", &dir.to_string_lossy());
        for point in mounts.iter().rev().filter_map(|line| line.split(' ').nth(4)) {
            if Path::new(point).starts_with(dir) {
                let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
            }
        }
    }

    /// Removes the cgroups of a stack, deepest first; those with processes stay.
    pub fn remove_cgroups(name: &str) {
        for path in cgroups(name).into_iter().rev() {
            let _ = fs::remove_dir(path);
        }
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn lines(file: &str, with: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
}

/// The cgroups called `name` in any hierarchy, and those below, parents first.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from("/sys/fs/cgroup")];
    roots.extend(subdirectories(Path::new("/sys/fs/cgroup")));
    let mut found: Vec<PathBuf> =
        roots.into_iter().map(|root| root.join(name)).filter(|path| path.is_dir()).collect();
    let mut next = 0;
    while next < found.len() {
        let below = subdirectories(&found[next]);
        found.extend(below);
        next += 1;
    }
    found
}

fn subdirectories(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

pub(crate) fn links(names: &[&str]) -> Vec<String> {
    naming(&said("ip", &["-o", "link"]), names)
}

/// The firewall's tables that carry one of the names, whole but for what they have counted.
pub(crate) fn rules(names: &[&str]) -> Vec<String> {
    let text = said("nft", &["list", "ruleset"]);
    let mut inside = false;
    let mut rules = Vec::new();
    for line in text.lines() {
        if line.starts_with("table ") {
            inside = names.iter().any(|name| line.contains(name));
        }
        if inside {
            rules.push(line.split("counter packets").next().unwrap_or_default().trim().to_owned());
        }
    }
    rules
}

fn tables(names: &[&str]) -> Vec<String> {
    naming(&said("nft", &["list", "ruleset"]), names)
}

fn naming(text: &str, names: &[&str]) -> Vec<String> {
    text.lines().filter(|line| names.iter().any(|name| line.contains(name))).map(str::to_owned).collect()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// Processes whose command line names the stack's directory, but for this one and its ancestors.
fn processes(dir: &str) -> Vec<String> {
    let mut family = vec![std::process::id()];
    while let Some(parent) = family.last().and_then(|pid| parent_of(*pid)).filter(|pid| *pid > 1) {
        family.push(parent);
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    pids.filter(|pid| !family.contains(pid))
        .filter_map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            (line.contains(dir) || cwd.starts_with(dir)).then(|| format!("{pid} {line}"))
        })
        .collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}
