//! Networks and endpoints as clients see them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engine_api::network::{EndpointResource, EndpointSettings, Ipam, IpamPool, Network};
use errdefs::{Error, Result};

use super::known::Known;
use crate::containers::Record;
use crate::engine::Engine;
use crate::filters::Filters;

/// The filters of a list.
pub const FILTERS: [&str; 8] = ["dangling", "driver", "id", "label", "name", "scope", "type", "idOrName"];

/// A container's endpoints by network name.
pub fn endpoints(engine: &Engine, record: &Record) -> BTreeMap<String, EndpointSettings> {
    let mut all = BTreeMap::new();
    for (name, wish) in &record.networks {
        let mut settings = wish.clone();
        if let Some(known) = engine.networks.table.get(name) {
            settings.network_id.clone_from(&known.id);
            if known.is_custom() {
                settings.dns_names = Some(super::dns::names(record, wish));
            }
        }
        if let Some(endpoint) = record.endpoints.get(name) {
            settings.endpoint_id.clone_from(&endpoint.id);
            settings.gateway = shown(endpoint.gateway);
            settings.ip_address = shown(endpoint.address);
            settings.ip_prefix_len = i64::from(endpoint.prefix_len);
            settings.mac_address = endpoint.mac.to_string();
            if let Some(v6) = &endpoint.v6 {
                settings.ipv6_gateway = v6.gateway.to_string();
                settings.global_ipv6_address = v6.address.to_string();
                settings.global_ipv6_prefix_len = i64::from(v6.prefix_len);
            }
        }
        all.insert(name.clone(), settings);
    }
    all
}

/// `GET /networks`.
///
/// # Errors
/// A filter's value is malformed.
pub fn list(engine: &Engine, filters: &Filters) -> Result<Vec<Network>> {
    let dangling = filters.truth("dangling")?;
    if let Some(kind) =
        filters.values("type").iter().flat_map(|kinds| kinds.iter()).find(|kind| !is_kind(kind))
    {
        return Err(Error::invalid_argument(format!("invalid filter: 'type'='{kind}'")));
    }
    let known = engine.networks.table.all();
    let passes = |name: &String, known: &Known| {
        let labels = known.wish.as_ref().and_then(|wish| wish.labels.clone()).unwrap_or_default();
        let is_dangling = known.is_custom() && !super::remove::is_used(engine, name);
        filters.accepts("name", |part| name.contains(part))
            && filters.accepts("id", |part| known.id.starts_with(part))
            && filters.accepts("idOrName", |typed| name == typed || known.id.starts_with(typed))
            && filters.accepts("driver", |wanted| known.driver(name) == wanted)
            && filters.accepts("scope", |scope| scope == "local")
            && filters.accepts("type", |kind| kind == if known.is_custom() { "custom" } else { "builtin" })
            && filters.labels("label", &labels)
            && dangling.is_none_or(|dangling| dangling == is_dangling)
    };
    let is_off = |name: &String| name == "bridge" && engine.networks.bridge.is_none();
    let passing = known.iter().filter(|(name, known)| !is_off(name) && passes(name, known));
    Ok(passing.map(|(name, known)| show(engine, name, known, false)).collect())
}

/// `GET /networks/{id}`.
///
/// # Errors
/// No network is meant.
pub fn inspect(engine: &Engine, typed: &str) -> Result<Network> {
    let (name, known) = engine.networks.table.find(typed)?;
    Ok(show(engine, &name, &known, true))
}

