//! The program of a container, with all that the process becomes before it runs.

use std::ffi::CString;
use std::path::PathBuf;

use process::{capabilities, scheduling};
use runtime_spec as spec;
use seccomp::Filter;
use syscalls::sched;

use super::descriptors::Kept;
use crate::failure::{Failure, Tried};
use crate::log::Log;

/// A process of a configuration, parsed.
#[derive(Debug)]
pub struct Program {
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub cwd: PathBuf,
    pub user: spec::User,
    pub capabilities: Option<capabilities::Sets>,
    pub rlimits: Vec<spec::Rlimit>,
    pub no_new_privileges: bool,
    pub oom_score_adj: Option<i32>,
    pub scheduler: Option<sched::Policy>,
    /// Class and level.
    pub io_priority: Option<(u16, u16)>,
    pub apparmor_profile: String,
    pub selinux_label: String,
    pub terminal: bool,
    /// Whether the runtime stays and copies what comes out of the terminal.
    pub in_foreground: bool,
    pub console_size: Option<spec::ConsoleSize>,
    pub seccomp: Option<Filter>,
    /// The session keyring to join.
    pub keyring: Option<CString>,
    pub kept: Kept,
    /// Whether supplementary groups may be set.
    pub may_set_groups: bool,
    /// Whether the caller's supplementary groups stay.
    pub keeps_groups: bool,
}

/// What the container adds to its processes.
#[derive(Debug)]
pub struct Setting<'a> {
    pub id: &'a str,
    pub filter: Option<Filter>,
    pub no_new_keyring: bool,
    pub preserve_fds: i32,
    pub in_foreground: bool,
    pub may_set_groups: bool,
    pub keeps_groups: bool,
    /// Whether the process has a user namespace of its own, where it holds every capability.
    pub in_user_namespace: bool,
}

impl Program {
    /// Parses a process; `log` hears of what is left out as runc leaves it out.
    pub fn read(process: &spec::Process, setting: &Setting<'_>, log: &Log) -> Result<Program, Failure> {
        if let Some(filter) = &setting.filter {
            log.debug(&format!("seccomp filter flags: {}", filter.flags()));
        }
        let keyring = match setting.no_new_keyring {
            true => None,
            false => CString::new(format!("_ses.{}", setting.id)).ok(),
        };
        Ok(Program {
            args: process.args.clone(),
            env: environment(&process.env),
            cwd: PathBuf::from(if process.cwd.is_empty() { "/" } else { &process.cwd }),
            user: process.user.clone(),
            capabilities: capability_sets(process, setting.in_user_namespace, |text| log.warn(text))?,
            rlimits: process.rlimits.clone(),
            no_new_privileges: process.no_new_privileges,
            oom_score_adj: process.oom_score_adj,
            scheduler: process.scheduler.as_ref().map(scheduling::policy).transpose()?,
            io_priority: process.io_priority.as_ref().map(scheduling::io_priority).transpose()?,
            apparmor_profile: process.apparmor_profile.clone(),
            selinux_label: process.selinux_label.clone(),
            terminal: process.terminal,
            in_foreground: setting.in_foreground,
            console_size: process.console_size.clone(),
            seccomp: setting.filter.clone(),
            keyring,
            kept: Kept::read(setting.preserve_fds)?,
            may_set_groups: setting.may_set_groups,
            keeps_groups: setting.keeps_groups,
        })
    }
}

/// Sets that this process can give; what it does not hold itself is left out with a warning.
fn capability_sets(
    process: &spec::Process,
    holds_all: bool,
    warn: impl Fn(&str),
) -> Result<Option<capabilities::Sets>, Failure> {
    let Some(lists) = &process.capabilities else { return Ok(None) };
    let (mut sets, unknown) = capabilities::Sets::parse(lists);
    if !unknown.is_empty() {
        warn(&format!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" ")));
    }
    let outside = sets.limit_ambient();
    if outside != 0 {
        let names = capabilities::name_list(outside);
        warn(&format!("can't raise ambient capability {names}: operation not permitted"));
    }
    if holds_all {
        return Ok(Some(sets));
    }
    let missing = sets.limit_to_own().tried("cannot read capabilities")?;
    if missing != 0 {
        let names = capabilities::name_list(missing).replace(',', "");
        warn(&format!("ignoring unknown or unavailable capabilities: [{names}]"));
    }
    Ok(Some(sets))
}

/// Keeps the last value of each variable.
fn environment(entries: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = entry.split_once('=').map_or("", |(key, _)| key);
        let same = |other: &String| other.strip_prefix(key).is_some_and(|rest| rest.starts_with('='));
        kept.retain(|other| !same(other));
        kept.push(entry.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::environment;

    #[test]
    fn the_last_value_stays() {
        let entries = ["A=1", "AB=2", "A=3"].map(str::to_owned);
        assert_eq!(environment(&entries), ["AB=2", "A=3"]);
    }
}
