//! The configuration: defaults, then the file, then the flags.

use crate::cli::Flags;
use crate::services::transfer::TransferConfig;
use errdefs::{Error, Kind, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::{Table, Value};

/// The defaults, every setting explained.
pub const DEFAULT: &str = include_str!("default.toml");
/// Read when no other is named; it may be missing.
const DEFAULT_PATH: &str = "/etc/wherry/supervisord.toml";
/// The newest layout of the file that containerd knows.
const NEWEST_VERSION: i64 = 4;

pub const OVERLAY: &str = "io.containerd.snapshotter.v1.overlayfs";
pub const NATIVE: &str = "io.containerd.snapshotter.v1.native";
const GC: &str = "io.containerd.gc.v1.scheduler";
const TRANSFER: &str = "io.containerd.transfer.v1.local";
const METADATA: &str = "io.containerd.metadata.v1.bolt";

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    pub root: PathBuf,
    pub state: PathBuf,
    pub address: PathBuf,
    pub ttrpc_address: PathBuf,
    /// Owner group of the sockets.
    pub group: String,
    pub max_receive_bytes: usize,
    pub max_send_bytes: usize,
    pub log_level: String,
    pub log_json: bool,
    pub oom_score: i32,
    pub sharing: metadata::SharingPolicy,
    pub gc: metadata::GcConfig,
    pub overlay_root: PathBuf,
    pub overlay: snapshots::OverlayOptions,
    pub native_root: PathBuf,
    pub transfer: TransferConfig,
    /// The merged file, for `config dump` and for parts that read their own tables.
    pub table: Table,
    /// What the file has that we do not know.
    pub warnings: Vec<String>,
}

/// The file as it is written; what is not here stays in `rest`.
#[derive(Deserialize)]
struct File {
    version: i64,
    root: PathBuf,
    state: PathBuf,
    disabled_plugins: Vec<String>,
    oom_score: i32,
    grpc: Grpc,
    ttrpc: Ttrpc,
    debug: Debug,
    #[serde(default)]
    plugins: BTreeMap<String, Value>,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
struct Grpc {
    address: PathBuf,
    group: Option<String>,
    gid: Option<u32>,
    max_recv_message_size: usize,
    max_send_message_size: usize,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
struct Ttrpc {
    address: PathBuf,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
struct Debug {
    level: String,
    format: String,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
struct Metadata {
    content_sharing_policy: String,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
struct Gc {
    pause_threshold: f64,
    deletion_threshold: u32,
    mutation_threshold: u32,
    schedule_delay: String,
    startup_delay: String,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
struct Overlay {
    root_path: PathBuf,
    mount_options: Vec<String>,
    upperdir_label: bool,
    sync_remove: bool,
    sync_commit: bool,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
struct Native {
    root_path: PathBuf,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
struct Transfer {
    config_path: String,
    max_concurrent_downloads: usize,
    max_concurrent_uploaded_layers: usize,
    snapshotter: String,
    #[serde(flatten)]
    rest: Table,
}

/// Features that containerd has and we have not: refused when set to something.
const REFUSED: [&str; 12] = [
    "imports",
    "temp",
    "required_plugins",
    "proxy_plugins",
    "grpc.tcp_address",
    "grpc.tcp_tls_cert",
    "debug.address",
    "metrics.address",
    "cgroup.path",
    "plugins.io.containerd.snapshotter.v1.overlayfs.slow_chown",
    "plugins.io.containerd.transfer.v1.local.unpack_config",
    "stream_processors",
];

fn invalid(text: String) -> Error {
    Error::invalid_argument(text)
}

impl Config {
    /// Reads the file that the flags name, or the default one if it exists.
    pub fn load(flags: &Flags) -> Result<Config> {
        let path = flags.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_PATH));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == ErrorKind::NotFound && flags.config.is_none() => String::new(),
            Err(cause) => {
                return Err(Error::new(
                    Kind::NotFound,
                    format!("cannot read configuration {}", path.display()),
                )
                .with_source(cause));
            }
        };
        Config::parse(&text, flags).map_err(|cause| {
            invalid(format!("cannot use configuration {}", path.display())).with_source(cause)
        })
    }

