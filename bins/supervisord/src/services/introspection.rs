//! `containerd.services.introspection.v1.Introspection`.

use containerd_api::services::introspection::v1::introspection_server::Introspection;
use containerd_api::services::introspection::v1::*;
use containerd_api::types::Platform;
use errdefs::{Error, Result as Outcome};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tonic::{Request, Response, Status, async_trait};

/// What this daemon is made of, as containerd's plugins.
pub struct IntrospectionService {
    uuid: String,
    plugins: Vec<Plugin>,
}

impl IntrospectionService {
    /// The service of a daemon whose persistent files are below `root`.
    pub fn new(root: &Path) -> Outcome<IntrospectionService> {
        Ok(IntrospectionService { uuid: uuid(root)?, plugins: plugins(root) })
    }
}

/// What one plugin is called and what it tells of itself.
struct Part {
    kind: &'static str,
    id: &'static str,
    capabilities: &'static [&'static str],
    has_platform: bool,
    export: Option<(&'static str, &'static str)>,
}

const fn part(kind: &'static str, id: &'static str) -> Part {
    Part { kind, id, capabilities: &[], has_platform: false, export: None }
}

const CONTENT: &str = "io.containerd.content.v1.content";
const OVERLAY: &str = "io.containerd.snapshotter.v1.overlayfs";
const NATIVE: &str = "io.containerd.snapshotter.v1.native";

/// The parts there are, under the names that clients look for.
const PARTS: &[Part] = &[
    Part { export: Some(("root", CONTENT)), ..part("io.containerd.content.v1", "content") },
    Part {
        has_platform: true,
        export: Some(("root", OVERLAY)),
        ..part("io.containerd.snapshotter.v1", "overlayfs")
    },
    Part {
        has_platform: true,
        export: Some(("root", NATIVE)),
        ..part("io.containerd.snapshotter.v1", "native")
    },
    part("io.containerd.metadata.v1", "bolt"),
    Part { has_platform: true, ..part("io.containerd.differ.v1", "walking") },
    part("io.containerd.event.v1", "exchange"),
    part("io.containerd.gc.v1", "scheduler"),
    part("io.containerd.lease.v1", "manager"),
    Part { has_platform: true, ..part("io.containerd.runtime.v2", "task") },
    part("io.containerd.streaming.v1", "manager"),
    part("io.containerd.transfer.v1", "local"),
    part("io.containerd.service.v1", "tasks-service"),
    part("io.containerd.grpc.v1", "containers"),
    part("io.containerd.grpc.v1", "content"),
    part("io.containerd.grpc.v1", "diff"),
    part("io.containerd.grpc.v1", "events"),
    part("io.containerd.grpc.v1", "healthcheck"),
    part("io.containerd.grpc.v1", "images"),
    part("io.containerd.grpc.v1", "introspection"),
    part("io.containerd.grpc.v1", "leases"),
    part("io.containerd.grpc.v1", "namespaces"),
    part("io.containerd.grpc.v1", "snapshots"),
    part("io.containerd.grpc.v1", "streaming"),
    part("io.containerd.grpc.v1", "tasks"),
    part("io.containerd.grpc.v1", "transfer"),
    part("io.containerd.grpc.v1", "version"),
];

fn plugins(root: &Path) -> Vec<Plugin> {
    let platform =
        Platform { os: "linux".into(), architecture: architecture().into(), ..Platform::default() };
    let plugin = |part: &Part| Plugin {
        r#type: part.kind.to_owned(),
        id: part.id.to_owned(),
        requires: Vec::new(),
        platforms: if part.has_platform { vec![platform.clone()] } else { Vec::new() },
        exports: part
            .export
            .map(|(key, dir)| {
                HashMap::from([(key.to_owned(), root.join(dir).to_string_lossy().into_owned())])
            })
            .unwrap_or_default(),
        capabilities: part.capabilities.iter().map(|name| (*name).to_owned()).collect(),
        init_err: None,
    };
    PARTS.iter().map(plugin).collect()
}

/// This machine's architecture in the image specification's word.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

/// The daemon's identity, made once and kept.
fn uuid(root: &Path) -> Outcome<String> {
    let path = root.join("io.containerd.grpc.v1.introspection").join("uuid");
    if let Ok(kept) = std::fs::read_to_string(&path) {
        return Ok(kept.trim().to_owned());
    }
    let cannot = |path: PathBuf| {
        move |e: std::io::Error| Error::unknown(format!("cannot keep {}", path.display())).with_source(e)
    };
    let made = std::fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(cannot(path.clone()))?;
    std::fs::create_dir_all(path.parent().unwrap_or(root)).map_err(cannot(path.clone()))?;
    std::fs::write(&path, made.trim()).map_err(cannot(path))?;
    Ok(made.trim().to_owned())
}

/// The inode of this process's pid namespace.
fn pid_namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").map(|meta| meta.ino()).unwrap_or_default()
}

#[async_trait]
impl Introspection for IntrospectionService {
    async fn plugins(&self, request: Request<PluginsRequest>) -> Result<Response<PluginsResponse>, Status> {
        let filter = filters::Filters::parse(&request.into_inner().filters)?;
        let wanted = |plugin: &&Plugin| {
            filter.matches(&|path: &[&str]| match path {
                ["type"] => Some(plugin.r#type.clone()),
                ["id"] => Some(plugin.id.clone()),
                _ => None,
            })
        };
        Ok(Response::new(PluginsResponse { plugins: self.plugins.iter().filter(wanted).cloned().collect() }))
    }

    async fn server(&self, _: Request<()>) -> Result<Response<ServerResponse>, Status> {
        Ok(Response::new(ServerResponse {
            uuid: self.uuid.clone(),
            pid: u64::from(std::process::id()),
            pidns: pid_namespace(),
            deprecations: Vec::new(),
        }))
    }

    async fn plugin_info(
        &self,
        request: Request<PluginInfoRequest>,
    ) -> Result<Response<PluginInfoResponse>, Status> {
        let request = request.into_inner();
        let plugin =
            self.plugins.iter().find(|plugin| plugin.r#type == request.r#type && plugin.id == request.id);
        let plugin = plugin
            .ok_or_else(|| Error::not_found(format!("plugin {}.{} not found", request.r#type, request.id)))?;
        if request.options.is_some() {
            return Err(Error::unimplemented("plugin does not provided extra information").into());
        }
        Ok(Response::new(PluginInfoResponse { plugin: Some(plugin.clone()), extra: None }))
    }
}
