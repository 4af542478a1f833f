//! Containers' places on the network: the default bridge, the host's network, none, or another's.

pub mod files;
pub mod guard;
pub mod ports;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use engine_api::container::Config as ContainerConfig;
use engine_api::host_config::HostConfig;
use engine_api::network::{EndpointResource, EndpointSettings, Ipam, IpamPool, Network};
use errdefs::{Error, Result};
use network::{BridgeConfig, ConnectRequest, Netns, NetnsPool, Stack};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::containers::{Container, Index, Record};
use crate::engine::Engine;
use crate::files::Promise;
use crate::time::Time;

/// How many containers may start at once before one waits for its namespace.
const READY_NAMESPACES: usize = 4;

const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

/// The networks of an engine.
pub struct Networks {
    stack: Arc<Stack>,
    /// Namespaces made while nobody waits.
    pool: NetnsPool,
    /// Name of the default bridge; `None` with `--bridge=none`.
    bridge: Option<String>,
    known: BTreeMap<String, Known>,
}

/// What is kept of a network on disk.
#[derive(Clone, Serialize, Deserialize)]
struct Known {
    id: String,
    created: Time,
}

/// A failure of the network on its way to a person.
fn told(cause: network::Error) -> Error {
    Error::new(cause.kind(), cause.to_string())
}

impl Networks {
    /// Makes the bridge stand, with the places of the containers that still run on it.
    ///
    /// # Errors
    /// The bridge cannot be made as configured.
    pub fn open(config: &Config, containers: &Index) -> Result<Networks> {
        let stack = Stack::open(&config.stack_name()).map_err(told)?;
        let known = load(config)?;
        let bridge = match config.flags.bridge.as_deref() {
            Some("none") => None,
            Some(name) => Some(name.to_owned()),
            None if config.stack_name() == "default" => Some(network::DEFAULT_BRIDGE.to_owned()),
            None => Some(format!("wherry-{}", config.stack_name())),
        };
        let mut networks = Vec::new();
        if let Some(name) = &bridge {
            let endpoints =
                containers.all().iter().filter_map(|container| container.record().endpoint.clone()).collect();
            networks.push(network::Network { bridge: bridge_config(config, name)?, endpoints });
        }
        let restored = stack.restore(networks).map_err(told)?;
        for warning in &restored.warnings {
            tracing::warn!(warning, "the network is not as it should be");
        }
        Ok(Networks { stack: Arc::new(stack), pool: NetnsPool::new(READY_NAMESPACES), bridge, known })
    }

    /// The default bridge as it stands.
    pub fn default_bridge(&self) -> Option<network::Bridge> {
        self.stack.bridge(self.bridge.as_deref()?)
    }
}

fn load(config: &Config) -> Result<BTreeMap<String, Known>> {
    let path = config.data("networks.json");
    if let Ok(text) = std::fs::read(&path)
        && let Ok(known) = serde_json::from_slice(&text)
    {
        return Ok(known);
    }
    let new = || Known { id: crate::identity::new_id(), created: Time::now() };
    let known = BTreeMap::from(PREDEFINED.map(|name| (name.to_owned(), new())));
    crate::files::replace_json(&path, &known, Promise::Durable)?;
    Ok(known)
}

fn bridge_config(config: &Config, name: &str) -> Result<BridgeConfig> {
    let flags = &config.flags;
    let mut bridge = BridgeConfig::new(name);
    let net = |flag: &str, text: &str| {
        text.parse::<network::Ipv4Net>()
            .map_err(|_| Error::invalid_argument(format!("invalid --{flag} {text:?}: expected ADDRESS/BITS")))
    };
    if let Some(bip) = &flags.bip {
        bridge = bridge.with_bip(net("bip", bip)?);
    }
    if let Some(range) = &flags.fixed_cidr {
        bridge.range = Some(net("fixed-cidr", range)?);
    }
    bridge.mtu = flags.mtu.unwrap_or(bridge.mtu);
    bridge.icc = flags.icc.unwrap_or(bridge.icc);
    bridge.masquerade = flags.ip_masq.unwrap_or(bridge.masquerade);
    Ok(bridge)
}

