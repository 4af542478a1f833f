//! Containers' places on the network: bridges, the host's network, none, or another's.

mod check;
mod connect;
pub mod create;
pub mod dns;
mod endpoint;
pub mod files;
pub mod guard;
mod known;
pub mod live;
mod media;
mod options;
pub mod ports;
mod relay;
pub mod remove;
mod show;
mod ula;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use errdefs::{Error, Result};
use network::{BridgeConfig, NetnsPool, Stack};

use crate::config::Config;
use crate::containers::{Container, Index};
use crate::engine::Engine;

pub use check::{check, conflicts};
pub use connect::{connect, disconnect, forget, namespace_of, prepare};
pub use show::{FILTERS, endpoints, inspect, list};

/// How many containers may start at once before one waits for its namespace.
const READY_NAMESPACES: usize = 4;

/// The networks of an engine.
pub struct Networks {
    stack: Arc<Stack>,
    /// Namespaces made while nobody waits.
    pool: NetnsPool,
    /// Name of the default bridge; `None` with `--bridge=none`.
    bridge: Option<String>,
    pub table: known::Table,
    relays: relay::Relays,
    /// Held by whoever makes or removes a network.
    making: Mutex<()>,
}

/// A failure of the network on its way to a person.
fn told(cause: network::Error) -> Error {
    Error::new(cause.kind(), cause.to_string())
}

impl Networks {
    /// Makes the bridges stand, with the places of the containers that still run on them.
    ///
    /// # Errors
    /// A bridge cannot be made as configured.
    pub fn open(config: &Config, containers: &Index) -> Result<Networks> {
        let pools = config.flags.address_pools();
        let of_v4 = |(base, prefix_len): &(network::IpNet, u8)| match base {
            network::IpNet::V4(base) => Some(network::Pool { base: *base, prefix_len: *prefix_len }),
            network::IpNet::V6(_) => None,
        };
        let options = network::Options {
            firewall: config.flags.iptables != Some(false),
            relays: config.flags.userland_proxy != Some(false),
            pools: pools.iter().filter_map(of_v4).collect(),
        };
        let stack = Stack::open_with(&config.stack_name(), options).map_err(told)?;
        let table = known::Table::load(config)?;
        let bridge = match config.flags.bridge.as_deref() {
            Some("none") => None,
            Some(name) => Some(name.to_owned()),
            None if config.stack_name() == "default" => Some(network::DEFAULT_BRIDGE.to_owned()),
            None => Some(format!("wherry-{}", config.stack_name())),
        };
        let mut wanted = Vec::new();
        if let Some(name) = &bridge {
            wanted.push(bridge_config(config, name)?);
        }
        wanted.extend(table.all().into_values().filter_map(|known| known.bridge));
        let all: Vec<network::Endpoint> = containers
            .all()
            .iter()
            .flat_map(|container| container.record().endpoints.values().cloned().collect::<Vec<_>>())
            .collect();
        let with_endpoints = |bridge: BridgeConfig| {
            let endpoints = all.iter().filter(|endpoint| endpoint.bridge == bridge.name).cloned().collect();
            network::Network { bridge, endpoints }
        };
        let restored = stack.restore(wanted.into_iter().map(with_endpoints).collect()).map_err(told)?;
        for warning in &restored.warnings {
            tracing::warn!(warning, "the network is not as it should be");
        }
        let (stack, pool) = (Arc::new(stack), NetnsPool::new(READY_NAMESPACES));
        let (relays, making) = (relay::Relays::default(), Mutex::new(()));
        Ok(Networks { stack, pool, bridge, table, relays, making })
    }

    /// The default bridge as it stands.
    pub fn default_bridge(&self) -> Option<network::Bridge> {
        self.stack.bridge(self.bridge.as_deref()?)
    }
}

fn bridge_config(config: &Config, name: &str) -> Result<BridgeConfig> {
    let flags = &config.flags;
    let mut bridge = BridgeConfig::new(name);
    fn net<T: std::str::FromStr>(flag: &str, text: &str) -> Result<T> {
        text.parse()
            .map_err(|_| Error::invalid_argument(format!("invalid --{flag} {text:?}: expected ADDRESS/BITS")))
    }
    if let Some(bip) = &flags.bip {
        bridge = bridge.with_bip(net("bip", bip)?);
    }
    if let Some(range) = &flags.fixed_cidr {
        bridge.range = Some(net("fixed-cidr", range)?);
    }
    bridge.mtu = flags.mtu.unwrap_or(bridge.mtu);
    bridge.icc = flags.icc.unwrap_or(bridge.icc);
    bridge.masquerade = flags.ip_masq.unwrap_or(bridge.masquerade);
    bridge.router = flags.net.default_gateway;
    let given = |text: &Option<String>, flag| {
        text.as_deref().map(|text| net::<network::Ipv6Net>(flag, text)).transpose()
    };
    let (bip6, fixed) = (given(&flags.net.bip6, "bip6")?, given(&flags.net.fixed_cidr_v6, "fixed-cidr-v6")?);
    if flags.net.ipv6 == Some(true) {
        let subnet = bip6.or(fixed).unwrap_or_else(|| ula::first(config));
        let mut v6 = network::V6Config::new(subnet);
        v6.gateway = bip6.map_or(v6.gateway, |net| net.addr());
        v6.range = fixed.filter(|range| *range != v6.subnet && v6.subnet.contains(range));
        bridge.v6 = Some(v6);
    }
    options::of_engine(config, &mut bridge);
    Ok(bridge)
}

/// Does again what this process does for the network of a container that runs since before its life.
pub async fn restore(engine: &Arc<Engine>, container: &Arc<Container>) {
    relay::restore(engine, container);
    dns::restore(engine, container).await;
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

/// Tells what happened to a network, or to a container on it.
fn tell(engine: &Engine, name: &str, action: &str, container: Option<&Container>) {
    let Some(known) = engine.networks.table.get(name) else { return };
    let mut attributes = BTreeMap::from([
        ("name".to_owned(), name.to_owned()),
        ("type".to_owned(), known.driver(name).to_owned()),
    ]);
    attributes.extend(container.map(|container| ("container".to_owned(), container.id.clone())));
    engine.events.tell("network", action, &known.id, attributes);
}
