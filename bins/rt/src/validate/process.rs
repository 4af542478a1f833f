//! Rules of a process.

use std::path::Path;

use ::process::{limits, program, scheduling};
use runtime_spec::Process;

use super::Faults;

/// runc's words.
pub const NO_SELINUX: &str = "selinux label is specified in config, but selinux is disabled or not supported";

/// Whether the kernel labels anything.
pub fn selinux_is_enabled() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// Rules of an environment below `at`.
pub fn environment(entries: &[String], at: &str, faults: &mut Faults) {
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !program::is_variable(entry)) {
        faults.add(&format!("{at}/env/{index}"), format_args!("invalid environment variable: {entry:?}"));
    }
}

pub fn check(process: &Process, at: &str, faults: &mut Faults) {
    let path = |name: &str| format!("{at}/{name}");
    faults.unless(!process.args.is_empty(), &path("args"), "must not be empty");
    faults.unless(process.cwd.starts_with('/'), &path("cwd"), "must be an absolute path");
    faults.unless(!process.cwd.contains('\0'), &path("cwd"), "has a nul byte");
    for (index, arg) in process.args.iter().enumerate() {
        faults.unless(!arg.contains('\0'), &path(&format!("args/{index}")), "has a nul byte");
    }
    environment(&process.env, at, faults);
    let mut seen: Vec<&str> = Vec::new();
    for (index, limit) in process.rlimits.iter().enumerate() {
        let at = path(&format!("rlimits/{index}"));
        let kind = limit.kind.as_str();
        if !limits::is_known(kind) {
            faults.add(&format!("{at}/type"), format_args!("{kind:?} does not exist"));
        }
        faults.unless(!seen.contains(&kind), &at, "is given twice");
        faults.unless(limit.soft <= limit.hard, &format!("{at}/soft"), "is above hard");
        seen.push(kind);
    }
    let score = process.oom_score_adj.unwrap_or(0);
    faults.unless((-1000..=1000).contains(&score), &path("oomScoreAdj"), "is not in -1000..1000");
    if let Some(Err(error)) = process.scheduler.as_ref().map(scheduling::policy) {
        faults.add(&path("scheduler"), error);
    }
    if let Some(Err(error)) = process.io_priority.as_ref().map(scheduling::io_priority) {
        faults.add(&path("ioPriority"), error);
    }
    if let Some(affinity) = &process.exec_cpu_affinity {
        for (name, list) in [("initial", &affinity.initial), ("final", &affinity.last)] {
            if let Err(error) = scheduling::number_list(list) {
                faults.add(&path(&format!("execCPUAffinity/{name}")), error);
            }
        }
    }
    if !process.selinux_label.is_empty() {
        faults.unless(selinux_is_enabled(), &path("selinuxLabel"), NO_SELINUX);
    }
    // (uid_t)-1 means "unchanged" to the kernel.
    let ids = [("uid", process.user.uid), ("gid", process.user.gid)];
    for (name, id) in ids {
        faults.unless(id != u32::MAX, &path(&format!("user/{name}")), "is no id");
    }
}
