//! Names on user-defined networks: containers find each other by them.

mod forward;
mod message;
mod serve;

use std::net::IpAddr;

use engine_api::network::EndpointSettings;

use crate::containers::{Container, Record};
use crate::engine::Engine;
use message::{A, AAAA, Code, PTR, Query};

pub use serve::{Serving, restore, serve};

/// The names that a container has on a network, its own first.
pub fn names(record: &Record, wish: &EndpointSettings) -> Vec<String> {
    let mut names = vec![record.name.clone()];
    let more = wish.aliases.iter().flatten().cloned();
    let short = crate::identity::short(&record.id).to_owned();
    for name in more.chain([short, record.config.hostname.clone()]) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What the engine itself says to a query; `None` is for others to answer.
fn answer(engine: &Engine, container: &Container, query: &Query) -> Option<Vec<u8>> {
    let own = container.record();
    match query.kind {
        PTR => {
            let address = query.reversed()?;
            find_name(engine, &own, address).map(|name| query.named(&name))
        }
        _ => {
            let mut addresses = find_addresses(engine, &own, &query.name);
            if addresses.is_empty() {
                return None;
            }
            // A known name that has nothing of the kind: nobody else is asked.
            addresses.retain(|address| match query.kind {
                A => address.is_ipv4(),
                AAAA => address.is_ipv6(),
                _ => false,
            });
            if addresses.is_empty() {
                Some(query.empty(Code::NoError))
            } else {
                Some(query.addresses(&addresses))
            }
        }
    }
}

/// The networks with names that a container is on.
fn networks<'a>(engine: &Engine, own: &'a Record) -> Vec<&'a String> {
    let has_names = |name: &&String| engine.networks.table.get(name).is_some_and(|known| known.is_custom());
    own.endpoints.keys().filter(has_names).collect()
}

/// Whether a container is called `asked` on a network.
fn is_called(record: &Record, network: &str, asked: &str) -> bool {
    let aliases = record.networks.get(network).and_then(|wish| wish.aliases.as_deref()).unwrap_or_default();
    let is_meant = |own: &str| !own.is_empty() && own.eq_ignore_ascii_case(asked);
    is_meant(&record.name)
        || is_meant(crate::identity::short(&record.id))
        || is_meant(&record.config.hostname)
        || aliases.iter().any(|alias| is_meant(alias))
}

/// What a container means by a name that it alone has for another (`--link NAME:ALIAS`).
fn linked<'a>(own: &'a Record, network: &str, asked: &str) -> Option<&'a str> {
    let links = own.networks.get(network)?.links.as_deref()?;
    let halves = links.iter().map(|link| link.split_once(':').unwrap_or((link, link)));
    halves.into_iter().find(|(_, alias)| alias.eq_ignore_ascii_case(asked)).map(|(name, _)| name)
}

fn find_addresses(engine: &Engine, own: &Record, asked: &str) -> Vec<IpAddr> {
    // On each network `asked` and `asked` without the network's name are meant.
    let meant = |network: &str| {
        let suffix = format!(".{}", network.to_lowercase());
        let bare = asked.strip_suffix(&suffix).unwrap_or(asked);
        [asked, bare].map(|name| linked(own, network, name).unwrap_or(name).to_owned())
    };
    let networks: Vec<(&String, [String; 2])> =
        networks(engine, own).into_iter().map(|network| (network, meant(network))).collect();
    let mut found = Vec::new();
    for other in engine.containers.all() {
        let other = other.record();
        for (network, names) in &networks {
            let Some(endpoint) = other.endpoints.get(*network) else { continue };
            if names.iter().any(|name| is_called(&other, network, name)) {
                found.extend(endpoint.address.map(IpAddr::from));
                found.extend(endpoint.v6.as_ref().map(|v6| IpAddr::from(v6.address)));
            }
        }
    }
    // Several containers may share a name: each gets its turn.
    let turn = crate::time::Time::now().0.unsigned_abs() as usize / 1000;
    let length = found.len().max(1);
    found.rotate_left(turn % length);
    found
}

fn find_name(engine: &Engine, own: &Record, address: IpAddr) -> Option<String> {
    for network in networks(engine, own) {
        for other in engine.containers.all() {
            let other = other.record();
            let has = |endpoint: &network::Endpoint| {
                endpoint.address.map(IpAddr::from) == Some(address)
                    || endpoint.v6.as_ref().is_some_and(|v6| IpAddr::from(v6.address) == address)
            };
            if other.endpoints.get(network).is_some_and(has) {
                return Some(format!("{}.{network}", other.name));
            }
        }
    }
    None
}
