//! The command line, in dockerd's words.

mod access;
mod network;
mod rest;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;
use errdefs::{Error, Result};

pub use access::AccessFlags;
pub use network::NetworkFlags;
pub use rest::RestFlags;

/// Log drivers that a container may ask for.
pub use crate::containers::logging::DRIVERS as LOG_DRIVERS;

/// Serves the Docker Engine API on top of a containerd API.
#[derive(Parser, Clone, Debug)]
#[command(name = "engined", version, disable_version_flag = true, args_override_self = true)]
pub struct Flags {
    /// Address to listen on: unix:///PATH, fd://, or tcp://HOST:PORT with --tlsverify; may be given several times
    #[arg(short = 'H', long, value_name = "ADDRESS")]
    pub host: Vec<String>,
    /// Directory of everything that lasts
    #[arg(long, default_value = "/var/lib/wherry/engined", value_name = "DIR")]
    pub data_root: PathBuf,
    /// Directory of everything that ends with the host's uptime
    #[arg(long, default_value = "/run/wherry/engined", value_name = "DIR")]
    pub exec_root: PathBuf,
    /// File that holds the process id while the daemon runs
    #[arg(short, long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,
    /// JSON file with more settings [default: /etc/wherry/daemon.json, if it exists]
    #[arg(long, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Socket of the containerd API [default: our supervisord's, started if it does not answer]
    #[arg(long, value_name = "PATH")]
    pub containerd: Option<PathBuf>,
    /// Namespace of the containerd API that the containers live in
    #[arg(long, default_value = "moby", value_name = "NAME")]
    pub containerd_namespace: String,
    /// Group that owns the sockets, if the host has it [default: wherry, or docker under dockerd's name]
    #[arg(short = 'G', long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Print debug messages
    #[arg(short = 'D', long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub debug: Option<bool>,
    /// How much to print: debug, info, warn, error or fatal
    #[arg(short, long, default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
    /// Log driver of containers that name none
    #[arg(long, default_value = "json-file", value_name = "NAME")]
    pub log_driver: String,
    /// Option of the log driver, key=value
    #[arg(long, value_name = "KEY=VALUE")]
    pub log_opt: Vec<String>,
    /// Name of the default network's bridge, or none
    #[arg(short, long, value_name = "NAME")]
    pub bridge: Option<String>,
    /// Address and prefix length of the default bridge
    #[arg(long, value_name = "CIDR")]
    pub bip: Option<String>,
    /// Part of the default bridge's subnet that containers get their addresses from
    #[arg(long, value_name = "CIDR")]
    pub fixed_cidr: Option<String>,
    /// Bytes of the largest packet on the default bridge
    #[arg(long, value_name = "BYTES")]
    pub mtu: Option<u32>,
    /// Containers on the default bridge may talk to each other
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub icc: Option<bool>,
    /// Packets leave the host under the host's address
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub ip_masq: Option<bool>,
    /// Forwarding is switched on
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub ip_forward: Option<bool>,
    /// Firewall rules are made, in nftables; without them no port can be published
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub iptables: Option<bool>,
    /// The engine itself carries what the kernel does not lead to a published port: IPv6 of the host to
    /// a container of IPv4, ::1, and everything where --iptables=false
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub userland_proxy: Option<bool>,
    /// Containers survive the daemon; they always do
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub live_restore: Option<bool>,
    /// Host address of published ports that name none
    #[arg(long, value_name = "IP")]
    pub ip: Option<IpAddr>,
    /// Name server of containers that name none
    #[arg(long, value_name = "IP")]
    pub dns: Vec<IpAddr>,
    /// Resolver option of containers that name none
    #[arg(long, alias = "dns-opts", value_name = "OPTION")]
    pub dns_opt: Vec<String>,
    /// Search domain of containers that name none
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Runtime of containers that name none
    #[arg(long, value_name = "NAME")]
    pub default_runtime: Option<String>,
    /// One more runtime: NAME=PATH of an OCI runtime
    #[arg(long, value_name = "NAME=PATH")]
    pub add_runtime: Vec<String>,
    /// Registry that serves Docker Hub's names
    #[arg(long, value_name = "URL")]
    pub registry_mirror: Vec<String>,
    /// Registry that is spoken to without TLS: HOST[:PORT]
    #[arg(long, value_name = "HOST")]
    pub insecure_registry: Vec<String>,
    /// Snapshotter: overlay2 and overlayfs are the same
    #[arg(short, long, value_name = "NAME")]
    pub storage_driver: Option<String>,
    /// An init process in every container
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub init: Option<bool>,
    /// The init program [default: docker-init or tini on PATH]
    #[arg(long, value_name = "PATH")]
    pub init_path: Option<PathBuf>,
    /// Resource limit of containers that name none: NAME=SOFT[:HARD]
    #[arg(long, value_name = "LIMIT")]
    pub default_ulimit: Vec<String>,
    /// Bytes of /dev/shm of containers that name none
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub default_shm_size: Option<i64>,
    /// IPC mode of containers that name none: private or shareable
    #[arg(long, default_value = "private", value_name = "MODE")]
    pub default_ipc_mode: String,
    /// Cgroup namespace of containers that name none: private or host
    #[arg(long, default_value = "private", value_name = "MODE")]
    pub default_cgroupns_mode: String,
    /// Cgroup under which containers get theirs: a path [default: /wherry], or a slice of systemd's [default:
    /// system.slice]
    #[arg(long, value_name = "PATH")]
    pub cgroup_parent: Option<String>,
    /// No process of a container can gain privileges
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub no_new_privileges: Option<bool>,
    /// Seccomp profile of containers that name none: a file, builtin or unconfined
    #[arg(long, value_name = "FILE")]
    pub seccomp_profile: Option<String>,
    /// Label of the engine, key=value
    #[arg(long, value_name = "LABEL")]
    pub label: Vec<String>,
    /// Seconds that running containers get when the daemon ends; they are never stopped
    #[arg(long, value_name = "SECONDS")]
    pub shutdown_timeout: Option<i64>,
    /// Taken and without effect: nothing experimental is hidden
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub experimental: Option<bool>,
    #[command(flatten)]
    pub net: NetworkFlags,
    #[command(flatten)]
    pub access: AccessFlags,
    #[command(flatten)]
    pub rest: RestFlags,
    /// Check the settings and end
    #[arg(long)]
    pub validate: bool,
    /// Print the version and end
    #[arg(short = 'v', long = "version", action = clap::ArgAction::Version)]
    version: Option<bool>,
}