/// Checks a new container's network wishes, and writes the wished-for ports down in full.
///
/// # Errors
/// The network is not there, or cannot do what is asked.
pub fn check(
    engine: &Engine,
    config: &ContainerConfig,
    host: &mut HostConfig,
    wishes: &BTreeMap<String, EndpointSettings>,
) -> Result<()> {
    let mode = host.network_mode.clone();
    match mode.as_str() {
        "bridge" if engine.networks.bridge.is_none() => {
            return Err(Error::invalid_argument(
                "the default bridge is switched off (--bridge=none): use --network none or host",
            ));
        }
        "bridge" | "host" | "none" => {}
        other => match Record::joined(other) {
            Some(name) => drop(engine.containers.find(name)?),
            None => return Err(Error::not_found(format!("network {other} not found"))),
        },
    }
    for (name, wish) in wishes {
        let is_default = name == "default" && mode == "bridge";
        if *name != mode && !is_default {
            return Err(if PREDEFINED.contains(&name.as_str()) {
                Error::unimplemented("a container on several networks is not implemented")
            } else {
                Error::not_found(format!("network {name} not found"))
            });
        }
        if wish
            .ipam_config
            .as_ref()
            .is_some_and(|ipam| !ipam.ipv4_address.is_empty() || !ipam.ipv6_address.is_empty())
        {
            return Err(Error::invalid_argument(
                "invalid config for network bridge: user specified IP address is supported on user defined networks only",
            ));
        }
        if wish.aliases.as_ref().is_some_and(|aliases| !aliases.is_empty()) && mode == "bridge" {
            return Err(Error::invalid_argument(
                "invalid endpoint settings:\nnetwork-scoped alias is supported only for containers in user defined networks",
            ));
        }
        if wish.links.as_ref().is_some_and(|links| !links.is_empty()) {
            return Err(Error::unimplemented("EndpointsConfig.Links is not implemented"));
        }
        if !wish.mac_address.is_empty() {
            wish.mac_address.parse::<network::MacAddress>().map_err(told)?;
        }
    }
    let is_shared = mode == "host" || Record::joined(&mode).is_some();
    if is_shared && !config.mac_address.is_empty() {
        return Err(Error::invalid_argument("conflicting options: mac-address and the network mode"));
    }
    if Record::joined(&mode).is_some() && (!host.port_bindings.is_empty() || host.publish_all_ports) {
        return Err(Error::invalid_argument(
            "conflicting options: port publishing and the container type network mode",
        ));
    }
    if Record::joined(&mode).is_some()
        && (!host.dns.is_empty() || host.extra_hosts.as_ref().is_some_and(|hosts| !hosts.is_empty()))
    {
        return Err(Error::invalid_argument("conflicting options: dns and the network mode"));
    }
    ports::requests(config, host, engine.config.flags.ip)?;
    files::extra_hosts(host, None)?;
    Ok(())
}

/// The network namespace that a container's spec names; `None` is the host's.
///
/// # Errors
/// The container whose network is joined does not run.
pub fn namespace_of(engine: &Engine, container: &Container) -> Result<Option<String>> {
    let record = container.record();
    let mode = record.host_config.network_mode.as_str();
    if mode == "host" {
        return Ok(None);
    }
    if let Some(name) = Record::joined(mode) {
        let other = engine.containers.find(name)?;
        let state = &other.record().state;
        if !state.phase.is_live() {
            return Err(Error::failed_precondition(format!(
                "cannot join network of a non running container: {}",
                other.id
            )));
        }
        return Ok(Some(format!("/proc/{}/ns/net", state.pid)));
    }
    Ok(Some(path(engine, &container.id).to_string_lossy().into_owned()))
}

fn path(engine: &Engine, id: &str) -> PathBuf {
    engine.config.run("netns").join(id)
}

