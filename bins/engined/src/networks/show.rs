//! Networks and endpoints as clients see them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use engine_api::network::{EndpointResource, EndpointSettings, Ipam, IpamPool, Network};
use errdefs::Result;

use super::known::Known;
use crate::containers::Record;
use crate::engine::Engine;
use crate::filters::Filters;

/// The filters of a list.
pub const FILTERS: [&str; 8] = ["dangling", "driver", "id", "label", "name", "scope", "type", "idOrName"];

/// The driver behind a network.
pub fn driver(name: &str) -> &'static str {
    match name {
        "host" => "host",
        "none" => "null",
        _ => "bridge",
    }
}

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
            settings.gateway = endpoint.gateway.to_string();
            settings.ip_address = endpoint.address.to_string();
            settings.ip_prefix_len = i64::from(endpoint.prefix_len);
            settings.mac_address = endpoint.mac.to_string();
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
    let known = engine.networks.table.all();
    let passes = |name: &String, known: &Known| {
        let labels = known.wish.as_ref().and_then(|wish| wish.labels.clone()).unwrap_or_default();
        let is_dangling = known.is_custom() && !super::remove::is_used(engine, name);
        filters.accepts("name", |part| name.contains(part))
            && filters.accepts("id", |part| known.id.starts_with(part))
            && filters.accepts("idOrName", |typed| name == typed || known.id.starts_with(typed))
            && filters.accepts("driver", |wanted| driver(name) == wanted)
            && filters.accepts("scope", |scope| scope == "local")
            && filters.accepts("type", |kind| kind == if known.is_custom() { "custom" } else { "builtin" })
            && filters.labels("label", &labels)
            && dangling.is_none_or(|dangling| dangling == is_dangling)
    };
    let passing = known.iter().filter(|(name, known)| passes(name, known));
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
    pools.extend(bridge.as_ref().map(|bridge| IpamPool {
        subnet: bridge.subnet.to_string(),
        gateway: bridge.gateway.to_string(),
        ..IpamPool::default()
    }));
    if let Some(config) = &known.bridge {
        let asked = wish.ipam.as_ref().and_then(|ipam| ipam.config.clone()?.into_iter().next());
        pools.push(IpamPool {
            subnet: config.subnet.map(|subnet| subnet.to_string()).unwrap_or_default(),
            gateway: config.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
            ..asked.unwrap_or_default()
        });
    }
    let mut network = Network {
        name: name.to_owned(),
        id: known.id.clone(),
        created: known.created.rfc3339(),
        scope: "local".into(),
        driver: driver(name).into(),
        enable_ipv4: true,
        ipam: Ipam { driver: "default".into(), options: None, config: Some(pools) },
        internal: known.is_internal(),
        attachable: wish.attachable,
        options: Some(bridge.as_ref().map(options).or(wish.options).unwrap_or_default()),
        labels: Some(wish.labels.unwrap_or_default()),
        ..Network::default()
    };
    if with_containers {
        let all = engine.containers.all();
        network.containers = all.iter().filter_map(|container| resource(&container.record(), name)).collect();
    }
    network
}

fn resource(record: &Record, name: &str) -> Option<(String, EndpointResource)> {
    if !record.networks.contains_key(name) || !record.state.phase.is_live() {
        return None;
    }
    let mut resource = EndpointResource { name: record.name.clone(), ..EndpointResource::default() };
    if let Some(endpoint) = record.endpoints.get(name) {
        resource.endpoint_id.clone_from(&endpoint.id);
        resource.mac_address = endpoint.mac.to_string();
        resource.ipv4_address = format!("{}/{}", endpoint.address, endpoint.prefix_len);
    }
    Some((record.id.clone(), resource))
}

fn options(bridge: &network::Bridge) -> BTreeMap<String, String> {
    [
        ("com.docker.network.bridge.default_bridge", "true".to_owned()),
        ("com.docker.network.bridge.enable_ip_masquerade", "true".to_owned()),
        ("com.docker.network.bridge.name", bridge.name.clone()),
        (super::create::HOST_BINDING, Ipv4Addr::UNSPECIFIED.to_string()),
        ("com.docker.network.driver.mtu", bridge.mtu.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}
