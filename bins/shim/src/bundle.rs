//! The bundle: the directory where daemon, shim and runtime leave files for each other.

use containerd_api::runc::v1::Options;
use errdefs::{Error, Result};
use oci_runtime::Runtime;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Annotations whose value names a group of containers that share one shim, first one first.
const GROUP_ANNOTATIONS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];
/// Where runtimes keep their state, below it a directory for each namespace.
const RUNTIME_ROOT: &str = "/run/containerd/runc";
/// The runtime that is looked for first, beside this program.
const OWN_RUNTIME: &str = "rt";
const OTHER_RUNTIME: &str = "runc";

/// A bundle's directory.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    path: PathBuf,
}

/// What the shim wants to know of config.json.
#[derive(Default, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    annotations: Option<HashMap<String, String>>,
    #[serde(default)]
    linux: Option<Linux>,
    #[serde(default)]
    hooks: Option<Hooks>,
    #[serde(default)]
    process: Option<ConfiguredProcess>,
}

#[derive(Default, Deserialize)]
struct ConfiguredProcess {
    #[serde(default)]
    args: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Default, Deserialize)]
struct Hooks {
    #[serde(default)]
    poststop: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Default, Deserialize)]
struct Linux {
    #[serde(default)]
    namespaces: Option<Vec<LinuxNamespace>>,
}

#[derive(Deserialize)]
struct LinuxNamespace {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    path: String,
}

impl Config {
    /// Whether it says what to run.
    pub(crate) fn has_process(&self) -> bool {
        let args = self.process.as_ref().and_then(|process| process.args.as_ref());
        args.is_some_and(|args| !args.is_empty())
    }

    /// Whether programs run after the container's deletion.
    pub(crate) fn has_last_hooks(&self) -> bool {
        let hooks = self.hooks.as_ref().and_then(|hooks| hooks.poststop.as_ref());
        hooks.is_some_and(|hooks| !hooks.is_empty())
    }

    /// Whether all processes of the container end with its init: a process namespace of its own.
    pub(crate) fn has_own_pids(&self) -> bool {
        let namespaces = self.linux.as_ref().and_then(|linux| linux.namespaces.as_ref());
        namespaces.is_some_and(|all| all.iter().any(|one| one.kind == "pid" && one.path.is_empty()))
    }
}