/// Bytes, with a unit of 1024 (`64m`).
fn parse_size(text: &str) -> std::result::Result<i64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: i64 = digits.parse().map_err(|_| format!("invalid size: {text}"))?;
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(format!("invalid size: {text}")),
    };
    number.checked_mul(1 << shift).ok_or_else(|| format!("invalid size: {text}"))
}

impl Flags {
    /// Refuses values that dockerd has and this engine has not.
    pub fn refuse_what_is_missing(&self) -> Result<()> {
        let refuse = |text: String| Err(Error::invalid_argument(text));
        let must_be = |flag: &str, value: Option<bool>, wanted: bool| match value {
            Some(value) if value != wanted => Err(Error::invalid_argument(format!(
                "--{flag}={value} is not supported: it is always {wanted}"
            ))),
            _ => Ok(()),
        };
        self.rest.check()?;
        self.net.check()?;
        must_be("live-restore", self.live_restore, true)?;
        if let Some(driver) = &self.storage_driver
            && !matches!(driver.as_str(), "overlay2" | "overlayfs")
        {
            return refuse(format!("storage driver {driver:?} is not supported: use overlay2"));
        }
        if !LOG_DRIVERS.contains(&self.log_driver.as_str()) {
            return refuse(format!(
                "log driver {:?} is not supported: use one of {}",
                self.log_driver,
                LOG_DRIVERS.join(", ")
            ));
        }
        if !matches!(self.default_ipc_mode.as_str(), "private" | "shareable") {
            return refuse(format!(
                "IPC mode {:?} is not supported: use private or shareable",
                self.default_ipc_mode
            ));
        }
        if !matches!(self.default_cgroupns_mode.as_str(), "private" | "host") {
            return refuse(format!(
                "invalid default cgroup namespace mode {:?}: use private or host",
                self.default_cgroupns_mode
            ));
        }
        match self.net.firewall_backend.as_deref() {
            None | Some("" | "nftables") => Ok(()),
            Some(other) => refuse(format!("firewall backend {other:?} is not supported: use nftables")),
        }
    }
}
