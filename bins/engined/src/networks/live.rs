//! Connecting containers that exist, running or not, and disconnecting them.

use std::path::Path;
use std::sync::Arc;

use engine_api::network::{EndpointSettings, NetworkConnect, NetworkDisconnect};
use errdefs::{Error, Result};
use network::Netns;

use super::known::Known;
use super::{check, connect as start, dns, endpoint, files, relay, told};
use crate::containers::{Container, Record};
use crate::engine::Engine;
use crate::files::Promise;

/// `POST /networks/{id}/connect`.
///
/// # Errors
/// It is connected already, or its network mode allows no other.
pub async fn connect(engine: &Arc<Engine>, typed: &str, wish: NetworkConnect) -> Result<()> {
    let (name, known) = engine.networks.table.find(typed)?;
    let container = engine.containers.find(&wish.container)?;
    let settings = check::given(wish.endpoint_config.unwrap_or_default());
    check::wish_for(&name, &known, &settings)?;
    let _moving = container.moving.lock().await;
    let record = container.record();
    refuse(&name, &record)?;
    let is_live = record.state.phase.is_live();
    if is_live && record.networks.contains_key(&name) {
        return Err(Error::permission_denied(format!(
            "endpoint with name {} already exists in network {name}",
            record.name
        )));
    }
    if is_live {
        plug(engine, &container, (name.clone(), known), &settings).await?;
        super::tell(engine, &name, "connect", Some(&container));
    }
    container.try_update(Promise::Durable, |record| drop(record.networks.insert(name, settings)))
}

/// Modes that share no network with others.
fn refuse(name: &str, record: &Record) -> Result<()> {
    let mode = record.host_config.network_mode.as_str();
    if mode == "host" || Record::joined(mode).is_some() {
        return Err(Error::invalid_argument(
            "container sharing network namespace with another container or host cannot be connected to any other network",
        ));
    }
    if mode == "none" || name == "none" {
        return Err(Error::invalid_argument(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        ));
    }
    if name == "host" {
        return Err(Error::permission_denied(
            "container cannot be disconnected from host network or connected to host network",
        ));
    }
    Ok(())
}

async fn plug(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    network: (String, Known),
    settings: &EndpointSettings,
) -> Result<()> {
    let work = {
        let (engine, container, settings) = (engine.clone(), container.clone(), settings.clone());
        move || {
            let record = container.record();
            let netns = Netns::open(Path::new(&record.netns)).map_err(told)?;
            let mut request = start::request(&engine, &record, &network, &settings)?;
            request.interface = endpoint::asked(&settings).map(str::to_owned);
            let before = way_out(&engine, &record);
            if !network.1.is_internal() && before.is_none() {
                request.default_route = true;
                request.ports = start::published(&engine, &record, &network.1)?;
            }
            let made = engine.networks.stack.connect(&netns, request).map_err(told)?;
            container.update(|record| {
                record.endpoints.insert(network.0.clone(), made.clone());
                record.networks.insert(network.0.clone(), settings);
            });
            relay::serve(&engine, &made)?;
            if let Some((before, _)) = before {
                turn(&engine, &container, &netns, &before)?;
            }
            files::amend(&engine, &container, Some(&made), None)?;
            let needs_resolver = network.1.is_custom() && container.live().resolver.is_none();
            needs_resolver.then(|| netns.resolver().map_err(told)).transpose()
        }
    };
    let resolver = tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::internal("cannot connect a container").with_source(cause))??;
    match resolver {
        Some(resolver) => dns::serve(engine, container, resolver),
        None => Ok(()),
    }
}

/// The network of the container that leads out of the host.
fn way_out(engine: &Engine, record: &Record) -> Option<(String, Known)> {
    let known = |name: &String| Some((name.clone(), engine.networks.table.get(name)?));
    let all: Vec<(String, Known)> = record.endpoints.keys().filter_map(known).collect();
    start::gateway(record, &all).cloned()
}

/// Leads the way out, and the published ports, through the network that they belong on now.
fn turn(engine: &Engine, container: &Container, netns: &Netns, before: &str) -> Result<()> {
    let record = container.record();
    let Some((now, known)) = way_out(engine, &record).filter(|(now, _)| now != before) else { return Ok(()) };
    let (Some(mut old), Some(mut new)) =
        (record.endpoints.get(before).cloned(), record.endpoints.get(&now).cloned())
    else {
        return Ok(());
    };
    netns.leave_route(&old).and_then(|()| netns.route_by(&new)).map_err(told)?;
    let stack = &engine.networks.stack;
    let wanted = start::published(engine, &record, &known)?;
    relay::end(engine, &old);
    stack.unpublish(&mut old).map_err(told)?;
    let published = stack.publish(&mut new, &wanted).map_err(told).and_then(|_| relay::serve(engine, &new));
    container.update(|record| {
        record.endpoints.insert(before.to_owned(), old);
        record.endpoints.insert(now, new);
    });
    published
}

/// `POST /networks/{id}/disconnect`.
///
/// # Errors
/// The container is not connected to it.
pub async fn disconnect(engine: &Arc<Engine>, typed: &str, wish: NetworkDisconnect) -> Result<()> {
    let (name, _) = engine.networks.table.find(typed)?;
    let container = match engine.containers.find(&wish.container) {
        Err(_) if wish.force => {
            return Err(Error::not_found(format!("endpoint {} not found", wish.container)));
        }
        other => other?,
    };
    let _moving = container.moving.lock().await;
    let record = container.record();
    if name == "host" {
        return Err(Error::permission_denied(
            "container cannot be disconnected from host network or connected to host network",
        ));
    }
    if !record.networks.contains_key(&name) {
        return Err(Error::permission_denied(format!(
            "container {} is not connected to network {name}",
            container.id
        )));
    }
    if record.endpoints.contains_key(&name) {
        let work = {
            let (engine, container, name) = (engine.clone(), container.clone(), name.clone());
            move || unplug(&engine, &container, &name)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|cause| Error::internal("cannot disconnect a container").with_source(cause))??;
        super::tell(engine, &name, "disconnect", Some(&container));
    }
    container.try_update(Promise::Durable, |record| drop(record.networks.remove(&name)))
}

fn unplug(engine: &Arc<Engine>, container: &Arc<Container>, name: &str) -> Result<()> {
    let mut gone = None;
    container.update(|record| gone = record.endpoints.remove(name));
    let Some(gone) = gone else { return Ok(()) };
    let mut record = container.record();
    let netns = Netns::open(Path::new(&record.netns)).map_err(told)?;
    engine.networks.stack.delete_link(&netns, &gone).map_err(told)?;
    relay::end(engine, &gone);
    engine.networks.stack.disconnect(&gone).map_err(told)?;
    files::amend(engine, container, None, Some(&gone))?;
    record = container.record();
    let Some((next, known)) = way_out(engine, &record) else { return Ok(()) };
    let Some(mut endpoint) = record.endpoints.get(&next).cloned() else { return Ok(()) };
    // The kernel took the default route with its link, if it was that one.
    netns.route_by(&endpoint).map_err(told)?;
    if !gone.ports.is_empty() {
        let wanted = start::published(engine, &record, &known)?;
        engine.networks.stack.publish(&mut endpoint, &wanted).map_err(told)?;
        relay::serve(engine, &endpoint)?;
        container.update(|record| drop(record.endpoints.insert(next, endpoint)));
    }
    Ok(())
}