/// Gives a container that is about to start its network, and its `hostname`, `hosts` and
/// `resolv.conf`.
///
/// # Errors
/// A port is taken, no address is left, or a file cannot be written.
pub async fn connect(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<()> {
    let record = container.record();
    let mode = record.host_config.network_mode.clone();
    if Record::joined(&mode).is_some() {
        return Ok(());
    }
    if mode == "host" {
        return files::write(engine, container, None);
    }
    let ports = ports::requests(&record.config, &record.host_config, engine.config.flags.ip)?;
    let work = {
        let (engine, container, record) = (engine.clone(), container.clone(), record.clone());
        move || {
            let at = path(&engine, &container.id);
            // A start that was cut off may have left one.
            Netns::remove(&at).map_err(told)?;
            let netns = engine.networks.pool.create(&at).map_err(told)?;
            container.update(|record| record.netns = at.to_string_lossy().into_owned());
            if let (true, Some(bridge)) = (mode == "bridge", &engine.networks.bridge) {
                let mut request = ConnectRequest::new(bridge, &record.name);
                request.ports = ports;
                request.mac = mac_of(&record)?;
                let endpoint = engine.networks.stack.connect(&netns, request).map_err(told)?;
                container.update(|record| record.endpoint = Some(endpoint));
            }
            files::write(
                &engine,
                &container,
                container.record().endpoint.as_ref().map(|endpoint| endpoint.address),
            )
        }
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::internal("cannot connect a container").with_source(cause))??;
    refill(engine);
    tell(engine, container, "connect");
    Ok(())
}

/// Makes the namespaces of the next containers, a little later: now others are in a hurry.
pub fn refill(engine: &Arc<Engine>) {
    let engine = engine.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        let filled = tokio::task::spawn_blocking(move || engine.networks.pool.fill()).await;
        if let Ok(Err(error)) = filled {
            tracing::debug!(%error, "cannot make namespaces in advance");
        }
    });
}

fn mac_of(record: &Record) -> Result<Option<network::MacAddress>> {
    let wished = record.networks.values().map(|wish| wish.mac_address.as_str()).find(|mac| !mac.is_empty());
    let text = wished.unwrap_or(&record.config.mac_address);
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(told) }
}

/// Takes a container's network back. Repeating it is harmless.
pub async fn disconnect(engine: &Arc<Engine>, container: &Arc<Container>) {
    let record = container.record();
    if record.netns.is_empty() {
        return;
    }
    let is_shared = engine.containers.all().iter().any(|other| {
        let other = other.record();
        let joined = Record::joined(&other.host_config.network_mode);
        other.state.phase.is_live()
            && joined
                .is_some_and(|name| engine.containers.find(name).is_ok_and(|found| found.id == container.id))
    });
    let work = {
        let (engine, container) = (engine.clone(), container.clone());
        move || {
            let record = container.record();
            let mut failures = Vec::new();
            if let (true, Some(endpoint)) = (is_shared, &record.endpoint) {
                failures.extend(engine.networks.stack.delete_link(endpoint).err());
            }
            failures.extend(Netns::remove(std::path::Path::new(&record.netns)).err());
            if let Some(endpoint) = &record.endpoint {
                failures.extend(engine.networks.stack.disconnect(endpoint).err());
            }
            for failure in failures {
                tracing::warn!(container = %container.id, error = %failure, "cannot take a network back");
            }
        }
    };
    if tokio::task::spawn_blocking(work).await.is_err() {
        return;
    }
    tell(engine, container, "disconnect");
    container.update(|record| {
        record.netns.clear();
        record.endpoint = None;
    });
}

fn tell(engine: &Engine, container: &Container, action: &str) {
    let record = container.record();
    let name = &record.host_config.network_mode;
    let Some(known) = engine.networks.known.get(name) else { return };
    let attributes = BTreeMap::from([
        ("container".to_owned(), container.id.clone()),
        ("name".to_owned(), name.clone()),
        ("type".to_owned(), driver(name).to_owned()),
    ]);
    engine.events.tell("network", action, &known.id, attributes);
}

fn driver(name: &str) -> &'static str {
    match name {
        "host" => "host",
        "none" => "null",
        _ => "bridge",
    }
}

