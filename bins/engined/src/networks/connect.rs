//! A container's places on its networks: given at its start, taken back at its end.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use engine_api::network::EndpointSettings;
use errdefs::{Error, Result};
use network::{ConnectRequest, Netns, PortRequest};

use super::known::Known;
use super::{dns, endpoint, files, ports, relay, told};
use crate::containers::{Container, Record};
use crate::engine::Engine;
use crate::remap;

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

pub fn path(engine: &Engine, id: &str) -> PathBuf {
    engine.config.run("netns").join(id)
}

/// The networks of a container in the order of its links: that of its mode first.
///
/// # Errors
/// One of them is gone.
fn in_order(engine: &Engine, record: &Record) -> Result<Vec<(String, Known)>> {
    let mode = &record.host_config.network_mode;
    let mut names: Vec<&String> = record.networks.keys().collect();
    names.sort_by_key(|name| *name != mode);
    let known = |name: &String| match engine.networks.table.get(name) {
        Some(known) => Ok((name.clone(), known)),
        None => Err(Error::not_found(format!("network {name} not found"))),
    };
    names.into_iter().map(known).collect()
}

/// The network that a container's way out leads through: the highest priority, then the first name.
pub fn gateway<'a>(record: &Record, networks: &'a [(String, Known)]) -> Option<&'a (String, Known)> {
    let priority = |name: &String| record.networks.get(name).map_or(0, |wish| wish.gw_priority);
    let with_way_out = networks.iter().filter(|(_, known)| !known.is_internal());
    with_way_out.max_by(|(a, _), (b, _)| priority(a).cmp(&priority(b)).then(b.cmp(a)))
}

/// What the stack is asked for.
pub fn request(
    engine: &Engine,
    record: &Record,
    (name, known): &(String, Known),
    wish: &EndpointSettings,
) -> Result<ConnectRequest> {
    let bridge =
        match &known.bridge {
            Some(bridge) => bridge.name.as_str(),
            None => engine.networks.bridge.as_deref().filter(|_| name == "bridge").ok_or_else(|| {
                Error::invalid_argument("the default bridge is switched off (--bridge=none)")
            })?,
        };
    let mut request = ConnectRequest::new(bridge, &record.name);
    let ipam = wish.ipam_config.clone().unwrap_or_default();
    request.address = ipam.ipv4_address.parse().ok();
    request.address_v6 = ipam.ipv6_address.parse().ok();
    request.link_local = ipam.link_local_ips.iter().filter_map(|text| text.parse().ok()).collect();
    request.sysctls = endpoint::sysctls(wish)?;
    let is_of_mode = *name == record.host_config.network_mode;
    let mac = match wish.mac_address.as_str() {
        "" if is_of_mode => record.config.mac_address.as_str(),
        own => own,
    };
    request.mac = if mac.is_empty() { None } else { Some(mac.parse().map_err(told)?) };
    request.default_route = false;
    Ok(request)
}

/// The ports that a container publishes, on the host address that its way out says.
pub fn published(engine: &Engine, record: &Record, way_out: &Known) -> Result<Vec<PortRequest>> {
    let own = way_out.option(super::options::HOST_BINDING).and_then(|text| text.parse::<IpAddr>().ok());
    ports::requests(&record.config, &record.host_config, own.or(engine.config.flags.ip))
}

