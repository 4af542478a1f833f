//! The configuration: defaults, then the file with what it imports, then the flags.

mod duration;
mod files;
mod migrate;
mod plugins;
mod proxies;
mod refused;
mod timeouts;

pub use timeouts::Timeouts;

use crate::cli::Flags;
use crate::proxy::Proxied;
use crate::services::transfer::TransferConfig;
use errdefs::{Error, Result};
use plugins::{File, Section, take};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The defaults, every setting explained.
pub const DEFAULT: &str = include_str!("default.toml");
/// Read when no other is named; it may be missing.
const DEFAULT_PATH: &str = "/etc/wherry/supervisord.toml";

pub const OVERLAY: &str = "io.containerd.snapshotter.v1.overlayfs";
pub const NATIVE: &str = "io.containerd.snapshotter.v1.native";
const GC: &str = "io.containerd.gc.v1.scheduler";
const RESTART: &str = "io.containerd.monitor.container.v1.restart";
const TRANSFER: &str = "io.containerd.transfer.v1.local";
const OPT: &str = "io.containerd.internal.v1.opt";
const METADATA: &str = "io.containerd.metadata.v1.bolt";
const GRPC: &str = "io.containerd.server.v1.grpc";
const GRPC_TCP: &str = "io.containerd.server.v1.grpc-tcp";
const TTRPC: &str = "io.containerd.server.v1.ttrpc";
const METRICS: &str = "io.containerd.server.v1.metrics";
const HISTOGRAM: &str = "io.containerd.metrics.v1.grpc-prometheus";

/// A unix socket that the daemon listens on.
#[derive(Clone, Debug, PartialEq)]
pub struct Socket {
    pub path: PathBuf,
    /// Its owner, if not whoever runs the daemon.
    pub uid: Option<u32>,
    /// Its group, by name or number, if the host has it.
    pub group: String,
}

/// Where the services are served over TCP.
#[derive(Clone, Debug, PartialEq)]
pub struct Tcp {
    /// `HOST:PORT`.
    pub address: String,
    /// Certificate and key of the server.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The authority whose certificates clients must have.
    pub client_authority: Option<PathBuf>,
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    pub root: PathBuf,
    pub state: PathBuf,
    pub grpc: Socket,
    pub ttrpc: Socket,
    pub tcp: Option<Tcp>,
    /// `HOST:PORT` of the endpoint for Prometheus.
    pub metrics: Option<String>,
    pub grpc_histogram: bool,
    pub max_receive_bytes: usize,
    pub max_send_bytes: usize,
    pub log_level: String,
    pub log_json: bool,
    pub oom_score: i32,
    pub timeouts: Timeouts,
    pub sharing: metadata::SharingPolicy,
    pub gc: metadata::GcConfig,
    /// Left out if disabled.
    pub overlay: Option<(PathBuf, snapshots::OverlayOptions)>,
    pub native: Option<PathBuf>,
    /// Where clients install programs; left out if disabled.
    pub opt: Option<PathBuf>,
    /// Snapshotters of other processes.
    pub proxies: Vec<Proxied>,
    pub transfer: TransferConfig,
    /// What makes layers of other kinds readable.
    pub processors: diff::Processors,
    /// How often the containers that are to run are looked at; `None` if nobody looks.
    pub restart_interval: Option<std::time::Duration>,
    pub required_plugins: Vec<String>,
    /// The merged file, for `config dump`.
    pub table: Table,
    /// What the file has that we do not know.
    pub warnings: Vec<String>,
}

fn invalid(text: String) -> Error {
    Error::invalid_argument(text)
}

/// The file that the flags name, or the default one if it exists.
fn path(flags: &Flags) -> Option<PathBuf> {
    flags.config.clone().or_else(|| Some(PathBuf::from(DEFAULT_PATH)).filter(|path| path.exists()))
}

/// What the file that the flags name is in the newest layout, without defaults and imports.
pub fn migrated(flags: &Flags) -> Result<Table> {
    path(flags).map_or_else(|| files::parse(DEFAULT), |path| files::read(&path))
}

