//! `containerd.services.introspection.v1.Introspection`.

use crate::config::Config;
use crate::restart::POLICIES;
use crate::shims::Shims;
use containerd_api::pack;
use containerd_api::services::introspection::v1::introspection_server::Introspection;
use containerd_api::services::introspection::v1::*;
use containerd_api::types::{Platform, RuntimeRequest};
use errdefs::{Error, Result as Outcome};
use metadata::Db;
use std::collections::HashMap;
use std::path::Path;
use tonic::{Request, Response, Status, async_trait};

const SNAPSHOTTER: &str = "io.containerd.snapshotter.v1";
const RESTART: (&str, &str) = ("io.containerd.monitor.container.v1", "restart");
const OPT: (&str, &str) = ("io.containerd.internal.v1", "opt");
const RUNTIME: (&str, &str) = ("io.containerd.runtime.v2", "task");

/// What this daemon is made of, as containerd's plugins.
pub struct IntrospectionService {
    uuid: String,
    plugins: Vec<Plugin>,
    shims: Shims,
}

impl IntrospectionService {
    /// The service of a daemon with this configuration.
    pub fn new(config: &Config, db: &Db, shims: Shims) -> Outcome<IntrospectionService> {
        Ok(IntrospectionService { uuid: uuid(&config.root)?, plugins: plugins(config, db), shims })
    }

    /// Checks that the parts with these URIs are here and work.
    pub fn require(&self, uris: &[String]) -> Outcome<()> {
        for uri in uris {
            let uri_of = |plugin: &&Plugin| *uri == format!("{}.{}", plugin.r#type, plugin.id);
            let plugin = self.plugins.iter().find(uri_of);
            let plugin =
                plugin.ok_or_else(|| Error::not_found(format!("required plugin {uri} not included")))?;
            if let Some(failure) = &plugin.init_err {
                let text = format!("load required plugin {uri}: {}", failure.message);
                return Err(Error::failed_precondition(text));
            }
        }
        Ok(())
    }
}

/// The parts that run on this machine's platform.
const ON_PLATFORM: [(&str, &str); 2] = [("io.containerd.differ.v1", "walking"), RUNTIME];

/// The other parts, under the names that clients look for.
const PARTS: [(&str, &[&str]); 11] = [
    ("io.containerd.content.v1", &["content"]),
    ("io.containerd.metadata.v1", &["bolt"]),
    ("io.containerd.event.v1", &["exchange"]),
    ("io.containerd.gc.v1", &["scheduler"]),
    ("io.containerd.lease.v1", &["manager"]),
    ("io.containerd.streaming.v1", &["manager"]),
    ("io.containerd.transfer.v1", &["local"]),
    ("io.containerd.service.v1", &["tasks-service"]),
    ("io.containerd.sandbox.store.v1", &["local"]),
    ("io.containerd.sandbox.controller.v1", &["shim"]),
    (
        "io.containerd.grpc.v1",
        &[
            "containers",
            "content",
            "diff",
            "events",
            "healthcheck",
            "images",
            "introspection",
            "leases",
            "namespaces",
            "sandbox-controllers",
            "sandboxes",
            "snapshots",
            "streaming",
            "tasks",
            "transfer",
            "version",
        ],
    ),
];

fn plugins(config: &Config, db: &Db) -> Vec<Plugin> {
    let platform =
        Platform { os: "linux".into(), architecture: architecture().into(), ..Platform::default() };
    let plugin = |kind: &str, id: &str| Plugin { r#type: kind.into(), id: id.into(), ..Plugin::default() };
    let snapshotters = db.snapshotters().iter().map(|(name, snapshotter)| Plugin {
        platforms: vec![platform.clone()],
        exports: snapshotter.exports(),
        capabilities: snapshotter.capabilities(),
        ..plugin(SNAPSHOTTER, name)
    });
    let failed = db.failed_snapshotters().iter().map(|(name, cause)| Plugin {
        init_err: Some(containerd_api::google::rpc::Status {
            code: tonic::Code::Unknown as i32,
            message: cause.clone(),
            details: Vec::new(),
        }),
        ..plugin(SNAPSHOTTER, name)
    });
    let on_platform =
        ON_PLATFORM.iter().map(|(kind, id)| Plugin { platforms: vec![platform.clone()], ..plugin(kind, id) });
    let others = PARTS.iter().flat_map(|(kind, ids)| ids.iter().map(|id| plugin(kind, id)));
    // Clients ask what restarts there are by this part's capabilities.
    let restart = config
        .restart_interval
        .map(|_| Plugin { capabilities: POLICIES.map(str::to_owned).into(), ..plugin(RESTART.0, RESTART.1) });
    let opt = config.opt.as_ref().map(|path| Plugin {
        exports: exports([("path", path.display().to_string())]),
        ..plugin(OPT.0, OPT.1)
    });
    let mut found: Vec<Plugin> =
        others.chain(on_platform).chain(snapshotters).chain(failed).chain(restart).chain(opt).collect();
    for part in &mut found {
        part.exports.extend(exports_of(config, &part.r#type, &part.id));
    }
    found.sort_by(|a, b| (&a.r#type, &a.id).cmp(&(&b.r#type, &b.id)));
    found
}

fn exports<const N: usize>(pairs: [(&str, String); N]) -> HashMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value)).into()
}

/// What a part of ours tells of itself, in containerd's words.
fn exports_of(config: &Config, kind: &str, id: &str) -> HashMap<String, String> {
    let below = |name: &str| config.root.join(name).display().to_string();
    match (kind, id) {
        ("io.containerd.content.v1", _) => exports([("root", below("io.containerd.content.v1.content"))]),
        RUNTIME => exports([("log-uri-schemes", "fifo,binary,binary-v2,file".into())]),
        ("io.containerd.metadata.v1", _) => exports([
            ("path", below("io.containerd.metadata.v1.bolt/meta.redb")),
            ("policy", config.sharing.to_string()),
        ]),
        ("io.containerd.gc.v1", _) => exports([
            ("PauseThreshold", config.gc.pause_threshold.to_string()),
            ("DeletionThreshold", config.gc.deletion_threshold.to_string()),
            ("MutationThreshold", config.gc.mutation_threshold.to_string()),
            ("ScheduleDelay", format!("{:?}", config.gc.schedule_delay)),
        ]),
        _ => HashMap::new(),
    }
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

/// The daemon's identity.
fn uuid(root: &Path) -> Outcome<String> {
    let kept = daemon::identity::kept(&root.join("io.containerd.grpc.v1.introspection").join("uuid"));
    kept.map_err(|error| Error::unknown("cannot tell who this daemon is").with_source(error))
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
        if plugin.init_err.is_some() {
            let text = "cannot get extra info, plugin not successfully loaded";
            return Err(Error::failed_precondition(text).into());
        }
        let Some(options) = request.options else {
            return Ok(Response::new(PluginInfoResponse { plugin: Some(plugin.clone()), extra: None }));
        };
        if (plugin.r#type.as_str(), plugin.id.as_str()) != RUNTIME {
            return Err(Error::unimplemented("plugin does not provided extra information").into());
        }
        let asked: RuntimeRequest = containerd_api::unpack(&options)
            .map_err(|cause| Error::unknown("failed to unmarshal plugin info Options").with_source(cause))?;
        let info = self.shims.info(asked.runtime_path, asked.options).await?;
        Ok(Response::new(PluginInfoResponse { plugin: Some(plugin.clone()), extra: Some(pack(&info)) }))
    }
}
