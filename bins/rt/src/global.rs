//! Options that stand before the command.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::launch::Manager;
use crate::log::Level;
use crate::words::{Grammar, Words, switch, value};

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// The global options.
#[derive(Debug)]
pub struct Global {
    pub root: PathBuf,
    /// Whether the caller named the root.
    pub root_given: bool,
    pub log: Option<String>,
    pub log_format: LogFormat,
    pub log_level: Level,
    pub manager: Manager,
    /// The criu program.
    pub criu: String,
    pub rootless: Rootless,
}

/// Whether to go on without what an unprivileged user may not do, `--rootless`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rootless {
    Yes,
    No,
    Auto,
}

impl Rootless {
    /// Auto means: not the host's root.
    pub fn holds(self) -> bool {
        const WHOLE: [&str; 3] = ["0", "0", "4294967295"];
        let is_host_root = || {
            let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
            rustix::process::geteuid().is_root() && map.split_whitespace().eq(WHOLE)
        };
        match self {
            Rootless::Yes => true,
            Rootless::No => false,
            Rootless::Auto => !is_host_root(),
        }
    }
}

/// A command line split at the command.
#[derive(Debug)]
pub struct Parsed {
    pub global: Global,
    /// The command and what follows.
    pub rest: Vec<String>,
    pub version: bool,
    pub help: bool,
}

pub const GRAMMAR: Grammar = Grammar {
    name: "",
    arguments: "command [arguments...]",
    about: "Open Container Initiative runtime",
    least: 0,
    most: usize::MAX,
    options: &[&[
        switch("debug", None, "log what is done"),
        value("log", None, "FILE", "log file, or journald:TAG, syslog:TAG (default: stderr)"),
        value("log-format", None, "text|json", "shape of the log lines"),
        value("log-level", None, "LEVEL", "error, warning or debug"),
        value("root", None, "DIR", "where the state of containers is kept"),
        switch("systemd-cgroup", None, "let systemd make cgroups"),
        value("cgroup-manager", None, "cgroupfs|systemd|disabled", "who makes cgroups"),
        value("rootless", None, "true|false|auto", "ignore what an unprivileged user may not do"),
        value("criu", None, "PATH", "the criu program (default: found on PATH)"),
        switch("version", Some('v'), "print the version"),
    ]],
    ends_at_argument: true,
};

/// Reads the words before the command.
pub fn parse(arguments: Vec<String>) -> Result<Parsed, Failure> {
    let (words, _) = GRAMMAR.split(&arguments)?;
    let log_format = match words.value("log-format") {
        None | Some("text" | "") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        Some(other) => return Err(Failure::new(format!("invalid log-format: {other}"))),
    };
    if words.value("root").is_some_and(|root| std::path::Path::new(root) == std::path::Path::new("/")) {
        return Err(Failure::new("Option --root argument should not be set to /"));
    }
    let global = Global {
        root: words.value("root").map_or_else(default_root, PathBuf::from),
        root_given: words.value("root").is_some(),
        log: words.value("log").map(str::to_owned),
        log_format,
        log_level: level(&words)?,
        criu: words.value("criu").filter(|path| !path.is_empty()).unwrap_or("criu").to_owned(),
        manager: manager(&words)?,
        rootless: rootless(&words)?,
    };
    let (version, help) = (words.has("version"), words.has("help"));
    Ok(Parsed { global, version, help, rest: words.arguments })
}

fn level(words: &Words) -> Result<Level, Failure> {
    if words.has("debug") {
        return Ok(Level::Debug);
    }
    match words.value("log-level") {
        None | Some("warn" | "warning" | "info") => Ok(Level::Warning),
        Some("error" | "fatal" | "panic") => Ok(Level::Error),
        Some("debug" | "trace") => Ok(Level::Debug),
        Some(other) => Err(Failure::new(format!("invalid log-level: {other}"))),
    }
}

fn rootless(words: &Words) -> Result<Rootless, Failure> {
    match words.value("rootless") {
        None | Some("auto" | "") => Ok(Rootless::Auto),
        Some("true" | "1") => Ok(Rootless::Yes),
        Some("false" | "0") => Ok(Rootless::No),
        Some(other) => Err(Failure::new(format!("invalid rootless: {other:?}"))),
    }
}

fn manager(words: &Words) -> Result<Manager, Failure> {
    match words.value("cgroup-manager") {
        None | Some("cgroupfs") if !words.has("systemd-cgroup") => Ok(Manager::Cgroupfs),
        None | Some("systemd" | "cgroupfs") => Ok(Manager::Systemd),
        Some("disabled") => Ok(Manager::Disabled),
        Some(other) => Err(Failure::new(format!("cgroup manager {other:?} is not supported"))),
    }
}

fn default_root() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) if !rustix::process::geteuid().is_root() => PathBuf::from(directory).join("runc"),
        _ => PathBuf::from("/run/runc"),
    }
}