impl Config {
    /// Reads the file that the flags name, or the default one if it exists.
    pub fn load(flags: &Flags) -> Result<Config> {
        let Some(path) = path(flags) else { return Config::resolve(Table::new(), flags) };
        let given = files::read_all(&path)?;
        Config::resolve(given, flags).map_err(|cause| {
            let text = format!("cannot use configuration {}", path.display());
            let hint = cause.hint().map(str::to_owned);
            let error = Error::new(cause.kind(), text).with_source(cause);
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })
    }

    /// Puts `given` over the defaults and the flags over both.
    fn resolve(given: Table, flags: &Flags) -> Result<Config> {
        refused::check(&given)?;
        let mut table = files::parse(DEFAULT)?;
        replace(&mut table, given);
        set_flags(&mut table, flags);
        let mut file: File =
            table.clone().try_into().map_err(|cause: toml::de::Error| invalid(cause.message().to_owned()))?;
        let mut warnings = Vec::new();
        let mut unknown = |place: &str, rest: &Table| {
            let keys = rest.keys().filter(|key| !["version", "imports"].contains(&key.as_str()));
            warnings.extend(keys.map(|key| format!("unknown key {place}{key}")));
        };
        unknown("", &file.rest);
        unknown("debug.", &file.debug.rest);
        for (id, processor) in &file.stream_processors {
            unknown(&format!("stream_processors.{id:?}."), &processor.rest);
        }
        for (name, plugin) in &file.proxy_plugins {
            unknown(&format!("proxy_plugins.{name:?}."), &plugin.rest);
        }
        let proxies = proxies::read(std::mem::take(&mut file.proxy_plugins))?;
        let processors = processors(std::mem::take(&mut file.stream_processors))?;
        check_disabled(&file.disabled_plugins)?;
        let (root, state) = (absolute("root", &file.root)?, absolute("state", &file.state)?);
        if root == state {
            return Err(invalid("root and state must be different paths".into()));
        }
        let sections = &mut file.plugins;
        let (grpc, grpc_limits) = grpc(take(sections, &mut warnings)?)?;
        let ttrpc = ttrpc(take(sections, &mut warnings)?, &grpc, flags)?;
        let tcp = tcp(take(sections, &mut warnings)?)?;
        let metrics: plugins::Metrics = take(sections, &mut warnings)?;
        let histogram: plugins::Histogram = take(sections, &mut warnings)?;
        let metadata: plugins::Metadata = take(sections, &mut warnings)?;
        let gc = gc(&take(sections, &mut warnings)?)?;
        let overlay: plugins::Overlay = take(sections, &mut warnings)?;
        let native: plugins::Native = take(sections, &mut warnings)?;
        let transfer = transfer(take(sections, &mut warnings)?)?;
        let restart: plugins::Restart = take(sections, &mut warnings)?;
        let opt: plugins::Opt = take(sections, &mut warnings)?;
        warnings.extend(file.plugins.keys().map(|name| format!("no such part: plugins.{name:?}")));
        let below = |given: &Path, name: &str| match given.as_os_str().is_empty() {
            true => root.join(name),
            false => given.to_owned(),
        };
        let is_on = |uri: &str| !file.disabled_plugins.iter().any(|disabled| disabled == uri);
        let options = snapshots::OverlayOptions {
            mount_options: overlay.mount_options,
            upperdir_label: overlay.upperdir_label,
            sync_remove: overlay.sync_remove,
            sync_commit: overlay.sync_commit,
        };
        Ok(Config {
            grpc,
            ttrpc,
            tcp,
            metrics: Some(metrics.address).filter(|address| !address.is_empty()),
            grpc_histogram: histogram.grpc_histogram,
            max_receive_bytes: grpc_limits.0,
            max_send_bytes: grpc_limits.1,
            log_level: level(&file.debug.level)?,
            log_json: choice("debug.format", &file.debug.format, ["text", "json"])? == 1,
            oom_score: file.oom_score,
            timeouts: Timeouts::parse(&file.timeouts, &mut warnings)?,
            sharing: match choice(
                "content_sharing_policy",
                &metadata.content_sharing_policy,
                ["shared", "isolated"],
            )? {
                0 => metadata::SharingPolicy::Shared,
                _ => metadata::SharingPolicy::Isolated,
            },
            gc,
            overlay: is_on(OVERLAY).then(|| (below(&overlay.root_path, OVERLAY), options)),
            native: is_on(NATIVE).then(|| below(&native.root_path, NATIVE)),
            proxies,
            opt: is_on(OPT).then(|| below(&opt.path, OPT)),
            transfer,
            processors,
            restart_interval: is_on(RESTART).then(|| restart_interval(&restart)).transpose()?,
            required_plugins: file.required_plugins,
            root,
            state,
            table,
            warnings,
        })
    }
}