/// The part of the runtime options that `delete` needs, as containerd's shim writes it.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedOptions {
    #[serde(skip_serializing_if = "is_default")]
    no_pivot_root: bool,
    #[serde(skip_serializing_if = "is_default")]
    no_new_keyring: bool,
    #[serde(skip_serializing_if = "is_default")]
    shim_cgroup: String,
    #[serde(skip_serializing_if = "is_default")]
    io_uid: u32,
    #[serde(skip_serializing_if = "is_default")]
    io_gid: u32,
    #[serde(skip_serializing_if = "is_default")]
    binary_name: String,
    #[serde(skip_serializing_if = "is_default")]
    root: String,
    #[serde(skip_serializing_if = "is_default")]
    systemd_cgroup: bool,
    #[serde(skip_serializing_if = "is_default")]
    criu_image_path: String,
    #[serde(skip_serializing_if = "is_default")]
    criu_work_path: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Bundle {
    /// The bundle at a path.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Bundle {
        Bundle { path: path.into() }
    }

    /// The bundle in which the daemon started this process.
    pub(crate) fn current() -> Result<Bundle> {
        let cannot = |cause| Error::unknown("cannot find the bundle").with_source(cause);
        std::env::current_dir().map(Bundle::at).map_err(cannot)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The task's directory on the daemon's disk, if it has one; else the bundle.
    pub(crate) fn work(&self) -> PathBuf {
        let work = self.path.join("work");
        if work.is_dir() { work } else { self.path.clone() }
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// Where the runtime writes a process's pid; the empty id is init.
    pub(crate) fn pid_file(&self, exec_id: &str) -> PathBuf {
        if exec_id.is_empty() { self.path.join("init.pid") } else { self.path.join(format!("{exec_id}.pid")) }
    }

    /// The pid in such a file.
    pub(crate) fn pid(&self, exec_id: &str) -> Result<i32> {
        let path = self.pid_file(exec_id);
        let cannot = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::unknown(format!("cannot read {}", path.display())).with_source(cause)
        };
        let text = fs::read_to_string(&path).map_err(|e| cannot(e.into()))?;
        text.trim().parse().map_err(|e: std::num::ParseIntError| cannot(e.into()))
    }

    /// What config.json says; `None` if there is none.
    pub(crate) fn config(&self) -> Result<Option<Config>> {
        let path = self.path.join("config.json");
        let cannot = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::unknown(format!("cannot read {}", path.display())).with_source(cause)
        };
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| cannot(e.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot(error.into())),
        }
    }

    /// Lets the container enter a network namespace, which somebody else made.
    pub(crate) fn enter_network(&self, namespace: &str) -> Result<()> {
        let path = self.path.join("config.json");
        let cannot = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::unknown(format!("cannot change {}", path.display())).with_source(cause)
        };
        let bytes = fs::read(&path).map_err(|e| cannot(e.into()))?;
        let mut config: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| cannot(e.into()))?;
        let network = serde_json::json!({"type": "network", "path": namespace});
        match &mut config["linux"]["namespaces"] {
            serde_json::Value::Array(all) => {
                all.retain(|one| one["type"] != "network");
                all.push(network);
            }
            none => *none = serde_json::json!([network]),
        }
        self.replace("config.json", config.to_string().as_bytes(), 0o600)
    }

    /// The group of containers that this one belongs to.
    pub(crate) fn group(&self) -> Result<Option<String>> {
        let mut annotations = self.config()?.and_then(|config| config.annotations).unwrap_or_default();
        Ok(GROUP_ANNOTATIONS.iter().find_map(|name| annotations.remove(*name)))
    }

    /// Leaves the server's address for daemons that read it after their restart.
    pub(crate) fn save_address(&self, uri: &str) -> Result<()> {
        self.replace("address", uri.as_bytes(), 0o644)
    }

    /// The address that was left.
    pub(crate) fn address(&self) -> Option<String> {
        fs::read_to_string(self.path.join("address")).ok()
    }

    /// Leaves the runtime options for `delete`.
    pub(crate) fn save_options(&self, options: &Options) -> Result<()> {
        let saved = SavedOptions {
            no_pivot_root: options.no_pivot_root,
            no_new_keyring: options.no_new_keyring,
            shim_cgroup: options.shim_cgroup.clone(),
            io_uid: options.io_uid,
            io_gid: options.io_gid,
            binary_name: options.binary_name.clone(),
            root: options.root.clone(),
            systemd_cgroup: options.systemd_cgroup,
            criu_image_path: options.criu_image_path.clone(),
            criu_work_path: options.criu_work_path.clone(),
        };
        let json = serde_json::to_vec(&saved)
            .map_err(|cause| Error::internal("cannot encode the runtime options").with_source(cause))?;
        self.replace("options.json", &json, 0o600)?;
        self.replace("runtime", options.binary_name.as_bytes(), 0o600)
    }

    /// The options that were left; the defaults if there are none.
    pub(crate) fn options(&self) -> Options {
        let saved: SavedOptions = fs::read(self.path.join("options.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Options {
            no_pivot_root: saved.no_pivot_root,
            no_new_keyring: saved.no_new_keyring,
            shim_cgroup: saved.shim_cgroup,
            io_uid: saved.io_uid,
            io_gid: saved.io_gid,
            binary_name: saved.binary_name,
            root: saved.root,
            systemd_cgroup: saved.systemd_cgroup,
            criu_image_path: saved.criu_image_path,
            criu_work_path: saved.criu_work_path,
            ..Default::default()
        }
    }

    /// The runtime that these options name.
    pub(crate) fn runtime(&self, options: &Options, namespace: &str) -> Runtime {
        let root = if options.root.is_empty() { RUNTIME_ROOT } else { &options.root };
        Runtime {
            binary: binary(&options.binary_name),
            root: Path::new(root).join(namespace),
            log: self.path.join("log.json"),
            systemd_cgroup: options.systemd_cgroup,
        }
    }

    fn replace(&self, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let (path, new) = (self.path.join(name), self.path.join(format!(".{name}")));
        let write = || {
            let mut file =
                fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
            file.write_all(bytes)?;
            fs::rename(&new, &path)
        };
        write().map_err(|cause: io::Error| {
            Error::unknown(format!("cannot write {}", path.display())).with_source(cause)
        })
    }
}

/// The runtime asked for; without one ours, if it is there, else runc.
pub(crate) fn binary(name: &str) -> PathBuf {
    if !name.is_empty() {
        return PathBuf::from(name);
    }
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(OWN_RUNTIME));
    if let Some(beside) = beside.filter(|path| path.is_file()) {
        return beside;
    }
    let on_path = look_up(OWN_RUNTIME);
    on_path.unwrap_or_else(|| PathBuf::from(OTHER_RUNTIME))
}

/// A program on PATH.
pub(crate) fn look_up(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}
