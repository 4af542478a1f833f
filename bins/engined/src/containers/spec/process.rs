//! The process: words, environment, capabilities, limits.

use engine_api::exec::ExecCreate;
use engine_api::host_config::Ulimit;
use errdefs::{Error, Result};
use runtime_spec::{Capabilities, ConsoleSize, Process, Rlimit, User};

use super::{Inputs, capabilities};
use crate::containers::Record;

/// Where programs are looked for unless the image says otherwise.
pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the init program stands in a container.
const INIT: &str = "/sbin/docker-init";

pub fn of(inputs: &Inputs<'_>) -> Result<Process> {
    let record = inputs.record;
    let host = &record.host_config;
    let set = if host.privileged {
        inputs.all_capabilities.to_vec()
    } else {
        let (add, drop) =
            (host.cap_add.clone().unwrap_or_default(), host.cap_drop.clone().unwrap_or_default());
        capabilities::of(&add, &drop, inputs.all_capabilities)?
    };
    let mut args: Vec<String> = Vec::new();
    if host.init == Some(true) && host.pid_mode.is_empty() {
        args.extend([INIT.to_owned(), "--".to_owned()]);
    }
    args.push(record.path.clone());
    args.extend(record.args.iter().cloned());
    let cwd = &record.config.working_dir;
    Ok(Process {
        terminal: record.is_tty(),
        console_size: console_size(Some(host.console_size)),
        capabilities: Some(held(&set, &inputs.user)),
        user: inputs.user.clone(),
        args,
        env: environment(record, &inputs.home, record.is_tty(), &inputs.links, &[]),
        cwd: if cwd.is_empty() { "/".into() } else { cwd.clone() },
        rlimits: rlimits(host.resources.ulimits.as_deref().unwrap_or_default(), &inputs.default_ulimits)?,
        no_new_privileges: inputs.security.no_new_privileges,
        oom_score_adj: Some(i32::try_from(host.oom_score_adj).unwrap_or(0)),
        ..Process::default()
    })
}

/// The process of an exec: the container's, with other words.
///
/// # Errors
/// A capability of the container is malformed.
pub fn exec_process(
    record: &Record,
    exec: &ExecCreate,
    user: User,
    home: &str,
    all: &[String],
    default_ulimits: &[Ulimit],
) -> Result<Process> {
    let host = &record.host_config;
    let set = if exec.privileged || host.privileged {
        all.to_vec()
    } else {
        let (add, drop) =
            (host.cap_add.clone().unwrap_or_default(), host.cap_drop.clone().unwrap_or_default());
        capabilities::of(&add, &drop, all)?
    };
    let cwd = [&exec.working_dir, &record.config.working_dir].into_iter().find(|path| !path.is_empty());
    Ok(Process {
        terminal: exec.tty,
        console_size: console_size(exec.console_size),
        capabilities: Some(held(&set, &user)),
        user,
        args: exec.cmd.clone().unwrap_or_default().0,
        env: environment(record, home, exec.tty, &[], exec.env.as_deref().unwrap_or_default()),
        cwd: cwd.cloned().unwrap_or_else(|| "/".into()),
        no_new_privileges: super::SecurityOptions::parse(record)?.no_new_privileges,
        rlimits: rlimits(host.resources.ulimits.as_deref().unwrap_or_default(), default_ulimits)?,
        oom_score_adj: Some(i32::try_from(host.oom_score_adj).unwrap_or(0)),
        ..Process::default()
    })
}

/// Height and width; nothing when either is zero.
fn console_size(size: Option<[u64; 2]>) -> Option<ConsoleSize> {
    let [height, width] = size?;
    let side = |value: u64| u16::try_from(value).ok().filter(|value| *value > 0);
    Some(ConsoleSize { height: side(height)?, width: side(width)? })
}

/// Somebody other than root holds nothing until a program grants it; nothing is inheritable.
fn held(set: &[String], user: &User) -> Capabilities {
    let at_once = if user.uid == 0 { set.to_vec() } else { Vec::new() };
    Capabilities {
        bounding: set.to_vec(),
        effective: at_once.clone(),
        permitted: at_once,
        ..Capabilities::default()
    }
}