/// The flags go before the file, in the dump too.
fn set_flags(table: &mut Table, flags: &Flags) {
    let text = |path: &Path| Value::String(path.display().to_string());
    for (key, flag) in [("root", &flags.root), ("state", &flags.state)] {
        if let Some(path) = flag {
            table.insert(key.into(), text(path));
        }
    }
    let mut set = |section: &str, key: &str, value: Value| {
        if let Some(Value::Table(section)) = table.get_mut(section) {
            section.insert(key.into(), value);
        }
    };
    if let Some(level) = &flags.log_level {
        set("debug", "level", Value::String(level.clone()));
    }
    if let (Some(address), Some(Value::Table(plugins))) = (&flags.address, table.get_mut("plugins")) {
        for (plugin, value) in [(GRPC, text(address)), (TTRPC, Value::String(String::new()))] {
            if let Some(Value::Table(section)) = plugins.get_mut(plugin) {
                section.insert("address".into(), value);
            }
        }
    }
}

/// The socket, and the limits of messages received and sent.
fn grpc(section: plugins::Grpc) -> Result<(Socket, (usize, usize))> {
    let group = section.gid.map(|gid| gid.to_string()).or(section.group);
    let socket = Socket {
        path: absolute("address", &section.address)?,
        uid: section.uid,
        group: group.unwrap_or_else(|| "wherry".into()),
    };
    Ok((socket, (section.max_recv_message_size, section.max_send_message_size)))
}

fn ttrpc(section: plugins::Ttrpc, grpc: &Socket, flags: &Flags) -> Result<Socket> {
    let beside = || {
        let mut name = grpc.path.clone().into_os_string();
        name.push(".ttrpc");
        PathBuf::from(name)
    };
    let is_derived = flags.address.is_some() || section.address.as_os_str().is_empty();
    Ok(Socket {
        path: if is_derived { beside() } else { absolute("ttrpc address", &section.address)? },
        uid: section.uid.or(grpc.uid),
        group: section.gid.map_or_else(|| grpc.group.clone(), |gid| gid.to_string()),
    })
}

