//! `exec`: runs another process in a container.

use std::path::{Path, PathBuf};

use runtime_spec::{Capabilities, Process, Status};

use super::{Command, Context, create};
use crate::container::Container;
use crate::failure::{Failure, Tried};
use crate::launch::{self, Bundle, Entry, Relay};
use crate::validate;
use crate::words::{Grammar, Words, switch, value};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "exec",
        arguments: "<container-id> <command> [args...] | -p process.json <container-id>",
        about: "run a process in a container",
        least: 1,
        most: usize::MAX,
        options: &[&[
            value("console-socket", None, "SOCKET", "unix socket that takes the terminal's master"),
            value("pidfd-socket", None, "SOCKET", "unix socket that takes the process's pidfd"),
            value("cwd", None, "DIR", "directory in the container"),
            value("env", Some('e'), "KEY=VALUE", "environment variable"),
            switch("tty", Some('t'), "give it a terminal"),
            value("user", Some('u'), "UID[:GID]", "user"),
            value("additional-gids", Some('g'), "GID", "more groups"),
            value("process", Some('p'), "FILE", "file with the process as JSON"),
            switch("detach", Some('d'), "leave the process running"),
            value("pid-file", None, "FILE", "file that takes the process id"),
            value("process-label", None, "LABEL", "SELinux label"),
            value("apparmor", None, "PROFILE", "AppArmor profile"),
            switch("no-new-privs", None, "set no_new_privs"),
            value("cap", Some('c'), "CAP", "one more capability"),
            value("preserve-fds", None, "N", "pass N descriptors from 3 up"),
            value("cgroup", None, "[CONTROLLER:]PATH", "group below the container's own"),
            switch("ignore-paused", None, "exec in a paused container, too"),
        ]],
        ends_at_argument: true,
    },
    runs_foreign_code: true,
    run,
};

/// What runc exits with when exec itself fails.
const FAILED: i32 = 255;

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    enter(context, words).map_err(|failure| failure.within("exec failed").with_code(FAILED))
}

fn enter(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let container = context.store().load(&words.arguments[0])?;
    match container.status()? {
        Status::Stopped | Status::Creating => {
            return Err(Failure::new("cannot exec in a stopped container"));
        }
        Status::Paused if !words.has("ignore-paused") => {
            return Err(Failure::new("cannot exec in a paused container (use --ignore-paused to override)"));
        }
        _ => {}
    }
    let process = match words.value("process") {
        Some(path) => read_process(Path::new(path))?,
        None => from_words(&container, words)?,
    };
    validate::check_process(&process)?;
    let streams = create::streams(words)?;
    let subgroups: Vec<String> = words.all("cgroup").map(str::to_owned).collect();
    let relay = if streams.detach { None } else { Some(Relay::start()?) };
    let entry = Entry { container: &container, process: &process, streams: &streams, subgroups: &subgroups };
    let entered = launch::enter(&entry, context.log)?;
    match relay {
        Some(relay) => relay.wait(entered.pid, entered.console, None),
        None => Ok(0),
    }
}

fn read_process(path: &Path) -> Result<Process, Failure> {
    let shown = path.display();
    let bytes = std::fs::read(path).tried(format!("open {shown}"))?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::new(format!("cannot read {shown}: {error}")))
}

/// The bundle's process with the changes that the options name.
fn from_words(container: &Container, words: &Words) -> Result<Process, Failure> {
    if words.arguments.len() < 2 {
        return Err(Failure::new("exec args cannot be empty"));
    }
    let bundle = Bundle::open_again(&container.record.bundle)?;
    let mut process = bundle.process.unwrap_or_default();
    process.args = words.arguments[1..].to_vec();
    process.terminal = words.has("tty");
    process.console_size = None;
    process.env.extend(words.all("env").map(str::to_owned));
    if let Some(cwd) = words.value("cwd") {
        process.cwd = PathBuf::from(cwd).to_string_lossy().into_owned();
    }
    if let Some(label) = words.value("process-label") {
        process.selinux_label = label.to_owned();
    }
    if let Some(profile) = words.value("apparmor") {
        process.apparmor_profile = profile.to_owned();
    }
    process.no_new_privileges |= words.has("no-new-privs");
    if let Some(text) = words.value("user") {
        let (uid, gid) = process::user::parse(text)
            .ok_or_else(|| Failure::new(format!("invalid user {text:?}: UID[:GID] expected")))?;
        process.user.uid = uid;
        process.user.gid = gid.unwrap_or(process.user.gid);
    }
    for text in words.all("additional-gids") {
        let (gid, _) =
            process::user::parse(text).ok_or_else(|| Failure::new(format!("invalid group {text:?}")))?;
        process.user.additional_gids.push(gid);
    }
    add_capabilities(&mut process, words);
    Ok(process)
}

/// Adds nothing to inheritable: what is inheritable passes through programs that nobody gave it to
/// (CVE-2022-29162). Ambient, which has to be inheritable, gets it where the configuration itself
/// has some.
fn add_capabilities(process: &mut Process, words: &Words) {
    for name in words.all("cap") {
        let name = name.to_ascii_uppercase();
        let name = if name.starts_with("CAP_") { name } else { format!("CAP_{name}") };
        let sets = process.capabilities.get_or_insert_with(Capabilities::default);
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.push(name.clone());
        }
        if sets.inheritable.contains(&name) {
            sets.ambient.push(name);
        }
    }
}