/// Defaults and links, then the container's variables, then `more`; a name without a value takes
/// the variable away.
fn environment(record: &Record, home: &str, is_tty: bool, links: &[String], more: &[String]) -> Vec<String> {
    let mut all = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={}", record.config.hostname)];
    if is_tty {
        all.push("TERM=xterm".to_owned());
    }
    all.extend_from_slice(links);
    for variable in record.config.env.iter().flatten().chain(more) {
        let name = variable.split('=').next().unwrap_or_default();
        let same = |other: &String| other.split('=').next() == Some(name);
        match (all.iter().position(same), variable.contains('=')) {
            (Some(at), true) => all[at].clone_from(variable),
            (Some(at), false) => drop(all.remove(at)),
            (None, true) => all.push(variable.clone()),
            (None, false) => {}
        }
    }
    if !home.is_empty() && !all.iter().any(|variable| variable.starts_with("HOME=")) {
        all.push(format!("HOME={home}"));
    }
    all
}

const LIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

fn rlimits(asked: &[Ulimit], defaults: &[Ulimit]) -> Result<Vec<Rlimit>> {
    let extra = defaults.iter().filter(|limit| !asked.iter().any(|other| other.name == limit.name));
    asked
        .iter()
        .chain(extra)
        .map(|limit| {
            if !LIMITS.contains(&limit.name.as_str()) {
                return Err(Error::invalid_argument(format!("invalid ulimit type: {}", limit.name)));
            }
            if limit.soft > limit.hard && limit.hard != -1 {
                return Err(Error::invalid_argument(format!(
                    "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                    limit.soft, limit.hard
                )));
            }
            // -1 is "unlimited", all bits set.
            let number = |value: i64| if value < 0 { u64::MAX } else { value.unsigned_abs() };
            Ok(Rlimit {
                kind: format!("RLIMIT_{}", limit.name.to_uppercase()),
                soft: number(limit.soft),
                hard: number(limit.hard),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{inputs, record};
    use super::*;
    use engine_api::container::Config;
    use engine_api::host_config::HostConfig;

    #[test]
    fn the_environment_is_dockers() {
        let env = ["A=1", "PATH=/x", "GONE"].map(str::to_owned).to_vec();
        let record = record(
            HostConfig::default(),
            Config { env: Some(env), hostname: "h".into(), ..Config::default() },
        );
        assert_eq!(
            environment(&record, "/root", true, &[], &["A=2".into()]),
            ["PATH=/x", "HOSTNAME=h", "TERM=xterm", "A=2", "HOME=/root"]
        );
    }

    #[test]
    fn a_user_holds_no_capability() {
        let record = record(HostConfig::default(), Config::default());
        let mut inputs = inputs(&record);
        inputs.user.uid = 7;
        let sets = of(&inputs).unwrap().capabilities.unwrap();
        assert_eq!(sets.bounding.len(), 14);
        assert!(sets.effective.is_empty() && sets.permitted.is_empty() && sets.inheritable.is_empty());
    }

    #[test]
    fn init_goes_in_front() {
        let host = HostConfig { init: Some(true), ..HostConfig::default() };
        let record = record(host, Config::default());
        assert_eq!(of(&inputs(&record)).unwrap().args, ["/sbin/docker-init", "--", "/bin/echo", "hi"]);
    }

    #[test]
    fn limits_are_checked() {
        let limit = |name: &str, soft, hard| Ulimit { name: name.into(), soft, hard };
        assert_eq!(rlimits(&[limit("nofile", 5, -1)], &[limit("nofile", 1, 1)]).unwrap()[0].hard, u64::MAX);
        assert!(rlimits(&[limit("nofile", 5, 4)], &[]).is_err());
        assert!(rlimits(&[limit("files", 1, 1)], &[]).is_err());
    }
}
