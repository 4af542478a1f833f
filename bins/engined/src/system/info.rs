//! The state of the engine and its host.

use std::collections::BTreeMap;
use std::path::Path;

use engine_api::system::{
    AddressPool, Commit, Containerd, DiscoveredDevice, FirewallBackend, Info, Namespaces, Plugins, Runtime,
    Swarm,
};

use crate::config::Settings;
use crate::containers::Phase;
use crate::engine::Engine;
use crate::time::Time;

/// `GET /info`.
pub async fn info(engine: &Engine) -> Info {
    let flags = &engine.config.flags;
    let settings = engine.settings();
    let host = rustix::system::uname();
    let phases: Vec<Phase> =
        engine.containers.all().iter().map(|container| container.record().state.phase).collect();
    let count = |test: fn(Phase) -> bool| phases.iter().filter(|phase| test(**phase)).count() as i64;
    let images = crate::images::list::named(engine).await.map_or(0, |all| all.len() as i64);
    let supervisor = engine.supervisor.hello().await.unwrap_or_default();
    let cgroup = Cgroups::look();
    Info {
        id: engine.id.clone(),
        containers: phases.len() as i64,
        containers_running: count(|phase| matches!(phase, Phase::Running | Phase::Restarting)),
        containers_paused: count(|phase| phase == Phase::Paused),
        containers_stopped: count(|phase| !phase.is_live() && phase != Phase::Restarting),
        images,
        driver: "overlay2".into(),
        driver_status: vec![
            ["driver-type".into(), "io.containerd.snapshotter.v1".into()],
            ["snapshotter".into(), engine.supervisor.snapshotter.clone()],
        ],
        plugins: Plugins {
            volume: vec!["local".into()],
            network: ["bridge", "host", "ipvlan", "macvlan", "null"].map(str::to_owned).to_vec(),
            authorization: Some(settings.authorization_plugins.clone()),
            log: crate::config::LOG_DRIVERS.map(str::to_owned).to_vec(),
        },
        memory_limit: cgroup.has("memory"),
        swap_limit: cgroup.has_swap,
        cpu_cfs_period: cgroup.has("cpu"),
        cpu_cfs_quota: cgroup.has("cpu"),
        cpu_shares: cgroup.has("cpu"),
        cpu_set: cgroup.has("cpuset"),
        pids_limit: cgroup.has("pids"),
        ipv4_forwarding: read("/proc/sys/net/ipv4/ip_forward") == "1",
        debug: settings.is_debug,
        n_fd: std::fs::read_dir("/proc/self/fd").map_or(-1, |entries| entries.count() as i64),
        oom_kill_disable: !cgroup.is_v2,
        n_goroutines: tokio::runtime::Handle::current().metrics().num_alive_tasks() as i64,
        system_time: Time::now().rfc3339(),
        logging_driver: flags.log_driver.clone(),
        cgroup_driver: flags.cgroup_driver().word().into(),
        cgroup_version: if cgroup.is_v2 { "2".into() } else { "1".into() },
        n_events_listener: engine.events.listeners() as i64,
        kernel_version: host.release().to_string_lossy().into_owned(),
        operating_system: os_release("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned()),
        os_version: os_release("VERSION_ID").unwrap_or_default(),
        os_type: "linux".into(),
        architecture: host.machine().to_string_lossy().into_owned(),
        index_server_address: "https://index.docker.io/v1/".into(),
        registry_config: Some(super::registries::shown(engine)),
        ncpu: std::thread::available_parallelism().map_or(1, |count| count.get() as i64),
        mem_total: memory_bytes(),
        docker_root_dir: flags.data_root.to_string_lossy().into_owned(),
        http_proxy: proxy(&flags.rest.http_proxy, "HTTP_PROXY"),
        https_proxy: proxy(&flags.rest.https_proxy, "HTTPS_PROXY"),
        no_proxy: proxy(&flags.rest.no_proxy, "NO_PROXY"),
        default_address_pools: flags
            .address_pools()
            .iter()
            .map(|(base, size)| AddressPool { base: base.to_string(), size: i64::from(*size) })
            .collect(),
        name: host.nodename().to_string_lossy().into_owned(),
        labels: settings.labels.clone(),
        server_version: env!("CARGO_PKG_VERSION").into(),
        runtimes: runtimes(&settings),
        default_runtime: settings.default_runtime.clone(),
        swarm: Swarm { local_node_state: "inactive".into(), ..Swarm::default() },
        live_restore_enabled: true,
        init_binary: engine
            .programs
            .init
            .as_ref()
            .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
            .unwrap_or_default(),
        containerd_commit: Commit { id: supervisor.1, ..Commit::default() },
        runc_commit: Commit { id: env!("CARGO_PKG_VERSION").into(), ..Commit::default() },
        security_options: security_options(engine),
        generic_resources: Some(Vec::new()),
        cdi_spec_dirs: flags.cdi_directories().iter().map(|path| path.display().to_string()).collect(),
        containerd: Some(Containerd {
            address: engine.supervisor.address().display().to_string(),
            namespaces: Namespaces {
                containers: flags.containerd_namespace.clone(),
                plugins: flags.rest.containerd_plugins_namespace.clone().unwrap_or_default(),
            },
        }),
        firewall_backend: (flags.iptables != Some(false))
            .then(|| FirewallBackend { driver: "nftables".into(), ..FirewallBackend::default() }),
        discovered_devices: crate::containers::cdi::names(&flags.cdi_directories())
            .into_iter()
            .map(|id| DiscoveredDevice { source: "cdi".into(), id })
            .collect(),
        warnings: Some(warnings(engine)),
        ..Info::default()
    }
}

fn proxy(flag: &Option<String>, variable: &str) -> String {
    flag.clone().or_else(|| std::env::var(variable).ok()).unwrap_or_default()
}

/// What works, but not as somebody may think.
fn warnings(engine: &Engine) -> Vec<String> {
    let flags = &engine.config.flags;
    let mut all = Vec::new();
    if flags.iptables == Some(false) {
        all.push("WARNING: the firewall is off (--iptables=false): ports cannot be published".to_owned());
    }
    all.extend(crate::supervisor::managed::unheard(&engine.config));
    all
}

fn security_options(engine: &Engine) -> Vec<String> {
    let flags = &engine.config.flags;
    let profile = match flags.seccomp_profile.as_deref() {
        None | Some("builtin") => "builtin",
        Some(other) => other,
    };
    let mut all = vec![format!("name=seccomp,profile={profile}")];
    if engine.remap.is_some() {
        all.push("name=userns".into());
    }
    if flags.default_cgroupns_mode == "private" {
        all.push("name=cgroupns".into());
    }
    if flags.no_new_privileges == Some(true) {
        all.push("name=no-new-privileges".into());
    }
    all
}

fn runtimes(settings: &Settings) -> BTreeMap<String, Runtime> {
    settings
        .runtimes
        .iter()
        .map(|(name, runtime)| {
            let shown = match &runtime.binary {
                Some(path) => {
                    Runtime { path: path.clone(), runtime_args: runtime.args.clone(), ..Runtime::default() }
                }
                None => Runtime { runtime_type: runtime.shim.clone(), ..Runtime::default() },
            };
            (name.clone(), shown)
        })
        .collect()
}

/// What of cgroups the host has.
struct Cgroups {
    is_v2: bool,
    controllers: String,
    has_swap: bool,
}

impl Cgroups {
    fn look() -> Cgroups {
        let root = Path::new("/sys/fs/cgroup");
        let is_v2 = root.join("cgroup.controllers").exists();
        let controllers = if is_v2 {
            read("/sys/fs/cgroup/cgroup.controllers")
        } else {
            std::fs::read_dir(root)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().replace(',', " ") + " ")
                .collect()
        };
        let has_swap = is_v2 || root.join("memory/memory.memsw.limit_in_bytes").exists();
        Cgroups { is_v2, controllers, has_swap }
    }

    fn has(&self, controller: &str) -> bool {
        self.controllers.split_whitespace().any(|word| word == controller)
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// What the host's system says of itself (os-release(5)).
pub fn os_release(key: &str) -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

pub fn memory_bytes() -> i64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<i64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