/// Makes what a container's task is created with: its namespace, and the files that are mounted
/// into it. What is in them comes by [`connect`], while the task is being created.
///
/// # Errors
/// The namespace or a file cannot be made.
pub async fn prepare(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<()> {
    let at = Instant::now();
    let work = {
        let (engine, container) = (engine.clone(), container.clone());
        move || {
            let record = container.record();
            let mode = record.host_config.network_mode.as_str();
            if Record::joined(mode).is_some() {
                return Ok(());
            }
            files::touch(&container, &record)?;
            if mode == "host" {
                return Ok(());
            }
            let at = path(&engine, &container.id);
            // A start that was cut off may have left one.
            Netns::remove(&at).map_err(told)?;
            remap::drop_kept(&engine, &container.id).map_err(told)?;
            match &record.remap {
                Some(ids) => {
                    let joined = crate::containers::plan::owner_pid(&engine, &record)?;
                    remap::keep(&engine, &container.id, ids, joined, &at)?;
                }
                None => drop(engine.networks.pool.create(&at).map_err(told)?),
            }
            container.update(|record| record.netns = at.to_string_lossy().into_owned());
            Ok(())
        }
    };
    let prepared = tokio::task::spawn_blocking(work).await;
    let prepared: Result<()> = prepared
        .map_err(|cause| Error::internal("cannot prepare a container's network").with_source(cause))?;
    prepared?;
    engine.metrics.did_on_network("allocate", at);
    Ok(())
}

/// Gives a prepared container its networks, and its `hostname`, `hosts` and `resolv.conf`.
///
/// # Errors
/// A network is gone, a port is taken, no address is left, or a file cannot be written.
pub async fn connect(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<()> {
    let record = container.record();
    let mode = record.host_config.network_mode.as_str();
    if Record::joined(mode).is_some() {
        return Ok(());
    }
    if mode == "host" {
        return files::write(engine, container);
    }
    let at = Instant::now();
    let networks = if mode == "none" { Vec::new() } else { in_order(engine, &record)? };
    let work = {
        let (engine, container) = (engine.clone(), container.clone());
        move || plug_in(&engine, &container, &networks)
    };
    let resolver = tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::internal("cannot connect a container").with_source(cause))??;
    if let Some(resolver) = resolver {
        dns::serve(engine, container, resolver)?;
    }
    super::refill(engine);
    engine.metrics.did_on_network("connect", at);
    for name in record.networks.keys() {
        super::tell(engine, name, "connect", Some(container));
    }
    Ok(())
}

fn plug_in(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    networks: &[(String, Known)],
) -> Result<Option<network::Resolver>> {
    let record = container.record();
    let netns = Netns::open(&path(engine, &container.id)).map_err(told)?;
    let way_out = gateway(&record, networks).map(|(name, _)| name);
    for (index, network) in networks.iter().enumerate() {
        let wish = record.networks.get(&network.0).cloned().unwrap_or_default();
        let mut request = request(engine, &record, network, &wish)?;
        request.interface = Some(endpoint::interface(&network.1, &wish, index)?);
        if way_out == Some(&network.0) {
            request.default_route = true;
            request.ports = published(engine, &record, &network.1)?;
        }
        let endpoint = engine.networks.stack.connect(&netns, request).map_err(told)?;
        container.update(|record| drop(record.endpoints.insert(network.0.clone(), endpoint.clone())));
        relay::serve(engine, &endpoint)?;
    }
    files::write(engine, container)?;
    let has_names = networks.iter().any(|(_, known)| known.is_custom());
    has_names.then(|| netns.resolver().map_err(told)).transpose()
}

/// Removes what a start that was cut off may have left of a container's namespaces; its record knows nothing of it.
pub fn forget(engine: &Engine, id: &str) {
    for removed in [Netns::remove(&path(engine, id)), remap::drop_kept(engine, id)] {
        if let Err(error) = removed {
            tracing::warn!(container = id, %error, "cannot remove a namespace that a killed engine left");
        }
    }
}

/// Takes a container's network back. Repeating it is harmless.
pub async fn disconnect(engine: &Arc<Engine>, container: &Arc<Container>) {
    let record = container.record();
    container.live().resolver.take();
    if record.netns.is_empty() {
        return;
    }
    let at = Instant::now();
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
            let netns = Netns::open(std::path::Path::new(&record.netns)).ok().filter(|_| is_shared);
            for endpoint in record.endpoints.values() {
                if let Some(netns) = &netns {
                    failures.extend(engine.networks.stack.delete_link(netns, endpoint).err());
                }
            }
            drop(netns);
            failures.extend(Netns::remove(std::path::Path::new(&record.netns)).err());
            if record.remap.is_some() {
                failures.extend(remap::drop_kept(&engine, &container.id).err());
            }
            for endpoint in record.endpoints.values() {
                relay::end(&engine, endpoint);
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
    engine.metrics.did_on_network("release", at);
    for name in record.networks.keys() {
        super::tell(engine, name, "disconnect", Some(container));
    }
    container.update(|record| {
        record.netns.clear();
        record.endpoints.clear();
    });
}
