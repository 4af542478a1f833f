//! The tables of the file as they are written; what supervisord does not know stays in `rest`.

use errdefs::{Error, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use toml::{Table, Value};

/// The file in its newest layout.
#[derive(Deserialize)]
pub struct File {
    pub root: PathBuf,
    pub state: PathBuf,
    pub disabled_plugins: Vec<String>,
    pub required_plugins: Vec<String>,
    pub oom_score: i32,
    pub debug: Debug,
    pub timeouts: BTreeMap<String, String>,
    #[serde(default)]
    pub proxy_plugins: BTreeMap<String, ProxyPlugin>,
    #[serde(default)]
    pub stream_processors: BTreeMap<String, StreamProcessor>,
    pub plugins: BTreeMap<String, Value>,
    #[serde(flatten)]
    pub rest: Table,
}

#[derive(Deserialize)]
pub struct Debug {
    pub level: String,
    pub format: String,
    #[serde(flatten)]
    pub rest: Table,
}

/// A part that another process is.
#[derive(Deserialize)]
pub struct ProxyPlugin {
    #[serde(default)]
    pub r#type: String,
    #[serde(default)]
    pub address: PathBuf,
    #[serde(default)]
    pub platform: String,
    #[serde(default)]
    pub exports: HashMap<String, String>,
    #[serde(default)]
    pub capabilities: Vec<String>,
    #[serde(flatten)]
    pub rest: Table,
}

/// A program that makes layers of another kind readable.
#[derive(Deserialize)]
pub struct StreamProcessor {
    #[serde(default)]
    pub accepts: Vec<String>,
    #[serde(default)]
    pub returns: String,
    #[serde(default)]
    pub path: PathBuf,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: Vec<String>,
    #[serde(flatten)]
    pub rest: Table,
}

#[derive(Deserialize)]
pub struct Grpc {
    pub address: PathBuf,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub group: Option<String>,
    pub max_recv_message_size: usize,
    pub max_send_message_size: usize,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
pub struct GrpcTcp {
    pub address: String,
    pub tls_cert: PathBuf,
    pub tls_key: PathBuf,
    pub tls_ca: PathBuf,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
pub struct Ttrpc {
    pub address: PathBuf,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
pub struct Metrics {
    pub address: String,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
pub struct Histogram {
    pub grpc_histogram: bool,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
pub struct Metadata {
    pub content_sharing_policy: String,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
pub struct Gc {
    pub pause_threshold: f64,
    pub deletion_threshold: u32,
    pub mutation_threshold: u32,
    pub schedule_delay: String,
    pub startup_delay: String,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
pub struct Overlay {
    pub root_path: PathBuf,
    pub mount_options: Vec<String>,
    pub upperdir_label: bool,
    pub sync_remove: bool,
    pub sync_commit: bool,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
pub struct Native {
    pub root_path: PathBuf,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
pub struct Transfer {
    pub config_path: String,
    pub max_concurrent_downloads: usize,
    pub max_concurrent_uploaded_layers: usize,
    pub snapshotter: String,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
pub struct Restart {
    pub interval: String,
    #[serde(flatten)]
    rest: Table,
}

#[derive(Deserialize)]
pub struct Opt {
    pub path: PathBuf,
    #[serde(flatten)]
    rest: Table,
}

/// A plugin's table.
pub trait Section: for<'a> Deserialize<'a> {
    /// The plugin's URI.
    const URI: &'static str;
    /// The keys that are not ours.
    fn rest(&self) -> &Table;
}

macro_rules! sections {
    ($($section:ident = $uri:expr;)*) => {
        $(impl Section for $section {
            const URI: &'static str = $uri;
            fn rest(&self) -> &Table {
                &self.rest
            }
        })*
    };
}

sections! {
    Grpc = super::GRPC;
    GrpcTcp = super::GRPC_TCP;
    Ttrpc = super::TTRPC;
    Metrics = super::METRICS;
    Histogram = super::HISTOGRAM;
    Metadata = super::METADATA;
    Gc = super::GC;
    Overlay = super::OVERLAY;
    Native = super::NATIVE;
    Transfer = super::TRANSFER;
    Restart = super::RESTART;
    Opt = super::OPT;
}

/// Takes a plugin's table out of the file, and notes the keys that are not ours.
pub fn take<T: Section>(plugins: &mut BTreeMap<String, Value>, warnings: &mut Vec<String>) -> Result<T> {
    let value = plugins.remove(T::URI).unwrap_or_else(|| Value::Table(Table::new()));
    let section: T = value.try_into().map_err(|cause: toml::de::Error| {
        Error::invalid_argument(format!("plugins.{:?}: {}", T::URI, cause.message()))
    })?;
    warnings.extend(section.rest().keys().map(|key| format!("unknown key plugins.{:?}.{key}", T::URI)));
    Ok(section)
}