    /// Puts `text` over the defaults and the flags over both.
    pub fn parse(text: &str, flags: &Flags) -> Result<Config> {
        let given: Table = toml::from_str(text)
            .map_err(|cause| invalid("failed to unmarshal TOML".into()).with_source(cause))?;
        check_version(&given)?;
        refuse_unsupported(&given)?;
        let mut table: Table = toml::from_str(DEFAULT).expect("the default configuration is TOML");
        merge(&mut table, given);
        let file: File =
            table.clone().try_into().map_err(|cause: toml::de::Error| invalid(cause.message().to_owned()))?;
        Config::resolve(file, table, flags)
    }

    fn resolve(mut file: File, mut table: Table, flags: &Flags) -> Result<Config> {
        let mut warnings = Vec::new();
        let mut unknown = |place: &str, rest: &Table| {
            warnings.extend(rest.keys().map(|key| format!("unknown key {place}{key}")));
        };
        check_disabled(&file.disabled_plugins)?;
        let metadata: Metadata = plugin(&mut file.plugins, METADATA)?;
        let gc: Gc = plugin(&mut file.plugins, GC)?;
        let overlay: Overlay = plugin(&mut file.plugins, OVERLAY)?;
        let native: Native = plugin(&mut file.plugins, NATIVE)?;
        let transfer: Transfer = plugin(&mut file.plugins, TRANSFER)?;
        let _ = file.version;
        unknown("", &file.rest);
        unknown("grpc.", &file.grpc.rest);
        unknown("ttrpc.", &file.ttrpc.rest);
        unknown("debug.", &file.debug.rest);
        unknown(&format!("plugins.{METADATA}."), &metadata.rest);
        unknown(&format!("plugins.{GC}."), &gc.rest);
        unknown(&format!("plugins.{OVERLAY}."), &overlay.rest);
        unknown(&format!("plugins.{NATIVE}."), &native.rest);
        unknown(&format!("plugins.{TRANSFER}."), &transfer.rest);
        for (key, count) in [
            ("max_concurrent_downloads", transfer.max_concurrent_downloads),
            ("max_concurrent_uploaded_layers", transfer.max_concurrent_uploaded_layers),
        ] {
            if count == 0 {
                return Err(invalid(format!("plugins.{TRANSFER:?}.{key} must be at least 1")));
            }
        }
        for name in file.plugins.keys() {
            warnings.push(format!("no such part: plugins.{name:?}"));
        }
        let root = absolute("root", flags.root.clone().unwrap_or(file.root))?;
        let state = absolute("state", flags.state.clone().unwrap_or(file.state))?;
        if root == state {
            return Err(invalid("root and state must be different paths".into()));
        }
        let address = absolute("address", flags.address.clone().unwrap_or(file.grpc.address))?;
        let ttrpc_address = if flags.address.is_some() || file.ttrpc.address.as_os_str().is_empty() {
            let mut name = address.clone().into_os_string();
            name.push(".ttrpc");
            PathBuf::from(name)
        } else {
            file.ttrpc.address
        };
        let below =
            |given: PathBuf, name: &str| if given.as_os_str().is_empty() { root.join(name) } else { given };
        for (key, path) in [("root", &root), ("state", &state)] {
            table.insert(key.into(), Value::String(path.display().to_string()));
        }
        if let Some(Value::Table(grpc)) = table.get_mut("grpc") {
            grpc.insert("address".into(), Value::String(address.display().to_string()));
        }
        Ok(Config {
            ttrpc_address,
            address,
            group: file
                .grpc
                .gid
                .map(|gid| gid.to_string())
                .or(file.grpc.group)
                .unwrap_or_else(|| "wherry".into()),
            max_receive_bytes: file.grpc.max_recv_message_size,
            max_send_bytes: file.grpc.max_send_message_size,
            log_level: level(&flags.log_level.clone().unwrap_or(file.debug.level))?,
            log_json: match file.debug.format.as_str() {
                "" | "text" => false,
                "json" => true,
                other => return Err(invalid(format!("debug.format must be text or json, not {other:?}"))),
            },
            oom_score: file.oom_score,
            sharing: match metadata.content_sharing_policy.as_str() {
                "" | "shared" => metadata::SharingPolicy::Shared,
                "isolated" => metadata::SharingPolicy::Isolated,
                other => {
                    return Err(invalid(format!(
                        "content_sharing_policy must be shared or isolated, not {other:?}"
                    )));
                }
            },
            gc: metadata::GcConfig {
                pause_threshold: gc.pause_threshold,
                deletion_threshold: gc.deletion_threshold,
                mutation_threshold: gc.mutation_threshold,
                schedule_delay: duration(&gc.schedule_delay)?,
                startup_delay: duration(&gc.startup_delay)?,
            },
            overlay_root: below(overlay.root_path, OVERLAY),
            overlay: snapshots::OverlayOptions {
                mount_options: overlay.mount_options,
                upperdir_label: overlay.upperdir_label,
                sync_remove: overlay.sync_remove,
                sync_commit: overlay.sync_commit,
            },
            native_root: below(native.root_path, NATIVE),
            transfer: TransferConfig {
                // Several roots are separated as in PATH; the first that has the host counts.
                config_path: std::env::split_paths(&transfer.config_path)
                    .filter(|path| !path.as_os_str().is_empty())
                    .collect(),
                max_concurrent_downloads: transfer.max_concurrent_downloads,
                max_concurrent_uploaded_layers: transfer.max_concurrent_uploaded_layers,
                snapshotter: transfer.snapshotter,
            },
            root,
            state,
            table,
            warnings,
        })
    }
}

fn plugin<T: for<'a> Deserialize<'a>>(plugins: &mut BTreeMap<String, Value>, name: &str) -> Result<T> {
    let value = plugins.remove(name).unwrap_or_else(|| Value::Table(Table::new()));
    value
        .try_into()
        .map_err(|cause: toml::de::Error| invalid(format!("plugins.{name:?}: {}", cause.message())))
}

fn check_version(given: &Table) -> Result<()> {
    match given.get("version").and_then(Value::as_integer) {
        Some(version) if version > NEWEST_VERSION => Err(invalid(format!(
            "expected containerd config version equal to or less than `{NEWEST_VERSION}`, got `{version}`"
        ))),
        _ => Ok(()),
    }
}

/// Disabling what is not there is fine; our own parts are one whole.
fn check_disabled(plugins: &[String]) -> Result<()> {
    for uri in plugins {
        if uri != "cri" && !uri.starts_with("io.containerd.") {
            return Err(invalid(format!("invalid disabled plugin URI {uri:?} expect io.containerd.x.vx")));
        }
        if [OVERLAY, NATIVE, GC, METADATA, TRANSFER].contains(&uri.as_str()) {
            return Err(Error::unimplemented(format!("cannot disable plugin {uri:?}")));
        }
    }
    Ok(())
}

fn refuse_unsupported(given: &Table) -> Result<()> {
    for path in REFUSED {
        let found = match path.strip_prefix("plugins.") {
            Some(rest) => {
                rest.rsplit_once('.').and_then(|(plugin, key)| given.get("plugins")?.get(plugin)?.get(key))
            }
            None => path
                .split('.')
                .try_fold(None, |value: Option<&Value>, key| {
                    Some(Some(match value {
                        None => given.get(key)?,
                        Some(value) => value.get(key)?,
                    }))
                })
                .flatten(),
        };
        let is_set = found.is_some_and(|value| match value {
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Table(entries) => !entries.is_empty(),
            Value::Boolean(on) => *on,
            _ => true,
        });
        if is_set {
            return Err(Error::unimplemented(format!("configuration key {path} is not supported")));
        }
    }
    Ok(())
}

fn merge(target: &mut Table, source: Table) {
    for (key, value) in source {
        match (target.get_mut(&key), value) {
            (Some(Value::Table(target)), Value::Table(source)) => merge(target, source),
            (_, value) => drop(target.insert(key, value)),
        }
    }
}

fn absolute(what: &str, path: PathBuf) -> Result<PathBuf> {
    if path.as_os_str().is_empty() {
        return Err(invalid(format!("{what} must be specified")));
    }
    std::path::absolute(&path)
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

/// A duration as Go writes it: numbers with units, `1h2m`, `100ms`.
fn duration(text: &str) -> Result<Duration> {
    let refused = || invalid(format!("not a duration: {text:?}, want a number and a unit such as 100ms"));
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
        let number: f64 = rest[..digits].parse().map_err(|_| refused())?;
        let unit_end =
            rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        total += number
            * match &rest[digits..unit_end] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(refused()),
            };
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(total)
        .map_err(|_| refused())
        .and_then(|found| if text.is_empty() { Err(refused()) } else { Ok(found) })
}

/// Whether a path fits a unix socket's address.
pub fn fits_socket(path: &Path) -> bool {
    path.as_os_str().len() <= 104
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Config> {
        Config::parse(text, &Flags::default())
    }

    #[test]
    fn defaults_stand_alone() {
        let config = parsed("").unwrap();
        assert_eq!(config.address, Path::new("/run/wherry/supervisord/supervisord.sock"));
        assert_eq!(config.ttrpc_address, Path::new("/run/wherry/supervisord/supervisord.sock.ttrpc"));
        assert_eq!(config.overlay_root, Path::new("/var/lib/wherry/supervisord").join(OVERLAY));
        assert_eq!(config.max_send_bytes, 16 << 20);
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        assert!(!config.overlay.sync_commit);
    }

    #[test]
    fn flags_win_over_the_file() {
        let flags =
            Flags { address: Some("/x/a.sock".into()), root: Some("/x/r".into()), ..Flags::default() };
        let config =
            Config::parse("root = '/y'\n[grpc]\naddress = '/y/s'\n[ttrpc]\naddress = '/y/t'", &flags)
                .unwrap();
        assert_eq!(
            (config.root.as_path(), config.address.as_path()),
            (Path::new("/x/r"), Path::new("/x/a.sock"))
        );
        assert_eq!(config.ttrpc_address, Path::new("/x/a.sock.ttrpc"));
    }

    #[test]
    fn unknown_keys_warn_and_unsupported_ones_are_refused() {
        let config =
            parsed("nonsense = 1\n[plugins.'io.containerd.grpc.v1.cri']\nx = 1\n[grpc]\nodd = 2").unwrap();
        assert_eq!(config.warnings.len(), 3, "{:?}", config.warnings);
        for bad in [
            "imports = ['a']",
            "[metrics]\naddress = '1.2.3.4:1'",
            "[proxy_plugins.x]\ntype = 'snapshot'",
            "[plugins.'io.containerd.snapshotter.v1.overlayfs']\nslow_chown = true",
        ] {
            assert_eq!(parsed(bad).unwrap_err().kind(), Kind::Unimplemented, "{bad}");
        }
        for bad in [
            "version = 5",
            "root = ''",
            "root = '/a'\nstate = '/a'",
            "oom_score = 'x'",
            "a = ",
            "[debug]\nlevel = 'x'",
            "disabled_plugins = ['x']",
            "[plugins.'io.containerd.gc.v1.scheduler']\nschedule_delay = '5'",
        ] {
            assert_eq!(parsed(bad).unwrap_err().kind(), Kind::InvalidArgument, "{bad}");
        }
        parsed("imports = []\ndisabled_plugins = ['cri']\n[metrics]\naddress = ''").unwrap();
    }

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1m30s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("100ms").unwrap(), Duration::from_millis(100));
        assert_eq!(duration("0").unwrap(), Duration::ZERO);
        for bad in ["", "x", "5", "5 parsecs", "-1s", "1e400s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