fn show(engine: &Engine, name: &str, known: &Known, with_containers: bool) -> Network {
    let bridge = (name == "bridge").then(|| engine.networks.default_bridge()).flatten();
    let wish = known.wish.clone().unwrap_or_default();
    let mut pools = Vec::new();
    pools.extend(bridge.as_ref().filter(|bridge| bridge.subnet.is_some()).map(|bridge| IpamPool {
        subnet: shown(bridge.subnet),
        gateway: shown(bridge.gateway),
        ..IpamPool::default()
    }));
    pools.extend(bridge.as_ref().and_then(|bridge| bridge.v6.as_ref()).map(pool_v6));
    if let Some(config) = &known.bridge {
        let asked = |is_v6: bool| {
            let all = wish.ipam.as_ref().and_then(|ipam| ipam.config.clone()).unwrap_or_default();
            all.into_iter().find(|pool| !pool.subnet.is_empty() && pool.subnet.contains(':') == is_v6)
        };
        pools.extend(config.subnet.map(|subnet| IpamPool {
            subnet: subnet.to_string(),
            gateway: shown(config.gateway),
            ..asked(false).unwrap_or_default()
        }));
        pools.extend(config.v6.as_ref().map(|v6| {
            let made = pool_v6(v6);
            IpamPool { subnet: made.subnet, gateway: made.gateway, ..asked(true).unwrap_or_default() }
        }));
    }
    if known.is_config_only() {
        pools = wish.ipam.as_ref().and_then(|ipam| ipam.config.clone()).unwrap_or_default();
    }
    let mut network = Network {
        name: name.to_owned(),
        id: known.id.clone(),
        created: known.created.rfc3339(),
        scope: "local".into(),
        driver: known.driver(name).into(),
        enable_ipv4: known.bridge.as_ref().map_or(wish.enable_ipv4 != Some(false), |config| config.v4),
        enable_ipv6: bridge.as_ref().map_or(known.has_v6(), |bridge| bridge.v6.is_some()),
        ipam: Ipam {
            driver: "default".into(),
            options: wish.ipam.as_ref().and_then(|ipam| ipam.options.clone()),
            config: Some(pools),
        },
        internal: known.is_internal() || (known.is_config_only() && wish.internal),
        config_only: wish.config_only,
        config_from: wish.config_from.clone().unwrap_or_default(),
        attachable: wish.attachable,
        options: Some(
            bridge.as_ref().map(|bridge| options(engine, bridge)).or(wish.options).unwrap_or_default(),
        ),
        labels: Some(wish.labels.unwrap_or_default()),
        ..Network::default()
    };
    if with_containers {
        let all = engine.containers.all();
        network.containers = all.iter().filter_map(|container| resource(&container.record(), name)).collect();
    }
    network
}

fn is_kind(text: &str) -> bool {
    matches!(text, "builtin" | "custom")
}

/// What is not there is empty.
fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn pool_v6(v6: &network::V6Config) -> IpamPool {
    IpamPool { subnet: v6.subnet.to_string(), gateway: v6.gateway.to_string(), ..IpamPool::default() }
}

fn resource(record: &Record, name: &str) -> Option<(String, EndpointResource)> {
    if !record.networks.contains_key(name) || !record.state.phase.is_live() {
        return None;
    }
    let mut resource = EndpointResource { name: record.name.clone(), ..EndpointResource::default() };
    if let Some(endpoint) = record.endpoints.get(name) {
        resource.endpoint_id.clone_from(&endpoint.id);
        resource.mac_address = endpoint.mac.to_string();
        resource.ipv4_address =
            shown(endpoint.address.map(|address| format!("{address}/{}", endpoint.prefix_len)));
        if let Some(v6) = &endpoint.v6 {
            resource.ipv6_address = format!("{}/{}", v6.address, v6.prefix_len);
        }
    }
    Some((record.id.clone(), resource))
}

fn options(engine: &Engine, bridge: &network::Bridge) -> BTreeMap<String, String> {
    let flags = &engine.config.flags;
    let truth = |on: bool| on.to_string();
    let host = flags.ip.filter(IpAddr::is_ipv4).unwrap_or(IpAddr::from([0, 0, 0, 0]));
    [
        ("com.docker.network.bridge.default_bridge", truth(true)),
        ("com.docker.network.bridge.enable_icc", truth(flags.icc != Some(false))),
        ("com.docker.network.bridge.enable_ip_masquerade", truth(flags.ip_masq != Some(false))),
        ("com.docker.network.bridge.name", bridge.name.clone()),
        (super::options::HOST_BINDING, host.to_string()),
        ("com.docker.network.driver.mtu", bridge.mtu.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}