fn tcp(section: plugins::GrpcTcp) -> Result<Option<Tcp>> {
    let given = |path: PathBuf| Some(path).filter(|path| !path.as_os_str().is_empty());
    let uri = plugins::GrpcTcp::URI;
    let identity = match (given(section.tls_cert), given(section.tls_key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(invalid(format!("plugins.{uri:?}: tls_cert and tls_key belong together"))),
    };
    let client_authority = given(section.tls_ca);
    if client_authority.is_some() && identity.is_none() {
        return Err(invalid(format!("plugins.{uri:?}: tls_ca needs tls_cert and tls_key")));
    }
    let address = section.address;
    Ok((!address.is_empty()).then_some(Tcp { address, identity, client_authority }))
}

fn gc(section: &plugins::Gc) -> Result<metadata::GcConfig> {
    Ok(metadata::GcConfig {
        pause_threshold: section.pause_threshold,
        deletion_threshold: section.deletion_threshold,
        mutation_threshold: section.mutation_threshold,
        schedule_delay: duration::parse(&section.schedule_delay)?,
        startup_delay: duration::parse(&section.startup_delay)?,
    })
}

fn transfer(section: plugins::Transfer) -> Result<TransferConfig> {
    for (key, count) in [
        ("max_concurrent_downloads", section.max_concurrent_downloads),
        ("max_concurrent_uploaded_layers", section.max_concurrent_uploaded_layers),
    ] {
        if count == 0 {
            return Err(invalid(format!("plugins.{TRANSFER:?}.{key} must be at least 1")));
        }
    }
    Ok(TransferConfig {
        // Several roots are separated as in PATH; the first that has the host counts.
        config_path: std::env::split_paths(&section.config_path)
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
        max_concurrent_downloads: section.max_concurrent_downloads,
        max_concurrent_uploaded_layers: section.max_concurrent_uploaded_layers,
        snapshotter: section.snapshotter,
    })
}

fn processors(sections: BTreeMap<String, plugins::StreamProcessor>) -> Result<diff::Processors> {
    let given = |id: String, section: plugins::StreamProcessor| {
        let plugins::StreamProcessor { accepts, returns, path, args, env, .. } = section;
        let wrong = |what: &str| Err(invalid(format!("stream_processors.{id:?}: {what}")));
        if accepts.is_empty() || returns.is_empty() || path.as_os_str().is_empty() {
            return wrong("accepts, returns and path must be set");
        }
        if env.iter().any(|pair| !pair.contains('=')) {
            return wrong("env wants NAME=VALUE");
        }
        Ok(diff::Processor { id, accepts, returns, path, args, env })
    };
    let given = sections.into_iter().map(|(id, section)| given(id, section));
    Ok(diff::Processors::new(given.collect::<Result<_>>()?))
}

fn restart_interval(section: &plugins::Restart) -> Result<std::time::Duration> {
    let interval = duration::parse(&section.interval)?;
    if interval.is_zero() {
        return Err(invalid(format!("plugins.{RESTART:?}.interval must be longer than 0"))
            .with_hint(format!("Put {RESTART:?} into disabled_plugins to restart nothing.")));
    }
    Ok(interval)
}

/// Disabling what is not there is fine; of our own parts the snapshotters and the restarts can be left out.
fn check_disabled(uris: &[String]) -> Result<()> {
    for uri in uris {
        if uri != "cri" && !uri.contains('.') {
            return Err(invalid(format!("invalid disabled plugin URI {uri:?} expect io.containerd.x.vx")));
        }
        if [GC, METADATA, TRANSFER, GRPC, TTRPC].contains(&uri.as_str()) {
            return Err(Error::unimplemented(format!("cannot disable plugin {uri:?}")));
        }
    }
    Ok(())
}

/// The place of a word among those that a setting takes; the first is meant by none.
fn choice<const N: usize>(setting: &str, word: &str, words: [&str; N]) -> Result<usize> {
    if word.is_empty() {
        return Ok(0);
    }
    words
        .iter()
        .position(|known| *known == word)
        .ok_or_else(|| invalid(format!("{setting} must be {}, not {word:?}", words.join(" or "))))
}

/// Puts what a person wrote over the defaults: whatever it is, it counts.
fn replace(target: &mut Table, source: Table) {
    for (key, value) in source {
        match (target.get_mut(&key), value) {
            (Some(Value::Table(target)), Value::Table(source)) => replace(target, source),
            (_, value) => drop(target.insert(key, value)),
        }
    }
}

fn absolute(what: &str, path: &Path) -> Result<PathBuf> {
    if path.as_os_str().is_empty() {
        return Err(invalid(format!("{what} must be specified")));
    }
    std::path::absolute(path)
        .map_err(|cause| invalid(format!("{what} {}", path.display())).with_source(cause))
}

fn level(text: &str) -> Result<String> {
    match text {
        "trace" | "debug" | "info" | "warn" | "error" => Ok(text.into()),
        "" => Ok("info".into()),
        "warning" => Ok("warn".into()),
        "fatal" | "panic" => Ok("error".into()),
        other => Err(invalid(format!("not a valid log level: {other:?}"))),
    }
}

/// Whether a path fits a unix socket's address.
pub fn fits_socket(path: &Path) -> bool {
    path.as_os_str().len() <= 104
}

#[cfg(test)]
mod tests;
