//! What a new container, or a person, may ask of networks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine_api::container::Config as ContainerConfig;
use engine_api::host_config::HostConfig;
use engine_api::network::EndpointSettings;
use errdefs::{Error, Result};

use super::known::Known;
use super::{endpoint, files, ports, told};
use crate::containers::Record;
use crate::engine::Engine;

/// Checks a new container's network wishes, and writes the wished-for ports down in full.
///
/// # Errors
/// The network is not there, or cannot do what is asked.
pub fn check(
    engine: &Engine,
    config: &ContainerConfig,
    host: &mut HostConfig,
    mut asked: BTreeMap<String, EndpointSettings>,
) -> Result<BTreeMap<String, EndpointSettings>> {
    if host.network_mode == "bridge" && engine.networks.bridge.is_none() {
        // Who names no network gets none, as in Docker.
        host.network_mode = "none".to_owned();
        asked.retain(|name, _| !matches!(name.as_str(), "bridge" | "default"));
    }
    if !matches!(host.network_mode.as_str(), "bridge" | "host" | "none")
        && Record::joined(&host.network_mode).is_none()
    {
        // By whatever the person called it, it is known by its name from now on.
        host.network_mode = engine.networks.table.find(&host.network_mode)?.0;
    }
    let mode = host.network_mode.clone();
    if let Some(name) = Record::joined(&mode) {
        engine.containers.find(name)?;
    }
    let wishes = wishes(engine, &mode, asked)?;
    let is_private = matches!(mode.as_str(), "host" | "none") || Record::joined(&mode).is_some();
    if is_private && wishes.len() > 1 {
        return Err(Error::invalid_argument(format!(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes ({mode})"
        )));
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
    ports::requests(config, host, engine.config.flags.ip)?;
    files::extra_hosts(host, &[])?;
    Ok(wishes)
}

/// Checks that nothing is asked of a container in another's network that is the other's to say.
///
/// # Errors
/// Something is; it is named.
pub fn conflicts(config: &ContainerConfig, host: &HostConfig) -> Result<()> {
    if Record::joined(&host.network_mode).is_none() {
        return Ok(());
    }
    let has_hosts = host.extra_hosts.as_ref().is_some_and(|hosts| !hosts.is_empty());
    let all = [
        (!config.hostname.is_empty(), "hostname and the network mode"),
        (!host.dns.is_empty(), "dns and the network mode"),
        (has_hosts, "custom host-to-IP mapping and the network mode"),
        (!config.exposed_ports.is_empty(), "port exposing and the container type network mode"),
    ];
    match all.iter().find(|(is_asked, _)| *is_asked) {
        Some((_, what)) => Err(Error::invalid_argument(format!("conflicting options: {what}"))),
        None => Ok(()),
    }
}

/// What is asked of each network, by its name; the network of the mode is always among them.
fn wishes(
    engine: &Engine,
    mode: &str,
    asked: BTreeMap<String, EndpointSettings>,
) -> Result<BTreeMap<String, EndpointSettings>> {
    let mut wishes = BTreeMap::new();
    for (typed, wish) in asked {
        if Record::joined(&typed).is_some() && typed == mode {
            // The other container's network is not this one's to describe.
            continue;
        }
        let typed = if typed == "default" { "bridge".to_owned() } else { typed };
        let (name, known) = engine.networks.table.find(&typed)?;
        wish_for(&name, &known, &wish)?;
        wishes.insert(name, given(wish));
    }
    if Record::joined(mode).is_none() {
        wishes.entry(mode.to_owned()).or_default();
    }
    Ok(wishes)
}

/// Only what a person may ask for: clients send back what they were shown.
pub fn given(wish: EndpointSettings) -> EndpointSettings {
    EndpointSettings {
        ipam_config: wish.ipam_config,
        links: wish.links,
        aliases: wish.aliases,
        driver_opts: wish.driver_opts,
        gw_priority: wish.gw_priority,
        mac_address: wish.mac_address,
        ..EndpointSettings::default()
    }
}

/// Checks what is asked of one network.
///
/// # Errors
/// The network cannot do it.
pub fn wish_for(name: &str, known: &Known, wish: &EndpointSettings) -> Result<()> {
    let ipam = wish.ipam_config.clone().unwrap_or_default();
    if known.is_config_only() {
        return Err(Error::permission_denied(format!(
            "network {name} is a configuration network: no container can be connected to it"
        )));
    }
    for text in &ipam.link_local_ips {
        let is_link_local = match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => address.is_link_local(),
            Ok(IpAddr::V6(address)) => address.is_unicast_link_local(),
            Err(_) => false,
        };
        if !is_link_local {
            return Err(Error::invalid_argument(format!("invalid link-local IP address: {text}")));
        }
    }
    if !ipam.ipv6_address.is_empty() {
        wish_for_v6(name, known, &ipam.ipv6_address)?;
    }
    if !ipam.ipv4_address.is_empty() {
        let address = ipam
            .ipv4_address
            .parse::<Ipv4Addr>()
            .map_err(|_| Error::invalid_argument(format!("invalid IPv4 address: {}", ipam.ipv4_address)))?;
        let asked = known.wish.as_ref().and_then(|wish| wish.ipam.as_ref()?.config.clone());
        if !known.is_custom() {
            return Err(Error::invalid_argument(format!(
                "invalid config for network {name}: user specified IP address is supported on user defined networks only"
            )));
        }
        if asked.is_none_or(|pools| pools.is_empty()) {
            return Err(Error::invalid_argument(format!(
                "invalid config for network {name}: user specified IP address is supported only when connecting to networks with user configured subnets"
            )));
        }
        let subnet = known.bridge.as_ref().and_then(|bridge| bridge.subnet);
        if subnet.is_some_and(|subnet| !subnet.contains(&address)) {
            return Err(Error::invalid_argument(format!(
                "invalid config for network {name}: invalid endpoint settings:\nno configured subnet contains IP address {address}"
            )));
        }
    }
    if !known.is_custom() && wish.aliases.as_ref().is_some_and(|aliases| !aliases.is_empty()) {
        return Err(Error::invalid_argument(
            "invalid endpoint settings:\nnetwork-scoped alias is supported only for containers in user defined networks",
        ));
    }
    for link in wish.links.iter().flatten() {
        let parts: Vec<&str> = link.split(':').collect();
        if parts.len() > 2 || parts.iter().any(|part| part.is_empty()) {
            return Err(Error::invalid_argument(format!("bad format for links: {link}")));
        }
    }
    endpoint::check(wish)?;
    if !wish.mac_address.is_empty() {
        wish.mac_address.parse::<network::MacAddress>().map_err(told)?;
    }
    Ok(())
}

fn wish_for_v6(name: &str, known: &Known, text: &str) -> Result<()> {
    let bad = |why: String| Error::invalid_argument(format!("invalid config for network {name}: {why}"));
    let address: Ipv6Addr =
        text.parse().map_err(|_| Error::invalid_argument(format!("invalid IPv6 address: {text}")))?;
    if !known.is_custom() {
        return Err(bad("user specified IP address is supported on user defined networks only".into()));
    }
    let subnet = known.bridge.as_ref().and_then(|bridge| bridge.v6.as_ref()).map(|v6| v6.subnet);
    if subnet.is_none_or(|subnet| !subnet.contains(&address)) {
        return Err(bad(format!(
            "invalid endpoint settings:\nno configured subnet contains IP address {address}"
        )));
    }
    Ok(())
}
