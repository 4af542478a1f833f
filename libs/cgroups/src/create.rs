//! Making the directories of a cgroup.

use std::fs;
use std::path::Path;

use rustix::io::Errno;

use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::file;
use crate::host::Mode;

impl Cgroup {
    /// Makes the group in every hierarchy, with parents. What is there already stays.
    ///
    /// v1 cpuset groups get their parent's CPUs and nodes (an empty set admits no process). On v2
    /// every controller that the parents offer is passed down to the group.
    pub fn create(&self) -> Result<()> {
        for dir in &self.v1 {
            let made = make(&dir.path)?;
            if dir.controllers.iter().any(|c| c == "cpuset") {
                inherit_cpuset(&dir.path, made)?;
            }
        }
        if let Some(path) = &self.unified {
            make(path)?;
            if self.mode() == Mode::V2 {
                pass_controllers_down(path, None)?;
            }
        }
        Ok(())
    }
}

/// Whether it is new.
fn make(path: &Path) -> Result<bool> {
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(path).map(|()| true).map_err(|e| Error::path("create", path, e))
        }
        Err(e) => Err(Error::path("create", path, e)),
    }
}

/// Fills empty `cpuset.cpus` and `cpuset.mems` from the parent, topmost ancestor first.
///
/// Ancestors that have a set are left alone: only groups that nobody has configured are filled,
/// which are those that [`make`] has just made. What a new one (`made`) has, it has of its parent.
fn inherit_cpuset(dir: &Path, made: bool) -> Result<()> {
    let inherit = if made { fill_set } else { inherit_set };
    for name in ["cpus", "mems"] {
        inherit(dir, &format!("cpuset.{name}"))?;
    }
    Ok(())
}

fn inherit_set(dir: &Path, name: &str) -> Result<String> {
    let own = file::read_value(dir, name)?;
    if own.trim().is_empty() { fill_set(dir, name) } else { Ok(own) }
}

/// As [`inherit_set`] for a set that is empty.
fn fill_set(dir: &Path, name: &str) -> Result<String> {
    let inherited = match dir.parent().map(|parent| inherit_set(parent, name)) {
        None => return Ok(String::new()),
        // Above the top of the hierarchy.
        Some(Err(e)) if e.is_absent() => return Ok(String::new()),
        Some(inherited) => inherited?,
    };
    file::write("cpuset", dir, name, inherited.trim())?;
    Ok(inherited)
}

/// Enables controllers in `cgroup.subtree_control` of every ancestor of `dir` inside the
/// hierarchy: all that are offered, or only `wanted`.
///
/// A controller that cannot be enabled is passed over: setting one of its limits fails later with
/// its own error, and a group without limits does not need it.
pub(crate) fn pass_controllers_down(dir: &Path, wanted: Option<&str>) -> Result<()> {
    let mut ancestors: Vec<&Path> =
        dir.ancestors().skip(1).take_while(|p| p.join("cgroup.controllers").exists()).collect();
    ancestors.reverse();
    for parent in ancestors {
        let offered = file::read(parent, "cgroup.controllers")?;
        let enabled = file::read(parent, "cgroup.subtree_control")?;
        let missing: Vec<&str> = offered
            .split_whitespace()
            .filter(|c| wanted.is_none_or(|w| w == *c))
            .filter(|c| !enabled.split_whitespace().any(|e| e == *c))
            .collect();
        if missing.is_empty() {
            continue;
        }
        let all: Vec<String> = missing.iter().map(|c| format!("+{c}")).collect();
        // All at once first, as one write costs one pass over the tree; else one by one.
        match file::write("subtree", parent, "cgroup.subtree_control", &all.join(" ")) {
            Ok(()) => continue,
            // Processes are in it. It would still take those controllers that know threads, but
            // that makes it a threaded domain, and no group below could have processes any more.
            Err(e) if e.is(Errno::BUSY) => continue,
            Err(_) => {}
        }
        for one in &all {
            match file::write("subtree", parent, "cgroup.subtree_control", one) {
                Err(e) if e.is(Errno::NOENT) => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}