/// A container's endpoints by network name.
pub fn endpoints(engine: &Engine, record: &Record) -> BTreeMap<String, EndpointSettings> {
    let name = record.host_config.network_mode.as_str();
    let Some(known) = engine.networks.known.get(name) else { return BTreeMap::new() };
    let mut settings = record.networks.get(name).cloned().unwrap_or_default();
    settings.network_id.clone_from(&known.id);
    if let Some(endpoint) = &record.endpoint {
        settings.endpoint_id.clone_from(&endpoint.id);
        settings.gateway = endpoint.gateway.to_string();
        settings.ip_address = endpoint.address.to_string();
        settings.ip_prefix_len = i64::from(endpoint.prefix_len);
        settings.mac_address = endpoint.mac.to_string();
    }
    BTreeMap::from([(name.to_owned(), settings)])
}

/// All networks, with their containers where asked.
pub fn all(engine: &Engine, with_containers: bool) -> Vec<Network> {
    engine.networks.known.iter().map(|(name, known)| show(engine, name, known, with_containers)).collect()
}

/// A network by name, identifier or the beginning of one.
///
/// # Errors
/// No network, or more than one, is meant.
pub fn find(engine: &Engine, typed: &str) -> Result<Network> {
    let known = &engine.networks.known;
    if let Some(found) = known.get(typed) {
        return Ok(show(engine, typed, found, true));
    }
    let mut found = known.iter().filter(|(_, network)| !typed.is_empty() && network.id.starts_with(typed));
    match (found.next(), found.next()) {
        (Some((name, network)), None) => Ok(show(engine, name, network, true)),
        (Some(_), Some(_)) => Err(Error::invalid_argument(format!(
            "network {typed} is ambiguous ({typed} matches more than one network)"
        ))),
        (None, _) => Err(Error::not_found(format!("network {typed} not found"))),
    }
}

fn show(engine: &Engine, name: &str, known: &Known, with_containers: bool) -> Network {
    let bridge = (name == "bridge").then(|| engine.networks.default_bridge()).flatten();
    let pool = |bridge: &network::Bridge| IpamPool {
        subnet: bridge.subnet.to_string(),
        gateway: bridge.gateway.to_string(),
        ..IpamPool::default()
    };
    let mut network = Network {
        name: name.to_owned(),
        id: known.id.clone(),
        created: known.created.rfc3339(),
        scope: "local".into(),
        driver: driver(name).into(),
        enable_ipv4: true,
        ipam: Ipam {
            driver: "default".into(),
            options: None,
            config: Some(bridge.iter().map(pool).collect()),
        },
        options: Some(bridge.as_ref().map(options).unwrap_or_default()),
        labels: Some(BTreeMap::new()),
        ..Network::default()
    };
    if with_containers {
        network.containers = engine
            .containers
            .all()
            .iter()
            .filter_map(|container| resource(&container.record(), name))
            .collect();
    }
    network
}

fn resource(record: &Record, name: &str) -> Option<(String, EndpointResource)> {
    if record.host_config.network_mode != name || !record.state.phase.is_live() {
        return None;
    }
    let endpoint = record.endpoint.as_ref();
    let resource = EndpointResource {
        name: record.name.clone(),
        endpoint_id: endpoint.map(|endpoint| endpoint.id.clone()).unwrap_or_default(),
        mac_address: endpoint.map(|endpoint| endpoint.mac.to_string()).unwrap_or_default(),
        ipv4_address: endpoint
            .map(|endpoint| format!("{}/{}", endpoint.address, endpoint.prefix_len))
            .unwrap_or_default(),
        ipv6_address: String::new(),
    };
    Some((record.id.clone(), resource))
}

fn options(bridge: &network::Bridge) -> BTreeMap<String, String> {
    [
        ("com.docker.network.bridge.default_bridge", "true".to_owned()),
        ("com.docker.network.bridge.enable_ip_masquerade", "true".to_owned()),
        ("com.docker.network.bridge.name", bridge.name.clone()),
        ("com.docker.network.bridge.host_binding_ipv4", Ipv4Addr::UNSPECIFIED.to_string()),
        ("com.docker.network.driver.mtu", bridge.mtu.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}
